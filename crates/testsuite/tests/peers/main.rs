//! Portolan's own drivers, and the checks of the chart, against servers that nobody here wrote, on
//! loopback: OpenLDAP's slapd, MIT's KDC and Heimdal's, BIND, Samba's smbd, web proxies, nginx, OpenSSL and
//! RabbitMQ; and what it draws, read by Mermaid.
//! They need what `cargo xtask setup` installs, and no root.
#![expect(clippy::disallowed_methods, reason = "foreign servers listen on ports that no chart has")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod authority;
mod chart;
mod chart_bomb;
mod chart_bus;
mod chart_forest;
mod chart_ocsp;
mod chart_web;
mod checked;
mod diagram;
mod directory;
mod heimdal;
mod ldaps;
mod nginx;
mod process;
mod proxy;
mod stage;
mod stand_in;
mod stand_in_dead;
mod stand_in_roles;
mod vendor;
