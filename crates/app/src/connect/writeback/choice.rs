//! Whether a writeback is shown or made, how many deletions it may make, and whether this server may make any.

use std::error::Error;
use std::path::Path;

use crate::connect::cycle::Server;
use crate::connect::gate::Closed;
use crate::report::Failure;

/// Whether it is shown or made: each command has one of the two.
#[derive(Debug, clap::Args)]
pub(super) struct Choice {
    /// Show what would be written
    #[arg(long, required_unless_present = "apply", conflicts_with = "apply")]
    plan: bool,
    /// Write it
    #[arg(long)]
    apply: bool,
}

/// How many deletions go through.
#[derive(Debug, clap::Args)]
pub(super) struct Deletions {
    /// Let this many objects be deleted, where it is more than goes without a word
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    allow_deletions: usize,
}

/// The right to write to the forest: this server is not in staging mode, and is the one of its group that
/// writes. It ends when the configuration or the lease says so, and is asked before each change.
pub(super) struct Permit {
    server: Server,
}

impl Choice {
    /// The right to write, if something is to be written; nothing when it is shown.
    ///
    /// # Errors
    /// Why this server may write nothing, and what to do.
    pub(super) async fn permit(&self, directory: &Path) -> Result<Option<Permit>, Failure> {
        if !self.apply {
            return Ok(None);
        }
        let mut server = Server::open(directory).await?;
        match server.may_write_back().await? {
            None => Ok(Some(Permit { server })),
            Some(closed) => Err(refusal(&closed)),
        }
    }
}

impl Deletions {
    /// Whether a plan's deletions go through.
    ///
    /// # Errors
    /// When there are more of them: nothing is written.
    pub(super) fn check<E: Error + 'static>(
        &self,
        plan: impl FnOnce(usize) -> Result<(), E>,
    ) -> Result<(), Failure> {
        plan(self.allow_deletions).map_err(|error| {
            Failure::because("nothing is written", &error)
                .with_hint("look at the plan, and let them through with --allow-deletions")
        })
    }
}

impl Permit {
    /// Whether it still holds.
    ///
    /// # Errors
    /// Why not: nothing more is written.
    pub(super) async fn check(&self) -> Result<(), Failure> {
        match self.server.closed().await? {
            None => Ok(()),
            Some(closed) => Err(refusal(&closed)),
        }
    }

    /// Gives it back, and with it the lease if this process took it.
    pub(super) async fn end(mut self) {
        self.server.give_lease_back().await;
    }
}

fn refusal(closed: &Closed) -> Failure {
    let (why, hint) = match closed {
        Closed::Staging => (
            "this server is in staging mode".to_owned(),
            "`--plan` shows what would be written; `portolan connect staging off` ends that mode",
        ),
        Closed::Behind { .. } => (
            closed.line(),
            "let it read first: `portolan connect import`, or whatever `portolan connect status` says of it",
        ),
        Closed::Warm { why } => (
            why.clone(),
            "`--plan` shows what would be written; use --apply on the server that `portolan connect \
             status` calls active",
        ),
    };
    Failure::new(format!("nothing is written to the forest: {why}")).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Told {
        #[command(flatten)]
        choice: Choice,
        #[command(flatten)]
        deletions: Deletions,
    }

    #[test]
    fn a_writeback_is_shown_or_made_and_never_both_or_neither() {
        for (words, expected) in [
            (&["--plan"][..], Some(false)),
            (&["--apply"], Some(true)),
            (&["--apply", "--allow-deletions", "3"], Some(true)),
            (&[], None),
            (&["--plan", "--apply"], None),
            (&["--allow-deletions", "3"], None),
        ] {
            let told = Told::try_parse_from(["told"].iter().chain(words)).ok();
            assert_eq!(told.map(|told| told.choice.apply), expected, "{words:?}");
        }
    }

    #[test]
    fn deletions_go_through_as_many_as_are_let() {
        let told = Told::try_parse_from(["told", "--plan", "--allow-deletions", "3"]).unwrap();
        let check = |deleted: usize| {
            let many = std::io::Error::other("many");
            told.deletions.check(|allowed| if deleted > allowed { Err(many) } else { Ok(()) })
        };
        assert!(check(3).is_ok());
        assert!(check(4).unwrap_err().text().contains("nothing is written"));
    }

    #[test]
    fn who_may_not_write_is_told_what_to_do() {
        let staging = refusal(&Closed::Staging);
        assert!(staging.text().contains("staging mode"));
        assert!(staging.hint().unwrap().contains("staging off"));
        let warm = refusal(&Closed::Warm { why: "another server writes".to_owned() });
        assert!(warm.text().contains("another server writes"));
        assert!(warm.hint().unwrap().contains("active"));
    }
}
