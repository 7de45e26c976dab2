//! How a person signs in: one dispatcher decides every step, and every step returns to it.
//!
//! [`next_step`] looks at what is known so far and names the next step; [`run`] performs it and asks
//! again. No step calls another, so a new one (a second factor, a federated home) is a new arm here.

use portolan_legacy_crypto::pph1::CredentialData;
use portolan_model::{Guid, SecretString};
use time::{Duration, OffsetDateTime};

use crate::account::{AccountState, Policy};
use crate::authorize::Prompt;
use crate::directory::{Kind, Object};
use crate::storage::{Session, StorageError, Transaction};
use crate::throttle::{self, Client, Limit, Subject, Throttle};
use crate::{Digest, Rule};

/// A password that nobody has: checked for names that nobody has, so that both take as long.
const NOBODYS_CREDENTIAL: &str = "v1;PPH1_MD4,00000000000000000000,1000,\
     0000000000000000000000000000000000000000000000000000000000000000;";

/// Characters that a name or a password may have; longer ones are nobody's.
const INPUT_CHARS_MAX: usize = 512;

/// What a person typed.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The name.
    pub name: String,
    /// The password.
    pub password: SecretString,
}

/// What the sign-in starts from.
#[derive(Debug, Clone)]
pub struct Start {
    /// What pages may be shown.
    pub prompt: Prompt,
    /// How long ago the person may have proved who they are, in seconds.
    pub age_seconds_max: Option<u64>,
    /// The one person who will do, if the application named one.
    pub person: Option<Guid>,
    /// The session of the browser, if it has one.
    pub session: Option<Session>,
    /// What the person typed, if they did.
    pub submission: Option<Submission>,
    /// Where the request comes from.
    pub client: Client,
    /// What is asked of accounts.
    pub policy: Policy,
}

/// How a person proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// By their password, now.
    Password,
    /// By a session.
    Session,
}

impl Method {
    /// The word for the sign-in log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Session => "session",
        }
    }
}

/// Where a sign-in ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The person is to be asked, and told why if they tried already.
    Ask(Option<Rule>),
    /// The application is to be told: no page may be shown.
    Refuse(Rule),
    /// It is this person.
    SignedIn {
        /// Who.
        user: Box<Object>,
        /// When they proved it.
        authenticated_at: OffsetDateTime,
        /// How.
        method: Method,
    },
}

/// What is known so far.
#[derive(Debug, Default)]
struct Known {
    /// The user that was looked up; the inner `None` is nobody.
    user: Option<Option<Object>>,
    /// When their password was set, once read; the inner `None` is no password.
    password_set_at: Option<Option<OffsetDateTime>>,
    /// The counts of wrong passwords, once read.
    counts: Option<Vec<Count>>,
    /// Whether the password was right, once checked, and when it was set if there is one.
    password: Option<Checked>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    key: Digest,
    limit: Limit,
    throttle: Option<Throttle>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Checked {
    right: bool,
    set_at: Option<OffsetDateTime>,
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    LookUpByName,
    LookUpBySession(Guid),
    LookUpPasswordAge(Guid),
    ReadCounts,
    CheckPassword,
    Finish(Verdict),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    SignedIn(Method),
    Refused(Rule),
    Asked,
}

/// The next step of a sign-in. This is the only place that decides it.
fn next_step(start: &Start, known: &Known, now: OffsetDateTime) -> Step {
    if start.submission.is_some() {
        let locked = |count: &Count| count.throttle.is_some_and(|throttle| throttle.is_locked(now));
        return match (&known.user, &known.counts, known.password) {
            (None, _, _) => Step::LookUpByName,
            (_, None, _) => Step::ReadCounts,
            (_, Some(counts), None) if counts.iter().any(locked) => {
                Step::Finish(Verdict::Refused(Rule::Locked))
            }
            (_, _, None) => Step::CheckPassword,
            (Some(user), _, Some(checked)) => {
                Step::Finish(judge_password(user.as_ref(), checked, start, now))
            }
        };
    }
    match &start.session {
        Some(session) if session_suffices(start, session, now) => {
            match (&known.user, known.password_set_at) {
                (None, _) => Step::LookUpBySession(session.user),
                (Some(Some(user)), None) => Step::LookUpPasswordAge(user.id),
                (Some(Some(user)), Some(set_at)) => {
                    match AccountState::of(user, set_at, start.policy, now).refusal() {
                        None => Step::Finish(Verdict::SignedIn(Method::Session)),
                        Some(_) => Step::Finish(Verdict::Asked),
                    }
                }
                (Some(None), _) => Step::Finish(Verdict::Asked),
            }
        }
        _ => Step::Finish(Verdict::Asked),
    }
}

/// The state of an account is told only to who has its password.
fn judge_password(
    user: Option<&Object>,
    checked: Checked,
    start: &Start,
    now: OffsetDateTime,
) -> Verdict {
    match user {
        None => Verdict::Refused(Rule::UnknownUser),
        Some(_) if checked.set_at.is_none() => Verdict::Refused(Rule::NoCredential),
        Some(_) if !checked.right => Verdict::Refused(Rule::WrongPassword),
        Some(user) => match AccountState::of(user, checked.set_at, start.policy, now).refusal() {
            None if start.person.is_some_and(|person| person != user.id) => {
                Verdict::Refused(Rule::OtherPerson)
            }
            None => Verdict::SignedIn(Method::Password),
            Some(rule) => Verdict::Refused(rule),
        },
    }
}

fn session_suffices(start: &Start, session: &Session, now: OffsetDateTime) -> bool {
    let age = now - session.authenticated_at;
    let young = start
        .age_seconds_max
        .is_none_or(|seconds| age <= Duration::seconds(i64::try_from(seconds).unwrap_or(i64::MAX)));
    let fits = start.person.is_none_or(|person| person == session.user);
    start.prompt != Prompt::Always && now < session.expires_at && young && fits
}

/// Signs a person in, or says what is missing. The caller writes the log, keeps the session and
/// commits, also after a failure: the count of wrong passwords is part of it.
///
/// Gives the end, and the user that was looked up, if there is one.
///
/// # Errors
/// When the store fails.
pub async fn run<T: Transaction>(
    tx: &mut T,
    start: &Start,
    now: OffsetDateTime,
) -> Result<(End, Option<Guid>), StorageError> {
    let mut known = Known::default();
    let verdict = loop {
        match next_step(start, &known, now) {
            Step::LookUpByName => known.user = Some(user_by_name(tx, typed_name(start)).await?),
            Step::LookUpBySession(id) => {
                let user = tx.object(id).await?;
                known.user = Some(user.filter(|user| user.kind == Kind::User));
            }
            Step::LookUpPasswordAge(user) => {
                known.password_set_at = Some(tx.password_set_at(user).await?);
            }
            Step::ReadCounts => known.counts = Some(read_counts(tx, start, &known).await?),
            Step::CheckPassword => known.password = Some(check_password(tx, start, &known).await?),
            Step::Finish(verdict) => break verdict,
        }
    };
    if let Some(checked) = known.password {
        count(tx, &known, checked, now).await?;
    }
    let user = known.user.flatten();
    let id = user.as_ref().map(|user| user.id);
    let end = match (verdict, user) {
        (Verdict::SignedIn(method), Some(user)) => {
            let authenticated_at = match (&start.session, method) {
                (Some(session), Method::Session) => session.authenticated_at,
                _ => now,
            };
            End::SignedIn { user: Box::new(user), authenticated_at, method }
        }
        (Verdict::Refused(rule), _) if start.prompt == Prompt::None => End::Refuse(rule),
        (Verdict::Refused(rule), _) => End::Ask(Some(rule)),
        _ if start.prompt == Prompt::None => End::Refuse(Rule::LoginRequired),
        _ => End::Ask(None),
    };
    Ok((end, id))
}

async fn user_by_name<T: Transaction>(
    tx: &mut T,
    name: &str,
) -> Result<Option<Object>, StorageError> {
    // A name that is too long is asked for all the same, cut: it takes as long as any other.
    let name: String = name.chars().take(INPUT_CHARS_MAX).collect();
    tx.user_by_name(&name).await
}

/// What an attempt is counted under. Whether a browser is familiar is asked for a name that nobody
/// has too: it takes as long as any other.
async fn read_counts<T: Transaction>(
    tx: &mut T,
    start: &Start,
    known: &Known,
) -> Result<Vec<Count>, StorageError> {
    let user = known.user.as_ref().and_then(|user| user.as_ref()).map(|user| user.id);
    let familiar = match &start.client.device {
        Some(device) => tx.device_knows(device, user.unwrap_or(Guid::NIL)).await?,
        None => false,
    };
    let subject = match user {
        Some(id) => Subject::User(id),
        None => Subject::Name(typed_name(start).to_owned()),
    };
    let mut counts = Vec::new();
    for (key, limit) in throttle::counts(&subject, &start.client, familiar) {
        let throttle = tx.throttle(&key).await?;
        counts.push(Count { key, limit, throttle });
    }
    Ok(counts)
}

/// Checks the password against the user's, or against nobody's; both take as long.
async fn check_password<T: Transaction>(
    tx: &mut T,
    start: &Start,
    known: &Known,
) -> Result<Checked, StorageError> {
    let user = known.user.as_ref().and_then(|user| user.as_ref());
    let kept = tx.credential(user.map_or(Guid::NIL, |user| user.id)).await?;
    let empty = SecretString::default();
    let password = start.submission.as_ref().map_or(&empty, |submission| &submission.password);
    let right = verify(kept.as_ref().map(|kept| &kept.credential), password)?;
    Ok(Checked { right, set_at: kept.map(|kept| kept.changed_at) })
}

/// Whether a password is the kept one. Without a kept one it is not, and that takes as long to say.
///
/// # Errors
/// Never: nobody's password is well-formed.
pub fn verify(
    kept: Option<&CredentialData>,
    password: &SecretString,
) -> Result<bool, StorageError> {
    let nobodys = CredentialData::parse(NOBODYS_CREDENTIAL).map_err(StorageError::new)?;
    let empty = SecretString::default();
    let fits = password.expose().chars().count() <= INPUT_CHARS_MAX;
    let right = kept.unwrap_or(&nobodys).verify(if fits { password } else { &empty });
    Ok(right && fits && kept.is_some())
}

/// A right password clears the client's own count, a wrong one adds to all of them.
async fn count<T: Transaction>(
    tx: &mut T,
    known: &Known,
    checked: Checked,
    now: OffsetDateTime,
) -> Result<(), StorageError> {
    let counts = known.counts.as_deref().unwrap_or_default();
    if checked.right {
        let own = counts.first().filter(|own| own.throttle.is_some());
        return match own {
            Some(own) => tx.put_throttle(&own.key, None).await,
            None => Ok(()),
        };
    }
    for Count { key, limit, throttle } in counts {
        tx.put_throttle(key, Some(&Throttle::after_failure(*throttle, limit, now))).await?;
    }
    Ok(())
}

fn typed_name(start: &Start) -> &str {
    start.submission.as_ref().map_or("", |submission| submission.name.as_str())
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::directory::Value;
    use crate::directory::tests::{now, user};

    fn start() -> Start {
        Start {
            prompt: Prompt::IfNeeded,
            age_seconds_max: None,
            person: None,
            session: None,
            submission: None,
            client: Client { address: IpAddr::from([192, 0, 2, 7]), device: None },
            policy: Policy::default(),
        }
    }

    fn session() -> Session {
        Session {
            digest: Digest::of(b"cookie"),
            id: Guid::NIL,
            user: Guid::from_random([1; 16]),
            authenticated_at: now() - Duration::HOUR,
            expires_at: now() + Duration::HOUR,
        }
    }

    fn submitted() -> Start {
        let password = SecretString::new("Al1ce-Pass!".to_owned());
        let name = "alice@corp.example".to_owned();
        Start { submission: Some(Submission { name, password }), ..start() }
    }

    fn alice() -> Option<Option<Object>> {
        Some(Some(user("alice@corp.example")))
    }

    fn disabled() -> Option<Option<Object>> {
        let mut alice = user("alice@corp.example");
        alice.attributes.set("accountEnabled", Value::Flag(false)).unwrap();
        Some(Some(alice))
    }

    fn right() -> Option<Checked> {
        Some(Checked { right: true, set_at: Some(now()) })
    }

    fn wrong() -> Option<Checked> {
        Some(Checked { right: false, set_at: Some(now()) })
    }

    const NONE: Option<Checked> = Some(Checked { right: false, set_at: None });
    const REFUSED: fn(Rule) -> Step = |rule| Step::Finish(Verdict::Refused(rule));

    fn check(start: &Start, known: Known, expected: Step) {
        assert_eq!(next_step(start, &known, now()), expected, "{start:?} {known:?}");
    }

    #[test]
    fn a_password_is_looked_at_only_when_the_name_is_not_locked() {
        let locked = Throttle {
            failures: 10,
            failed_at: now(),
            locked_until: Some(now() + Duration::SECOND),
        };
        let over = Throttle { locked_until: Some(now()), ..locked };
        let count = |throttle| Count { key: Digest::of(b""), limit: throttle::CLIENT, throttle };
        let known = |user, throttles: Option<&[Option<Throttle>]>| {
            let counts = throttles.map(|all| all.iter().map(|one| count(*one)).collect());
            Known { user, counts, ..Known::default() }
        };
        check(&submitted(), known(None, None), Step::LookUpByName);
        check(&submitted(), known(alice(), None), Step::ReadCounts);
        check(&submitted(), known(alice(), Some(&[None])), Step::CheckPassword);
        check(&submitted(), known(Some(None), Some(&[None])), Step::CheckPassword);
        check(&submitted(), known(alice(), Some(&[Some(over), None])), Step::CheckPassword);
        for throttles in [&[Some(locked)][..], &[None, Some(locked), None]] {
            check(&submitted(), known(alice(), Some(throttles)), REFUSED(Rule::Locked));
            check(&submitted(), known(Some(None), Some(throttles)), REFUSED(Rule::Locked));
        }
    }

    #[test]
    fn the_state_of_an_account_is_told_only_to_who_has_its_password() {
        let known =
            |user, password| Known { user, counts: Some(vec![]), password, ..Known::default() };
        let signed_in = Step::Finish(Verdict::SignedIn(Method::Password));
        check(&submitted(), known(alice(), right()), signed_in);
        check(&submitted(), known(alice(), wrong()), REFUSED(Rule::WrongPassword));
        let other = Start { person: Some(Guid::NIL), ..submitted() };
        check(&other, known(alice(), right()), REFUSED(Rule::OtherPerson));
        check(&other, known(alice(), wrong()), REFUSED(Rule::WrongPassword));
        check(&submitted(), known(disabled(), right()), REFUSED(Rule::Disabled));
        check(&submitted(), known(disabled(), wrong()), REFUSED(Rule::WrongPassword));
        check(&submitted(), known(disabled(), NONE), REFUSED(Rule::NoCredential));
        check(&submitted(), known(Some(None), NONE), REFUSED(Rule::UnknownUser));
    }

    #[test]
    fn a_session_signs_in_while_it_holds_and_the_account_does() {
        let with = |change: fn(&mut Start)| {
            let mut start = Start { session: Some(session()), ..start() };
            change(&mut start);
            start
        };
        let known = |user| Known { user, password_set_at: Some(Some(now())), ..Known::default() };
        let asked = || Step::Finish(Verdict::Asked);
        check(&with(|_| ()), known(None), Step::LookUpBySession(session().user));
        let signed_in = Step::Finish(Verdict::SignedIn(Method::Session));
        check(&with(|_| ()), known(alice()), signed_in);
        let unread = Known { user: alice(), ..Known::default() };
        check(&with(|_| ()), unread, Step::LookUpPasswordAge(alice().unwrap().unwrap().id));
        let erased = Known { password_set_at: Some(None), ..known(alice()) };
        check(&with(|_| ()), erased, asked());
        check(&with(|_| ()), known(disabled()), asked());
        check(&with(|_| ()), known(Some(None)), asked());
        check(&with(|start| start.prompt = Prompt::Always), known(None), asked());
        check(&with(|start| start.age_seconds_max = Some(60)), known(None), asked());
        check(&with(|start| start.person = Some(Guid::NIL)), known(None), asked());
        let ended = |start: &mut Start| {
            start.session.iter_mut().for_each(|session| session.expires_at = now());
        };
        check(&with(ended), known(None), asked());
        check(&start(), known(None), asked());
    }

    #[test]
    fn nobodys_password_is_no_password() {
        let wrong = SecretString::new("x".to_owned());
        for password in [&SecretString::default(), &wrong] {
            assert!(!verify(None, password).unwrap());
        }
    }
}
