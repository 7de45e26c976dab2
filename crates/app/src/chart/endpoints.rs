//! `portolan chart endpoints`: the vendor's own hosts that a role reaches, for a proxy's list of the allowed.

use portolan_chart::{Cloud, EndpointName, Role, endpoints_in};
use portolan_model::Guid;

use super::{Format, Output, edition, json, table};
use crate::report::Failure;

/// What `portolan chart endpoints` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The role whose hosts to show.
    #[arg(long)]
    role: String,
    /// The tenant's id, which some hosts bear in their names.
    #[arg(long, value_name = "ID")]
    tenant_id: Option<Guid>,
    /// The edition whose rows and ports are meant, by its date, or a file.
    #[arg(long, value_name = "DATE|FILE")]
    edition: Option<String>,
    /// The cloud in which the tenant lives.
    #[arg(long, value_enum, default_value_t = CloudName::Public)]
    cloud: CloudName,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum CloudName {
    /// The one for everybody.
    Public,
    /// The one of the government of the United States.
    UsGovernment,
}

pub(super) fn render(args: &Args) -> Result<String, Failure> {
    let chart = edition::chart(args.edition.as_deref())?;
    let role: Role = args.role.parse()?;
    let cloud = match args.cloud {
        CloudName::Public => Cloud::Public,
        CloudName::UsGovernment => Cloud::UsGovernment,
    };
    let all = endpoints_in(cloud, role, args.tenant_id).into_iter();
    let of_edition: Vec<_> =
        all.filter_map(|endpoint| Some((chart.row(endpoint.flow).ok()?, endpoint))).collect();
    if args.output.format() == Format::Json {
        return Ok(json::endpoints(&chart.in_force().id, cloud, &of_edition));
    }
    if of_edition.is_empty() {
        return Ok(format!("no list names a host that the role {role} reaches\n"));
    }
    let head = ["HOST", "PORTS", "FLOW", "NEEDED", "ASKED", "FOR"].map(str::to_owned);
    let lines = of_edition.iter().map(|(row, endpoint)| {
        let asked = match endpoint.name {
            EndpointName::Host(_) => "yes",
            EndpointName::Below(_) => "no",
        };
        [
            endpoint.name.to_string(),
            row.ports_text(),
            endpoint.flow.to_string(),
            endpoint.requirement.to_string(),
            asked.to_owned(),
            endpoint.purpose.to_owned(),
        ]
    });
    Ok(table::align(&std::iter::once(head).chain(lines).collect::<Vec<_>>()))
}
