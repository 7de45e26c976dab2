//! The rules of one host for Windows Defender Firewall, as commands of PowerShell; see
//! <https://learn.microsoft.com/powershell/module/netsecurity/new-netfirewallrule>.
//!
//! The firewall follows connections by itself. Every rule is of one group, so that they go together;
//! what other groups allow stays allowed.

use std::fmt::Write as _;

use super::{Direction, End, Family, Policy, Prefix, Rule, Side};

/// The policy as a script.
pub(super) fn write(policy: &Policy<'_>) -> String {
    let mut text: String = policy.head().iter().map(|line| format!("# {line}\n")).collect();
    text.push_str(
        "# Rules of other groups stay; see them with: Get-NetFirewallRule -Enabled True -Action Allow\n\
         $ErrorActionPreference = 'Stop'\n",
    );
    let group = format!("Portolan {}", policy.role);
    // Writing to a String does not fail, here and below.
    let _ = writeln!(
        text,
        "Get-NetFirewallRule -Group '{group}' -ErrorAction SilentlyContinue | Remove-NetFirewallRule"
    );
    for (direction, word) in [(Direction::Out, "Outbound"), (Direction::In, "Inbound")] {
        if policy.side.includes(direction) {
            for (protocol, kinds) in ICMP {
                let _ = writeln!(
                    text,
                    "New-NetFirewallRule -DisplayName 'Portolan: {protocol} errors and neighbours' \
                     -Group '{group}' -Direction {word} -Action Allow -Profile Any \
                     -Protocol {protocol} -IcmpType {kinds} | Out-Null"
                );
            }
        }
        // `Any` stands for both families, and is said with the first.
        let is_said = |rule: &&Rule<'_>| *rule.peer() == End::Anyone && rule.family == Family::V6;
        for rule in policy.of(direction).filter(|rule| !is_said(rule)) {
            text.push_str(&command(rule, word, &group));
        }
    }
    let block = match policy.side {
        Side::Both => "-DefaultInboundAction Block -DefaultOutboundAction Block",
        Side::Opens => "-DefaultOutboundAction Block",
        Side::Answers => "-DefaultInboundAction Block",
    };
    let _ = writeln!(text, "Set-NetFirewallProfile -All -Enabled True {block}");
    text
}

/// Errors, an echo, and what neighbours and multicast listeners say (RFC 792, 4443, 4861, 2710, 3810).
const ICMP: [(&str, &str); 2] = [
    ("ICMPv4", "3, 8, 11, 12"),
    ("ICMPv6", "1, 2, 3, 4, 128, 130, 131, 132, 133, 134, 135, 136, 143"),
];

fn command(rule: &Rule<'_>, direction: &str, group: &str) -> String {
    let comment = rule.comment();
    let port_of = match rule.direction {
        Direction::In => "-LocalPort",
        Direction::Out | Direction::Through => "-RemotePort",
    };
    let list = |texts: Vec<String>| {
        texts.iter().map(|text| format!("'{text}'")).collect::<Vec<_>>().join(", ")
    };
    let ports = list(rule.row.ports.iter().map(ToString::to_string).collect());
    let peers = match rule.peer() {
        End::Own | End::Anyone => "'Any'".to_owned(),
        End::Among(prefixes) => list(prefixes.iter().map(Prefix::to_string).collect()),
    };
    let protocol = rule.transport.name().to_uppercase();
    format!(
        "New-NetFirewallRule -DisplayName 'Portolan: {comment}' -Description '{comment}' \
         -Group '{group}' -Direction {direction} -Action Allow -Profile Any -Protocol {protocol} \
         {port_of} {ports} -RemoteAddress {peers} | Out-Null\n"
    )
}
