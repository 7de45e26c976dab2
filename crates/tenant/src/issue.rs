//! Making tokens for what was granted.

use portolan_model::{Entropy, Guid};
use portolan_token::claims::{self, AccessToken, IdToken};
use portolan_token::{InvalidKey, SigningKey};
use time::{Duration, OffsetDateTime};

use crate::account::Policy;
use crate::application::Application;
use crate::directory::Object;
use crate::scope::Scopes;
use crate::storage::Grant;
use crate::{Opaque, Tenant};

/// How long an access token and an ID token are good.
pub const TOKEN_LIFETIME: Duration = Duration::HOUR;

/// The key that new tokens are signed with, and the salt of the persons' pairwise names.
#[derive(Clone, Copy)]
pub struct Issuer<'a> {
    /// The tenant.
    pub tenant: &'a Tenant,
    /// The key.
    pub key: &'a SigningKey,
    /// The salt.
    pub pairwise_salt: &'a [u8; 32],
    /// What is asked of accounts.
    pub policy: Policy,
}

/// What a person granted, to be made into tokens.
#[derive(Debug, Clone, Copy)]
pub struct Granted<'a> {
    /// To which application.
    pub application: &'a Application,
    /// The grant.
    pub grant: &'a Grant,
    /// The scopes of these tokens: those of the grant or fewer.
    pub scopes: &'a Scopes,
    /// The value for the ID token.
    pub nonce: Option<&'a str>,
}

/// What the token endpoint hands out. It has no `Debug`: who holds an access token may use it.
pub struct Tokens {
    /// For the resource.
    pub access_token: String,
    /// For the application, when it asked for `openid`.
    pub id_token: Option<String>,
    /// For the next time, when it asked for `offline_access`.
    pub refresh_token: Option<Opaque>,
    /// What the access token permits.
    pub scope: String,
    /// The account's name in Microsoft's libraries.
    pub client_info: Option<String>,
    /// Whose it is.
    pub user: Option<Guid>,
}

impl Issuer<'_> {
    /// The tokens of a person's grant, without the refresh token. They end when the person's
    /// sessions become valid from another moment than the one given.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn for_person(
        &self,
        granted: Granted<'_>,
        user: &Object,
        sessions_from: Option<OffsetDateTime>,
        now: OffsetDateTime,
        rng: &mut dyn Entropy,
    ) -> Result<Tokens, InvalidKey> {
        let Granted { application, grant, scopes, nonce } = granted;
        let client = grant.client_id.to_string();
        let person = user.id.to_string();
        let (name, upn) = (user.display_name(), user.upn());
        let sub = claims::pairwise_subject(self.pairwise_salt, &client, &person);
        let (from, until) = (now.unix_timestamp(), (now + TOKEN_LIFETIME).unix_timestamp());
        let graph = format!("https://{}", self.tenant.graph_host());
        let access = AccessToken {
            aud: graph.clone(),
            iss: self.tenant.issuer(),
            iat: from,
            nbf: from,
            exp: until,
            // Graph is an application of its own: the person's name towards it is another one.
            sub: claims::pairwise_subject(self.pairwise_salt, &graph, &person),
            tid: self.tenant.id.to_string(),
            oid: person.clone(),
            appid: client.clone(),
            azp: client.clone(),
            idtyp: "user".to_owned(),
            scp: Some(scopes.clone().for_token().to_text()),
            roles: Vec::new(),
            name: name.map(str::to_owned),
            preferred_username: upn.map(str::to_owned),
            upn: upn.map(str::to_owned),
            uti: token_name(rng),
            sessions_from: sessions_from.map(unix_micros),
            ver: claims::VERSION.to_owned(),
        };
        let told = |wanted: bool, value: Option<&str>| value.filter(|_| wanted).map(str::to_owned);
        let id = IdToken {
            aud: client,
            iss: self.tenant.issuer(),
            iat: from,
            nbf: from,
            exp: until,
            auth_time: grant.authenticated_at.unix_timestamp(),
            sub,
            tid: self.tenant.id.to_string(),
            oid: person.clone(),
            preferred_username: told(scopes.profile, upn),
            name: told(scopes.profile, name),
            upn: told(scopes.profile, upn),
            email: told(scopes.email, user.attributes.text("mail")),
            nonce: nonce.map(str::to_owned),
            sid: Some(grant.session.to_string()),
            ver: claims::VERSION.to_owned(),
        };
        let id_token = if scopes.openid { Some(self.key.sign(&id)?) } else { None };
        Ok(Tokens {
            access_token: self.key.sign(&access)?,
            id_token,
            refresh_token: None,
            scope: scopes.to_response_text(self.tenant, &application.permissions),
            client_info: Some(claims::client_info(&person, &self.tenant.id.to_string())),
            user: Some(user.id),
        })
    }

    /// An application's own token for a resource.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn for_application(
        &self,
        application: &Application,
        resource: &str,
        roles: Vec<String>,
        now: OffsetDateTime,
        rng: &mut dyn Entropy,
    ) -> Result<Tokens, InvalidKey> {
        let client = application.client_id.to_string();
        let from = now.unix_timestamp();
        let access = AccessToken {
            aud: resource.to_owned(),
            iss: self.tenant.issuer(),
            iat: from,
            nbf: from,
            exp: (now + TOKEN_LIFETIME).unix_timestamp(),
            sub: client.clone(),
            tid: self.tenant.id.to_string(),
            oid: client.clone(),
            appid: client.clone(),
            azp: client,
            idtyp: "app".to_owned(),
            scp: None,
            roles,
            name: None,
            preferred_username: None,
            upn: None,
            uti: token_name(rng),
            sessions_from: None,
            ver: claims::VERSION.to_owned(),
        };
        Ok(Tokens {
            access_token: self.key.sign(&access)?,
            id_token: None,
            refresh_token: None,
            scope: format!("{resource}/.default"),
            client_info: None,
            user: None,
        })
    }
}

/// A moment as the claim `sessions_from` has it: microseconds since 1970, which every JSON reader
/// takes without loss.
#[must_use]
pub fn unix_micros(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX)
}

/// A name for one token, to find it again in the log.
fn token_name(rng: &mut dyn Entropy) -> String {
    let mut octets = [0; 16];
    rng.fill(&mut octets);
    Guid::from_random(octets).to_string()
}
