//! The types that rules have to agree with.

use super::model::{ConnectedKind, Direction, Operator};
use super::raw::Scalar;
use crate::record::Value;
use crate::syntax::{Declaration, Form, Syntaxes, of_metaverse, of_tenant};

/// Whose attributes are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Forest,
    Metaverse,
}

impl Side {
    /// Where a rule of this direction reads.
    pub(super) const fn of_source(direction: Direction) -> Self {
        match direction {
            Direction::Inbound => Self::Forest,
            Direction::Outbound => Self::Metaverse,
        }
    }
}

pub(super) fn of_source(side: Side, name: &str, syntaxes: &Syntaxes) -> Option<Declaration> {
    match side {
        Side::Forest => syntaxes.of(name),
        Side::Metaverse => of_metaverse(name, syntaxes),
    }
}

/// What the attribute that a flow gives holds, if that is known and the same for every kind of object.
pub(super) fn of_target(
    direction: Direction,
    objects: &[ConnectedKind],
    name: &str,
    syntaxes: &Syntaxes,
) -> Option<Form> {
    if direction == Direction::Inbound {
        return of_metaverse(name, syntaxes).map(|known| known.syntax.form());
    }
    let mut forms = objects.iter().map(|kind| match kind {
        ConnectedKind::Target(kind) => of_tenant(name, *kind).map(|(form, _)| form),
        ConnectedKind::Forest(_) => None,
    });
    let first = forms.next()??;
    forms.all(|form| form == Some(first)).then_some(first)
}

/// Why an operator says nothing of an attribute; `None` when it does.
pub(super) const fn refuse(operator: Operator, form: Option<Form>) -> Option<&'static str> {
    match (operator, form) {
        (_, Some(Form::Reference)) => Some("refers to other objects, which no scope compares"),
        (
            Operator::LessThan
            | Operator::LessThanOrEqual
            | Operator::GreaterThan
            | Operator::GreaterThanOrEqual,
            Some(Form::Boolean | Form::Octets),
        ) => Some("has no order"),
        (Operator::IsBitSet, Some(Form::Text | Form::Boolean | Form::Octets)) => {
            Some("is no number, and has no bits")
        }
        _ => None,
    }
}

/// What an attribute of this form is compared to.
pub(super) fn compared(
    operator: Operator,
    form: Option<Form>,
    value: &Scalar,
) -> Result<Value, String> {
    let is_part = matches!(
        operator,
        Operator::Contains | Operator::StartsWith | Operator::EndsWith | Operator::Like
    );
    match (form, value) {
        (Some(Form::Integer), Scalar::Text(text)) if !is_part => text
            .parse()
            .map(Value::Integer)
            .map_err(|_| format!("is a number, and {text:?} is none")),
        (Some(Form::Boolean), Scalar::Text(text)) => match text.to_ascii_lowercase().as_str() {
            "true" => Ok(Value::Boolean(true)),
            "false" => Ok(Value::Boolean(false)),
            _ => Err(format!("is TRUE or FALSE, never {text:?}")),
        },
        (Some(Form::Boolean), Scalar::Integer(number)) => {
            Err(format!("is TRUE or FALSE, never {number}"))
        }
        (Some(Form::Integer), Scalar::Boolean(_)) => Err("is a number".to_owned()),
        (None, Scalar::Text(text)) if operator == Operator::IsBitSet => {
            text.parse().map(Value::Integer).map_err(|_| format!("has no bits {text:?}"))
        }
        (Some(Form::Text), Scalar::Integer(number)) => Ok(Value::Text(number.to_string())),
        _ => Ok(constant(value)),
    }
}

/// A value as it is written.
pub(super) fn constant(value: &Scalar) -> Value {
    match value {
        Scalar::Text(text) => Value::Text(text.clone()),
        Scalar::Integer(number) => Value::Integer(*number),
        Scalar::Boolean(flag) => Value::Boolean(*flag),
    }
}
