//! Kerberos for the client: from a password or a keytab to an established [`portolan_gss::Rfc4121`]
//! context.
//!
//! `sspi` makes the messages of the handshake ([RFC 4120]): its generators are called with values of
//! ours, and its state machine is not used. That machine takes a password or key for each connection
//! and keeps no ticket; works around a clock that is wrong; follows `KRB5_CONFIG`, `/etc/krb5.conf`, the
//! environment and DNS to other realms; and reads hostile answers with code that panics. Here
//! [`tickets`] decides which exchange is due, [`referral`] goes from the account's realm to that of another
//! domain, [`messages`] and [`ap`] open what comes back with
//! `portolan_gss` and hold it against what was asked, and [`kdc`] carries it by the chart's row.
//! No file and no variable of the host changes what is asked of whom.
//!
//! At TRACE `sspi` logs keys: cap its log target, and `picky`'s, at INFO.
//!
//! [RFC 4120]: https://www.rfc-editor.org/rfc/rfc4120

mod ap;
mod bound;
mod error;
mod handshake;
mod kdc;
mod messages;
mod referral;
mod tickets;

use std::fmt;
use std::sync::{Arc, OnceLock};

use portolan_gss::keytab::AccountKeys;
use portolan_model::{Realm, SecretString};
use tokio::sync::OwnedMutexGuard;

pub use error::{CLOCK_SKEW_MAX, Exchange, KerberosError};
pub use handshake::{Established, Handshake, Style, prove_controller};
pub use portolan_gss::krb_error::ErrorCode;

/// What an account proves itself with.
#[derive(Debug, Clone)]
pub enum AccountSecret {
    /// Its password.
    Password(SecretString),
    /// Its keys, from a keytab.
    Keys(AccountKeys),
}

/// What is done when the directory refuses an account, with what it said.
pub type OnRefusal = Box<dyn Fn(&str) + Send + Sync>;

/// An account of a domain, and the tickets that it holds. Copies share the tickets, and know of each
/// other's refusal: what was refused once is not tried again by any of them, so that the account is
/// not locked.
#[derive(Clone)]
pub struct Credential {
    account: String,
    realm: Realm,
    secret: AccountSecret,
    shared: Arc<Shared>,
}

/// While this lives nobody else asks with the account.
#[derive(Debug)]
pub(crate) struct Alone(#[expect(dead_code, reason = "it is held")] OwnedMutexGuard<()>);

#[derive(Default)]
struct Shared {
    tickets: tickets::Tickets,
    refusal: OnceLock<String>,
    on_refusal: Option<OnRefusal>,
}

impl Credential {
    /// An account by its sAMAccountName, the realm of its domain, and its secret; without a ticket yet.
    #[must_use]
    pub fn new(account: String, realm: Realm, secret: AccountSecret) -> Self {
        Self { account, realm, secret, shared: Arc::default() }
    }

    /// The same, and what is to be done at the moment the directory refuses the account.
    #[must_use]
    pub fn remembering(self, on_refusal: OnRefusal) -> Self {
        let shared = Shared { on_refusal: Some(on_refusal), ..Shared::default() };
        Self { shared: Arc::new(shared), ..self }
    }

    /// What the directory said when it refused the account.
    #[must_use]
    pub fn refusal(&self) -> Option<&str> {
        self.shared.refusal.get().map(String::as_str)
    }

    /// Notes that the directory refused the account, so that it is not tried again.
    pub fn refuse(&self, said: &str) {
        if self.shared.refusal.set(said.to_owned()).is_ok()
            && let Some(on_refusal) = &self.shared.on_refusal
        {
            on_refusal(said);
        }
    }

    /// Waits until nobody else asks with this account, and keeps others from it while the guard lives.
    /// A secret whose answer is not known yet is not sent to another host: where one has refused it, no
    /// other is asked.
    ///
    /// # Errors
    /// [`KerberosError::NotTriedAgain`] when the account was refused.
    pub(crate) async fn alone(&self) -> Result<Alone, KerberosError> {
        let alone = Arc::clone(&self.shared.tickets.asking).lock_owned().await;
        match self.refusal() {
            None => Ok(Alone(alone)),
            Some(said) => {
                let account = self.principal();
                Err(KerberosError::NotTriedAgain { account, said: said.to_owned() })
            }
        }
    }

    /// Its sAMAccountName.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The realm that it is in: the one that it was configured with, unless a KDC of that referred to another
    /// one.
    pub(crate) fn home(&self) -> Realm {
        self.shared.tickets.home().unwrap_or_else(|| self.realm.clone())
    }

    /// The account with its realm: `svc_connect@CORP.EXAMPLE`.
    #[must_use]
    pub fn principal(&self) -> String {
        format!("{}@{}", self.account, self.realm)
    }

    /// Its password, where it is configured with one.
    #[must_use]
    pub const fn password(&self) -> Option<&SecretString> {
        match &self.secret {
            AccountSecret::Password(password) => Some(password),
            AccountSecret::Keys(_) => None,
        }
    }

    /// The version of its keys (kvno), where they are from a keytab.
    #[must_use]
    pub const fn key_version(&self) -> Option<u32> {
        match &self.secret {
            AccountSecret::Password(_) => None,
            AccountSecret::Keys(keys) => Some(keys.version),
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("principal", &self.principal()).finish_non_exhaustive()
    }
}
