//! What an application exchanges for tokens: codes, refresh tokens, its own assertion.
//!
//! A code works once, for ten minutes, for the application, redirect URI and proof key that it was
//! made for. A refresh token works once and is replaced by the next ([RFC 9700] section 4.14.2). Who
//! presents either a second time ends every token that came from it.
//!
//! [RFC 9700]: https://www.rfc-editor.org/rfc/rfc9700#section-4.14.2

use portolan_model::{Entropy, Guid};
use portolan_token::{VerifyingKey, assertion, key_id_of};
use time::{Duration, OffsetDateTime};

use crate::account::AccountState;
use crate::application::Application;
use crate::directory::Object;
use crate::issue::{Granted, Issuer, Tokens};
use crate::scope::Scopes;
use crate::storage::{Code, Grant, RefreshToken, Session, StorageError, Transaction};
use crate::{Digest, Opaque, Parameters, Rule, Tenant, authorize};

/// How long a code can be redeemed.
const CODE_LIFETIME: Duration = Duration::minutes(10);

/// How long a refresh token can be used.
const REFRESH_LIFETIME: Duration = Duration::days(90);

/// How long a browser stays familiar without a sign-in.
pub const DEVICE_LIFETIME: Duration = Duration::days(90);

/// Browsers that are familiar at one name; the one that was used least lately goes first.
pub const DEVICES_MAX: u32 = 50;

/// How long a session in a browser holds.
const SESSION_LIFETIME: Duration = Duration::hours(24);

/// Why no tokens are handed out.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The request breaks a rule. What was written up to here is to be committed.
    #[error("the request breaks the rule {0:?}")]
    Rule(Rule),
    /// The store failed. What was written is to be dropped.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<Rule> for Refusal {
    fn from(rule: Rule) -> Self {
        Self::Rule(rule)
    }
}

/// A new session for a browser in which somebody just signed in, and its cookie.
pub fn session(user: Guid, now: OffsetDateTime, rng: &mut dyn Entropy) -> (Session, Opaque) {
    let cookie = Opaque::draw(rng);
    let session = Session {
        digest: cookie.digest(),
        id: draw_id(rng),
        user,
        authenticated_at: now,
        expires_at: now + SESSION_LIFETIME,
    };
    (session, cookie)
}

/// Makes the browser in which somebody just signed in by their password familiar at their name, and
/// gives the device cookie that it is to keep. One that was not given out here is replaced: it may
/// have been planted.
///
/// # Errors
/// When the store fails.
pub async fn device<T: Transaction>(
    tx: &mut T,
    presented: Option<Opaque>,
    user: Guid,
    now: OffsetDateTime,
    rng: &mut (dyn Entropy + Send),
) -> Result<Opaque, StorageError> {
    let kept = match presented {
        Some(cookie) if tx.device_exists(&cookie.digest()).await? => Some(cookie),
        _ => None,
    };
    let cookie = kept.unwrap_or_else(|| Opaque::draw(rng));
    tx.put_device(&cookie.digest(), user, now).await?;
    Ok(cookie)
}

/// A code for a request that a person answered by signing in.
///
/// # Errors
/// When the store fails.
pub async fn code<T: Transaction>(
    tx: &mut T,
    request: &authorize::Request,
    session: &Session,
    now: OffsetDateTime,
    rng: &mut (dyn Entropy + Send),
) -> Result<Opaque, StorageError> {
    let code = Opaque::draw(rng);
    tx.put_code(&Code {
        digest: code.digest(),
        grant: Grant {
            client_id: request.client_id,
            user: session.user,
            session: session.id,
            scopes: request.scopes.to_text(),
            authenticated_at: session.authenticated_at,
            family: draw_id(rng),
        },
        redirect_uri: request.back.uri.as_str().to_owned(),
        challenge: request.challenge.clone(),
        nonce: request.nonce.clone(),
        expires_at: now + CODE_LIFETIME,
        redeemed: false,
    })
    .await?;
    Ok(code)
}

/// What the exchange of a code repeats of its request.
#[derive(Debug, Clone, Copy)]
pub struct Redemption<'a> {
    /// Who asks.
    pub client_id: Guid,
    /// The redirect URI of the request.
    pub redirect_uri: &'a str,
    /// The proof key.
    pub verifier: &'a str,
}

/// Whether a code may be redeemed so.
///
/// # Errors
/// The rule that is broken.
pub fn check_redemption(
    code: &Code,
    redemption: Redemption<'_>,
    now: OffsetDateTime,
) -> Result<(), Rule> {
    // Whose code it is comes first: a stranger learns nothing of it, and ends nothing.
    if code.grant.client_id != redemption.client_id {
        Err(Rule::InvalidGrant)
    } else if code.redeemed {
        Err(Rule::RedeemedCode)
    } else if now >= code.expires_at {
        Err(Rule::ExpiredGrant)
    } else if code.redirect_uri != redemption.redirect_uri {
        Err(Rule::RedirectMismatch)
    } else if !code.challenge.accepts(redemption.verifier) {
        Err(Rule::ProofKeyMismatch)
    } else {
        Ok(())
    }
}

/// Redeems a code (RFC 6749 section 4.1.3).
///
/// # Errors
/// The rule that is broken, or the store's failure.
pub async fn redeem_code<T: Transaction>(
    tx: &mut T,
    issuer: Issuer<'_>,
    application: &Application,
    parameters: &Parameters,
    now: OffsetDateTime,
    rng: &mut (dyn Entropy + Send),
) -> Result<Tokens, Refusal> {
    let redemption = Redemption {
        client_id: application.client_id,
        redirect_uri: parameters.required("redirect_uri")?,
        verifier: parameters.required("code_verifier")?,
    };
    let presented = Opaque::from_caller(parameters.required("code")?).ok_or(Rule::InvalidGrant)?;
    let mut code = tx.code(&presented.digest()).await?.ok_or(Rule::InvalidGrant)?;
    if let Err(rule) = check_redemption(&code, redemption, now) {
        if rule == Rule::RedeemedCode {
            tx.end_family(code.grant.family).await?;
        }
        return Err(rule.into());
    }
    code.redeemed = true;
    tx.put_code(&code).await?;
    let scopes = Scopes::parse(&code.grant.scopes, issuer.tenant, &application.permissions)?;
    let nonce = code.nonce.as_deref();
    let granted = Granted { application, grant: &code.grant, scopes: &scopes, nonce };
    hand_out(tx, issuer, granted, now, rng).await
}

/// Exchanges a refresh token for new tokens and the next refresh token (RFC 6749 section 6).
///
/// # Errors
/// The rule that is broken, or the store's failure.
pub async fn refresh<T: Transaction>(
    tx: &mut T,
    issuer: Issuer<'_>,
    application: &Application,
    parameters: &Parameters,
    now: OffsetDateTime,
    rng: &mut (dyn Entropy + Send),
) -> Result<Tokens, Refusal> {
    let presented =
        Opaque::from_caller(parameters.required("refresh_token")?).ok_or(Rule::InvalidGrant)?;
    let mut token = tx.refresh_token(&presented.digest()).await?.ok_or(Rule::InvalidGrant)?;
    if token.grant.client_id != application.client_id {
        return Err(Rule::InvalidGrant.into());
    }
    if token.used {
        tx.end_family(token.grant.family).await?;
        return Err(Rule::ReusedRefreshToken.into());
    }
    if now >= token.expires_at {
        return Err(Rule::ExpiredGrant.into());
    }
    let granted = Scopes::parse(&token.grant.scopes, issuer.tenant, &application.permissions)?;
    let asked = match parameters.optional("scope") {
        Some(text) => Scopes::parse(text, issuer.tenant, &application.permissions)?,
        None => granted.clone(),
    };
    if !asked.within(&granted) {
        return Err(Rule::ConsentRequired.into());
    }
    token.used = true;
    tx.put_refresh_token(&token).await?;
    // The next refresh token keeps what was granted, whatever this access token is narrowed to.
    let scopes = Scopes { offline_access: true, ..asked };
    let granted = Granted { application, grant: &token.grant, scopes: &scopes, nonce: None };
    hand_out(tx, issuer, granted, now, rng).await
}

/// Tokens for a person who just signed in without a browser (RFC 6749 section 4.3).
///
/// # Errors
/// The rule that is broken, or the store's failure.
pub async fn for_password<T: Transaction>(
    tx: &mut T,
    issuer: Issuer<'_>,
    application: &Application,
    user: &Object,
    scopes: &Scopes,
    now: OffsetDateTime,
    rng: &mut (dyn Entropy + Send),
) -> Result<Tokens, Refusal> {
    let grant = Grant {
        client_id: application.client_id,
        user: user.id,
        session: draw_id(rng),
        scopes: scopes.to_text(),
        authenticated_at: now,
        family: draw_id(rng),
    };
    let granted = Granted { application, grant: &grant, scopes, nonce: None };
    hand_out(tx, issuer, granted, now, rng).await
}

/// An application's own token (RFC 6749 section 4.4). Who it is was proven by
/// [`authenticate`].
///
/// # Errors
/// The rule that is broken.
pub fn client_credentials(
    issuer: Issuer<'_>,
    application: &Application,
    parameters: &Parameters,
    now: OffsetDateTime,
    rng: &mut dyn Entropy,
) -> Result<Tokens, Refusal> {
    if application.keys.is_empty() {
        return Err(Rule::MissingAssertion.into());
    }
    let scope = parameters.required("scope")?;
    let (sync, graph) = (issuer.tenant.sync_host(), issuer.tenant.graph_host());
    let host = [sync, graph].into_iter().find(|host| scope == format!("https://{host}/.default"));
    let host = host.ok_or(Rule::InvalidScope)?;
    let of_sync = host == issuer.tenant.sync_host();
    let roles = application.roles.iter().filter(|role| role.starts_with("Sync.") == of_sync);
    issuer
        .for_application(
            application,
            &format!("https://{host}"),
            roles.cloned().collect(),
            now,
            rng,
        )
        .map_err(|error| Refusal::Storage(StorageError::new(error)))
}

/// Checks that an application is the one that it says. One with keys proves it by an assertion
/// (RFC 7523); a public one has nothing to prove it by.
///
/// # Errors
/// The rule that is broken, or the store's failure.
pub async fn authenticate<T: Transaction>(
    tx: &mut T,
    tenant: &Tenant,
    application: &Application,
    parameters: &Parameters,
    now: OffsetDateTime,
) -> Result<(), Refusal> {
    if application.keys.is_empty() {
        return Ok(());
    }
    let text = parameters.optional("client_assertion").ok_or(Rule::MissingAssertion)?;
    if parameters.optional("client_assertion_type") != Some(assertion::ASSERTION_TYPE) {
        return Err(Rule::InvalidAssertion.into());
    }
    let named = key_id_of(text);
    let client = application.client_id.to_string();
    let (endpoint, issuer) = (tenant.token_endpoint(), tenant.issuer());
    let checked = application
        .keys
        .iter()
        .filter(|key| named.is_none() || key.thumbprint().ok() == named || key.kid == named)
        .filter_map(|key| VerifyingKey::from_jwk(key).ok())
        .find_map(|key| assertion::verify(text, &key, &client, &[&endpoint, &issuer], now).ok())
        .ok_or(Rule::InvalidAssertion)?;
    let name = Digest::of(format!("assertion {client} {}", checked.jti).as_bytes());
    if !tx.use_once(&name, checked.expires).await? {
        return Err(Rule::InvalidAssertion.into());
    }
    Ok(())
}

/// Hands out the tokens of a grant to a person whose account still signs in.
async fn hand_out<T: Transaction>(
    tx: &mut T,
    issuer: Issuer<'_>,
    granted: Granted<'_>,
    now: OffsetDateTime,
    rng: &mut (dyn Entropy + Send),
) -> Result<Tokens, Refusal> {
    let Granted { grant, scopes, .. } = granted;
    let user = tx.object(grant.user).await?.ok_or(Rule::InvalidGrant)?;
    let state = AccountState::now(tx, &user, issuer.policy, now).await?;
    if let Some(rule) = state.refusal() {
        return Err(rule.into());
    }
    let sessions_from = tx.sessions_valid_from(user.id).await?;
    let mut tokens = issuer
        .for_person(granted, &user, sessions_from, now, rng)
        .map_err(|error| Refusal::Storage(StorageError::new(error)))?;
    if scopes.offline_access {
        let next = Opaque::draw(rng);
        tx.put_refresh_token(&RefreshToken {
            digest: next.digest(),
            grant: grant.clone(),
            expires_at: now + REFRESH_LIFETIME,
            used: false,
        })
        .await?;
        tokens.refresh_token = Some(next);
    }
    Ok(tokens)
}

fn draw_id(rng: &mut dyn Entropy) -> Guid {
    let mut octets = [0; 16];
    rng.fill(&mut octets);
    Guid::from_random(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorize::Challenge;
    use crate::directory::tests::now;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    #[test]
    fn a_code_works_once_in_time_for_its_own_request() {
        let client_id = Guid::from_random([3; 16]);
        let code = Code {
            digest: Digest::of(b"code"),
            grant: Grant {
                client_id,
                user: Guid::NIL,
                session: Guid::NIL,
                scopes: "openid".to_owned(),
                authenticated_at: now(),
                family: Guid::NIL,
            },
            redirect_uri: "https://shop.example/cb".to_owned(),
            challenge: Challenge::from_text("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap(),
            nonce: None,
            expires_at: now() + CODE_LIFETIME,
            redeemed: false,
        };
        let good =
            Redemption { client_id, redirect_uri: "https://shop.example/cb", verifier: VERIFIER };
        let check = |code: &Code, redemption, at, expected| {
            assert_eq!(check_redemption(code, redemption, at), expected, "{redemption:?} {at}");
        };
        check(&code, good, now(), Ok(()));
        check(&code, good, now() + CODE_LIFETIME, Err(Rule::ExpiredGrant));
        let stranger = Redemption { client_id: Guid::from_random([4; 16]), ..good };
        check(&code, stranger, now(), Err(Rule::InvalidGrant));
        let elsewhere = Redemption { redirect_uri: "https://shop.example/other", ..good };
        check(&code, elsewhere, now(), Err(Rule::RedirectMismatch));
        let unproven = Redemption { verifier: &VERIFIER.replace('d', "x"), ..good };
        check(&code, unproven, now(), Err(Rule::ProofKeyMismatch));
        let used = Code { redeemed: true, ..code };
        check(&used, good, now(), Err(Rule::RedeemedCode));
        check(&used, stranger, now(), Err(Rule::InvalidGrant));
    }
}
