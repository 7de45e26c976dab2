//! The scenarios as data: what each shows, and what it expects.

use std::str::FromStr;

use portolan_chart::{Flow, Role, Transport, flow};

use crate::report::Failure;

/// A scenario that can be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    SignIn,
    Closed,
    Failover,
    PasswordChange,
}

/// What there is to know of a scenario before it is run.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: Name,
    /// As it is typed.
    pub(super) word: &'static str,
    /// What it takes besides.
    pub(super) takes: &'static str,
    /// What it shows, for people.
    pub(super) shows: &'static str,
    /// What has to happen for it to succeed.
    pub(super) expects: &'static str,
}

/// All of them.
pub(super) const ENTRIES: [Entry; 4] = [
    Entry {
        name: Name::SignIn,
        word: "sign-in",
        takes: "",
        shows: "a forest reaches a new tenant, and alice signs in from her desk with her own password",
        expects: "alice holds tokens for herself, and the directory answers with her name",
    },
    Entry {
        name: Name::Closed,
        word: "closed",
        takes: "FLOW [--transport udp|tcp]",
        shows: "the same with one row of the chart closed",
        expects: "who needs the row fails with an error that names it; without need nothing fails",
    },
    Entry {
        name: Name::Failover,
        word: "failover",
        takes: "",
        shows: "dc1 falls silent, and connect goes on with dc2",
        expects: "dc2 is bound within 2 s, and the synchronisation succeeds",
    },
    Entry {
        name: Name::PasswordChange,
        word: "password-change",
        takes: "",
        shows: "frank's password is changed in the forest while connect runs",
        expects: "the new password signs in within 8 s, and the old one has stopped",
    },
];

impl Name {
    /// Its entry.
    pub(super) fn entry(self) -> &'static Entry {
        // INVARIANT: every name has an entry; a test looks. The first one stands for none.
        ENTRIES.iter().find(|entry| entry.name == self).unwrap_or(&ENTRIES[0])
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = ENTRIES.iter().find(|entry| entry.word == word);
        found.map(|entry| entry.name).ok_or_else(|| {
            let known: Vec<_> = ENTRIES.iter().map(|entry| entry.word).collect();
            format!("the scenarios are {}", known.join(", "))
        })
    }
}

/// What a synchronisation over 389, and a person's sign-in after it, cannot do without; with a
/// transport where another one of the row is enough.
const NEEDED: [(Flow, Option<Transport>); 10] = [
    (flow::CONNECT_AD_DNS, None),
    (flow::CONNECT_AD_KERBEROS, Some(Transport::Tcp)),
    (flow::CONNECT_AD_EPM, Some(Transport::Tcp)),
    (flow::CONNECT_AD_LDAP, Some(Transport::Tcp)),
    (flow::CONNECT_AD_RPC, Some(Transport::Tcp)),
    (flow::CONNECT_TENANT_CRL, Some(Transport::Tcp)),
    (flow::CONNECT_TENANT_SYNC, Some(Transport::Tcp)),
    (flow::WORKSTATION_FOREST_DNS, None),
    (flow::WORKSTATION_TENANT_CRL, Some(Transport::Tcp)),
    (flow::WORKSTATION_TENANT_HTTPS, Some(Transport::Tcp)),
];

/// A row, or one transport of it, that is to be closed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Closure {
    pub(super) flow: Flow,
    pub(super) transport: Option<Transport>,
}

impl Closure {
    /// The closure of a row that somebody in these scenarios could use.
    pub(super) fn new(
        chart: &portolan_chart::Chart,
        flow: Flow,
        transport: Option<Transport>,
    ) -> Result<Self, Failure> {
        let row = chart.row(flow)?;
        if ![Role::Connect, Role::Workstation].contains(&row.from) {
            let text = format!("{flow} is opened by neither connect nor a workstation");
            return Err(Failure::new(text)
                .with_hint("`portolan chart list --role connect` shows the rows of connect"));
        }
        Ok(Self { flow, transport })
    }

    /// Whether something cannot be done without what is closed.
    pub(super) fn is_needed(self) -> bool {
        NEEDED.iter().any(|(flow, transport)| {
            let all_closed = self.transport.is_none() || self.transport == *transport;
            *flow == self.flow && all_closed
        })
    }

    /// As people read it: `connect.ad.ldap by tcp`.
    pub(super) fn text(self) -> String {
        let by = self.transport.map(|transport| format!(" by {transport}")).unwrap_or_default();
        format!("{}{by}", self.flow)
    }
}

#[cfg(test)]
mod tests {
    use portolan_chart::Chart;

    use super::*;

    #[test]
    fn every_scenario_is_listed_under_its_own_word() {
        for entry in &ENTRIES {
            assert_eq!(entry.word.parse(), Ok(entry.name));
            assert_eq!(entry.name.entry().word, entry.word);
        }
        assert!("sign".parse::<Name>().unwrap_err().contains("sign-in, closed"));
    }

    #[test]
    fn one_transport_of_names_can_be_spared_and_the_directory_s_stream_cannot() {
        let check = |flow, transport, needed| {
            let closure = Closure::new(&Chart::default_edition(), flow, transport).unwrap();
            assert_eq!(closure.is_needed(), needed, "{}", closure.text());
        };
        check(flow::CONNECT_AD_DNS, None, true);
        check(flow::CONNECT_AD_DNS, Some(Transport::Udp), false);
        check(flow::CONNECT_AD_LDAP, Some(Transport::Tcp), true);
        check(flow::CONNECT_AD_LDAP, Some(Transport::Udp), false);
        check(flow::CONNECT_AD_LDAPS, None, false);
    }

    #[test]
    fn a_row_of_somebody_else_is_refused() {
        let chart = Chart::default_edition();
        assert!(Closure::new(&chart, flow::FOREST_RESOLVER_DNS, None).is_err());
    }
}
