//! Program flow: which of several values, and errors.

use super::argument;
use crate::expression::error::Why;
use crate::expression::function::{Form, Function, any, condition, text, values, variable};
use crate::expression::kinds::Kinds;

/// The group.
pub(super) const FUNCTIONS: &[Function] = &[
    Function::each(
        "Error",
        &[text("message").or_null()],
        Kinds::NONE,
        |slots, _| Err(Why::Thrown(argument::text(&mut slots[0]).into_owned()).into()),
        "Ends the evaluation with an error, which is reported with the object. The attribute keeps \
         the value that it had.",
        &["IIF(IsPresent([absent]), [absent], Error(\"An account needs a name\"))"],
    ),
    Function::form(
        "IIF",
        &[condition("condition"), any("valueIfTrue"), any("valueIfFalse")],
        Form::Iif,
        "The one value when the condition holds, the other when it does not. Only the value that is \
         given is evaluated. A condition that has a result for each of several values chooses for \
         each of them.",
        &[
            "IIF([employeeType] = \"Intern\", \"t-\" & [mailNickname], [mailNickname])",
            "IIF(InStr([proxyAddresses], \"SIP:\") = 1, NULL, [proxyAddresses])",
        ],
    ),
    Function::form(
        "ImportedValue",
        &[text("attribute")],
        Form::ImportedValue,
        "The values that an attribute of the target's object has there, as the last confirmed export \
         or import knows it. The name stands in quotes.",
        &["ImportedValue(\"proxyAddresses\")"],
    ),
    Function::form(
        "Select",
        &[variable("item"), values("values"), any("expression")],
        Form::Select,
        "Evaluates the expression for each of the values, which the variable is in turn.",
        &["Select($item, [otherTelephone], Replace($item, \"-\", \"\"))"],
    ),
    Function::form(
        "Switch",
        &[condition("condition"), any("value")],
        Form::Switch,
        "Pairs of a condition and a value: the value of the first condition that holds, NULL when \
         none does. What comes after it is not evaluated.",
        &["Switch([l] = \"London\", \"English\", [l] = \"Paris\", \"French\", True, \"unknown\")"],
    ),
    Function::form(
        "Where",
        &[variable("item"), values("values"), condition("condition")],
        Form::Where,
        "Those of the values for which the condition holds. The variable is each of them in turn.",
        &["Where($item, [proxyAddresses], Left($item, 5) = \"smtp:\")"],
    ),
    Function::form(
        "With",
        &[variable("variable"), any("value"), any("expression")],
        Form::With,
        "The expression, in which the variable is the value. The value is evaluated once.",
        &["With($name, Trim([displayName]), Left($name, 1) & Len($name))"],
    ),
];
