//! Characters that are refused, by attribute: what the retired IdFix documented, and what nobody sees.

use super::address;
use super::report::Report;
use super::rule::Rule;
use super::subject::Attribute;

/// Of a user principal name, besides white space and letters with marks.
const UPN: &str = "\\%&*+/=?{}|<>();:,[]\"";
/// Of a mail nickname, besides white space.
const NICKNAME: &str = "\\!#$%&*+/=?^`{}|~<>()';:,[]\"@";
/// Of a proxy address of mail, besides white space.
const PROXY: &str = "<>();,[]\"";
/// Of a target address of mail, besides white space.
const TARGET: &str = "\\<>();,[]\"";
/// Of an account name, which is looked at where it makes the UPN.
const ACCOUNT: &str = "[\\\"|,/:<>+=;?*]";

pub(super) fn look(report: &mut Report<'_, '_>) {
    let subject = report.subject;
    for attribute in Attribute::ALL.iter().copied().filter(|attribute| attribute.is_mendable()) {
        for octets in subject.octets(attribute) {
            match std::str::from_utf8(octets) {
                Ok(text) => text_of(report, attribute, text),
                Err(_) => {
                    let shown = String::from_utf8_lossy(octets);
                    report.find(Rule::NotText, attribute, &shown, "the octets are no UTF-8");
                }
            }
        }
    }
}

fn text_of(report: &mut Report<'_, '_>, attribute: Attribute, text: &str) {
    let unseen: Vec<_> = text.chars().filter(|c| is_invisible(*c)).collect();
    if !unseen.is_empty() {
        let why = format!("{} stands in it", code_points(&unseen));
        report.find(Rule::Invisible, attribute, text, why);
    }
    if text.trim() != text && !text.trim().is_empty() {
        let why = "white space stands before or behind it";
        report.find(Rule::WhiteSpace, attribute, text, why);
    }
    let has_upn = report.subject.text(Attribute::UserPrincipalName).is_some();
    if attribute == Attribute::SamAccountName && (has_upn || !report.subject.kind.is_person()) {
        return;
    }
    let refused: Vec<_> = checked(attribute, text)
        .trim()
        .chars()
        .filter(|c| is_refused(attribute, *c) && !is_invisible(*c))
        .collect();
    if !refused.is_empty() {
        let why = format!("{} is refused in it", code_points(&refused));
        report.find(Rule::Character, attribute, text, why);
    }
}

/// What of a value is checked: of addresses those of mail alone, and of a UPN not the @ of its form.
fn checked(attribute: Attribute, text: &str) -> &str {
    match attribute {
        Attribute::ProxyAddresses | Attribute::TargetAddress => {
            address::mail(text).unwrap_or_default()
        }
        _ => text,
    }
}

/// Whether a character is refused in an attribute.
pub(super) fn is_refused(attribute: Attribute, c: char) -> bool {
    match attribute {
        Attribute::UserPrincipalName => c.is_whitespace() || UPN.contains(c) || !c.is_ascii(),
        Attribute::MailNickname => c.is_whitespace() || NICKNAME.contains(c),
        Attribute::ProxyAddresses => c.is_whitespace() || PROXY.contains(c),
        Attribute::TargetAddress => c.is_whitespace() || TARGET.contains(c),
        Attribute::SamAccountName => ACCOUNT.contains(c),
        Attribute::Mail => c.is_whitespace(),
        _ => false,
    }
}

/// Whether nobody sees a character: controls, marks of direction and of joining, fillers and tags, and
/// spaces that are none of the keyboard's.
pub(super) fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{a0}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}'
            | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{2000}'..='\u{200f}'
            | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Characters as a person can look them up, each once.
fn code_points(characters: &[char]) -> String {
    let mut each = characters.to_vec();
    each.sort_unstable();
    each.dedup();
    let shown = |c: &char| match c {
        ' ' => "a space (U+0020)".to_owned(),
        c if c.is_ascii_graphic() => (*c).to_string(),
        c => format!("U+{:04X}", *c as u32),
    };
    each.iter().take(CHARACTERS_SHOWN_MAX).map(shown).collect::<Vec<_>>().join(" ")
}

/// Characters that a finding names.
const CHARACTERS_SHOWN_MAX: usize = 8;
