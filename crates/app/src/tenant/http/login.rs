//! The sign-in page and what it posts; the account page; signing out.
//!
//! A form counts only from the browser that was given it: it carries the value of a cookie that no
//! other site and no other host can set (`__Host-`), and a browser's own word on where it comes from
//! is heard too. The request that the person answers travels in the form and is checked again.

use axum::Router;
use axum::extract::{Path, RawQuery, Request as HttpRequest, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse as _, Response};
use axum::routing::{get, post};
use portolan_model::{Guid, SecretString};
use portolan_net::entropy::SystemEntropy;
use portolan_store::tenant::SqliteTransaction;
use portolan_tenant::application::Application;
use portolan_tenant::authorize::{Prompt, Request};
use portolan_tenant::sign_in::{self, End, Start, Submission};
use portolan_tenant::storage::{Access, SignInRecord, StorageError, Store as _, Transaction as _};
use portolan_tenant::throttle::Client;
use portolan_tenant::{Opaque, Parameters, Rule, grant};

use super::authorize::{Checked, check, hint, may_show_a_page, refuse, send_code};
use super::bearer::hinted;
use super::{Context, Service, answer, cookie, decode, form, pages, password};

/// The cookie of a session.
pub(super) const SESSION_COOKIE: &str = "__Host-portolan_session";

/// The cookie of a browser in which somebody signed in before.
pub(super) const DEVICE_COOKIE: &str = "__Host-portolan_device";

/// The cookie that ties a form to its browser.
pub(super) const FORM_COOKIE: &str = "__Host-portolan_form";

/// What all cookies are: for this host alone, over TLS, out of any script's sight.
const COOKIE_FLAGS: &str = "; Path=/; Secure; HttpOnly; SameSite=Lax";

pub(super) fn routes() -> Router<Service> {
    Router::new()
        .route("/", get(get_account))
        .route("/style.css", get(get_style))
        .route("/{tenant}/login", post(post_login))
        .route("/{tenant}/oauth2/v2.0/logout", get(get_logout).post(post_logout))
}

async fn get_style() -> Response {
    let headers = [(header::CONTENT_TYPE, "text/css"), (header::CACHE_CONTROL, "max-age=86400")];
    (headers, pages::STYLE).into_response()
}

/// The sign-in page, for a request of an application or for the account page, with the name that
/// was typed before or that the application gave.
pub(super) fn page(
    service: &Service,
    context: &Context,
    headers: &HeaderMap,
    asked: Option<(&Application, &Request)>,
    text: &str,
    complaint: Option<Rule>,
    typed: Option<&str>,
) -> Response {
    let hinted = || asked.map(|(_, request)| hint(request)).unwrap_or_default();
    let name = typed.map_or_else(hinted, str::to_owned);
    let known = cookie(headers, FORM_COOKIE);
    let fresh = known.is_none();
    let canary = known.unwrap_or_else(|| Opaque::draw(&mut SystemEntropy));
    let asking = pages::Asking {
        organisation: service.tenant().domain.as_str(),
        application: asked.map(|(application, _)| application.name.as_str()),
        permissions: asked.map(|(_, request)| request.scopes.sentences()).unwrap_or_default(),
        action: &format!("/{}/login", service.tenant().id),
        canary: canary.expose(),
        request: text,
        name: &name,
        complaint,
        back: asked.map(|(_, request)| &request.back),
    };
    let answer = pages::sign_in(context, asking);
    if fresh { with_cookie(answer, FORM_COOKIE, Some(&canary)) } else { answer }
}

fn with_cookie(mut answer: Response, name: &str, value: Option<&Opaque>) -> Response {
    let text = match value {
        // It outlives the browser: the others end with it.
        Some(value) if name == DEVICE_COOKIE => {
            let seconds = grant::DEVICE_LIFETIME.whole_seconds();
            format!("{name}={}; Max-Age={seconds}{COOKIE_FLAGS}", value.expose())
        }
        Some(value) => format!("{name}={}{COOKIE_FLAGS}", value.expose()),
        None => format!("{name}=; Max-Age=0{COOKIE_FLAGS}"),
    };
    if let Ok(mut text) = HeaderValue::try_from(text) {
        text.set_sensitive(true);
        answer.headers_mut().append(header::SET_COOKIE, text);
    }
    answer
}

async fn post_login(
    State(service): State<Service>,
    context: Context,
    Path(tenant): Path<String>,
    request: HttpRequest,
) -> Response {
    let organisation = service.tenant().domain.as_str();
    if !service.tenant().answers_to(&tenant) {
        return pages::error(&context, organisation, Rule::UnknownTenant);
    }
    let headers = request.headers().clone();
    let parameters = match form(request).await {
        Ok(parameters) => parameters,
        Err(rule) => return pages::error(&context, organisation, rule),
    };
    if !comes_from_our_page(&service, &headers, &parameters) {
        return pages::error(&context, organisation, Rule::StalePage);
    }
    let outcome = sign_in_with(&service, &context, &headers, &parameters).await;
    outcome.unwrap_or_else(|error| {
        pages::error(&context, organisation, answer::unavailable(&context, &error))
    })
}

pub(super) fn comes_from_our_page(
    service: &Service,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> bool {
    let said = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let own_origin = format!("https://{}", service.tenant().login_host());
    let from_here = said("sec-fetch-site")
        .is_none_or(|site| site == "same-origin" || site == "none")
        && said("origin").is_none_or(|origin| origin == own_origin);
    let (Some(cookie), Some(field)) = (cookie(headers, FORM_COOKIE), parameters.optional("canary"))
    else {
        return false;
    };
    let same = aws_lc_rs::constant_time::verify_slices_are_equal(
        cookie.expose().as_bytes(),
        field.as_bytes(),
    );
    from_here && same.is_ok()
}

async fn sign_in_with(
    service: &Service,
    context: &Context,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<Response, StorageError> {
    let organisation = service.tenant().domain.as_str();
    let text = parameters.optional("request").unwrap_or_default();
    let asked = if text.is_empty() { None } else { Some(check(service, text).await?) };
    let asked = match asked {
        None => None,
        Some(Ok(checked)) if may_show_a_page(&checked.request) => Some(checked),
        Some(Ok(_)) => return Ok(pages::error(context, organisation, Rule::StalePage)),
        Some(Err(refused)) => return Ok(refuse(service, context, refused)),
    };
    let name = parameters.optional("loginfmt").unwrap_or_default().trim().to_owned();
    let password = parameters.optional("passwd").unwrap_or_default().to_owned();
    let start = Start {
        prompt: Prompt::Always,
        age_seconds_max: None,
        person: asked.as_ref().and_then(|checked| checked.person),
        session: None,
        submission: Some(Submission { name: name.clone(), password: SecretString::new(password) }),
        client: context.client,
        policy: service.0.policy,
    };
    let mut tx = service.store().begin(Access::Write).await?;
    let (end, user) = sign_in::run(&mut tx, &start, context.now).await?;
    let record = SignInRecord {
        user,
        client_id: asked.as_ref().map(|checked| checked.application.client_id),
        rule: match end {
            End::Ask(rule) => rule,
            End::Refuse(rule) => Some(rule),
            End::SignedIn { .. } => None,
        },
        ..context.record("password")
    };
    keep_record(service, &mut tx, &record).await?;
    let End::SignedIn { user, .. } = end else {
        let must_choose = password::due(&mut tx, record.rule, record.user).await?;
        tx.commit().await?;
        if must_choose.is_some() {
            return Ok(password::page(service, headers, text, &name, None));
        }
        let asked = asked.as_ref().map(|checked| (&checked.application, &checked.request));
        return Ok(page(service, context, headers, asked, text, record.rule, Some(&name)));
    };
    // A new session in any case: one that was planted before is worth nothing afterwards.
    if let Some(old) = cookie(headers, SESSION_COOKIE) {
        tx.end_session(&old.digest()).await?;
    }
    let (session, secret) = grant::session(user.id, context.now, &mut SystemEntropy);
    tx.put_session(&session).await?;
    let presented = cookie(headers, DEVICE_COOKIE);
    let device =
        grant::device(&mut tx, presented, user.id, context.now, &mut SystemEntropy).await?;
    let answer = match asked {
        Some(Checked { request, .. }) => {
            let code =
                grant::code(&mut tx, &request, &session, context.now, &mut SystemEntropy).await?;
            send_code(service, &request.back, &code)
        }
        None => (StatusCode::SEE_OTHER, [(header::LOCATION, "/")]).into_response(),
    };
    tx.commit().await?;
    let answer = with_cookie(answer, SESSION_COOKIE, Some(&secret));
    Ok(with_cookie(answer, DEVICE_COOKIE, Some(&device)))
}

/// Writes a line of the sign-in log, for the operator and into the store. A failure of a place that
/// failed very often of late is told to the operator alone: the store's log is bounded, and nobody is
/// to push the others' lines out of it.
pub(super) async fn keep_record(
    service: &Service,
    tx: &mut SqliteTransaction,
    record: &SignInRecord,
) -> Result<(), StorageError> {
    log(record);
    let site = Client { address: record.address, device: None }.site();
    let is_kept =
        record.rule.is_none() || service.rates().logged_failures.admit(site, 1, record.at);
    if is_kept { tx.record_sign_in(record).await } else { Ok(()) }
}

/// A line of the sign-in log for the operator.
pub(super) fn log(record: &SignInRecord) {
    tracing::info!(
        target: "portolan::sign_in",
        correlation_id = %record.correlation_id,
        user = record.user.map(|id| id.to_string()),
        client_id = record.client_id.map(|id| id.to_string()),
        method = record.method,
        error = record.rule.map(Rule::number),
        "Sign-in"
    );
}

async fn get_account(
    State(service): State<Service>,
    context: Context,
    headers: HeaderMap,
) -> Response {
    let organisation = service.tenant().domain.as_str();
    match signed_in(&service, &context, &headers).await {
        Ok(Some((name, upn))) => {
            let sign_out = format!("/{}/oauth2/v2.0/logout", service.tenant().id);
            pages::account(organisation, &name, &upn, &sign_out)
        }
        Ok(None) => page(&service, &context, &headers, None, "", None, None),
        Err(error) => pages::error(&context, organisation, answer::unavailable(&context, &error)),
    }
}

/// The display name and user principal name of who is signed in.
async fn signed_in(
    service: &Service,
    context: &Context,
    headers: &HeaderMap,
) -> Result<Option<(String, String)>, StorageError> {
    let Some(presented) = cookie(headers, SESSION_COOKIE) else { return Ok(None) };
    let mut tx = service.store().begin(Access::Read).await?;
    let session = tx.session(&presented.digest()).await?;
    let start = Start {
        prompt: Prompt::IfNeeded,
        age_seconds_max: None,
        person: None,
        session,
        submission: None,
        client: context.client,
        policy: service.0.policy,
    };
    let (end, _) = sign_in::run(&mut tx, &start, context.now).await?;
    let End::SignedIn { user, .. } = end else { return Ok(None) };
    let upn = user.upn().unwrap_or_default().to_owned();
    Ok(Some((user.display_name().unwrap_or(&upn).to_owned(), upn)))
}

async fn get_logout(
    State(service): State<Service>,
    context: Context,
    Path(tenant): Path<String>,
    RawQuery(text): RawQuery,
    headers: HeaderMap,
) -> Response {
    let parameters = decode(text.as_deref().unwrap_or_default());
    sign_out(&service, &context, &tenant, &headers, parameters).await
}

async fn post_logout(
    State(service): State<Service>,
    context: Context,
    Path(tenant): Path<String>,
    request: HttpRequest,
) -> Response {
    let headers = request.headers().clone();
    sign_out(&service, &context, &tenant, &headers, form(request).await).await
}

/// Ends the session ([OpenID Connect RP-Initiated Logout]), whatever else the request says. It sends
/// the person on only to an address of the application that the request names, by its id, by an ID
/// token, or by both alike.
///
/// [OpenID Connect RP-Initiated Logout]: https://openid.net/specs/openid-connect-rpinitiated-1_0.html
async fn sign_out(
    service: &Service,
    context: &Context,
    tenant: &str,
    headers: &HeaderMap,
    parameters: Result<Parameters, Rule>,
) -> Response {
    let organisation = service.tenant().domain.as_str();
    if !service.tenant().answers_to(tenant) {
        return pages::error(context, organisation, Rule::UnknownTenant);
    }
    match end_session(service, headers, &parameters.unwrap_or_default()).await {
        Ok(next) => {
            let answer = match next {
                Some(next) => (StatusCode::SEE_OTHER, AppendHeaders([(header::LOCATION, next)]))
                    .into_response(),
                None => pages::signed_out(organisation),
            };
            with_cookie(answer, SESSION_COOKIE, None)
        }
        Err(error) => pages::error(context, organisation, answer::unavailable(context, &error)),
    }
}

/// The application that a sign-out names; `None` when it names none, or two.
fn named_application(service: &Service, parameters: &Parameters) -> Option<Guid> {
    let by_id = parameters.optional("client_id").map(|text| text.parse().ok());
    let by_token = parameters
        .optional("id_token_hint")
        .map(|token| hinted(service, token).and_then(|claims| claims.aud.parse().ok()));
    match (by_id, by_token) {
        (Some(by_id), Some(by_token)) => by_id.filter(|_| by_id == by_token),
        (one, other) => one.or(other).flatten(),
    }
}

async fn end_session(
    service: &Service,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<Option<String>, StorageError> {
    let mut tx = service.store().begin(Access::Write).await?;
    if let Some(presented) = cookie(headers, SESSION_COOKIE) {
        tx.end_session(&presented.digest()).await?;
    }
    let client_id = named_application(service, parameters);
    let next = match (client_id, parameters.optional("post_logout_redirect_uri")) {
        (Some(client_id), Some(uri)) => {
            let application = tx.application(client_id).await?;
            application.and_then(|application| application.redirect_uri(uri))
        }
        _ => None,
    };
    tx.commit().await?;
    Ok(next.map(|uri| {
        let text = uri.to_string();
        match parameters.optional("state") {
            Some(state) => {
                let separator = if text.contains('?') { '&' } else { '?' };
                let state = form_urlencoded::Serializer::new(String::new())
                    .append_pair("state", state)
                    .finish();
                format!("{text}{separator}{state}")
            }
            None => text,
        }
    }))
}
