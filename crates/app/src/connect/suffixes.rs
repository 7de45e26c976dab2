//! Users who have another name in the tenant than in the forest, because the tenant has not verified the
//! suffix of theirs: from the state, whether they were exported now or long ago.

use std::collections::BTreeMap;

use portolan_store::state::{State, TargetKey};
use portolan_sync::TenantKind;
use portolan_sync::engine::ConnectorId;
use portolan_sync::record::ValueRef;

use crate::report::Failure;

/// Users that are read at once.
const USERS_AT_ONCE: u32 = 2_000;
/// Suffixes that are counted apart.
const SUFFIXES_MAX: usize = 1_000;

/// A user with another name in the tenant.
pub(super) struct Renamed {
    /// Its name in the forest, or its anchor.
    pub(super) who: String,
    /// Its userPrincipalName in the forest.
    pub(super) found: String,
    /// The one in the tenant.
    pub(super) used: String,
}

/// All users with another name in the tenant.
#[derive(Default)]
pub(super) struct Suffixes {
    /// How many there are.
    pub(super) count: u64,
    /// How many by suffix; the suffixes beyond some are not counted apart.
    pub(super) by_suffix: BTreeMap<String, u64>,
    /// The first of them.
    pub(super) first: Vec<Renamed>,
}

impl Suffixes {
    /// Looks at every user of a target, and keeps so many of those with another name.
    pub(super) async fn of(
        state: &State,
        target: ConnectorId,
        first_max: usize,
    ) -> Result<Self, Failure> {
        let names = state.dictionary().await?;
        let mut all = Self::default();
        let of_tenant = (names.id("userPrincipalName"), names.id("onPremisesUserPrincipalName"));
        let (Some(used), Some(found)) = of_tenant else { return Ok(all) };
        let dn = names.id("onPremisesDistinguishedName");
        let mut after = TargetKey::default();
        loop {
            let users = state.wished(target, TenantKind::User, after, USERS_AT_ONCE).await?;
            let Some((last, _, _)) = users.last() else { return Ok(all) };
            after = *last;
            for (_, anchor, record) in &users {
                let text = |id| record.first(id).and_then(ValueRef::as_text);
                let (Some(used), Some(found)) = (text(used), text(found)) else { continue };
                if used.eq_ignore_ascii_case(found) {
                    continue;
                }
                all.count += 1;
                let suffix = found.rsplit_once('@').map_or("", |(_, suffix)| suffix);
                let suffix = suffix.to_ascii_lowercase();
                if all.by_suffix.len() < SUFFIXES_MAX || all.by_suffix.contains_key(&suffix) {
                    *all.by_suffix.entry(suffix).or_default() += 1;
                }
                if all.first.len() < first_max {
                    let who = dn.and_then(text).unwrap_or(anchor.as_str()).to_owned();
                    let (found, used) = (found.to_owned(), used.to_owned());
                    all.first.push(Renamed { who, found, used });
                }
            }
        }
    }
}
