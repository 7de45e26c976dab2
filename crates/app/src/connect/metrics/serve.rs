//! Where the figures are asked for.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use portolan_net::Listener;
use portolan_net::http::serve;
use portolan_store::state::State;
use serde::{Deserialize, Serialize};

use super::Metrics;
use crate::exposition;
use crate::report::Failure;
use crate::signal::Stop;

/// Where figures are served, as it is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct RawMetrics {
    /// A port of loopback, or an address with its port.
    pub(in super::super) listen: String,
    /// Whether whoever reaches another address than loopback may read them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(in super::super) danger_beyond_loopback: bool,
}

/// An exporter that listens.
pub(in super::super) struct Exporter {
    listener: Listener,
    metrics: Arc<Metrics>,
    state: State,
}

impl RawMetrics {
    /// The address to listen on.
    pub(in super::super) fn check(&self) -> Result<SocketAddr, String> {
        let address = exposition::listen_address(&self.listen)?;
        if !address.ip().is_loopback() && !self.danger_beyond_loopback {
            return Err(format!(
                "{address} is not loopback; figures are served without a password: give \
                 danger_beyond_loopback = true if whoever reaches it may read them"
            ));
        }
        Ok(address)
    }
}

impl Exporter {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub(in super::super) fn listen(
        address: SocketAddr,
        metrics: Arc<Metrics>,
        state: State,
    ) -> Result<Self, Failure> {
        let listener =
            Listener::at(address, "the address of the figures").map_err(Failure::from)?;
        Ok(Self { listener, metrics, state })
    }

    /// Answers until this is told to stop.
    pub(in super::super) async fn serve(self, stop: Stop) {
        let Self { listener, metrics, state } = self;
        let answer = move || {
            let (metrics, state) = (metrics.clone(), state.clone());
            async move { answer(&metrics, &state).await }
        };
        let router = Router::new().route("/metrics", get(answer));
        let stopped = async move { stop.requested().await };
        serve(listener, None, router, exposition::limits(), stopped).await;
    }
}

async fn answer(metrics: &Metrics, state: &State) -> Response {
    match metrics.page(state).await {
        Ok(page) => ([(header::CONTENT_TYPE, exposition::CONTENT_TYPE)], page).into_response(),
        Err(error) => {
            tracing::error!(%error, "Cannot read the figures");
            (StatusCode::INTERNAL_SERVER_ERROR, "the state cannot be read\n").into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_served_on_loopback_unless_told_otherwise() {
        let check = |listen: &str, danger_beyond_loopback| {
            RawMetrics { listen: listen.to_owned(), danger_beyond_loopback }.check()
        };
        assert_eq!(check("4711", false).unwrap().to_string(), "127.0.0.1:4711");
        assert!(check("10.0.0.1:4711", false).unwrap_err().contains("danger_beyond_loopback"));
        assert_eq!(check("10.0.0.1:4711", true).unwrap().to_string(), "10.0.0.1:4711");
        assert!(check("[::]:4711", false).is_err());
        assert!(check("localhost", true).is_err());
    }
}
