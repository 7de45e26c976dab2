//! Which edition a command is about: one of the known, or a file of the user's own.

use std::fs::File;
use std::io::Read as _;

use portolan_chart::{Chart, FILE_SIZE_MAX};
use portolan_model::Hint as _;

use crate::report::Failure;

/// The chart of an edition by its date, or of a file where the text names one (`mine.toml`, `./mine`);
/// without either, of the one in force by default.
///
/// # Errors
/// A [`Failure`] that lists the known editions, or says where in the file what is wrong.
pub(super) fn chart(edition: Option<&str>) -> Result<Chart, Failure> {
    match edition {
        None => Ok(Chart::default_edition()),
        Some(path) if path.ends_with(".toml") || path.contains(['/', '\\']) => read(path),
        Some(id) => Ok(Chart::edition(id)?),
    }
}

fn read(path: &str) -> Result<Chart, Failure> {
    let unread = |error: std::io::Error| Failure::because(&format!("cannot read {path}"), &error);
    let mut octets = Vec::new();
    let limit = u64::try_from(FILE_SIZE_MAX).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path).map_err(unread)?.take(limit).read_to_end(&mut octets).map_err(unread)?;
    let source = String::from_utf8(octets)
        .map_err(|error| Failure::because(&format!("cannot read {path}"), &error))?;
    Chart::from_toml(&source).map_err(|error| {
        let failure = Failure::new(format!("{path}: {error}"));
        match error.hint() {
            Some(hint) => failure.with_hint(hint),
            None => failure.with_hint("crates/chart/editions holds editions in the same form"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edition_of_the_user_s_own_is_read_and_its_errors_have_their_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        let path = path.to_str().unwrap();
        let lawful = "schema = 1\nid = \"mine\"\nlabel = \"Ours\"\ntable = []\nrow = []\n";
        std::fs::write(path, lawful).unwrap();
        assert_eq!(chart(Some(path)).unwrap().in_force().id, "mine");

        std::fs::write(path, lawful.replace("label", "lable")).unwrap();
        let said = chart(Some(path)).unwrap_err().render();
        assert!(said.contains("mine.toml: line 3, column 1: unknown field `lable`"), "{said}");

        std::fs::write(path, [0xff, 0xfe]).unwrap();
        assert!(chart(Some(path)).unwrap_err().render().contains("cannot read"));
        std::fs::write(path, "#".repeat(FILE_SIZE_MAX + 1)).unwrap();
        assert!(chart(Some(path)).unwrap_err().render().contains("no edition is so large"));
        assert!(chart(Some("./none")).unwrap_err().render().contains("cannot read ./none"));
    }
}
