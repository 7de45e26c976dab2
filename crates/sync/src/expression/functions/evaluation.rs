//! Evaluation: what a value is.

use super::argument;
use super::certificate::is_certificate;
use super::conversion::{parse_guid, parse_number};
use crate::expression::function::{Function, Returns, any, certificate, number, text};
use crate::expression::kinds::Kinds;
use crate::expression::moment;
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
    Function::each(
        "IsCert",
        &[certificate().or_null()],
        Kinds::BOOLEAN,
        |slots, run| Ok(Some(Scalar::Boolean(is_certificate(&mut slots[0], run)?))),
        "Whether the octets, or those in Base64, are an X.509 certificate.",
        &["IsCert([userCertificate])", "IsCert([displayName])"],
    ),
    about!(
        "IsDate",
        |operand| all(operand, |value| match value {
            Scalar::Text(text) => moment::parse(text).is_some(),
            value => value.kind() == Kinds::TIME,
        }),
        "Whether the value is a time, or a text of which CDate makes one.",
        &["IsDate(\"2013-01-10\")", "IsDate([displayName])"],
    ),
    about!(
        "IsEmpty",
        |operand| all(operand, is_empty),
        "Whether the value is there and is an empty text.",
        &["IsEmpty(\"\")", "IsEmpty([absent])"],
    ),
    Function::each(
        "IsGuid",
        &[text("text").or_null()],
        Kinds::BOOLEAN,
        |slots, _| {
            let is_guid = parse_guid(&argument::text(&mut slots[0])).is_some();
            Ok(Some(Scalar::Boolean(is_guid)))
        },
        "Whether CGuid can make octets of the text.",
        &["IsGuid(\"{00112233-4455-6677-8899-aabbccddeeff}\")", "IsGuid([displayName])"],
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
        "IsNumeric",
        |operand| all(operand, |value| match value {
            Scalar::Text(text) => parse_number(text).is_some(),
            value => value.kind() == Kinds::NUMBER,
        }),
        "Whether the value is a number, or a text of which CNum makes one.",
        &["IsNumeric([employeeNumber])", "IsNumeric([displayName])"],
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
            all(operand, |value| texts.meets(value.kind()))
        },
        "Whether CStr can make a text of the value.",
        &["IsString([displayName])", "IsString([objectGUID])"],
    ),
];

/// Whether there are values, and something holds of each.
fn all(operand: &Operand<'_>, holds: impl Fn(&Scalar<'_>) -> bool) -> bool {
    let mut values = operand.values().peekable();
    values.peek().is_some() && values.all(holds)
}

fn is_empty(value: &Scalar<'_>) -> bool {
    matches!(value, Scalar::Text(text) | Scalar::Reference(text) if text.is_empty())
}
