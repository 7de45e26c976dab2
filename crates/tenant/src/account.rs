//! The states of an account: one table of what each means for a sign-in.

use time::OffsetDateTime;

use crate::Rule;
use crate::directory::Object;

/// The state of an account at a moment. Where several hold, the first in this order counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountState {
    /// It was deleted; nobody is told that it was ever there.
    Deleted,
    /// It is switched off.
    Disabled,
    /// Its time is over (`accountExpires` in the forest).
    Expired,
    /// It is locked in the forest.
    LockedInForest,
    /// It signs in with a smart card only.
    SmartCardRequired,
    /// No password was synchronised.
    NoCredential,
    /// The password is to be changed first (`pwdLastSet` is 0 in the forest).
    PasswordChangeRequired,
    /// The password is too old.
    PasswordExpired,
    /// It may sign in.
    Enabled,
}

impl AccountState {
    /// The state of a user.
    #[must_use]
    pub fn of(user: &Object, has_credential: bool, now: OffsetDateTime) -> Self {
        let attributes = &user.attributes;
        let is = |name| attributes.flag(name).unwrap_or(false);
        let passed = |name| attributes.time(name).is_some_and(|at| at <= now);
        if user.deleted_at.is_some() {
            Self::Deleted
        } else if !is("accountEnabled") {
            Self::Disabled
        } else if passed("onPremisesAccountExpiresDateTime") {
            Self::Expired
        } else if is("onPremisesLockedOut") {
            Self::LockedInForest
        } else if is("onPremisesSmartCardRequired") {
            Self::SmartCardRequired
        } else if !has_credential {
            Self::NoCredential
        } else if is("onPremisesPasswordChangeRequired") {
            Self::PasswordChangeRequired
        } else if passed("onPremisesPasswordExpiresDateTime") {
            Self::PasswordExpired
        } else {
            Self::Enabled
        }
    }

    /// Why this state signs nobody in; `None` when it does.
    #[must_use]
    pub const fn refusal(self) -> Option<Rule> {
        match self {
            Self::Deleted => Some(Rule::UnknownUser),
            Self::Disabled => Some(Rule::Disabled),
            Self::Expired => Some(Rule::AccountExpired),
            Self::LockedInForest => Some(Rule::LockedInForest),
            Self::SmartCardRequired => Some(Rule::SmartCardRequired),
            Self::NoCredential => Some(Rule::NoCredential),
            Self::PasswordChangeRequired => Some(Rule::PasswordChangeRequired),
            Self::PasswordExpired => Some(Rule::PasswordExpired),
            Self::Enabled => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;
    use crate::directory::tests::{now, user};
    use crate::directory::{Object, Value};

    fn check(change: impl Fn(&mut Object), has_credential: bool, expected: Option<Rule>) {
        let mut user = user("alice@corp.example");
        change(&mut user);
        assert_eq!(AccountState::of(&user, has_credential, now()).refusal(), expected);
    }

    fn set(name: &str, value: Value) -> impl Fn(&mut Object) {
        move |user| user.attributes.set(name, value.clone()).unwrap()
    }

    #[test]
    fn an_enabled_account_with_a_password_signs_in() {
        check(|_| (), true, None);
    }

    #[test]
    fn a_disabled_account_does_not_sign_in() {
        check(set("accountEnabled", Value::Flag(false)), true, Some(Rule::Disabled));
    }

    #[test]
    fn an_account_expires_at_its_time() {
        let name = "onPremisesAccountExpiresDateTime";
        check(set(name, Value::Time(now())), true, Some(Rule::AccountExpired));
        check(set(name, Value::Time(now() + Duration::SECOND)), true, None);
    }

    #[test]
    fn an_account_that_is_locked_in_the_forest_does_not_sign_in() {
        check(set("onPremisesLockedOut", Value::Flag(true)), true, Some(Rule::LockedInForest));
    }

    #[test]
    fn an_account_that_needs_a_smart_card_does_not_sign_in_by_password() {
        let flag = Value::Flag(true);
        check(set("onPremisesSmartCardRequired", flag), true, Some(Rule::SmartCardRequired));
    }

    #[test]
    fn an_account_without_a_password_does_not_sign_in() {
        check(|_| (), false, Some(Rule::NoCredential));
    }

    #[test]
    fn a_password_that_must_be_changed_does_not_sign_in() {
        let flag = Value::Flag(true);
        check(
            set("onPremisesPasswordChangeRequired", flag),
            true,
            Some(Rule::PasswordChangeRequired),
        );
    }

    #[test]
    fn a_password_expires_at_its_time() {
        let name = "onPremisesPasswordExpiresDateTime";
        check(set(name, Value::Time(now())), true, Some(Rule::PasswordExpired));
        check(set(name, Value::Time(now() + Duration::SECOND)), true, None);
    }

    #[test]
    fn a_deleted_account_is_an_unknown_one() {
        check(|user| user.deleted_at = Some(now()), true, Some(Rule::UnknownUser));
    }
}
