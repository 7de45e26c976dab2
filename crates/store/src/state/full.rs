//! A full import: a whole naming context of a forest, written beside what is there.

use portolan_model::{DistinguishedName, Guid};
use portolan_sync::TenantKind;
use portolan_sync::guard::Losses;
use portolan_sync::record::Record;
use portolan_sync::{AttributeId, ObjectKind};
use sqlx::{QueryBuilder, Row as _, Sqlite};
use tokio::task::JoinSet;

use super::codes::Code as _;
use super::rows::{self, Tx};
use super::{Changed, Partition, State, StateError, packed};

/// Objects of one statement.
const STATEMENT_OBJECTS: usize = 64;
/// Objects of one transaction: the writer is free for others in between.
const TRANSACTION_OBJECTS: usize = 2_048;
/// Octets of one transaction, after which it ends. A reference counts as [`REFERENCE_OCTETS`].
const TRANSACTION_OCTETS: usize = 8 * 1024 * 1024;
const REFERENCE_OCTETS: usize = 32;
/// References of one statement.
const STATEMENT_REFERENCES: usize = 4_096;

/// An object as a forest gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedObject {
    /// Its objectGUID.
    pub guid: Guid,
    /// What it is.
    pub kind: ObjectKind,
    /// The objectGUID of the object above it, when the directory told it.
    pub parent: Option<Guid>,
    /// Its name.
    pub dn: DistinguishedName,
    /// Its attributes.
    pub record: Record,
    /// Its references, by attribute: all that the attribute has, as far as they are told at once.
    pub references: Vec<(AttributeId, Vec<Guid>)>,
}

impl ImportedObject {
    fn octets(&self) -> usize {
        let references: usize = self.references.iter().map(|(_, guids)| guids.len()).sum();
        self.dn.as_str().len() + self.record.as_octets().len() + references * REFERENCE_OCTETS
    }
}

/// A full import under way. Its objects stand beside those that count until it is finished, and count
/// for nothing when it is dropped.
///
/// What fills a transaction is written while more is taken in, so that a directory does not wait for the
/// disk: two transactions' objects are in memory at most.
#[derive(Debug)]
pub struct FullImport {
    state: State,
    of: Partition,
    waiting: Vec<ImportedObject>,
    octets: usize,
    /// INVARIANT: at most one task, and it holds the writer from its first moment: an import that is
    /// dropped writes nothing after the next one has begun.
    writing: JoinSet<Result<(), StateError>>,
}

impl State {
    /// Begins a full import of a naming context. What an earlier one left that was broken off is erased.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn begin_full_import(
        &self,
        of: impl Into<Partition>,
    ) -> Result<FullImport, StateError> {
        let of = of.into();
        self.merge_what_is_whole(Some(of)).await?;
        self.erase_incoming(of).await?;
        let (state, waiting, writing) = (self.clone(), Vec::new(), JoinSet::new());
        Ok(FullImport { state, of, waiting, octets: 0, writing })
    }
}

impl FullImport {
    /// Takes an object in.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn put(&mut self, object: ImportedObject) -> Result<(), StateError> {
        self.octets += object.octets();
        self.waiting.push(object);
        if self.waiting.len() >= TRANSACTION_OBJECTS || self.octets >= TRANSACTION_OCTETS {
            self.begin_writing().await?;
        }
        Ok(())
    }

    /// Adds references of an object that was put without all of them.
    ///
    /// # Errors
    /// When the object was not put, or the state cannot be written.
    pub async fn add_references(
        &mut self,
        guid: &Guid,
        attribute: AttributeId,
        references: &[Guid],
    ) -> Result<(), StateError> {
        self.write().await?;
        let mut tx = self.state.database.write().await?;
        let guids = references.iter().copied().chain([*guid]);
        let keys = rows::keys_of(&mut tx, self.of.forest, guids).await?;
        let source = keys.get(guid).copied().ok_or(StateError::Unknown { guid: *guid })?;
        let put: Option<i64> = sqlx::query_scalar("SELECT 1 FROM incoming WHERE key = ?")
            .bind(source)
            .fetch_optional(&mut *tx)
            .await?;
        put.ok_or(StateError::Unknown { guid: *guid })?;
        let targets = references.iter().filter_map(|guid| keys.get(guid));
        let edges: Vec<_> = targets.map(|target| (source, attribute.0, *target)).collect();
        insert_references(&mut tx, &edges).await?;
        Ok(tx.commit().await?)
    }

    /// What the naming context had when it was last read, and what of that this import lacks.
    ///
    /// # Errors
    /// When the state cannot be read or written.
    pub async fn losses(&mut self) -> Result<Losses, StateError> {
        self.write().await?;
        let rows = sqlx::query(
            "SELECT kind, count(*) AS there, count(*) FILTER (WHERE NOT EXISTS (
                 SELECT 1 FROM incoming WHERE incoming.key = identity.key)) AS lost
             FROM identity WHERE connector = ? AND part = ? AND state = 1
                 AND NOT EXISTS (SELECT 1 FROM departed WHERE departed.key = identity.key)
             GROUP BY kind",
        )
        .bind(self.of.forest.0)
        .bind(self.of.number)
        .fetch_all(&mut *self.state.database.read().await?)
        .await?;
        let mut losses = Losses::default();
        for row in &rows {
            let kind = match ObjectKind::of_code(row.try_get("kind")?)? {
                ObjectKind::User | ObjectKind::InetOrgPerson => TenantKind::User,
                ObjectKind::Contact => TenantKind::Contact,
                ObjectKind::Group => TenantKind::Group,
                ObjectKind::Computer => TenantKind::Device,
                ObjectKind::ForeignSecurityPrincipal
                | ObjectKind::OrganizationalUnit
                | ObjectKind::Container => continue,
            };
            let number = |name| Ok::<_, StateError>(row.try_get::<i64, _>(name)?.unsigned_abs());
            losses.add(kind, number("lost")? as usize, number("there")? as usize);
        }
        Ok(losses)
    }

    /// Ends the import: its objects count from now on, and the cursor that was taken before they were
    /// read. What differs is queued. From the first moment on, this is done to its end, by whoever opens
    /// the state next.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn finish(self, cursor: &[u8]) -> Result<Changed, StateError> {
        let (state, of) = (self.state.clone(), self.of);
        self.seal(cursor, None).await?;
        state.merge_what_is_whole(Some(of)).await
    }

    /// The same for one naming context of several: what was not read of it may be in another one by now, and
    /// departs at this time (Unix time) rather than being gone.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn finish_among_others(self, cursor: &[u8], now: i64) -> Result<Changed, StateError> {
        let (state, of) = (self.state.clone(), self.of);
        self.seal(cursor, Some(now)).await?;
        state.merge_what_is_whole(Some(of)).await
    }

    /// Says that the import is whole.
    pub(super) async fn seal(
        mut self,
        cursor: &[u8],
        departs: Option<i64>,
    ) -> Result<(), StateError> {
        self.write().await?;
        let mut tx = self.state.database.write().await?;
        sqlx::query(
            "INSERT INTO merging (connector, part, cursor, step, after, departs)
             VALUES (?, ?, ?, 0, 0, ?)",
        )
        .bind(self.of.forest.0)
        .bind(self.of.number)
        .bind(cursor)
        .bind(departs)
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }

    /// Writes all that was taken in.
    async fn write(&mut self) -> Result<(), StateError> {
        self.begin_writing().await?;
        self.written().await
    }

    /// Begins to write what waits, once what is being written is written.
    async fn begin_writing(&mut self) -> Result<(), StateError> {
        self.written().await?;
        self.octets = 0;
        let (of, objects) = (self.of, std::mem::take(&mut self.waiting));
        let mut tx = self.state.database.write().await?;
        self.writing.spawn(async move {
            insert(&mut tx, of, &objects).await?;
            Ok(tx.commit().await?)
        });
        Ok(())
    }

    /// Waits for what is being written.
    async fn written(&mut self) -> Result<(), StateError> {
        match self.writing.join_next().await {
            None => Ok(()),
            Some(Ok(outcome)) => outcome,
            Some(Err(error)) => Err(sqlx::Error::Io(error.into()).into()),
        }
    }
}

async fn insert(tx: &mut Tx, of: Partition, objects: &[ImportedObject]) -> Result<(), StateError> {
    let referred = objects.iter().flat_map(|object| &object.references).flat_map(|(_, to)| to);
    let above = objects.iter().filter_map(|object| object.parent);
    let guids = objects.iter().map(|object| object.guid).chain(above).chain(referred.copied());
    let keys = rows::keys_of(tx, of.forest, guids).await?;
    let key = |guid: &Guid| keys.get(guid).copied().unwrap_or_default();
    for chunk in objects.chunks(STATEMENT_OBJECTS) {
        let mut query = QueryBuilder::<Sqlite>::new("WITH v (key, kind, parent, dn, record) AS (");
        query.push_values(chunk, |mut values, object| {
            let (key, dn) = (key(&object.guid), object.dn.as_str());
            let of: [&[u8]; 2] = [&key.to_le_bytes(), dn.as_bytes()];
            values.push_bind(key).push_bind(object.kind.code());
            values.push_bind(object.parent.as_ref().map(|above| keys.get(above).copied()));
            values.push_bind(dn).push_bind(packed::seal_record(&of, &object.record));
        });
        // Of what is as it was, only that it is there. An object that moved while pages were read may
        // come twice.
        query.push(") INSERT INTO incoming (part, key, kind, parent, dn, record) SELECT ");
        query.push_bind(of.number);
        query.push(
            ", v.key, v.kind, v.parent, v.dn, iif(i.state = 1 AND i.kind = v.kind
                 AND i.parent IS v.parent AND s.dn = v.dn AND s.record = v.record AND i.part = ",
        );
        query.push_bind(of.number);
        query.push(
            " AND NOT EXISTS (SELECT 1 FROM departed d WHERE d.key = v.key), NULL, v.record)
             FROM v CROSS JOIN identity i ON i.key = v.key LEFT JOIN staged s ON s.key = v.key
             WHERE true ON CONFLICT (key) DO UPDATE SET kind = excluded.kind, part = excluded.part,
                 parent = excluded.parent, dn = excluded.dn, record = excluded.record",
        );
        query.build().execute(&mut **tx).await?;
    }
    let mut edges = Vec::new();
    for object in objects {
        for (attribute, to) in &object.references {
            let source = key(&object.guid);
            edges.extend(to.iter().map(|target| (source, attribute.0, key(target))));
        }
    }
    insert_references(tx, &edges).await
}

async fn insert_references(tx: &mut Tx, edges: &[(i64, u16, i64)]) -> Result<(), StateError> {
    for chunk in edges.chunks(STATEMENT_REFERENCES) {
        sqlx::query(
            "INSERT OR IGNORE INTO incoming_reference (source, attribute, target)
             SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?)",
        )
        .bind(triples(chunk))
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// References as JSON.
pub(super) fn triples(edges: &[(i64, u16, i64)]) -> String {
    use std::fmt::Write as _;
    let mut json = String::with_capacity(edges.len() * 20 + 2);
    json.push('[');
    for (at, (source, attribute, target)) in edges.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        // A string takes whatever is written.
        let _ = write!(json, "{comma}[{source},{attribute},{target}]");
    }
    json.push(']');
    json
}
