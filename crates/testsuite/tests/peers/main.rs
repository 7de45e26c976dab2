//! Portolan's own drivers against servers that nobody here wrote, on loopback: OpenLDAP's slapd with
//! MIT's KDC, BIND, Samba's smbd, and web proxies. They need what `cargo xtask setup` installs, and no root.
#![expect(clippy::disallowed_methods, reason = "foreign servers listen on ports that no chart has")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod authority;
mod chart;
mod chart_forest;
mod directory;
mod ldaps;
mod process;
mod proxy;
mod stand_in;
