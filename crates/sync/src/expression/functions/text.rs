//! Text. A character is a Unicode scalar value, and its case that which one character has: `ß` stays.

use std::borrow::Cow;

use portolan_model::Guid;

use super::argument::{self, octet_of, slice};
use crate::expression::error::Why;
use crate::expression::evaluate::Run;
use crate::expression::function::{Fault, Function, blame, number, text, word};
use crate::expression::kinds::Kinds;
use crate::expression::value::{Scalar, Slot};

const COMPARE: &[&str] = &["vbBinaryCompare", "vbTextCompare"];

/// The group.
pub(super) const FUNCTIONS: &[Function] = &[
    Function::each(
        "GUID",
        &[],
        Kinds::TEXT,
        |_, run| {
            let (high, low) = (run.random().to_be_bytes(), run.random().to_be_bytes());
            let mut octets = [0; 16];
            octets[..8].copy_from_slice(&high);
            octets[8..].copy_from_slice(&low);
            Ok(Some(Scalar::text(Guid::from_random(octets).to_string())))
        },
        "A new random GUID as a text. It is another at every evaluation: use it in flows that apply \
         once.",
        &["GUID()"],
    )
    .changing(),
    Function::each(
        "InStr",
        &[text("text").or_null(), text("sought"), number("start"), word("compare", COMPARE)],
        Kinds::NUMBER,
        |slots, run| find(slots, false, run),
        "The place, from 1, where the sought text first stands, at or after the start; 0 when it \
         does not. With vbTextCompare case does not count.",
        &["InStr(\"The quick brown fox\", \"quick\")", "InStr(\"repEated\", \"e\", 3, vbBinaryCompare)"],
    )
    .optional(2),
    Function::each(
        "InStrRev",
        &[text("text").or_null(), text("sought"), number("start"), word("compare", COMPARE)],
        Kinds::NUMBER,
        |slots, run| find(slots, true, run),
        "The place, from 1, where the sought text last stands, ending at or before the start; 0 when \
         it does not. With vbTextCompare case does not count.",
        &["InStrRev(\"abbcdbbbef\", \"bb\")"],
    )
    .optional(2),
    Function::each(
        "LCase",
        &[text("text")],
        Kinds::TEXT,
        |slots, run| map_case(slots, char::is_lowercase, lower, run),
        "The text in lower case.",
        &["LCase(\"TeSt\")"],
    ),
    Function::each(
        "Left",
        &[text("text").or_null(), number("count")],
        Kinds::TEXT,
        |slots, _| {
            let text = argument::text(&mut slots[0]);
            let end = match usize::try_from(argument::number(&slots[1]).unwrap_or(0)) {
                Ok(count) => octet_of(&text, count),
                Err(_) => text.len(),
            };
            Ok(Some(Scalar::Text(slice(text, 0..end))))
        },
        "So many characters from the left. A negative count gives the whole text, NULL an empty one.",
        &["Left(\"John Doe\", 3)"],
    ),
    Function::each(
        "Len",
        &[text("text").or_null()],
        Kinds::NUMBER,
        |slots, _| Ok(Some(count(argument::text(&mut slots[0]).chars().count()))),
        "How many characters the text has.",
        &["Len(\"John Doe\")"],
    ),
    Function::each(
        "LTrim",
        &[text("text")],
        Kinds::TEXT,
        |slots, _| Ok(trim(slots, true, false)),
        "The text without white space at its beginning.",
        &["LTrim(\" Test \")"],
    ),
    Function::each(
        "Mid",
        &[text("text").or_null(), number("start"), number("count")],
        Kinds::TEXT,
        |slots, _| Ok(Some(Scalar::Text(middle(slots)))),
        "So many characters from a place on, which counts from 1; all of them without a count. A \
         start outside of the text, or a negative count, gives the whole text; NULL gives an empty \
         one.",
        &["Mid(\"John Doe\", 3, 5)", "Mid(\"John Doe\", 6, 999)"],
    )
    .optional(1),
    Function::each(
        "PadLeft",
        &[text("text").or_null(), number("length"), text("character").or_null()],
        Kinds::TEXT,
        |slots, run| pad(slots, true, run),
        "The text with the character put before it until it has the length.",
        &["PadLeft(\"User\", 10, \"0\")"],
    ),
    Function::each(
        "PadRight",
        &[text("text").or_null(), number("length"), text("character").or_null()],
        Kinds::TEXT,
        |slots, run| pad(slots, false, run),
        "The text with the character put after it until it has the length.",
        &["PadRight(\"User\", 10, \"0\")"],
    ),
    Function::each(
        "PCase",
        &[text("text")],
        Kinds::TEXT,
        |slots, run| {
            let text = argument::text(&mut slots[0]);
            run.room(text.len())?;
            let mut begins = true;
            let cased = text.chars().map(|c| {
                let begun = std::mem::replace(&mut begins, c == ' ');
                if begun { upper(c) } else { lower(c) }
            });
            Ok(Some(Scalar::text(cased.collect::<String>())))
        },
        "The text with the first letter of every word in upper case and all others in lower case. \
         Words are what spaces separate.",
        &["PCase(\"TEsT\")", "PCase(\"mary o'neil-smith\")"],
    ),
    Function::each(
        "Replace",
        &[text("text"), text("old"), text("new")],
        Kinds::TEXT,
        replace,
        "The text with every occurrence of one text replaced by another. In both, `\\n` is a new \
         line, `\\r` a carriage return and `\\t` a tabulator.",
        &["Replace([streetAddress], \"\\r\\n\", \", \")"],
    ),
    Function::each(
        "ReplaceChars",
        &[text("text"), text("pattern")],
        Kinds::TEXT,
        replace_characters,
        "The text with single characters replaced as the pattern says: `source:target` pairs with \
         commas between them. A source is one character, a target any text, or nothing. Commas and \
         colons cannot be replaced; white space in the pattern does not count.",
        &["ReplaceChars(\"Räksmörgås\", \"å:a,ä:a,ö:o\")", "ReplaceChars(\"O’Neil\", \"’:\")"],
    ),
    Function::each(
        "Right",
        &[text("text").or_null(), number("count")],
        Kinds::TEXT,
        |slots, _| {
            let text = argument::text(&mut slots[0]);
            let start = match usize::try_from(argument::number(&slots[1]).unwrap_or(0)) {
                Ok(count) => {
                    let before = text.chars().count().saturating_sub(count);
                    octet_of(&text, before)
                }
                Err(_) => 0,
            };
            let end = text.len();
            Ok(Some(Scalar::Text(slice(text, start..end))))
        },
        "So many characters from the right. A negative count gives the whole text, NULL an empty one.",
        &["Right(\"John Doe\", 3)"],
    ),
    Function::each(
        "RTrim",
        &[text("text")],
        Kinds::TEXT,
        |slots, _| Ok(trim(slots, false, true)),
        "The text without white space at its end.",
        &["RTrim(\" Test \")"],
    ),
    Function::each(
        "Trim",
        &[text("text")],
        Kinds::TEXT,
        |slots, _| Ok(trim(slots, true, true)),
        "The text without white space at its beginning and its end.",
        &["Trim(\" Test \")"],
    ),
    Function::each(
        "UCase",
        &[text("text")],
        Kinds::TEXT,
        |slots, run| map_case(slots, char::is_uppercase, upper, run),
        "The text in upper case.",
        &["UCase(\"TeSt\")"],
    ),
    Function::each(
        "Word",
        &[text("text").or_null(), number("number"), text("delimiters")],
        Kinds::TEXT,
        |slots, _| {
            let text = argument::text(&mut slots[0]);
            let wanted = argument::number(&slots[1]).unwrap_or(0);
            let delimiters = argument::text(&mut slots[2]);
            let range = word_range(&text, wanted, &delimiters);
            Ok(Some(Scalar::Text(slice(text, range))))
        },
        "The word with this number, from 1; an empty text when there are fewer. Words are what any \
         of the delimiters separate, one or several of them.",
        &["Word(\"The quick brown fox\", 3, \" \")", "Word([userPrincipalName], 1, \"@\")"],
    ),
];

fn count<'a>(count: usize) -> Scalar<'a> {
    Scalar::Integer(i64::try_from(count).unwrap_or(i64::MAX))
}

/// The lower case of a character, where that is one character.
fn lower(c: char) -> char {
    only(c.to_lowercase()).unwrap_or(c)
}

/// The upper case of a character, where that is one character.
fn upper(c: char) -> char {
    only(c.to_uppercase()).unwrap_or(c)
}

fn only(mut characters: impl Iterator<Item = char>) -> Option<char> {
    characters.next().filter(|_| characters.next().is_none())
}

/// The text with every character mapped; the same text where all letters are so already.
fn map_case<'a>(
    slots: &mut [Slot<'a>],
    is_so: fn(char) -> bool,
    map: fn(char) -> char,
    run: &Run<'_, 'a>,
) -> Result<Slot<'a>, Fault> {
    let text = argument::text(&mut slots[0]);
    if text.chars().all(|c| is_so(c) || !c.is_alphabetic() && c.is_ascii()) {
        return Ok(Some(Scalar::Text(text)));
    }
    run.room(text.len())?;
    Ok(Some(Scalar::text(text.chars().map(map).collect::<String>())))
}

fn trim<'a>(slots: &mut [Slot<'a>], start: bool, end: bool) -> Slot<'a> {
    let text = argument::text(&mut slots[0]);
    let from = if start { text.len() - text.trim_start().len() } else { 0 };
    let to = if end { text.trim_end().len().max(from) } else { text.len() };
    Some(Scalar::Text(slice(text, from..to)))
}

fn middle<'a>(slots: &mut [Slot<'a>]) -> Cow<'a, str> {
    let text = argument::text(&mut slots[0]);
    let start = argument::number(&slots[1]).unwrap_or(0);
    let wanted = argument::number(&slots[2]).unwrap_or(i64::MAX);
    if wanted == 0 {
        return Cow::Borrowed("");
    }
    let (Ok(before), Ok(wanted)) =
        (usize::try_from(start.saturating_sub(1)), usize::try_from(wanted))
    else {
        return text;
    };
    let from = octet_of(&text, before);
    if start < 1 || from == text.len() {
        return text;
    }
    let to = from + octet_of(&text[from..], wanted);
    slice(text, from..to)
}

fn pad<'a>(slots: &mut [Slot<'a>], left: bool, run: &Run<'_, 'a>) -> Result<Slot<'a>, Fault> {
    let text = argument::text(&mut slots[0]);
    let character = argument::text(&mut slots[2]);
    let one = only(character.chars());
    let one = one.ok_or_else(|| blame(2)(Why::form("single character", &character)))?;
    let length = usize::try_from(argument::number(&slots[1]).unwrap_or(0)).unwrap_or(0);
    let missing = length.saturating_sub(text.chars().count());
    // SPEC: of NULL, and whatever the length, an empty text comes of it.
    if missing == 0 || text.is_empty() {
        return Ok(Some(Scalar::Text(text)));
    }
    run.room(missing.saturating_mul(one.len_utf8()).saturating_add(text.len()))?;
    let filling = std::iter::repeat_n(one, missing);
    let padded: String = match left {
        true => filling.chain(text.chars()).collect(),
        false => text.chars().chain(filling).collect(),
    };
    Ok(Some(Scalar::text(padded)))
}

/// Where the sought text stands, first or last.
fn find<'a>(slots: &mut [Slot<'a>], last: bool, run: &Run<'_, 'a>) -> Result<Slot<'a>, Fault> {
    let mut text = argument::text(&mut slots[0]);
    let mut sought = argument::text(&mut slots[1]);
    let start = argument::number(&slots[2]);
    if argument::text(&mut slots[3]) == "vbTextCompare" {
        run.room(text.len() + sought.len())?;
        text = text.chars().map(lower).collect::<String>().into();
        sought = sought.chars().map(lower).collect::<String>().into();
    }
    let default = if last { i64::MAX } else { 1 };
    let start = start.unwrap_or(default);
    let range_error = || Why::Range { number: start, from: 1, to: i64::MAX };
    let start = usize::try_from(start).ok().filter(|start| *start > 0);
    let start = start.ok_or_else(|| blame(2)(range_error()))?;
    let found = if last {
        text[..octet_of(&text, start)].rfind(&*sought)
    } else {
        let from = octet_of(&text, start - 1);
        text[from..].find(&*sought).map(|at| from + at)
    };
    let place = found.filter(|_| !text.is_empty()).map(|at| text[..at].chars().count() + 1);
    Ok(Some(count(place.unwrap_or(0))))
}

fn replace<'a>(slots: &mut [Slot<'a>], run: &Run<'_, 'a>) -> Result<Slot<'a>, Fault> {
    let text = argument::text(&mut slots[0]);
    let old = unescape(argument::text(&mut slots[1]));
    let new = unescape(argument::text(&mut slots[2]));
    let times = if old.is_empty() { 0 } else { text.matches(&*old).count() };
    if times == 0 {
        return Ok(Some(Scalar::Text(text)));
    }
    let grown = times.saturating_mul(new.len());
    run.room((text.len() - times * old.len()).saturating_add(grown))?;
    Ok(Some(Scalar::text(text.replace(&*old, &new))))
}

/// The monikers of Replace as the characters that they stand for.
fn unescape(text: Cow<'_, str>) -> Cow<'_, str> {
    if !text.contains('\\') {
        return text;
    }
    text.replace("\\n", "\n").replace("\\r", "\r").replace("\\t", "\t").into()
}

fn replace_characters<'a>(slots: &mut [Slot<'a>], run: &Run<'_, 'a>) -> Result<Slot<'a>, Fault> {
    let text = argument::text(&mut slots[0]);
    let pattern = argument::text(&mut slots[1]);
    let pairs = character_pairs(&pattern).map_err(blame(1))?;
    let target = |c: char| pairs.iter().find(|(source, _)| *source == c).map(|(_, to)| to);
    if !text.chars().any(|c| target(c).is_some()) {
        return Ok(Some(Scalar::Text(text)));
    }
    let size = |c: char| target(c).map_or(c.len_utf8(), String::len);
    run.room(text.chars().map(size).fold(0, usize::saturating_add))?;
    let mut replaced = String::with_capacity(text.len());
    for c in text.chars() {
        match target(c) {
            Some(to) => replaced.push_str(to),
            None => replaced.push(c),
        }
    }
    Ok(Some(Scalar::text(replaced)))
}

/// Pairs of characters that a pattern may have.
const PAIRS_MAX: usize = 1_024;

/// The pairs of a pattern. The published reference separates the last pair by a comma instead of a
/// colon: two items without a colon are a pair too.
fn character_pairs(pattern: &str) -> Result<Vec<(char, String)>, Why> {
    let wrong = || Why::form("list of pairs such as ä:a,ö:o", pattern);
    let mut pairs = Vec::new();
    let mut items = pattern.split(',');
    while let Some(item) = items.next() {
        let clean = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        let (source, target) = match item.split_once(':') {
            Some((source, target)) => (clean(source), clean(target)),
            None if clean(item).is_empty() => continue,
            None => (clean(item), clean(items.next().ok_or_else(wrong)?)),
        };
        let source = only(source.chars()).ok_or_else(wrong)?;
        if target.contains(':') || pairs.len() == PAIRS_MAX {
            return Err(wrong());
        }
        pairs.push((source, target));
    }
    Ok(pairs)
}

/// Where the word with a number stands; nowhere when there are fewer.
fn word_range(text: &str, wanted: i64, delimiters: &str) -> std::ops::Range<usize> {
    let Ok(before) = usize::try_from(wanted.saturating_sub(1)) else { return 0..0 };
    let words = text.split(|c| delimiters.contains(c)).filter(|word| !word.is_empty());
    match words.skip(before).next() {
        Some(word) => {
            let start = word.as_ptr().addr() - text.as_ptr().addr();
            start..start + word.len()
        }
        None => 0..0,
    }
}
