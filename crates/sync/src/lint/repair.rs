//! What a value becomes when all that can be mended in it by itself is mended.

use super::characters::{is_invisible, is_refused};
use super::domains::Domains;
use super::subject::{Attribute, Subject};
use super::{address, fold, lengths, suffixes};

/// The mended value; `None` when nothing can be mended, or nothing is left of it.
pub(super) fn repair(
    subject: &Subject<'_>,
    attribute: Attribute,
    value: &str,
    domains: Option<&Domains>,
) -> Option<String> {
    if !attribute.is_mendable() {
        return None;
    }
    let clean = visible(value);
    let has_upn = subject.text(Attribute::UserPrincipalName).is_some();
    let mended = match attribute {
        Attribute::UserPrincipalName => principal(&clean, domains),
        Attribute::ProxyAddresses | Attribute::TargetAddress => typed_address(attribute, &clean),
        Attribute::Mail => keep(attribute, &clean),
        Attribute::MailNickname => {
            let name = keep(attribute, &clean);
            shortened(attribute, name.trim_matches('.'))
        }
        Attribute::SamAccountName if has_upn || !subject.kind.is_person() => clean,
        Attribute::SamAccountName => keep(attribute, &clean),
        _ => shortened(attribute, &clean),
    };
    (!mended.is_empty() && mended != value).then_some(mended)
}

/// Without what nobody sees, and without white space around it. A space that is none of the keyboard's
/// becomes one.
fn visible(value: &str) -> String {
    let seen = |c: char| match c {
        c if c.is_whitespace() => Some(' '),
        c if is_invisible(c) => None,
        c => Some(c),
    };
    value.chars().filter_map(seen).collect::<String>().trim().to_owned()
}

fn keep(attribute: Attribute, text: &str) -> String {
    text.chars().filter(|c| !is_refused(attribute, *c)).collect()
}

fn shortened(attribute: Attribute, text: &str) -> String {
    lengths::longest(attribute).map_or(text, |limit| lengths::cut(text, limit)).to_owned()
}

/// A user principal name: plain letters, no stray dots, and a suffix of the tenant's if there is one.
fn principal(upn: &str, domains: Option<&Domains>) -> String {
    let attribute = Attribute::UserPrincipalName;
    let plain = keep(attribute, &fold::ascii(upn));
    let Some((local, domain)) = address::parts(&plain) else { return plain };
    let local = lengths::cut(&without_stray_dots(local), lengths::UPN_LOCAL_MAX).to_owned();
    let domain = domains.and_then(|all| suffixes::instead(all, domain)).unwrap_or(domain);
    if local.is_empty() { String::new() } else { format!("{local}@{domain}") }
}

/// An address with its type. One of mail is mended, another only seen whole.
fn typed_address(attribute: Attribute, value: &str) -> String {
    let Some(bare) = address::mail(value) else { return value.to_owned() };
    let kind = &value[..value.len() - bare.len()];
    let clean = keep(attribute, bare);
    let mended = match address::parts(&clean) {
        Some((local, domain)) => format!("{}@{domain}", without_stray_dots(local)),
        None => clean,
    };
    if mended.is_empty() { String::new() } else { format!("{kind}{mended}") }
}

fn without_stray_dots(local: &str) -> String {
    let atoms: Vec<_> = local.split('.').filter(|atom| !atom.is_empty()).collect();
    atoms.join(".")
}
