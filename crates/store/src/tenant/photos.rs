//! The photos of users.

use portolan_model::Guid;
use portolan_tenant::directory::Photo;
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

    pub(super) async fn write_photos(
        &mut self,
        photos: &[(Guid, Option<&Photo>)],
    ) -> Result<(), StorageError> {
        for (user, photo) in photos {
            let user = user.to_string();
            let query = match photo {
                None => sqlx::query("DELETE FROM photo WHERE user_id = ?").bind(user),
                Some(photo) => sqlx::query(
                    "INSERT INTO photo (user_id, octets) VALUES (?, ?)
                     ON CONFLICT (user_id) DO UPDATE SET octets = excluded.octets",
                )
                .bind(user)
                .bind(photo.octets()),
            };
            query.execute(&mut *self.inner).await.map_err(StorageError::new)?;
        }
        Ok(())
    }
}
