//! The nouns of hybrid identity, each well-formed by construction.
//!
//! A [`Guid`], [`Sid`], [`Upn`], [`SourceAnchor`] or [`DistinguishedName`] exists only if it parsed;
//! nothing here knows a database, HTTP or a socket. [`Hint`] and [`Entropy`] are the two traits that
//! every tier shares.

mod anchor;
mod dn;
mod entropy;
mod guid;
mod hint;
mod principal;
mod secret;
pub mod security_descriptor;
mod sid;

pub use anchor::SourceAnchor;
pub use dn::DistinguishedName;
pub use entropy::Entropy;
pub use guid::Guid;
pub use hint::Hint;
pub use principal::{DnsName, Realm, Spn, Upn};
pub use secret::{Secret, SecretString};
pub use sid::Sid;

/// A text that is not a value of the type it was to become.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {noun}: {rule}")]
pub struct InvalidName {
    /// What the text was to become.
    pub noun: &'static str,
    /// The text.
    pub text: String,
    /// The rule it breaks.
    pub rule: &'static str,
}
