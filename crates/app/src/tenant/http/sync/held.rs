//! What of the directory is a sync server's: the list, digests of what is listed, and what is behind them.

use axum::Json;
use axum::extract::{Query, Request, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use portolan_model::SourceAnchor;
use portolan_store::tenant::SqliteTransaction;
use portolan_tenant::directory::Reference;
use portolan_tenant::held;
use portolan_tenant::storage::{Access, StorageError, Store as _, Transaction as _};
use portolan_tenant::wire::{
    BODY_OCTETS_MAX, HeldObject, HeldResponse, OPERATIONS_MAX, ObjectsRequest, ObjectsResponse,
    OwnedObject, ReadUpToResponse, ReferencesResponse,
};
use serde::Deserialize;

use super::{Refused, is_json, refuse, sender};
use crate::tenant::http::{Context, FORM_OCTETS_MAX, Service, body};

/// Objects on a page of what is a sync server's.
const OBJECTS_MAX: u32 = 2_000;

/// Which page, and what of its objects.
#[derive(Deserialize)]
pub(super) struct Page {
    #[serde(default)]
    after: String,
    with: Option<With>,
}

/// What is told of an object besides what it is.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum With {
    /// The digests of its attributes and of its photo.
    Content,
    /// The digest of whom it refers to.
    References,
}

/// Which object's references, by which attribute, and from where.
#[derive(Deserialize)]
pub(super) struct Referring {
    anchor: String,
    attribute: String,
    #[serde(default)]
    after: String,
}

pub(super) async fn get_objects(
    State(service): State<Service>,
    context: Context,
    Query(page): Query<Page>,
    headers: HeaderMap,
) -> Response {
    match objects(&service, &context, &page, &headers).await {
        Ok(answer) => Json(answer).into_response(),
        Err(refused) => refuse(&context, refused),
    }
}

async fn objects(
    service: &Service,
    context: &Context,
    page: &Page,
    headers: &HeaderMap,
) -> Result<ObjectsResponse, Refused> {
    let client_id = sender(service, context, headers).await?;
    let mut tx = service.store().begin(Access::Read).await?;
    let group = tx.sync_group(client_id).await?;
    if let Some(With::Content) = page.with {
        let held = tx.held_objects(group, &page.after, OBJECTS_MAX).await?;
        let objects = held.into_iter().map(Into::into).collect();
        return Ok(ObjectsResponse { objects, with_photos: true });
    }
    let owned = tx.owned_objects(group, &page.after, OBJECTS_MAX).await?;
    let digests = match page.with {
        Some(With::References) => {
            let anchors = owned.iter().map(|(anchor, _)| anchor.parse::<SourceAnchor>());
            let anchors: Vec<_> = anchors.collect::<Result<_, _>>().map_err(StorageError::new)?;
            tx.held_references(group, &anchors.iter().collect::<Vec<_>>()).await?
        }
        _ => Default::default(),
    };
    let object = |(anchor, kind): (String, String)| OwnedObject {
        references: digests.get(&anchor).and_then(|digest| digest.to_text()),
        content: None,
        photo: None,
        password: false,
        anchor,
        kind,
    };
    Ok(ObjectsResponse { objects: owned.into_iter().map(object).collect(), with_photos: false })
}

pub(super) async fn post_read(
    State(service): State<Service>,
    context: Context,
    request: Request,
) -> Response {
    match read(&service, &context, request).await {
        Ok(answer) => Json(answer).into_response(),
        Err(refused) => refuse(&context, refused),
    }
}

async fn read(
    service: &Service,
    context: &Context,
    request: Request,
) -> Result<HeldResponse, Refused> {
    let client_id = sender(service, context, request.headers()).await?;
    if !is_json(request.headers()) {
        return Err(Refused::Malformed("The body is not application/json."));
    }
    let octets = body(request.into_body(), FORM_OCTETS_MAX).await.ok_or(Refused::TooLarge)?;
    let asked: ObjectsRequest = serde_json::from_slice(&octets)
        .map_err(|_| Refused::Malformed("The body names no objects."))?;
    let anchors: Vec<SourceAnchor> =
        asked.anchors.iter().filter_map(|anchor| anchor.parse().ok()).collect();
    if asked.anchors.len() > OPERATIONS_MAX || anchors.len() < asked.anchors.len() {
        return Err(Refused::Malformed("Too many objects, or a malformed anchor."));
    }
    let mut tx = service.store().begin(Access::Read).await?;
    let group = tx.sync_group(client_id).await?;
    let owners = tx.owners(&anchors.iter().collect::<Vec<_>>()).await?;
    let (mut objects, mut octets, mut answered) = (Vec::new(), 0, 0);
    for anchor in &anchors {
        if octets > BODY_OCTETS_MAX {
            break;
        }
        answered += 1;
        if owners.get(anchor) != Some(&group) {
            continue;
        }
        let Some(object) = living(&mut tx, anchor).await? else { continue };
        octets += serde_json::to_vec(&object).map_or(0, |json| json.len());
        objects.push(object);
    }
    Ok(HeldResponse { objects, answered })
}

async fn living(
    tx: &mut SqliteTransaction,
    anchor: &SourceAnchor,
) -> Result<Option<HeldObject>, StorageError> {
    let object = tx.object_by_anchor(anchor).await?;
    let object = object.filter(|object| object.deleted_at.is_none());
    Ok(object.map(|object| HeldObject {
        anchor: anchor.to_string(),
        attributes: held::document(&object.attributes),
    }))
}

pub(super) async fn get_read_up_to(
    State(service): State<Service>,
    context: Context,
    headers: HeaderMap,
) -> Response {
    match read_up_to(&service, &context, &headers).await {
        Ok(answer) => Json(answer).into_response(),
        Err(refused) => refuse(&context, refused),
    }
}

async fn read_up_to(
    service: &Service,
    context: &Context,
    headers: &HeaderMap,
) -> Result<ReadUpToResponse, Refused> {
    let client_id = sender(service, context, headers).await?;
    let mut tx = service.store().begin(Access::Read).await?;
    let group = tx.sync_group(client_id).await?;
    Ok(ReadUpToResponse { read_up_to: tx.read_up_to(group).await?.told() })
}

pub(super) async fn get_references(
    State(service): State<Service>,
    context: Context,
    Query(asked): Query<Referring>,
    headers: HeaderMap,
) -> Response {
    match references(&service, &context, &asked, &headers).await {
        Ok(answer) => Json(answer).into_response(),
        Err(refused) => refuse(&context, refused),
    }
}

async fn references(
    service: &Service,
    context: &Context,
    asked: &Referring,
    headers: &HeaderMap,
) -> Result<ReferencesResponse, Refused> {
    let client_id = sender(service, context, headers).await?;
    let reference = Reference::from_word(&asked.attribute)
        .ok_or(Refused::Malformed("The attribute refers to no objects."))?;
    let anchor: SourceAnchor =
        asked.anchor.parse().map_err(|_| Refused::Malformed("The anchor is malformed."))?;
    let mut tx = service.store().begin(Access::Read).await?;
    let group = tx.sync_group(client_id).await?;
    if tx.owners(&[&anchor]).await?.get(&anchor) != Some(&group) {
        return Ok(ReferencesResponse { anchors: Vec::new(), after: None });
    }
    let (anchors, after) = tx.held_page(group, anchor.as_str(), reference, &asked.after).await?;
    Ok(ReferencesResponse { anchors, after })
}
