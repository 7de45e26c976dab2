//! What a tenant has, as the checkers compare it with what it is to have.

use std::collections::{BTreeMap, BTreeSet};

use portolan_app::report::Failure;
use portolan_tenant::directory::{Kind, Object, Value};
use portolan_tenant::storage::{Access, Store as _, Transaction as _};

use super::{Tenant, broken};
use crate::expected::{Shown, number};

/// Objects that are read at once.
const PAGE: u32 = 1_000;

/// An object as it is shown, with its anchor and its number.
#[derive(Debug)]
pub struct Found {
    /// Its number, of which no other object should have the same.
    pub number: String,
    /// Its anchor.
    pub anchor: String,
    /// What it is.
    pub shown: Shown,
}

impl Tenant {
    /// Everything that it has of the sync server.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn shown(&self) -> Result<Vec<Found>, Failure> {
        let mut found = Vec::new();
        let mut tx = self.store.begin(Access::Read).await.map_err(|error| broken(&error))?;
        for (kind, word) in
            [(Kind::User, "user"), (Kind::Contact, "contact"), (Kind::Group, "group")]
        {
            let objects = tx.objects(kind, None, PAGE).await.map_err(|error| broken(&error))?;
            for object in objects {
                let mut members = BTreeSet::new();
                let mut manager = None;
                if kind == Kind::Group {
                    let there = tx.members(object.id, None, PAGE).await;
                    let there = there.map_err(|error| broken(&error))?;
                    members.extend(there.iter().map(name_of));
                } else if kind == Kind::User {
                    let above = tx.manager(object.id).await.map_err(|error| broken(&error))?;
                    manager = above.as_ref().map(name_of);
                }
                let anchor = object.anchor.as_ref().map(ToString::to_string);
                // At Graph a group has it as its unique name.
                let unique = || object.attributes.text("uniqueName").map(str::to_owned);
                let anchor = anchor.or_else(unique).unwrap_or_default();
                let shown = Shown { kind: word, attributes: attributes(&object), members, manager };
                found.push(Found { number: name_of(&object), anchor, shown });
            }
        }
        Ok(found)
    }
}

/// The number of an object, or whatever it calls itself.
fn name_of(object: &Object) -> String {
    let display = object.display_name().unwrap_or_default();
    number(display).unwrap_or_else(|| format!("{display:?}, {}", object.id))
}

/// The attributes that checkers compare.
fn attributes(object: &Object) -> BTreeMap<&'static str, String> {
    const COMPARED: [&str; 13] = [
        "accountEnabled",
        "businessPhones",
        "department",
        "displayName",
        "mail",
        "mailEnabled",
        "onPremisesDistinguishedName",
        "onPremisesDomainName",
        "onPremisesSamAccountName",
        "onPremisesUserPrincipalName",
        "proxyAddresses",
        "securityEnabled",
        "userPrincipalName",
    ];
    let shown = |name: &'static str| {
        let text = match object.attributes.value(name)? {
            Value::Text(text) => text.clone(),
            Value::Flag(flag) => flag.to_string(),
            Value::Time(time) => time.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Texts(texts) => {
                let texts: BTreeSet<_> = texts.iter().map(String::as_str).collect();
                texts.into_iter().collect::<Vec<_>>().join("|")
            }
        };
        Some((name, text))
    };
    COMPARED.into_iter().filter_map(shown).collect()
}
