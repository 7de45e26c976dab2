//! What the engine decides about: objects of a connector space, of the metaverse and of a target, and
//! the links between them.

use portolan_model::{Guid, SourceAnchor};

use crate::dictionary::AttributeId;
use crate::forest::ObjectKind;
use crate::kind::TenantKind;
use crate::record::Record;
use crate::rules::{MetaverseKind, RuleId};

/// A connected system in a state: a forest or a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectorId(pub u16);

/// An object of a connector space in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(pub i64);

/// An object of the metaverse in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetaverseKey(pub i64);

/// How an object of a connector space came to its metaverse object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkKind {
    /// By a rule that provisions: it was projected, or joined to one that was there. The metaverse
    /// object is there as long as such a link is, or a sticky one.
    Provisioned,
    /// By a rule that joins alone: it ends with the scope, and keeps nothing.
    Joined,
    /// By a rule that joins for good: it stays when the object leaves the scope.
    StickyJoined,
}

/// The link of an object to the metaverse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// To which metaverse object.
    pub metaverse: MetaverseKey,
    /// How it came about.
    pub kind: LinkKind,
}

/// A staging object: an object of a forest as it was last imported. One without a link is a
/// disconnector. What is known by a reference alone is a placeholder, and none of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// Which it is.
    pub key: ObjectKey,
    /// Of which forest.
    pub connector: ConnectorId,
    /// Its objectGUID, in the order in which the directory stores its octets.
    pub guid: Guid,
    /// What it is.
    pub kind: ObjectKind,
    /// Its name when it was imported.
    pub dn: String,
    /// Its attributes as rules read them: with its name and objectGUID ([`Record::named`]).
    pub record: Record,
    /// Its link, if it has one.
    pub link: Option<Link>,
    /// The sourceAnchor that was set for it, which never changes.
    pub anchor: Option<SourceAnchor>,
}

/// Where a value of the metaverse comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueOrigin {
    /// The attribute.
    pub attribute: AttributeId,
    /// The object that gave it.
    pub object: ObjectKey,
    /// The rule by which.
    pub rule: RuleId,
    /// Since when the attribute has these values: seconds since 1970.
    pub since: u32,
}

/// An object of the metaverse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaverseObject {
    /// Which it is.
    pub key: MetaverseKey,
    /// What it is.
    pub kind: MetaverseKind,
    /// Its attributes.
    pub record: Record,
    /// For each of them where it comes from, in the same order; of merged values the rule that wins.
    pub lineage: Vec<ValueOrigin>,
}

/// Which references a target's object gets, and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Feed {
    /// The target's attribute.
    pub attribute: AttributeId,
    /// The staging object that has them.
    pub object: ObjectKey,
    /// The attribute there.
    pub source: AttributeId,
}

/// What is to be done to a target's object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PendingExport {
    /// Make it, with these attributes.
    Add(Record),
    /// Give it these attributes in place of those it has.
    Update(Record),
    /// Delete it.
    Delete,
}

impl PendingExport {
    /// Whether the object is to be made.
    #[must_use]
    pub const fn is_add(&self) -> bool {
        matches!(self, Self::Add(_))
    }
}

/// An object of a target's connector space: what the target confirmed, and what it is to get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetObject {
    /// In which target.
    pub connector: ConnectorId,
    /// Its metaverse object. A metaverse object has one object in a target at most.
    pub metaverse: MetaverseKey,
    /// What it is.
    pub kind: TenantKind,
    /// What identifies it, for ever.
    pub anchor: SourceAnchor,
    /// The hologram: its attributes as the target acknowledged them last; `None` when it has none of it.
    pub confirmed: Option<Record>,
    /// What is to be done to it.
    pub pending: Option<PendingExport>,
    /// Which references it gets.
    pub feeds: Vec<Feed>,
    /// Whether its password hash is synchronised.
    pub password: bool,
}

/// Everything that is decided together: a metaverse object, all objects that are linked to it, and its
/// objects in the targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbourhood {
    /// The metaverse object. `None` when it is to be made, and then the links of the staging objects
    /// have the number that it gets; or when it is gone, and its objects in targets are not.
    pub metaverse: Option<MetaverseObject>,
    /// The staging objects that are linked, in ascending order of their keys. One that is gone from its
    /// forest is none of them.
    pub staged: Vec<Staged>,
    /// The targets' objects, one in a target at most; besides, of a target where it has none, those
    /// whose metaverse object is gone and that have the anchor of a staging object: they are adopted.
    pub targets: Vec<TargetObject>,
}
