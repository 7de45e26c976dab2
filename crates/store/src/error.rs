//! What storage says when it fails.

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// SQLite refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("the schema of the database cannot be brought up to date")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A column holds what this release never writes.
    #[error("column {column} holds a value that this release never writes")]
    Corrupt {
        /// The column.
        column: &'static str,
    },
}

impl StoreError {
    pub(crate) const fn corrupt(column: &'static str) -> Self {
        Self::Corrupt { column }
    }
}

impl portolan_model::Hint for StoreError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Database(_) => None,
            Self::Migration(_) => {
                Some("a newer release may have written it; run that release".to_owned())
            }
            Self::Corrupt { .. } => {
                Some("restore the last backup of the state directory".to_owned())
            }
        }
    }
}
