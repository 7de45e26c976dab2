//! The first pass: which values stand at more than one object, without keeping any.
//!
//! A [`Survey`] is offered every object once and keeps digests of 64 bits, about a hundred octets for a
//! usual object; [`Surveyed`] answers how many objects have a value. A digest is keyed with a number
//! that nobody outside knows, so that nobody makes values that collide; by chance two of ten million do
//! in one forest of four hundred thousand.

use std::hash::Hasher as _;

use super::subject::{Attribute, Subject};
use super::{address, fold};
use crate::forest::ObjectKind;

/// Values that must not be the same within one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Space {
    UserPrincipalName,
    AccountName,
    /// `mail`, and proxy addresses of mail.
    MailAddress,
    Nickname,
    TargetAddress,
    /// Proxy addresses of other types.
    OtherAddress,
    Anchor,
    DisplayName,
}

/// A value that is compared across objects.
#[derive(Debug)]
pub(super) struct Compared<'a> {
    pub(super) attribute: Attribute,
    pub(super) space: Space,
    /// The whole value.
    pub(super) value: &'a str,
    /// What of it is compared.
    pub(super) bare: &'a str,
}

/// The values of an object that must be its own.
pub(super) fn compared<'a>(subject: &Subject<'a>) -> Vec<Compared<'a>> {
    const OWN: [Attribute; 5] = [
        Attribute::UserPrincipalName,
        Attribute::Mail,
        Attribute::ProxyAddresses,
        Attribute::MailNickname,
        Attribute::TargetAddress,
    ];
    let mut all = Vec::new();
    for attribute in OWN {
        for value in subject.texts(attribute) {
            if let Some((space, bare)) =
                space_of(attribute, value).filter(|(_, bare)| !bare.is_empty())
            {
                all.push(Compared { attribute, space, value, bare });
            }
        }
    }
    // Without a UPN the account name makes it.
    if subject.kind.is_person() && subject.text(Attribute::UserPrincipalName).is_none() {
        let attribute = Attribute::SamAccountName;
        for value in subject.texts(attribute) {
            all.push(Compared { attribute, space: Space::AccountName, value, bare: value });
        }
    }
    all
}

/// Where a value of an attribute must be its object's own, and what of it is compared.
pub(super) fn space_of(attribute: Attribute, value: &str) -> Option<(Space, &str)> {
    match attribute {
        Attribute::UserPrincipalName => Some((Space::UserPrincipalName, value)),
        Attribute::Mail => Some((Space::MailAddress, value)),
        Attribute::MailNickname => Some((Space::Nickname, value)),
        Attribute::TargetAddress => {
            Some((Space::TargetAddress, address::mail(value).unwrap_or(value)))
        }
        Attribute::ProxyAddresses => Some(match address::mail(value) {
            Some(bare) => (Space::MailAddress, bare),
            None => (Space::OtherAddress, value),
        }),
        _ => None,
    }
}

/// The names of an object that nobody else's should look like.
pub(super) fn seen<'a>(subject: &Subject<'a>) -> impl Iterator<Item = Compared<'a>> {
    const SEEN: [(Attribute, Space); 4] = [
        (Attribute::UserPrincipalName, Space::UserPrincipalName),
        (Attribute::SamAccountName, Space::AccountName),
        (Attribute::Mail, Space::MailAddress),
        (Attribute::DisplayName, Space::DisplayName),
    ];
    SEEN.into_iter().filter_map(|(attribute, space)| {
        let value = subject.text(attribute)?;
        Some(Compared { attribute, space, value, bare: value })
    })
}

/// What identifies the object in the tenant, as far as its attributes say so.
pub(super) fn anchor(subject: &Subject<'_>) -> [u8; 16] {
    let own = subject.guid.to_bytes_le();
    if !matches!(subject.kind, ObjectKind::User | ObjectKind::InetOrgPerson) {
        return own;
    }
    let value = subject.octets(Attribute::ConsistencyGuid).next();
    value.and_then(|octets| <[u8; 16]>::try_from(octets).ok()).unwrap_or(own)
}

/// Makes digests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Digests {
    seed: u64,
}

impl Digests {
    pub(super) fn of(self, space: Space, octets: &[u8]) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        hasher.write_u64(self.seed);
        hasher.write_u8(space as u8);
        hasher.write(octets);
        hasher.finish()
    }
}

/// The first pass, under way.
#[derive(Debug)]
pub struct Survey {
    digests: Digests,
    /// Of values as the directory compares them.
    folded: Vec<u64>,
    /// Of values as they are written.
    exact: Vec<u64>,
    /// Of what values look like, each with that of the value as the directory compares it.
    looks: Vec<(u64, u64)>,
}

impl Survey {
    /// Begins with a number that nobody outside knows.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        let digests = Digests { seed };
        Self { digests, folded: Vec::new(), exact: Vec::new(), looks: Vec::new() }
    }

    /// Looks at an object. One that is left out claims nothing.
    pub fn add(&mut self, subject: &Subject<'_>) {
        if subject.left_out.is_some() {
            return;
        }
        let (mut folded, mut exact) = (Vec::new(), Vec::new());
        for Compared { space, bare, .. } in compared(subject) {
            folded.push(self.digests.of(space, fold::directory(bare).as_bytes()));
            exact.push(self.digests.of(space, bare.as_bytes()));
        }
        folded.push(self.digests.of(Space::Anchor, &anchor(subject)));
        // What an object says twice of itself it shares with nobody.
        for (own, all) in [(folded, &mut self.folded), (exact, &mut self.exact)] {
            let mut own = own;
            own.sort_unstable();
            own.dedup();
            all.extend(own);
        }
        for Compared { space, bare, .. } in seen(subject) {
            let identity = self.digests.of(space, fold::directory(bare).as_bytes());
            let [look, lower] =
                fold::looks(bare).map(|look| self.digests.of(space, look.as_bytes()));
            self.looks.push((look, identity));
            if lower != look {
                self.looks.push((lower, identity));
            }
        }
    }

    /// Ends the pass: every object was offered.
    #[must_use]
    pub fn finish(self) -> Surveyed {
        let Self { digests, mut folded, mut exact, mut looks } = self;
        folded.sort_unstable();
        exact.sort_unstable();
        let twice = exact.windows(2).filter(|pair| pair.first() == pair.last());
        let mut doubled: Vec<u64> = twice.filter_map(|pair| pair.first().copied()).collect();
        doubled.dedup();
        drop(exact);
        looks.sort_unstable();
        looks.dedup();
        let look = |pair: Option<&(u64, u64)>| pair.map(|(look, _)| *look);
        let twice = looks.windows(2).filter(|pair| look(pair.first()) == look(pair.last()));
        let mut alike: Vec<u64> = twice.filter_map(|pair| look(pair.first())).collect();
        alike.dedup();
        Surveyed { digests, folded, doubled, alike }
    }
}

/// What the first pass found out.
#[derive(Debug)]
pub struct Surveyed {
    pub(super) digests: Digests,
    /// INVARIANT: sorted; a digest stands there once for each object that has it.
    folded: Vec<u64>,
    /// INVARIANT: sorted. Digests of values that several objects have letter by letter.
    doubled: Vec<u64>,
    /// INVARIANT: sorted. Digests of looks that values have which are not the same.
    alike: Vec<u64>,
}

impl Surveyed {
    /// How many objects have what has this digest.
    pub(super) fn holders(&self, digest: u64) -> usize {
        let from = self.folded.partition_point(|each| *each < digest);
        self.folded.iter().skip(from).take_while(|each| **each == digest).count()
    }

    pub(super) fn is_doubled(&self, digest: u64) -> bool {
        self.doubled.binary_search(&digest).is_ok()
    }

    pub(super) fn is_alike(&self, digest: u64) -> bool {
        self.alike.binary_search(&digest).is_ok()
    }
}
