//! Being told to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::report::Failure;

/// Whether the process was told to stop: it can be waited for, and looked at between two pieces of
/// work.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Begins to listen: for SIGTERM from a supervisor, and SIGINT from a terminal.
    ///
    /// # Errors
    /// When the system does not let signals be waited for.
    pub fn listen() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::because("cannot wait for signals", &error))
        };
        let mut terminate = listen(SignalKind::terminate())?;
        let mut interrupt = listen(SignalKind::interrupt())?;
        let (told, stop) = watch::channel(false);
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            // Nobody is left to hear it only when the process ends anyway.
            let _ = told.send(true);
        });
        Ok(Self(stop))
    }

    /// Whether it was told by now.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Resolves when it is told.
    pub async fn requested(&self) {
        let mut stop = self.0.clone();
        if stop.wait_for(|told| *told).await.is_err() {
            // The listener is gone with the runtime: there is nothing to wait for.
            std::future::pending().await
        }
    }
}

/// Being told to read the configuration anew: SIGHUP, which ends a process that does not listen.
#[derive(Debug)]
pub struct HangUp(Signal);

impl HangUp {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the system does not let signals be waited for.
    pub fn listen() -> Result<Self, Failure> {
        let hang_up = signal(SignalKind::hangup());
        hang_up.map(Self).map_err(|error| Failure::because("cannot wait for signals", &error))
    }

    /// Resolves each time it is told.
    pub async fn received(&mut self) {
        if self.0.recv().await.is_none() {
            // The runtime ends: there is nothing to wait for.
            std::future::pending().await
        }
    }
}

/// Resolves when the process is told to stop: SIGTERM from a supervisor, SIGINT from a terminal.
///
/// # Errors
/// When the system does not let signals be waited for.
pub async fn stop() -> Result<(), Failure> {
    Stop::listen()?.requested().await;
    Ok(())
}
