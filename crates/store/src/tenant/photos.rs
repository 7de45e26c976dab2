//! The photos of users.

use std::collections::HashMap;

use portolan_model::Guid;
use portolan_tenant::directory::Photo;
use portolan_tenant::held;
use portolan_tenant::storage::StorageError;

use super::SqliteTransaction;

impl SqliteTransaction {
    pub(super) async fn read_photo(&mut self, user: Guid) -> Result<Option<Photo>, StorageError> {
        let octets: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT octets FROM photo WHERE user_id = ?")
                .bind(user.to_string())
                .fetch_optional(&mut *self.inner)
                .await
                .map_err(StorageError::new)?;
        octets.map(|octets| Photo::new(octets).map_err(StorageError::new)).transpose()
    }

    /// The digests of the photos of those of these users who have one. `users` is a JSON array of ids.
    pub(super) async fn photo_digests(
        &mut self,
        users: &str,
    ) -> Result<HashMap<String, String>, StorageError> {
        let rows: Vec<(String, Option<String>, Option<Vec<u8>>)> = sqlx::query_as(
            "SELECT user_id, digest, iif(digest IS NULL, octets, NULL) FROM photo
             WHERE user_id IN (SELECT value FROM json_each(?))",
        )
        .bind(users)
        .fetch_all(&mut *self.inner)
        .await
        .map_err(StorageError::new)?;
        let one = |(user, digest, octets): (_, Option<String>, Option<Vec<u8>>)| {
            let made = || octets.and_then(|octets| Photo::new(octets).ok());
            let digest = digest.or_else(|| made().map(|photo| held::photo(&photo)));
            Some((user, digest?))
        };
        Ok(rows.into_iter().filter_map(one).collect())
    }

    pub(super) async fn write_photos(
        &mut self,
        photos: &[(Guid, Option<&Photo>)],
    ) -> Result<(), StorageError> {
        for (user, photo) in photos {
            let user = user.to_string();
            let query = match photo {
                None => sqlx::query("DELETE FROM photo WHERE user_id = ?").bind(user),
                Some(photo) => sqlx::query(
                    "INSERT INTO photo (user_id, octets, digest) VALUES (?, ?, ?)
                     ON CONFLICT (user_id) DO UPDATE
                     SET octets = excluded.octets, digest = excluded.digest",
                )
                .bind(user)
                .bind(photo.octets())
                .bind(held::photo(photo)),
            };
            query.execute(&mut *self.inner).await.map_err(StorageError::new)?;
        }
        Ok(())
    }
}
