//! Changes carried out in the forest, one after the other, each written down before it is sent.

use std::path::{Path, PathBuf};

use portolan_ldap::ResultCode;
use portolan_model::DnsName;
use portolan_net::clock;

use super::change::{Change, Held, Verdict};
use super::journal::Journal;
use super::{journal, sheet};
use crate::connect::forest_config::ForestConfig;
use crate::connect::grant;
use crate::connect::import::directory::SearchError;
use crate::connect::writer::{Writer, WriterArguments};
use crate::connect::writing::{Changed as _, Connecting, Writing};
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
    /// The object and the attribute that may not be written, the first time that one might not.
    lacking: Option<(String, &'static str)>,
    /// Which right that is.
    right: Option<Failure>,
}

/// Carries changes out, or shows them.
struct Mender {
    writer: Writer,
    changes: bool,
}

/// An object that a change is of, in the domain that has it.
struct Found {
    domain: DnsName,
    held: Held,
}

impl Mender {
    fn open(how: How) -> Result<Self, Failure> {
        Ok(Self { writer: Writer::open(how.writer)?, changes: how.yes && !how.dry_run })
    }

    async fn carry_out(&self, changes: &[Change], undo_file: Option<&Path>) -> Result<(), Failure> {
        let ForestConfig { domain, domains, .. } = &self.writer.forest;
        let mut writing = Writing::begin(&self.writer, domain, domains).await?;
        let journal = match undo_file.filter(|_| self.changes) {
            Some(path) => {
                let journal = Journal::create(path, domain)?;
                println!("what is changed is written down in {}", path.display());
                Some(journal)
            }
            None => None,
        };
        let mut outcome = all(&mut writing, changes, self.changes, journal).await?;
        if let Some((dn, attribute)) = outcome.lacking.take() {
            let (directory, account) = (writing.in_domain(domain).await?, &self.writer.account);
            let missing = grant::missing(directory, domain, account, &dn, attribute).await?;
            outcome.right = Some(missing);
        }
        for directory in writing.end() {
            // What was answered is done: how the controller takes the goodbye changes nothing.
            let _ = directory.close().await;
        }
        self.tell(outcome)
    }

    fn tell(&self, outcome: Outcome) -> Result<(), Failure> {
        let Outcome { made, made_before, left, right, .. } = outcome;
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

/// Looks at what each change is of, and makes it if it may be and is to be.
async fn all<C: Connecting>(
    writing: &mut Writing<'_, C>,
    changes: &[Change],
    are_made: bool,
    mut journal: Option<Journal>,
) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::default();
    for change in changes {
        let found = match find(writing, change).await? {
            Ok(found) => found,
            Err(why) => {
                outcome.left += 1;
                say(change, &change.dn, "left", &why);
                continue;
            }
        };
        match change.judge(&found.held.values) {
            Verdict::Made => {
                outcome.made_before += 1;
                say(change, &found.held.dn, "is so", "it was changed before");
            }
            Verdict::Left(why) => {
                outcome.left += 1;
                say(change, &found.held.dn, "left", why);
            }
            Verdict::Make if !are_made => {
                outcome.made += 1;
                say(change, &found.held.dn, "would", &change.describe());
            }
            Verdict::Make => {
                if let Some(journal) = &mut journal {
                    journal.begin(change)?;
                }
                let made = make(writing, change, &found, &mut outcome).await?;
                if let Some(journal) = &mut journal {
                    journal.end(change, made)?;
                }
            }
        }
    }
    Ok(outcome)
}

/// The object that a change is of, in the domain of its name or else in another one that is read; why it is in
/// none, in the words of the first that was asked.
async fn find<C: Connecting>(
    writing: &mut Writing<'_, C>,
    change: &Change,
) -> Result<Result<Found, String>, Failure> {
    let mut why = None;
    for domain in writing.of(&change.dn) {
        let directory = writing.in_domain(&domain).await?;
        let said = match change.held(directory).await {
            Ok(Some(held)) => return Ok(Ok(Found { domain, held })),
            Ok(None) => "it is not seen in the forest".to_owned(),
            Err(SearchError::Refused(_, failure)) => failure.text().to_owned(),
            Err(SearchError::Failed(failure)) => return Err(failure),
        };
        why.get_or_insert(said);
    }
    Ok(Err(why.unwrap_or_default()))
}

/// Asks the directory for a change; says whether it made it.
async fn make<C: Connecting>(
    writing: &mut Writing<'_, C>,
    change: &Change,
    Found { domain, held }: &Found,
    outcome: &mut Outcome,
) -> Result<bool, Failure> {
    let directory = writing.in_domain(domain).await?;
    let (code, failure) = match directory.modify(change.request()).await {
        Ok(()) => {
            outcome.made += 1;
            say(change, &held.dn, "done", &change.describe());
            return Ok(true);
        }
        Err(SearchError::Refused(code, failure)) => (code, failure),
        // Nobody knows whether it was made: the undo file has it, and undoing looks.
        Err(SearchError::Failed(failure)) => return Err(failure),
    };
    outcome.left += 1;
    let lacking = code == ResultCode::InsufficientAccessRights;
    let said = failure.hint().map_or(failure.text().to_owned(), |hint| {
        if lacking { failure.text().to_owned() } else { format!("{}; {hint}", failure.text()) }
    });
    say(change, &held.dn, "left", &said);
    if lacking && outcome.lacking.is_none() {
        outcome.lacking = Some((held.dn.clone(), change.attribute.name()));
    }
    Ok(false)
}

fn say(change: &Change, dn: &str, done: &str, what: &str) {
    println!("row {:<6} {done:<6} {}: {}", change.row, plain(dn), plain(what));
}

#[cfg(test)]
mod tests {
    use portolan_sync::lint::Attribute;

    use super::*;
    use crate::connect::writing::tests::{Forest, domains, guid};

    /// Nothing here was held against a real forest of several domains: Samba has no child domains.
    #[tokio::test]
    async fn each_change_is_made_in_the_domain_that_holds_its_object() {
        let mail = |text: &str| vec![("mail", vec![text.as_bytes().to_vec()])];
        let forest = Forest {
            objects: vec![
                ("corp.example", 1, "CN=a,DC=corp,DC=example", mail("a x")),
                ("child.corp.example", 2, "CN=b,DC=child,DC=corp,DC=example", mail("b x")),
                // It moved since the sheet was written.
                ("child.corp.example", 3, "CN=c,DC=child,DC=corp,DC=example", mail("c x")),
                // Nobody reads its domain.
                ("tree.example", 4, "CN=d,DC=tree,DC=example", mail("d x")),
            ],
            ..Forest::default()
        };
        let read = domains(&["corp.example", "child.corp.example"]);
        let mut writing = Writing::begin(&forest, &read[0], &read).await.unwrap();
        let change = |number: u8, dn: &str, letter: &str| Change {
            row: number.into(),
            dn: dn.to_owned(),
            guid: guid(number),
            attribute: Attribute::Mail,
            delete: Some(format!("{letter} x")),
            add: Some(format!("{letter}@corp.example")),
        };
        let changes = [
            change(1, "CN=a,DC=corp,DC=example", "a"),
            change(2, "CN=b,DC=child,DC=corp,DC=example", "b"),
            change(3, "CN=c,DC=corp,DC=example", "c"),
            change(4, "CN=d,DC=tree,DC=example", "d"),
        ];
        let shown = all(&mut writing, &changes, false, None).await.unwrap();
        assert_eq!((shown.made, shown.left, forest.changed.borrow().len()), (3, 1, 0));
        let outcome = all(&mut writing, &changes, true, None).await.unwrap();
        assert_eq!((outcome.made, outcome.made_before, outcome.left), (3, 0, 1));
        let changed: Vec<_> = forest
            .changed
            .borrow()
            .iter()
            .map(|(domain, request)| (domain.clone(), request.object.clone()))
            .collect();
        let expected = [("corp.example", 1), ("child.corp.example", 2), ("child.corp.example", 3)];
        let expected = expected
            .map(|(domain, number)| (domain.to_owned(), format!("<GUID={}>", guid(number))));
        assert_eq!(changed, expected);
    }
}
