//! Attributes that an administrator added to the schema.

use portolan_tenant::directory::{DataType, Definition, Kind};

use super::*;

/// Adds an extension to users, and gives its whole name.
async fn add(world: &World, name: &str, data_type: DataType, is_list: bool) -> String {
    let name = Definition::whole_name(world.service.tenant().id, name).unwrap();
    let kinds = vec![Kind::User];
    let definition = Definition { name: name.clone(), data_type, is_list, kinds };
    let mut tx = world.service.store().begin(Access::Write).await.unwrap();
    assert!(tx.add_extension(&definition).await.unwrap());
    assert!(!tx.add_extension(&definition).await.unwrap(), "once");
    tx.commit().await.unwrap();
    name
}

async fn code(world: &mut World, batch: u32, kind: &str, extensions: &[(&str, Json)]) -> String {
    let mut attributes = match kind {
        "user" => json!({"userPrincipalName": ALICE, "accountEnabled": true}),
        _ => json!({"displayName": "G"}),
    };
    for (name, value) in extensions {
        attributes[*name] = value.clone();
    }
    let anchor = if kind == "user" { "alice" } else { "g" };
    let batch = json!({"batch": format!("00000000-0000-4000-8000-{batch:012}"), "operations": [
        {"op": "upsert", "anchor": anchor, "kind": kind, "attributes": attributes}]});
    let answer = world.ingest(&batch).await.json();
    answer["results"][0]["code"].as_str().unwrap_or("ok").to_owned()
}

#[tokio::test]
async fn extensions_are_written_as_they_are_registered_and_shown_when_selected() {
    let mut world = World::new().await;
    let text = add(&world, "division", DataType::Text, false).await;
    let number = add(&world, "badge", DataType::Integer, false).await;
    let flag = add(&world, "remote", DataType::Flag, false).await;
    let time = add(&world, "joined", DataType::Time, false).await;
    let octets = add(&world, "token", DataType::Octets, false).await;
    let list = add(&world, "skills", DataType::Text, true).await;
    let values = [
        (text.as_str(), json!("Research")),
        (&number, json!(-9_007_199_254_740_993_i64)),
        (&flag, json!(false)),
        (&time, json!("2026-11-22T10:00:00Z")),
        (&octets, json!("AAEC/w==")),
        (&list, json!(["a", "b"])),
    ];
    assert_eq!(code(&mut world, 2, "user", &values).await, "ok");
    let invalid = "invalidAttribute";
    for (number_of_batch, (name, value)) in (3..).zip([
        (&text, json!(7)),
        (&number, json!(1.5)),
        (&number, json!("7")),
        (&time, json!("yesterday")),
        (&octets, json!("%")),
        (&text, json!(["a", "b"])),
        (&list, json!([["a"]])),
        (&text, json!({"a": 1})),
    ]) {
        let answer = code(&mut world, number_of_batch, "user", &[(name, value)]).await;
        assert_eq!(answer, invalid, "{name}");
    }
    let unknown = Definition::whole_name(world.service.tenant().id, "unknown").unwrap();
    assert_eq!(code(&mut world, 20, "user", &[(&unknown, json!("x"))]).await, "unknownAttribute");
    assert_eq!(code(&mut world, 21, "group", &[(&text, json!("x"))]).await, "unknownAttribute");
    let token = world.token_with_role("User.Read.All").await;
    let names: Vec<_> = values.iter().map(|(name, _)| *name).collect();
    let path = format!("/v1.0/users/{ALICE}?$select=userPrincipalName,{}", names.join(","));
    let shown = world.get_as(&token, &path).await.json();
    assert_eq!(shown["userPrincipalName"], ALICE);
    for (name, value) in &values {
        assert_eq!(shown[*name], *value, "{name}");
    }
    let usual = world.get_as(&token, &format!("/v1.0/users/{ALICE}")).await.json();
    assert!(usual.get(&text).is_none(), "only when it is selected");
    let list_path = format!("/v1.0/users?$select={text}");
    let page = world.get_as(&token, &list_path).await.json();
    assert_eq!(page["value"][0][&text], "Research");
    let path = format!("/v1.0/users?$select={unknown}");
    assert_eq!(world.get_as(&token, &path).await.status, 400);
    let basic = world.token_with_role("User.ReadBasic.All").await;
    assert_eq!(world.get_as(&basic, &list_path).await.status, 403);
    // What the server does not send is unset; what is removed from the schema is gone.
    assert_eq!(code(&mut world, 22, "user", &[(&flag, json!(true))]).await, "ok");
    let page = world.get_as(&token, &list_path).await.json();
    assert_eq!(page["value"][0][&text], Json::Null);
    let mut tx = world.service.store().begin(Access::Write).await.unwrap();
    assert!(tx.remove_extension(&flag).await.unwrap());
    assert!(!tx.remove_extension(&flag).await.unwrap());
    tx.commit().await.unwrap();
    let mut tx = world.service.store().begin(Access::Read).await.unwrap();
    let alice = tx.user_by_name(ALICE).await.unwrap().unwrap();
    assert_eq!(alice.attributes.extension(&flag), None);
}
