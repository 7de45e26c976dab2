//! What there is to tell of a running lab.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::firewall::Stopped;
use crate::plan::LabName;

/// What a lab consists of.
#[derive(Debug, Clone)]
pub struct Status {
    /// Its name.
    pub name: LabName,
    /// Its state directory, with the logs of its daemons.
    pub directory: PathBuf,
    /// The archive that its forest came from.
    pub archive: Option<PathBuf>,
    /// The certificate of the forest's authority.
    pub authority: PathBuf,
    /// The recordings of both networks.
    pub recordings: Vec<PathBuf>,
    /// Its hosts.
    pub hosts: Vec<HostStatus>,
}

/// A host of a running lab.
#[derive(Debug, Clone)]
pub struct HostStatus {
    /// Its name.
    pub name: &'static str,
    /// Its parts in the chart.
    pub roles: Vec<&'static str>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// The first process in its namespaces, by its number on the machine.
    pub pid: u32,
    /// What its firewall stopped since the lab is up.
    pub stopped: Vec<Stopped>,
    /// The flows that are closed on it.
    pub closed: Vec<String>,
}
