//! From the account's realm to that of another domain ([RFC 4120 section 1.2] and 3.3.3).
//!
//! Domains of a forest trust each other. The account is proven to its own realm alone; that realm's KDC
//! gives a ticket for the ticket-granting service of the other realm, or of one that is nearer to it, whose
//! KDC is asked next. Which realm a service is in is known by its controller's domain, so that no KDC is
//! asked to guess it: what comes back is held against that domain.
//!
//! The account may be in another realm than it was configured with, too: its KDC then says in which
//! ([`tickets`](super::tickets)).
//!
//! [RFC 4120 section 1.2]: https://www.rfc-editor.org/rfc/rfc4120#section-1.2

use std::sync::Arc;

use portolan_model::{DnsName, Realm};

use super::Alone;
use super::error::KerberosError;
use super::messages::{Fault, Ticket};
use super::tickets::{Asking, is_about_the_ticket};
use crate::dc::{self, LocateError};
use crate::entropy::SystemEntropy;
use crate::network::Network;

/// Realms from the account's to the service's: of a tree of domains more than anybody has.
const REALMS_MAX: usize = 10;

/// A ticket for a service in another realm, whose KDC `asking` asks.
pub(super) async fn fresh(
    asking: &Asking,
    network: &Network,
    realm: &Realm,
    alone: Alone,
) -> Result<Ticket, KerberosError> {
    let tickets = &asking.credential.shared.tickets;
    if let Some(granting) = tickets.of_realm(realm) {
        match asking.service_ticket(&granting, realm).await {
            Err(KerberosError::Refused { code, .. }) if is_about_the_ticket(code) => {
                tickets.forget_realm(realm);
            }
            answer => return answer,
        }
    }
    let granting = reach(asking, network, realm, alone).await?;
    asking.service_ticket(&granting, realm).await
}

/// The ticket for the ticket-granting service of another realm.
async fn reach(
    asking: &Asking,
    network: &Network,
    wanted: &Realm,
    alone: Alone,
) -> Result<Arc<Ticket>, KerberosError> {
    let (mut ticket, mut next) = leave_home(asking, network, wanted, alone).await?;
    let mut passed = vec![asking.credential.home()];
    loop {
        let realm = Realm::from(&next);
        if realm == *wanted {
            return Ok(asking.credential.shared.tickets.keep_realm(wanted, ticket));
        }
        if passed.contains(&realm) || passed.len() >= REALMS_MAX {
            let reason = format!("the realms refer from one to another, and not to {wanted}");
            return Err(asking.fails(Fault::new("following a referral", reason)));
        }
        let mut unreached = None;
        let mut answer = None;
        for host in controllers(asking, network, &next).await? {
            match asking.at(network, &host).cross_realm(&ticket, &realm, wanted).await {
                Err(error @ KerberosError::Unreachable(_)) => unreached = Some(error),
                told => {
                    answer = Some(told);
                    break;
                }
            }
        }
        (ticket, next) = answered(asking, &next, answer, unreached)?;
        passed.push(realm);
    }
}

/// The first step: the account is proven to its own realm, once, unless it was before. A KDC that is not
/// reached has refused nobody, and the next is asked.
async fn leave_home(
    asking: &Asking,
    network: &Network,
    wanted: &Realm,
    alone: Alone,
) -> Result<(Ticket, DnsName), KerberosError> {
    let home = asking.credential.home().as_str().parse::<DnsName>();
    let home = home.map_err(|error| asking.fails(Fault::new("finding the KDC", error)))?;
    let (mut alone, mut unreached, mut answer) = (Some(alone), None, None);
    for host in controllers(asking, network, &home).await? {
        let alone = match alone.take() {
            Some(alone) => alone,
            None => asking.credential.alone().await?,
        };
        match from_home(&asking.at(network, &host), wanted, alone).await {
            Err(error @ KerberosError::Unreachable(_)) => unreached = Some(error),
            told => {
                answer = Some(told);
                break;
            }
        }
    }
    answered(asking, &home, answer, unreached)
}

/// The same, with one KDC of the account's realm.
async fn from_home(
    asking: &Asking,
    wanted: &Realm,
    alone: Alone,
) -> Result<(Ticket, DnsName), KerberosError> {
    let granting = asking.at_home(alone).await?;
    let realm = &asking.credential.home();
    match asking.cross_realm(&granting, realm, wanted).await {
        Err(KerberosError::NotReferred { code, .. }) if is_about_the_ticket(code) => {
            asking.forget_home();
            let granting = asking.at_home(asking.credential.alone().await?).await?;
            asking.cross_realm(&granting, realm, wanted).await
        }
        answer => answer,
    }
}

async fn controllers(
    asking: &Asking,
    network: &Network,
    domain: &DnsName,
) -> Result<Vec<DnsName>, KerberosError> {
    let located = dc::locate(network, domain, &mut SystemEntropy).await;
    let located = located.map_err(|error| asking.no_kdc(domain, error))?;
    Ok(located.controllers.into_iter().map(|controller| controller.host).collect())
}

/// What a realm's KDC told, or why none was reached.
fn answered<T>(
    asking: &Asking,
    domain: &DnsName,
    answer: Option<Result<T, KerberosError>>,
    unreached: Option<KerberosError>,
) -> Result<T, KerberosError> {
    answer.unwrap_or_else(|| {
        let none = || asking.no_kdc(domain, LocateError::NoHost(domain.clone()));
        Err(unreached.unwrap_or_else(none))
    })
}
