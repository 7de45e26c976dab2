//! What is written down about a lab: its processes and where its files are.
//!
//! The file is written before anything is started that it must name, so that `down` and the next
//! `up` find everything that a crash left behind.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::LabError;
use crate::plan::{Controllers, LabName, Network, SERVICE_KEYTAB_FILE};
use crate::process::{self, Process};

/// The version of the file's form.
const VERSION: u32 = 2;
/// The kernel's name of this boot: processes do not outlive it.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// A lab as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    version: u32,
    boot: String,
    /// Whether everything was started.
    pub(crate) complete: bool,
    /// How many domain controllers it has.
    pub(crate) controllers: Controllers,
    /// The namespaces, hosts and switches.
    pub(crate) namespaces: Vec<Namespace>,
    /// The archive that the forest came from.
    pub(crate) archive: Option<PathBuf>,
}

/// One set of namespaces and the processes that hold it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Namespace {
    /// The host's name, or the network's for a switch.
    pub(crate) name: String,
    /// The process outside that made the namespaces.
    pub(crate) keeper: Process,
    /// The first process inside: with it, all inside end.
    pub(crate) init: Process,
}

impl State {
    /// A lab that has nothing yet.
    pub(crate) fn begin(controllers: Controllers) -> Result<Self, LabError> {
        Ok(Self {
            version: VERSION,
            boot: boot()?,
            complete: false,
            controllers,
            namespaces: Vec::new(),
            archive: None,
        })
    }

    /// What the directory says of its lab; `None` when it says nothing, or speaks of an earlier
    /// boot.
    pub(crate) fn read(directory: &Directory) -> Result<Option<Self>, LabError> {
        let path = directory.state();
        if !path.exists() {
            return Ok(None);
        }
        let state: Self = serde_json::from_str(&process::read_text(&path)?)
            .map_err(|error| LabError::Malformed { path: path.clone(), rule: error.to_string() })?;
        if state.version != VERSION {
            let rule = format!("version {} is not {VERSION}", state.version);
            return Err(LabError::Malformed { path, rule });
        }
        Ok((state.boot == boot()?).then_some(state))
    }

    /// Writes it down, whole or not at all.
    pub(crate) fn write(&self, directory: &Directory) -> Result<(), LabError> {
        let path = directory.state();
        let draft = path.with_extension("draft");
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| LabError::Malformed { path: path.clone(), rule: error.to_string() })?;
        process::write(&draft, text)?;
        std::fs::rename(&draft, &path).map_err(LabError::io("write", &path))
    }

    /// The namespaces of a host or switch.
    pub(crate) fn namespace(&self, name: &str) -> Option<&Namespace> {
        self.namespaces.iter().find(|namespace| namespace.name == name)
    }

    /// The first of its namespaces that is gone.
    pub(crate) fn missing(&self) -> Option<&Namespace> {
        self.namespaces.iter().find(|namespace| !namespace.init.alive())
    }
}

fn boot() -> Result<String, LabError> {
    Ok(process::read_text(Path::new(BOOT_ID))?.trim().to_owned())
}

/// A lab's state directory.
#[derive(Debug, Clone)]
pub(crate) struct Directory {
    path: PathBuf,
}

impl Directory {
    /// The directory of a lab below `root`.
    pub(crate) fn new(root: &Path, name: &LabName) -> Self {
        Self { path: root.join(name.as_str()) }
    }

    /// The directory itself.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The state file.
    pub(crate) fn state(&self) -> PathBuf {
        self.path.join("state.json")
    }

    /// The files that a host sees below its `/etc`.
    pub(crate) fn etc(&self, host: &str) -> PathBuf {
        self.path.join("etc").join(host)
    }

    /// What is archived of the forest: the authority, and each domain controller's databases.
    pub(crate) fn forest(&self) -> PathBuf {
        self.path.join("forest")
    }

    /// A domain controller's files.
    pub(crate) fn controller(&self, host: &str) -> PathBuf {
        self.forest().join(host)
    }

    /// The files of the forest's authority.
    pub(crate) fn authority(&self) -> PathBuf {
        self.forest().join("authority")
    }

    /// The certificate of the forest's authority.
    pub(crate) fn authority_certificate(&self) -> PathBuf {
        self.authority().join("ca.pem")
    }

    /// The keys of the sync server's account, as the forest gives them out.
    pub(crate) fn service_keytab(&self) -> PathBuf {
        self.authority().join(SERVICE_KEYTAB_FILE)
    }

    /// A daemon's log.
    pub(crate) fn log(&self, daemon: &str) -> PathBuf {
        self.path.join(daemon).with_extension("log")
    }

    /// A network's recording.
    pub(crate) fn recording(&self, network: Network) -> PathBuf {
        self.path.join(network.name()).with_extension("pcap")
    }

    /// Makes the directory, for root only, and holds it: whoever else wants to start or end this
    /// lab waits until the lock is dropped.
    pub(crate) fn lock(&self) -> Result<File, LabError> {
        use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
        loop {
            if let Some(parent) = self.path.parent() {
                process::create_directory(parent)?;
            }
            match std::fs::DirBuilder::new().mode(0o700).create(&self.path) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(LabError::io("create", &self.path)(error)),
            }
            let Ok(held) = File::open(&self.path) else { continue };
            held.lock().map_err(LabError::io("lock", &self.path))?;
            // Another `down` may have removed the directory while this one waited for it.
            let inode = held.metadata().map_err(LabError::io("lock", &self.path))?.ino();
            if std::fs::metadata(&self.path).is_ok_and(|now| now.ino() == inode) {
                return Ok(held);
            }
        }
    }

    /// Removes what is in the directory, which stays held.
    pub(crate) fn empty(&self) -> Result<(), LabError> {
        process::empty_directory(&self.path)
    }

    /// Removes the directory with all in it.
    pub(crate) fn remove(&self) -> Result<(), LabError> {
        match std::fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(LabError::io("remove", &self.path)(error))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_reads_as_it_was_written_and_unknown_words_are_refused() {
        let root = std::env::temp_dir().join(format!("portolan-state-{}", std::process::id()));
        let directory = Directory::new(&root, &"one".parse().unwrap());
        let held = directory.lock().unwrap();
        let process = Process { pid: 7, started: 9 };
        let namespace = Namespace { name: "dc1".into(), keeper: process, init: process };
        let state = State {
            namespaces: vec![namespace],
            complete: true,
            ..State::begin(Controllers::Two).unwrap()
        };
        state.write(&directory).unwrap();
        assert_eq!(State::read(&directory).unwrap(), Some(state.clone()));

        let other_boot = State { boot: "another".into(), ..state };
        other_boot.write(&directory).unwrap();
        assert_eq!(State::read(&directory).unwrap(), None);

        process::write(&directory.state(), "{\"version\":2,\"colour\":2}").unwrap();
        assert!(matches!(State::read(&directory), Err(LabError::Malformed { .. })));
        drop(held);
        std::fs::remove_dir_all(root).unwrap();
    }
}
