//! `portolan chart respond`: the other end of the rows before its servers exist.

use std::io::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;

use portolan_chart::{Flow, Role};
use portolan_model::{DnsName, Hint as _};
use portolan_net::Peer;
use portolan_probe::respond::{Asked, Limits, Place, Responder, Settings, Summary};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use crate::report::Failure;
use crate::signal;
use crate::terminal::plain;

/// What `portolan chart respond` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The role to stand in for.
    #[arg(long)]
    role: String,
    /// The edition, by its date; without it, the one in force by default.
    #[arg(long, value_name = "DATE")]
    edition: Option<String>,
    /// The addresses to listen on; without it, every one of this host, by IPv4 and IPv6.
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    listen: Vec<IpAddr>,
    /// The forest's DNS name, of which a domain controller is one.
    #[arg(long, value_name = "NAME")]
    forest: Option<DnsName>,
    /// The names and addresses by which checkers know this host: they stand in its certificate, and the
    /// first name is its own. Without it, the host's name, in the forest if there is one.
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    name: Vec<Peer>,
    /// Write the certificate of the throw-away authority there, as PEM, for the checker to believe.
    #[arg(long, value_name = "FILE")]
    write_ca: Option<PathBuf>,
    /// Say everything as JSON, one document a line.
    #[arg(long)]
    json: bool,
}

/// Stands in until it is told to stop.
///
/// # Errors
/// A [`Failure`] when a port could not be listened on, at the end; or at once, when there is nothing to do.
pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let stop = signal::Stop::listen()?;
    let responder = Responder::bind(settings(&args)?)?;
    if let Some(path) = &args.write_ca {
        std::fs::write(path, responder.authority()).map_err(|error| {
            Failure::because(&format!("cannot write {}", path.display()), &error)
        })?;
    }
    let voice = Voice { json: args.json };
    for place in responder.open() {
        voice.listening(place);
    }
    for error in responder.closed() {
        let hint = error.hint().unwrap_or_default();
        voice.closed(&error.to_string(), &hint);
    }
    for row in responder.unspoken() {
        voice.closed(&format!("no stand-in speaks {row}"), "");
    }
    let (open, closed) = (responder.open().count(), responder.closed().len());
    let closed = closed + responder.unspoken().len();
    if open == 0 {
        return Err(Failure::new("none of the role's ports could be listened on"));
    }
    voice.ready(responder.host());
    let summary = responder.run(stop.requested(), |asked| voice.asked(&asked)).await;
    voice.summary(&summary);
    match closed {
        0 => Ok(()),
        _ => Err(Failure::new(format!("{closed} of {} ports were not listened on", open + closed))),
    }
}

fn settings(args: &Args) -> Result<Settings, Failure> {
    let role: Role = args.role.parse()?;
    let chart = super::edition::chart(args.edition.as_deref())?;
    let mut names = args.name.clone();
    if !names.iter().any(|name| matches!(name, Peer::Name(_))) {
        let host = host_name(args.forest.as_ref())?;
        names.insert(0, Peer::Name(host));
    }
    Ok(Settings {
        role,
        chart,
        forest: args.forest.clone(),
        names,
        listen: args.listen.clone(),
        ephemeral_ports: false,
        limits: Limits::default(),
    })
}

/// The host's own name, in the forest where there is one.
fn host_name(forest: Option<&DnsName>) -> Result<DnsName, Failure> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let name = match forest {
        Some(forest) => format!("{}.{forest}", name.split('.').next().unwrap_or_default()),
        None => name,
    };
    name.parse().map_err(|error| {
        Failure::because("the host's name does not serve", &error).with_hint("say --name HOST")
    })
}

/// How everything is said.
#[derive(Debug, Clone, Copy)]
struct Voice {
    json: bool,
}

impl Voice {
    fn listening(self, place: &Place) {
        let flows = flows(&place.flows);
        self.say(
            || format!("listening on {}/{}: {}", place.address, place.transport, place.row),
            || {
                json!({
                    "event": "listening", "address": place.address.to_string(),
                    "transport": place.transport.name(), "row": place.row, "flows": flows,
                })
            },
        );
    }

    fn closed(self, error: &str, hint: &str) {
        self.say(
            || match hint {
                "" => format!("not listening: {error}"),
                hint => format!("not listening: {error}\n  hint: {hint}"),
            },
            || json!({ "event": "not-listening", "error": error, "hint": hint }),
        );
    }

    fn ready(self, host: &str) {
        self.say(
            || format!("ready as {host}, a stand-in: no credential is accepted"),
            || json!({ "event": "ready", "host": host }),
        );
    }

    fn asked(self, asked: &Asked) {
        let at = asked.at.replace_nanosecond(0).unwrap_or(asked.at);
        let at = at.format(&Rfc3339).unwrap_or_default();
        let (peer, reaction) = (asked.peer.ip(), asked.reaction.name());
        self.say(
            || format!("{at} {peer} {}: {} ({reaction})", asked.row, plain(&asked.question)),
            || {
                json!({
                    "event": "asked", "at": at, "peer": peer.to_string(),
                    "port": asked.port, "transport": asked.transport.name(), "row": asked.row,
                    "question": asked.question, "reaction": reaction,
                })
            },
        );
    }

    fn summary(self, summary: &Summary) {
        let answered: u64 = summary.places.iter().map(|(_, answered, _)| answered).sum();
        let other: u64 = summary.places.iter().map(|(_, _, other)| other).sum();
        let never = summary.places.iter().filter(|(_, answered, _)| *answered == 0);
        let never: Vec<_> = never.map(|(place, ..)| place).collect();
        self.say(
            || {
                let mut lines = format!(
                    "ended: {answered} questions answered, {other} not, of {} peers",
                    summary.peers.len()
                );
                if summary.untold > 0 {
                    lines += &format!("; {} of them are not shown", summary.untold);
                }
                for place in &never {
                    lines += &format!("\nnever asked: {}", place.row);
                }
                lines
            },
            || {
                let place = |(place, answered, other): &(Place, u64, u64)| {
                    json!({
                        "row": place.row, "flows": flows(&place.flows),
                        "answered": answered, "other": other,
                    })
                };
                json!({
                    "event": "summary", "answered": answered, "other": other,
                    "peers": summary.peers.len(), "untold": summary.untold,
                    "places": summary.places.iter().map(place).collect::<Vec<_>>(),
                })
            },
        );
    }

    fn say(self, text: impl FnOnce() -> String, document: impl FnOnce() -> Value) {
        let line = if self.json { document().to_string() } else { text() };
        // A reader that is gone does not end the stand-in.
        if let Err(error) = writeln!(std::io::stdout().lock(), "{line}") {
            tracing::debug!(%error, "Cannot write to standard output");
        }
    }
}

fn flows(flows: &[Flow]) -> Vec<&'static str> {
    flows.iter().map(|flow| flow.name()).collect()
}
