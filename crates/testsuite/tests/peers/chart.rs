//! `portolan chart` as a program: what it writes, read by xmllint, by the schema of SARIF and by Prometheus'
//! own client; how it ends; and that it stops when it is told to.
//!
//! The one host is a listener of loopback that takes connections and says nothing.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use portolan_chart::Chart;
use serde_json::Value;

use crate::process::{LOOPBACK, free_port, program, run};

const TIME_MAX: Duration = Duration::from_secs(20);

fn variable(name: &str) -> std::ffi::OsString {
    std::env::var_os(name).unwrap_or_else(|| panic!("{name} is not set"))
}

/// `portolan chart`, on a role of whose rows one can be asked on loopback.
fn portolan(arguments: &[&str]) -> Command {
    let mut command = Command::new(variable("PORTOLAN_BINARY"));
    command.arg("chart").args(arguments).stdin(Stdio::null());
    command
}

/// A check whose every question ends soon: nobody listens at any of the row's ports on this address.
fn check(arguments: &[&str]) -> Output {
    let host = format!("tenant=host.cloud.example={LOOPBACK}");
    let common =
        ["check", "--role", "health", "--timeout", "1", "--without", "web-proxy", "--host"];
    portolan(&[&common[..], &[host.as_str()], arguments].concat()).output().unwrap()
}

fn read(kind: &str, path: &Path) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/report_formats.py");
    let mut command = Command::new(variable("PORTOLAN_PEERS_PYTHON"));
    let output = command.arg(script).arg(kind).arg(path).output().unwrap();
    assert!(output.status.success(), "{kind}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_check_says_once_which_rows_are_not_open() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.txt");
    let output = check(&["--report", &format!("text={}", copy.display())]);
    let [shown, error] = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap());
    let summary = error.lines().next().unwrap().strip_prefix("error: ").unwrap();
    assert!(summary.contains(" rows "), "{summary}");
    assert!(!shown.contains(summary), "{shown}");
    // A file has no error below it.
    let copy = std::fs::read_to_string(copy).unwrap();
    assert!(copy.starts_with(&shown[..shown.find(" ms ").unwrap() - 8]), "{copy}");
    assert_eq!(copy.matches(summary).count(), 1, "{copy}");
}

#[test]
fn every_report_of_a_check_is_taken_by_the_readers_of_its_format() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let report = |format: &str, name: &str| format!("{format}={}", path(name).display());
    let reports = [report("junit", "r.xml"), report("sarif", "r.sarif"), report("html", "r.html")];
    let mut arguments = vec!["--json"];
    for report in &reports {
        arguments.extend(["--report", report]);
    }
    let output = check(&arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings: usize = document["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["findings"].as_array().unwrap().len())
        .sum();
    assert!(findings > 0);
    // Nothing is open there: closed rows end with 1, and with 2 when no probe could judge.
    let expected = if document["closed"].as_u64().unwrap() > 0 { 1 } else { 2 };
    assert_eq!(output.status.code(), Some(expected), "{said}");
    assert!(said.starts_with("error: "), "{said}");

    run(program("xmllint").args(["--noout", "--nonet"]).arg(path("r.xml")));
    let counted = program("xmllint")
        .args(["--nonet", "--xpath", "count(//testcase)"])
        .arg(path("r.xml"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&counted.stdout).trim(), findings.to_string());
    assert_eq!(read("sarif", &path("r.sarif"))["results"], findings);
    let page = std::fs::read_to_string(path("r.html")).unwrap();
    assert!(page.contains("<svg ") && !page.contains("<script"));
}

#[test]
fn what_cannot_be_judged_and_what_is_not_right_end_with_two() {
    let status = |arguments: &[&str]| {
        let output = portolan(arguments).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = status(&["check", "--role", "health"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("could not be judged"), "{said}");
    for (arguments, expected) in [
        (&["check", "--role", "clout"][..], "is no role of the chart"),
        (&["check", "--role", "health", "--edition", "1999"], "is no edition of the chart"),
        (&["check", "--role", "health", "--format", "pdf"], "possible values: text, json"),
        (&["check", "--role", "health", "--report", "pdf=x"], "the formats are text, json"),
        (&["check", "--role", "health", "--host", "tenant"], "write ROLE=HOST"),
        (&["check"], "--role"),
    ] {
        let (code, said) = status(arguments);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(expected), "{said}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deployment.toml");
    std::fs::write(&path, "schema = 1\nrole = \"clout\"\n").unwrap();
    let (code, said) = status(&["check", "--deployment", path.to_str().unwrap()]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("line 2, column 8: \"clout\" is no role of the chart"), "{said}");
}

/// A watch that is ended with the test.
struct Watch(Child);

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn what_a_watch_exports_is_read_by_prometheus_own_client_and_it_stops_when_told() {
    let folder = tempfile::tempdir().unwrap();
    // Twice, one right after the other: a restart needs nothing of the run before.
    let port = free_port().await.to_string();
    for _ in 0..2 {
        let host = format!("tenant=host.cloud.example={LOOPBACK}");
        let mut command =
            portolan(&["watch", "--role", "health", "--timeout", "1", "--interval", "1"]);
        command.args(["--without", "web-proxy", "--host", &host, "--listen", &port]);
        let mut watch = Watch(command.stdout(Stdio::piped()).spawn().unwrap());
        let begun = Instant::now();
        let page = loop {
            assert!(begun.elapsed() < TIME_MAX, "no figures");
            assert_eq!(watch.0.try_wait().unwrap(), None, "it runs");
            match get(&port).await {
                Some(page) if page.contains("portolan_chart_verdict{") => break page,
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        };
        let path = folder.path().join("metrics");
        std::fs::write(&path, page).unwrap();
        let families = read("prometheus", &path);
        let verdicts = families["portolan_chart_verdict"]["samples"].as_array().unwrap();
        let rows = Chart::default_edition();
        let flows = rows.all().filter(|row| row.from.name() == "health").count();
        assert!(verdicts.len() + 1 >= flows, "{verdicts:?}");
        for label in ["edition", "row", "flow", "peer", "address", "port", "transport", "verdict"] {
            assert!(verdicts[0]["labels"][label].is_string(), "{label}");
        }
        assert_eq!(families["portolan_chart_verdict"]["type"], "gauge");
        run(Command::new("/bin/kill").args(["-TERM", &watch.0.id().to_string()]));
        let told = Instant::now();
        let status = loop {
            match watch.0.try_wait().unwrap() {
                Some(status) => break status,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
            assert!(told.elapsed() < TIME_MAX, "it does not stop");
        };
        assert!(status.success(), "{status}");
        let said = std::io::read_to_string(watch.0.stdout.take().unwrap()).unwrap();
        assert!(said.contains("is exported") && said.ends_with("ending\n"), "{said}");
    }
}

async fn get(port: &str) -> Option<String> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = format!("{LOOPBACK}:{port}");
    let mut stream = tokio::net::TcpStream::connect(address).await.ok()?;
    let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    Some(answer.split_once("\r\n\r\n")?.1.to_owned())
}
