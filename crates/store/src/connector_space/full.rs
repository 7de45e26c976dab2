//! A full import: the whole forest, written beside what is there.

use portolan_model::Guid;
use portolan_sync::flow::TenantKind;
use portolan_sync::guard::Losses;
use portolan_sync::{ForestObject, ObjectKind};
use sqlx::{QueryBuilder, Row as _, Sqlite, Transaction};
use tokio::task::JoinSet;

use super::{ConnectorSpace, FOREST_CURSOR, SpaceError, document, put_cursor};

/// Objects of one statement, and values of each.
const STATEMENT_OBJECTS: usize = 64;
/// Objects of one transaction: the writer is free for others in between.
const TRANSACTION_OBJECTS: usize = 2_048;
/// Octets of one transaction, after which it ends.
const TRANSACTION_OCTETS: usize = 8 * 1024 * 1024;
/// Stale objects that one transaction erases.
const ERASED_OBJECTS: i64 = 5_000;

/// A full import under way. Its objects stand beside those that count until it is finished, and count
/// for nothing when it is dropped.
///
/// What fills a transaction is written while more is taken in, so that a directory does not wait for the
/// disk: two transactions' objects are in memory at most.
#[derive(Debug)]
pub struct FullImport {
    space: ConnectorSpace,
    number: i64,
    waiting: Vec<Row>,
    octets: usize,
    /// INVARIANT: at most one task, and it holds the writer from its first moment: an import that is
    /// dropped writes nothing after the next one has begun.
    writing: JoinSet<Result<(), SpaceError>>,
}

/// An object as it is written.
#[derive(Debug)]
struct Row {
    guid: [u8; 16],
    kind: &'static str,
    parent: Option<[u8; 16]>,
    dn: String,
    members: Vec<u8>,
    attributes: Vec<u8>,
}

impl Row {
    fn of(object: &ForestObject) -> Self {
        Self {
            guid: object.guid.to_bytes_le(),
            kind: object.kind.as_str(),
            parent: object.parent.map(Guid::to_bytes_le),
            dn: object.dn.as_str().to_owned(),
            members: document::guids_to_octets(&object.members),
            attributes: document::forest_attributes_to_octets(object.attributes()),
        }
    }

    fn octets(&self) -> usize {
        self.dn.len() + self.members.len() + self.attributes.len()
    }
}

impl ConnectorSpace {
    /// Begins a full import.
    ///
    /// # Errors
    /// When the space cannot be written.
    pub async fn begin_full_import(&self) -> Result<FullImport, SpaceError> {
        self.erase_stale().await?;
        let current: i64 = sqlx::query_scalar("SELECT value FROM state WHERE name = 'import'")
            .fetch_one(&mut *self.database.read().await?)
            .await?;
        let (space, number) = (self.clone(), current + 1);
        let (waiting, writing) = (Vec::new(), JoinSet::new());
        Ok(FullImport { space, number, waiting, octets: 0, writing })
    }

    /// Erases objects that do not count: of a replaced import, or of one that was broken off.
    async fn erase_stale(&self) -> Result<(), SpaceError> {
        loop {
            let mut transaction = self.database.write().await?;
            let erased = sqlx::query(
                "DELETE FROM object WHERE rid IN (SELECT rid FROM object
                     WHERE import <> (SELECT value FROM state WHERE name = 'import') LIMIT ?)",
            )
            .bind(ERASED_OBJECTS)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
            transaction.commit().await?;
            if erased == 0 {
                return Ok(());
            }
        }
    }
}

impl FullImport {
    /// Takes an object in.
    ///
    /// # Errors
    /// When the space cannot be written.
    pub async fn put(&mut self, object: &ForestObject) -> Result<(), SpaceError> {
        let row = Row::of(object);
        self.octets += row.octets();
        self.waiting.push(row);
        if self.waiting.len() >= TRANSACTION_OBJECTS || self.octets >= TRANSACTION_OCTETS {
            self.begin_writing().await?;
        }
        Ok(())
    }

    /// Adds members to a group that was put without all of them.
    ///
    /// # Errors
    /// When the space cannot be written.
    pub async fn add_members(&mut self, group: &Guid, members: &[Guid]) -> Result<(), SpaceError> {
        self.write().await?;
        let mut transaction = self.space.database.write().await?;
        let row = sqlx::query("SELECT rid, members FROM object WHERE import = ? AND guid = ?")
            .bind(self.number)
            .bind(&group.to_bytes_le()[..])
            .fetch_one(&mut *transaction)
            .await?;
        let mut all = document::guids_from_octets(row.try_get("members")?)?;
        all.extend(members);
        all.sort_unstable();
        all.dedup();
        sqlx::query("UPDATE object SET members = ? WHERE rid = ?")
            .bind(document::guids_to_octets(&all))
            .bind(row.try_get::<i64, _>("rid")?)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// Writes all that was taken in.
    async fn write(&mut self) -> Result<(), SpaceError> {
        self.begin_writing().await?;
        self.written().await
    }

    /// Begins to write what waits, once what is being written is written.
    async fn begin_writing(&mut self) -> Result<(), SpaceError> {
        self.written().await?;
        self.octets = 0;
        let (number, mut rows) = (self.number, std::mem::take(&mut self.waiting));
        let mut transaction = self.space.database.write().await?;
        self.writing.spawn(async move {
            while !rows.is_empty() {
                let rest = rows.split_off(rows.len().min(STATEMENT_OBJECTS));
                insert(&mut transaction, number, std::mem::replace(&mut rows, rest)).await?;
            }
            Ok(transaction.commit().await?)
        });
        Ok(())
    }

    /// Waits for what is being written.
    async fn written(&mut self) -> Result<(), SpaceError> {
        match self.writing.join_next().await {
            None => Ok(()),
            Some(Ok(outcome)) => outcome,
            Some(Err(error)) => Err(sqlx::Error::Io(error.into()).into()),
        }
    }

    /// What the forest had when it was last read, and what of that this import lacks.
    ///
    /// # Errors
    /// When the space cannot be read or written.
    pub async fn losses(&mut self) -> Result<Losses, SpaceError> {
        self.write().await?;
        let rows = sqlx::query(
            "SELECT kind, count(*) AS there, count(*) FILTER (WHERE NOT EXISTS (
                 SELECT 1 FROM object new WHERE new.import = ? AND new.guid = object.guid)) AS lost
             FROM object WHERE import = (SELECT value FROM state WHERE name = 'import')
             GROUP BY kind",
        )
        .bind(self.number)
        .fetch_all(&mut *self.space.database.read().await?)
        .await?;
        let mut losses = Losses::default();
        for row in rows {
            let kind = match ObjectKind::from_name(row.try_get("kind")?) {
                Some(ObjectKind::User | ObjectKind::InetOrgPerson) => TenantKind::User,
                Some(ObjectKind::Contact) => TenantKind::Contact,
                Some(ObjectKind::Group) => TenantKind::Group,
                Some(ObjectKind::Computer) => TenantKind::Device,
                Some(
                    ObjectKind::OrganizationalUnit
                    | ObjectKind::Container
                    | ObjectKind::ForeignSecurityPrincipal,
                ) => continue,
                None => return Err(SpaceError::corrupt("kind")),
            };
            let number = |name| Ok::<_, SpaceError>(row.try_get::<i64, _>(name)?.unsigned_abs());
            losses.add(kind, number("lost")? as usize, number("there")? as usize);
        }
        Ok(losses)
    }

    /// Ends the import: from now on its objects count, and the cursor that was taken before they were
    /// read. Gives the number of objects.
    ///
    /// # Errors
    /// When the space cannot be written; what was there counts as before then.
    pub async fn finish(mut self, cursor: &[u8]) -> Result<u64, SpaceError> {
        self.write().await?;
        let mut transaction = self.space.database.write().await?;
        sqlx::query("UPDATE state SET value = ? WHERE name = 'import'")
            .bind(self.number)
            .execute(&mut *transaction)
            .await?;
        advance_generation(&mut transaction).await?;
        put_cursor(&mut transaction, FOREST_CURSOR, cursor).await?;
        let present: i64 = sqlx::query_scalar("SELECT count(*) FROM object WHERE import = ?")
            .bind(self.number)
            .fetch_one(&mut *transaction)
            .await?;
        transaction.commit().await?;
        self.space.erase_stale().await?;
        Ok(present.unsigned_abs())
    }
}

/// Says that objects changed.
pub(super) async fn advance_generation(
    transaction: &mut Transaction<'static, Sqlite>,
) -> Result<(), SpaceError> {
    sqlx::query("UPDATE state SET value = value + 1 WHERE name = 'generation'")
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

async fn insert(
    transaction: &mut Transaction<'static, Sqlite>,
    import: i64,
    rows: Vec<Row>,
) -> Result<(), SpaceError> {
    let mut query = QueryBuilder::new(
        "INSERT INTO object (import, guid, kind, parent, dn, members, attributes) ",
    );
    query.push_values(rows, |mut values, row| {
        values.push_bind(import).push_bind(row.guid.to_vec()).push_bind(row.kind);
        values.push_bind(row.parent.map(|guid| guid.to_vec())).push_bind(row.dn);
        values.push_bind(row.members).push_bind(row.attributes);
    });
    // An object that moved while pages were read may come twice.
    query.push(
        " ON CONFLICT (import, guid) DO UPDATE SET kind = excluded.kind, parent = excluded.parent,
             dn = excluded.dn, members = excluded.members, attributes = excluded.attributes",
    );
    query.build().execute(&mut **transaction).await?;
    Ok(())
}

/// Writes one object of the import that counts.
pub(super) async fn put(
    transaction: &mut Transaction<'static, Sqlite>,
    import: i64,
    object: &ForestObject,
) -> Result<(), SpaceError> {
    insert(transaction, import, vec![Row::of(object)]).await
}
