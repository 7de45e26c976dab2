//! `portolan connect writeback`: what of the tenant's knowledge is written to the forest, shown first.
//!
//! Anchors are here, [`groups`] and [`devices`] in modules of their own, the latter in a [`container`] that is
//! made for them and with a [`journal`]; what they read alike is in [`reading`].
//!
//! Only what was synchronised is looked at, each object is asked whether the account may write to it,
//! and nothing that is there is written over. `portolan_sync` decides.

mod choice;
mod container;
mod devices;
mod groups;
mod journal;
mod reading;

use portolan_ldap::{
    ChangeOperation, Filter, ModifyRequest, Scope, SearchRequest, SearchResultEntry,
};
use portolan_model::{DnsName, Guid, SourceAnchor};
use portolan_store::state::State;
use portolan_sync::engine::{ObjectKey, Side, Staged};
use portolan_sync::writeback::consistency_guid::{ATTRIBUTE, Decision, Left, decide};
use portolan_sync::{AttributeId, ObjectKind};

use self::choice::{Choice, Permit};
use super::cycle::FILE;
use super::forest_config::ForestConfig;
use super::grant;
use super::import::directory::{Entries as _, SearchError};
use super::writer::{Writer, WriterArguments};
use super::writing::{Changed, Connecting, Writing};
use crate::report::Failure;
use crate::terminal::plain;

/// What of an object the account may write, worked out by the directory for whoever asks
/// ([MS-ADTS] section 3.1.1.4.5.18, allowedAttributesEffective).
///
/// [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
const MAY_WRITE: &str = "allowedAttributesEffective";
/// Objects that are read from the state at once.
const OBJECTS_AT_ONCE: u32 = 1_000;

/// What `connect writeback` is told.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Writeback {
    #[command(subcommand)]
    what: Option<What>,
    /// Write the anchor of each person to its mS-DS-ConsistencyGuid, where that is empty
    #[arg(long, required = true)]
    consistency_guid: bool,
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    writer: WriterArguments,
}

/// What else is written back.
#[derive(Debug, clap::Subcommand)]
enum What {
    /// Write the groups that the tenant alone has to a unit of the forest
    Groups(groups::Groups),
    /// Write the devices that registered in the tenant to the forest's container of devices
    Devices(devices::Devices),
    /// Make the container of devices, and let the account that reads the forest write devices there and
    /// nothing else
    PrepareDevices(container::Prepare),
}

/// What came of the persons.
#[derive(Debug, Default)]
struct Outcome {
    written: u64,
    written_before: u64,
    left: u64,
    /// The first one that the account may not write to.
    unwritable: Option<String>,
}

/// A person who is synchronised and has no value yet, as far as the last import knows.
struct Person {
    guid: Guid,
    dn: String,
    anchor: SourceAnchor,
}

/// Runs `connect writeback`.
pub(super) async fn run(writeback: Writeback) -> Result<(), Failure> {
    match writeback.what {
        Some(What::Groups(groups)) => return groups::run(groups).await,
        Some(What::Devices(devices)) => return devices::run(devices).await,
        Some(What::PrepareDevices(prepare)) => return container::run(prepare).await,
        None => {}
    }
    let permit = writeback.choice.permit(&writeback.writer.state).await?;
    let path = writeback.writer.state.join(FILE);
    let writer = Writer::open(writeback.writer)?;
    let state = State::open(&path).await?;
    let forest = state.connector(&writer.forest.domain.to_string(), Side::Forest).await?;
    let attribute = state.dictionary().await?.id(ATTRIBUTE);
    let ForestConfig { domain, domains, .. } = &writer.forest;
    let mut writing = Writing::begin(&writer, domain, domains).await?;
    let mut outcome = Outcome::default();
    let mut after = ObjectKey(0);
    loop {
        let batch = state.staged_objects(after, OBJECTS_AT_ONCE).await?;
        let Some(last) = batch.last() else { break };
        after = last.key;
        let ours = batch.into_iter().filter(|object| object.connector == forest);
        for person in ours.filter_map(|object| person(object, attribute)) {
            look(&mut writing, &person, permit.as_ref(), &mut outcome).await?;
        }
    }
    let Outcome { written, written_before, left, unwritable } = outcome;
    let verb = if permit.is_some() { "written" } else { "to write" };
    println!("{written} {verb}, {written_before} were so before, {left} left as they are");
    if let Some(permit) = permit {
        permit.end().await;
    }
    let Some(dn) = unwritable else { return Ok(()) };
    let directory = writing.in_domain(domain).await?;
    Err(grant::missing(directory, domain, &writer.account, &dn, ATTRIBUTE).await?)
}

/// The person that an object is, if it is linked, its anchor was set and it has no value yet. An
/// attribute without a number was never read of any object.
fn person(object: Staged, attribute: Option<AttributeId>) -> Option<Person> {
    let is_person = matches!(object.kind, ObjectKind::User | ObjectKind::InetOrgPerson);
    let has_value = attribute.is_some_and(|id| !object.record.values(id).is_empty());
    if !is_person || has_value || object.link.is_none() {
        return None;
    }
    Some(Person { guid: object.guid, dn: object.dn, anchor: object.anchor? })
}

/// Looks at a person in the forest, and writes what was decided if it is to be.
async fn look<C: Connecting>(
    writing: &mut Writing<'_, C>,
    person: &Person,
    permit: Option<&Permit>,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    let name = format!("<GUID={}>", person.guid);
    let Some((domain, entry)) = find(writing, &name, &person.dn).await? else {
        say(outcome, &person.dn, "it is not seen in the forest");
        return Ok(());
    };
    let mut may_write = entry.all(MAY_WRITE);
    let may_write = may_write.any(|name| name.eq_ignore_ascii_case(ATTRIBUTE.as_bytes()));
    let held: Vec<_> = entry.all(ATTRIBUTE).map(<[u8]>::to_vec).collect();
    let octets = match decide(&person.anchor, &held, may_write) {
        Decision::Write(octets) => octets,
        Decision::Written => {
            outcome.written_before += 1;
            return Ok(());
        }
        Decision::Left(why) => {
            if why == Left::NoRight && outcome.unwritable.is_none() {
                outcome.unwritable = Some(entry.dn().to_owned());
            }
            say(outcome, entry.dn(), &why.to_string());
            return Ok(());
        }
    };
    if let Some(permit) = permit {
        permit.check().await?;
        // Added and not replaced: the directory refuses it if a value came meanwhile.
        let request = ModifyRequest::new(name).with(ChangeOperation::Add, ATTRIBUTE, [octets]);
        match writing.in_domain(&domain).await?.modify(request).await {
            Ok(()) => {}
            Err(SearchError::Refused(_, failure)) => {
                say(outcome, entry.dn(), failure.text());
                return Ok(());
            }
            Err(SearchError::Failed(failure)) => return Err(failure),
        }
    }
    outcome.written += 1;
    println!("write  {}: {ATTRIBUTE} {}", plain(entry.dn()), Guid::from_bytes_le(octets));
    Ok(())
}

/// An object as a domain of the forest has it, and which; nothing when it was deleted since, or is not seen.
async fn find<C: Connecting>(
    writing: &mut Writing<'_, C>,
    name: &str,
    dn: &str,
) -> Result<Option<(DnsName, SearchResultEntry)>, Failure> {
    // All of nothing: always true.
    let request = SearchRequest::new(name, Scope::Base, Filter::And(vec![]));
    let request = request.select([ATTRIBUTE, MAY_WRITE]);
    for domain in writing.of(dn) {
        let directory = writing.in_domain(&domain).await?;
        match first(directory, request.clone()).await {
            Ok(Some(entry)) => return Ok(Some((domain, entry))),
            Ok(None) | Err(SearchError::Refused(..)) => {}
            Err(SearchError::Failed(failure)) => return Err(failure),
        }
    }
    Ok(None)
}

/// The first entry of a search.
async fn first(
    directory: &mut impl Changed,
    request: SearchRequest,
) -> Result<Option<SearchResultEntry>, SearchError> {
    directory.search(request, Vec::new()).await?.next().await
}

fn say(outcome: &mut Outcome, dn: &str, why: &str) {
    outcome.left += 1;
    println!("left   {}: {}", plain(dn), plain(why));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::writing::tests::{Forest, domains, guid};

    #[tokio::test]
    async fn a_person_is_looked_for_in_the_domain_that_holds_the_object() {
        let free = || vec![(MAY_WRITE, vec![ATTRIBUTE.as_bytes().to_vec()])];
        let forest = Forest {
            objects: vec![
                ("corp.example", 1, "CN=a,DC=corp,DC=example", free()),
                ("child.corp.example", 2, "CN=b,DC=child,DC=corp,DC=example", free()),
                ("child.corp.example", 3, "CN=c,DC=child,DC=corp,DC=example", vec![]),
            ],
            ..Forest::default()
        };
        let read = domains(&["corp.example", "child.corp.example"]);
        let mut writing = Writing::begin(&forest, &read[0], &read).await.unwrap();
        for (number, dn, expected) in [
            (1, "CN=a,DC=corp,DC=example", Some("corp.example")),
            (2, "CN=b,DC=child,DC=corp,DC=example", Some("child.corp.example")),
            (2, "CN=b,DC=corp,DC=example", Some("child.corp.example")),
            (9, "CN=x,DC=corp,DC=example", None),
        ] {
            let name = format!("<GUID={}>", guid(number));
            let found = find(&mut writing, &name, dn).await.unwrap();
            let found = found.map(|(domain, _)| domain.to_string());
            assert_eq!(found.as_deref(), expected, "{dn}");
        }
        let mut outcome = Outcome::default();
        for (number, dn) in [(2, "CN=b,DC=child,DC=corp,DC=example"), (3, "CN=c"), (9, "CN=x")] {
            let anchor = SourceAnchor::from(guid(number));
            let person = Person { guid: guid(number), dn: dn.to_owned(), anchor };
            look(&mut writing, &person, None, &mut outcome).await.unwrap();
        }
        assert_eq!((outcome.written, outcome.left), (1, 2), "one may not be written, one is gone");
        let unwritable = Some("CN=c,DC=child,DC=corp,DC=example");
        assert_eq!(outcome.unwritable.as_deref(), unwritable);
        assert!(forest.changed.borrow().is_empty(), "it was only shown");
    }
}
