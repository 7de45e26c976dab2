//! Rows as the parts of the state share them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use portolan_model::{Guid, SourceAnchor};
use portolan_sync::engine::ConnectorId;
use sqlx::{Row as _, Sqlite, Transaction};

use super::StateError;

/// A transaction of the state.
pub(super) type Tx = Transaction<'static, Sqlite>;

/// An objectGUID as it is kept.
pub(super) fn guid(octets: &[u8]) -> Result<Guid, StateError> {
    let octets = octets.try_into().map_err(|_| StateError::corrupt("an objectGUID"))?;
    Ok(Guid::from_bytes_le(octets))
}

/// An anchor as it is kept.
pub(super) fn anchor(text: &str) -> Result<SourceAnchor, StateError> {
    text.parse().map_err(|_| StateError::corrupt("a sourceAnchor"))
}

/// Numbers as SQLite's `json_each` reads them: one parameter, however many there are.
pub(super) fn numbers(numbers: impl IntoIterator<Item = i64>) -> String {
    let mut json = String::from("[");
    for number in numbers {
        let comma = if json.len() == 1 { "" } else { "," };
        // A string takes whatever is written.
        let _ = write!(json, "{comma}{number}");
    }
    json.push(']');
    json
}

/// Octets in hexadecimal, likewise.
pub(super) fn hexadecimal<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut json = String::from("[");
    for octets in values {
        json.push_str(if json.len() == 1 { "\"" } else { ",\"" });
        for octet in octets {
            for digit in [octet >> 4, octet & 15] {
                json.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
            }
        }
        json.push('"');
    }
    json.push(']');
    json
}

/// Texts, likewise.
pub(super) fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    serde_json::Value::from_iter(texts).to_string()
}

/// The keys of objects by their objectGUIDs. Those that nobody has named yet become placeholders.
pub(super) async fn keys_of(
    tx: &mut Tx,
    connector: ConnectorId,
    guids: impl IntoIterator<Item = Guid>,
) -> Result<BTreeMap<Guid, i64>, StateError> {
    let mut missing: Vec<Guid> = guids.into_iter().collect();
    missing.sort_unstable();
    missing.dedup();
    let mut keys = BTreeMap::new();
    for guids in missing.chunks(KEYS_AT_ONCE) {
        find_keys(tx, connector, guids, &mut keys).await?;
    }
    missing.retain(|guid| !keys.contains_key(guid));
    for guids in missing.chunks(KEYS_AT_ONCE) {
        let octets: Vec<_> = guids.iter().map(|guid| guid.to_bytes_le()).collect();
        let rows = sqlx::query(
            "INSERT INTO identity (connector, guid, state)
             SELECT ?1, unhex(value), 0 FROM json_each(?2) RETURNING key, guid",
        )
        .bind(connector.0)
        .bind(hexadecimal(octets.iter().map(<[u8; 16]>::as_slice)))
        .fetch_all(&mut **tx)
        .await?;
        for row in &rows {
            keys.insert(guid(row.try_get("guid")?)?, row.try_get("key")?);
        }
    }
    Ok(keys)
}

/// The keys of those objects that somebody has named.
pub(super) async fn find_keys(
    tx: &mut Tx,
    connector: ConnectorId,
    guids: &[Guid],
    keys: &mut BTreeMap<Guid, i64>,
) -> Result<(), StateError> {
    let octets: Vec<_> = guids.iter().map(|guid| guid.to_bytes_le()).collect();
    let rows = sqlx::query(
        "SELECT identity.key, identity.guid FROM json_each(?2)
         CROSS JOIN identity ON connector = ?1 AND guid = unhex(value)",
    )
    .bind(connector.0)
    .bind(hexadecimal(octets.iter().map(<[u8; 16]>::as_slice)))
    .fetch_all(&mut **tx)
    .await?;
    for row in &rows {
        keys.insert(guid(row.try_get("guid")?)?, row.try_get("key")?);
    }
    Ok(())
}

/// Objects that are looked up at once.
const KEYS_AT_ONCE: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_json() {
        assert_eq!(numbers([]), "[]");
        assert_eq!(numbers([1, -2]), "[1,-2]");
        assert_eq!(texts(["a\"b", "ä"]), r#"["a\"b","ä"]"#);
        assert_eq!(hexadecimal([&[][..], &[0x0a, 0xf1]]), r#"["","0af1"]"#);
    }
}
