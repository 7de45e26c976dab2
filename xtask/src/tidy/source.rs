//! Rust files as tokens with their lines, and the walk that finds them.

use std::path::Path;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use super::Finding;
use crate::run::{Failed, on_file};

/// A file's tokens; comments are gone, documentation comments are attributes.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) tokens: TokenStream,
}

impl Source {
    pub(super) fn parse(path: &str, text: &str) -> Result<Self, Finding> {
        match text.parse() {
            Ok(tokens) => Ok(Self { path: path.to_owned(), tokens }),
            Err(error) => Err(Finding::new(path, 0, format!("is not Rust: {error}"))),
        }
    }

    /// Calls `visit` with each run of sibling tokens, outermost first, attributes left out, and with
    /// whether it is a test's: within a `#[cfg(test)]` item, or anywhere in a file of tests.
    pub(super) fn each_level(&self, visit: &mut dyn FnMut(&[Item], bool)) {
        let of_tests = self.path.ends_with("/tests.rs") || self.path.contains("/tests/");
        level(self.tokens.clone(), of_tests, visit);
    }
}

/// A token, with the attributes that stand before it.
pub(super) struct Item {
    pub(super) token: TokenTree,
    pub(super) attributes: Vec<Group>,
}

impl Item {
    pub(super) fn line(&self) -> usize {
        self.token.span().start().line
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(&self.token, TokenTree::Ident(ident) if *ident == word)
    }
}

fn level(tokens: TokenStream, in_test: bool, visit: &mut dyn FnMut(&[Item], bool)) {
    let items = without_attributes(tokens);
    visit(&items, in_test);
    // An attribute's reach ends with the item it stands on: at the next brace or semicolon.
    let mut of_test = false;
    for item in items {
        of_test |= item.attributes.iter().any(is_cfg_test);
        match item.token {
            TokenTree::Group(group) => {
                level(group.stream(), in_test || of_test, visit);
                of_test &= group.delimiter() != Delimiter::Brace;
            }
            TokenTree::Punct(punct) if punct.as_char() == ';' => of_test = false,
            _ => {}
        }
    }
}

fn without_attributes(tokens: TokenStream) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    let mut attributes = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        if is_punct(&token, '#') {
            let inner = tokens.next_if(|next| is_punct(next, '!'));
            match tokens.next_if(is_bracket) {
                Some(TokenTree::Group(group)) => {
                    attributes.push(group);
                    continue;
                }
                _ => {
                    items.extend(
                        [Some(token), inner].into_iter().flatten().map(|token| Item {
                            token,
                            attributes: std::mem::take(&mut attributes),
                        }),
                    );
                    continue;
                }
            }
        }
        items.push(Item { token, attributes: std::mem::take(&mut attributes) });
    }
    items
}

fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}

fn is_bracket(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket)
}

fn is_cfg_test(attribute: &Group) -> bool {
    let text = attribute.stream().to_string().replace(' ', "");
    text == "cfg(test)"
}

/// The files that the rules read, from the root, in order: the workspace's Rust and Python.
pub(super) fn files(root: &Path) -> Result<Vec<String>, Failed> {
    let mut found = Vec::new();
    for top in ["crates", "xtask"] {
        walk(root, Path::new(top), &mut found)?;
    }
    found.sort();
    Ok(found)
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<String>) -> Result<(), Failed> {
    let entries = on_file("read", folder, std::fs::read_dir(root.join(folder)))?;
    for entry in entries {
        let entry = on_file("read", folder, entry)?;
        let path = folder.join(entry.file_name());
        let name = path.to_string_lossy().into_owned();
        if root.join(&path).is_dir() {
            if !name.ends_with("/target") {
                walk(root, &path, found)?;
            }
        } else if name.ends_with(".rs") || name.ends_with(".py") {
            found.push(name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words on each level, `*` before those in a test.
    fn words(text: &str) -> Vec<String> {
        let mut words = Vec::new();
        Source::parse("x.rs", text).unwrap().each_level(&mut |items, in_test| {
            for item in items {
                if let TokenTree::Ident(ident) = &item.token {
                    words.push(format!("{}{ident}", if in_test { "*" } else { "" }));
                }
            }
        });
        words
    }

    #[test]
    fn attributes_and_comments_are_no_tokens() {
        assert_eq!(words("/// a\n#[b(c)] // d\nfn e() {}"), ["fn", "e"]);
        assert_eq!(words("#![a]\n//! b\nfn c() {}"), ["fn", "c"]);
    }

    #[test]
    fn a_test_module_ends_where_it_ends() {
        assert_eq!(
            words("#[cfg(test)] mod a { b } fn c() { d }"),
            ["mod", "a", "fn", "c", "*b", "d"]
        );
        assert_eq!(words("#[cfg(test)] use a; fn b() { c }"), ["use", "a", "fn", "b", "c"]);
    }

    #[test]
    fn a_file_of_tests_is_all_test() {
        let check = |path, expected| {
            let source = Source::parse(path, "fn a() {}").unwrap();
            source.each_level(&mut |_, in_test| assert_eq!(in_test, expected, "{path}"));
        };
        check("crates/a/src/b/tests.rs", true);
        check("crates/a/src/tests/b.rs", true);
        check("crates/a/src/attests.rs", false);
    }

    #[test]
    fn a_file_that_is_not_rust_is_a_finding() {
        assert!(Source::parse("x.rs", "fn (").is_err());
    }
}
