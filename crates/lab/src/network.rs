//! Switches, hosts and the links between them.
//!
//! Each link is made directly between a host's namespace and its switch's; the machine's own
//! namespace never sees an end of it. A host has its firewall before it has an interface.

use portolan_chart::{Chart, firewall};

use crate::error::LabError;
use crate::plan::{self, Host, Link, Network, PRIVATE_DIRECTORY};
use crate::process::{self, Program};
use crate::state::{Directory, Namespace};

/// The name of a switch's bridge.
pub(crate) const BRIDGE: &str = "br0";

/// Files of a host and where its programs look for them. What the machine lacks is not bound, and
/// programs find it by the variables of [`ENVIRONMENT`].
const FILES: [(&str, &str); 5] = [
    ("resolv.conf", "/etc/resolv.conf"),
    ("hosts", "/etc/hosts"),
    ("hostname", "/etc/hostname"),
    ("krb5.conf", "/etc/krb5.conf"),
    ("ldap.conf", "/etc/ldap/ldap.conf"),
];

/// Variables that lead a host's programs to its own files.
pub(crate) const ENVIRONMENT: [(&str, &str); 2] =
    [("KRB5_CONFIG", "/run/samba/etc/krb5.conf"), ("LDAPCONF", "/run/samba/etc/ldap.conf")];

/// Options for OpenLDAP's programs: service names are taken as given, for there is no reverse zone.
const LDAP_CONF: &str = "SASL_NOCANON on\nTLS_CACERT /run/samba/etc/ca.pem\n";

/// Makes a switch out of an empty namespace. It has no addresses and says nothing of its own.
pub(crate) fn build_switch(switch: &Namespace) -> Result<(), LabError> {
    let silent = ["net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"];
    switch.program("sysctl").args(["--quiet", "--write"]).args(silent).run()?;
    let bridge = format!(
        "link add name {BRIDGE} type bridge stp_state 0 forward_delay 0 mcast_snooping 0\n\
         link set {BRIDGE} up\n"
    );
    batch(switch, bridge)
}

/// Makes a host out of an empty namespace: its kernel's settings, name, files and firewall.
pub(crate) fn build_host(
    namespace: &Namespace,
    (host, hosts): (&Host, &[Host]),
    chart: &Chart,
    directory: &Directory,
) -> Result<(), LabError> {
    let settings = host.kernel_settings();
    namespace.program("sysctl").args(["--quiet", "--write"]).args(settings).run()?;
    namespace.program("hostname").arg(host.name).run()?;
    bind_files(namespace, host, directory)?;
    let peers: Vec<_> = hosts.iter().map(Host::firewall).collect();
    let rules = firewall::nftables(chart, &host.firewall(), &peers);
    namespace.program("nft").args(["--file", "-"]).input(rules).run()?;
    Ok(())
}

/// Lays a host's own files over the machine's, for its namespace alone.
fn bind_files(namespace: &Namespace, host: &Host, directory: &Directory) -> Result<(), LabError> {
    let etc = directory.etc(host.name);
    process::create_directory(&etc)?;
    process::write(&etc.join("resolv.conf"), host.resolv_conf())?;
    process::write(&etc.join("hosts"), host.hosts())?;
    process::write(&etc.join("hostname"), format!("{}\n", host.name))?;
    process::write(&etc.join("krb5.conf"), plan::krb5_conf(host))?;
    process::write(&etc.join("ldap.conf"), LDAP_CONF)?;
    process::create_directory(PRIVATE_DIRECTORY.as_ref())?;
    let mount = || namespace.program("mount");
    mount().args(["-t", "tmpfs", "-o", "size=64m,mode=1777", "tmpfs", PRIVATE_DIRECTORY]).run()?;
    let own = format!("{PRIVATE_DIRECTORY}/etc");
    namespace.program("mkdir").arg(&own).run()?;
    mount().arg("--bind").arg(&etc).arg(&own).run()?;
    for (file, place) in FILES {
        if std::path::Path::new(place).exists() {
            mount().arg("--bind").arg(etc.join(file)).arg(place).run()?;
        }
    }
    Ok(())
}

/// Draws the cable of a link between a host and a switch.
pub(crate) fn draw_cable(
    host: (&Host, &Namespace),
    link: &Link,
    switch: &Namespace,
) -> Result<(), LabError> {
    let (host, namespace) = host;
    Program::new("ip")
        .args(["link", "add", "name", link.interface])
        .args(["netns", &namespace.init.pid.to_string()])
        .args(["type", "veth", "peer", "name", host.name])
        .args(["netns", &switch.init.pid.to_string()])
        .run()?;
    let name = host.name;
    batch(switch, format!("link set {name} master {BRIDGE}\nlink set {name} up\n"))
}

/// Gives a host its addresses and puts its links up.
pub(crate) fn put_up(namespace: &Namespace, host: &Host) -> Result<(), LabError> {
    batch(namespace, host.addressing())
}

/// The namespace name of a network's switch.
pub(crate) fn switch_name(network: Network) -> &'static str {
    network.name()
}

fn batch(namespace: &Namespace, commands: String) -> Result<(), LabError> {
    namespace.program("ip").args(["-batch", "-"]).input(commands).run().map(drop)
}
