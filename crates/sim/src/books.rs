//! What the tenant lost lately, and what of it somebody let through: what checkers keep of the guard, from what
//! the tenant wrote alone.

use std::collections::BTreeMap;

use time::{Duration, OffsetDateTime};

use crate::check::{Law, Violation};
use crate::forest::Forest;

/// Objects of a kind that may go in a day without a word: simulated tenants are so small that the share of
/// them never comes to more.
pub const FREE: u64 = 10;
/// The window.
pub const WINDOW: Duration = Duration::DAY;

/// An object that was deleted.
#[derive(Debug)]
struct Loss {
    kind: String,
    at: OffsetDateTime,
}

/// What an administrator let through.
#[derive(Debug)]
struct Released {
    kind: &'static str,
    count: u64,
    at: OffsetDateTime,
}

/// The books of a tenant.
#[derive(Debug, Default)]
pub struct Books {
    lost: BTreeMap<String, Loss>,
    released: Vec<Released>,
}

impl Books {
    /// The object with a number was deleted.
    pub fn deleted(&mut self, number: &str, kind: &str, at: OffsetDateTime) {
        self.lost.insert(number.to_owned(), Loss { kind: kind.to_owned(), at });
    }

    /// An administrator let some of a kind go.
    pub fn released(&mut self, kind: &'static str, count: u64, at: OffsetDateTime) {
        self.released.push(Released { kind, count, at });
    }

    /// The server counts from the beginning: it lost what it knew, or an administrator let everything go.
    pub fn begin_anew(&mut self) {
        self.lost.clear();
    }

    /// Whether no more of a kind went than may. What came back, and what is to come back, is no loss: it
    /// was taken back before the server knew that the tenant had done it.
    ///
    /// # Errors
    /// The kind of which more went.
    pub fn check(
        &self,
        forests: &[&Forest],
        there: impl Fn(&str) -> bool,
        now: OffsetDateTime,
    ) -> Result<(), Violation> {
        let is_lately = |at: OffsetDateTime| now - at < WINDOW;
        let is_wanted =
            |number: &str| forests.iter().find_map(|forest| forest.wants(number)) == Some(true);
        let mut lost = BTreeMap::<&str, u64>::new();
        for (number, loss) in &self.lost {
            if is_lately(loss.at) && !there(number) && !is_wanted(number) {
                *lost.entry(&loss.kind).or_default() += 1;
            }
        }
        for (kind, lost) in lost {
            let released = self.released.iter().filter(|one| one.kind == kind);
            let released: u64 = released.filter(|one| is_lately(one.at)).map(|one| one.count).sum();
            if lost > FREE + released {
                let how = format!(
                    "{lost} {kind}s went within a day; {FREE} may, and {released} were let through"
                );
                return Err(Violation::of(Law::LosesNoMoreThanAllowed, how));
            }
        }
        Ok(())
    }
}
