//! The subcommand `portolan chart`: the ports page on the terminal.

mod check;
mod deployment;
mod diagram;
mod firewall;
mod json;
mod report;
mod respond;
mod table;
mod watch;

use std::io::{ErrorKind, Write as _};

use portolan_chart::{Chart, Role, Row};

use crate::report::Failure;

/// What `portolan chart` can do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show the rows of an edition, and those that the page leaves out.
    List(List),
    /// Show the known editions.
    Editions(Output),
    /// Ask each row of a role in its own protocol, and say what is wrong.
    Check(check::Args),
    /// Check again and again, and export what is found to Prometheus.
    Watch(watch::Args),
    /// Draw an edition: who opens which connection to whom.
    Diagram(diagram::Args),
    /// Write the firewall rules of a role, or compare a firewall's listing with its rows.
    Firewall(firewall::Args),
    /// Stand in at the other end of a role's rows, before its servers exist.
    Respond(respond::Args),
}

/// What `portolan chart list` takes.
#[derive(Debug, clap::Args)]
pub struct List {
    /// The edition, by its date; without it, the one in force by default.
    #[arg(long, value_name = "DATE")]
    edition: Option<String>,
    /// Only the rows at either end of which this role stands.
    #[arg(long)]
    role: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// How a command prints.
#[derive(Debug, clap::Args)]
pub struct Output {
    /// How to print them.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The same as --format json.
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

impl Output {
    fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }
}

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// An aligned table for people.
    Text,
    /// One JSON document for programs.
    Json,
}

/// Runs a command to its end.
///
/// # Errors
/// A [`Failure`] to print.
pub async fn run(command: Command) -> Result<(), Failure> {
    let command = match command {
        Command::Check(args) => return check::run(args).await,
        Command::Watch(args) => return watch::run(args).await,
        Command::Firewall(args) => return firewall::run(&args),
        Command::Respond(args) => return respond::run(args).await,
        other => other,
    };
    let text = render(&command)?;
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        // A reader such as `head` has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::because("cannot write to standard output", &error)),
        Ok(()) => Ok(()),
    }
}

/// What a command prints.
fn render(command: &Command) -> Result<String, Failure> {
    match command {
        Command::Diagram(args) => diagram::render(args),
        Command::Check(_) | Command::Watch(_) | Command::Firewall(_) | Command::Respond(_) => {
            Err(Failure::new("what is run is not rendered"))
        }
        Command::Editions(output) => Ok(match output.format() {
            Format::Text => table::editions(Chart::editions()),
            Format::Json => json::editions(Chart::editions()),
        }),
        Command::List(list) => {
            let chart = match &list.edition {
                Some(id) => Chart::edition(id)?,
                None => Chart::default_edition(),
            };
            let role = list.role.as_deref().map(str::parse::<Role>).transpose()?;
            let rows: Vec<&Row> = match role {
                Some(role) => chart.rows_of(role).collect(),
                None => chart.all().collect(),
            };
            Ok(match list.output.format() {
                Format::Text => table::rows(&rows),
                Format::Json => json::rows(&chart.in_force().id, &rows),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct CommandLine {
        #[command(subcommand)]
        command: Command,
    }

    /// What `portolan chart ARGUMENTS` prints, on either stream.
    fn printed(arguments: &str) -> String {
        let words = std::iter::once("chart").chain(arguments.split_whitespace());
        render(&CommandLine::parse_from(words).command).unwrap_or_else(|failure| failure.render())
    }

    #[test]
    fn the_default_edition_lists_as_a_table() {
        insta::assert_snapshot!(printed("list"));
    }

    #[test]
    fn a_role_s_rows_are_listed_under_any_of_its_names() {
        insta::assert_snapshot!(printed("list --edition 2025-04-09 --role proxy"));
        assert_eq!(printed("list --role wap"), printed("list --role proxy"));
    }

    #[test]
    fn rows_print_as_json_with_all_that_is_known() {
        insta::assert_snapshot!(printed("list --edition 2016-05-19 --role forest --format json"));
    }

    #[test]
    fn editions_list_with_the_one_in_force_marked() {
        insta::assert_snapshot!(printed("editions"));
        insta::assert_snapshot!(printed("editions --format json"));
        assert_eq!(printed("editions --json"), printed("editions --format json"));
    }

    #[test]
    fn a_role_without_a_row_is_said_to_have_none() {
        assert_eq!(printed("list --role router"), "no row\n");
    }

    #[test]
    fn unknown_editions_and_roles_are_answered_with_the_known_ones() {
        insta::assert_snapshot!(printed("list --edition 2018"));
        insta::assert_snapshot!(printed("list --role clout"));
    }
}
