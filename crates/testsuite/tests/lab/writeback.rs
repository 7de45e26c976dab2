//! What is written back to the forest: shown first, by right alone, and never over another value.

use portolan_lab::plan::ADMINISTRATOR_PASSWORD;
use portolan_testsuite::{Outcome, Road};

use crate::ldif;
use crate::world::World;

const CONSISTENCY_GUID: &str = "ms-ds-consistencyguid";

fn writeback(road: &Road<'_>, arguments: &[&str]) -> Outcome {
    let state = road.path("connect").display().to_string();
    let all = ["connect", "writeback", "--consistency-guid", "--state", &state];
    road.portolan("connect", [&all[..], arguments].concat()).unwrap()
}

/// The objectGUID and the mS-DS-ConsistencyGuid of an account.
fn guids(road: &Road<'_>, account: &str) -> (Vec<u8>, Vec<Vec<u8>>) {
    let filter = format!("(sAMAccountName={account})");
    let asked = ["-b", "DC=corp,DC=example", &filter, "objectGUID", "mS-DS-ConsistencyGuid"];
    let mut entry = ldif::parse(&road.ldapsearch(&asked).unwrap()).remove(0);
    let own = entry["objectguid"][0].clone();
    (own, entry.remove(CONSISTENCY_GUID).unwrap_or_default())
}

#[test]
fn the_anchor_is_written_to_each_person_with_a_right_and_never_over_another_value() {
    let world = World::up("writeback");
    let mut road = world.road();
    road.tenant_up().unwrap();
    road.connect_up().unwrap();
    road.connect_run().unwrap().success().unwrap();

    // The account that reads the forest has no right to write: that is said before anything is tried.
    let planned = writeback(&road, &["--plan"]);
    let (error, hint) = planned.failure();
    let lacking =
        "svc_connect@corp.example lacks the right \"Write Property mS-DS-ConsistencyGuid\" on";
    assert!(error.unwrap().starts_with(lacking), "{}{}", planned.stdout, planned.stderr);
    assert!(hint.unwrap().contains("samba-tool dsacl set"), "{}", planned.stderr);
    assert!(planned.stdout.contains("0 to write, 0 were so before"), "{}", planned.stdout);

    let password = road.path("administrator.password");
    std::fs::write(&password, ADMINISTRATOR_PASSWORD).unwrap();
    let mode: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&password, mode).unwrap();
    let password = password.display().to_string();
    let administrator = ["--account", "Administrator", "--password-file", &password];
    let planned = writeback(&road, &[&["--plan"], &administrator[..]].concat());
    assert_eq!(planned.status.code(), Some(0), "{}{}", planned.stdout, planned.stderr);
    assert!(planned.stdout.contains("CN=Alice"), "{}", planned.stdout);
    assert_eq!(guids(&road, "alice").1, Vec::<Vec<u8>>::new(), "a plan writes nothing");

    // Somebody gives carol another value between the plan and the writing.
    let filter = ["-b", "DC=corp,DC=example", "(sAMAccountName=carol)", "cn"];
    let carol = ldif::text(&ldif::parse(&road.ldapsearch(&filter).unwrap())[0], "dn").unwrap();
    let other = "MDEyMzQ1Njc4OWFiY2RlZg==";
    let change = format!(
        "dn: {carol}\nchangetype: modify\nadd: mS-DS-ConsistencyGuid\nmS-DS-ConsistencyGuid:: {other}\n-\n"
    );
    road.ldapmodify(&change).unwrap();
    let applied = writeback(&road, &[&["--apply"], &administrator[..]].concat());
    assert_eq!(applied.status.code(), Some(0), "{}{}", applied.stdout, applied.stderr);
    let left = format!("left   {carol}: it has another value, which is never written over");
    assert!(applied.stdout.contains(&left), "{}", applied.stdout);
    for account in ["alice", "bob", "heidi"] {
        let (own, written) = guids(&road, account);
        assert_eq!(written, [own], "{account}");
    }
    assert_eq!(guids(&road, "carol").1, [b"0123456789abcdef".to_vec()]);

    let again = writeback(&road, &[&["--apply"], &administrator[..]].concat());
    assert!(
        again.stdout.contains("\n0 written, ") || again.stdout.starts_with("0 written, "),
        "{}",
        again.stdout
    );
    // Nobody's anchor has changed by it: nothing is added or deleted in the tenant.
    let summary = road.connect_run().unwrap().success().unwrap().json().unwrap();
    assert_eq!((&summary["added"], &summary["deleted"]), (&0.into(), &0.into()), "{summary:#}");
}
