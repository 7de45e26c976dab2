//! Tokens: the keys that sign them, their JSON Web forms, and the claims the tenant puts into them.
//!
//! Signing uses aws-lc-rs with a key parsed once (parsing costs more than signing); verifying goes
//! through jsonwebtoken, with the algorithm fixed by the key and never by the token. The clock is
//! always an argument. Nothing here stores a key or makes one: see `portolan_app::tenant`.

pub mod assertion;
pub mod claims;
mod jwk;
mod jws;

pub use jwk::{InvalidJwk, Jwk, Jwks};
pub use jws::{InvalidJws, InvalidKey, SigningKey, VerifyingKey, key_id_of};
