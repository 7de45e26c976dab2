//! Where the next import begins, as it is kept with the objects that it belongs to.

use std::collections::BTreeMap;

use portolan_ldap::{Filter, Scope, SearchRequest, SearchResultEntry, control};
use portolan_model::{DnsName, Guid};
use serde::{Deserialize, Serialize};

use super::directory::{Directory, Entries as _};
use super::domain_base;
use super::vector::{Told, Vector};
use crate::report::Failure;

/// The domain controller that answers, as it was when it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Controller {
    /// The name of its own settings in the directory (dsServiceName).
    pub(super) service: String,
    /// Which database it has: a restored one has another.
    pub(super) invocation: Option<Guid>,
    /// The number of its last change.
    pub(super) usn: i64,
    /// Whether it is Samba, which does not read faster in pages.
    pub(super) is_samba: bool,
    /// What it had then: all of that is in whatever is read of it behind that.
    pub(super) told: Told,
}

/// The cursor of the import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cursor {
    pub(super) from: From,
    /// How far each controller was when it was last read from, by the name of its settings.
    controllers: BTreeMap<String, Seen>,
    /// The attributes that were read; of a state that an earlier release wrote, none.
    #[serde(default)]
    attributes: Vec<String>,
    /// What is staged, by where each change was made; of a state that an earlier release wrote, nothing.
    #[serde(default)]
    known: Vector,
    /// What is staged for sure, by where each change was made: of what is beyond, a part may be.
    #[serde(default)]
    covered: Vector,
    /// Since when a controller is waited for that has all of `known`, in seconds since 1970.
    #[serde(default)]
    waits_since: Option<i64>,
}

/// What the next import asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum From {
    /// What changed since a cookie, of whatever controller: it says what is known of each.
    DirSync(Vec<u8>),
    /// What this controller changed after this number.
    Usn {
        /// The name of its settings.
        service: String,
        /// The number.
        usn: i64,
    },
    /// Everything: deletions are not seen otherwise.
    Everything,
    /// Everything, once: somebody asked for it.
    Asked,
}

/// How far a controller was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    invocation: Option<String>,
    usn: i64,
}

impl Cursor {
    /// A cursor, with the controller that it was taken from.
    pub(super) fn new(from: From, controller: &Controller, wanted: &[String]) -> Self {
        let (controllers, known, covered) = (BTreeMap::new(), Vector::default(), Vector::default());
        let attributes = wanted.to_vec();
        Self { from, controllers, attributes, known, covered, waits_since: None }.seen(controller)
    }

    /// The cursor after this one.
    pub(super) fn followed_by(&self, from: From, controller: &Controller) -> Self {
        Self { from, waits_since: None, ..self.clone() }.seen(controller)
    }

    /// One that reads everything next time.
    pub(super) fn asked(self) -> Self {
        Self { from: From::Asked, ..self }
    }

    /// Whether somebody asked for everything.
    pub(super) const fn is_asked(&self) -> bool {
        matches!(self.from, From::Asked)
    }

    /// What is staged, by where each change was made.
    pub(super) const fn known(&self) -> &Vector {
        &self.known
    }

    /// Takes note of what a controller had when the last of it was read.
    pub(super) fn learn(&mut self, vector: Vector) {
        self.known.learn(vector);
    }

    /// What is staged for sure.
    pub(super) const fn covered(&self) -> &Vector {
        &self.covered
    }

    /// Takes note of what a controller had before all of it was read.
    pub(super) fn cover(&mut self, vector: Vector) {
        self.covered.learn(vector);
    }

    /// Whether a database is, or was, that of a controller.
    pub(super) fn is_database_of(&self, controller: &Controller, database: &str) -> bool {
        let before = self.controllers.get(&controller.service);
        let before = before.and_then(|seen| seen.invocation.as_deref());
        let now = controller.invocation.map(|invocation| invocation.to_string());
        before == Some(database) || now.as_deref() == Some(database)
    }

    /// Since when a controller is waited for that has all that was read.
    pub(super) const fn waits_since(&self) -> Option<i64> {
        self.waits_since
    }

    /// One that waits since a moment.
    pub(super) fn waiting_since(self, moment: i64) -> Self {
        Self { waits_since: Some(moment), ..self }
    }

    fn seen(mut self, controller: &Controller) -> Self {
        let invocation = controller.invocation.map(|invocation| invocation.to_string());
        let seen = Seen { invocation, usn: controller.usn };
        self.controllers.insert(controller.service.clone(), seen);
        self
    }

    /// Whether the import goes on from here with this controller.
    ///
    /// # Errors
    /// Why it has to read everything.
    pub(super) fn goes_on_with(
        &self,
        controller: &Controller,
        wanted: &[String],
    ) -> Result<(), &'static str> {
        // What did not change since the last import would keep lacking what is read now.
        if self.attributes != wanted {
            return Err("other attributes are read than before");
        }
        if let Some(seen) = self.controllers.get(&controller.service) {
            let invocation = controller.invocation.map(|invocation| invocation.to_string());
            if seen.invocation != invocation || controller.usn < seen.usn {
                return Err("the domain controller was restored from a backup");
            }
        }
        match &self.from {
            From::DirSync(_) => Ok(()),
            From::Usn { service, .. } if *service == controller.service => Ok(()),
            From::Usn { .. } => Err("another domain controller answers than last time"),
            From::Everything => Err("the account does not see deleted objects"),
            From::Asked => Err("it was asked for"),
        }
    }

    /// From what [`Cursor::write`] wrote; `None` of anything else, which an import cannot go on from.
    pub(super) fn read(octets: &[u8]) -> Option<Self> {
        serde_json::from_slice(octets).ok()
    }

    /// For the connector space.
    pub(super) fn write(&self) -> Result<Vec<u8>, Failure> {
        serde_json::to_vec(self)
            .map_err(|error| Failure::because("cannot write the import's cursor", &error))
    }
}

impl Controller {
    /// Asks who answers, and what of a domain it has.
    pub(super) async fn ask(
        directory: &mut impl Directory,
        domain: &DnsName,
    ) -> Result<Self, Failure> {
        let attributes = ["dsServiceName", "highestCommittedUSN", "vendorName"];
        let root = base(directory, "", &attributes, false).await?;
        let root = root.ok_or_else(|| Failure::new("the directory does not say what it is"))?;
        let missing = |name| Failure::new(format!("the directory does not say its {name}"));
        let service = root.text("dsServiceName").ok_or_else(|| missing("dsServiceName"))?;
        let usn = root.text("highestCommittedUSN").and_then(|usn| usn.parse().ok());
        let settings = base(directory, service, &["invocationId"], false).await?;
        let invocation = settings.as_ref().and_then(|entry| entry.octets("invocationId"));
        let invocation = invocation.and_then(|octets| octets.try_into().ok());
        let invocation = invocation.map(Guid::from_bytes_le);
        let usn = usn.ok_or_else(|| missing("highestCommittedUSN"))?;
        let mut told = Vector::of_others(directory, domain).await?;
        if let Some(invocation) = invocation {
            told.vector.put(invocation, usn);
        }
        Ok(Self {
            service: service.to_owned(),
            invocation,
            usn,
            told,
            is_samba: root.text("vendorName").is_some_and(|vendor| vendor.starts_with("Samba")),
        })
    }
}

/// The number of the controller's last change.
pub(super) async fn last_change(directory: &mut impl Directory) -> Result<i64, Failure> {
    let root = base(directory, "", &["highestCommittedUSN"], false).await?;
    let usn = root.and_then(|root| root.text("highestCommittedUSN")?.parse().ok());
    usn.ok_or_else(|| Failure::new("the directory does not say its highestCommittedUSN"))
}

/// Whether deletions are seen: whether the container of deleted objects is.
pub(super) async fn sees_deletions(
    directory: &mut impl Directory,
    domain: &DnsName,
) -> Result<bool, Failure> {
    let container = deleted_objects(domain);
    Ok(base(directory, &container, &["objectGUID"], true).await?.is_some())
}

/// The container of deleted objects ([MS-ADTS] 6.1.1.4, GUID_DELETED_OBJECTS_CONTAINER), by the name
/// that it always has.
///
/// [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
pub(super) fn deleted_objects(domain: &DnsName) -> String {
    format!("CN=Deleted Objects,{}", domain_base(domain))
}

/// One object; `None` when it is not there for this account.
pub(super) async fn base(
    directory: &mut impl Directory,
    name: &str,
    attributes: &[&str],
    deleted: bool,
) -> Result<Option<SearchResultEntry>, Failure> {
    let any: Filter = "(objectClass=*)"
        .parse()
        .map_err(|error| Failure::because("the filter for one object is not legal", &error))?;
    let request = SearchRequest::new(name, Scope::Base, any).select(attributes.iter().copied());
    let controls = if deleted { vec![control::show_deleted()] } else { Vec::new() };
    let found = async {
        let mut entries = directory.search(request, controls).await?;
        let entry = entries.next().await?;
        while entries.next().await?.is_some() {}
        Ok(entry)
    };
    match found.await {
        Ok(entry) => Ok(entry),
        Err(super::directory::SearchError::Refused(code, _)) if is_hidden(code) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether a refusal means that the object is not there, or not for this account.
fn is_hidden(code: portolan_ldap::ResultCode) -> bool {
    use portolan_ldap::ResultCode::{InsufficientAccessRights, NoSuchObject};
    matches!(code, NoSuchObject | InsufficientAccessRights)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn controller(service: &str, invocation: u8, usn: i64) -> Controller {
        let invocation = Some(Guid::from_bytes_le([invocation; 16]));
        let told = Told { vector: Vector::default(), of_others: true };
        Controller { service: service.to_owned(), invocation, usn, is_samba: true, told }
    }

    /// What is read of objects.
    fn read() -> [String; 2] {
        ["mail", "member"].map(str::to_owned)
    }

    #[test]
    fn a_cursor_reads_back_as_it_was_written_and_anything_else_is_none() {
        let dc1 = controller("dc1", 1, 10);
        let usn = From::Usn { service: "dc1".to_owned(), usn: 9 };
        for from in [From::DirSync(vec![0, 255]), usn, From::Everything] {
            let cursor = Cursor::new(from, &dc1, &read());
            assert_eq!(Cursor::read(&cursor.write().unwrap()), Some(cursor));
        }
        assert_eq!(Cursor::read(b"{}"), None);
    }

    #[test]
    fn a_release_or_a_rule_that_reads_more_reads_everything_once() {
        let dc1 = controller("dc1", 1, 10);
        let before = Cursor::new(From::DirSync(Vec::new()), &dc1, &read());
        assert_eq!(before.goes_on_with(&dc1, &read()), Ok(()));
        let more = ["mail", "member", "title"].map(str::to_owned);
        assert!(before.goes_on_with(&dc1, &more).unwrap_err().contains("other attributes"));
        let first = r#"{"from":"everything","controllers":{}}"#;
        let first = Cursor::read(first.as_bytes()).unwrap();
        assert!(first.goes_on_with(&dc1, &read()).unwrap_err().contains("other attributes"));
    }

    #[test]
    fn a_cookie_is_every_controllers_and_a_number_is_its_own() {
        let (dc1, dc2) = (controller("dc1", 1, 10), controller("dc2", 2, 5));
        let cookie = Cursor::new(From::DirSync(vec![1]), &dc1, &read());
        assert!(
            cookie.goes_on_with(&dc1, &read()).is_ok()
                && cookie.goes_on_with(&dc2, &read()).is_ok()
        );
        let usn = From::Usn { service: "dc1".to_owned(), usn: 10 };
        let number = Cursor::new(usn, &dc1, &read());
        assert!(number.goes_on_with(&dc1, &read()).is_ok());
        assert!(number.goes_on_with(&dc2, &read()).is_err());
        assert!(Cursor::new(From::Everything, &dc1, &read()).goes_on_with(&dc1, &read()).is_err());
    }

    #[test]
    fn a_restored_controller_is_noticed_by_its_database_or_its_number() {
        let cursor = Cursor::new(From::DirSync(vec![1]), &controller("dc1", 1, 10), &read());
        assert!(cursor.goes_on_with(&controller("dc1", 1, 9), &read()).is_err());
        assert!(cursor.goes_on_with(&controller("dc1", 2, 11), &read()).is_err());
        let next = cursor.followed_by(From::DirSync(vec![2]), &controller("dc2", 2, 50));
        assert!(
            next.goes_on_with(&controller("dc1", 1, 9), &read()).is_err(),
            "it is not forgotten"
        );
        assert!(next.goes_on_with(&controller("dc1", 1, 11), &read()).is_ok());
    }
}
