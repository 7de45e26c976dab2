//! The keys that sign tokens: made, loaded, renewed. When is decided by `portolan_tenant::signing`.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use portolan_store::tenant::{SqliteStore, SqliteTransaction};
use portolan_tenant::signing::{self, Decision};
use portolan_tenant::storage::{Access, Store as _, Transaction as _};
use portolan_token::{Jwks, SigningKey};
use time::OffsetDateTime;

use super::commands::{audit, broken};
use crate::report::Failure;

/// What the names of the keys begin with.
const PREFIX: &str = "signing-key/";

/// The keys at a moment.
pub(super) struct SigningKeys {
    /// The one that signs.
    pub(super) signer: SigningKey,
    /// All that are published.
    pub(super) published: Jwks,
}

/// The keys by name and the moment at which they were made, and what is to be done with them.
pub(super) async fn schedule(
    tx: &mut SqliteTransaction,
    now: OffsetDateTime,
) -> Result<(Vec<(String, OffsetDateTime)>, Decision), Failure> {
    let keys = tx.secrets_made(PREFIX).await.map_err(broken)?;
    let made: Vec<_> = keys.iter().map(|(_, made_at)| *made_at).collect();
    let decision = signing::decide(&made, now).ok_or_else(missing)?;
    Ok((keys, decision))
}

/// The id in tokens of a key by its name.
pub(super) fn key_id(name: &str) -> &str {
    name.strip_prefix(PREFIX).unwrap_or(name)
}

/// Reads the keys.
pub(super) async fn load(
    tx: &mut SqliteTransaction,
    now: OffsetDateTime,
) -> Result<SigningKeys, Failure> {
    let (names, decision) = schedule(tx, now).await?;
    let mut keys = Vec::with_capacity(names.len());
    for (name, _) in &names {
        let der = tx.secret(name).await.map_err(broken)?.ok_or_else(missing)?;
        keys.push(SigningKey::from_pkcs8(&der).map_err(|_| missing())?);
    }
    let published = Jwks { keys: keys.iter().map(|key| key.public().clone()).collect() };
    Ok(SigningKeys { signer: keys.swap_remove(decision.signer), published })
}

/// Makes the next key when it is time, and forgets those that are over; whether anything was done.
pub(super) async fn renew(store: &SqliteStore, now: OffsetDateTime) -> Result<bool, Failure> {
    let mut tx = store.begin(Access::Write).await.map_err(broken)?;
    let (keys, decision) = schedule(&mut tx, now).await?;
    for (name, _) in &keys[..decision.over] {
        tx.erase_secret(name).await.map_err(broken)?;
        audit(&mut tx, "signingKey.retire", name.clone(), now).await?;
    }
    if decision.make_next {
        let name = make(&mut tx, now).await?;
        audit(&mut tx, "signingKey.make", name, now).await?;
    }
    tx.commit().await.map_err(broken)?;
    Ok(decision.make_next || decision.over > 0)
}

/// Makes a key that signs tokens; its name.
pub(super) async fn make(
    tx: &mut SqliteTransaction,
    now: OffsetDateTime,
) -> Result<String, Failure> {
    let refused = || Failure::new("cannot make the key that signs tokens");
    let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| refused())?;
    let der = pair.as_der().map_err(|_| refused())?;
    let key = SigningKey::from_pkcs8(der.as_ref()).map_err(|_| refused())?;
    let name = format!("{PREFIX}{}", key.kid());
    tx.put_secret(&name, der.as_ref(), now).await.map_err(broken)?;
    Ok(name)
}

fn missing() -> Failure {
    Failure::new("the tenant's store has no key that signs tokens")
        .with_hint("make the tenant anew with `portolan tenant init`")
}
