//! `portolan chart watch`: the checks again and again, as a Prometheus exporter.
//!
//! What changed since the check before is a line on standard output. Nothing is kept on disk: after a
//! restart the first check is the new beginning. It ends on SIGTERM and SIGINT, in the middle of a check too.

mod metrics;
mod states;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use portolan_net::http::serve;
use portolan_net::{Listener, clock};
use tokio::sync::watch;

use self::states::States;
use super::deployment::{self, Plan};
use super::report::words;
use crate::exposition;
use crate::report::Failure;
use crate::signal::Stop;

/// What `portolan chart watch` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    deployment: deployment::Arguments,
    /// Where Prometheus asks for /metrics: a port of 127.0.0.1, or ADDRESS:PORT.
    #[arg(long, value_name = "[ADDRESS:]PORT", value_parser = exposition::listen_address)]
    listen: SocketAddr,
    /// Seconds from the beginning of one check to that of the next.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    interval: u64,
}

/// Checks until it is told to stop.
///
/// # Errors
/// A [`Failure`] when the deployment is not right or its port cannot be listened on.
pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let stop = Stop::listen()?;
    let plan = deployment::plan(args.deployment)?;
    let listener = Listener::at(args.listen, "the exporter's address").map_err(Failure::from)?;
    let address = listener.local_address();
    let address = address.map_err(|error| Failure::because("cannot listen", &error))?;
    println!("{} http://{address}/metrics is exported", now());
    let (publish, page) = watch::channel(Arc::<str>::from(""));
    let told = stop.clone();
    let server =
        serve(
            listener,
            None,
            router(page),
            exposition::limits(),
            async move { told.requested().await },
        );
    let work = async {
        tokio::select! {
            () = check_on(&plan, Duration::from_secs(args.interval), &publish) => {}
            () = stop.requested() => {}
        }
    };
    tokio::join!(server, work);
    println!("{} ending", now());
    Ok(())
}

/// Checks at each interval's beginning, and publishes what was found.
async fn check_on(plan: &Plan, interval: Duration, publish: &watch::Sender<Arc<str>>) {
    let mut states = States::default();
    let mut checks = 0_u64;
    let mut beginnings = tokio::time::interval(interval);
    beginnings.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        beginnings.tick().await;
        let report = plan.check().run(None).await;
        checks = checks.saturating_add(1);
        for change in states.changes(&report) {
            println!("{} {}", now(), crate::terminal::plain(&change));
        }
        if checks == 1 {
            println!("{} {}", now(), words::figures(&report));
        }
        let page = metrics::page(&report, checks, clock::now());
        // The server holds a receiver for as long as this runs.
        let _ = publish.send(page.into());
    }
}

fn router(page: watch::Receiver<Arc<str>>) -> Router {
    Router::new().route("/metrics", get(answer)).with_state(page)
}

/// The last check's figures; until the first one is through there are none.
async fn answer(State(page): State<watch::Receiver<Arc<str>>>) -> Response {
    let page = page.borrow().to_string();
    if page.is_empty() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the first check is not through yet\n")
            .into_response();
    }
    ([(header::CONTENT_TYPE, exposition::CONTENT_TYPE)], page).into_response()
}

fn now() -> String {
    let format =
        time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    clock::now().format(format).unwrap_or_default()
}
