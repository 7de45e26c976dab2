//! TLS 1.2 and 1.3 by rustls, with aws-lc-rs as the only provider.
//!
//! A [`Server`] presents a chain that can be replaced while it runs. A [`Client`] proves three things
//! before it hands a stream out: the chain leads to its [`Trust`], it is for the name that was dialled,
//! and no certificate of it is revoked. Whatever cannot be proven ends the connection.

mod binding;
mod chain;
mod client;
mod error;
mod examine;
pub mod revocation;
mod server;
mod trust;

use std::sync::{Arc, OnceLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs};

pub use binding::{ChannelBinding, NoBinding};
pub use chain::CERTIFICATES_MAX;
pub use client::Client;
/// Why TLS could not be set up.
pub use rustls::Error as SetupError;

pub use error::{ChainFault, RevocationFault, TlsError};
pub use examine::{Examined, HandshakeFault, Presented, Unfinished, examine};
pub use revocation::Revocation;
pub use server::{Identity, InvalidIdentity, Server};
pub use trust::{Fingerprint, InvalidFingerprint, InvalidRoots, Roots, Trust};

/// The one cryptographic provider, also installed as the process's default on first use, so that no
/// library chooses another.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    let provider = PROVIDER.get_or_init(|| {
        // An earlier installation can only be the same provider: no other one is compiled in.
        let _ = aws_lc_rs::default_provider().install_default();
        Arc::new(aws_lc_rs::default_provider())
    });
    Arc::clone(provider)
}
