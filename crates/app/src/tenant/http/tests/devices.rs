//! Devices and photos.

use portolan_tenant::directory::Photo;
use portolan_tenant::held;

use super::*;

async fn results(world: &mut World, batch: u32, operations: &[Json]) -> Vec<Json> {
    let batch = json!({"batch": format!("00000000-0000-4000-8000-{batch:012}"),
        "operations": operations});
    let answer = world.ingest(&batch).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["results"].as_array().unwrap().clone()
}

fn device(anchor: &str, attributes: &Json) -> Json {
    json!({"op": "upsert", "anchor": anchor, "kind": "device", "attributes": attributes})
}

#[tokio::test]
async fn devices_are_written_listed_and_members_of_groups() {
    let mut world = World::new().await;
    let id = "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d";
    let good = json!({"deviceId": id, "displayName": "PC1", "accountEnabled": true,
        "operatingSystem": "Windows 11", "operatingSystemVersion": "10.0.26100",
        "trustType": "ServerAd"});
    let group = json!({"op": "upsert", "anchor": "g", "kind": "group",
        "attributes": {"displayName": "PCs"}, "members": ["pc1"]});
    let operations = [
        device("pc1", &good),
        device("pc2", &json!({"displayName": "PC2", "accountEnabled": true})),
        device("pc3", &json!({"deviceId": id, "displayName": "PC3"})),
        device("pc4", &json!({"deviceId": "PC4", "accountEnabled": true})),
        device("pc5", &json!({"deviceId": id, "accountEnabled": true, "surname": "x"})),
        group,
    ];
    let results = results(&mut world, 2, &operations).await;
    let codes: Vec<_> =
        results.iter().map(|result| result["code"].as_str().unwrap_or("ok")).collect();
    let missing = "missingAttribute";
    let expected = ["ok", missing, missing, "invalidAttribute", "unknownAttribute", "ok"];
    assert_eq!(codes, expected);
    let token = world.token_with_role("Device.Read.All").await;
    let list = world.get_as(&token, "/v1.0/devices").await.json();
    assert_eq!(list["@odata.context"], "https://graph.cloud.example/v1.0/$metadata#devices");
    let mut expected = good.clone();
    expected["id"] = results[0]["id"].clone();
    expected["onPremisesSyncEnabled"] = json!(true);
    for name in ["alternativeSecurityIds", "physicalIds"] {
        expected[name] = json!([]);
    }
    for name in ["deviceVersion", "isCompliant", "isManaged"] {
        expected[name] = Json::Null;
    }
    assert_eq!(list["value"], json!([expected]));
    let path = format!("/v1.0/devices/{}", results[0]["id"].as_str().unwrap());
    assert_eq!(world.get_as(&token, &path).await.json()["trustType"], "ServerAd");
    let filter = "/v1.0/devices?$filter=displayName%20eq%20'PC1'&$select=deviceId";
    assert_eq!(world.get_as(&token, filter).await.json()["value"][0]["deviceId"], id);
    assert_eq!(world.get_as(&token, "/v1.0/users").await.status, 403);
    let users = world.token_with_role("User.Read.All").await;
    assert_eq!(world.get_as(&users, "/v1.0/devices").await.status, 403);
    let all = world.token_with_role("Directory.Read.All").await;
    let path = format!("/v1.0/groups/{}/members", results[5]["id"].as_str().unwrap());
    let members = world.get_as(&all, &path).await.json();
    assert_eq!(members["value"][0]["@odata.type"], "#microsoft.graph.device");
    assert_eq!(members["value"][0]["displayName"], "PC1");
}

#[tokio::test]
async fn a_photo_is_set_shown_as_what_it_is_and_removed() {
    use base64::Engine as _;
    let mut world = World::new().await;
    // Text and picture at once, since the browser of the tests reads texts.
    let encode = |octets: &[u8]| base64::engine::general_purpose::STANDARD.encode(octets);
    let photo = |photo: Json| json!({"op": "photo", "anchor": "alice", "photo": photo});
    let large = vec![b'a'; 200_000];
    let group = json!({"op": "upsert", "anchor": "g", "kind": "group", "attributes": {}});
    let operations = [
        photo(json!(encode(b"GIF89a of Alice"))),
        photo(json!(encode(b"<script>"))),
        photo(json!(encode(&large))),
        photo(json!("no base64")),
        json!({"op": "photo", "anchor": "nobody", "photo": null}),
        group,
        json!({"op": "photo", "anchor": "g", "photo": null}),
    ];
    let told = results(&mut world, 2, &operations).await;
    let codes: Vec<_> = told.iter().map(|result| result["code"].as_str().unwrap_or("ok")).collect();
    let invalid = "invalidPhoto";
    assert_eq!(codes, ["ok", invalid, invalid, invalid, "unknownAnchor", "ok", "kindMismatch"]);
    // A server that confirms sees by the digest which one it is.
    let picture = Photo::new(b"GIF89a of Alice".to_vec()).unwrap();
    assert_eq!(digest_of_alice(&mut world).await, json!(held::photo(&picture)));
    let token = world.token_with_role("User.Read.All").await;
    let path = format!("/v1.0/users/{ALICE}/photo/$value");
    let shown = world.get_as(&token, &path).await;
    assert_eq!((shown.status, shown.text.as_str()), (200, "GIF89a of Alice"));
    assert_eq!(shown.header("content-type"), "image/gif");
    assert_eq!(shown.header("x-content-type-options"), "nosniff");
    let tokens = world.signed_in().await;
    let own = tokens["access_token"].as_str().unwrap().to_owned();
    assert_eq!(world.get_as(&own, "/v1.0/me/photo/$value").await.status, 200);
    assert_eq!(world.get_as(&own, &path).await.status, 403);
    results(&mut world, 3, &[photo(Json::Null)]).await;
    assert_eq!(world.get_as(&token, &path).await.status, 404);
    // What is deleted has no photo when it comes back.
    results(&mut world, 4, &[photo(json!(encode(b"GIF89a of Alice")))]).await;
    let delete = json!({"op": "delete", "anchor": "alice", "kind": "user"});
    let back = json!({"op": "upsert", "anchor": "alice", "kind": "user", "attributes": {
        "userPrincipalName": ALICE, "accountEnabled": true}});
    results(&mut world, 5, &[delete, back]).await;
    assert_eq!(world.get_as(&token, &path).await.status, 404);
    assert_eq!(digest_of_alice(&mut world).await, Json::Null);
    // An object of which its server knows nothing begins without one, and may get one at once.
    let upsert = |anew: bool| {
        json!({"op": "upsert", "anchor": "alice", "kind": "user", "anew": anew,
            "attributes": {"userPrincipalName": ALICE, "accountEnabled": true}})
    };
    results(&mut world, 6, &[photo(json!(encode(b"GIF89a of Alice"))), upsert(false)]).await;
    assert_eq!(digest_of_alice(&mut world).await, json!(held::photo(&picture)));
    results(&mut world, 7, &[upsert(true)]).await;
    assert_eq!(world.get_as(&token, &path).await.status, 404);
    results(&mut world, 8, &[upsert(true), photo(json!(encode(b"GIF89a of Alice")))]).await;
    assert_eq!(digest_of_alice(&mut world).await, json!(held::photo(&picture)));
}

/// The digest of Alice's photo, as her sync server is told of it.
async fn digest_of_alice(world: &mut World) -> Json {
    let token = world.application_token("connect").await;
    let header = format!("Bearer {token}");
    let headers = [("authorization", header.as_str())];
    let path = "/v1.0/objects?with=content";
    let page = world.send(Method::GET, SYNC, path, &headers, Body::empty()).await.json();
    assert_eq!(page["with_photos"], true, "{page:#}");
    let objects = page["objects"].as_array().unwrap();
    objects.iter().find(|object| object["anchor"] == "alice").unwrap()["photo"].clone()
}
