//! The firewalls that a policy is written for.

use portolan_model::Hint;

use super::{Direction, Policy};
use super::{cisco_asa, iptables, nftables, terraform_aws, terraform_azure, windows};

/// A firewall's own language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `nft -f`.
    Nftables,
    /// `iptables-restore` and `ip6tables-restore`, from one text.
    Iptables,
    /// `New-NetFirewallRule`, in PowerShell.
    Windows,
    /// Security groups of Amazon VPC, in Terraform's language.
    TerraformAws,
    /// Network security groups of Azure, in Terraform's language.
    TerraformAzure,
    /// Access lists of Cisco ASA.
    CiscoAsa,
}

impl Format {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::Nftables,
        Self::Iptables,
        Self::Windows,
        Self::TerraformAws,
        Self::TerraformAzure,
        Self::CiscoAsa,
    ];

    /// As commands write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nftables => "nftables",
            Self::Iptables => "iptables",
            Self::Windows => "windows",
            Self::TerraformAws => "terraform-aws",
            Self::TerraformAzure => "terraform-azure",
            Self::CiscoAsa => "cisco-asa",
        }
    }

    /// The policy in this language.
    ///
    /// # Errors
    /// [`Unwritable`] when this firewall cannot hold it.
    pub fn write(self, policy: &Policy<'_>) -> Result<String, Unwritable> {
        let passes_on = policy.of(Direction::Through).next().is_some();
        match self {
            Self::Nftables => Ok(nftables::nftables_policy(policy)),
            Self::Iptables => Ok(iptables::write(policy)),
            Self::CiscoAsa => cisco_asa::write(policy),
            _ if passes_on => Err(Unwritable::Router { format: self.name() }),
            Self::Windows => Ok(windows::write(policy)),
            Self::TerraformAws => Ok(terraform_aws::write(policy)),
            Self::TerraformAzure => terraform_azure::write(policy),
        }
    }
}

/// A policy that a firewall cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    /// The firewall is a host's own.
    #[error("{format} has rules of a host, and none of a router")]
    Router {
        /// The format.
        format: &'static str,
    },
    /// The firewall stands between the hosts, and has to know both.
    #[error("a firewall between hosts needs the addresses of this one")]
    NoOwnAddress,
    /// There are more rules than the firewall has places.
    #[error("the policy has {rules} rules, and there are priorities for {rules_max}")]
    TooMany {
        /// How many there are.
        rules: usize,
        /// How many there may be.
        rules_max: usize,
    },
}

impl Hint for Unwritable {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Router { .. } => {
                "write a router's rules as nftables, iptables or cisco-asa".to_owned()
            }
            Self::NoOwnAddress => "give them as --address ADDRESS[,ADDRESS…]".to_owned(),
            Self::TooMany { .. } => "give prefixes in place of single addresses".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::policy::tests::{connect, site};
    use crate::{Chart, Role};

    fn written(format: Format) -> String {
        let chart = Chart::default_edition();
        format.write(&Policy::new(&chart, &connect())).unwrap()
    }

    #[test]
    fn nftables_rules_of_connect() {
        insta::assert_snapshot!(written(Format::Nftables));
    }

    #[test]
    fn iptables_rules_of_connect() {
        insta::assert_snapshot!(written(Format::Iptables));
    }

    #[test]
    fn windows_rules_of_connect() {
        insta::assert_snapshot!(written(Format::Windows));
    }

    #[test]
    fn terraform_aws_rules_of_connect() {
        insta::assert_snapshot!(written(Format::TerraformAws));
    }

    #[test]
    fn terraform_azure_rules_of_connect() {
        insta::assert_snapshot!(written(Format::TerraformAzure));
    }

    #[test]
    fn cisco_asa_rules_of_connect() {
        insta::assert_snapshot!(written(Format::CiscoAsa));
    }

    #[test]
    fn what_a_firewall_cannot_hold_is_refused_with_what_helps() {
        let chart = Chart::default_edition();
        let check = |format: Format, site: &super::super::Site, expected: &str| {
            let error = format.write(&Policy::new(&chart, site)).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert!(error.hint().is_some());
        };
        let router = site(Role::Router, &[("connect", "10.1.0.20"), ("forest", "10.1.0.10")]);
        check(Format::Windows, &router, "none of a router");
        check(Format::TerraformAws, &router, "none of a router");
        let mut nowhere = connect();
        nowhere.own.clear();
        check(Format::CiscoAsa, &nowhere, "needs the addresses of this one");
    }

    #[test]
    fn a_router_s_rules_lead_from_one_end_to_the_other() {
        let chart = Chart::default_edition();
        let router = site(Role::Router, &[("connect", "10.1.0.20"), ("forest", "10.1.0.10")]);
        let policy = Policy::new(&chart, &router);
        let nftables = Format::Nftables.write(&policy).unwrap();
        assert!(nftables.contains("ip saddr { 10.1.0.20 } ip daddr { 10.1.0.10 } tcp dport"));
        let iptables = Format::Iptables.write(&policy).unwrap();
        assert!(iptables.contains("-A FORWARD -4 -s 10.1.0.20 -d 10.1.0.10 -p tcp"), "{iptables}");
        assert!(Format::CiscoAsa.write(&policy).is_ok());
    }
}
