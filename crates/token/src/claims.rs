//! What the tenant's tokens say, in the shape of Entra ID's version 2.0
//! ([ID tokens], [access tokens]).
//!
//! [ID tokens]: https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference
//! [access tokens]: https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::InvalidJws;

/// The version of tokens that are made here.
pub const VERSION: &str = "2.0";

/// The claims of an ID token. Times are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdToken {
    /// The application that asked.
    pub aud: String,
    /// `https://login.<domain>/<tenant>/v2.0`.
    pub iss: String,
    /// When it was made.
    pub iat: i64,
    /// From when it is valid.
    pub nbf: i64,
    /// Until when it is valid.
    pub exp: i64,
    /// When the person last proved who they are.
    pub auth_time: i64,
    /// The person, under a name that only this application sees (see [`pairwise_subject`]).
    pub sub: String,
    /// The tenant.
    pub tid: String,
    /// The person's object in the directory.
    pub oid: String,
    /// The user principal name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub preferred_username: Option<String>,
    /// The display name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// The user principal name, under the older name that some clients read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub upn: Option<String>,
    /// The address, when the scope `email` was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub email: Option<String>,
    /// The value that the application sent with its request.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub nonce: Option<String>,
    /// The session, which a sign-out names.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sid: Option<String>,
    /// `2.0`.
    pub ver: String,
}

/// The claims of an access token. Times are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessToken {
    /// The resource it is for: `https://graph.<domain>`.
    pub aud: String,
    /// `https://login.<domain>/<tenant>/v2.0`.
    pub iss: String,
    /// When it was made.
    pub iat: i64,
    /// From when it is valid.
    pub nbf: i64,
    /// Until when it is valid.
    pub exp: i64,
    /// The person, pairwise; of an application's own token the application.
    pub sub: String,
    /// The tenant.
    pub tid: String,
    /// The object of the person or of the application.
    pub oid: String,
    /// The application that asked.
    pub appid: String,
    /// The application that asked, under its name in version 2.0.
    pub azp: String,
    /// What kind of token it is: `user` or `app`.
    pub idtyp: String,
    /// What the application may do for the person, separated by spaces.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scp: Option<String>,
    /// What the application may do by itself.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub roles: Vec<String>,
    /// The display name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// The user principal name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub preferred_username: Option<String>,
    /// The user principal name, under the older name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub upn: Option<String>,
    /// The token's own name, which the sign-in log keeps.
    pub uti: String,
    /// From when the person's sessions were valid, in microseconds since 1970: when they are ended,
    /// that moment moves on, and the token is worth nothing any more.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sessions_from: Option<i64>,
    /// `2.0`.
    pub ver: String,
}

impl AccessToken {
    /// Checks the times and parties of a token whose signature verified.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn check(
        &self,
        issuer: &str,
        audience: &str,
        tenant: &str,
        now: OffsetDateTime,
    ) -> Result<(), InvalidJws> {
        if self.iss != issuer || self.aud != audience || self.tid != tenant || self.ver != VERSION {
            return Err(InvalidJws::WrongParty);
        }
        // The tenant wrote these times by its own clock: no tolerance is due.
        let now = now.unix_timestamp();
        if now < self.nbf || now >= self.exp {
            return Err(InvalidJws::OutOfTime);
        }
        Ok(())
    }

    /// Whether the person let the application do this.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scp.as_deref().is_some_and(|scopes| scopes.split(' ').any(|given| given == scope))
    }

    /// Whether the application itself may do this.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|given| given == role)
    }
}

/// A person's name towards one application: two applications cannot compare notes, and none can
/// compute it ([OpenID Connect Core] section 8.1).
///
/// [OpenID Connect Core]: https://openid.net/specs/openid-connect-core-1_0.html#PairwiseAlg
#[must_use]
pub fn pairwise_subject(salt: &[u8; 32], client_id: &str, object_id: &str) -> String {
    let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, salt));
    mac.update(client_id.as_bytes());
    mac.update(b"\0");
    mac.update(object_id.as_bytes());
    URL_SAFE_NO_PAD.encode(mac.sign())
}

/// The `client_info` of a token response: from it Microsoft's libraries build the account's name.
#[must_use]
pub fn client_info(object_id: &str, tenant_id: &str) -> String {
    let json = serde_json::json!({"uid": object_id, "utid": tenant_id});
    URL_SAFE_NO_PAD.encode(json.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> AccessToken {
        AccessToken {
            aud: "https://graph.cloud.example".to_owned(),
            iss: "https://login.cloud.example/t/v2.0".to_owned(),
            iat: 1000,
            nbf: 1000,
            exp: 4600,
            sub: String::new(),
            tid: "t".to_owned(),
            oid: String::new(),
            appid: String::new(),
            azp: String::new(),
            idtyp: "user".to_owned(),
            scp: Some("openid User.Read".to_owned()),
            roles: vec!["Sync.Ingest".to_owned()],
            name: None,
            preferred_username: None,
            upn: None,
            uti: String::new(),
            sessions_from: None,
            ver: VERSION.to_owned(),
        }
    }

    #[test]
    fn an_access_token_is_good_for_its_resource_and_hour_only() {
        let check = |audience: &str, tenant: &str, at: i64, expected: Result<(), InvalidJws>| {
            let now = OffsetDateTime::from_unix_timestamp(at).unwrap();
            let found = token().check("https://login.cloud.example/t/v2.0", audience, tenant, now);
            assert_eq!(found, expected, "{audience} {tenant} {at}");
        };
        check("https://graph.cloud.example", "t", 1000, Ok(()));
        check("https://graph.cloud.example", "t", 4599, Ok(()));
        check("https://graph.cloud.example", "t", 4600, Err(InvalidJws::OutOfTime));
        check("https://graph.cloud.example", "t", 999, Err(InvalidJws::OutOfTime));
        check("https://sync.cloud.example", "t", 1000, Err(InvalidJws::WrongParty));
        check("https://graph.cloud.example", "u", 1000, Err(InvalidJws::WrongParty));
    }

    #[test]
    fn scopes_and_roles_are_whole_words() {
        assert!(token().has_scope("User.Read") && token().has_scope("openid"));
        assert!(!token().has_scope("User") && !token().has_scope("User.Read.All"));
        assert!(token().has_role("Sync.Ingest") && !token().has_role("Sync"));
    }

    #[test]
    fn a_person_has_another_subject_at_every_application() {
        let subject = |client, object| pairwise_subject(&[7; 32], client, object);
        assert_eq!(subject("a", "o"), subject("a", "o"));
        assert_ne!(subject("a", "o"), subject("b", "o"));
        assert_ne!(subject("ab", "o"), subject("a", "bo"));
    }

    #[test]
    fn client_info_is_what_the_libraries_decode() {
        let decoded = URL_SAFE_NO_PAD.decode(client_info("o", "t")).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&decoded).unwrap();
        assert_eq!(json, serde_json::json!({"uid": "o", "utid": "t"}));
    }
}
