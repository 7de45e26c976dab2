//! The parts of an expression as they are written, before anything is known of them.
//!
//! Of operators there are three ranks: `&&` and `||` bind least, then comparisons, then `&`, `+`, `-`,
//! `*` and `/`. Operators of a rank go from left to right, as documented: `2+3*4` is 20.

use super::error::{ExpressionError, Mistake};
use super::token::{Operator, Placed, Token, tokens};
use super::{DEPTH_MAX, PARTS_MAX};

/// A part with its place in the text: from this octet to before that.
#[derive(Debug, Clone)]
pub(super) struct Part<'a> {
    pub(super) shape: Shape<'a>,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// What a part is.
#[derive(Debug, Clone)]
pub(super) enum Shape<'a> {
    Number(i64),
    Text(String),
    /// A word without arguments: a constant, or one of a function's options.
    Word(&'a str),
    Attribute(&'a str),
    Parameter(&'a str),
    Variable(&'a str),
    Call {
        name: &'a str,
        arguments: Vec<Part<'a>>,
    },
    /// `-x`.
    Negative(Box<Part<'a>>),
    /// Operators of one rank, from left to right.
    Chain {
        first: Box<Part<'a>>,
        rest: Vec<(Operator, Part<'a>)>,
    },
}

/// The ranks of operators, from the one that binds least.
const RANKS: [&[Operator]; 3] = [
    &[Operator::And, Operator::Or],
    &[
        Operator::Equal,
        Operator::NotEqual,
        Operator::Less,
        Operator::LessOrEqual,
        Operator::Greater,
        Operator::GreaterOrEqual,
    ],
    &[Operator::Join, Operator::Add, Operator::Subtract, Operator::Multiply, Operator::Divide],
];

/// The whole of a text.
pub(super) fn parse(text: &str) -> Result<Part<'_>, ExpressionError> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0, parts: 0 };
    let part = parser.chain(0)?;
    match parser.peek() {
        Token::End => Ok(part),
        _ => Err(parser.unexpected("an operator or the end")),
    }
}

struct Parser<'a> {
    /// INVARIANT: ends with [`Token::End`], which is never passed.
    tokens: Vec<Placed<'a>>,
    at: usize,
    depth: usize,
    parts: usize,
}

impl<'a> Parser<'a> {
    fn placed(&self) -> &Placed<'a> {
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn peek(&self) -> &Token<'a> {
        &self.placed().token
    }

    fn pass(&mut self) {
        self.at += 1;
    }

    fn unexpected(&self, expected: &'static str) -> ExpressionError {
        let Placed { token, start, end } = self.placed();
        let found = token.describe();
        ExpressionError::new(*start, *end, Mistake::Unexpected { expected, found })
    }

    fn refuse(&self, mistake: Mistake) -> ExpressionError {
        ExpressionError::new(self.placed().start, self.placed().end, mistake)
    }

    /// Operands with operators of a rank between them.
    fn chain(&mut self, rank: usize) -> Result<Part<'a>, ExpressionError> {
        let Some(operators) = RANKS.get(rank) else { return self.operand() };
        let first = self.chain(rank + 1)?;
        let mut rest = Vec::new();
        while let Token::Operator(operator) = *self.peek()
            && operators.contains(&operator)
        {
            self.pass();
            rest.push((operator, self.chain(rank + 1)?));
        }
        let Some((_, last)) = rest.last() else { return Ok(first) };
        let (start, end) = (first.start, last.end);
        Ok(Part { shape: Shape::Chain { first: Box::new(first), rest }, start, end })
    }

    /// One operand, or what stands in parentheses.
    fn operand(&mut self) -> Result<Part<'a>, ExpressionError> {
        self.parts += 1;
        if self.parts > PARTS_MAX {
            return Err(self.refuse(Mistake::TooManyParts));
        }
        if self.depth >= DEPTH_MAX {
            return Err(self.refuse(Mistake::TooDeep));
        }
        self.depth += 1;
        let part = self.within();
        self.depth -= 1;
        part
    }

    fn within(&mut self) -> Result<Part<'a>, ExpressionError> {
        let Placed { token, start, end } = self.placed().clone();
        let plain = |shape| Part { shape, start, end };
        let shape = match token {
            Token::Number(number) => Shape::Number(number),
            Token::Text(text) => Shape::Text(text),
            Token::Attribute(name) => Shape::Attribute(name),
            Token::Parameter(name) => Shape::Parameter(name),
            Token::Variable(name) => Shape::Variable(name),
            Token::Name(name) => {
                self.pass();
                if *self.peek() != Token::Open {
                    return Ok(plain(Shape::Word(name)));
                }
                let (arguments, end) = self.arguments()?;
                return Ok(Part { shape: Shape::Call { name, arguments }, start, end });
            }
            Token::Operator(Operator::Subtract) => {
                self.pass();
                let operand = self.operand()?;
                let end = operand.end;
                return Ok(Part { shape: Shape::Negative(Box::new(operand)), start, end });
            }
            Token::Open => {
                self.pass();
                let part = self.chain(0)?;
                let end = self.close("an operator or )")?;
                return Ok(Part { start, end, ..part });
            }
            _ => return Err(self.unexpected("a value")),
        };
        self.pass();
        Ok(plain(shape))
    }

    /// The arguments of a function, and where its parenthesis closes.
    fn arguments(&mut self) -> Result<(Vec<Part<'a>>, usize), ExpressionError> {
        self.pass();
        let mut arguments = Vec::new();
        if *self.peek() == Token::Close {
            return Ok((arguments, self.close(")")?));
        }
        loop {
            arguments.push(self.chain(0)?);
            if *self.peek() != Token::Comma {
                return Ok((arguments, self.close("a comma, an operator or )")?));
            }
            self.pass();
        }
    }

    fn close(&mut self, expected: &'static str) -> Result<usize, ExpressionError> {
        if *self.peek() != Token::Close {
            return Err(self.unexpected(expected));
        }
        let end = self.placed().end;
        self.pass();
        Ok(end)
    }
}
