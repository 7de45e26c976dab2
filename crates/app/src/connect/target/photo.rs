//! The photo of a user on its way to a tenant of ours: it is sent beside the attributes, when it is another one.
//!
//! What the tenant would not take is not sent, and the user has no photo there then: that of before is not the one
//! that the forest has. So what the tenant is to have follows from a record alone, and can be held against the digest
//! that it tells.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portolan_store::state::{Export, Remark};
use portolan_sync::engine::PendingExport;
use portolan_sync::record::{Record, Value, ValueRef};
use portolan_sync::{Dictionary, TenantKind};
use portolan_tenant::directory::{InvalidPhoto, Photo};
use portolan_tenant::held;
use portolan_tenant::wire::{Operation, OperationResult};

/// The attribute of a record that has it.
pub(in crate::connect) const ATTRIBUTE: &str = "thumbnailPhoto";

/// The code of what is no photo, as the tenant has it.
const INVALID: &str = "invalidPhoto";

/// Whether a name is the photo's.
pub(in crate::connect) const fn is_named(name: &str) -> bool {
    name.eq_ignore_ascii_case(ATTRIBUTE)
}

/// The operation that gives a user the photo of an export, or takes it away; `None` when the tenant has what it is to
/// have. `doubtful` are the anchors of those who may be there without anybody knowing how.
pub(super) fn operation(
    export: &Export,
    names: &Dictionary,
    doubtful: &BTreeSet<String>,
) -> Option<Operation> {
    let (wished, before) = of_export(export, names)?;
    let photo = wished.and_then(|value| taken(value).ok());
    let is_sent = match &export.confirmed {
        None => photo.is_some() || doubtful.contains(export.anchor.as_str()),
        // Of whom nothing is known begins anew, without a photo.
        Some(confirmed) if confirmed.is_empty() => photo.is_some(),
        Some(_) => wished != before,
    };
    if !is_sent {
        return None;
    }
    let photo = photo.map(|photo| STANDARD.encode(photo.octets()));
    Some(Operation::Photo { anchor: export.anchor.to_string(), photo })
}

/// What is to be kept of the photo of an export that was taken; `result` is what came of its operation.
pub(super) fn remark(
    export: &Export,
    names: &Dictionary,
    result: Option<&OperationResult>,
) -> Option<Remark> {
    let (wished, before) = of_export(export, names)?;
    if wished == before && result.is_none() {
        return None;
    }
    let invalid = wished.and_then(|value| taken(value).err());
    let refused = result.and_then(super::tenant::refusal);
    let refusal = match (invalid, refused) {
        (Some(why), _) => Some((INVALID.to_owned(), why.to_string())),
        (None, Some(refused)) => {
            let code = result.and_then(|result| result.code.clone());
            Some((code.unwrap_or_else(|| "refused".to_owned()), refused.why))
        }
        (None, None) => None,
    };
    Some(Remark { key: export.key, attribute: ATTRIBUTE.to_owned(), refusal })
}

/// Whether a tenant with this photo, by its digest, has the one of a record.
pub(in crate::connect) fn is_of(
    names: &Dictionary,
    record: &Record,
    digest: Option<&String>,
) -> bool {
    let own = value(names, record).and_then(|value| taken(value).ok());
    own.map(|photo| held::photo(&photo)).as_ref() == digest
}

/// What a record has for a photo of which the digest alone is known: no photo, and never the same as one.
pub(in crate::connect) fn unknown(digest: &str) -> Value {
    Value::Octets(digest.as_bytes().to_vec())
}

/// The photo of a record, as it is there.
pub(in crate::connect) fn value<'r>(
    names: &Dictionary,
    record: &'r Record,
) -> Option<ValueRef<'r>> {
    record.first(names.id(ATTRIBUTE)?)
}

/// The photo that a user is to have, and the one before; `None` of what is no user that is written.
fn of_export<'e>(
    export: &'e Export,
    names: &Dictionary,
) -> Option<(Option<ValueRef<'e>>, Option<ValueRef<'e>>)> {
    let (PendingExport::Add(record) | PendingExport::Update(record)) = &export.pending else {
        return None;
    };
    let confirmed = export.confirmed.as_ref();
    let before = confirmed.and_then(|confirmed| value(names, confirmed));
    (export.kind == TenantKind::User).then(|| (value(names, record), before))
}

fn taken(value: ValueRef<'_>) -> Result<Photo, InvalidPhoto> {
    match value {
        ValueRef::Octets(octets) => Photo::new(octets.to_vec()),
        _ => Err(InvalidPhoto::UnknownFormat),
    }
}
