//! One change of one value, and whether it may be made: only while the old value is still there.

use portolan_ldap::{ChangeOperation, Filter, ModifyRequest, Scope, SearchRequest};
use portolan_model::Guid;
use portolan_sync::lint::Attribute;

use crate::connect::import::directory::{Directory, Entries as _, SearchError};

/// A value that goes, a value that comes, or one in place of the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// Where it stands in its sheet, as a spreadsheet counts.
    pub(super) row: u64,
    /// The object's name as the file has it, for people.
    pub(super) dn: String,
    /// The object.
    pub(super) guid: Guid,
    /// The attribute.
    pub(super) attribute: Attribute,
    /// The value that goes.
    pub(super) delete: Option<String>,
    /// The value that comes.
    pub(super) add: Option<String>,
}

/// What is to be done, given what the directory holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The change is made.
    Make,
    /// It was made before.
    Made,
    /// It is left: the directory holds something else.
    Left(&'static str),
}

/// What the directory holds of an object.
#[derive(Debug)]
pub(super) struct Held {
    /// Its name now.
    pub(super) dn: String,
    /// The values of the attribute.
    pub(super) values: Vec<Vec<u8>>,
}

impl Change {
    /// The change that takes this one back.
    pub(super) fn inverse(self) -> Self {
        let Self { delete, add, .. } = self;
        Self { delete: add, add: delete, ..self }
    }

    /// Whether the change may be made to these values.
    pub(super) fn judge(&self, values: &[Vec<u8>]) -> Verdict {
        let has = |value: &String| values.iter().any(|held| held == value.as_bytes());
        match (&self.delete, &self.add) {
            (Some(old), Some(new)) => match (has(old), has(new)) {
                (true, false) => Verdict::Make,
                (false, true) => Verdict::Made,
                (true, true) => Verdict::Left("the object has both values: remove the old one"),
                (false, false) => Verdict::Left("the old value is not there any more"),
            },
            (Some(old), None) if has(old) => Verdict::Make,
            (None, Some(new)) if has(new) => Verdict::Made,
            (None, Some(_))
                if !values.is_empty() && self.attribute != Attribute::ProxyAddresses =>
            {
                Verdict::Left("the attribute has a value meanwhile")
            }
            (None, Some(_)) => Verdict::Make,
            (_, None) => Verdict::Made,
        }
    }

    /// The request. The directory refuses it if the old value went, or the new one came, since it was
    /// looked at.
    pub(super) fn request(&self) -> ModifyRequest {
        let mut request = ModifyRequest::new(object(self.guid));
        if let Some(old) = &self.delete {
            request = request.with(ChangeOperation::Delete, self.attribute.name(), [old]);
        }
        if let Some(new) = &self.add {
            request = request.with(ChangeOperation::Add, self.attribute.name(), [new]);
        }
        request
    }

    /// What the directory holds now; nothing when it has no such object.
    pub(super) async fn held(
        &self,
        directory: &mut impl Directory,
    ) -> Result<Option<Held>, SearchError> {
        // All of nothing: always true.
        let request = SearchRequest::new(object(self.guid), Scope::Base, Filter::And(vec![]))
            .select([self.attribute.name()]);
        let mut found = directory.search(request, Vec::new()).await?;
        let mut held = None;
        while let Some(entry) = found.next().await? {
            let values = entry.all(self.attribute.name()).map(<[u8]>::to_vec).collect();
            held = Some(Held { dn: entry.dn().to_owned(), values });
        }
        Ok(held)
    }

    /// The change in words.
    pub(super) fn describe(&self) -> String {
        let name = self.attribute.name();
        match (&self.delete, &self.add) {
            (Some(old), Some(new)) => format!("{name} {old:?} becomes {new:?}"),
            (Some(old), None) => format!("{name} {old:?} goes"),
            (None, Some(new)) => format!("{name} becomes {new:?}"),
            (None, None) => format!("{name} stays"),
        }
    }
}

/// A name that holds wherever the object is moved ([MS-ADTS] section 3.1.1.3.1.2.4).
///
/// [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
fn object(guid: Guid) -> String {
    format!("<GUID={guid}>")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(attribute: Attribute, delete: Option<&str>, add: Option<&str>) -> Change {
        let (delete, add) = (delete.map(str::to_owned), add.map(str::to_owned));
        let guid = Guid::from_bytes_le([1; 16]);
        Change { row: 2, dn: "CN=a".to_owned(), guid, attribute, delete, add }
    }

    #[test]
    fn a_change_is_made_only_while_the_old_value_is_there() {
        const BOTH: &str = "the object has both values: remove the old one";
        const GONE: &str = "the old value is not there any more";
        const TAKEN: &str = "the attribute has a value meanwhile";
        let (old, new) = (Some("old"), Some("new"));
        let (one, many) = (Attribute::Mail, Attribute::ProxyAddresses);
        let cases: [(Attribute, _, _, &[&str], Verdict); 13] = [
            (one, old, new, &["old"], Verdict::Make),
            (one, old, new, &["new"], Verdict::Made),
            (one, old, new, &["Old"], Verdict::Left(GONE)),
            (one, old, new, &[], Verdict::Left(GONE)),
            (many, old, new, &["x", "old"], Verdict::Make),
            (many, old, new, &["old", "new"], Verdict::Left(BOTH)),
            (one, old, None, &["old"], Verdict::Make),
            (one, old, None, &["other"], Verdict::Made),
            (one, None, new, &[], Verdict::Make),
            (one, None, new, &["new"], Verdict::Made),
            (one, None, new, &["other"], Verdict::Left(TAKEN)),
            (many, None, new, &["other"], Verdict::Make),
            (many, None, new, &["other", "new"], Verdict::Made),
        ];
        for (attribute, delete, add, values, expected) in cases {
            let values: Vec<_> = values.iter().map(|value| value.as_bytes().to_vec()).collect();
            let judged = change(attribute, delete, add).judge(&values);
            assert_eq!(judged, expected, "{delete:?} {add:?} {values:?}");
        }
    }

    #[test]
    fn what_takes_a_change_back_puts_the_old_value_in_the_place_of_the_new_one() {
        let made = change(Attribute::Mail, Some("old"), Some("new"));
        assert_eq!(made.clone().inverse(), change(Attribute::Mail, Some("new"), Some("old")));
        assert_eq!(made.clone().inverse().inverse(), made);
    }
}
