//! The forest inside TLS, and one controller that falls silent.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;

use portolan_testsuite::{ACCOUNT, ACCOUNT_PASSWORD, FOREST_DOMAIN, Outcome, Road};

use crate::world::World;

/// `connect init` for LDAP inside TLS, with the password bound there: Samba refuses Kerberos.
fn init(road: &Road<'_>) -> Outcome {
    let enrolment = road.enrolment().unwrap();
    let password = road.path("tls.password");
    std::fs::write(&password, ACCOUNT_PASSWORD).unwrap();
    let only_owner = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&password, only_owner).unwrap();
    let tls = ["--ldaps", "--ca", portolan_lab::plan::FOREST_CA, "--simple-bind"];
    let mut arguments = vec!["connect".into(), "init".into(), "--state".into()];
    arguments.push(road.path("connect").into_os_string());
    arguments.extend(["--enrol".into(), enrolment.into_os_string()]);
    arguments.extend(["--forest", FOREST_DOMAIN, "--account", ACCOUNT].map(OsString::from));
    arguments.extend(["--password-file".into(), password.into_os_string()]);
    arguments.extend(tls.map(OsString::from));
    road.portolan("connect", arguments).unwrap()
}

/// When a step was said, in seconds from the beginning.
fn moment(said: &str, step: &str) -> f64 {
    let line = said.lines().find(|line| line.contains(step));
    let line = line.unwrap_or_else(|| panic!("no {step:?} in {said}"));
    line.trim_start().split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_silent_controller_is_left_within_two_seconds_and_certificates_are_held_against_the_list() {
    let world = World::with_two_controllers("reach");
    let mut road = world.road();
    road.tenant_up().unwrap();
    init(&road).success().unwrap();
    let whole = road.connect_run().unwrap().success().unwrap();
    assert!(whole.stderr.contains("inside TLS"), "{}", whole.stderr);

    for (silent, left) in [("dc1", "dc2"), ("dc2", "dc1")] {
        world.lab.silence(silent).unwrap();
        let run = road.connect_run().unwrap().success().unwrap();
        let took = moment(&run.stderr, &format!("bound to {left}.{FOREST_DOMAIN} inside TLS"));
        eprintln!("{silent} is silent: {left} is bound {took} s after the beginning");
        assert!(took < 2.0, "{}", run.stderr);
        assert!(world.lab.unsilence(silent).unwrap());
    }

    world.lab.stop_revocation_lists().unwrap();
    let outcome = road.connect_run().unwrap();
    let (error, hint) = outcome.failure();
    let error = error.unwrap();
    assert!(error.contains("Table 1, LDAP/SSL 636/tcp"), "{error}");
    assert!(error.contains("Errata, HTTP 80/tcp is refused"), "{error}");
    assert!(hint.unwrap().contains("Errata, HTTP 80/tcp"), "{error}");
    world.lab.start_revocation_lists().unwrap();

    for controller in ["dc1", "dc2"] {
        world.lab.revoke_certificate(controller).unwrap();
    }
    let outcome = road.connect_run().unwrap();
    let (error, _) = outcome.failure();
    assert!(error.as_ref().unwrap().contains("its issuer revoked it"), "{error:?}");
}
