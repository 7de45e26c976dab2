//! The connector space against what it promises: whole imports, lasting anchors, forgetting.

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

async fn import(space: &ConnectorSpace, objects: &[ForestObject]) -> ImportCounts {
    let mut import = space.begin_full_import().await.unwrap();
    for object in objects {
        import.put(object).await.unwrap();
    }
    import.finish().await.unwrap()
}

#[tokio::test]
async fn an_import_replaces_the_one_before_and_gives_objects_back_unchanged() {
    let (_directory, space) = space().await;
    let (first, second) = (object(1, &[2, 3]), object(2, &[]));
    import(&space, &[first.clone(), second]).await;
    let counts = import(&space, std::slice::from_ref(&first)).await;
    assert_eq!(counts, ImportCounts { present: 1, removed: 1 });
    assert_eq!(space.objects().await.unwrap(), [first]);
}

#[tokio::test]
async fn an_import_that_is_broken_off_changes_nothing() {
    let (_directory, space) = space().await;
    let first = object(1, &[]);
    import(&space, std::slice::from_ref(&first)).await;
    let mut broken = space.begin_full_import().await.unwrap();
    broken.put(&object(2, &[])).await.unwrap();
    drop(broken);
    assert_eq!(space.objects().await.unwrap(), [first]);
}

#[tokio::test]
async fn an_anchor_once_set_stays() {
    let (_directory, space) = space().await;
    let guid = Guid::from_bytes_le([1; 16]);
    let [first, second]: [SourceAnchor; 2] = ["first", "second"].map(|text| text.parse().unwrap());
    space.fix_anchors(&[(guid, first.clone())].into()).await.unwrap();
    space.fix_anchors(&[(guid, second)].into()).await.unwrap();
    assert_eq!(space.anchors().await.unwrap(), [(guid, first)].into());
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
    space.fix_anchors(&[(guid, anchor.clone())].into()).await.unwrap();
    space.acknowledge(&[&Change::Add(held.clone())]).await.unwrap();
    space.acknowledge_credentials(&[guid]).await.unwrap();
    space.commit_replication_cursor(b"cursor", &BTreeSet::new()).await.unwrap();
    drop(space);

    let space = ConnectorSpace::open(&directory.path().join("space.db")).await.unwrap();
    assert_eq!(space.exported().await.unwrap(), [(anchor.clone(), held)].into());
    assert_eq!(space.credentialed().await.unwrap(), [guid].into());
    assert_eq!(space.replication_cursor().await.unwrap().as_deref(), Some(&b"cursor"[..]));
    space.acknowledge(&[&Change::Delete { anchor, kind: TenantKind::User }]).await.unwrap();
    assert!(space.exported().await.unwrap().is_empty());
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
