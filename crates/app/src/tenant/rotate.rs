//! `portolan tenant key rotate`: a new master key, and everything under it.
//!
//! The order is what makes it safe to be broken off anywhere, and to run beside `tenant serve`:
//!
//! 1. the new key is in the file, in front of the old one;
//! 2. the store says that the new one seals: from here on every process does, and reads the file again;
//! 3. the rows move, a few at a time;
//! 4. when no row is left under the old key, it leaves the file.
//!
//! A file with more than one key is a rotation that was broken off: it is finished, not begun anew.

use portolan_net::clock;
use portolan_store::tenant::SqliteStore;
use portolan_tenant::storage::{Access, Store as _, Transaction as _};
use serde_json::json;
use time::OffsetDateTime;

use super::commands::{MASTER_KEY_SINCE, audit, broken};
use super::{Listing, status};
use crate::master_key::KeyFile;
use crate::report::Failure;

/// What a rotation did.
#[derive(Debug, PartialEq, Eq)]
struct Rotated {
    key: String,
    rows: u32,
    was_broken_off: bool,
}

pub(super) async fn run(arguments: Listing) -> Result<(), Failure> {
    let Listing { place, json } = arguments;
    let lock = place.lock()?;
    let store = place.open().await?;
    let rotated = rotate(&store, &place.key_file(), clock::now()).await;
    store.close().await;
    drop(lock);
    let Rotated { key, rows, was_broken_off } = rotated?;
    if json {
        println!("{}", json!({"key": key, "records": rows, "was_broken_off": was_broken_off}));
        return Ok(());
    }
    if was_broken_off {
        println!("finished a rotation that was broken off");
    }
    println!("master key {key}: {rows} records moved under it, the old key is forgotten");
    println!("next: back the data up anew; a backup from before needs the key of before");
    Ok(())
}

async fn rotate(
    store: &SqliteStore,
    file: &KeyFile,
    now: OffsetDateTime,
) -> Result<Rotated, Failure> {
    let names: Vec<String> = file.read()?.names().map(str::to_owned).collect();
    let was_broken_off = names.len() > 1;
    let key = match names.into_iter().next() {
        Some(unfinished) if was_broken_off => unfinished,
        _ => file.add()?,
    };
    let mut tx = store.begin(Access::Write).await.map_err(broken)?;
    tx.seal_from_now_on_with(&key).await.map_err(broken)?;
    audit(&mut tx, "masterKey.rotate", key.clone(), now).await?;
    tx.put_document(MASTER_KEY_SINCE, status::text(now).as_bytes()).await.map_err(broken)?;
    tx.commit().await.map_err(broken)?;
    let mut rows = 0;
    loop {
        let mut tx = store.begin(Access::Write).await.map_err(broken)?;
        let moved = tx.move_to_sealing_key().await.map_err(broken)?;
        tx.commit().await.map_err(broken)?;
        if moved == 0 {
            break;
        }
        rows += moved;
    }
    store.forget_what_was_overwritten().await.map_err(broken)?;
    file.keep_only(&key)?;
    Ok(Rotated { key, rows, was_broken_off })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::pin::pin;

    use portolan_legacy_crypto::NtHash;
    use portolan_legacy_crypto::pph1::CredentialData;
    use portolan_model::Guid;
    use portolan_tenant::storage::Credential;

    use super::*;
    use crate::tenant::Place;

    const PLAIN: &[u8] = b"a key of the tenant's";

    fn user(number: u8) -> Guid {
        Guid::from_random([number; 16])
    }

    /// A tenant's data with sealed rows of each kind.
    async fn made(directory: &Path) -> Place {
        let place = Place { data: directory.join("data"), master_key: None };
        let store = place.create().await.unwrap();
        let now = clock::now();
        let mut tx = store.begin(Access::Write).await.unwrap();
        for number in 0..3 {
            tx.put_secret(&format!("key/{number}"), PLAIN, now).await.unwrap();
            let credential = CredentialData::derive(&NtHash::from_password("x"), [number; 10]);
            let credential = Credential { credential, changed_at: now };
            tx.put_credential(user(number), &credential).await.unwrap();
        }
        tx.commit().await.unwrap();
        store.close().await;
        place
    }

    async fn everything_opens(store: &SqliteStore) {
        let mut tx = store.begin(Access::Read).await.unwrap();
        for number in 0..3 {
            let secret = tx.secret(&format!("key/{number}")).await.unwrap().unwrap();
            assert_eq!(secret.as_slice(), PLAIN);
            assert!(tx.credential(user(number)).await.unwrap().is_some());
        }
    }

    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &target);
            } else {
                std::fs::copy(entry.path(), target).unwrap();
            }
        }
    }

    /// Polls a future so many times and drops it then, as a kill would between two of its steps.
    async fn killed_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        let mut left = polls;
        std::future::poll_fn(|context| {
            if left == 0 {
                return std::task::Poll::Ready(None);
            }
            left -= 1;
            future.as_mut().poll(context).map(Some)
        })
        .await
    }

    #[tokio::test]
    async fn a_rotation_that_is_killed_at_any_point_loses_nothing_and_is_finished_later() {
        let directory = tempfile::tempdir().unwrap();
        let template = directory.path().join("template");
        std::fs::create_dir(&template).unwrap();
        made(&template).await;
        for polls in 1.. {
            let copied = directory.path().join(polls.to_string());
            copy(&template, &copied);
            let place = Place { data: copied.join("data"), master_key: None };
            let store = place.open().await.unwrap();
            let done = killed_after(polls, rotate(&store, &place.key_file(), clock::now())).await;
            drop(store);
            let store = place.open().await.unwrap();
            everything_opens(&store).await;
            rotate(&store, &place.key_file(), clock::now()).await.unwrap();
            everything_opens(&store).await;
            assert_eq!(place.key_file().read().unwrap().names().count(), 1, "{polls}");
            store.close().await;
            std::fs::remove_dir_all(&copied).unwrap();
            if done.is_some() {
                assert!(polls > 10, "the rotation was broken off at {polls} points only");
                return;
            }
        }
    }

    #[tokio::test]
    async fn a_tenant_that_serves_follows_a_rotation() {
        let directory = tempfile::tempdir().unwrap();
        let place = made(directory.path()).await;
        let serving = place.open().await.unwrap();
        everything_opens(&serving).await;
        let before = std::fs::read(place.key_file().path()).unwrap();
        let store = place.open().await.unwrap();
        let rotated = rotate(&store, &place.key_file(), clock::now()).await.unwrap();
        assert_eq!((rotated.rows, rotated.was_broken_off), (6, false));
        everything_opens(&serving).await;
        let mut tx = serving.begin(Access::Write).await.unwrap();
        tx.put_secret("key/0", PLAIN, clock::now()).await.unwrap();
        tx.commit().await.unwrap();
        everything_opens(&store).await;
        // The old key opens nothing any more.
        std::fs::write(place.key_file().path(), before).unwrap();
        let late = place.open().await.unwrap();
        let mut tx = late.begin(Access::Read).await.unwrap();
        for number in 0..3 {
            assert!(tx.secret(&format!("key/{number}")).await.is_err());
        }
    }

    #[tokio::test]
    async fn two_rotations_at_a_time_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let place = made(directory.path()).await;
        let lock = place.lock().unwrap();
        let error = run(Listing { place: place.clone(), json: true }).await.unwrap_err();
        assert!(error.text().contains("another rotation"), "{}", error.text());
        drop(lock);
        run(Listing { place, json: true }).await.unwrap();
    }

    #[tokio::test]
    async fn a_copy_of_the_data_without_the_key_opens_nothing_and_shows_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let place = made(directory.path()).await;
        let other = tempfile::tempdir().unwrap();
        let stranger = made(other.path()).await;
        copy(&place.data, &stranger.data);
        for entry in std::fs::read_dir(&stranger.data).unwrap() {
            let octets = std::fs::read(entry.unwrap().path()).unwrap();
            for secret in [PLAIN, &b"v1;PPH1_MD4"[..]] {
                assert!(!octets.windows(secret.len()).any(|window| window == secret));
            }
        }
        let store = stranger.open().await.unwrap();
        let mut tx = store.begin(Access::Read).await.unwrap();
        assert!(tx.secret("key/0").await.is_err());
        assert!(tx.credential(user(0)).await.is_err());
    }
}
