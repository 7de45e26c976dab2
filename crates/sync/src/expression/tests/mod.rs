//! The language held against its published reference, naive definitions and hostile texts.

mod hostile;
mod mistakes;
mod properties;
mod published;
mod semantics;

use std::cell::Cell;

use portolan_model::Hint as _;
use time::OffsetDateTime;
use time::macros::datetime;

use super::page::show_outcome;
use super::*;
use crate::record::{Record, ValueRef};

const NOW: OffsetDateTime = datetime!(2030-01-01 12:00 UTC);

/// Attributes with their values.
type Attributes<'a> = &'a [(&'a str, &'a [ValueRef<'a>])];

const fn t(text: &str) -> ValueRef<'_> {
    ValueRef::Text(text)
}

const fn n<'a>(number: i64) -> ValueRef<'a> {
    ValueRef::Integer(number)
}

/// What an expression comes to, in words; of a text that is none, what is said of it.
fn come_to(
    text: &str,
    attributes: Attributes<'_>,
    say: impl FnOnce(Result<Outcome<'_>, EvaluationError>) -> String,
) -> String {
    let mut dictionary = Dictionary::default();
    let expression = match Expression::compile(text, &mut dictionary) {
        Ok(expression) => expression,
        Err(error) => {
            let hint = error.hint().map(|hint| format!("\n  hint: {hint}"));
            return format!("{}{}", error.show(text), hint.unwrap_or_default());
        }
    };
    let values = |values: &[ValueRef<'_>]| values.iter().map(|value| value.to_value()).collect();
    let record: Record = attributes
        .iter()
        .map(|(name, found)| (if *name == "dn" { "distinguishedName" } else { name }, found))
        .map(|(name, found)| (dictionary.intern(name).unwrap(), values(found)))
        .collect();
    let parameters: Parameters = [
        ("Forest.LDAP", "DC=contoso,DC=com"),
        ("Domain.Netbios", "CONTOSO"),
        ("Domain.FQDN", "contoso.com"),
        ("ReplaceString", "’:,Å:A,Ä:A,Ö:O,å:a,ä:a,ö,o"),
    ]
    .into_iter()
    .collect();
    let random = Cell::new(7);
    let context = Context {
        source: &record,
        imported: Some(&record),
        parameters: &parameters,
        now: NOW,
        random: &random,
    };
    say(expression.evaluate(&context))
}

/// What an expression comes to, in the page's form; an error by its text.
fn evaluated(text: &str, attributes: Attributes<'_>) -> String {
    come_to(text, attributes, |result| match result {
        Ok(outcome) => show_outcome(&outcome),
        Err(error) => format!("error: {error}"),
    })
}

/// What to do about an error that an expression comes to.
fn hint(text: &str, attributes: Attributes<'_>) -> String {
    come_to(text, attributes, |result| result.unwrap_err().hint().unwrap_or_default())
}

/// Holds an expression over attributes against what it has to come to.
#[track_caller]
fn check(text: &str, attributes: Attributes<'_>, expected: &str) {
    assert_eq!(evaluated(text, attributes), expected, "{text} of {attributes:?}");
}
