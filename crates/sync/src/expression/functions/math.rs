//! Math.

use super::argument;
use crate::expression::error::Why;
use crate::expression::function::{Function, blame, number};
use crate::expression::kinds::Kinds;
use crate::expression::value::{Scalar, Slot};

/// The group.
pub(super) const FUNCTIONS: &[Function] = &[
    Function::each(
        "BitAnd",
        &[number("value1"), number("value2")],
        Kinds::NUMBER,
        |slots, _| Ok(bits(slots, |left, right| left & right)),
        "The bits that are set in both numbers.",
        &["BitAnd(&HF, &HF7)", "BitAnd([userAccountControl], 2)"],
    ),
    Function::each(
        "BitOr",
        &[number("value1"), number("value2")],
        Kinds::NUMBER,
        |slots, _| Ok(bits(slots, |left, right| left | right)),
        "The bits that are set in one of the numbers or in both.",
        &["BitOr(&H10, &H1)"],
    ),
    Function::each(
        "RandomNum",
        &[number("start"), number("end")],
        Kinds::NUMBER,
        |slots, run| {
            let (Some(start), Some(end)) =
                (argument::number(&slots[0]), argument::number(&slots[1]))
            else {
                return Ok(None);
            };
            if end < start {
                let (number, from, to) = (end, start, i64::MAX);
                return Err(blame(1)(Why::Range { number, from, to }));
            }
            let drawn = match end.abs_diff(start).checked_add(1) {
                Some(width) => start.wrapping_add_unsigned(run.random() % width),
                None => run.random().cast_signed(),
            };
            Ok(Some(Scalar::Integer(drawn)))
        },
        "A random number from the start to the end, both included. It is another at every \
         evaluation: use it in flows that apply once.",
        &["RandomNum(100, 999)"],
    )
    .changing(),
];

fn bits<'a>(slots: &[Slot<'a>], combine: fn(i64, i64) -> i64) -> Slot<'a> {
    let (left, right) = (argument::number(&slots[0])?, argument::number(&slots[1])?);
    Some(Scalar::Integer(combine(left, right)))
}
