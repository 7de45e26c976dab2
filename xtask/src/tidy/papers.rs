//! What is written about the code stays true: paths that papers name exist, generated pages are
//! current.

use std::path::Path;

use super::Finding;
use crate::docs;

/// The papers whose paths and links are checked.
const PAPERS: [&str; 4] = ["ARCHITECTURE.md", "README.md", "CONTRIBUTING.md", "CHANGELOG.md"];

/// What ends a path that has no slash.
const ENDINGS: [&str; 4] = [".md", ".toml", ".rs", ".lock"];

/// The rules over the papers and the generated pages of a workspace.
pub(super) fn all(root: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    for paper in PAPERS {
        match std::fs::read_to_string(root.join(paper)) {
            Ok(text) => findings.extend(paths(paper, &text, &|path| root.join(path).exists())),
            Err(error) => findings.push(Finding::new(paper, 0, format!("cannot be read: {error}"))),
        }
    }
    for (path, wanted) in docs::pages() {
        let found = std::fs::read_to_string(root.join(&path)).ok();
        findings.extend(page(&path.to_string_lossy(), found.as_deref(), &wanted));
    }
    findings
}

/// Every path in a paper exists.
fn paths(paper: &str, text: &str, exists: &dyn Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut in_block = false;
    for (line, text) in (1..).zip(text.lines()) {
        if text.starts_with("```") {
            in_block = !in_block;
        }
        if in_block {
            continue;
        }
        let quoted = text.split('`').skip(1).step_by(2).filter(|word| is_path(word));
        for path in quoted.chain(links(text)).filter(|path| !exists(path)) {
            findings.push(Finding::new(paper, line, format!("names {path}, which does not exist")));
        }
    }
    findings
}

/// Whether a quoted word is a path of the workspace.
fn is_path(word: &str) -> bool {
    let lawful = |character: char| character.is_ascii_alphanumeric() || "-_./".contains(character);
    let is_rooted = word.starts_with('/') || word.starts_with("target/");
    !is_rooted
        && word.chars().all(lawful)
        && (word.contains('/') || ENDINGS.iter().any(|ending| word.ends_with(ending)))
}

/// The targets of a line's Markdown links that stay within the workspace.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .filter_map(|(target, _)| target.split('#').next())
        .filter(|target| !target.is_empty() && !target.contains("://"))
}

/// A generated page is what its generator makes now.
fn page(path: &str, found: Option<&str>, wanted: &str) -> Option<Finding> {
    (found != Some(wanted))
        .then(|| Finding::new(path, 0, "is not current: run `cargo xtask docs` and commit it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_does_not_exist_is_found() {
        let exists = |path: &str| ["crates/net", "deny.toml"].contains(&path);
        let check = |text, expected| {
            assert_eq!(paths("A.md", text, &exists).len(), expected, "{text}");
        };
        check("see `crates/net` and `deny.toml`", 0);
        check("see `crates/gone`", 1);
        check("see `gone.toml` and `crates/net/gone.rs`", 2);
        check("see [the map](gone.md#top) and [there](https://example.com/x)", 1);
        check("say `cargo xtask test`, `connect.ad.ldap`, `/etc/hosts`, `a|b/c`", 0);
        check("```\n`crates/gone`\n```", 0);
    }

    #[test]
    fn a_page_that_is_stale_or_missing_is_found() {
        assert!(page("a.md", Some("new"), "new").is_none());
        assert!(page("a.md", Some("old"), "new").is_some());
        assert!(page("a.md", None, "new").is_some());
    }
}
