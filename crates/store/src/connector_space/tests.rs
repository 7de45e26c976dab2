//! The connector space against what it promises: whole imports, lasting anchors, forgetting.

use portolan_sync::flow::{TenantKind, TenantObject};
use portolan_sync::plan::Change;
use portolan_sync::{ForestObject, ObjectKind};

use super::*;

fn object(number: u8, members: &[u8]) -> ForestObject {
    let attributes = [
        ("objectClass".to_owned(), vec![b"group".to_vec()]),
        ("objectGUID".to_owned(), vec![vec![number; 16]]),
        ("objectSid".to_owned(), vec![vec![1, 1, 0, 0, 0, 0, 0, 5, 0xff, 0xfe, 0, 0]]),
        ("displayName".to_owned(), vec!["Zoë".as_bytes().to_vec()]),
    ];
    let members = members.iter().map(|member| Guid::from_bytes_le([*member; 16])).collect();
    ForestObject::from_entry(&format!("CN=g{number},DC=x"), members, attributes).unwrap().unwrap()
}

async fn space() -> (tempfile::TempDir, ConnectorSpace) {
    let directory = tempfile::tempdir().unwrap();
    let space = ConnectorSpace::open(&directory.path().join("space.db")).await.unwrap();
    (directory, space)
}

async fn import(space: &ConnectorSpace, objects: &[ForestObject]) -> u64 {
    let mut import = space.begin_full_import().await.unwrap();
    for object in objects {
        import.put(object).await.unwrap();
    }
    import.finish(b"cursor").await.unwrap()
}

/// All objects, in the order of their first import.
async fn objects(space: &ConnectorSpace) -> Vec<ForestObject> {
    let mut objects = space.objects(&ObjectKind::ALL);
    let mut all = Vec::new();
    loop {
        let batch = objects.next().await.unwrap();
        if batch.is_empty() {
            return all;
        }
        all.extend(batch);
    }
}

#[tokio::test]
async fn an_import_replaces_the_one_before_and_gives_objects_back_unchanged() {
    let (_directory, space) = space().await;
    let (first, second) = (object(1, &[2, 3]), object(2, &[]));
    assert_eq!(space.forest_cursor().await.unwrap(), None);
    assert_eq!(import(&space, &[first.clone(), second]).await, 2);
    let generation = space.generation().await.unwrap();
    let mut next = space.begin_full_import().await.unwrap();
    next.put(&first).await.unwrap();
    assert_eq!(next.losses().await.unwrap().lost(), 1);
    assert_eq!(next.finish(b"next").await.unwrap(), 1);
    assert_eq!(objects(&space).await, [first]);
    assert_eq!(space.object_counts().await.unwrap(), [(ObjectKind::Group, 1)]);
    assert_eq!(space.forest_cursor().await.unwrap().as_deref(), Some(&b"next"[..]));
    assert!(space.generation().await.unwrap() > generation);
}

#[tokio::test]
async fn an_import_that_is_broken_off_changes_nothing_and_leaves_nothing_behind() {
    let (_directory, space) = space().await;
    let first = object(1, &[]);
    import(&space, std::slice::from_ref(&first)).await;
    let mut broken = space.begin_full_import().await.unwrap();
    broken.put(&object(2, &[])).await.unwrap();
    broken.losses().await.unwrap();
    drop(broken);
    assert_eq!(objects(&space).await, std::slice::from_ref(&first));
    let mut next = space.begin_full_import().await.unwrap();
    next.put(&first).await.unwrap();
    assert_eq!(next.finish(b"cursor").await.unwrap(), 1, "what was left is not taken in");
    assert_eq!(objects(&space).await, [first]);
}

#[tokio::test]
async fn more_objects_than_a_batch_come_out_one_time_each() {
    let (_directory, space) = space().await;
    let many: Vec<_> = (0..1_203_u16)
        .map(|number| {
            let mut guid = vec![0; 14];
            guid.extend(number.to_le_bytes());
            let attributes = [
                ("objectClass".to_owned(), vec![b"group".to_vec()]),
                ("objectGUID".to_owned(), vec![guid]),
            ];
            let name = format!("CN=g{number},DC=x");
            ForestObject::from_entry(&name, Vec::new(), attributes).unwrap().unwrap()
        })
        .collect();
    import(&space, &many).await;
    assert_eq!(objects(&space).await, many);
}

#[tokio::test]
async fn members_that_came_in_ranges_are_added_before_the_import_counts() {
    let (_directory, space) = space().await;
    let mut import = space.begin_full_import().await.unwrap();
    import.put(&object(1, &[2, 4])).await.unwrap();
    let more = [3, 4].map(|number| Guid::from_bytes_le([number; 16]));
    import.add_members(&Guid::from_bytes_le([1; 16]), &more).await.unwrap();
    import.finish(b"cursor").await.unwrap();
    assert_eq!(objects(&space).await, [object(1, &[2, 3, 4])]);
}

/// An organizational unit, or what is in one.
fn within(number: u8, kind: &str, dn: &str, parent: Option<u8>) -> ForestObject {
    let mut attributes = vec![
        ("objectClass".to_owned(), vec![kind.as_bytes().to_vec()]),
        ("objectGUID".to_owned(), vec![vec![number; 16]]),
    ];
    attributes.extend(parent.map(|parent| ("parentGUID".to_owned(), vec![vec![parent; 16]])));
    ForestObject::from_entry(dn, Vec::new(), attributes).unwrap().unwrap()
}

#[tokio::test]
async fn what_stands_below_a_renamed_object_is_renamed_with_it_in_one_commit() {
    let (_directory, space) = space().await;
    let unit = "organizationalUnit";
    let before = [
        within(1, unit, "OU=a,DC=x", None),
        within(2, unit, r"OU=b\, c,OU=a,DC=x", Some(1)),
        within(3, "user", r"CN=u,OU=b\, c,OU=a,DC=x", Some(2)),
        within(4, "user", "CN=other,DC=x", None),
    ];
    import(&space, &before).await;
    let mut changes = space.begin_changes().await.unwrap();
    changes.put(&within(1, unit, "OU=z,DC=x", None), true).await.unwrap();
    // In the same change the one below got another name too, and this one is told first.
    changes.put(&within(2, unit, "OU=y,OU=z,DC=x", Some(1)), true).await.unwrap();
    let changed = changes.commit(b"next").await.unwrap();
    assert_eq!(changed, Changed { changed: 3, removed: 0 });
    let names: Vec<_> = objects(&space).await.into_iter().map(|o| o.dn.to_string()).collect();
    assert_eq!(names, ["OU=z,DC=x", "OU=y,OU=z,DC=x", "CN=u,OU=y,OU=z,DC=x", "CN=other,DC=x"]);
    assert_eq!(space.forest_cursor().await.unwrap().as_deref(), Some(&b"next"[..]));
}

#[tokio::test]
async fn a_deleted_member_leaves_its_groups_and_a_missing_parent_is_named() {
    let (_directory, space) = space().await;
    import(&space, &[object(1, &[2, 3]), within(2, "user", "CN=u,OU=o,DC=x", Some(9))]).await;
    let generation = space.generation().await.unwrap();
    let mut changes = space.begin_changes().await.unwrap();
    assert_eq!(changes.orphaned_by().await.unwrap(), [Guid::from_bytes_le([9; 16])]);
    let user = Guid::from_bytes_le([2; 16]);
    assert!(changes.get(&user).await.unwrap().is_some());
    changes.remove(&user).await.unwrap();
    changes.remove(&Guid::from_bytes_le([77; 16])).await.unwrap();
    let changed = changes.commit(b"next").await.unwrap();
    assert_eq!(changed, Changed { changed: 1, removed: 1 });
    assert_eq!(objects(&space).await, [object(1, &[3])]);
    assert!(space.generation().await.unwrap() > generation);
}

#[tokio::test]
async fn changes_that_are_dropped_are_none_and_empty_ones_move_the_cursor_alone() {
    let (_directory, space) = space().await;
    import(&space, &[object(1, &[2])]).await;
    let generation = space.generation().await.unwrap();
    let mut changes = space.begin_changes().await.unwrap();
    changes.remove(&Guid::from_bytes_le([1; 16])).await.unwrap();
    drop(changes);
    assert_eq!(objects(&space).await, [object(1, &[2])]);
    assert_eq!(space.forest_cursor().await.unwrap().as_deref(), Some(&b"cursor"[..]));
    let changes = space.begin_changes().await.unwrap();
    changes.commit(b"next").await.unwrap();
    assert_eq!(space.generation().await.unwrap(), generation);
    assert_eq!(space.forest_cursor().await.unwrap().as_deref(), Some(&b"next"[..]));
    space.forget_forest_cursor().await.unwrap();
    assert_eq!(space.forest_cursor().await.unwrap(), None);
}

#[tokio::test]
async fn the_state_of_the_first_release_opens_keeps_what_matters_and_is_read_in_full() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("space.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    // The migrations of that release, as it ran them.
    let all = sqlx::migrate!("migrations/connector_space");
    let first: Vec<_> = all.iter().filter(|step| step.version == 1).cloned().collect();
    let first =
        sqlx::migrate::Migrator { migrations: first.into(), ..sqlx::migrate::Migrator::DEFAULT };
    first.run(&pool).await.unwrap();
    let guid = Guid::from_bytes_le([1; 16]);
    let anchor = SourceAnchor::from(guid);
    for statement in [
        "INSERT INTO object (guid, kind, dn, members, attributes, import)
             VALUES (x'01010101010101010101010101010101', 'user', 'CN=a,DC=x', x'', '{}', 3)",
        "INSERT INTO credential (guid) VALUES (x'01010101010101010101010101010101')",
        "INSERT INTO cursor (name, value) VALUES ('drs', x'01')",
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    sqlx::query("INSERT INTO anchor (guid, anchor) VALUES (?, ?)")
        .bind(&guid.to_bytes_le()[..])
        .bind(anchor.as_str())
        .execute(&pool)
        .await
        .unwrap();
    sqlx::query(
        "INSERT INTO exported (anchor, kind, attributes, members) VALUES (?, 'user', '{}', '[]')",
    )
    .bind(anchor.as_str())
    .execute(&pool)
    .await
    .unwrap();
    pool.close().await;

    let space = ConnectorSpace::open(&path).await.unwrap();
    assert_eq!(space.forest_cursor().await.unwrap(), None, "so everything is read");
    assert!(objects(&space).await.is_empty());
    assert_eq!(space.anchors().await.unwrap().of(&guid), Some(anchor.clone()));
    assert_eq!(space.exported_count().await.unwrap(), 1);
    assert_eq!(
        space.exported(std::slice::from_ref(&anchor)).await.unwrap()[&anchor].anchor,
        anchor
    );
    assert_eq!(space.credentialed().await.unwrap(), [guid].into());
    assert_eq!(space.replication_cursor().await.unwrap(), Some(vec![1]));
    assert_eq!(import(&space, &[object(1, &[])]).await, 1);
}

#[tokio::test]
async fn an_anchor_once_set_stays() {
    let (_directory, space) = space().await;
    let guid = Guid::from_bytes_le([1; 16]);
    let [first, second]: [SourceAnchor; 2] = ["first", "second"].map(|text| text.parse().unwrap());
    space.fix_anchors([(guid, first.clone())]).await.unwrap();
    space.fix_anchors([(guid, second)]).await.unwrap();
    let anchors = space.anchors().await.unwrap();
    assert_eq!((anchors.of(&guid), anchors.len()), (Some(first), 1));
}

#[tokio::test]
async fn what_was_acknowledged_survives_reopening_and_a_deletion_forgets_the_credential() {
    let (directory, space) = space().await;
    let guid = Guid::from_bytes_le([1; 16]);
    let anchor = SourceAnchor::from(guid);
    let held = TenantObject {
        anchor: anchor.clone(),
        kind: TenantKind::User,
        attributes: [
            ("displayName", portolan_sync::flow::Value::Text("Zoë".to_owned())),
            ("accountEnabled", portolan_sync::flow::Value::Boolean(true)),
            ("businessPhones", portolan_sync::flow::Value::Texts(vec!["1".to_owned()])),
        ]
        .into(),
        members: vec![anchor.clone()],
    };
    space.fix_anchors([(guid, anchor.clone())]).await.unwrap();
    space.acknowledge(&[&Change::Add(held.clone())]).await.unwrap();
    space.acknowledge_credentials(&[guid]).await.unwrap();
    space.commit_replication_cursor(b"cursor", &BTreeSet::new()).await.unwrap();
    drop(space);

    let space = ConnectorSpace::open(&directory.path().join("space.db")).await.unwrap();
    let anchors = [anchor.clone(), "another".parse().unwrap()];
    assert_eq!(space.exported(&anchors).await.unwrap(), [(anchor.clone(), held.clone())].into());
    let keys = space.exported_keys(0).await.unwrap();
    assert_eq!(keys.len(), 1);
    assert_eq!((&keys[0].anchor, keys[0].kind), (&anchor, TenantKind::User));
    assert!(space.exported_keys(keys[0].place).await.unwrap().is_empty());
    assert_eq!(space.credentialed().await.unwrap(), [guid].into());
    assert_eq!(space.replication_cursor().await.unwrap().as_deref(), Some(&b"cursor"[..]));
    space.acknowledge(&[&Change::Delete(held)]).await.unwrap();
    assert_eq!(space.exported_count().await.unwrap(), 0);
    assert!(space.credentialed().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_cursor_that_passes_a_credential_by_owes_it() {
    let (_directory, space) = space().await;
    let [taken, refused] = [1, 2].map(|number| Guid::from_bytes_le([number; 16]));
    space.acknowledge_credentials(&[taken, refused]).await.unwrap();
    space.commit_replication_cursor(b"second", &[refused].into()).await.unwrap();
    assert_eq!(space.credentialed().await.unwrap(), [taken].into());
    assert_eq!(space.replication_cursor().await.unwrap().as_deref(), Some(&b"second"[..]));
}
