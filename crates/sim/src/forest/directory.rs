//! A controller as the import sees it: searches, in pages and ranges, and changes by a cookie, as [MS-ADTS]
//! describes them.
//!
//! A cookie says up to which change all is known, and how far a reply in parts has come with one database.
//! What follows from a change elsewhere is not told, as it is not by Active Directory: names below a renamed
//! unit, references to what was deleted or is back.
//!
//! [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts

use std::collections::VecDeque;

use portolan_app::connect::simulated::{Directory, Entries, SearchError};
use portolan_app::report::Failure;
use portolan_ldap::control::{self, DirSync, DirSyncReply, PagedResults};
use portolan_ldap::{
    Control, Filter, LdapResult, ResultCode, Scope, SearchRequest, SearchResultEntry, ValueRange,
};
use portolan_model::Guid;
use serde::{Deserialize, Serialize};

use super::database::{Class, Database, Object};
use super::search::{LINKED, Lines, classes, entry, extended, matches, ranged, values};
use super::{Controller, Forest, Rights};
use crate::chance::Chance;
use crate::fault::{Faults, Fuse};
use crate::world::Shared;

/// The name of a controller's settings.
const SETTINGS: &str = "CN=NTDS Settings,CN=DC";
/// The attribute with the number of the last change.
const LAST_CHANGE: &str = "highestCommittedUSN";

/// A connection to a controller.
pub struct Connection<'w> {
    forest: &'w Shared<Forest>,
    controller: usize,
    chance: Chance,
    fuse: &'w Fuse,
    faults: Faults,
}

/// A search under way.
pub struct Running<'w> {
    entries: VecDeque<SearchResultEntry>,
    code: ResultCode,
    controls: Vec<Control>,
    fuse: Option<&'w Fuse>,
}

/// The position of an import by changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Cookie {
    /// All up to this change is known.
    known: u64,
    /// Objects up to this change were told in this reply.
    told: u64,
    /// By which database.
    by: String,
}

/// What is answered.
struct Answer {
    entries: Vec<SearchResultEntry>,
    code: ResultCode,
    control: Option<Control>,
}

impl Answer {
    const fn of(entries: Vec<SearchResultEntry>) -> Self {
        Self { entries, code: ResultCode::Success, control: None }
    }

    const fn refused(code: ResultCode) -> Self {
        Self { entries: Vec::new(), code, control: None }
    }
}

impl<'w> Connection<'w> {
    /// A connection to one of a forest's controllers.
    pub const fn new(
        forest: &'w Shared<Forest>,
        controller: usize,
        chance: Chance,
        fuse: &'w Fuse,
        faults: Faults,
    ) -> Self {
        Self { forest, controller, chance, fuse, faults }
    }

    /// What happens in the forest while it is read.
    fn meanwhile(&mut self) {
        if !self.faults.meanwhile || !self.chance.once_in(8) {
            return;
        }
        let mut forest = self.forest.borrow_mut();
        let done = forest.anything(&mut self.chance);
        forest.meanwhile.push(done);
        let changes = self.chance.below(4);
        forest.replicate(self.controller, changes);
    }

    fn answer(&mut self, request: &SearchRequest, controls: &[Control]) -> Answer {
        let forest = self.forest.borrow();
        let Some(controller) = forest.controllers.get(self.controller) else {
            return Answer::refused(ResultCode::Unavailable);
        };
        let settings = format!("{SETTINGS}{}", self.controller);
        let base = request.base.as_str();
        if is_of_vector(&forest, request) {
            return Answer::of(head(&forest, controller));
        }
        if base.is_empty() {
            return Answer::of(root(&forest, controller, &settings));
        }
        if base == settings {
            let id = controller.invocation.to_bytes_le();
            let entry = SearchResultEntry::new(base, &[("invocationId", &[&id])]);
            return Answer::of(entry.into_iter().collect());
        }
        if base.starts_with("CN=Deleted Objects,") {
            return deleted(&forest, controller, request);
        }
        if let Some(guid) = base.strip_prefix("<GUID=").and_then(|rest| rest.strip_suffix('>')) {
            return one(&forest, controller, guid, request);
        }
        let asked = DirSync { flags: Default::default(), octets_max: 0, cookie: Vec::new() };
        let asked = asked.control().oid;
        if let Some(asked) = controls.iter().find(|control| control.oid == asked) {
            return changes(
                &forest,
                controller,
                request,
                asked,
                &mut self.chance,
                &mut self.faults,
            );
        }
        subtree(&forest, controller, request, controls)
    }
}

fn root(forest: &Forest, controller: &Controller, settings: &str) -> Vec<SearchResultEntry> {
    let usn = controller.database.usn.to_string();
    let vendor: &[&[u8]] = if forest.has_limit { &[] } else { &[b"Samba Team"] };
    let lines: [(&str, &[&[u8]]); 3] = [
        ("dsServiceName", &[settings.as_bytes()]),
        (LAST_CHANGE, &[usn.as_bytes()]),
        ("vendorName", vendor),
    ];
    SearchResultEntry::new("", &lines).into_iter().collect()
}

/// Whether a search asks what a controller has of its domain.
fn is_of_vector(forest: &Forest, request: &SearchRequest) -> bool {
    let root = forest.truth.name_of(forest.root);
    request.scope == Scope::Base && request.base.eq_ignore_ascii_case(&root)
}

/// The head of the domain with what the controller has, in the form of Windows, or in that of Samba.
fn head(forest: &Forest, controller: &Controller) -> Vec<SearchResultEntry> {
    let vector = forest.vector(controller);
    let elements = vector.iter().map(|(database, usn)| {
        let element = [&database.to_bytes_le()[..], &usn.to_le_bytes(), &[0; 8]];
        element.concat()
    });
    let elements: Vec<_> = elements.collect();
    let count = elements.len() as u32;
    let kept = [&2_u32.to_le_bytes()[..], &[0; 4], &count.to_le_bytes(), &[0; 4]].concat();
    let kept = [kept, elements.concat()].concat();
    let pieces: Vec<_> = elements.iter().map(Vec::as_slice).collect();
    let line: (&str, &[&[u8]]) = if forest.has_limit {
        ("msDS-NCReplCursors;binary", &pieces)
    } else {
        ("replUpToDateVector", &[&kept])
    };
    SearchResultEntry::new(&forest.truth.name_of(forest.root), &[line]).into_iter().collect()
}

/// The container of deleted objects, or what is in it.
fn deleted(forest: &Forest, controller: &Controller, request: &SearchRequest) -> Answer {
    if forest.rights == Rights::Least {
        return Answer::refused(ResultCode::NoSuchObject);
    }
    if request.scope == Scope::Base {
        return Answer::of(SearchResultEntry::new(&request.base, &[]).into_iter().collect());
    }
    let database = &controller.database;
    let gone = database.objects.values().filter(|object| object.is_deleted);
    let gone = gone.filter(|object| matches(&request.filter, object) == Some(true));
    let entries = gone.filter_map(|object| {
        let line = |name: &str| (name.to_owned(), values(object, name));
        let lines = vec![line("objectGUID"), line("uSNChanged")];
        entry(&extended(database, object), &lines, &[])
    });
    // There are few: no page is needed, and no reply says so.
    let control = PagedResults { size: 0, cookie: Vec::new() }.control();
    Answer { control: Some(control), ..Answer::of(entries.collect()) }
}

/// One object, of which a range is asked for.
fn one(forest: &Forest, controller: &Controller, guid: &str, request: &SearchRequest) -> Answer {
    let database = &controller.database;
    let object = guid.parse::<Guid>().ok().and_then(|guid| database.living(guid));
    let Some(object) = object else { return Answer::refused(ResultCode::NoSuchObject) };
    let lines = request.attributes.iter().filter_map(|asked| {
        let (name, option) = asked.split_once(';')?;
        let low = usize::try_from(ValueRange::of_option(option)?.low).ok()?;
        Some(ranged(name, &linked(database, object, name), low, forest.values_max))
    });
    let lines: Lines = lines.collect();
    Answer::of(entry(&extended(database, object), &lines, &[]).into_iter().collect())
}

/// What is asked for of living objects.
fn subtree(
    forest: &Forest,
    controller: &Controller,
    request: &SearchRequest,
    controls: &[Control],
) -> Answer {
    let database = &controller.database;
    let found = database.all_living().filter(|one| matches(&request.filter, one) == Some(true));
    let mut found: Vec<_> = found.collect();
    let whole = |objects: &[&Object]| -> Vec<SearchResultEntry> {
        let entry = |object: &&Object| {
            let lines = lines_of(database, object, forest.values_max);
            entry(&extended(database, object), &lines, &request.attributes)
        };
        objects.iter().filter_map(entry).collect()
    };
    let Ok(Some(page)) = control::find::<PagedResults>(controls) else {
        // No more are ever asked for by name than a search may give.
        let by_name = request.filter.to_string().contains("objectGUID");
        if forest.has_limit && !by_name && found.len() > forest.entries_max {
            found.truncate(forest.entries_max);
            return Answer { code: ResultCode::SizeLimitExceeded, ..Answer::of(whole(&found)) };
        }
        return Answer::of(whole(&found));
    };
    let after = <[u8; 16]>::try_from(page.cookie.as_slice()).ok().map(Guid::from_bytes_le);
    found.retain(|object| after.is_none_or(|after| object.guid > after));
    let is_last = found.len() <= forest.entries_max;
    found.truncate(forest.entries_max);
    let cookie = found.last().filter(|_| !is_last).map(|last| last.guid.to_bytes_le().to_vec());
    let control = PagedResults { size: 0, cookie: cookie.unwrap_or_default() }.control();
    Answer { control: Some(control), ..Answer::of(whole(&found)) }
}

/// What changed since a cookie.
fn changes(
    forest: &Forest,
    controller: &Controller,
    request: &SearchRequest,
    asked: &Control,
    chance: &mut Chance,
    faults: &mut Faults,
) -> Answer {
    if forest.rights != Rights::Changes {
        return Answer::refused(ResultCode::InsufficientAccessRights);
    }
    if std::mem::take(&mut faults.cookie_refused) {
        return Answer::refused(ResultCode::UnwillingToPerform);
    }
    let database = &controller.database;
    let by = controller.invocation.to_string();
    // A request has the form of a reply: a number, a number, a cookie.
    let cookie = control::find::<DirSyncReply>(std::slice::from_ref(asked)).ok().flatten();
    let cookie = cookie.map(|asked| asked.cookie).unwrap_or_default();
    let none = Cookie { known: 0, told: 0, by: by.clone() };
    let before: Cookie = serde_json::from_slice(&cookie).unwrap_or(none);
    let told = if before.by == by { before.told.max(before.known) } else { before.known };
    // A controller may tell again what was told.
    let repeated = if faults.repeats { chance.below(6) as u64 } else { 0 };
    let since = before.known.saturating_sub(repeated);
    let from = if repeated > 0 { since } else { told };
    let mut found: Vec<_> = database
        .objects
        .values()
        .filter(|object| object.changed > from && matches(&request.filter, object) == Some(true))
        .collect();
    found.sort_by_key(|object| object.changed);
    // What is told again is told in one piece: the cookie says nothing of it.
    let most = if repeated > 0 { usize::MAX } else { forest.entries_max };
    let more = found.len() > most;
    found.truncate(most);
    let last = found.last().map_or(told, |object| object.changed);
    let next = if more {
        Cookie { known: before.known, told: last, by }
    } else {
        // One that lags behind names its own position, or the one that it was asked with.
        let known = database.taken;
        let known = if chance.once_in(2) { known.max(before.known) } else { known };
        Cookie { known, told: known, by }
    };
    if faults.reorders {
        chance.shuffle(&mut found);
    }
    let is_empty = faults.down && faults.is_taken_for_empty;
    if is_empty {
        found = database.objects.values().filter(|object| object.class != Class::Domain).collect();
    }
    let tell = |object: &&Object| {
        let gone = Object { is_deleted: true, ..(*object).clone() };
        let lines = told_of(database, if is_empty { &gone } else { object }, since);
        entry(&extended(database, object), &lines, &request.attributes)
    };
    let entries = found.iter().filter_map(tell).collect();
    let cookie = serde_json::to_vec(&next).unwrap_or_default();
    let control = DirSyncReply { more, cookie }.control();
    Answer { control: Some(control), ..Answer::of(entries) }
}

/// The extended names of whom an object refers to, or who refers to it.
fn linked(database: &Database, object: &Object, attribute: &str) -> Vec<Vec<u8>> {
    let name = |other: &Object| extended(database, other).into_bytes();
    if attribute.eq_ignore_ascii_case("memberOf") {
        return database.referring(object.guid, "member").map(name).collect();
    }
    if attribute.eq_ignore_ascii_case("directReports") {
        return database.referring(object.guid, "manager").map(name).collect();
    }
    let known = LINKED.iter().find(|known| known.eq_ignore_ascii_case(attribute));
    known.map(|known| database.referred(object, known).map(name).collect()).unwrap_or_default()
}

/// Everything of an object but its references.
fn alone(object: &Object) -> Lines {
    let own = object.attributes.iter().map(|(name, values)| ((*name).to_owned(), values.clone()));
    let beside = ["objectGUID", "parentGUID", "name"];
    let beside = beside.map(|name| (name.to_owned(), values(object, name)));
    let class = ("objectClass".to_owned(), classes(object.class));
    own.chain(beside).chain([class]).collect()
}

/// All of an object, as a search has it.
fn lines_of(database: &Database, object: &Object, values_max: usize) -> Lines {
    let mut lines = alone(object);
    lines.push(("uSNChanged".to_owned(), values(object, "uSNChanged")));
    for attribute in LINKED.iter().chain(&["memberOf", "directReports"]) {
        let all = linked(database, object, attribute);
        if !all.is_empty() {
            lines.push(ranged(attribute, &all, 0, values_max));
        }
    }
    lines
}

/// What changed of an object since a change; all of one that is new.
fn told_of(database: &Database, object: &Object, since: u64) -> Lines {
    let guid = ("objectGUID".to_owned(), values(object, "objectGUID"));
    if object.is_deleted {
        return vec![guid, ("isDeleted".to_owned(), vec![b"TRUE".to_vec()])];
    }
    let is_new = object.created > since;
    let mut lines = if is_new { alone(object) } else { vec![guid] };
    let changed = object.changed_at.iter().filter(|(_, at)| **at > since);
    for (name, _) in changed {
        if *name == "isDeleted" || !is_new {
            lines.push(((*name).to_owned(), values(object, name)));
        }
    }
    if object.class == Class::Domain {
        return lines;
    }
    for attribute in LINKED {
        let (mut come, mut gone) = (Vec::new(), Vec::new());
        let links = object
            .links
            .iter()
            .filter(|((name, _), (_, at))| *name == attribute && (is_new || *at > since));
        for ((_, to), (is_there, _)) in links {
            let Some(other) = database.living(*to) else { continue };
            let into = if *is_there { &mut come } else { &mut gone };
            into.push(extended(database, other).into_bytes());
        }
        if !come.is_empty() {
            lines.push((format!("{attribute};range=1-1"), come));
        }
        if !gone.is_empty() && !is_new {
            lines.push((format!("{attribute};range=0-0"), gone));
        }
    }
    lines
}

impl<'w> Directory for Connection<'w> {
    type Entries<'a>
        = Running<'w>
    where
        Self: 'a;

    async fn search(
        &mut self,
        request: SearchRequest,
        controls: Vec<Control>,
    ) -> Result<Running<'w>, SearchError> {
        // Asked beside the read: nothing happens there that does not happen at the next search.
        let is_beside = is_of_vector(&self.forest.borrow(), &request)
            || request.attributes.iter().eq([LAST_CHANGE]);
        if is_beside && !self.faults.down {
            let entries = self.answer(&request, &controls).entries.into();
            let (code, controls) = (ResultCode::Success, Vec::new());
            return Ok(Running { entries, code, controls, fuse: None });
        }
        self.fuse.pass("a search").await?;
        if self.faults.down && !self.faults.is_taken_for_empty {
            return Err(Failure::new("no domain controller answers").into());
        }
        self.meanwhile();
        if is_full_read(&request.filter) {
            let mut forest = self.forest.borrow_mut();
            forest.read_in_full(self.controller);
        }
        let answer = self.answer(&request, &controls);
        let controls = answer.control.into_iter().collect();
        let (entries, fuse) = (answer.entries.into(), Some(self.fuse));
        Ok(Running { entries, code: answer.code, controls, fuse })
    }
}

/// Whether a search is for all objects, and not for those of some names or changes.
fn is_full_read(filter: &Filter) -> bool {
    let text = filter.to_string();
    text.contains("objectCategory") && !text.contains("objectGUID")
}

impl Entries for Running<'_> {
    async fn next(&mut self) -> Result<Option<SearchResultEntry>, SearchError> {
        if let Some(fuse) = self.fuse {
            fuse.pass("an entry").await?;
        }
        if let Some(entry) = self.entries.pop_front() {
            return Ok(Some(entry));
        }
        let result = LdapResult { code: self.code, ..LdapResult::SUCCESS };
        match result.success() {
            Ok(_) => Ok(None),
            Err(refusal) => Err(SearchError::Refused(self.code, Failure::new(refusal.to_string()))),
        }
    }

    fn controls(&self) -> &[Control] {
        &self.controls
    }
}
