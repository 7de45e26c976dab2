//! What others say of the same faults: `nmap -sT -sU` of the rows' ports, and a script that connects to
//! them by TCP. Both look over IPv4 alone, and are told the dynamic ports that are in use.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use portolan_chart::{PortRange, Transport};
use portolan_lab::Lab;

use crate::world::World;

use super::cells::Cell;
use super::checker::{TIMEOUT_SECONDS, addresses};
use super::fault::{Fault, Target};

/// How much of a fault somebody noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Noticed {
    /// Which row, and what is wrong with it.
    Fault,
    /// That the row is not reached, and not why.
    Unreached,
    /// Nothing: it looks as on a healthy day.
    Nothing,
}

/// What somebody said of a fault.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) noticed: Noticed,
    pub(super) took: Duration,
}

/// Who is asked, in the order of the answers.
pub(super) const PEERS: [&str; 2] = ["nmap -sT -sU", "TCP-connect script"];

/// A port of a host, and its state in the peer's words.
type States = BTreeMap<(&'static str, u16, Transport), String>;

/// Both, and what they say of a healthy lab.
pub(super) struct Peers<'lab> {
    lab: &'lab Lab,
    /// Each port with its host and the host's address.
    places: Vec<(&'static str, String, u16, Transport)>,
    healthy: [States; 2],
}

impl<'lab> Peers<'lab> {
    pub(super) fn new(world: &'lab World, targets: &[Target]) -> Self {
        let mut this = Self { lab: &world.lab, places: Vec::new(), healthy: Default::default() };
        for target in targets {
            let address = addresses(&world.lab, target.host);
            let address = address.split(',').next().unwrap().to_owned();
            for port in this.ports(target) {
                this.places.push((target.host, address.clone(), port, target.transport));
            }
        }
        this.healthy = [this.nmap(), this.script()];
        this
    }

    /// What each says of a cell, one after the other.
    pub(super) fn look(&self, cell: &Cell) -> Vec<Answer> {
        let looks: [fn(&Self) -> States; 2] = [Self::nmap, Self::script];
        let judged = looks.into_iter().zip(&self.healthy).map(|(look, healthy)| {
            let begun = Instant::now();
            let states = look(self);
            let took = begun.elapsed();
            let of_target = |target: &Target| self.noticed(target, cell.fault, (&states, healthy));
            let noticed = cell.injected.iter().map(of_target).max().unwrap();
            Answer { noticed, took }
        });
        judged.collect()
    }

    fn noticed(
        &self,
        target: &Target,
        fault: Fault,
        (now, healthy): (&States, &States),
    ) -> Noticed {
        let is_it = |(key, _): &(&(&'static str, u16, Transport), &String)| {
            let (host, port, transport) = **key;
            host == target.host
                && transport == target.transport
                && target.ports.iter().any(|range| (range.start()..=range.end()).contains(&port))
        };
        let noticed = now.iter().filter(is_it).map(|(key, state)| match (fault, state.as_str()) {
            (_, state) if healthy.get(key).map(String::as_str) == Some(state) => Noticed::Nothing,
            (Fault::Closed, "closed" | "refused") | (Fault::Dropped, "filtered" | "timed out") => {
                Noticed::Fault
            }
            _ => Noticed::Unreached,
        });
        noticed.min().unwrap_or(Noticed::Nothing)
    }

    fn nmap(&self) -> States {
        let mut states = States::new();
        for host in ["dc1", "tenant"] {
            let (address, tcp) = self.of(host, Transport::Tcp);
            let (_, udp) = self.of(host, Transport::Udp);
            let (tcp, udp) = (listed(&tcp), listed(&udp));
            let mut nmap = self.lab.command("connect", "nmap").unwrap();
            nmap.args(["-n", "-Pn", "-sT", "-oG", "-", "--max-retries=1", "--host-timeout=30s"]);
            match udp.is_empty() {
                true => nmap.arg(format!("-pT:{tcp}")),
                false => nmap.arg("-sU").arg(format!("-pT:{tcp},U:{udp}")),
            };
            let output = nmap.arg(address).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let text = String::from_utf8(output.stdout).unwrap();
            let ports = text.lines().filter_map(|line| line.split_once("Ports: "));
            // `53/open/tcp//domain///, 88/closed/udp//kerberos-sec///`
            for port in ports.flat_map(|(_, ports)| ports.split(", ")) {
                let mut parts = port.split('/');
                let (number, state) = (parts.next().unwrap(), parts.next().unwrap());
                let is_udp = parts.next() == Some("udp");
                let transport = if is_udp { Transport::Udp } else { Transport::Tcp };
                states.insert((host, number.parse().unwrap(), transport), state.to_owned());
            }
        }
        states
    }

    fn script(&self) -> States {
        let mut states = States::new();
        for (host, address, port, transport) in &self.places {
            if *transport == Transport::Udp {
                continue;
            }
            let mut bash = self.lab.command("connect", "timeout").unwrap();
            bash.args([&TIMEOUT_SECONDS.to_string(), "bash", "-c"]);
            let output = bash.arg(format!("exec 3<>/dev/tcp/{address}/{port}")).output().unwrap();
            let state = match output.status.code() {
                Some(0) => "open",
                Some(124) => "timed out",
                _ => "refused",
            };
            states.insert((host, *port, *transport), state.to_owned());
        }
        states
    }

    fn of(&self, host: &str, transport: Transport) -> (&str, Vec<u16>) {
        let places = self.places.iter().filter(|it| it.0 == host);
        let ports = places.clone().filter(|it| it.3 == transport).map(|it| it.2).collect();
        (&places.clone().next().unwrap().1, ports)
    }

    /// The ports of a row; of a range of many, those on which somebody listens at the host.
    fn ports(&self, target: &Target) -> Vec<u16> {
        let is_single = |range: &PortRange| range.start() == range.end();
        if target.ports.iter().all(is_single) {
            return target.ports.iter().map(|range| range.start()).collect();
        }
        let mut ss = self.lab.command(target.host, "ss").unwrap();
        let text = String::from_utf8(ss.args(["-Htln4"]).output().unwrap().stdout).unwrap();
        let local = text.lines().filter_map(|line| line.split_whitespace().nth(3));
        let ports = local.filter_map(|socket| socket.rsplit_once(':')?.1.parse::<u16>().ok());
        let in_row = |port: &u16| {
            target.ports.iter().any(|range| (range.start()..=range.end()).contains(port))
        };
        let ports: Vec<_> = ports.filter(in_row).collect();
        assert!(!ports.is_empty(), "{text}");
        ports
    }
}

fn listed(ports: &[u16]) -> String {
    ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",")
}
