//! A simulation of synchronisation: one thread, one seed, virtual time.
//!
//! A run is one or two forests that people change by chance, controllers that learn of it in their own time, a
//! sync server and a tenant. Connections are lost, replies are lost, come twice and come late; the server dies at
//! any request and between any two transactions; controllers, the server and the tenant are restored from
//! backups; a forest does not answer; many objects go at once, and wait for somebody's word ([`books`]).
//! The server is the real one, from its import to its export, over its real state
//! (`portolan_app::connect::simulated`); the tenant's decisions and store are the real ones too
//! (`portolan_app::tenant::ingest`). In some runs the target is a Graph ([`graph`]): the real one of the tenant, and the
//! server's real way of exporting to it. Only the forest ([`forest`]) and the line between them are models.
//!
//! Whether all went well is judged apart from those who act ([`check`]), by what is worked out from the forest
//! alone ([`expected`]). A seed is a run: the same again on every host. A run is a list of [`step`]s that is
//! drawn before it begins, so one that fails is made shorter by leaving steps out ([`shrink`]).
//!
//! `cargo xtask sim` runs seeds. A seed that found something becomes a test by name, in `tests/seeds.rs`.

pub mod books;
pub mod chance;
pub mod check;
pub mod expected;
pub mod fault;
pub mod forest;
pub mod graph;
pub mod open;
pub mod people;
pub mod setting;
pub mod shrink;
pub mod step;
pub mod tenant;
pub mod world;
