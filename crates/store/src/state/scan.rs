//! All neighbourhoods, in the order of their keys, by several readers.

use portolan_sync::engine::{MetaverseKey, Neighbourhood};

use super::bulk::{self, Which};
use super::{State, StateError, neighbourhoods};

/// Keys of metaverse objects that are read at once.
const BATCH_KEYS: i64 = 512;
/// Octets that are to be read at once, about: of large objects, fewer are.
const BATCH_OCTETS: usize = 8 * 1024 * 1024;

/// Keys of metaverse objects, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRange {
    /// The first.
    pub first: MetaverseKey,
    /// The last.
    pub last: MetaverseKey,
}

/// Neighbourhoods of metaverse objects in the order of their keys.
#[derive(Debug)]
pub struct Neighbourhoods {
    state: State,
    next: i64,
    last: i64,
    /// Keys that are read at once.
    keys: i64,
}

impl State {
    /// The keys of all metaverse objects in about as many ranges of about one size, for as many
    /// readers; none when there are no objects.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn key_ranges(&self, ranges: u32) -> Result<Vec<KeyRange>, StateError> {
        let (first, last): (Option<i64>, Option<i64>) = sqlx::query_as(
            "SELECT (SELECT min(key) FROM metaverse), (SELECT max(key) FROM metaverse)",
        )
        .fetch_one(&mut *self.database.read().await?)
        .await?;
        let (Some(first), Some(last)) = (first, last) else { return Ok(Vec::new()) };
        let each = (last - first) / i64::from(ranges.max(1)) + 1;
        let mut all = Vec::new();
        let mut from = first;
        while from <= last {
            let to = last.min(from + each - 1);
            all.push(KeyRange { first: MetaverseKey(from), last: MetaverseKey(to) });
            from = to + 1;
        }
        Ok(all)
    }

    /// Neighbourhoods of metaverse objects in the order of their keys, a batch at a time.
    #[must_use]
    pub fn scan(&self, range: KeyRange) -> Neighbourhoods {
        let (next, last) = (range.first.0, range.last.0);
        Neighbourhoods { state: self.clone(), next, last, keys: BATCH_KEYS }
    }
}

impl Neighbourhoods {
    /// The next batch; an empty one when there are no more.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn next(&mut self) -> Result<Vec<Neighbourhood>, StateError> {
        while self.next <= self.last {
            let to = self.last.min(self.next + self.keys - 1);
            let mut tx = self.state.database.read().await?;
            let Some(mut bulk) = bulk::load(&mut tx, &Which::Between(self.next, to)).await? else {
                if self.keys == 1 {
                    return Err(StateError::TooMany { what: "octets of one object" });
                }
                self.keys = (self.keys / 8).max(1);
                continue;
            };
            self.next = to + 1;
            if !bulk.all.is_empty() {
                let each = (bulk.octets / bulk.all.len()).max(1);
                let keys = i64::try_from(BATCH_OCTETS / each).unwrap_or(BATCH_KEYS);
                self.keys = keys.clamp(1, BATCH_KEYS);
                neighbourhoods::adopt(&mut tx, bulk.all.iter_mut().collect()).await?;
                return Ok(bulk.all);
            }
        }
        Ok(Vec::new())
    }
}
