//! What is wrong with an expression: as a text, and with an object's values.

use std::fmt;

use portolan_model::Hint;

use super::kinds::Kinds;
use crate::dictionary::NameRefused;

/// A text that is no expression: what is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{mistake}")]
pub struct ExpressionError {
    /// The octet where the wrong part begins.
    pub offset: usize,
    /// The octets that it has; at least one, except at the end of the text.
    pub length: usize,
    /// What is wrong.
    pub mistake: Mistake,
}

impl Hint for ExpressionError {
    fn hint(&self) -> Option<String> {
        self.mistake.hint()
    }
}

impl ExpressionError {
    pub(super) const fn new(offset: usize, end: usize, mistake: Mistake) -> Self {
        Self { offset, length: end.saturating_sub(offset), mistake }
    }

    /// The error with the line of `text` where it stands and carets under the place. What to do about
    /// it is said apart, by [`Hint`].
    #[must_use]
    pub fn show<'a>(&'a self, text: &'a str) -> impl fmt::Display + 'a {
        Shown { error: self, text }
    }

    /// The line and the column of the place in `text`, both from one; columns are characters.
    #[must_use]
    pub fn position(&self, text: &str) -> (usize, usize) {
        let before = text.get(..self.offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }
}

struct Shown<'a> {
    error: &'a ExpressionError,
    text: &'a str,
}

/// Characters of a line that are shown before and after the place.
const SHOWN_CHARACTERS_MAX: usize = 60;

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.error.position(self.text);
        let whole: Vec<char> = self.text.split('\n').nth(line - 1).unwrap_or("").chars().collect();
        let from = (column - 1).saturating_sub(SHOWN_CHARACTERS_MAX);
        let to = whole.len().min(column - 1 + SHOWN_CHARACTERS_MAX);
        let plain = |c: &char| if c.is_control() { ' ' } else { *c };
        let shown: String = whole.get(from..to).unwrap_or_default().iter().map(plain).collect();
        let wrong = self.text.get(self.error.offset..).unwrap_or_default();
        let wrong = wrong.get(..self.error.length).unwrap_or(wrong);
        let wrong = wrong.lines().next().unwrap_or_default().chars().count();
        let carets = wrong.clamp(1, (to - from.min(to)).saturating_sub(column - 1 - from).max(1));
        let (blank, carets) = (" ".repeat(column - 1 - from), "^".repeat(carets));
        writeln!(f, "{}", self.error.mistake)?;
        writeln!(f, "  {shown}")?;
        write!(f, "  {blank}{carets}")
    }
}

/// What is wrong with the text of an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// It is longer than any expression may be.
    #[error("the expression has more than {} octets", super::TEXT_OCTETS_MAX)]
    TooLong,
    /// Parts within parts, too many.
    #[error("more than {} parts stand within each other", super::DEPTH_MAX)]
    TooDeep,
    /// Too many parts in all.
    #[error("the expression has more than {} parts", super::PARTS_MAX)]
    TooManyParts,
    /// Something else should stand here.
    #[error("{expected} expected, {found} found")]
    Unexpected {
        /// What should.
        expected: &'static str,
        /// What does.
        found: String,
    },
    /// A text, an attribute or a parameter that has no end.
    #[error("{what} is not closed: {end} is missing")]
    NotClosed {
        /// What begins here.
        what: &'static str,
        /// What would end it.
        end: char,
    },
    /// A character that begins nothing.
    #[error("{0:?} begins nothing in an expression")]
    Character(char),
    /// Digits that are no number from -2^63 to 2^63-1.
    #[error("{0:?} is no whole number of 64 bits")]
    Number(String),
    /// A function that there is not.
    #[error("there is no function {name}")]
    UnknownFunction {
        /// Its name.
        name: String,
        /// The function with the nearest name.
        nearest: Option<&'static str>,
    },
    /// A word that means nothing here.
    #[error("{name} means nothing here")]
    UnknownWord {
        /// The word.
        name: String,
        /// What may stand here.
        expected: String,
    },
    /// A variable that nothing around it gives a value.
    #[error("the variable ${0} has no value here")]
    UnknownVariable(String),
    /// What stands in brackets names no attribute.
    #[error(transparent)]
    Attribute(#[from] NameRefused),
    /// Too few or too many arguments.
    #[error("{function} takes {expected}, not {found}")]
    Arguments {
        /// Of this function.
        function: &'static str,
        /// How many it takes.
        expected: String,
        /// How many there are.
        found: usize,
    },
    /// An argument, or a side of an operator, that can never be of the type.
    #[error("{place} is {expected}, not {found}")]
    Type {
        /// Which argument of what.
        place: String,
        /// The types that it may have.
        expected: Kinds,
        /// Those that it can have.
        found: Kinds,
    },
    /// A value that is no value to compute with.
    #[error("{0} can only be the result, not a part of it")]
    NotAResult(&'static str),
}

impl Mistake {
    /// What to do about it, if there is more to say than what is wrong.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::UnknownFunction { nearest: Some(nearest), .. } => format!("is it {nearest}?"),
            Self::UnknownWord { expected, .. } => expected.clone(),
            Self::Character('“' | '”' | '„') => "texts stand in straight quotes".to_owned(),
            Self::Character('\'') => "texts stand in double quotes".to_owned(),
            Self::Type { place, found, .. } if place.contains('+') && found.meets(Kinds::TEXT) => {
                "& joins texts, + adds numbers".to_owned()
            }
            Self::Type { expected, found, .. } => conversion(*expected, *found)?.to_owned(),
            Self::UnknownVariable(_) => "With, Select and Where name variables".to_owned(),
            Self::NotAResult(_) => {
                "it may stand alone, or as a value of IIF, Switch or With".to_owned()
            }
            _ => return None,
        })
    }
}

/// The function that makes one type of another.
pub(super) fn conversion(expected: Kinds, found: Kinds) -> Option<&'static str> {
    let between = |to: Kinds, from: Kinds| expected.meets(to) && found.meets(from);
    if between(Kinds::TIME, Kinds::TEXT) {
        Some("CDate makes a time of a text")
    } else if between(Kinds::TIME, Kinds::NUMBER) {
        Some("DateFromNum makes a time of a directory's number")
    } else if between(Kinds::NUMBER, Kinds::TEXT) {
        Some("CNum makes a number of a text")
    } else if between(Kinds::NUMBER, Kinds::TIME) {
        Some("NumFromDate makes a directory's number of a time")
    } else if between(Kinds::BOOLEAN, Kinds::NUMBER) {
        Some("CBool makes a truth value of a number")
    } else if between(Kinds::TEXT, Kinds::TIME) {
        Some("FormatDateTime makes a text of a time")
    } else if between(Kinds::TEXT, Kinds::OCTETS) {
        Some("ConvertToBase64, StringFromGuid and StringFromSid make texts of octets")
    } else if between(Kinds::TEXT, Kinds::NUMBER.or(Kinds::BOOLEAN).or(Kinds::REFERENCE)) {
        Some("CStr makes a text of it")
    } else {
        None
    }
}

/// An expression that came to no result with an object's values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvaluationError {
    /// The octet of the expression's text where the part begins that failed.
    pub offset: usize,
    /// The function, or the operator.
    pub function: &'static str,
    /// The argument that is to blame, by its name.
    pub argument: Option<&'static str>,
    /// Why.
    pub why: Why,
}

impl fmt::Display for EvaluationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.why, self.argument) {
            (Why::Thrown(text), _) => f.write_str(text),
            (why, Some(argument)) => write!(f, "{}, {argument}: {why}", self.function),
            (why, None) => write!(f, "{}: {why}", self.function),
        }
    }
}

impl std::error::Error for EvaluationError {}

impl Hint for EvaluationError {
    fn hint(&self) -> Option<String> {
        let hint = match &self.why {
            Why::Type { expected, found } => conversion(*expected, *found)?,
            Why::Several => "Item, Join and Where make fewer values of several",
            Why::Unpaired(..) => "Select goes over the values of one of them",
            Why::Form { .. } => match self.function {
                "CDate" => "IsDate says beforehand whether a text is a time",
                "CNum" => "IsNumeric says beforehand whether a text is a number",
                "CGuid" => "IsGuid says beforehand whether a text is a GUID",
                _ => return None,
            },
            Why::Range { .. } if self.function == "Item" => "ItemOrNull gives NULL instead",
            Why::Certificate => "IsCert says beforehand whether octets are a certificate",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// Why a function came to no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// The rule's author said so, by the function Error.
    #[error("{0}")]
    Thrown(String),
    /// A value of another type.
    #[error("the value is {found}, not {expected}")]
    Type {
        /// The types that it may have.
        expected: Kinds,
        /// That which it has.
        found: Kinds,
    },
    /// Several values where one is expected.
    #[error("there are several values where one is expected")]
    Several,
    /// Arguments with several values each, and not equally many.
    #[error("{0} values do not pair with {1}")]
    Unpaired(usize, usize),
    /// A text that is not of the form.
    #[error("{text:?} is no {noun}")]
    Form {
        /// What it should be.
        noun: &'static str,
        /// The text, or its beginning.
        text: String,
    },
    /// A number beyond what may be.
    #[error("{number} is not from {from} to {to}")]
    Range {
        /// The number.
        number: i64,
        /// The lowest.
        from: i64,
        /// The highest.
        to: i64,
    },
    /// A calculation whose result is no number of 64 bits, or no time of the years 1 to 9999.
    #[error("the result is out of range")]
    Overflow,
    /// A division by zero.
    #[error("division by zero")]
    Zero,
    /// A certificate that does not read.
    #[error("the octets are no certificate")]
    Certificate,
    /// A parameter that the connected system does not have.
    #[error("there is no parameter %{0}%")]
    Parameter(String),
    /// The result would have too many octets.
    #[error("the result has more than {} octets", super::RESULT_OCTETS_MAX)]
    TooLarge,
    /// Too many values.
    #[error("there are more than {} values", super::VALUES_MAX)]
    TooMany,
    /// The evaluation takes too long.
    #[error("the expression takes more than {} steps with this object", super::STEPS_MAX)]
    TooLong,
}

/// Characters of a value that an error shows.
const SHOWN_VALUE_CHARACTERS_MAX: usize = 80;

impl Why {
    pub(super) fn form(noun: &'static str, text: &str) -> Self {
        Self::Form { noun, text: text.chars().take(SHOWN_VALUE_CHARACTERS_MAX).collect() }
    }
}
