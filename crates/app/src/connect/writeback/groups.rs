//! `portolan connect writeback groups`: groups that the tenant alone has, as groups in a unit of the forest.
//!
//! The tenant is read by Graph, the unit by LDAP, and `portolan_sync` decides. What carries no mark of ours
//! is not looked at; a marked group is asked for its mark in the very change that is made of it.

use std::collections::{BTreeMap, BTreeSet};

use portolan_ldap::{
    AddRequest, ChangeOperation, DelRequest, Filter, ModifyRequest, PartialAttribute, Scope,
    SearchRequest, ValueRange,
};
use portolan_model::{DistinguishedName, Guid};
use portolan_net::ldap::{LdapConnection, LdapError};
use portolan_store::state::State;
use portolan_sync::engine::Side;
use portolan_sync::writeback::groups::{
    Change, CloudGroup, ForestGroup, MARK_ATTRIBUTE, MARK_PREFIX, mark, plan,
};
use serde_json::Value as Json;

use super::choice::{Choice, Deletions};
use super::reading::{ReaderArguments, for_each_of, may_make};
use crate::connect::config::Config;
use crate::connect::cycle::FILE;
use crate::connect::grant;
use crate::connect::import::directory::{Directory, Entries as _};
use crate::connect::import::search::{Pace, all};
use crate::connect::steps::Steps;
use crate::connect::target::graph::Graph;
use crate::connect::writer::{Writer, WriterArguments};
use crate::connect::writing::domain_of;
use crate::report::Failure;
use crate::terminal::plain;

/// Members that one request names.
const MEMBERS_AT_ONCE: usize = 500;

/// What `connect writeback groups` is told.
#[derive(Debug, clap::Args)]
pub(super) struct Groups {
    /// The unit of the forest whose groups they are, as in OU=Cloud,DC=corp,DC=example
    #[arg(long, value_name = "DN")]
    unit: DistinguishedName,
    /// Take this group of the tenant, by its id, and no other that is not named; without it, all
    #[arg(long = "group", value_name = "ID")]
    chosen: Vec<Guid>,
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    deletions: Deletions,
    #[command(flatten)]
    reader: ReaderArguments,
    #[command(flatten)]
    writer: WriterArguments,
}

/// Runs `connect writeback groups`.
pub(super) async fn run(groups: Groups) -> Result<(), Failure> {
    let Groups { unit, chosen, choice, deletions, reader, writer } = groups;
    let (directory, unit) = (writer.state.clone(), unit.to_string());
    let permit = choice.permit(&directory).await?;
    let writer = Writer::open(writer)?;
    let config = Config::read(&directory)?;
    let network = config.reach.network()?;
    let mut graph = reader.graph(&config, &network, &directory, "Group.Read.All")?;
    let state = State::open(&directory.join(FILE)).await?;
    let forest = state.connector(&writer.forest.domain.to_string(), Side::Forest).await?;

    let known = graph.known().await?;
    let mut of_forest = BTreeMap::new();
    for_each_of(&state, forest, |object| {
        let id = object.anchor.as_ref().and_then(|anchor| known.get(anchor));
        if let Some(id) = id {
            of_forest.insert(*id, object.dn);
        }
    })
    .await?;
    // The groups are in the domain of their unit.
    let domain = domain_of(&unit, &writer.forest.domains).unwrap_or(&writer.forest.domain);
    let mut connection = writer.connect_to(domain, &Steps::begin()).await?;
    check_unit(&mut connection, &unit).await?;
    let marked = marked(&mut connection, &unit).await?;
    let chosen: BTreeSet<_> = chosen.into_iter().collect();
    let cloud = cloud(&mut graph, &of_forest, &marked, &chosen).await?;
    let plan = plan(cloud, marked);
    for change in &plan.changes {
        println!("{}", plain(&change.to_string()));
    }
    println!("{} changes, {} groups are as they should be", plan.changes.len(), plan.same);
    deletions.check(|allowed| plan.check(allowed))?;
    let makes = plan.changes.iter().any(|change| matches!(change, Change::Add { .. }));
    if makes && !may_make(&mut connection, &unit, "group").await? {
        let (domain, account) = (&writer.forest.domain, &writer.account);
        let of = (unit.as_str(), grant::GROUP);
        return Err(grant::missing_children(&mut connection, domain, account, of).await?);
    }
    let Some(permit) = permit else { return Ok(()) };
    let (mut written, mut left) = (0, 0);
    for change in &plan.changes {
        permit.check().await?;
        match make(&mut connection, &unit, change).await {
            Ok(()) => written += 1,
            Err(LdapError::Refused { refusal, .. }) => {
                left += 1;
                let why = Failure::from(*refusal);
                println!("left   {}: {}", plain(&change.to_string()), plain(why.text()));
            }
            Err(error) => return Err(error.into()),
        }
    }
    permit.end().await;
    println!("{written} written, {left} left as they are");
    Ok(())
}

/// The groups that the tenant alone has, with those of their members that the forest has.
async fn cloud(
    graph: &mut Graph,
    of_forest: &BTreeMap<Guid, String>,
    marked: &[ForestGroup],
    chosen: &BTreeSet<Guid>,
) -> Result<Vec<CloudGroup>, Failure> {
    let written: BTreeMap<_, _> =
        marked.iter().map(|group| (group.mark.to_ascii_lowercase(), &group.dn)).collect();
    let select = "id,displayName,description,securityEnabled,onPremisesSyncEnabled";
    let mut groups = Vec::new();
    for json in graph.list(&format!("/groups?$select={select}&$top=999")).await? {
        let Some(id) = id_of(&json) else { continue };
        let text = |name: &str| json.get(name).and_then(Json::as_str).map(str::to_owned);
        let is = |name: &str| json.get(name).and_then(Json::as_bool) == Some(true);
        let is_chosen = chosen.is_empty() || chosen.contains(&id);
        if is("onPremisesSyncEnabled") || of_forest.contains_key(&id) || !is_chosen {
            continue;
        }
        let members = graph.list(&format!("/groups/{id}/members?$select=id&$top=999")).await?;
        let named = members.iter().filter_map(id_of).filter_map(|member| {
            let group = written.get(&mark(member).to_ascii_lowercase()).copied();
            of_forest.get(&member).or(group).cloned()
        });
        groups.push(CloudGroup {
            id,
            name: text("displayName").unwrap_or_else(|| mark(id)),
            description: text("description"),
            is_security: is("securityEnabled"),
            members: named.collect(),
        });
    }
    Ok(groups)
}

fn id_of(json: &Json) -> Option<Guid> {
    json.get("id").and_then(Json::as_str)?.parse().ok()
}

/// The marked groups of the unit.
async fn marked(directory: &mut impl Directory, unit: &str) -> Result<Vec<ForestGroup>, Failure> {
    let filter = filter(&format!("(&(objectClass=group)({MARK_ATTRIBUTE}={MARK_PREFIX}*))"))?;
    let request = SearchRequest::new(unit, Scope::One, filter);
    let wanted = ["objectGUID", MARK_ATTRIBUTE, "displayName", "description"];
    let request = request.select(wanted);
    // By their identity: a search that begins again in pages brings some of them twice.
    let mut groups = BTreeMap::new();
    all(directory, Pace::Whole, &request, &[], async |entry| {
        let guid = entry.octets("objectGUID").and_then(|octets| octets.try_into().ok());
        let (Some(guid), Some(mark)) = (guid, entry.text(MARK_ATTRIBUTE)) else { return Ok(()) };
        let (guid, text) =
            (Guid::from_bytes_le(guid), |name: &str| entry.text(name).map(str::to_owned));
        let group = ForestGroup {
            guid,
            dn: entry.dn().to_owned(),
            mark: mark.to_owned(),
            name: text("displayName"),
            description: text("description"),
            members: BTreeSet::new(),
        };
        groups.insert(guid, group);
        Ok(())
    })
    .await?;
    let mut groups: Vec<_> = groups.into_values().collect();
    for group in &mut groups {
        group.members = members(directory, group.guid).await?;
    }
    Ok(groups)
}

/// The members of a group, range by range ([MS-ADTS] 3.1.1.3.1.3.3).
///
/// [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
async fn members(directory: &mut impl Directory, group: Guid) -> Result<BTreeSet<String>, Failure> {
    let (mut members, mut wanted) = (BTreeSet::new(), Some("member".to_owned()));
    while let Some(attribute) = wanted.take() {
        let base = format!("<GUID={group}>");
        let request = SearchRequest::new(base, Scope::Base, Filter::And(vec![]));
        let mut found = directory.search(request.select([attribute]), Vec::new()).await?;
        let Some(entry) = found.next().await? else { break };
        let before = members.len();
        for attribute in entry.named("member") {
            let text = |value: &[u8]| std::str::from_utf8(value).ok().map(str::to_owned);
            members.extend(attribute.values().filter_map(text));
            let next = attribute.range().and_then(ValueRange::next);
            wanted = next.map(|range| format!("member;{range}"));
        }
        // One that gives nothing more is at its end, whatever it says.
        if members.len() == before {
            break;
        }
    }
    Ok(members)
}

async fn check_unit(directory: &mut LdapConnection, unit: &str) -> Result<(), Failure> {
    let request = SearchRequest::new(unit, Scope::Base, Filter::And(vec![])).select(["objectGUID"]);
    let mut found = directory.search(request, Vec::new()).await?;
    match found.next().await {
        Ok(Some(_)) => Ok(()),
        Ok(None) | Err(LdapError::Refused { .. }) => {
            Err(Failure::new(format!("{unit} is not there, or is not seen"))
                .with_hint("make it, or name another --unit"))
        }
        Err(error) => Err(error.into()),
    }
}

/// Makes a change. A group that lost its mark meanwhile refuses it.
async fn make(
    directory: &mut LdapConnection,
    unit: &str,
    change: &Change,
) -> Result<(), LdapError> {
    match change {
        Change::Add { cn, group_type, wanted } => {
            let group_type = group_type.to_string();
            let mut attributes = vec![
                PartialAttribute::new("objectClass", ["group"]),
                PartialAttribute::new("sAMAccountName", [cn]),
                PartialAttribute::new("groupType", [&group_type]),
                PartialAttribute::new("displayName", [&wanted.name]),
                PartialAttribute::new(MARK_ATTRIBUTE, [cn]),
            ];
            let description = wanted.description.iter();
            attributes.extend(description.map(|text| PartialAttribute::new("description", [text])));
            let entry = format!("CN={cn},{unit}");
            directory.add(AddRequest { entry: entry.clone(), attributes }, Vec::new()).await?;
            let members: Vec<_> = wanted.members.iter().collect();
            for members in members.chunks(MEMBERS_AT_ONCE) {
                let request = ModifyRequest::new(&entry);
                let request = request.with(ChangeOperation::Add, "member", members);
                directory.modify(request, Vec::new()).await?;
            }
            Ok(())
        }
        Change::Update { guid, mark, name, description, come, go, .. } => {
            let mut request = ours(*guid, mark);
            if let Some((before, after)) = name {
                request = exchange(request, "displayName", before.as_ref(), Some(after));
            }
            if let Some((before, after)) = description {
                request = exchange(request, "description", before.as_ref(), after.as_ref());
            }
            directory.modify(request, Vec::new()).await?;
            let (come, go): (Vec<_>, Vec<_>) = (come.iter().collect(), go.iter().collect());
            for (operation, names) in [(ChangeOperation::Add, come), (ChangeOperation::Delete, go)]
            {
                for names in names.chunks(MEMBERS_AT_ONCE) {
                    let request = ours(*guid, mark).with(operation, "member", names);
                    directory.modify(request, Vec::new()).await?;
                }
            }
            Ok(())
        }
        Change::Delete { guid, mark, .. } => {
            directory.modify(ours(*guid, mark), Vec::new()).await?;
            let entry = format!("<GUID={guid}>");
            directory.delete(DelRequest { entry }, Vec::new()).await
        }
    }
}

/// A change of a group that is refused unless it carries its mark: it is taken and given back.
fn ours(guid: Guid, mark: &str) -> ModifyRequest {
    ModifyRequest::new(format!("<GUID={guid}>"))
        .with(ChangeOperation::Delete, MARK_ATTRIBUTE, [mark])
        .with(ChangeOperation::Add, MARK_ATTRIBUTE, [mark])
}

/// A value in place of the one that was seen, and of no other.
fn exchange(
    request: ModifyRequest,
    attribute: &str,
    before: Option<&String>,
    after: Option<&String>,
) -> ModifyRequest {
    let request = match before {
        Some(before) => request.with(ChangeOperation::Delete, attribute, [before]),
        None => request,
    };
    match after {
        Some(after) => request.with(ChangeOperation::Add, attribute, [after]),
        None => request,
    }
}

fn filter(text: &str) -> Result<Filter, Failure> {
    text.parse()
        .map_err(|error| Failure::because("the filter of marked groups is not legal", &error))
}

#[cfg(test)]
mod tests {
    use portolan_ldap::{ResultCode, SearchResultEntry};

    use super::*;
    use crate::connect::import::tests::server::{Answer, Asked, Scripted};

    const UNIT: &str = "OU=Cloud,DC=corp,DC=example";

    fn group(number: u8) -> SearchResultEntry {
        let (guid, mark) = ([number; 16], format!("{MARK_PREFIX}{number}"));
        let attributes: [(&str, &[&[u8]]); 2] =
            [("objectGUID", &[&guid]), (MARK_ATTRIBUTE, &[mark.as_bytes()])];
        SearchResultEntry::new(&format!("CN=g{number},{UNIT}"), &attributes).unwrap()
    }

    /// As Windows does above MaxPageSize: what came before the refusal comes again in the pages.
    #[tokio::test]
    async fn groups_of_a_unit_are_read_to_the_last_page_and_each_once() {
        let mut directory = Scripted::new(|asked: &Asked| {
            if asked.request.base != UNIT {
                return Answer::of(vec![]);
            }
            match asked.page().map(|page| page.cookie) {
                None => {
                    let entries = vec![group(1), group(2)];
                    Answer { entries, ..Answer::refused(ResultCode::SizeLimitExceeded) }
                }
                Some(cookie) if cookie.is_empty() => Answer::page(vec![group(1), group(2)], b"1"),
                Some(_) => Answer::page(vec![group(3)], b""),
            }
        });
        let found = marked(&mut directory, UNIT).await.unwrap();
        let marks: Vec<_> = found.iter().map(|group| group.mark.as_str()).collect();
        assert_eq!(marks, ["Group_1", "Group_2", "Group_3"]);
    }
}
