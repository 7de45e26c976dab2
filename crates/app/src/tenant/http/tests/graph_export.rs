//! The exporter of `portolan connect` against the tenant's own Graph, under its limits, with replies that
//! get lost: everything arrives, and once.

use std::num::NonZeroU32;

use portolan_model::SourceAnchor;
use portolan_sync::TenantKind;
use portolan_sync::target::graph::Value;
use portolan_sync::target::graph::{
    Action, Alone, Change, Conversation, Desired, Exporter, Known, Outcome, Picture, Reply,
    Settings, read_page,
};
use portolan_tenant::graph::throttle::Limits;

use super::*;

const USERS: usize = 240;
const GROUPS: usize = 12;

/// The permissions that an exporter needs.
const PERMISSIONS: [&str; 2] = ["User.ReadWrite.All", "Group.ReadWrite.All"];

fn anchor(text: &str) -> SourceAnchor {
    text.parse().unwrap()
}

fn user(number: usize) -> String {
    format!("user/{number}==")
}

fn changes() -> Vec<Change> {
    let text = |text: String| Some(Value::Text(text));
    let mut changes: Vec<_> = (0..USERS)
        .map(|number| {
            let attributes = [
                ("userPrincipalName", text(format!("u{number}@corp.example"))),
                ("displayName", text(format!("User {number}"))),
                ("accountEnabled", Some(Value::Boolean(true))),
                ("extensionAttribute2", text("two".to_owned())),
            ];
            let attributes = attributes.map(|(name, value)| (name.to_owned(), value)).into();
            Change::Write(Desired {
                anchor: anchor(&user(number)),
                kind: TenantKind::User,
                attributes,
            })
        })
        .collect();
    for number in 0..GROUPS {
        let on = Some(Value::Boolean(true));
        let attributes =
            [("displayName", text(format!("Group {number}"))), ("securityEnabled", on)];
        let attributes = attributes.map(|(name, value)| (name.to_owned(), value)).into();
        let group = anchor(&format!("group/{number}=="));
        let kind = TenantKind::Group;
        changes.push(Change::Write(Desired { anchor: group.clone(), kind, attributes }));
        let add = (0..USERS).filter(|user| user % GROUPS >= number).map(|at| anchor(&user(at)));
        changes.push(Change::Members { group, add: add.collect(), remove: vec![] });
    }
    changes.push(Change::Manager { user: anchor(&user(1)), manager: Some(anchor(&user(0))) });
    changes
}

/// A token of the writer, which is good now.
async fn renewed(world: &World) -> String {
    let writer = world.application("Writer").await;
    world.own_token(&writer, GRAPH, &PERMISSIONS)
}

/// The random numbers of a test: the same in each run, whatever the machine does meanwhile.
struct Drawn(u64);

impl Drawn {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % bound
    }
}

impl Entropy for Drawn {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill_with(|| u8::try_from(self.below(256)).unwrap_or_default());
    }
}

/// How often a request is sent. With a quarter of all batches lost, one creation in 70,000 meets a dozen
/// faults in a row, and one in 10^12 so many.
const ATTEMPTS_MAX: u32 = 30;

/// Exports in virtual time; a quarter of the batches, or their replies, get lost: by a sequence of
/// numbers, for what is lost by turns can be the same piece of work each time it is sent again.
async fn export(world: &mut World, changes: Vec<Change>, known: Known) -> (Vec<Outcome>, Known) {
    let base = format!("https://{GRAPH}/v1.0");
    let attempts_max = ATTEMPTS_MAX;
    let settings = Settings { base, batches_max: 2, attempts_max, restores_deleted: true };
    let mut exporter = Exporter::new(changes, known, settings);
    let (rng, mut weather) = (&mut Drawn(2), Drawn(1));
    for _ in 0..100_000 {
        let luck = weather.below(24);
        match exporter.next(world.service.now(), rng) {
            Action::Done => return exporter.finish(),
            Action::Wait { until } => {
                let wait = until.expect("each batch is answered at once") - world.service.now();
                world.pass(wait.whole_seconds() + 1);
            }
            Action::Send(batch) => {
                let token = renewed(world).await;
                if luck < 2 {
                    exporter.lost(batch.number, world.service.now(), rng);
                    continue;
                }
                let answer = match &batch.alone {
                    Some(alone) => world.alone(&token, alone).await,
                    None => {
                        let body = serde_json::from_slice(&batch.body).unwrap();
                        world.graph(&token, Method::POST, "/$batch", body).await
                    }
                };
                let now = world.service.now();
                if luck < 6 {
                    exporter.lost(batch.number, now, rng);
                    continue;
                }
                let retry_after = answer.headers.get("retry-after");
                let retry_after = retry_after.map(|value| value.to_str().unwrap().to_owned());
                let body = answer.text.into_bytes();
                let reply = Reply { status: answer.status, retry_after, body };
                exporter.answered(batch.number, &reply, now, rng);
                exporter.answered(batch.number, &reply, now, rng);
            }
        }
    }
    panic!("the export does not end");
}

impl World {
    /// Sends a request that stands alone.
    async fn alone(&mut self, token: &str, alone: &Alone) -> Answer {
        let (bearer, path) = (format!("Bearer {token}"), format!("/v1.0{}", alone.path));
        let kind = alone.media_type.unwrap_or("application/octet-stream");
        let headers = [("content-type", kind), ("authorization", bearer.as_str())];
        let method = Method::from_bytes(alone.method.as_bytes()).unwrap();
        self.send(method, GRAPH, &path, &headers, alone.octets.clone()).await
    }
}

async fn everything(world: &mut World, set: &str, select: &str) -> Vec<Json> {
    let token = renewed(world).await;
    let page = world.get_as(&token, &format!("/v1.0/{set}?$select={select}&$top=999")).await;
    page.json()["value"].as_array().unwrap().clone()
}

#[tokio::test]
async fn an_export_to_the_tenant_arrives_once_under_limits_and_losses() {
    let mut world = World::empty().await;
    world.throttle(Limits::GRAPH.divided_by(NonZeroU32::new(20).unwrap())).await;
    world.writer(&PERMISSIONS).await;
    let began = world.service.now();
    let (outcomes, known) = export(&mut world, changes(), Known::new()).await;
    for (at, outcome) in outcomes.iter().enumerate() {
        assert!(outcome.is_done() && outcome.unable.is_empty(), "change {at}: {outcome:?}");
    }
    let users = everything(&mut world, "users", "onPremisesImmutableId,userPrincipalName").await;
    let mut anchors: Vec<_> =
        users.iter().map(|user| user["onPremisesImmutableId"].as_str().unwrap()).collect();
    anchors.sort_unstable();
    anchors.dedup();
    assert_eq!((users.len(), anchors.len()), (USERS, USERS), "each once");
    assert_eq!(everything(&mut world, "groups", "id").await.len(), GROUPS);
    for number in 0..GROUPS {
        let id = known[&anchor(&format!("group/{number}=="))];
        let members = everything(&mut world, &format!("groups/{id}/members"), "id").await;
        assert_eq!(members.len(), USERS / GROUPS * (GROUPS - number), "group {number}");
        world.pass(10);
    }
    // 240 users, 12 groups and their members at one write a second, of which 150 may come at once.
    let took = world.service.now() - began;
    assert!(took > time::Duration::seconds(150), "{took}");

    // What is read back is what was written, and exporting it again changes nothing and doubles nothing.
    let mut read = Known::new();
    let token = renewed(&world).await;
    for path in portolan_sync::target::graph::first_pages() {
        let page = world.get_as(&token, &format!("/v1.0{path}")).await;
        let page = read_page(page.text.as_bytes(), &format!("https://{GRAPH}/v1.0")).unwrap();
        read.extend(page.known);
    }
    assert_eq!(read, known);
    let gone =
        (0..20).map(|at| Change::Delete { anchor: anchor(&user(at)), kind: TenantKind::User });
    let changes = changes().into_iter().skip(20).take(USERS - 20).chain(gone).collect();
    let (outcomes, known) = export(&mut world, changes, read).await;
    assert!(outcomes.iter().all(Outcome::is_done), "{outcomes:?}");
    assert_eq!(everything(&mut world, "users", "id").await.len(), USERS - 20);
    assert_eq!(known.len(), USERS - 20 + GROUPS);
}

#[tokio::test]
async fn photos_arrive_as_they_were_sent_and_go_under_limits_and_losses() {
    const PICTURED: usize = 30;
    let mut world = World::empty().await;
    world.throttle(Limits::GRAPH.divided_by(NonZeroU32::new(60).unwrap())).await;
    world.writer(&PERMISSIONS).await;
    let octets = |number: usize| format!("GIF89a of {number}").into_bytes();
    let photo = |number: usize, octets: Option<Vec<u8>>| Change::Photo {
        user: anchor(&user(number)),
        photo: octets.map(|octets| Picture { media_type: "image/gif", octets }),
    };
    let users = changes().into_iter().take(PICTURED);
    let photos = (0..PICTURED).map(|number| photo(number, Some(octets(number))));
    let (outcomes, known) = export(&mut world, users.chain(photos).collect(), Known::new()).await;
    assert!(outcomes.iter().all(Outcome::is_done), "{outcomes:?}");
    let gone = (0..3).map(|number| photo(number, None));
    let unreadable = photo(3, Some(b"<svg>".to_vec()));
    let (outcomes, known) = export(&mut world, gone.chain([unreadable]).collect(), known).await;
    let done: Vec<_> = outcomes.iter().map(Outcome::is_done).collect();
    assert_eq!(done, [true, true, true, false], "{outcomes:?}");
    for number in 0..PICTURED {
        world.pass(10);
        let token = renewed(&world).await;
        let path = format!("/v1.0/users/{}/photo/$value", known[&anchor(&user(number))]);
        let shown = world.get_as(&token, &path).await;
        match number {
            0..3 => assert_eq!(shown.status, 404, "{number}"),
            _ => {
                assert_eq!(shown.text.into_bytes(), octets(number), "what is none changes nothing");
            }
        }
    }
}
