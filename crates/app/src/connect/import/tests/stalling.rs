//! A directory that stops in the middle of an answer: who writes to the state does not wait for it.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use portolan_ldap::{Control, Filter, ResultCode, SearchRequest, SearchResultEntry};
use portolan_store::state::StagedPlace;
use portolan_sync::engine::Side;
use portolan_sync::record::Value;
use tokio::sync::Notify;

use super::super::directory::{Directory, Entries, SearchError};
use super::server::{Answer, Asked, Scripted};
use super::*;

/// How long a writer of the state may wait, which waits for nobody.
const WRITING_TIME_MAX: Duration = Duration::from_secs(5);

/// Where the directory stops, and who is told.
#[derive(Default)]
struct Stall {
    /// Answers that stop behind their first entry.
    stops: Cell<usize>,
    stopped: Notify,
    go_on: Notify,
}

/// A directory of which each answer with entries stops in its middle.
struct Stalling<D> {
    inner: D,
    stall: Rc<Stall>,
}

struct StallingEntries<E> {
    inner: E,
    stall: Rc<Stall>,
    seen: usize,
}

impl<D: Directory> Directory for Stalling<D> {
    type Entries<'a>
        = StallingEntries<D::Entries<'a>>
    where
        Self: 'a;

    async fn search(
        &mut self,
        request: SearchRequest,
        controls: Vec<Control>,
    ) -> Result<Self::Entries<'_>, SearchError> {
        let stall = Rc::clone(&self.stall);
        Ok(StallingEntries { inner: self.inner.search(request, controls).await?, stall, seen: 0 })
    }
}

impl<E: Entries> Entries for StallingEntries<E> {
    async fn next(&mut self) -> Result<Option<SearchResultEntry>, SearchError> {
        self.seen += 1;
        if self.seen == 2 {
            self.stall.stops.set(self.stall.stops.get() + 1);
            self.stall.stopped.notify_one();
            self.stall.go_on.notified().await;
        }
        self.inner.next().await
    }

    fn controls(&self) -> &[Control] {
        self.inner.controls()
    }
}

/// Imports while the directory stops in each answer, and writes to the state each time; how often it
/// stopped.
async fn import_stalling(space: &Space, answer: impl FnMut(&Asked) -> Answer) -> (Imported, usize) {
    import_beside(space, answer, async |stops| {
        let name = format!("other{stops}.example");
        space.state.connector(&name, Side::Forest).await.unwrap();
    })
    .await
}

/// Imports while the directory stops in each answer, and does something else each time; how often it stopped.
async fn import_beside(
    space: &Space,
    answer: impl FnMut(&Asked) -> Answer,
    mut beside: impl AsyncFnMut(usize),
) -> (Imported, usize) {
    let stall = Rc::new(Stall::default());
    let mut directory = Stalling { inner: Scripted::new(answer), stall: Rc::clone(&stall) };
    let (domain, partition) = (domain(), space.forest.into());
    let (state, reading) = (&space.state, &space.reading);
    let staging = Staging { domain: &domain, state, partition, others: &[], reading, now: 0 };
    let importing = read(&mut directory, &staging, Belief::default());
    let writing = async {
        loop {
            stall.stopped.notified().await;
            let written = tokio::time::timeout(WRITING_TIME_MAX, beside(stall.stops.get())).await;
            written.expect("a stalled directory keeps a writer waiting");
            stall.go_on.notify_one();
        }
    };
    tokio::select! {
        imported = importing => (imported.unwrap(), stall.stops.get()),
        () = writing => unreachable!(),
    }
}

#[tokio::test]
async fn a_directory_that_stops_in_its_changes_keeps_no_writer_waiting() {
    let (_directory, space) = space().await;
    filled(&space, 100..103).await;
    let (imported, stops) = import_stalling(&space, |asked| {
        let filter = asked.request.filter.to_string();
        if filter.starts_with("(|(objectGUID=") && filter.contains(&octets(400)) {
            let group = extended(GROUP.into(), "CN=o2,DC=corp,DC=example");
            return Answer::of(vec![entry(400, "user", &[("memberOf", &[group.as_bytes()])])]);
        }
        usual(asked, "11", 1).unwrap_or_else(|| {
            let changes = vec![
                entry(GROUP.into(), "group", &[]),
                entry(400, "", &[("isDeleted", &[])]),
                entry(101, "", &[("mail", &[b"a@x"])]),
                entry(500, "", &[("mail", &[b"b@x"])]),
            ];
            Answer::changes(changes, b"third", false)
        })
    })
    .await;
    assert_eq!((imported.full, imported.changed), (false, 3));
    // Who is asked, its settings, the changes, and what is read alone.
    assert!(stops >= 4, "{stops}");
    assert_eq!(members(&space).await, [guid(400)]);
}

#[tokio::test]
async fn what_another_writes_while_changes_are_read_is_read_again_before_they_are_written() {
    let (_directory, space) = space().await;
    filled(&space, 100..103).await;
    let read_alone = Cell::new(0);
    let answer = |asked: &Asked| {
        let filter = asked.request.filter.to_string();
        if filter.starts_with("(|(objectGUID=") {
            let asked = [101, 400].into_iter().filter(|n| filter.contains(&octets(*n)));
            read_alone.set(read_alone.get() + 1);
            return Answer::of(
                asked.map(|n| entry(n, "user", &[("mail", &[b"whole@x"])])).collect(),
            );
        }
        usual(asked, "11", 1).unwrap_or_else(|| {
            // A change of one that is known, and of one that has to be read alone for it.
            let changed = |n| entry(n, "", &[("mail", &[b"part@x"])]);
            Answer::changes(vec![changed(101), changed(400)], b"third", false)
        })
    };
    let (state, forest) = (&space.state, space.forest);
    // While the one is read, somebody else lets the other go.
    let gone = async |_| {
        if read_alone.get() == 1 {
            let cursor = state.forest_cursor(forest).await.unwrap().unwrap();
            let mut changes = state.begin_changes(forest).await.unwrap();
            changes.remove(&guid(101)).await.unwrap();
            changes.finish(&cursor).await.unwrap();
        }
    };
    let (imported, _) = import_beside(&space, answer, gone).await;
    assert_eq!(
        (imported.full, read_alone.get()),
        (false, 2),
        "it is read alone in a second beginning"
    );
    let mail = space.reading.attribute_of("mail");
    let all = objects(&space).await;
    let is_whole = |number| {
        let (_, found) = all.iter().find(|(own, _)| *own == guid(number)).unwrap();
        found.record.first(mail).map(ValueRef::to_value) == Some(Value::Text("whole@x".to_owned()))
    };
    assert!(is_whole(101) && is_whole(400));
}

#[tokio::test]
async fn a_directory_that_stops_in_what_is_found_by_number_keeps_no_writer_waiting() {
    let (_directory, space) = space().await;
    let changed = numbered(&space, 100..110).await;
    let (imported, stops) = import_stalling(&space, |asked| changed(asked, 104..108)).await;
    assert_eq!((imported.full, imported.changed), (false, 4));
    assert!(stops >= 4, "{stops}");
}

#[tokio::test]
async fn what_is_found_by_number_is_written_in_pieces_with_the_number_behind_each() {
    let (_directory, space) = space().await;
    let changed = numbered(&space, 100..500).await;
    let mut read_alone = 0;
    // It breaks off behind the first piece.
    let broken = import(&space, |asked| {
        let alone = asked.request.filter.to_string().starts_with("(|(objectGUID=");
        read_alone += usize::from(alone);
        if read_alone > 2 {
            return Answer::refused(ResultCode::Busy);
        }
        changed(asked, 100..500)
    });
    assert!(broken.await.is_err());
    let told = |cursor: Option<Vec<u8>>| String::from_utf8(cursor.unwrap()).unwrap();
    let cursor = told(space.state.forest_cursor(space.forest).await.unwrap());
    // Two hundred were read, which is above a piece of tests; the number of the first is 1,100.
    assert!(cursor.contains("\"usn\":1299"), "{cursor}");
    let mut since = Vec::new();
    let imported = import(&space, |asked| {
        let filter = asked.request.filter.to_string();
        since.extend(filter.starts_with("(uSNChanged").then_some(filter));
        changed(asked, 300..500)
    });
    assert_eq!(imported.await.unwrap().changed, 200);
    assert_eq!(since, ["(uSNChanged>=1300)"]);
    let place = StagedPlace::default();
    assert_eq!(space.state.staged_references(space.forest, place, 9).await.unwrap(), []);
    let mail = space.reading.attribute_of("mail");
    let has_mail = |(_, found): &(Guid, Found)| found.record.first(mail).is_some();
    assert!(objects(&space).await.iter().all(has_mail));
}

/// What a filter has that asks for an object.
fn octets(number: u16) -> String {
    let guid = guid(number).to_bytes_le().to_vec();
    Filter::Equality("objectGUID".parse().unwrap(), guid).to_string()
}

/// Reads users in full for an account that may not ask by DirSync; how a directory answers in which some of
/// them have an address since, each by a change of its own.
async fn numbered(
    space: &Space,
    users: std::ops::Range<u16>,
) -> impl Fn(&Asked, std::ops::Range<u16>) -> Answer {
    let all = users.clone();
    let refusing = move |asked: &Asked| {
        if let Some(answer) = usual(asked, "1000", 1) {
            return answer;
        }
        if asked.cookie().is_some() {
            return Answer::refused(ResultCode::InsufficientAccessRights);
        }
        let users = all.clone().map(|n| entry(n, "user", &[]));
        let changes = asked.request.filter.to_string().contains("uSNChanged");
        Answer::page(if changes { Vec::new() } else { users.collect() }, b"")
    };
    assert!(import(space, refusing).await.unwrap().full);
    move |asked, changed| {
        let filter = asked.request.filter.to_string();
        let number = |n: u16| (1_000 + n).to_string();
        if filter.starts_with("(uSNChanged") {
            // In whatever order.
            let entries =
                changed.rev().map(|n| entry(n, "", &[("uSNChanged", &[number(n).as_bytes()])]));
            return Answer::page(entries.collect(), b"");
        }
        if filter.starts_with("(&(isDeleted") {
            return Answer::page(Vec::new(), b"");
        }
        if filter.starts_with("(|(objectGUID=") {
            let asked = changed.filter(|n| filter.contains(&octets(*n)));
            let with_mail = asked.map(|n| entry(n, "user", &[("mail", &[b"a@x"])]));
            let root = filter.contains(&octets(ROOT.into())).then(root);
            return Answer::of(with_mail.chain(root).collect());
        }
        usual(asked, "2000", 1).unwrap()
    }
}
