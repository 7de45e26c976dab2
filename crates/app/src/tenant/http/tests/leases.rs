//! Several sync servers of one group: what is one's is all of theirs, and one writes at a time.

use super::*;

/// A server that enrolled with a file of its own, or with one that joins another.
async fn enrolled(world: &mut World, joins: Option<Guid>) -> Guid {
    let secret = Opaque::draw(&mut SystemEntropy);
    let until = world.service.now() + time::Duration::HOUR;
    let mut tx = world.service.store().begin(Access::Write).await.unwrap();
    tx.put_enrolment(&secret.digest(), until).await.unwrap();
    if let Some(id) = joins {
        tx.bind_joining(&secret.digest(), id).await.unwrap();
    }
    tx.commit().await.unwrap();
    let body = json!({"secret": secret.expose(), "key": signing_key().public()});
    let answer = world.post_json("", "/enrol", body.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["client_id"].as_str().unwrap().parse().unwrap()
}

async fn post(world: &mut World, server: Guid, path: &str, body: &Json) -> Answer {
    let mut tx = world.service.store().begin(Access::Read).await.unwrap();
    let application = tx.application(server).await.unwrap().unwrap();
    drop(tx);
    let token = world.own_token(&application, SYNC, &[ROLE_INGEST]);
    world.post_json(&token, path, body.to_string()).await
}

/// A lease as a server is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    epoch: u64,
    id: String,
    previous: Option<String>,
}

/// What a server gets, or the status and the word with which it is refused.
async fn lease(world: &mut World, server: Guid, body: &Json) -> Result<Held, (u16, String)> {
    let answer = post(world, server, "/v1.0/lease", body).await;
    let text = |name: &str| answer.json()[name].as_str().map(str::to_owned);
    match answer.status {
        200 => Ok(Held {
            epoch: answer.json()["epoch"].as_u64().unwrap(),
            id: text("id").unwrap(),
            previous: text("previous"),
        }),
        status => Err((status, answer.json()["error"]["code"].as_str().unwrap().to_owned())),
    }
}

/// What the tenant says to a server that writes an object: the word of its result, or of the refusal.
async fn write(
    world: &mut World,
    server: Guid,
    batch: u32,
    name: &str,
    held: Option<&Held>,
) -> (u16, String) {
    let mut body = json!({"batch": format!("00000000-0000-4000-8000-{batch:012}"), "operations":
        [{"op": "upsert", "anchor": name, "kind": "user", "attributes": {
        "userPrincipalName": format!("{name}@corp.example"), "accountEnabled": true}}]});
    if let Some(held) = held {
        (body["lease_epoch"], body["lease_id"]) = (json!(held.epoch), json!(held.id));
    }
    let answer = post(world, server, "/v1.0/ingest", &body).await;
    let said = answer.json();
    let result = &said["results"][0];
    let word = result.get("code").or(result.get("status")).unwrap_or(&said["error"]["code"]);
    (answer.status, word.as_str().unwrap().to_owned())
}

async fn is_there(world: &World, name: &str) -> bool {
    let mut tx = world.service.store().begin(Access::Read).await.unwrap();
    tx.object_by_anchor(&name.parse().unwrap()).await.unwrap().is_some()
}

fn acquire(seconds: u32) -> Json {
    json!({"action": "acquire", "name": "sync1.corp.example", "seconds": seconds})
}

fn renew(held: &Held) -> Json {
    json!({"action": "renew", "name": "x", "epoch": held.epoch, "id": held.id, "seconds": 60})
}

fn release(held: &Held) -> Json {
    json!({"action": "release", "epoch": held.epoch, "id": held.id})
}

fn ok() -> (u16, String) {
    (200, "ok".to_owned())
}

fn refused<T>(status: u16, word: &str) -> Result<T, (u16, String)> {
    Err((status, word.to_owned()))
}

#[tokio::test]
async fn servers_of_a_group_share_what_is_theirs_and_others_do_not() {
    let mut world = World::empty().await;
    let first = enrolled(&mut world, None).await;
    assert_eq!(write(&mut world, first, 1, "bob", None).await, ok());
    let second = enrolled(&mut world, Some(first)).await;
    let third = enrolled(&mut world, Some(second)).await;
    let stranger = enrolled(&mut world, None).await;
    assert_eq!(write(&mut world, second, 2, "bob", None).await, ok());
    assert_eq!(write(&mut world, third, 3, "carol", None).await, ok());
    assert_eq!(write(&mut world, first, 4, "carol", None).await, ok());
    let others = (200, "otherSyncServer".to_owned());
    assert_eq!(write(&mut world, stranger, 5, "bob", None).await, others);
    let mut tx = world.service.store().begin(Access::Write).await.unwrap();
    for server in [first, second, third] {
        assert_eq!(tx.owned(server).await.unwrap(), 2);
        assert_eq!(tx.sync_group(server).await.unwrap(), first);
    }
    // Whoever founded the group goes, and the others keep what is theirs.
    tx.remove_application(first).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(write(&mut world, second, 6, "bob", None).await, ok());
    assert_eq!(write(&mut world, stranger, 7, "bob", None).await, others);
    let mut tx = world.service.store().begin(Access::Write).await.unwrap();
    let next = Guid::from_random([77; 16]);
    tx.succeed(third, next).await.unwrap();
    assert_eq!((tx.owned(next).await.unwrap(), tx.sync_group(next).await.unwrap()), (2, first));
    tx.remove_application(second).await.unwrap();
    tx.remove_application(next).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(write(&mut world, stranger, 8, "bob", None).await, ok(), "nobody was left");
}

#[tokio::test]
async fn a_server_that_was_paused_and_goes_on_late_writes_nothing() {
    let mut world = World::empty().await;
    let first = enrolled(&mut world, None).await;
    let second = enrolled(&mut world, Some(first)).await;
    let one = lease(&mut world, first, &acquire(60)).await.unwrap();
    assert_eq!((one.epoch, &one.previous), (1, &None));
    assert_eq!(write(&mut world, first, 1, "a", Some(&one)).await, ok());
    let wait = post(&mut world, second, "/v1.0/lease", &acquire(60)).await;
    assert_eq!((wait.status, wait.header("retry-after")), (409, "61"));
    assert_eq!(wait.json()["error"]["code"], "leaseHeld");
    assert!(wait.text.contains("sync1.corp.example"), "{}", wait.text);
    assert_eq!(write(&mut world, second, 2, "b", Some(&one)).await, (412, "leaseLost".to_owned()));
    world.pass(61);
    // It sleeps on its own; the other one takes over.
    let two = lease(&mut world, second, &acquire(60)).await.unwrap();
    assert_eq!((two.epoch, &two.previous), (2, &Some(one.id.clone())));
    assert_eq!(write(&mut world, second, 3, "b", Some(&two)).await, ok());
    // It wakes in the middle of its run, whatever its own clock says.
    let lost = || (412, "leaseLost".to_owned());
    assert_eq!(write(&mut world, first, 4, "c", Some(&one)).await, lost());
    assert_eq!(write(&mut world, first, 5, "c", Some(&two)).await, lost());
    let required = (412, "leaseRequired".to_owned());
    assert_eq!(write(&mut world, first, 6, "c", None).await, required);
    let reference = json!({"batch": "00000000-0000-4000-8000-000000000007", "lease_epoch": 1,
        "lease_id": one.id, "operations": [{"op": "references", "anchor": "b", "attribute": "manager",
        "added": ["a"]}]});
    assert_eq!(post(&mut world, first, "/v1.0/ingest", &reference).await.status, 412);
    assert!(!is_there(&world, "c").await);
    assert_eq!(lease(&mut world, first, &renew(&one)).await, refused(409, "leaseLost"));
    // What was written in time is answered again as it was, and changes nothing.
    assert_eq!(write(&mut world, first, 1, "a", Some(&one)).await, ok());
    assert_eq!(lease(&mut world, second, &release(&two)).await, Ok(two.clone()));
    assert_eq!(write(&mut world, second, 8, "d", Some(&two)).await, lost());
    let three = lease(&mut world, first, &acquire(60)).await.unwrap();
    assert_eq!((three.epoch, &three.previous), (3, &Some(two.id)));
    assert_eq!(write(&mut world, first, 9, "d", Some(&three)).await, ok());
    let all = portolan_store::tenant::log::Wanted {
        since: None,
        user: None,
        anchor: None,
        count_max: 100,
    };
    let mut tx = world.service.store().begin(Access::Read).await.unwrap();
    let lines = tx.audits(all).await.unwrap().into_iter().rev();
    let lines: Vec<_> = lines.filter(|line| line.action.starts_with("lease.")).collect();
    let actions: Vec<_> = lines.iter().map(|line| line.action.as_str()).collect();
    assert_eq!(actions, ["lease.acquire", "lease.takeover", "lease.release", "lease.acquire"]);
    assert_eq!(lines[1].actor, second.to_string());
    assert_eq!(lines[1].target, format!("{first}, epoch 2, from {first}"));
}

#[tokio::test]
async fn a_lease_is_renewed_bounded_and_survives_a_restart_of_the_tenant() {
    let mut world = World::empty().await;
    let first = enrolled(&mut world, None).await;
    let second = enrolled(&mut world, Some(first)).await;
    for seconds in [0, 4, 601, u32::MAX] {
        let outcome = lease(&mut world, first, &acquire(seconds)).await;
        assert_eq!(outcome, refused(409, "invalidLease"), "{seconds}");
    }
    let long = json!({"action": "acquire", "name": "x".repeat(65), "seconds": 60});
    assert_eq!(lease(&mut world, first, &long).await, refused(400, "malformed"));
    let held = lease(&mut world, first, &acquire(60)).await.unwrap();
    for _ in 0..3 {
        world.pass(40);
        assert_eq!(lease(&mut world, first, &renew(&held)).await, Ok(held.clone()));
        assert_eq!(lease(&mut world, second, &acquire(60)).await, refused(409, "leaseHeld"));
    }
    world.restart().await;
    assert_eq!(write(&mut world, second, 1, "a", None).await, (412, "leaseRequired".to_owned()));
    assert_eq!(write(&mut world, first, 2, "a", Some(&held)).await, ok());
    // The holder is removed: what it held is free, and its epoch stays the newest until the next.
    let mut tx = world.service.store().begin(Access::Write).await.unwrap();
    tx.remove_application(first).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(lease(&mut world, second, &acquire(60)).await.unwrap().epoch, 2);
    // A server of no group has a lease of its own.
    let alone = enrolled(&mut world, None).await;
    let its = lease(&mut world, alone, &acquire(60)).await.unwrap();
    assert_eq!((its.epoch, &its.previous), (1, &None));
    assert_eq!(write(&mut world, alone, 3, "b", None).await, (412, "leaseRequired".to_owned()));
    assert_eq!(write(&mut world, alone, 4, "b", Some(&its)).await, ok());
}

/// The epoch alone, as a server of an earlier release sends it, and ids that are not this lease's.
#[tokio::test]
async fn nothing_is_written_by_an_epoch_without_its_id() {
    let mut world = World::empty().await;
    let server = enrolled(&mut world, None).await;
    let held = lease(&mut world, server, &acquire(60)).await.unwrap();
    let mut body = json!({"batch": "00000000-0000-4000-8000-000000000001", "operations": [],
        "lease_epoch": held.epoch});
    let answer = post(&mut world, server, "/v1.0/ingest", &body).await;
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (412, &json!("leaseRequired")));
    for id in ["", "x", "00000000-0000-4000-8000-000000000000", &held.id[1..]] {
        body["lease_id"] = json!(id);
        let answer = post(&mut world, server, "/v1.0/ingest", &body).await;
        let code = &answer.json()["error"]["code"];
        assert_eq!((answer.status, code), (412, &json!("leaseLost")), "{id:?}");
        let other = Held { id: id.to_owned(), ..held.clone() };
        for request in [renew(&other), release(&other)] {
            let lost = refused(409, "leaseLost");
            assert_eq!(lease(&mut world, server, &request).await, lost, "{id:?}");
        }
    }
    let without = json!({"action": "renew", "name": "x", "epoch": 1, "seconds": 60});
    assert_eq!(lease(&mut world, server, &without).await, refused(409, "leaseLost"));
    body["lease_id"] = json!(held.id);
    assert_eq!(post(&mut world, server, "/v1.0/ingest", &body).await.status, 200);
}

/// The tenant is restored to what it was before the second server took over: the same epoch comes again, and
/// what was given under it before writes nothing, renews nothing, and is not in the chain of what is given now.
#[tokio::test]
async fn a_lease_of_a_restored_tenant_is_none_of_those_that_were_given_before() {
    let mut world = World::empty().await;
    let first = enrolled(&mut world, None).await;
    let second = enrolled(&mut world, Some(first)).await;
    let one = lease(&mut world, first, &acquire(60)).await.unwrap();
    let mut tx = world.service.store().begin(Access::Read).await.unwrap();
    let backup = tx.lease(first).await.unwrap().unwrap();
    drop(tx);
    world.pass(61);
    let two = lease(&mut world, second, &acquire(60)).await.unwrap();
    let mut tx = world.service.store().begin(Access::Write).await.unwrap();
    tx.put_lease(first, &backup).await.unwrap();
    tx.commit().await.unwrap();
    let lost = || (412, "leaseLost".to_owned());
    assert_eq!(write(&mut world, second, 1, "a", Some(&two)).await, lost());
    assert_eq!(lease(&mut world, second, &renew(&two)).await, refused(409, "leaseLost"));
    let again = lease(&mut world, second, &acquire(60)).await.unwrap();
    assert_eq!((again.epoch, &again.previous), (two.epoch, &Some(one.id)));
    assert_ne!(again.id, two.id);
    assert_eq!(write(&mut world, second, 2, "a", Some(&two)).await, lost());
    assert_eq!(write(&mut world, second, 3, "a", Some(&again)).await, ok());
}

/// A server that enrols anew keeps its state, and with it the id of the lease under which it confirmed.
#[tokio::test]
async fn whoever_succeeds_a_server_comes_right_behind_its_lease() {
    let mut world = World::empty().await;
    let first = enrolled(&mut world, None).await;
    let second = enrolled(&mut world, Some(first)).await;
    let next = enrolled(&mut world, None).await;
    let held = lease(&mut world, second, &acquire(60)).await.unwrap();
    let mut tx = world.service.store().begin(Access::Write).await.unwrap();
    tx.succeed(second, next).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(lease(&mut world, next, &renew(&held)).await, refused(409, "leaseLost"));
    let its = lease(&mut world, next, &acquire(60)).await.unwrap();
    assert_eq!((its.epoch, its.previous), (2, Some(held.id)));
}

#[tokio::test]
async fn what_is_a_group_s_is_told_to_its_servers_alone() {
    let mut world = World::empty().await;
    let first = enrolled(&mut world, None).await;
    let second = enrolled(&mut world, Some(first)).await;
    let stranger = enrolled(&mut world, None).await;
    assert_eq!(write(&mut world, first, 1, "bob", None).await, ok());
    let read = |anchors: Vec<&str>| json!({"anchors": anchors});
    for server in [first, second] {
        let path = "/v1.0/objects/read";
        let answer = post(&mut world, server, path, &read(vec!["bob", "nobody"])).await.json();
        assert_eq!(answer["answered"], 2, "{answer:#}");
        let [bob] = answer["objects"].as_array().unwrap().as_slice() else { panic!("{answer:#}") };
        assert_eq!(bob["anchor"], "bob");
        assert_eq!(bob["attributes"]["userPrincipalName"], "bob@corp.example");
    }
    let nothing = post(&mut world, stranger, "/v1.0/objects/read", &read(vec!["bob"])).await;
    assert_eq!(nothing.json(), json!({"objects": [], "answered": 1}));
    for wrong in [read(vec!["a b"]), read(vec!["bob"; 501]), json!({"anchor": "bob"})] {
        let answer = post(&mut world, first, "/v1.0/objects/read", &wrong).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
    }
}

/// A batch that says how far its sender has read; the status of the answer.
async fn vouch(
    world: &mut World,
    server: Guid,
    batch: u32,
    held: Option<&Held>,
    read: &Json,
) -> u16 {
    let mut body = json!({"batch": format!("00000000-0000-4000-8000-{batch:012}"),
        "operations": [], "read_up_to": read});
    if let Some(held) = held {
        (body["lease_epoch"], body["lease_id"]) = (json!(held.epoch), json!(held.id));
    }
    post(world, server, "/v1.0/ingest", &body).await.status
}

/// How far whoever wrote last had read, as a server is told.
async fn read_up_to(world: &mut World, server: Guid) -> Json {
    let mut tx = world.service.store().begin(Access::Read).await.unwrap();
    let application = tx.application(server).await.unwrap().unwrap();
    drop(tx);
    let token = world.own_token(&application, SYNC, &[ROLE_INGEST]);
    let header = format!("Bearer {token}");
    let headers = [("authorization", header.as_str())];
    let path = "/v1.0/read-up-to";
    let answer = world.send(Method::GET, SYNC, path, &headers, Body::empty()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["read_up_to"].clone()
}

#[tokio::test]
async fn who_takes_over_is_told_how_far_the_forests_were_read() {
    const A: &str = "11111111-1111-4111-8111-111111111111";
    const B: &str = "22222222-2222-4222-8222-222222222222";
    let mut world = World::empty().await;
    let first = enrolled(&mut world, None).await;
    let of = |a: u64, b: u64| json!({"corp.example": {A: a, B: b}});
    assert_eq!(read_up_to(&mut world, first).await, json!({}));
    assert_eq!(vouch(&mut world, first, 1, None, &of(100, 7)).await, 200);
    // Who has joined nobody yet is another group.
    let second = enrolled(&mut world, Some(first)).await;
    let stranger = enrolled(&mut world, None).await;
    assert_eq!(read_up_to(&mut world, second).await, of(100, 7));
    assert_eq!(read_up_to(&mut world, stranger).await, json!({}));
    // A number never goes back, and a batch that says nothing changes nothing.
    let held = lease(&mut world, first, &acquire(60)).await.unwrap();
    assert_eq!(vouch(&mut world, first, 2, Some(&held), &of(99, 8)).await, 200);
    assert_eq!(write(&mut world, first, 3, "bob", Some(&held)).await, ok());
    assert_eq!(read_up_to(&mut world, second).await, of(100, 8));
    // What is not legal is refused with its batch, and who does not write says nothing.
    for wrong in [json!({"corp.example": {"x": 1}}), json!({"no domain": {A: 1}}), of(1 << 63, 0)] {
        assert_eq!(vouch(&mut world, first, 4, Some(&held), &wrong).await, 400, "{wrong}");
    }
    let others = Held { epoch: held.epoch, id: A.to_owned(), previous: None };
    assert_eq!(vouch(&mut world, second, 5, Some(&others), &of(900, 900)).await, 412);
    assert_eq!(read_up_to(&mut world, second).await, of(100, 8));
    // Another domain is beside it.
    let branch = json!({"branch.example": {A: 5}});
    assert_eq!(vouch(&mut world, first, 6, Some(&held), &branch).await, 200);
    let both = json!({"corp.example": {A: 100, B: 8}, "branch.example": {A: 5}});
    assert_eq!(read_up_to(&mut world, second).await, both);
}
