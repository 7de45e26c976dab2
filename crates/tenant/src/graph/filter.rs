//! `$filter`: the part of [OData's] that directories are asked with.
//!
//! `eq` and `ne` with a text, `true`, `false` or `null`; `startswith` and `endswith`; `and`, `or`,
//! `not`, parentheses. Texts are compared without case, as Graph does. Everything else is refused.
//!
//! [OData's]: https://learn.microsoft.com/graph/filter-query-parameter

use super::{InvalidQuery, Property, known_property, property};
use crate::directory::{Attribute, Kind, Object, Shape, Value};

/// Tokens that a filter may have: its size, and how deep it nests.
const TOKENS_MAX: usize = 200;

/// A filter on objects of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// The property has this value; `null` is no value.
    Equal(&'static str, Literal),
    /// The property is a text that begins so, in lower case.
    Begins(&'static str, String),
    /// The property is a text that ends so, in lower case.
    Ends(&'static str, String),
    /// Not this.
    Not(Box<Self>),
    /// Both.
    And(Box<Self>, Box<Self>),
    /// One of them.
    Or(Box<Self>, Box<Self>),
}

/// A value in a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    /// A text, as it was given and in lower case.
    Text {
        /// As it was given.
        given: String,
        /// In lower case.
        folded: String,
    },
    /// Yes or no.
    Flag(bool),
    /// No value.
    Null,
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// [`InvalidQuery::InvalidFilter`], or [`InvalidQuery::UnknownProperty`].
    pub fn parse(text: &str, kind: Kind) -> Result<Self, InvalidQuery> {
        let mut parser = Parser { tokens: tokens(text)?, at: 0, kind };
        let filter = parser.either()?;
        if parser.at == parser.tokens.len() { Ok(filter) } else { Err(InvalidQuery::InvalidFilter) }
    }

    /// The property and the value that this filter asks for, when it asks for one value and nothing else:
    /// an index finds it.
    #[must_use]
    pub fn key(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::Equal(name, Literal::Text { given, .. }) => Some((name, given)),
            _ => None,
        }
    }

    /// Whether an object passes.
    #[must_use]
    pub fn passes(&self, object: &Object) -> bool {
        let text = |name| match property(object, name) {
            Property::Value(Some(Value::Text(text))) => Some(text.to_lowercase()),
            _ => None,
        };
        match self {
            Self::Equal(name, literal) => match (property(object, name), literal) {
                (Property::Value(None), Literal::Null) => true,
                // An anchor is another one in another case.
                (Property::Value(Some(Value::Text(found))), Literal::Text { given, .. })
                    if *name == "onPremisesImmutableId" =>
                {
                    found == *given
                }
                (Property::Value(Some(Value::Text(found))), Literal::Text { folded, .. }) => {
                    found.to_lowercase() == *folded
                }
                (Property::Value(Some(Value::Flag(found))), Literal::Flag(wanted)) => {
                    found == *wanted
                }
                _ => false,
            },
            Self::Begins(name, start) => text(name).is_some_and(|text| text.starts_with(start)),
            Self::Ends(name, end) => text(name).is_some_and(|text| text.ends_with(end)),
            Self::Not(inner) => !inner.passes(object),
            Self::And(one, other) => one.passes(object) && other.passes(object),
            Self::Or(one, other) => one.passes(object) || other.passes(object),
        }
    }

    /// The properties that it looks at: whoever may not see one may not ask for it either.
    #[must_use]
    pub fn properties(&self) -> Vec<&'static str> {
        match self {
            Self::Equal(name, _) | Self::Begins(name, _) | Self::Ends(name, _) => vec![name],
            Self::Not(inner) => inner.properties(),
            Self::And(one, other) | Self::Or(one, other) => {
                [one.properties(), other.properties()].concat()
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Open,
    Close,
    Comma,
}

fn tokens(text: &str) -> Result<Vec<Token>, InvalidQuery> {
    let mut found = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let token = match c {
            ' ' => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            ',' => Token::Comma,
            '\'' => {
                let mut quoted = String::new();
                loop {
                    match rest.next().ok_or(InvalidQuery::InvalidFilter)? {
                        // Two in a row are one of the text's own.
                        '\'' if rest.next_if_eq(&'\'').is_some() => quoted.push('\''),
                        '\'' => break,
                        other => quoted.push(other),
                    }
                }
                Token::Text(quoted)
            }
            c if c.is_ascii_alphanumeric() => {
                let mut word = c.to_string();
                while let Some(next) = rest.next_if(char::is_ascii_alphanumeric) {
                    word.push(next);
                }
                Token::Word(word)
            }
            _ => return Err(InvalidQuery::InvalidFilter),
        };
        found.push(token);
        if found.len() > TOKENS_MAX {
            return Err(InvalidQuery::InvalidFilter);
        }
    }
    Ok(found)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    kind: Kind,
}

impl Parser {
    fn either(&mut self) -> Result<Filter, InvalidQuery> {
        let mut filter = self.both()?;
        while self.take_word("or") {
            filter = Filter::Or(Box::new(filter), Box::new(self.both()?));
        }
        Ok(filter)
    }

    fn both(&mut self) -> Result<Filter, InvalidQuery> {
        let mut filter = self.one()?;
        while self.take_word("and") {
            filter = Filter::And(Box::new(filter), Box::new(self.one()?));
        }
        Ok(filter)
    }

    fn one(&mut self) -> Result<Filter, InvalidQuery> {
        if self.take_word("not") {
            return Ok(Filter::Not(Box::new(self.one()?)));
        }
        if self.take(&Token::Open) {
            let inner = self.either()?;
            return self.expect(&Token::Close).map(|()| inner);
        }
        for (word, made) in [
            ("startswith", Filter::Begins as fn(&'static str, String) -> Filter),
            ("endswith", Filter::Ends),
        ] {
            if self.take_word(word) {
                self.expect(&Token::Open)?;
                let (name, shape) = self.property()?;
                self.expect(&Token::Comma)?;
                let Some(Token::Text(text)) = self.next() else {
                    return Err(InvalidQuery::InvalidFilter);
                };
                self.expect(&Token::Close)?;
                if shape != Shape::Text {
                    return Err(InvalidQuery::InvalidFilter);
                }
                return Ok(made(name, text.to_lowercase()));
            }
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Filter, InvalidQuery> {
        let (name, shape) = self.property()?;
        let same = self.take_word("eq");
        if !same && !self.take_word("ne") {
            return Err(InvalidQuery::InvalidFilter);
        }
        let literal = match (self.next(), shape) {
            (Some(Token::Text(given)), Shape::Text) => {
                Literal::Text { folded: given.to_lowercase(), given }
            }
            (Some(Token::Word(word)), Shape::Flag) if word == "true" => Literal::Flag(true),
            (Some(Token::Word(word)), Shape::Flag) if word == "false" => Literal::Flag(false),
            (Some(Token::Word(word)), _) if word == "null" => Literal::Null,
            _ => return Err(InvalidQuery::InvalidFilter),
        };
        let equal = Filter::Equal(name, literal);
        Ok(if same { equal } else { Filter::Not(Box::new(equal)) })
    }

    /// A property that can be filtered by, and the shape of its value.
    fn property(&mut self) -> Result<(&'static str, Shape), InvalidQuery> {
        let Some(Token::Word(word)) = self.next() else { return Err(InvalidQuery::InvalidFilter) };
        let name = known_property(&word, self.kind)?;
        let shape = match name {
            "id" | "onPremisesImmutableId" => Shape::Text,
            "onPremisesSyncEnabled" => Shape::Flag,
            _ => Attribute::named(name)
                .map(|row| row.shape)
                .filter(|shape| matches!(shape, Shape::Text | Shape::Flag))
                .ok_or(InvalidQuery::InvalidFilter)?,
        };
        Ok((name, shape))
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += usize::from(token.is_some());
        token
    }

    fn take(&mut self, token: &Token) -> bool {
        let found = self.tokens.get(self.at) == Some(token);
        self.at += usize::from(found);
        found
    }

    /// Operators and functions are written in any case.
    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Word(found)) if found.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, token: &Token) -> Result<(), InvalidQuery> {
        if self.take(token) { Ok(()) } else { Err(InvalidQuery::InvalidFilter) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::tests::user;

    #[test]
    fn an_object_passes_what_is_true_of_it() {
        let mut alice = user("alice@corp.example");
        alice.attributes.set("displayName", Value::Text("Alice O'Neil".to_owned())).unwrap();
        let check = |text: &str, expected: bool| {
            let filter = Filter::parse(text, Kind::User).unwrap();
            assert_eq!(filter.passes(&alice), expected, "{text}");
        };
        check("displayName eq 'alice o''neil'", true);
        check("DISPLAYNAME ne 'Alice O''Neil'", false);
        check("startswith(displayName,'al')", true);
        check("endsWith(userPrincipalName, '@CORP.example')", true);
        check("accountEnabled eq true and onPremisesSyncEnabled eq true", true);
        check("accountEnabled eq false or jobTitle eq null", true);
        check("accountEnabled eq false or not (jobTitle eq null)", false);
        check("jobTitle eq 'x'", false);
        check("not startswith(jobTitle,'x')", true);
        check(
            "accountEnabled eq false and accountEnabled eq false or accountEnabled eq true",
            true,
        );
        check(&format!("id eq '{}'", alice.id), true);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let invalid = |text: &str| {
            let found = Filter::parse(text, Kind::User);
            assert_eq!(found, Err(InvalidQuery::InvalidFilter), "{text}");
        };
        for text in [
            "",
            "displayName",
            "displayName eq",
            "displayName eq 'x",
            "displayName eq true",
            "accountEnabled eq 'x'",
            "displayName gt 'x'",
            "displayName eq 'x' 'y'",
            "(displayName eq 'x'",
            "businessPhones eq 'x'",
            "startswith(accountEnabled,'x')",
            "displayName eq \"x\"",
        ] {
            invalid(text);
        }
        invalid(&"(".repeat(100_000));
        invalid(&"not ".repeat(100_000));
        let unknown = |name: &str| Err(InvalidQuery::UnknownProperty(name.to_owned(), "user"));
        assert_eq!(Filter::parse("shoeSize eq '1'", Kind::User), unknown("shoeSize"));
        let state = "onPremisesLockedOut";
        assert_eq!(Filter::parse(&format!("{state} eq true"), Kind::User), unknown(state));
    }

    #[test]
    fn the_properties_that_a_filter_looks_at_are_known() {
        let filter = Filter::parse(
            "not (accountEnabled eq true) or startswith(jobTitle,'x') and mail ne null",
            Kind::User,
        );
        assert_eq!(filter.unwrap().properties(), ["accountEnabled", "jobTitle", "mail"]);
    }
}
