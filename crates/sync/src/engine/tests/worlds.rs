//! Random rule sets, and random histories of small forests.

use std::collections::{BTreeMap, BTreeSet};

use portolan_model::{Guid, SourceAnchor};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::dictionary::{AttributeId, Dictionary};
use crate::engine::{ConnectorId, ObjectKey, Side, System};
use crate::expression::{Expression, Parameters};
use crate::forest::ObjectKind;
use crate::kind::TenantKind;
use crate::record::Value;
use crate::rules::{
    Clause, Connected, ConnectedKind, Direction, Flow, Given, JoinClause, JoinGroup, Linking,
    Merge, MetaverseKind, Operator, Origin, ReferenceFlow, Rule, RuleId, Scope,
};

/// Attributes of forests begin here.
pub(super) const FOREST: u16 = 2;
/// The anchor that an object has by its objectGUID, and the one that it is marked with.
pub(super) const OWN_ANCHOR: AttributeId = AttributeId(8);
pub(super) const MARKED_ANCHOR: AttributeId = AttributeId(9);
/// Attributes of the metaverse.
pub(super) const METAVERSE: u16 = 10;
pub(super) const SOURCE_ANCHOR: AttributeId = AttributeId(18);
/// Attributes of targets.
pub(super) const TARGET: u16 = 20;
/// Attributes of each, besides anchors and references.
const ATTRIBUTES: u16 = 4;
/// References, likewise.
pub(super) const REFERENCES: u16 = 2;
const OBJECTS: i64 = 8;

/// Something that happens to an object of a forest.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// It has these attributes from now on; it came, if it was not there.
    Set(ObjectKey, Vec<(AttributeId, Vec<Value>)>),
    /// It went.
    Gone(ObjectKey),
    /// It refers to these.
    Refers(ObjectKey, AttributeId, BTreeSet<ObjectKey>),
}

/// What happens between two looks.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) events: Vec<Event>,
    /// Whether the targets are told afterwards.
    pub(super) export: bool,
}

/// What an expression means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Each value without the blanks around it.
    Trimmed(AttributeId),
    /// The first, or the second when that is absent.
    Either(AttributeId, AttributeId),
    /// Nothing is said while the first is there; then the second.
    IgnoredWith(AttributeId, AttributeId),
    /// None is to be while the first is there; then the second.
    NoneWith(AttributeId, AttributeId),
    /// An error while the first is there; then the second.
    FailsWith(AttributeId, AttributeId),
    /// The first, or what the target has of the attribute.
    OrImported(AttributeId, AttributeId),
}

/// What the expressions of rules mean, by the rule and the attribute that it gives.
pub(super) type Meanings = BTreeMap<(RuleId, AttributeId), Meaning>;

#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) rules: Vec<Rule>,
    pub(super) meanings: Meanings,
    pub(super) steps: Vec<Step>,
}

/// Two forests and two targets.
pub(super) fn systems() -> Vec<System> {
    let system = |id, name: &str, side| {
        let (id, name) = (ConnectorId(id), name.to_owned());
        System { id, name, side, parameters: Parameters::default() }
    };
    vec![
        system(0, "a", Side::Forest),
        system(1, "b", Side::Forest),
        system(2, "t", Side::Target),
        system(3, "u", Side::Target),
    ]
}

/// Of which forest an object is: it never changes.
pub(super) fn connector(key: ObjectKey) -> ConnectorId {
    ConnectorId(u16::from(key.0 % 2 == 1))
}

/// What an object is: the last two are groups, and a computer is in front of them.
pub(super) fn kind(key: ObjectKey) -> ObjectKind {
    match OBJECTS - key.0 {
        ..=2 => ObjectKind::Group,
        3 => ObjectKind::Computer,
        _ => ObjectKind::User,
    }
}

pub(super) fn guid(key: ObjectKey) -> Guid {
    Guid::from_bytes_le([key.0 as u8 + 1; 16])
}

fn anchor(key: i64) -> Value {
    Value::Text(SourceAnchor::from(guid(ObjectKey(key))).to_string())
}

pub(super) fn worlds() -> impl Strategy<Value = World> {
    let anchors = subsequence(anchors(), 0..=4);
    (vec(inbound(), 1..5), vec(outbound(), 1..5), anchors, vec(step(), 1..6)).prop_map(
        |(inbound, outbound, anchors, steps)| {
            let anchors = anchors.into_iter().map(|rule| (rule, Vec::new()));
            let rules = inbound.into_iter().chain(outbound).chain(anchors).enumerate();
            let mut meanings = Meanings::new();
            let number = |(at, (rule, means)): (usize, (Rule, Vec<(AttributeId, Meaning)>))| {
                let id = RuleId(at as u16);
                meanings.extend(means.into_iter().map(|(attribute, m)| ((id, attribute), m)));
                Rule { id, precedence: at as u32, ..rule }
            };
            World { rules: rules.map(number).collect(), meanings, steps }
        },
    )
}

fn texts() -> impl Strategy<Value = Value> {
    select(vec!["a", "A", "b", "c", " d "]).prop_map(|text| Value::Text(text.to_owned()))
}

fn attributes(base: u16) -> impl Strategy<Value = AttributeId> {
    (base..base + ATTRIBUTES).prop_map(AttributeId)
}

fn references(base: u16) -> impl Strategy<Value = AttributeId> {
    (0..REFERENCES).prop_map(move |at| AttributeId(base + ATTRIBUTES + at))
}

fn keys() -> impl Strategy<Value = ObjectKey> {
    (0..OBJECTS).prop_map(ObjectKey)
}

fn step() -> impl Strategy<Value = Step> {
    (vec(event(), 1..8), any::<bool>()).prop_map(|(events, export)| Step { events, export })
}

fn event() -> impl Strategy<Value = Event> {
    let record = btree_map(attributes(FOREST), vec(texts(), 1..3), 0..5);
    let marked = prop_oneof![6 => Just(None), 2 => (0..OBJECTS).prop_map(Some)];
    let set = (keys(), record, marked).prop_map(|(key, record, marked)| {
        let mut record: Vec<_> = record.into_iter().collect();
        record.push((OWN_ANCHOR, vec![anchor(key.0)]));
        record.extend(marked.map(|marked| (MARKED_ANCHOR, vec![anchor(marked)])));
        Event::Set(key, record)
    });
    prop_oneof![
        6 => set,
        1 => keys().prop_map(Event::Gone),
        2 => (keys(), references(FOREST), btree_set(keys(), 0..4))
            .prop_map(|(key, attribute, to)| Event::Refers(key, attribute, to)),
    ]
}

fn clause(base: u16) -> impl Strategy<Value = Clause> {
    let values = prop_oneof![
        Just((Operator::IsNull, Vec::new())),
        texts().prop_map(|value| (Operator::Equal, vec![value])),
    ];
    (attributes(base), values, any::<bool>()).prop_map(
        |(attribute, (operator, values), negated)| Clause {
            attribute,
            operator,
            values,
            negated,
            case_sensitive: false,
        },
    )
}

fn scope(base: u16) -> impl Strategy<Value = Scope> {
    let groups = prop_oneof![Just(0..1_usize), Just(1..3)];
    groups
        .prop_flat_map(move |groups| vec(vec(clause(base), 1..3), groups))
        .prop_map(|groups| Scope { groups, ..Scope::default() })
}

fn joins() -> impl Strategy<Value = Vec<JoinGroup>> {
    let clause = (attributes(FOREST), attributes(METAVERSE), any::<bool>())
        .prop_map(|(source, target, case_sensitive)| JoinClause { source, target, case_sensitive });
    vec(vec(clause, 1..3).prop_map(|clauses| JoinGroup { clauses }), 0..3)
}

/// What a rule gives whatever there is. What no rule reads any more can be octets, as photos are.
fn constants(to: u16) -> impl Strategy<Value = Value> {
    let octets = select(vec![vec![0xff, 0xd8, 0xff], vec![0], vec![]]).prop_map(Value::Octets);
    let either = prop_oneof![texts(), octets];
    (either, texts()).prop_map(move |(any, text)| if to == TARGET { any } else { text })
}

/// A flow's source, and what it means if it is an expression. `to` is what it gives.
fn given(base: u16, to: u16) -> impl Strategy<Value = (Given, Option<Meaning>)> {
    let two = (attributes(base), attributes(base), attributes(to));
    let meaning = (0..6_u8, two).prop_map(|(which, (one, two, target))| match which {
        0 => Meaning::Trimmed(one),
        1 => Meaning::Either(one, two),
        2 => Meaning::IgnoredWith(one, two),
        3 => Meaning::NoneWith(one, two),
        4 => Meaning::FailsWith(one, two),
        _ => Meaning::OrImported(one, target),
    });
    prop_oneof![
        4 => attributes(base).prop_map(|attribute| (Given::Direct(attribute), None)),
        1 => constants(to).prop_map(|value| (Given::Constant(value), None)),
        2 => meaning.prop_map(|meaning| (Given::Expression(compiled(meaning)), Some(meaning))),
    ]
}

fn compiled(meaning: Meaning) -> Expression {
    let mut dictionary = Dictionary::default();
    // The first two names are those that every dictionary has.
    for number in 2..TARGET + 2 * ATTRIBUTES {
        dictionary.intern(&format!("x{number}")).unwrap();
    }
    let either = |first: AttributeId, then: &str, otherwise: AttributeId| {
        format!("IIF(IsPresent([x{}]),{then},[x{}])", first.0, otherwise.0)
    };
    let text = match meaning {
        Meaning::Trimmed(one) => format!("Trim([x{}])", one.0),
        Meaning::Either(one, two) => either(one, &format!("[x{}]", one.0), two),
        Meaning::IgnoredWith(one, two) => either(one, "IgnoreThisFlow", two),
        Meaning::NoneWith(one, two) => either(one, "AuthoritativeNull", two),
        Meaning::FailsWith(one, two) => either(one, "Error(\"no\")", two),
        Meaning::OrImported(AttributeId(one), AttributeId(target)) => {
            format!("IIF(IsPresent([x{one}]),[x{one}],ImportedValue(\"x{target}\"))")
        }
    };
    Expression::compile(&text, &mut dictionary).unwrap()
}

fn flows(from: u16, to: u16) -> impl Strategy<Value = (Vec<Flow>, Vec<(AttributeId, Meaning)>)> {
    let merge =
        select(vec![Merge::Update, Merge::Update, Merge::Merge, Merge::MergeCaseInsensitive]);
    let once = prop_oneof![5 => Just(false), 1 => Just(true)];
    let flow = (given(from, to), once, merge);
    let targets: Vec<_> = (to..to + ATTRIBUTES).map(AttributeId).collect();
    let some = 0..=usize::from(ATTRIBUTES);
    (subsequence(targets, some), vec(flow, usize::from(ATTRIBUTES))).prop_map(|(targets, made)| {
        let (mut flows, mut meanings) = (Vec::new(), Vec::new());
        for (target, ((given, meaning), once, merge)) in targets.into_iter().zip(made) {
            flows.push(Flow { target, given, once, merge });
            meanings.extend(meaning.map(|meaning| (target, meaning)));
        }
        (flows, meanings)
    })
}

fn reference_flows(from: u16, to: u16) -> impl Strategy<Value = Vec<ReferenceFlow>> {
    let flow = (references(from), references(to))
        .prop_map(|(source, target)| ReferenceFlow { target, source });
    vec(flow, 0..3)
}

fn linking() -> impl Strategy<Value = Linking> {
    prop_oneof![
        4 => Just(Linking::Provision),
        1 => Just(Linking::Join),
        1 => Just(Linking::StickyJoin),
    ]
}

fn connected(names: [&'static str; 2]) -> impl Strategy<Value = Connected> {
    prop_oneof![
        Just(Connected::Every),
        select(names.to_vec()).prop_map(|name| Connected::Named(name.to_owned())),
    ]
}

fn inbound() -> impl Strategy<Value = (Rule, Vec<(AttributeId, Meaning)>)> {
    let kinds = prop_oneof![
        3 => Just((ObjectKind::User, MetaverseKind::Person)),
        1 => Just((ObjectKind::Group, MetaverseKind::Group)),
        1 => Just((ObjectKind::Computer, MetaverseKind::Device)),
    ];
    let flows = (flows(FOREST, METAVERSE), reference_flows(FOREST, METAVERSE));
    let where_to = (connected(["a", "b"]), kinds, linking(), any::<bool>());
    let anchor = select(vec![None, Some(MARKED_ANCHOR), Some(OWN_ANCHOR), Some(OWN_ANCHOR)]);
    (where_to, scope(FOREST), joins(), flows, anchor).prop_map(
        |(where_to, scope, joins, ((mut flows, meanings), references), anchor)| {
            let (connected, (kind, metaverse), linking, password) = where_to;
            flows.extend(anchor.map(anchor_flow));
            let objects = vec![ConnectedKind::Forest(kind)];
            let rule = Rule { connected, objects, metaverse, linking, scope, ..plain() };
            (Rule { joins, flows, references, password, ..rule }, meanings)
        },
    )
}

fn outbound() -> impl Strategy<Value = (Rule, Vec<(AttributeId, Meaning)>)> {
    let kinds = select(vec![
        (MetaverseKind::Person, TenantKind::User),
        (MetaverseKind::Person, TenantKind::User),
        (MetaverseKind::Person, TenantKind::Contact),
        (MetaverseKind::Group, TenantKind::Group),
        (MetaverseKind::Device, TenantKind::Device),
    ]);
    let flows = (flows(METAVERSE, TARGET), reference_flows(METAVERSE, TARGET));
    (connected(["t", "u"]), kinds, linking(), scope(METAVERSE), flows).prop_map(
        |(connected, (metaverse, kind), linking, scope, ((flows, meanings), references))| {
            let objects = vec![ConnectedKind::Target(kind)];
            let rule = Rule { connected, objects, metaverse, linking, scope, ..plain() };
            (Rule { direction: Direction::Outbound, flows, references, ..rule }, meanings)
        },
    )
}

fn anchor_flow(source: AttributeId) -> Flow {
    let given = Given::Direct(source);
    Flow { target: SOURCE_ANCHOR, given, once: false, merge: Merge::Update }
}

/// The rules that give the sourceAnchor: for both kinds the one that marks and that of the objectGUID.
fn anchors() -> Vec<Rule> {
    let rule = |kind, metaverse, source| Rule {
        objects: vec![ConnectedKind::Forest(kind)],
        metaverse,
        linking: Linking::Join,
        flows: vec![anchor_flow(source)],
        ..plain()
    };
    vec![
        rule(ObjectKind::User, MetaverseKind::Person, MARKED_ANCHOR),
        rule(ObjectKind::User, MetaverseKind::Person, OWN_ANCHOR),
        rule(ObjectKind::Group, MetaverseKind::Group, OWN_ANCHOR),
        rule(ObjectKind::Computer, MetaverseKind::Device, OWN_ANCHOR),
    ]
}

fn plain() -> Rule {
    Rule {
        id: RuleId(0),
        key: String::new(),
        name: String::new(),
        origin: Origin::BuiltIn,
        direction: Direction::Inbound,
        connected: Connected::Every,
        objects: vec![ConnectedKind::Forest(ObjectKind::User)],
        metaverse: MetaverseKind::Person,
        linking: Linking::Provision,
        precedence: 0,
        scope: Scope::default(),
        joins: Vec::new(),
        flows: Vec::new(),
        references: Vec::new(),
        password: false,
    }
}
