//! What is asked on a row: the opening exchange of its protocol, and what the answer says.

mod ntp;

use portolan_chart::{Speaks, Transport};

use crate::{Asker, Outcome, Verdict};

/// Asks one question in the row's own protocol.
pub async fn probe(asker: &Asker<'_>) -> Outcome {
    match (asker.row().speaks, asker.transport()) {
        (Speaks::Ntp, Transport::Udp) => ntp::probe(asker).await,
        (speaks, transport) => unjudged(speaks, transport),
    }
}

/// For a protocol that no probe speaks.
fn unjudged(speaks: Speaks, transport: Transport) -> Outcome {
    Verdict::Unjudged { why: format!("no probe speaks {speaks} over {transport}") }.into()
}
