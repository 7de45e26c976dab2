//! Microsoft Graph as the target of a run: the real tenant's Graph and token endpoint over its real store, under the
//! published limits ([`portolan_tenant::graph::throttle`]), reached by a [`wire`] on which everything goes wrong that
//! goes wrong on the way to Graph, in virtual [`time`]. Whether the server keeps to what it is told is judged by
//! [`manners`].

pub mod manners;
pub mod time;
pub mod wire;

use portolan_app::connect::simulated::Place;
use portolan_app::report::Failure;
use portolan_model::Guid;

use crate::expected::INITIAL;

/// What an application needs that exports to Graph.
pub const ROLES: [&str; 3] = ["User.ReadWrite.All", "Group.ReadWrite.All", "Organization.Read.All"];

/// The application that exports to Graph.
#[must_use]
pub fn sender() -> Guid {
    Guid::from_random([4; 16])
}

/// Where the tenant's Graph is.
///
/// # Errors
/// When its name is none.
pub fn place(tenant: Guid) -> Result<Place, Failure> {
    let host = |name: &str| {
        let host = format!("{name}.{INITIAL}").parse();
        host.map_err(|error| Failure::because("a host of the simulated tenant", &error))
    };
    Ok(Place { graph: host("graph")?, login: host("login")?, tenant, client_id: sender() })
}
