//! What is wrong with a rule file: where, and what to do.

use std::fmt;
use std::sync::Arc;

use portolan_model::Hint;

/// A place of a rule file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file's name, as it was given.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A place of a rule file that breaks a rule of rule files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {text}")]
pub struct RuleError {
    /// Where.
    pub place: Place,
    /// What is wrong.
    pub text: String,
    hint: Option<String>,
}

impl RuleError {
    pub(super) fn at(place: &Place, text: impl Into<String>) -> Self {
        Self { place: place.clone(), text: text.into(), hint: None }
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Hint for RuleError {
    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

/// The one of `known` that a mistyped name most likely means.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    let near = |other: &str| strsim::levenshtein(&name, &other.to_ascii_lowercase());
    let best = known.into_iter().min_by_key(|other| near(other))?;
    (near(best) <= 2.max(name.len() / 4)).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_name_finds_the_one_that_is_meant_and_another_finds_none() {
        let known = ["precedence", "direction", "metaverse"];
        assert_eq!(nearest("presedence", known), Some("precedence"));
        assert_eq!(nearest("Direction", known), Some("direction"));
        assert_eq!(nearest("banana", known), None);
    }
}
