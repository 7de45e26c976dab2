//! The commands that end: init, enrol, app add, status, users.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use portolan_model::{Entropy, Guid};
use portolan_net::{clock, entropy::SystemEntropy};
use portolan_store::tenant::{SqliteStore, SqliteTransaction};
use portolan_tenant::application::Application;
use portolan_tenant::directory::{Kind, Object};
use portolan_tenant::scope::Permission;
use portolan_tenant::storage::{Access, AuditRecord, StorageError, Store as _, Transaction as _};
use portolan_tenant::wire::{EnrolmentFile, SecretText};
use portolan_tenant::{Opaque, Tenant};
use serde_json::json;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use super::authority::Authority;
use super::{AppAdd, Enrol, Init, Listing, Place, signing};
use crate::files;
use crate::report::Failure;
use crate::terminal::plain;

/// The names of what the store keeps for the tenant itself.
pub(super) const CA_CERTIFICATE: &str = "ca-certificate";
pub(super) const CA_KEY: &str = "ca-key";
pub(super) const PAIRWISE_SALT: &str = "pairwise-salt";

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
    let Init { place, domain, mut verified_domain } = arguments;
    verified_domain.retain(|verified| *verified != domain);
    verified_domain.sort();
    verified_domain.dedup();
    let id = Guid::from_random(SystemEntropy.array());
    let tenant = Tenant { id, domain, verified_domains: verified_domain };
    let store = place.create().await?;
    let made = fill(&store, &place, &tenant).await;
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

async fn fill(store: &SqliteStore, place: &Place, tenant: &Tenant) -> Result<Authority, Failure> {
    let now = clock::now();
    let (authority, ca_key) = Authority::create(tenant, now)?;
    let mut tx = store.begin(Access::Write).await.map_err(broken)?;
    tx.put_tenant(tenant, now).await.map_err(broken)?;
    tx.put_document(CA_CERTIFICATE, authority.certificate()).await.map_err(broken)?;
    tx.put_secret(CA_KEY, &ca_key, now).await.map_err(broken)?;
    let salt = Zeroizing::new(SystemEntropy.array::<32>());
    tx.put_secret(PAIRWISE_SALT, salt.as_slice(), now).await.map_err(broken)?;
    signing::make(&mut tx, now).await?;
    audit(&mut tx, "tenant.init", tenant.id.to_string(), now).await?;
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
    let store = arguments.place.open().await?;
    let now = clock::now();
    let until = now + ENROLMENT_LIFETIME;
    let secret = Opaque::draw(&mut SystemEntropy);
    let mut tx = store.begin(Access::Write).await.map_err(broken)?;
    let tenant = tx.tenant().await.map_err(broken)?;
    let authority = authority(&mut tx).await?;
    let file = EnrolmentFile {
        tenant_id: tenant.id.to_string(),
        host: tenant.sync_host(),
        ca_sha256: authority.fingerprint(),
        secret: SecretText(portolan_model::SecretString::new(secret.expose().to_owned())),
        expires: until
            .replace_nanosecond(0)
            .unwrap_or(until)
            .format(&Rfc3339)
            .map_err(|error| Failure::because("cannot write the time", &error))?,
    };
    let json = serde_json::to_vec_pretty(&file)
        .map(Zeroizing::new)
        .map_err(|error| Failure::because("cannot write JSON", &error))?;
    write_new(&arguments.out, 0o600, &json)?;
    files::refuse_if_shared(&arguments.out).map_err(Failure::new)?;
    tx.put_enrolment(&secret.digest(), until).await.map_err(broken)?;
    audit(&mut tx, "enrolment.create", tenant.sync_host(), now).await?;
    tx.commit().await.map_err(broken)?;
    store.close().await;
    println!("enrolment file {}: one use, until {}", arguments.out.display(), file.expires);
    Ok(())
}

pub(super) async fn app_add(arguments: AppAdd) -> Result<(), Failure> {
    let permission = |word: &String| {
        Permission::from_word(word).ok_or_else(|| {
            let known: Vec<_> = Permission::ALL.iter().map(|known| known.as_str()).collect();
            Failure::new(format!("{word:?} is no permission"))
                .with_hint(format!("give one of {}", known.join(", ")))
        })
    };
    let application = Application {
        client_id: Guid::from_random(SystemEntropy.array()),
        name: arguments.name,
        redirect_uris: arguments.redirect_uri,
        permissions: arguments.scope.iter().map(permission).collect::<Result<_, _>>()?,
        roles: Vec::new(),
        keys: Vec::new(),
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

pub(super) async fn status(arguments: Listing) -> Result<(), Failure> {
    let store = arguments.place.open().await?;
    let mut tx = store.begin(Access::Read).await.map_err(broken)?;
    let tenant = tx.tenant().await.map_err(broken)?;
    let authority = authority(&mut tx).await?;
    let users = all(&mut tx, Kind::User).await?.len();
    let groups = all(&mut tx, Kind::Group).await?.len();
    let applications = tx.applications().await.map_err(broken)?;
    drop(tx);
    store.close().await;
    let domains: Vec<_> = tenant.verified_domains.iter().map(ToString::to_string).collect();
    if arguments.json {
        let applications: Vec<_> = applications
            .iter()
            .map(|app| {
                let uris: Vec<_> = app.redirect_uris.iter().map(ToString::to_string).collect();
                let permissions: Vec<_> =
                    app.permissions.iter().map(|permission| permission.as_str()).collect();
                json!({"client_id": app.client_id.to_string(), "name": app.name,
                    "redirect_uris": uris, "scopes": permissions, "roles": app.roles})
            })
            .collect();
        println!(
            "{}",
            json!({"tenant_id": tenant.id.to_string(), "initial_domain": tenant.domain.as_str(),
                "verified_domains": domains, "authority": tenant.authority(),
                "issuer": tenant.issuer(), "hosts": tenant.hosts(),
                "ca_sha256": authority.fingerprint(), "users": users, "groups": groups,
                "applications": applications})
        );
        return Ok(());
    }
    println!("tenant {}", tenant.id);
    println!("authority {}", tenant.authority());
    println!("domains {}", [vec![tenant.domain.to_string()], domains].concat().join(", "));
    println!("certificate authority sha256 {}", authority.fingerprint());
    println!("{users} users, {groups} groups");
    for app in applications {
        println!("application {} {}", app.client_id, plain(&app.name));
    }
    Ok(())
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

    #[tokio::test]
    async fn a_new_tenants_files_are_its_owners() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place { data: directory.path().join("tenant"), master_key: None };
        let domain = "cloud.example".parse().unwrap();
        init(Init { place: place.clone(), domain, verified_domain: vec![] }).await.unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&place.data), 0o700);
        assert_eq!(mode(place.key_file().path()), 0o600);
        assert_eq!(mode(&place.data.join("tenant.sqlite")), 0o600);
        assert_eq!(mode(&place.ca_file()) & 0o022, 0);
        let out = directory.path().join("enrolment.json");
        enrol(Enrol { place: place.clone(), out: out.clone() }).await.unwrap();
        assert_eq!(mode(&out), 0o600);
        let again = Enrol { place: place.clone(), out };
        assert!(enrol(again).await.is_err(), "it is not written over");
        let domain = "other.example".parse().unwrap();
        let again = Init { place: place.clone(), domain, verified_domain: vec![] };
        assert!(init(again).await.is_err(), "a tenant is made once");
        assert!(place.open().await.is_ok(), "and what was there stays");
    }
}
