//! The authorization endpoint: it asks the person, or answers the application.

use axum::Router;
use axum::extract::{Path, RawQuery, Request as HttpRequest, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use portolan_model::Guid;
use portolan_net::entropy::SystemEntropy;
use portolan_tenant::application::Application;
use portolan_tenant::authorize::{self, Prompt, Refused, Request, ResponseMode, ReturnAddress};
use portolan_tenant::sign_in::{self, End, Start};
use portolan_tenant::storage::{Access, SignInRecord, StorageError, Store as _, Transaction as _};
use portolan_tenant::{Opaque, Parameters, Rule, grant};

use super::bearer::person_of;
use super::{Context, Service, answer, cookie, decode, form_text, login, pages};

/// Characters of a name that the page begins with.
const HINT_CHARS_MAX: usize = 128;

pub(super) fn routes() -> Router<Service> {
    // Both ways are due (OpenID Connect Core section 3.1.2.1).
    Router::new().route("/{tenant}/oauth2/v2.0/authorize", get(get_authorize).post(post_authorize))
}

/// A request of an application that is known, as text and checked.
pub(super) struct Checked {
    pub(super) application: Application,
    pub(super) request: Request,
    /// The one person who will do, if the request names one.
    pub(super) person: Option<Guid>,
}

async fn get_authorize(
    State(service): State<Service>,
    context: Context,
    Path(tenant): Path<String>,
    RawQuery(text): RawQuery,
    headers: HeaderMap,
) -> Response {
    respond(&service, &context, &tenant, &headers, Ok(text.unwrap_or_default())).await
}

async fn post_authorize(
    State(service): State<Service>,
    context: Context,
    Path(tenant): Path<String>,
    request: HttpRequest,
) -> Response {
    let headers = request.headers().clone();
    let text = form_text(request).await;
    respond(&service, &context, &tenant, &headers, text).await
}

async fn respond(
    service: &Service,
    context: &Context,
    tenant: &str,
    headers: &HeaderMap,
    text: Result<String, Rule>,
) -> Response {
    let organisation = service.tenant().domain.as_str();
    if !service.tenant().answers_to(tenant) {
        return pages::error(context, organisation, Rule::UnknownTenant);
    }
    let text = match text {
        Ok(text) => text,
        Err(rule) => return pages::error(context, organisation, rule),
    };
    answer_request(service, context, &text, headers).await.unwrap_or_else(|error| {
        pages::error(context, organisation, answer::unavailable(context, &error))
    })
}

async fn answer_request(
    service: &Service,
    context: &Context,
    text: &str,
    headers: &HeaderMap,
) -> Result<Response, StorageError> {
    let Checked { application, request, person } = match check(service, text).await? {
        Ok(checked) => checked,
        Err(refused) => return Ok(refuse(service, context, refused)),
    };
    let presented = cookie(headers, login::SESSION_COOKIE);
    // Only a session can end in a code, and only a code is written.
    let access = if presented.is_some() { Access::Write } else { Access::Read };
    let mut tx = service.store().begin(access).await?;
    let session = match &presented {
        Some(cookie) => tx.session(&cookie.digest()).await?,
        None => None,
    };
    let start = Start {
        prompt: request.prompt,
        age_seconds_max: request.age_seconds_max,
        person,
        session: session.clone(),
        submission: None,
        client: context.client,
        policy: service.0.policy,
    };
    let (end, _) = sign_in::run(&mut tx, &start, context.now).await?;
    match (end, session) {
        (End::SignedIn { user, method, .. }, Some(session)) => {
            let code =
                grant::code(&mut tx, &request, &session, context.now, &mut SystemEntropy).await?;
            let record = SignInRecord {
                user: Some(user.id),
                client_id: Some(application.client_id),
                ..context.record(method.as_str())
            };
            login::keep_record(service, &mut tx, &record).await?;
            tx.commit().await?;
            Ok(send_code(service, &request.back, &code))
        }
        (End::Refuse(rule), _) => Ok(send_error(service, context, &request.back, rule)),
        (End::Ask(rule), _) => {
            let asked = Some((&application, &request));
            Ok(login::page(service, context, headers, asked, text, rule, None))
        }
        (End::SignedIn { .. }, None) => {
            Ok(send_error(service, context, &request.back, Rule::LoginRequired))
        }
    }
}

/// Reads and checks a request as it came in the query string, or as the form brought it back.
pub(super) async fn check(
    service: &Service,
    text: &str,
) -> Result<Result<Checked, Refused>, StorageError> {
    let parameters: Parameters = match decode(text) {
        Ok(parameters) => parameters,
        Err(rule) => return Ok(Err(Refused::OnPage(rule))),
    };
    let client_id = match authorize::client_id(&parameters) {
        Ok(client_id) => client_id,
        Err(rule) => return Ok(Err(Refused::OnPage(rule))),
    };
    let mut tx = service.store().begin(Access::Read).await?;
    let Some(application) = tx.application(client_id).await? else {
        return Ok(Err(Refused::OnPage(Rule::UnknownApplication)));
    };
    Ok(authorize::check(&parameters, &application, service.tenant()).and_then(|request| {
        let person = match &request.id_token_hint {
            None => None,
            Some(hint) => match person_of(service, hint, application.client_id) {
                None => return Err(Refused::Back(request.back, Rule::InvalidRequest)),
                person => person,
            },
        };
        Ok(Checked { application, request, person })
    }))
}

/// Says that a request is refused, to whom it may be said.
pub(super) fn refuse(service: &Service, context: &Context, refused: Refused) -> Response {
    match refused {
        Refused::OnPage(rule) => pages::error(context, service.tenant().domain.as_str(), rule),
        Refused::Back(back, rule) => send_error(service, context, &back, rule),
    }
}

/// The name that a page begins with.
pub(super) fn hint(request: &Request) -> String {
    request.login_hint.iter().flat_map(|hint| hint.chars()).take(HINT_CHARS_MAX).collect()
}

/// Whether a request lets a page be shown at all.
pub(super) fn may_show_a_page(request: &Request) -> bool {
    request.prompt != Prompt::None
}

/// Sends a code to the application.
pub(super) fn send_code(service: &Service, back: &ReturnAddress, code: &Opaque) -> Response {
    let fields = vec![("code", code.expose().to_owned())];
    send(service, back, fields)
}

/// Sends an error to the application.
fn send_error(service: &Service, context: &Context, back: &ReturnAddress, rule: Rule) -> Response {
    let fields = vec![
        ("error", rule.shown().oauth().to_owned()),
        ("error_description", context.incident(rule).description()),
    ];
    send(service, back, fields)
}

fn send(
    service: &Service,
    back: &ReturnAddress,
    mut fields: Vec<(&'static str, String)>,
) -> Response {
    fields.extend(back.state.clone().map(|state| ("state", state)));
    // Who answered (RFC 9207): against mixing up two issuers.
    fields.push(("iss", service.tenant().issuer()));
    if back.mode == ResponseMode::FormPost {
        return pages::post(service.tenant().domain.as_str(), back, &fields);
    }
    let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
    let uri = back.uri.as_str();
    let separator = match back.mode {
        ResponseMode::Fragment => '#',
        _ if uri.contains('?') => '&',
        _ => '?',
    };
    (StatusCode::SEE_OTHER, [(header::LOCATION, format!("{uri}{separator}{text}"))]).into_response()
}
