//! The commands by which a tenant is administered: sync servers, applications, domains, enrolments.
//!
//! They act on the data directory, so whoever may write it administers the tenant; each change is a line
//! of the audit log, and a running `tenant serve` follows within seconds.

use portolan_model::{DnsName, Entropy as _, Guid};
use portolan_net::clock;
use portolan_net::entropy::SystemEntropy;
use portolan_store::tenant::SqliteTransaction;
use portolan_tenant::application::{Application, ROLE_INGEST};
use portolan_tenant::lease::Lease;
use portolan_tenant::storage::{Access, Store as _, Transaction as _};
use serde_json::{Value as Json, json};
use time::format_description::well_known::Rfc3339;

use super::commands::{audit, broken};
use super::{Domain, Domains, Listing, Place, Removal};
use crate::report::Failure;
use crate::terminal::plain;

/// Characters of an enrolment's digest that name it.
const ENROLMENT_NAME_CHARS: usize = 12;

/// Which applications a command is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// Those that people sign in to.
    Clients,
    /// Those that write the directory.
    SyncServers,
}

impl Which {
    pub(super) fn has(self, application: &Application) -> bool {
        let ingests = application.roles.iter().any(|role| role == ROLE_INGEST);
        ingests == (self == Self::SyncServers)
    }

    const fn noun(self) -> &'static str {
        match self {
            Self::Clients => "application",
            Self::SyncServers => "sync server",
        }
    }
}

fn print_json(value: &Json) {
    println!("{value}");
}

/// Lists applications.
pub(super) async fn list(arguments: Listing, which: Which) -> Result<(), Failure> {
    let store = arguments.place.open().await?;
    let mut tx = store.begin(Access::Read).await.map_err(broken)?;
    let mut lines = Vec::new();
    for application in tx.applications().await.map_err(broken)? {
        if which.has(&application) {
            let owned = tx.owned(application.client_id).await.map_err(broken)?;
            let group = tx.sync_group(application.client_id).await.map_err(broken)?;
            let lease = tx.lease(group).await.map_err(broken)?;
            lines.push((application, owned, group, lease));
        }
    }
    drop(tx);
    store.close().await;
    if arguments.json {
        let line =
            |(application, owned, group, lease): &(Application, i64, Guid, Option<Lease>)| {
                let keys: Vec<_> =
                    application.keys.iter().filter_map(|key| key.kid.clone()).collect();
                let epoch = lease.as_ref().map(|lease| lease.tenure.epoch);
                json!({"client_id": application.client_id.to_string(), "name": application.name,
                "key_ids": keys, "objects": owned, "group": group.to_string(),
                "lease_epoch": epoch, "holds_lease": holds(lease.as_ref(), application)})
            };
        print_json(&lines.iter().map(line).collect());
        return Ok(());
    }
    for (application, owned, group, lease) in &lines {
        let name = plain(&application.name);
        let group = match *group == application.client_id {
            true => String::new(),
            false => format!(", in the group {group}"),
        };
        let lease = if holds(lease.as_ref(), application) { ", holds the lease" } else { "" };
        match which {
            Which::Clients => println!("{} {name}", application.client_id),
            Which::SyncServers => {
                println!("{} {name}, {owned} objects{group}{lease}", application.client_id);
            }
        }
    }
    Ok(())
}

fn holds(lease: Option<&Lease>, application: &Application) -> bool {
    let holder = lease.and_then(Lease::holder);
    holder.is_some_and(|holder| holder.client_id == application.client_id)
}

/// Refuses an id that no application of a kind has.
pub(super) async fn find(
    tx: &mut SqliteTransaction,
    client_id: Guid,
    which: Which,
) -> Result<(), Failure> {
    let found = tx.application(client_id).await.map_err(broken)?;
    if found.is_some_and(|application| which.has(&application)) {
        return Ok(());
    }
    let list = match which {
        Which::Clients => "app list",
        Which::SyncServers => "sync-server list",
    };
    Err(Failure::new(format!("no {} has the id {client_id}", which.noun()))
        .with_hint(format!("see `portolan tenant {list}`")))
}

/// Removes an application: from the next request on it is nobody.
pub(super) async fn remove(arguments: Removal, which: Which) -> Result<(), Failure> {
    let Removal { place, client_id, json } = arguments;
    let store = place.open().await?;
    let mut tx = store.begin(Access::Write).await.map_err(broken)?;
    find(&mut tx, client_id, which).await?;
    tx.remove_application(client_id).await.map_err(broken)?;
    let action = match which {
        Which::Clients => "application.remove",
        Which::SyncServers => "syncServer.remove",
    };
    audit(&mut tx, action, client_id.to_string(), clock::now()).await?;
    tx.commit().await.map_err(broken)?;
    store.close().await;
    if json {
        print_json(&json!({"removed": client_id.to_string()}));
    } else {
        println!("{} {client_id} is removed; it is refused from the next request on", which.noun());
    }
    Ok(())
}

/// Ends the use of a lease by the group of a sync server.
pub(super) async fn end_lease(arguments: Removal) -> Result<(), Failure> {
    let Removal { place, client_id, json } = arguments;
    let store = place.open().await?;
    let mut tx = store.begin(Access::Write).await.map_err(broken)?;
    find(&mut tx, client_id, Which::SyncServers).await?;
    let group = tx.sync_group(client_id).await.map_err(broken)?;
    let Some(lease) = tx.lease(group).await.map_err(broken)? else {
        return Err(Failure::new(format!("no server of the group {group} ever acquired a lease")));
    };
    let lease = lease.waived(Guid::from_random(SystemEntropy.array()));
    tx.put_lease(group, &lease).await.map_err(broken)?;
    audit(&mut tx, "lease.end", group.to_string(), clock::now()).await?;
    tx.commit().await.map_err(broken)?;
    store.close().await;
    if json {
        print_json(&json!({"ended": group.to_string()}));
    } else {
        println!("the group {group} uses no lease until one of its servers acquires it");
    }
    Ok(())
}

/// The server, of those in the group that an id names or is the id of, whose group is joined.
pub(super) async fn joined(tx: &mut SqliteTransaction, named: Guid) -> Result<Guid, Failure> {
    for server in tx.sync_group_servers(named).await.map_err(broken)? {
        if tx.application(server).await.map_err(broken)?.is_some() {
            find(tx, server, Which::SyncServers).await?;
            return Ok(server);
        }
    }
    find(tx, named, Which::SyncServers).await.map(|()| named)
}

/// Adds, lists, removes domains.
pub(super) async fn domain(command: Domain) -> Result<(), Failure> {
    match command {
        Domain::List(Listing { place, json }) => list_domains(&place, json).await,
        Domain::Add(Domains { place, name, json }) => {
            let store = place.open().await?;
            let mut tx = store.begin(Access::Write).await.map_err(broken)?;
            let tenant = tx.tenant().await.map_err(broken)?;
            if tenant.domain == name || !tx.add_domain(&name).await.map_err(broken)? {
                return Err(Failure::new(format!("names of {name} sign in here already")));
            }
            audit(&mut tx, "domain.add", name.to_string(), clock::now()).await?;
            tx.commit().await.map_err(broken)?;
            store.close().await;
            if json {
                print_json(&json!({"added": name.as_str()}));
            } else {
                println!("names of {name} sign in here");
            }
            Ok(())
        }
        Domain::Remove(Domains { place, name, json }) => {
            let store = place.open().await?;
            let mut tx = store.begin(Access::Write).await.map_err(broken)?;
            remove_domain(&mut tx, &name).await?;
            tx.commit().await.map_err(broken)?;
            store.close().await;
            if json {
                print_json(&json!({"removed": name.as_str()}));
            } else {
                println!("names of {name} sign in here no longer");
            }
            Ok(())
        }
    }
}

async fn list_domains(place: &Place, json: bool) -> Result<(), Failure> {
    let store = place.open().await?;
    let mut tx = store.begin(Access::Read).await.map_err(broken)?;
    let tenant = tx.tenant().await.map_err(broken)?;
    let mut lines = Vec::new();
    for name in std::iter::once(&tenant.domain).chain(&tenant.verified_domains) {
        lines.push((name.clone(), tx.users_of_domain(name).await.map_err(broken)?));
    }
    drop(tx);
    store.close().await;
    if json {
        let line = |(name, users): &(DnsName, i64)| json!({"name": name.as_str(), "initial": *name == tenant.domain, "users": users});
        print_json(&lines.iter().map(line).collect());
        return Ok(());
    }
    for (name, users) in &lines {
        let initial = if *name == tenant.domain { ", initial" } else { "" };
        println!("{name}: {users} users{initial}");
    }
    Ok(())
}

async fn remove_domain(tx: &mut SqliteTransaction, name: &DnsName) -> Result<(), Failure> {
    if tx.tenant().await.map_err(broken)?.domain == *name {
        return Err(Failure::new(format!("{name} is the tenant's initial domain, which stays")));
    }
    let users = tx.users_of_domain(name).await.map_err(broken)?;
    if users > 0 {
        return Err(Failure::new(format!("{users} users have a name of {name}"))
            .with_hint("give them other names, or delete them, first"));
    }
    if !tx.remove_domain(name).await.map_err(broken)? {
        return Err(Failure::new(format!("{name} is no domain of this tenant"))
            .with_hint("see `portolan tenant domain list`"));
    }
    audit(tx, "domain.remove", name.to_string(), clock::now()).await
}

/// Lists the enrolment files that can still be used.
pub(super) async fn enrolments(place: &Place, json: bool) -> Result<(), Failure> {
    let store = place.open().await?;
    let mut tx = store.begin(Access::Read).await.map_err(broken)?;
    let enrolments = tx.enrolments(clock::now()).await.map_err(broken)?;
    drop(tx);
    store.close().await;
    let lines = enrolments.iter().map(|(secret, until)| {
        let until = until.replace_nanosecond(0).unwrap_or(*until);
        (enrolment_name(secret), until.format(&Rfc3339).unwrap_or_default())
    });
    if json {
        print_json(&lines.map(|(name, until)| json!({"name": name, "expires": until})).collect());
    } else {
        lines.for_each(|(name, until)| println!("{name} until {until}"));
    }
    Ok(())
}

/// Takes an enrolment file back before it was used.
pub(super) async fn revoke(place: &Place, name: &str, json: bool) -> Result<(), Failure> {
    let store = place.open().await?;
    let now = clock::now();
    let mut tx = store.begin(Access::Write).await.map_err(broken)?;
    let enrolments = tx.enrolments(now).await.map_err(broken)?;
    let found = enrolments.iter().find(|(secret, _)| enrolment_name(secret) == name);
    let (secret, _) = found.ok_or_else(|| {
        Failure::new(format!("no enrolment {name:?} waits to be used"))
            .with_hint("see `portolan tenant enrol --list`")
    })?;
    tx.revoke_enrolment(secret).await.map_err(broken)?;
    audit(&mut tx, "enrolment.revoke", name.to_owned(), now).await?;
    tx.commit().await.map_err(broken)?;
    store.close().await;
    if json {
        print_json(&json!({"revoked": name}));
    } else {
        println!("enrolment {name} is worth nothing any more");
    }
    Ok(())
}

/// What names an enrolment, in lists and on the file: the beginning of its secret's digest.
pub(super) fn enrolment_name(digest: &[u8]) -> String {
    let mut name = hex::encode(digest);
    name.truncate(ENROLMENT_NAME_CHARS);
    name
}

#[cfg(test)]
mod tests {
    use portolan_store::tenant::log::Wanted;

    use super::*;
    use crate::tenant::{AppAdd, Enrol, Init, commands};

    async fn made() -> (tempfile::TempDir, Place) {
        let directory = tempfile::tempdir().unwrap();
        let place = Place { data: directory.path().join("tenant"), master_key: None };
        let domain = "cloud.example".parse().unwrap();
        let init = Init {
            place: place.clone(),
            domain,
            verified_domain: vec![],
            admin: Some("root".to_owned()),
            admin_password_file: None,
        };
        commands::init(init).await.unwrap();
        (directory, place)
    }

    async fn actions(place: &Place) -> Vec<String> {
        let store = place.open().await.unwrap();
        let mut tx = store.begin(Access::Read).await.unwrap();
        let all = Wanted { since: None, user: None, anchor: None, count_max: 100 };
        let lines = tx.audits(all).await.unwrap();
        drop(tx);
        store.close().await;
        lines.into_iter().rev().map(|line| line.action).collect()
    }

    #[tokio::test]
    async fn what_is_administered_is_audited() {
        let (directory, place) = made().await;
        let add = AppAdd {
            place: place.clone(),
            name: "Shop".to_owned(),
            redirect_uri: vec!["https://shop.example/cb".parse().unwrap()],
            scope: vec!["User.Read".to_owned()],
            permission: vec![],
            key: None,
            json: false,
        };
        commands::app_add(add).await.unwrap();
        let store = place.open().await.unwrap();
        let mut tx = store.begin(Access::Read).await.unwrap();
        let client_id = tx.applications().await.unwrap()[0].client_id;
        drop(tx);
        store.close().await;
        let removal = || Removal { place: place.clone(), client_id, json: true };
        assert!(remove(removal(), Which::SyncServers).await.is_err(), "it is no sync server");
        remove(removal(), Which::Clients).await.unwrap();
        assert!(remove(removal(), Which::Clients).await.is_err());
        let named =
            |name: &str| Domains { place: place.clone(), name: name.parse().unwrap(), json: true };
        domain(Domain::Add(named("corp.example"))).await.unwrap();
        assert!(domain(Domain::Add(named("CORP.example"))).await.is_err());
        domain(Domain::Remove(named("corp.example"))).await.unwrap();
        let initial = domain(Domain::Remove(named("cloud.example"))).await.unwrap_err();
        assert!(initial.text().contains("initial domain"), "{}", initial.text());
        let out = Some(directory.path().join("enrolment.json"));
        let place_of = place.clone();
        let replace = Some(client_id);
        let enrol = |replace| {
            let (place, out) = (place_of.clone(), out.clone());
            let joins = None;
            Enrol { place, out, replace, joins, list: false, revoke: None, json: false }
        };
        assert!(commands::enrol(enrol(replace)).await.is_err(), "there is no such sync server");
        let enrol = enrol(None);
        commands::enrol(enrol).await.unwrap();
        let store = place.open().await.unwrap();
        let mut tx = store.begin(Access::Read).await.unwrap();
        let waiting = tx.enrolments(clock::now()).await.unwrap();
        drop(tx);
        store.close().await;
        let name = enrolment_name(&waiting[0].0);
        revoke(&place, &name, true).await.unwrap();
        assert!(revoke(&place, &name, true).await.is_err());
        let expected = [
            "tenant.init",
            "role.assign",
            "application.add",
            "application.remove",
            "domain.add",
            "domain.remove",
            "enrolment.create",
            "enrolment.revoke",
        ];
        assert_eq!(actions(&place).await, expected);
    }

    #[tokio::test]
    async fn the_first_administrator_is_of_the_cloud_and_must_change_the_password() {
        let (_directory, place) = made().await;
        let store = place.open().await.unwrap();
        let mut tx = store.begin(Access::Read).await.unwrap();
        let admin = tx.user_by_name("root@cloud.example").await.unwrap().unwrap();
        assert_eq!((admin.anchor.as_ref(), admin.synchronised_at), (None, None));
        assert_eq!(admin.attributes.flag("onPremisesPasswordChangeRequired"), Some(true));
        assert_eq!(tx.holders(super::super::GLOBAL_ADMINISTRATOR).await.unwrap(), [admin.id]);
        assert!(tx.credential(admin.id).await.unwrap().is_some());
    }
}
