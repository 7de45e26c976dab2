//! Sizes and names: functions, files, `main`, tests; how a module opens; bare `allow`.

use proc_macro2::{Delimiter, Group, TokenTree};

use super::exempt::{LongFile, LongFunction};
use super::source::{Item, Source};
use super::{Finding, Outcome};

/// A function longer than this fails.
const FUNCTION_LINES_MAX: usize = 70;

/// `main` is a page: parse, run, report.
const MAIN_LINES_MAX: usize = 40;

/// A file longer than this is due for a split.
const FILE_LINES_AIM: usize = 500;

/// A file longer than this fails.
const FILE_LINES_MAX: usize = 1_000;

struct Function<'items> {
    name: String,
    line: usize,
    lines: usize,
    attributes: &'items [Group],
}

/// The functions among sibling tokens. An attribute belongs to the first token of its item, which may
/// be `pub` or `async`, so they are gathered from the end of the item before.
fn functions(items: &[Item]) -> Vec<Function<'_>> {
    let mut found = Vec::new();
    let mut attributes: &[Group] = &[];
    for (at, item) in items.iter().enumerate() {
        if !item.attributes.is_empty() {
            attributes = &item.attributes;
        }
        match &item.token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => attributes = &[],
            TokenTree::Punct(punct) if punct.as_char() == ';' => attributes = &[],
            _ => {}
        }
        let Some(TokenTree::Ident(name)) = items.get(at + 1).map(|next| &next.token) else {
            continue;
        };
        if !item.is_word("fn") {
            continue;
        }
        // A declaration without a body ends with a semicolon before any brace.
        let body = items[at..].iter().find_map(|item| match &item.token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(Some(group)),
            TokenTree::Punct(punct) if punct.as_char() == ';' => Some(None),
            _ => None,
        });
        if let Some(Some(body)) = body {
            let lines = body.span_close().end().line - item.line() + 1;
            found.push(Function { name: name.to_string(), line: item.line(), lines, attributes });
        }
    }
    found
}

/// Functions fit a screen; a longer one that is listed may only shrink.
pub(super) fn lengths(source: &Source, exempt: &[LongFunction]) -> Outcome {
    let mut outcome = Outcome::default();
    source.each_level(&mut |items, _| {
        for function in functions(items) {
            let Function { name, line, lines, .. } = function;
            let is_main = name == "main" && source.path.ends_with("main.rs");
            let max = if is_main { MAIN_LINES_MAX } else { FUNCTION_LINES_MAX };
            if lines <= max {
                continue;
            }
            let listed =
                exempt.iter().find(|entry| entry.path == source.path && entry.name == name);
            let what = match listed {
                None => format!("{name} has {lines} lines, {max} is the most"),
                Some(entry) if lines != entry.lines => {
                    outcome.used.insert(entry.key());
                    format!("{name} has {lines} lines, its entry says {}", entry.lines)
                }
                Some(entry) => {
                    outcome.used.insert(entry.key());
                    continue;
                }
            };
            outcome.broken.push(Finding::new(&source.path, line, what));
        }
    });
    outcome
}

/// Names of tests are sentences, and every test runs.
pub(super) fn test_names(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    source.each_level(&mut |items, _| {
        for function in functions(items) {
            let has = |word| function.attributes.iter().any(|group| last_word(group) == word);
            if has("test") && function.name.starts_with("test_") {
                let what =
                    format!("{} begins with `test_`; a test's name is a sentence", function.name);
                findings.push(Finding::new(&source.path, function.line, what));
            }
            if has("ignore") {
                let what = format!("{} is ignored; a test runs or goes", function.name);
                findings.push(Finding::new(&source.path, function.line, what));
            }
        }
    });
    findings
}

/// The last word of an attribute's path: `test` for `#[test]` and `#[tokio::test(..)]`.
fn last_word(attribute: &Group) -> String {
    let words = attribute.stream().into_iter().map_while(|token| match token {
        TokenTree::Ident(ident) => Some(ident.to_string()),
        TokenTree::Punct(punct) if punct.as_char() == ':' => Some(String::new()),
        _ => None,
    });
    words.filter(|word| !word.is_empty()).last().unwrap_or_default()
}

/// A lint is silenced by `expect` with a reason, which falls away when it is no longer needed.
pub(super) fn bare_allows(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    source.each_level(&mut |items, _| {
        for item in items {
            for attribute in &item.attributes {
                let text = attribute.stream().to_string().replace(' ', "");
                if text.starts_with("allow(") || text.contains(",allow(") {
                    let line = attribute.span_open().start().line;
                    let what = "silences a lint with `allow`; use `expect` with a reason";
                    findings.push(Finding::new(&source.path, line, what));
                }
            }
        }
    });
    findings
}

/// A file opens with its one job.
pub(super) fn module_opening(path: &str, text: &str) -> Option<Finding> {
    (!text.starts_with("//! ")).then(|| Finding::new(path, 1, "does not open with `//!`"))
}

/// Files stay readable; tables and goldens are exempt by list.
pub(super) fn file_length(path: &str, lines: usize, exempt: &[LongFile]) -> Outcome {
    let mut outcome = Outcome::default();
    if lines <= FILE_LINES_AIM {
        return outcome;
    }
    if let Some(entry) = exempt.iter().find(|entry| entry.path == path) {
        outcome.used.insert(entry.path.to_owned());
    } else if lines <= FILE_LINES_MAX {
        outcome.near.push(Finding::new(
            path,
            0,
            format!("has {lines} lines; {FILE_LINES_AIM} is the aim"),
        ));
    } else {
        let what = format!("has {lines} lines, {FILE_LINES_MAX} is the most");
        outcome.broken.push(Finding::new(path, 0, what));
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source::parse(path, text).unwrap()
    }

    /// A function `head { … }` of so many lines.
    fn function(head: &str, lines: usize) -> String {
        format!("{head} {{{}}}", "\n".repeat(lines - 1))
    }

    #[test]
    fn a_function_over_a_screen_is_found() {
        let check = |path, text: &str, expected| {
            assert_eq!(lengths(&source(path, text), &[]).broken.len(), expected, "{text}");
        };
        check("a.rs", &function("fn a()", 70), 0);
        check("a.rs", &function("fn a()", 71), 1);
        check("a.rs", &format!("impl A {{ {} }}", function("pub async fn a() -> B", 71)), 1);
        check("a.rs", &format!("mod a {{ {} }}", function("fn a<T>() where T: B", 71)), 1);
        check("a.rs", &format!("trait A {{ fn a(); {} }}", function("const B: C =", 71)), 0);
        check("a.rs", &format!("type A = fn(u8); {}", function("struct B", 71)), 0);
        check("a.rs", &format!("proptest! {{ {} }}", function("fn a(b in 0..1)", 71)), 1);
        check("src/main.rs", &function("fn main()", 41), 1);
        check("src/main.rs", &function("fn other()", 41), 0);
    }

    #[test]
    fn a_listed_function_may_only_shrink() {
        let list = [LongFunction { path: "a.rs", name: "a", lines: 90, reason: "a table" }];
        let check = |lines, broken| {
            let outcome = lengths(&source("a.rs", &function("fn a()", lines)), &list);
            assert_eq!(outcome.broken.len(), broken, "{lines}");
            outcome.used.len()
        };
        assert_eq!(check(90, 0), 1);
        check(91, 1);
        check(89, 1);
        // Short enough: the entry is no longer needed, which is a finding elsewhere.
        assert_eq!(check(70, 0), 0);
    }

    #[test]
    fn a_test_with_the_prefix_or_ignored_is_found() {
        let check = |text, expected| {
            assert_eq!(test_names(&source("a.rs", text)).len(), expected, "{text}");
        };
        check("#[test] fn a_sentence() {}", 0);
        check("#[test] fn test_a() {}", 1);
        check("#[tokio::test(flavor = \"x\")] async fn test_a() {}", 1);
        check("#[cfg(test)] mod tests { /// B.\n #[test]\n fn test_a() {} }", 1);
        check("#[test] fn a() {} fn test_helper() {}", 0);
        check("#[test] #[ignore = \"slow\"] fn a() {}", 1);
    }

    #[test]
    fn a_bare_allow_is_found_wherever_it_stands() {
        let check = |text, expected| {
            assert_eq!(bare_allows(&source("a.rs", text)).len(), expected, "{text}");
        };
        check("#[expect(dead_code, reason = \"b\")] fn a() {}", 0);
        check("#[allow(dead_code)] fn a() {}", 1);
        check("#![allow(dead_code)] fn a() {}", 1);
        check("fn a() { #[allow(unused)] let b = 1; }", 1);
        check("#[cfg_attr(test, allow(unused))] fn a() {}", 1);
        check("/// Never #[allow(x)].\nfn a() {}", 0);
    }

    #[test]
    fn a_module_without_its_job_is_found() {
        assert!(module_opening("a.rs", "//! The job.\n").is_none());
        assert!(module_opening("a.rs", "use a;\n").is_some());
        assert!(module_opening("a.rs", "").is_some());
    }

    #[test]
    fn a_long_file_warns_then_fails_unless_it_is_listed() {
        let count = |lines, list: &[LongFile]| {
            let outcome = file_length("a.rs", lines, list);
            (outcome.near.len(), outcome.broken.len(), outcome.used.len())
        };
        assert_eq!(count(500, &[]), (0, 0, 0));
        assert_eq!(count(501, &[]), (1, 0, 0));
        assert_eq!(count(1_001, &[]), (0, 1, 0));
        let list = [LongFile { path: "a.rs", reason: "a table" }];
        assert_eq!(count(1_001, &list), (0, 0, 1));
    }
}
