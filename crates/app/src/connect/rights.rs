//! The rights of the service account, each proven by using it.
//!
//! `connect init` asks for one thing that each right alone allows. What is refused is named: the
//! right, the object and the command that grants it there, in the words of Windows or of Samba.
//! Nothing is written to the forest.

use portolan_ldap::control::{self, DirSync, DirSyncFlags};
use portolan_ldap::{Filter, ResultCode, Scope, SearchRequest, SearchResultEntry};
use portolan_model::{DistinguishedName, DnsName, Sid};
use portolan_net::ldap::{LdapConnection, LdapError};

use super::forest::Forest;
use super::passwords;
use super::steps::Steps;
use crate::report::Failure;

/// GUID_DELETED_OBJECTS_CONTAINER_W ([MS-ADTS section 6.1.1.4]): the container keeps it in every
/// language.
///
/// [MS-ADTS section 6.1.1.4]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
const DELETED_OBJECTS: &str = "18E2EA80684F11D2B9AA00C04F79F805";
/// Octets of a DirSync answer: what Windows takes at least.
const ANSWER_OCTETS: u32 = 1024 * 1024;

/// Finds the account in its own domain.
pub(super) async fn look_up(
    home: &Forest,
    domain: &DnsName,
    account: &str,
    steps: &Steps,
) -> Result<Grantee, Failure> {
    let mut directory = home.ldap(steps).await?;
    let grantee = Grantee::look_up(&mut directory, domain, account).await?;
    directory.close().await?;
    Ok(grantee)
}

/// Proves every right that synchronising a domain takes, which need not be the account's own.
pub(super) async fn prove(
    forest: &Forest,
    domain: &DnsName,
    account: &Grantee,
    steps: &Steps,
) -> Result<(), Failure> {
    let mut directory = forest.ldap(steps).await?;
    let row = directory.link().row().to_owned();
    let base = DistinguishedName::of_domain(domain).to_string();
    let grantee = Grantee { domain: base, ..account.clone() };
    if !may_read_changes(&mut directory, &grantee.domain).await? {
        return Err(grantee.lacks(Right::Changes));
    }
    steps.say(Some(&row), "the account may read the domain's changes");
    if !reads_deleted_objects(&mut directory, &grantee).await? {
        return Err(grantee.lacks(Right::ReadDeleted));
    }
    if !sees_a_tombstone(&mut directory, &grantee).await? {
        return Err(grantee.lacks(Right::ListDeleted));
    }
    steps.say(Some(&row), "the account sees deleted objects");
    directory.close().await?;

    let mut replica = forest.replica(steps).await?;
    if !passwords::prove_rights(&mut replica, domain).await? {
        return Err(grantee.lacks(Right::ChangesAll));
    }
    steps.say(Some(replica.link().row()), "the account may replicate the domain with its secrets");
    Ok(replica.close().await?)
}

/// A right that the account needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Right {
    /// DS-Replication-Get-Changes.
    Changes,
    /// DS-Replication-Get-Changes-All.
    ChangesAll,
    /// RIGHT_DS_READ_PROPERTY on the container of deleted objects.
    ReadDeleted,
    /// RIGHT_DS_LIST_CONTENTS there.
    ListDeleted,
}

/// Whom a right is given, and where.
#[derive(Debug, Clone)]
pub(super) struct Grantee {
    /// The domain's distinguished name.
    domain: String,
    /// `name@domain`, as `dsacls` takes it.
    pub(super) principal: String,
    /// Its distinguished name, as `samba-tool` takes it.
    dn: String,
    pub(super) sid: Sid,
    /// Whether the directory is Samba's.
    pub(super) is_samba: bool,
}

impl Grantee {
    /// Finds an account, given as `name` or `name@domain`.
    pub(super) async fn look_up(
        directory: &mut LdapConnection,
        domain: &DnsName,
        account: &str,
    ) -> Result<Self, Failure> {
        let root = directory.root_dse(&["vendorName"]).await?;
        let is_samba = root.text("vendorName").is_some_and(|vendor| vendor.starts_with("Samba"));
        let base = DistinguishedName::of_domain(domain).to_string();
        let name = account.split_once('@').map_or(account, |(name, _)| name);
        let attribute = "sAMAccountName".parse();
        let attribute = attribute.map_err(|error| Failure::because("no attribute", &error))?;
        let filter = Filter::Equality(attribute, name.as_bytes().to_vec());
        let request = SearchRequest::new(&base, Scope::Subtree, filter).select(["objectSid"]);
        let unseen = || {
            Failure::new(format!("the account {name} does not see its own entry below {base}"))
                .with_hint(
                    "let authenticated users read the service account, as they do by default",
                )
        };
        let entry = first(directory, request, Vec::new()).await?.ok_or_else(unseen)?;
        let sid = entry.octets("objectSid").ok_or_else(unseen)?;
        let sid = Sid::decode(sid)
            .map_err(|error| Failure::because("the account's objectSid is malformed", &error))?;
        let principal = format!("{name}@{domain}");
        Ok(Self { domain: base, principal, dn: entry.dn().to_owned(), sid, is_samba })
    }

    fn lacks(&self, right: Right) -> Failure {
        let Self { domain, principal, dn, sid, is_samba } = self;
        let deleted = format!("CN=Deleted Objects,{domain}");
        let (name, object) = match right {
            Right::Changes => ("Replicating Directory Changes", domain),
            Right::ChangesAll => ("Replicating Directory Changes All", domain),
            Right::ReadDeleted => ("Read Property", &deleted),
            Right::ListDeleted => ("List Contents", &deleted),
        };
        let command = match (right, is_samba) {
            (Right::Changes | Right::ChangesAll, false) => {
                format!("`dsacls \"{domain}\" /G \"{principal}:CA;{name}\"`")
            }
            (Right::Changes | Right::ChangesAll, true) => {
                let all = if right == Right::ChangesAll { "-all" } else { "" };
                format!(
                    "`samba-tool dsacl set --action=allow --car=get-changes{all} \
                     --objectdn=\"{domain}\" --trusteedn=\"{dn}\"`"
                )
            }
            (_, false) => format!(
                "`dsacls \"{deleted}\" /takeownership`, then \
                 `dsacls \"{deleted}\" /G \"{principal}:LCRP\"`"
            ),
            // `samba-tool dsacl` does not find the container, for it counts as deleted itself. The
            // list is the one that Windows gives it, and the account's entry.
            (_, true) => format!(
                "`printf 'dn: {deleted}\\nchangetype: modify\\nreplace: nTSecurityDescriptor\\n\
                 nTSecurityDescriptor: O:DAG:DAD:PAI(A;;RPWPCCDCLCLORCWOWDSDSW;;;SY)(A;;RPLC;;;BA)\
                 (A;;RPLC;;;{sid})\\n' | ldbmodify -H /var/lib/samba/private/sam.ldb \
                 --controls=show_deleted:1`"
            ),
        };
        let rest = match right {
            Right::ListDeleted => "; if nothing was ever deleted in this domain, delete something",
            _ => "",
        };
        let text = format!("{principal} lacks the right {name:?} on {object}");
        Failure::new(text).with_hint(format!("grant it on a domain controller: {command}{rest}"))
    }
}

/// Asks for the changes of no object at all, which takes the right and gives nothing but a cookie.
async fn may_read_changes(directory: &mut LdapConnection, domain: &str) -> Result<bool, Failure> {
    let none = Filter::Or(vec![]);
    let request = SearchRequest::new(domain, Scope::Subtree, none).select(["objectGUID"]);
    let from_the_start =
        DirSync { flags: DirSyncFlags::default(), octets_max: ANSWER_OCTETS, cookie: Vec::new() };
    match first(directory, request, vec![from_the_start.control()]).await {
        Ok(_) => Ok(true),
        Err(LdapError::Refused { refusal, .. })
            if refusal.0.code == ResultCode::InsufficientAccessRights =>
        {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads the container itself: without the right it is not there, or has no attributes.
async fn reads_deleted_objects(
    directory: &mut LdapConnection,
    grantee: &Grantee,
) -> Result<bool, Failure> {
    let entry = below_deleted_objects(directory, grantee, Scope::Base).await?;
    Ok(entry.is_some_and(|entry| entry.octets("isDeleted").is_some()))
}

/// Lists what is in the container. Attributes of a deleted object are its own list's to show.
async fn sees_a_tombstone(
    directory: &mut LdapConnection,
    grantee: &Grantee,
) -> Result<bool, Failure> {
    Ok(below_deleted_objects(directory, grantee, Scope::One).await?.is_some())
}

async fn below_deleted_objects(
    directory: &mut LdapConnection,
    grantee: &Grantee,
    scope: Scope,
) -> Result<Option<SearchResultEntry>, Failure> {
    let base = format!("<WKGUID={DELETED_OBJECTS},{}>", grantee.domain);
    // All of nothing: always true.
    let request = SearchRequest::new(base, scope, Filter::And(vec![])).select(["isDeleted"]);
    match first(directory, request, vec![control::show_deleted()]).await {
        Ok(entry) => Ok(entry),
        Err(LdapError::Refused { refusal, .. })
            if matches!(
                refusal.0.code,
                ResultCode::NoSuchObject | ResultCode::InsufficientAccessRights
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// The first entry of a search, which is left off there.
pub(super) async fn first(
    directory: &mut LdapConnection,
    request: SearchRequest,
    controls: Vec<control::Control>,
) -> Result<Option<SearchResultEntry>, LdapError> {
    directory.search(request, controls).await?.next().await
}
