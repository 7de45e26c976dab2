//! Numbers of attributes' names, of connectors and of rules, and what is remembered of a connector.

use portolan_sync::engine::{ConnectorId, Side, System};
use portolan_sync::expression::Parameters;
use portolan_sync::rules::RuleId;
use portolan_sync::{AttributeId, Dictionary};
use sqlx::{Row as _, Sqlite, Transaction};

use super::{Partition, State, StateError};

/// Rules that a state has ever known.
const RULES_MAX: usize = u16::MAX as usize;
/// Systems that are connected.
const CONNECTORS_MAX: i64 = 1_000;

/// The number by which a side is kept.
const fn code(side: Side) -> i64 {
    match side {
        Side::Forest => 0,
        Side::Target => 1,
    }
}

impl State {
    /// All names of attributes with their numbers.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn dictionary(&self) -> Result<Dictionary, StateError> {
        dictionary(&mut self.database.read().await?).await
    }

    /// The numbers of attributes' names, in their order. Those that have none get one.
    ///
    /// # Errors
    /// When one is no name, there are too many, or the state cannot be written.
    pub async fn intern(&self, names: &[&str]) -> Result<Vec<AttributeId>, StateError> {
        let mut transaction = self.database.write().await?;
        let mut dictionary = dictionary(&mut transaction).await?;
        let known = dictionary.names().len();
        let ids = names.iter().map(|name| dictionary.intern(name)).collect::<Result<_, _>>()?;
        for (id, name) in dictionary.names().enumerate().skip(known) {
            sqlx::query("INSERT INTO attribute (id, name) VALUES (?, ?)")
                .bind(id as i64)
                .bind(name)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(ids)
    }

    /// Keeps every name of a dictionary that was made of [`Self::dictionary`] and has got more since.
    ///
    /// # Errors
    /// When the state cannot be written, or has other names by these numbers.
    pub async fn keep_dictionary(&self, dictionary: &Dictionary) -> Result<(), StateError> {
        let names: Vec<_> = dictionary.names().collect();
        let ids = self.intern(&names).await?;
        let in_order = ids.iter().enumerate().all(|(at, id)| usize::from(id.0) == at);
        if in_order { Ok(()) } else { Err(StateError::corrupt("the numbers of attributes")) }
    }

    /// All connected systems. One without a name an earlier release wrote, and nobody has asked for it
    /// since.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn connectors(&self) -> Result<Vec<System>, StateError> {
        let rows = sqlx::query("SELECT id, name, kind FROM connector ORDER BY id LIMIT ?")
            .bind(CONNECTORS_MAX)
            .fetch_all(&mut *self.database.read().await?)
            .await?;
        rows.iter()
            .map(|row| {
                let side = match row.try_get::<i64, _>("kind")? {
                    0 => Side::Forest,
                    1 => Side::Target,
                    _ => return Err(StateError::corrupt("the kind of a connector")),
                };
                let (id, name) = (connector(row.try_get("id")?)?, row.try_get("name")?);
                Ok(System { id, name, side, parameters: Parameters::default() })
            })
            .collect()
    }

    /// The number of a connected system, which gets one if it has none. The first of each side takes
    /// over what a release wrote that knew of one only.
    ///
    /// # Errors
    /// When the state cannot be written, or there are too many.
    pub async fn connector(&self, name: &str, side: Side) -> Result<ConnectorId, StateError> {
        let mut transaction = self.database.write().await?;
        let found = sqlx::query_scalar(
            "SELECT id FROM connector WHERE kind = ?1 AND name IN (?2, '')
             ORDER BY name = ?2 DESC LIMIT 1",
        )
        .bind(code(side))
        .bind(name)
        .fetch_optional(&mut *transaction)
        .await?;
        let id: i64 = match found {
            Some(id) => {
                let rename = sqlx::query("UPDATE connector SET name = ?2 WHERE id = ?1");
                rename.bind(id).bind(name).execute(&mut *transaction).await?;
                id
            }
            None => {
                sqlx::query_scalar("INSERT INTO connector (name, kind) VALUES (?, ?) RETURNING id")
                    .bind(name)
                    .bind(code(side))
                    .fetch_one(&mut *transaction)
                    .await?
            }
        };
        if id > CONNECTORS_MAX {
            return Err(StateError::TooMany { what: "connectors" });
        }
        transaction.commit().await?;
        connector(id)
    }

    /// The numbers of rules by their keys, in their order. Those that have none get one.
    ///
    /// # Errors
    /// When the state cannot be written, or there are too many.
    pub async fn rules(&self, keys: &[&str]) -> Result<Vec<RuleId>, StateError> {
        let mut transaction = self.database.write().await?;
        let mut ids = Vec::with_capacity(keys.len());
        for key in keys {
            let insert = sqlx::query("INSERT INTO rule (key) VALUES (?) ON CONFLICT DO NOTHING");
            insert.bind(*key).execute(&mut *transaction).await?;
            let id: i64 = sqlx::query_scalar("SELECT id FROM rule WHERE key = ?")
                .bind(*key)
                .fetch_one(&mut *transaction)
                .await?;
            let id = u16::try_from(id).map_err(|_| StateError::TooMany { what: "rules" })?;
            ids.push(RuleId(id));
        }
        transaction.commit().await?;
        Ok(ids)
    }

    /// The key of every rule that a state has ever known, with its number.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn rule_keys(&self) -> Result<Vec<(RuleId, String)>, StateError> {
        let rows = sqlx::query("SELECT id, key FROM rule ORDER BY id LIMIT ?")
            .bind(RULES_MAX as i64)
            .fetch_all(&mut *self.database.read().await?)
            .await?;
        rows.iter()
            .map(|row| {
                let id = u16::try_from(row.try_get::<i64, _>("id")?);
                let id = id.map_err(|_| StateError::corrupt("the number of a rule"))?;
                Ok((RuleId(id), row.try_get("key")?))
            })
            .collect()
    }

    /// What is remembered of a connector by a name.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn remembered(
        &self,
        connector: ConnectorId,
        name: &str,
    ) -> Result<Option<Vec<u8>>, StateError> {
        let value =
            sqlx::query_scalar("SELECT value FROM remembered WHERE connector = ? AND name = ?")
                .bind(connector.0)
                .bind(name)
                .fetch_optional(&mut *self.database.read().await?)
                .await?;
        Ok(value)
    }

    /// Remembers something of a connector by a name.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn remember(
        &self,
        connector: ConnectorId,
        name: &str,
        value: &[u8],
    ) -> Result<(), StateError> {
        let mut transaction = self.database.write().await?;
        remember(&mut transaction, connector, name, value).await?;
        Ok(transaction.commit().await?)
    }

    /// Forgets it.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn forget(&self, connector: ConnectorId, name: &str) -> Result<(), StateError> {
        let mut transaction = self.database.write().await?;
        forget(&mut transaction, connector, name).await?;
        Ok(transaction.commit().await?)
    }

    /// The cursor of a naming context's import as it was committed with the objects; `None` when it is to be
    /// read in full.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn forest_cursor(
        &self,
        of: impl Into<Partition>,
    ) -> Result<Option<Vec<u8>>, StateError> {
        let of = of.into();
        self.remembered(of.forest, &of.cursor(FOREST_CURSOR)).await
    }

    /// Forgets the cursor of a naming context's import, so that the next one reads it in full.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn forget_forest_cursor(&self, of: impl Into<Partition>) -> Result<(), StateError> {
        let of = of.into();
        self.forget(of.forest, &of.cursor(FOREST_CURSOR)).await
    }

    /// What is remembered of the batches that a target was sent last.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn batches(&self, target: ConnectorId) -> Result<Option<Vec<u8>>, StateError> {
        self.remembered(target, BATCHES).await
    }

    /// Remembers which batches a target was sent last.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn commit_batches(
        &self,
        target: ConnectorId,
        batches: &[u8],
    ) -> Result<(), StateError> {
        self.remember(target, BATCHES, batches).await
    }
}

/// The number of a connector, as it is kept.
pub(super) fn connector(id: i64) -> Result<ConnectorId, StateError> {
    let id = u16::try_from(id).map_err(|_| StateError::corrupt("the number of a connector"))?;
    Ok(ConnectorId(id))
}

/// The number of an attribute, as it is kept.
pub(super) fn attribute(id: i64) -> Result<AttributeId, StateError> {
    let id = u16::try_from(id).map_err(|_| StateError::corrupt("the number of an attribute"))?;
    Ok(AttributeId(id))
}

/// Remembers something, in the transaction of what it covers.
pub(super) async fn remember(
    transaction: &mut Transaction<'static, Sqlite>,
    connector: ConnectorId,
    name: &str,
    value: &[u8],
) -> Result<(), StateError> {
    sqlx::query(
        "INSERT INTO remembered (connector, name, value) VALUES (?, ?, ?)
         ON CONFLICT DO UPDATE SET value = excluded.value",
    )
    .bind(connector.0)
    .bind(name)
    .bind(value)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Forgets it, likewise.
pub(super) async fn forget(
    transaction: &mut Transaction<'static, Sqlite>,
    connector: ConnectorId,
    name: &str,
) -> Result<(), StateError> {
    sqlx::query("DELETE FROM remembered WHERE connector = ? AND name = ?")
        .bind(connector.0)
        .bind(name)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

async fn dictionary(
    transaction: &mut Transaction<'static, Sqlite>,
) -> Result<Dictionary, StateError> {
    let rows = sqlx::query("SELECT id, name FROM attribute ORDER BY id LIMIT ?")
        .bind(portolan_sync::NAMES_MAX as i64)
        .fetch_all(&mut **transaction)
        .await?;
    let mut dictionary = Dictionary::default();
    for row in &rows {
        let id = dictionary.intern(row.try_get("name")?)?;
        if i64::from(id.0) != row.try_get::<i64, _>("id")? {
            return Err(StateError::corrupt("the numbers of attributes"));
        }
    }
    Ok(dictionary)
}

/// The cursor of a forest's import.
pub(super) const FOREST_CURSOR: &str = "forest";
/// The cursor of password hash replication.
pub(super) const REPLICATION_CURSOR: &str = "drs";
/// Which batches a target was sent last.
pub(super) const BATCHES: &str = "batches";
