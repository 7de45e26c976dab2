//! Objects that somebody may expect in the tenant and that are not synchronised at all.

use std::fmt;

use super::report::Report;
use super::rule::Rule;

/// Why an object is not synchronised, as far as an administrator can have meant it otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOut {
    /// A user or group without `sAMAccountName`.
    NoAccountName,
    /// The losing copy of a replication conflict (`\0ACNF:` in its name).
    ReplicationConflict,
    /// A group of more members than are synchronised.
    TooManyMembers,
    /// A contact or distribution group without a mail address that mail could be sent to.
    NoMailAddress,
    /// It is meant so: what is the directory's own, Exchange's or a synchronisation's stays out for
    /// good, a place has no counterpart in the tenant, and a scope of an overlay is somebody's will.
    Meant,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAccountName => "no sAMAccountName",
            Self::ReplicationConflict => "the losing copy of a replication conflict",
            Self::TooManyMembers => "a group of more members than are synchronised",
            Self::NoMailAddress => "a contact or distribution group without a mail address",
            Self::Meant => "it is meant to stay out",
        })
    }
}

pub(super) fn look(report: &mut Report<'_, '_>) {
    if let Some(why) = report.subject.left_out.filter(|why| *why != LeftOut::Meant) {
        report.find_of_object(Rule::LeftOut, why.to_string());
    }
}
