//! The rules that a request can break, with the number, the OAuth error and the sentence for each.
//!
//! Two faces: [`Rule::shown`] is what the caller may learn (an unknown name looks like a wrong
//! password), the rule itself is what the sign-in log keeps. The numbers are those of Entra ID's
//! [error codes], which clients act upon.
//!
//! [error codes]: https://learn.microsoft.com/entra/identity-platform/reference-error-codes

use portolan_model::Guid;
use time::OffsetDateTime;
use time::macros::format_description;

macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $name:ident, $number:literal, $oauth:literal, $sentence:literal;)+) => {
        /// A rule that was broken.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Rule {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Rule {
            /// Every rule, for tables and tests.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The number behind `AADSTS`.
            #[must_use]
            pub const fn number(self) -> u32 {
                match self { $(Self::$name => $number,)+ }
            }

            /// The `error` of OAuth 2.0 and OpenID Connect.
            #[must_use]
            pub const fn oauth(self) -> &'static str {
                match self { $(Self::$name => $oauth,)+ }
            }

            /// The sentence for a person.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)+ }
            }
        }
    };
}

rules! {
    /// The password is not the person's.
    WrongPassword, 50126, "invalid_grant",
        "The user name or the password is incorrect.";
    /// Nobody has this name. Shown as a wrong password.
    UnknownUser, 50034, "invalid_grant",
        "No user of this tenant has this name.";
    /// No password was synchronised for the person. Shown as a wrong password.
    NoCredential, 50056, "invalid_grant",
        "No password of this user has been synchronised.";
    /// Too many wrong passwords.
    Locked, 50053, "invalid_grant",
        "Too many wrong passwords were tried for this name. Wait a few minutes, then try again.";
    /// The account is locked where it is mastered.
    LockedInForest, 50053, "invalid_grant",
        "This account is locked in your organisation's directory. Ask your administrator.";
    /// The account is switched off.
    Disabled, 50057, "invalid_grant",
        "This account is disabled. Ask your administrator.";
    /// The account's time is over.
    AccountExpired, 50057, "invalid_grant",
        "This account has expired. Ask your administrator.";
    /// The password is too old.
    PasswordExpired, 50055, "invalid_grant",
        "Your password has expired. Change it in your organisation's network, then sign in again.";
    /// The password was set for the person and is to be changed first.
    PasswordChangeRequired, 50055, "invalid_grant",
        "Your password must be changed first. Change it in your organisation's network, then sign in again.";
    /// The person signs in with a smart card only.
    SmartCardRequired, 50012, "invalid_grant",
        "This account signs in with a smart card only.";
    /// Nobody is signed in, and no page may be shown.
    LoginRequired, 50058, "login_required",
        "Nobody is signed in, and the application asked not to show a sign-in page.";
    /// The application named somebody else by an ID token.
    OtherPerson, 50058, "login_required",
        "The application asked for another person than the one who signed in.";
    /// The application has not been given this permission.
    ConsentRequired, 65001, "consent_required",
        "The administrator has not given this application the permission that it asks for.";
    /// Something is missing or malformed.
    InvalidRequest, 9002313, "invalid_request",
        "The request is malformed or misses a parameter.";
    /// The page was not the one that this browser was given.
    StalePage, 165000, "invalid_request",
        "This sign-in page is too old or belongs to another browser. Start again from the application.";
    /// The path names another tenant.
    UnknownTenant, 90002, "invalid_request",
        "This tenant does not exist here.";
    /// No application has this id.
    UnknownApplication, 700016, "unauthorized_client",
        "The application is not registered in this tenant.";
    /// The redirect URI is not a registered one.
    RedirectMismatch, 50011, "invalid_request",
        "The redirect URI of the request is not one that the application has registered.";
    /// A response type other than `code`.
    UnsupportedResponseType, 700054, "unsupported_response_type",
        "Only the response type 'code' is offered.";
    /// A grant that is not offered.
    UnsupportedGrantType, 70003, "unsupported_grant_type",
        "The grant type is not offered.";
    /// A scope that does not exist, or scopes of two resources.
    InvalidScope, 70011, "invalid_scope",
        "A scope does not exist, or the scopes belong to more than one resource.";
    /// No proof key.
    ProofKeyRequired, 9002325, "invalid_request",
        "A proof key is required: send a code_challenge with the method S256.";
    /// The proof key does not fit.
    ProofKeyMismatch, 501481, "invalid_grant",
        "The code_verifier does not fit the code_challenge of the authorization request.";
    /// The code or refresh token is unknown, or belongs to someone else.
    InvalidGrant, 70000, "invalid_grant",
        "The code or refresh token is not valid here.";
    /// The code or refresh token is too old.
    ExpiredGrant, 70008, "invalid_grant",
        "The code or refresh token has expired. Sign in again.";
    /// The code was used before.
    RedeemedCode, 54005, "invalid_grant",
        "The code has been redeemed already.";
    /// The refresh token was used before.
    ReusedRefreshToken, 70000, "invalid_grant",
        "The refresh token has been used already. Sign in again.";
    /// A confidential application without proof of who it is.
    MissingAssertion, 7000218, "invalid_client",
        "The request must contain a client_assertion.";
    /// The proof does not hold.
    InvalidAssertion, 700027, "invalid_client",
        "The client_assertion is not valid for this application.";
    /// The access token is missing, malformed, too old, or was ended.
    InvalidToken, 50027, "invalid_token",
        "The access token is missing, has expired, has been ended, or is not for this resource.";
    /// There is nothing under this path.
    NothingHere, 90023, "invalid_request",
        "There is nothing at this address.";
    /// The host is not one of the tenant's.
    WrongHost, 90023, "invalid_request",
        "This host is not served here.";
    /// The path is there, for another method.
    WrongMethod, 900561, "invalid_request",
        "This address does not take requests of this kind.";
    /// Too many requests from one place.
    TooManyRequests, 90055, "temporarily_unavailable",
        "Too many requests come from your network. Wait a moment, then try again.";
    /// The tenant failed.
    Unavailable, 90033, "temporarily_unavailable",
        "The service is not available for the moment. Try again.";
}

impl Rule {
    /// What the caller may learn.
    #[must_use]
    pub const fn shown(self) -> Self {
        match self {
            Self::UnknownUser | Self::NoCredential => Self::WrongPassword,
            other => other,
        }
    }

    /// The HTTP status of the answer to an application.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::MissingAssertion | Self::InvalidAssertion | Self::InvalidToken => 401,
            Self::NothingHere => 404,
            Self::WrongMethod => 405,
            Self::WrongHost => 421,
            Self::TooManyRequests => 429,
            Self::Unavailable => 503,
            _ => 400,
        }
    }
}

/// One failure as it is told: what was broken, and the names by which the log finds it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incident {
    /// The rule.
    pub rule: Rule,
    /// The tenant's name for the request.
    pub trace_id: Guid,
    /// The caller's name for the request, if it gave one; otherwise the tenant's.
    pub correlation_id: Guid,
    /// When.
    pub at: OffsetDateTime,
}

impl Incident {
    /// The sentence with its numbers, as clients show and log it.
    #[must_use]
    pub fn description(&self) -> String {
        let rule = self.rule.shown();
        format!(
            "AADSTS{}: {} Trace ID: {} Correlation ID: {} Timestamp: {}",
            rule.number(),
            rule.sentence(),
            self.trace_id,
            self.correlation_id,
            self.timestamp()
        )
    }

    /// The time as the answer states it: `2026-11-22 01:02:03Z`.
    #[must_use]
    pub fn timestamp(&self) -> String {
        let form = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]Z");
        self.at.to_offset(time::UtcOffset::UTC).format(&form).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_reads_like_a_wrong_password() {
        let told = |rule| {
            let at = OffsetDateTime::from_unix_timestamp(1_795_000_000).unwrap();
            Incident { rule, trace_id: Guid::NIL, correlation_id: Guid::NIL, at }.description()
        };
        assert_eq!(told(Rule::UnknownUser), told(Rule::WrongPassword));
        assert_eq!(told(Rule::NoCredential), told(Rule::WrongPassword));
        assert_eq!(
            told(Rule::WrongPassword),
            "AADSTS50126: The user name or the password is incorrect. \
             Trace ID: 00000000-0000-0000-0000-000000000000 \
             Correlation ID: 00000000-0000-0000-0000-000000000000 Timestamp: 2026-11-18 11:06:40Z"
        );
    }

    #[test]
    fn every_rule_has_a_sentence() {
        for rule in Rule::ALL {
            assert!(rule.sentence().ends_with('.') && rule.number() > 10_000, "{rule:?}");
        }
    }
}
