//! What is to change at Graph, and what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use portolan_model::{Guid, SourceAnchor};

use crate::TenantKind;

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// Several texts, in a fixed order.
    Texts(Vec<String>),
    /// A truth value.
    Boolean(bool),
}

/// A picture, and what it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// Its media type, as in `image/jpeg`.
    pub media_type: &'static str,
    /// Its octets.
    pub octets: Vec<u8>,
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} octets", self.media_type, self.octets.len())
    }
}

/// The ids that objects of the target have, by their anchors.
pub type Known = BTreeMap<SourceAnchor, Guid>;

/// An object as it should be, or as far as it changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// What identifies it.
    pub anchor: SourceAnchor,
    /// What it is.
    pub kind: TenantKind,
    /// Attributes by Graph's names: all of an object that is new, those that changed of one that is
    /// known. `None` takes the value away.
    pub attributes: BTreeMap<String, Option<Value>>,
}

/// A change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Make an object that is not known, change one that is.
    Write(Desired),
    /// Change who is in a group. Members may be made by changes of the same export.
    Members {
        /// The group.
        group: SourceAnchor,
        /// Who comes.
        add: Vec<SourceAnchor>,
        /// Who goes.
        remove: Vec<SourceAnchor>,
    },
    /// Set or clear a user's manager.
    Manager {
        /// The user.
        user: SourceAnchor,
        /// Their manager.
        manager: Option<SourceAnchor>,
    },
    /// Set or take away a user's photo.
    Photo {
        /// The user.
        user: SourceAnchor,
        /// The photo.
        photo: Option<Picture>,
    },
    /// Delete an object.
    Delete {
        /// Its anchor.
        anchor: SourceAnchor,
        /// What it is.
        kind: TenantKind,
    },
}

/// A property that an object is exported without.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Inability {
    /// Graph lets nobody set it, or does not know it.
    #[error("Graph does not set {0}")]
    ReadOnly(String),
    /// Graph has it, and this exporter does not send it.
    #[error("{0} is not sent to Graph")]
    NotSent(String),
    /// The value is longer than Graph takes, or of another shape.
    #[error("the value of {0} does not fit at Graph")]
    DoesNotFit(String),
}

/// Why a change, or a part of it, was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Graph has no such objects.
    #[error("Graph makes no {0}")]
    Unable(&'static str),
    /// Another object has a value that no two may have.
    #[error("another object at the target has the same {0}")]
    Taken(String),
    /// Another agent synchronises the object.
    #[error("the object is synchronised by another agent")]
    MasteredOnPremises,
    /// The object was known, and is not there.
    #[error("the object is not at the target any more")]
    Vanished,
    /// An object that this one depends on is not at the target.
    #[error("{0} is not at the target")]
    Absent(SourceAnchor),
    /// The target does not permit it.
    #[error("the target does not permit it: {0}")]
    Denied(String),
    /// The target refuses it.
    #[error("the target refuses it: {status} {code}: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Graph's word for it.
        code: String,
        /// Graph's sentence.
        message: String,
    },
    /// The target did not answer well for too long.
    #[error("the target did not take it in {attempts} attempts: {last}")]
    Unavailable {
        /// How often it was sent.
        attempts: u32,
        /// What was said last.
        last: String,
    },
}

impl Fault {
    /// The code by which it is kept and counted.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unable(_) => "unable",
            Self::Taken(_) => "taken",
            Self::MasteredOnPremises => "mastered-on-premises",
            Self::Vanished => "vanished",
            Self::Absent(_) => "absent",
            Self::Denied(_) => "denied",
            Self::Refused { .. } => "refused",
            Self::Unavailable { .. } => "unavailable",
        }
    }

    /// What an administrator does about a fault of a code, in one sentence; `None` when waiting is all.
    #[must_use]
    pub fn remedy(code: &str) -> Option<&'static str> {
        Some(match code {
            "taken" => {
                "another object at Graph has the value: change one of the two, or give that one this object's \
                 anchor as onPremisesImmutableId; the object itself in the recycle bin is taken out of it by the next \
                 export, or by hand where restore_deleted is off"
            }
            "mastered-on-premises" => {
                "another agent synchronises the object, and Graph lets nobody else write it: take it out of that \
                 agent's scope, or out of the scope here"
            }
            "absent" => {
                "what it names was refused itself, or is not exported: see to that one first"
            }
            "denied" => {
                "give the application the permissions User.ReadWrite.All and Group.ReadWrite.All, with an \
                 administrator's consent; who has a role of an administrator takes a role of the application's, too"
            }
            "refused" => "correct the value in the forest, or give another one by a rule",
            "vanished" => "it is made anew by the next export",
            "unavailable" => {
                "it is sent again by the next export; if it stays, look at the state of the service"
            }
            _ => return None,
        })
    }
}

/// What became of a change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The id of the object that the change is about, where it has one.
    pub id: Option<Guid>,
    /// What was not made, at most [`Self::FAULTS_MAX`] of it; nothing when all was.
    pub faults: Vec<Fault>,
    /// How many faults there are beyond those.
    pub more_faults: usize,
    /// Of members that were to come or go: all those who did not.
    pub unmoved: BTreeSet<SourceAnchor>,
    /// What the object was exported without.
    pub unable: Vec<Inability>,
    /// Whether the object was taken out of the recycle bin.
    pub is_restored: bool,
}

impl Outcome {
    /// Faults that are kept of one change.
    pub const FAULTS_MAX: usize = 100;

    /// Whether everything was made that Graph can make.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.faults.is_empty()
    }

    /// Whether something was not made of what was to become of this member, manager or object.
    #[must_use]
    pub fn fails(&self, target: &SourceAnchor) -> bool {
        !self.is_done() && (self.unmoved.is_empty() || self.unmoved.contains(target))
    }

    pub(super) fn add(&mut self, fault: Fault) {
        if self.faults.len() < Self::FAULTS_MAX {
            self.faults.push(fault);
        } else {
            self.more_faults = self.more_faults.saturating_add(1);
        }
    }
}
