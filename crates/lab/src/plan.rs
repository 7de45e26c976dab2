//! The company as values: hosts, networks, addresses and the files each host sees.
//!
//! Nothing here runs a program or reads a file. Every lab has the same plan: two labs cannot
//! collide, because nothing in it has a name outside a lab's own namespaces.

use std::fmt;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use portolan_chart::{Role, firewall};
use serde::{Deserialize, Serialize};

use crate::error::LabError;

/// The DNS name of the forest's domain.
pub const FOREST_DOMAIN: &str = "corp.example";
/// The Kerberos realm of the forest's domain.
pub const FOREST_REALM: &str = "CORP.EXAMPLE";
/// The NetBIOS name of the forest's domain.
pub const FOREST_NETBIOS: &str = "CORP";
/// The domain of another forest, which only a lab of two forests has.
pub const OTHER_DOMAIN: &str = "other.example";
/// The forest's Samba configuration, as `dc1` sees it: what `samba-tool -s` takes there.
pub const FOREST_CONFIG: &str = "/run/samba/forest/etc/smb.conf";
/// The certificate of the forest's authority, as every host sees it: what `--ca` takes there.
pub const FOREST_CA: &str = "/run/samba/etc/ca.pem";
/// The keys of the sync server's account, as its host sees them: what `--keytab` takes there.
pub const SERVICE_KEYTAB: &str = "/run/samba/etc/svc_connect.keytab";
/// The name of that file.
pub(crate) const SERVICE_KEYTAB_FILE: &str = "svc_connect.keytab";
/// The domain that the tenant is born with.
pub const TENANT_DOMAIN: &str = "cloud.example";
/// The tenant's host names below [`TENANT_DOMAIN`].
pub const TENANT_SITES: [&str; 4] = ["login", "graph", "sync", "crl"];
/// The password of `Administrator` in the forest: a lab's, known to everyone.
pub const ADMINISTRATOR_PASSWORD: &str = "Passw0rd!Adm";
/// Seconds that a name of the tenant may be kept.
pub(crate) const RECORD_LIFETIME_SECONDS: u32 = 60;

/// The name of a lab, which is also the name of its state directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabName(String);

impl LabName {
    /// The longest name, in characters: paths of sockets below the state directory stay short.
    const LENGTH_MAX: usize = 32;

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for LabName {
    fn default() -> Self {
        Self("main".to_owned())
    }
}

impl fmt::Display for LabName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for LabName {
    type Err = LabError;

    fn from_str(name: &str) -> Result<Self, LabError> {
        let refused = |rule| Err(LabError::InvalidName { name: name.to_owned(), rule });
        if name.is_empty() || name.len() > Self::LENGTH_MAX {
            return refused("it has 1 to 32 characters");
        }
        if !name.bytes().all(|octet| matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'-')) {
            return refused("it is made of a-z, 0-9 and hyphens");
        }
        Ok(Self(name.to_owned()))
    }
}

/// One of the lab's two networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Network {
    /// The company's own network.
    Lan,
    /// The internet.
    Wan,
}

impl Network {
    /// Both networks.
    pub const ALL: [Self; 2] = [Self::Lan, Self::Wan];

    /// The name: also that of the namespace which holds the network's bridge, of the router's
    /// interface to it and of its recording.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lan => "lan",
            Self::Wan => "wan",
        }
    }

    /// The address of a host by its number. The WAN's are documentation addresses (RFC 5737, RFC
    /// 3849), the LAN's are private and unique local ones.
    #[must_use]
    pub fn address(self, host: u8) -> Addresses {
        // fd77::10 is host 10: the digits read the same in both families.
        let number = u16::from(host);
        let digits = number / 100 * 0x100 + number / 10 % 10 * 0x10 + number % 10;
        match self {
            Self::Lan => Addresses {
                v4: Ipv4Addr::new(10, 77, 0, host),
                v6: Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, digits),
            },
            Self::Wan => Addresses {
                v4: Ipv4Addr::new(192, 0, 2, host),
                v6: Ipv6Addr::new(0x2001, 0xdb8, 0x77, 0, 0, 0, 0, digits),
            },
        }
    }
}

/// Bits of the networks' prefixes, IPv4 and IPv6.
const PREFIX_BITS: (u8, u8) = (24, 64);

/// A host's addresses on one network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// The IPv4 address.
    pub v4: Ipv4Addr,
    /// The IPv6 address.
    pub v6: Ipv6Addr,
}

impl Addresses {
    /// Both, IPv4 first.
    #[must_use]
    pub fn both(self) -> [IpAddr; 2] {
        [self.v4.into(), self.v6.into()]
    }
}

/// A host's place on a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The name of the host's interface.
    pub interface: &'static str,
    /// The network it leads to.
    pub network: Network,
    /// The host's addresses there.
    pub addresses: Addresses,
}

/// A host of the lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its name.
    pub name: &'static str,
    /// Its domain.
    pub domain: &'static str,
    /// Its parts in the chart.
    pub roles: &'static [Role],
    /// Where it is connected.
    pub links: Vec<Link>,
    /// Whom it asks for names, in this order.
    pub resolvers: Vec<Addresses>,
}

impl Host {
    /// Its full name.
    #[must_use]
    pub fn fqdn(&self) -> String {
        format!("{}.{}", self.name, self.domain)
    }

    /// All of its addresses.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.links.iter().flat_map(|link| link.addresses.both()).collect()
    }

    /// The Kerberos realm of its domain.
    #[must_use]
    pub fn realm(&self) -> String {
        self.domain.to_uppercase()
    }

    /// The NetBIOS name of its domain.
    #[must_use]
    pub fn netbios(&self) -> String {
        let label = self.domain.split('.').next().unwrap_or_default();
        label.to_uppercase()
    }

    /// As the chart's firewall sees it.
    #[must_use]
    pub fn firewall(&self) -> firewall::Host {
        firewall::Host {
            name: self.name.to_owned(),
            roles: self.roles.to_vec(),
            addresses: self.addresses(),
        }
    }

    /// Whether packets of others pass through it.
    #[must_use]
    pub fn forwards(&self) -> bool {
        self.roles.contains(&Role::Router)
    }

    /// The commands for `ip -batch` that give it its addresses and put its links up.
    pub(crate) fn addressing(&self) -> String {
        let mut batch = "link set lo up\n".to_owned();
        let (bits_v4, bits_v6) = PREFIX_BITS;
        for Link { interface, addresses: Addresses { v4, v6 }, .. } in &self.links {
            // Writing to a String does not fail. No duplicate address detection: the addresses
            // are ours, and a daemon may bind to them at once.
            let _ = writeln!(batch, "address add {v4}/{bits_v4} dev {interface}");
            let _ = writeln!(batch, "address add {v6}/{bits_v6} dev {interface} nodad");
            let _ = writeln!(batch, "link set {interface} up");
        }
        if let [link] = self.links.as_slice() {
            let Addresses { v4, v6 } = link.network.address(ROUTER);
            let _ = writeln!(batch, "route add 0.0.0.0/0 via {v4}");
            let _ = writeln!(batch, "route add ::/0 via {v6}");
        }
        batch
    }

    /// The kernel's settings for the host's namespace, before it has any interface.
    pub(crate) fn kernel_settings(&self) -> Vec<String> {
        let mut settings = vec![
            // Nothing that was not asked for: no router is sought, no duplicate is looked for.
            "net.ipv6.conf.default.accept_ra=0".to_owned(),
            "net.ipv6.conf.default.router_solicitations=0".to_owned(),
            "net.ipv6.conf.default.accept_dad=0".to_owned(),
            "net.ipv6.conf.default.dad_transmits=0".to_owned(),
            // Every rejected packet is told of, not six and then one a second.
            "net.ipv4.icmp_ratelimit=0".to_owned(),
            "net.ipv6.icmp.ratelimit=0".to_owned(),
        ];
        if self.forwards() {
            settings.push("net.ipv4.ip_forward=1".to_owned());
            settings.push("net.ipv6.conf.all.forwarding=1".to_owned());
            settings.push("net.ipv4.conf.all.send_redirects=0".to_owned());
        } else {
            // Every host may listen on the chart's ports without being root.
            settings.push("net.ipv4.ip_unprivileged_port_start=0".to_owned());
        }
        settings
    }

    /// The host's `/etc/resolv.conf`.
    pub(crate) fn resolv_conf(&self) -> String {
        let mut text = format!("search {}\n", self.domain);
        // A resolver reads the first three: each server is named once before any is named again.
        let (v4, v6): (Vec<_>, Vec<_>) = self.resolvers.iter().map(|it| (it.v4, it.v6)).unzip();
        let v4 = v4.into_iter().map(IpAddr::from);
        for address in v4.chain(v6.into_iter().map(IpAddr::from)) {
            // Writing to a String does not fail.
            let _ = writeln!(text, "nameserver {address}");
        }
        text + "options timeout:2 attempts:2\n"
    }

    /// The host's `/etc/hosts`.
    pub(crate) fn hosts(&self) -> String {
        let mut text = "127.0.0.1 localhost\n::1 localhost\n".to_owned();
        for address in self.addresses() {
            let _ = writeln!(text, "{address} {} {}", self.fqdn(), self.name);
        }
        text
    }
}

/// The router's number on both networks.
const ROUTER: u8 = 1;

/// How many domain controllers the forest has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Controllers {
    /// `dc1` alone: what is written is read at once, by everyone.
    #[default]
    One,
    /// `dc1` and `dc2`, which replicate each other within a second or two.
    Two,
    /// `dc1`, and `odc1`, which is another forest, [`OTHER_DOMAIN`]. Neither knows of the other.
    TwoForests,
}

/// The hosts, the forest first.
#[must_use]
pub fn hosts(controllers: Controllers) -> Vec<Host> {
    let (lan, wan) = (Network::Lan, Network::Wan);
    let (first, second) = (lan.address(10), lan.address(11));
    let two = controllers == Controllers::Two;
    let forest = if two { vec![first, second] } else { vec![first] };
    let host = |name, roles, network: Network, number, resolvers: &[Addresses]| Host {
        name,
        domain: if network == Network::Lan { FOREST_DOMAIN } else { TENANT_DOMAIN },
        roles,
        links: vec![Link { interface: "eth0", network, addresses: network.address(number) }],
        resolvers: resolvers.to_vec(),
    };
    let router_link = |network: Network| Link {
        interface: network.name(),
        network,
        addresses: network.address(ROUTER),
    };
    let mut hosts = vec![host("dc1", &[Role::Forest], lan, 10, &forest)];
    if two {
        hosts.push(host("dc2", &[Role::Forest], lan, 11, &[second, first]));
    }
    if controllers == Controllers::TwoForests {
        let other = host("odc1", &[Role::Forest], lan, 12, &[lan.address(12)]);
        hosts.push(Host { domain: OTHER_DOMAIN, ..other });
    }
    hosts.extend([
        host("connect", &[Role::Connect], lan, 20, &forest),
        host("ws1", &[Role::Workstation], lan, 30, &forest),
        host("tenant", &[Role::Tenant], wan, 10, &[wan.address(ROUTER)]),
        Host {
            name: "edge",
            domain: TENANT_DOMAIN,
            roles: &[Role::Router, Role::Resolver],
            links: vec![router_link(lan), router_link(wan)],
            resolvers: vec![wan.address(ROUTER)],
        },
    ]);
    hosts
}

/// The first host of the plan that plays a role.
///
/// # Errors
/// [`LabError::Chart`] when none does.
pub fn host_of(hosts: &[Host], role: Role) -> Result<&Host, LabError> {
    hosts
        .iter()
        .find(|host| host.roles.contains(&role))
        .ok_or_else(|| LabError::Chart(format!("no host plays the role {role}")))
}

/// Where each host has a file system of its own, in memory: Samba's libraries look for sockets at
/// this path and no other, so that two domain controllers on one machine need one each.
pub(crate) const PRIVATE_DIRECTORY: &str = "/run/samba";

/// The Kerberos configuration of a host, which knows its own realm.
pub(crate) fn krb5_conf(host: &Host) -> String {
    match host.domain {
        OTHER_DOMAIN => {
            let own = KRB5_CONF.replace(FOREST_DOMAIN, OTHER_DOMAIN);
            own.replace(FOREST_REALM, &host.realm())
        }
        _ => KRB5_CONF.to_owned(),
    }
}

/// The Kerberos configuration of a host of the forest. Tickets are kept where only this host's processes see
/// them: `/tmp` is shared by all hosts.
const KRB5_CONF: &str = "\
[libdefaults]
 default_realm = CORP.EXAMPLE
 dns_lookup_kdc = true
 dns_lookup_realm = false
 dns_canonicalize_hostname = false
 rdns = false
 forwardable = true
 default_ccache_name = FILE:/run/samba/krb5cc_%{uid}
[domain_realm]
 .corp.example = CORP.EXAMPLE
 corp.example = CORP.EXAMPLE
";

/// The arguments of the router's name server: it knows the tenant's names and nothing else, and
/// has nobody to ask.
pub(crate) fn name_server_arguments() -> Vec<String> {
    let Addresses { v4, v6 } = Network::Wan.address(10);
    let mut arguments: Vec<_> = [
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--no-negcache",
        "--user=root",
        "--pid-file=",
        "--log-facility=-",
    ]
    .map(str::to_owned)
    .to_vec();
    arguments.push(format!("--local=/{TENANT_DOMAIN}/"));
    for site in TENANT_SITES {
        arguments.push(format!(
            "--host-record={site}.{TENANT_DOMAIN},{v4},{v6},{RECORD_LIFETIME_SECONDS}"
        ));
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lab_names_stay_inside_their_directory() {
        for good in ["a", "main", "lab-2", &"x".repeat(32)] {
            assert_eq!(good.parse::<LabName>().unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "a/b", "A", "ä", "a b", "a\n", &"x".repeat(33)] {
            assert!(bad.parse::<LabName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn no_two_hosts_share_an_address_or_a_name() {
        let mut hosts = hosts(Controllers::Two);
        hosts
            .extend(super::hosts(Controllers::TwoForests).into_iter().filter(|h| h.name == "odc1"));
        let addresses: Vec<_> = hosts.iter().flat_map(Host::addresses).collect();
        let names: Vec<_> = hosts.iter().map(|host| host.name).collect();
        for (index, address) in addresses.iter().enumerate() {
            assert!(!addresses[..index].contains(address), "{address}");
        }
        for (index, name) in names.iter().enumerate() {
            assert!(!names[..index].contains(name), "{name}");
        }
    }

    #[test]
    fn both_families_number_the_hosts_alike() {
        assert_eq!(Network::Lan.address(10).v6.to_string(), "fd77::10");
        assert_eq!(Network::Wan.address(1).v6.to_string(), "2001:db8:77::1");
        assert_eq!(Network::Lan.address(254).v6.to_string(), "fd77::254");
    }

    #[test]
    fn a_host_is_addressed_in_one_batch() {
        let one = hosts(Controllers::One);
        let connect = host_of(&one, Role::Connect).unwrap();
        assert_eq!(
            connect.addressing(),
            "link set lo up\n\
             address add 10.77.0.20/24 dev eth0\n\
             address add fd77::20/64 dev eth0 nodad\n\
             link set eth0 up\n\
             route add 0.0.0.0/0 via 10.77.0.1\n\
             route add ::/0 via fd77::1\n"
        );
        assert_eq!(
            connect.resolv_conf(),
            "search corp.example\nnameserver 10.77.0.10\nnameserver fd77::10\n\
             options timeout:2 attempts:2\n"
        );
    }

    #[test]
    fn the_first_three_name_servers_are_of_both_controllers() {
        let two = hosts(Controllers::Two);
        assert_eq!(
            host_of(&two, Role::Connect).unwrap().resolv_conf(),
            "search corp.example\nnameserver 10.77.0.10\nnameserver 10.77.0.11\n\
             nameserver fd77::10\nnameserver fd77::11\noptions timeout:2 attempts:2\n"
        );
        let second = two.iter().find(|host| host.name == "dc2").unwrap();
        assert!(second.resolv_conf().contains("corp.example\nnameserver 10.77.0.11\n"));
    }
}
