//! Multi-valued: functions over all values of an attribute. Values count from 1, in the order in which
//! a record holds them: ascending.

use std::borrow::Cow;
use std::collections::HashSet;

use super::argument::{self, slice};
use crate::expression::RESULT_OCTETS_MAX;
use crate::expression::error::Why;
use crate::expression::evaluate::Run;
use crate::expression::function::{
    Fault, Function, Returns, blame, number, text, texts, values, word,
};
use crate::expression::kinds::Kinds;
use crate::expression::value::{Operand, Scalar};

/// The group.
pub(super) const FUNCTIONS: &[Function] = &[
    Function::whole(
        "Contains",
        &[texts("values"), text("sought"), word("case", &["CaseSensitive", "CaseInsensitive"])],
        Returns::One(Kinds::NUMBER),
        contains,
        "The number of the first value that has the sought text in it, 0 when none has. A reference \
         has to be it as a whole. With CaseInsensitive case does not count.",
        &["Contains([proxyAddresses], \"SMTP:\")", "Contains([proxyAddresses], \"x400:\")"],
    )
    .optional(1),
    Function::whole(
        "Count",
        &[values("values")],
        Returns::One(Kinds::NUMBER),
        |operands, _| Ok(Operand::One(counted(operands[0].values().count()))),
        "How many values there are.",
        &["Count([proxyAddresses])", "Count([absent])"],
    ),
    Function::whole(
        "Item",
        &[values("values"), number("number")],
        Returns::ItemOfFirst,
        |operands, _| {
            let count = i64::try_from(operands[0].values().count()).unwrap_or(i64::MAX);
            let number = wanted(operands)?;
            let range = Why::Range { number, from: 1, to: count };
            item(operands, number).map(Operand::One).ok_or_else(|| blame(1)(range))
        },
        "The value with this number; an error when there is none.",
        &["Item([proxyAddresses], 1)", "Item([proxyAddresses], 4)"],
    ),
    Function::whole(
        "ItemOrNull",
        &[values("values"), number("number")],
        Returns::ItemOfFirst,
        |operands, _| {
            let number = wanted(operands)?;
            Ok(item(operands, number).into())
        },
        "The value with this number, NULL when there is none.",
        &["ItemOrNull([proxyAddresses], 1)", "ItemOrNull([proxyAddresses], 4)"],
    ),
    Function::whole(
        "Join",
        &[texts("values"), text("delimiter")],
        Returns::One(Kinds::TEXT),
        join,
        "One text of all values, with the delimiter between them; without one, a space.",
        &["Join([proxyAddresses], \",\")", "Join(Split(\"a b\", \" \"), \"\")"],
    )
    .optional(1),
    Function::whole(
        "RemoveDuplicates",
        &[values("values")],
        Returns::ValuesOfFirst,
        |operands, _| {
            let mut values = std::mem::take(&mut operands[0]).into_values();
            let mut seen = HashSet::with_capacity(values.len());
            let firsts: Vec<bool> = values.iter().map(|value| seen.insert(value)).collect();
            let mut firsts = firsts.into_iter();
            values.retain(|_| firsts.next().unwrap_or(true));
            Ok(Operand::from_values(values))
        },
        "The values, each once. Texts that differ in case are not the same.",
        &["RemoveDuplicates(Split(\"a,b,a\", \",\"))"],
    ),
    Function::whole(
        "Split",
        &[text("text"), text("delimiter"), number("limit")],
        Returns::Many(Kinds::TEXT),
        split,
        "The parts of a text between delimiters, which are one character. With a limit at most so \
         many; the last one has all the rest.",
        &[
            "Split(\"SMTP:john.doe@corp.example,smtp:jd@corp.example\", \",\")",
            "Split(\"a,b,c\", \",\", 2)",
        ],
    )
    .optional(1),
];

fn counted<'a>(count: usize) -> Scalar<'a> {
    Scalar::Integer(i64::try_from(count).unwrap_or(i64::MAX))
}

/// The text of a parameter that takes one; empty when it was left out.
fn one_text<'a>(operand: &mut Operand<'a>) -> Result<Cow<'a, str>, Why> {
    Ok(argument::text(&mut std::mem::take(operand).into_slot()?))
}

/// The number of a parameter that takes one.
fn one_number(operand: &mut Operand<'_>) -> Result<Option<i64>, Why> {
    Ok(argument::number(&std::mem::take(operand).into_slot()?))
}

fn wanted(operands: &mut [Operand<'_>]) -> Result<i64, Fault> {
    Ok(one_number(&mut operands[1]).map_err(blame(1))?.unwrap_or(0))
}

fn item<'a>(operands: &mut [Operand<'a>], number: i64) -> Option<Scalar<'a>> {
    let before = usize::try_from(number.checked_sub(1)?).ok()?;
    std::mem::take(&mut operands[0]).into_values().into_iter().nth(before)
}

fn contains<'a>(operands: &mut [Operand<'a>], run: &Run<'_, 'a>) -> Result<Operand<'a>, Fault> {
    let sought = one_text(&mut operands[1]).map_err(blame(1))?;
    let folds = one_text(&mut operands[2]).map_err(blame(2))? == "CaseInsensitive";
    let folded = |text: &str| -> Result<String, Why> {
        run.room(text.len())?;
        Ok(text.to_lowercase())
    };
    let lower = folded(&sought)?;
    let mut found = 0;
    for (at, value) in operands[0].values().enumerate() {
        let holds = match value {
            Scalar::Text(text) if folds => folded(text)?.contains(&lower),
            Scalar::Text(text) => text.contains(&*sought),
            Scalar::Reference(name) if folds => folded(name)? == lower,
            Scalar::Reference(name) => *name == sought,
            _ => false,
        };
        if holds {
            found = at + 1;
            break;
        }
    }
    Ok(Operand::One(counted(found)))
}

fn join<'a>(operands: &mut [Operand<'a>], run: &Run<'_, 'a>) -> Result<Operand<'a>, Fault> {
    let delimiter = match std::mem::take(&mut operands[1]) {
        Operand::Null => " ".into(),
        mut given => one_text(&mut given).map_err(blame(1))?,
    };
    let mut joined: Option<String> = None;
    for value in operands[0].values() {
        let (Scalar::Text(text) | Scalar::Reference(text)) = value else { continue };
        match &mut joined {
            None => {
                run.room(text.len())?;
                joined = Some(text.clone().into_owned());
            }
            Some(joined) => {
                let more = delimiter.len() + text.len();
                run.room(more)?;
                if joined.len() + more > RESULT_OCTETS_MAX {
                    return Err(Why::TooLarge.into());
                }
                joined.push_str(&delimiter);
                joined.push_str(text);
            }
        }
    }
    Ok(joined.map(Scalar::text).into())
}

fn split<'a>(operands: &mut [Operand<'a>], run: &Run<'_, 'a>) -> Result<Operand<'a>, Fault> {
    let delimiter = one_text(&mut operands[1]).map_err(blame(1))?;
    let mut characters = delimiter.chars();
    let (Some(separator), None) = (characters.next(), characters.next()) else {
        return Err(blame(1)(Why::form("single character", &delimiter)));
    };
    let limit = match one_number(&mut operands[2]).map_err(blame(2))? {
        None => usize::MAX,
        Some(number) => match usize::try_from(number) {
            Ok(limit) if limit > 0 => limit,
            _ => return Err(blame(2)(Why::Range { number, from: 1, to: i64::MAX })),
        },
    };
    let mut parts = Vec::new();
    for value in std::mem::take(&mut operands[0]).into_values() {
        let text = argument::text(&mut Some(value));
        run.room_for_values(parts.len() + text.matches(separator).take(limit).count() + 1)?;
        run.room(if matches!(text, Cow::Owned(_)) { text.len() } else { 0 })?;
        let mut at = 0;
        for part in text.splitn(limit, separator) {
            let range = at..at + part.len();
            let part = match &text {
                Cow::Borrowed(text) => slice((*text).into(), range),
                Cow::Owned(_) => part.to_owned().into(),
            };
            at += part.len() + separator.len_utf8();
            parts.push(Scalar::Text(part));
        }
    }
    Ok(Operand::from_values(parts))
}
