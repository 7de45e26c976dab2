//! Graph's writes of devices: who may, what is unique, whose they are.

use super::graph_writes::{id_of, reference, refused};
use super::*;

const REGISTRAR: [&str; 1] = ["Directory.ReadWrite.All"];
const WRITER: [&str; 1] = ["Device.ReadWrite.All"];
const DEVICE_ID: &str = "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d";

fn device(device_id: &str) -> Json {
    json!({"accountEnabled": true, "deviceId": device_id, "displayName": "PC1",
        "operatingSystem": "Windows", "operatingSystemVersion": "10.0.26100", "deviceVersion": 2,
        "physicalIds": ["[USER-HWID]:x"], "isManaged": true,
        "alternativeSecurityIds": [{"type": 2, "identityProvider": null, "key": "WAA1AA=="}]})
}

async fn ids(world: &mut World, token: &str, path: &str) -> Vec<String> {
    let list = world.get_as(token, &format!("/v1.0{path}")).await.json();
    let all = list["value"].as_array().unwrap_or_else(|| panic!("{list}"));
    all.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_device_is_made_changed_and_deleted() {
    let mut world = World::new().await;
    let token = world.writer(&REGISTRAR).await;
    let made =
        world.graph(&token, Method::POST, "/devices", device(&DEVICE_ID.to_uppercase())).await;
    let id = id_of(&made);
    assert_eq!(made.header("location"), format!("https://{GRAPH}/v1.0/devices/{id}"));
    let mut expected = device(DEVICE_ID);
    expected["@odata.context"] = json!(format!("https://{GRAPH}/v1.0/$metadata#devices/$entity"));
    expected["id"] = json!(id);
    for name in ["isCompliant", "onPremisesSyncEnabled", "trustType"] {
        expected[name] = Json::Null;
    }
    assert_eq!(made.json(), expected);
    let path = format!("/devices(deviceId='{DEVICE_ID}')");
    assert_eq!(world.get_as(&token, &format!("/v1.0{path}")).await.json(), expected);
    let filter = format!("/devices?$filter=deviceId%20eq%20'{DEVICE_ID}'&$select=id");
    assert_eq!(ids(&mut world, &token, &filter).await, std::slice::from_ref(&id));

    let writer = world.writer(&WRITER).await;
    let change = json!({"accountEnabled": false, "isCompliant": true, "isManaged": null});
    assert_eq!(world.graph(&writer, Method::PATCH, &path, change).await.status, 204);
    let shown = world.get_as(&writer, &format!("/v1.0/devices/{id}")).await.json();
    let flags = ["accountEnabled", "isCompliant", "isManaged"].map(|name| shown[name].clone());
    assert_eq!(flags, [json!(false), json!(true), Json::Null]);

    assert_eq!(world.graph(&writer, Method::DELETE, &path, Json::Null).await.status, 204);
    let again = world.graph(&writer, Method::DELETE, &path, Json::Null).await;
    assert_eq!(refused(&again).1, "Request_ResourceNotFound");
    // Its deviceId is free again.
    id_of(&world.graph(&token, Method::POST, "/devices", device(DEVICE_ID)).await);
    let mut tx = world.service.store().begin(Access::Read).await.unwrap();
    let all = portolan_store::tenant::log::Wanted {
        since: None,
        user: None,
        anchor: None,
        count_max: 100,
    };
    let lines = tx.audits(all).await.unwrap();
    let actions: Vec<_> = lines.iter().map(|line| line.action.as_str()).collect();
    let mut expected = ["object.upsert", "object.upsert", "object.delete", "object.upsert"];
    expected.reverse();
    assert_eq!(actions[..4], expected);
}

#[tokio::test]
async fn a_device_id_is_one_devices_alone_and_for_ever() {
    let mut world = World::new().await;
    let token = world.writer(&REGISTRAR).await;
    let id = id_of(&world.graph(&token, Method::POST, "/devices", device(DEVICE_ID)).await);
    let again = world.graph(&token, Method::POST, "/devices", device(DEVICE_ID)).await;
    let sentence = "Another object with the same value for property deviceId already exists.";
    assert_eq!(refused(&again), (400, "Request_BadRequest".to_owned(), sentence.to_owned()));
    assert_eq!(again.json()["error"]["details"][0]["target"], "deviceId");
    let path = format!("/devices/{id}");
    let mut check = async |change: Json, expected: &str| {
        let answer = world.graph(&token, Method::PATCH, &path, change.clone()).await;
        let (status, _, sentence) = refused(&answer);
        assert_eq!(status, 400, "{change}");
        assert!(sentence.contains(expected), "{change}: {sentence}");
    };
    let other = "00000000-0000-4000-8000-000000000001";
    check(json!({"deviceId": other}), "'deviceId' is read-only").await;
    check(json!({"deviceId": null}), "property 'deviceId'").await;
    check(json!({"displayName": null}), "property 'displayName'").await;
    check(json!({"operatingSystem": null}), "property 'operatingSystem'").await;
    check(json!({"alternativeSecurityIds": []}), "property 'alternativeSecurityIds'").await;
    check(json!({"deviceVersion": "2"}), "property 'deviceVersion'").await;
    check(json!({"deviceVersion": 2_147_483_648_u32}), "property 'deviceVersion'").await;
    check(json!({"trustType": "AzureAd"}), "'trustType' is read-only").await;
    check(json!({"userPrincipalName": "x"}), "named 'userPrincipalName'").await;
    for name in ["deviceId", "alternativeSecurityIds", "operatingSystemVersion"] {
        let mut lacking = device(other);
        lacking.as_object_mut().unwrap().remove(name);
        let answer = world.graph(&token, Method::POST, "/devices", lacking).await;
        assert!(refused(&answer).2.contains(&format!("required for property '{name}'")));
    }
}

#[tokio::test]
async fn only_who_may_register_devices_makes_one_or_sets_what_it_proves_itself_by() {
    let mut world = World::new().await;
    let registrar = world.writer(&REGISTRAR).await;
    let id = id_of(&world.graph(&registrar, Method::POST, "/devices", device(DEVICE_ID)).await);
    let path = format!("/devices/{id}");
    let other = device("00000000-0000-4000-8000-000000000001");
    let keys = json!({"alternativeSecurityIds": [{"type": 2, "key": "WAA2AA=="}]});
    let writer = world.writer(&WRITER).await;
    let reader = world.writer(&["Device.Read.All"]).await;
    for (token, method, path, body) in [
        (&writer, Method::POST, "/devices", other),
        (&writer, Method::PATCH, path.as_str(), keys.clone()),
        (&reader, Method::PATCH, path.as_str(), json!({"accountEnabled": false})),
        (&reader, Method::DELETE, path.as_str(), Json::Null),
    ] {
        let answer = world.graph(token, method, path, body).await;
        assert_eq!(refused(&answer).1, "Authorization_RequestDenied");
    }
    assert_eq!(world.graph(&registrar, Method::PATCH, &path, keys).await.status, 204);
    let shown = world.get_as(&reader, &format!("/v1.0{path}")).await.json();
    assert_eq!(shown["alternativeSecurityIds"][0]["key"], "WAA2AA==");
}

#[tokio::test]
async fn owners_and_users_of_a_device_are_users_whoever_their_master_is() {
    let mut world = World::new().await;
    let token = world.writer(&REGISTRAR).await;
    let id = id_of(&world.graph(&token, Method::POST, "/devices", device(DEVICE_ID)).await);
    let alice = world.get_as(&token, &format!("/v1.0/users/{ALICE}")).await.json();
    let alice = alice["id"].as_str().unwrap().to_owned();
    let writer = world.writer(&["Device.ReadWrite.All", "User.Read.All"]).await;
    for set in ["registeredOwners", "registeredUsers"] {
        let by_key = format!("/devices(deviceId='{DEVICE_ID}')/{set}");
        let refs = format!("/devices/{id}/{set}/$ref");
        assert_eq!(world.graph(&writer, Method::POST, &refs, reference(&alice)).await.status, 204);
        let twice = world.graph(&writer, Method::POST, &refs, reference(&alice)).await;
        assert!(refused(&twice).2.contains(&format!("properties: '{set}'")), "{}", twice.text);
        let itself = world.graph(&writer, Method::POST, &refs, reference(&id)).await;
        assert_eq!(refused(&itself).1, "Request_ResourceNotFound", "a device is no user");
        assert_eq!(ids(&mut world, &writer, &by_key).await, std::slice::from_ref(&alice));
        let shown = world.get_as(&writer, &format!("/v1.0{by_key}")).await.json();
        assert_eq!(shown["value"][0]["@odata.type"], "#microsoft.graph.user");
        let gone = format!("{by_key}/{alice}/$ref");
        assert_eq!(world.graph(&writer, Method::DELETE, &gone, Json::Null).await.status, 204);
        let again = world.graph(&writer, Method::DELETE, &gone, Json::Null).await;
        assert_eq!(refused(&again).1, "Request_ResourceNotFound");
    }
}

#[tokio::test]
async fn a_device_of_the_forest_is_written_by_nobody_else_and_matches_one_that_registered() {
    let mut world = World::new().await;
    let token = world.writer(&REGISTRAR).await;
    let id = id_of(&world.graph(&token, Method::POST, "/devices", device(DEVICE_ID)).await);
    let upsert = |anchor: &str, device_id: &str| {
        json!({"op": "upsert", "anchor": anchor, "kind": "device", "attributes":
            {"deviceId": device_id, "displayName": "PC1", "accountEnabled": true}})
    };
    let batch = json!({"batch": "00000000-0000-4000-8000-000000000002", "operations":
        [upsert("pc1", DEVICE_ID), upsert("pc2", DEVICE_ID)]});
    let results = world.ingest(&batch).await.json()["results"].clone();
    assert_eq!((&results[0]["id"], &results[0]["matched"]), (&json!(id), &json!("soft")));
    assert_eq!(results[1]["code"], "deviceIdTaken");
    let path = format!("/devices/{id}");
    let shown = world.get_as(&token, &format!("/v1.0{path}")).await.json();
    assert_eq!(shown["onPremisesSyncEnabled"], true);
    assert_eq!(shown["alternativeSecurityIds"], json!([]), "the forest alone says what it is");
    for (method, path, body) in [
        (Method::PATCH, path.clone(), json!({"accountEnabled": false})),
        (Method::DELETE, path.clone(), Json::Null),
        (Method::POST, format!("{path}/registeredOwners/$ref"), reference(&id)),
    ] {
        let answer = world.graph(&token, method, &path, body).await;
        assert!(refused(&answer).2.contains("on-premises mastered"), "{}", answer.text);
    }
}
