//! The chart of ports: each dated edition of "Hybrid Identity Required Ports and Protocols" as data.
//!
//! Code names a link by its [`Flow`] (`connect.ad.ldap`); a [`Chart`] gives the [`Row`] of the edition
//! in force, and with it the port. No port number stands anywhere else in the workspace. From the same
//! rows come the firewall of a host ([`firewall`]) and the reference pages ([`markdown`]).
//! Nothing here opens a socket: `portolan_net` listens and dials by flow.

mod chart;
mod data;
pub mod diagram;
mod diff;
mod endpoints;
mod facts;
mod find;
pub mod firewall;
pub mod flow;
pub mod impact;
pub mod markdown;
mod port;
mod role;
mod row;
mod speaks;

pub use chart::{Chart, DEFAULT_EDITION, Edition, NoSuchRow, UnknownEdition};
pub use data::{FILE_SIZE_MAX, InvalidFile};
pub use diff::{Change, Changed, Diff};
pub use endpoints::{Cloud, Endpoint, EndpointName, endpoints, endpoints_in};
pub use facts::{Facts, facts};
pub use find::port;
pub use flow::{Flow, UnknownFlow};
pub use port::{InvalidPortRange, PortRange, Transport};
pub use role::{Role, UnknownRole};
pub use row::{PortsRelation, Printed, Requirement, Row, TableId};
pub use speaks::{Speaks, UnknownProtocol};
