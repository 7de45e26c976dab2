use std::cell::Cell;

use super::*;
use crate::record::{Record, Value};

/// Evaluates a text over attributes.
fn outcome(text: &str, attributes: &[(&str, &[Value])]) -> Result<Vec<Value>, String> {
    let mut dictionary = Dictionary::default();
    let expression =
        Expression::compile(text, &mut dictionary).map_err(|error| error.show(text).to_string())?;
    let record: Record = attributes
        .iter()
        .map(|(name, values)| (dictionary.intern(name).unwrap(), values.to_vec()))
        .collect();
    let parameters = Parameters::default();
    let random = Cell::new(0);
    let context = Context {
        source: &record,
        imported: None,
        parameters: &parameters,
        now: OffsetDateTime::UNIX_EPOCH,
        random: &random,
    };
    let outcome = expression.evaluate(&context).map_err(|error| error.to_string())?;
    Ok(outcome.values().cloned().map(Value::from).collect())
}

#[test]
fn a_name_is_trimmed_or_the_common_name_stands_in() {
    let text = |text: &str| Value::Text(text.to_owned());
    let rule = "IIF(IsNullOrEmpty([displayName]),[cn],Trim([displayName]))";
    let zoe = outcome(rule, &[("cn", &[text("zoe")]), ("displayName", &[text(" Zoë ")])]);
    assert_eq!(zoe, Ok(vec![text("Zoë")]));
    assert_eq!(outcome(rule, &[("cn", &[text("zoe")])]), Ok(vec![text("zoe")]));
}
