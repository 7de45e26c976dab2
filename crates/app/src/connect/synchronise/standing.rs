//! What rules and filters may know of an object besides its attributes: where it stands, the groups that
//! it is in, and how many members it has.

use std::collections::HashMap;

use portolan_model::{DistinguishedName, Guid};
use portolan_store::state::{Standing as Place, State};
use portolan_sync::engine::{ConnectorId, Staged, is_in};
use portolan_sync::record::{Record, RecordWriter, ValueRef};
use portolan_sync::rules::{Operator, PinnedFilters, Standing};
use portolan_sync::{AttributeId, ObjectKind};

use super::{Connected, ConnectedForest, Ruleset};
use crate::report::Failure;

/// Members are counted so far: more than any rule speaks of.
const MEMBERS_COUNTED_MAX: u32 = 1_000_000;
/// What units and groups of filters were found to be, as it is remembered of the forest.
const PINS: &str = "pins";
/// A connector that no rule is for: of objects that a filter leaves out.
const NONE: ConnectorId = ConnectorId(u16::MAX);

/// What is added to staging objects before rules see them.
pub(in super::super) struct Surroundings {
    filters: PinnedFilters,
    has_filters: bool,
    /// The forests' names, and their domains in lower case, each with its distinguished name.
    forests: HashMap<ConnectorId, (String, Vec<(String, String)>)>,
    member: AttributeId,
    member_count: Option<AttributeId>,
    /// Where some rule asks for groups by their names.
    member_of: Option<AttributeId>,
}

impl Surroundings {
    /// What the rules in force need. A unit or group that a filter names is held by its objectGUID from
    /// the first run on, in whichever forest it is.
    pub(in super::super) async fn by(
        state: &State,
        rules: &Ruleset,
        connected: &Connected,
    ) -> Result<Self, Failure> {
        let filters = rules.rules.filters();
        let mut pins = HashMap::new();
        for forest in &connected.forests {
            pins.extend(pinned(state, forest.connector, filters.unpinned()).await?);
        }
        let pinned = filters.pin(|name| pins.get(name).and_then(|guid| guid.parse::<Guid>().ok()));
        let pinned = pinned.map_err(|missing| {
            let names: Vec<_> = missing.iter().map(ToString::to_string).collect();
            Failure::new(names.join("; "))
                .with_hint("correct the filter; nothing was synchronised without it")
        })?;
        let asks = |rule: &portolan_sync::rules::Rule| {
            rule.scope.clauses().any(|clause| clause.operator == Operator::IsMemberOf)
        };
        let (names, read) = (&rules.names, rules.rules.imported());
        Ok(Self {
            filters: pinned,
            has_filters: !filters.is_empty(),
            forests: connected.forests.iter().map(named).collect(),
            member: names.id("member").ok_or_else(|| Failure::new("no attribute is a member"))?,
            // A name stays known when the rules that asked by it are gone.
            member_count: names.id("memberCount").filter(|id| read.contains(id)),
            member_of: rules.rules.all().iter().any(asks).then(|| names.id("memberOf")).flatten(),
        })
    }

    /// Whether rules or filters ask how many members a group has.
    pub(in super::super) const fn counts_members(&self) -> bool {
        self.member_count.is_some()
    }

    /// The attribute by which a group refers to its members.
    pub(in super::super) const fn member(&self) -> AttributeId {
        self.member
    }

    /// Adds to objects what rules may ask for, and takes those that a filter leaves out away from all
    /// rules.
    pub(in super::super) async fn complete(
        &self,
        state: &State,
        objects: &mut [&mut Staged],
    ) -> Result<(), Failure> {
        self.count(state, objects).await?;
        if !self.has_filters && self.member_of.is_none() {
            return Ok(());
        }
        let keys: Vec<_> = objects.iter().map(|staged| staged.key).collect();
        let mut places = state.places(&keys, self.member).await?;
        for staged in objects {
            let place = places.remove(&staged.key).unwrap_or_default();
            let admitted = self.judge(staged, &place).is_ok();
            if let Some(member_of) = self.member_of {
                let names = place.groups.iter().map(|(_, name)| ValueRef::Text(name));
                staged.record = with(&staged.record, member_of, names);
            }
            if !admitted {
                staged.connector = NONE;
            }
        }
        Ok(())
    }

    /// Why a filter leaves an object out; `None` of one that is taken.
    pub(in super::super) async fn left_out(
        &self,
        state: &State,
        staged: &Staged,
    ) -> Result<Option<String>, Failure> {
        let place = state.places(&[staged.key], self.member).await?.remove(&staged.key);
        Ok(self.judge(staged, &place.unwrap_or_default()).err())
    }

    fn judge(&self, staged: &Staged, place: &Place) -> Result<(), String> {
        let Some((forest, domains)) = self.forests.get(&staged.connector) else {
            return Err("its forest is not among those that are configured".to_owned());
        };
        let within = domains.iter().filter(|(dn, _)| is_in(&staged.dn, dn));
        let domain = within.max_by_key(|(dn, _)| dn.len()).map_or(forest, |(_, domain)| domain);
        let groups: Vec<_> = place.groups.iter().map(|(guid, _)| *guid).collect();
        let standing = Standing {
            connector: forest,
            kind: staged.kind,
            domain,
            above: &place.above,
            groups: &groups,
            attributes: &staged.record,
        };
        self.filters.admits(&standing).map_err(|filter| filter.reason.clone())
    }

    async fn count(&self, state: &State, objects: &mut [&mut Staged]) -> Result<(), Failure> {
        let Some(member_count) = self.member_count else { return Ok(()) };
        let mut groups: Vec<_> =
            objects.iter_mut().filter(|staged| staged.kind == ObjectKind::Group).collect();
        if groups.is_empty() {
            return Ok(());
        }
        let keys: Vec<_> = groups.iter().map(|staged| staged.key).collect();
        let counts = state.reference_counts(&keys, self.member, MEMBERS_COUNTED_MAX).await?;
        for (staged, count) in groups.iter_mut().zip(counts) {
            let count = [ValueRef::Integer(i64::from(count))];
            staged.record = with(&staged.record, member_count, count);
        }
        Ok(())
    }
}

fn named(forest: &ConnectedForest) -> (ConnectorId, (String, Vec<(String, String)>)) {
    let domains = forest
        .domains
        .iter()
        .map(|(domain, _)| (DistinguishedName::of_domain(domain).to_string(), domain.to_string()));
    (forest.connector, (forest.domain.to_string(), domains.collect()))
}

/// The objectGUIDs of units and groups of a forest by the names that filters gave when they were found.
pub(in super::super) async fn pins(
    state: &State,
    forest: ConnectorId,
) -> Result<HashMap<String, String>, Failure> {
    let remembered = state.remembered(forest, PINS).await?;
    Ok(remembered.and_then(|octets| serde_json::from_slice(&octets).ok()).unwrap_or_default())
}

/// What of the names that filters give is in a forest: as it was found before, or is found now and
/// remembered.
async fn pinned<'n>(
    state: &State,
    forest: ConnectorId,
    names: impl Iterator<Item = &'n str>,
) -> Result<HashMap<String, String>, Failure> {
    let mut pins = pins(state, forest).await?;
    let mut is_new = false;
    for name in names {
        if !pins.contains_key(name)
            && let Some(guid) = state.guid_of_name(forest, name).await?
        {
            pins.insert(name.to_owned(), guid.to_string());
            is_new = true;
        }
    }
    if is_new {
        let octets = serde_json::to_vec(&pins)
            .map_err(|error| Failure::because("cannot keep what filters name", &error))?;
        state.remember(forest, PINS, &octets).await?;
    }
    Ok(pins)
}

/// A record with the values of one attribute in place of those that it has.
fn with<'a>(
    record: &Record,
    attribute: AttributeId,
    values: impl IntoIterator<Item = ValueRef<'a>>,
) -> Record {
    let mut writer = RecordWriter::default();
    writer.put(attribute, values);
    for (other, values) in record {
        writer.put_values(other, values);
    }
    writer.finish()
}
