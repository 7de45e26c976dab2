//! Taking a changed configuration without a restart: `connect.toml`, and the files of rules beside the
//! state. It is looked at when a cycle begins, and at once when the process is told to (SIGHUP).
//!
//! What is wrong is refused with what is wrong, and the server goes on with what it has.

use std::path::Path;

use aws_lc_rs::digest;

use super::config::{self, Config, RawConfig};
use super::cycle::Server;
use super::steps::Steps;
use super::synchronise::{Overlay, Ruleset};
use crate::report::Failure;

/// The files as they were when they were looked at last, taken or refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    config: Option<Vec<u8>>,
    rules: Option<Vec<u8>>,
}

/// What came of a look.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reloaded {
    /// Nothing is other than before.
    Same,
    /// The files of rules are others, and are in force.
    Rules,
    /// The configuration is another, and is in force.
    Config,
}

impl Seen {
    /// The files as they are now. What cannot be read is other than anything that can.
    pub(super) fn now(directory: &Path) -> Self {
        let digest = |octets: &[u8]| digest::digest(&digest::SHA256, octets).as_ref().to_vec();
        let limit = crate::files::CONFIGURATION_OCTETS_MAX;
        let config = crate::files::read_at_most(&directory.join(config::FILE), limit).ok();
        let rules = Overlay::read(directory).ok();
        Self {
            config: config.map(|octets| digest(&octets)),
            rules: rules.map(|overlay| overlay.digest().as_bytes().to_vec()),
        }
    }
}

impl Server {
    /// Takes what is other in the files than it was when they were looked at last, or all of it when it is
    /// told to.
    ///
    /// # Errors
    /// What is wrong with the files. Nothing of them is in force then, and it is said once.
    pub(super) async fn reload(
        &mut self,
        seen: &mut Seen,
        in_any_case: bool,
        steps: &Steps,
    ) -> Result<Reloaded, Failure> {
        let now = Seen::now(&self.directory);
        let (config, rules) = (now.config != seen.config, now.rules != seen.rules);
        *seen = now;
        if !config && !rules && !in_any_case {
            return Ok(Reloaded::Same);
        }
        // Both are looked at before either is taken.
        let overlay = Overlay::read(&self.directory)?;
        Ruleset::of(&overlay, &self.state).await?;
        if config || in_any_case {
            let after_restart = self.another(&Config::read(&self.directory)?)?;
            let state = self.state.clone();
            RawConfig::adopt(&self.directory, portolan_net::clock::now())?;
            let config = Config::read(&self.directory)?;
            let mut other = Self::with(config, state, &self.directory).await?;
            // The lease goes on: it is this server's, whatever else it is told.
            std::mem::swap(&mut other.lease, &mut self.lease);
            let role = other.lease.is_kept().then(|| other.lease.watch());
            if let Some(tenant) = other.target.tenant() {
                tenant.use_lease(role);
            }
            *self = other;
            // Its first act may be to seal a secret, which changes the file.
            *seen = Seen::now(&self.directory);
            tell(steps, &after_restart);
            return Ok(Reloaded::Config);
        }
        self.overlay = overlay;
        steps.say(None, "the changed rules are in force");
        Ok(Reloaded::Rules)
    }

    /// What of another configuration is not in force before a restart.
    ///
    /// # Errors
    /// When it is another server's.
    fn another(&self, other: &Config) -> Result<Vec<&'static str>, Failure> {
        let own = &self.config;
        let identity = |of: &Config| (of.tenant_id, of.tenant_domain.clone(), of.client_id);
        if identity(own) != identity(other) {
            return Err(Failure::new("connect.toml names another tenant or another client")
                .with_hint("a running server stays with its tenant: stop it, and start it again"));
        }
        let mut after_restart = Vec::new();
        if own.metrics != other.metrics {
            after_restart.push("[metrics]");
        }
        Ok(after_restart)
    }
}

fn tell(steps: &Steps, after_restart: &[&str]) {
    steps.say(None, "the changed configuration is in force");
    for part in after_restart {
        steps.say(None, &format!("note: {part} is in force after a restart"));
    }
}
