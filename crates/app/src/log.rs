//! The log: structured lines on standard error.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Names the variable that sets the log's level and targets.
const LOG_VARIABLE: &str = "PORTOLAN_LOG";

/// Targets that would write keys or plaintext below INFO (sspi at DEBUG and TRACE). The cap is put
/// on last, so that no setting lifts it.
const CAPPED_TARGETS: [&str; 4] = ["sspi", "picky", "picky_krb", "picky_asn1_der"];

/// Starts the log. `PORTOLAN_LOG` takes a level or `target=level` pairs; the default is `warn`.
pub fn start() {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::WARN.into())
        .with_env_var(LOG_VARIABLE)
        .from_env_lossy();
    let filter = CAPPED_TARGETS
        .iter()
        .filter_map(|target| format!("{target}=info").parse().ok())
        .fold(filter, EnvFilter::add_directive);
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
