//! `portolan chart check`: each row of a role asked in its own protocol.
//!
//! The process ends with 0 when every row is open, with 1 when one is closed or faulty, and with 2 when
//! one could not be judged or something in the question was not right.

mod live;

use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::path::PathBuf;

use portolan_probe::{Report, Standing};

use super::deployment;
use super::report::{Copy, Format, render, text, words};
use crate::report::Failure;

/// What `portolan chart check` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    deployment: deployment::Arguments,
    /// How to write what was found.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The same as --format json.
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// The file to write it to, in place of standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Another report beside it: text, json, junit, sarif or html. May be given often.
    #[arg(long, value_name = "FORMAT=FILE")]
    report: Vec<Copy>,
}

/// Checks, and writes what was found.
///
/// # Errors
/// A [`Failure`] when something is not open, or cannot be asked.
pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let format = if args.json { Format::Json } else { args.format };
    let check = deployment::plan(args.deployment)?.check();
    let to_terminal = args.output.is_none() && format == Format::Text;
    let report = match to_terminal && std::io::stdout().is_terminal() {
        true => {
            let report = live::run(check).await;
            print(&text::end(&report))?;
            report
        }
        false => {
            let report = check.run(None).await;
            match args.output {
                Some(path) => Copy::new(format, path).write(&report)?,
                None if format == Format::Text => print(&text::lines(&report))?,
                None => print(&render(&report, format)?)?,
            }
            report
        }
    };
    for copy in &args.report {
        copy.write(&report)?;
    }
    judge(&report)
}

/// Success when every row is open.
fn judge(report: &Report) -> Result<(), Failure> {
    let Some(summary) = words::summary(report) else { return Ok(()) };
    let failure = Failure::new(summary);
    let some = |standing| report.standing(standing).next().is_some();
    Err(match some(Standing::Closed) {
        true => failure.with_hint("the lines of each closed row say what breaks and what to do"),
        false => {
            failure.with_hint("name the hosts by --host, or leave rows out by --without").unjudged()
        }
    })
}

fn print(text: &str) -> Result<(), Failure> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        // A reader such as `head` has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::because("cannot write to standard output", &error).unjudged()),
        Ok(()) => Ok(()),
    }
}
