//! The reference page of the language, made of the functions' tables. What an example comes to is
//! computed, over one object.

use std::cell::Cell;
use std::fmt::Write as _;

use time::OffsetDateTime;

use super::function::{Body, Form, Function, Returns};
use super::functions::GROUPS;
use super::kinds::Kinds;
use super::value::{Datum, Outcome};
use super::{
    Context, DEPTH_MAX, Expression, PARTS_MAX, Parameters, RESULT_OCTETS_MAX, STEPS_MAX,
    TEXT_OCTETS_MAX, VALUES_MAX,
};
use crate::dictionary::Dictionary;
use crate::record::{Record, Value, ValueRef};

/// The object of the examples, with the octets of its binary attributes apart.
const EXAMPLE: &[(&str, &[ValueRef<'static>])] = &[
    ("cn", &[ValueRef::Text("Zoë Smith")]),
    ("displayName", &[ValueRef::Text(" Zoë Smith ")]),
    ("distinguishedName", &[ValueRef::Text("CN=Zoë Smith,OU=Staff,OU=Berlin,DC=corp,DC=example")]),
    ("employeeNumber", &[ValueRef::Text("4711")]),
    ("employeeType", &[ValueRef::Text("Intern")]),
    ("l", &[ValueRef::Text("London")]),
    ("mailNickname", &[ValueRef::Text("zoe")]),
    ("objectGUID", &[ValueRef::Octets(&GUID)]),
    ("objectSid", &[ValueRef::Octets(&SID)]),
    ("otherTelephone", &[ValueRef::Text("030-1234"), ValueRef::Text("030-5678")]),
    (
        "proxyAddresses",
        &[
            ValueRef::Text("SIP:zoe@corp.example"),
            ValueRef::Text("SMTP:zoe@corp.example"),
            ValueRef::Text("smtp:z.smith@corp.example"),
        ],
    ),
    ("pwdLastSet", &[ValueRef::Integer(130_543_784_930_000_000)]),
    ("streetAddress", &[ValueRef::Text("1 Main Street\r\nLondon")]),
    ("userAccountControl", &[ValueRef::Integer(514)]),
    ("userCertificate", &[ValueRef::Octets(include_bytes!("example.der"))]),
    ("userPrincipalName", &[ValueRef::Text("zoe@corp.example")]),
];

const GUID: [u8; 16] = [
    0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
];
const SID: [u8; 16] = [1, 2, 0, 0, 0, 0, 0, 5, 0x20, 0, 0, 0, 0x20, 2, 0, 0];
/// The time of the examples.
const NOW: OffsetDateTime = time::macros::datetime!(2030-01-01 12:00 UTC);
/// Octets of a value that the page shows.
const SHOWN_OCTETS_MAX: usize = 16;

/// The page.
#[must_use]
pub fn page() -> String {
    let mut page = format!(
        include_str!("page.md"),
        text_octets = TEXT_OCTETS_MAX,
        depth = DEPTH_MAX,
        parts = PARTS_MAX,
        values = VALUES_MAX,
        result_octets = RESULT_OCTETS_MAX,
        steps = STEPS_MAX,
        example = example_table(),
    );
    // Writing to a String does not fail.
    for group in GROUPS {
        let _ = writeln!(page, "\n## {}", group.title);
        for function in group.functions {
            let _ = writeln!(page, "\n### {}\n", function.name);
            let _ = writeln!(page, "`{}`\n\n{}\n", signature(function), function.summary);
            for example in function.examples {
                let result = match function.changing {
                    true => "(another every time)".to_owned(),
                    false => format!("`{}`", evaluate(example)),
                };
                let _ = writeln!(page, "- `{example}`: {result}");
            }
        }
    }
    page
}

fn example_table() -> String {
    let mut table = "| attribute | values |\n|---|---|\n".to_owned();
    for (name, values) in EXAMPLE {
        let values: Vec<_> = values.iter().map(|value| format!("`{}`", show(*value))).collect();
        let _ = writeln!(table, "| `{name}` | {} |", values.join(", "));
    }
    table
}

/// A function with its parameters, as the published reference writes them.
fn signature(function: &Function) -> String {
    let word = |kinds: Kinds| match kinds {
        Kinds::TEXT => "str",
        Kinds::NUMBER => "num",
        Kinds::BOOLEAN => "bool",
        Kinds::OCTETS => "bin",
        Kinds::TIME => "dt",
        Kinds::REFERENCE => "ref",
        Kinds::NONE => "void",
        _ => "var",
    };
    let result = match function.result {
        Returns::One(kinds) => word(kinds).to_owned(),
        Returns::Many(kinds) => format!("mv{}", word(kinds)),
        Returns::ItemOfFirst => "var".to_owned(),
        Returns::ValuesOfFirst => "mvattr".to_owned(),
        Returns::Any => "var".to_owned(),
    };
    let needed = function.parameters.len() - function.optional;
    let mut parameters = String::new();
    for (at, parameter) in function.parameters.iter().enumerate() {
        let separator = if at == 0 { "" } else { ", " };
        let open = if at < needed { "" } else { "[" };
        let _ = write!(parameters, "{open}{separator}{} {}", parameter.word, parameter.name);
        if !parameter.words.is_empty() {
            let _ = write!(parameters, " = {}", parameter.words.join("|"));
        }
    }
    parameters.push_str(&"]".repeat(function.optional));
    if matches!(function.body, Body::Form(Form::Switch)) {
        parameters.push_str(", …");
    }
    format!("{result} {}({parameters})", function.name)
}

/// What an example comes to, over the example's object, which the target has too.
fn evaluate(text: &str) -> String {
    let mut dictionary = Dictionary::default();
    let record: Record = EXAMPLE
        .iter()
        .filter_map(|(name, values)| {
            let values: Vec<Value> = values.iter().map(|value| value.to_value()).collect();
            dictionary.intern(name).ok().map(|id| (id, values))
        })
        .collect();
    let expression = match Expression::compile(text, &mut dictionary) {
        Ok(expression) => expression,
        Err(error) => return format!("error: {error}"),
    };
    let parameters: Parameters = [("Forest.LDAP", "DC=corp,DC=example")].into_iter().collect();
    let random = Cell::new(0);
    let context = Context {
        source: &record,
        imported: Some(&record),
        parameters: &parameters,
        now: NOW,
        random: &random,
    };
    match expression.evaluate(&context) {
        Ok(outcome) => show_outcome(&outcome),
        Err(error) => format!("error: {error}"),
    }
}

/// What an expression came to, in one line: texts in quotes, octets in hexadecimal.
pub(super) fn show_outcome(outcome: &Outcome<'_>) -> String {
    match outcome {
        Outcome::Null => "NULL".to_owned(),
        Outcome::AuthoritativeNull => "AuthoritativeNull".to_owned(),
        Outcome::IgnoreThisFlow => "IgnoreThisFlow".to_owned(),
        Outcome::One(datum) => show_datum(datum),
        Outcome::Many(data) => data.iter().map(show_datum).collect::<Vec<_>>().join("; "),
    }
}

fn show_datum(datum: &Datum<'_>) -> String {
    match datum {
        Datum::Reference(name) => format!("-> {name}"),
        other => show(other.value()),
    }
}

fn show(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Text(text) => {
            format!("\"{}\"", text.replace('\r', "\\r").replace('\n', "\\n"))
        }
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Boolean(value) => if value { "True" } else { "False" }.to_owned(),
        ValueRef::Octets(octets) => {
            let (shown, rest) = octets.split_at(octets.len().min(SHOWN_OCTETS_MAX));
            let more = if rest.is_empty() { "" } else { "…" };
            format!("0x{}{more}", hex::encode(shown))
        }
    }
}
