//! What can go wrong in a lab, with a next step for the operator.

use std::io;
use std::path::{Path, PathBuf};

use portolan_codec::DecodeError;
use portolan_model::Hint;

/// Why the lab did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// Namespaces, mounts and firewalls are root's.
    #[error("the lab needs root")]
    NotRoot,
    /// Programs that the lab runs are not installed.
    #[error("not installed: {}", packages.join(", "))]
    MissingPackages {
        /// The Debian packages that hold them.
        packages: Vec<&'static str>,
    },
    /// A name that is no lab's name.
    #[error("{name:?} is no lab name: {rule}")]
    InvalidName {
        /// What was given.
        name: String,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// There is no lab of this name.
    #[error("no lab named {name} is running")]
    NotRunning {
        /// The lab's name.
        name: String,
    },
    /// A lab of this name is there, but some of its processes are not.
    #[error("the lab {name} is broken: {what}")]
    Broken {
        /// The lab's name.
        name: String,
        /// What is missing.
        what: String,
    },
    /// The lab that runs has another number of domain controllers than is asked for.
    #[error("the lab {name} is running with another number of domain controllers")]
    OtherControllers {
        /// The lab's name.
        name: String,
    },
    /// The lab has no such host.
    #[error("the lab has no host named {host}; its hosts are {known}")]
    UnknownHost {
        /// What was asked for.
        host: String,
        /// The hosts there are.
        known: String,
    },
    /// No firewall of the lab has a rule for this flow.
    #[error("no firewall of the lab has a rule for the flow {flow}")]
    UnknownFlow {
        /// The flow's name.
        flow: String,
    },
    /// A program failed.
    #[error("{program} failed ({status}){}", said(output))]
    Program {
        /// The program and its arguments.
        program: String,
        /// Its exit status.
        status: String,
        /// The end of what it wrote.
        output: String,
    },
    /// The forest or the resolver did not answer in time.
    #[error("not ready after {seconds} s: {what}")]
    NotReady {
        /// What was waited for.
        what: String,
        /// How long, in seconds.
        seconds: u64,
        /// A log that may say why.
        log: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {doing}")]
    Io {
        /// What was being done, with the path.
        doing: String,
        /// The reason.
        source: io::Error,
    },
    /// A file of the lab's own does not parse.
    #[error("cannot read {}: {rule}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        rule: String,
    },
    /// What nftables says of a host's rules does not parse.
    #[error("cannot read the firewall of {host}")]
    Listing {
        /// The host.
        host: String,
        /// The reason.
        source: serde_json::Error,
    },
    /// A recording does not parse.
    #[error("cannot read the capture {}", path.display())]
    Capture {
        /// The recording.
        path: PathBuf,
        /// Where and why.
        source: DecodeError,
    },
    /// A recording is larger than is read into memory.
    #[error("the capture {} has {size} octets, more than {limit}", path.display())]
    CaptureTooLarge {
        /// The recording.
        path: PathBuf,
        /// Its size in octets.
        size: u64,
        /// The limit in octets.
        limit: u64,
    },
    /// A certificate or a revocation list cannot be made.
    #[error("the forest's authority cannot sign: {0}")]
    Authority(String),
    /// The chart does not say what the lab needs to know.
    #[error("the chart does not fit the lab: {0}")]
    Chart(String),
}

impl LabError {
    /// Wraps an error of the operating system: `cannot write /run/x: ...`.
    pub(crate) fn io(verb: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let doing = format!("{verb} {}", path.display());
        move |source| Self::Io { doing, source }
    }
}

impl Hint for LabError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NotRoot => Some("run the same command with sudo".to_owned()),
            Self::MissingPackages { .. } => {
                Some("`cargo xtask setup` installs what the lab needs".to_owned())
            }
            Self::NotRunning { .. } => Some("`portolan lab up` starts one".to_owned()),
            Self::Broken { .. } => {
                Some("`portolan lab up` takes away what is left and starts again".to_owned())
            }
            Self::OtherControllers { .. } => {
                Some("take it down first, or give this one another --name".to_owned())
            }
            Self::UnknownFlow { .. } => Some("`portolan chart list` shows the flows".to_owned()),
            Self::NotReady { log, .. } => Some(format!("look into {}", log.display())),
            Self::Malformed { .. } => {
                Some("another version may have written it; take the lab down with that".to_owned())
            }
            Self::CaptureTooLarge { .. } => {
                Some("take the lab down and up again; a recording starts anew".to_owned())
            }
            _ => None,
        }
    }
}

fn said(output: &str) -> String {
    if output.is_empty() { String::new() } else { format!(": {output}") }
}
