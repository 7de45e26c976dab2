//! Runs in which people have objects in both forests: the rules that join them, and whether who is joined stays so.

use std::path::Path;

use portolan_app::report::Failure;

use super::{Judged, World};
use crate::check::{Law, Violation};
use crate::fault::Bug;
use crate::people::joins;

/// The rules by which people are joined.
const RULES: &str = include_str!("../rules.toml");
/// Where an administrator's rules are in a state directory.
const PLACE: &str = "rules";

/// Whom the rules join.
#[derive(Debug, Clone, Copy)]
pub(super) enum Joining {
    /// Those who are one person.
    People,
    /// The bug of rules that join others.
    Strangers,
    /// The bug of rules that join nobody.
    Nobody,
}

impl Joining {
    /// How many there are.
    pub(super) const COUNT: usize = 3;

    /// What is joined in a run with a bug, or without.
    pub(super) const fn with(bug: Option<Bug>) -> Self {
        match bug {
            Some(Bug::JoinsStrangers) => Self::Strangers,
            Some(Bug::JoinsNobody) => Self::Nobody,
            _ => Self::People,
        }
    }

    /// Writes the rules into a state directory.
    pub(super) fn put(self, directory: &Path) -> Result<(), Failure> {
        let join =
            |attribute: &str| format!("{{ source = \"{attribute}\", target = \"{attribute}\" }}");
        let (mail, employee) = (join("mail"), join("employeeID"));
        let rules = match self {
            Self::People => RULES.to_owned(),
            Self::Strangers => {
                let everybody = join("sAMAccountType");
                let rules = RULES.replace(&employee, &everybody);
                let flows = "flows = [";
                rules.replacen(flows, &format!("{flows}{everybody}, "), 1)
            }
            Self::Nobody => {
                let nothing = join("extensionAttribute1");
                RULES.replace(&mail, &nothing).replace(&employee, &nothing)
            }
        };
        let place = directory.join(PLACE);
        let made = std::fs::create_dir_all(&place);
        let written = made.and_then(|()| std::fs::write(place.join("joins.toml"), rules));
        written.map_err(|error| Failure::because("cannot write the rules of a run", &error))
    }
}

impl World<'_> {
    /// Everybody gets an address of their own: whoever was joined stays one person.
    pub(super) async fn part(&mut self) -> Judged {
        let before = joins(&self.tenant.lock().await.shown().await?);
        self.each_forest(|forest| {
            forest.part();
            forest.replicate_all();
        });
        self.say("everybody gets a mail address of their own");
        if self.bug == Some(Bug::ForgetsJoins) {
            self.lose_state().await?;
        }
        if let Err(violation) = self.rest().await? {
            return Ok(Err(violation));
        }
        let after = joins(&self.tenant.lock().await.shown().await?);
        if let Some(parted) = before.difference(&after).next() {
            let how = format!("{parted} are one person no more");
            return Ok(Err(Violation::of(Law::JoinsStay, how)));
        }
        self.judge_at_rest().await
    }
}
