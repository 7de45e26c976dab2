//! What the connector space says when it fails.

use crate::sqlite::OpenError;

/// A failure of the connector space.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpaceError {
    /// SQLite refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
    /// The database does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A column holds what this release never writes.
    #[error("column {column} holds a value that this release never writes")]
    Corrupt {
        /// The column.
        column: &'static str,
    },
}

impl SpaceError {
    pub(crate) const fn corrupt(column: &'static str) -> Self {
        Self::Corrupt { column }
    }
}

impl portolan_model::Hint for SpaceError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Database(_) => None,
            Self::Open(error) => error.hint(),
            Self::Corrupt { .. } => {
                Some("restore the last backup of the state directory".to_owned())
            }
        }
    }
}
