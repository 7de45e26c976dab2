//! The applications that the tenant knows.

use portolan_model::Guid;
use portolan_token::Jwk;

use crate::redirect::RedirectUri;
use crate::scope::Permission;

/// The role by which the sync server may ingest.
pub const ROLE_INGEST: &str = "Sync.Ingest";

/// An application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// Its id, which it names itself by.
    pub client_id: Guid,
    /// What people call it.
    pub name: String,
    /// Where people may be sent back to.
    pub redirect_uris: Vec<RedirectUri>,
    /// What it may do for a person who signs in to it: the administrator consented for everybody.
    pub permissions: Vec<Permission>,
    /// What it may do by itself.
    pub roles: Vec<String>,
    /// The public keys by which it shows that it is itself. A public client has none.
    pub keys: Vec<Jwk>,
}

impl Application {
    /// The registered redirect URI that a request's fits, as the request spelled it.
    #[must_use]
    pub fn redirect_uri(&self, requested: &str) -> Option<RedirectUri> {
        let requested: RedirectUri = requested.parse().ok()?;
        self.redirect_uris
            .iter()
            .any(|registered| registered.matches(&requested))
            .then_some(requested)
    }
}
