//! The one place of the algorithms that only old protocols still demand.
//!
//! MD4, MD5, RC4, single DES, CRC-32 and SHA-1 are mandated by [MS-DRSR], [MS-SAMR], Kerberos
//! (RFC 3961, RFC 3962), password hash synchronisation, OCSP, WebSockets and the thumbprints of
//! certificates; no other crate of this project depends
//! on an implementation of them. What is public here is what those protocols need, not the bare
//! algorithms for general use: [`NtHash`], [`pph1`], [`drsr`], [`des`], [`kerberos`], [`ocsp`],
//! [`websocket`] and [`certificate`].
//!
//! [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr
//! [MS-SAMR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-samr

pub mod certificate;
mod crc32;
pub mod des;
pub mod drsr;
pub mod kerberos;
mod nt_hash;
pub mod ocsp;
pub mod pph1;
pub mod websocket;

pub use nt_hash::NtHash;
