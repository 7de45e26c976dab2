//! The states that earlier releases wrote: each of them opens, and nothing in it is lost.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on is to fail there")]

use std::path::{Path, PathBuf};

use portolan_model::{Guid, Secret, SecretString};
use portolan_store::connector_space::ConnectorSpace;
use portolan_store::tenant::SqliteStore;
use portolan_store::vault::MasterKeys;
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

#[tokio::test]
async fn the_connector_space_of_first_light_opens_with_all_that_was_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(directory.path(), include_str!("first_light/connector_space.sql")).await;
    let space = ConnectorSpace::open(&path).await.unwrap();
    let group = Guid::from_bytes_le([1; 16]);
    assert_eq!(space.objects().await.unwrap().len(), 2);
    assert_eq!(space.anchors().await.unwrap()[&group].as_str(), "first");
    assert_eq!(space.exported().await.unwrap().len(), 1);
    assert_eq!(space.credentialed().await.unwrap(), [group].into());
    assert_eq!(space.replication_cursor().await.unwrap().as_deref(), Some(&b"cursor"[..]));
}
