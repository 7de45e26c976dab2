//! How long a password that was changed in the forest takes to sign in at the tenant.

use portolan_lab::plan::FOREST_CONFIG;
use serde_json::{Value, json};

use crate::conversation::Conversation;
use crate::{FOREST_DOMAIN, Road, RoadError};

/// How often a new password is tried: fewer times than lock sign-in.
const TRIES_MAX: u32 = 9;

/// What became of one changed password.
#[derive(Debug, Clone, Copy)]
pub struct Changed {
    /// Seconds from the acknowledged modify to the first successful POST; `None` when there was none.
    pub seconds: Option<f64>,
    /// Whether the old password signs in after that.
    pub old_admitted: bool,
}

/// An administrator at `dc1` who sets passwords, and a person at `ws1` who types them.
#[derive(Debug)]
pub struct Stopwatch {
    administrator: Conversation,
    person: Conversation,
    question: Value,
}

impl Stopwatch {
    /// Starts both.
    ///
    /// # Errors
    /// When one of them cannot be run.
    pub fn begin(road: &Road<'_>) -> Result<Self, RoadError> {
        // Debian's interpreter: Samba's bindings are built for it.
        let mut administrator = road.lab().command("dc1", "/usr/bin/python3")?;
        administrator.arg(road.script("set_password.py")).arg(FOREST_CONFIG);
        let mut administrator = Conversation::begin(administrator)?;
        administrator.answer()?;
        let mut person = road.python("ws1")?;
        person.arg(road.script("post_password.py"));
        let person = Conversation::begin(person)?;
        Ok(Self { administrator, person, question: road.application_question()? })
    }

    /// Changes a user's password, and tries the new one until it signs in, then the old one once.
    ///
    /// # Errors
    /// When one of the two breaks.
    pub fn change(&mut self, user: &str, old: &str, new: &str) -> Result<Changed, RoadError> {
        let done = self.administrator.ask(&json!({ "user": user, "password": new }))?;
        let tried = self.sign_in(user, new, TRIES_MAX)?;
        let elapsed = number(&tried, "at")? - number(&done, "at")?;
        let seconds = (tried["admitted"] == true).then_some(elapsed);
        let old_admitted = self.sign_in(user, old, 1)?["admitted"] == true;
        Ok(Changed { seconds, old_admitted })
    }

    /// Whether a user signs in with a password now.
    ///
    /// # Errors
    /// When the person's program breaks.
    pub fn admits(&mut self, user: &str, password: &str) -> Result<bool, RoadError> {
        Ok(self.sign_in(user, password, 1)?["admitted"] == true)
    }

    fn sign_in(&mut self, user: &str, password: &str, until: u32) -> Result<Value, RoadError> {
        let mut question = self.question.clone();
        question["user"] = Value::from(format!("{user}@{FOREST_DOMAIN}"));
        question["password"] = Value::from(password);
        question["until"] = Value::from(until);
        self.person.ask(&question)
    }
}

fn number(answer: &Value, field: &'static str) -> Result<f64, RoadError> {
    let number = answer.get(field).and_then(Value::as_f64);
    number.ok_or(RoadError::NoField { what: "an answer", field })
}
