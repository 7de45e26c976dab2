//! The photo of a user on its way to a tenant of ours or to a Graph: it is sent beside the attributes, when it is another one.
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
use portolan_sync::target::graph::{Change, Picture};
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
    let photo = wished(export, names, doubtful)?.map(|photo| STANDARD.encode(photo.octets()));
    Some(Operation::Photo { anchor: export.anchor.to_string(), photo })
}

/// The same at a Graph, whose doubtful users may be there with any photo.
pub(super) fn change(
    export: &Export,
    names: &Dictionary,
    doubtful: &BTreeSet<String>,
) -> Option<Change> {
    let picture =
        |photo: Photo| Picture { media_type: photo.media_type(), octets: photo.octets().to_vec() };
    let photo = wished(export, names, doubtful)?.map(picture);
    Some(Change::Photo { user: export.anchor.clone(), photo })
}

/// The photo that is sent of an export, or that there is none; `None` when nothing is.
fn wished(
    export: &Export,
    names: &Dictionary,
    doubtful: &BTreeSet<String>,
) -> Option<Option<Photo>> {
    let (wished, before) = of_export(export, names)?;
    let photo = wished.and_then(|value| taken(value).ok());
    let is_sent = match &export.confirmed {
        None => photo.is_some() || doubtful.contains(export.anchor.as_str()),
        // Of whom nothing is known begins anew, without a photo.
        Some(confirmed) if confirmed.is_empty() => photo.is_some(),
        Some(_) => wished != before || doubtful.contains(export.anchor.as_str()),
    };
    is_sent.then_some(photo)
}

/// What is to be kept of the photo of an export that was taken; `result` is what came of its operation.
pub(super) fn remark(
    export: &Export,
    names: &Dictionary,
    result: Option<&OperationResult>,
) -> Option<Remark> {
    let refused = result.and_then(super::tenant::refusal).map(|refused| {
        let code = result.and_then(|result| result.code.clone());
        (code.unwrap_or_else(|| "refused".to_owned()), refused.why)
    });
    remark_of(export, names, result.is_some(), refused)
}

/// The same of what was sent or not, and why the target did not take it.
pub(super) fn remark_of(
    export: &Export,
    names: &Dictionary,
    is_sent: bool,
    refused: Option<(String, String)>,
) -> Option<Remark> {
    let (wished, before) = of_export(export, names)?;
    if wished == before && !is_sent {
        return None;
    }
    let invalid = wished.and_then(|value| taken(value).err());
    let refusal = invalid.map(|why| (INVALID.to_owned(), why.to_string())).or(refused);
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

#[cfg(test)]
mod tests {
    use portolan_store::state::{Place, TargetKey};
    use portolan_sync::engine::{ConnectorId, MetaverseKey};

    use super::*;

    const GIF: &[u8] = b"GIF89a";
    const OTHER: &[u8] = b"GIF87a";
    const NONE: &[u8] = b"no picture";

    /// An export of a user who has the first photo at the target and is to have the second.
    fn export(
        names: &mut Dictionary,
        before: Option<Option<&[u8]>>,
        after: Option<&[u8]>,
    ) -> Export {
        let (photo, name) =
            (names.intern(ATTRIBUTE).unwrap(), names.intern("displayName").unwrap());
        let record = |octets: Option<&[u8]>| -> Record {
            let photo = octets.map(|octets| (photo, vec![Value::Octets(octets.to_vec())]));
            photo.into_iter().chain([(name, vec![Value::Text("Ann".to_owned())])]).collect()
        };
        let pending = record(after);
        Export {
            key: TargetKey(1),
            place: Place::default(),
            connector: ConnectorId(1),
            metaverse: MetaverseKey(1),
            kind: TenantKind::User,
            anchor: "ann".parse().unwrap(),
            pending: match before {
                None => PendingExport::Add(pending),
                Some(_) => PendingExport::Update(pending),
            },
            confirmed: before.map(record),
            attempts: 0,
        }
    }

    /// What is sent of a photo: nothing, that there is none, or it.
    fn sent(export: &Export, names: &Dictionary, doubtful: &[&str]) -> Option<Option<Vec<u8>>> {
        let doubtful = doubtful.iter().map(|anchor| (*anchor).to_owned()).collect();
        match operation(export, names, &doubtful)? {
            Operation::Photo { photo, .. } => {
                Some(photo.map(|photo| STANDARD.decode(photo).unwrap()))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_photo_is_sent_when_it_is_another_one_and_what_is_none_takes_the_former_away() {
        let mut names = Dictionary::default();
        let mut check = |before, after, doubtful: &[&str], expected: Option<Option<&[u8]>>| {
            let export = export(&mut names, before, after);
            let expected = expected.map(|photo| photo.map(<[u8]>::to_vec));
            assert_eq!(sent(&export, &names, doubtful), expected, "{before:?} {after:?}");
        };
        check(None, Some(GIF), &[], Some(Some(GIF)));
        check(None, None, &[], None);
        check(None, Some(NONE), &[], None);
        check(None, None, &["bob"], None);
        check(None, None, &["ann"], Some(None));
        check(Some(Some(GIF)), Some(GIF), &[], None);
        check(Some(Some(GIF)), Some(OTHER), &[], Some(Some(OTHER)));
        check(Some(Some(GIF)), None, &[], Some(None));
        check(Some(Some(GIF)), Some(NONE), &[], Some(None));
        check(Some(Some(NONE)), Some(NONE), &[], None);
        check(Some(None), Some(GIF), &[], Some(Some(GIF)));
    }

    #[test]
    fn who_begins_anew_has_none_already_and_what_is_no_user_gets_none() {
        let mut names = Dictionary::default();
        let mut anew = export(&mut names, Some(None), None);
        anew.confirmed = Some(Record::default());
        assert_eq!(sent(&anew, &names, &[]), None);
        let mut device = export(&mut names, None, Some(GIF));
        device.kind = TenantKind::Device;
        assert_eq!(sent(&device, &names, &[]), None);
        device.pending = PendingExport::Delete;
        assert_eq!(sent(&device, &names, &[]), None);
    }

    #[test]
    fn what_was_not_taken_is_kept_until_another_one_is() {
        let mut names = Dictionary::default();
        let result = |code: Option<&str>| OperationResult {
            anchor: "ann".to_owned(),
            status: if code.is_some() { "refused" } else { "ok" }.to_owned(),
            id: None,
            code: code.map(str::to_owned),
            message: None,
            matched: None,
            quarantined: Vec::new(),
        };
        let mut check =
            |before, after, result: Option<OperationResult>, expected: Option<Option<&str>>| {
                let export = export(&mut names, before, after);
                let kept = remark(&export, &names, result.as_ref()).map(|remark| remark.refusal);
                let kept = kept.map(|refusal| refusal.map(|(code, _)| code));
                assert_eq!(kept, expected.map(|code| code.map(str::to_owned)));
            };
        check(None, Some(NONE), None, Some(Some(INVALID)));
        check(Some(Some(GIF)), Some(NONE), Some(result(None)), Some(Some(INVALID)));
        check(Some(Some(NONE)), Some(NONE), None, None);
        check(Some(Some(NONE)), Some(GIF), Some(result(None)), Some(None));
        check(Some(Some(NONE)), None, Some(result(None)), Some(None));
        check(None, Some(GIF), Some(result(Some("tooNew"))), Some(Some("tooNew")));
        check(None, None, None, None);
    }

    #[test]
    fn a_photo_of_which_the_digest_alone_is_known_is_no_other() {
        let mut names = Dictionary::default();
        let of = |names: &mut Dictionary, octets: Option<&[u8]>| {
            let PendingExport::Add(record) = export(names, None, octets).pending else { panic!() };
            record
        };
        let digest = held::photo(&Photo::new(GIF.to_vec()).unwrap());
        for (octets, expected) in [(Some(GIF), true), (Some(OTHER), false), (None, false)] {
            let record = of(&mut names, octets);
            assert_eq!(is_of(&names, &record, Some(&digest)), expected);
            assert_eq!(is_of(&names, &record, None), octets.is_none());
        }
        let none = of(&mut names, Some(NONE));
        assert!(is_of(&names, &none, None), "what is not sent is not there");
        let Value::Octets(stand_in) = unknown(&digest) else { panic!() };
        let record = of(&mut names, Some(&stand_in));
        assert!(!is_of(&names, &record, Some(&digest)) && Photo::new(stand_in).is_err());
    }
}
