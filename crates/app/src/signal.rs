//! Being told to stop.

use tokio::signal::unix::{SignalKind, signal};

use crate::report::Failure;

/// Resolves when the process is told to stop: SIGTERM from a supervisor, SIGINT from a terminal.
///
/// # Errors
/// When the system does not let signals be waited for.
pub async fn stop() -> Result<(), Failure> {
    let listen =
        |kind| signal(kind).map_err(|error| Failure::because("cannot wait for signals", &error));
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
