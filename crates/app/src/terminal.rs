//! Words of others on an operator's terminal.
//!
//! Names in a directory and messages of a peer are theirs to choose. On a terminal a control character
//! in one could move the cursor, hide a line or answer a prompt, and a directional mark could turn a
//! name around; they are shown as what they are instead.

use std::borrow::Cow;

/// The text with every control character and directional mark written as an escape (`\u{1b}`).
#[must_use]
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let escaped = text.chars().flat_map(|c| {
        let (kept, written) =
            if is_unsafe(c) { (None, Some(c.escape_unicode())) } else { (Some(c), None) };
        kept.into_iter().chain(written.into_iter().flatten())
    });
    Cow::Owned(escaped.collect())
}

/// Control characters (Unicode category Cc), and the marks that change the direction of text (Unicode
/// Standard Annex 9, section 2).
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_directional_marks_are_written_out() {
        let cases = [
            ("Zoë Żółć 伟", "Zoë Żółć 伟"),
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"),
            ("line\r\nline", "line\\u{d}\\u{a}line"),
            ("ecila\u{202e}alice", "ecila\\u{202e}alice"),
            ("\u{9b}31m", "\\u{9b}31m"),
        ];
        for (text, expected) in cases {
            assert_eq!(plain(text), expected);
        }
    }
}
