//! Rules being written as a file: those in force, and those that were imported.

use std::fmt::Write as _;

use super::model::{Linking, Merge};
use super::operators::{DIRECTIONS, LINKINGS, MERGES, METAVERSE_KINDS, name_of};
use super::raw::{At, RawClause, RawFilter, RawFlow, RawGiven, RawRule, Scalar};
use crate::syntax::Declaration;

/// A rule as a file has it.
pub(super) fn rule(rule: &RawRule) -> String {
    let mut out = String::from("[[rule]]\n");
    let mut line = |key: &str, value: String| {
        // Writing to a String does not fail.
        let _ = writeln!(out, "{key} = {value}");
    };
    let text = |value: &At<String>| quoted(&value.value);
    let texts = [("key", &rule.key), ("name", &rule.name), ("clone", &rule.clone)];
    for (key, value) in texts {
        if let Some(value) = value {
            line(key, text(value));
        }
    }
    if let Some(direction) = &rule.direction {
        line("direction", quoted(name_of(DIRECTIONS, direction.value)));
    }
    if let Some(connected) = &rule.connected {
        line("connected", text(connected));
    }
    match rule.objects.as_deref() {
        None => {}
        Some([one]) => line("object", text(one)),
        Some(several) => line("object", list(several.iter().map(text))),
    }
    if let Some(kind) = &rule.metaverse {
        line("metaverse", quoted(name_of(METAVERSE_KINDS, kind.value)));
    }
    if let Some(linking) = rule.linking.as_ref().filter(|one| one.value != Linking::Join) {
        line("linking", quoted(name_of(LINKINGS, linking.value)));
    }
    if let Some(precedence) = &rule.precedence {
        line("precedence", precedence.value.to_string());
    }
    for (key, flag) in [("password", &rule.password), ("disabled", &rule.disabled)] {
        if flag.as_ref().is_some_and(|flag| flag.value) {
            line(key, "true".to_owned());
        }
    }
    lists(&mut out, rule);
    out
}

/// A filter as a file has it.
pub(super) fn filter(filter: &RawFilter) -> String {
    let mut out = String::from("[[filter]]\n");
    let texts = [
        ("connected", &filter.connected),
        ("domain", &filter.domain),
        ("unit", &filter.unit),
        ("group", &filter.group),
        ("guid", &filter.guid),
    ];
    for (key, value) in texts {
        if let Some(value) = value {
            // Writing to a String does not fail.
            let _ = writeln!(out, "{key} = {}", quoted(&value.value));
        }
    }
    if filter.include {
        out.push_str("include = true\n");
    }
    if let Some(reason) = &filter.reason {
        let _ = writeln!(out, "reason = {}", quoted(reason));
    }
    array(&mut out, "where", filter.clauses.iter().flatten().map(clause));
    out
}

/// A declared attribute as a file has it.
pub(super) fn attribute(name: &str, known: Declaration) -> String {
    let many = if known.single { "" } else { "many = true\n" };
    let (name, syntax) = (quoted(name), quoted(known.syntax.as_str()));
    format!("[[attribute]]\nname = {name}\nsyntax = {syntax}\n{many}")
}

/// The lists of a rule, an item a line.
fn lists(out: &mut String, rule: &RawRule) {
    let groups = rule.scope.iter().flatten().map(|group| list(group.iter().map(clause)));
    array(out, "scope", groups);
    let exceptions = rule.except.iter().flatten().map(|exception| {
        let clauses = list(exception.clauses.iter().map(clause));
        format!("{{ reason = {}, where = {clauses} }}", quoted(&exception.reason))
    });
    array(out, "except", exceptions);
    let joins = rule.joins.iter().flatten().map(|group| {
        list(group.iter().map(|join| {
            let case = if join.case { ", case = true" } else { "" };
            let (source, target) = (quoted(&join.source.value), quoted(&join.target.value));
            format!("{{ source = {source}, target = {target}{case} }}")
        }))
    });
    array(out, "joins", joins);
    array(out, "flows", rule.flows.iter().flatten().map(flow));
    let references = rule.references.iter().flatten().map(|flow| {
        let (target, source) = (quoted(&flow.target.value), quoted(&flow.source.value));
        format!("{{ target = {target}, source = {source} }}")
    });
    array(out, "references", references);
}

fn array(out: &mut String, key: &str, items: impl Iterator<Item = String>) {
    let mut items = items.peekable();
    if items.peek().is_none() {
        return;
    }
    // Writing to a String does not fail.
    let _ = writeln!(out, "{key} = [");
    for item in items {
        let _ = writeln!(out, "    {item},");
    }
    out.push_str("]\n");
}

fn clause(clause: &RawClause) -> String {
    let (attribute, operator) =
        (quoted(&clause.attribute.value), quoted(clause.operator.value.name));
    let values = match clause.values.as_slice() {
        [] => String::new(),
        [one] => format!(", value = {}", scalar(&one.value)),
        several => {
            format!(", values = {}", list(several.iter().map(|one| scalar(&one.value))))
        }
    };
    let case = if clause.case { ", case = true" } else { "" };
    format!("{{ attribute = {attribute}, operator = {operator}{values}{case} }}")
}

fn flow(flow: &RawFlow) -> String {
    let given = match &flow.given {
        RawGiven::Source(source) => format!("source = {}", quoted(&source.value)),
        RawGiven::Constant(value) => format!("constant = {}", scalar(&value.value)),
        RawGiven::Expression(text) => format!("expression = {}", quoted(&text.value)),
    };
    let once = if flow.once { ", once = true" } else { "" };
    let merge = match flow.merge {
        Merge::Update => String::new(),
        other => format!(", merge = {}", quoted(name_of(MERGES, other))),
    };
    format!("{{ target = {}, {given}{once}{merge} }}", quoted(&flow.target.value))
}

fn scalar(value: &Scalar) -> String {
    match value {
        Scalar::Text(text) => quoted(text),
        Scalar::Integer(number) => number.to_string(),
        Scalar::Boolean(flag) => flag.to_string(),
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// A text as TOML has it.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
