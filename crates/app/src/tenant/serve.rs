//! `portolan tenant serve`: listens by the chart, renews what runs out, ends when told to.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use portolan_chart::{Chart, Role, flow};
use portolan_net::http::{ServerLimits, serve};
use portolan_net::{Listener, Network, NetworkConfig, clock, tls};
use portolan_store::tenant::SqliteStore;
use portolan_tenant::Tenant;
use portolan_tenant::account::Policy;
use portolan_tenant::storage::{Access, StorageError, Store as _, Transaction as _};
use portolan_token::{Jwks, SigningKey};
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::authority::{Authority, SERVER_LIFETIME};
use super::commands::{PAIRWISE_SALT, SIGNING_KEY_PREFIX, authority, broken};
use super::http::{self, Service};
use super::{Place, Serve};
use crate::report::Failure;

/// How often it is looked whether something runs out.
const RENEWAL_CHECK: Duration = Duration::from_secs(600);

/// How old a revocation list gets.
const CRL_AGE_MAX: time::Duration = time::Duration::DAY;

/// What a running tenant renews by itself.
struct Renewal {
    authority: Authority,
    tenant: Tenant,
    tls: tls::Server,
    crl: Arc<RwLock<Vec<u8>>>,
    store: SqliteStore,
    identity_since: OffsetDateTime,
    crl_since: OffsetDateTime,
}

pub(super) async fn run(arguments: Serve) -> Result<(), Failure> {
    crate::dumps::forbid()?;
    let Serve { place, edition, listen, danger_password_grant, password_age_max } = arguments;
    let chart = match edition {
        Some(edition) => Chart::edition(&edition)?,
        None => Chart::default_edition(),
    };
    let config =
        NetworkConfig { listen_address: listen, ..NetworkConfig::new(chart, Role::Tenant) };
    let network = Network::new(config)?;
    let password_age_max = password_age_max.map(|days| time::Duration::days(days.into()));
    let policy = Policy { password_age_max };
    let (service, authority) = open(&place, danger_password_grant, policy).await?;
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
    for listener in secure {
        let router = http::router(service.clone());
        tasks.spawn(serve(listener, Some(tls.clone()), router, limits, told(stopped.clone())));
    }
    let renewal = Renewal {
        authority,
        tenant: service.tenant().clone(),
        tls,
        crl,
        store: service.store().clone(),
        identity_since: now,
        crl_since: now,
    };
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
    let missing = || {
        Failure::new("the tenant's store has no key that signs tokens")
            .with_hint("make the tenant anew with `portolan tenant init`")
    };
    let mut keys = Vec::new();
    for name in tx.secret_names(SIGNING_KEY_PREFIX).await.map_err(broken)? {
        let der = tx.secret(&name).await.map_err(broken)?.ok_or_else(missing)?;
        keys.push(SigningKey::from_pkcs8(&der).map_err(|_| missing())?);
    }
    let salt = tx.secret(PAIRWISE_SALT).await.map_err(broken)?.ok_or_else(missing)?;
    let salt: [u8; 32] = salt.as_slice().try_into().map_err(|_| missing())?;
    drop(tx);
    let jwks = Jwks { keys: keys.iter().map(|key| key.public().clone()).collect() };
    // The newest key signs; the others still check what they signed.
    let key = keys.pop().ok_or_else(missing)?;
    let service = Service::new(store, tenant, key, jwks, salt, password_grant, policy)?;
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

/// Renews the server's certificate and the revocation list, and forgets what is over.
async fn renew(mut renewal: Renewal, stopped: watch::Receiver<bool>) {
    let mut end = std::pin::pin!(told(stopped));
    loop {
        tokio::select! {
            () = &mut end => return,
            () = tokio::time::sleep(RENEWAL_CHECK) => {}
        }
        if let Err(failure) = renewal.renew(clock::now()) {
            tracing::error!(error = failure.text(), "Cannot renew the certificate or the list");
        }
        if let Err(error) = prune(&renewal.store).await {
            tracing::error!(%error, "Cannot forget what is over");
        }
    }
}

impl Renewal {
    fn renew(&mut self, now: OffsetDateTime) -> Result<(), Failure> {
        if now - self.identity_since >= SERVER_LIFETIME * 2 / 3 {
            self.tls.replace(self.authority.server_identity(&self.tenant, now)?);
            self.identity_since = now;
            tracing::info!("Renewed the server certificate");
        }
        if now - self.crl_since >= CRL_AGE_MAX {
            let list = self.authority.revocation_list(now)?;
            *self.crl.write().unwrap_or_else(PoisonError::into_inner) = list;
            self.crl_since = now;
        }
        Ok(())
    }
}

async fn prune(store: &SqliteStore) -> Result<(), StorageError> {
    let mut tx = store.begin(Access::Write).await?;
    tx.prune(clock::now()).await?;
    tx.commit().await
}
