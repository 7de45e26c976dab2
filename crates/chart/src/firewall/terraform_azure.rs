//! The rules of one host as a network security group of Azure, in Terraform's language; see
//! <https://registry.terraform.io/providers/hashicorp/azurerm/latest/docs/resources/network_security_rule>.
//!
//! A network security group follows connections. Its own last rules let a virtual network talk within
//! itself and outwards; a rule that denies all stands before them.

use std::fmt::Write as _;

use super::format::Unwritable;
use super::terraform_aws::identifier;
use super::{Direction, End, Policy, Prefix, Rule};

/// The priorities of permissions: what is below and above is left to others and to the last rule.
const PRIORITY_FIRST: usize = 100;
const PRIORITY_LAST: usize = 4000;
/// The last of an operator's priorities.
const PRIORITY_DENY: usize = 4096;
/// Between permissions, so that others can be put between.
const PRIORITY_STEP: usize = 10;
/// The letters that Azure keeps of a description.
const DESCRIPTION_LETTERS_MAX: usize = 140;

/// The policy as one group and its rules, for a variable place.
pub(super) fn write(policy: &Policy<'_>) -> Result<String, Unwritable> {
    let mut text: String = policy.head().iter().map(|line| format!("# {line}\n")).collect();
    let name = identifier(policy.role.name());
    // Writing to a String does not fail, here and below.
    let _ = write!(
        text,
        "# A network security group is stateful: what answers a connection passes without a rule.\n\n\
         variable \"resource_group_name\" {{\n  type = string\n}}\n\n\
         variable \"location\" {{\n  type = string\n}}\n\n\
         resource \"azurerm_network_security_group\" \"portolan_{name}\" {{\n  \
         name                = \"portolan-{role}\"\n  location            = var.location\n  \
         resource_group_name = var.resource_group_name\n}}\n",
        role = policy.role,
    );
    for (direction, word) in [(Direction::Out, "Outbound"), (Direction::In, "Inbound")] {
        if !policy.side.includes(direction) {
            continue;
        }
        let rules: Vec<_> = policy.of(direction).collect();
        let rules_max = PRIORITY_LAST - PRIORITY_FIRST;
        // One for ICMP, whose types Azure does not tell apart.
        let count = rules.len() + 1;
        if count > rules_max {
            return Err(Unwritable::TooMany { rules: count, rules_max });
        }
        let step = if count * PRIORITY_STEP <= rules_max { PRIORITY_STEP } else { 1 };
        let mut priorities = (PRIORITY_FIRST..PRIORITY_LAST).step_by(step);
        let icmp = Entry {
            name: format!("icmp_{}", word.to_lowercase()),
            description: "Errors of IPv4: Azure does not tell the types of ICMP apart".to_owned(),
            access: "Allow",
            protocol: "Icmp",
            ports: "destination_port_range       = \"*\"".to_owned(),
            peers: "\"*\"".to_owned(),
        };
        icmp.put(&mut text, &name, (word, priorities.next().unwrap_or(PRIORITY_FIRST)));
        for (number, (rule, priority)) in rules.into_iter().zip(priorities).enumerate() {
            entry(rule, number + 1, word).put(&mut text, &name, (word, priority));
        }
        let deny = Entry {
            name: format!("deny_{}", word.to_lowercase()),
            description: "What is not a row".to_owned(),
            access: "Deny",
            protocol: "*",
            ports: "destination_port_range       = \"*\"".to_owned(),
            peers: "\"*\"".to_owned(),
        };
        deny.put(&mut text, &name, (word, PRIORITY_DENY));
    }
    Ok(text)
}

/// What differs between the rules of a direction.
struct Entry {
    name: String,
    description: String,
    access: &'static str,
    protocol: &'static str,
    ports: String,
    /// One prefix in quotes, or a list of them in brackets.
    peers: String,
}

fn entry(rule: &Rule<'_>, number: usize, word: &str) -> Entry {
    let quoted = |texts: Vec<String>| {
        let quoted: Vec<_> = texts.iter().map(|text| format!("\"{text}\"")).collect();
        format!("[{}]", quoted.join(", "))
    };
    let ports = quoted(rule.row.ports.iter().map(ToString::to_string).collect());
    let peers = match rule.peer() {
        End::Own | End::Anyone => rule.peer().prefixes(rule.family),
        End::Among(prefixes) => prefixes.clone(),
    };
    let protocol = match rule.transport {
        crate::Transport::Tcp => "Tcp",
        crate::Transport::Udp => "Udp",
    };
    Entry {
        name: format!("{}_{}_{number}", identifier(rule.row.flow.name()), word.to_lowercase()),
        description: rule.comment().chars().take(DESCRIPTION_LETTERS_MAX).collect(),
        access: "Allow",
        protocol,
        ports: format!("destination_port_ranges      = {ports}"),
        peers: quoted(peers.into_iter().map(Prefix::cidr).collect()),
    }
}

impl Entry {
    fn put(&self, text: &mut String, group: &str, (word, priority): (&str, usize)) {
        let Self { name, description, access, protocol, ports, peers } = self;
        let plural = if peers.starts_with('[') { "es" } else { "  " };
        // The host is what the group is attached to; its own addresses are not asked for.
        let (source, destination) = match word {
            "Inbound" => (format!("source_address_prefix{plural}      = {peers}"), "destination"),
            _ => (format!("destination_address_prefix{plural} = {peers}"), "source"),
        };
        let _ = write!(
            text,
            "\nresource \"azurerm_network_security_rule\" \"{name}\" {{\n  \
             name                         = \"{name}\"\n  \
             description                  = \"{description}\"\n  \
             priority                     = {priority}\n  \
             direction                    = \"{word}\"\n  \
             access                       = \"{access}\"\n  \
             protocol                     = \"{protocol}\"\n  \
             source_port_range            = \"*\"\n  {ports}\n  {source}\n  \
             {own:28} = \"*\"\n  \
             resource_group_name          = var.resource_group_name\n  \
             network_security_group_name  = azurerm_network_security_group.portolan_{group}.name\n}}\n",
            own = format!("{destination}_address_prefix"),
        );
    }
}
