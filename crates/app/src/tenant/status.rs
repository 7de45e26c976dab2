//! `portolan tenant status`: addresses, counts, sync servers, and how old what runs out is.

use portolan_store::tenant::{SqliteStore, SqliteTransaction};
use portolan_tenant::Tenant;
use portolan_tenant::application::Application;
use portolan_tenant::directory::Kind;
use portolan_tenant::signing::{PUBLISHED_AHEAD, SIGNS_FOR};
use portolan_tenant::storage::{Access, Store as _, Transaction as _};
use serde_json::{Value as Json, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::administration::Which;
use super::authority::{Authority, CRL_LIFETIME, SERVER_LIFETIME};
use super::commands::{MASTER_KEY_SINCE, authority, broken};
use super::serve::CRL_AGE_MAX;
use super::{Listing, signing};
use crate::report::Failure;
use crate::terminal::plain;

/// Since when `serve` serves its certificate and its revocation list, as RFC 3339.
pub(super) const CERTIFICATE_SINCE: &str = "server-certificate-since";
pub(super) const LIST_SINCE: &str = "revocation-list-since";

/// The kinds of objects, with the plural of each.
const KINDS: [(Kind, &str); 4] = [
    (Kind::User, "users"),
    (Kind::Contact, "contacts"),
    (Kind::Group, "groups"),
    (Kind::Device, "devices"),
];

/// A moment as RFC 3339, to the second.
pub(super) fn text(at: OffsetDateTime) -> String {
    at.replace_nanosecond(0).unwrap_or(at).format(&Rfc3339).unwrap_or_default()
}

/// Something that runs out, or is to be renewed.
struct Aging {
    what: &'static str,
    since: Option<OffsetDateTime>,
    /// When it is renewed by itself; `None` when a command does that, or nothing.
    renewed_after: Option<Duration>,
    /// When it is worth nothing any more; `None` when it does not end by itself.
    ends: Option<OffsetDateTime>,
    otherwise: &'static str,
}

impl Aging {
    fn next(&self) -> Option<OffsetDateTime> {
        Some(self.since? + self.renewed_after?)
    }

    fn json(&self, now: OffsetDateTime) -> Json {
        json!({"what": self.what, "since": self.since.map(text),
            "age_days": self.since.map(|since| (now - since).whole_days()),
            "next": self.next().map(text), "ends": self.ends.map(text)})
    }

    fn line(&self, now: OffsetDateTime) -> String {
        let Some(since) = self.since else {
            return format!("{}: since when is known once `serve` has run", self.what);
        };
        let next = match self.next() {
            Some(next) => format!("`serve` renews it at {}", text(next)),
            None => self.otherwise.to_owned(),
        };
        let ends = self.ends.map_or_else(String::new, |ends| format!(", ends at {}", text(ends)));
        let days = (now - since).whole_days();
        format!("{}: {days} days old, since {}, {next}{ends}", self.what, text(since))
    }
}

async fn aging(
    tx: &mut SqliteTransaction,
    authority: &Authority,
    now: OffsetDateTime,
) -> Result<Vec<Aging>, Failure> {
    let (keys, decision) = signing::schedule(tx, now).await?;
    let signer = keys.get(decision.signer).map(|(_, made_at)| *made_at);
    // The oldest key signs at once, a later one when it was published for a while.
    let signs_since = signer.map(|made_at| match decision.signer {
        0 => made_at,
        _ => made_at + PUBLISHED_AHEAD,
    });
    let of = |what, since, renewed_after, ends| Aging {
        what,
        since,
        renewed_after,
        ends,
        otherwise: "`portolan tenant key rotate` renews it",
    };
    let certificate = moment(tx, CERTIFICATE_SINCE).await?;
    let list = moment(tx, LIST_SINCE).await?;
    let root = authority.validity();
    Ok(vec![
        of("signing key", signs_since, Some(SIGNS_FOR), None),
        of(
            "server certificate",
            certificate,
            Some(SERVER_LIFETIME * 2 / 3),
            certificate.map(|since| since + SERVER_LIFETIME),
        ),
        of("revocation list", list, Some(CRL_AGE_MAX), list.map(|since| since + CRL_LIFETIME)),
        of("master key", moment(tx, MASTER_KEY_SINCE).await?, None, None),
        Aging {
            otherwise: "nothing renews it",
            ..of("root certificate", root.map(|(since, _)| since), None, root.map(|(_, ends)| ends))
        },
    ])
}

async fn moment(tx: &mut SqliteTransaction, name: &str) -> Result<Option<OffsetDateTime>, Failure> {
    let octets = tx.document(name).await.map_err(broken)?;
    let text = octets.and_then(|octets| String::from_utf8(octets).ok());
    Ok(text.and_then(|text| OffsetDateTime::parse(&text, &Rfc3339).ok()))
}

/// A sync server: its id, its name, how many objects are its own, and when it last wrote.
type Server = (String, String, i64, Option<OffsetDateTime>);

async fn sync_servers(tx: &mut SqliteTransaction) -> Result<Vec<Server>, Failure> {
    let mut servers = Vec::new();
    for application in tx.applications().await.map_err(broken)? {
        if Which::SyncServers.has(&application) {
            let id = application.client_id;
            let owned = tx.owned(id).await.map_err(broken)?;
            let last = tx.last_batch(id).await.map_err(broken)?.map(|(_, at)| at);
            servers.push((id.to_string(), application.name, owned, last));
        }
    }
    Ok(servers)
}

pub(super) async fn run(arguments: Listing) -> Result<(), Failure> {
    let store = arguments.place.open().await?;
    let status = Status::read(&store, portolan_net::clock::now()).await;
    store.close().await;
    let status = status?;
    if arguments.json {
        println!("{}", status.json());
    } else {
        status.lines().iter().for_each(|line| println!("{line}"));
    }
    Ok(())
}

/// What is shown of a tenant.
struct Status {
    tenant: Tenant,
    fingerprint: String,
    counts: Vec<(&'static str, u64)>,
    applications: Vec<Application>,
    servers: Vec<Server>,
    aging: Vec<Aging>,
    now: OffsetDateTime,
}

impl Status {
    async fn read(store: &SqliteStore, now: OffsetDateTime) -> Result<Self, Failure> {
        let mut tx = store.begin(Access::Read).await.map_err(broken)?;
        let tenant = tx.tenant().await.map_err(broken)?;
        let authority = authority(&mut tx).await?;
        let mut counts = Vec::new();
        for (kind, plural) in KINDS {
            counts.push((plural, tx.count_objects(kind).await.map_err(broken)?));
        }
        let applications = tx.applications().await.map_err(broken)?;
        let servers = sync_servers(&mut tx).await?;
        let aging = aging(&mut tx, &authority, now).await?;
        let fingerprint = authority.fingerprint();
        Ok(Self { tenant, fingerprint, counts, applications, servers, aging, now })
    }

    fn json(&self) -> Json {
        let server = |(id, name, owned, last): &Server| json!({"client_id": id, "name": name, "objects": owned, "last_ingest": last.map(text)});
        let tenant = &self.tenant;
        let verified = tenant.verified_domains.iter().map(ToString::to_string);
        let mut shown = json!({"tenant_id": tenant.id.to_string(),
            "initial_domain": tenant.domain.as_str(),
            "verified_domains": verified.collect::<Vec<_>>(),
            "authority": tenant.authority(), "issuer": tenant.issuer(), "hosts": tenant.hosts(),
            "ca_sha256": self.fingerprint,
            "applications": self.applications.iter().map(application_json).collect::<Vec<_>>(),
            "sync_servers": self.servers.iter().map(server).collect::<Vec<_>>(),
            "keys": self.aging.iter().map(|aging| aging.json(self.now)).collect::<Vec<_>>()});
        for (plural, count) in &self.counts {
            shown[*plural] = Json::from(*count);
        }
        shown
    }

    fn lines(&self) -> Vec<String> {
        let tenant = &self.tenant;
        let domains = std::iter::once(&tenant.domain).chain(&tenant.verified_domains);
        let domains: Vec<_> = domains.map(ToString::to_string).collect();
        let counts = self.counts.iter().map(|(plural, count)| format!("{count} {plural}"));
        let mut lines = vec![
            format!("tenant {}", tenant.id),
            format!("authority {}", tenant.authority()),
            format!("domains {}", domains.join(", ")),
            format!("certificate authority sha256 {}", self.fingerprint),
            counts.collect::<Vec<_>>().join(", "),
        ];
        let clients = self.applications.iter().filter(|app| Which::Clients.has(app));
        lines.extend(
            clients.map(|app| format!("application {} {}", app.client_id, plain(&app.name))),
        );
        lines.extend(self.servers.iter().map(|(id, name, owned, last)| {
            let last = match last {
                Some(at) => format!("its last batch came at {}", text(*at)),
                None => "it sent no batch yet".to_owned(),
            };
            format!("sync server {id} {}: {owned} objects, {last}", plain(name))
        }));
        lines.extend(self.aging.iter().map(|aging| aging.line(self.now)));
        lines
    }
}

fn application_json(app: &Application) -> Json {
    let uris: Vec<_> = app.redirect_uris.iter().map(ToString::to_string).collect();
    let permissions: Vec<_> =
        app.permissions.iter().map(|permission| permission.as_str()).collect();
    json!({"client_id": app.client_id.to_string(), "name": app.name,
        "redirect_uris": uris, "scopes": permissions, "roles": app.roles})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::{Init, Place, commands};

    /// A tenant of now, which served, with a sync server that sent a batch.
    async fn made() -> (tempfile::TempDir, SqliteStore, OffsetDateTime) {
        let directory = tempfile::tempdir().unwrap();
        let place = Place { data: directory.path().join("tenant"), master_key: None };
        let init = Init {
            place: place.clone(),
            domain: "cloud.example".parse().unwrap(),
            verified_domain: vec!["corp.example".parse().unwrap()],
            admin: Some("root".to_owned()),
            admin_password_file: None,
        };
        commands::init(init).await.unwrap();
        let store = place.open().await.unwrap();
        (directory, store, portolan_net::clock::now())
    }

    #[tokio::test]
    async fn it_says_how_old_things_are_and_what_comes_next() {
        let (_directory, store, now) = made().await;
        let mut tx = store.begin(Access::Write).await.unwrap();
        for name in [CERTIFICATE_SINCE, LIST_SINCE] {
            tx.put_document(name, text(now).as_bytes()).await.unwrap();
        }
        let server = |number: u8, name: &str| Application {
            client_id: portolan_model::Guid::from_random([number; 16]),
            name: name.to_owned(),
            redirect_uris: vec![],
            permissions: vec![],
            roles: vec![portolan_tenant::application::ROLE_INGEST.to_owned()],
            keys: vec![],
        };
        let (wrote, silent) = (server(1, "connect"), server(2, "other\u{1b}[1A"));
        for server in [&wrote, &silent] {
            tx.put_application(server).await.unwrap();
        }
        tx.commit().await.unwrap();
        let status = Status::read(&store, now + Duration::days(3)).await.unwrap();
        let lines = status.lines().join("\n");
        let at = |after: Duration| text(now + after);
        for line in [
            "sync server 01010101-0101-4101-8101-010101010101 connect: 0 objects, it sent no batch yet",
            "other\\u{1b}[1A: 0 objects",
            &format!(
                "server certificate: 3 days old, since {}, `serve` renews it at {}, ends at {}",
                at(Duration::ZERO),
                at(Duration::days(60)),
                at(Duration::days(90))
            ),
            &format!(
                "revocation list: 3 days old, since {}, `serve` renews it at {}, ends at {}",
                at(Duration::ZERO),
                at(Duration::DAY),
                at(Duration::days(7))
            ),
            "master key: 3 days old, since 20",
            "`portolan tenant key rotate` renews it",
            "root certificate: 3 days old, since 20",
            "signing key: ",
        ] {
            assert!(lines.contains(line), "{line}\n{lines}");
        }
        let shown = status.json();
        assert_eq!(shown["users"], 1);
        let keys = shown["keys"].as_array().unwrap();
        let names: Vec<_> = keys.iter().map(|key| key["what"].as_str().unwrap()).collect();
        let expected = [
            "signing key",
            "server certificate",
            "revocation list",
            "master key",
            "root certificate",
        ];
        assert_eq!(names, expected);
        assert!(keys[0]["next"].is_string() && keys[3]["next"].is_null());
        assert!(keys[4]["ends"].as_str().unwrap() > at(Duration::days(3600)).as_str());
    }
}
