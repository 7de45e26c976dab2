//! Devices that registered in the cloud, as `msDS-Device` objects in one container of a forest.
//!
//! The attributes are those of [Entra Connect's device writeback], and `msDS-CloudIsManaged` and
//! `msDS-RegisteredUsers` besides; their syntaxes are those of [MS-ADA2]. Keys (`msDS-KeyCredentialLink`) are
//! not among them, as Graph does not show them.
//!
//! Each object carries the tenant's and the device's id in `msDS-CloudAnchor`, which is there to say which
//! directory an object is from. By it an object is known to be the tenant's; what has another one, or none, is
//! nobody's here, and is neither changed nor deleted.
//!
//! [Entra Connect's device writeback]: https://learn.microsoft.com/entra/identity/hybrid/connect/reference-connect-sync-attributes-synchronized#device-writeback
//! [MS-ADA2]: https://learn.microsoft.com/openspecs/windows_protocols/ms-ada2

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portolan_model::Guid;
use serde_json::Value as Json;

use super::deletions::{self, TooManyDeleted};

/// The container, below the domain.
pub const CONTAINER: &str = "CN=RegisteredDevices";
/// The class of the container, and of a device ([MS-ADSC] 2.136).
///
/// [MS-ADSC]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adsc
pub const CONTAINER_CLASS: &str = "msDS-DeviceContainer";
/// See [`CONTAINER_CLASS`].
pub const CLASS: &str = "msDS-Device";
/// The attribute of the mark.
pub const MARK_ATTRIBUTE: &str = "msDS-CloudAnchor";
/// What a mark begins with.
const MARK_PREFIX: &str = "Device_";
/// The attribute of those who registered a device, of which it has one.
const OWNER: &str = "msDS-RegisteredOwner";
/// The attributes that are written, and how many characters a text of each may have; 0 of what is no text.
/// Those of a newer schema than a forest has are left out there.
const WRITTEN: [(&str, usize); 12] = [
    ("displayName", 256),
    ("msDS-DeviceID", 0),
    ("msDS-IsEnabled", 0),
    ("altSecurityIdentities", 0),
    ("msDS-CloudIsManaged", 0),
    ("msDS-DeviceObjectVersion", 0),
    ("msDS-DeviceOSType", 1_024),
    ("msDS-DeviceOSVersion", 512),
    ("msDS-DevicePhysicalIDs", 1_024),
    ("msDS-IsCompliant", 0),
    ("msDS-IsManaged", 0),
    (OWNER, 0),
];
/// Beside them, without which a single-valued owner would be all that is known of who uses a device.
const USERS: &str = "msDS-RegisteredUsers";

/// The values of an attribute, as the directory holds them.
pub type Values = BTreeSet<Vec<u8>>;
/// Attributes with their values; one that has none is not among them.
pub type Attributes = BTreeMap<&'static str, Values>;

/// The attributes that are written, the mark aside.
pub fn attributes() -> impl Iterator<Item = &'static str> {
    WRITTEN.iter().map(|(name, _)| *name).chain([USERS])
}

/// A device of the tenant, as the forest is to have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudDevice {
    /// Its id in the tenant.
    pub id: Guid,
    /// Under which it registered, and by which the forest names it.
    pub device_id: Guid,
    /// What is to be written of it.
    pub attributes: Attributes,
}

/// An object of the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForestDevice {
    /// Its objectGUID.
    pub guid: Guid,
    /// Its name.
    pub dn: String,
    /// Its relative name.
    pub cn: String,
    /// Its mark, if it has one.
    pub mark: Option<Vec<u8>>,
    /// What it has.
    pub attributes: Attributes,
    /// The attributes that the account may write, in small letters.
    pub writable: BTreeSet<String>,
}

/// Why a device is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Left {
    /// It has no `deviceId`.
    NoDeviceId,
    /// It has nothing to prove itself by that a forest could hold, without which there is no `msDS-Device`.
    NoKey,
    /// An object is called so that is not the tenant's.
    OtherObject,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoDeviceId => "it has no deviceId",
            Self::NoKey => "no alternativeSecurityIds of it names a certificate (X509:…)",
            Self::OtherObject => {
                "an object of its name is there that is not this tenant's, and is never written over"
            }
        })
    }
}

/// Values that take the place of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Of which attribute.
    pub attribute: &'static str,
    /// Those that go, and have to be there.
    pub go: Values,
    /// Those that come, and must not be there.
    pub come: Values,
}

/// Something that is to be done in the forest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A device is made.
    Add {
        /// Its relative name.
        cn: String,
        /// Its attributes, the mark among them.
        attributes: Attributes,
    },
    /// A device is brought to what the tenant has.
    Update {
        /// Which.
        guid: Guid,
        /// Its name, for people.
        dn: String,
        /// Its mark: without it, it is not changed.
        mark: Vec<u8>,
        /// What becomes of its attributes.
        exchanges: Vec<Exchange>,
    },
    /// A device goes, as the tenant has it no more.
    Delete {
        /// Which.
        guid: Guid,
        /// Its name, for people.
        dn: String,
        /// Its mark: without it, it is not deleted.
        mark: Vec<u8>,
    },
}

/// What is to be done, and what is left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Additions, then changes, then deletions.
    pub changes: Vec<Change>,
    /// Devices of which nothing is to be done.
    pub same: usize,
    /// Devices that are not written, by their ids in the tenant, and why.
    pub left: Vec<(Guid, Left)>,
    /// Devices that are deleted, and marked devices that are there.
    pub deleted: usize,
    /// See [`Self::deleted`].
    pub there: usize,
    /// The first object, by name, that would be changed, and the attribute of it that the account may not
    /// write.
    pub unwritable: Option<(String, &'static str)>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add { cn, attributes } => {
                let name = attributes.get("displayName").and_then(|values| values.first());
                let name = name.map(|octets| String::from_utf8_lossy(octets)).unwrap_or_default();
                write!(f, "add    CN={cn}: {name}")
            }
            Self::Update { dn, exchanges, .. } => {
                write!(f, "change {dn}:")?;
                exchanges.iter().try_for_each(|exchange| write!(f, " {}", exchange.attribute))
            }
            Self::Delete { dn, .. } => write!(f, "delete {dn}"),
        }
    }
}

/// The mark of a device of a tenant.
#[must_use]
pub fn mark(id: Guid, tenant: Guid) -> Vec<u8> {
    format!("{MARK_PREFIX}{id}@{tenant}").into_bytes()
}

/// Whether a mark is one of this tenant's devices.
fn is_of(mark: &[u8], tenant: Guid) -> bool {
    let id = std::str::from_utf8(mark).ok().and_then(|text| text.strip_prefix(MARK_PREFIX));
    let id = id.and_then(|text| text.strip_suffix(&format!("@{tenant}")));
    id.is_some_and(|id| id.parse::<Guid>().is_ok())
}

/// The properties of a device that Graph is asked for.
pub const SELECT: &str = "id,deviceId,displayName,accountEnabled,alternativeSecurityIds,deviceVersion,\
                          isCompliant,isManaged,operatingSystem,operatingSystemVersion,physicalIds,\
                          onPremisesSyncEnabled";

/// Reads a device as Graph shows it, with the SIDs of those of its owners and users whom the forest has.
/// Nothing of what is no device, or is the forest's own.
///
/// # Errors
/// Why it cannot be written, with its id in the tenant.
pub fn read(
    json: &Json,
    owners: Values,
    users: Values,
) -> Option<Result<CloudDevice, (Guid, Left)>> {
    let id: Guid = json.get("id").and_then(Json::as_str)?.parse().ok()?;
    if is_of_forest(json) {
        return None;
    }
    Some(
        wanted(json, owners, users)
            .map_err(|left| (id, left))
            .map(|(device_id, attributes)| CloudDevice { id, device_id, attributes }),
    )
}

/// Whether a device, as Graph shows it, came from a forest.
#[must_use]
pub fn is_of_forest(json: &Json) -> bool {
    json.get("onPremisesSyncEnabled").and_then(Json::as_bool) == Some(true)
}

fn wanted(json: &Json, owners: Values, users: Values) -> Result<(Guid, Attributes), Left> {
    let text = |name: &str| json.get(name).and_then(Json::as_str);
    let flag = |name: &str| json.get(name).and_then(Json::as_bool).map(boolean);
    let device_id = text("deviceId").and_then(|id| id.parse::<Guid>().ok());
    let device_id = device_id.ok_or(Left::NoDeviceId)?;
    let keys: Values = items(json, "alternativeSecurityIds").filter_map(identity).collect();
    if keys.is_empty() {
        return Err(Left::NoKey);
    }
    let name = text("displayName").map(str::to_owned);
    let name = name.filter(|name| !name.trim().is_empty()).unwrap_or(device_id.to_string());
    let version = json.get("deviceVersion").and_then(Json::as_i64);
    let of_text = |text: Option<&str>| text.map(|text| text.as_bytes().to_vec());
    let mut attributes = Attributes::new();
    for (attribute, value) in [
        ("displayName", Some(name.into_bytes())),
        ("msDS-DeviceID", Some(device_id.to_bytes_le().to_vec())),
        ("msDS-IsEnabled", flag("accountEnabled").or(Some(boolean(false)))),
        ("msDS-CloudIsManaged", flag("isManaged")),
        ("msDS-DeviceObjectVersion", version.map(|version| version.to_string().into_bytes())),
        ("msDS-DeviceOSType", of_text(text("operatingSystem"))),
        ("msDS-DeviceOSVersion", of_text(text("operatingSystemVersion"))),
        ("msDS-IsCompliant", flag("isCompliant")),
        ("msDS-IsManaged", flag("isManaged")),
    ] {
        attributes.insert(attribute, value.into_iter().collect());
    }
    let physical = items(json, "physicalIds").filter_map(Json::as_str);
    attributes
        .insert("msDS-DevicePhysicalIDs", physical.map(|id| id.as_bytes().to_vec()).collect());
    attributes.insert("altSecurityIdentities", keys);
    attributes.insert(OWNER, owners);
    attributes.insert(USERS, users);
    for (attribute, chars_max) in WRITTEN.into_iter().filter(|(_, chars_max)| *chars_max > 0) {
        let values = attributes.entry(attribute).or_default();
        *values = values.iter().filter_map(|value| shortened(value, chars_max)).collect();
    }
    attributes.retain(|_, values| !values.is_empty());
    Ok((device_id, attributes))
}

fn items<'a>(json: &'a Json, name: &str) -> impl Iterator<Item = &'a Json> {
    json.get(name).and_then(Json::as_array).into_iter().flatten()
}

fn boolean(value: bool) -> Vec<u8> {
    if value { b"TRUE".to_vec() } else { b"FALSE".to_vec() }
}

/// What the forest knows a device's certificate by ([MS-DVRJ] 2.3.3): at Graph it is the octets of that text
/// in UTF-16.
///
/// [MS-DVRJ]: https://learn.microsoft.com/openspecs/windows_protocols/ms-dvrj
fn identity(id: &Json) -> Option<Vec<u8>> {
    let octets = STANDARD.decode(id.get("key").and_then(Json::as_str)?).ok()?;
    let (units, rest) = octets.as_chunks::<2>();
    let units: Vec<_> = units.iter().copied().map(u16::from_le_bytes).collect();
    let text = String::from_utf16(&units).ok().filter(|_| rest.is_empty())?;
    let is_printable = !text.chars().any(char::is_control);
    (text.starts_with("X509:") && is_printable).then(|| text.into_bytes())
}

fn shortened(value: &[u8], chars_max: usize) -> Option<Vec<u8>> {
    let text: String = std::str::from_utf8(value).ok()?.trim().chars().take(chars_max).collect();
    (!text.is_empty()).then(|| text.into_bytes())
}

/// Decides what is to be done so that the container has these devices of the tenant and no others of it.
/// Attributes that the forest's schema does not know are left out: `known` are those that it knows, in small
/// letters.
#[must_use]
pub fn plan(
    cloud: Vec<CloudDevice>,
    forest: Vec<ForestDevice>,
    tenant: Guid,
    known: &BTreeSet<String>,
) -> Plan {
    let mut plan = Plan::default();
    let (mut ours, mut names) = (BTreeMap::new(), BTreeSet::new());
    for device in forest {
        names.insert(device.cn.to_lowercase());
        if let Some(mark) = device.mark.clone().filter(|mark| is_of(mark, tenant)) {
            plan.there += 1;
            ours.entry(mark).or_insert_with(Vec::new).push(device);
        }
    }
    let (mut adds, mut updates, mut deletes) = (Vec::new(), Vec::new(), Vec::new());
    for CloudDevice { id, device_id, mut attributes } in cloud {
        attributes.retain(|name, _| known.contains(&name.to_lowercase()));
        let (mark, cn) = (mark(id, tenant), device_id.to_string());
        match ours.get_mut(&mark).and_then(Vec::pop) {
            None if names.contains(&cn) => plan.left.push((id, Left::OtherObject)),
            None => {
                settle_owner(&mut attributes, &Values::new());
                attributes.insert(MARK_ATTRIBUTE, Values::from([mark]));
                // Of two that Graph shows under one deviceId, which it never should, one is written.
                names.insert(cn.clone());
                adds.push(Change::Add { cn, attributes });
            }
            Some(before) => {
                let exchanges = exchanges(attributes, &before, known);
                if exchanges.is_empty() {
                    plan.same += 1;
                    continue;
                }
                let changed = exchanges.iter().map(|exchange| exchange.attribute);
                let lacking = |name: &&str| !before.writable.contains(&name.to_lowercase());
                let lacking = changed.chain([MARK_ATTRIBUTE]).find(lacking);
                let ForestDevice { guid, dn, .. } = before;
                if let (Some(lacking), None) = (lacking, &plan.unwritable) {
                    plan.unwritable = Some((dn.clone(), lacking));
                }
                updates.push(Change::Update { guid, dn, mark, exchanges });
            }
        }
    }
    for (mark, devices) in ours {
        for ForestDevice { guid, dn, .. } in devices {
            deletes.push(Change::Delete { guid, dn, mark: mark.clone() });
        }
    }
    plan.deleted = deletes.len();
    plan.changes = adds.into_iter().chain(updates).chain(deletes).collect();
    plan
}

impl Plan {
    /// Whether it may be carried out: [`deletions::check`].
    ///
    /// # Errors
    /// When it would delete too much.
    pub const fn check(&self, allowed: usize) -> Result<(), TooManyDeleted> {
        deletions::check(self.deleted, self.there, allowed, "devices")
    }
}

/// One owner of several: the one that is there, as long as it is one of them.
fn settle_owner(attributes: &mut Attributes, before: &Values) {
    let Some(owners) = attributes.get_mut(OWNER) else { return };
    let kept = owners.intersection(before).next().or(owners.first()).cloned();
    *owners = kept.into_iter().collect();
}

fn exchanges(
    mut wanted: Attributes,
    before: &ForestDevice,
    known: &BTreeSet<String>,
) -> Vec<Exchange> {
    let nothing = Values::new();
    settle_owner(&mut wanted, before.attributes.get(OWNER).unwrap_or(&nothing));
    let known = attributes().filter(|name| known.contains(&name.to_lowercase()));
    let exchange = |attribute| {
        let to = wanted.get(attribute).unwrap_or(&nothing);
        let from = before.attributes.get(attribute).unwrap_or(&nothing);
        let go = from.difference(to).cloned().collect();
        let come = to.difference(from).cloned().collect();
        Exchange { attribute, go, come }
    };
    let is_any = |exchange: &Exchange| !exchange.go.is_empty() || !exchange.come.is_empty();
    known.map(exchange).filter(is_any).collect()
}

#[cfg(test)]
mod tests;
