//! What was asked of a Graph and what it answered, one exchange a line: to see what went over the wire. The
//! requests of a batch stand each for itself. No token and no password is written.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde_json::{Value as Json, json};

use crate::report::Failure;

/// What stands in place of a password.
const HIDDEN: &str = "(hidden)";

/// A file of exchanges, which its owner alone reads.
#[derive(Debug)]
pub(super) struct Record {
    file: File,
    /// The batches that are not answered yet.
    asked: HashMap<u64, Json>,
}

impl Record {
    /// Begins a file. One that is there stays.
    pub(super) fn begin(path: &Path) -> Result<Self, Failure> {
        let mut options = File::options();
        let file = options.write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|error| {
            Failure::because(&format!("cannot begin the record {}", path.display()), &error)
        })?;
        Ok(Self { file, asked: HashMap::new() })
    }

    /// A batch is about to be sent. Its passwords are not kept until it is answered.
    pub(super) fn asked(&mut self, batch: u64, body: &[u8]) {
        let Ok(mut asked) = serde_json::from_slice::<Json>(body) else { return };
        let requests = asked["requests"].as_array_mut().into_iter().flatten();
        requests.for_each(|request| hide_password(&mut request["body"]));
        self.asked.insert(batch, asked);
    }

    /// A batch was lost: nobody will answer it.
    pub(super) fn lost(&mut self, batch: u64) {
        self.asked.remove(&batch);
    }

    /// A batch was answered.
    pub(super) fn answered(&mut self, batch: u64, body: &[u8]) -> Result<(), Failure> {
        let Some(asked) = self.asked.remove(&batch) else { return Ok(()) };
        let answer: Json = serde_json::from_slice(body).unwrap_or_default();
        for request in list(&asked, "requests") {
            let of_it = |answer: &&Json| answer["id"] == request["id"];
            let Some(answer) = list(&answer, "responses").iter().find(of_it) else { continue };
            let exchange = json!({
                "method": request["method"],
                "path": request["url"],
                "request": request["body"],
                "status": answer["status"],
                "response": answer["body"],
            });
            writeln!(self.file, "{exchange}")
                .map_err(|error| Failure::because("cannot write the record", &error))?;
        }
        Ok(())
    }
}

fn list<'a>(of: &'a Json, name: &str) -> &'a [Json] {
    of[name].as_array().map_or(&[], Vec::as_slice)
}

fn hide_password(body: &mut Json) {
    if let Some(password) = body.pointer_mut("/passwordProfile/password") {
        *password = Json::from(HIDDEN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_of_a_batch_stands_with_its_answer_and_without_its_password() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record");
        let mut record = Record::begin(&path).unwrap();
        let body = json!({"displayName": "Ann", "passwordProfile": {"password": "Geheim-1"}});
        let requests = json!({"requests": [
            {"id": "1", "method": "POST", "url": "/users", "body": body},
            {"id": "2", "method": "DELETE", "url": "/users/7"},
        ]});
        record.asked(5, requests.to_string().as_bytes());
        let answers = json!({"responses": [
            {"id": "2", "status": 204}, {"id": "1", "status": 201, "body": {"id": "8"}},
        ]});
        record.answered(5, answers.to_string().as_bytes()).unwrap();
        record.answered(5, b"{}").unwrap();
        let told = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<Json> =
            told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["request"]["passwordProfile"]["password"], HIDDEN);
        assert_eq!((&lines[0]["response"]["id"], &lines[1]["status"]), (&json!("8"), &json!(204)));
        assert!(!told.contains("Geheim"), "{told}");
        assert!(Record::begin(&path).is_err(), "a file that is there stays");
    }
}
