//! Copies of the state, and whether it is whole.

use std::path::Path;

use sqlx::Row as _;

use super::{State, StateError, packed};

/// Rows whose checksums are looked at at once.
const ROWS_AT_ONCE: i64 = 2_000;

impl State {
    /// Writes a copy of the state as it is now to a file that is not there yet: what a plan is made
    /// with.
    ///
    /// # Errors
    /// When the file is there or cannot be written.
    pub async fn copy_to(&self, path: &Path) -> Result<(), StateError> {
        Ok(self.database.copy_to(path).await?)
    }

    /// Looks whether the state is what was written: the database's own order, and every checksum. It
    /// reads all of it, a batch at a time.
    ///
    /// # Errors
    /// [`StateError::Corrupt`] of the first thing that is not.
    pub async fn check(&self) -> Result<(), StateError> {
        let found: Vec<String> = sqlx::query_scalar("PRAGMA quick_check(1)")
            .fetch_all(&mut *self.database.read().await?)
            .await?;
        if found != ["ok"] {
            return Err(StateError::corrupt("the database"));
        }
        self.check_checksums(
            "SELECT key, dn, record FROM staged WHERE key > ? ORDER BY key LIMIT ?",
            |row, key| {
                let dn: &str = row.try_get(1)?;
                let of: [&[u8]; 2] = [&key.to_le_bytes(), dn.as_bytes()];
                packed::open("an imported object", &of, row.try_get(2)?).map(|_| ())
            },
        )
        .await?;
        self.check_checksums(
            "SELECT key, record FROM metaverse WHERE key > ? ORDER BY key LIMIT ?",
            |row, key| packed::open_metaverse(key, row.try_get(1)?).map(|_| ()),
        )
        .await?;
        self.check_checksums(
            "SELECT key, anchor, confirmed, pending FROM target_object WHERE key > ?
             ORDER BY key LIMIT ?",
            |row, _| {
                let anchor: &str = row.try_get(1)?;
                for column in [2, 3] {
                    match row.try_get::<Option<&[u8]>, _>(column)? {
                        None | Some([]) => {}
                        Some(sealed) => {
                            packed::open("a target's object", &[anchor.as_bytes()], sealed)?;
                        }
                    }
                }
                Ok(())
            },
        )
        .await
    }

    async fn check_checksums(
        &self,
        statement: &'static str,
        check: impl Fn(&sqlx::sqlite::SqliteRow, i64) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        let mut after = i64::MIN;
        loop {
            let rows = sqlx::query(statement)
                .bind(after)
                .bind(ROWS_AT_ONCE)
                .fetch_all(&mut *self.database.read().await?)
                .await?;
            if rows.is_empty() {
                return Ok(());
            }
            for row in &rows {
                after = row.try_get(0)?;
                check(row, after)?;
            }
        }
    }
}
