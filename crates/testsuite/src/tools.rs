//! What the road is driven with: the binary under test and the peers' interpreter.

use std::path::{Path, PathBuf};

use crate::RoadError;

/// The programs of a road.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The binary under test.
    pub portolan: PathBuf,
    /// The interpreter with MSAL, the Graph SDK and Selenium.
    pub python: PathBuf,
    /// Node, which comes with them.
    pub node: PathBuf,
    /// The folder in whose `node_modules` the npm peers are.
    pub npm: PathBuf,
    /// The folder into which Heimdal's packages were unpacked.
    pub heimdal: PathBuf,
    /// The folder of the peers' scripts in Python.
    pub scripts: PathBuf,
    /// The folder of the peers' scripts in JavaScript.
    pub node_scripts: PathBuf,
}

impl Tools {
    /// From the build's folder of products: the binary in `debug`, the interpreter in `peers`.
    #[must_use]
    pub fn of_target(target: &Path) -> Self {
        Self::with(target.join("debug/portolan"), target.join("peers/bin/python3"))
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
        Ok(Self::with(variable("PORTOLAN_BINARY")?, variable("PORTOLAN_PEERS_PYTHON")?))
    }

    /// Where the interpreter is, there `cargo xtask setup` put everything else.
    fn with(portolan: PathBuf, python: PathBuf) -> Self {
        let peers = python.ancestors().nth(2).unwrap_or(Path::new("")).to_owned();
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self {
            portolan,
            node: python.with_file_name("node"),
            npm: peers.join("npm"),
            heimdal: peers.join("heimdal"),
            python,
            scripts: here.join("python"),
            node_scripts: here.join("npm"),
        }
    }
}
