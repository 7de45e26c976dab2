//! Cases that people ask about: one world, and what is said of it.

use std::cell::Cell;

use portolan_model::{Guid, SourceAnchor};
use time::OffsetDateTime;

use crate::dictionary::Dictionary;
use crate::engine::explain::FlowOutcome;
use crate::engine::{
    AnchorClaim, ClaimAnswer, ConnectorId, Decision, Engine, Fault, JoinCandidate, Link,
    LinkDecision, LinkKind, MetaverseChange, MetaverseKey, Moment, Neighbourhood, Note, ObjectKey,
    PendingExport, Side, Staged, System, TargetChange, TargetObject, settle,
};
use crate::expression::Parameters;
use crate::forest::ObjectKind;
use crate::record::{Record, Value, ValueRef};
use crate::rules::{MetaverseKind, RuleFile, RuleId, RuleNumbers, Rules};

pub(super) const RULES: &str = r#"
[[rule]]
key = "in.main"
direction = "inbound"
object = "user"
metaverse = "person"
linking = "provision"
precedence = 10
scope = [[{ attribute = "cn", operator = "ISNOTNULL" }]]
except = [{ reason = "a test account", where = [{ attribute = "cn", operator = "STARTSWITH", value = "t-" }] }]
joins = [[{ source = "mail", target = "mail" }]]
flows = [
    { target = "sourceAnchor", expression = 'IIF(IsPresent([mS-DS-ConsistencyGuid]),ConvertToBase64([mS-DS-ConsistencyGuid]),ConvertToBase64([objectGUID]))' },
    { target = "mail", source = "mail" },
    { target = "title", expression = 'IIF([title] = "boom", Error("no such title"), [title])' },
]

[[rule]]
key = "in.other"
direction = "inbound"
object = "user"
metaverse = "person"
precedence = 20
flows = [{ target = "title", source = "description" }]

[[rule]]
key = "out.user"
direction = "outbound"
object = "user"
metaverse = "person"
linking = "provision"
precedence = 10
scope = [[{ attribute = "mail", operator = "ISNOTNULL" }]]
flows = [{ target = "mail", source = "mail" }, { target = "jobTitle", source = "title" }]
"#;

pub(super) struct Case {
    pub(super) rules: Rules,
    pub(super) names: Dictionary,
    systems: [System; 2],
}

const METAVERSE: MetaverseKey = MetaverseKey(7);
pub(super) const PERSON: ObjectKey = ObjectKey(1);

impl Case {
    pub(super) fn new() -> Self {
        Self::with(RULES)
    }

    pub(super) fn with(rules: &str) -> Self {
        let mut names = Dictionary::default();
        let files = [RuleFile::overlay("rules.toml", rules)];
        let rules = Rules::compile(&files, &mut names, &mut RuleNumbers::default()).unwrap();
        let system = |id, side| System {
            id: ConnectorId(id),
            name: format!("s{id}"),
            side,
            parameters: Parameters::default(),
        };
        Self { rules, names, systems: [system(0, Side::Forest), system(1, Side::Target)] }
    }

    pub(super) fn engine(&self) -> Engine<'_> {
        Engine::new(self.rules.all(), &self.systems, self.names.id("sourceAnchor").unwrap())
    }

    pub(super) fn record(&self, attributes: &[(&str, &str)]) -> Record {
        self.bare(attributes).named("CN=a,DC=x", &guid())
    }

    /// A record without what every object of a forest has.
    pub(super) fn bare(&self, attributes: &[(&str, &str)]) -> Record {
        let value = |text: &str| vec![Value::Text(text.to_owned())];
        let attributes = attributes.iter();
        attributes.map(|(name, text)| (self.names.id(name).unwrap(), value(text))).collect()
    }

    pub(super) fn rule(&self, key: &str) -> RuleId {
        self.rules.all().iter().find(|rule| rule.key == key).unwrap().id
    }

    fn neighbourhood(&self, attributes: &[(&str, &str)]) -> Neighbourhood {
        let link = Some(Link { metaverse: METAVERSE, kind: LinkKind::Provisioned });
        let staged = Staged {
            key: PERSON,
            connector: ConnectorId(0),
            guid: guid(),
            kind: ObjectKind::User,
            dn: "CN=a,DC=x".to_owned(),
            record: self.record(attributes),
            link,
            anchor: None,
        };
        Neighbourhood { metaverse: None, staged: vec![staged], targets: Vec::new() }
    }

    /// A person that is in the target, with `a@x` and the title `A`.
    pub(super) fn exported(&self) -> Neighbourhood {
        let mut near = self.neighbourhood(&[("cn", "a"), ("mail", "a@x"), ("title", "A")]);
        let decision = self.decide(&near, ClaimAnswer::Granted, 10);
        apply(&mut near, decision);
        for target in &mut near.targets {
            let Some(PendingExport::Add(record)) = target.pending.take() else {
                panic!("it is new")
            };
            target.confirmed = Some(record);
        }
        near
    }

    pub(super) fn decide(
        &self,
        near: &Neighbourhood,
        answer: ClaimAnswer,
        seconds: i64,
    ) -> Decision {
        let random = Cell::new(0);
        self.engine().decide(near, answer, &moment(seconds, &random))
    }
}

pub(super) fn moment(seconds: i64, random: &Cell<u64>) -> Moment<'_> {
    Moment { now: OffsetDateTime::from_unix_timestamp(seconds).unwrap(), random }
}

fn guid() -> Guid {
    Guid::from_bytes_le([5; 16])
}

pub(super) fn apply(near: &mut Neighbourhood, decision: Decision) {
    match decision.metaverse {
        MetaverseChange::Same => {}
        MetaverseChange::Put(metaverse) => near.metaverse = Some(metaverse),
        MetaverseChange::Deleted => near.metaverse = None,
    }
    for staged in &mut near.staged {
        staged.anchor = decision.anchor.clone().map(|claim| claim.anchor).or(staged.anchor.take());
    }
    for change in decision.targets {
        near.targets.clear();
        if let TargetChange::Put(target) = change {
            near.targets.push(target);
        }
    }
}

fn pending(decision: &Decision) -> Option<&PendingExport> {
    match decision.targets.as_slice() {
        [TargetChange::Put(target)] => target.pending.as_ref(),
        _ => None,
    }
}

fn text(record: &Record, case: &Case, name: &str) -> Option<String> {
    let value = record.first(case.names.id(name).unwrap());
    value.and_then(ValueRef::as_text).map(str::to_owned)
}

#[test]
fn a_new_object_waits_until_its_claim_is_answered() {
    let case = Case::new();
    let near = case.neighbourhood(&[("cn", "a"), ("mail", "a@x")]);
    let decision = case.decide(&near, ClaimAnswer::Open, 10);
    let anchor = SourceAnchor::from(guid());
    let claim = AnchorClaim { object: PERSON, anchor: anchor.clone(), is_set: false };
    assert_eq!(decision.claim, Some(claim.clone()));
    assert!(decision.targets.is_empty() && !decision.is_empty());
    let decision = case.decide(&near, ClaimAnswer::Disputed, 10);
    assert_eq!(decision.errors[0].fault, Fault::AnchorShared { anchor });
    assert!(decision.targets.is_empty());
    let decision = case.decide(&near, ClaimAnswer::Granted, 10);
    assert_eq!(decision.anchor, Some(claim));
    assert!(matches!(pending(&decision), Some(PendingExport::Add(_))));
}

#[test]
fn what_was_exported_leaves_nothing_to_decide() {
    let case = Case::new();
    let near = case.exported();
    assert!(case.decide(&near, ClaimAnswer::Open, 99).is_empty());
}

#[test]
fn values_are_so_since_they_came_from_where_they_come() {
    let case = Case::new();
    let mut near = case.exported();
    near.staged[0].record = case.record(&[("cn", "a"), ("mail", "a@x"), ("title", "B")]);
    let decision = case.decide(&near, ClaimAnswer::Open, 20);
    let MetaverseChange::Put(now) = &decision.metaverse else { panic!("its title changed") };
    let since = |name: &str| now.origin(case.names.id(name).unwrap()).unwrap().since;
    assert_eq!((since("mail"), since("title")), (10, 20));
    // The same value of another rule is another's since now.
    near.staged[0].record = case.record(&[("cn", "a"), ("mail", "a@x"), ("description", "A")]);
    let decision = case.decide(&near, ClaimAnswer::Open, 30);
    let MetaverseChange::Put(now) = &decision.metaverse else { panic!("its contributor changed") };
    assert_eq!(now.origin(case.names.id("title").unwrap()).unwrap().since, 30);
    assert_eq!(now.record, near.metaverse.unwrap().record);
    assert!(decision.targets.is_empty());
}

#[test]
fn a_rule_that_throws_leaves_the_value_and_stops_nothing_else() {
    let case = Case::new();
    let mut near = case.exported();
    near.staged[0].record = case.record(&[("cn", "a"), ("mail", "b@x"), ("title", "boom")]);
    let decision = case.decide(&near, ClaimAnswer::Open, 20);
    let Fault::Flow { text: what, target: None, .. } = &decision.errors[0].fault else {
        panic!("the rule failed")
    };
    assert!(what.contains("no such title"), "{what}");
    let Some(PendingExport::Update(record)) = pending(&decision) else { panic!("mail changed") };
    assert_eq!(text(record, &case, "mail").as_deref(), Some("b@x"));
    assert_eq!(text(record, &case, "jobTitle").as_deref(), Some("A"));
}

#[test]
fn what_a_failure_takes_from_a_new_object_is_not_decided_otherwise_later() {
    let flows = [
        r#"{ target = "title", source = "cn", once = true, merge = "merge" }"#,
        r#"{ target = "title", source = "title" }"#,
        r#"{ target = "title", expression = 'IIF([cn] = "a", Error("no"), [cn])', merge = "merge" }"#,
    ];
    let rule = |(at, flow): (usize, &str)| {
        let ends = "direction = \"inbound\"\nobject = \"user\"\nmetaverse = \"person\"";
        let linking = if at == 0 { "provision" } else { "join" };
        let numbers = format!("key = \"r{at}\"\nprecedence = {}\nlinking = \"{linking}\"", at + 1);
        format!("[[rule]]\n{numbers}\n{ends}\nflows = [{flow}]\n")
    };
    let anchor = r#"{ target = "sourceAnchor", expression = 'ConvertToBase64([objectGUID])' }"#;
    let all = flows.into_iter().chain([anchor]).enumerate().map(rule);
    let case = Case::with(&all.collect::<String>());
    let mut near = case.neighbourhood(&[("cn", "a"), ("title", "A")]);
    let first = case.decide(&near, ClaimAnswer::Open, 10);
    assert!(!first.errors.is_empty());
    apply(&mut near, first);
    let made = &near.metaverse.as_ref().unwrap().record;
    assert_eq!(text(made, &case, "title").as_deref(), Some("A"));
    assert_eq!(case.decide(&near, ClaimAnswer::Open, 20).metaverse, MetaverseChange::Same);
}

#[test]
fn an_object_whose_anchor_was_tampered_with_keeps_what_it_has() {
    let case = Case::new();
    let mut near = case.exported();
    let marked = |octet: u8, title: &str| {
        let id = case.names.id("mS-DS-ConsistencyGuid").unwrap();
        let mut record: Vec<_> = case
            .record(&[("cn", "a"), ("mail", "a@x"), ("title", title)])
            .iter()
            .map(|(id, values)| (id, values.map(ValueRef::to_value).collect()))
            .collect();
        record.push((id, vec![Value::Octets(vec![octet; 16])]));
        record.into_iter().collect::<Record>()
    };
    near.staged[0].record = marked(9, "B");
    let decision = case.decide(&near, ClaimAnswer::Open, 20);
    let fixed = SourceAnchor::from(guid());
    let found = SourceAnchor::from(Guid::from_bytes_le([9; 16]));
    assert_eq!(decision.errors[0].fault, Fault::AnchorChanged { fixed, found });
    assert!(decision.targets.is_empty());
    // That it gains the value that it has already is no change.
    near.staged[0].record = marked(5, "A");
    assert_eq!(case.decide(&near, ClaimAnswer::Open, 20).errors, []);
}

#[test]
fn an_export_that_is_not_needed_any_more_is_taken_back() {
    let case = Case::new();
    let mut near = case.exported();
    let before = near.staged[0].record.clone();
    near.staged[0].record = case.record(&[("cn", "a"), ("mail", "b@x"), ("title", "A")]);
    let decision = case.decide(&near, ClaimAnswer::Open, 20);
    assert!(matches!(pending(&decision), Some(PendingExport::Update(_))));
    apply(&mut near, decision);
    near.staged[0].record = before;
    let decision = case.decide(&near, ClaimAnswer::Open, 30);
    assert_eq!(decision.notes, [Note::TakenBack(ConnectorId(1))]);
    assert_eq!(pending(&decision), None);
    assert_eq!(decision.targets.len(), 1);
}

#[test]
fn an_object_that_comes_back_takes_over_what_was_to_be_deleted() {
    let case = Case::new();
    let mut near = case.exported();
    let came_back = near.staged.clone();
    near.staged.clear();
    let decision = case.decide(&near, ClaimAnswer::Open, 20);
    assert_eq!(pending(&decision), Some(&PendingExport::Delete));
    assert_eq!(decision.metaverse, MetaverseChange::Deleted);
    apply(&mut near, decision);
    near.staged = came_back;
    near.staged[0].link = Some(Link { metaverse: MetaverseKey(8), kind: LinkKind::Provisioned });
    let decision = case.decide(&near, ClaimAnswer::Granted, 30);
    assert_eq!(decision.notes, [Note::Adopted(ConnectorId(1)), Note::TakenBack(ConnectorId(1))]);
    let [TargetChange::Put(target)] = decision.targets.as_slice() else { panic!("it is adopted") };
    assert_eq!((target.metaverse, &target.pending), (MetaverseKey(8), &None));
}

#[test]
fn a_join_takes_the_first_that_finds_exactly_one() {
    let case = Case::new();
    let engine = case.engine();
    let staged = &case.neighbourhood(&[("cn", "a"), ("mail", "a@x")]).staged[0];
    let found = |keys: &[i64]| {
        let candidate = |key: &i64| JoinCandidate { metaverse: MetaverseKey(*key), occupied: None };
        vec![keys.iter().map(candidate).collect::<Vec<_>>()]
    };
    assert_eq!(engine.lookups(staged).len(), 1);
    let join = engine.link(staged, &found(&[3]));
    assert!(matches!(join, LinkDecision::Join { metaverse: MetaverseKey(3), .. }));
    assert!(matches!(
        engine.link(staged, &found(&[3, 4])),
        LinkDecision::Refused(Fault::AmbiguousJoin { .. })
    ));
    let project = engine.link(staged, &found(&[]));
    assert!(matches!(project, LinkDecision::Project { kind: MetaverseKind::Person, .. }));
    let by = ObjectKey(9);
    let occupied = vec![vec![JoinCandidate { metaverse: MetaverseKey(3), occupied: Some(by) }]];
    let refused = engine.link(staged, &occupied);
    assert!(matches!(refused, LinkDecision::Refused(Fault::Occupied { .. })));
    let absent = &case.neighbourhood(&[("mail", "a@x")]).staged[0];
    assert_eq!(engine.link(absent, &[]), LinkDecision::Stay);
}

#[test]
fn an_object_that_is_absent_is_explained_by_the_clause_and_the_values_it_met() {
    let case = Case::new();
    let engine = case.engine();
    let staged = &case.neighbourhood(&[("cn", "t-a"), ("mail", "a@x")]).staged[0];
    let explained = engine.explain_unlinked(staged, &[]);
    let rule = &explained.rules[0];
    assert_eq!((rule.holds, rule.exception.as_deref()), (false, Some("a test account")));
    assert_eq!(rule.clauses[0].met, [Value::Text("t-a".to_owned())]);
    let unnamed = &case.neighbourhood(&[("mail", "a@x")]).staged[0];
    let explained = engine.explain_unlinked(unnamed, &[]);
    assert_eq!(explained.rules[0].clauses[0].clause.attribute, case.names.id("cn").unwrap());
    assert_eq!(explained.link, Some(LinkDecision::Stay));
    let staged = &case.neighbourhood(&[("cn", "a"), ("mail", "a@x")]).staged[0];
    let answers = [vec![JoinCandidate { metaverse: METAVERSE, occupied: None }; 2]];
    assert_eq!(engine.explain_unlinked(staged, &answers).joins[0].1.len(), 2);
}

#[test]
fn every_attribute_is_explained_with_what_lost() {
    let case = Case::new();
    let mut near = case.exported();
    let attributes = [("cn", "a"), ("mail", "a@x"), ("title", "A"), ("description", "B")];
    near.staged[0].record = case.record(&attributes);
    let random = Cell::new(0);
    let explanation = case.engine().explain(&near, &moment(20, &random));
    let named = |name: &str| {
        let id = case.names.id(name).unwrap();
        move |trace: &&crate::engine::explain::AttributeTrace| trace.attribute == id
    };
    let title = explanation.attributes.iter().find(named("title")).unwrap();
    let value = |text: &str| vec![Value::Text(text.to_owned())];
    let outcomes: Vec<_> = title.flows.iter().map(|flow| flow.outcome.clone()).collect();
    assert_eq!(outcomes, [FlowOutcome::Given(value("A")), FlowOutcome::Lost(value("B"))]);
    assert_eq!((&title.values, title.flows[0].object), (&value("A"), Some(PERSON)));
    let target = &explanation.targets[0];
    let job = target.attributes.iter().find(named("jobTitle")).unwrap();
    assert_eq!(job.flows[0].reads, [case.names.id("title").unwrap()]);
    assert_eq!(job.values, value("A"));
}

#[test]
fn of_new_claims_to_one_anchor_none_is_granted_and_what_was_set_stays() {
    let claim = |object, anchor: &str, is_set| AnchorClaim {
        object: ObjectKey(object),
        anchor: anchor.parse().unwrap(),
        is_set,
    };
    let (granted, disputed) = (ClaimAnswer::Granted, ClaimAnswer::Disputed);
    let check = |claims: &[AnchorClaim], taken: &[i64], expected: &[ClaimAnswer]| {
        let answers = settle(claims, |claim| taken.contains(&claim.object.0));
        assert_eq!(answers, expected, "{claims:?}");
    };
    let (one, two) = (claim(1, "a", false), claim(2, "a", false));
    check(&[one.clone(), two.clone(), claim(3, "b", false)], &[], &[disputed, disputed, granted]);
    check(std::slice::from_ref(&one), &[1], &[disputed]);
    check(&[claim(1, "a", true), two], &[2], &[granted, disputed]);
    check(&[claim(1, "a", true)], &[1], &[disputed]);
}

#[test]
fn an_object_of_a_target_that_was_never_exported_is_forgotten_and_not_deleted() {
    let case = Case::new();
    let mut near = case.neighbourhood(&[("cn", "a"), ("mail", "a@x")]);
    let decision = case.decide(&near, ClaimAnswer::Granted, 10);
    apply(&mut near, decision);
    assert!(matches!(near.targets[0], TargetObject { confirmed: None, .. }));
    near.staged[0].record = case.record(&[("cn", "a")]);
    let decision = case.decide(&near, ClaimAnswer::Open, 20);
    assert_eq!(decision.targets, [TargetChange::Remove(ConnectorId(1))]);
}
