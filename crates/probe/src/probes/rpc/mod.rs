//! DCE/RPC (C706, [MS-RPCE]): the endpoint mapper, and the ports that it names.
//!
//! No port is tried that the mapper does not name, and nothing is called but the mapper itself. A bind
//! without credentials is what every server takes, and calls nothing.
//!
//! [MS-RPCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-rpce

mod association;
mod judge;

use std::collections::BTreeMap;

use portolan_chart::{Row, Speaks, Transport};
use portolan_rpc::epm::{self, OPNUM_EPT_MAP};
use portolan_rpc::interface::OF_CONTROLLER;
use portolan_rpc::pdu::SyntaxId;
use tokio::time::timeout;

use crate::{Asker, Outcome, Verdict};
use association::Bound;
use judge::{Listening, Mapped};

/// Asks the endpoint mapper for every interface of a controller.
pub(super) async fn endpoint_mapper(asker: &Asker<'_>) -> Outcome {
    match map(asker, asker.port()).await {
        Ok(mapped) => mapped.judge(),
        Err(verdict) => verdict.into(),
    }
}

/// Asks the endpoint mapper, and then every port that it names.
pub(super) async fn probe(asker: &Asker<'_>) -> Outcome {
    let Some(mapper) = mapper(asker) else {
        let why = "no row of this edition leads to the endpoint mapper that names its ports";
        return Verdict::Unjudged { why: why.to_owned() }.into();
    };
    // Neither the mapper nor the way to a port takes the time of what comes behind it.
    let share = asker.deployment().limits.probe_time_max * 2 / 5;
    let mapped = match timeout(share, map(asker, mapper.first_port())).await {
        Ok(Ok(mapped)) => mapped,
        Ok(Err(verdict)) => return judge::without_mapper(mapper, &verdict),
        Err(_) => return judge::without_mapper(mapper, &asker.timed_out()),
    };
    let asked = mapped.ports().into_iter().map(async |(port, interfaces)| {
        let interface = interfaces.first().map_or(epm::INTERFACE, |(_, interface)| *interface);
        let names = interfaces.into_iter().map(|(name, _)| name).collect();
        let bound = match timeout(share, asker.connect_to(port)).await {
            Ok(Ok(connection)) => Bound::over(asker, connection, interface).await,
            Ok(Err(verdict)) => Err(verdict),
            Err(_) => Err(Verdict::Filtered),
        };
        let is_stand_in = bound.as_ref().is_ok_and(|bound| bound.is_stand_in);
        let verdict = match bound {
            // That it refuses the bind is said in the protocol.
            Ok(_) => Verdict::Open,
            Err(verdict) => verdict,
        };
        Listening { port, names, verdict, is_stand_in }
    });
    let listening = futures_util::future::join_all(asked).await;
    judge::ports(asker.row(), &mapped, listening)
}

/// The row by which the endpoint mapper is reached on the same way.
fn mapper<'a>(asker: &Asker<'a>) -> Option<&'a Row> {
    let row = asker.row();
    let speaks = |other: &&Row| {
        other.speaks == Speaks::EndpointMapper && other.to == row.to && other.uses(Transport::Tcp)
    };
    let rows = || asker.deployment().chart.all().filter(speaks);
    rows().find(|other| other.from == row.from).or_else(|| rows().next())
}

/// Where each interface listens, as the endpoint mapper at this port says.
async fn map(asker: &Asker<'_>, port: u16) -> Result<Mapped, Verdict> {
    let connection = asker.connect_to(port).await?;
    let mut bound = Bound::over(asker, connection, epm::INTERFACE).await?;
    let mut mapped = Mapped::new(bound.is_stand_in);
    if let Some(error) = bound.refusal() {
        mapped.refuse(error.to_string());
        return Ok(mapped);
    }
    for (name, interface) in OF_CONTROLLER {
        let stub = match bound.call(OPNUM_EPT_MAP, &epm::encode_map_request(interface)).await? {
            Ok(stub) => stub,
            Err(error) => {
                mapped.refuse(error.to_string());
                return Ok(mapped);
            }
        };
        match epm::decode_map_response(&stub, interface) {
            Ok(Ok(endpoints)) => {
                mapped.add(name, interface, endpoints.first().map(|endpoint| endpoint.port));
            }
            Ok(Err(_)) => mapped.add(name, interface, None),
            Err(_) => return Err(Verdict::wrong_protocol(&stub)),
        }
    }
    Ok(mapped)
}

/// Interfaces by the port that they share.
type ByPort = BTreeMap<u16, Vec<(&'static str, SyntaxId)>>;
