//! The pages that people see. They need no script, and show nothing that was not escaped.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portolan_tenant::authorize::ReturnAddress;
use portolan_tenant::{Digest, Rule};

use super::Context;

/// The style sheet of all pages.
pub(super) const STYLE: &str = include_str!("../../../templates/tenant/style.css");

/// The one script: it posts the answer to the application without a click. Without it there is a
/// button.
const POST_SCRIPT: &str = "document.forms[0].submit()";

/// The sign-in page.
#[derive(Template)]
#[template(path = "tenant/sign_in.html")]
struct SignIn<'a> {
    organisation: &'a str,
    application: Option<&'a str>,
    permissions: Vec<&'static str>,
    action: &'a str,
    canary: &'a str,
    request: &'a str,
    name: &'a str,
    complaint: Option<Complaint>,
}

struct Complaint {
    sentence: &'static str,
    number: u32,
    correlation_id: String,
    timestamp: String,
}

#[derive(Template)]
#[template(path = "tenant/error.html")]
struct Error<'a> {
    organisation: &'a str,
    complaint: Complaint,
}

#[derive(Template)]
#[template(path = "tenant/account.html")]
struct Account<'a> {
    organisation: &'a str,
    name: &'a str,
    upn: &'a str,
    sign_out: &'a str,
}

#[derive(Template)]
#[template(path = "tenant/signed_out.html")]
struct SignedOut<'a> {
    organisation: &'a str,
}

#[derive(Template)]
#[template(path = "tenant/post.html")]
struct Post<'a> {
    organisation: &'a str,
    action: &'a str,
    fields: &'a [(&'static str, String)],
    script: &'static str,
}

/// What the sign-in page is made from.
pub(super) struct Asking<'a> {
    /// The tenant's domain.
    pub(super) organisation: &'a str,
    /// The application, when one asks.
    pub(super) application: Option<&'a str>,
    /// What the application asks for, in sentences.
    pub(super) permissions: Vec<&'static str>,
    /// Where the form is posted to.
    pub(super) action: &'a str,
    /// The value that shows that this browser was given the page.
    pub(super) canary: &'a str,
    /// The request as it came, to be checked again.
    pub(super) request: &'a str,
    /// The name to begin with.
    pub(super) name: &'a str,
    /// Why the last attempt failed.
    pub(super) complaint: Option<Rule>,
    /// Where the answer will go, which the browser has to be allowed.
    pub(super) back: Option<&'a ReturnAddress>,
}

/// The sign-in page.
pub(super) fn sign_in(context: &Context, asking: Asking<'_>) -> Response {
    let page = SignIn {
        organisation: asking.organisation,
        application: asking.application,
        permissions: asking.permissions,
        action: asking.action,
        canary: asking.canary,
        request: asking.request,
        name: asking.name,
        complaint: asking.complaint.map(|rule| complaint(context, rule)),
    };
    let origin = asking.back.map_or("", |back| back.uri.origin());
    let form_action = format!("'self' {origin}");
    show(StatusCode::OK, &page, form_action.trim_end(), "'none'")
}

/// What the page is made from on which a person chooses a new password.
#[derive(Template)]
#[template(path = "tenant/password.html")]
pub(super) struct Password<'a> {
    /// The tenant's domain.
    pub(super) organisation: &'a str,
    /// Where the form is posted to.
    pub(super) action: &'a str,
    /// The value that shows that this browser was given the page.
    pub(super) canary: &'a str,
    /// The request as it came, to be checked again.
    pub(super) request: &'a str,
    /// Whose password it is.
    pub(super) name: &'a str,
    /// What is wrong with the last one that was chosen.
    pub(super) complaint: Option<&'static str>,
    /// Characters that it has at least.
    pub(super) chars_min: usize,
}

/// The page on which a person chooses a new password.
pub(super) fn password(page: &Password<'_>) -> Response {
    show(StatusCode::OK, page, "'self'", "'none'")
}

/// A page for a failure.
pub(super) fn error(context: &Context, organisation: &str, rule: Rule) -> Response {
    let status = StatusCode::from_u16(rule.shown().status()).unwrap_or(StatusCode::BAD_REQUEST);
    show(status, &Error { organisation, complaint: complaint(context, rule) }, "'none'", "'none'")
}

/// The page of a person who is signed in.
pub(super) fn account(organisation: &str, name: &str, upn: &str, sign_out: &str) -> Response {
    show(StatusCode::OK, &Account { organisation, name, upn, sign_out }, "'self'", "'none'")
}

/// The page after signing out.
pub(super) fn signed_out(organisation: &str) -> Response {
    show(StatusCode::OK, &SignedOut { organisation }, "'none'", "'none'")
}

/// The page that posts an answer to the application
/// ([OAuth 2.0 Form Post Response Mode]).
///
/// [OAuth 2.0 Form Post Response Mode]: https://openid.net/specs/oauth-v2-form-post-response-mode-1_0.html
pub(super) fn post(
    organisation: &str,
    back: &ReturnAddress,
    fields: &[(&'static str, String)],
) -> Response {
    let page = Post { organisation, action: back.uri.as_str(), fields, script: POST_SCRIPT };
    let digest = STANDARD.encode(Digest::of(POST_SCRIPT.as_bytes()).octets());
    show(StatusCode::OK, &page, back.uri.origin(), &format!("'sha256-{digest}'"))
}

fn complaint(context: &Context, rule: Rule) -> Complaint {
    let incident = context.incident(rule);
    Complaint {
        sentence: rule.shown().sentence(),
        number: rule.shown().number(),
        correlation_id: context.correlation_id.to_string(),
        timestamp: incident.timestamp(),
    }
}

fn show(status: StatusCode, page: &impl Template, form_action: &str, script: &str) -> Response {
    let policy = format!(
        "default-src 'none'; style-src 'self'; script-src {script}; form-action {form_action}; \
         base-uri 'none'; frame-ancestors 'none'"
    );
    match (page.render(), HeaderValue::try_from(policy)) {
        (Ok(html), Ok(policy)) => {
            (status, [(header::CONTENT_SECURITY_POLICY, policy)], Html(html)).into_response()
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
