//! Two controllers of a domain, of which one lags behind the other.

use portolan_ldap::{Scope, SearchResultEntry};
use portolan_model::Guid;

use super::super::lagging::WAIT_SECONDS_MAX;
use super::super::{Belief, Imported, Staging, behind, expect, read, read_in_full_next, read_one};
use super::server::{Answer, Asked, Scripted};
use super::{Space, domain, entry, filled, first_cookie, guid, objects, space, usual};
use crate::report::Failure;

const A: u8 = 1;
const B: u8 = 2;

/// What a controller says that it has of others, in the form that Samba keeps it in.
fn vector(all: &[(u8, u64)]) -> Vec<u8> {
    let mut octets = vec![2, 0, 0, 0, 0, 0, 0, 0, all.len() as u8, 0, 0, 0, 0, 0, 0, 0];
    for (database, usn) in all {
        octets.extend([*database; 16]);
        octets.extend(usn.to_le_bytes());
        octets.extend([0; 8]);
    }
    octets
}

/// A controller: its database, its last change, what it has of others, and its users.
#[derive(Clone, Copy)]
struct Controller<'a> {
    database: u8,
    usn: &'a str,
    others: Option<&'a [(u8, u64)]>,
    users: &'a [u16],
}

impl Controller<'_> {
    fn answer(&self, asked: &Asked) -> Answer {
        let request = &asked.request;
        if request.scope == Scope::Base && request.base == "DC=corp,DC=example" {
            let kept = self.others.map(vector);
            let values: Vec<_> = kept.iter().map(Vec::as_slice).collect();
            let lines: &[(&str, &[&[u8]])] = &[("replUpToDateVector", &values)];
            let lines = if values.is_empty() { &[] } else { lines };
            return Answer::of(vec![SearchResultEntry::new(&request.base, lines).unwrap()]);
        }
        if let Some(mut answer) = usual(asked, self.usn, self.database) {
            if request.base.is_empty() {
                let service = format!("CN=NTDS Settings,CN=DC{},CN=Servers", self.database);
                let lines: [(&str, &[&[u8]]); 2] = [
                    ("dsServiceName", &[service.as_bytes()]),
                    ("highestCommittedUSN", &[self.usn.as_bytes()]),
                ];
                answer = Answer::of(vec![SearchResultEntry::new("", &lines).unwrap()]);
            }
            return answer;
        }
        if let Some(answer) = first_cookie(asked) {
            return answer;
        }
        if asked.cookie().is_some() {
            return Answer::changes(Vec::new(), b"later", false);
        }
        Answer::page(self.users.iter().map(|n| entry(*n, "user", &[])).collect(), b"")
    }
}

async fn import(
    space: &Space,
    controller: Controller<'_>,
    belief: Belief,
) -> Result<Imported, Failure> {
    import_at(space, controller, belief, 0).await
}

/// The same at a moment.
async fn import_at(
    space: &Space,
    controller: Controller<'_>,
    belief: Belief,
    now: i64,
) -> Result<Imported, Failure> {
    let (domain, partition) = (domain(), space.forest.into());
    let (state, reading) = (&space.state, &space.reading);
    let staging = Staging { domain: &domain, state, partition, others: &[], reading, now };
    read(&mut Scripted::new(|asked: &_| controller.answer(asked)), &staging, belief).await
}

/// A space that was read of A up to its change 100, and is to be read in full.
async fn read_of_a() -> (tempfile::TempDir, Space) {
    let (directory, space) = space().await;
    let a =
        Controller { database: A, usn: "100", others: Some(&[(B, 40)]), users: &[100, 101, 102] };
    import(&space, a, Belief::default()).await.unwrap();
    assert_eq!(objects(&space).await.len(), 3);
    read_in_full_next(&space.state, space.forest.into()).await.unwrap();
    (directory, space)
}

/// B, with what it has of A and its own last change.
fn b<'a>(of_a: &'a [(u8, u64)], usn: &'a str) -> Controller<'a> {
    Controller { database: B, usn, others: Some(of_a), users: &[100, 101] }
}

#[tokio::test]
async fn what_a_controller_that_lags_behind_lacks_is_not_taken_for_gone() {
    let (_directory, space) = read_of_a().await;
    let failure = import(&space, b(&[(A, 99)], "50"), Belief::default()).await.unwrap_err();
    let expected = "domain controller DC2 lacks changes that were read from another one";
    assert_eq!(failure.text(), expected);
    assert!(failure.is_elsewhere(), "another controller may have them");
    assert_eq!(objects(&space).await.len(), 3, "the space is untouched");
    // It still waits, and then B has what A had.
    assert!(import(&space, b(&[(A, 99)], "60"), Belief::default()).await.is_err());
    let imported = import(&space, b(&[(A, 100)], "61"), Belief::default()).await.unwrap();
    assert_eq!((imported.full, imported.removed), (true, 1));
    assert_eq!(objects(&space).await.len(), 2);
}

#[tokio::test]
async fn what_a_controller_lacks_is_believed_to_be_gone_when_somebody_says_so_or_nobody_else_has_it()
 {
    let check = async |controller: Controller<'_>, belief: Belief, is_believed: bool| {
        let (_directory, space) = read_of_a().await;
        let imported = import(&space, controller, belief).await;
        assert_eq!(imported.is_ok(), is_believed, "{imported:?}");
        assert_eq!(objects(&space).await.len(), if is_believed { 2 } else { 3 });
    };
    let alone = Belief { alone: true, ..Belief::default() };
    let behind = b(&[(A, 99)], "50");
    check(behind, Belief::allowing(1), true).await;
    // A may be gone for a while, or for good: nobody knows.
    check(behind, alone, false).await;
    // A itself, restored to what it was: others may have what it lost, unless there are none.
    let restored =
        Controller { database: A, usn: "90", others: Some(&[(B, 40)]), users: &[100, 101] };
    check(restored, Belief::default(), false).await;
    check(restored, alone, true).await;
    // One that says nothing of others cannot be judged.
    check(Controller { others: None, ..behind }, Belief::default(), true).await;
}

#[tokio::test]
async fn what_no_controller_has_for_four_hours_is_believed_to_be_gone() {
    let (_directory, space) = read_of_a().await;
    let begun = 1_000_000;
    let behind = b(&[(A, 99)], "50");
    for now in [begun, begun + 60, begun + WAIT_SECONDS_MAX - 1] {
        let refused = import_at(&space, behind, Belief::default(), now).await;
        assert!(refused.unwrap_err().text().contains("lacks changes"), "{now}");
        assert_eq!(objects(&space).await.len(), 3);
    }
    let now = begun + WAIT_SECONDS_MAX;
    let imported = import_at(&space, behind, Belief::default(), now).await.unwrap();
    assert_eq!(imported.removed, 1);
    let said = "for 4 hours: they are believed to be gone";
    assert!(imported.notes.iter().any(|note| note.contains(said)), "{imported:?}");
}

/// What another server had read of A up to its change 100 is awaited.
async fn awaiting(space: &Space) {
    let told = [(Guid::from_bytes_le([A; 16]).to_string(), 100)].into();
    expect(&space.state, (&domain(), space.forest.into()), Some(&told)).await.unwrap();
}

/// The databases of which something is awaited, and since when.
async fn awaited(space: &Space) -> Option<(Vec<String>, Option<i64>)> {
    let found = behind(&space.state, (&domain(), space.forest.into())).await.unwrap();
    found.map(|behind| (behind.databases, behind.since))
}

#[tokio::test]
async fn a_new_state_does_not_read_of_a_controller_that_lacks_what_was_read_elsewhere() {
    let (_directory, space) = space().await;
    awaiting(&space).await;
    let a = vec![Guid::from_bytes_le([A; 16]).to_string()];
    assert_eq!(awaited(&space).await, Some((a.clone(), None)), "nobody was asked yet");
    let failure = import_at(&space, b(&[(A, 99)], "50"), Belief::default(), 7).await.unwrap_err();
    let expected = "domain controller DC2 lacks changes that were read by another sync server, or by an \
                    earlier state";
    assert_eq!(failure.text(), expected);
    assert!(failure.is_elsewhere(), "another controller may have them");
    assert_eq!((objects(&space).await.len(), awaited(&space).await), (0, Some((a, Some(7)))));
    let imported = import_at(&space, b(&[(A, 100)], "60"), Belief::default(), 9).await.unwrap();
    assert!(imported.full);
    assert_eq!((objects(&space).await.len(), awaited(&space).await), (2, None));
}

#[tokio::test]
async fn a_state_that_was_read_less_far_does_not_take_changes_of_a_controller_that_lags_behind() {
    let (_directory, space) = space().await;
    import(&space, b(&[(A, 90)], "40"), Belief::default()).await.unwrap();
    awaiting(&space).await;
    assert!(import(&space, b(&[(A, 95)], "41"), Belief::default()).await.is_err());
    let imported = import(&space, b(&[(A, 101)], "42"), Belief::default()).await.unwrap();
    assert!(!imported.full, "by its cookie");
    assert_eq!(awaited(&space).await, None);
    // What is staged is not awaited again of whoever is asked next.
    awaiting(&space).await;
    assert!(import(&space, b(&[(A, 99)], "43"), Belief::default()).await.is_ok());
}

#[tokio::test]
async fn what_was_read_elsewhere_is_given_up_for_good_reasons_and_is_not_awaited_again() {
    let check = async |controller: Controller<'_>, belief: Belief, now: i64, is_believed: bool| {
        let (_directory, space) = space().await;
        awaiting(&space).await;
        let first = import_at(&space, controller, belief, 1_000).await;
        let imported = match first {
            Ok(imported) => Ok(imported),
            Err(_) => import_at(&space, controller, belief, 1_000 + now).await,
        };
        assert_eq!(imported.is_ok(), is_believed, "{imported:?}");
        assert_eq!(awaited(&space).await.is_none(), is_believed);
        if is_believed {
            expect(&space.state, (&domain(), space.forest.into()), None).await.unwrap();
            awaiting(&space).await;
            assert_eq!(awaited(&space).await, None, "it is given up once");
        }
    };
    let behind = b(&[(A, 99)], "50");
    check(behind, Belief::default(), WAIT_SECONDS_MAX - 1, false).await;
    check(behind, Belief::default(), WAIT_SECONDS_MAX, true).await;
    check(behind, Belief::allowing(1), 0, true).await;
    let alone = Belief { alone: true, ..Belief::default() };
    check(behind, alone, 0, false).await;
    let restored = Controller { database: A, usn: "90", others: Some(&[]), users: &[100] };
    check(restored, alone, 0, true).await;
    check(restored, Belief::default(), 0, false).await;
    // One that says nothing of others cannot be judged.
    check(Controller { others: None, ..behind }, Belief::default(), 0, true).await;
}

#[tokio::test]
async fn who_read_one_object_has_read_as_far_as_that() {
    let (_directory, space) = read_of_a().await;
    let (domain, partition) = (domain(), space.forest.into());
    let (state, reading) = (&space.state, &space.reading);
    let staging = Staging { domain: &domain, state, partition, others: &[], reading, now: 0 };
    let later = Controller { database: A, usn: "120", others: Some(&[(B, 40)]), users: &[100] };
    let mut directory = Scripted::new(|asked: &_| later.answer(asked));
    let _ = read_one(&mut directory, &staging, guid(100)).await.unwrap();
    assert!(import(&space, b(&[(A, 119)], "50"), Belief::default()).await.is_err());
    assert!(import(&space, b(&[(A, 120)], "50"), Belief::default()).await.is_ok());
}

#[tokio::test]
async fn one_object_is_not_read_from_a_controller_that_lags_behind() {
    let (_directory, space) = read_of_a().await;
    let (domain, partition) = (domain(), space.forest.into());
    let (state, reading) = (&space.state, &space.reading);
    let staging = Staging { domain: &domain, state, partition, others: &[], reading, now: 0 };
    let behind = b(&[(A, 99)], "50");
    let mut directory = Scripted::new(|asked: &_| behind.answer(asked));
    let failure = read_one(&mut directory, &staging, guid(102)).await.unwrap_err();
    assert!(failure.text().contains("lacks changes"), "{failure:?}");
    assert_eq!(objects(&space).await.len(), 3);
}

#[tokio::test]
async fn changes_that_say_nothing_new_do_not_move_what_is_known() {
    let (_directory, space) = space().await;
    filled(&space, 100..103).await;
    // A numbers what is no change of an object, too; B cannot have that, and needs not.
    let later = Controller { database: A, usn: "900", others: None, users: &[] };
    assert!(import(&space, later, Belief::default()).await.unwrap().is_quiet());
    read_in_full_next(&space.state, space.forest.into()).await.unwrap();
    let imported = import(&space, b(&[(A, 10)], "50"), Belief::default()).await.unwrap();
    assert_eq!(imported.removed, 1);
}
