//! A data file that is refused: where, and why.

use std::ops::Range;

use portolan_model::Hint;

/// A data file that breaks the schema, by line and column.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {text}")]
pub struct InvalidFile {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    text: String,
    hint: Option<String>,
}

impl InvalidFile {
    /// At a place of `source`, in octets from its beginning.
    pub(crate) fn at(source: &str, place: Range<usize>, text: impl Into<String>) -> Self {
        let before = source.get(..place.start).unwrap_or(source);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).map_or(0, |text| text.chars().count()) + 1,
            text: text.into(),
            hint: None,
        }
    }

    pub(crate) fn with_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    /// What the reader of TOML refuses: its syntax, and keys and types that the schema does not have.
    pub(crate) fn unread(source: &str, error: &toml::de::Error) -> Self {
        // One line: the reader's own message may quote the file and span several.
        let text: Vec<_> = error.message().split_whitespace().collect();
        Self::at(source, error.span().unwrap_or(0..0), text.join(" "))
    }
}

impl Hint for InvalidFile {
    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_lines_and_characters_from_one() {
        let check = |place: usize, expected: (usize, usize)| {
            let error = InvalidFile::at("a = 1\nçà = 2\n", place..place, "no");
            assert_eq!((error.line, error.column), expected, "{place}");
        };
        check(0, (1, 1));
        check(4, (1, 5));
        check(6, (2, 1));
        check(10, (2, 3));
        check(999, (3, 1));
    }
}
