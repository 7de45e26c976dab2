//! Plans: what they say of a change, and what it comes from.

use std::cell::Cell;

use super::cases::{Case, PERSON, RULES, apply, moment};
use crate::engine::plan::{Cause, Operation, PlanEntry, PlanGroups, Reason};
use crate::engine::{ClaimAnswer, Neighbourhood};
use crate::record::Value;

#[test]
fn a_plan_says_what_changes_and_why_and_notices_when_it_is_not_the_same_any_more() {
    let case = Case::new();
    let mut near = case.exported();
    let random = Cell::new(0);
    let before = [near.clone()];
    let plan = |near: &Neighbourhood, rules: u8| {
        let mut near = near.clone();
        let decision = case.decide(&near, ClaimAnswer::Open, 20);
        apply(&mut near, decision);
        case.engine().plan(&near, &before, &[rules; 32], &moment(20, &random))
    };
    assert_eq!(plan(&near, 0), []);
    near.staged[0].record = case.record(&[("cn", "a"), ("mail", "a@x"), ("title", "B")]);
    let [update] = plan(&near, 0).try_into().unwrap();
    assert_eq!((update.operation, &update.reason), (Operation::Update, &Reason::Flows));
    let change = &update.changes[0];
    let value = |text: &str| vec![Value::Text(text.to_owned())];
    assert_eq!((&change.before, &change.after), (&value("A"), &value("B")));
    assert_eq!(case.rules.rule(change.rules[0]).unwrap().key, "out.user");
    let (title, rule) = (case.names.id("title").unwrap(), case.rule("in.main"));
    let source = Cause::Source { object: PERSON, attributes: vec![title], rule };
    assert_eq!(change.causes, [source]);
    assert_eq!(plan(&near, 0)[0].digest, update.digest);
    assert_ne!(plan(&near, 1)[0].digest, update.digest, "other rules");
    let mut other = near.clone();
    other.targets[0].confirmed = Some(case.record(&[]));
    assert_ne!(plan(&other, 0)[0].digest, update.digest, "the target has something else");
    near.staged[0].record = case.record(&[("cn", "a"), ("title", "B")]);
    assert_eq!(plan(&near, 0)[0].reason, Reason::LeftOutboundScope);
    let kept_out = |entries: Vec<PlanEntry>| {
        let traces = entries.into_iter().flat_map(|entry| entry.kept_out);
        traces.map(|trace| (trace.rule, trace.clauses.len())).collect::<Vec<_>>()
    };
    assert_eq!(kept_out(plan(&near, 0)), [(case.rule("out.user"), 1)]);
    near.staged[0].record = case.record(&[("mail", "a@x")]);
    assert_eq!(plan(&near, 0)[0].reason, Reason::LeftScope);
    assert_eq!(kept_out(plan(&near, 0)), [(case.rule("in.main"), 1)]);
    near.staged.clear();
    let [delete] = plan(&near, 0).try_into().unwrap();
    assert_eq!((delete.operation, &delete.reason), (Operation::Delete, &Reason::Gone));
    let mut groups = PlanGroups::default();
    [&update, &delete, &update].into_iter().for_each(|entry| groups.add(entry));
    let groups = groups.finish();
    let seen: Vec<_> = groups.iter().map(|group| (group.operation, group.count)).collect();
    assert_eq!(seen, [(Operation::Delete, 1), (Operation::Update, 2)]);
}

#[test]
fn what_a_change_comes_from_is_an_object_a_rule_or_neither() {
    let case = Case::new();
    let former = case.exported();
    let random = Cell::new(0);
    let check = |case: &Case, near: &Neighbourhood, before: &Neighbourhood, expected: &[Cause]| {
        let mut near = near.clone();
        let decision = case.decide(&near, ClaimAnswer::Granted, 20);
        apply(&mut near, decision);
        let before = std::slice::from_ref(before);
        let entries = case.engine().plan(&near, before, &[0; 32], &moment(20, &random));
        let changes: Vec<_> = entries.iter().flat_map(|entry| &entry.changes).collect();
        let [change] = changes.as_slice() else { panic!("one change, and not {changes:?}") };
        assert_eq!(change.causes, expected);
    };
    let (main, other) = (case.rule("in.main"), case.rule("in.other"));
    let [title, description] = ["title", "description"].map(|name| case.names.id(name).unwrap());
    let mut near = former.clone();
    // Another rule has its turn when the first has nothing: what changed is what the new one reads.
    near.staged[0].record = case.record(&[("cn", "a"), ("mail", "a@x"), ("description", "B")]);
    let source = |id, rule| Cause::Source { object: PERSON, attributes: vec![id], rule };
    check(&case, &near, &former, &[source(description, other)]);
    // Nothing gives it any more.
    near.staged[0].record = case.record(&[("cn", "a"), ("mail", "a@x")]);
    check(&case, &near, &former, &[source(title, main)]);
    // The rule is another one.
    let changed = Case::with(&RULES.replace(", [title])' }", ", \"Dr. \" & [title])' }"));
    check(&changed, &former, &former, &[Cause::Rule { object: PERSON, rule: main }]);
    let ended =
        Case::with(&RULES.replace(
            "flows = [{ target = \"title\", source",
            "flows = [{ target = \"mail\", source",
        ));
    let mut before = former.clone();
    before.staged[0].record = case.record(&[("cn", "a"), ("mail", "a@x"), ("description", "A")]);
    let decision = case.decide(&before, ClaimAnswer::Open, 20);
    apply(&mut before, decision);
    check(&ended, &before, &before, &[Cause::RuleEnded { rule: other }]);
    // The target has something else.
    let mut near = former.clone();
    let mail = ("mail", "a@x");
    near.targets[0].confirmed = Some(case.bare(&[mail, ("jobTitle", "Z")]));
    check(&case, &near, &former, &[Cause::Outbound]);
    // It was decided before, and not exported.
    let mut waiting = near.clone();
    let decision = case.decide(&waiting, ClaimAnswer::Open, 20);
    apply(&mut waiting, decision);
    check(&case, &waiting, &waiting, &[Cause::Waiting]);
}
