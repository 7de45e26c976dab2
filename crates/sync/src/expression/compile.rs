//! From what is written to what is evaluated: names resolved, types checked, constants folded.

use std::cell::Cell;

use time::OffsetDateTime;

use super::error::{ExpressionError, Mistake};
use super::evaluate::{Run, evaluate};
use super::function::{Body, Form, Function, Parameter, Returns};
use super::functions;
use super::kinds::Kinds;
use super::node::{Call, Chain, Link, Node};
use super::syntax::{Part, Shape};
use super::token::Operator;
use super::value::{Operand, Scalar};
use super::{Context, Parameters, operator};
use crate::dictionary::{AttributeId, Dictionary};
use crate::record::Values;
use crate::source::Source;

/// Steps that a constant part may take to be computed beforehand; a longer one is left for later.
const FOLD_STEPS_MAX: usize = 2_000;

/// The similarity from which on a name is taken for a misspelling (Jaro-Winkler).
const NEAREST_MIN: f64 = 0.75;

/// What is compiled so far.
pub(super) struct Compiler<'d, 't> {
    dictionary: &'d mut Dictionary,
    pub(super) attributes: Vec<AttributeId>,
    pub(super) imported: Vec<AttributeId>,
    pub(super) parameters: Vec<String>,
    /// The variables that have a value here, the innermost last.
    variables: Vec<(&'t str, Kinds)>,
}

type Compiled = Result<(Node, Kinds), ExpressionError>;

fn wrong(part: &Part<'_>, mistake: Mistake) -> ExpressionError {
    ExpressionError::new(part.start, part.end, mistake)
}

impl<'d, 't> Compiler<'d, 't> {
    pub(super) fn new(dictionary: &'d mut Dictionary) -> Self {
        let (attributes, imported, parameters) = (Vec::new(), Vec::new(), Vec::new());
        Self { dictionary, attributes, imported, parameters, variables: Vec::new() }
    }

    /// A part and the types that it can have. `last` says whether its value is that of the whole.
    pub(super) fn part(&mut self, part: &Part<'t>, last: bool) -> Compiled {
        let one = |value: Scalar<'static>| {
            let kinds = value.kind();
            Ok((Node::Constant(Operand::One(value)), kinds))
        };
        match &part.shape {
            Shape::Number(number) => one(Scalar::Integer(*number)),
            Shape::Text(text) => one(Scalar::text(text.clone())),
            Shape::Word(name) => constant(part, name, last),
            Shape::Attribute(name) => {
                let id = self.attribute(part, name)?;
                note(&mut self.attributes, id);
                Ok((Node::Attribute(id, part.start), Kinds::STORED))
            }
            Shape::Parameter(name) => {
                let name = name.to_ascii_lowercase();
                note(&mut self.parameters, name.clone());
                Ok((Node::Parameter(name.into(), part.start), Kinds::TEXT))
            }
            Shape::Variable(name) => {
                let found = self.variables.iter().rev().enumerate().find(|(_, (n, _))| n == name);
                let unknown = || wrong(part, Mistake::UnknownVariable((*name).to_owned()));
                let (outwards, (_, kinds)) = found.ok_or_else(unknown)?;
                Ok((Node::Variable(outwards, part.start), *kinds))
            }
            Shape::Negative(operand) => {
                let zero = Node::Constant(Operand::One(Scalar::Integer(0)));
                let link = self.link(Operator::Subtract, operand, part.start, Kinds::NUMBER)?;
                let chain = Chain { first: zero, rest: [link].into() };
                Ok((fold(Node::Chain(Box::new(chain))), Kinds::NUMBER))
            }
            Shape::Chain { first, rest } => self.chain(first, rest),
            Shape::Call { name, arguments } => self.call(part, name, arguments, last),
        }
    }

    fn attribute(&mut self, part: &Part<'_>, name: &str) -> Result<AttributeId, ExpressionError> {
        // What the published language calls `dn` is the object's distinguished name.
        let name = if name.eq_ignore_ascii_case("dn") { "distinguishedName" } else { name };
        self.dictionary.intern(name).map_err(|error| wrong(part, error.into()))
    }

    fn chain(&mut self, first: &Part<'t>, rest: &[(Operator, Part<'t>)]) -> Compiled {
        let (node, mut kinds) = self.part(first, false)?;
        let mut links = Vec::with_capacity(rest.len());
        for (at, (operator, right)) in rest.iter().enumerate() {
            let (sides, result) = operator::kinds(*operator);
            let place = |side: &str| format!("what stands {side} of {}", operator.written());
            if !kinds.is_none() && !kinds.meets(sides) {
                // Blamed is what stands left, all of it.
                let end = if at == 0 { first.end } else { rest[at - 1].1.end };
                let (place, expected, found) = (place("left"), sides, kinds);
                let mistake = Mistake::Type { place, expected, found };
                return Err(ExpressionError::new(first.start, end, mistake));
            }
            links.push(self.link(*operator, right, first.start, kinds)?);
            kinds = result;
        }
        let chain = Chain { first: node, rest: links.into() };
        Ok((fold(Node::Chain(Box::new(chain))), kinds))
    }

    /// An operator with its right side, whose left side has these types.
    fn link(
        &mut self,
        operator: Operator,
        right: &Part<'t>,
        offset: usize,
        left: Kinds,
    ) -> Result<Link, ExpressionError> {
        let (node, found) = self.part(right, false)?;
        let (expected, result) = operator::kinds(operator);
        let compares = result == Kinds::BOOLEAN && expected != Kinds::BOOLEAN;
        let place = format!("what stands right of {}", operator.written());
        if !found.is_none() {
            if !found.meets(expected) {
                return Err(wrong(right, Mistake::Type { place, expected, found }));
            }
            if compares && !left.is_none() && !operator::comparable(left, found) {
                return Err(wrong(right, Mistake::Type { place, expected: left, found }));
            }
        }
        Ok(Link { operator, right: node, offset })
    }

    fn call(
        &mut self,
        part: &Part<'t>,
        name: &'t str,
        arguments: &[Part<'t>],
        last: bool,
    ) -> Compiled {
        let Some(function) = functions::find(name) else {
            let end = part.start + name.len();
            let (name, nearest) = (name.to_owned(), nearest(name));
            let mistake = Mistake::UnknownFunction { name, nearest };
            return Err(ExpressionError::new(part.start, end, mistake));
        };
        counted(part, function, arguments)?;
        let (nodes, kinds) = match function.body {
            Body::Form(Form::ImportedValue) => return self.imported_value(part, &arguments[0]),
            Body::Form(form @ (Form::Iif | Form::Switch)) => {
                let mut nodes = Vec::with_capacity(arguments.len());
                let mut kinds = Kinds::NONE;
                for (at, argument) in arguments.iter().enumerate() {
                    let is_condition = if form == Form::Iif { at == 0 } else { at % 2 == 0 };
                    if is_condition {
                        nodes.push(self.argument(function, &function.parameters[0], argument)?.0);
                    } else {
                        let (node, found) = self.part(argument, last)?;
                        nodes.push(node);
                        kinds = kinds.or(found);
                    }
                }
                (nodes, kinds)
            }
            Body::Form(form) => self.with_variable(form, function, arguments, last)?,
            Body::Each(_) | Body::Whole(_) => {
                let mut nodes = Vec::with_capacity(arguments.len());
                let mut first = Kinds::NONE;
                for (at, (argument, parameter)) in
                    arguments.iter().zip(function.parameters).enumerate()
                {
                    let (node, found) = self.argument(function, parameter, argument)?;
                    nodes.push(node);
                    if at == 0 {
                        first = found;
                    }
                }
                let kinds = match function.result {
                    Returns::One(kinds) | Returns::Many(kinds) => kinds,
                    Returns::ItemOfFirst | Returns::ValuesOfFirst | Returns::Any => first,
                };
                (nodes, kinds)
            }
        };
        let call = Call { function, arguments: nodes.into(), offset: part.start };
        Ok((fold(Node::Call(Box::new(call))), kinds))
    }

    /// An argument whose types fit its parameter.
    fn argument(
        &mut self,
        function: &'static Function,
        parameter: &Parameter,
        argument: &Part<'t>,
    ) -> Compiled {
        if !parameter.words.is_empty() {
            return option(parameter, argument);
        }
        let (node, found) = self.part(argument, false)?;
        if found.is_none() || found.meets(parameter.kinds) {
            return Ok((node, found));
        }
        let place = format!("{} of {}", parameter.name, function.name);
        Err(wrong(argument, Mistake::Type { place, expected: parameter.kinds, found }))
    }

    /// With, Select and Where: a variable, its value or values, and what is done with it.
    fn with_variable(
        &mut self,
        form: Form,
        function: &'static Function,
        arguments: &[Part<'t>],
        last: bool,
    ) -> Result<(Vec<Node>, Kinds), ExpressionError> {
        let [variable, value, body] = arguments else { return Ok((Vec::new(), Kinds::NONE)) };
        let Shape::Variable(name) = variable.shape else {
            let found = "something else".to_owned();
            let expected = "a variable, such as $item,";
            return Err(wrong(variable, Mistake::Unexpected { expected, found }));
        };
        let (value, kinds) = self.part(value, false)?;
        // What a variable is of unknown type, such as NULL, can be anything.
        self.variables.push((name, if kinds.is_none() { Kinds::ANY } else { kinds }));
        let body = match form {
            Form::With => self.part(body, last),
            Form::Select => self.part(body, false),
            _ => self.argument(function, &function.parameters[2], body),
        };
        self.variables.pop();
        let (body, found) = body?;
        Ok((vec![value, body], if form == Form::Where { kinds } else { found }))
    }

    fn imported_value(&mut self, part: &Part<'_>, argument: &Part<'_>) -> Compiled {
        let Shape::Text(name) = &argument.shape else {
            let (expected, found) = ("the name of an attribute in quotes", "something else");
            let mistake = Mistake::Unexpected { expected, found: found.to_owned() };
            return Err(wrong(argument, mistake));
        };
        let id = self.attribute(argument, name)?;
        note(&mut self.imported, id);
        Ok((Node::Imported(id, part.start), Kinds::STORED))
    }
}

fn note<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

/// The constants that are words.
fn constant(part: &Part<'_>, name: &str, last: bool) -> Compiled {
    let signal = |operand: Operand<'static>, name| {
        if last {
            Ok((Node::Constant(operand), Kinds::NONE))
        } else {
            Err(wrong(part, Mistake::NotAResult(name)))
        }
    };
    let one = |value: Scalar<'static>| {
        let kinds = value.kind();
        Ok((Node::Constant(Operand::One(value)), kinds))
    };
    match name.to_ascii_lowercase().as_str() {
        "true" => one(Scalar::Boolean(true)),
        "false" => one(Scalar::Boolean(false)),
        "crlf" => one(Scalar::text("\r\n")),
        "null" => Ok((Node::Constant(Operand::Null), Kinds::NONE)),
        "authoritativenull" => signal(Operand::AuthoritativeNull, "AuthoritativeNull"),
        "ignorethisflow" => signal(Operand::IgnoreThisFlow, "IgnoreThisFlow"),
        _ => {
            let expected = match functions::find(name) {
                Some(function) => format!("{} is a function: it takes parentheses", function.name),
                None => "texts stand in quotes, attributes in brackets".to_owned(),
            };
            Err(wrong(part, Mistake::UnknownWord { name: name.to_owned(), expected }))
        }
    }
}

/// One of the words of an enumeration, as the table writes it.
fn option(parameter: &Parameter, argument: &Part<'_>) -> Compiled {
    let written = match &argument.shape {
        Shape::Word(name) => Some(*name),
        Shape::Text(text) => Some(text.as_str()),
        _ => None,
    };
    let known = written
        .and_then(|name| parameter.words.iter().find(|word| word.eq_ignore_ascii_case(name)));
    match known {
        Some(word) => Ok((Node::Constant(Operand::One(Scalar::text(*word))), Kinds::TEXT)),
        None => {
            let name = written.unwrap_or("this").chars().take(64).collect();
            let expected = format!("{} is one of {}", parameter.name, parameter.words.join(", "));
            Err(wrong(argument, Mistake::UnknownWord { name, expected }))
        }
    }
}

/// Whether a function has as many arguments as it takes.
fn counted(
    part: &Part<'_>,
    function: &'static Function,
    arguments: &[Part<'_>],
) -> Result<(), ExpressionError> {
    let (found, most) = (arguments.len(), function.parameters.len());
    let least = most - function.optional;
    let is_switch = matches!(function.body, Body::Form(Form::Switch));
    let fits = if is_switch {
        found > 0 && found.is_multiple_of(2)
    } else {
        (least..=most).contains(&found)
    };
    if fits {
        return Ok(());
    }
    let arguments = |count| if count == 1 { "argument" } else { "arguments" };
    let expected = if is_switch {
        "pairs of a condition and a value".to_owned()
    } else if most == 0 {
        "no arguments".to_owned()
    } else if least == most {
        format!("{most} {}", arguments(most))
    } else {
        format!("{least} to {most} arguments")
    };
    let mistake = Mistake::Arguments { function: function.name, expected, found };
    Err(wrong(part, mistake))
}

/// The function whose name is most like this one, if any is.
fn nearest(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    functions::all()
        .map(|function| {
            let likeness = strsim::jaro_winkler(&name, &function.name.to_ascii_lowercase());
            (likeness, function.name)
        })
        .filter(|(likeness, _)| *likeness >= NEAREST_MIN)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, name)| name)
}

/// The constant that a part of constants comes to; the part itself when that fails or takes long, so
/// that an error comes when the part is evaluated, and not when it is written.
fn fold(node: Node) -> Node {
    let is_constant = |node: &Node| matches!(node, Node::Constant(_));
    let folds = match &node {
        Node::Call(call) => {
            let binds =
                matches!(call.function.body, Body::Form(Form::With | Form::Select | Form::Where));
            !call.function.changing && !binds && call.arguments.iter().all(is_constant)
        }
        Node::Chain(chain) => {
            is_constant(&chain.first) && chain.rest.iter().all(|link| is_constant(&link.right))
        }
        _ => false,
    };
    if !folds {
        return node;
    }
    let (parameters, random) = (Parameters::default(), Cell::new(0));
    let (source, now) = (&Nothing, OffsetDateTime::UNIX_EPOCH);
    let context = Context { source, imported: None, parameters: &parameters, now, random: &random };
    let folded =
        evaluate(&node, &Run::new(&context, FOLD_STEPS_MAX), None).map(Operand::into_owned);
    folded.map_or(node, Node::Constant)
}

/// A source without attributes.
struct Nothing;

impl Source for Nothing {
    fn values(&self, _: AttributeId) -> Values<'_> {
        Values::default()
    }
}
