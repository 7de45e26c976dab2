//! What must hold, judged apart from those who act: by the forest, by what the tenant shows, and by what it
//! wrote.

use std::collections::BTreeMap;
use std::fmt;

use crate::expected::Shown;
use crate::forest::Forest;
use crate::people::People;
use crate::tenant::{Found, Log};
use time::OffsetDateTime;

/// Differences that are named.
const NAMED_MAX: usize = 8;

/// What a run must keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    /// The tenant has everything that it is to have, as it is to be.
    NothingLost,
    /// It has nothing else, and nothing twice.
    NothingDoubled,
    /// What is deleted there was deleted in the forest, or went out of scope.
    NoDeletionWithoutACause,
    /// An object keeps the anchor under which it was first written.
    AnchorsStay,
    /// The same batch has the same answer.
    AnswersStay,
    /// Once nothing goes wrong and nobody changes anything, nothing is sent.
    ComesToRest,
    /// Once nothing goes wrong, a cycle succeeds.
    Succeeds,
    /// The state is what was written.
    StateIsWhole,
    /// Of a kind no more goes in a day than is allowed, and what somebody let through.
    LosesNoMoreThanAllowed,
    /// Nothing is sent to Graph before the time is over for which it says to wait.
    WaitsAsTold,
    /// An export to Graph takes no longer than its limits make it take, by a sane factor.
    TakesNoLonger,
    /// Nothing is written by a server behind whose back another one took over.
    NothingLateIsWritten,
    /// Nothing is written by a server in staging mode.
    StagingWritesNothing,
    /// Who is one person had once something by which the rules join them.
    JoinsWhatMatches,
    /// Who always had the same thing by which the rules join, and nobody else ever had, is one person.
    JoinsAllThatMatch,
    /// Who is one person stays so, as long as they are there.
    JoinsStay,
}

/// A law that was broken, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub law: Law,
    /// How.
    pub how: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.law, self.how)
    }
}

impl Violation {
    /// A law that was broken.
    pub fn of(law: Law, how: impl Into<String>) -> Self {
        Self { law, how: how.into() }
    }
}

/// What holds at any time, whatever went wrong; of people, where they have objects in several forests; also of
/// what goes, at this time, if a guard keeps it.
///
/// # Errors
/// The first law that was broken.
pub fn always(
    forests: &[&Forest],
    log: &Log,
    found: &[Found],
    people: Option<&People<'_>>,
    guarded_at: Option<OffsetDateTime>,
) -> Result<(), Violation> {
    if let Some(batch) = log.unlike.first() {
        return Err(Violation::of(Law::AnswersStay, format!("batch {batch} has two answers")));
    }
    if let Some(batch) = log.late.first() {
        let how = format!("{batch} was written, and another server had taken over");
        return Err(Violation::of(Law::NothingLateIsWritten, how));
    }
    if let Some(batch) = log.staged.first() {
        let how = format!("{batch} was written by a server in staging mode");
        return Err(Violation::of(Law::StagingWritesNothing, how));
    }
    if let Some(people) = people {
        people.always(log, found)?;
    } else {
        each_is_one(forests, log, found)?;
    }
    let Some(now) = guarded_at else { return Ok(()) };
    let there = |number: &str| found.iter().any(|object| object.number == number);
    log.books.check(forests, there, now)
}

/// What holds at any time where nobody has objects in several forests: an object is one in the tenant, under one
/// anchor.
fn each_is_one(forests: &[&Forest], log: &Log, found: &[Found]) -> Result<(), Violation> {
    for number in &log.deleted {
        let may = |forest: &&Forest| {
            let serial = number.rsplit_once('#').and_then(|(domain, serial)| {
                (domain == forest.domain.to_string()).then(|| serial.parse::<u32>().ok())?
            });
            serial.is_some_and(|serial| forest.may_go.contains(&serial))
        };
        if !forests.iter().any(may) {
            let how = format!("{number} was deleted in the tenant, and is in the forest");
            return Err(Violation::of(Law::NoDeletionWithoutACause, how));
        }
    }
    for (number, anchors) in &log.anchors {
        // An object that was away may come back as another one.
        let may = forests.iter().any(|forest| forest.may_have_other_anchor(number));
        if anchors.len() > 1 && !log.deleted.contains(number) && !may {
            let how = format!("{number} was written under the anchors {anchors:?}");
            return Err(Violation::of(Law::AnchorsStay, how));
        }
    }
    let mut seen = BTreeMap::new();
    for object in found {
        // One that was written as another waits for the guard.
        let may = forests.iter().any(|forest| forest.may_have_other_anchor(&object.number));
        if let Some(other) = seen.insert(&object.number, &object.anchor)
            && !may
        {
            let how = format!("{} is there as {other} and as {}", object.number, object.anchor);
            return Err(Violation::of(Law::NothingDoubled, how));
        }
        let written = log.numbers.get(&object.anchor);
        if written.is_some_and(|number| *number != object.number) {
            let how = format!("{} is not what was written as {}", object.number, object.anchor);
            return Err(Violation::of(Law::AnchorsStay, how));
        }
    }
    Ok(())
}

/// What holds at the end, when nothing goes wrong any more: the tenant has what it is to have.
///
/// # Errors
/// The first law that was broken.
pub fn at_rest(expected: &BTreeMap<String, Shown>, found: &[Found]) -> Result<(), Violation> {
    let there: BTreeMap<&String, &Shown> =
        found.iter().map(|object| (&object.number, &object.shown)).collect();
    let lost: Vec<_> = expected.keys().filter(|number| !there.contains_key(number)).collect();
    if !lost.is_empty() {
        let how = format!("the tenant does not have {:?}", &lost[..lost.len().min(NAMED_MAX)]);
        return Err(Violation::of(Law::NothingLost, how));
    }
    let more: Vec<_> = there.keys().filter(|number| !expected.contains_key(**number)).collect();
    if !more.is_empty() {
        let how = format!("the tenant still has {:?}", &more[..more.len().min(NAMED_MAX)]);
        return Err(Violation::of(Law::NothingDoubled, how));
    }
    if there.len() < found.len() {
        return Err(Violation::of(Law::NothingDoubled, "an object is there twice"));
    }
    for (number, is) in there {
        let Some(should) = expected.get(number) else { continue };
        if let Some((law, what)) = difference(is, should) {
            return Err(Violation::of(law, format!("{number}: {what}")));
        }
    }
    Ok(())
}

/// How an object is not what it should be.
fn difference(is: &Shown, should: &Shown) -> Option<(Law, String)> {
    if is.kind != should.kind {
        return Some((Law::NothingLost, format!("is a {}, not a {}", is.kind, should.kind)));
    }
    for name in is.attributes.keys().chain(should.attributes.keys()) {
        let (is, should) = (is.attributes.get(name), should.attributes.get(name));
        if is != should {
            return Some((Law::NothingLost, format!("{name} is {is:?}, not {should:?}")));
        }
    }
    if is.manager != should.manager {
        let how = format!("its manager is {:?}, not {:?}", is.manager, should.manager);
        return Some((Law::NothingLost, how));
    }
    if let Some(lost) = should.members.difference(&is.members).next() {
        return Some((Law::NothingLost, format!("{lost} is no member of it")));
    }
    let more = is.members.difference(&should.members).next()?;
    Some((Law::NothingDoubled, format!("{more} is still a member of it")))
}
