//! The rules of one host, whatever firewall will hold them: the one form from which each format is made.

use std::fmt;

use super::{Family, Host, Prefix};
use crate::{Chart, Requirement, Role, Row, Transport};

/// The way of a rule's opening packet, as the host sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// The host opens the connection.
    Out,
    /// The host answers it.
    In,
    /// The host is a router between the ends.
    Through,
}

impl Direction {
    /// As commands and data write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::In => "in",
            Self::Through => "through",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Who stands at one end of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The host itself.
    Own,
    /// Every address of the rule's family, because somebody said so.
    Anyone,
    /// These, all of the rule's family, none inside of another. Never empty.
    Among(Vec<Prefix>),
}

impl End {
    /// The end as prefixes: everyone's is the whole family's, the host's own is none.
    #[must_use]
    pub fn prefixes(&self, family: Family) -> Vec<Prefix> {
        match self {
            Self::Own => Vec::new(),
            Self::Anyone => Prefix::new(family.address(0), 0).into_iter().collect(),
            Self::Among(prefixes) => prefixes.clone(),
        }
    }
}

/// One permission: connections of one row, one way, over one transport and one family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule<'chart> {
    /// The row that needs it.
    pub row: &'chart Row,
    /// The way of the opening packet.
    pub direction: Direction,
    /// The family of both ends.
    pub family: Family,
    /// The transport, whose destination ports are the row's.
    pub transport: Transport,
    /// Who opens.
    pub from: End,
    /// Who answers.
    pub to: End,
}

/// The letters of a comment: nftables holds 128 octets with the end of the text.
const COMMENT_LETTERS_MAX: usize = 120;

impl Rule<'_> {
    /// The other end; of a rule through a router, the one that answers.
    #[must_use]
    pub fn peer(&self) -> &End {
        match self.direction {
            Direction::In => &self.from,
            Direction::Out | Direction::Through => &self.to,
        }
    }

    /// Names the row: table, protocol, port, flow.
    #[must_use]
    pub fn comment(&self) -> String {
        comment(self.row, self.transport)
    }
}

/// The comment of a row's rules: `Table 1, LDAP 389/tcp, connect.ad.ldap`.
fn comment(row: &Row, transport: Transport) -> String {
    let when = match row.requirement {
        Requirement::Required => String::new(),
        other => format!(", {other}"),
    };
    let full = format!(
        "{}, {} {}/{transport}, {}{when}",
        row.table,
        row.protocol,
        row.ports_text(),
        row.flow
    );
    let text = match full.len() <= COMMENT_LETTERS_MAX {
        true => full,
        false => format!("{}, {transport}, {}{when}", row.table, row.flow),
    };
    // Formats differ in what ends a comment; the chart's words have none of it, and would lose it here.
    text.chars().filter(|c| !c.is_control() && !"\"'`\\".contains(*c)).collect()
}

/// Which rows of a role become rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Side {
    /// What it opens and what it answers.
    #[default]
    Both,
    /// What it opens: traffic that arrives is left to others.
    Opens,
    /// What it answers: traffic that leaves is left to others.
    Answers,
}

impl Side {
    /// Whether rules of this direction are wanted.
    #[must_use]
    pub fn includes(self, direction: Direction) -> bool {
        match self {
            Self::Both => true,
            Self::Opens => direction == Direction::Out,
            Self::Answers => direction == Direction::In,
        }
    }

    /// As commands write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Opens => "opens",
            Self::Answers => "answers",
        }
    }
}

/// Where the hosts of a role are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Anywhere; only ever said in so many words.
    Anyone,
    /// At these addresses.
    Among(Vec<Prefix>),
}

/// A host and its peers, as somebody described them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// What the host plays.
    pub role: Role,
    /// The host's own addresses, for a firewall that stands before it; may be empty.
    pub own: Vec<Prefix>,
    /// The other hosts, by role; a role may be named more than once.
    pub peers: Vec<(Role, Reach)>,
    /// Which rows are wanted.
    pub side: Side,
}

/// A row that has no rule because nobody said where its other end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing<'chart> {
    /// The row.
    pub row: &'chart Row,
    /// The way of its opening packet.
    pub direction: Direction,
    /// The role without an address.
    pub role: Role,
}

impl Missing<'_> {
    /// Names the row, and what is missing.
    #[must_use]
    pub fn comment(&self) -> String {
        let transport = self.row.transports.first().copied().unwrap_or(Transport::Tcp);
        format!("no rule: {}: no address of {} is known", comment(self.row, transport), self.role)
    }
}

/// The permissions of one host; all else is stopped.
#[derive(Debug, Clone)]
pub struct Policy<'chart> {
    /// The edition's date.
    pub edition: &'chart str,
    /// What the host plays.
    pub role: Role,
    /// The host's own addresses, where they are known.
    pub own: Vec<Prefix>,
    /// Which rows were wanted.
    pub side: Side,
    /// The rules, in the chart's order.
    pub rules: Vec<Rule<'chart>>,
    /// The rows without a rule.
    pub missing: Vec<Missing<'chart>>,
}

impl<'chart> Policy<'chart> {
    /// The policy of a site.
    #[must_use]
    pub fn new(chart: &'chart Chart, site: &Site) -> Self {
        let at = |role: Role| {
            let reaches = site.peers.iter().filter(|(peer, _)| peer.plays(role));
            Reach::union(reaches.map(|(_, reach)| reach))
        };
        let (mut rules, mut missing) = (Vec::new(), Vec::new());
        for row in chart.all() {
            for (direction, ends) in links(row, |role| site.role.plays(role), &at) {
                if !site.side.includes(direction) {
                    continue;
                }
                let of_row = of_row(row, direction, &ends);
                if of_row.is_empty() {
                    let unknown = |end: &Place, role| end.is_nowhere().then_some(role);
                    let role = unknown(&ends.0, row.from).or_else(|| unknown(&ends.1, row.to));
                    missing.extend(role.map(|role| Missing { row, direction, role }));
                }
                rules.extend(of_row);
            }
        }
        let (edition, role, side) = (chart.in_force().id.as_str(), site.role, site.side);
        let own = Prefix::distinct(site.own.iter().copied());
        Self { edition, role, own, side, rules, missing }
    }

    /// The rules of one direction.
    pub fn of(&self, direction: Direction) -> impl Iterator<Item = &Rule<'chart>> {
        self.rules.iter().filter(move |rule| rule.direction == direction)
    }

    /// What stands at the head of every format, one line each.
    #[must_use]
    pub fn head(&self) -> Vec<String> {
        let mut lines = vec![
            format!(
                "Rules for the role {}, from edition {} of the chart of ports.",
                self.role, self.edition
            ),
            match self.side {
                Side::Both => "What is not a row is stopped, both ways: remote administration too.",
                Side::Opens => {
                    "What leaves and is no row is stopped; what arrives is not looked at."
                }
                Side::Answers => {
                    "What arrives and is no row is stopped, remote administration too; \
                     what leaves is not looked at."
                }
            }
            .to_owned(),
        ];
        lines.extend(self.missing.iter().map(Missing::comment));
        lines
    }
}

/// The rules of a host among others of known addresses, as the lab knows them.
pub(super) fn among_hosts<'chart>(
    chart: &'chart Chart,
    host: &Host,
    peers: &[&Host],
) -> Vec<Rule<'chart>> {
    let at = |role: Role| {
        let hosts = peers.iter().filter(|peer| peer.plays(role));
        let addresses = hosts.flat_map(|peer| peer.addresses.iter().copied());
        Some(Reach::Among(Prefix::distinct(addresses.map(Prefix::from))))
    };
    let mut rules = Vec::new();
    for row in chart.all() {
        for (direction, ends) in links(row, |role| host.plays(role), &at) {
            rules.extend(of_row(row, direction, &ends));
        }
    }
    rules
}

impl Reach {
    /// All of them together; `None` of none.
    fn union<'a>(reaches: impl Iterator<Item = &'a Self>) -> Option<Self> {
        let mut all = None;
        for reach in reaches {
            all = Some(match (all, reach) {
                (Some(Self::Anyone), _) | (_, Self::Anyone) => Self::Anyone,
                (None, reach) => reach.clone(),
                (Some(Self::Among(mut known)), Self::Among(more)) => {
                    known.extend(more);
                    Self::Among(known)
                }
            });
        }
        all.map(|all| match all {
            Self::Anyone => Self::Anyone,
            Self::Among(prefixes) => Self::Among(Prefix::distinct(prefixes)),
        })
    }
}

/// An end of a row before the families are told apart.
enum Place {
    Own,
    Known(Option<Reach>),
}

impl Place {
    fn is_nowhere(&self) -> bool {
        match self {
            Self::Own | Self::Known(Some(Reach::Anyone)) => false,
            Self::Known(Some(Reach::Among(prefixes))) => prefixes.is_empty(),
            Self::Known(None) => true,
        }
    }

    fn end(&self, family: Family) -> Option<End> {
        match self {
            Self::Own => Some(End::Own),
            Self::Known(None) => None,
            Self::Known(Some(Reach::Anyone)) => Some(End::Anyone),
            Self::Known(Some(Reach::Among(prefixes))) => {
                let of_family: Vec<_> =
                    prefixes.iter().filter(|prefix| prefix.family() == family).copied().collect();
                (!of_family.is_empty()).then_some(End::Among(of_family))
            }
        }
    }
}

/// The ways in which a row concerns a host, each with both ends.
fn links(
    row: &Row,
    plays: impl Fn(Role) -> bool,
    at: &dyn Fn(Role) -> Option<Reach>,
) -> Vec<(Direction, (Place, Place))> {
    let known = |role| Place::Known(at(role));
    let mut links = Vec::new();
    if plays(row.from) {
        links.push((Direction::Out, (Place::Own, known(row.to))));
    }
    if plays(row.to) {
        links.push((Direction::In, (known(row.from), Place::Own)));
    }
    if plays(Role::Router) {
        links.push((Direction::Through, (known(row.from), known(row.to))));
    }
    links
}

fn of_row<'chart>(
    row: &'chart Row,
    direction: Direction,
    (from, to): &(Place, Place),
) -> Vec<Rule<'chart>> {
    let mut rules = Vec::new();
    for family in Family::BOTH {
        let (Some(from), Some(to)) = (from.end(family), to.end(family)) else { continue };
        rules.extend(row.transports.iter().map(|transport| Rule {
            row,
            direction,
            family,
            transport: *transport,
            from: from.clone(),
            to: to.clone(),
        }));
    }
    rules
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::flow;

    /// A connect server of a company with two controllers, one of them with both families, a tenant
    /// behind a prefix, and a web proxy that nobody described.
    pub(in crate::firewall) fn connect() -> Site {
        site(
            Role::Connect,
            &[("forest", "10.1.0.10,10.1.0.11,fd00:1::10"), ("tenant", "203.0.113.0/24")],
        )
    }

    pub(in crate::firewall) fn site(role: Role, peers: &[(&str, &str)]) -> Site {
        let peers = peers.iter().map(|(role, reach)| {
            let reach = match *reach {
                "any" => Reach::Anyone,
                list => Reach::Among(list.split(',').map(|text| text.parse().unwrap()).collect()),
            };
            (role.parse().unwrap(), reach)
        });
        let own = vec!["10.1.0.20".parse().unwrap(), "fd00:1::20".parse().unwrap()];
        Site { role, own, peers: peers.collect(), side: Side::Both }
    }

    #[test]
    fn a_row_without_an_address_is_missing_and_never_anyone() {
        let chart = Chart::default_edition();
        let policy = Policy::new(&chart, &connect());
        assert!(policy.rules.iter().all(|rule| *rule.peer() != End::Anyone));
        let missing: Vec<_> = policy.missing.iter().map(|missing| missing.row.flow).collect();
        assert!(missing.contains(&flow::CONNECT_WEB_PROXY), "{missing:?}");
        assert!(!missing.contains(&flow::CONNECT_AD_LDAP));
        let open = Policy::new(&chart, &site(Role::Connect, &[("cloud", "any")]));
        let tenant = open.rules.iter().filter(|rule| rule.row.to == Role::Tenant);
        assert!(tenant.clone().count() > 0);
        assert!(tenant.clone().all(|rule| *rule.peer() == End::Anyone));
        assert!(Family::BOTH.iter().all(|family| tenant.clone().any(|it| it.family == *family)));
    }

    #[test]
    fn a_rule_holds_one_family_and_one_transport() {
        let chart = Chart::default_edition();
        let policy = Policy::new(&chart, &connect());
        let ldap: Vec<_> =
            policy.rules.iter().filter(|rule| rule.row.flow == flow::CONNECT_AD_LDAP).collect();
        assert_eq!(ldap.len(), 4);
        for rule in &policy.rules {
            let End::Among(prefixes) = rule.peer() else { panic!("{rule:?}") };
            assert!(!prefixes.is_empty() && prefixes.iter().all(|it| it.family() == rule.family));
        }
    }

    #[test]
    fn controllers_open_and_answer_the_links_between_them() {
        let chart = Chart::default_edition();
        let mut forest = site(Role::Forest, &[("ad", "10.1.0.11"), ("connect", "10.1.0.20")]);
        let directions = |site: &Site| -> Vec<_> {
            let policy = Policy::new(&chart, site);
            let rules = policy.rules.iter();
            let between = rules.filter(|rule| rule.row.flow == flow::FOREST_FOREST_RPC);
            between.map(|rule| rule.direction).collect()
        };
        assert_eq!(directions(&forest), [Direction::Out, Direction::In]);
        forest.side = Side::Opens;
        assert_eq!(directions(&forest), [Direction::Out]);
        forest.side = Side::Answers;
        assert_eq!(directions(&forest), [Direction::In]);
    }

    #[test]
    fn every_comment_of_every_edition_fits_and_stays_on_its_line() {
        for edition in Chart::editions() {
            let chart = Chart::edition(&edition.id).unwrap();
            for row in chart.all() {
                for transport in &row.transports {
                    let comment = comment(row, *transport);
                    assert!(comment.len() <= COMMENT_LETTERS_MAX, "{comment}");
                    assert!(comment.contains(row.flow.name()), "{comment}");
                }
            }
        }
    }
}
