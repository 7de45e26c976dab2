//! `portolan lab run`: a scenario from end to end, told step by step, with an expectation that holds or
//! does not.

mod catalogue;
mod company;
mod form;
pub(super) mod person;
mod story;

use std::fmt::Write as _;
use std::time::Duration;

use portolan_chart::{Chart, Flow, Transport};
use portolan_lab::{Controllers, How, Lab, LabError, Options, Started};

use super::{Place, print};
use crate::report::Failure;
use catalogue::{Closure, ENTRIES, Name};
use company::{Attempt, Company};
use story::{End, Story};

/// People of the lab's forest, with the passwords they have there.
const ALICE: (&str, &str) = ("alice", "Al1ce-Pass!");
const FRANK: (&str, &str) = ("frank", "Fr4nk-Pass!word");
/// How alice is called.
const ALICE_NAME: &str = "Alice Ångström";
/// What frank's password is changed to.
const NEW_PASSWORD: &str = "Fr4nk-Pass!word-2";
/// How long a silent controller may keep connect, in seconds.
const SWITCH_SECONDS_MAX: f64 = 2.0;
/// How long a changed password may take to sign in, in seconds.
const PASSWORD_SECONDS_MAX: f64 = 8.0;
/// How often a new password is tried: fewer times than lock sign-in.
const TRIES_MAX: u32 = 9;
/// Between the beginnings of two tries.
const TRY_EVERY: Duration = Duration::from_millis(500);

/// What `lab run` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Run {
    /// The scenario: sign-in, closed, failover or password-change
    #[arg(required_unless_present = "list")]
    scenario: Option<Name>,
    /// For `closed`: the row's flow, such as connect.ad.ldap
    #[arg(value_name = "FLOW")]
    flow: Option<Flow>,
    /// For `closed`: close it by this transport alone, tcp or udp
    #[arg(long, value_parser = super::transport, requires = "flow")]
    transport: Option<Transport>,
    /// Show the scenarios, with what each expects
    #[arg(long, conflicts_with = "scenario")]
    list: bool,
    /// Leave the lab up that was brought up for this
    #[arg(long)]
    keep: bool,
    /// Print the steps and the outcome as JSON, at the end
    #[arg(long)]
    json: bool,
    /// Where archives of provisioned forests are kept
    #[arg(long, value_name = "DIR", default_value = "/var/cache/portolan/lab")]
    cache: std::path::PathBuf,
    /// Which lab
    #[command(flatten)]
    place: Place,
}

const AFTER_HELP: &str = "\
A scenario runs in the lab that is up, or brings one up and takes it down again. In its hosts it makes a \
tenant and a sync server with this very program, and prints each step with the time, the host and the row \
of the chart that it used. It ends with what was expected and what came of it; the exit status is 0 when \
that is the same.

Examples:
  portolan lab run sign-in
  portolan lab run closed connect.ad.epm
  portolan lab run closed connect.ad.dns --transport udp
  portolan lab run failover --json";

/// Runs `lab run`.
pub(super) fn run(arguments: &Run) -> Result<(), Failure> {
    let Some(name) = arguments.scenario else { return print(&list()) };
    let needs_flow = name == Name::Closed;
    if needs_flow != arguments.flow.is_some() {
        let text = if needs_flow { "closed takes a flow" } else { "only closed takes a flow" };
        return Err(Failure::new(text).with_hint("`portolan lab run closed connect.ad.ldap`"));
    }
    let mut closure = None;
    if let Some(flow) = arguments.flow {
        closure = Some(Closure::new(&Chart::default_edition(), flow, arguments.transport)?);
    }
    let mut story = Story::begin(arguments.json);
    let (lab, was_up) = find_or_bring_up(arguments, &mut story)?;
    let outcome = play(&lab, name, closure, &mut story);
    if was_up || arguments.keep {
        let name = lab.name().to_string();
        story.tell("lab", None, format!("{name} stays up"));
    } else {
        lab.down()?;
        story.tell("lab", None, "taken down");
    }
    story.end(name.entry(), &outcome?)
}

fn list() -> String {
    let mut text = String::new();
    for entry in &ENTRIES {
        let typed = format!("{} {}", entry.word, entry.takes);
        // Writing to a String does not fail.
        let _ =
            writeln!(text, "{}\n    {}\n    expects: {}", typed.trim(), entry.shows, entry.expects);
    }
    text
}

/// The lab that runs, or a new one; and whether it was there before.
fn find_or_bring_up(arguments: &Run, story: &mut Story) -> Result<(Lab, bool), Failure> {
    let Place { name, state } = &arguments.place;
    match Lab::attach(name, state) {
        Ok(lab) => {
            story.tell("lab", None, format!("{name} is up"));
            return Ok((lab, true));
        }
        Err(LabError::NotRunning { .. } | LabError::Broken { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let options = Options {
        name: name.clone(),
        state: state.clone(),
        cache: arguments.cache.clone(),
        extra_users: 0,
        controllers: Controllers::Two,
    };
    let (lab, started) = Lab::up(&options, &mut |step| {
        story.tell("lab", None, format!("{}: {}", step.what, step.detail));
    })?;
    Ok((lab, started == Started::Already))
}

fn play(
    lab: &Lab,
    name: Name,
    closure: Option<Closure>,
    story: &mut Story,
) -> Result<End, Failure> {
    match (name, closure) {
        (Name::Closed, Some(closure)) => closed(lab, closure, story),
        (Name::SignIn | Name::Closed, _) => sign_in(lab, story),
        (Name::Failover, _) => failover(lab, story),
        (Name::PasswordChange, _) => password_change(lab, story),
    }
}

fn sign_in(lab: &Lab, story: &mut Story) -> Result<End, Failure> {
    let company = Company::found(lab, story)?;
    company.must_synchronise(story)?;
    Ok(match company.sign_in(ALICE, story)? {
        Attempt::SignedIn(name) => End::new(
            name == ALICE_NAME,
            format!("alice is signed in, and the directory says {name}"),
        ),
        Attempt::Refused(words) => End::new(false, format!("alice was not let in: {words}")),
        Attempt::Failed(error) => End::new(false, error),
    })
}

fn closed(lab: &Lab, closure: Closure, story: &mut Story) -> Result<End, Failure> {
    let company = Company::found(lab, story)?;
    match closure.transport {
        Some(transport) => lab.close_over(closure.flow, transport, How::Reject)?,
        None => lab.close(closure.flow, How::Reject)?,
    }
    story.tell("lab", None, format!("{} is closed on every host", closure.text()));
    let end = without(&company, closure, story);
    lab.open(closure.flow)?;
    story.tell("lab", None, format!("{} is open again", closure.flow));
    end
}

/// Synchronises, and signs in, while something is closed.
fn without(company: &Company<'_>, closure: Closure, story: &mut Story) -> Result<End, Failure> {
    let mut error = company.synchronise(story)?.error;
    if error.is_none() {
        error = match company.sign_in(ALICE, story)? {
            Attempt::SignedIn(_) => None,
            Attempt::Refused(error) | Attempt::Failed(error) => Some(error),
        };
    }
    let row = company.lab().chart().row(closure.flow)?;
    let named = format!("{}, {} ", row.table, row.protocol);
    Ok(match error {
        Some(error) => {
            let held = closure.is_needed() && error.contains(&named);
            End::new(held, format!("it fails: {error}"))
        }
        None => {
            let text = format!("all went well without {}", closure.text());
            End::new(!closure.is_needed(), text)
        }
    })
}

fn failover(lab: &Lab, story: &mut Story) -> Result<End, Failure> {
    if !lab.status()?.hosts.iter().any(|host| host.name == "dc2") {
        return Err(Failure::new("the lab that is up has one domain controller")
            .with_hint("take it down, or give another --name: a new lab has two"));
    }
    let company = Company::found(lab, story)?;
    company.must_synchronise(story)?;
    lab.silence("dc1")?;
    story.tell("lab", None, "dc1 is silent: what it sends and what is sent to it vanishes");
    let outcome = company.synchronise(story);
    lab.unsilence("dc1")?;
    story.tell("lab", None, "dc1 is heard again");
    let outcome = outcome?;
    let bound = |step: &&story::Step| step.what.starts_with("bound to dc2.");
    let seconds = outcome.steps.iter().find(bound).map(|step| step.at);
    let Some(seconds) = seconds else {
        let error = outcome.error.unwrap_or_else(|| "dc2 was not bound".to_owned());
        return Ok(End::new(false, error));
    };
    let held = outcome.error.is_none() && seconds < SWITCH_SECONDS_MAX;
    let how = outcome.error.unwrap_or_else(|| "the synchronisation succeeds".to_owned());
    let seconds = vec![("from the beginning of the run to the bind at dc2", seconds)];
    Ok(End { seconds, ..End::new(held, format!("connect went on with dc2; {how}")) })
}

fn password_change(lab: &Lab, story: &mut Story) -> Result<End, Failure> {
    let mut company = Company::found(lab, story)?;
    company.synchronise_from_now_on(story)?;
    let (user, old) = FRANK;
    if !matches!(company.sign_in(FRANK, story)?, Attempt::SignedIn(_)) {
        return Ok(End::new(false, "frank does not sign in with the password that he has"));
    }
    company.set_password(user, NEW_PASSWORD)?;
    story.tell("dc1", None, "an administrator changed frank's password");
    let end = new_password(&company, story);
    // The next scenario finds the forest as it was.
    company.set_password(user, old)?;
    story.tell("dc1", None, "frank has his old password again");
    end
}

/// Tries the new password until it signs in, and then the old one.
fn new_password(company: &Company<'_>, story: &mut Story) -> Result<End, Failure> {
    let (user, old) = FRANK;
    let changed = story.elapsed();
    for _ in 0..TRIES_MAX {
        let began = story.elapsed();
        if !matches!(company.sign_in((user, NEW_PASSWORD), story)?, Attempt::SignedIn(_)) {
            std::thread::sleep(TRY_EVERY.saturating_sub(story.elapsed().saturating_sub(began)));
            continue;
        }
        let seconds = story.elapsed().saturating_sub(changed).as_secs_f64();
        let stopped = matches!(company.sign_in((user, old), story)?, Attempt::Refused(_));
        let old_one = if stopped { "has stopped" } else { "still signs in" };
        let outcome = format!("the new password signs in, the old one {old_one}");
        let held = stopped && seconds < PASSWORD_SECONDS_MAX;
        let seconds = vec![("from the change to the sign-in", seconds)];
        return Ok(End { seconds, ..End::new(held, outcome) });
    }
    Ok(End::new(false, format!("the new password does not sign in after {TRIES_MAX} tries")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_says_of_each_scenario_what_it_expects() {
        let list = list();
        assert_eq!(list.matches("expects: ").count(), ENTRIES.len());
        assert!(list.contains("closed FLOW [--transport udp|tcp]\n"), "{list}");
    }
}
