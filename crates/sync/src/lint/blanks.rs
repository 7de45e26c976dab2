//! Attributes that should have a value.

use super::address;
use super::report::Report;
use super::rule::Rule;
use super::subject::{Attribute, Subject};
use crate::forest::ObjectKind;

pub(super) fn look(report: &mut Report<'_, '_>) {
    let subject = report.subject;
    if let Some(blank) = blank(subject, Attribute::DisplayName) {
        let why = "people and groups are shown by it";
        report.propose(Rule::Blank, Attribute::DisplayName, blank, display_name(subject), why);
    }
    if subject.kind != ObjectKind::Contact {
        return;
    }
    if let Some(blank) = blank(subject, Attribute::TargetAddress)
        && let Some(mail) = subject.text(Attribute::Mail)
    {
        let proposal = address::parts(mail).map(|_| format!("SMTP:{mail}"));
        let why = "mail to a contact is sent there";
        report.propose(Rule::Blank, Attribute::TargetAddress, blank, proposal, why);
    }
}

/// The value, if it is missing or nothing but white space.
fn blank<'a>(subject: &Subject<'a>, attribute: Attribute) -> Option<&'a str> {
    match subject.octets(attribute).next() {
        None => Some(""),
        Some(octets) => std::str::from_utf8(octets).ok().filter(|text| text.trim().is_empty()),
    }
}

/// What the object is called otherwise.
fn display_name(subject: &Subject<'_>) -> Option<String> {
    let text = |attribute| subject.text(attribute).map(str::trim).filter(|text| !text.is_empty());
    match (text(Attribute::GivenName), text(Attribute::Surname)) {
        (Some(given), Some(surname)) => Some(format!("{given} {surname}")),
        _ => text(Attribute::Name).or_else(|| text(Attribute::SamAccountName)).map(str::to_owned),
    }
}
