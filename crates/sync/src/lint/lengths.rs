//! Lengths, in UTF-16 units as the directory and the tenant count them.

use super::address;
use super::report::Report;
use super::rule::Rule;
use super::subject::Attribute;

/// Of what stands before the @ of a UPN.
pub(super) const UPN_LOCAL_MAX: usize = 64;
/// Of what stands behind it.
const UPN_DOMAIN_MAX: usize = 48;
/// Of a UPN.
const UPN_MAX: usize = UPN_LOCAL_MAX + 1 /* @ */ + UPN_DOMAIN_MAX;
/// Of what stands before the @ of an address (RFC 5321 section 4.5.3.1.1).
const LOCAL_PART_MAX: usize = 64;

/// How long a value of an attribute may be.
pub(super) const fn longest(attribute: Attribute) -> Option<usize> {
    match attribute {
        Attribute::UserPrincipalName => Some(UPN_MAX),
        Attribute::SamAccountName => Some(20),
        Attribute::Mail | Attribute::TargetAddress | Attribute::DisplayName => Some(255),
        Attribute::ProxyAddresses => Some(256),
        Attribute::MailNickname | Attribute::GivenName | Attribute::Surname => Some(64),
        _ => None,
    }
}

pub(super) fn look(report: &mut Report<'_, '_>) {
    let subject = report.subject;
    let has_upn = subject.text(Attribute::UserPrincipalName).is_some();
    for attribute in Attribute::ALL.iter().copied() {
        let Some(limit) = longest(attribute) else { continue };
        // A group's account name is not its name in the tenant.
        if attribute == Attribute::SamAccountName && (has_upn || !subject.kind.is_person()) {
            continue;
        }
        for value in subject.texts(attribute) {
            if units(value) > limit {
                let why = format!("it has {} characters, and {limit} are taken", units(value));
                report.find(Rule::Length, attribute, value, why);
            } else if let Some(why) = part(attribute, value) {
                report.find(Rule::Length, attribute, value, why);
            }
        }
    }
}

/// What is wrong with the length of a part of a name or an address.
fn part(attribute: Attribute, value: &str) -> Option<String> {
    let (bare, local_max, domain_max) = match attribute {
        Attribute::UserPrincipalName => (value, UPN_LOCAL_MAX, UPN_DOMAIN_MAX),
        Attribute::Mail => (value, LOCAL_PART_MAX, usize::MAX),
        Attribute::ProxyAddresses | Attribute::TargetAddress => {
            (address::mail(value)?, LOCAL_PART_MAX, usize::MAX)
        }
        _ => return None,
    };
    let (local, domain) = address::parts(bare)?;
    let long = |part, place, limit| {
        let found = units(part);
        let why = format!("{found} characters stand {place} the @, and {limit} are taken");
        (found > limit).then_some(why)
    };
    long(local, "before", local_max).or_else(|| long(domain, "behind", domain_max))
}

pub(super) fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// As much of a text as fits.
pub(super) fn cut(text: &str, limit: usize) -> &str {
    let mut taken = 0;
    let end = text.char_indices().find(|(_, c)| {
        taken += c.len_utf16();
        taken > limit
    });
    end.map_or(text, |(at, _)| text.get(..at).unwrap_or(text)).trim_end()
}
