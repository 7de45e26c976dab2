//! Which user principal names change hands within one batch.
//!
//! A name is free for an upsert when nobody has it at the batch's end but that upsert's user. The
//! plan finds, before anything is written, the upserts whose names come free in the batch, takes those
//! names from their holders, and reserves each for its upsert. It counts only on operations that
//! cannot be refused for another reason, and whose anchor comes once: so what was taken from a holder
//! is never missed by them.

use std::collections::{BTreeMap, BTreeSet};

use portolan_model::Guid;

use super::{Fault, Operation, check_alone, is_clouds_own};
use crate::Tenant;
use crate::directory::{Attributes, Kind, Object};
use crate::storage::{StorageError, Transaction};

/// The names that are given: each folded, with the place of the upsert that it is reserved for.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<String, usize>);

/// An upsert that wants a name.
struct Wish {
    /// Its place in the batch.
    at: usize,
    /// The name, folded.
    name: String,
    /// The user who wants it, if they are there already.
    user: Option<Guid>,
    /// The user who has it.
    holder: Option<Guid>,
}

impl Names {
    pub(super) async fn plan<T: Transaction>(
        tx: &mut T,
        tenant: &Tenant,
        operations: &[Result<Operation, Fault>],
    ) -> Result<Self, StorageError> {
        let mut wishes = Vec::new();
        let mut deleted = BTreeSet::new();
        for (at, operation) in alone(operations) {
            let (Operation::Upsert { anchor, .. } | Operation::Delete { anchor, .. }) = operation
            else {
                continue;
            };
            let before = tx.object_by_anchor(anchor).await?;
            if before.as_ref().is_some_and(is_clouds_own) {
                continue;
            }
            match operation {
                Operation::Upsert { kind: Kind::User, attributes, .. } => {
                    let Some(name) = attributes.text("userPrincipalName") else { continue };
                    if check_alone(tenant, before.as_ref(), operation).is_err() {
                        continue;
                    }
                    let holder = tx.user_by_name(name).await?.map(|holder| holder.id);
                    let user = before.map(|user| user.id);
                    wishes.push(Wish { at, name: name.to_lowercase(), user, holder });
                }
                Operation::Delete { kind: Kind::User, .. } => {
                    deleted.extend(before.filter(|user| user.kind == Kind::User).map(|u| u.id));
                }
                _ => {}
            }
        }
        let granted = granted(wishes, &deleted);
        let mut reserved = BTreeMap::new();
        for wish in granted {
            if let Some(holder) = wish.holder.filter(|holder| Some(*holder) != wish.user) {
                tx.release_name(holder).await?;
            }
            // A free name too: its user's own may be on its way to somebody else by now, so that
            // nobody may come before them.
            reserved.insert(wish.name, wish.at);
        }
        Ok(Self(reserved))
    }

    /// Whether the upsert at this place may have the name that it wants.
    pub(super) async fn check<T: Transaction>(
        &self,
        tx: &mut T,
        at: usize,
        before: Option<&Object>,
        attributes: &Attributes,
    ) -> Result<Result<(), Fault>, StorageError> {
        let Some(name) = attributes.text("userPrincipalName") else { return Ok(Ok(())) };
        match self.0.get(&name.to_lowercase()) {
            Some(reserved) if *reserved == at => return Ok(Ok(())),
            Some(_) => return Ok(Err(Fault::NameTaken)),
            None => {}
        }
        match tx.user_by_name(name).await? {
            Some(other) if before.is_none_or(|old| old.id != other.id) => Ok(Err(Fault::NameTaken)),
            _ => Ok(Ok(())),
        }
    }
}

/// The upserts and deletions whose anchor no other one in the batch has.
fn alone(operations: &[Result<Operation, Fault>]) -> impl Iterator<Item = (usize, &Operation)> {
    let mut count = BTreeMap::new();
    for operation in operations.iter().flatten() {
        if let Operation::Upsert { anchor, .. } | Operation::Delete { anchor, .. } = operation {
            *count.entry(anchor).or_insert(0_usize) += 1;
        }
    }
    operations.iter().enumerate().filter_map(move |(at, operation)| match operation {
        Ok(operation @ (Operation::Upsert { anchor, .. } | Operation::Delete { anchor, .. })) => {
            (count.get(anchor) == Some(&1)).then_some((at, operation))
        }
        _ => None,
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
            name: (*name).to_owned(),
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
