//! How a person signs in: one dispatcher decides every step, and every step returns to it.
//!
//! [`next_step`] looks at what is known so far and names the next step; [`run`] performs it and asks
//! again. No step calls another, so a new one (a second factor, a federated home) is a new arm here.

use portolan_legacy_crypto::pph1::CredentialData;
use portolan_model::{Guid, SecretString};
use time::{Duration, OffsetDateTime};

use crate::account::AccountState;
use crate::authorize::Prompt;
use crate::directory::{Kind, Object};
use crate::storage::{Session, StorageError, Transaction};
use crate::throttle::Throttle;
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
    /// The count of wrong passwords, once read.
    throttle: Option<Option<Throttle>>,
    /// Whether the password was right, once checked, and whether there is one.
    password: Option<Checked>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Checked {
    right: bool,
    exists: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    LookUpByName,
    LookUpBySession(Guid),
    ReadThrottle,
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
        return match (&known.user, &known.throttle, known.password) {
            (None, _, _) => Step::LookUpByName,
            (_, None, _) => Step::ReadThrottle,
            (_, Some(Some(throttle)), None) if throttle.is_locked(now) => {
                Step::Finish(Verdict::Refused(Rule::Locked))
            }
            (_, _, None) => Step::CheckPassword,
            (Some(user), _, Some(checked)) => {
                Step::Finish(judge_password(user.as_ref(), checked, start.person, now))
            }
        };
    }
    match &start.session {
        Some(session) if session_suffices(start, session, now) => match &known.user {
            None => Step::LookUpBySession(session.user),
            // Whoever has a session had a password; its change or removal ended the session.
            Some(Some(user)) => match AccountState::of(user, true, now).refusal() {
                None => Step::Finish(Verdict::SignedIn(Method::Session)),
                Some(_) => Step::Finish(Verdict::Asked),
            },
            Some(None) => Step::Finish(Verdict::Asked),
        },
        _ => Step::Finish(Verdict::Asked),
    }
}

/// The state of an account is told only to who has its password.
fn judge_password(
    user: Option<&Object>,
    checked: Checked,
    person: Option<Guid>,
    now: OffsetDateTime,
) -> Verdict {
    match user {
        None => Verdict::Refused(Rule::UnknownUser),
        Some(_) if !checked.exists => Verdict::Refused(Rule::NoCredential),
        Some(_) if !checked.right => Verdict::Refused(Rule::WrongPassword),
        Some(user) => match AccountState::of(user, true, now).refusal() {
            None if person.is_some_and(|person| person != user.id) => {
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
            Step::ReadThrottle => {
                let key = throttle_key(start, &known);
                known.throttle = Some(tx.throttle(&key).await?);
            }
            Step::CheckPassword => known.password = Some(check_password(tx, start, &known).await?),
            Step::Finish(verdict) => break verdict,
        }
    };
    if let Some(checked) = known.password {
        count(tx, start, &known, checked, now).await?;
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

/// Checks the password against the user's, or against nobody's; both take as long.
async fn check_password<T: Transaction>(
    tx: &mut T,
    start: &Start,
    known: &Known,
) -> Result<Checked, StorageError> {
    let user = known.user.as_ref().and_then(|user| user.as_ref());
    let kept = tx.credential(user.map_or(Guid::NIL, |user| user.id)).await?;
    let exists = kept.is_some();
    let credential = match kept {
        Some(kept) => kept.credential,
        None => CredentialData::parse(NOBODYS_CREDENTIAL).map_err(StorageError::new)?,
    };
    let empty = SecretString::default();
    let password = start.submission.as_ref().map_or(&empty, |submission| &submission.password);
    let fits = password.expose().chars().count() <= INPUT_CHARS_MAX;
    let right = credential.verify(if fits { password } else { &empty });
    Ok(Checked { right: right && fits && exists, exists })
}

async fn count<T: Transaction>(
    tx: &mut T,
    start: &Start,
    known: &Known,
    checked: Checked,
    now: OffsetDateTime,
) -> Result<(), StorageError> {
    let key = throttle_key(start, known);
    let before = known.throttle.flatten();
    if checked.right {
        return if before.is_some() { tx.put_throttle(&key, None).await } else { Ok(()) };
    }
    tx.put_throttle(&key, Some(&Throttle::after_failure(before, now))).await
}

/// What wrong passwords are counted under: the user, however their name was spelled, or the
/// digest of a name that nobody has.
fn throttle_key(start: &Start, known: &Known) -> Digest {
    match known.user.as_ref().and_then(|user| user.as_ref()) {
        Some(user) => Digest::of(format!("user {}", user.id).as_bytes()),
        None => {
            let name = typed_name(start).trim().to_lowercase();
            Digest::of(format!("name {name}").as_bytes())
        }
    }
}

fn typed_name(start: &Start) -> &str {
    start.submission.as_ref().map_or("", |submission| submission.name.as_str())
}

#[cfg(test)]
mod tests {
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

    const RIGHT: Option<Checked> = Some(Checked { right: true, exists: true });
    const WRONG: Option<Checked> = Some(Checked { right: false, exists: true });
    const NONE: Option<Checked> = Some(Checked { right: false, exists: false });
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
        let known = |user, throttle| Known { user, throttle, password: None };
        check(&submitted(), known(None, None), Step::LookUpByName);
        check(&submitted(), known(alice(), None), Step::ReadThrottle);
        check(&submitted(), known(alice(), Some(None)), Step::CheckPassword);
        check(&submitted(), known(Some(None), Some(None)), Step::CheckPassword);
        check(&submitted(), known(alice(), Some(Some(over))), Step::CheckPassword);
        check(&submitted(), known(alice(), Some(Some(locked))), REFUSED(Rule::Locked));
        check(&submitted(), known(Some(None), Some(Some(locked))), REFUSED(Rule::Locked));
    }

    #[test]
    fn the_state_of_an_account_is_told_only_to_who_has_its_password() {
        let known = |user, password| Known { user, throttle: Some(None), password };
        let signed_in = Step::Finish(Verdict::SignedIn(Method::Password));
        check(&submitted(), known(alice(), RIGHT), signed_in);
        check(&submitted(), known(alice(), WRONG), REFUSED(Rule::WrongPassword));
        let other = Start { person: Some(Guid::NIL), ..submitted() };
        check(&other, known(alice(), RIGHT), REFUSED(Rule::OtherPerson));
        check(&other, known(alice(), WRONG), REFUSED(Rule::WrongPassword));
        check(&submitted(), known(disabled(), RIGHT), REFUSED(Rule::Disabled));
        check(&submitted(), known(disabled(), WRONG), REFUSED(Rule::WrongPassword));
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
        let known = |user| Known { user, ..Known::default() };
        let asked = || Step::Finish(Verdict::Asked);
        check(&with(|_| ()), known(None), Step::LookUpBySession(session().user));
        let signed_in = Step::Finish(Verdict::SignedIn(Method::Session));
        check(&with(|_| ()), known(alice()), signed_in);
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
    fn nobodys_credential_is_well_formed_and_nobodys() {
        let credential = CredentialData::parse(NOBODYS_CREDENTIAL).unwrap();
        assert!(!credential.verify(&SecretString::default()));
    }
}
