//! Evaluation: what a value is.

use super::argument;
use crate::expression::function::{Function, Returns, any, number};
use crate::expression::kinds::Kinds;
use crate::expression::value::{Operand, Scalar};

/// A function of a value as a whole, however many values it has.
macro_rules! about {
    ($name:literal, $test:expr, $summary:literal, $examples:expr $(,)?) => {
        Function::whole(
            $name,
            &[any("value")],
            Returns::One(Kinds::BOOLEAN),
            |operands, _| {
                let test: fn(&Operand<'_>) -> bool = $test;
                Ok(Operand::One(Scalar::Boolean(test(&operands[0]))))
            },
            $summary,
            $examples,
        )
    };
}

/// The group.
pub(super) const FUNCTIONS: &[Function] = &[
    Function::each(
        "IsBitSet",
        &[number("value"), number("flag")],
        Kinds::BOOLEAN,
        |slots, _| {
            let bits = argument::number(&slots[0]).zip(argument::number(&slots[1]));
            let is_set = bits.is_some_and(|(value, flag)| flag != 0 && value & flag == flag);
            Ok(Some(Scalar::Boolean(is_set)))
        },
        "Whether all bits of the flag are set in the value.",
        &["IsBitSet(&HF, 4)", "IsBitSet([userAccountControl], 2)"],
    ),
    about!(
        "IsEmpty",
        |operand| {
            let mut values = operand.values().peekable();
            values.peek().is_some() && values.all(is_empty)
        },
        "Whether the value is there and is an empty text.",
        &["IsEmpty(\"\")", "IsEmpty([absent])"],
    ),
    about!(
        "IsNull",
        |operand| operand.values().next().is_none(),
        "Whether there is no value. Of an attribute: whether it is absent.",
        &["IsNull([absent])", "IsNull([displayName])"],
    ),
    about!(
        "IsNullOrEmpty",
        |operand| operand.values().all(is_empty),
        "Whether there is no value, or an empty text alone.",
        &["IsNullOrEmpty([absent])", "IsNullOrEmpty([displayName])"],
    ),
    about!(
        "IsPresent",
        |operand| !operand.values().all(is_empty),
        "Whether there is a value that is no empty text: the opposite of IsNullOrEmpty.",
        &["IsPresent([displayName])", "IsPresent([absent])"],
    ),
    about!(
        "IsString",
        |operand| {
            let texts = Kinds::TEXT.or(Kinds::NUMBER).or(Kinds::BOOLEAN).or(Kinds::REFERENCE);
            let mut values = operand.values().peekable();
            values.peek().is_some() && values.all(|value| texts.meets(value.kind()))
        },
        "Whether CStr can make a text of the value.",
        &["IsString([displayName])", "IsString([objectGUID])"],
    ),
];

fn is_empty(value: &Scalar<'_>) -> bool {
    matches!(value, Scalar::Text(text) | Scalar::Reference(text) if text.is_empty())
}
