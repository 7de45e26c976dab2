//! The log: structured lines on standard error.

use std::sync::OnceLock;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Names the variable that sets the log's level and targets.
const LOG_VARIABLE: &str = "PORTOLAN_LOG";

/// Targets that would write keys or plaintext below INFO (sspi at DEBUG and TRACE). The cap is put
/// on last, so that no setting lifts it.
const CAPPED_TARGETS: [&str; 4] = ["sspi", "picky", "picky_krb", "picky_asn1_der"];

/// What is told of runs when a form was asked for, whatever else the variable lets through.
const RUNS: &str = "portolan::run=info";

/// The form that was asked for.
static FORM: OnceLock<Form> = OnceLock::new();

/// The form of the log. Without one, runs are told for people's eyes, and only warnings are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// A line with fields for each event
    Text,
    /// A JSON object on a line for each event
    Json,
}

/// Starts the log. `PORTOLAN_LOG` takes a level or `target=level` pairs; the default is `warn`.
pub fn start(form: Option<Form>) {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::WARN.into())
        .with_env_var(LOG_VARIABLE)
        .from_env_lossy();
    let runs = form.and_then(|_| RUNS.parse().ok());
    let capped = CAPPED_TARGETS.iter().filter_map(|target| format!("{target}=info").parse().ok());
    let filter = runs.into_iter().chain(capped).fold(filter, EnvFilter::add_directive);
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match form {
        Some(Form::Json) => lines.json().flatten_event(true).with_span_list(false).init(),
        Some(Form::Text) | None => lines.init(),
    }
    if let Some(form) = form {
        // It is started once.
        let _ = FORM.set(form);
    }
}

/// Whether a form was asked for: then everything that is told is an event of it.
pub(crate) fn is_structured() -> bool {
    FORM.get().is_some()
}
