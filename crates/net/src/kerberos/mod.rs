//! Kerberos for the client: from a password to an established [`portolan_gss::Rfc4121`] context.
//!
//! The handshake (AS, TGS and AP exchange, [RFC 4120]) is made by `sspi`, whose every message to the
//! KDC passes through here: it is sent by the chart's row, and what the KDC refuses is read from its
//! own KRB-ERROR. `sspi` protects no message: its key and sequence number go to `portolan_gss`.
//! It would also work around a clock that is wrong; here it is refused.
//!
//! `sspi` looks at `KRB5_CONFIG` and `/etc/krb5.conf` for a mapping of the domain to another realm;
//! a realm it would go to beyond the credential's is refused. At TRACE it logs keys: cap its log
//! target, and `picky`'s, at INFO.
//!
//! [RFC 4120]: https://www.rfc-editor.org/rfc/rfc4120

mod bound;
mod error;
mod handshake;
mod kdc;

use portolan_model::{Realm, SecretString};

pub use error::{CLOCK_SKEW_MAX, KerberosError};
pub use handshake::{Established, Handshake, Style};
pub use portolan_gss::krb_error::ErrorCode;

/// An account of a domain and its password.
#[derive(Debug, Clone)]
pub struct Credential {
    /// The account's name, without the domain: its sAMAccountName.
    pub account: String,
    /// The realm of its domain.
    pub realm: Realm,
    /// Its password.
    pub password: SecretString,
}

impl Credential {
    /// Its password, where it is configured with one.
    #[must_use]
    pub const fn password(&self) -> Option<&SecretString> {
        Some(&self.password)
    }

    /// The account with its realm: `svc_connect@CORP.EXAMPLE`.
    #[must_use]
    pub fn principal(&self) -> String {
        format!("{}@{}", self.account, self.realm)
    }
}
