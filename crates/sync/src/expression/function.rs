//! What a function is. The tables in [`super::functions`] are the one source of the checks, the
//! evaluation and the reference page.

use super::error::Why;
use super::evaluate::Run;
use super::kinds::Kinds;
use super::value::{Operand, Slot};

/// A function of the language.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) parameters: &'static [Parameter],
    /// How many of the last parameters may be left out.
    pub(super) optional: usize,
    pub(super) result: Returns,
    pub(super) body: Body,
    /// Whether two evaluations with the same arguments can differ.
    pub(super) changing: bool,
    /// What it does: a sentence or a few.
    pub(super) summary: &'static str,
    /// Expressions that show it. Their results on the page are computed.
    pub(super) examples: &'static [&'static str],
}

impl Function {
    pub(super) const fn each(
        name: &'static str,
        parameters: &'static [Parameter],
        result: Kinds,
        body: Each,
        summary: &'static str,
        examples: &'static [&'static str],
    ) -> Self {
        let (result, body) = (Returns::One(result), Body::Each(body));
        Self { name, parameters, optional: 0, result, body, changing: false, summary, examples }
    }

    pub(super) const fn whole(
        name: &'static str,
        parameters: &'static [Parameter],
        result: Returns,
        body: Whole,
        summary: &'static str,
        examples: &'static [&'static str],
    ) -> Self {
        let body = Body::Whole(body);
        Self { name, parameters, optional: 0, result, body, changing: false, summary, examples }
    }

    pub(super) const fn form(
        name: &'static str,
        parameters: &'static [Parameter],
        form: Form,
        summary: &'static str,
        examples: &'static [&'static str],
    ) -> Self {
        let (result, body) = (Returns::Any, Body::Form(form));
        Self { name, parameters, optional: 0, result, body, changing: false, summary, examples }
    }

    /// The same, with so many last parameters that may be left out.
    pub(super) const fn optional(self, optional: usize) -> Self {
        Self { optional, ..self }
    }

    /// The same, of a result that is another every time.
    pub(super) const fn changing(self) -> Self {
        Self { changing: true, ..self }
    }
}

/// What a function gives.
#[derive(Debug, Clone, Copy)]
pub(super) enum Returns {
    /// One value, or one for each value of an argument that has several.
    One(Kinds),
    /// Any number of values.
    Many(Kinds),
    /// One of the values of its first argument.
    ItemOfFirst,
    /// Values of its first argument.
    ValuesOfFirst,
    /// What its arguments give.
    Any,
}

/// How a function is evaluated.
#[derive(Debug, Clone, Copy)]
pub(super) enum Body {
    /// For each value of the arguments.
    Each(Each),
    /// Once, with all values of the arguments.
    Whole(Whole),
    /// With arguments that are evaluated when they are needed.
    Form(Form),
}

/// With one value of each argument; those that were left out are none.
pub(super) type Each = for<'r, 'a> fn(&mut [Slot<'a>], &Run<'r, 'a>) -> Result<Slot<'a>, Fault>;
/// With all values of each argument.
pub(super) type Whole =
    for<'r, 'a> fn(&mut [Operand<'a>], &Run<'r, 'a>) -> Result<Operand<'a>, Fault>;

/// Functions whose arguments are not all evaluated, or not once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Iif,
    Switch,
    With,
    Select,
    Where,
    ImportedValue,
}

/// Why a function came to nothing, and which of its arguments, from zero, is to blame.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) argument: Option<usize>,
    pub(super) why: Why,
}

impl From<Why> for Fault {
    fn from(why: Why) -> Self {
        Self { argument: None, why }
    }
}

/// Blames an argument.
pub(super) fn blame(argument: usize) -> impl Fn(Why) -> Fault {
    move |why| Fault { argument: Some(argument), why }
}

/// Arguments that any function takes at most, [`Form::Switch`] apart.
pub(super) const ARGUMENTS_MAX: usize = 4;

/// A parameter of a function.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// The type by the name that the published reference gives it.
    pub(super) word: &'static str,
    pub(super) kinds: Kinds,
    /// Whether the function does something with NULL; otherwise its result is NULL too.
    pub(super) takes_null: bool,
    /// The words that may stand here, of an enumeration.
    pub(super) words: &'static [&'static str],
}

impl Parameter {
    const fn new(name: &'static str, word: &'static str, kinds: Kinds) -> Self {
        Self { name, word, kinds, takes_null: false, words: &[] }
    }

    /// The same, of a function that does something with NULL.
    pub(super) const fn or_null(self) -> Self {
        Self { takes_null: true, ..self }
    }
}

/// A text.
pub(super) const fn text(name: &'static str) -> Parameter {
    Parameter::new(name, "str", Kinds::TEXT.or(Kinds::REFERENCE))
}

/// A number.
pub(super) const fn number(name: &'static str) -> Parameter {
    Parameter::new(name, "num", Kinds::NUMBER)
}

/// A time.
pub(super) const fn time(name: &'static str) -> Parameter {
    Parameter::new(name, "dt", Kinds::TIME)
}

/// Octets.
pub(super) const fn octets(name: &'static str) -> Parameter {
    Parameter::new(name, "bin", Kinds::OCTETS)
}

/// A certificate: its octets, or those in Base64.
pub(super) const fn certificate() -> Parameter {
    Parameter::new("certificate", "bin", Kinds::OCTETS.or(Kinds::TEXT))
}

/// A distinguished name. Texts of attributes are taken as names too.
pub(super) const fn reference(name: &'static str) -> Parameter {
    Parameter::new(name, "ref", Kinds::REFERENCE.or(Kinds::TEXT))
}

/// Any value.
pub(super) const fn any(name: &'static str) -> Parameter {
    Parameter::new(name, "var", Kinds::ANY).or_null()
}

/// Something of these types.
pub(super) const fn one_of(name: &'static str, word: &'static str, kinds: Kinds) -> Parameter {
    Parameter::new(name, word, kinds)
}

/// Texts or references.
pub(super) const fn texts(name: &'static str) -> Parameter {
    Parameter::new(name, "mvstr", Kinds::TEXT.or(Kinds::REFERENCE)).or_null()
}

/// Values of any type.
pub(super) const fn values(name: &'static str) -> Parameter {
    Parameter::new(name, "mvattr", Kinds::ANY).or_null()
}

/// A truth value that decides; NULL is False.
pub(super) const fn condition(name: &'static str) -> Parameter {
    Parameter::new(name, "exp", Kinds::BOOLEAN).or_null()
}

/// The name that a variable gets.
pub(super) const fn variable(name: &'static str) -> Parameter {
    Parameter::new(name, "variable", Kinds::ANY).or_null()
}

/// One of these words, bare or in quotes.
pub(super) const fn word(name: &'static str, words: &'static [&'static str]) -> Parameter {
    Parameter { words, ..Parameter::new(name, "enum", Kinds::TEXT) }
}
