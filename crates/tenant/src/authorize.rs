//! The authorization request ([RFC 6749] section 4.1.1, [OpenID Connect Core] section 3.1.2.1).
//!
//! A request is checked in an order that never sends an error to an address that is not the
//! application's: first who asks, then where to answer, then everything else. A proof key
//! (RFC 7636, S256) is required of everybody.
//!
//! [RFC 6749]: https://www.rfc-editor.org/rfc/rfc6749#section-4.1.1
//! [OpenID Connect Core]: https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest

use portolan_model::Guid;

use crate::application::Application;
use crate::redirect::RedirectUri;
use crate::scope::Scopes;
use crate::{Digest, Parameters, Rule, Tenant};

/// Characters that `state` and `nonce` may have.
const ECHO_CHARS_MAX: usize = 4096;

/// Characters of a proof key's challenge: base64url of a SHA-256.
const CHALLENGE_CHARS: usize = 43;

/// How the answer travels to the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseMode {
    /// In the query string.
    Query,
    /// Behind the `#`.
    Fragment,
    /// As a form that the browser posts.
    FormPost,
}

/// What pages the application wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prompt {
    /// The sign-in page if nobody is signed in.
    IfNeeded,
    /// No page at all.
    None,
    /// The sign-in page in any case.
    Always,
}

/// Where an answer goes, once that is known to be the application's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnAddress {
    /// The redirect URI.
    pub uri: RedirectUri,
    /// How the answer travels.
    pub mode: ResponseMode,
    /// The application's own value, given back unchanged.
    pub state: Option<String>,
}

/// The challenge of a proof key, method S256 (RFC 7636 section 4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge(String);

/// A request that may be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who asks.
    pub client_id: Guid,
    /// Where the answer goes.
    pub back: ReturnAddress,
    /// What is asked for.
    pub scopes: Scopes,
    /// The proof key's challenge.
    pub challenge: Challenge,
    /// The value for the ID token.
    pub nonce: Option<String>,
    /// What pages to show.
    pub prompt: Prompt,
    /// The name to put into the page.
    pub login_hint: Option<String>,
    /// How long ago the person may have proved who they are, in seconds.
    pub age_seconds_max: Option<u64>,
    /// An ID token of the one person who will do (OpenID Connect Core section 3.1.2.2), unchecked.
    pub id_token_hint: Option<String>,
}

/// Why a request is refused, and who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The person, on a page: the application's address is not established.
    OnPage(Rule),
    /// The application.
    Back(ReturnAddress, Rule),
}

impl Challenge {
    /// From the request or the store.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let well_formed = text.len() == CHALLENGE_CHARS
            && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_');
        well_formed.then(|| Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a verifier (43 to 128 unreserved characters, RFC 7636 section 4.1) is its own.
    #[must_use]
    pub fn accepts(&self, verifier: &str) -> bool {
        let well_formed = (43..=128).contains(&verifier.len())
            && verifier.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._~".contains(&c));
        // The challenge is public; comparing it in variable time tells nothing.
        well_formed && Digest::of(verifier.as_bytes()).to_base64url() == self.0
    }
}

/// The application that a request says it comes from.
///
/// # Errors
/// [`Rule::UnknownApplication`] for a malformed id, [`Rule::InvalidRequest`] for none.
pub fn client_id(parameters: &Parameters) -> Result<Guid, Rule> {
    parameters.required("client_id")?.parse().map_err(|_| Rule::UnknownApplication)
}

/// Checks the request of an application that was found.
///
/// # Errors
/// The rule that it breaks, and who is told.
pub fn check(
    parameters: &Parameters,
    application: &Application,
    tenant: &Tenant,
) -> Result<Request, Refused> {
    let uri = parameters
        .optional("redirect_uri")
        .and_then(|uri| application.redirect_uri(uri))
        .ok_or(Refused::OnPage(Rule::RedirectMismatch))?;
    let short = |name: &str| match parameters.optional(name) {
        Some(value) if value.chars().count() > ECHO_CHARS_MAX => Err(Rule::InvalidRequest),
        value => Ok(value.map(str::to_owned)),
    };
    let state = short("state").map_err(Refused::OnPage)?;
    let mode = match parameters.optional("response_mode") {
        None | Some("query") => ResponseMode::Query,
        Some("fragment") => ResponseMode::Fragment,
        Some("form_post") => ResponseMode::FormPost,
        Some(_) => return Err(Refused::OnPage(Rule::InvalidRequest)),
    };
    let back = ReturnAddress { uri, mode, state };
    let rest = || -> Result<Request, Rule> {
        if parameters.required("response_type")? != "code" {
            return Err(Rule::UnsupportedResponseType);
        }
        if parameters.optional("request").or(parameters.optional("request_uri")).is_some() {
            return Err(Rule::InvalidRequest);
        }
        let scopes =
            Scopes::parse(parameters.required("scope")?, tenant, &application.permissions)?;
        let age_seconds_max = parameters
            .optional("max_age")
            .map(|seconds| seconds.parse().map_err(|_| Rule::InvalidRequest))
            .transpose()?;
        Ok(Request {
            client_id: application.client_id,
            back: back.clone(),
            scopes,
            challenge: challenge(parameters)?,
            nonce: short("nonce")?,
            prompt: prompt(parameters)?,
            login_hint: parameters.optional("login_hint").map(str::to_owned),
            age_seconds_max,
            id_token_hint: parameters.optional("id_token_hint").map(str::to_owned),
        })
    };
    rest().map_err(|rule| Refused::Back(back.clone(), rule))
}

fn challenge(parameters: &Parameters) -> Result<Challenge, Rule> {
    let text = parameters.optional("code_challenge").ok_or(Rule::ProofKeyRequired)?;
    if parameters.optional("code_challenge_method") != Some("S256") {
        return Err(Rule::ProofKeyRequired);
    }
    Challenge::from_text(text).ok_or(Rule::InvalidRequest)
}

fn prompt(parameters: &Parameters) -> Result<Prompt, Rule> {
    let mut prompt = Prompt::IfNeeded;
    let words = parameters.optional("prompt").unwrap_or_default();
    for word in words.split(' ').filter(|word| !word.is_empty()) {
        prompt = match word {
            // `none` stands alone (OpenID Connect Core section 3.1.2.1).
            "none" if words.trim() == "none" => Prompt::None,
            "login" | "select_account" => Prompt::Always,
            // The administrator has consented for everybody; there is no page for it.
            "consent" => prompt,
            _ => return Err(Rule::InvalidRequest),
        };
    }
    Ok(prompt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::tests::tenant;
    use crate::scope::Permission;

    /// RFC 7636 appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn application() -> Application {
        Application {
            client_id: Guid::from_random([3; 16]),
            name: "Shop".to_owned(),
            redirect_uris: vec!["https://shop.example/cb".parse().unwrap()],
            permissions: vec![Permission::UserRead],
            roles: vec![],
            keys: vec![],
        }
    }

    fn ask(changes: &[(&str, &str)]) -> Result<Request, Refused> {
        let mut pairs = vec![
            ("redirect_uri", "https://shop.example/cb"),
            ("response_type", "code"),
            ("scope", "openid User.Read"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("state", "xyz"),
        ];
        pairs.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
        pairs.extend(changes);
        let pairs = pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        check(&Parameters::from_pairs(pairs).unwrap(), &application(), &tenant())
    }

    #[test]
    fn the_published_proof_key_is_accepted() {
        let challenge = Challenge::from_text(CHALLENGE).unwrap();
        assert!(challenge.accepts(VERIFIER));
        assert!(!challenge.accepts(&VERIFIER.replace('d', "e")));
        assert!(!challenge.accepts(CHALLENGE) && !challenge.accepts(""));
    }

    #[test]
    fn errors_go_to_the_application_only_when_its_address_is_established() {
        let on_page = |changes: &[(&str, &str)], rule| {
            assert_eq!(ask(changes), Err(Refused::OnPage(rule)), "{changes:?}");
        };
        let back = |changes: &[(&str, &str)], expected| match ask(changes) {
            Err(Refused::Back(address, rule)) => {
                assert_eq!((rule, address.state.as_deref()), (expected, Some("xyz")));
            }
            other => panic!("{changes:?}: {other:?}"),
        };
        assert!(ask(&[]).is_ok());
        on_page(&[("redirect_uri", "https://evil.example/cb")], Rule::RedirectMismatch);
        on_page(&[("redirect_uri", "")], Rule::RedirectMismatch);
        on_page(&[("response_mode", "web_message")], Rule::InvalidRequest);
        back(&[("response_type", "token")], Rule::UnsupportedResponseType);
        back(&[("code_challenge", "")], Rule::ProofKeyRequired);
        back(&[("code_challenge_method", "plain")], Rule::ProofKeyRequired);
        back(&[("code_challenge", "short")], Rule::InvalidRequest);
        back(&[("scope", "")], Rule::InvalidRequest);
        back(&[("scope", "Group.Read.All")], Rule::ConsentRequired);
        back(&[("prompt", "none login")], Rule::InvalidRequest);
        back(&[("max_age", "soon")], Rule::InvalidRequest);
        back(&[("request", "eyJ")], Rule::InvalidRequest);
    }

    #[test]
    fn prompts_are_read() {
        let prompt = |text| ask(&[("prompt", text)]).unwrap().prompt;
        assert_eq!(prompt("none"), Prompt::None);
        assert_eq!(prompt("login"), Prompt::Always);
        assert_eq!(prompt("select_account"), Prompt::Always);
        assert_eq!(prompt("consent"), Prompt::IfNeeded);
    }
}
