//! What operators do.
//!
//! NULL is nothing: joined it adds nothing, it equals NULL alone, it is neither less nor greater than
//! anything, counted with it is NULL, and it does not hold.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::error::Why;
use super::evaluate::Run;
use super::kinds::Kinds;
use super::token::Operator;
use super::value::{Operand, Scalar, Slot};

/// The types that both sides of an operator may have, and that of its result. Sides of a comparison
/// have the same type besides.
pub(super) const fn kinds(operator: Operator) -> (Kinds, Kinds) {
    match operator {
        Operator::And | Operator::Or => (Kinds::BOOLEAN, Kinds::BOOLEAN),
        Operator::Equal | Operator::NotEqual => (Kinds::ANY, Kinds::BOOLEAN),
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
            (ORDERED, Kinds::BOOLEAN)
        }
        Operator::Join => (JOINED, Kinds::TEXT),
        Operator::Add | Operator::Subtract | Operator::Multiply | Operator::Divide => {
            (Kinds::NUMBER, Kinds::NUMBER)
        }
    }
}

const ORDERED: Kinds = Kinds::NUMBER.or(Kinds::TEXT).or(Kinds::TIME);
const JOINED: Kinds = Kinds::TEXT.or(Kinds::NUMBER).or(Kinds::REFERENCE);

/// Whether two types can be compared: texts and references are names alike.
pub(super) const fn comparable(left: Kinds, right: Kinds) -> bool {
    const NAMES: Kinds = Kinds::TEXT.or(Kinds::REFERENCE);
    left.meets(right) || (left.meets(NAMES) && right.meets(NAMES))
}

/// Whether the right side cannot change the result any more.
pub(super) fn is_decided(operator: Operator, left: &Operand<'_>) -> bool {
    match (operator, left) {
        (Operator::And, Operand::One(Scalar::Boolean(left))) => !left,
        (Operator::Or, Operand::One(Scalar::Boolean(left))) => *left,
        _ => false,
    }
}

/// The result for one value of each side.
pub(super) fn apply<'a>(
    operator: Operator,
    left: Slot<'a>,
    right: Slot<'a>,
    run: &Run<'_, 'a>,
) -> Result<Slot<'a>, Why> {
    let holds = match operator {
        Operator::And => truth(left)? && truth(right)?,
        Operator::Or => truth(left)? || truth(right)?,
        Operator::Equal => equal(&left, &right)?,
        Operator::NotEqual => !equal(&left, &right)?,
        Operator::Less => order(left, right)? == Some(Ordering::Less),
        Operator::Greater => order(left, right)? == Some(Ordering::Greater),
        Operator::LessOrEqual => {
            matches!(order(left, right)?, Some(Ordering::Less | Ordering::Equal))
        }
        Operator::GreaterOrEqual => {
            matches!(order(left, right)?, Some(Ordering::Greater | Ordering::Equal))
        }
        Operator::Join => return join(left, right, run),
        Operator::Add | Operator::Subtract | Operator::Multiply | Operator::Divide => {
            return count(operator, left, right);
        }
    };
    Ok(Some(Scalar::Boolean(holds)))
}

fn truth(value: Slot<'_>) -> Result<bool, Why> {
    match value {
        None => Ok(false),
        Some(Scalar::Boolean(value)) => Ok(value),
        Some(other) => Err(Why::Type { expected: Kinds::BOOLEAN, found: other.kind() }),
    }
}

fn equal(left: &Slot<'_>, right: &Slot<'_>) -> Result<bool, Why> {
    match (left, right) {
        (None, None) => Ok(true),
        (None, _) | (_, None) => Ok(false),
        (
            Some(Scalar::Text(left) | Scalar::Reference(left)),
            Some(Scalar::Text(right) | Scalar::Reference(right)),
        ) => Ok(left == right),
        (Some(left), Some(right)) if left.kind() == right.kind() => Ok(left == right),
        (Some(left), Some(right)) => Err(Why::Type { expected: left.kind(), found: right.kind() }),
    }
}

fn order(left: Slot<'_>, right: Slot<'_>) -> Result<Option<Ordering>, Why> {
    let (Some(left), Some(right)) = (left, right) else { return Ok(None) };
    match (&left, &right) {
        (Scalar::Integer(left), Scalar::Integer(right)) => Ok(Some(left.cmp(right))),
        (Scalar::Text(left), Scalar::Text(right)) => Ok(Some(left.cmp(right))),
        (Scalar::Time(left), Scalar::Time(right)) => Ok(Some(left.cmp(right))),
        _ if !ORDERED.meets(left.kind()) => {
            Err(Why::Type { expected: ORDERED, found: left.kind() })
        }
        _ => Err(Why::Type { expected: left.kind(), found: right.kind() }),
    }
}

fn join<'a>(left: Slot<'a>, right: Slot<'a>, run: &Run<'_, 'a>) -> Result<Slot<'a>, Why> {
    let text = |slot: Slot<'a>| -> Result<Option<Cow<'a, str>>, Why> {
        Ok(match slot {
            None => None,
            Some(Scalar::Text(text) | Scalar::Reference(text)) => Some(text),
            Some(Scalar::Integer(number)) => Some(number.to_string().into()),
            Some(other) => return Err(Why::Type { expected: JOINED, found: other.kind() }),
        })
    };
    Ok(match (text(left)?, text(right)?) {
        (Some(left), Some(right)) => {
            if left.len() + right.len() > super::RESULT_OCTETS_MAX {
                return Err(Why::TooLarge);
            }
            // A text that was joined before grows where it is.
            run.room(if matches!(left, Cow::Owned(_)) {
                right.len()
            } else {
                left.len() + right.len()
            })?;
            let mut joined = match left {
                Cow::Owned(left) => left,
                Cow::Borrowed(left) => {
                    let mut joined = String::with_capacity(left.len() + right.len());
                    joined.push_str(left);
                    joined
                }
            };
            joined.push_str(&right);
            Some(Scalar::text(joined))
        }
        (one, None) | (None, one) => one.map(Scalar::Text),
    })
}

fn count<'a>(operator: Operator, left: Slot<'a>, right: Slot<'a>) -> Result<Slot<'a>, Why> {
    let number = |value: Scalar<'_>| match value {
        Scalar::Integer(number) => Ok(number),
        other => Err(Why::Type { expected: Kinds::NUMBER, found: other.kind() }),
    };
    let (Some(left), Some(right)) = (left, right) else { return Ok(None) };
    let (left, right) = (number(left)?, number(right)?);
    let result = match operator {
        Operator::Add => left.checked_add(right),
        Operator::Subtract => left.checked_sub(right),
        Operator::Multiply => left.checked_mul(right),
        _ if right == 0 => return Err(Why::Zero),
        _ => left.checked_div(right),
    };
    result.map(|number| Some(Scalar::Integer(number))).ok_or(Why::Overflow)
}
