//! Names and addresses that are another's: set aside, shown, and given back.

use portolan_tenant::feature::Feature;

use super::*;

const BOTH: [Feature; 2] =
    [Feature::QuarantineUponUpnConflict, Feature::QuarantineUponProxyAddressesConflict];

async fn with_quarantine() -> World {
    let world = World::new().await;
    let mut tx = world.service.store().begin(Access::Write).await.unwrap();
    for feature in BOTH {
        tx.put_feature(feature, true).await.unwrap();
    }
    tx.commit().await.unwrap();
    world
}

fn user(anchor: &str, name: &str, addresses: &[&str]) -> Json {
    json!({"op": "upsert", "anchor": anchor, "kind": "user", "attributes": {
        "userPrincipalName": format!("{name}@corp.example"), "accountEnabled": true,
        "proxyAddresses": addresses}})
}

fn delete(anchor: &str) -> Json {
    json!({"op": "delete", "anchor": anchor, "kind": "user"})
}

async fn results(world: &mut World, batch: u32, operations: &[Json]) -> Vec<Json> {
    let batch = json!({"batch": format!("00000000-0000-4000-8000-{batch:012}"),
        "operations": operations});
    let answer = world.ingest(&batch).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["results"].as_array().unwrap().clone()
}

/// What was set aside by each operation, or the word of its refusal.
fn told(results: &[Json]) -> Vec<String> {
    let told = |result: &Json| match (result["code"].as_str(), result["quarantined"].as_array()) {
        (Some(code), _) => code.to_owned(),
        (None, Some(all)) => {
            let values = all.iter().map(|one| one["value"].as_str().unwrap());
            values.collect::<Vec<_>>().join(" ")
        }
        (None, None) => "ok".to_owned(),
    };
    results.iter().map(told).collect()
}

/// The user of an anchor as Graph shows them.
async fn shown(world: &mut World, anchor: &str) -> Json {
    let mut tx = world.service.store().begin(Access::Read).await.unwrap();
    let id = tx.object_by_anchor(&anchor.parse().unwrap()).await.unwrap().unwrap().id;
    drop(tx);
    let token = world.token_with_role("User.Read.All").await;
    let select = "$select=userPrincipalName,proxyAddresses,onPremisesProvisioningErrors";
    world.get_as(&token, &format!("/v1.0/users/{id}?{select}")).await.json()
}

#[tokio::test]
async fn a_name_that_is_taken_is_set_aside_shown_and_given_back() {
    let mut world = with_quarantine().await;
    let wanted = user("second", "bob", &[]);
    let first = results(&mut world, 2, &[user("first", "BOB", &[]), wanted.clone()]).await;
    assert_eq!(told(&first), ["ok", "bob@corp.example"]);
    assert_eq!(first[1]["status"], "ok");
    assert_eq!(first[1]["quarantined"][0]["attribute"], "userPrincipalName");
    let second = shown(&mut world, "second").await;
    let name = second["userPrincipalName"].as_str().unwrap().to_owned();
    let digits = name.strip_prefix("bob+").and_then(|rest| rest.strip_suffix("@cloud.example"));
    let is_number = |digits: &str| digits.len() == 4 && digits.parse::<u16>().is_ok();
    assert!(digits.is_some_and(is_number), "{name}");
    let error = second["onPremisesProvisioningErrors"][0].clone();
    assert_eq!(error["category"], "PropertyConflict");
    assert_eq!(error["propertyCausingError"], "UserPrincipalName");
    assert_eq!(error["value"], "bob@corp.example");
    // The same again is the same: name, and since when.
    world.pass(100);
    assert_eq!(
        told(&results(&mut world, 3, std::slice::from_ref(&wanted)).await),
        ["bob@corp.example"]
    );
    let again = shown(&mut world, "second").await;
    assert_eq!(again, second);
    assert_eq!(told(&results(&mut world, 4, &[delete("first")]).await), ["ok"]);
    let healed = shown(&mut world, "second").await;
    assert_eq!(healed["userPrincipalName"], "bob@corp.example");
    assert_eq!(healed["onPremisesProvisioningErrors"], json!([]));
    assert_eq!(told(&results(&mut world, 5, &[wanted]).await), ["ok"]);
}

#[tokio::test]
async fn an_address_that_is_taken_is_set_aside_and_goes_to_who_waits_longest() {
    let mut world = with_quarantine().await;
    let (common, own) = ("smtp:common@corp.example", "SMTP:own@corp.example");
    let operations = [user("first", "a", &["SMTP:Common@corp.example"]), user("b", "b", &[common])];
    assert_eq!(told(&results(&mut world, 2, &operations).await), ["ok", common]);
    world.pass(1);
    let group = json!({"op": "upsert", "anchor": "g", "kind": "group",
        "attributes": {"displayName": "G", "proxyAddresses": [common]}});
    let third = [user("c", "c", &[own, common]), group];
    assert_eq!(told(&results(&mut world, 3, &third).await), [common, common]);
    let c = shown(&mut world, "c").await;
    assert_eq!(c["proxyAddresses"], json!([own]));
    assert_eq!(c["onPremisesProvisioningErrors"][0]["propertyCausingError"], "ProxyAddress");
    // The holder gives it up; who waited first has it, and the others wait on.
    assert_eq!(told(&results(&mut world, 4, &[user("first", "a", &[])]).await), ["ok"]);
    assert_eq!(shown(&mut world, "b").await["proxyAddresses"], json!([common]));
    assert_eq!(shown(&mut world, "c").await["proxyAddresses"], json!([own]));
    // Whoever does not want it any more does not wait any more.
    results(&mut world, 5, &[user("c", "c", &[own]), delete("b")]).await;
    assert_eq!(shown(&mut world, "c").await["onPremisesProvisioningErrors"], json!([]));
    let mut tx = world.service.store().begin(Access::Read).await.unwrap();
    let group = tx.object_by_anchor(&"g".parse().unwrap()).await.unwrap().unwrap();
    let addresses = portolan_tenant::directory::Value::Texts(vec![common.to_owned()]);
    assert_eq!(group.attributes.value("proxyAddresses"), Some(&addresses));
    drop(tx);
    // Within one batch it is judged by where the batch ends.
    let swap = [user("x", "x", &[own]), user("c", "c", &[])];
    assert_eq!(told(&results(&mut world, 6, &swap).await), ["ok", "ok"]);
    assert_eq!(shown(&mut world, "x").await["proxyAddresses"], json!([own]));
}

#[tokio::test]
async fn without_the_switches_what_is_taken_is_refused_and_the_others_hold() {
    let mut world = World::new().await;
    let address = "SMTP:a@corp.example";
    let operations = [user("a", "a", &[address]), user("b", "b", &[]), user("c", "c", &[address])];
    assert_eq!(told(&results(&mut world, 2, &operations).await), ["ok", "ok", "proxyAddressTaken"]);
    // Two would swap names, but one of them wants what the other has: both keep their names.
    let swap = [user("a", "b", &[address]), user("b", "a", &[address])];
    let refused = told(&results(&mut world, 3, &swap).await);
    assert_eq!(refused, ["userPrincipalNameTaken", "userPrincipalNameTaken"]);
    let swap = [user("a", "b", &[address]), user("b", "a", &[])];
    assert_eq!(told(&results(&mut world, 4, &swap).await), ["ok", "ok"]);
    let crowd =
        [user("d", "d", &["smtp:n@corp.example"]), user("e", "e", &["SMTP:n@corp.example"])];
    assert_eq!(told(&results(&mut world, 5, &crowd).await), ["ok", "proxyAddressTaken"]);
}
