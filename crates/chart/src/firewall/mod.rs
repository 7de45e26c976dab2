//! The firewall of a host, made from the chart: what is not a row is stopped.
//!
//! A [`Policy`] is the one form of the rules; [`Format`] writes it for each firewall, and [`compare`] reads
//! a firewall's own listing against it. [`nftables`] writes the lab's rules from the same form, and
//! [`classify`] reads a captured packet the same way. Nothing here runs anything: loading the rules is the
//! caller's.

mod cisco_asa;
mod classify;
pub mod compare;
mod format;
mod iptables;
mod nftables;
mod policy;
mod prefix;
mod terraform_aws;
mod terraform_azure;
mod windows;

use std::net::IpAddr;

use crate::Role;

pub use classify::{Packet, classify};
pub use format::{Format, Unwritable};
pub use nftables::{LOG_GROUP, TABLE, nftables};
pub use policy::{Direction, End, Missing, Policy, Reach, Rule, Side, Site};
pub use prefix::{Family, InvalidPrefix, Prefix, number};

/// A host as the firewall sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its name, for the comment at the head of its rules.
    pub name: String,
    /// What it plays; a host may play several parts.
    pub roles: Vec<Role>,
    /// Every address it has, IPv4 and IPv6, on all its links.
    pub addresses: Vec<IpAddr>,
}

impl Host {
    /// A host of one role.
    #[must_use]
    pub fn new(name: impl Into<String>, role: Role, addresses: Vec<IpAddr>) -> Self {
        Self { name: name.into(), roles: vec![role], addresses }
    }

    /// With one role more.
    #[must_use]
    pub fn and(mut self, role: Role) -> Self {
        self.roles.push(role);
        self
    }

    /// Whether the host stands at the end of a row that names `role`.
    #[must_use]
    pub fn plays(&self, role: Role) -> bool {
        self.roles.iter().any(|own| own.plays(role))
    }
}
