//! What the engine decides about a neighbourhood, for the state to keep in one transaction.

use portolan_model::SourceAnchor;

use super::model::{
    ConnectorId, Feed, LinkKind, MetaverseKey, ObjectKey, PendingExport, ValueOrigin,
};
use crate::flow::TenantKind;
use crate::record::Record;
use crate::rules::MetaverseKind;

/// What becomes of the metaverse object of a neighbourhood.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum MetaverseEffect {
    /// There is none, and none is made.
    #[default]
    None,
    /// It stays as it is.
    Keep(MetaverseKey),
    /// It has this content from now on.
    Put(MetaverseKey, MetaverseContent),
    /// It is made, and gets a key of its own.
    Make(MetaverseContent),
    /// It is deleted, with the links to it; targets that have it are to delete it.
    Delete(MetaverseKey),
}

/// The content of a metaverse object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaverseContent {
    /// What it is.
    pub kind: MetaverseKind,
    /// Its attributes.
    pub record: Record,
    /// For each of them where it comes from, in the same order.
    pub lineage: Vec<ValueOrigin>,
}

/// An object of a target as it is from now on. What the target confirmed is not decided: the state
/// keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetEffect {
    /// In which target.
    pub connector: ConnectorId,
    /// What it is.
    pub kind: TenantKind,
    /// What identifies it.
    pub anchor: SourceAnchor,
    /// What is to be done to it; `None` when it is as it should be.
    pub pending: Option<PendingExport>,
    /// Which references it gets.
    pub feeds: Vec<Feed>,
    /// Whether its password hash is synchronised.
    pub password: bool,
}

/// Something that is wrong with an object, while the run goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectError {
    /// The object of the connector space.
    pub object: ObjectKey,
    /// What identifies the kind of error. An object has one error of a kind.
    pub code: &'static str,
    /// What is wrong.
    pub text: String,
    /// What to do.
    pub hint: Option<String>,
}

/// What was decided about a neighbourhood. All of it is about one metaverse object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision {
    /// The staging objects that it is about.
    pub objects: Vec<ObjectKey>,
    /// What becomes of the metaverse object.
    pub metaverse: MetaverseEffect,
    /// Objects whose links change: linked to this metaverse object in this way, or to none.
    pub links: Vec<(ObjectKey, Option<LinkKind>)>,
    /// Anchors that are set, for ever.
    pub anchors: Vec<(ObjectKey, SourceAnchor)>,
    /// Objects of targets that change.
    pub targets: Vec<TargetEffect>,
    /// What is wrong now. It takes the place of everything that was wrong with its objects before.
    pub errors: Vec<ObjectError>,
}
