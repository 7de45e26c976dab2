//! What went wrong with one object, while the run went on.

use portolan_model::SourceAnchor;

use super::model::{ConnectorId, MetaverseKey, ObjectKey};
use crate::dictionary::AttributeId;
use crate::rules::RuleId;

/// An error of one object. Whatever it concerns stays as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectError {
    /// Whose it is.
    pub subject: Subject,
    /// What it is.
    pub fault: Fault,
}

/// Whose error it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A staging object's.
    Staged(ObjectKey),
    /// A metaverse object's, on its way to targets.
    Metaverse(MetaverseKey),
}

/// What is wrong with an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A rule's expression did not come to a value: the attribute keeps those it had.
    #[error("the rule's flow failed: {text}")]
    Flow {
        /// The rule.
        rule: RuleId,
        /// The attribute that it flows to.
        attribute: AttributeId,
        /// The target that it is for; `None` of an inbound rule.
        target: Option<ConnectorId>,
        /// What the expression says.
        text: String,
    },
    /// A join found several metaverse objects, and no other found one: the object stays unlinked.
    #[error("a join finds {} metaverse objects", candidates.len())]
    AmbiguousJoin {
        /// The rule whose join it is.
        rule: RuleId,
        /// The objects, or the first of them.
        candidates: Vec<MetaverseKey>,
    },
    /// A join found a metaverse object that has an object of the same forest: the object stays unlinked.
    #[error("a join finds a metaverse object that has another object of the same forest")]
    Occupied {
        /// The rule whose join it is.
        rule: RuleId,
        /// The metaverse object.
        metaverse: MetaverseKey,
        /// The object that has it.
        by: ObjectKey,
    },
    /// It would be identified otherwise than it was: targets keep what they have of it.
    #[error("it has the sourceAnchor {found} now, but was synchronised as {fixed}")]
    AnchorChanged {
        /// The anchor that was set.
        fixed: SourceAnchor,
        /// What its attributes give now.
        found: SourceAnchor,
    },
    /// Its anchor is another's, or another new object claims it too: it is in no target.
    #[error("it has the sourceAnchor {anchor} of another object")]
    AnchorShared {
        /// The anchor.
        anchor: SourceAnchor,
    },
    /// What its attributes give is no anchor: it is in no target.
    #[error("{text:?} is no sourceAnchor")]
    AnchorIllegal {
        /// What they give.
        text: String,
    },
    /// It has no sourceAnchor, so that it is in no target.
    #[error("no rule gives it a sourceAnchor")]
    AnchorAbsent,
}

impl Fault {
    /// A name for the sort of fault, which never changes.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Flow { .. } => "flow-failed",
            Self::AmbiguousJoin { .. } => "ambiguous-join",
            Self::Occupied { .. } => "join-occupied",
            Self::AnchorChanged { .. } => "anchor-changed",
            Self::AnchorShared { .. } => "anchor-shared",
            Self::AnchorIllegal { .. } => "anchor-illegal",
            Self::AnchorAbsent => "anchor-absent",
        }
    }
}

impl Fault {
    /// The anchor that others claim as well; `None` of what is wrong otherwise.
    #[must_use]
    pub const fn disputed(&self) -> Option<&SourceAnchor> {
        match self {
            Self::AnchorShared { anchor } => Some(anchor),
            _ => None,
        }
    }
}

impl portolan_model::Hint for Fault {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Flow { .. } => "correct the attribute that the expression reads, or the rule",
            Self::AmbiguousJoin { .. } => {
                "make the attribute that is joined by differ, or join by one that does"
            }
            Self::Occupied { .. } => {
                "give the two objects different values of the attribute that is joined by"
            }
            Self::AnchorChanged { .. } => "set mS-DS-ConsistencyGuid back to the former value",
            Self::AnchorShared { .. } => "clear or correct its mS-DS-ConsistencyGuid",
            Self::AnchorIllegal { .. } => {
                "let the attribute have 1 to 59 printable characters without spaces"
            }
            Self::AnchorAbsent => "add a rule that gives sourceAnchor, such as the default rules",
        };
        Some(text.to_owned())
    }
}

/// Something that an administrator may want to know of an object, and that is no error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A link ended, because no rule's scope holds any more.
    OutOfScope(ObjectKey),
    /// The metaverse object ended, because no object that provisions it is left.
    Ended(MetaverseKey),
    /// A target's object that was to be deleted is kept, because its object came back.
    Adopted(ConnectorId),
    /// A pending export is not needed any more: the target has that state.
    TakenBack(ConnectorId),
}
