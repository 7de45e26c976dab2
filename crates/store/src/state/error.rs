//! What the state says when it fails.

use portolan_sync::NameRefused;
use sqlx::migrate::MigrateError;

use crate::sqlite::OpenError;

/// SQLite's result codes that say that the file is not what it wrote: `SQLITE_CORRUPT` and
/// `SQLITE_NOTADB`, in their low octet (<https://sqlite.org/rescode.html>).
const SPOILT: [i32; 2] = [11, 26];
/// The one that says that there is no room: `SQLITE_FULL`.
const FULL: i32 = 13;

/// A failure of the state.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// SQLite refused.
    #[error("the database refused")]
    Database(#[source] sqlx::Error),
    /// The database does not open.
    #[error(transparent)]
    Open(OpenError),
    /// Something in the file is not what was written there.
    #[error("the state is spoilt: {what} does not read back as it was written")]
    Corrupt {
        /// What.
        what: &'static str,
    },
    /// An attribute cannot be named.
    #[error(transparent)]
    Name(#[from] NameRefused),
    /// There are more connectors or rules than numbers for them.
    #[error("there are too many {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
    },
    /// An object was named that was not imported.
    #[error("the object {guid} was not imported")]
    Unknown {
        /// Its objectGUID.
        guid: portolan_model::Guid,
    },
}

impl StateError {
    pub(super) const fn corrupt(what: &'static str) -> Self {
        Self::Corrupt { what }
    }
}

impl From<sqlx::Error> for StateError {
    fn from(error: sqlx::Error) -> Self {
        if code(&error).is_some_and(|code| SPOILT.contains(&code)) {
            return Self::corrupt("the database");
        }
        Self::Database(error)
    }
}

impl From<OpenError> for StateError {
    fn from(error: OpenError) -> Self {
        let source = match &error {
            OpenError::Open { source, .. }
            | OpenError::Schema {
                source: MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _),
                ..
            } => Some(source),
            OpenError::Schema { .. } | OpenError::Newer { .. } | OpenError::Foreign { .. } => None,
        };
        if source.and_then(code).is_some_and(|code| SPOILT.contains(&code)) {
            return Self::corrupt("the database");
        }
        Self::Open(error)
    }
}

/// SQLite's result code of an error, without what it adds to it.
fn code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error().and_then(|error| error.code())?;
    code.parse::<i32>().ok().map(|code| code & 0xff)
}

impl portolan_model::Hint for StateError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Open(error) => error.hint(),
            Self::Corrupt { .. } => Some(
                "nothing of it is used: move connector-space.db out of the state directory and run \
                 again, which reads the forest in full and asks the targets what they have, or \
                 restore a backup"
                    .to_owned(),
            ),
            Self::Database(error) if code(error) == Some(FULL) => Some(
                "make room on the disk and run again: what was under way counts for nothing, and what \
                 was committed stands"
                    .to_owned(),
            ),
            Self::Database(_) | Self::Name(_) | Self::TooMany { .. } | Self::Unknown { .. } => None,
        }
    }
}
