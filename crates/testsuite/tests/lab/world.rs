//! A lab with a road on it, for one test.

use portolan_lab::{Guard, Lab, Options};
use portolan_testsuite::{Road, Tools};

/// A lab of its own for a test, and a folder for its files; both go when it does.
pub(crate) struct World {
    pub(crate) lab: Guard,
    pub(crate) tools: Tools,
    work: tempfile::TempDir,
}

impl World {
    /// Brings a lab up under a name that no other test and no other run uses.
    pub(crate) fn up(test: &str) -> Self {
        let tools = Tools::from_environment().unwrap();
        let name = format!("{test}-{}", std::process::id());
        let options = Options { name: name.parse().unwrap(), ..Options::default() };
        let (lab, _) = Lab::up(&options, &mut |_| {}).unwrap();
        Self { lab: lab.guard(), tools, work: tempfile::tempdir().unwrap() }
    }

    /// A road on it, not yet gone.
    pub(crate) fn road(&self) -> Road<'_> {
        Road::begin(&self.lab, self.tools.clone(), self.work.path()).unwrap()
    }
}
