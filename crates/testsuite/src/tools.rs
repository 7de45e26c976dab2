//! What the road is driven with: the binary under test and the peers' interpreter.

use std::path::{Path, PathBuf};

use crate::RoadError;

/// The programs of a road.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The binary under test.
    pub portolan: PathBuf,
    /// The interpreter with MSAL and Selenium.
    pub python: PathBuf,
    /// The folder of the peers' scripts.
    pub scripts: PathBuf,
}

impl Tools {
    /// From the build's folder of products: the binary in `debug`, the interpreter in `peers`.
    #[must_use]
    pub fn of_target(target: &Path) -> Self {
        Self {
            portolan: target.join("debug/portolan"),
            python: target.join("peers/bin/python3"),
            scripts: Path::new(env!("CARGO_MANIFEST_DIR")).join("python"),
        }
    }

    /// For a benchmark: the binary that a variable names, or the optimised one beside the benchmark.
    #[must_use]
    pub fn of_bench() -> Self {
        let this = std::env::current_exe().unwrap_or_default();
        let profile = this.ancestors().nth(2).unwrap_or(Path::new("."));
        let named = std::env::var_os("PORTOLAN_BINARY").map(PathBuf::from);
        let target = profile.parent().unwrap_or(profile);
        Self {
            portolan: named.unwrap_or_else(|| profile.join("portolan")),
            ..Self::of_target(target)
        }
    }

    /// From the variables that `cargo xtask test` sets.
    ///
    /// # Errors
    /// [`RoadError::NoVariable`] when one is missing.
    pub fn from_environment() -> Result<Self, RoadError> {
        let variable = |name: &'static str| {
            std::env::var_os(name).map(PathBuf::from).ok_or(RoadError::NoVariable { name })
        };
        Ok(Self {
            portolan: variable("PORTOLAN_BINARY")?,
            python: variable("PORTOLAN_PEERS_PYTHON")?,
            scripts: Path::new(env!("CARGO_MANIFEST_DIR")).join("python"),
        })
    }
}
