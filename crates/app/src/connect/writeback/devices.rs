//! `portolan connect writeback devices`: devices that registered in the tenant, as objects of the forest's
//! container of devices.
//!
//! The tenant is read by Graph, the container by LDAP, and `portolan_sync` decides. Each change is one
//! request, and a marked object is asked for its mark in the very change that is made of it: whoever is
//! interrupted begins again and makes what is left.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use portolan_ldap::{
    AddRequest, ChangeOperation, DelRequest, Filter, ModifyRequest, PartialAttribute, Scope,
    SearchRequest, SearchResultEntry,
};
use portolan_model::{DistinguishedName, Guid};
use portolan_net::ldap::{LdapConnection, LdapError};
use portolan_store::state::State;
use portolan_sync::engine::Side;
use portolan_sync::record::ValueRef;
use portolan_sync::writeback::devices::{
    Attributes, CLASS, CONTAINER, CONTAINER_CLASS, Change, CloudDevice, ForestDevice, Left,
    MARK_ATTRIBUTE, Plan, SELECT, Values, attributes, is_of_forest, plan, read,
};
use serde_json::Value as Json;

use super::MAY_WRITE;
use super::choice::{Choice, Deletions, Permit};
use super::journal::Journal;
use super::reading::{ReaderArguments, for_each_of, may_make};
use crate::connect::config::Config;
use crate::connect::cycle::FILE;
use crate::connect::grant;
use crate::connect::import::search::{Pace, all};
use crate::connect::steps::Steps;
use crate::connect::target::graph::Graph;
use crate::connect::writer::{Writer, WriterArguments};
use crate::report::Failure;
use crate::terminal::plain;

/// What `connect writeback devices` is told.
#[derive(Debug, clap::Args)]
pub(super) struct Devices {
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    deletions: Deletions,
    #[command(flatten)]
    reader: ReaderArguments,
    #[command(flatten)]
    writer: WriterArguments,
}

/// Whom the forest has of the tenant's users: their SIDs, by their ids in the tenant.
type Sids = BTreeMap<Guid, Vec<u8>>;

/// Runs `connect writeback devices`.
pub(super) async fn run(devices: Devices) -> Result<(), Failure> {
    let Devices { choice, deletions, reader, writer } = devices;
    let directory = writer.state.clone();
    let permit = choice.permit(&directory).await?;
    let writer = Writer::open(writer)?;
    let config = Config::read(&directory)?;
    let network = config.reach.network()?;
    let mut graph = reader.graph(&config, &network, &directory, "Device.Read.All")?;
    let state = State::open(&directory.join(FILE)).await?;

    let container = container_of(&writer);
    let mut connection = writer.connect(&Steps::begin()).await?;
    let schema = check_container(&mut connection, &container).await?;
    let sids = sids(&mut graph, &state, &writer).await?;
    let (cloud, left) = cloud(&mut graph, &sids).await?;
    let forest = forest(&mut connection, &container).await?;
    let mut plan = plan(cloud, forest, config.tenant_id, &schema);
    plan.left.extend(left);
    show(&plan);
    check_rights(&mut connection, &writer, &container, &plan).await?;
    deletions.check(|allowed| plan.check(allowed))?;
    let Some(permit) = permit else { return Ok(()) };
    let refused = write(&mut connection, &container, &plan, &permit, &directory).await?;
    permit.end().await;
    if refused == 0 {
        return Ok(());
    }
    Err(Failure::new(format!("the forest refused {refused} changes"))
        .with_hint("what it said stands beside each; run it again when that is mended"))
}

/// Makes what is planned, each change written down first; gives how many the forest refused.
async fn write(
    connection: &mut LdapConnection,
    container: &str,
    plan: &Plan,
    permit: &Permit,
    directory: &Path,
) -> Result<usize, Failure> {
    if plan.changes.is_empty() {
        return Ok(0);
    }
    let mut journal = Journal::open(directory)?;
    let (mut written, mut refused) = (0, 0);
    for change in &plan.changes {
        permit.check().await?;
        let number = journal.begin(change)?;
        let made = make(connection, container, change).await;
        journal.end(number, made.is_ok())?;
        match made {
            Ok(()) => written += 1,
            Err(LdapError::Refused { refusal, .. }) => {
                refused += 1;
                let why = Failure::from(*refusal);
                println!("left   {}: {}", plain(&change.to_string()), plain(why.text()));
            }
            Err(error) => return Err(error.into()),
        }
    }
    println!("{written} written, {refused} left as they are");
    Ok(refused)
}

/// The container of the forest that is written.
pub(super) fn container_of(writer: &Writer) -> String {
    format!("{CONTAINER},{}", DistinguishedName::of_domain(&writer.forest.domain))
}

fn show(plan: &Plan) {
    for change in &plan.changes {
        println!("{}", plain(&change.to_string()));
    }
    for (id, why) in &plan.left {
        println!("left   device {id} of the tenant: {why}");
    }
    let Plan { changes, same, left, .. } = plan;
    let (changes, left) = (changes.len(), left.len());
    println!("{changes} changes, {same} devices are as they should be, {left} left as they are");
}

/// Whether what is planned may be done, as far as the directory says before it is tried.
async fn check_rights(
    connection: &mut LdapConnection,
    writer: &Writer,
    container: &str,
    plan: &Plan,
) -> Result<(), Failure> {
    let (domain, account) = (&writer.forest.domain, &writer.account);
    let makes = plan.changes.iter().any(|change| matches!(change, Change::Add { .. }));
    // Nothing says beforehand what an account may delete: who is let make devices is let delete them.
    if (makes || plan.deleted > 0) && !may_make(connection, container, CLASS).await? {
        let of = (container, grant::DEVICE);
        return Err(grant::missing_children(connection, domain, account, of).await?);
    }
    let Some((dn, attribute)) = &plan.unwritable else { return Ok(()) };
    Err(grant::missing(connection, domain, account, dn, attribute).await?)
}

/// The attributes that the forest's schema knows of those that are written, in small letters.
async fn check_container(
    directory: &mut LdapConnection,
    container: &str,
) -> Result<BTreeSet<String>, Failure> {
    let schema = schema(directory).await?;
    if !schema.contains(&CONTAINER_CLASS.to_lowercase()) {
        return Err(Failure::new(format!("the forest's schema has no class {CONTAINER_CLASS}"))
            .with_hint("bring it to that of Windows Server 2012 R2 or a newer one (`adprep`)"));
    }
    match class_of(directory, container).await? {
        Some(true) => Ok(schema),
        Some(false) => Err(Failure::new(format!("{container} is no {CONTAINER_CLASS}")).with_hint(
            "rename what is there, and run `portolan connect writeback prepare-devices`",
        )),
        None => Err(Failure::new(format!("{container} is not there, or is not seen")).with_hint(
            "make it by `portolan connect writeback prepare-devices --apply`, with an --account \
             that is an administrator of the domain",
        )),
    }
}

/// Whether an object is a container of devices; nothing when it is not there, or not seen.
pub(super) async fn class_of(
    directory: &mut LdapConnection,
    container: &str,
) -> Result<Option<bool>, Failure> {
    let request = SearchRequest::new(container, Scope::Base, Filter::And(vec![]));
    let mut found = directory.search(request.select(["objectClass"]), Vec::new()).await?;
    match found.next().await {
        Ok(Some(entry)) => {
            let class = CONTAINER_CLASS.as_bytes();
            Ok(Some(entry.all("objectClass").any(|name| name.eq_ignore_ascii_case(class))))
        }
        Ok(None) | Err(LdapError::Refused { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Which classes and attributes of those that are needed the forest's schema knows, in small letters.
pub(super) async fn schema(directory: &mut LdapConnection) -> Result<BTreeSet<String>, Failure> {
    let root = directory.root_dse(&["schemaNamingContext"]).await?;
    let naming_context = root.text("schemaNamingContext").unwrap_or_default().to_owned();
    let names = attributes().chain([MARK_ATTRIBUTE, CLASS, CONTAINER_CLASS]);
    let names: String = names.map(|name| format!("(lDAPDisplayName={name})")).collect();
    let filter = filter(&format!("(|{names})"))?;
    let request = SearchRequest::new(naming_context, Scope::One, filter);
    let mut found = directory.search(request.select(["lDAPDisplayName"]), Vec::new()).await?;
    let mut known = BTreeSet::new();
    while let Some(entry) = found.next().await? {
        known.extend(entry.text("lDAPDisplayName").map(str::to_lowercase));
    }
    Ok(known)
}

/// The SIDs of those of the tenant's users whom the forest has, as they were imported.
async fn sids(graph: &mut Graph, state: &State, writer: &Writer) -> Result<Sids, Failure> {
    let mut ids = BTreeMap::new();
    for json in graph.list("/users?$select=id,onPremisesImmutableId&$top=999").await? {
        let anchor = json.get("onPremisesImmutableId").and_then(Json::as_str);
        if let (Some(id), Some(anchor)) = (id_of(&json), anchor) {
            ids.insert(anchor.to_owned(), id);
        }
    }
    let forest = state.connector(&writer.forest.domain.to_string(), Side::Forest).await?;
    let mut sids = Sids::new();
    let Some(attribute) = state.dictionary().await?.id("objectSid") else { return Ok(sids) };
    for_each_of(state, forest, |object| {
        let id = object.anchor.as_ref().and_then(|anchor| ids.get(anchor.as_str()));
        if let (Some(id), Some(ValueRef::Octets(sid))) =
            (id, object.record.values(attribute).next())
        {
            sids.insert(*id, sid.to_vec());
        }
    })
    .await?;
    Ok(sids)
}

/// The devices that registered in the tenant, and those that cannot be written.
async fn cloud(
    graph: &mut Graph,
    sids: &Sids,
) -> Result<(Vec<CloudDevice>, Vec<(Guid, Left)>), Failure> {
    let (mut devices, mut left) = (Vec::new(), Vec::new());
    for json in graph.list(&format!("/devices?$select={SELECT}&$top=999")).await? {
        let Some(id) = id_of(&json) else { continue };
        if is_of_forest(&json) {
            continue;
        }
        let owners = registered(graph, id, "registeredOwners", sids).await?;
        let users = registered(graph, id, "registeredUsers", sids).await?;
        match read(&json, owners, users) {
            Some(Ok(device)) => devices.push(device),
            Some(Err(why)) => left.push(why),
            None => {}
        }
    }
    Ok((devices, left))
}

async fn registered(
    graph: &mut Graph,
    device: Guid,
    whose: &str,
    sids: &Sids,
) -> Result<Values, Failure> {
    let users = graph.list(&format!("/devices/{device}/{whose}?$select=id&$top=999")).await?;
    Ok(users.iter().filter_map(id_of).filter_map(|id| sids.get(&id).cloned()).collect())
}

fn id_of(json: &Json) -> Option<Guid> {
    json.get("id").and_then(Json::as_str)?.parse().ok()
}

/// The objects of the container.
async fn forest(
    directory: &mut LdapConnection,
    container: &str,
) -> Result<Vec<ForestDevice>, Failure> {
    let request = SearchRequest::new(container, Scope::One, filter("(objectClass=*)")?);
    let asked = ["objectGUID", "cn", MARK_ATTRIBUTE, MAY_WRITE];
    let request = request.select(attributes().chain(asked));
    // By their identity: a search that begins again in pages brings some of them twice.
    let mut devices = BTreeMap::new();
    all(directory, Pace::Whole, &request, &[], async |entry| {
        if let Some(device) = device(&entry) {
            devices.insert(device.guid, device);
        }
        Ok(())
    })
    .await?;
    Ok(devices.into_values().collect())
}

fn device(entry: &SearchResultEntry) -> Option<ForestDevice> {
    let guid = Guid::from_bytes_le(entry.octets("objectGUID")?.try_into().ok()?);
    let values =
        |name: &'static str| (name, entry.all(name).map(<[u8]>::to_vec).collect::<Values>());
    let held: Attributes = attributes().map(values).filter(|(_, held)| !held.is_empty()).collect();
    let writable = entry.all(MAY_WRITE).filter_map(|name| std::str::from_utf8(name).ok());
    Some(ForestDevice {
        guid,
        dn: entry.dn().to_owned(),
        cn: entry.text("cn")?.to_owned(),
        mark: entry.octets(MARK_ATTRIBUTE).map(<[u8]>::to_vec),
        attributes: held,
        writable: writable.map(str::to_lowercase).collect(),
    })
}

/// Makes a change. A device that lost its mark meanwhile refuses it.
async fn make(
    directory: &mut LdapConnection,
    container: &str,
    change: &Change,
) -> Result<(), LdapError> {
    match change {
        Change::Add { cn, attributes } => {
            let class = PartialAttribute::new("objectClass", [CLASS]);
            let rest = attributes.iter().map(|(name, values)| PartialAttribute::new(*name, values));
            let attributes = [class].into_iter().chain(rest).collect();
            let entry = format!("CN={cn},{container}");
            directory.add(AddRequest { entry, attributes }, Vec::new()).await
        }
        Change::Update { guid, mark, exchanges, .. } => {
            let mut request = ours(*guid, mark);
            for exchange in exchanges {
                for (operation, values) in [
                    (ChangeOperation::Delete, &exchange.go),
                    (ChangeOperation::Add, &exchange.come),
                ] {
                    if !values.is_empty() {
                        request = request.with(operation, exchange.attribute, values);
                    }
                }
            }
            directory.modify(request, Vec::new()).await
        }
        Change::Delete { guid, mark, .. } => {
            directory.modify(ours(*guid, mark), Vec::new()).await?;
            let entry = format!("<GUID={guid}>");
            directory.delete(DelRequest { entry }, Vec::new()).await
        }
    }
}

/// A change of a device that is refused unless it carries its mark: it is taken and given back.
fn ours(guid: Guid, mark: &[u8]) -> ModifyRequest {
    ModifyRequest::new(format!("<GUID={guid}>"))
        .with(ChangeOperation::Delete, MARK_ATTRIBUTE, [mark])
        .with(ChangeOperation::Add, MARK_ATTRIBUTE, [mark])
}

fn filter(text: &str) -> Result<Filter, Failure> {
    text.parse().map_err(|error| Failure::because("the filter of devices is not legal", &error))
}
