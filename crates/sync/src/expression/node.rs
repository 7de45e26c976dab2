//! The compiled form: functions and attributes resolved, constants folded.

use super::function::Function;
use super::token::Operator;
use super::value::Operand;
use crate::dictionary::AttributeId;

/// A part, with the octet of the text where it begins when its evaluation can fail.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Constant(Operand<'static>),
    Attribute(AttributeId, usize),
    /// An attribute as the connected system has it.
    Imported(AttributeId, usize),
    /// The name of a parameter in lower case.
    Parameter(Box<str>, usize),
    /// The variable that so many others stand between.
    Variable(usize, usize),
    Call(Box<Call>),
    Chain(Box<Chain>),
}

/// A function with its arguments. Of With, Select and Where the name of the variable is left out.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) function: &'static Function,
    pub(super) arguments: Box<[Node]>,
    pub(super) offset: usize,
}

/// Operators of one rank.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    pub(super) first: Node,
    pub(super) rest: Box<[Link]>,
}

/// An operator and what stands right of it.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) operator: Operator,
    pub(super) right: Node,
    pub(super) offset: usize,
}
