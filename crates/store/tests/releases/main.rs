//! The states that earlier releases wrote: each of them opens, and nothing in it is lost.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on is to fail there")]

use std::path::{Path, PathBuf};

use portolan_model::{Guid, Secret, SecretString};
use portolan_store::state::{ImportedObject, State};
use portolan_store::tenant::SqliteStore;
use portolan_store::vault::MasterKeys;
use portolan_sync::ObjectKind;
use portolan_sync::TenantKind;
use portolan_sync::engine::Side;
use portolan_sync::record::Record;
use portolan_tenant::storage::{Access, Store as _, Transaction as _};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, SqlSafeStr as _};

/// Makes the database that a release's statements describe.
async fn written(directory: &Path, statements: &'static str) -> PathBuf {
    let path = directory.join("state.sqlite");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(statements.into_sql_str()).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    path
}

#[tokio::test]
async fn the_tenant_of_first_light_opens_with_all_that_was_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(directory.path(), include_str!("first_light/tenant.sql")).await;
    let keys = MasterKeys::new([("k1".to_owned(), Secret::new([1; 32]))]).unwrap();
    let store = SqliteStore::open(&path, keys).await.unwrap();
    let mut tx = store.begin(Access::Read).await.unwrap();
    assert_eq!(tx.tenant().await.unwrap().domain.as_str(), "cloud.example");
    assert_eq!(tx.secret("signing-key/a").await.unwrap().unwrap().as_slice(), b"geheim");
    let user = tx.user_by_name("user1@corp.example").await.unwrap().unwrap();
    assert_eq!(user.anchor.as_ref().unwrap().as_str(), "anchor-1");
    let group = Guid::from_random([20; 16]);
    assert_eq!(tx.members(group, None, 10).await.unwrap(), std::slice::from_ref(&user));
    let credential = tx.credential(user.id).await.unwrap().unwrap().credential;
    assert!(credential.verify(&SecretString::new("Al1ce-Pass!".to_owned())));
    let applications = tx.applications().await.unwrap();
    let names: Vec<_> = applications.iter().map(|app| app.name.as_str()).collect();
    assert_eq!(names, ["Portolan connect", "Shop"]);
}

/// What first light left, and a user whom it deleted: the link to it stayed.
const WITH_A_TOMBSTONE: &str = concat!(
    include_str!("first_light/tenant.sql"),
    "UPDATE object SET deleted_at = 1795000000123456800 WHERE rid = 1;",
);

#[tokio::test]
async fn links_to_what_an_earlier_release_deleted_have_ended_and_stay_so_when_it_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(directory.path(), WITH_A_TOMBSTONE).await;
    let keys = MasterKeys::new([("k1".to_owned(), Secret::new([1; 32]))]).unwrap();
    let store = SqliteStore::open(&path, keys).await.unwrap();
    drop(store);
    let options = SqliteConnectOptions::new().filename(&path);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let links = "SELECT deleted, seq FROM link";
    let links: Vec<(i64, i64)> = sqlx::query_as(links).fetch_all(&mut connection).await.unwrap();
    let next = "SELECT next FROM seq_alloc WHERE partition = 'directory'";
    let next: i64 = sqlx::query_scalar(next).fetch_one(&mut connection).await.unwrap();
    assert_eq!(links, [(1, next - 1)], "it ended, and the change feed has that");
    let back = "UPDATE object SET deleted_at = NULL WHERE rid = 1";
    sqlx::query(back).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let keys = MasterKeys::new([("k1".to_owned(), Secret::new([1; 32]))]).unwrap();
    let store = SqliteStore::open(&path, keys).await.unwrap();
    let mut tx = store.begin(Access::Read).await.unwrap();
    let group = Guid::from_random([20; 16]);
    assert_eq!(tx.members(group, None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn the_state_takes_over_what_first_light_left_that_is_not_read_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(directory.path(), include_str!("first_light/connector_space.sql")).await;
    let state = State::open(&path).await.unwrap();
    let forest = state.connector("corp.example", Side::Forest).await.unwrap();
    let target = state.connector("cloud.example", Side::Target).await.unwrap();
    assert_eq!(state.forest_cursor(forest).await.unwrap(), None);
    assert_eq!(state.replication_cursor(forest).await.unwrap().as_deref(), Some(&b"cursor"[..]));
    // The objects themselves are read anew, in full: those of before lack their containers.
    assert_eq!(state.object_counts(forest).await.unwrap(), []);
    assert_eq!(state.exported_count(target).await.unwrap(), 1);
    assert_eq!(state.credentialed_count(target).await.unwrap(), 1);
    // The object comes with the full read, and with it its anchor and what the target has of it.
    let group = ImportedObject {
        guid: Guid::from_bytes_le([1; 16]),
        kind: ObjectKind::Group,
        parent: None,
        dn: "CN=g1,DC=x".parse().unwrap(),
        record: Record::default(),
        references: Vec::new(),
    };
    let mut import = state.begin_full_import(forest).await.unwrap();
    import.put(group).await.unwrap();
    import.finish(b"forest").await.unwrap();
    let queued = state.next_pending(10).await.unwrap();
    let all = state.neighbourhoods_of(&queued).await.unwrap();
    let [only] = all.as_slice() else { panic!("one object, and not {all:?}") };
    let staged = only.neighbourhood.staged.first().unwrap();
    assert_eq!(staged.anchor.as_ref().map(|anchor| anchor.as_str()), Some("first"));
    let there = only.neighbourhood.targets.first().unwrap();
    assert_eq!((there.connector, there.kind), (target, TenantKind::Group));
    assert_eq!(there.confirmed, Some(Record::default()), "it is there, and its content unknown");
    assert_eq!(state.delete_unclaimed(target).await.unwrap(), 1, "unless it is claimed");
    state.check().await.unwrap();
}
