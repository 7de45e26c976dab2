//! Directory: distinguished names and their components.

use std::borrow::Cow;

use portolan_model::DistinguishedName;

use super::argument::{self, slice};
use crate::expression::error::Why;
use crate::expression::function::{Fault, Function, blame, number, reference, text, word};
use crate::expression::kinds::Kinds;
use crate::expression::value::{Scalar, Slot};

/// The group.
pub(super) const FUNCTIONS: &[Function] = &[
    Function::each(
        "DNComponent",
        &[reference("name"), number("number")],
        Kinds::TEXT,
        |slots, _| component(slots, false, false),
        "The value of the component with this number, from 1 at the left. It stands as in the name, \
         with what is escaped there; NULL when there are fewer.",
        &["DNComponent(CRef([dn]), 1)"],
    ),
    Function::each(
        "DNComponentRev",
        &[reference("name"), number("number"), word("option", &["DC"])],
        Kinds::TEXT,
        |slots, _| {
            let without_domain = slots[2].is_some();
            component(slots, true, without_domain)
        },
        "The value of the component with this number, from 1 at the right. With the option DC, \
         components of the domain do not count.",
        &["DNComponentRev(CRef([dn]), 3)", "DNComponentRev(CRef([dn]), 1, \"DC\")"],
    )
    .optional(1),
    Function::each(
        "EscapeDNComponent",
        &[text("component")],
        Kinds::TEXT,
        |slots, run| {
            let component = argument::text(&mut slots[0]);
            run.room(component.len().saturating_mul(3))?;
            let is_type = |name: &str| {
                !name.is_empty()
                    && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'.')
            };
            let (kind, value) = match component.split_once('=') {
                Some((kind, value)) if is_type(kind) => (Some(kind), value),
                _ => (None, &*component),
            };
            let mut escaped = kind.map(|kind| format!("{kind}=")).unwrap_or_default();
            escape(value, &mut escaped);
            Ok(Some(Scalar::text(escaped)))
        },
        "One component of a name, such as `cn=Smith, Zoë`, with what is special in its value escaped \
         ([RFC 4514](https://www.rfc-editor.org/rfc/rfc4514#section-2.4)).",
        &["EscapeDNComponent(\"cn=Smith, Zoë\") & \",\" & %Forest.LDAP%"],
    ),
];

fn component<'a>(
    slots: &mut [Slot<'a>],
    from_right: bool,
    without_domain: bool,
) -> Result<Slot<'a>, Fault> {
    let name = argument::text(&mut slots[0]);
    let number = argument::number(&slots[1]).unwrap_or(0);
    let before = usize::try_from(number.saturating_sub(1)).ok().filter(|_| number > 0);
    let Some(before) = before else { return Ok(None) };
    let wrong = |_| blame(0)(Why::form("distinguished name", &name));
    let parsed: DistinguishedName = name.parse().map_err(wrong)?;
    let mut at = 0;
    let mut values = Vec::new();
    for rdn in parsed.rdns() {
        let (kind, value) = rdn.split_once('=').unwrap_or(("", rdn));
        if !(without_domain && kind.trim().eq_ignore_ascii_case("dc")) {
            let start = at + rdn.len() - value.trim_start().len();
            values.push(start..start + value.trim_start().len());
        }
        at += rdn.len() + 1 /* comma */;
    }
    let wanted = if from_right { values.len().checked_sub(before + 1) } else { Some(before) };
    let range = wanted.and_then(|wanted| values.into_iter().nth(wanted));
    Ok(range.map(|range| Scalar::Text(slice(Cow::clone(&name), range))))
}

/// SPEC: RFC 4514 section 2.4.
fn escape(value: &str, escaped: &mut String) {
    let last = value.chars().count().saturating_sub(1);
    for (at, c) in value.chars().enumerate() {
        match c {
            '\0' => escaped.push_str("\\00"),
            // A line's end is legal in a name and lost where names stand in lines.
            '\r' => escaped.push_str("\\0D"),
            '\n' => escaped.push_str("\\0A"),
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' => escaped.extend(['\\', c]),
            '#' if at == 0 => escaped.push_str("\\#"),
            ' ' if at == 0 || at == last => escaped.push_str("\\ "),
            _ => escaped.push(c),
        }
    }
}
