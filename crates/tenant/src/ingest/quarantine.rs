//! Values that are another object's: set aside when a switch says so, and given back when they are free.
//!
//! A user principal name becomes `<name>+<four digits>@<initial domain>`, an address goes from the list.
//! What was set aside is kept beside the object, and whoever waits longest gets it.

use std::collections::{BTreeMap, BTreeSet};

use portolan_model::{Entropy, Guid, Upn};
use time::OffsetDateTime;

use super::Fault;
use super::draft::Draft;
use crate::Tenant;
use crate::directory::{Attributes, Name, Naming, Object, ProvisioningError, Value};
use crate::feature::Feature;
use crate::storage::{StorageError, Transaction};

/// Values that are given back at once; the others are with the next batch that gives names up.
const HEALED_AT_ONCE: u32 = 500;

/// Characters of a name that stay in front of the digits.
const KEPT_CHARS_MAX: usize = 59;

/// How often a temporary name is drawn anew.
const DRAWS_MAX: usize = 32;

/// Everybody who could be called so is.
#[derive(Debug, thiserror::Error)]
#[error("no temporary user principal name is free")]
struct NoneFree;

/// A name for a user whose own is another's: the first of some draws that nobody in the draft has.
fn temporary(
    draft: &Draft,
    tenant: &Tenant,
    wanted: &str,
    rng: &mut (dyn Entropy + Send),
) -> String {
    let local = wanted.rsplit_once('@').map_or(wanted, |(local, _)| local);
    let kept: String = local.chars().take(KEPT_CHARS_MAX).collect();
    let mut name = String::new();
    for _ in 0..DRAWS_MAX {
        let mut octets = [0; 4];
        rng.fill(&mut octets);
        let digits = u32::from_le_bytes(octets) % 10_000;
        name = format!("{kept}+{digits:04}@{}", tenant.domain);
        if draft.holder(&Name::principal(&name)).is_none() {
            break;
        }
    }
    name
}

/// Takes what is another object's out of an object that is to be written.
///
/// `is_taken` says whether the user principal name is. Gives what was taken out; and the temporary name
/// if one was drawn.
pub(super) fn set_aside(
    draft: &Draft,
    tenant: &Tenant,
    (id, before): (Guid, Option<&Object>),
    attributes: &mut Attributes,
    is_taken: bool,
    now: OffsetDateTime,
    rng: &mut (dyn Entropy + Send),
) -> Result<Vec<ProvisioningError>, Fault> {
    let earlier = draft.errors(id);
    let error = |naming, value: &str| {
        let name = Name::of(naming, value);
        let known = earlier.iter().find(|known| known.name() == name);
        let occurred_at = known.map_or(now, |known| known.occurred_at);
        (
            known.is_some(),
            ProvisioningError { object: id, naming, value: value.to_owned(), occurred_at },
        )
    };
    let mut aside = Vec::new();
    if is_taken {
        if !draft.has(Feature::QuarantineUponUpnConflict) {
            return Err(Fault::NameTaken);
        }
        let wanted = attributes.text("userPrincipalName").unwrap_or_default().to_owned();
        let (is_known, taken) = error(Naming::Principal, &wanted);
        // Whoever waits already keeps the name that they were given.
        let given = before.and_then(Object::upn).filter(|_| is_known).map(str::to_owned);
        let name = given.unwrap_or_else(|| temporary(draft, tenant, &wanted, rng));
        let set = attributes.set("userPrincipalName", Value::Text(name));
        set.map_err(|rule| Fault::InvalidAttribute("userPrincipalName", rule))?;
        aside.push(taken);
    }
    if let Some(Value::Texts(all)) = attributes.value("proxyAddresses") {
        let is_others = |address: &&String| {
            draft.holder(&Name::proxy(address)).is_some_and(|holder| holder != id)
        };
        let (taken, kept): (Vec<_>, Vec<_>) = all.iter().partition(is_others);
        if !taken.is_empty() {
            if !draft.has(Feature::QuarantineUponProxyAddressesConflict) {
                return Err(Fault::AddressTaken);
            }
            aside.extend(taken.into_iter().map(|address| error(Naming::Proxy, address).1));
            let kept = Value::Texts(kept.into_iter().cloned().collect());
            let set = attributes.set("proxyAddresses", kept);
            set.map_err(|rule| Fault::InvalidAttribute("proxyAddresses", rule))?;
        }
    }
    Ok(aside)
}

impl Draft {
    /// Draws anew the temporary names that somebody outside of the draft has.
    pub(super) async fn settle<T: Transaction>(
        &mut self,
        tx: &mut T,
        tenant: &Tenant,
        rng: &mut (dyn Entropy + Send),
    ) -> Result<(), StorageError> {
        for _ in 0..DRAWS_MAX {
            let drawn = self.drawn();
            if drawn.is_empty() {
                return Ok(());
            }
            let names: Vec<_> = drawn.keys().cloned().collect();
            let held = tx.name_holders(&names).await?;
            let held = held.into_iter().filter(|(name, holder)| drawn.get(name) != Some(holder));
            let held: Vec<_> = held.collect();
            if held.is_empty() {
                return Ok(());
            }
            for (name, _) in held {
                // In place of the digits that were drawn, not behind them.
                let wanted = name.folded.rsplit_once('+').map_or(name.folded.as_str(), |(n, _)| n);
                let anew = temporary(self, tenant, wanted, rng);
                self.rename(&name, anew);
            }
        }
        Err(StorageError::new(NoneFree))
    }
}

/// Gives objects the values that were set aside and that nobody has any more.
///
/// # Errors
/// When the store fails.
pub async fn heal<T: Transaction>(
    tx: &mut T,
    tenant: &Tenant,
) -> Result<Vec<ProvisioningError>, StorageError> {
    let free = tx.free_values(HEALED_AT_ONCE).await?;
    let ids: BTreeSet<_> = free.iter().map(|error| error.object).collect();
    let ids: Vec<_> = ids.into_iter().collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut objects: BTreeMap<_, _> =
        tx.objects_by_id(&ids).await?.into_iter().map(|object| (object.id, object)).collect();
    let (mut given, mut healed) = (BTreeSet::new(), Vec::new());
    for error in free {
        let living = objects.get_mut(&error.object).filter(|object| object.deleted_at.is_none());
        let Some(object) = living else { continue };
        // Of several who wait for one, the first gets it.
        if !given.contains(&error.name()) && give_back(tenant, &mut object.attributes, &error) {
            given.insert(error.name());
            healed.push(error);
        }
    }
    let mut left = BTreeMap::<_, Vec<_>>::new();
    for error in tx.provisioning_errors(&ids).await? {
        let waiting = left.entry(error.object).or_default();
        if !healed.contains(&error) {
            waiting.push(error);
        }
    }
    let changed: BTreeSet<_> = healed.iter().map(|error| error.object).collect();
    left.retain(|object, _| changed.contains(object));
    objects.retain(|object, _| changed.contains(object));
    tx.put_objects(&objects.values().collect::<Vec<_>>()).await?;
    tx.put_provisioning_errors(&left.into_iter().collect::<Vec<_>>()).await?;
    Ok(healed)
}

/// Puts a value back; false when it does not fit any more.
fn give_back(tenant: &Tenant, attributes: &mut Attributes, error: &ProvisioningError) -> bool {
    match error.naming {
        Naming::Principal => {
            let is_ours = |upn: Upn| tenant.owns(upn.domain());
            error.value.parse().is_ok_and(is_ours)
                && attributes.set("userPrincipalName", Value::Text(error.value.clone())).is_ok()
        }
        Naming::Proxy => {
            let mut all = match attributes.value("proxyAddresses") {
                Some(Value::Texts(all)) => all.clone(),
                _ => Vec::new(),
            };
            all.push(error.value.clone());
            attributes.set("proxyAddresses", Value::Texts(all)).is_ok()
        }
        // None is ever set aside: the one no sync server sends, and with the other taken a device is refused.
        Naming::Unique | Naming::Device => false,
    }
}
