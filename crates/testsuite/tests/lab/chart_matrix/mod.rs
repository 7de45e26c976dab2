//! The matrix of injected faults: every row of Tables 1 and 2, by each of its transports, under every fault
//! that it can have, and `portolan chart check` has to name that row and that fault, and no other.
//!
//! What is seen is compared with `docs/chart-matrix.md`. With `PORTOLAN_RECORD=1` that page is written
//! anew, and `nmap` and a TCP-connect script look at the same faults beside.

mod cells;
mod checker;
mod fault;
mod impostor;
mod names;
mod page;
mod peers;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use crate::world::World;

use cells::{Cell, Seen};
use checker::{Checker, Report};
use fault::{Fault, Injected, Target};
use impostor::{Impostor, Papers};
use peers::Peers;

#[test]
fn every_fault_of_every_row_is_named_and_a_healthy_lab_has_none() {
    let world = World::up("matrix");
    let mut road = world.road();
    road.tenant_up().unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let papers = Papers::issue(folder.path());
    let checker = Checker::new(&road, &world.lab, (folder.path(), &papers));

    let before = names::frames(&world.lab);
    let healthy = a_healthy_lab_has_no_fault_and_is_judged_as_fast_as_its_slowest_row(&checker);
    let mut strange = names::misnamed(&world.lab, &before, &healthy);
    if !strange.is_empty() {
        // tshark knows some protocols by a number alone, and a client's port is any: that is not so twice.
        let before = names::frames(&world.lab);
        let again = a_healthy_lab_has_no_fault_and_is_judged_as_fast_as_its_slowest_row(&checker);
        let again = names::misnamed(&world.lab, &before, &again);
        strange.retain(|flow, _| again.contains_key(flow));
    }
    assert!(strange.is_empty(), "{strange:#?}");

    let targets = Target::all(&world.lab);
    let is_asked =
        |it: &Target| healthy.asked().contains(&(it.flow.to_string(), it.transport.to_string()));
    assert!(targets.iter().all(is_asked), "{:?}", healthy.asked());
    fault::forget_soon(&world.lab, "dc1");
    let peers = page::is_recorded().then(|| Peers::new(&world, &targets));
    let mut seen = Seen::default();
    for target in &targets {
        let of_packets = |it: &Fault| !Fault::OF_CLOCKS.contains(it) && it.applies(target);
        for fault in Fault::ALL.into_iter().filter(of_packets) {
            let impostor = |kind| {
                let script = world.tools.scripts.join("impostor.py");
                let tools = (world.tools.python.as_path(), script.as_path());
                Impostor::start(&world.lab, tools, &papers, (target.host, kind))
            };
            let _injected = Injected::into(&world.lab, target, (fault, impostor));
            let cell = Cell { injected: vec![target.clone()], fault };
            seen.add(cell, &checker, peers.as_ref());
        }
    }
    for fault in Fault::OF_CLOCKS.iter().copied() {
        world.lab.set_clock("dc1", fault.seconds_fast()).unwrap();
        let injected = targets.iter().filter(|it| fault.applies(it)).cloned().collect();
        seen.add(Cell { injected, fault }, &checker, peers.as_ref());
    }
    world.lab.set_clock("dc1", 0).unwrap();
    seen.is_as_expected();
    let after = checker.check();
    assert_eq!(after.faults(), BTreeMap::new(), "{after:#?}");
    page::compare(&targets, &seen, peers.as_ref());
}

/// How often the timing of a check is measured at most: the machine may be busy with others.
const TRIES: usize = 3;

/// No fault, and an end within 1.5 times the slowest question and a quarter of a second.
fn a_healthy_lab_has_no_fault_and_is_judged_as_fast_as_its_slowest_row(
    checker: &Checker<'_>,
) -> Report {
    let mut said = Vec::new();
    for _ in 0..TRIES {
        let begun = Instant::now();
        let report = checker.check();
        let whole = begun.elapsed();
        assert_eq!(report.faults(), BTreeMap::new(), "{report:#?}");
        let bound = report.slowest() * 3 / 2 + Duration::from_millis(250);
        eprintln!(
            "a healthy role: {:?}, the slowest question {:?}, the process {whole:?}",
            report.elapsed(),
            report.slowest()
        );
        if report.elapsed() <= bound {
            return report;
        }
        said.push((report.elapsed(), bound));
    }
    panic!("never within the bound: {said:?}");
}
