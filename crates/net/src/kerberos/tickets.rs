//! Tickets, kept and renewed: one AS exchange a lifetime, and one TGS exchange a service.
//!
//! They live in memory alone, in the [`Credential`] and all its copies, and are wiped with it. A ticket
//! is used until shortly before its end. It is not used any more when this host's clock was set, or
//! when a service did not take it: the KDC is then asked anew, and tells its own clock.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use portolan_gss::etype_info::KeyInfo;
use portolan_gss::krb_error::{ErrorCode, KrbError, is_error};
use portolan_gss::{EncryptionType, ProtocolKey};
use portolan_model::{DnsName, Realm, Spn};
use time::{Duration, OffsetDateTime};

use super::error::{CLOCK_SKEW_MAX, Exchange, KerberosError};
use super::kdc::Kdc;
use super::messages::{self, Fault, GRANTING, Request, Ticket};
use super::{AccountSecret, Alone, Credential, referral};
use crate::clock;
use crate::dc::{DomainController, LocateError};
use crate::network::Network;

/// How long before its end a ticket is not used any more: the peer's clock may be ahead by this much.
const REST_MIN: Duration = CLOCK_SKEW_MAX;
/// Realms that an account is looked for in, from one to the next.
const HOMES_MAX: usize = 5;
/// Services whose tickets are kept.
const SERVICES_MAX: usize = 64;
/// Rounds of PBKDF2: the default of RFC 3962 section 4, and what Active Directory uses.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).expect("4096 is not zero");
/// The encryption types of a password, the strongest first.
const PASSWORD_TYPES: [EncryptionType; 2] =
    [EncryptionType::Aes256CtsHmacSha1_96, EncryptionType::Aes128CtsHmacSha1_96];
/// The tags of AS-REP and TGS-REP.
const AS_REP: u8 = 0x6b;
const TGS_REP: u8 = 0x6d;

/// Whether a ticket that was got at a time and ends at another is to be used now, when this host's
/// steady clock says that some time has passed.
fn is_usable(
    (got, ends): (OffsetDateTime, OffsetDateTime),
    passed: std::time::Duration,
    now: OffsetDateTime,
) -> bool {
    let was_set = (now - got - passed).abs() > CLOCK_SKEW_MAX;
    // A ticket that lives shortly is used for half its life.
    let rest = REST_MIN.min((ends - got) / 2);
    !was_set && now + rest < ends
}

/// The tickets of an account.
#[derive(Debug, Default)]
pub(super) struct Tickets {
    kept: Mutex<Kept>,
    /// Held while the KDC is asked, so that two connections ask once.
    pub(super) asking: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The realm that the account is in, where it is another one than it was configured with.
    home: Option<Realm>,
    granting: Option<Stamped>,
    /// Tickets for the ticket-granting services of other realms.
    realms: BTreeMap<Realm, Stamped>,
    services: BTreeMap<String, Stamped>,
}

/// A ticket, and when it was got by both of this host's clocks.
#[derive(Debug, Clone)]
struct Stamped {
    ticket: Arc<Ticket>,
    at: OffsetDateTime,
    since: Instant,
}

impl Stamped {
    fn now(ticket: Ticket) -> Self {
        Self { ticket: Arc::new(ticket), at: clock::now(), since: clock::monotonic() }
    }

    fn is_usable(&self) -> bool {
        let passed = clock::monotonic().saturating_duration_since(self.since);
        is_usable((self.at, self.ticket.ends), passed, clock::now())
    }
}

impl Tickets {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        // What a panic left behind are whole tickets.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a ticket that its service did not take.
    pub(super) fn forget(&self, service: &Spn, ticket: &Arc<Ticket>) {
        let (mut kept, name) = (self.kept(), service.to_string());
        if kept.services.get(&name).is_some_and(|kept| Arc::ptr_eq(&kept.ticket, ticket)) {
            kept.services.remove(&name);
        }
    }

    /// The realm that the account is in, as far as a KDC referred to it and it was proven there.
    pub(super) fn home(&self) -> Option<Realm> {
        self.kept().home.clone()
    }

    /// The account is in this realm, or in the one that it was configured with.
    fn move_home(&self, home: Option<Realm>) {
        let mut kept = self.kept();
        kept.home = home;
        kept.granting = None;
        kept.realms.clear();
    }

    /// The ticket for another realm's ticket-granting service, if one may be used.
    pub(super) fn of_realm(&self, realm: &Realm) -> Option<Arc<Ticket>> {
        let kept = self.kept().realms.get(realm).cloned();
        kept.filter(Stamped::is_usable).map(|kept| kept.ticket)
    }

    /// Keeps one.
    pub(super) fn keep_realm(&self, realm: &Realm, ticket: Ticket) -> Arc<Ticket> {
        let stamped = Stamped::now(ticket);
        let mut kept = self.kept();
        if kept.realms.len() >= SERVICES_MAX {
            kept.realms.clear();
        }
        kept.realms.insert(realm.clone(), stamped.clone());
        stamped.ticket
    }

    /// Forgets one that its realm did not take.
    pub(super) fn forget_realm(&self, realm: &Realm) {
        self.kept().realms.remove(realm);
    }

    fn keep(&self, service: &Spn, stamped: Stamped) {
        let mut kept = self.kept();
        if kept.services.len() >= SERVICES_MAX {
            kept.services.clear();
        }
        kept.services.insert(service.to_string(), stamped);
    }
}

/// A ticket for a service of a controller, kept or fresh. After a refusal of the account nothing is asked
/// any more. A controller of another domain than the account's is reached by the realms between them.
pub(super) async fn ticket(
    credential: &Credential,
    network: &Network,
    controller: &DomainController,
    service: &Spn,
) -> Result<Arc<Ticket>, KerberosError> {
    let alone = credential.alone().await?;
    let tickets = &credential.shared.tickets;
    let kept = tickets.kept().services.get(&service.to_string()).cloned();
    if let Some(kept) = kept.filter(Stamped::is_usable) {
        return Ok(kept.ticket);
    }
    let kdc = Kdc::new(network.clone(), controller.host.clone());
    let asking = Asking { credential: credential.clone(), kdc, service: service.clone() };
    let got = from_home(&asking, network, &controller.realm(), alone).await;
    if let Err(error) = &got {
        asking.remember(error);
    }
    let stamped = Stamped::now(got?);
    tickets.keep(service, stamped.clone());
    Ok(stamped.ticket)
}

/// A ticket from whichever realm the account is in: a KDC may refer to another one ([RFC 6806 section 7]),
/// before anything is proven to it. What it says is not authentic. It is kept once the other realm's KDC has
/// shown that it knows the account's key, and else the next attempt begins where this one did.
///
/// [RFC 6806 section 7]: https://www.rfc-editor.org/rfc/rfc6806#section-7
async fn from_home(
    asking: &Asking,
    network: &Network,
    wanted: &Realm,
    alone: Alone,
) -> Result<Ticket, KerberosError> {
    let tickets = &asking.credential.shared.tickets;
    let mut homes = vec![asking.credential.home()];
    let mut alone = Some(alone);
    loop {
        let guard = match alone.take() {
            Some(alone) => alone,
            None => asking.credential.alone().await?,
        };
        let got = if *wanted == asking.credential.home() {
            asking.fresh(guard).await
        } else {
            referral::fresh(asking, network, wanted, guard).await
        };
        match got {
            Err(KerberosError::InAnotherRealm { realm, .. })
                if !homes.contains(&realm) && homes.len() < HOMES_MAX =>
            {
                tracing::info!(account = asking.credential.account, %realm, "The account is in another realm");
                homes.push((*realm).clone());
                tickets.move_home(Some(*realm));
            }
            Err(error) => {
                // Proven there it was, if there is a ticket of it.
                if tickets.kept().granting.is_none() {
                    tickets.move_home(None);
                }
                return Err(error);
            }
            Ok(ticket) => return Ok(ticket),
        }
    }
}

/// Whether a refusal means that the ticket which granted another is of no use any more.
pub(super) const fn is_about_the_ticket(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::TgtRevoked
            | ErrorCode::BadIntegrity
            | ErrorCode::TicketExpired
            | ErrorCode::TicketNotYetValid
            | ErrorCode::Modified
    )
}

/// The exchanges with a KDC about an account and a service.
#[derive(Clone)]
pub(super) struct Asking {
    pub(super) credential: Credential,
    kdc: Kdc,
    service: Spn,
}

impl Asking {
    /// A service's ticket, by the ticket-granting one that there is, or else by a new one.
    async fn fresh(&self, alone: Alone) -> Result<Ticket, KerberosError> {
        let tickets = &self.credential.shared.tickets;
        let kept = tickets.kept().granting.clone().filter(Stamped::is_usable);
        if let Some(granting) = kept {
            match self.service_ticket(&granting.ticket, &self.credential.home()).await {
                // The KDC has changed its key, or forgot its own ticket: a new one is due.
                Err(KerberosError::Refused { code, .. }) if is_about_the_ticket(code) => {}
                answer => return answer,
            }
        }
        tickets.kept().granting = None;
        let (granting, _alone) = self.granting_ticket(alone).await?;
        self.service_ticket(&granting, &self.credential.home()).await
    }

    /// The same about the same service, with the KDC of another host.
    pub(super) fn at(&self, network: &Network, host: &DnsName) -> Self {
        Self { kdc: Kdc::new(network.clone(), host.clone()), ..self.clone() }
    }

    /// The ticket-granting ticket of the account's own realm, whose KDC this asks: the one that there is, or
    /// else a new one.
    pub(super) async fn at_home(&self, alone: Alone) -> Result<Arc<Ticket>, KerberosError> {
        let kept = self.credential.shared.tickets.kept().granting.clone();
        match kept.filter(Stamped::is_usable) {
            Some(kept) => Ok(kept.ticket),
            None => Ok(self.granting_ticket(alone).await?.0),
        }
    }

    /// Forgets it: its KDC did not take it.
    pub(super) fn forget_home(&self) {
        self.credential.shared.tickets.kept().granting = None;
    }

    /// The TGS exchange with the KDC of a realm, for the ticket-granting service of another one: a ticket for
    /// that, or for a realm nearer to it.
    pub(super) async fn cross_realm(
        &self,
        granting: &Ticket,
        realm: &Realm,
        other: &Realm,
    ) -> Result<(Ticket, DnsName), KerberosError> {
        let made = messages::tgs_request(granting, realm, &[GRANTING, other.as_str()]);
        let request = made.map_err(|fault| self.fails(fault))?;
        let reply = match self.ask(&request.octets, TGS_REP).await? {
            Answer::Reply(reply) => reply,
            Answer::Refusal(error) => {
                return Err(KerberosError::NotReferred {
                    kdc: self.kdc.host().clone(),
                    account: self.credential.principal().into(),
                    realm: Box::new(other.clone()),
                    code: error.code,
                    text: error.text.map(String::into_boxed_str),
                });
            }
        };
        let read = messages::cross_realm_reply(&reply, &request, granting, realm);
        let (ticket, next) = read.map_err(|fault| self.fails(fault))?;
        self.judge(ticket.made)?;
        tracing::debug!(%realm, %next, until = %ticket.ends, "Got a ticket for another realm");
        Ok((ticket, next))
    }

    /// Notes the account's refusal.
    fn remember(&self, error: &KerberosError) {
        if error.is_authentication_failure() {
            self.credential.refuse(&error.to_string());
        }
    }

    /// The AS exchange. The account is proven once: what is refused is not tried again.
    async fn granting_ticket(&self, alone: Alone) -> Result<(Arc<Ticket>, Alone), KerberosError> {
        let Credential { account, secret, .. } = &self.credential;
        let realm = &self.credential.home();
        let types = match secret {
            AccountSecret::Password(_) => PASSWORD_TYPES.to_vec(),
            AccountSecret::Keys(keys) => keys.encryption_types().collect(),
        };
        let made = messages::as_request(account, realm, &types, None);
        let request = made.map_err(|fault| self.fails(fault))?;
        let answer = self.ask(&request.octets, AS_REP).await?;
        let Answer::Refusal(error) = &answer else {
            return Ok((self.granted(&request, answer, None)?, alone));
        };
        if error.code != ErrorCode::PreauthRequired {
            return Ok((self.granted(&request, answer, None)?, alone));
        }
        let key = self.key(&error.keys, &types)?;
        let made = messages::as_request(account, realm, &types, Some(&key));
        let request = made.map_err(|fault| self.fails(fault))?;
        // A caller in haste leaves a slow controller for another one. The proof is under way then: what
        // comes of it is awaited before anybody is asked again.
        let asking = self.clone();
        let proven = tokio::spawn(async move {
            let answer = asking.ask(&request.octets, AS_REP).await;
            let granted = answer.and_then(|answer| asking.granted(&request, answer, Some(key)));
            if let Err(error) = &granted {
                asking.remember(error);
            }
            (granted, alone)
        });
        let (granted, alone) = proven
            .await
            .map_err(|_| self.fails(Fault::new("proving the account", "it was broken off")))?;
        Ok((granted?, alone))
    }

    /// The ticket in an answer of the AS exchange, which is kept.
    fn granted(
        &self,
        request: &Request,
        answer: Answer,
        key: Option<ProtocolKey>,
    ) -> Result<Arc<Ticket>, KerberosError> {
        let Credential { account, .. } = &self.credential;
        let realm = &self.credential.home();
        let reply = match answer {
            Answer::Reply(reply) => reply,
            Answer::Refusal(error) => return Err(self.refused(error, Exchange::Account)),
        };
        let reply = messages::as_reply(&reply).map_err(|fault| self.fails(fault))?;
        let (sealed_with, directory_version) = reply.sealed_with();
        let key = match key {
            Some(key) => key,
            // The account need not prove itself: the reply alone says which key it is sealed with.
            None => {
                let mut keys = reply.keys().map_err(|fault| self.fails(fault))?;
                if let Some(kind) = sealed_with.filter(|_| keys.is_empty()) {
                    let encryption_type = kind.number();
                    keys.push(KeyInfo { encryption_type, salt: None, iterations: None });
                }
                self.key(&keys, sealed_with.as_slice())?
            }
        };
        let opened =
            reply.open(&key, request, account, realm).map_err(|fault| self.fails(fault))?;
        let ticket = opened.ok_or_else(|| KerberosError::WrongKey {
            kdc: self.kdc.host().clone(),
            account: self.credential.principal(),
            keytab_version: self.credential.key_version(),
            directory_version,
        })?;
        self.judge(ticket.made)?;
        tracing::debug!(account, until = %ticket.ends, "Got a ticket-granting ticket");
        let granting = Stamped::now(ticket);
        self.credential.shared.tickets.kept().granting = Some(granting.clone());
        Ok(granting.ticket)
    }

    /// The TGS exchange with the KDC of a realm.
    pub(super) async fn service_ticket(
        &self,
        granting: &Ticket,
        realm: &Realm,
    ) -> Result<Ticket, KerberosError> {
        let parts: Vec<_> = self.service.parts().collect();
        let made = messages::tgs_request(granting, realm, &parts);
        let request = made.map_err(|fault| self.fails(fault))?;
        let reply = match self.ask(&request.octets, TGS_REP).await? {
            Answer::Reply(reply) => reply,
            Answer::Refusal(error) => return Err(self.refused(error, Exchange::Service)),
        };
        let ticket = messages::tgs_reply(&reply, &request, granting, realm, &self.service)
            .map_err(|fault| self.fails(fault))?;
        self.judge(ticket.made)?;
        tracing::debug!(service = %self.service, until = %ticket.ends, "Got a service ticket");
        Ok(ticket)
    }

    /// The account's key, by what the KDC says about its keys: the first that there is here. A KDC that
    /// names none has none of the types that were offered (RFC 4120 section 3.1.3), so nothing is tried.
    fn key(
        &self,
        infos: &[KeyInfo],
        types: &[EncryptionType],
    ) -> Result<ProtocolKey, KerberosError> {
        let Credential { account, secret, .. } = &self.credential;
        let realm = self.credential.home();
        let first = infos.iter().find_map(|info| {
            let kind = EncryptionType::from_number(info.encryption_type);
            kind.filter(|kind| types.contains(kind)).map(|kind| (kind, info))
        });
        let (kind, info) = first.ok_or_else(|| KerberosError::NoAesKey {
            kdc: self.kdc.host().clone(),
            account: self.credential.principal(),
        })?;
        if info.iterations.is_some_and(|asked| asked != ITERATIONS.get()) {
            let reason = "the KDC wants another number of rounds than 4096";
            return Err(self.fails(Fault::new("deriving the key", reason)));
        }
        match secret {
            AccountSecret::Keys(keys) => keys.key(kind).cloned().ok_or_else(|| {
                let reason = format!("the keytab has no key of type {}", kind.number());
                self.fails(Fault::new("choosing the key", reason))
            }),
            AccountSecret::Password(password) => {
                let salt =
                    info.salt.clone().unwrap_or_else(|| format!("{realm}{account}").into_bytes());
                Ok(ProtocolKey::from_password(kind, password.expose(), &salt, ITERATIONS))
            }
        }
    }

    /// Asks the KDC. What it refuses comes with its clock, which is judged first.
    async fn ask(&self, request: &[u8], expected: u8) -> Result<Answer, KerberosError> {
        let reply = match expected {
            TGS_REP => self.kdc.ask_by_either(request).await?,
            _ => self.kdc.ask(request).await?,
        };
        let kdc = self.kdc.host();
        if is_error(&reply) {
            let error = KrbError::decode(&reply)
                .map_err(|error| KerberosError::Malformed { kdc: kdc.clone(), error })?;
            self.judge(Some(error.server_time))?;
            return Ok(Answer::Refusal(error));
        }
        let tag = reply.first().copied().unwrap_or_default();
        if tag != expected {
            return Err(KerberosError::NoReply { kdc: kdc.clone(), tag });
        }
        Ok(Answer::Reply(reply))
    }

    /// Refuses a clock that differs too much, also where the KDC tolerates it.
    fn judge(&self, there: Option<OffsetDateTime>) -> Result<(), KerberosError> {
        let here = clock::now();
        match there.filter(|there| (*there - here).abs() > CLOCK_SKEW_MAX) {
            None => Ok(()),
            Some(there) => {
                Err(KerberosError::ClockSkew { kdc: self.kdc.host().clone(), there, here })
            }
        }
    }

    fn refused(&self, error: KrbError, exchange: Exchange) -> KerberosError {
        let other = error.client_realm.as_ref().filter(|_| exchange == Exchange::Account);
        let other = other.and_then(|realm| realm.parse::<DnsName>().ok());
        if let Some(other) = other {
            return KerberosError::InAnotherRealm {
                kdc: self.kdc.host().clone(),
                account: self.credential.principal().into(),
                realm: Box::new(Realm::from(&other)),
            };
        }
        KerberosError::Refused {
            kdc: self.kdc.host().clone(),
            account: self.credential.principal().into(),
            service: Box::new(self.service.clone()),
            exchange,
            code: error.code,
            text: error.text.map(String::into_boxed_str),
            keytab_version: self.credential.key_version(),
        }
    }

    /// No KDC of a domain was found.
    pub(super) fn no_kdc(&self, domain: &DnsName, error: LocateError) -> KerberosError {
        let (domain, service) = (domain.clone(), Box::new(self.service.clone()));
        KerberosError::NoKdc { domain, service, error: Box::new(error) }
    }

    pub(super) fn fails(&self, fault: Fault) -> KerberosError {
        KerberosError::failed(self.kdc.host(), fault)
    }
}

/// What a KDC answers.
enum Answer {
    Reply(Vec<u8>),
    Refusal(KrbError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_serves_until_shortly_before_its_end_unless_the_clock_was_set() {
        const HOUR: u64 = 3600;
        let check = |life: u64, passed: u64, set: i64, expected| {
            let got = OffsetDateTime::UNIX_EPOCH;
            let ends = got + std::time::Duration::from_secs(life);
            let passed = std::time::Duration::from_secs(passed);
            let now = got + passed + Duration::seconds(set);
            assert_eq!(is_usable((got, ends), passed, now), expected, "{life} {passed:?} {set}");
        };
        check(10 * HOUR, 0, 0, true);
        check(10 * HOUR, 10 * HOUR - 301, 0, true);
        check(10 * HOUR, 10 * HOUR - 299, 0, false);
        check(10 * HOUR, 11 * HOUR, 0, false);
        // The clock was set, forwards or back, by more than is tolerated.
        check(10 * HOUR, HOUR, 300, true);
        check(10 * HOUR, HOUR, 301, false);
        check(10 * HOUR, HOUR, -301, false);
        // A short life is used half.
        check(60, 29, 0, true);
        check(60, 31, 0, false);
        check(0, 0, 0, false);
    }
}
