//! The rules of one host as a security group of Amazon VPC, in Terraform's language; see
//! <https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/vpc_security_group_ingress_rule>.
//!
//! A security group follows connections: an answer needs no rule. It lets nothing pass that no rule
//! names, and it does not see neighbour discovery, loopback, or the platform's own name service.

use std::fmt::Write as _;

use super::{Direction, Family, Policy, Rule};
use crate::PortRange;

/// The policy as one security group and its rules, for a variable network.
pub(super) fn write(policy: &Policy<'_>) -> String {
    let mut text: String = policy.head().iter().map(|line| format!("# {line}\n")).collect();
    let role = policy.role;
    // Writing to a String does not fail, here and below.
    let _ = write!(
        text,
        "# A security group is stateful: what answers a connection passes without a rule.\n\n\
         variable \"vpc_id\" {{\n  description = \"The network of the host.\"\n  type        = string\n}}\n\n\
         resource \"aws_security_group\" \"portolan_{name}\" {{\n  name        = \"portolan-{role}\"\n  \
         description = \"The rows of the role {role}, edition {edition}\"\n  vpc_id      = var.vpc_id\n}}\n",
        name = identifier(role.name()),
        edition = policy.edition,
    );
    for (direction, kind) in [(Direction::Out, "egress"), (Direction::In, "ingress")] {
        if policy.side.includes(direction) {
            icmp(&mut text, policy, kind);
        } else if direction == Direction::Out {
            everything_out(&mut text, policy);
        }
        let mut number = 0;
        for rule in policy.of(direction) {
            for range in &rule.row.ports {
                for prefix in rule.peer().prefixes(rule.family) {
                    number += 1;
                    put(&mut text, policy, (kind, number), (rule, *range, &prefix.cidr()));
                }
            }
        }
    }
    text
}

/// A name of Terraform's language: a letter first, then letters, digits and underscores.
pub(super) fn identifier(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn put(
    text: &mut String,
    policy: &Policy<'_>,
    (kind, number): (&str, usize),
    (rule, range, cidr): (&Rule<'_>, PortRange, &str),
) {
    let version = version(rule.family);
    let _ = write!(
        text,
        "\nresource \"aws_vpc_security_group_{kind}_rule\" \"{flow}_{kind}_{number}\" {{\n  \
         security_group_id = aws_security_group.portolan_{role}.id\n  \
         description       = \"{comment}\"\n  {version}         = \"{cidr}\"\n  \
         ip_protocol       = \"{transport}\"\n  from_port         = {from}\n  \
         to_port           = {to}\n}}\n",
        flow = identifier(rule.row.flow.name()),
        role = identifier(policy.role.name()),
        comment = rule.comment(),
        transport = rule.transport,
        from = range.start(),
        to = range.end(),
    );
}

/// The errors without which paths of a smaller packet size fail: of IPv4 "fragmentation needed", of IPv6
/// "packet too big".
fn icmp(text: &mut String, policy: &Policy<'_>, kind: &str) {
    for (family, protocol, (icmp_type, code)) in
        [(Family::V4, "icmp", (3, 4)), (Family::V6, "icmpv6", (2, 0))]
    {
        let anyone = super::End::Anyone.prefixes(family);
        let cidr = anyone.first().map(|prefix| prefix.cidr()).unwrap_or_default();
        let _ = write!(
            text,
            "\nresource \"aws_vpc_security_group_{kind}_rule\" \"{protocol}_{kind}\" {{\n  \
             security_group_id = aws_security_group.portolan_{role}.id\n  \
             description       = \"Packet too big\"\n  {version}         = \"{cidr}\"\n  \
             ip_protocol       = \"{protocol}\"\n  from_port         = {icmp_type}\n  \
             to_port           = {code}\n}}\n",
            role = identifier(policy.role.name()),
            version = version(family),
        );
    }
}

/// Terraform takes away the rule with which a new group lets everything out; where what leaves is not
/// looked at, it has to be said again.
fn everything_out(text: &mut String, policy: &Policy<'_>) {
    for family in Family::BOTH {
        let anyone = super::End::Anyone.prefixes(family);
        let cidr = anyone.first().map(|prefix| prefix.cidr()).unwrap_or_default();
        let _ = write!(
            text,
            "\nresource \"aws_vpc_security_group_egress_rule\" \"all_{version}\" {{\n  \
             security_group_id = aws_security_group.portolan_{role}.id\n  \
             description       = \"What leaves is not looked at\"\n  {version}         = \"{cidr}\"\n  \
             ip_protocol       = \"-1\"\n}}\n",
            role = identifier(policy.role.name()),
            version = version(family),
        );
    }
}

fn version(family: Family) -> &'static str {
    match family {
        Family::V4 => "cidr_ipv4",
        Family::V6 => "cidr_ipv6",
    }
}
