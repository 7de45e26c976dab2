//! `portolan tenant serve`: listens by the chart, renews what runs out, ends when told to.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use portolan_chart::{Chart, Role, flow};
use portolan_net::http::{ServerLimits, serve};
use portolan_net::{Listener, Network, NetworkConfig, clock, tls};
use portolan_store::tenant::SqliteStore;
use portolan_tenant::account::Policy;
use portolan_tenant::storage::{Access, StorageError, Store as _, Transaction as _};
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::authority::{Authority, SERVER_LIFETIME};
use super::commands::{PAIRWISE_SALT, authority, broken};
use super::http::{self, Live, Service};
use super::signing::{self, SigningKeys};
use super::status::{self, CERTIFICATE_SINCE, LIST_SINCE};
use super::{Place, Serve};
use crate::report::Failure;

/// How often it is looked whether a command or another process has changed the tenant.
const FOLLOW_EVERY: Duration = Duration::from_secs(2);

/// How often it is looked whether something runs out.
const RENEW_EVERY: time::Duration = time::Duration::minutes(10);

/// How old a revocation list gets.
pub(super) const CRL_AGE_MAX: time::Duration = time::Duration::DAY;

/// What a running tenant renews by itself.
struct Renewal {
    authority: Authority,
    tls: tls::Server,
    crl: Arc<RwLock<Vec<u8>>>,
    live: Live,
    identity_since: OffsetDateTime,
    crl_since: OffsetDateTime,
    looked_at: OffsetDateTime,
}

pub(super) async fn run(arguments: Serve) -> Result<(), Failure> {
    crate::dumps::forbid()?;
    let Serve { place, edition, listen, danger_password_grant, password_age_max, throttle } =
        arguments;
    let chart = match edition {
        Some(edition) => Chart::edition(&edition)?,
        None => Chart::default_edition(),
    };
    let config =
        NetworkConfig { listen_address: listen, ..NetworkConfig::new(chart, Role::Tenant) };
    let network = Network::new(config)?;
    let password_age_max = password_age_max.map(|days| time::Duration::days(days.into()));
    let policy = Policy { password_age_max };
    let (mut service, authority) = open(&place, danger_password_grant, policy).await?;
    if let Some(limits) = throttle {
        service = service.throttled(limits)?;
    }
    let now = clock::now();
    let tls = tls::Server::new(authority.server_identity(service.tenant(), now)?)
        .map_err(|error| Failure::because("cannot set up TLS", &error))?;
    let crl = Arc::new(RwLock::new(authority.revocation_list(now)?));
    let plain = network.listen(&[flow::CONNECT_TENANT_CRL, flow::WORKSTATION_TENANT_CRL])?;
    let secure = network.listen(&[flow::CONNECT_TENANT_SYNC, flow::WORKSTATION_TENANT_HTTPS])?;
    for listener in plain.iter().chain(&secure) {
        print_listener(listener);
    }
    println!("ready {}", service.tenant().authority());

    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let limits = ServerLimits::default();
    for listener in plain {
        let crl = Arc::clone(&crl);
        let router =
            http::crl_router(move || crl.read().unwrap_or_else(PoisonError::into_inner).clone());
        tasks.spawn(serve(listener, None, router, limits, told(stopped.clone())));
    }
    let live = Live::from(service.clone());
    for listener in secure {
        let router = http::router(live.clone());
        tasks.spawn(serve(listener, Some(tls.clone()), router, limits, told(stopped.clone())));
    }
    let renewal =
        Renewal { authority, tls, crl, live, identity_since: now, crl_since: now, looked_at: now };
    renewal.record().await?;
    tasks.spawn(renew(renewal, stopped));
    crate::signal::stop().await?;
    println!("ending");
    // Nobody listening means that every task has ended.
    let _ = stop.send(true);
    while tasks.join_next().await.is_some() {}
    service.store().close().await;
    Ok(())
}

/// The service of a tenant that was made, with its keys.
async fn open(
    place: &Place,
    password_grant: bool,
    policy: Policy,
) -> Result<(Service, Authority), Failure> {
    let store = place.open().await?;
    let mut tx = store.begin(Access::Read).await.map_err(broken)?;
    let tenant = tx.tenant().await.map_err(broken)?;
    let authority = authority(&mut tx).await?;
    let salt = tx.secret(PAIRWISE_SALT).await.map_err(broken)?;
    let salt: Option<[u8; 32]> = salt.and_then(|salt| salt.as_slice().try_into().ok());
    let salt = salt.ok_or_else(|| {
        Failure::new("the tenant's store has no salt for the names of people")
            .with_hint("make the tenant anew with `portolan tenant init`")
    })?;
    drop(tx);
    let now = clock::now();
    signing::renew(&store, now).await?;
    let mut tx = store.begin(Access::Read).await.map_err(broken)?;
    let SigningKeys { signer, published } = signing::load(&mut tx, now).await?;
    drop(tx);
    let service = Service::new(store, tenant, signer, published, salt, password_grant, policy)?;
    Ok((service, authority))
}

fn print_listener(listener: &Listener) {
    match listener.local_address() {
        Ok(address) => println!("listening on {address}: {}", listener.row()),
        Err(_) => println!("listening: {}", listener.row()),
    }
}

async fn told(mut stopped: watch::Receiver<bool>) {
    // The sender gone means the end as well.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Follows what commands change, renews what runs out, and forgets what is over.
async fn renew(mut renewal: Renewal, stopped: watch::Receiver<bool>) {
    let mut end = std::pin::pin!(told(stopped));
    loop {
        tokio::select! {
            () = &mut end => return,
            () = tokio::time::sleep(FOLLOW_EVERY) => {}
        }
        renewal.look(clock::now()).await;
    }
}

impl Renewal {
    /// What fails is tried again the next time; what is served until then is still good.
    async fn look(&mut self, now: OffsetDateTime) {
        if now - self.looked_at >= RENEW_EVERY || now < self.looked_at {
            self.looked_at = now;
            if let Err(failure) = self.renew(now) {
                tracing::error!(error = failure.text(), "Cannot renew the certificate or the list");
            }
            if let Err(failure) = signing::renew(self.live.service().store(), now).await {
                tracing::error!(error = failure.text(), "Cannot renew the keys that sign tokens");
            }
            if let Err(failure) = self.record().await {
                tracing::error!(error = failure.text(), "Cannot record what is served");
            }
            if let Err(error) = prune(self.live.service().store(), now).await {
                tracing::error!(%error, "Cannot forget what is over");
            }
        }
        if let Err(failure) = self.follow(now).await {
            tracing::error!(error = failure.text(), "Cannot read the tenant anew");
        }
    }

    /// Serves the domains and keys that the store has now.
    async fn follow(&self, now: OffsetDateTime) -> Result<(), Failure> {
        let service = self.live.service();
        let mut tx = service.store().begin(Access::Read).await.map_err(broken)?;
        let tenant = tx.tenant().await.map_err(broken)?;
        let (keys, decision) = signing::schedule(&mut tx, now).await?;
        let names: Vec<_> = keys.iter().map(|(name, _)| signing::key_id(name)).collect();
        if !service.is_current(&tenant, names[decision.signer], &names) {
            let SigningKeys { signer, published } = signing::load(&mut tx, now).await?;
            self.live.replace(service.renewed(tenant, signer, published)?);
            tracing::info!("Serving changed domains or keys");
        }
        Ok(())
    }

    /// Keeps since when the certificate and the list are served, for `tenant status`.
    async fn record(&self) -> Result<(), Failure> {
        let service = self.live.service();
        let mut tx = service.store().begin(Access::Write).await.map_err(broken)?;
        let since = [(CERTIFICATE_SINCE, self.identity_since), (LIST_SINCE, self.crl_since)];
        for (name, since) in since {
            tx.put_document(name, status::text(since).as_bytes()).await.map_err(broken)?;
        }
        tx.commit().await.map_err(broken)
    }

    fn renew(&mut self, now: OffsetDateTime) -> Result<(), Failure> {
        // What was made before the clock was set back is valid from a time to come.
        let is_due = |since, age_max| now - since >= age_max || now < since;
        if is_due(self.identity_since, SERVER_LIFETIME * 2 / 3) {
            let service = self.live.service();
            self.tls.replace(self.authority.server_identity(service.tenant(), now)?);
            self.identity_since = now;
            tracing::info!("Renewed the server certificate");
        }
        if is_due(self.crl_since, CRL_AGE_MAX) {
            let list = self.authority.revocation_list(now)?;
            *self.crl.write().unwrap_or_else(PoisonError::into_inner) = list;
            self.crl_since = now;
        }
        Ok(())
    }
}

async fn prune(store: &SqliteStore, now: OffsetDateTime) -> Result<(), StorageError> {
    let mut tx = store.begin(Access::Write).await?;
    tx.prune(now).await?;
    // What nobody has any more since a command or Graph, and no batch, took it from somebody.
    let tenant = tx.tenant().await?;
    portolan_tenant::ingest::heal(&mut tx, &tenant).await?;
    tx.commit().await
}

#[cfg(test)]
mod tests {
    use ::time::Duration;
    use x509_parser::prelude::{CertificateRevocationList, FromDer as _};

    use super::*;
    use crate::tenant::{Init, commands};

    async fn world() -> (tempfile::TempDir, Renewal) {
        let directory = tempfile::tempdir().unwrap();
        let place = Place { data: directory.path().join("tenant"), master_key: None };
        let domain = "cloud.example".parse().unwrap();
        let (verified_domain, admin, admin_password_file) = (vec![], None, None);
        let place_of = place.clone();
        let init = Init { place: place_of, domain, verified_domain, admin, admin_password_file };
        commands::init(init).await.unwrap();
        let policy = Policy { password_age_max: None };
        let (service, authority) = open(&place, false, policy).await.unwrap();
        let now = clock::now();
        let identity = authority.server_identity(service.tenant(), now).unwrap();
        let crl = Arc::new(RwLock::new(authority.revocation_list(now).unwrap()));
        let renewal = Renewal {
            tls: tls::Server::new(identity).unwrap(),
            authority,
            crl,
            live: service.into(),
            identity_since: now,
            crl_since: now,
            looked_at: now,
        };
        (directory, renewal)
    }

    /// The keys that are served: the signer's name, and how many are published.
    fn served(renewal: &Renewal) -> (String, usize) {
        renewal.live.service().keys()
    }

    #[tokio::test]
    async fn keys_certificate_and_list_are_renewed_as_time_passes() {
        let (_directory, mut renewal) = world().await;
        let start = clock::now();
        let (first, count) = served(&renewal);
        assert_eq!(count, 1);
        let mut signers = vec![first];
        let mut published_max = 1;
        for hours in (0..24 * 100).step_by(12) {
            let now = start + Duration::hours(hours);
            renewal.look(now).await;
            let (signer, count) = served(&renewal);
            published_max = published_max.max(count);
            if signers.last() != Some(&signer) {
                signers.push(signer);
            }
            let list = renewal.crl.read().unwrap().clone();
            let (_, list) = CertificateRevocationList::from_der(&list).unwrap();
            let ends = list.next_update().unwrap().timestamp();
            assert!(ends > (now + Duration::days(5)).unix_timestamp(), "day {}", hours / 24);
            assert!(now - renewal.identity_since < SERVER_LIFETIME * 2 / 3 + Duration::DAY);
        }
        assert!(renewal.identity_since > start, "the certificate was renewed");
        assert_eq!((signers.len(), published_max), (4, 2), "{signers:?}");
    }

    #[tokio::test]
    async fn a_clock_that_is_set_right_again_leaves_no_certificate_of_a_time_to_come() {
        let (_directory, mut renewal) = world().await;
        let right = clock::now();
        let wrong = right + Duration::days(3_000);
        renewal.look(wrong).await;
        assert_eq!((renewal.identity_since, renewal.crl_since), (wrong, wrong));
        renewal.look(right).await;
        assert_eq!((renewal.identity_since, renewal.crl_since), (right, right));
    }

    #[tokio::test]
    async fn serving_forgets_a_deleted_object_when_its_time_is_over_and_says_how_old_things_are() {
        use portolan_store::tenant::retention::TOMBSTONE_KEPT;
        use portolan_tenant::directory::{Attributes, Kind, Object};
        let (_directory, mut renewal) = world().await;
        let store = renewal.live.service().store().clone();
        let now = clock::now();
        let id = portolan_model::Guid::from_random([7; 16]);
        let gone = Object {
            id,
            kind: Kind::Group,
            anchor: Some("gone".parse().unwrap()),
            attributes: Attributes::default(),
            created_at: now,
            synchronised_at: Some(now),
            deleted_at: Some(now),
        };
        let mut tx = store.begin(Access::Write).await.unwrap();
        tx.put_object(&gone).await.unwrap();
        tx.commit().await.unwrap();
        for (after, is_kept) in [(TOMBSTONE_KEPT - Duration::HOUR, true), (TOMBSTONE_KEPT, false)] {
            renewal.look(now + after).await;
            let mut tx = store.begin(Access::Read).await.unwrap();
            assert_eq!(tx.object(id).await.unwrap().is_some(), is_kept);
            let since = tx.document(LIST_SINCE).await.unwrap().unwrap();
            let expected = status::text(renewal.crl_since);
            assert_eq!(String::from_utf8(since).unwrap(), expected);
        }
        assert!(renewal.crl_since > now);
    }

    #[tokio::test]
    async fn a_domain_that_a_command_adds_is_served_without_a_restart() {
        let (_directory, mut renewal) = world().await;
        let service = renewal.live.service();
        let mut tx = service.store().begin(Access::Write).await.unwrap();
        tx.add_domain(&"corp.example".parse().unwrap()).await.unwrap();
        tx.commit().await.unwrap();
        renewal.look(clock::now()).await;
        assert!(renewal.live.service().tenant().answers_to("corp.example"));
    }
}
