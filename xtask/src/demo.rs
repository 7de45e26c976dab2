//! `demo`: the main road, end to end, on this machine, told step by step.

use std::collections::BTreeMap;
use std::fs;

use portolan_lab::{Lab, LabName, Options, Step};
use portolan_testsuite::{Outcome, Road, RoadError, Tools};
use serde_json::Value;

use crate::run::{Failed, cargo, on_file, run};
use crate::setup;
use crate::steps::Steps;
use crate::workspace::target;

/// The lab's name: beside it any other may run.
const LAB: &str = "demo";
/// Who signs in, with the password of the forest.
const PERSON: (&str, &str) = ("alice@corp.example", "Al1ce-Pass!");

impl From<RoadError> for Failed {
    fn from(error: RoadError) -> Self {
        Self::new(error.to_string())
    }
}

/// Sets the machine up (if `install`), builds, and goes the road. The lab is taken down at the end
/// unless `keep` says to leave it.
pub(crate) fn all(steps: &mut Steps, install: bool, keep: bool) -> Result<(), Failed> {
    if install {
        setup::all(steps)?;
    }
    steps
        .step("the binary", || run(&mut cargo(&["build", "--locked", "--package", "portolan"])))?;
    let work = target()?.join("demo");
    if work.exists() {
        on_file("empty", &work, fs::remove_dir_all(&work))?;
    }
    let name: LabName = LAB.parse().map_err(|error| Failed::new(format!("{error}")))?;
    let options = Options { name, ..Options::default() };
    let lab = steps.step("a company in namespaces, with a real forest", || {
        let up = Lab::up(&options, &mut say);
        up.map(|(lab, _)| lab.guard()).map_err(|error| Failed::new(error.to_string()))
    })?;
    let mut road = Road::begin(&lab, Tools::of_target(&target()?), &work)?;

    steps.step("tenant: initialised and serving", || {
        road.tenant_up()?;
        println!("   https://login.cloud.example, over Table 2, HTTPS 443/tcp");
        println!("   its revocation list at http://crl.cloud.example, over Table 2, HTTP 80/tcp");
        Ok(())
    })?;
    steps.step("connect: every row checked, enrolled", || tell(&road.connect_up()?))?;
    steps.step("connect: forest to tenant", || tell(&road.connect_run()?.success()?))?;
    let answer = steps.step("ws1: alice signs in with her forest password", || {
        let answer = road.sign_in("alice", PERSON.0, PERSON.1)?;
        show_sign_in(&answer)?;
        Ok(answer)
    })?;
    steps.step("captures: every packet by its row", || show_capture(&lab))?;
    println!("\nScreenshots:");
    for path in answer["screenshots"].as_array().into_iter().flatten() {
        println!("   {}", path.as_str().unwrap_or_default());
    }
    drop(road);
    if keep {
        println!("\nThe lab is up. Look around: portolan lab status --name {LAB}");
        println!("Take it away:               portolan lab down --name {LAB}");
        lab.release();
        return Ok(());
    }
    lab.down().map_err(|error| Failed::new(error.to_string()))
}

/// One step of the lab on its way up.
fn say(step: Step) {
    println!("   {:6.2} s  {}: {}", step.took.as_secs_f64(), step.what, step.detail);
}

/// What connect said: each line with its time and its row.
fn tell(outcome: &Outcome) -> Result<(), Failed> {
    for line in outcome.stderr.lines() {
        println!("   {line}");
    }
    Ok(())
}

fn show_sign_in(answer: &Value) -> Result<(), Failed> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    if answer["account"].as_str() != Some(PERSON.0) {
        return Err(Failed::new(format!("{} was not signed in: {answer:#}", PERSON.0)));
    }
    println!("   in Chromium she sees: {}", text(&answer["account_page"]).replace('\n', " | "));
    let claims = &answer["id_token_claims"];
    println!(
        "   MSAL's ID token: {}, oid {}",
        text(&claims["preferred_username"]),
        text(&claims["oid"])
    );
    println!("   Graph /me: {}", text(&answer["me"]["body"]["displayName"]));
    let users = answer["users"]["body"]["value"].as_array().map_or(0, Vec::len);
    println!("   Graph /users: {users} users");
    println!("   all over errata, HTTPS 443/tcp from the workstation to the tenant");
    Ok(())
}

fn show_capture(lab: &Lab) -> Result<(), Failed> {
    let capture = lab.capture().map_err(|error| Failed::new(error.to_string()))?;
    let mut rows: BTreeMap<(String, String), u64> = BTreeMap::new();
    for row in &capture.rows {
        *rows.entry((row.row.clone(), row.flow.to_string())).or_default() += row.packets;
    }
    for ((row, flow), packets) in rows {
        println!("   {packets:>6} packets  {row:<42} {flow}");
    }
    if capture.off_chart.is_empty() {
        println!("        0 packets  off the chart");
        return Ok(());
    }
    let list: Vec<_> = capture.off_chart.iter().map(ToString::to_string).collect();
    Err(Failed::new(format!("packets off the chart:\n{}", list.join("\n"))))
}
