//! Addresses of one object that should agree with each other.

use super::report::Report;
use super::rule::Rule;
use super::subject::{Attribute, Subject};
use super::{address, fold};
use crate::forest::ObjectKind;

/// `msExchRecipientTypeDetails` of a user whose mail goes elsewhere.
const MAIL_USER: i64 = 128;
/// What a primary address begins with; the others have it in small letters.
const PRIMARY: &str = "SMTP:";

pub(super) fn look(report: &mut Report<'_, '_>) {
    let subject = report.subject;
    primary(report, subject);
    let Some(mail) = subject.text(Attribute::Mail) else { return };
    if !sends_on(subject) {
        return;
    }
    for value in subject.texts(Attribute::TargetAddress) {
        let Some(target) = address::mail(value) else { continue };
        if fold::directory(target) != fold::directory(mail) {
            let proposal = Some(format!("{PRIMARY}{mail}"));
            let why = format!("mail is {mail:?}");
            report.propose(Rule::MailMatch, Attribute::TargetAddress, value, proposal, why);
        }
    }
}

/// Whether its mail goes where mail says. That of a mailbox in the cloud goes to another name there.
fn sends_on(subject: &Subject<'_>) -> bool {
    let details = subject.number(Attribute::RecipientTypeDetails);
    match subject.kind {
        ObjectKind::Contact => true,
        kind => kind.is_person() && details.is_none_or(|details| details == MAIL_USER),
    }
}

fn primary(report: &mut Report<'_, '_>, subject: &Subject<'_>) {
    let all = subject.texts(Attribute::ProxyAddresses);
    let primary: Vec<_> = all.filter(|value| value.starts_with(PRIMARY)).collect();
    if primary.len() > 1 {
        for value in &primary {
            let why = format!("{} addresses begin with {PRIMARY}", primary.len());
            report.find(Rule::PrimaryAddress, Attribute::ProxyAddresses, value, why);
        }
        return;
    }
    let ([value], Some(mail)) = (primary.as_slice(), subject.text(Attribute::Mail)) else { return };
    let bare = address::mail(value).unwrap_or_default();
    if fold::directory(bare.trim()) != fold::directory(mail.trim()) {
        let why = format!("the primary address is {bare:?}");
        let proposal = address::parts(bare).map(|_| bare.to_owned());
        report.propose(Rule::PrimaryAddress, Attribute::Mail, mail, proposal, why);
    }
}
