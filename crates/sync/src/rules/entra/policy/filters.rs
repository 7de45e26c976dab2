//! Which domains and containers a policy selects, as filters.

use portolan_model::{DistinguishedName, DnsName};

use crate::rules::entra::Fate;
use crate::rules::entra::read::Fields;
use crate::rules::entra::rule::{at, place};
use crate::rules::raw::RawFilter;

/// The filters of a forest, and what is told of them.
///
/// A container is taken or left by the nearest that is named above it, as it is here. A domain of which only
/// some containers are selected is left out, and they are taken.
pub(super) fn of(
    forest: &Fields<'_>,
    name: Option<&DnsName>,
) -> (Vec<RawFilter>, Vec<(Fate, String)>) {
    let (mut filters, mut told) = (Vec::new(), Vec::new());
    for partition in forest.objects("partitionFilters") {
        let Some((top, domain)) = partition.text("distinguishedName").and_then(domain) else {
            continue; // The configuration and the schema have nobody in them.
        };
        let mut names = |list| {
            let named = partition.items(list).iter().filter_map(serde_json::Value::as_str);
            let (names, others): (Vec<_>, Vec<_>) =
                named.partition(|name| name.parse::<DistinguishedName>().is_ok());
            told.extend(others.iter().map(|other| {
                (Fate::LeftOut, format!("{list} of {domain} has {other:?}, which is no name"))
            }));
            names
        };
        let (taken, left) = (names("containerInclusions"), names("containerExclusions"));
        let unread =
            partition.beside(&["distinguishedName", "containerInclusions", "containerExclusions"]);
        if !unread.is_empty() {
            let text = format!("of the partition {top} this is not read: {}", unread.join(", "));
            told.push((Fate::LeftOut, text));
        }
        if taken.is_empty() {
            let text = format!("it names no container of {domain} that is taken: here all are");
            told.push((Fate::Partly, text));
        }
        let filter = |unit: Option<&str>, include| RawFilter {
            place: place(),
            connected: name.map(|name| at(name.as_str().to_owned())),
            domain: unit.is_none().then(|| at(domain.as_str().to_owned())),
            unit: unit.map(|unit| at(unit.to_owned())),
            guid: None,
            group: None,
            clauses: None,
            include,
            reason: (!include).then(|| "not selected in Entra Connect".to_owned()),
        };
        let is_top = |container: &&str| container.eq_ignore_ascii_case(top);
        if !taken.is_empty() && !taken.iter().any(is_top) {
            filters.push(filter(None, false));
        }
        let before = filters.len();
        let inner = taken.iter().filter(|container| !is_top(container));
        filters.extend(inner.map(|container| filter(Some(container), true)));
        filters.extend(left.iter().map(|container| filter(Some(container), false)));
        if filters.len() > before {
            let text = format!(
                "{} containers of {domain} became filters: their objectGUIDs are looked up before the first run",
                filters.len() - before
            );
            told.push((Fate::Carried, text));
        }
    }
    (filters, told)
}

/// A domain's distinguished name and its DNS name; none of what is no domain.
fn domain(name: &str) -> Option<(&str, DnsName)> {
    let label = |part: &str| {
        let (kind, label) = part.trim().split_once('=')?;
        kind.eq_ignore_ascii_case("DC").then(|| label.to_owned())
    };
    let labels: Option<Vec<_>> = name.split(',').map(label).collect();
    Some((name, labels?.join(".").parse().ok()?))
}
