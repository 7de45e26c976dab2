//! The subcommand `portolan chart`: the ports page on the terminal.

mod check;
mod csv;
mod deployment;
mod diagram;
mod diff;
mod edition;
mod endpoints;
mod explain;
mod firewall;
mod impact;
mod json;
mod list;
mod report;
mod respond;
mod show;
mod table;
mod watch;

use std::io::{ErrorKind, Write as _};

use portolan_chart::Chart;

use crate::report::Failure;

/// What `portolan chart` can do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show the rows of an edition, and those that the page leaves out.
    List(list::Args),
    /// Show the known editions.
    Editions(Output),
    /// Show all that is known of a row: what runs, who opens it, and what fails without it.
    Show(show::Args),
    /// Show what became of the rows from one edition to another.
    Diff(diff::Args),
    /// Show every row of every edition that uses a port.
    Explain(explain::Args),
    /// Show the vendor's own hosts that a role reaches.
    Endpoints(endpoints::Args),
    /// Show which functions need each row, as the lab observed it.
    Impact(impact::Args),
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
        Command::List(args) => list::render(args),
        Command::Show(args) => show::render(args),
        Command::Diff(args) => diff::render(args),
        Command::Explain(args) => explain::render(args),
        Command::Endpoints(args) => endpoints::render(args),
        Command::Impact(args) => impact::render(args),
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
    fn rows_are_listed_by_table_direction_and_protocol() {
        insta::assert_snapshot!(printed("list --table 6a --format csv"));
        insta::assert_snapshot!(printed("list --role forest --direction out --format markdown"));
        insta::assert_snapshot!(printed("list --protocol kerberos"));
        assert_eq!(printed("list --protocol ldap/ssl"), printed("list --protocol ldaps"));
        assert_eq!(printed("list --json"), printed("list --format json"));
    }

    #[test]
    fn a_row_is_shown_with_all_that_is_known() {
        insta::assert_snapshot!(printed("show connect.ad.rpc --edition 2016-05-19"));
        insta::assert_snapshot!(printed("show errata/6"));
        insta::assert_snapshot!(printed("show table 6a 8080/443 --format json"));
        // The default edition has no such row; the newest one that has it is taken.
        assert!(printed("show connect.ad.gc").contains("of edition 2025-04-09"));
        assert_eq!(printed("show 1/4"), printed("show connect.ad.ldap"));
    }

    #[test]
    fn what_became_of_the_rows_is_shown() {
        insta::assert_snapshot!(printed("diff 2016-05-19 2017-02-15"));
        insta::assert_snapshot!(printed("diff 2017-02-15 2025-04-09"));
        insta::assert_snapshot!(printed("diff 2017-02-15 2017-08-02 --format markdown"));
        insta::assert_snapshot!(printed("diff 2020-03-04 2020-03-04-early --format json"));
        insta::assert_snapshot!(printed("diff 2023-01-19 2025-04-09"));
    }

    #[test]
    fn a_port_is_explained_from_all_editions() {
        insta::assert_snapshot!(printed("explain 88/udp"));
        insta::assert_snapshot!(printed("explain 9350"));
        insta::assert_snapshot!(printed("explain 50123/tcp"));
        insta::assert_snapshot!(printed("explain 1501"));
        insta::assert_snapshot!(printed("explain 10105/tcp --json"));
    }

    #[test]
    fn hosts_are_shown_for_a_role_and_a_tenant() {
        let id = "12345678-9abc-def0-1122-334455667788";
        insta::assert_snapshot!(printed(&format!("endpoints --role agent --tenant-id {id}")));
        insta::assert_snapshot!(printed(
            "endpoints --role agent --edition 2025-04-09 --cloud us-government"
        ));
        assert!(printed("endpoints --role connect --json").contains("mscrl.microsoft.com"));
        assert!(printed("endpoints --role forest").contains("no list names a host"));
    }

    #[test]
    fn unknown_editions_roles_and_rows_are_answered_with_the_known_ones() {
        insta::assert_snapshot!(printed("list --edition 2018"));
        insta::assert_snapshot!(printed("list --role clout"));
        insta::assert_snapshot!(printed("list --table 8"));
        insta::assert_snapshot!(printed("list --protocol gopher"));
        insta::assert_snapshot!(printed("show connect.ad.ladp"));
        insta::assert_snapshot!(printed("show gopher"));
        insta::assert_snapshot!(printed("show connect.ad.gc --edition 2016-05-19"));
        insta::assert_snapshot!(printed("diff 2016-05-19 2018"));
        insta::assert_snapshot!(printed("explain 389/sctp"));
    }
}
