//! The states of an account: one table of what each means for a sign-in, a session and a token.
//!
//! Where several states hold, the first one counts. A state is looked at when a person signs in, and
//! again whenever a session, a refresh token or an access token of theirs is used.
//!
//! | state | by | what the person is told |
//! |---|---|---|
//! | deleted | the object's deletion, which erased the password | as for an unknown name |
//! | disabled | `accountEnabled` | 50057 |
//! | expired | `onPremisesAccountExpiresDateTime` (`accountExpires`) | 50057 |
//! | locked in the forest | `onPremisesLockedOut` | 50053 |
//! | smart card required | `onPremisesSmartCardRequired` | 50012 |
//! | no password | no credential was synchronised, or it was erased | as for a wrong password |
//! | password to be changed | `onPremisesPasswordChangeRequired` (`pwdLastSet` 0) | 50055 |
//! | password expired | `onPremisesPasswordExpiresDateTime`, or [`Policy`] | 50055 |
//! | enabled | none of these | – |
//!
//! A restored user has the old object id and is in the state *no password* until the sync server
//! sends one again.
//!
//! **Locked in the forest.** `portolan connect` does not set `onPremisesLockedOut`, as Entra Connect
//! does not: `lockoutTime` stays set when the lock has ended, until the next logon in the forest, so
//! that who works in the cloud alone would stay locked for ever; and whoever can reach the forest
//! could lock people out of the cloud. The tenant counts wrong passwords by itself
//! ([`crate::throttle`]). A sync server that knows better may set it.
//!
//! **Expired passwords.** As in Entra ID, a synchronised password does not expire in the tenant unless
//! it is told so, by the sync server for one user or by [`Policy`] for all. A user whose password
//! never expires in the forest is exempt from the policy (`passwordPolicies`).

use time::{Duration, OffsetDateTime};

use crate::Rule;
use crate::directory::Object;
use crate::storage::{StorageError, Transaction};

/// The word in `passwordPolicies` that exempts a user from [`Policy::password_age_max`].
const NEVER_EXPIRES: &str = "DisablePasswordExpiration";

/// What the tenant asks of accounts beyond what the forest says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Policy {
    /// How old a password may be, counted from when it was set in the forest; `None` for any age.
    pub password_age_max: Option<Duration>,
}

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
    /// The state of a user whose password was set then; `None` when there is no password.
    #[must_use]
    pub fn of(
        user: &Object,
        password_set_at: Option<OffsetDateTime>,
        policy: Policy,
        now: OffsetDateTime,
    ) -> Self {
        let attributes = &user.attributes;
        let is = |name| attributes.flag(name).unwrap_or(false);
        let passed = |name| attributes.time(name).is_some_and(|at| at <= now);
        let too_old = || match (password_set_at, policy.password_age_max) {
            (Some(set_at), Some(age_max)) => now - set_at >= age_max && !never_expires(user),
            _ => false,
        };
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
        } else if password_set_at.is_none() {
            Self::NoCredential
        } else if is("onPremisesPasswordChangeRequired") {
            Self::PasswordChangeRequired
        } else if passed("onPremisesPasswordExpiresDateTime") || too_old() {
            Self::PasswordExpired
        } else {
            Self::Enabled
        }
    }

    /// The state of a user as the store has it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn now<T: Transaction>(
        tx: &mut T,
        user: &Object,
        policy: Policy,
        now: OffsetDateTime,
    ) -> Result<Self, StorageError> {
        let password_set_at = tx.password_set_at(user.id).await?;
        Ok(Self::of(user, password_set_at, policy, now))
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

fn never_expires(user: &Object) -> bool {
    let words = user.attributes.text("passwordPolicies").unwrap_or_default();
    words.split(',').any(|word| word.trim() == NEVER_EXPIRES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::tests::{now, user};
    use crate::directory::{Object, Value};

    fn check(change: impl Fn(&mut Object), has_credential: bool, expected: Option<Rule>) {
        let mut user = user("alice@corp.example");
        change(&mut user);
        let set_at = has_credential.then(now);
        let found = AccountState::of(&user, set_at, Policy::default(), now());
        assert_eq!(found.refusal(), expected);
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
    fn a_password_expires_by_age_only_where_the_tenant_says_so() {
        let check = |policies: Option<&str>, days: Option<i64>, expected: Option<Rule>| {
            let mut user = user("alice@corp.example");
            if let Some(policies) = policies {
                user.attributes.set("passwordPolicies", Value::Text(policies.to_owned())).unwrap();
            }
            let policy = Policy { password_age_max: days.map(Duration::days) };
            let set_at = Some(now() - Duration::days(42));
            assert_eq!(AccountState::of(&user, set_at, policy, now()).refusal(), expected);
        };
        check(None, None, None);
        check(None, Some(43), None);
        check(None, Some(42), Some(Rule::PasswordExpired));
        check(Some("DisableStrongPassword"), Some(42), Some(Rule::PasswordExpired));
        check(Some("DisableStrongPassword, DisablePasswordExpiration"), Some(42), None);
    }

    #[test]
    fn of_several_states_the_first_counts() {
        let everything = |user: &mut Object| {
            for name in ["onPremisesLockedOut", "onPremisesSmartCardRequired"] {
                user.attributes.set(name, Value::Flag(true)).unwrap();
            }
            user.attributes.set("accountEnabled", Value::Flag(false)).unwrap();
        };
        check(everything, false, Some(Rule::Disabled));
    }

    #[test]
    fn a_deleted_account_is_an_unknown_one() {
        check(|user| user.deleted_at = Some(now()), true, Some(Rule::UnknownUser));
    }
}
