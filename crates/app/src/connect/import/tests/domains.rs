//! The import of several domains of one forest, from a scripted one.

use portolan_model::{DnsName, Guid};
use portolan_store::state::{Found, Partition, StagedPlace};
use portolan_sync::engine::ObjectKey;
use portolan_sync::record::ValueRef;

use super::super::{Belief, Imported, Staging, domains, look_for_departed, read};
use super::forest::{Forest, id};
use super::server::Scripted;
use super::{Space, space};
use crate::report::Failure;

const ROOT: &str = "corp.example";
const CHILD: &str = "child.corp.example";
const GROUP: u16 = 10;
const USER: u16 = 20;

/// A universal group of the root with a member in the child domain.
fn forest() -> Forest {
    let mut forest = Forest::of(&[ROOT, CHILD]);
    forest.make(ROOT, GROUP, "group");
    forest.make(CHILD, USER, "user");
    forest.mail(CHILD, USER, "bob@corp.example");
    forest.member(ROOT, GROUP, USER, true);
    forest
}

async fn partition(space: &Space, domain: &str) -> Partition {
    if domain == ROOT {
        return space.forest.into();
    }
    space.state.partition(space.forest, domain).await.unwrap()
}

/// Reads a domain, beside others that are read.
async fn import(
    space: &Space,
    forest: &Forest,
    domain: &str,
    others: &[&str],
) -> Result<Imported, Failure> {
    let partition = partition(space, domain).await;
    let domain: DnsName = domain.parse().unwrap();
    let others: Vec<_> = others.iter().map(|other| other.parse().unwrap()).collect();
    let (state, reading) = (&space.state, &space.reading);
    let staging = Staging { domain: &domain, state, partition, others: &others, reading, now: 0 };
    let mut directory = Scripted::new(|asked: &_| forest.answer(&domain, asked));
    read(&mut directory, &staging, Belief::allowing(100)).await
}

/// Reads both domains, in an order.
async fn both(space: &Space, forest: &Forest, order: [&str; 2]) -> [Imported; 2] {
    let [one, other] = order;
    let first = import(space, forest, one, &[other]).await.unwrap();
    let second = import(space, forest, other, &[one]).await.unwrap();
    [first, second]
}

/// Asks a domain for what departed.
async fn look(space: &Space, forest: &Forest, domain: &str, other: &str) {
    let partition = partition(space, domain).await;
    let [domain, other]: [DnsName; 2] = [domain, other].map(|name| name.parse().unwrap());
    let (state, reading) = (&space.state, &space.reading);
    let others = std::slice::from_ref(&other);
    let staging = Staging { domain: &domain, state, partition, others, reading, now: 0 };
    let mut directory = Scripted::new(|asked: &_| forest.answer(&domain, asked));
    look_for_departed(&mut directory, &staging).await.unwrap();
}

/// The user as it is staged, with its key.
async fn user(space: &Space) -> Option<(ObjectKey, Found)> {
    let all = space.state.staged(space.forest, ObjectKey(0), 1_000).await.unwrap();
    all.into_iter().find(|(_, guid, _)| *guid == id(USER)).map(|(key, _, found)| (key, found))
}

async fn members(space: &Space) -> Vec<Guid> {
    let place = StagedPlace::default();
    let all = space.state.staged_references(space.forest, place, 1_000).await.unwrap();
    all.iter().map(|reference| reference.target).collect()
}

async fn cursors(space: &Space) -> [Option<Vec<u8>>; 2] {
    let child = partition(space, CHILD).await;
    [
        space.state.forest_cursor(space.forest).await.unwrap(),
        space.state.forest_cursor(child).await.unwrap(),
    ]
}

#[tokio::test]
async fn the_domains_of_a_forest_are_those_that_its_configuration_marks_as_such() {
    let forest = Forest::of(&[ROOT, CHILD, "tree.example"]);
    let domain: DnsName = CHILD.parse().unwrap();
    let mut directory = Scripted::new(|asked: &_| forest.answer(&domain, asked));
    let found = domains(&mut directory).await.unwrap();
    let found: Vec<_> =
        found.iter().map(|one| (one.domain.as_str(), one.netbios.as_deref())).collect();
    let expected = [(CHILD, Some("CHILD")), (ROOT, Some("CORP")), ("tree.example", Some("TREE"))];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn each_domain_goes_on_from_its_own_cursor_and_members_are_found_across_them() {
    let (_directory, space) = space().await;
    let mut forest = forest();
    // The root is read first: the member is known by its objectGUID alone.
    assert!(import(&space, &forest, ROOT, &[CHILD]).await.unwrap().full);
    assert_eq!((members(&space).await, user(&space).await), (vec![id(USER)], None));
    assert!(import(&space, &forest, CHILD, &[ROOT]).await.unwrap().full);
    let (_, found) = user(&space).await.unwrap();
    assert_eq!(found.dn.as_str(), "CN=o20,DC=child,DC=corp,DC=example");
    let before = cursors(&space).await;

    forest.mail(CHILD, USER, "bob2@corp.example");
    let [child, root] = both(&space, &forest, [CHILD, ROOT]).await;
    assert_eq!([(child.full, child.changed), (root.full, root.changed)], [(false, 1), (false, 0)]);
    let after = cursors(&space).await;
    assert!(before[1] != after[1], "the child's went on");

    forest.member(ROOT, GROUP, USER, false);
    forest.make(CHILD, 21, "user");
    forest.member(ROOT, GROUP, 21, true);
    both(&space, &forest, [ROOT, CHILD]).await;
    assert_eq!(members(&space).await, [id(21)]);
    // What is deleted in the one is no member in the other any more.
    forest.delete(CHILD, 21);
    let [root, child] = both(&space, &forest, [ROOT, CHILD]).await;
    assert_eq!((root.removed, child.removed, members(&space).await), (0, 1, vec![]));
}

#[tokio::test]
async fn a_domain_that_fails_keeps_what_it_has_and_the_other_goes_on() {
    let (_directory, space) = space().await;
    let mut forest = forest();
    both(&space, &forest, [ROOT, CHILD]).await;
    forest.make(ROOT, 30, "user");
    let before = cursors(&space).await;
    // The child's controllers are down: it is not read, and nothing of it changes.
    let imported = import(&space, &forest, ROOT, &[CHILD]).await.unwrap();
    assert_eq!((imported.changed, imported.removed), (1, 0));
    assert!(user(&space).await.is_some());
    assert_eq!(cursors(&space).await[1], before[1]);
}

#[tokio::test]
async fn an_object_that_moves_is_the_same_in_whichever_order_the_domains_are_read() {
    for dirsync in [true, false] {
        for order in [[ROOT, CHILD], [CHILD, ROOT]] {
            let (_directory, space) = space().await;
            let mut forest = forest();
            forest.dirsync = dirsync;
            both(&space, &forest, [ROOT, CHILD]).await;
            let (key, before) = user(&space).await.unwrap();
            forest.move_to(CHILD, ROOT, USER);
            for domain in order {
                let other = if domain == ROOT { CHILD } else { ROOT };
                let imported = import(&space, &forest, domain, &[other]).await.unwrap();
                assert_eq!((imported.full, imported.removed), (false, 0), "{domain}");
                let (now, _) = user(&space).await.expect("it is staged all the time");
                assert_eq!((now, members(&space).await), (key, vec![id(USER)]));
            }
            let (_, after) = user(&space).await.unwrap();
            assert_eq!(after.dn.as_str(), "CN=o20,DC=corp,DC=example");
            let sid = space.reading.attribute_of("objectSid");
            let of = |found: &Found| found.record.first(sid).map(ValueRef::to_value);
            assert!(of(&before) != of(&after) && of(&after).is_some(), "it has another SID");
            assert_eq!(space.state.departed(space.forest, 9).await.unwrap(), []);

            // And back again, where it was before.
            forest.move_to(ROOT, CHILD, USER);
            both(&space, &forest, order).await;
            let (now, found) = user(&space).await.unwrap();
            assert_eq!((now, found.dn), (key, before.dn));
        }
    }
}

#[tokio::test]
async fn what_moved_away_waits_for_its_new_domain_and_leaves_when_that_is_not_read() {
    let (_directory, space) = space().await;
    let mut forest = forest();
    both(&space, &forest, [ROOT, CHILD]).await;
    forest.move_to(CHILD, ROOT, USER);
    // The root's controllers are down, for as long as it may be.
    import(&space, &forest, CHILD, &[ROOT]).await.unwrap();
    let (_, found) = user(&space).await.unwrap();
    assert_eq!(found.dn.as_str(), "CN=o20,DC=child,DC=corp,DC=example", "as it was");
    assert_eq!(space.state.remove_departed(space.forest, 0).await.unwrap(), 0);
    import(&space, &forest, ROOT, &[CHILD]).await.unwrap();
    assert_eq!(user(&space).await.unwrap().1.dn.as_str(), "CN=o20,DC=corp,DC=example");

    // Whoever reads the root alone, or beside others, reads nothing of the child.
    for others in [&[][..], &["tree.example"]] {
        forest.move_to(ROOT, CHILD, USER);
        let imported = import(&space, &forest, ROOT, others).await.unwrap();
        assert_eq!((imported.full, imported.removed, user(&space).await), (false, 1, None));
        assert_eq!(members(&space).await, [id(USER)], "its group still names it");
        forest.move_to(CHILD, ROOT, USER);
        import(&space, &forest, ROOT, others).await.unwrap();
        assert!(user(&space).await.is_some());
    }
}

#[tokio::test]
async fn what_a_domain_lacks_when_all_of_it_is_read_is_looked_for_in_the_others() {
    let (_directory, space) = space().await;
    let mut forest = forest();
    both(&space, &forest, [ROOT, CHILD]).await;
    let (key, _) = user(&space).await.unwrap();
    // It moves, and both cursors are lost: there is no change that tells of it.
    forest.move_to(CHILD, ROOT, USER);
    let child = partition(&space, CHILD).await;
    space.state.forget_forest_cursor(child).await.unwrap();
    let imported = import(&space, &forest, CHILD, &[ROOT]).await.unwrap();
    assert_eq!((imported.full, imported.removed), (true, 0));
    assert_eq!(space.state.departed(space.forest, 9).await.unwrap(), [id(USER)]);
    look(&space, &forest, ROOT, CHILD).await;
    assert_eq!(space.state.departed(space.forest, 9).await.unwrap(), []);
    let (now, found) = user(&space).await.unwrap();
    assert_eq!((now, found.dn.as_str()), (key, "CN=o20,DC=corp,DC=example"));

    // One that is nowhere is gone once everybody was asked.
    forest.delete(ROOT, USER);
    space.state.forget_forest_cursor(space.forest).await.unwrap();
    import(&space, &forest, ROOT, &[CHILD]).await.unwrap();
    look(&space, &forest, ROOT, CHILD).await;
    look(&space, &forest, CHILD, ROOT).await;
    assert!(user(&space).await.is_some());
    assert_eq!(space.state.remove_departed(space.forest, 0).await.unwrap(), 1);
    assert_eq!(user(&space).await, None);
}
