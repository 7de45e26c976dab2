//! How long an attribute that was changed in the forest takes to show in the tenant's Graph.

use portolan_lab::plan::FOREST_CONFIG;
use serde_json::{Value, json};

use crate::conversation::Conversation;
use crate::{FOREST_DOMAIN, Road, RoadError};

/// How long is waited for a change, in seconds.
const WAIT_SECONDS_MAX: u32 = 60;

/// An administrator at `dc1` who changes users, and an application at `ws1` that reads them from Graph.
#[derive(Debug)]
pub struct Freshness {
    administrator: Conversation,
    reader: Conversation,
    question: Value,
}

impl Freshness {
    /// Starts both.
    ///
    /// # Errors
    /// When one of them cannot be run.
    pub fn begin(road: &Road<'_>) -> Result<Self, RoadError> {
        // Debian's interpreter: Samba's bindings are built for it.
        let mut administrator = road.lab().command("dc1", "/usr/bin/python3")?;
        administrator.arg(road.script("change_attribute.py")).arg(FOREST_CONFIG);
        let mut administrator = Conversation::begin(administrator)?;
        administrator.answer()?;
        let mut reader = road.python("ws1")?;
        reader.arg(road.script("watch_graph.py"));
        let reader = Conversation::begin(reader)?;
        let (client_id, key) = road.add_daemon("freshness", "rsa:2048", &["User.ReadWrite.All"])?;
        let mut question = road.graph_question()?;
        question["client_id"] = Value::from(client_id);
        question["key"] = json!(key);
        question["until"] = Value::from(WAIT_SECONDS_MAX);
        Ok(Self { administrator, reader, question })
    }

    /// Gives an attribute of users a value, in one transaction. Gives when that was acknowledged, in
    /// seconds of the machine's monotonic clock.
    ///
    /// # Errors
    /// When the administrator's program breaks.
    pub fn change(
        &mut self,
        users: &[String],
        attribute: &str,
        value: &str,
    ) -> Result<f64, RoadError> {
        let wanted = json!({ "users": users, "attribute": attribute, "value": value });
        number(&self.administrator.ask(&wanted)?)
    }

    /// Seconds from the acknowledged change of a user's attribute to the first answer of Graph that shows
    /// it as a property; infinitely many when there was none in time.
    ///
    /// # Errors
    /// When one of the two breaks.
    pub fn shows_after(
        &mut self,
        user: &str,
        (attribute, property): (&str, &str),
        value: &str,
    ) -> Result<f64, RoadError> {
        let changed = self.change(&[user.to_owned()], attribute, value)?;
        let mut question = self.question.clone();
        question["user"] = Value::from(format!("{user}@{FOREST_DOMAIN}"));
        question["property"] = Value::from(property);
        question["value"] = Value::from(value);
        let answer = self.reader.ask(&question)?;
        if answer["found"] != true {
            return Ok(f64::INFINITY);
        }
        Ok(number(&answer)? - changed)
    }
}

fn number(answer: &Value) -> Result<f64, RoadError> {
    let number = answer.get("at").and_then(Value::as_f64);
    number.ok_or(RoadError::NoField { what: "an answer", field: "at" })
}
