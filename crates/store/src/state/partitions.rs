//! The naming contexts of a forest: its domains, each read for itself.
//!
//! An object has one key in its forest, whichever domain it is in, so that references lead from one domain
//! to another and an object that moves keeps its link. What a naming context has no more may have moved to
//! another one: it departs, and stays staged until the others were asked for it.

use portolan_model::Guid;
use portolan_sync::engine::ConnectorId;
use sqlx::Row as _;

use super::merge::{Leaving, take_out};
use super::names::{FOREST_CURSOR, REPLICATION_CURSOR, forget};
use super::rows::{self, Tx};
use super::{State, StateError};

/// Objects that one transaction takes out.
const OBJECTS_AT_ONCE: i64 = if cfg!(test) { 2 } else { 5_000 };
/// Naming contexts of a forest.
const PARTITIONS_MAX: u16 = 1_000;

/// A naming context of a forest. A forest alone stands for that of the domain that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition {
    /// The forest.
    pub forest: ConnectorId,
    /// Its number in the forest; 0 for the domain that names the forest.
    pub number: u16,
}

impl From<ConnectorId> for Partition {
    fn from(forest: ConnectorId) -> Self {
        Self { forest, number: 0 }
    }
}

impl Partition {
    /// By what name its cursor of a sort is remembered: that of the first one as before there were others.
    pub(super) fn cursor(self, sort: &str) -> String {
        match self.number {
            0 => sort.to_owned(),
            number => format!("{sort}:{number}"),
        }
    }
}

impl State {
    /// The naming context of a domain of a forest, other than the one that names the forest; a number is
    /// given to one that is new.
    ///
    /// # Errors
    /// When the state cannot be written, or has too many of them.
    pub async fn partition(
        &self,
        forest: ConnectorId,
        domain: &str,
    ) -> Result<Partition, StateError> {
        let domain = domain.to_ascii_lowercase();
        if let Some((known, _)) =
            self.partitions(forest).await?.into_iter().find(|(_, name)| *name == domain)
        {
            return Ok(known);
        }
        let mut tx = self.database.write().await?;
        sqlx::query(
            "INSERT OR IGNORE INTO partition (connector, number, name) SELECT ?1,
                 (SELECT coalesce(max(number), 0) + 1 FROM partition WHERE connector = ?1), ?2",
        )
        .bind(forest.0)
        .bind(&domain)
        .execute(&mut *tx)
        .await?;
        let number: i64 =
            sqlx::query_scalar("SELECT number FROM partition WHERE connector = ? AND name = ?")
                .bind(forest.0)
                .bind(&domain)
                .fetch_one(&mut *tx)
                .await?;
        let number = number_of(number)?;
        if number >= PARTITIONS_MAX {
            return Err(StateError::corrupt("the number of a domain"));
        }
        tx.commit().await?;
        Ok(Partition { forest, number })
    }

    /// The naming contexts that a forest ever had beside the one of the domain that names it, with their
    /// domains in lower case.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn partitions(
        &self,
        forest: ConnectorId,
    ) -> Result<Vec<(Partition, String)>, StateError> {
        let rows = sqlx::query(
            "SELECT number, name FROM partition WHERE connector = ? ORDER BY number LIMIT ?",
        )
        .bind(forest.0)
        .bind(PARTITIONS_MAX)
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.iter()
            .map(|row| {
                let number = number_of(row.try_get("number")?)?;
                Ok((Partition { forest, number }, row.try_get("name")?))
            })
            .collect()
    }

    /// How many objects of a naming context are staged.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn partition_count(&self, of: Partition) -> Result<u64, StateError> {
        let count: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM identity WHERE connector = ? AND part = ? AND state = 1",
        )
        .bind(of.forest.0)
        .bind(of.number)
        .fetch_one(&mut *self.database.read().await?)
        .await?;
        Ok(count.unsigned_abs())
    }

    /// Lets a naming context be read no more: its objects leave, its cursors are forgotten. Others go on
    /// referring to what left: no directory says so again when it comes back.
    ///
    /// # Errors
    /// When the state cannot be written. Called again, it goes on.
    pub async fn leave_partition(&self, of: Partition) -> Result<u64, StateError> {
        self.merge_what_is_whole(Some(of)).await?;
        let mut tx = self.database.write().await?;
        for sort in [FOREST_CURSOR, REPLICATION_CURSOR] {
            forget(&mut tx, of.forest, &of.cursor(sort)).await?;
        }
        tx.commit().await?;
        let mut left = 0;
        loop {
            let mut tx = self.database.write().await?;
            let keys: Vec<i64> = sqlx::query_scalar(
                "SELECT key FROM identity WHERE connector = ? AND part = ? AND state = 1 LIMIT ?",
            )
            .bind(of.forest.0)
            .bind(of.number)
            .bind(OBJECTS_AT_ONCE)
            .fetch_all(&mut *tx)
            .await?;
            if keys.is_empty() {
                return Ok(left);
            }
            left += take_out(&mut tx, &keys, Leaving::OutOfSight).await?;
            tx.commit().await?;
        }
    }

    /// Objects of a forest that departed from their naming context, and were not found in another one yet.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn departed(&self, forest: ConnectorId, limit: u32) -> Result<Vec<Guid>, StateError> {
        let rows = sqlx::query(
            "SELECT i.guid FROM departed d CROSS JOIN identity i ON i.key = d.key
             WHERE i.connector = ? ORDER BY d.key LIMIT ?",
        )
        .bind(forest.0)
        .bind(limit)
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.iter().map(|row| rows::guid(row.try_get("guid")?)).collect()
    }

    /// Takes out the objects of a forest that departed and are in no naming context of it: those of which
    /// no directory said that they moved, and those of which one did before a time (Unix time).
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn remove_departed(
        &self,
        forest: ConnectorId,
        moved_before: i64,
    ) -> Result<u64, StateError> {
        let mut removed = 0;
        loop {
            let mut tx = self.database.write().await?;
            let keys: Vec<i64> = sqlx::query_scalar(
                "SELECT d.key FROM departed d CROSS JOIN identity i ON i.key = d.key
                 WHERE i.connector = ? AND (d.moved = 0 OR d.since < ?) LIMIT ?",
            )
            .bind(forest.0)
            .bind(moved_before)
            .bind(OBJECTS_AT_ONCE)
            .fetch_all(&mut *tx)
            .await?;
            if keys.is_empty() {
                return Ok(removed);
            }
            removed += take_out(&mut tx, &keys, Leaving::Deleted).await?;
            tx.commit().await?;
        }
    }
}

/// Keeps that objects are not in their naming context any more. Of one that departed before, since when it
/// did stays.
pub(super) async fn depart(
    tx: &mut Tx,
    keys: &str,
    since: i64,
    moved: bool,
) -> Result<(), StateError> {
    sqlx::query(
        "INSERT INTO departed (key, since, moved) SELECT value, ?2, ?3 FROM json_each(?1)
         WHERE true ON CONFLICT (key) DO UPDATE SET moved = max(moved, excluded.moved)",
    )
    .bind(keys)
    .bind(since)
    .bind(moved)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The number of a naming context, as it is kept.
pub(super) fn number_of(number: i64) -> Result<u16, StateError> {
    u16::try_from(number).map_err(|_| StateError::corrupt("the number of a domain"))
}

#[cfg(test)]
mod tests {
    use portolan_sync::ObjectKind;

    use super::super::tests::{
        FOREST, TARGET, export, guid, import, now, object, state, synchronise,
    };
    use super::super::{Changed, ImportedObject, TargetKey};
    use super::*;
    use crate::sqlite::Database;

    const USER: ObjectKind = ObjectKind::User;
    const GROUP: ObjectKind = ObjectKind::Group;
    const NOW: i64 = 1_700_000_000;

    /// The naming context of a child domain.
    async fn child(state: &State) -> Partition {
        state.partition(FOREST, "Child.Corp.Example").await.unwrap()
    }

    /// A full read of one naming context of several.
    async fn read(state: &State, of: Partition, objects: &[ImportedObject]) -> Changed {
        let mut import = state.begin_full_import(of).await.unwrap();
        for object in objects {
            import.put(object.clone()).await.unwrap();
        }
        import.finish_among_others(b"cursor", NOW).await.unwrap()
    }

    /// A root domain with a group of a user of its own and one of the child domain, all in the target.
    async fn both(directory: &std::path::Path) -> (State, Partition) {
        let state = state(directory).await;
        let child = child(&state).await;
        let root = [object(0x11, GROUP, "staff", &[0x21, 0x22]), object(0x21, USER, "Zoë", &[])];
        import(&state, &root).await;
        read(&state, child, &[object(0x22, USER, "Bob", &[])]).await;
        synchronise(&state).await;
        let mut sent = export(&state).await;
        sent.sort();
        assert_eq!(sent, ["11 +21", "11 +22", "add group 11", "add user 21", "add user 22"]);
        (state, child)
    }

    async fn is_quiet(state: &State) {
        synchronise(state).await;
        assert_eq!(export(state).await, Vec::<String>::new());
        state.check().await.unwrap();
    }

    #[tokio::test]
    async fn a_member_of_a_domain_that_is_read_later_is_one_from_then_on() {
        let directory = tempfile::tempdir().unwrap();
        let state = state(directory.path()).await;
        let child = child(&state).await;
        import(&state, &[object(0x11, GROUP, "staff", &[0x22])]).await;
        synchronise(&state).await;
        assert_eq!(export(&state).await, ["add group 11"]);
        read(&state, child, &[object(0x22, USER, "Bob", &[])]).await;
        synchronise(&state).await;
        assert_eq!(export(&state).await, ["add user 22", "11 +22"]);
    }

    #[tokio::test]
    async fn each_naming_context_has_a_number_a_cursor_and_objects_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let (state, child) = both(directory.path()).await;
        assert_eq!(child, state.partition(FOREST, "child.corp.example").await.unwrap());
        assert_eq!(child.number, 1);
        assert_eq!(state.partition(FOREST, "b.corp.example").await.unwrap().number, 2);
        let counts =
            [state.partition_count(FOREST.into()).await, state.partition_count(child).await];
        assert_eq!(counts.map(Result::unwrap), [2, 1]);
        let mut changes = state.begin_changes(child).await.unwrap();
        changes.put(&object(0x23, USER, "Eve", &[]), true).await.unwrap();
        changes.finish(b"next").await.unwrap();
        let cursors = [state.forest_cursor(FOREST).await, state.forest_cursor(child).await];
        assert_eq!(cursors.map(|cursor| cursor.unwrap().unwrap()), [&b"cursor"[..], b"next"]);
        // Both read whole again: neither takes the other's for gone.
        let root = [object(0x11, GROUP, "staff", &[0x21, 0x22]), object(0x21, USER, "Zoë", &[])];
        let mut whole = state.begin_full_import(FOREST).await.unwrap();
        for object in root {
            whole.put(object).await.unwrap();
        }
        assert_eq!(whole.losses().await.unwrap().lost(), 0);
        whole.finish(b"root").await.unwrap();
        assert_eq!(state.partition_count(child).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn an_object_that_moves_to_another_domain_keeps_its_link_whichever_is_read_first() {
        let moved = || ImportedObject {
            dn: "CN=o34,OU=new,DC=x".parse().unwrap(),
            ..object(0x22, USER, "Bob", &[])
        };
        for to_is_first in [true, false] {
            let directory = tempfile::tempdir().unwrap();
            let (state, child) = both(directory.path()).await;
            for is_to in [to_is_first, !to_is_first] {
                let of = if is_to { FOREST.into() } else { child };
                let mut changes = state.begin_changes(of).await.unwrap();
                if is_to {
                    changes.put(&moved(), true).await.unwrap();
                } else {
                    changes.depart(&guid(0x22), NOW).await.unwrap();
                    // A tombstone of what it was there says nothing of what it is elsewhere.
                    if to_is_first {
                        changes.remove(&guid(0x22)).await.unwrap();
                    }
                }
                changes.finish(b"next").await.unwrap();
                is_quiet(&state).await;
            }
            assert_eq!(state.departed(FOREST, 9).await.unwrap(), []);
            assert_eq!(state.partition_count(child).await.unwrap(), 0);
        }
    }

    #[tokio::test]
    async fn what_one_domain_lacks_stays_until_the_others_were_asked_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let (state, child) = both(directory.path()).await;
        assert_eq!(read(&state, child, &[]).await, Changed::default());
        assert_eq!(state.departed(FOREST, 9).await.unwrap(), [guid(0x22)]);
        is_quiet(&state).await;
        // It is back as it was: nothing has happened.
        read(&state, child, &[object(0x22, USER, "Bob", &[])]).await;
        assert_eq!(state.departed(FOREST, 9).await.unwrap(), []);
        read(&state, child, &[]).await;
        let mut again = state.begin_full_import(child).await.unwrap();
        assert_eq!(again.losses().await.unwrap().lost(), 0, "it was counted when it departed");
        again.finish_among_others(b"cursor", NOW + 1).await.unwrap();
        assert_eq!(state.remove_departed(FOREST, 0).await.unwrap(), 1);
        synchronise(&state).await;
        assert_eq!(export(&state).await, ["delete user 22"]);
        state.check().await.unwrap();
    }

    #[tokio::test]
    async fn what_is_said_to_have_moved_stays_for_longer_than_what_is_only_missed() {
        let directory = tempfile::tempdir().unwrap();
        let (state, child) = both(directory.path()).await;
        let mut changes = state.begin_changes(child).await.unwrap();
        changes.depart(&guid(0x22), NOW).await.unwrap();
        changes.finish(b"next").await.unwrap();
        assert_eq!(state.remove_departed(FOREST, NOW).await.unwrap(), 0);
        is_quiet(&state).await;
        assert_eq!(state.remove_departed(FOREST, NOW + 1).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_domain_that_is_read_no_more_leaves_and_is_as_before_when_it_comes_back() {
        let directory = tempfile::tempdir().unwrap();
        let (state, child) = both(directory.path()).await;
        assert_eq!(state.leave_partition(child).await.unwrap(), 1);
        assert_eq!(state.forest_cursor(child).await.unwrap(), None);
        synchronise(&state).await;
        assert_eq!(export(&state).await, ["delete user 22"]);
        read(&state, child, &[object(0x22, USER, "Bob", &[])]).await;
        synchronise(&state).await;
        assert_eq!(export(&state).await, ["add user 22", "11 +22"], "its group still names it");
        state.check().await.unwrap();
    }

    #[tokio::test]
    async fn passwords_are_owed_of_the_domain_that_a_user_is_in() {
        let directory = tempfile::tempdir().unwrap();
        let (state, child) = both(directory.path()).await;
        let owed = async |of: Partition| {
            let owed = state.owed(of, TARGET, TargetKey::default(), 9).await.unwrap();
            owed.into_iter().map(|(_, guid)| guid).collect::<Vec<_>>()
        };
        let before = (owed(FOREST.into()).await, owed(child).await);
        assert_eq!(before, (vec![guid(0x21)], vec![guid(0x22)]));
        let passed_by = [guid(0x22)].into();
        state.commit_replication_cursor(child, TARGET, b"far", &passed_by).await.unwrap();
        assert_eq!(state.replication_cursor(FOREST).await.unwrap(), None);
        assert_eq!(state.replication_cursor(child).await.unwrap().as_deref(), Some(&b"far"[..]));
        state.begin_anew(TARGET, &[], b"", now(&state).await).await.unwrap();
        assert_eq!(state.replication_cursor(child).await.unwrap(), None);
    }

    /// A state of the release before there were naming contexts: an object, a cursor, and a full import that is
    /// whole and of which nothing was merged yet.
    async fn written_before(path: &std::path::Path) {
        let all = sqlx::migrate!("migrations/connector_space");
        let before = all.iter().filter(|step| step.version < 10).cloned().collect();
        let before = sqlx::migrate::Migrator::with_migrations(before);
        let database = Database::open(path, &before, true).await.unwrap();
        let bob = object(0x22, USER, "Bob", &[]);
        let of: [&[u8]; 2] = [&2_i64.to_le_bytes(), bob.dn.as_str().as_bytes()];
        let record = super::super::packed::seal_record(&of, &bob.record);
        let mut tx = database.write().await.unwrap();
        for statement in [
            "INSERT INTO connector (id, name, kind) VALUES (7, 'corp.example', 0)",
            "INSERT INTO identity (key, connector, guid, state, kind) VALUES (1, 7, ?2, 1, 0)",
            "INSERT INTO identity (key, connector, guid, state) VALUES (2, 7, ?3, 0)",
            "INSERT INTO staged (key, dn, record) VALUES (1, 'CN=Zoe,DC=x', ?1)",
            "INSERT INTO incoming (key, kind, parent, dn, record) VALUES (2, 0, NULL, ?4, ?1)",
            "INSERT INTO incoming (key) VALUES (1)",
            "INSERT INTO remembered (connector, name, value) VALUES (7, 'forest', x'61')",
            "INSERT INTO remembered (connector, name, value) VALUES (7, 'drs', x'62')",
            "INSERT INTO merging (connector, cursor, step, after) VALUES (7, x'63', 0, 0)",
        ] {
            let guids = [guid(0x21), guid(0x22)].map(Guid::to_bytes_le);
            let query = sqlx::query(statement).bind(&record).bind(&guids[0][..]);
            let query = query.bind(&guids[1][..]).bind(bob.dn.as_str());
            query.execute(&mut *tx).await.unwrap();
        }
        tx.commit().await.unwrap();
        database.close().await;
    }

    #[tokio::test]
    async fn a_state_of_one_cursor_a_forest_goes_on_where_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("connector-space.db");
        written_before(&path).await;
        let state = State::open(&path).await.unwrap();
        let forest = ConnectorId(7);
        // The import that was whole is merged to its end, with its cursor.
        assert_eq!(state.forest_cursor(forest).await.unwrap().as_deref(), Some(&b"c"[..]));
        assert_eq!(state.replication_cursor(forest).await.unwrap().as_deref(), Some(&b"b"[..]));
        assert_eq!(state.partition_count(forest.into()).await.unwrap(), 2);
        assert_eq!(state.partitions(forest).await.unwrap(), []);
        let child = state.partition(forest, "child.corp.example").await.unwrap();
        assert_eq!(state.forest_cursor(child).await.unwrap(), None);
        let mut changes = state.begin_changes(forest).await.unwrap();
        assert_eq!(changes.get(&guid(0x22)).await.unwrap().unwrap().dn.as_str(), "CN=o34,DC=x");
        changes.remove(&guid(0x21)).await.unwrap();
        changes.finish(b"d").await.unwrap();
        assert_eq!(state.partition_count(forest.into()).await.unwrap(), 1);
    }
}
