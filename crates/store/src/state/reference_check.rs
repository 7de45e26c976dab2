//! All references of all targets held against those of the forests, by as many readers as there are
//! cores. It only reads: what differs is marked, and worked out as what changes is.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::task::JoinSet;

use super::rows::numbers;
use super::{State, StateError};

/// Keys of targets' objects that are looked at at once.
const KEYS_AT_ONCE: i64 = 2_048;
/// Objects that are marked in one statement.
const MARKED_AT_ONCE: usize = 1_000;

impl State {
    /// Holds every reference of every target against what it follows from. Gives how many objects of
    /// targets have others than they should: they are marked, and [`State::resolve_references`] looks at
    /// their references again.
    ///
    /// # Errors
    /// When the state cannot be read or written.
    pub async fn check_all_references(&self) -> Result<u64, StateError> {
        let (first, last): (Option<i64>, Option<i64>) = sqlx::query_as(
            "SELECT (SELECT min(key) FROM target_object), (SELECT max(key) FROM target_object)",
        )
        .fetch_one(&mut *self.database.read().await?)
        .await?;
        let (Some(first), Some(last)) = (first, last) else { return Ok(0) };
        let next = Arc::new(AtomicI64::new(first));
        let mut readers = JoinSet::new();
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            readers.spawn(differing(self.clone(), Arc::clone(&next), last));
        }
        let mut all = Vec::new();
        while let Some(found) = readers.join_next().await {
            all.extend(found.map_err(|error| sqlx::Error::Io(error.into()))??);
        }
        all.sort_unstable();
        all.dedup();
        for keys in all.chunks(MARKED_AT_ONCE) {
            let keys = numbers(keys.iter().copied());
            let mut tx = self.database.write().await?;
            for statement in MARK {
                sqlx::query(statement).bind(&keys).execute(&mut *tx).await?;
            }
            tx.commit().await?;
        }
        Ok(all.len() as u64)
    }
}

/// One reader's objects that have other references than they should.
async fn differing(state: State, next: Arc<AtomicI64>, last: i64) -> Result<Vec<i64>, StateError> {
    let mut found = Vec::new();
    loop {
        let from = next.fetch_add(KEYS_AT_ONCE, Ordering::Relaxed);
        if from > last {
            return Ok(found);
        }
        let mut tx = state.database.read().await?;
        for statement in DIFFERING {
            let query = sqlx::query_scalar(statement).bind(from).bind(from + KEYS_AT_ONCE - 1);
            let keys: Vec<i64> = query.fetch_all(&mut *tx).await?;
            found.extend(keys);
        }
    }
}

/// Objects that lack a reference that they should have, or have as many others as not all of theirs can
/// be right; those that have references which nothing feeds; those of which some are under way.
const DIFFERING: [&str; 3] = [
    "SELECT f.target FROM feed f
         CROSS JOIN target_object g ON g.key = f.target
         LEFT JOIN reference r ON r.source = f.object AND r.attribute = f.source
         LEFT JOIN link lt ON lt.key = r.target
         LEFT JOIN target_object u ON u.metaverse = lt.metaverse AND u.connector = g.connector
         LEFT JOIN target_reference x
             ON x.source = f.target AND x.attribute = f.attribute AND x.target = u.key
     WHERE f.target BETWEEN ?1 AND ?2 GROUP BY f.target, f.attribute
     HAVING count(u.key) <> count(x.target) OR count(DISTINCT x.target) <> (SELECT count(*)
         FROM target_reference y WHERE y.source = f.target AND y.attribute = f.attribute)",
    "SELECT DISTINCT x.source FROM target_reference x WHERE x.source BETWEEN ?1 AND ?2
         AND NOT EXISTS (SELECT 1 FROM feed f
             WHERE f.target = x.source AND f.attribute = x.attribute)",
    "SELECT DISTINCT source FROM pending_reference WHERE source BETWEEN ?1 AND ?2",
];

const MARK: [&str; 2] = [
    "INSERT INTO dirty_reference (kind, object) SELECT 3, value FROM json_each(?)
     WHERE true ON CONFLICT DO UPDATE SET after_1 = -1, after_2 = -1, after_3 = -1, after_4 = -1",
    "INSERT INTO dirty_reference (kind, object) SELECT 4, value FROM json_each(?)
     WHERE true ON CONFLICT DO UPDATE SET after_1 = -1, after_2 = -1, after_3 = -1, after_4 = -1",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use portolan_model::SourceAnchor;
    use portolan_sync::ObjectKind;

    use super::super::tests::{export, guid, import, object, state, synchronise};
    use super::*;

    async fn resolved(state: &State) -> u64 {
        let mut differing = 0;
        loop {
            let resolved = state.resolve_references(2).await.unwrap();
            differing += resolved.differing;
            if resolved.is_done {
                return differing;
            }
        }
    }

    /// The keys of the target's objects by their anchors.
    async fn keys(state: &State) -> BTreeMap<String, i64> {
        let mut tx = state.database.read().await.unwrap();
        let rows = sqlx::query_as("SELECT anchor, key FROM target_object").fetch_all(&mut *tx);
        rows.await.unwrap().into_iter().collect()
    }

    #[tokio::test]
    async fn references_that_are_not_as_they_should_be_are_found_and_no_others() {
        let directory = tempfile::tempdir().unwrap();
        let state = state(directory.path()).await;
        let mut objects: Vec<_> =
            (1..=5).map(|n| object(n, ObjectKind::User, &format!("u{n}"), &[])).collect();
        objects.push(object(6, ObjectKind::Group, "six", &[1, 2, 3]));
        objects.push(object(7, ObjectKind::Group, "seven", &[4, 6]));
        objects.push(object(8, ObjectKind::Group, "eight", &[]));
        import(&state, &objects).await;
        synchronise(&state).await;
        export(&state).await;
        assert_eq!(state.check_all_references().await.unwrap(), 0);
        assert_eq!(resolved(&state).await, 0);

        let keys = keys(&state).await;
        let key = |number: u8| keys[&SourceAnchor::from(guid(number)).to_string()];
        let (six, seven, eight) = (key(6), key(7), key(8));
        // As if a target had said so: one lost; another in its place; one that nothing gives.
        for (statement, expected) in [
            (
                format!(
                    "DELETE FROM target_reference WHERE (source, target) = ({six}, {})",
                    key(2)
                ),
                1,
            ),
            (
                format!(
                    "UPDATE target_reference SET target = {} WHERE (source, target) = ({seven}, {})",
                    key(1),
                    key(4)
                ),
                2,
            ),
            (format!("INSERT INTO target_reference VALUES ({eight}, 4, {})", key(5)), 1),
            (format!("INSERT INTO target_reference VALUES ({}, 4, {eight})", key(5)), 1),
        ] {
            let mut tx = state.database.write().await.unwrap();
            sqlx::query(sqlx::AssertSqlSafe(statement.clone())).execute(&mut *tx).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(state.check_all_references().await.unwrap(), 1, "{statement}");
            assert_eq!(resolved(&state).await, expected, "{statement}");
            export(&state).await;
            assert_eq!(state.check_all_references().await.unwrap(), 0, "{statement}");
        }
    }
}
