//! Which user principal names change hands within one batch.
//!
//! A name is free for an upsert when nobody has it at the batch's end but that upsert's user. The
//! plan finds, before anything is written, the upserts whose names come free in the batch, takes those
//! names from their holders, and reserves each for its upsert. It counts only on operations that
//! cannot be refused for another reason, and whose anchor comes once: so what was taken from a holder
//! is never missed by them.

use std::collections::{BTreeMap, BTreeSet};

use portolan_model::Guid;

use super::draft::Draft;
use super::matching::counterpart;
use super::{Fault, Operation, Upsert, check_alone};
use crate::Tenant;
use crate::directory::{Attributes, Kind, Name, Naming, Object};
use crate::feature::Feature;

/// The names that are given, with the place of the upsert that each is reserved for.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<Name, usize>);

/// An upsert that wants a name.
struct Wish {
    /// Its place in the batch.
    at: usize,
    /// The name.
    name: Name,
    /// The user who wants it, if they are there already.
    user: Option<Guid>,
    /// The user who has it.
    holder: Option<Guid>,
}

impl Names {
    pub(super) fn plan(
        draft: &mut Draft,
        tenant: &Tenant,
        operations: &[Result<Operation, Fault>],
    ) -> Self {
        let mut wishes = Vec::new();
        let mut deleted = BTreeSet::new();
        let crowded = crowded(operations);
        for (at, operation) in alone(operations) {
            match operation {
                Operation::Upsert(upsert) if upsert.kind == Kind::User => {
                    let name = upsert.attributes.text("userPrincipalName").map(Name::principal);
                    let Some(name) = name else { continue };
                    let Ok((before, _)) = counterpart(draft, upsert) else { continue };
                    let user = before.as_ref().map(|user| user.id);
                    if check_alone(tenant, before.as_ref(), upsert).is_err()
                        || may_lack_an_address(draft, &crowded, upsert, user)
                    {
                        continue;
                    }
                    let holder = draft.holder(&name);
                    wishes.push(Wish { at, name, user, holder });
                }
                Operation::Delete { anchor, kind: Kind::User } => {
                    let before = draft.synchronised(anchor);
                    deleted.extend(before.filter(|user| user.kind == Kind::User).map(|u| u.id));
                }
                _ => {}
            }
        }
        let mut reserved = BTreeMap::new();
        for wish in granted(wishes, &deleted) {
            if wish.holder.is_some_and(|holder| Some(holder) != wish.user) {
                draft.release(&wish.name);
            }
            // A free name too: its user's own may be on its way to somebody else by now, so that
            // nobody may come before them.
            reserved.insert(wish.name, wish.at);
        }
        Self(reserved)
    }

    /// Whether the upsert at this place may have the name that it wants.
    pub(super) fn check(
        &self,
        draft: &Draft,
        at: usize,
        before: Option<&Object>,
        attributes: &Attributes,
    ) -> Result<(), Fault> {
        let Some(name) = attributes.text("userPrincipalName").map(Name::principal) else {
            return Ok(());
        };
        match self.0.get(&name) {
            Some(reserved) if *reserved == at => return Ok(()),
            Some(_) => return Err(Fault::NameTaken),
            None => {}
        }
        match draft.holder(&name) {
            Some(holder) if before.is_none_or(|old| old.id != holder) => Err(Fault::NameTaken),
            _ => Ok(()),
        }
    }
}

/// Addresses that several upserts want.
fn crowded(operations: &[Result<Operation, Fault>]) -> BTreeSet<Name> {
    let (mut wanted, mut crowded) = (BTreeSet::new(), BTreeSet::new());
    for operation in operations.iter().flatten() {
        let Operation::Upsert(upsert) = operation else { continue };
        for name in Name::all(upsert.kind, &upsert.attributes) {
            if name.naming == Naming::Proxy && !wanted.insert(name.clone()) {
                crowded.insert(name);
            }
        }
    }
    crowded
}

/// Whether an upsert may be refused for an address that is another's when its turn comes.
fn may_lack_an_address(
    draft: &Draft,
    crowded: &BTreeSet<Name>,
    upsert: &Upsert,
    user: Option<Guid>,
) -> bool {
    let is_others = |name: &Name| {
        let holder = draft.holder(name);
        name.naming == Naming::Proxy
            && (crowded.contains(name) || holder.is_some() && holder != user)
    };
    !draft.has(Feature::QuarantineUponProxyAddressesConflict)
        && Name::all(upsert.kind, &upsert.attributes).iter().any(is_others)
}

/// The upserts and deletions whose anchor no other one in the batch has.
fn alone(operations: &[Result<Operation, Fault>]) -> impl Iterator<Item = (usize, &Operation)> {
    let anchor = |operation: &Operation| match operation {
        Operation::Upsert(Upsert { anchor, .. }) | Operation::Delete { anchor, .. } => {
            Some(anchor.clone())
        }
        _ => None,
    };
    let mut count = BTreeMap::new();
    for anchor in operations.iter().flatten().filter_map(anchor) {
        *count.entry(anchor).or_insert(0_usize) += 1;
    }
    let numbered = operations.iter().enumerate();
    numbered.filter_map(move |(at, operation)| {
        let operation = operation.as_ref().ok()?;
        (count.get(&anchor(operation)?) == Some(&1)).then_some((at, operation))
    })
}

/// The largest set of wishes that can all be granted: each name is free, or its holder goes, or its
/// holder's own wish for another name is granted. Of two wishes for one name the first counts.
fn granted(mut wishes: Vec<Wish>, deleted: &BTreeSet<Guid>) -> Vec<Wish> {
    let mut wanted = BTreeSet::new();
    wishes.retain(|wish| wanted.insert(wish.name.clone()));
    loop {
        let moving: BTreeSet<Guid> = wishes
            .iter()
            .filter(|wish| wish.holder != wish.user)
            .filter_map(|wish| wish.user)
            .collect();
        let before = wishes.len();
        wishes.retain(|wish| match wish.holder {
            None => true,
            Some(holder) => {
                wish.user == Some(holder) || moving.contains(&holder) || deleted.contains(&holder)
            }
        });
        if wishes.len() == before {
            return wishes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guid(number: u8) -> Guid {
        Guid::from_random([number; 16])
    }

    /// Wishes as (name, who wants it, who has it), 0 for nobody; gives the places of the granted.
    fn check(wishes: &[(&str, u8, u8)], deleted: &[u8], expected: &[usize]) {
        let some = |number: u8| (number != 0).then(|| guid(number));
        let all = wishes.iter().enumerate().map(|(at, (name, user, holder))| Wish {
            at,
            name: Name::principal(name),
            user: some(*user),
            holder: some(*holder),
        });
        let deleted = deleted.iter().map(|number| guid(*number)).collect();
        let places: Vec<_> = granted(all.collect(), &deleted).iter().map(|wish| wish.at).collect();
        assert_eq!(places, expected, "{wishes:?}");
    }

    #[test]
    fn names_change_hands_when_everybody_has_one_in_the_end() {
        check(&[("b", 1, 2), ("a", 2, 1)], &[], &[0, 1]);
        check(&[("b", 1, 2), ("c", 2, 3), ("a", 3, 1)], &[], &[0, 1, 2]);
        check(&[("b", 1, 2), ("c", 2, 0)], &[], &[0, 1]);
        check(&[("a", 0, 1)], &[1], &[0]);
        check(&[("a", 1, 1)], &[], &[0]);
    }

    #[test]
    fn a_name_whose_holder_stays_is_not_granted_nor_what_hangs_on_it() {
        check(&[("b", 1, 2)], &[], &[]);
        check(&[("b", 1, 2), ("b", 2, 2)], &[], &[]);
        check(&[("b", 1, 2), ("c", 2, 3)], &[], &[]);
        check(&[("b", 1, 2), ("a", 2, 1), ("b", 3, 2)], &[], &[0, 1]);
        check(&[("a", 0, 1), ("a", 0, 1)], &[1], &[0]);
    }
}
