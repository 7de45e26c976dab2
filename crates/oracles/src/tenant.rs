//! What reaches the tenant over HTTPS: documents, forms, and the words in them.

use portolan_model::Guid;
use portolan_tenant::application::Application;
use portolan_tenant::authorize::{self, Challenge, Refused};
use portolan_tenant::directory::Kind;
use portolan_tenant::graph::Query;
use portolan_tenant::redirect::RedirectUri;
use portolan_tenant::scope::{Permission, Scopes};
use portolan_tenant::wire::{
    EnrolRequest, EnrolmentFile, ErrorResponse, IngestRequest, IngestResponse, TenantResponse,
};
use portolan_tenant::{Parameters, Tenant};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bytes;
use crate::names::parse;

/// The documents of enrolment and ingest, in both directions.
pub(crate) fn wire(octets: &[u8]) {
    document::<EnrolmentFile>(octets);
    document::<EnrolRequest>(octets);
    document::<TenantResponse>(octets);
    document::<IngestResponse>(octets);
    document::<ErrorResponse>(octets);
    let Some(request) = document::<IngestRequest>(octets) else { return };
    for operation in &request.operations {
        match operation.check() {
            Ok(_) => assert!(operation.anchor().len() <= octets.len()),
            Err(fault) => assert!(!fault.code().is_empty() && !fault.to_string().is_empty()),
        }
    }
}

/// Reads a document; what it is written as reads as the same.
fn document<T: DeserializeOwned + Serialize>(octets: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(octets).ok()?;
    let written = serde_json::to_vec(&value);
    assert!(written.is_ok(), "what was read cannot be written");
    let again = written.as_deref().ok().and_then(|text| serde_json::from_slice::<T>(text).ok());
    let again = again.and_then(|again| serde_json::to_vec(&again).ok());
    assert!(again == written.ok(), "writing is not stable");
    Some(value)
}

/// Query strings and forms, and the requests that are made of them.
pub(crate) fn forms(octets: &[u8]) {
    let pairs = form_urlencoded::parse(octets).into_owned();
    let Ok(parameters) = Parameters::from_pairs(pairs) else { return };
    let _ = format!("{parameters:?}");
    for kind in [Kind::User, Kind::Group] {
        match Query::parse(&parameters, kind) {
            Ok(query) => assert!((1..=999).contains(&query.top)),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    let setting = setting();
    assert!(setting.is_some(), "the tenant is good");
    let Some((tenant, application)) = setting else { return };
    let _ = authorize::client_id(&parameters);
    let registered = |uri: &RedirectUri| application.redirect_uri(uri.as_str()).is_some();
    match authorize::check(&parameters, &application, &tenant) {
        Ok(request) => assert!(registered(&request.back.uri), "an answer goes elsewhere"),
        Err(Refused::Back(back, _)) => assert!(registered(&back.uri), "a refusal goes elsewhere"),
        Err(Refused::OnPage(_)) => {}
    }
}

/// Redirect URIs, scopes, challenges.
pub(crate) fn words(octets: &[u8]) {
    let text = bytes::text(octets);
    if let Some(uri) = parse::<RedirectUri>(text) {
        assert!(uri.as_str().starts_with(uri.origin()), "an origin that the URI does not have");
        assert!(uri.matches(&uri));
    }
    if let Some(challenge) = Challenge::from_text(text) {
        assert!(challenge.as_str() == text && !challenge.accepts(text));
    }
    let Some((tenant, application)) = setting() else { return };
    if let Ok(scopes) = Scopes::parse(text, &tenant, &application.permissions) {
        let again = Scopes::parse(&scopes.to_text(), &tenant, &application.permissions);
        assert_eq!(again.as_ref(), Ok(&scopes));
        assert!(scopes.permissions.iter().all(|given| application.permissions.contains(given)));
    }
}

/// A tenant with an application.
fn setting() -> Option<(Tenant, Application)> {
    let tenant = Tenant {
        id: Guid::NIL,
        domain: "cloud.example".parse().ok()?,
        verified_domains: vec!["corp.example".parse().ok()?],
    };
    let application = Application {
        client_id: Guid::NIL,
        name: "Timesheets".to_owned(),
        redirect_uris: vec!["http://localhost".parse().ok()?, "https://app.example/".parse().ok()?],
        permissions: vec![Permission::UserRead, Permission::GroupReadAll],
        roles: Vec::new(),
        keys: Vec::new(),
    };
    Some((tenant, application))
}
