//! Forms: names and addresses with an @, their two parts, and periods in nicknames.

use super::address;
use super::report::Report;
use super::rule::Rule;
use super::subject::Attribute;

pub(super) fn look(report: &mut Report<'_, '_>) {
    let subject = report.subject;
    if let Some(upn) = subject.text(Attribute::UserPrincipalName) {
        name(report, upn);
    }
    for mail in subject.texts(Attribute::Mail) {
        mail_address(report, Attribute::Mail, mail, mail);
    }
    for attribute in [Attribute::ProxyAddresses, Attribute::TargetAddress] {
        for value in subject.texts(attribute) {
            if let Some(bare) = address::mail(value) {
                mail_address(report, attribute, value, bare);
            }
        }
    }
    for nickname in subject.texts(Attribute::MailNickname) {
        if nickname.starts_with('.') || nickname.ends_with('.') {
            let why = "a period stands at its beginning or end";
            report.find(Rule::Format, Attribute::MailNickname, nickname, why);
        }
    }
}

/// A user principal name; whether its suffix is one of the tenant's is looked at elsewhere.
fn name(report: &mut Report<'_, '_>, upn: &str) {
    let attribute = Attribute::UserPrincipalName;
    let Some((local, domain)) = address::parts(upn) else {
        report.find(Rule::Format, attribute, upn, "it is not of the form name@domain");
        return;
    };
    if address::has_stray_dots(local) {
        let why = "periods stand at an end of the name, or two together";
        report.find(Rule::LocalPart, attribute, upn, why);
    }
    if !address::is_domain(domain) {
        let why = format!("{domain:?} is no name of a domain");
        report.find(Rule::DomainPart, attribute, upn, why);
    }
}

fn mail_address(report: &mut Report<'_, '_>, attribute: Attribute, value: &str, bare: &str) {
    // White space around it is another rule's.
    let bare = bare.trim();
    if bare.is_empty() && attribute == Attribute::Mail {
        return;
    }
    let Some((local, domain)) = address::parts(bare) else {
        report.find(Rule::Format, attribute, value, "it is not of the form name@domain");
        return;
    };
    if !address::is_local_part(local) {
        let why = format!("{local:?} is no name of a mailbox");
        report.find(Rule::LocalPart, attribute, value, why);
    }
    let verified = report.domains.is_some_and(|domains| {
        domains.verified.iter().any(|name| name.as_str().eq_ignore_ascii_case(domain))
    });
    if !address::is_domain(domain) {
        let why = format!("{domain:?} is no name of a domain");
        report.find(Rule::DomainPart, attribute, value, why);
    } else if !verified && !address::is_routable(domain) {
        let why = format!("no mail goes to {domain} from the Internet");
        report.find(Rule::TopLevelDomain, attribute, value, why);
    }
}
