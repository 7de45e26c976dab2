//! The house: which crate may depend on which, what stays out of the pure tiers, and names that no
//! crate or module has.

use std::path::Path;

use proc_macro2::TokenTree;
use toml::Table;

use super::Finding;
use super::source::Source;
use crate::run::{Failed, on_file};

/// A crate's place in the house. A crate depends only on crates of a lower rank; two of one rank do not
/// know each other. The tens are the tiers of ARCHITECTURE.md.
struct Place {
    name: &'static str,
    rank: u8,
    pure: bool,
}

const fn pure(name: &'static str, rank: u8) -> Place {
    Place { name, rank, pure: true }
}

const fn impure(name: &'static str, rank: u8) -> Place {
    Place { name, rank, pure: false }
}

const HOUSE: [Place; 20] = [
    pure("codec", 0),
    pure("model", 1),
    pure("chart", 2),
    pure("legacy-crypto", 2),
    pure("gss", 10),
    pure("ldap", 11),
    pure("rpc", 11),
    pure("token", 11),
    pure("sync", 20),
    pure("tenant", 20),
    impure("net", 30),
    impure("store", 30),
    impure("lab", 30),
    impure("probe", 31),
    impure("app", 32),
    impure("portolan", 40),
    impure("oracles", 45),
    impure("sim", 46),
    impure("testsuite", 50),
    impure("xtask", 60),
];

/// What a pure crate does not depend on: runtimes, sockets, databases, TLS.
const IMPURE_CRATES: [&str; 16] = [
    "axum",
    "hickory-resolver",
    "hyper",
    "hyper-util",
    "indicatif",
    "mio",
    "reqwest",
    "rustls",
    "socket2",
    "sqlx",
    "sspi",
    "tokio",
    "tokio-rustls",
    "tower",
    "tracing-subscriber",
    "rand",
];

/// What a pure crate does not name: sockets, and the runtime.
const IMPURE_WORDS: [&str; 6] =
    ["TcpListener", "TcpStream", "UdpSocket", "UnixListener", "UnixStream", "tokio"];

/// Names that say nothing.
const EMPTY_NAMES: [&str; 4] = ["common", "shared", "util", "utils"];

fn place(name: &str) -> Option<&'static Place> {
    let name = name.strip_prefix("portolan-").unwrap_or(name);
    HOUSE.iter().find(|place| place.name == name)
}

/// Whether a file belongs to a pure crate.
pub(super) fn is_pure(path: &str) -> bool {
    let name = path.strip_prefix("crates/").and_then(|rest| rest.split('/').next());
    name.and_then(place).is_some_and(|place| place.pure)
}

/// The rules over every manifest of the workspace.
pub(super) fn all(root: &Path) -> Result<Vec<Finding>, Failed> {
    let crates = on_file("read", &root.join("crates"), std::fs::read_dir(root.join("crates")))?;
    let mut names = vec!["xtask".to_owned()];
    for entry in crates {
        let entry = on_file("read", &root.join("crates"), entry)?;
        names.push(format!("crates/{}", entry.file_name().to_string_lossy()));
    }
    names.sort();
    let mut findings = Vec::new();
    for name in names {
        let path = format!("{name}/Cargo.toml");
        let text = on_file("read", &root.join(&path), std::fs::read_to_string(root.join(&path)))?;
        findings.extend(manifest(&path, &text));
    }
    Ok(findings)
}

/// The rules over one manifest.
fn manifest(path: &str, text: &str) -> Vec<Finding> {
    let Ok(manifest) = text.parse::<Table>() else {
        return vec![Finding::new(path, 0, "is not TOML")];
    };
    let package = manifest.get("package").and_then(|package| package.get("name"));
    let name = package.and_then(toml::Value::as_str).unwrap_or_default();
    let folder = path.trim_end_matches("/Cargo.toml").trim_start_matches("crates/");
    let mut findings = Vec::new();
    let mut find = |what: String| findings.push(Finding::new(path, 0, what));
    if name.trim_start_matches("portolan-") != folder {
        find(format!("package {name:?} does not bear its folder's name"));
    }
    if name.split('-').any(|part| EMPTY_NAMES.contains(&part)) {
        find(format!("{name:?} says nothing: name the crate for its job"));
    }
    let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
    if lints.and_then(toml::Value::as_bool) != Some(true) {
        find("does not take the workspace's lints".to_owned());
    }
    let Some(own) = place(name) else {
        find(format!("{name:?} has no place in the house: add it to xtask/src/tidy/manifests.rs"));
        return findings;
    };
    // What only tests use is not in a pure crate.
    for (dependency, kind) in dependencies(&manifest) {
        match place(&dependency) {
            Some(other) if dependency.starts_with("portolan-") && other.rank >= own.rank => {
                find(format!("depends on {dependency}, which is not below it"));
            }
            // What only tests use is not in the crate.
            None if own.pure
                && kind == "dependencies"
                && IMPURE_CRATES.contains(&dependency.as_str()) =>
            {
                find(format!("is pure and depends on {dependency}"));
            }
            _ => {}
        }
    }
    findings
}

/// Every dependency with the kind of its table, those of one target included.
fn dependencies(manifest: &Table) -> Vec<(String, &'static str)> {
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let tables = targets.into_iter().flat_map(Table::values).filter_map(toml::Value::as_table);
    let tables: Vec<_> = std::iter::once(manifest).chain(tables).collect();
    let mut found = Vec::new();
    for kind in ["dependencies", "build-dependencies", "dev-dependencies"] {
        for table in &tables {
            let Some(entries) = table.get(kind).and_then(toml::Value::as_table) else { continue };
            for (key, value) in entries {
                // `alias = { package = "real" }` depends on the real one.
                let real = value.get("package").and_then(toml::Value::as_str).unwrap_or(key);
                found.push((real.to_owned(), kind));
            }
        }
    }
    found
}

/// Pure crates name no sockets, except to drive a peer in a test.
pub(super) fn sockets(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !is_pure(&source.path) {
        return findings;
    }
    source.each_level(&mut |items, in_test| {
        for item in items {
            if let TokenTree::Ident(ident) = &item.token
                && !in_test
                && IMPURE_WORDS.iter().any(|word| ident == word)
            {
                let what = format!("names {ident} in a pure crate");
                findings.push(Finding::new(&source.path, item.line(), what));
            }
        }
    });
    findings
}

/// No module is named for nothing.
pub(super) fn names(path: &str) -> Option<Finding> {
    let mut parts = path.split('/').map(|part| part.trim_end_matches(".rs"));
    let empty = parts.find(|part| EMPTY_NAMES.contains(part))?;
    Some(Finding::new(path, 0, format!("{empty:?} says nothing: name the module for its job")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A lawful manifest of `name` with `tail` at its end, and how many rules it breaks.
    fn check(name: &str, tail: &str, expected: usize) {
        let text =
            format!("[package]\nname = \"portolan-{name}\"\n[lints]\nworkspace = true\n{tail}");
        let found = manifest(&format!("crates/{name}/Cargo.toml"), &text);
        assert_eq!(found.len(), expected, "{name} {tail}: {found:?}");
    }

    #[test]
    fn arrows_point_down() {
        check("ldap", "[dependencies]\nportolan-gss.workspace = true", 0);
        check("ldap", "[dependencies]\nportolan-net.workspace = true", 1);
        check("sync", "[dependencies]\nportolan-tenant = { path = \"../tenant\" }", 1);
        check("model", "[dev-dependencies]\nportolan-app.workspace = true", 1);
        check("app", "[dependencies]\nportolan-store.workspace = true", 0);
        check("codec", "[dependencies]\nalias = { package = \"portolan-model\" }", 1);
        check("gss", "[target.'cfg(unix)'.dependencies]\nportolan-net.workspace = true", 1);
    }

    #[test]
    fn pure_crates_stay_pure() {
        check("tenant", "[dependencies]\nthiserror.workspace = true", 0);
        check("tenant", "[dependencies]\ntokio.workspace = true", 1);
        check("rpc", "[dependencies]\nh = { package = \"hyper\", version = \"1\" }", 1);
        check("rpc", "[dev-dependencies]\ntokio.workspace = true", 0);
        check("net", "[dependencies]\ntokio.workspace = true", 0);
    }

    #[test]
    fn a_crate_without_a_place_a_job_or_lints_is_found() {
        check("sonar", "", 1);
        // No job in its name, and no place.
        check("test-utils", "", 2);
        let text = "[package]\nname = \"portolan-gss\"\n";
        assert_eq!(manifest("crates/gss/Cargo.toml", text).len(), 1);
        let text = "[package]\nname = \"portolan-gss\"\n[lints]\nworkspace = true\n";
        assert_eq!(manifest("crates/kerberos/Cargo.toml", text).len(), 1);
        assert_eq!(manifest("crates/gss/Cargo.toml", "[").len(), 1);
    }

    #[test]
    fn a_socket_in_a_pure_crate_is_found() {
        let check = |path: &str, text, expected| {
            let found = sockets(&Source::parse(path, text).unwrap());
            assert_eq!(found.len(), expected, "{path}: {text}");
        };
        check("crates/rpc/src/a.rs", "use std::net::TcpStream;", 1);
        check("crates/rpc/src/a.rs", "fn a() { tokio::spawn(b) }", 1);
        check("crates/rpc/src/a.rs", "use std::net::IpAddr; /// No TcpStream.\nfn a() {}", 0);
        check("crates/rpc/src/tests/a.rs", "use std::net::TcpStream;", 0);
        check("crates/net/src/a.rs", "use std::net::TcpStream;", 0);
    }

    #[test]
    fn a_module_named_for_nothing_is_found() {
        assert!(names("crates/net/src/utils.rs").is_some());
        assert!(names("crates/net/src/common/mod.rs").is_some());
        assert!(names("crates/net/src/uncommon.rs").is_none());
    }
}
