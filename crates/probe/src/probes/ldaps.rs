//! LDAP inside TLS: everything that is wrong with the TLS, and the root DSE inside.

use super::ldap::{self, Port};
use super::tls;
use crate::{Asker, Outcome};

/// Looks at the directory of this kind.
pub(super) async fn probe(asker: &Asker<'_>, port: Port) -> Outcome {
    // LDAP has no name by ALPN.
    let mut session = match tls::open(asker, &[]).await {
        Ok(session) => session,
        Err(outcome) => return outcome,
    };
    let inside = ldap::examine(asker, &mut session.stream, port);
    let (inside, sides) = tokio::join!(inside, session.examined.sides(asker));
    session.examined.finish(sides, inside)
}
