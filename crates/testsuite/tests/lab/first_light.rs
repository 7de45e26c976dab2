//! The whole road, once, with every witness: from the forest to a person's browser.

use portolan_chart::{Flow, flow};
use portolan_legacy_crypto::NtHash;
use portolan_testsuite::{ACCOUNT_PASSWORD, Road, Stopwatch};
use serde_json::Value;

use crate::holdings::{Forest, Tenant, connector_space_equals};
use crate::ldif::text;
use crate::world::World;

/// Rows that a synchronisation and a sign-in must have used.
const USED: [Flow; 8] = [
    flow::CONNECT_AD_DNS,
    flow::CONNECT_AD_KERBEROS,
    flow::CONNECT_AD_EPM,
    flow::CONNECT_AD_RPC,
    flow::CONNECT_AD_LDAP,
    flow::CONNECT_TENANT_CRL,
    flow::CONNECT_TENANT_SYNC,
    flow::WORKSTATION_TENANT_HTTPS,
];

/// Accounts of the lab's forest, with the passwords they have there.
const ALICE: (&str, &str) = ("alice@corp.example", "Al1ce-Pass!");
const CAROL_WHO_IS_DISABLED: (&str, &str) = ("carol@corp.example", "Car0l-Pass!");

#[test]
fn a_forest_reaches_the_tenant_whole_and_its_people_sign_in_over_the_chart_alone() {
    let world = World::up("light");
    let mut road = world.road();
    road.tenant_up().unwrap();
    road.connect_up().unwrap();
    let summary = road.connect_run().unwrap().success().unwrap().json().unwrap();
    assert_eq!(summary["refused"], serde_json::json!([]));

    alice_signs_in(&road);
    a_wrong_password_is_refused(&road);
    a_disabled_person_is_refused(&road);

    let forest = Forest::read(&road);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(connector_space_equals(&road, &forest));
    let tenant = runtime.block_on(Tenant::read(&road));
    tenant.equals(&forest);
    let hashes = tenant.credentials_equal(&forest, &road.hashes_by_samba().unwrap());
    only_people_in_scope_were_opened(&summary, &tenant, &hashes);

    a_second_run_changes_nothing(&road);
    on_the_chart_and_never_in_clear(&world, &forest, &hashes, &USED);
    no_secret_lies_in_a_file(&road, &hashes);
}

fn alice_signs_in(road: &Road<'_>) {
    let answer = road.sign_in("alice", ALICE.0, ALICE.1).unwrap();
    assert_eq!(answer["account"], ALICE.0, "{answer:#}");
    assert_eq!(answer["id_token_claims"]["preferred_username"], ALICE.0);
    assert_eq!(answer["me"]["status"], 200);
    assert_eq!(answer["me"]["body"]["userPrincipalName"], ALICE.0);
    assert_eq!(answer["me"]["body"]["id"], answer["id_token_claims"]["oid"]);
    assert_eq!(answer["me"]["body"]["displayName"], "Alice Ångström");
    assert_eq!(answer["refreshed"], true, "{}", answer["refresh_error"]);
    assert!(answer["account_page"].as_str().unwrap().contains("Alice Ångström"));
    let users = answer["users"]["body"]["value"].as_array().unwrap();
    assert!(users.iter().any(|user| user["userPrincipalName"] == "frank@corp.example"));
    for path in answer["screenshots"].as_array().unwrap() {
        let png = std::fs::read(path.as_str().unwrap()).unwrap();
        assert!(png.starts_with(b"\x89PNG"), "{path} is a picture");
    }
}

/// What a person is told when they are not let in.
fn refusal(answer: &Value) -> String {
    assert_eq!(answer["account"], Value::Null, "{answer:#}");
    answer["alert"].as_str().unwrap_or_else(|| panic!("no alert in {answer:#}")).to_owned()
}

fn a_wrong_password_is_refused(road: &Road<'_>) {
    let wrong = refusal(&road.sign_in("wrong", ALICE.0, "not her password").unwrap());
    let unknown = refusal(&road.sign_in("unknown", "nobody@corp.example", "x").unwrap());
    let sentence = |alert: &str| alert.lines().next().unwrap_or_default().to_owned();
    assert_eq!(sentence(&wrong), sentence(&unknown), "nobody learns which names exist");
    assert!(sentence(&wrong).contains("password"), "{wrong}");
}

fn a_disabled_person_is_refused(road: &Road<'_>) {
    let (user, password) = CAROL_WHO_IS_DISABLED;
    let right = refusal(&road.sign_in("disabled", user, password).unwrap());
    assert!(right.to_lowercase().contains("disabled"), "{right}");
    let wrong = refusal(&road.sign_in("disabled-wrong", user, "not her password").unwrap());
    assert!(!wrong.to_lowercase().contains("disabled"), "only who knows the password learns it");
}

fn a_second_run_changes_nothing(road: &Road<'_>) {
    let summary = road.connect_run().unwrap().success().unwrap().json().unwrap();
    for count in ["added", "updated", "deleted"] {
        assert_eq!(summary[count], 0, "{count}: {summary:#}");
    }
    assert_eq!(summary["credentials"]["sent"], 0, "{summary:#}");
}

#[test]
fn a_day_of_the_daemon_shows_no_name_and_no_hash_sealed_or_inside_tls() {
    let world = World::with_two_controllers("day");
    let mut road = world.road();
    road.tenant_up().unwrap();
    road.connect_up().unwrap();
    let mut gone = vec![nt_hash(ALICE.1)];
    let mut stopwatch = Stopwatch::begin(&road).unwrap();
    let mut old = ALICE.1.to_owned();
    for (at, channel) in ["all that follows is sealed", "inside TLS"].into_iter().enumerate() {
        if at > 0 {
            road.read_inside_tls().unwrap();
        }
        let mut daemon = road.connect_daemon(&["--interval", "1"]).unwrap();
        daemon.wait_for("exported", 1).unwrap();
        let said = daemon.wait_for("bound to DRSUAPI", 1).unwrap();
        assert!(said.contains(channel), "{said}");
        if at == 0 {
            // Everybody's: a change that came in between would go with them.
            daemon.wait_for("credentials (PPH1_MD4)", 1).unwrap();
        }
        let new = format!("{}-{at}", ALICE.1);
        let changed = stopwatch.change("alice", &old, &new).unwrap();
        assert!(changed.seconds.is_some() && !changed.old_admitted, "{}", daemon.said());
        old = new;
        gone.push(nt_hash(&old));
        let given = format!("--given-name=Nina {at}");
        let nina = [&format!("nina{at}"), "N1na-Pass!word", &given, "--surname=Ñandú"];
        let create = [&["user", "create"][..], &nina].concat();
        road.samba_tool(&create).unwrap().success().unwrap();
        daemon.wait_for("exported 1 new", 1).unwrap();
        // Alice's, and the new person's.
        daemon.wait_for("sent 1 credentials", 2).unwrap();
        let (status, said) = daemon.stop().unwrap();
        assert!(status.success(), "{status}: {said}");
    }
    let forest = Forest::read(&road);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tenant = runtime.block_on(Tenant::read(&road));
    tenant.equals(&forest);
    let mut hashes = tenant.credentials_equal(&forest, &road.hashes_by_samba().unwrap());
    hashes.append(&mut gone);
    let of_tls = [flow::CONNECT_AD_LDAPS, flow::CONNECT_FOREST_CRL];
    on_the_chart_and_never_in_clear(&world, &forest, &hashes, &[&USED[..], &of_tls].concat());
}

fn nt_hash(password: &str) -> Vec<u8> {
    NtHash::from_password(password).expose().to_vec()
}

/// Nothing was off the chart, these rows were used, and in all packets there is no name of the forest,
/// no password and no hash; so also none on 389 behind the bind.
fn on_the_chart_and_never_in_clear(
    world: &World,
    forest: &Forest,
    hashes: &[Vec<u8>],
    used: &[Flow],
) {
    let capture = world.lab.capture().unwrap();
    assert!(capture.off_chart.is_empty(), "{:#?}", capture.off_chart);
    for flow in used {
        assert!(capture.packets(*flow) > 0, "{flow} was not used");
    }
    let mut needles: Vec<Vec<u8>> = hashes.to_vec();
    needles.extend(hashes.iter().flat_map(|hash| {
        let digits = hex::encode(hash);
        [digits.to_uppercase().into_bytes(), digits.into_bytes()]
    }));
    for entry in forest.entries.values() {
        // Accounts that ask are named to the KDC in clear, also by controllers among themselves; that is
        // Kerberos.
        let account = text(entry, "samaccountname").unwrap_or_default();
        if account == portolan_testsuite::ACCOUNT || account.ends_with('$') {
            continue;
        }
        for name in ["dn", "displayname", "mail", "userprincipalname", "description", "objectsid"] {
            needles.extend(entry.get(name).into_iter().flatten().cloned());
        }
    }
    for (_, password) in [ALICE, CAROL_WHO_IS_DISABLED, ("", ACCOUNT_PASSWORD)] {
        needles.push(password.as_bytes().to_vec());
        needles.push(password.encode_utf16().flat_map(u16::to_le_bytes).collect());
    }
    let hits = capture.search(&needles, &[]);
    let shown: Vec<_> =
        hits.iter().map(|hit| (String::from_utf8_lossy(&needles[hit.needle]), hit)).collect();
    assert!(shown.is_empty(), "in clear on the wire: {shown:#?}");
    // The search finds what is there: the realm is in every Kerberos message.
    assert!(!capture.search(&[b"CORP.EXAMPLE".to_vec()], &[flow::CONNECT_AD_KERBEROS]).is_empty());
}

/// Of krbtgt, the computers, the inetOrgPerson and whoever else is out of scope, hashes came and were
/// dropped as they came.
fn only_people_in_scope_were_opened(summary: &Value, tenant: &Tenant, hashes: &[Vec<u8>]) {
    let credentials = &summary["credentials"];
    let (opened, all) = (tenant.credentials(), hashes.len());
    assert_eq!(credentials["hashes"], opened, "{credentials:#}");
    assert_eq!(credentials["unopened"], all - opened, "{credentials:#}");
    assert!(all - opened >= 3, "krbtgt, dc1 and trent at least");
}

/// Neither an NT hash nor the service account's password is in what connect and the tenant keep, nor in
/// what connect said.
pub(crate) fn no_secret_lies_in_a_file(road: &Road<'_>, hashes: &[Vec<u8>]) {
    let folders = ["connect", "tenant"].map(|folder| std::fs::read_dir(road.path(folder)).unwrap());
    let kept = folders.into_iter().flatten().map(|entry| entry.unwrap().path());
    let logs = ["connect.log", "tenant.log"].map(|log| road.path(log));
    let files: Vec<_> = kept.chain(logs).filter(|path| path.exists()).collect();
    for path in &files {
        let octets = std::fs::read(path).unwrap();
        let holds = |needle: &[u8]| octets.windows(needle.len()).any(|window| window == needle);
        for hash in hashes {
            let digits = hex::encode(hash);
            assert!(!holds(hash) && !holds(digits.as_bytes()), "{}", path.display());
            assert!(!holds(digits.to_uppercase().as_bytes()), "{}", path.display());
        }
        assert!(!holds(ACCOUNT_PASSWORD.as_bytes()), "{}", path.display());
    }
    assert!(files.len() >= 5, "the state of both was looked at, and a log: {files:?}");
}
