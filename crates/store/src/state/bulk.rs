//! Many neighbourhoods in few rows.
//!
//! A row's way through a connection costs more than finding the object that it is of. So the numbers of
//! many objects come as one text for each column, with commas between them, and their octets as one
//! blob for each column, one behind the other: `group_concat` joins octets as they are. Should it ever
//! not, nothing passes its checksum. All columns of a statement are in one order, whichever it is.

use std::str::Split;

use portolan_sync::ObjectKind;
use portolan_sync::TenantKind;
use portolan_sync::engine::{
    Link, LinkKind, MetaverseKey, MetaverseObject, Neighbourhood, ObjectKey, Staged, TargetObject,
};
use portolan_sync::rules::MetaverseKind;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::codes::Code as _;
use super::rows::{self, Tx};
use super::{StateError, names, packed};

/// `SQLITE_TOOBIG`: what was joined has more octets than a value may have.
const TOO_BIG: &str = "18";

/// Which metaverse objects.
#[derive(Debug, Clone)]
pub(super) enum Which {
    /// Those between these keys, both included.
    Between(i64, i64),
    /// Those of a list in JSON.
    In(String),
}

/// Neighbourhoods in the order of their keys, and how many octets were read of them.
#[derive(Debug)]
pub(super) struct Bulk {
    pub(super) all: Vec<Neighbourhood>,
    pub(super) octets: usize,
}

/// Statements for a range and for a list: the columns, the table that has the key of the metaverse
/// object, its name there, and what is joined to it.
macro_rules! statements {
    ($columns:literal, $table:literal, $key:literal, $joined:literal) => {
        [
            concat!($columns, " FROM ", $table, $joined, " WHERE ", $key, " BETWEEN ?1 AND ?2"),
            concat!(
                $columns,
                " FROM json_each(?1) CROSS JOIN ",
                $table,
                " ON ",
                $key,
                " = json_each.value",
                $joined
            ),
        ]
    };
}

const METAVERSE: [&str; 2] = statements!(
    "SELECT group_concat(m.key), group_concat(m.kind), group_concat(octet_length(m.record)), \
     CAST(group_concat(m.record, '') AS BLOB)",
    "metaverse m",
    "m.key",
    ""
);
const METAVERSE_NUMBERS: usize = 3;

const STAGED: [&str; 2] = statements!(
    "SELECT group_concat(l.metaverse), group_concat(i.key), group_concat(i.connector), \
     group_concat(i.kind), group_concat(coalesce(l.kind, -1)), group_concat(octet_length(i.guid)), \
     group_concat(octet_length(s.dn)), group_concat(octet_length(s.record)), \
     group_concat(coalesce(octet_length(l.anchor), -1)), CAST(group_concat(i.guid, '') AS BLOB), \
     CAST(group_concat(s.dn, '') AS BLOB), CAST(group_concat(s.record, '') AS BLOB), \
     CAST(group_concat(l.anchor, '') AS BLOB)",
    "link l",
    "l.metaverse",
    " CROSS JOIN identity i ON i.key = l.key AND i.state = 1 CROSS JOIN staged s ON s.key = l.key"
);
const STAGED_NUMBERS: usize = 9;

const TARGETS: [&str; 2] = statements!(
    "SELECT group_concat(t.metaverse), group_concat(t.connector), group_concat(t.kind), \
     group_concat(coalesce(t.stage, -1)), group_concat(t.password), \
     group_concat(octet_length(t.anchor)), group_concat(coalesce(octet_length(t.confirmed), -1)), \
     group_concat(coalesce(octet_length(t.pending), -1)), \
     group_concat(coalesce(octet_length(t.feeds), -1)), CAST(group_concat(t.anchor, '') AS BLOB), \
     CAST(group_concat(t.confirmed, '') AS BLOB), CAST(group_concat(t.pending, '') AS BLOB), \
     CAST(group_concat(t.feeds, '') AS BLOB)",
    "target_object t",
    "t.metaverse",
    ""
);
const TARGET_NUMBERS: usize = 9;

/// The neighbourhoods of some metaverse objects. `None` when they have more octets than one row may have:
/// fewer are to be asked for.
pub(super) async fn load(tx: &mut Tx, which: &Which) -> Result<Option<Bulk>, StateError> {
    let mut rows = Vec::with_capacity(3);
    for statements in [METAVERSE, STAGED, TARGETS] {
        let query = match which {
            Which::Between(first, last) => sqlx::query(statements[0]).bind(*first).bind(*last),
            Which::In(list) => sqlx::query(statements[1]).bind(list.as_str()),
        };
        match query.fetch_one(&mut **tx).await {
            Ok(row) => rows.push(row),
            Err(error) if is_too_big(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
    let [metaverse, staged, targets] = rows.as_slice() else { return Ok(None) };
    gather(metaverse, staged, targets).map(Some)
}

fn is_too_big(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code == TOO_BIG)
}

fn gather(
    metaverse: &SqliteRow,
    staged: &SqliteRow,
    targets: &SqliteRow,
) -> Result<Bulk, StateError> {
    let mut octets = 0;
    let mut all = Vec::new();
    let mut rows = Columns::<METAVERSE_NUMBERS, 1>::of(metaverse, &mut octets)?;
    while let Some([key, kind, length]) = rows.next()? {
        let (record, lineage) = packed::open_metaverse(key, rows.take(0, length)?)?;
        let (key, kind) = (MetaverseKey(key), MetaverseKind::of_code(kind)?);
        let metaverse = Some(MetaverseObject { key, kind, record, lineage });
        all.push(Neighbourhood { metaverse, staged: Vec::new(), targets: Vec::new() });
    }
    all.sort_unstable_by_key(key_of);
    let mut rows = Columns::<STAGED_NUMBERS, 4>::of(staged, &mut octets)?;
    while let Some(numbers) = rows.next()? {
        let object = next_staged(numbers, &mut rows)?;
        let Some(near) = place(&mut all, numbers[0]) else { continue };
        if let Err(at) = near.staged.binary_search_by_key(&object.key, |one| one.key) {
            near.staged.insert(at, object);
        }
    }
    let mut rows = Columns::<TARGET_NUMBERS, 4>::of(targets, &mut octets)?;
    while let Some(numbers) = rows.next()? {
        let object = next_target(numbers, &mut rows)?;
        let Some(near) = place(&mut all, numbers[0]) else { continue };
        if let Err(at) = near.targets.binary_search_by_key(&object.connector, |one| one.connector) {
            near.targets.insert(at, object);
        }
    }
    Ok(Bulk { all, octets })
}

fn key_of(neighbourhood: &Neighbourhood) -> Option<MetaverseKey> {
    neighbourhood.metaverse.as_ref().map(|metaverse| metaverse.key)
}

/// The neighbourhood with this key, of some in its order.
fn place(all: &mut [Neighbourhood], key: i64) -> Option<&mut Neighbourhood> {
    let found = all.binary_search_by_key(&Some(MetaverseKey(key)), key_of).ok()?;
    all.get_mut(found)
}

fn next_staged(
    numbers: [i64; STAGED_NUMBERS],
    rows: &mut Columns<'_, STAGED_NUMBERS, 4>,
) -> Result<Staged, StateError> {
    let [metaverse, key, connector, kind, link, guid, dn, record, anchor] = numbers;
    let guid = rows::guid(rows.take(0, guid)?)?;
    let dn = text(rows.take(1, dn)?, "the name of an imported object")?;
    let of: [&[u8]; 2] = [&key.to_le_bytes(), dn.as_bytes()];
    let record = packed::open_record("an imported object", &of, rows.take(2, record)?)?;
    let anchor = match rows.maybe(3, anchor)? {
        Some(anchor) => Some(rows::anchor(text(anchor, "a sourceAnchor")?)?),
        None => None,
    };
    let link = if link < 0 { None } else { Some(LinkKind::of_code(link)?) };
    Ok(Staged {
        key: ObjectKey(key),
        connector: names::connector(connector)?,
        guid,
        kind: ObjectKind::of_code(kind)?,
        record: record.named(dn, &guid),
        dn: dn.to_owned(),
        link: link.map(|kind| Link { metaverse: MetaverseKey(metaverse), kind }),
        anchor,
    })
}

fn next_target(
    numbers: [i64; TARGET_NUMBERS],
    rows: &mut Columns<'_, TARGET_NUMBERS, 4>,
) -> Result<TargetObject, StateError> {
    let [metaverse, connector, kind, stage, password, anchor, confirmed, pending, feeds] = numbers;
    let anchor = text(rows.take(0, anchor)?, "a sourceAnchor")?;
    let of = anchor.as_bytes();
    let confirmed = packed::confirmed(of, rows.maybe(1, confirmed)?)?;
    let stage = (stage >= 0).then_some(stage);
    let pending = packed::pending(of, stage, confirmed.is_some(), rows.maybe(2, pending)?)?;
    Ok(TargetObject {
        connector: names::connector(connector)?,
        metaverse: MetaverseKey(metaverse),
        kind: TenantKind::of_code(kind)?,
        anchor: rows::anchor(anchor)?,
        confirmed,
        pending,
        feeds: packed::unpack_feeds(rows.maybe(3, feeds)?.unwrap_or_default())?,
        password: password == 1,
    })
}

fn text<'r>(octets: &'r [u8], what: &'static str) -> Result<&'r str, StateError> {
    std::str::from_utf8(octets).map_err(|_| StateError::corrupt(what))
}

/// The columns of many objects in one row: first those of numbers, then those of octets.
struct Columns<'r, const NUMBERS: usize, const OCTETS: usize> {
    /// None when there is no object.
    numbers: Option<[Split<'r, char>; NUMBERS]>,
    octets: [&'r [u8]; OCTETS],
}

impl<'r, const NUMBERS: usize, const OCTETS: usize> Columns<'r, NUMBERS, OCTETS> {
    /// Those of a row, whose octets are counted.
    fn of(row: &'r SqliteRow, counted: &mut usize) -> Result<Self, StateError> {
        let mut octets = [&[][..]; OCTETS];
        for (at, octets) in octets.iter_mut().enumerate() {
            *octets = row.try_get::<Option<&[u8]>, _>(NUMBERS + at)?.unwrap_or_default();
            *counted += octets.len();
        }
        if row.try_get::<Option<&str>, _>(0)?.is_none() {
            return Ok(Self { numbers: None, octets });
        }
        let mut numbers = [const { "" }; NUMBERS].map(|text| text.split(','));
        for (at, numbers) in numbers.iter_mut().enumerate() {
            *numbers = row.try_get::<&str, _>(at)?.split(',');
        }
        Ok(Self { numbers: Some(numbers), octets })
    }

    /// The numbers of the next object.
    fn next(&mut self) -> Result<Option<[i64; NUMBERS]>, StateError> {
        let Some(columns) = &mut self.numbers else { return Ok(None) };
        let mut numbers = [0; NUMBERS];
        for (at, (number, column)) in numbers.iter_mut().zip(columns).enumerate() {
            match column.next().map(str::parse) {
                Some(Ok(next)) => *number = next,
                None if at == 0 => return Ok(None),
                _ => return Err(StateError::corrupt("a number")),
            }
        }
        Ok(Some(numbers))
    }

    /// So many octets of a column: the next object's.
    fn take(&mut self, column: usize, length: i64) -> Result<&'r [u8], StateError> {
        let octets = self.octets.get_mut(column);
        let length = usize::try_from(length).ok();
        let split = octets.as_ref().zip(length).and_then(|(o, length)| o.split_at_checked(length));
        let (Some((taken, rest)), Some(octets)) = (split, octets) else {
            return Err(StateError::corrupt("the length of a column"));
        };
        *octets = rest;
        Ok(taken)
    }

    /// Likewise; none of NULL, whose length is below zero.
    fn maybe(&mut self, column: usize, length: i64) -> Result<Option<&'r [u8]>, StateError> {
        if length < 0 { Ok(None) } else { self.take(column, length).map(Some) }
    }
}
