//! What is to be listened on: each port of each row that ends at the role, once.

use portolan_chart::{Chart, Flow, Role, Row, Speaks, Transport};

/// What is spoken at one port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    Dns,
    Kerberos,
    Passwords,
    EndpointMapper,
    Interfaces,
    Ldap,
    LdapInTls,
    Smb,
    Adws,
    Http,
    WebProxy,
    /// Everything inside TLS that begins with the client's words.
    Tls,
    /// The same, and a client's certificate is asked for.
    TlsClientCertificate,
    /// TLS with who begins it, and HTTP with everybody else.
    TlsOrHttp,
    Ntp,
    Tds,
}

/// One port to listen on.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    /// The first row that wants it.
    pub(super) row: Row,
    /// Every row that wants it.
    pub(super) flows: Vec<Flow>,
    /// The port; none for one port of the row's range, whichever is free.
    pub(super) port: Option<u16>,
    pub(super) transport: Transport,
    pub(super) service: Service,
}

impl Service {
    fn of(speaks: Speaks) -> Option<Self> {
        Some(match speaks {
            Speaks::Dns => Self::Dns,
            Speaks::Kerberos => Self::Kerberos,
            Speaks::Kpasswd => Self::Passwords,
            Speaks::EndpointMapper => Self::EndpointMapper,
            Speaks::Rpc => Self::Interfaces,
            Speaks::Ldap | Speaks::GlobalCatalog => Self::Ldap,
            Speaks::Ldaps | Speaks::GlobalCatalogTls => Self::LdapInTls,
            Speaks::Smb => Self::Smb,
            Speaks::Adws => Self::Adws,
            Speaks::Winrm | Speaks::Crl | Speaks::Ocsp | Speaks::Http => Self::Http,
            Speaks::WebProxy => Self::WebProxy,
            Speaks::Https | Speaks::Adfspip | Speaks::Amqp | Speaks::Relay => Self::Tls,
            Speaks::HttpsClientCertificate => Self::TlsClientCertificate,
            Speaks::Ntp => Self::Ntp,
            Speaks::Tds => Self::Tds,
            _ => return None,
        })
    }

    /// Whether it is spoken over a transport.
    fn speaks_over(self, transport: Transport) -> bool {
        match transport {
            Transport::Tcp => self != Self::Ntp,
            Transport::Udp => {
                matches!(
                    self,
                    Self::Dns | Self::Kerberos | Self::Passwords | Self::Ldap | Self::Ntp
                )
            }
        }
    }

    /// The one that serves both rows of a port.
    fn with(self, other: Self) -> Self {
        match (self, other) {
            (Self::Tls, Self::TlsClientCertificate) => other,
            (Self::Tls, Self::Http) | (Self::Http, Self::Tls) => Self::TlsOrHttp,
            _ => self,
        }
    }
}

/// The ports of a role, in the chart's order, and the rows whose protocol a stand-in does not speak.
pub(super) fn slots(chart: &Chart, role: Role) -> (Vec<Slot>, Vec<Row>) {
    let mut slots: Vec<Slot> = Vec::new();
    let mut unspoken = Vec::new();
    for row in chart.all().filter(|row| role.plays(row.to)) {
        for &transport in &row.transports {
            let service = Service::of(row.speaks).filter(|it| it.speaks_over(transport));
            let Some(service) = service else {
                unspoken.push(row.clone());
                continue;
            };
            let is_chosen_here = service == Service::Interfaces;
            let ports: Vec<Option<u16>> = match is_chosen_here {
                true => vec![None],
                false => row.ports.iter().flat_map(|range| range.ports()).map(Some).collect(),
            };
            for port in ports {
                let is_same = |slot: &&mut Slot| {
                    slot.port == port
                        && slot.transport == transport
                        && (port.is_some() || slot.row.ports == row.ports)
                };
                match slots.iter_mut().find(is_same) {
                    Some(slot) => {
                        slot.service = slot.service.with(service);
                        if !slot.flows.contains(&row.flow) {
                            slot.flows.push(row.flow);
                        }
                    }
                    None => slots.push(Slot {
                        row: row.clone(),
                        flows: vec![row.flow],
                        port,
                        transport,
                        service,
                    }),
                }
            }
        }
    }
    (slots, unspoken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_every_edition_is_spoken() {
        for edition in Chart::editions() {
            let chart = Chart::edition(&edition.id).unwrap();
            for role in Role::all() {
                let (slots, unspoken) = slots(&chart, role);
                assert_eq!(unspoken, [], "{role} of {}", edition.id);
                for row in chart.all().filter(|row| role.plays(row.to)) {
                    let is_heard = |slot: &Slot| slot.flows.contains(&row.flow);
                    assert!(slots.iter().any(is_heard), "{} of {}", row.flow, edition.id);
                }
            }
        }
    }

    #[test]
    fn a_port_of_several_rows_is_one_and_a_range_is_all_its_ports() {
        let (slots, _) = slots(&Chart::default_edition(), Role::Tenant);
        let row = |flow: &str| {
            let has = |slot: &&Slot| slot.flows.iter().any(|it| it.name() == flow);
            slots.iter().filter(has).collect::<Vec<_>>()
        };
        assert_eq!(row("agent.tenant.response").len(), 21);
        let sync = row("connect.tenant.sync");
        assert_eq!(sync.len(), 1);
        assert!(sync[0].flows.iter().any(|flow| flow.name() == "health.tenant.https"));
    }

    #[test]
    fn a_port_with_rows_in_tls_and_in_clear_serves_both() {
        let services = |edition: &str, flow: &str| {
            let (slots, _) = slots(&Chart::edition(edition).unwrap(), Role::Tenant);
            let has = |slot: &Slot| slot.flows.iter().any(|it| it.name() == flow);
            slots.into_iter().filter(has).map(|slot| slot.service).collect::<Vec<_>>()
        };
        assert_eq!(services("2017-02-15", "agent.tenant.status"), [Service::TlsOrHttp]);
        assert_eq!(services("2025-04-09", "agent.tenant.status"), [Service::Http]);
    }

    #[test]
    fn the_dynamic_row_is_one_port() {
        let chart = Chart::default_edition();
        let (slots, _) = slots(&chart, Role::Forest);
        let dynamic: Vec<_> = slots.iter().filter(|slot| slot.port.is_none()).collect();
        assert_eq!(dynamic.len(), 1);
        let rows = chart.all().filter(|row| row.speaks == Speaks::Rpc && row.to == Role::Forest);
        assert_eq!(dynamic[0].flows, rows.map(|row| row.flow).collect::<Vec<_>>());
    }
}
