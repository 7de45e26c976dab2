//! Changes carried out in the forest, one after the other, each written down before it is sent.

use std::path::{Path, PathBuf};

use portolan_ldap::ResultCode;
use portolan_net::clock;
use portolan_net::ldap::{LdapConnection, LdapError};

use super::change::{Change, Held, Verdict};
use super::journal::Journal;
use super::{journal, sheet};
use crate::connect::grant;
use crate::connect::steps::Steps;
use crate::connect::writer::{Writer, WriterArguments};
use crate::report::Failure;
use crate::terminal::plain;

/// What `connect lint apply` is told.
#[derive(Debug, clap::Args)]
pub(super) struct Apply {
    /// The sheet that `connect lint --csv` wrote, with `replace` or `remove` in the column action
    #[arg(value_name = "FILE.csv")]
    sheet: PathBuf,
    #[command(flatten)]
    how: How,
    /// Where what was changed is written down; it must not be there yet
    #[arg(long, value_name = "FILE")]
    undo_file: Option<PathBuf>,
}

/// What `connect lint undo` is told.
#[derive(Debug, clap::Args)]
pub(super) struct Undo {
    /// The undo file that `connect lint apply` named
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    how: How,
}

/// As whom changes are made, and whether they are.
#[derive(Debug, clap::Args)]
struct How {
    #[command(flatten)]
    writer: WriterArguments,
    /// Change the forest; without it, only show what would be changed
    #[arg(long)]
    yes: bool,
    /// Only show what would be changed
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
}

/// Runs `connect lint apply`.
pub(super) async fn apply(apply: Apply) -> Result<(), Failure> {
    let changes = sheet::read(&apply.sheet)?;
    if changes.is_empty() {
        println!("no row of {} has an action: nothing to change", apply.sheet.display());
        return Ok(());
    }
    let mender = Mender::open(apply.how)?;
    let undo_file = apply.undo_file.unwrap_or_else(|| beside(&apply.sheet));
    mender.carry_out(&changes, Some(&undo_file)).await
}

/// Runs `connect lint undo`.
pub(super) async fn undo(undo: Undo) -> Result<(), Failure> {
    let mender = Mender::open(undo.how)?;
    let changes = journal::read(&undo.file, &mender.writer.forest.domain)?;
    mender.carry_out(&changes, None).await
}

/// A name beside the sheet that no earlier run took.
fn beside(sheet: &Path) -> PathBuf {
    let now = clock::now();
    let mut name = sheet.as_os_str().to_owned();
    name.push(format!(
        ".undo-{:04}{:02}{:02}T{:02}{:02}{:02}Z",
        now.year(),
        u8::from(now.month()),
        now.day(),
        now.hour(),
        now.minute(),
        now.second()
    ));
    PathBuf::from(name)
}

/// What came of the rows.
#[derive(Debug, Default)]
struct Outcome {
    made: usize,
    made_before: usize,
    left: usize,
    /// Which right is missing, the first time that one was.
    right: Option<Failure>,
}

/// Carries changes out, or shows them.
struct Mender {
    writer: Writer,
    changes: bool,
}

impl Mender {
    fn open(how: How) -> Result<Self, Failure> {
        Ok(Self { writer: Writer::open(how.writer)?, changes: how.yes && !how.dry_run })
    }

    async fn carry_out(&self, changes: &[Change], undo_file: Option<&Path>) -> Result<(), Failure> {
        let domain = &self.writer.forest.domain;
        let mut directory = self.writer.connect(&Steps::begin()).await?;
        let journal = match undo_file.filter(|_| self.changes) {
            Some(path) => {
                let journal = Journal::create(path, domain)?;
                println!("what is changed is written down in {}", path.display());
                Some(journal)
            }
            None => None,
        };
        let outcome = self.all(&mut directory, changes, journal).await?;
        // What was answered is done: how the controller takes the goodbye changes nothing.
        let _ = directory.close().await;
        self.tell(outcome)
    }

    async fn all(
        &self,
        directory: &mut LdapConnection,
        changes: &[Change],
        mut journal: Option<Journal>,
    ) -> Result<Outcome, Failure> {
        let mut outcome = Outcome::default();
        for change in changes {
            let held = match change.held(directory).await {
                Ok(held) => held,
                Err(error @ LdapError::Refused { .. }) => {
                    outcome.left += 1;
                    say(change, &change.dn, "left", Failure::from(error).text());
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            match change.judge(&held.values) {
                Verdict::Made => {
                    outcome.made_before += 1;
                    say(change, &held.dn, "is so", "it was changed before");
                }
                Verdict::Left(why) => {
                    outcome.left += 1;
                    say(change, &held.dn, "left", why);
                }
                Verdict::Make if !self.changes => {
                    outcome.made += 1;
                    say(change, &held.dn, "would", &change.describe());
                }
                Verdict::Make => {
                    if let Some(journal) = &mut journal {
                        journal.begin(change)?;
                    }
                    let made = self.make(directory, change, &held, &mut outcome).await?;
                    if let Some(journal) = &mut journal {
                        journal.end(change, made)?;
                    }
                }
            }
        }
        Ok(outcome)
    }

    /// Asks the directory for a change; says whether it made it.
    async fn make(
        &self,
        directory: &mut LdapConnection,
        change: &Change,
        held: &Held,
        outcome: &mut Outcome,
    ) -> Result<bool, Failure> {
        let refusal = match directory.modify(change.request(), Vec::new()).await {
            Ok(()) => {
                outcome.made += 1;
                say(change, &held.dn, "done", &change.describe());
                return Ok(true);
            }
            Err(LdapError::Refused { refusal, .. }) => refusal,
            // Nobody knows whether it was made: the undo file has it, and undoing looks.
            Err(error) => return Err(error.into()),
        };
        outcome.left += 1;
        let lacking = refusal.0.code == ResultCode::InsufficientAccessRights;
        let failure = Failure::from(*refusal);
        let said = failure.hint().map_or(failure.text().to_owned(), |hint| {
            if lacking { failure.text().to_owned() } else { format!("{}; {hint}", failure.text()) }
        });
        say(change, &held.dn, "left", &said);
        if lacking && outcome.right.is_none() {
            let (domain, account) = (&self.writer.forest.domain, &self.writer.account);
            let attribute = change.attribute.name();
            let missing = grant::missing(directory, domain, account, &held.dn, attribute).await?;
            outcome.right = Some(missing);
        }
        Ok(false)
    }

    fn tell(&self, outcome: Outcome) -> Result<(), Failure> {
        let Outcome { made, made_before, left, right } = outcome;
        let verb = if self.changes { "changed" } else { "to change" };
        println!("{made} {verb}, {made_before} were so before, {left} left as they are");
        if !self.changes && made > 0 {
            println!("nothing was changed: run it again with --yes");
        }
        match (right, left) {
            (Some(right), _) => Err(right),
            (None, 0) => Ok(()),
            (None, left) => Err(Failure::new(format!("{left} changes were not made"))
                .with_hint("what stands above says why; run `portolan connect lint` again")),
        }
    }
}

fn say(change: &Change, dn: &str, done: &str, what: &str) {
    println!("row {:<6} {done:<6} {}: {}", change.row, plain(dn), plain(what));
}
