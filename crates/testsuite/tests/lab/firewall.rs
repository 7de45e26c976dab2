//! The rules of `portolan chart firewall`, loaded at both ends of a link and enforced there: what is a
//! row passes, what is not does not; and the kernel's own listing of them is compared with the rows.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Output, Stdio};

use portolan_chart::{Chart, Role, Transport};
use portolan_testsuite::Tools;
use serde_json::Value;

const CONNECT: [&str; 2] = ["10.9.0.1", "fd09::1"];
const FOREST: [&str; 2] = ["10.9.0.2", "fd09::2"];

/// A namespace with a process that holds it, for as long as this lives.
struct Namespace(Child);

impl Namespace {
    fn new() -> Self {
        // The shell says that it is inside, and waits for its input to end.
        let mut child = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo inside; cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "inside\n");
        Self(child)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.0.id())).args(words);
        command
    }

    fn run(&self, words: &[&str], input: &str) -> Output {
        let mut child = self
            .command(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    fn says(&self, words: &[&str], input: &str) -> String {
        let output = self.run(words, input);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Two hosts and a cable, with listeners on every port that is asked for.
struct Link {
    connect: Namespace,
    forest: Namespace,
    tools: Tools,
    _listeners: Vec<Listener>,
}

struct Listener(Child);

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Link {
    fn new(ports: &[String]) -> Self {
        let tools = Tools::from_environment().unwrap();
        let (connect, forest) = (Namespace::new(), Namespace::new());
        let other = forest.0.id().to_string();
        let cable = ["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns"];
        connect.says(&[&cable[..], &[&other]].concat(), "");
        for (host, addresses) in [(&connect, CONNECT), (&forest, FOREST)] {
            let lines = format!(
                "address add {}/24 dev eth0\naddress add {}/64 dev eth0 nodad\n\
                 link set lo up\nlink set eth0 up\n",
                addresses[0], addresses[1]
            );
            host.says(&["ip", "-batch", "-"], &lines);
        }
        let listeners = [&connect, &forest].map(|host| Listener::new(host, &tools, ports)).into();
        Self { connect, forest, tools, _listeners: listeners }
    }

    /// Both ends, each with its role and what its peer is.
    fn ends(&self) -> [(&Namespace, &'static str, String); 2] {
        [
            (&self.connect, "connect", format!("forest={}", FOREST.join(","))),
            (&self.forest, "forest", format!("connect={}", CONNECT.join(","))),
        ]
    }

    fn rules(&self, format: &str, role: &str, peer: &str) -> String {
        let arguments = ["chart", "firewall", "--format", format, "--role", role, "--peer", peer];
        let output = Command::new(&self.tools.portolan).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn load(&self, format: &str) {
        for (host, role, peer) in self.ends() {
            let rules = self.rules(format, role, &peer);
            clear(host);
            match format {
                "nftables" => drop(host.says(&["nft", "-f", "-"], &rules)),
                _ => {
                    host.says(&["iptables-restore"], &rules);
                    host.says(&["ip6tables-restore"], &rules);
                }
            }
        }
    }

    /// What one end finds on the other's ports: those that answer, over each family.
    fn answered(&self, from: &Namespace, to: [&str; 2], ports: &[String]) -> [BTreeSet<String>; 2] {
        let script = self.tools.scripts.join("reach.py");
        to.map(|address| {
            let mut words = vec!["/usr/bin/python3", script.to_str().unwrap(), "ask", address];
            words.extend(ports.iter().map(String::as_str));
            let found: BTreeMap<String, String> =
                serde_json::from_str(&from.says(&words, "")).unwrap();
            assert_eq!(found.len(), ports.len());
            found.into_iter().filter(|(_, how)| how == "answered").map(|(port, _)| port).collect()
        })
    }

    /// A listing beside the rows of a role: the exit code, and what is said.
    fn compare(&self, role: &str, peer: &str, listings: &[String]) -> (Option<i32>, Value) {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(&self.tools.portolan);
        command.args(["chart", "firewall", "--role", role, "--peer", peer, "--json"]);
        for (number, listing) in listings.iter().enumerate() {
            let path = folder.path().join(number.to_string());
            std::fs::write(&path, listing).unwrap();
            command.arg("--compare").arg(path);
        }
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        let said = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{errors}"));
        (output.status.code(), said)
    }
}

impl Listener {
    fn new(host: &Namespace, tools: &Tools, ports: &[String]) -> Self {
        let script = tools.scripts.join("reach.py");
        let mut words = vec!["/usr/bin/python3", script.to_str().unwrap(), "serve"];
        words.extend(ports.iter().map(String::as_str));
        let mut child =
            host.command(&words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "ready\n");
        Self(child)
    }
}

fn clear(host: &Namespace) {
    host.says(&["nft", "flush", "ruleset"], "");
}

/// Ports of the rows from connect to the forest, and as many that are none: the next port, and the other
/// transport.
fn ports() -> (Vec<String>, Vec<String>) {
    let chart = Chart::default_edition();
    let rows: Vec<_> = chart.rows(Role::Connect, Role::Forest).collect();
    let is_charted = |port: u16, transport: Transport| {
        rows.iter().any(|row| row.contains(port) && row.uses(transport))
    };
    let ends =
        rows.iter().flat_map(|row| &row.ports).flat_map(|range| [range.start(), range.end()]);
    let (mut charted, mut others) = (BTreeSet::new(), BTreeSet::new());
    for port in ends.flat_map(|port| [Some(port), port.checked_add(1)]).flatten() {
        for transport in [Transport::Tcp, Transport::Udp] {
            let set = if is_charted(port, transport) { &mut charted } else { &mut others };
            set.insert(format!("{port}/{transport}"));
        }
    }
    assert!(charted.len() > 10 && others.len() > 10, "{charted:?} {others:?}");
    (charted.into_iter().collect(), others.into_iter().collect())
}

#[test]
fn the_rules_of_both_ends_let_rows_pass_and_nothing_else() {
    let (charted, others) = ports();
    let all: Vec<_> = charted.iter().chain(&others).cloned().collect();
    let link = Link::new(&all);
    let everything: BTreeSet<_> = all.iter().cloned().collect();
    let rows: BTreeSet<_> = charted.iter().cloned().collect();
    let forward = || link.answered(&link.connect, FOREST, &all);
    let back = || link.answered(&link.forest, CONNECT, &all);
    // Without rules all answer: what is silent afterwards is so because of them.
    for found in forward().into_iter().chain(back()) {
        assert_eq!(found, everything);
    }
    for format in ["nftables", "iptables"] {
        link.load(format);
        for found in forward() {
            assert_eq!(found, rows, "{format}");
        }
        for found in back() {
            assert!(found.is_empty(), "{format}: the forest opens nothing to connect: {found:?}");
        }
        // Each end holds alone.
        clear(&link.connect);
        for found in forward() {
            assert_eq!(found, rows, "{format}: the forest answers rows alone");
        }
        for found in back() {
            assert!(found.is_empty(), "{format}: the forest opens nothing: {found:?}");
        }
        link.load(format);
        clear(&link.forest);
        for found in forward() {
            assert_eq!(found, rows, "{format}: connect opens rows alone");
        }
        for found in back() {
            assert!(found.is_empty(), "{format}: connect answers nothing: {found:?}");
        }
    }
}

#[test]
fn what_the_kernel_lists_of_the_rules_is_complete_and_one_rule_less_is_its_row() {
    let link = Link::new(&[]);
    link.load("nftables");
    for (host, role, peer) in link.ends() {
        let listing = host.says(&["nft", "--json", "list", "ruleset"], "");
        whole(&link, role, &peer, std::slice::from_ref(&listing));
        let listing: Value = serde_json::from_str(&listing).unwrap();
        let items = listing["nftables"].as_array().unwrap();
        let mut tried = 0;
        for (at, item) in items.iter().enumerate() {
            let Some(comment) = item["rule"]["comment"].as_str() else { continue };
            let mut fewer = items.clone();
            fewer.remove(at);
            let fewer = serde_json::json!({ "nftables": fewer }).to_string();
            one_less(&link, role, &peer, (&[fewer], comment));
            tried += 1;
        }
        assert!(tried >= 20, "{tried}");
    }
    link.load("iptables");
    for (host, role, peer) in link.ends() {
        let listings = ["iptables-save", "ip6tables-save"].map(|program| host.says(&[program], ""));
        whole(&link, role, &peer, &listings);
        let both = listings.concat();
        whole(&link, role, &peer, std::slice::from_ref(&both));
        let lines: Vec<_> = both.lines().collect();
        let mut tried = 0;
        for (at, line) in lines.iter().enumerate() {
            let Some(comment) = line.split('"').nth(1) else { continue };
            let mut fewer = lines.clone();
            fewer.remove(at);
            one_less(&link, role, &peer, (&[fewer.join("\n")], comment));
            tried += 1;
        }
        assert!(tried >= 20, "{tried}");
    }
}

/// Nothing is closed, nothing superfluous, nothing left unjudged.
fn whole(link: &Link, role: &str, peer: &str, listings: &[String]) {
    let (code, said) = link.compare(role, peer, listings);
    assert_eq!(code, Some(0), "{said:#}");
    let rows = said["rows"].as_array().unwrap();
    assert!(rows.len() > 8 && rows.iter().all(|row| row["state"] == "open"), "{said:#}");
    assert_eq!(said["superfluous"], serde_json::json!([]), "{said:#}");
    assert_eq!(said["notes"], serde_json::json!([]));
}

/// Exactly the row that a comment names is closed, in its transport, and the status says whether it must
/// be open.
fn one_less(link: &Link, role: &str, peer: &str, (listings, comment): (&[String], &str)) {
    let (code, said) = link.compare(role, peer, listings);
    let rows = said["rows"].as_array().unwrap();
    let wrong: Vec<_> = rows.iter().filter(|row| row["state"] != "open").collect();
    assert_eq!(wrong.len(), 1, "{comment}: {wrong:#?}");
    let row = wrong[0];
    assert_eq!(row["state"], "closed");
    let flow = row["row"]["flow"].as_str().unwrap();
    assert!(comment.contains(flow), "{comment}: {flow}");
    let parts = row["parts"].as_array().unwrap();
    assert_eq!(parts.len(), 1, "{comment}: {row:#}");
    let transport = parts[0]["transport"].as_str().unwrap();
    assert!(comment.contains(&format!("/{transport},")), "{comment}: {transport}");
    assert_eq!(code, Some(i32::from(row["row"]["requirement"] == "required")), "{comment}");
    assert_eq!(said["superfluous"], serde_json::json!([]));
}

#[test]
fn what_no_row_needs_is_named_with_the_rule_that_opens_it() {
    let link = Link::new(&[]);
    let (_, others) = ports();
    let port = others.iter().find_map(|port| port.strip_suffix("/tcp")).unwrap();
    link.load("nftables");
    let rule = format!("insert rule inet portolan input tcp dport {port} accept comment \"mine\"");
    link.forest.says(&["nft", "-f", "-"], &rule);
    let (_, role, peer) = &link.ends()[1];
    let listing = link.forest.says(&["nft", "--json", "list", "ruleset"], "");
    let (code, said) = link.compare(role, peer, &[listing]);
    assert_eq!(code, Some(0), "{said:#}");
    let found = said["superfluous"].as_array().unwrap();
    assert_eq!(found.len(), 2, "one of each family: {found:#?}");
    for opening in found {
        assert_eq!(opening["state"], "open");
        assert_eq!(opening["direction"], "in");
        assert_eq!(opening["ports"], serde_json::json!([port]));
        assert!(opening["why"].as_str().unwrap().contains("\"mine\""), "{opening:#}");
    }
    // Only by a link that the listing does not describe: it may be open.
    link.load("iptables");
    let add = ["iptables", "-I", "INPUT", "-i", "eth7", "-p", "tcp", "--dport", port];
    link.forest.says(&[&add[..], &["-j", "ACCEPT"]].concat(), "");
    let listings = ["iptables-save", "ip6tables-save"].map(|it| link.forest.says(&[it], ""));
    let (_, said) = link.compare(role, peer, &listings);
    let found = said["superfluous"].as_array().unwrap();
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0]["state"], "not-judged");
    assert!(found[0]["why"].as_str().unwrap().contains("the interface eth7"), "{found:#?}");
}
