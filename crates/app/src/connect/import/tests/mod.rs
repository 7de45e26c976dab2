//! The import against a scripted directory, for what Samba does not do: MaxPageSize, MaxValRange,
//! DirSync in parts, refusals.

mod domains;
mod forest;
mod lagging;
mod ldap_server;
pub(in crate::connect) mod server;
mod socket;
mod stalling;

use portolan_ldap::{ResultCode, Scope, SearchResultEntry};
use portolan_model::{DnsName, Guid};
use portolan_store::state::{Found, StagedPlace, State};
use portolan_sync::ObjectKind;
use portolan_sync::engine::{ConnectorId, ObjectKey, Side};
use portolan_sync::record::ValueRef;

use self::server::{Answer, Asked, Scripted};
use super::{Belief, Imported, Reading, Staging, read};
use crate::report::Failure;

const ROOT: u8 = 1;
const GROUP: u8 = 2;

fn domain() -> DnsName {
    "corp.example".parse().unwrap()
}

fn guid(number: u16) -> Guid {
    let [low, high] = number.to_le_bytes();
    Guid::from_bytes_le([low, high, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7])
}

fn extended(number: u16, dn: &str) -> String {
    format!("<GUID={}>;{dn}", guid(number))
}

/// An entry of an object below the domain's root.
fn entry(number: u16, class: &str, more: &[(&str, &[&[u8]])]) -> SearchResultEntry {
    let dn = format!("CN=o{number},DC=corp,DC=example");
    let own = guid(number).to_bytes_le();
    let above = guid(ROOT.into()).to_bytes_le();
    let name = format!("o{number}");
    let mut attributes: Vec<(&str, &[&[u8]])> = Vec::new();
    let (own, above) = ([&own[..]], [&above[..]]);
    let classes = [b"top", class.as_bytes()];
    let name = [name.as_bytes()];
    attributes.push(("objectGUID", &own));
    attributes.push(("parentGUID", &above));
    if !class.is_empty() {
        attributes.push(("objectClass", &classes));
    }
    attributes.push(("name", &name));
    attributes.extend(more);
    SearchResultEntry::new(&extended(number, &dn), &attributes).unwrap()
}

/// An entry that tells the number of its last change.
fn at(usn: u16, number: u16) -> SearchResultEntry {
    entry(number, "", &[("uSNChanged", &[usn.to_string().as_bytes()])])
}

fn root() -> SearchResultEntry {
    let own = guid(ROOT.into()).to_bytes_le();
    let dn = extended(ROOT.into(), "DC=corp,DC=example");
    let classes: &[&[u8]] = &[b"top", b"domainDNS"];
    SearchResultEntry::new(&dn, &[("objectGUID", &[&own]), ("objectClass", classes)]).unwrap()
}

/// Answers what every import asks first; `None` for the rest.
fn usual(asked: &Asked, usn: &str, invocation: u8) -> Option<Answer> {
    let base = asked.request.base.as_str();
    if base.is_empty() {
        let service: &[&[u8]] = &[b"CN=NTDS Settings,CN=DC1"];
        let root = SearchResultEntry::new(
            "",
            &[("dsServiceName", service), ("highestCommittedUSN", &[usn.as_bytes()])],
        );
        return Some(Answer::of(vec![root.unwrap()]));
    }
    if base.starts_with("CN=NTDS") {
        let database = [invocation; 16];
        let settings = SearchResultEntry::new(base, &[("invocationId", &[&database])]);
        return Some(Answer::of(vec![settings.unwrap()]));
    }
    if base.starts_with("CN=Deleted Objects") && asked.request.scope == Scope::Base {
        return Some(Answer::of(vec![SearchResultEntry::new(base, &[]).unwrap()]));
    }
    if base == "DC=corp,DC=example" && asked.request.scope == Scope::Base {
        // It says nothing of what it has of other controllers.
        return Some(Answer::of(vec![SearchResultEntry::new(base, &[]).unwrap()]));
    }
    // The root is all that is ever read alone, unless a test says otherwise.
    let alone = asked.request.filter.to_string().starts_with("(|(objectGUID=");
    alone.then(|| Answer::of(vec![root()]))
}

/// Whether the search is the one of a cookie without changes, and its answer.
fn first_cookie(asked: &Asked) -> Option<Answer> {
    let filter = asked.request.filter.to_string();
    let nothing = filter.starts_with(r"(objectGUID=\00\00");
    nothing.then(|| Answer::changes(Vec::new(), b"first", false))
}

/// Where the objects of the scripted directory go.
struct Space {
    state: State,
    forest: ConnectorId,
    reading: Reading,
}

async fn space() -> (tempfile::TempDir, Space) {
    let directory = tempfile::tempdir().unwrap();
    let state = State::open(&directory.path().join("space.db")).await.unwrap();
    let forest = state.connector("corp.example", Side::Forest).await.unwrap();
    (directory, Space { state, forest, reading: Reading::of(&[]) })
}

async fn import(space: &Space, answer: impl FnMut(&Asked) -> Answer) -> Result<Imported, Failure> {
    import_allowing(space, 0, answer).await
}

async fn import_allowing(
    space: &Space,
    allowed: usize,
    answer: impl FnMut(&Asked) -> Answer,
) -> Result<Imported, Failure> {
    let (domain, partition) = (domain(), space.forest.into());
    let (state, reading) = (&space.state, &space.reading);
    let staging = Staging { domain: &domain, state, partition, others: &[], reading, now: 0 };
    read(&mut Scripted::new(answer), &staging, Belief::allowing(allowed)).await
}

/// The users and groups that are staged, in the order in which they came.
async fn objects(space: &Space) -> Vec<(Guid, Found)> {
    let staged = space.state.staged(space.forest, ObjectKey(0), 10_000).await.unwrap();
    let is_one = |found: &Found| matches!(found.kind, ObjectKind::User | ObjectKind::Group);
    let mut all: Vec<_> = staged.into_iter().map(|(_, guid, found)| (guid, found)).collect();
    all.retain(|(_, found)| is_one(found));
    all
}

/// The members of the group.
async fn members(space: &Space) -> Vec<Guid> {
    let place = StagedPlace::default();
    let all = space.state.staged_references(space.forest, place, 10_000).await.unwrap();
    assert!(all.iter().all(|reference| {
        reference.source == guid(GROUP.into())
            && reference.attribute == space.reading.attribute_of("member")
    }));
    let mut members: Vec<_> = all.iter().map(|reference| reference.target).collect();
    members.sort_unstable();
    members
}

/// A full read of some users in one page.
async fn filled(space: &Space, users: std::ops::Range<u16>) {
    let imported = import(space, |asked| {
        if let Some(answer) = usual(asked, "10", 1).or_else(|| first_cookie(asked)) {
            return answer;
        }
        if asked.cookie().is_some() {
            return Answer::changes(Vec::new(), b"second", false);
        }
        Answer::page(users.clone().map(|n| entry(n, "user", &[])).collect(), b"")
    });
    assert!(imported.await.unwrap().full);
}

#[tokio::test]
async fn pages_of_a_thousand_and_ranges_of_members_are_read_to_their_end() {
    let (_directory, space) = space().await;
    let member = |number: u16| extended(number, "CN=x,DC=corp,DC=example");
    let range = |low: u16, high: u16, last: bool| {
        let values: Vec<_> = (low..high).map(|number| member(100 + number)).collect();
        let values: Vec<&[u8]> = values.iter().map(String::as_bytes).collect();
        let end = if last { "*".to_owned() } else { (high - 1).to_string() };
        entry(GROUP.into(), "group", &[(&format!("member;range={low}-{end}"), &values)])
    };
    let imported = import(&space, |asked| {
        if let Some(answer) = usual(asked, "10", 1).or_else(|| first_cookie(asked)) {
            return answer;
        }
        if asked.cookie().is_some() {
            return Answer::changes(Vec::new(), b"second", false);
        }
        if let Some(wanted) = asked.request.base.strip_prefix("<GUID=") {
            assert!(wanted.starts_with(&guid(GROUP.into()).to_string()));
            let attribute = asked.request.attributes.first().unwrap().to_string();
            return Answer::of(vec![match attribute.as_str() {
                "member;range=1500-*" => range(1_500, 3_000, false),
                "member;range=3000-*" => range(3_000, 3_100, true),
                other => panic!("{other}"),
            }]);
        }
        let page = asked.page().expect("only Samba is read in one piece");
        assert_eq!(page.size, 1_000);
        match page.cookie.as_slice() {
            b"" => Answer::page((100..1_100).map(|n| entry(n, "user", &[])).collect(), b"next"),
            b"next" => Answer::page(vec![range(0, 1_500, false), entry(1_100, "user", &[])], b""),
            other => panic!("{other:?}"),
        }
    });
    let imported = imported.await.unwrap();
    assert_eq!((imported.users, imported.groups, imported.members), (1_001, 1, 3_100));
    let held = objects(&space).await;
    assert_eq!(held.len(), 1_002);
    let mut expected: Vec<_> = (100..3_200).map(guid).collect();
    expected.sort_unstable();
    assert_eq!(members(&space).await, expected);
}

#[tokio::test]
async fn a_search_that_ends_for_its_size_is_read_in_pages() {
    let (_directory, space) = space().await;
    let (mut whole, mut paged) = (0, 0);
    let imported = import(&space, |asked| {
        if asked.request.base.is_empty() {
            let service: &[&[u8]] = &[b"CN=NTDS Settings,CN=DC1"];
            let vendor: &[&[u8]] = &[b"Samba Team (https://www.samba.org)"];
            let root = SearchResultEntry::new(
                "",
                &[
                    ("dsServiceName", service),
                    ("highestCommittedUSN", &[b"10"]),
                    ("vendorName", vendor),
                ],
            );
            return Answer::of(vec![root.unwrap()]);
        }
        if let Some(answer) = usual(asked, "10", 1).or_else(|| first_cookie(asked)) {
            return answer;
        }
        if asked.cookie().is_some() {
            return Answer::changes(Vec::new(), b"second", false);
        }
        let first = vec![entry(100, "user", &[])];
        if asked.page().is_some() {
            paged += 1;
            return Answer::page(vec![entry(100, "user", &[]), entry(101, "user", &[])], b"");
        }
        whole += 1;
        Answer { code: ResultCode::SizeLimitExceeded, ..Answer::of(first) }
    });
    imported.await.unwrap();
    assert_eq!((whole, paged, objects(&space).await.len()), (1, 1, 2));
}

#[tokio::test]
async fn changes_in_parts_are_asked_for_until_there_are_no_more() {
    let (_directory, space) = space().await;
    filled(&space, 100..103).await;
    let imported = import(&space, |asked| {
        if let Some(answer) = usual(asked, "11", 1) {
            return answer;
        }
        match asked.cookie().expect("only changes are read").as_slice() {
            b"second" => {
                Answer::changes(vec![entry(200, "user", &[("mail", &[b"a@x"])])], b"third", true)
            }
            b"third" => {
                let gone = entry(101, "", &[("isDeleted", &[b"TRUE"])]);
                Answer::changes(vec![gone, entry(200, "", &[("mail", &[])])], b"fourth", true)
            }
            b"fourth" => Answer::changes(Vec::new(), b"fifth", false),
            other => panic!("{other:?}"),
        }
    });
    let imported = imported.await.unwrap();
    assert!(!imported.full);
    assert_eq!((imported.changed, imported.removed), (2, 1));
    let held = objects(&space).await;
    let mail = space.reading.attribute_of("mail");
    let mail = |found: &Found| found.record.first(mail).map(ValueRef::to_value);
    let held: Vec<_> = held.iter().map(|(guid, found)| (*guid, mail(found))).collect();
    assert_eq!(held, [(guid(100), None), (guid(102), None), (guid(200), None)]);
}

#[tokio::test]
async fn a_run_that_breaks_off_between_two_parts_goes_on_behind_the_first() {
    let (_directory, space) = space().await;
    filled(&space, 100..103).await;
    let broken = import(&space, |asked| {
        if let Some(answer) = usual(asked, "11", 1) {
            return answer;
        }
        match asked.cookie().unwrap().as_slice() {
            b"second" => Answer::changes(vec![entry(200, "user", &[])], b"third", true),
            _ => Answer::refused(ResultCode::Busy),
        }
    });
    assert!(broken.await.is_err());
    assert_eq!(objects(&space).await.len(), 4);
    let imported = import(&space, |asked| {
        usual(asked, "11", 1).unwrap_or_else(|| {
            assert_eq!(asked.cookie().unwrap(), b"third");
            Answer::changes(Vec::new(), b"fourth", false)
        })
    });
    assert_eq!(imported.await.unwrap().changed, 0);
}

/// An import for which everything is read again, by a directory that is other than before.
async fn is_read_in_full(usn: &'static str, invocation: u8, refused: Option<ResultCode>) -> String {
    let (_directory, space) = space().await;
    filled(&space, 100..103).await;
    let imported = import(&space, |asked| {
        if let Some(answer) = usual(asked, usn, invocation).or_else(|| first_cookie(asked)) {
            return answer;
        }
        match (asked.cookie().as_deref(), refused) {
            (Some(b"second"), Some(code)) => Answer::refused(code),
            (Some(_), _) => Answer::changes(Vec::new(), b"later", false),
            (None, _) => Answer::page((100..102).map(|n| entry(n, "user", &[])).collect(), b""),
        }
    });
    let imported = imported.await.unwrap();
    assert!(imported.full);
    assert_eq!((imported.removed, objects(&space).await.len()), (1, 2));
    imported.notes.join("; ")
}

#[tokio::test]
async fn a_restored_controller_or_a_refused_cookie_is_answered_with_a_full_read() {
    let refused = Some(ResultCode::UnwillingToPerform);
    for (usn, invocation, refused, why) in
        [("9", 1, None, "restored"), ("11", 2, None, "restored"), ("11", 1, refused, "(53)")]
    {
        let note = is_read_in_full(usn, invocation, refused).await;
        assert!(note.contains("read in full") && note.contains(why), "{note}");
    }
}

#[tokio::test]
async fn a_full_read_that_shows_far_fewer_objects_is_not_believed() {
    let (_directory, space) = space().await;
    filled(&space, 100..150).await;
    let fewer = |asked: &Asked| {
        if let Some(answer) = usual(asked, "11", 2).or_else(|| first_cookie(asked)) {
            return answer;
        }
        if asked.cookie().is_some() {
            return Answer::changes(Vec::new(), b"later", false);
        }
        Answer::page((100..120).map(|n| entry(n, "user", &[])).collect(), b"")
    };
    let error = import(&space, fewer).await.unwrap_err();
    let expected = "the directory no longer shows 30 of the 50 users that it had; at most 10 are believed without a word";
    assert_eq!(error.text(), expected);
    assert!(error.render().contains("--allow-deletions 30"), "{}", error.render());
    assert_eq!(objects(&space).await.len(), 50, "the space is untouched");
    let let_through = import_allowing(&space, 30, fewer).await.unwrap();
    assert_eq!((let_through.removed, objects(&space).await.len()), (30, 20));
}

#[tokio::test]
async fn without_the_right_what_changed_is_found_by_its_number() {
    let (_directory, space) = space().await;
    let refusing = |asked: &Asked| {
        if let Some(answer) = usual(asked, "10", 1) {
            return answer;
        }
        if asked.cookie().is_some() {
            return Answer::refused(ResultCode::InsufficientAccessRights);
        }
        match asked.request.filter.to_string().as_str() {
            "(uSNChanged>=11)" | "(&(isDeleted=TRUE)(uSNChanged>=11))" => {
                Answer::page(Vec::new(), b"")
            }
            _ => Answer::page((100..103).map(|n| entry(n, "user", &[])).collect(), b""),
        }
    };
    let first = import(&space, refusing).await.unwrap();
    assert!(first.full && first.notes[0].contains("DS-Replication-Get-Changes"));
    let imported = import(&space, |asked| {
        let filter = asked.request.filter.to_string();
        match filter.as_str() {
            "(uSNChanged>=11)" => Answer::page(vec![at(12, 102), at(13, 300)], b""),
            "(&(isDeleted=TRUE)(uSNChanged>=11))" => {
                assert!(asked.request.base.starts_with("CN=Deleted Objects,"));
                Answer::page(vec![at(11, 100)], b"")
            }
            _ if filter.starts_with("(|(objectGUID=") => Answer::of(vec![
                entry(102, "user", &[("mail", &[b"b@x"])]),
                entry(300, "user", &[]),
            ]),
            _ => usual(asked, "20", 1).unwrap(),
        }
    });
    let imported = imported.await.unwrap();
    assert_eq!((imported.full, imported.changed, imported.removed), (false, 2, 1));
    let held: Vec<_> = objects(&space).await.iter().map(|(guid, _)| *guid).collect();
    assert_eq!(held, [guid(101), guid(102), guid(300)]);
}

#[tokio::test]
async fn an_object_of_which_too_little_is_told_is_read_alone_with_its_groups() {
    let (_directory, space) = space().await;
    filled(&space, 100..101).await;
    let back = |asked: &Asked, number: u16| {
        let group = extended(GROUP.into(), "CN=o2,DC=corp,DC=example");
        let filter = asked.request.filter.to_string();
        let alone = filter.starts_with("(|(objectGUID=");
        alone.then(|| Answer::of(vec![entry(number, "user", &[("memberOf", &[group.as_bytes()])])]))
    };
    let imported = import(&space, |asked| {
        if let Some(answer) = back(asked, 400).or_else(|| usual(asked, "11", 1)) {
            return answer;
        }
        let group = entry(GROUP.into(), "group", &[]);
        let restored = entry(400, "", &[("isDeleted", &[])]);
        Answer::changes(vec![group, restored], b"third", false)
    });
    imported.await.unwrap();
    assert_eq!(members(&space).await, [guid(400)]);
    let held = objects(&space).await;
    assert!(held.iter().any(|(found, _)| *found == guid(400)));
}

#[tokio::test]
async fn an_account_that_sees_no_deletions_reads_everything_each_time() {
    let (_directory, space) = space().await;
    for _ in 0..2 {
        let imported = import(&space, |asked| {
            if asked.request.base.starts_with("CN=Deleted Objects") {
                return Answer::refused(ResultCode::NoSuchObject);
            }
            usual(asked, "10", 1).unwrap_or_else(|| {
                assert!(asked.cookie().is_none());
                Answer::page(vec![entry(100, "user", &[])], b"")
            })
        });
        let imported = imported.await.unwrap();
        assert!(
            imported.full && imported.notes.iter().any(|note| note.contains("deleted objects"))
        );
    }
}
