//! Two controllers of a domain, of which one lags behind the other.

use portolan_ldap::{Scope, SearchResultEntry};

use super::super::{Belief, Imported, Staging, read, read_in_full_next, read_one};
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
    let (domain, partition) = (domain(), space.forest.into());
    let (state, reading) = (&space.state, &space.reading);
    let staging = Staging { domain: &domain, state, partition, others: &[], reading };
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
async fn one_object_is_not_read_from_a_controller_that_lags_behind() {
    let (_directory, space) = read_of_a().await;
    let (domain, partition) = (domain(), space.forest.into());
    let (state, reading) = (&space.state, &space.reading);
    let staging = Staging { domain: &domain, state, partition, others: &[], reading };
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
