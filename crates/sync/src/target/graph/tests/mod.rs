//! Exports to a model of Graph, by seeds: what goes wrong on the way is not to be seen in the end.

mod deleted;
mod model;
mod photos;

use std::collections::BTreeMap;

use portolan_model::{Guid, SourceAnchor};
use time::{Duration, OffsetDateTime};

use super::*;
use crate::TenantKind;
use crate::target::graph::change::Value;
use model::{Graph, Seed, Weather};

const FAIR: Weather = Weather { lost: 0, broken: 0, requests_max: usize::MAX, is_late: false };
const FOUL: Weather = Weather { lost: 20, broken: 15, requests_max: 40, is_late: false };
const LATE: Weather = Weather { is_late: true, ..FOUL };

fn settings() -> Settings {
    let base = "https://graph.cloud.example/v1.0".to_owned();
    Settings { base, batches_max: 3, attempts_max: 30, restores_deleted: true }
}

fn anchor(text: &str) -> SourceAnchor {
    text.parse().unwrap()
}

fn object(name: &str, kind: TenantKind, attributes: &[(&str, Option<Value>)]) -> Change {
    let attributes =
        attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Change::Write(Desired { anchor: anchor(name), kind, attributes })
}

fn text(text: &str) -> Option<Value> {
    Some(Value::Text(text.to_owned()))
}

fn user(name: &str) -> Change {
    user_named(name, name)
}

fn user_named(name: &str, upn: &str) -> Change {
    let upn = format!("{upn}@corp.example");
    object(
        name,
        TenantKind::User,
        &[
            ("userPrincipalName", text(&upn)),
            ("displayName", text(name)),
            ("jobTitle", text("Baker")),
            ("accountEnabled", Some(Value::Boolean(true))),
        ],
    )
}

fn group(name: &str) -> Change {
    let on = Some(Value::Boolean(true));
    object(name, TenantKind::Group, &[("displayName", text(name)), ("securityEnabled", on)])
}

fn members(group: &str, add: &[&str], remove: &[&str]) -> Change {
    let anchors = |names: &[&str]| names.iter().map(|name| anchor(name)).collect();
    Change::Members { group: anchor(group), add: anchors(add), remove: anchors(remove) }
}

/// What is on its way back.
struct Reply {
    at: OffsetDateTime,
    number: u64,
    /// Of a request that stood alone.
    status: Option<u64>,
    body: Option<Vec<u8>>,
}

/// Runs an export to its end in virtual time; gives how long it took, too.
fn export(
    graph: &mut Graph,
    weather: Weather,
    changes: Vec<Change>,
    known: Known,
    seed: &mut Seed,
) -> (Vec<Outcome>, Known, Duration) {
    export_by(settings(), graph, weather, changes, known, seed)
}

/// The same with other settings.
fn export_by(
    settings: Settings,
    graph: &mut Graph,
    weather: Weather,
    changes: Vec<Change>,
    known: Known,
    seed: &mut Seed,
) -> (Vec<Outcome>, Known, Duration) {
    let start = OffsetDateTime::from_unix_timestamp(1_795_000_000).unwrap();
    let mut now = start;
    let mut exporter = Exporter::new(changes, known, settings);
    let mut replies: Vec<Reply> = Vec::new();
    for _ in 0..1_000_000 {
        match exporter.next(now, seed) {
            Action::Done => {
                let (outcomes, known) = exporter.finish();
                return (outcomes, known, now - start);
            }
            Action::Send(batch) => {
                let arrives = !seed.happens(weather.lost / 2);
                let answer = arrives.then(|| match &batch.alone {
                    Some(alone) => graph.alone(alone, seed),
                    None => graph.batch(&batch.body, now, seed),
                });
                let returns = answer.filter(|_| !seed.happens(weather.lost / 2));
                let at = now + Duration::milliseconds(i64::try_from(seed.below(3_000)).unwrap());
                let status = returns.as_ref().and_then(|json| json["status"].as_u64());
                let body = returns.map(|json| json.to_string().into_bytes());
                if seed.happens(weather.lost) && body.is_some() {
                    let (at, body) = (at + Duration::SECOND, body.clone());
                    replies.push(Reply { at, number: batch.number, status, body });
                }
                replies.push(Reply { at, number: batch.number, status, body });
            }
            Action::Wait { until } => {
                let next = replies.iter().map(|reply| reply.at).chain(until).min();
                now = now.max(next.expect("something is to be waited for"));
                replies.sort_by_key(|reply| reply.at);
                let due = replies.iter().take_while(|reply| reply.at <= now).count();
                for reply in replies.drain(..due).collect::<Vec<_>>() {
                    match reply.body {
                        None => exporter.lost(reply.number, now, seed),
                        Some(body) => {
                            let reply_to = reply.number;
                            let status = reply.status.map_or(200, |status| status as u16);
                            let reply = super::Reply { status, retry_after: None, body };
                            exporter.answered(reply_to, &reply, now, seed);
                        }
                    }
                }
            }
        }
    }
    panic!("the export does not end");
}

/// The members of each group, by anchors.
fn memberships(graph: &Graph) -> BTreeMap<String, Vec<String>> {
    let name = |id: &Guid| match (graph.users.get(id), graph.groups.get(id)) {
        (Some(user), _) => user.anchor.clone(),
        (_, Some(group)) => group.key.clone(),
        _ => format!("gone {id}"),
    };
    let named = |group: &model::Group| {
        let mut names: Vec<_> = group.members.iter().map(name).collect();
        names.sort();
        (group.key.clone(), names)
    };
    graph.groups.values().map(named).collect()
}

fn everything_arrives_once(weather: Weather, number: u64) {
    let mut seed = Seed(number);
    let mut graph = Graph::new(weather);
    let names: Vec<_> = (0..60).map(|number| format!("u{number:02}")).collect();
    let mut changes: Vec<_> = names.iter().map(|name| user(name)).collect();
    let all: Vec<_> = names.iter().map(String::as_str).collect();
    changes.push(members("everybody", &all, &[]));
    changes.push(members("outer", &["inner", "u07"], &[]));
    changes.extend(["inner", "outer", "everybody"].map(group));
    changes.push(Change::Manager { user: anchor("u01"), manager: Some(anchor("u00")) });
    let count = changes.len();
    let (outcomes, known, _) = export(&mut graph, weather, changes, Known::new(), &mut seed);
    assert_eq!(outcomes.len(), count);
    for outcome in &outcomes {
        assert!(outcome.is_done() && outcome.id.is_some(), "seed {number}: {outcome:?}");
    }
    let mut found: Vec<_> = graph.users.values().map(|user| user.anchor.as_str()).collect();
    found.sort_unstable();
    assert_eq!(found, all, "seed {number}: each once");
    let groups = memberships(&graph);
    assert_eq!(groups["everybody"], names, "seed {number}");
    assert_eq!(groups["outer"], ["inner", "u07"], "seed {number}");
    assert_eq!(graph.groups.len(), 3);
    assert_eq!(graph.users[&known[&anchor("u01")]].manager, Some(known[&anchor("u00")]));

    // And back: some go, one is changed, with what is known now.
    let away: Vec<_> = all.iter().copied().filter(|name| *name < "u30").collect();
    let mut changes = vec![members("everybody", &[], &away[..20])];
    changes.extend(
        away[20..]
            .iter()
            .map(|name| Change::Delete { anchor: anchor(name), kind: TenantKind::User }),
    );
    changes.push(object("u40", TenantKind::User, &[("jobTitle", None)]));
    let (outcomes, known, _) = export(&mut graph, weather, changes, known, &mut seed);
    assert!(outcomes.iter().all(Outcome::is_done), "seed {number}: {outcomes:?}");
    assert_eq!(graph.users.len(), 50, "seed {number}");
    assert_eq!(graph.users[&known[&anchor("u40")]].title, None);
    let groups = memberships(&graph);
    let left = groups["everybody"].iter().filter(|name| !name.starts_with("gone")).count();
    assert_eq!(left, 30, "seed {number}");
}

#[test]
fn everything_arrives_once_in_any_weather() {
    everything_arrives_once(FAIR, 1);
    for number in 0..150 {
        everything_arrives_once(FOUL, number);
        everything_arrives_once(LATE, number);
    }
}

#[test]
fn in_fair_weather_nothing_is_asked_twice() {
    let mut graph = Graph::new(FAIR);
    let names: Vec<_> = (0..100).map(|number| format!("u{number:02}")).collect();
    let all: Vec<_> = names.iter().map(String::as_str).collect();
    let mut changes: Vec<_> = all.iter().map(|name| user(name)).collect();
    changes.extend([group("g"), members("g", &all, &[])]);
    export(&mut graph, FAIR, changes, Known::new(), &mut Seed(1));
    assert_eq!(graph.count, 100 + 1 + 5, "users, the group, and twenty members a request");
}

#[test]
fn an_exporter_that_is_throttled_waits_as_it_is_told() {
    let weather = Weather { requests_max: 20, ..FAIR };
    let mut graph = Graph::new(weather);
    let names: Vec<_> = (0..200).map(|number| format!("u{number:03}")).collect();
    let changes: Vec<_> = names.iter().map(|name| user(name)).collect();
    let (outcomes, _, time) = export(&mut graph, weather, changes, Known::new(), &mut Seed(1));
    assert!(outcomes.iter().all(Outcome::is_done));
    // Ten windows of ten seconds are needed; it takes little more, and asks little in vain.
    assert!((90..140).contains(&time.whole_seconds()), "{time}");
    assert!(graph.throttled <= 200, "{}", graph.throttled);
}

fn faults(changes: Vec<Change>) -> Vec<Vec<Fault>> {
    let mut graph = Graph::new(FAIR);
    let (outcomes, ..) = export(&mut graph, FAIR, changes, Known::new(), &mut Seed(1));
    outcomes.into_iter().map(|outcome| outcome.faults).collect()
}

/// The name of a directory extension.
const EXTENSION: &str = "extension_0123456789abcdef0123456789abcdef_costCentre";

#[test]
fn what_graph_cannot_do_is_said_of_each_object() {
    let on = Some(Value::Boolean(true));
    let list = object("list", TenantKind::Group, &[("mailEnabled", on.clone())]);
    let found = faults(vec![object("nina", TenantKind::Contact, &[]), list]);
    assert_eq!(found[0], [Fault::Unable("contacts")]);
    assert_eq!(found[1], [Fault::Unable("distribution groups")]);
    let mut graph = Graph::new(FAIR);
    let change = object(
        "bob",
        TenantKind::User,
        &[
            ("userPrincipalName", text("bob@corp.example")),
            ("proxyAddresses", Some(Value::Texts(vec!["SMTP:bob@corp.example".to_owned()]))),
            ("onPremisesSamAccountName", text("bob")),
            ("jobTitle", text(&"x".repeat(129))),
            (EXTENSION, text("4711")),
            ("extension_0123456789abcdef0123456789abcdef_gone", None),
        ],
    );
    let (outcomes, ..) = export(&mut graph, FAIR, vec![change], Known::new(), &mut Seed(1));
    assert!(outcomes[0].is_done());
    let expected = [
        Inability::NotSent(EXTENSION.to_owned()),
        Inability::DoesNotFit("jobTitle".to_owned()),
        Inability::ReadOnly("onPremisesSamAccountName".to_owned()),
        Inability::ReadOnly("proxyAddresses".to_owned()),
    ];
    assert_eq!(outcomes[0].unable, expected);
}

#[test]
fn a_member_who_will_never_be_there_keeps_nobody_else_out() {
    let changes =
        vec![group("g"), user("bob"), members("g", &["bob", "nobody"], &["nobody-either"])];
    assert_eq!(faults(changes)[2], [Fault::Absent(anchor("nobody"))]);
    let lonely = vec![members("missing", &["nobody"], &[])];
    assert_eq!(faults(lonely)[0], [Fault::Absent(anchor("missing"))]);
}

#[test]
fn whoever_came_counts_as_come_whatever_became_of_the_others() {
    let outcome = |changes: Vec<Change>| {
        let mut graph = Graph::new(FAIR);
        let (outcomes, ..) = export(&mut graph, FAIR, changes, Known::new(), &mut Seed(1));
        outcomes.into_iter().next_back().unwrap()
    };
    let check = |outcome: &Outcome, failing: &[&str]| {
        let all = ["bob", "nobody", "nobody-either"];
        let fails: Vec<_> = all.into_iter().filter(|name| outcome.fails(&anchor(name))).collect();
        assert_eq!(fails, failing, "{outcome:?}");
    };
    let both = members("g", &["bob", "nobody"], &["nobody-either"]);
    check(&outcome(vec![group("g"), user("bob"), both]), &["nobody"]);
    check(&outcome(vec![group("g"), user("bob"), members("g", &["bob"], &[])]), &[]);
    let lonely = members("missing", &["bob"], &["nobody"]);
    check(&outcome(vec![user("bob"), lonely]), &["bob", "nobody"]);
    let manager = Change::Manager { user: anchor("bob"), manager: Some(anchor("nobody")) };
    check(&outcome(vec![user("bob"), manager]), &["bob", "nobody", "nobody-either"]);
}

#[test]
fn a_name_passes_on_once_its_holder_has_another() {
    let mut graph = Graph::new(FAIR);
    let mut seed = Seed(1);
    let (_, known, _) = export(&mut graph, FAIR, vec![user("ann")], Known::new(), &mut seed);
    let rename =
        object("ann", TenantKind::User, &[("userPrincipalName", text("ann.new@corp.example"))]);
    let changes = vec![user_named("other", "ann"), rename];
    let (outcomes, ..) = export(&mut graph, FAIR, changes, known, &mut seed);
    assert!(outcomes.iter().all(Outcome::is_done), "{outcomes:?}");
    let found = faults(vec![user("ann"), user_named("other", "ann")]);
    let taken = Fault::Taken("userPrincipalName".to_owned());
    assert_eq!(found, [vec![], vec![taken]]);
}

#[test]
fn a_user_who_is_there_already_is_taken_up_by_the_anchor() {
    let mut graph = Graph::new(FAIR);
    let mut seed = Seed(1);
    let (_, known, _) = export(&mut graph, FAIR, vec![user("ann")], Known::new(), &mut seed);
    // Nothing is known any more: the state was lost.
    let again = object(
        "ann",
        TenantKind::User,
        &[("userPrincipalName", text("ann@corp.example")), ("jobTitle", text("Chief"))],
    );
    let late = Weather { is_late: true, ..FAIR };
    let users = std::mem::take(&mut graph.users);
    let mut graph = Graph::new(late);
    graph.users = users;
    let (outcomes, now, _) = export(&mut graph, late, vec![again], Known::new(), &mut seed);
    assert!(outcomes[0].is_done(), "{outcomes:?}");
    assert_eq!((graph.users.len(), &now), (1, &known));
    assert_eq!(graph.users.values().next().unwrap().title.as_deref(), Some("Chief"));
}

#[test]
fn an_object_that_vanished_is_told_and_forgotten() {
    let mut graph = Graph::new(FAIR);
    let known = Known::from([(anchor("ann"), Guid::from_random([7; 16]))]);
    let change = object("ann", TenantKind::User, &[("jobTitle", text("Chief"))]);
    let (outcomes, known, _) = export(&mut graph, FAIR, vec![change], known, &mut Seed(1));
    assert_eq!(outcomes[0].faults, [Fault::Vanished]);
    assert!(known.is_empty());
}

#[test]
fn a_target_that_never_answers_well_is_given_up() {
    let now = OffsetDateTime::from_unix_timestamp(1_795_000_000).unwrap();
    let check = |status: u16, body: &str, expected: &str| {
        let mut seed = Seed(1);
        let mut exporter = Exporter::new(vec![user("ann")], Known::new(), settings());
        let mut now = now;
        for _ in 0..10_000 {
            match exporter.next(now, &mut seed) {
                Action::Send(batch) => {
                    let body = body.as_bytes().to_vec();
                    let reply = super::Reply { status, retry_after: Some("1".to_owned()), body };
                    exporter.answered(batch.number, &reply, now, &mut seed);
                }
                Action::Wait { until } => now = now.max(until.unwrap()),
                Action::Done => break,
            }
        }
        let (outcomes, _) = exporter.finish();
        let told = outcomes[0].faults.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert!(told.len() == 1 && told[0].contains(expected), "{status}: {told:?}");
    };
    check(500, "", "30 attempts");
    check(429, "", "told to wait");
    check(401, "", "30 attempts");
    check(200, "no JSON", "30 attempts");
    check(200, r#"{"responses":[]}"#, "30 attempts");
    check(200, r#"{"responses":[{"id":"1","status":424}]}"#, "told to wait");
    check(403, r#"{"error":{"message":"no"}}"#, "does not permit it: no");
    check(400, r#"{"error":{"code":"BadRequest","message":"x"}}"#, "400 BadRequest: x");
}

#[test]
fn a_batch_does_not_print_the_passwords_in_it() {
    let mut seed = Seed(1);
    let now = OffsetDateTime::from_unix_timestamp(1_795_000_000).unwrap();
    let mut exporter = Exporter::new(vec![user("ann")], Known::new(), settings());
    let Action::Send(batch) = exporter.next(now, &mut seed) else { panic!("there is work") };
    assert!(String::from_utf8_lossy(&batch.body).contains("passwordProfile"));
    assert_eq!(format!("{batch:?}"), "Batch { number: 1, requests: 1, .. }");
}
