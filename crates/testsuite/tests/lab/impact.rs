//! What still works while a row is closed: the observations behind `portolan chart impact`.
//!
//! They are held against `crates/chart/editions/impact.toml`, which is written anew with `PORTOLAN_RECORD=1`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;

use portolan_chart::Flow;
use portolan_chart::impact::{Function, Reading};
use portolan_testsuite::{ACCOUNT, ACCOUNT_PASSWORD, FOREST_DOMAIN, Outcome, Road};

use crate::incremental::at_the_database;

/// What worked, link by link.
#[derive(Debug, Default)]
pub(crate) struct Impact {
    seen: BTreeMap<(Flow, Reading), BTreeMap<Function, bool>>,
    changes: u32,
    enrolments: u32,
}

/// Whose sign-in is tried: nobody changes his password meanwhile.
const PERSON: (&str, &str) = ("bob@corp.example", "B0b-Pass!word");
/// The state directory of a sync server that plans and never writes.
const PLANNER: &str = "planner";

impl Impact {
    /// With nothing closed, all that is looked at works; otherwise nothing could be said of it.
    pub(crate) fn begin(road: &Road<'_>) -> Self {
        let mut this = Self::default();
        assert!(this.enrols(road, PLANNER), "the planner is not enrolled");
        this.prepare(road);
        let run = road.connect_run().unwrap();
        let works = this.works(road, Reading::Sealed, &run);
        assert!(works.values().all(|works| *works), "{works:?}: {}", run.stderr);
        this
    }

    /// Changes an object and a password of the forest, so that a run has something to bring.
    pub(crate) fn prepare(&mut self, road: &Road<'_>) {
        self.changes += 1;
        let number = self.changes;
        at_the_database(
            road,
            &format!(
                "alice = '(sAMAccountName=alice)'\n\
                 change = ldb.Message(db.search(expression=alice)[0].dn)\n\
                 name = 'Alice {number}'\n\
                 change['n'] = ldb.MessageElement(name, ldb.FLAG_MOD_REPLACE, 'displayName')\n\
                 db.modify(change)\n\
                 db.setpassword(alice, 'Al1ce-Pass!{number}')"
            ),
        );
    }

    /// Looks while a link is closed; `run` is a synchronisation of that time, with something to bring.
    pub(crate) fn look(&mut self, road: &Road<'_>, link: (Flow, Reading), run: &Outcome) {
        let works = self.works(road, link.1, run);
        self.seen.entry(link).or_default().extend(works);
    }

    /// Lets a person sign in while these links are closed, and notes what of it works for each of them.
    pub(crate) fn sign_in(&mut self, road: &Road<'_>, closed: &[Flow]) -> bool {
        let occasion = closed.iter().map(|flow| flow.name()).collect::<Vec<_>>().join("-");
        // What a browser shows of a server that it does not reach ends the script.
        let answer = road.sign_in(&occasion[..occasion.len().min(40)], PERSON.0, PERSON.1);
        let answer = answer.unwrap_or_default();
        let signs_in = answer["account"] == PERSON.0;
        let reads = answer["me"]["status"] == 200 && answer["refreshed"] == true;
        for flow in closed {
            let works = self.seen.entry((*flow, Reading::Sealed)).or_default();
            works.extend([(Function::SignIn, signs_in), (Function::Graph, reads)]);
        }
        signs_in && reads
    }

    /// Holds what was seen against the file, or writes it.
    pub(crate) fn compare(&self) {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../chart/editions/impact.toml");
        let seen = self.file();
        if std::env::var_os("PORTOLAN_RECORD").is_some_and(|value| value == "1") {
            std::fs::write(path, seen).unwrap();
            return;
        }
        let file = std::fs::read_to_string(path).unwrap();
        assert_eq!(file, seen, "the file is written anew with PORTOLAN_RECORD=1");
    }

    fn works(
        &mut self,
        road: &Road<'_>,
        reading: Reading,
        run: &Outcome,
    ) -> BTreeMap<Function, bool> {
        let brought = |before: &str, after: &str| {
            let said = run.stderr.lines().find_map(|line| {
                let (_, rest) = line.split_once(before)?;
                rest.split_once(after)?.0.rsplit(' ').next()?.parse::<u32>().ok()
            });
            said.is_some_and(|count| count > 0)
        };
        let mut works = BTreeMap::from([
            (Function::IncrementalImport, brought("imported ", " changes and ")),
            (Function::Export, brought("exported ", " changed, ")),
            (Function::PasswordHashSync, brought("sent ", " credentials")),
        ]);
        // A server is enrolled, and plans, as it is set up unless told otherwise.
        if reading == Reading::Sealed {
            self.enrolments += 1;
            let state = format!("enrolled-{}", self.enrolments);
            works.insert(Function::Enrolment, self.enrols(road, &state));
            works.insert(Function::Import, imports(road));
        }
        works
    }

    /// Whether a sync server of this state directory is enrolled.
    fn enrols(&self, road: &Road<'_>, state: &str) -> bool {
        let enrolment = road.enrolment().unwrap();
        let password = road.path("account.password");
        assert_eq!(std::fs::read_to_string(&password).unwrap(), ACCOUNT_PASSWORD);
        let mut arguments: Vec<OsString> = ["connect", "init", "--state"].map(Into::into).into();
        arguments.push(road.path(state).into());
        arguments.extend(["--enrol".into(), enrolment.into()]);
        arguments.extend(["--forest", FOREST_DOMAIN, "--account", ACCOUNT].map(OsString::from));
        arguments.extend(["--password-file".into(), password.into()]);
        road.portolan("connect", arguments).unwrap().status.success()
    }

    fn file(&self) -> String {
        let mut text = "\
# What worked in the lab while a link was closed, by all of its transports: which functions need it, and which
# are spared. Written by crates/testsuite/tests/lab/closed_rows.rs with PORTOLAN_RECORD=1; every run compares.
schema = 1
"
        .to_owned();
        for ((flow, reading), works) in &self.seen {
            let list = |wanted: bool| {
                let named = works.iter().filter(|(_, works)| **works == wanted);
                let names: Vec<_> = named.map(|(function, _)| format!("\"{function}\"")).collect();
                names.join(", ")
            };
            let _ = write!(
                text,
                "\n[[observation]]\nflow = \"{flow}\"\nreading = \"{}\"\nneeded_by = [{}]\nspared = [{}]\n",
                reading.name(),
                list(false),
                list(true)
            );
        }
        text
    }
}

/// Whether the planner, which has forgotten everything, reads the forest whole.
fn imports(road: &Road<'_>) -> bool {
    for file in ["connector-space.db", "connector-space.db-wal", "connector-space.db-shm"] {
        let _ = std::fs::remove_file(road.path(PLANNER).join(file));
    }
    let arguments = ["connect", "plan", "--state"].map(OsString::from);
    let arguments = arguments.into_iter().chain([road.path(PLANNER).into()]);
    let plan = road.portolan("connect", arguments).unwrap();
    plan.stderr.lines().any(|line| line.contains("imported ") && line.contains(" users, "))
}
