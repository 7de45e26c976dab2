//! A firewall's own listing beside a policy: which rows are closed, and what is open that no row needs.
//!
//! What is read: `nft --json list ruleset`, and `iptables-save` and `ip6tables-save`, through every base
//! chain that a host's own packets pass (ingress, prerouting, input; output, postrouting, egress), their
//! priorities and policies, jumps, sets, maps of verdicts, intervals and the states of connections. A row
//! is open when its opening packet, what follows it and what answers it all pass.
//!
//! What cannot be known from a listing is never taken for granted. Interfaces other than loopback, marks,
//! rates, users, sets that change by themselves, extensions: a rule that depends on one may match or not,
//! and where the two differ the packet is *not judged*. The same holds for rules of the host's own address
//! unless the policy says it. Packets that a rule of `nat` may send elsewhere are not judged either. ICMP is not looked
//! at. Only what the listings hold is judged: a firewall that was not listed is not known to exist.

mod cells;
mod condition;
mod finding;
mod iptables_save;
mod nft_expression;
mod nft_listing;
mod ruleset;
mod run;

use portolan_model::Hint;

use super::{Family, Policy};

pub use finding::{Comparison, Opening, Part, RowFinding, State};
pub use ruleset::Ruleset;

/// Octets of one listing.
pub const LISTING_OCTETS_MAX: usize = 8 * 1024 * 1024;
/// Rules of all listings together.
const RULES_MAX: usize = 65_536;
/// Chains of all listings together.
const CHAINS_MAX: usize = 16_384;
/// Looks at a rule, in one comparison.
const STEPS_MAX: u64 = 100_000_000;

/// Reads a listing, of whichever of the two kinds it is.
///
/// # Errors
/// [`ReadError`] with the place, when it is neither or too large.
pub fn read(text: &str) -> Result<Ruleset, ReadError> {
    if text.len() > LISTING_OCTETS_MAX {
        return Err(ReadError::TooLong);
    }
    match text.trim_start().starts_with('{') {
        true => nft_listing::read(text),
        false => iptables_save::read(text),
    }
}

/// Judges a policy by a ruleset.
///
/// # Errors
/// [`TooLarge`] when it would take longer than anybody waits.
pub fn compare<'chart>(
    policy: &Policy<'chart>,
    ruleset: &Ruleset,
) -> Result<Comparison<'chart>, TooLarge> {
    finding::compare(policy, ruleset)
}

/// A listing that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// More than anybody lists.
    #[error("the listing is longer than {LISTING_OCTETS_MAX} octets")]
    TooLong,
    /// More rules or chains than anybody has.
    #[error("at {at}: the listing has more than {max} {what}")]
    TooMany {
        /// Where the first too many stands.
        at: String,
        /// Rules or chains.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// No JSON.
    #[error("line {line}, column {column}: {what}")]
    Json {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is wrong there.
        what: String,
    },
    /// JSON or lines that no firewall lists.
    #[error("at {at}: {what}")]
    Malformed {
        /// The line, or the place in the JSON document.
        at: String,
        /// What is wrong there.
        what: String,
    },
}

impl Hint for ReadError {
    fn hint(&self) -> Option<String> {
        Some(
            "write it with `nft --json list ruleset`, or with `iptables-save` and `ip6tables-save`"
                .to_owned(),
        )
    }
}

/// A comparison that is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    /// Too many rules for so many ports and addresses.
    #[error("the ruleset has too many rules, ports and addresses to be judged")]
    Steps,
    /// Chains that no kernel holds.
    #[error("a chain of the ruleset leads back to itself, or through too many others")]
    Cycle,
}

impl Hint for TooLarge {
    fn hint(&self) -> Option<String> {
        Some(
            match self {
                Self::Steps => {
                    "list the tables of this host alone, without those of its containers"
                }
                Self::Cycle => "list the ruleset again: a kernel refuses such chains",
            }
            .to_owned(),
        )
    }
}

/// The families that are not known, as words.
fn unlisted(ruleset: &Ruleset) -> Vec<Family> {
    Family::BOTH.into_iter().filter(|family| !ruleset.lists(*family)).collect()
}

#[cfg(test)]
mod tests;
