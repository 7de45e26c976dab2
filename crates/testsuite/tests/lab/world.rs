//! A lab with a road on it, for one test.

use std::path::Path;

use portolan_lab::{Controllers, Guard, Lab, LabError, LabName, Options};
use portolan_testsuite::{Road, Tools};

/// A lab of its own for a test, and a folder for its files; both go when it does.
pub(crate) struct World {
    pub(crate) lab: Guard,
    pub(crate) tools: Tools,
    work: tempfile::TempDir,
}

impl World {
    /// Brings a lab up, in this build's own folder of labs, so that another checkout's tests do not
    /// meet it. What an earlier, killed run left of it is taken away first.
    pub(crate) fn up(test: &str) -> Self {
        Self::with(test, Controllers::One)
    }

    /// The same with `dc1` and `dc2`, which replicate each other within a second or two.
    pub(crate) fn with_two_controllers(test: &str) -> Self {
        Self::with(test, Controllers::Two)
    }

    /// The same with `dc1`, and `odc1` of another forest.
    pub(crate) fn with_two_forests(test: &str) -> Self {
        Self::with(test, Controllers::TwoForests)
    }

    fn with(test: &str, controllers: Controllers) -> Self {
        let tools = Tools::from_environment().unwrap();
        let name: LabName = test.parse().unwrap();
        let state = Path::new(env!("CARGO_TARGET_TMPDIR")).join("labs");
        match Lab::remove(&name, &state, None) {
            Ok(()) | Err(LabError::NotRunning { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        let options = Options { name, state, controllers, ..Options::default() };
        let (lab, _) = Lab::up(&options, &mut |_| {}).unwrap();
        Self { lab: lab.guard(), tools, work: tempfile::tempdir().unwrap() }
    }

    /// Brings to a controller what another one has of the domain, without waiting for it to ask.
    pub(crate) fn replicate(&self, to: &str, from: &str) {
        let mut tool = self.lab.command(to, "samba-tool").unwrap();
        tool.args(["drs", "replicate", to, from, "DC=corp,DC=example"]);
        tool.args(["-s", portolan_lab::plan::FOREST_CONFIG]);
        let done = tool.output().unwrap();
        assert!(done.status.success(), "{done:?}");
    }

    /// A road on it, not yet gone.
    pub(crate) fn road(&self) -> Road<'_> {
        Road::begin(&self.lab, self.tools.clone(), self.work.path()).unwrap()
    }
}
