//! All references of all targets held against those of the forests, by several readers. It only reads: what
//! differs is marked, and worked out as what changes is.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinSet;

use super::rows::{Tx, numbers};
use super::{State, StateError};
use crate::sqlite::readers_at_once;

/// How the work is divided.
const PIECES: Pieces = Pieces { keys: 2_048, large: 8_192, slice: 16_384 };
/// Objects that are marked in one statement.
const MARKED_AT_ONCE: usize = 1_000;

/// How the work is divided among readers: into pieces of about one size, so that none waits long for
/// another's.
#[derive(Debug, Clone, Copy)]
struct Pieces {
    /// Keys of targets' objects that are looked at at once.
    keys: usize,
    /// Of an object that has more references than these of another, they are looked at in slices.
    large: i64,
    /// Keys of referenced objects in a slice.
    slice: usize,
}

/// A piece of the work.
#[derive(Debug, Clone)]
enum Piece {
    /// Targets' objects between these keys, but the references of large ones.
    Objects(RangeInclusive<i64>),
    /// Of an object of a target, those references of forests that feed an attribute, to objects
    /// between these keys.
    Wished(Feed, RangeInclusive<i64>),
    /// Of an object of a target, those references of an attribute that it has, to objects of the target
    /// between these keys.
    Had { target: i64, attribute: i64, to: RangeInclusive<i64> },
}

/// Which references of a forest's object an attribute of a target's object has.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
struct Feed {
    target: i64,
    attribute: i64,
    object: i64,
    source: i64,
}

/// What a piece showed.
#[derive(Debug, Default)]
struct Shown {
    /// Objects that have other references than they should.
    differing: Vec<i64>,
    /// Further work: the slices of large objects.
    slices: Vec<Piece>,
}

impl State {
    /// Holds every reference of every target against what it follows from. Gives how many objects of
    /// targets have others than they should: they are marked, and [`State::resolve_references`] looks at
    /// their references again.
    ///
    /// # Errors
    /// When the state cannot be read or written.
    pub async fn check_all_references(&self) -> Result<u64, StateError> {
        self.check_references(PIECES).await
    }

    async fn check_references(&self, pieces: Pieces) -> Result<u64, StateError> {
        let (first, last): (Option<i64>, Option<i64>) = sqlx::query_as(
            "SELECT (SELECT min(key) FROM target_object), (SELECT max(key) FROM target_object)",
        )
        .fetch_one(&mut *self.database.read().await?)
        .await?;
        let (Some(first), Some(last)) = (first, last) else { return Ok(0) };
        let objects = cut(first, last, pieces.keys).map(Piece::Objects).collect();
        let Shown { mut differing, slices } = self.look_at(objects, pieces).await?;
        // The readers are through with all others by now: none is left alone with the largest.
        differing.extend(self.look_at(slices, pieces).await?.differing);
        differing.sort_unstable();
        differing.dedup();
        for keys in differing.chunks(MARKED_AT_ONCE) {
            let keys = numbers(keys.iter().copied());
            let mut tx = self.database.write().await?;
            for statement in MARK {
                sqlx::query(statement).bind(&keys).execute(&mut *tx).await?;
            }
            tx.commit().await?;
        }
        Ok(differing.len() as u64)
    }

    /// What all of these show, by all readers.
    async fn look_at(&self, work: Vec<Piece>, pieces: Pieces) -> Result<Shown, StateError> {
        let (work, next) = (Arc::new(work), Arc::new(AtomicUsize::new(0)));
        let mut readers = JoinSet::new();
        for _ in 0..readers_at_once() {
            readers.spawn(read(self.clone(), Arc::clone(&work), Arc::clone(&next), pieces));
        }
        let mut all = Shown::default();
        while let Some(shown) = readers.join_next().await {
            let shown = shown.map_err(|error| sqlx::Error::Io(error.into()))??;
            all.differing.extend(shown.differing);
            all.slices.extend(shown.slices);
        }
        Ok(all)
    }
}

/// Keys in ranges of one length.
fn cut(first: i64, last: i64, length: usize) -> impl Iterator<Item = RangeInclusive<i64>> {
    let starts = (first..=last).step_by(length);
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    starts.map(move |from| from..=last.min(from.saturating_add(length - 1)))
}

/// What one reader is shown.
async fn read(
    state: State,
    work: Arc<Vec<Piece>>,
    next: Arc<AtomicUsize>,
    pieces: Pieces,
) -> Result<Shown, StateError> {
    let mut shown = Shown::default();
    while let Some(piece) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
        let mut tx = state.database.read().await?;
        match piece {
            Piece::Objects(keys) => objects_between(&mut tx, keys, pieces, &mut shown).await?,
            Piece::Wished(feed, to) => {
                let lacks: bool = sqlx::query_scalar(LACKS)
                    .bind(feed.target)
                    .bind(feed.attribute)
                    .bind(feed.object)
                    .bind(feed.source)
                    .bind(to.start())
                    .bind(to.end())
                    .fetch_one(&mut *tx)
                    .await?;
                shown.differing.extend(lacks.then_some(feed.target));
            }
            Piece::Had { target, attribute, to } => {
                let has: bool = sqlx::query_scalar(HAS_OTHERS)
                    .bind(target)
                    .bind(attribute)
                    .bind(to.start())
                    .bind(to.end())
                    .fetch_one(&mut *tx)
                    .await?;
                shown.differing.extend(has.then_some(*target));
            }
        }
    }
    Ok(shown)
}

/// What objects of targets show, and the slices of those that are large.
async fn objects_between(
    tx: &mut Tx,
    keys: &RangeInclusive<i64>,
    pieces: Pieces,
    shown: &mut Shown,
) -> Result<(), StateError> {
    let (from, to) = (keys.start(), keys.end());
    let large: Vec<Feed> =
        sqlx::query_as(LARGE).bind(from).bind(to).bind(pieces.large).fetch_all(&mut **tx).await?;
    let apart = numbers(large.iter().map(|feed| feed.target));
    let differing: Vec<i64> =
        sqlx::query_scalar(DIFFERING).bind(from).bind(to).bind(&apart).fetch_all(&mut **tx).await?;
    shown.differing.extend(differing);
    for statement in WRONG {
        let query = sqlx::query_scalar(statement).bind(from).bind(to);
        let wrong: Vec<i64> = query.fetch_all(&mut **tx).await?;
        shown.differing.extend(wrong);
    }
    let mut held = BTreeSet::new();
    for feed in large {
        let query = sqlx::query_as(WISHED_ENDS).bind(feed.object).bind(feed.source);
        let ends = query.fetch_one(&mut **tx).await?;
        let slices = cut_between(ends, pieces.slice);
        shown.slices.extend(slices.map(|to| Piece::Wished(feed, to)));
        let Feed { target, attribute, .. } = feed;
        // However many feed it, what an attribute has is held against all of them at once.
        if !held.insert((target, attribute)) {
            continue;
        }
        let query = sqlx::query_as(HAD_ENDS).bind(target).bind(attribute);
        let ends = query.fetch_one(&mut **tx).await?;
        let slices = cut_between(ends, pieces.slice);
        shown.slices.extend(slices.map(|to| Piece::Had { target, attribute, to }));
    }
    Ok(())
}

fn cut_between(
    (first, last): (Option<i64>, Option<i64>),
    length: usize,
) -> impl Iterator<Item = RangeInclusive<i64>> {
    first.zip(last).into_iter().flat_map(move |(first, last)| cut(first, last, length))
}

/// The feeds of objects one of whose feeds has many references.
const LARGE: &str = "WITH large AS MATERIALIZED (SELECT DISTINCT l.target FROM feed l
         WHERE l.target BETWEEN ?1 AND ?2 AND EXISTS (SELECT 1 FROM reference r
             WHERE r.source = l.object AND r.attribute = l.source LIMIT 1 OFFSET ?3))
     SELECT f.target, f.attribute, f.object, f.source FROM large
         CROSS JOIN feed f ON f.target = large.target";

const WISHED_ENDS: &str = "SELECT
    (SELECT min(target) FROM reference WHERE source = ?1 AND attribute = ?2),
    (SELECT max(target) FROM reference WHERE source = ?1 AND attribute = ?2)";

const HAD_ENDS: &str = "SELECT
    (SELECT min(target) FROM target_reference WHERE source = ?1 AND attribute = ?2),
    (SELECT max(target) FROM target_reference WHERE source = ?1 AND attribute = ?2)";

/// Whether a reference that an object should have is not there.
const LACKS: &str = "SELECT EXISTS (SELECT 1 FROM target_object g
         CROSS JOIN reference r ON r.source = ?3 AND r.attribute = ?4 AND r.target BETWEEN ?5 AND ?6
         CROSS JOIN link lt ON lt.key = r.target
         CROSS JOIN target_object u ON u.metaverse = lt.metaverse AND u.connector = g.connector
     WHERE g.key = ?1 AND NOT EXISTS (SELECT 1 FROM target_reference x
         WHERE x.source = ?1 AND x.attribute = ?2 AND x.target = u.key))";

/// Whether an object has a reference that nothing of a forest gives it.
const HAS_OTHERS: &str = "SELECT EXISTS (SELECT 1 FROM target_reference y
     WHERE y.source = ?1 AND y.attribute = ?2 AND y.target BETWEEN ?3 AND ?4
         AND NOT EXISTS (SELECT 1 FROM target_object u
             CROSS JOIN link lt ON lt.metaverse = u.metaverse
             CROSS JOIN feed f ON f.target = ?1 AND f.attribute = ?2
             CROSS JOIN reference r
                 ON r.source = f.object AND r.attribute = f.source AND r.target = lt.key
             WHERE u.key = y.target))";

/// Objects that lack a reference that they should have, or have as many others as not all of theirs can
/// be right; but those that are looked at apart.
const DIFFERING: &str = "SELECT f.target FROM feed f
         CROSS JOIN target_object g ON g.key = f.target
         LEFT JOIN reference r ON r.source = f.object AND r.attribute = f.source
         LEFT JOIN link lt ON lt.key = r.target
         LEFT JOIN target_object u ON u.metaverse = lt.metaverse AND u.connector = g.connector
         LEFT JOIN target_reference x
             ON x.source = f.target AND x.attribute = f.attribute AND x.target = u.key
     WHERE f.target BETWEEN ?1 AND ?2 AND f.target NOT IN (SELECT value FROM json_each(?3))
     GROUP BY f.target, f.attribute
     HAVING count(u.key) <> count(x.target) OR count(DISTINCT x.target) <> (SELECT count(*)
         FROM target_reference y WHERE y.source = f.target AND y.attribute = f.attribute)";

/// Objects that have references which nothing feeds, and those of which some are under way.
const WRONG: [&str; 2] = [
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
        what_is_found(PIECES).await;
    }

    #[tokio::test]
    async fn so_are_those_of_objects_that_are_looked_at_in_slices() {
        what_is_found(Pieces { keys: 3, large: 1, slice: 2 }).await;
    }

    #[tokio::test]
    async fn what_several_objects_feed_is_looked_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let state = state(directory.path()).await;
        let mut objects: Vec<_> =
            (1..=5).map(|n| object(n, ObjectKind::User, &format!("u{n}"), &[])).collect();
        objects.push(object(6, ObjectKind::Group, "six", &[1, 2, 3]));
        objects.push(object(7, ObjectKind::Group, "seven", &[1, 2, 3, 4]));
        import(&state, &objects).await;
        synchronise(&state).await;
        export(&state).await;
        let six = keys(&state).await[&SourceAnchor::from(guid(6)).to_string()];
        let pieces = Pieces { keys: 100, large: 1, slice: 100 };
        let slices = async || {
            let (mut tx, mut shown) = (state.database.read().await.unwrap(), Shown::default());
            objects_between(&mut tx, &(six..=six), pieces, &mut shown).await.unwrap();
            let is_had = |piece: &&Piece| matches!(piece, Piece::Had { .. });
            (shown.slices.len(), shown.slices.iter().filter(is_had).count())
        };
        assert_eq!(slices().await, (2, 1));
        // As if the members of another group of a forest were its members, too.
        let mut tx = state.database.write().await.unwrap();
        let other = "INSERT INTO feed (target, attribute, object, source)
             SELECT ?1, f.attribute, i.key, f.source FROM feed f CROSS JOIN identity i
             WHERE f.target = ?1 AND i.guid = ?2";
        let other = sqlx::query(other).bind(six).bind(guid(7).to_bytes_le().to_vec());
        assert_eq!(other.execute(&mut *tx).await.unwrap().rows_affected(), 1);
        tx.commit().await.unwrap();
        assert_eq!(slices().await, (3, 1), "what each gives, and what it has, once");
        assert_eq!(state.check_references(pieces).await.unwrap(), 1, "it lacks the fourth");
    }

    async fn what_is_found(pieces: Pieces) {
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
        assert_eq!(state.check_references(pieces).await.unwrap(), 0);
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
            assert_eq!(state.check_references(pieces).await.unwrap(), 1, "{statement}");
            assert_eq!(resolved(&state).await, expected, "{statement}");
            export(&state).await;
            assert_eq!(state.check_references(pieces).await.unwrap(), 0, "{statement}");
        }
    }
}
