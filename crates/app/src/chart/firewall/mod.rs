//! `portolan chart firewall`: the rules of a host for its firewall, and a firewall's own listing beside
//! them.

mod json;
mod text;

use std::fs::File;
use std::io::{ErrorKind, Read, Write as _};

use portolan_chart::Role;
use portolan_chart::firewall::compare::{LISTING_OCTETS_MAX, Ruleset, State, compare, read};
use portolan_chart::firewall::{self, Policy, Prefix, Reach, Site};
use portolan_model::Hint as _;

use crate::report::Failure;
use crate::terminal::plain;

/// What `portolan chart firewall` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The language of the rules.
    #[arg(long, value_enum, required_unless_present = "compare", conflicts_with = "compare")]
    format: Option<Format>,
    /// The role that the host plays, by any of its names.
    #[arg(long)]
    role: String,
    /// The edition, by its date; without it, the one in force by default.
    #[arg(long, value_name = "DATE")]
    edition: Option<String>,
    /// Where the hosts of another role are: `forest=10.1.0.10,fd00:1::10`, a prefix such as
    /// `tenant=203.0.113.0/24`, or `tenant=any`. May be given often.
    #[arg(long, value_name = "ROLE=ADDRESS[,ADDRESS…]")]
    peer: Vec<String>,
    /// The host's own addresses: for a firewall that stands before it, and to judge rules that name
    /// them.
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    address: Vec<String>,
    /// Which rows are wanted: those that the host opens, those that it answers, or both. What is not
    /// wanted is not governed.
    #[arg(long, value_enum, default_value_t = Side::Both)]
    side: Side,
    /// In place of rules, says which rows a listing closes, and what it opens that no row needs: the
    /// output of `nft --json list ruleset`, `iptables-save` or `ip6tables-save`; `-` reads standard
    /// input. May be given often.
    #[arg(long, value_name = "FILE")]
    compare: Vec<String>,
    /// Prints the comparison as one JSON document.
    #[arg(long, requires = "compare")]
    json: bool,
}

/// A firewall, or data for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For `nft -f`.
    Nftables,
    /// For iptables-restore and ip6tables-restore, both from the same text.
    Iptables,
    /// New-NetFirewallRule, in PowerShell.
    Windows,
    /// A security group of Amazon VPC.
    TerraformAws,
    /// A network security group of Azure.
    TerraformAzure,
    /// Access lists of Cisco ASA; needs --address.
    CiscoAsa,
    /// One JSON document.
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Side {
    /// What the host opens and what it answers.
    Both,
    /// What it opens.
    Opens,
    /// What it answers.
    Answers,
}

/// Writes rules, or compares.
///
/// # Errors
/// A [`Failure`] when a required row is closed or cannot be judged, or the command makes no sense.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let chart = super::edition::chart(args.edition.as_deref())?;
    let policy = Policy::new(&chart, &site(args)?);
    for missing in &policy.missing {
        eprintln!("warning: {}", missing.comment());
    }
    match args.format {
        Some(format) => print(&written(format, &policy)?),
        None => compared(&policy, args),
    }
}

fn written(format: Format, policy: &Policy<'_>) -> Result<String, Failure> {
    let format = match format {
        Format::Nftables => firewall::Format::Nftables,
        Format::Iptables => firewall::Format::Iptables,
        Format::Windows => firewall::Format::Windows,
        Format::TerraformAws => firewall::Format::TerraformAws,
        Format::TerraformAzure => firewall::Format::TerraformAzure,
        Format::CiscoAsa => firewall::Format::CiscoAsa,
        Format::Json => return Ok(json::policy(policy)),
    };
    Ok(format.write(policy)?)
}

fn compared(policy: &Policy<'_>, args: &Args) -> Result<(), Failure> {
    let mut ruleset = Ruleset::default();
    for path in &args.compare {
        let failed = |error: firewall::compare::ReadError| {
            let failure = Failure::new(format!("{path}: {error}"));
            match error.hint() {
                Some(hint) => failure.with_hint(hint),
                None => failure,
            }
        };
        let listing = read(&listing(path)?).map_err(failed)?;
        ruleset.append(listing).map_err(failed)?;
    }
    let comparison = compare(policy, &ruleset)?;
    print(&match args.json {
        true => json::comparison(policy, &comparison),
        false => text::comparison(&comparison),
    })?;
    match (comparison.required(State::Closed), comparison.required(State::NotJudged)) {
        (0, 0) => Ok(()),
        (0, count) => Err(Failure::new(format!("{count} required rows are not judged"))),
        (count, 0) => Err(Failure::new(format!("{count} required rows are closed"))),
        (closed, unjudged) => Err(Failure::new(format!(
            "{closed} required rows are closed, and {unjudged} are not judged"
        ))),
    }
}

fn site(args: &Args) -> Result<Site, Failure> {
    let peers = args.peer.iter().map(|text| peer(text)).collect::<Result<_, _>>()?;
    let own = args.address.iter().map(|text| text.parse::<Prefix>());
    Ok(Site {
        role: args.role.parse()?,
        own: own.collect::<Result<_, _>>()?,
        peers,
        side: match args.side {
            Side::Both => firewall::Side::Both,
            Side::Opens => firewall::Side::Opens,
            Side::Answers => firewall::Side::Answers,
        },
    })
}

fn peer(text: &str) -> Result<(Role, Reach), Failure> {
    let Some((role, list)) = text.split_once('=') else {
        return Err(Failure::new(format!("{text:?} is no peer"))
            .with_hint("write ROLE=ADDRESS,ADDRESS, or ROLE=any"));
    };
    let role = role.parse::<Role>()?;
    if list == "any" {
        return Ok((role, Reach::Anyone));
    }
    let prefixes = list.split(',').map(str::parse::<Prefix>).collect::<Result<Vec<_>, _>>()?;
    Ok((role, Reach::Among(prefixes)))
}

/// A listing's text, no longer than one is.
fn listing(path: &str) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure::because(&format!("cannot read {path}"), &error);
    let source: Box<dyn Read> = match path {
        "-" => Box::new(std::io::stdin().lock()),
        path => Box::new(File::open(path).map_err(failed)?),
    };
    let mut octets = Vec::new();
    // One more, so that a longer one is found to be that.
    let octets_max = LISTING_OCTETS_MAX as u64 + 1;
    source.take(octets_max).read_to_end(&mut octets).map_err(failed)?;
    String::from_utf8(octets).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::new(format!("{path}: octet {at} is no UTF-8: this is no listing of a firewall"))
    })
}

fn print(text: &str) -> Result<(), Failure> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        // A reader such as `head` has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::because("cannot write to standard output", &error)),
        Ok(()) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use portolan_chart::Chart;

    use super::*;

    #[derive(Debug, Parser)]
    struct CommandLine {
        #[command(flatten)]
        args: Args,
    }

    fn parsed(words: &str) -> Result<Args, clap::Error> {
        let words = std::iter::once("firewall").chain(words.split_whitespace());
        CommandLine::try_parse_from(words).map(|line| line.args)
    }

    /// What rules a command line prints, or how it fails.
    fn printed(words: &str) -> String {
        let args = parsed(words).unwrap();
        let chart = Chart::default_edition();
        let written =
            site(&args).and_then(|site| written(args.format.unwrap(), &Policy::new(&chart, &site)));
        written.unwrap_or_else(|failure| failure.render())
    }

    #[test]
    fn rules_print_as_json_with_their_rows() {
        insta::assert_snapshot!(printed(
            "--format json --role forest --side answers --peer connect=10.1.0.20 --peer ad=fd00:1::/64"
        ));
    }

    #[test]
    fn a_peer_that_makes_no_sense_is_answered_with_what_does() {
        for (peer, expected) in [
            ("forst=10.1.0.10", "the roles are connect, forest"),
            ("forest", "hint: write ROLE=ADDRESS,ADDRESS, or ROLE=any"),
            ("forest=", "hint: write 10.1.0.10, 10.1.0.0/24"),
            ("forest=10.1.0.1/24", "hint: write 10.1.0.10, 10.1.0.0/24"),
            ("forest=10.1.0.1,any", "\"any\" is neither an address nor a prefix"),
        ] {
            let text = printed(&format!("--format nftables --role connect --peer {peer}"));
            assert!(text.starts_with("error: ") && text.contains(expected), "{text}");
        }
    }

    #[test]
    fn an_unknown_format_is_answered_with_the_known_ones() {
        let error = parsed("--format pf --role connect").unwrap_err().to_string();
        for format in firewall::Format::ALL {
            assert!(error.contains(format.name()), "{error}");
        }
        assert!(parsed("--role connect").is_err(), "neither rules nor a comparison");
        assert!(parsed("--role connect --format json --compare a").is_err());
    }

    #[test]
    fn a_listing_that_is_none_is_refused_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        for (octets, expected) in [
            (&b"\xff\xfe"[..], "octet 0 is no UTF-8"),
            (b"{\"nftables\": [", "line 1, column 14"),
            (b"*filter\n-A INPUT\n", "neither the head nor the addresses"),
            (b"# Generated by iptables-save\n*filter\nhello\n", "line 3: no line of iptables-save"),
        ] {
            let path = folder.path().join("listing");
            std::fs::write(&path, octets).unwrap();
            let args = parsed(&format!("--role connect --compare {}", path.display())).unwrap();
            let failure = run(&args).unwrap_err();
            assert!(failure.text().contains(expected), "{}", failure.text());
        }
    }
}
