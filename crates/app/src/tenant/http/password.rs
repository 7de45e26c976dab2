//! The step of a sign-in at which a person of the cloud chooses a new password.
//!
//! It is for people whose password the tenant itself holds; one from the forest is changed there. The
//! current password is checked again by the same sign-in, and counted by the same lock.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::post;
use portolan_legacy_crypto::NtHash;
use portolan_legacy_crypto::pph1::CredentialData;
use portolan_model::{Entropy as _, Guid, SecretString};
use portolan_net::entropy::SystemEntropy;
use portolan_store::tenant::SqliteTransaction;
use portolan_tenant::authorize::Prompt;
use portolan_tenant::directory::{Object, Value};
use portolan_tenant::sign_in::{self, End, Start, Submission};
use portolan_tenant::storage::{
    Access, AuditRecord, Credential, SignInRecord, StorageError, Store as _, Transaction as _,
};
use portolan_tenant::{Parameters, Rule};

use super::authorize::{check, may_show_a_page};
use super::{Context, Service, answer, cookie, form, login, pages};

/// Characters that a new password has at least.
const CHARS_MIN: usize = 12;

/// Characters that a new password has at most.
const CHARS_MAX: usize = 256;

/// The attribute that says that a password must be changed.
const CHANGE_REQUIRED: &str = "onPremisesPasswordChangeRequired";

pub(super) fn routes() -> Router<Service> {
    Router::new().route("/{tenant}/password", post(post_password))
}

/// The person of the cloud who has to choose a new password, when a sign-in ended with this rule.
pub(super) async fn due(
    tx: &mut SqliteTransaction,
    rule: Option<Rule>,
    user: Option<Guid>,
) -> Result<Option<Object>, StorageError> {
    match (rule, user) {
        (Some(Rule::PasswordChangeRequired), Some(user)) => {
            Ok(tx.object(user).await?.filter(Object::is_clouds_own))
        }
        _ => Ok(None),
    }
}

/// The page on which they choose it.
pub(super) fn page(
    service: &Service,
    headers: &HeaderMap,
    request: &str,
    name: &str,
    complaint: Option<&'static str>,
) -> Response {
    let canary = cookie(headers, login::FORM_COOKIE);
    pages::password(&pages::Password {
        organisation: service.tenant().domain.as_str(),
        action: &format!("/{}/password", service.tenant().id),
        canary: canary.as_ref().map_or("", |canary| canary.expose()),
        request,
        name,
        complaint,
        chars_min: CHARS_MIN,
    })
}

async fn post_password(
    State(service): State<Service>,
    context: Context,
    Path(tenant): Path<String>,
    request: Request,
) -> Response {
    let organisation = service.tenant().domain.as_str();
    let refuse = |rule| pages::error(&context, organisation, rule);
    if !service.tenant().answers_to(&tenant) {
        return refuse(Rule::UnknownTenant);
    }
    let headers = request.headers().clone();
    let parameters = match form(request).await {
        Ok(parameters) => parameters,
        Err(rule) => return refuse(rule),
    };
    if !login::comes_from_our_page(&service, &headers, &parameters) {
        return refuse(Rule::StalePage);
    }
    let outcome = change(&service, &context, &headers, &parameters).await;
    outcome.unwrap_or_else(|error| refuse(answer::unavailable(&context, &error)))
}

async fn change(
    service: &Service,
    context: &Context,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<Response, StorageError> {
    let text = |name| parameters.optional(name).unwrap_or_default();
    let (name, request) = (text("loginfmt").trim(), text("request"));
    let asked = if request.is_empty() { None } else { check(service, request).await?.ok() };
    let asked = asked.filter(|checked| may_show_a_page(&checked.request));
    let asked = asked.as_ref().map(|checked| (&checked.application, &checked.request));
    let start = Start {
        prompt: Prompt::Always,
        age_seconds_max: None,
        person: None,
        session: None,
        submission: Some(Submission {
            name: name.to_owned(),
            password: SecretString::new(text("passwd").to_owned()),
        }),
        client: context.client,
        policy: service.0.policy,
    };
    let mut tx = service.store().begin(Access::Write).await?;
    let (end, user) = sign_in::run(&mut tx, &start, context.now).await?;
    let rule = match end {
        End::Ask(rule) => rule,
        End::Refuse(rule) => Some(rule),
        End::SignedIn { .. } => None,
    };
    let record = SignInRecord { user, rule, ..context.record("password") };
    login::keep_record(service, &mut tx, &record).await?;
    let Some(user) = due(&mut tx, rule, user).await? else {
        tx.commit().await?;
        return Ok(login::page(service, context, headers, asked, request, rule, Some(name)));
    };
    if let Some(complaint) = fault(name, text("passwd"), text("newpasswd"), text("again")) {
        tx.commit().await?;
        return Ok(page(service, headers, request, name, Some(complaint)));
    }
    set(&mut tx, user, text("newpasswd"), context).await?;
    tx.commit().await?;
    Ok(login::page(service, context, headers, asked, request, None, Some(name)))
}

async fn set(
    tx: &mut SqliteTransaction,
    mut user: Object,
    password: &str,
    context: &Context,
) -> Result<(), StorageError> {
    let hash = NtHash::from_password(password);
    let credential = CredentialData::derive(&hash, SystemEntropy.array());
    let changed_at = context.now;
    user.attributes.set(CHANGE_REQUIRED, Value::Flag(false)).map_err(StorageError::new)?;
    tx.put_object(&user).await?;
    tx.put_credential(user.id, &Credential { credential, changed_at }).await?;
    tx.end_sessions_of(user.id, context.now).await?;
    let actor = user.id.to_string();
    let target = actor.clone();
    tracing::info!(target: "portolan::audit", actor, action = "password.change", "Audit");
    tx.record_audit(&AuditRecord { at: context.now, actor, action: "password.change", target })
        .await
}

/// What is wrong with a new password.
fn fault(name: &str, current: &str, new: &str, again: &str) -> Option<&'static str> {
    let chars = new.chars().count();
    let local = name.split('@').next().unwrap_or_default().to_lowercase();
    if new != again {
        Some("The two new passwords are not the same.")
    } else if chars < CHARS_MIN {
        Some("The new password is too short.")
    } else if chars > CHARS_MAX {
        Some("The new password is too long.")
    } else if new == current {
        Some("The new password is the current one.")
    } else if !local.is_empty() && new.to_lowercase().contains(&local) {
        Some("The new password contains your user name.")
    } else {
        None
    }
}
