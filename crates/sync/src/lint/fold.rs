//! When two texts are the same: to the directory, and to people.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;
use unicode_security::skeleton;

/// The form in which texts are the same that Active Directory takes for the same: without case, width,
/// kana type and marks (UnicodeString, [MS-ADTS] sections 3.1.1.2.2.4.13 and 6.5). The tables of
/// Windows differ from Unicode's in rare characters.
///
/// [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
#[must_use]
pub fn directory(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let marked = |c: &char| !is_combining_mark(*c);
    text.nfkd().filter(marked).map(hiragana).flat_map(char::to_lowercase).collect()
}

/// The forms in which texts are the same that look the same: the skeletons of [UTS 39] section 4, of
/// the text as it stands and without its capitals, for a capital I is an l to the eye and no i.
///
/// [UTS 39]: https://www.unicode.org/reports/tr39/
#[must_use]
pub fn looks(text: &str) -> [String; 2] {
    let lower: String = text.chars().flat_map(char::to_lowercase).collect();
    let of = |text: &str| directory(&skeleton(text).collect::<String>());
    [of(text), of(&lower)]
}

/// The plain letters of a text: without marks, and without what is not ASCII then.
#[must_use]
pub fn ascii(text: &str) -> String {
    text.nfkd().filter(char::is_ascii).collect()
}

/// Hiragana of katakana; every other character as it is.
const fn hiragana(c: char) -> char {
    match c {
        '\u{30a1}'..='\u{30f6}' => match char::from_u32(c as u32 - KANA_DISTANCE) {
            Some(hiragana) => hiragana,
            None => c,
        },
        other => other,
    }
}

/// From a hiragana to its katakana.
const KANA_DISTANCE: u32 = 0x60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_the_same_to_the_directory_without_case_marks_width_and_kana() {
        let same = |a: &str, b: &str| assert_eq!(directory(a), directory(b), "{a} {b}");
        same("ALICE@Corp.Example", "alice@corp.example");
        same("Müller", "MULLER");
        same("Zoe\u{308}", "Zoë");
        same("ＡＢＣ１", "abc1");
        same("カナ", "かな");
        same("ŻÓŁĆ", "żółć");
        for (a, b) in [("alice", "alicе"), ("a b", "ab"), ("1", "l")] {
            assert_ne!(directory(a), directory(b), "{a} {b}");
        }
    }

    #[test]
    fn texts_look_the_same_across_scripts_and_across_capitals() {
        let alike = |a: &str, b: &str| looks(a).iter().any(|form| looks(b).contains(form));
        for (a, b) in [
            ("alice", "\u{430}lice"),
            ("Alice", "AIice"),
            ("ALICE", "\u{430}lice"),
            ("paypal", "pаураl"),
            ("admin", "adrnin"),
        ] {
            assert!(alike(a, b), "{a} {b}");
        }
        for (a, b) in [("alice", "alicia"), ("bob", "rob"), ("伟", "王")] {
            assert!(!alike(a, b), "{a} {b}");
        }
    }

    #[test]
    fn letters_lose_their_marks_and_what_has_no_plain_letter_goes() {
        for (text, plain) in
            [("jürgen", "jurgen"), ("Łukasz", "ukasz"), ("ｚoë", "zoe"), ("伟", "")]
        {
            assert_eq!(ascii(text), plain);
        }
    }
}
