//! The commands that end: init, enrol, app add, users.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use portolan_legacy_crypto::NtHash;
use portolan_legacy_crypto::pph1::CredentialData;
use portolan_model::{Entropy, Guid, SecretString, Upn};
use portolan_net::{clock, entropy::SystemEntropy};
use portolan_store::tenant::{SqliteStore, SqliteTransaction};
use portolan_tenant::application::Application;
use portolan_tenant::directory::{Attributes, Kind, Object, Value};
use portolan_tenant::scope::Permission;
use portolan_tenant::storage::{
    Access, AuditRecord, Credential, StorageError, Store as _, Transaction as _,
};
use portolan_tenant::wire::{EnrolmentFile, SecretText};
use portolan_tenant::{Opaque, Tenant};
use serde_json::json;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use super::authority::Authority;
use super::{
    AppAdd, Enrol, GLOBAL_ADMINISTRATOR, Init, Listing, Place, administration, public_key, signing,
    status,
};
use crate::files;
use crate::report::Failure;
use crate::terminal::plain;

/// The names of what the store keeps for the tenant itself.
pub(super) const CA_CERTIFICATE: &str = "ca-certificate";
pub(super) const CA_KEY: &str = "ca-key";
pub(super) const PAIRWISE_SALT: &str = "pairwise-salt";
/// Since when the master key seals, as RFC 3339.
pub(super) const MASTER_KEY_SINCE: &str = "master-key-since";

/// How long an enrolment file works.
const ENROLMENT_LIFETIME: Duration = Duration::HOUR;

/// Objects that a listing reads at a time.
const PAGE: u32 = 500;

/// Who acts when a command does.
const ACTOR: &str = "command line";

pub(super) fn broken(error: StorageError) -> Failure {
    Failure::because("cannot use the tenant's store", &error)
}

pub(super) async fn init(arguments: Init) -> Result<(), Failure> {
    let Init { place, domain, mut verified_domain, admin, admin_password_file } = arguments;
    verified_domain.retain(|verified| *verified != domain);
    verified_domain.sort();
    verified_domain.dedup();
    let id = Guid::from_random(SystemEntropy.array());
    let tenant = Tenant { id, domain, verified_domains: verified_domain };
    let administrator = match admin {
        Some(name) => Some(Administrator::new(&tenant, &name, admin_password_file.as_deref())?),
        None => None,
    };
    let store = place.create().await?;
    let made = fill(&store, &place, &tenant, administrator.as_ref()).await;
    store.close().await;
    let authority = match made {
        Ok(authority) => authority,
        Err(failure) => {
            place.discard();
            return Err(failure);
        }
    };
    println!("tenant {} ({})", tenant.id, tenant.domain);
    println!("certificate authority {}", place.ca_file().display());
    println!("  sha256 {}", authority.fingerprint());
    println!("master key {} (keep it apart from backups)", place.key_file().path().display());
    if let Some(Administrator { name, password, drawn }) = &administrator {
        println!("first administrator {name}, who signs in as anybody does: the role is recorded");
        println!("  and gives no right yet, these commands administer the tenant");
        if *drawn {
            println!("  password {} (shown this once; to be changed)", password.expose());
        }
    }
    println!("next:");
    println!("  make {} resolve to this host", tenant.hosts().join(", "));
    let data = place.data.display();
    println!("  portolan tenant serve --data {data}");
    println!("  portolan tenant app add --data {data} --name NAME --redirect-uri URI");
    println!(
        "  portolan tenant enrol --data {data} --out FILE, then `portolan connect init` with it"
    );
    Ok(())
}

/// The first administrator of a new tenant.
struct Administrator {
    name: Upn,
    password: SecretString,
    drawn: bool,
}

impl Administrator {
    fn new(tenant: &Tenant, name: &str, file: Option<&Path>) -> Result<Self, Failure> {
        let name = match name.contains('@') {
            true => name.to_owned(),
            false => format!("{name}@{}", tenant.domain),
        };
        let parsed = name.parse::<Upn>().ok().filter(|upn| tenant.owns(upn.domain()));
        let name = parsed.ok_or_else(|| {
            Failure::new(format!("{name:?} is no name of a domain of this tenant"))
                .with_hint("give --admin NAME, or NAME@DOMAIN with a domain of the tenant")
        })?;
        let password = match file {
            Some(path) => first_line(path)?,
            None => {
                let octets = Zeroizing::new(SystemEntropy.array::<15>());
                SecretString::new(hex::encode(octets.as_slice()))
            }
        };
        Ok(Self { name, password, drawn: file.is_none() })
    }

    async fn put(&self, tx: &mut SqliteTransaction, now: OffsetDateTime) -> Result<(), Failure> {
        let mut attributes = Attributes::default();
        let name = self.name.to_string();
        for (attribute, value) in [
            ("userPrincipalName", Value::Text(name.clone())),
            ("displayName", Value::Text(name)),
            ("accountEnabled", Value::Flag(true)),
            ("onPremisesPasswordChangeRequired", Value::Flag(true)),
        ] {
            attributes
                .set(attribute, value)
                .map_err(|error| Failure::because("cannot make the first administrator", &error))?;
        }
        let user = Object {
            id: Guid::from_random(SystemEntropy.array()),
            kind: Kind::User,
            anchor: None,
            attributes,
            created_at: now,
            synchronised_at: None,
            deleted_at: None,
        };
        let hash = NtHash::from_password(self.password.expose());
        let credential = CredentialData::derive(&hash, SystemEntropy.array());
        tx.put_object(&user).await.map_err(broken)?;
        tx.put_credential(user.id, &Credential { credential, changed_at: now })
            .await
            .map_err(broken)?;
        tx.assign_role(user.id, GLOBAL_ADMINISTRATOR, now).await.map_err(broken)?;
        audit(tx, "role.assign", user.id.to_string(), now).await
    }
}

/// The first line of a file that nobody but its owner may read.
fn first_line(path: &Path) -> Result<SecretString, Failure> {
    files::refuse_if_shared(path).map_err(Failure::new)?;
    let doing = format!("cannot read {}", path.display());
    let text = files::read_text_at_most(path, files::SECRET_OCTETS_MAX)
        .map(Zeroizing::new)
        .map_err(|error| Failure::because(&doing, &error))?;
    match text.lines().next().filter(|line| !line.is_empty()) {
        Some(line) => Ok(SecretString::new(line.to_owned())),
        None => Err(Failure::new(format!("{doing}: it has no first line"))),
    }
}

async fn fill(
    store: &SqliteStore,
    place: &Place,
    tenant: &Tenant,
    administrator: Option<&Administrator>,
) -> Result<Authority, Failure> {
    let now = clock::now();
    let (authority, ca_key) = Authority::create(tenant, now)?;
    let mut tx = store.begin(Access::Write).await.map_err(broken)?;
    tx.put_tenant(tenant, now).await.map_err(broken)?;
    tx.put_document(CA_CERTIFICATE, authority.certificate()).await.map_err(broken)?;
    tx.put_secret(CA_KEY, &ca_key, now).await.map_err(broken)?;
    let salt = Zeroizing::new(SystemEntropy.array::<32>());
    tx.put_secret(PAIRWISE_SALT, salt.as_slice(), now).await.map_err(broken)?;
    signing::make(&mut tx, now).await?;
    tx.put_document(MASTER_KEY_SINCE, status::text(now).as_bytes()).await.map_err(broken)?;
    audit(&mut tx, "tenant.init", tenant.id.to_string(), now).await?;
    if let Some(administrator) = administrator {
        administrator.put(&mut tx, now).await?;
    }
    tx.commit().await.map_err(broken)?;
    // Everyone may read it, and whoever it is copied to trusts it: only its owner writes it.
    write_new(&place.ca_file(), 0o644, authority.certificate_pem().as_bytes())?;
    Ok(authority)
}

/// Writes a file that must not exist, with these permissions.
fn write_new(path: &Path, mode: u32, octets: &[u8]) -> Result<(), Failure> {
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut out| out.write_all(octets).and_then(|()| out.sync_all()))
        .map_err(|error| Failure::because(&format!("cannot write {}", path.display()), &error))
}

pub(super) async fn audit(
    tx: &mut SqliteTransaction,
    action: &'static str,
    target: String,
    at: OffsetDateTime,
) -> Result<(), Failure> {
    tracing::info!(target: "portolan::audit", actor = ACTOR, action, %target, "Audit");
    let record = AuditRecord { at, actor: ACTOR.to_owned(), action, target };
    tx.record_audit(&record).await.map_err(broken)
}

/// The authority of a tenant that was made.
pub(super) async fn authority(tx: &mut SqliteTransaction) -> Result<Authority, Failure> {
    let certificate = tx.document(CA_CERTIFICATE).await.map_err(broken)?;
    let key = tx.secret(CA_KEY).await.map_err(broken)?;
    match (certificate, key) {
        (Some(certificate), Some(key)) => Authority::open(certificate, &key),
        _ => Err(Failure::new("the tenant's store has no certificate authority")
            .with_hint("make the tenant anew with `portolan tenant init`")),
    }
}

pub(super) async fn enrol(arguments: Enrol) -> Result<(), Failure> {
    let Enrol { place, out, json, revoke, replace, joins, .. } = arguments;
    match (out, revoke) {
        (Some(out), _) => write_enrolment(&place, &out, (replace, joins), json).await,
        (None, Some(name)) => administration::revoke(&place, &name, json).await,
        (None, None) => administration::enrolments(&place, json).await,
    }
}

async fn write_enrolment(
    place: &Place,
    out: &Path,
    (replace, joins): (Option<Guid>, Option<Guid>),
    json: bool,
) -> Result<(), Failure> {
    let store = place.open().await?;
    let now = clock::now();
    let until = now + ENROLMENT_LIFETIME;
    let secret = Opaque::draw(&mut SystemEntropy);
    let mut tx = store.begin(Access::Write).await.map_err(broken)?;
    let tenant = tx.tenant().await.map_err(broken)?;
    let authority = authority(&mut tx).await?;
    if let Some(id) = replace {
        administration::find(&mut tx, id, administration::Which::SyncServers).await?;
    }
    let joins = match joins {
        Some(named) => Some(administration::joined(&mut tx, named).await?),
        None => None,
    };
    let file = EnrolmentFile {
        tenant_id: tenant.id.to_string(),
        host: tenant.sync_host(),
        ca_sha256: authority.fingerprint(),
        secret: SecretText(SecretString::new(secret.expose().to_owned())),
        expires: until
            .replace_nanosecond(0)
            .unwrap_or(until)
            .format(&Rfc3339)
            .map_err(|error| Failure::because("cannot write the time", &error))?,
    };
    let octets = serde_json::to_vec_pretty(&file)
        .map(Zeroizing::new)
        .map_err(|error| Failure::because("cannot write JSON", &error))?;
    write_new(out, 0o600, &octets)?;
    files::refuse_if_shared(out).map_err(Failure::new)?;
    tx.put_enrolment(&secret.digest(), until).await.map_err(broken)?;
    let target = match (replace, joins) {
        (Some(id), _) => {
            tx.bind_enrolment(&secret.digest(), id).await.map_err(broken)?;
            format!("{} in place of {id}", tenant.sync_host())
        }
        (None, Some(id)) => {
            tx.bind_joining(&secret.digest(), id).await.map_err(broken)?;
            format!("{} beside {id}", tenant.sync_host())
        }
        (None, None) => tenant.sync_host(),
    };
    audit(&mut tx, "enrolment.create", target, now).await?;
    tx.commit().await.map_err(broken)?;
    store.close().await;
    let name = administration::enrolment_name(secret.digest().octets());
    print_enrolment((out, &file), &name, (replace, joins), json);
    Ok(())
}

/// Says what an enrolment file is for, and how it is taken back.
fn print_enrolment(
    (out, file): (&Path, &EnrolmentFile),
    name: &str,
    (replace, joins): (Option<Guid>, Option<Guid>),
    json: bool,
) {
    let text = |id: Option<Guid>| id.map(|id| id.to_string());
    if json {
        let (replaces, joins) = (text(replace), text(joins));
        println!(
            "{}",
            json!({"name": name, "expires": file.expires, "replaces": replaces, "joins": joins})
        );
        return;
    }
    println!("enrolment file {}: one use, until {}", out.display(), file.expires);
    if let Some(id) = replace {
        println!("  whoever enrols with it has the objects of {id}, which is removed then");
    }
    if let Some(id) = joins {
        println!(
            "  whoever enrols with it shares the objects of {id}; one of them writes at a time"
        );
    }
    println!("  to take it back: portolan tenant enrol --revoke {name}");
}

pub(super) async fn app_add(arguments: AppAdd) -> Result<(), Failure> {
    let scopes =
        arguments.scope.iter().map(|word| permission(word)).collect::<Result<Vec<_>, _>>()?;
    if let Some(scope) = scopes.iter().find(|scope| scope.writes()) {
        return Err(Failure::new(format!(
            "{} is no scope that a person could grant: nobody's role lets them write yet",
            scope.as_str()
        ))
        .with_hint("give it to the application itself: --permission and --key"));
    }
    let roles = arguments.permission.iter().map(|word| permission(word));
    let roles = roles.map(|role| role.map(|role| role.as_str().to_owned()));
    let key = arguments.key.as_deref().map(public_key::read).transpose()?;
    // One that acts by itself signs nobody in unless it has where to send them back to.
    let signs_in = !arguments.redirect_uri.is_empty();
    let application = Application {
        client_id: Guid::from_random(SystemEntropy.array()),
        name: arguments.name,
        redirect_uris: arguments.redirect_uri,
        permissions: if signs_in { scopes } else { Vec::new() },
        roles: roles.collect::<Result<_, _>>()?,
        keys: key.into_iter().collect(),
    };
    let store = arguments.place.open().await?;
    let mut tx = store.begin(Access::Write).await.map_err(broken)?;
    tx.put_application(&application).await.map_err(broken)?;
    audit(&mut tx, "application.add", application.client_id.to_string(), clock::now()).await?;
    tx.commit().await.map_err(broken)?;
    store.close().await;
    if arguments.json {
        println!("{}", json!({"client_id": application.client_id.to_string()}));
    } else {
        println!("client id {}", application.client_id);
    }
    Ok(())
}

/// The permission of a word.
fn permission(word: &str) -> Result<Permission, Failure> {
    Permission::from_word(word).ok_or_else(|| {
        let known: Vec<_> = Permission::ALL.iter().map(|known| known.as_str()).collect();
        Failure::new(format!("{word:?} is no permission"))
            .with_hint(format!("give one of {}", known.join(", ")))
    })
}

pub(super) async fn users(arguments: Listing) -> Result<(), Failure> {
    let store = arguments.place.open().await?;
    let mut tx = store.begin(Access::Read).await.map_err(broken)?;
    let mut lines = Vec::new();
    for user in all(&mut tx, Kind::User).await? {
        let has_password = tx.credential(user.id).await.map_err(broken)?.is_some();
        lines.push((user, has_password));
    }
    drop(tx);
    store.close().await;
    let enabled = |user: &Object| user.attributes.flag("accountEnabled").unwrap_or(false);
    if arguments.json {
        let users: Vec<_> = lines
            .iter()
            .map(|(user, has_password)| {
                json!({"id": user.id.to_string(), "userPrincipalName": user.upn(),
                    "displayName": user.display_name(), "accountEnabled": enabled(user),
                    "onPremisesImmutableId": user.anchor.as_ref().map(ToString::to_string),
                    "has_password": has_password})
            })
            .collect();
        println!("{}", serde_json::Value::from(users));
        return Ok(());
    }
    for (user, has_password) in &lines {
        let state = if enabled(user) { "enabled" } else { "disabled" };
        let password = if *has_password { "password" } else { "no password" };
        println!("{} {} {state}, {password}", user.id, plain(user.upn().unwrap_or("-")));
    }
    Ok(())
}

/// All living objects of a kind.
async fn all(tx: &mut SqliteTransaction, kind: Kind) -> Result<Vec<Object>, Failure> {
    let mut objects: Vec<Object> = Vec::new();
    loop {
        let after = objects.last().map(|object| object.id);
        let page = tx.objects(kind, after, PAGE).await.map_err(broken)?;
        if page.is_empty() {
            return Ok(objects);
        }
        objects.extend(page);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn new(place: &Place, domain: portolan_model::DnsName) -> Init {
        let place = place.clone();
        Init { place, domain, verified_domain: vec![], admin: None, admin_password_file: None }
    }

    fn written(place: &Place, out: &Path) -> Enrol {
        let (place, out) = (place.clone(), Some(out.to_owned()));
        Enrol { place, out, replace: None, joins: None, list: false, revoke: None, json: false }
    }

    #[tokio::test]
    async fn a_new_tenants_files_are_its_owners() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place { data: directory.path().join("tenant"), master_key: None };
        let domain = "cloud.example".parse().unwrap();
        init(new(&place, domain)).await.unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&place.data), 0o700);
        assert_eq!(mode(place.key_file().path()), 0o600);
        assert_eq!(mode(&place.data.join("tenant.sqlite")), 0o600);
        assert_eq!(mode(&place.ca_file()) & 0o022, 0);
        let out = directory.path().join("enrolment.json");
        enrol(written(&place, &out)).await.unwrap();
        assert_eq!(mode(&out), 0o600);
        let again = written(&place, &out);
        assert!(enrol(again).await.is_err(), "it is not written over");
        let domain = "other.example".parse().unwrap();
        let again = new(&place, domain);
        assert!(init(again).await.is_err(), "a tenant is made once");
        assert!(place.open().await.is_ok(), "and what was there stays");
    }
}
