//! The words of an expression's text.

use super::TEXT_OCTETS_MAX;
use super::error::{ExpressionError, Mistake};

/// A word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A number, decimal or after `&H` hexadecimal.
    Number(i64),
    /// A text, unquoted.
    Text(String),
    /// The name of a function, or a constant.
    Name(&'a str),
    /// `[attribute]`.
    Attribute(&'a str),
    /// `%parameter%`.
    Parameter(&'a str),
    /// `$variable`.
    Variable(&'a str),
    /// An operator.
    Operator(Operator),
    /// `(`.
    Open,
    /// `)`.
    Close,
    /// `,`.
    Comma,
    /// The end of the text.
    End,
}

/// An operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    And,
    Or,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Join,
    Add,
    Subtract,
    Multiply,
    Divide,
}

impl Operator {
    /// Every operator as it is written; one that begins with another stands before it.
    const TABLE: [(&'static str, Self); 13] = [
        ("&&", Self::And),
        ("||", Self::Or),
        ("<>", Self::NotEqual),
        ("<=", Self::LessOrEqual),
        (">=", Self::GreaterOrEqual),
        ("<", Self::Less),
        (">", Self::Greater),
        ("=", Self::Equal),
        ("&", Self::Join),
        ("+", Self::Add),
        ("-", Self::Subtract),
        ("*", Self::Multiply),
        ("/", Self::Divide),
    ];

    pub(super) fn written(self) -> &'static str {
        Self::TABLE.iter().find(|(_, operator)| *operator == self).map_or("", |(text, _)| text)
    }
}

impl Token<'_> {
    /// The word for an error.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Number(number) => format!("the number {number}"),
            Self::Text(_) => "a text".to_owned(),
            Self::Name(name) => (*name).to_owned(),
            Self::Attribute(name) => format!("[{name}]"),
            Self::Parameter(name) => format!("%{name}%"),
            Self::Variable(name) => format!("${name}"),
            Self::Operator(operator) => operator.written().to_owned(),
            Self::Open => "(".to_owned(),
            Self::Close => ")".to_owned(),
            Self::Comma => "a comma".to_owned(),
            Self::End => "the end".to_owned(),
        }
    }

    /// Whether a value ends with it, so that an operator may follow.
    const fn ends_a_value(&self) -> bool {
        !matches!(self, Self::Operator(_) | Self::Open | Self::Comma | Self::End)
    }
}

/// A word with its place: from this octet to before that.
#[derive(Debug, Clone)]
pub(super) struct Placed<'a> {
    pub(super) token: Token<'a>,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// All words of a text; the last is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Placed<'_>>, ExpressionError> {
    if text.len() > TEXT_OCTETS_MAX {
        return Err(ExpressionError::new(TEXT_OCTETS_MAX, text.len(), Mistake::TooLong));
    }
    let mut found: Vec<Placed<'_>> = Vec::new();
    let mut start = 0;
    loop {
        let rest = &text[start..];
        let blank = rest.len() - rest.trim_start().len();
        if blank > 0 {
            start += blank;
            continue;
        }
        let after_value = found.last().is_some_and(|last| last.token.ends_a_value());
        let (token, length) = token(rest, after_value)
            .map_err(|(length, mistake)| ExpressionError::new(start, start + length, mistake))?;
        let done = token == Token::End;
        found.push(Placed { token, start, end: start + length });
        start += length;
        if done {
            return Ok(found);
        }
    }
}

type Wrong = (usize, Mistake);

/// The word with which `rest` begins, and its octets.
fn token(rest: &str, after_value: bool) -> Result<(Token<'_>, usize), Wrong> {
    let Some(first) = rest.chars().next() else { return Ok((Token::End, 0)) };
    match first {
        '(' => Ok((Token::Open, 1)),
        ')' => Ok((Token::Close, 1)),
        ',' => Ok((Token::Comma, 1)),
        '"' => quoted(rest),
        '[' => enclosed(rest, "an attribute", ']').map(|(name, end)| (Token::Attribute(name), end)),
        '%' => enclosed(rest, "a parameter", '%').map(|(name, end)| (Token::Parameter(name), end)),
        '$' => match name(&rest[1..]) {
            "" => Err((1, Mistake::Character('$'))),
            name => Ok((Token::Variable(name), 1 + name.len())),
        },
        '0'..='9' => number(rest, 0, 10),
        '&' if !after_value && rest.get(1..2).is_some_and(|h| h.eq_ignore_ascii_case("h")) => {
            number(rest, 2, 16)
        }
        _ if first.is_ascii_alphabetic() => {
            let name = name(rest);
            Ok((Token::Name(name), name.len()))
        }
        _ => match Operator::TABLE.iter().find(|(text, _)| rest.starts_with(text)) {
            Some((text, operator)) => Ok((Token::Operator(*operator), text.len())),
            None => Err((first.len_utf8(), Mistake::Character(first))),
        },
    }
}

/// A text in quotes. Two quotes are one; two backslashes are one too, as the published default rules
/// write them, and one before anything else is itself.
fn quoted(rest: &str) -> Result<(Token<'_>, usize), Wrong> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' if characters.next_if(|(_, next)| *next == '"').is_none() => {
                return Ok((Token::Text(text), at + 1));
            }
            '\\' => drop(characters.next_if(|(_, next)| *next == '\\')),
            _ => {}
        }
        text.push(c);
    }
    Err((1, Mistake::NotClosed { what: "the text", end: '"' }))
}

/// A name between two signs, on one line.
fn enclosed<'a>(rest: &'a str, what: &'static str, end: char) -> Result<(&'a str, usize), Wrong> {
    match rest[1..].find([end, '\n', '"']) {
        Some(at) if rest[1 + at..].starts_with(end) => Ok((rest[1..=at].trim(), at + 2)),
        _ => Err((1, Mistake::NotClosed { what, end })),
    }
}

/// The letters, digits and underscores with which a text begins.
fn name(rest: &str) -> &str {
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    &rest[..end]
}

/// A number whose digits begin at `skip`; letters and points that follow belong to the mistake.
fn number(rest: &str, skip: usize, radix: u32) -> Result<(Token<'_>, usize), Wrong> {
    let ends = |c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.';
    let length = rest[skip..].find(ends).unwrap_or(rest.len() - skip);
    let digits = &rest[skip..skip + length];
    let number = match radix {
        // All 64 bits can be given: &HFFFFFFFFFFFFFFFF is -1.
        16 => u64::from_str_radix(digits, radix).ok().map(u64::cast_signed),
        _ => digits.parse().ok(),
    };
    match number {
        Some(number) => Ok((Token::Number(number), skip + length)),
        None => Err((skip + length, Mistake::Number(rest[..skip + length].to_owned()))),
    }
}
