//! A tenant and a sync server in a lab, run by this very binary as an operator runs it.

use std::fs::File;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use portolan_lab::{Lab, plan};
use serde_json::Value;

use super::person::{Line, Question};
use super::story::{Step, Story};
use crate::report::Failure;

/// The service account with which connect reads the forest; its keys are on connect's host.
const ACCOUNT: &str = "svc_connect";
/// How long the daemon may take to have read all password hashes.
const DAEMON_TIME_MAX: Duration = Duration::from_secs(60);

/// The company. Its files are in a folder of the lab's, and go with it.
#[derive(Debug)]
pub(super) struct Company<'lab> {
    lab: &'lab Lab,
    program: PathBuf,
    work: PathBuf,
    running: Vec<Child>,
    tenant: String,
    client: String,
}

/// How a program ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// How a synchronisation ended.
#[derive(Debug)]
pub(super) struct Synchronised {
    /// What it did, with its own times.
    pub(super) steps: Vec<Step>,
    /// Its `error:` line, when it failed.
    pub(super) error: Option<String>,
}

/// How a person's attempt ended.
#[derive(Debug)]
pub(super) enum Attempt {
    /// Let in, under this name.
    SignedIn(String),
    /// Refused by the page, in these words.
    Refused(String),
    /// Not come as far as the page.
    Failed(String),
}

impl<'lab> Company<'lab> {
    /// Makes a tenant, serves it, and enrols a sync server. What an earlier scenario left is taken away.
    pub(super) fn found(lab: &'lab Lab, story: &mut Story) -> Result<Self, Failure> {
        let program = std::env::current_exe()
            .map_err(|error| Failure::because("cannot find this program's own file", &error))?;
        let work = lab.status()?.directory.join("scenario");
        let io = |error| Failure::because(&format!("cannot make {}", work.display()), &error);
        if work.exists() {
            std::fs::remove_dir_all(&work).map_err(io)?;
        }
        std::fs::create_dir_all(&work).map_err(io)?;
        let (tenant, client) = (String::new(), String::new());
        let mut company = Self { lab, program, work, running: Vec::new(), tenant, client };
        company.make_tenant()?;
        let domain = plan::TENANT_DOMAIN;
        story.tell("tenant", None, format!("made the tenant {} ({domain})", company.tenant));
        company.serve()?;
        story.tell("tenant", None, "serves sign-in, Graph, ingest and its revocation list");
        let since = story.elapsed().as_secs_f64();
        let enrolled = company.enrol()?;
        story.relay(since, &enrolled.stderr);
        Ok(company)
    }

    /// The lab.
    pub(super) fn lab(&self) -> &'lab Lab {
        self.lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.work.join(name)
    }

    fn make_tenant(&mut self) -> Result<(), Failure> {
        let (domain, verified) = (plan::TENANT_DOMAIN, plan::FOREST_DOMAIN);
        self.tenant_does(&["init"], &["--domain", domain, "--verified-domain", verified])?;
        let status = self.tenant_does(&["status"], &["--json"])?;
        self.tenant = field(&status, "tenant_id")?;
        let application = ["--name", "Timesheets", "--redirect-uri", "http://localhost"];
        let scopes = ["--scope", "User.Read", "--json"];
        let added = self.tenant_does(&["app", "add"], &[&application[..], &scopes[..]].concat())?;
        self.client = field(&added, "client_id")?;
        Ok(())
    }

    fn tenant_does(&self, verb: &[&str], options: &[&str]) -> Result<String, Failure> {
        let mut command = self.command("tenant", &["tenant"])?;
        command.args(verb).arg("--data").arg(self.path("tenant")).args(options);
        Ok(success(run(command, None)?)?.stdout)
    }

    fn serve(&mut self) -> Result<(), Failure> {
        let mut command = self.command("tenant", &["tenant", "serve", "--data"])?;
        command.arg(self.path("tenant"));
        let log = self.path("tenant.log");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file(&log)?);
        let mut child = spawn(&mut command)?;
        let lines = child.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines);
        self.running.push(child);
        for line in lines {
            let line =
                line.map_err(|error| Failure::because("cannot read the tenant's words", &error))?;
            if line.starts_with("ready") {
                return Ok(());
            }
        }
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        Err(Failure::new(format!("the tenant does not serve: {}", said.trim())).with_hint(
            "another tenant may serve on that host: `portolan lab down` ends all of them",
        ))
    }

    fn enrol(&self) -> Result<Ended, Failure> {
        let enrolment = self.path("enrolment.json");
        let mut enrol = self.command("tenant", &["tenant", "enrol", "--data"])?;
        enrol.arg(self.path("tenant")).arg("--out").arg(&enrolment);
        success(run(enrol, None)?)?;
        let mut init = self.command("connect", &["connect", "init", "--state"])?;
        init.arg(self.path("connect")).arg("--enrol").arg(&enrolment);
        init.args(["--forest", plan::FOREST_DOMAIN, "--account", ACCOUNT]);
        init.args(["--keytab", plan::SERVICE_KEYTAB]);
        success(run(init, None)?)
    }

    /// Synchronises once. That it fails is for the scenario to judge.
    pub(super) fn synchronise(&self, story: &mut Story) -> Result<Synchronised, Failure> {
        let mut command = self.command("connect", &["connect", "run", "--once", "--state"])?;
        command.arg(self.path("connect"));
        let since = story.elapsed().as_secs_f64();
        let ended = run(command, None)?;
        let steps = story.relay(since, &ended.stderr);
        let error = ended.error();
        if let Some(error) = &error {
            story.tell("connect", None, format!("error: {error}"));
        }
        Ok(Synchronised { steps, error })
    }

    /// Synchronises once, and fails unless that succeeds.
    pub(super) fn must_synchronise(&self, story: &mut Story) -> Result<Vec<Step>, Failure> {
        let Synchronised { steps, error } = self.synchronise(story)?;
        match error {
            None => Ok(steps),
            Some(error) => Err(Failure::new(format!("the synchronisation failed: {error}"))),
        }
    }

    /// Starts connect as it runs every day, and waits until it has read all password hashes.
    pub(super) fn synchronise_from_now_on(&mut self, story: &mut Story) -> Result<(), Failure> {
        /// What it says then.
        const READ: &str = "with a password in scope";
        let mut command = self.command("connect", &["connect", "run", "--state"])?;
        let log = self.path("connect.log");
        command.arg(self.path("connect")).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(file(&log)?);
        let since = story.elapsed();
        self.running.push(spawn(&mut command)?);
        loop {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            if said.contains(READ) {
                story.relay(since.as_secs_f64(), &said);
                return Ok(());
            }
            if story.elapsed() > since + DAEMON_TIME_MAX {
                return Err(Failure::new(format!("connect does not come to it: {}", said.trim())));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A person at a desk tries to sign in.
    pub(super) fn sign_in(
        &self,
        (user, password): (&str, &str),
        story: &mut Story,
    ) -> Result<Attempt, Failure> {
        let question = Question {
            domain: plan::TENANT_DOMAIN.to_owned(),
            tenant: self.tenant.clone(),
            client: self.client.clone(),
            ca: self.path("tenant").join("ca.pem"),
            user: format!("{user}@{}", plan::FOREST_DOMAIN),
            password: password.to_owned(),
        };
        let question = serde_json::to_string(&question)
            .map_err(|error| Failure::because("cannot ask", &error))?;
        let since = story.elapsed().as_secs_f64();
        let ended = run(self.command("ws1", &["lab", "person"])?, Some(&question))?;
        let mut attempt = None;
        for line in ended.stdout.lines() {
            let line = serde_json::from_str(line)
                .map_err(|error| Failure::because("the person's words are not right", &error))?;
            match line {
                Line::Step { at, row, what } => {
                    story.tell_at(since + at, "ws1", Some(&row), what);
                }
                Line::SignedIn { name } => attempt = Some(Attempt::SignedIn(name)),
                Line::Refused { words } => attempt = Some(Attempt::Refused(words)),
            }
        }
        let error = || ended.error().unwrap_or_else(|| "no word on the end".to_owned());
        let attempt = attempt.unwrap_or_else(|| Attempt::Failed(error()));
        let told = match &attempt {
            Attempt::SignedIn(name) => format!("{user} is signed in as {name}"),
            Attempt::Refused(words) => format!("{user} is not let in: {words}"),
            Attempt::Failed(error) => format!("error: {error}"),
        };
        story.tell("ws1", None, told);
        Ok(attempt)
    }

    /// An administrator at dc1 sets a password.
    pub(super) fn set_password(&self, user: &str, password: &str) -> Result<(), Failure> {
        let mut command = self.lab.command("dc1", "samba-tool")?;
        command.args(["user", "setpassword", user, "--newpassword", password]);
        command.args(["-s", plan::FOREST_CONFIG]);
        success(run(command, None)?).map(drop)
    }

    /// This program on a host.
    fn command(&self, host: &str, words: &[&str]) -> Result<Command, Failure> {
        let mut command = self.lab.command(host, &self.program)?;
        command.args(words);
        Ok(command)
    }
}

impl Drop for Company<'_> {
    fn drop(&mut self) {
        for child in &mut self.running {
            // What is left of it ends with the lab.
            let _ = portolan_lab::end_inside(child);
        }
    }
}

impl Ended {
    /// The `error:` line of a program that failed.
    fn error(&self) -> Option<String> {
        if self.status.success() {
            return None;
        }
        let line = self.stderr.lines().find_map(|line| line.strip_prefix("error: "));
        Some(line.unwrap_or(self.stderr.trim()).to_owned())
    }
}

fn success(ended: Ended) -> Result<Ended, Failure> {
    match ended.error() {
        None => Ok(ended),
        Some(error) => Err(Failure::new(format!("a step on the way failed: {error}"))),
    }
}

fn spawn(command: &mut Command) -> Result<Child, Failure> {
    command.spawn().map_err(|error| Failure::because("cannot run a program in a host", &error))
}

fn run(mut command: Command, input: Option<&str>) -> Result<Ended, Failure> {
    let io = |error| Failure::because("cannot run a program in a host", &error);
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        // Who ends without reading says why by itself.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(io)?;
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    Ok(Ended { status: output.status, stdout, stderr })
}

fn file(path: &Path) -> Result<File, Failure> {
    File::create(path)
        .map_err(|error| Failure::because(&format!("cannot write {}", path.display()), &error))
}

fn field(answer: &str, name: &str) -> Result<String, Failure> {
    let answer: Value = serde_json::from_str(answer)
        .map_err(|error| Failure::because("the tenant's answer is no JSON", &error))?;
    let text = answer.get(name).and_then(Value::as_str).map(str::to_owned);
    text.ok_or_else(|| Failure::new(format!("the tenant's answer has no {name}")))
}
