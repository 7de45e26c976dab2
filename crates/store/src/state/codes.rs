//! The numbers by which the state keeps what is of a few kinds. They never change.

use portolan_sync::ObjectKind;
use portolan_sync::TenantKind;
use portolan_sync::engine::LinkKind;
use portolan_sync::rules::MetaverseKind;

use super::StateError;

/// Something that is kept as a number.
pub(super) trait Code: Copy + PartialEq + Sized + 'static {
    /// What it is called when its number is none.
    const WHAT: &'static str;
    /// Each with its number.
    const CODES: &'static [(Self, i64)];

    /// Its number.
    fn code(self) -> i64 {
        Self::CODES.iter().find(|(kind, _)| *kind == self).map_or(-1, |(_, code)| *code)
    }

    /// What has a number.
    fn of_code(code: i64) -> Result<Self, StateError> {
        let found = Self::CODES.iter().find(|(_, number)| *number == code);
        found.map(|(kind, _)| *kind).ok_or(StateError::corrupt(Self::WHAT))
    }
}

impl Code for ObjectKind {
    const WHAT: &'static str = "the kind of an imported object";
    const CODES: &'static [(Self, i64)] = &[
        (Self::User, 0),
        (Self::InetOrgPerson, 1),
        (Self::Group, 2),
        (Self::Contact, 3),
        (Self::OrganizationalUnit, 4),
        (Self::Container, 5),
        (Self::Computer, 6),
        (Self::ForeignSecurityPrincipal, 7),
    ];
}

impl Code for MetaverseKind {
    const WHAT: &'static str = "the kind of a metaverse object";
    const CODES: &'static [(Self, i64)] = &[(Self::Person, 0), (Self::Group, 1), (Self::Device, 2)];
}

impl Code for TenantKind {
    const WHAT: &'static str = "the kind of a target's object";
    const CODES: &'static [(Self, i64)] =
        &[(Self::User, 0), (Self::Contact, 1), (Self::Group, 2), (Self::Device, 3)];
}

impl Code for LinkKind {
    const WHAT: &'static str = "the kind of a link";
    const CODES: &'static [(Self, i64)] =
        &[(Self::Provisioned, 0), (Self::Joined, 1), (Self::StickyJoined, 2)];
}

/// The turn of a deletion.
pub(super) const DELETION: i64 = 0;

/// When an object of a kind is written: groups refer to all others, so they come last.
pub(super) const fn turn(kind: TenantKind) -> i64 {
    match kind {
        TenantKind::User => 1,
        TenantKind::Contact => 2,
        TenantKind::Device => 3,
        TenantKind::Group => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Code + std::fmt::Debug>(all: &[T]) {
        for kind in all {
            assert_eq!(T::of_code(kind.code()).unwrap(), *kind);
        }
        let mut codes: Vec<_> = T::CODES.iter().map(|(_, code)| *code).collect();
        codes.dedup();
        assert_eq!(codes.len(), all.len());
        assert!(T::of_code(-1).is_err() && T::of_code(99).is_err());
    }

    #[test]
    fn every_kind_has_a_number_of_its_own() {
        check(&ObjectKind::ALL);
        check(&TenantKind::ALL);
        check(&[MetaverseKind::Person, MetaverseKind::Group, MetaverseKind::Device]);
        check(&[LinkKind::Provisioned, LinkKind::Joined, LinkKind::StickyJoined]);
    }
}
