//! From the references of forests to those of targets.
//!
//! A reference of a target follows from one of a forest: `G` refers to `U` there when one of `G`'s
//! feeds names an object and an attribute that refer to an object that is linked to `U`'s metaverse
//! object. Nothing that changes works that out at once. It marks what has to be looked at again, and
//! [`State::resolve_references`] looks, a bounded number of references at a time: so that one member
//! more costs the same in a group of any size, and a change of an object with many references is
//! worked off in pieces.

use sqlx::Row as _;

use super::rows::Tx;
use super::{State, StateError};

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resolved {
    /// References that were looked at.
    pub examined: u64,
    /// References of targets that are other than they should be: to be added or removed.
    pub differing: u64,
    /// Whether nothing is left to look at.
    pub is_done: bool,
}

/// Marks what a query gives, each from its beginning.
macro_rules! again {
    ($marks:literal) => {
        concat!(
            "INSERT INTO dirty_reference (kind, object) ",
            $marks,
            " ON CONFLICT DO UPDATE SET after_1 = -1, after_2 = -1, after_3 = -1, after_4 = -1"
        )
    };
}

/// Fills `expanded` with marks that are references themselves; `$source` is where that which refers goes.
macro_rules! references {
    ($source:literal) => {
        concat!(
            "INSERT INTO temp.expanded (object, after_1, after_2, after_3, after_4, ",
            $source,
            ", a, t) SELECT object, attribute, target, -1, -1, object, attribute, target ",
            "FROM dirty_reference WHERE kind = ?1 ORDER BY object, attribute, target LIMIT ?2"
        )
    };
}

/// Fills `expanded` with the references of a table that have a marked object at one end, in the order of the
/// attribute and the other end.
macro_rules! ends {
    ($table:literal, $source:literal, $end:literal, $first:literal, $second:literal) => {
        concat!(
            "INSERT INTO temp.expanded (object, after_1, after_2, after_3, after_4, ",
            $source,
            ", a, t) SELECT d.object, ",
            $first,
            ", ",
            $second,
            ", -1, -1, r.source, r.attribute, r.target ",
            "FROM dirty_reference d CROSS JOIN ",
            $table,
            " r ON ",
            $end,
            " = d.object ",
            "WHERE d.kind = ?1 AND (",
            $first,
            ", ",
            $second,
            ") > (d.after_1, d.after_2) ",
            "ORDER BY d.object, ",
            $first,
            ", ",
            $second,
            " LIMIT ?2"
        )
    };
}

impl State {
    /// Looks at references again, at most so many of each kind of mark, and keeps what is to be added
    /// and removed. To be called until it is done.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn resolve_references(&self, limit: u32) -> Result<Resolved, StateError> {
        let mut tx = self.database.write().await?;
        for statement in [CREATE_EXPANDED, CREATE_CANDIDATE, "DELETE FROM temp.candidate"] {
            sqlx::query(statement).execute(&mut *tx).await?;
        }
        let mut resolved = Resolved { is_done: true, ..Resolved::default() };
        for mark in &MARKS {
            let expanded = expand(&mut tx, mark, limit).await?;
            resolved.examined += expanded;
            resolved.is_done &= expanded < u64::from(limit);
        }
        if resolved.examined > 0 {
            for statement in JUDGE {
                sqlx::query(statement).execute(&mut *tx).await?;
            }
            let differing: i64 = sqlx::query_scalar(DIFFERING).fetch_one(&mut *tx).await?;
            resolved.differing = differing.unsigned_abs();
        }
        tx.commit().await?;
        Ok(resolved)
    }
}

/// Marks objects of targets (numbers as JSON): the references that they should have, have and are to get or lose,
/// and those to them.
pub(super) async fn mark_target(tx: &mut Tx, keys: &str) -> Result<(), StateError> {
    mark(
        tx,
        keys,
        &[
            again!(
                "SELECT 3, value FROM json_each(?1)
             WHERE EXISTS (SELECT 1 FROM feed
                 CROSS JOIN reference r ON r.source = feed.object AND r.attribute = feed.source
                 WHERE feed.target = value)"
            ),
            again!(
                "SELECT 4, value FROM json_each(?1)
             WHERE EXISTS (SELECT 1 FROM target_reference r WHERE r.source = value)"
            ),
            again!(
                "SELECT 5, value FROM json_each(?1)
             WHERE EXISTS (SELECT 1 FROM target_reference r WHERE r.target = value)"
            ),
            again!(
                "SELECT 7, value FROM json_each(?1)
             WHERE EXISTS (SELECT 1 FROM pending_reference p WHERE p.source = value)"
            ),
            again!(
                "SELECT 8, value FROM json_each(?1)
             WHERE EXISTS (SELECT 1 FROM pending_reference p WHERE p.target = value)"
            ),
        ],
    )
    .await
}

/// Marks the references to all objects that are linked to these metaverse objects (numbers as JSON).
pub(super) async fn mark_linked(tx: &mut Tx, metaverse: &str) -> Result<(), StateError> {
    mark(
        tx,
        metaverse,
        &[again!(
            "SELECT 2, link.key FROM json_each(?1) CROSS JOIN link ON link.metaverse = value
           WHERE EXISTS (SELECT 1 FROM reference r WHERE r.target = link.key)"
        )],
    )
    .await
}

/// Marks the references to these objects of forests (numbers as JSON), and those to the targets'
/// objects that they are linked to now.
pub(super) async fn mark_objects(tx: &mut Tx, keys: &str) -> Result<(), StateError> {
    mark(
        tx,
        keys,
        &[
            again!(
                "SELECT 2, value FROM json_each(?1)
             WHERE EXISTS (SELECT 1 FROM reference r WHERE r.target = value)"
            ),
            again!(
                "SELECT 5, t.key FROM json_each(?1) CROSS JOIN link ON link.key = value
                 CROSS JOIN target_object t ON t.metaverse = link.metaverse
             WHERE EXISTS (SELECT 1 FROM target_reference r WHERE r.target = t.key)"
            ),
            again!(
                "SELECT 8, t.key FROM json_each(?1) CROSS JOIN link ON link.key = value
                 CROSS JOIN target_object t ON t.metaverse = link.metaverse
             WHERE EXISTS (SELECT 1 FROM pending_reference p WHERE p.target = t.key)"
            ),
        ],
    )
    .await
}

async fn mark(tx: &mut Tx, keys: &str, statements: &[&'static str]) -> Result<(), StateError> {
    for statement in statements {
        sqlx::query(*statement).bind(keys).execute(&mut **tx).await?;
    }
    Ok(())
}

/// A kind of mark, and how it becomes references.
struct Mark {
    kind: i64,
    /// Fills `expanded`: `?1` is the kind, `?2` how many.
    expand: &'static str,
    /// Fills `candidate` from it.
    candidates: &'static str,
}

const MARKS: [Mark; 8] = [
    Mark {
        kind: 1,
        expand: references!("s"),
        candidates: FROM_EDGES,
    },
    Mark {
        kind: 2,
        expand: ends!("reference", "s", "r.target", "r.source", "r.attribute"),
        candidates: FROM_EDGES,
    },
    Mark {
        kind: 3,
        expand: "INSERT INTO temp.expanded (object, after_1, after_2, after_3, after_4, g, a, t)
            SELECT d.object, f.attribute, f.object, f.source, r.target, d.object, f.attribute, r.target
            FROM dirty_reference d CROSS JOIN feed f ON f.target = d.object
                CROSS JOIN reference r ON r.source = f.object AND r.attribute = f.source
            WHERE d.kind = ?1 AND (f.attribute, f.object, f.source, r.target)
                > (d.after_1, d.after_2, d.after_3, d.after_4)
                AND (f.attribute, f.object, f.source) >= (d.after_1, d.after_2, d.after_3)
            ORDER BY d.object, f.attribute, f.object, f.source, r.target LIMIT ?2",
        candidates: "INSERT OR IGNORE INTO temp.candidate (source, attribute, target)
            SELECT e.g, e.a, u.key FROM temp.expanded e
                CROSS JOIN target_object g ON g.key = e.g
                CROSS JOIN link lt ON lt.key = e.t
                CROSS JOIN target_object u
                    ON u.metaverse = lt.metaverse AND u.connector = g.connector",
    },
    Mark {
        kind: 4,
        expand: ends!("target_reference", "g", "r.source", "r.attribute", "r.target"),
        candidates: AS_THEY_ARE,
    },
    Mark {
        kind: 5,
        expand: ends!("target_reference", "g", "r.target", "r.source", "r.attribute"),
        candidates: AS_THEY_ARE,
    },
    Mark {
        kind: 6,
        expand: references!("g"),
        candidates: AS_THEY_ARE,
    },
    // What is to be added and not wished for any more would be added all the same.
    Mark {
        kind: 7,
        expand: ends!("pending_reference", "g", "r.source", "r.attribute", "r.target"),
        candidates: AS_THEY_ARE,
    },
    Mark {
        kind: 8,
        expand: ends!("pending_reference", "g", "r.target", "r.source", "r.attribute"),
        candidates: AS_THEY_ARE,
    },
];

/// References of forests: those of targets that they may feed.
const FROM_EDGES: &str = "INSERT OR IGNORE INTO temp.candidate (source, attribute, target)
    SELECT g.key, f.attribute, u.key FROM temp.expanded e
        CROSS JOIN link ls ON ls.key = e.s
        CROSS JOIN link lt ON lt.key = e.t
        CROSS JOIN target_object g ON g.metaverse = ls.metaverse
        CROSS JOIN feed f ON f.target = g.key AND f.object = e.s AND f.source = e.a
        CROSS JOIN target_object u ON u.metaverse = lt.metaverse AND u.connector = g.connector";

/// References of targets.
const AS_THEY_ARE: &str = "INSERT OR IGNORE INTO temp.candidate (source, attribute, target)
    SELECT g, a, t FROM temp.expanded";

const CREATE_EXPANDED: &str = "CREATE TEMP TABLE IF NOT EXISTS expanded (
    n INTEGER PRIMARY KEY, object INTEGER, after_1 INTEGER, after_2 INTEGER, after_3 INTEGER,
    after_4 INTEGER, s INTEGER, a INTEGER, t INTEGER, g INTEGER)";
const CREATE_CANDIDATE: &str = "CREATE TEMP TABLE IF NOT EXISTS candidate (
    source INTEGER, attribute INTEGER, target INTEGER, actual INTEGER, wanted INTEGER,
    PRIMARY KEY (source, attribute, target)) WITHOUT ROWID";

/// What there is and what there should be. Of what is to be deleted, nothing changes: its references go
/// with it.
const JUDGE: [&str; 4] = [
    "UPDATE temp.candidate AS c SET actual = EXISTS (SELECT 1 FROM target_reference r
         WHERE r.source = c.source AND r.attribute = c.attribute AND r.target = c.target)",
    "UPDATE temp.candidate AS c SET wanted = CASE
         WHEN EXISTS (SELECT 1 FROM target_object o WHERE o.key IN (c.source, c.target)
             AND (o.stage IS 0 OR o.metaverse < 0 AND o.key = c.source)) THEN actual
         ELSE EXISTS (SELECT 1 FROM target_object u
             CROSS JOIN link lt ON lt.metaverse = u.metaverse
             CROSS JOIN feed f ON f.target = c.source AND f.attribute = c.attribute
             CROSS JOIN reference r
                 ON r.source = f.object AND r.attribute = f.source AND r.target = lt.key
             WHERE u.key = c.target) END",
    "DELETE FROM pending_reference WHERE EXISTS (SELECT 1 FROM temp.candidate c
         WHERE c.source = pending_reference.source AND c.attribute = pending_reference.attribute
             AND c.target = pending_reference.target AND c.wanted = c.actual)",
    "INSERT INTO pending_reference (source, attribute, target, added)
     SELECT source, attribute, target, wanted FROM temp.candidate WHERE wanted <> actual
     ON CONFLICT DO UPDATE SET added = excluded.added",
];

const DIFFERING: &str = "SELECT count(*) FROM temp.candidate WHERE wanted <> actual";

/// Turns marks of a kind into candidates. Gives how many references that were.
async fn expand(tx: &mut Tx, mark: &Mark, limit: u32) -> Result<u64, StateError> {
    sqlx::query("DELETE FROM temp.expanded").execute(&mut **tx).await?;
    let expanded = sqlx::query(mark.expand)
        .bind(mark.kind)
        .bind(limit)
        .execute(&mut **tx)
        .await?
        .rows_affected();
    if expanded > 0 {
        sqlx::query(mark.candidates).execute(&mut **tx).await?;
    }
    if expanded < u64::from(limit) {
        let all = sqlx::query("DELETE FROM dirty_reference WHERE kind = ?");
        all.bind(mark.kind).execute(&mut **tx).await?;
        return Ok(expanded);
    }
    let last = sqlx::query(
        "SELECT object, after_1, after_2, after_3, after_4 FROM temp.expanded ORDER BY n DESC LIMIT 1",
    )
    .fetch_one(&mut **tx)
    .await?;
    let place: [i64; 5] =
        [last.try_get(0)?, last.try_get(1)?, last.try_get(2)?, last.try_get(3)?, last.try_get(4)?];
    let (done, rest) = if matches!(mark.kind, 1 | 6) {
        (
            "DELETE FROM dirty_reference WHERE kind = ?1 AND (object, attribute, target) <= (?2, ?3, ?4)",
            None,
        )
    } else {
        (
            "DELETE FROM dirty_reference WHERE kind = ?1 AND object < ?2",
            Some(
                "UPDATE dirty_reference SET after_1 = ?3, after_2 = ?4, after_3 = ?5, after_4 = ?6
             WHERE kind = ?1 AND object = ?2",
            ),
        )
    };
    for statement in [Some(done), rest].into_iter().flatten() {
        let mut query = sqlx::query(statement).bind(mark.kind);
        for number in place {
            query = query.bind(number);
        }
        query.execute(&mut **tx).await?;
    }
    Ok(expanded)
}
