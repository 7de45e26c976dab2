//! What a target did not take of objects that it took otherwise.

use portolan_sync::engine::ConnectorId;
use sqlx::Row as _;

use super::{State, StateError, TargetKey};

/// What became of a value that is no reason to refuse its object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Of which object.
    pub key: TargetKey,
    /// Of which attribute.
    pub attribute: String,
    /// Why it was not taken, as a code and as text; `None` when it was.
    pub refusal: Option<(String, String)>,
}

/// A value that a target did not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRemark {
    /// The name of a staging object that it comes from; its anchor when there is none.
    pub object: String,
    /// The attribute.
    pub attribute: String,
    /// What kind of refusal.
    pub code: String,
    /// What the target says.
    pub text: String,
}

impl State {
    /// Keeps what became of values, instead of what was known of them before.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn remark(&self, remarks: &[Remark]) -> Result<(), StateError> {
        if remarks.is_empty() {
            return Ok(());
        }
        let mut tx = self.database.write().await?;
        for Remark { key, attribute, refusal } in remarks {
            let query = match refusal {
                Some((code, text)) => sqlx::query(
                    "REPLACE INTO target_remark (key, attribute, code, text) VALUES (?, ?, ?, ?)",
                )
                .bind(key.0)
                .bind(attribute)
                .bind(code)
                .bind(text),
                None => sqlx::query("DELETE FROM target_remark WHERE key = ? AND attribute = ?")
                    .bind(key.0)
                    .bind(attribute),
            };
            query.execute(&mut *tx).await?;
        }
        Ok(tx.commit().await?)
    }

    /// The values that a target did not take, at most `limit`.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn remarks(
        &self,
        target: ConnectorId,
        limit: u32,
    ) -> Result<Vec<StoredRemark>, StateError> {
        let rows = sqlx::query(
            "SELECT coalesce((SELECT dn FROM staged s WHERE s.key = (SELECT min(link.key)
                     FROM link WHERE link.metaverse = t.metaverse)), t.anchor) AS object,
                 r.attribute, r.code, r.text
             FROM target_remark r CROSS JOIN target_object t ON t.key = r.key AND t.connector = ?
             ORDER BY r.key, r.attribute LIMIT ?",
        )
        .bind(target.0)
        .bind(limit)
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(StoredRemark {
                    object: row.try_get("object")?,
                    attribute: row.try_get("attribute")?,
                    code: row.try_get("code")?,
                    text: row.try_get("text")?,
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use portolan_sync::ObjectKind;

    use super::super::Place;
    use super::super::tests::{TARGET, export, import, object, state, synchronise};
    use super::*;

    async fn told(state: &State) -> Vec<(String, String)> {
        let remarks = state.remarks(TARGET, 10).await.unwrap();
        remarks.into_iter().map(|remark| (remark.attribute, remark.text)).collect()
    }

    #[tokio::test]
    async fn what_was_not_taken_is_told_until_it_is_or_the_object_goes() {
        let directory = tempfile::tempdir().unwrap();
        let state = state(directory.path()).await;
        let user = |number| object(number, ObjectKind::User, "Zoë", &[]);
        import(&state, &[user(0x21), user(0x22)]).await;
        synchronise(&state).await;
        let pending = state.pending_exports(TARGET, Place::default(), 10).await.unwrap();
        let [first, second] = [pending[0].key, pending[1].key];
        let photo = |key, why: Option<&str>| Remark {
            key,
            attribute: "thumbnailPhoto".to_owned(),
            refusal: why.map(|why| ("invalidPhoto".to_owned(), why.to_owned())),
        };
        let of = |why: &str| ("thumbnailPhoto".to_owned(), why.to_owned());
        state
            .remark(&[photo(first, Some("too large")), photo(second, Some("text"))])
            .await
            .unwrap();
        assert_eq!(told(&state).await, [of("too large"), of("text")]);
        export(&state).await;
        state.remark(&[photo(first, Some("no picture")), photo(second, None)]).await.unwrap();
        assert_eq!(told(&state).await, [of("no picture")]);
        import(&state, &[user(0x22)]).await;
        synchronise(&state).await;
        export(&state).await;
        assert_eq!(told(&state).await, []);
    }
}
