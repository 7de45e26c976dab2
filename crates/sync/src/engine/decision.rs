//! What the engine decides, for the driver to write down.

use portolan_model::SourceAnchor;

use super::error::{Fault, Note, ObjectError};
use super::model::{ConnectorId, LinkKind, MetaverseKey, MetaverseObject, ObjectKey, TargetObject};
use crate::dictionary::AttributeId;
use crate::record::Value;
use crate::rules::{MetaverseKind, RuleId};

/// A question to the state: which metaverse objects of a kind meet all conditions. Two answers are
/// enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinLookup {
    /// The rule whose join it is.
    pub rule: RuleId,
    /// The kind.
    pub kind: MetaverseKind,
    /// The conditions.
    pub conditions: Vec<JoinCondition>,
}

/// A metaverse attribute has one of these values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinCondition {
    /// The attribute.
    pub attribute: AttributeId,
    /// The values; never none.
    pub values: Vec<Value>,
    /// Whether case counts in texts.
    pub case_sensitive: bool,
}

/// An answer to a [`JoinLookup`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JoinCandidate {
    /// The metaverse object.
    pub metaverse: MetaverseKey,
    /// The object of the same forest that is linked to it, if there is one.
    pub occupied: Option<ObjectKey>,
}

/// What becomes of an object without a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkDecision {
    /// It is a disconnector: no rule's scope holds, or joins found nothing and nothing is provisioned.
    Stay,
    /// It is linked to this metaverse object.
    Join {
        /// Which.
        metaverse: MetaverseKey,
        /// The sort of link.
        kind: LinkKind,
        /// The rule whose join found it.
        rule: RuleId,
    },
    /// A metaverse object of this kind is made for it, and linked to it as provisioned.
    Project {
        /// The kind.
        kind: MetaverseKind,
        /// The rule that provisions it.
        rule: RuleId,
    },
    /// It is a disconnector, because a join went wrong.
    Refused(Fault),
}

/// The link of an object that is linked: another sort from now on, or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkChange {
    /// The object. Once its link ended it is looked at again, as any object without one.
    pub object: ObjectKey,
    /// The sort; `None` when the link ended.
    pub kind: Option<LinkKind>,
}

/// What becomes of the metaverse object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum MetaverseChange {
    /// It stays as it is.
    #[default]
    Same,
    /// It is this one from now on.
    Put(MetaverseObject),
    /// It is gone.
    Deleted,
}

/// What becomes of a target's object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetChange {
    /// It is this one from now on. One of another metaverse object that has the same anchor in the
    /// target was adopted, and is this one's.
    Put(TargetObject),
    /// It was never exported, and is not needed any more.
    Remove(ConnectorId),
}

/// An object without an anchor, and the one that it would have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AnchorClaim {
    /// The staging object whose attributes give it.
    pub object: ObjectKey,
    /// The anchor.
    pub anchor: SourceAnchor,
}

/// What is known of an object's claim to its anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClaimAnswer {
    /// Nothing yet: the decision says what is claimed, and new objects wait.
    #[default]
    Open,
    /// It is nobody else's: the object gets it.
    Granted,
    /// It is another's, or claimed by another: the object gets none.
    Disputed,
}

/// What is decided of a [`Neighbourhood`](super::Neighbourhood).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision {
    /// The metaverse object.
    pub metaverse: MetaverseChange,
    /// Links of another sort, and links that ended.
    pub links: Vec<LinkChange>,
    /// Targets' objects that are other than they were.
    pub targets: Vec<TargetChange>,
    /// The claim that is to be answered before the object gets into targets: decide again then.
    pub claim: Option<AnchorClaim>,
    /// The anchor that a staging object has from now on, for ever.
    pub anchor: Option<AnchorClaim>,
    /// What went wrong. Of an object that is decided again, these replace those of before.
    pub errors: Vec<ObjectError>,
    /// What else is to be told.
    pub notes: Vec<Note>,
}

impl Decision {
    /// Whether there is nothing to write: no change, no claim, no error.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.metaverse == MetaverseChange::Same
            && self.links.is_empty()
            && self.targets.is_empty()
            && self.claim.is_none()
            && self.anchor.is_none()
            && self.errors.is_empty()
    }
}
