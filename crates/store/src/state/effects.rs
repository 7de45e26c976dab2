//! What was decided about a neighbourhood, as the state keeps it in one transaction.

use portolan_model::{Hint as _, SourceAnchor};
use portolan_sync::engine::{
    ConnectorId, Decision, Feed, LinkKind, MetaverseChange, MetaverseKey, MetaverseObject,
    Neighbourhood, ObjectError, ObjectKey, PendingExport, Subject, TargetChange, TargetObject,
    ValueOrigin,
};
use portolan_sync::flow::TenantKind;
use portolan_sync::record::Record;
use portolan_sync::rules::MetaverseKind;

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
pub struct Wrong {
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
pub struct Effects {
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
    pub errors: Vec<Wrong>,
}

impl Effects {
    /// What a decision about a neighbourhood does. `linked` are the links that it was made for: they are
    /// not there yet. A metaverse object whose key is below zero has none yet, and is made.
    #[must_use]
    pub fn of(
        neighbourhood: &Neighbourhood,
        linked: &[(ObjectKey, LinkKind)],
        decision: Decision,
    ) -> Self {
        let objects: Vec<_> = neighbourhood.staged.iter().map(|staged| staged.key).collect();
        let changed = decision.links.iter().map(|change| (change.object, change.kind));
        let new = linked.iter().map(|(object, kind)| (*object, Some(*kind)));
        let (is_new, is_deleted) = match &decision.metaverse {
            MetaverseChange::Put(metaverse) => (metaverse.key.0 < 0, false),
            MetaverseChange::Deleted => (false, true),
            MetaverseChange::Same => (false, false),
        };
        let metaverse = match (decision.metaverse, neighbourhood.key()) {
            (MetaverseChange::Put(metaverse), _) if is_new => {
                MetaverseEffect::Make(content(metaverse))
            }
            (MetaverseChange::Put(metaverse), _) => {
                MetaverseEffect::Put(metaverse.key, content(metaverse))
            }
            (MetaverseChange::Deleted, Some(key)) => MetaverseEffect::Delete(key),
            (MetaverseChange::Same, Some(key)) if key.0 >= 0 => MetaverseEffect::Keep(key),
            _ => MetaverseEffect::None,
        };
        let target = |change| target(neighbourhood, change);
        let targets = decision.targets.into_iter().filter_map(target);
        Self {
            metaverse,
            links: new.chain(changed).collect(),
            anchors: decision
                .anchor
                .map(|claim| (claim.object, claim.anchor))
                .into_iter()
                .collect(),
            // What targets have of an object that is deleted goes with it.
            targets: if is_deleted { Vec::new() } else { targets.collect() },
            errors: decision.errors.iter().flat_map(|error| wrong(error, &objects)).collect(),
            objects,
        }
    }

    /// That nothing is done about some objects but to keep what is wrong with them.
    #[must_use]
    pub fn refused(object: ObjectKey, errors: &[ObjectError]) -> Self {
        let objects = vec![object];
        let errors = errors.iter().flat_map(|error| wrong(error, &objects)).collect();
        Self { objects, errors, ..Self::default() }
    }
}

fn content(MetaverseObject { kind, record, lineage, .. }: MetaverseObject) -> MetaverseContent {
    MetaverseContent { kind, record, lineage }
}

fn target(neighbourhood: &Neighbourhood, change: TargetChange) -> Option<TargetEffect> {
    let object = match change {
        TargetChange::Put(object) => object,
        TargetChange::Remove(connector) => {
            let mut before = neighbourhood.targets.iter();
            let before = before.find(|object| object.connector == connector)?;
            let (feeds, password) = (Vec::new(), false);
            TargetObject { pending: None, feeds, password, ..before.clone() }
        }
    };
    let TargetObject { connector, kind, anchor, pending, feeds, password, .. } = object;
    Some(TargetEffect { connector, kind, anchor, pending, feeds, password })
}

/// An error of a metaverse object is one of every object that is linked to it.
fn wrong(error: &ObjectError, linked: &[ObjectKey]) -> Vec<Wrong> {
    let objects = match error.subject {
        Subject::Staged(object) => vec![object],
        Subject::Metaverse(_) => linked.to_vec(),
    };
    let wrong = |object| Wrong {
        object,
        code: error.fault.code(),
        text: error.fault.to_string(),
        hint: error.fault.hint(),
    };
    objects.into_iter().map(wrong).collect()
}
