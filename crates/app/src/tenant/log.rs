//! `portolan tenant log`: the sign-in log and the audit log, newest first.

use portolan_model::Guid;
use portolan_store::tenant::SqliteTransaction;
use portolan_store::tenant::log::{Audit, SignIn, Wanted};
use portolan_tenant::storage::{Access, Store as _, Transaction as _};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::Place;
use super::commands::broken;
use crate::report::Failure;
use crate::terminal::plain;

/// What `portolan tenant log` can show. Both logs keep ninety days, and two million lines at most.
#[derive(Debug, clap::Subcommand)]
pub enum Log {
    /// Who signed in, or did not and why: time, person, application, address, correlation id.
    SignIns(Lines),
    /// What was done to the directory, and by whom.
    Audit(Lines),
}

/// Which lines to show.
#[derive(Debug, clap::Args)]
pub struct Lines {
    #[command(flatten)]
    place: Place,
    /// Of one person only: a user principal name or an object id.
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Not before this: an RFC 3339 time, or how long ago: 30m, 12h, 7d.
    #[arg(long, value_name = "WHEN", value_parser = parse_since)]
    since: Option<Since>,
    /// Lines to show.
    #[arg(long, value_name = "LINES", default_value_t = 100)]
    last: u32,
    /// Print JSON, one object a line.
    #[arg(long)]
    json: bool,
}

/// A moment, or how long ago it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Since {
    At(OffsetDateTime),
    Ago(Duration),
}

impl Since {
    fn moment(self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        match self {
            Self::At(at) => Some(at),
            Self::Ago(long) => now.checked_sub(long),
        }
    }
}

fn parse_since(text: &str) -> Result<Since, String> {
    if let Ok(at) = OffsetDateTime::parse(text, &Rfc3339) {
        return Ok(Since::At(at));
    }
    let split = text.len() - text.chars().next_back().map_or(0, char::len_utf8);
    let (number, unit) = text.split_at(split);
    let number: u32 = number.parse().map_err(|_| SINCE_FORM.to_owned())?;
    let one = match unit {
        "m" => Duration::MINUTE,
        "h" => Duration::HOUR,
        "d" => Duration::DAY,
        _ => return Err(SINCE_FORM.to_owned()),
    };
    Ok(Since::Ago(i32::try_from(number).map_or(Duration::MAX, |number| one * number)))
}

const SINCE_FORM: &str = "it is neither an RFC 3339 time nor a number with m, h or d behind it";

pub(super) async fn run(command: Log) -> Result<(), Failure> {
    let (sign_ins, lines) = match command {
        Log::SignIns(lines) => (true, lines),
        Log::Audit(lines) => (false, lines),
    };
    let store = lines.place.open().await?;
    let mut tx = store.begin(Access::Read).await.map_err(broken)?;
    let found = read(&mut tx, sign_ins, &lines).await;
    drop(tx);
    store.close().await;
    for line in found? {
        println!("{line}");
    }
    Ok(())
}

async fn read(
    tx: &mut SqliteTransaction,
    sign_ins: bool,
    lines: &Lines,
) -> Result<Vec<String>, Failure> {
    let person = match &lines.user {
        None => None,
        Some(named) => {
            let found = match named.parse::<Guid>() {
                Ok(id) => tx.object(id).await,
                Err(_) => tx.user_by_name(named).await,
            };
            Some(found.map_err(broken)?.ok_or_else(|| {
                Failure::new(format!("no user is called {named:?}"))
                    .with_hint("a deleted user is found by the object id")
            })?)
        }
    };
    let anchor = person.as_ref().and_then(|person| person.anchor.as_ref());
    let wanted = Wanted {
        since: lines.since.and_then(|since| since.moment(portolan_net::clock::now())),
        user: person.as_ref().map(|person| person.id),
        anchor: anchor.map(portolan_model::SourceAnchor::as_str),
        count_max: lines.last,
    };
    if sign_ins {
        let found = tx.sign_ins(wanted).await.map_err(broken)?;
        Ok(found.iter().map(|line| sign_in(line, lines.json)).collect())
    } else {
        let found = tx.audits(wanted).await.map_err(broken)?;
        Ok(found.iter().map(|line| audit(line, lines.json)).collect())
    }
}

fn time(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

fn sign_in(line: &SignIn, as_json: bool) -> String {
    let id = |id: Option<Guid>| id.map(|id| id.to_string());
    if as_json {
        let value: Value = json!({
            "at": time(line.at),
            "result": if line.error.is_some() { "failure" } else { "success" },
            "error": line.error.map(|number| format!("AADSTS{number}")),
            "user": line.user_name,
            "user_id": id(line.user),
            "application": line.client_name,
            "client_id": id(line.client_id),
            "address": line.address,
            "method": line.method,
            "correlation_id": line.correlation_id.to_string(),
        });
        return value.to_string();
    }
    let outcome = line.error.map_or_else(|| "ok".to_owned(), |number| format!("AADSTS{number}"));
    let user = line.user_name.clone().or(id(line.user)).unwrap_or_else(|| "-".to_owned());
    let client = line.client_name.clone().or(id(line.client_id)).unwrap_or_else(|| "-".to_owned());
    let (at, method, address) = (time(line.at), &line.method, &line.address);
    let (user, client) = (plain(&user), plain(&client));
    format!("{at}  {outcome}  {method}  {user}  {client}  {address}  {}", line.correlation_id)
}

fn audit(line: &Audit, as_json: bool) -> String {
    let at = time(line.at);
    let Audit { actor, action, target, .. } = line;
    if as_json {
        return json!({"at": at, "actor": actor, "action": action, "target": target}).to_string();
    }
    format!("{at}  {action}  {}  by {}", plain(target), plain(actor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_a_time_or_how_long_ago() {
        let check = |text: &str, expected: Option<Since>| {
            assert_eq!(parse_since(text).ok(), expected, "{text}");
        };
        check("30m", Some(Since::Ago(Duration::minutes(30))));
        check("12h", Some(Since::Ago(Duration::hours(12))));
        check("7d", Some(Since::Ago(Duration::days(7))));
        check("1970-01-01T00:00:00Z", Some(Since::At(OffsetDateTime::UNIX_EPOCH)));
        for text in ["", "d", "7", "7w", "-1d", "yesterday", "7é"] {
            check(text, None);
        }
    }

    #[test]
    fn names_of_others_do_not_write_to_the_terminal() {
        let line = SignIn {
            at: OffsetDateTime::UNIX_EPOCH,
            correlation_id: Guid::NIL,
            user: None,
            user_name: Some("a\u{1b}[2Jb".to_owned()),
            client_id: None,
            client_name: None,
            address: "192.0.2.7".to_owned(),
            method: "password".to_owned(),
            error: Some(50126),
        };
        let text = sign_in(&line, false);
        assert!(!text.contains('\u{1b}') && text.contains("AADSTS50126"), "{text}");
        let value: Value = serde_json::from_str(&sign_in(&line, true)).unwrap();
        assert_eq!((&value["result"], &value["user_id"]), (&json!("failure"), &Value::Null));
    }
}
