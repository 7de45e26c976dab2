//! A chart: the rows of one edition and the errata, with configured ports in place.

use std::num::NonZeroU16;
use std::sync::Arc;

use portolan_model::Hint;

use crate::{Flow, InvalidFile, PortRange, Role, Row, data};

/// The edition in force unless the configuration names another: the newer of the two seeds.
pub const DEFAULT_EDITION: &str = "2017-02-15";

/// A dated edition of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Edition {
    /// Its date, which names it.
    pub id: String,
    /// What sets it apart, in a few words.
    pub label: String,
    /// Its tables, by number, with a title each.
    pub tables: Vec<(String, String)>,
    /// The page's own titles, in the order of [`Edition::tables`]; `None` for the errata.
    pub(crate) printed_titles: Vec<Option<String>>,
    /// Its rows, without the errata.
    pub(crate) rows: Vec<Row>,
}

impl Edition {
    /// The title of a table as the page prints it; `None` for a table that it has not.
    #[must_use]
    pub fn printed_title(&self, table: &str) -> Option<&str> {
        let at = self.tables.iter().position(|(id, _)| id == table)?;
        self.printed_titles.get(at)?.as_deref()
    }

    /// How many rows the page has, errata not counted.
    #[must_use]
    pub fn row_count(&self) -> usize {
        self.rows.len()
    }
}

/// The rows in force: one edition's, then the errata.
#[derive(Debug, Clone)]
pub struct Chart {
    edition: Arc<Edition>,
    rows: Vec<Row>,
}

impl Chart {
    /// The chart of the edition with this date.
    ///
    /// # Errors
    /// [`UnknownEdition`], whose hint lists the known ones.
    pub fn edition(id: &str) -> Result<Self, UnknownEdition> {
        let book = data::book();
        let edition = book
            .editions
            .iter()
            .find(|edition| edition.id == id)
            .ok_or_else(|| UnknownEdition(id.to_owned()))?;
        Ok(Self::of(edition.clone()))
    }

    /// The chart of an edition of the user's own, in the form of the project's.
    ///
    /// # Errors
    /// [`InvalidFile`], with line and column, when it breaks the schema.
    pub fn from_toml(source: &str) -> Result<Self, InvalidFile> {
        data::read(source, data::Kind::Page).map(Self::of)
    }

    /// The edition's rows, and the errata; a row of an edition comes before an erratum of the same link.
    fn of(edition: Edition) -> Self {
        let is_new = |row: &&Row| edition.rows.iter().all(|own| own.flow != row.flow);
        let errata = data::book().errata.rows.iter().filter(is_new);
        let rows = edition.rows.iter().chain(errata).cloned().collect();
        Self { edition: Arc::new(edition), rows }
    }

    /// The chart of the edition in force by default, 2017-02-15.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test holds the constant against the embedded data")]
    pub fn default_edition() -> Self {
        Self::edition(DEFAULT_EDITION).expect("INVARIANT: the default edition is embedded")
    }

    /// Every known edition, oldest first.
    #[must_use]
    pub fn editions() -> &'static [Edition] {
        &data::book().editions
    }

    /// The edition of this chart.
    #[must_use]
    pub fn in_force(&self) -> &Edition {
        &self.edition
    }

    /// The row of a flow.
    ///
    /// # Errors
    /// [`NoSuchRow`] when this edition has none; its hint names the editions that do.
    pub fn row(&self, flow: Flow) -> Result<&Row, NoSuchRow> {
        self.all()
            .find(|row| row.flow == flow)
            .ok_or_else(|| NoSuchRow { flow, edition: self.edition.id.clone() })
    }

    /// Every row: the page's in its order, then the errata.
    pub fn all(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter()
    }

    /// The rows from one role to another.
    pub fn rows(&self, from: Role, to: Role) -> impl Iterator<Item = &Row> {
        self.all().filter(move |row| from.plays(row.from) && to.plays(row.to))
    }

    /// The rows at either end of which a role stands.
    pub fn rows_of(&self, role: Role) -> impl Iterator<Item = &Row> {
        self.all().filter(move |row| role.plays(row.from) || role.plays(row.to))
    }

    /// The chart with one port in place of a row's own, because the configuration says so.
    ///
    /// # Errors
    /// [`NoSuchRow`] when this edition has no such flow.
    pub fn with_port(mut self, flow: Flow, port: NonZeroU16) -> Result<Self, NoSuchRow> {
        self.row(flow)?;
        for row in self.rows.iter_mut().filter(|row| row.flow == flow) {
            row.ports = vec![PortRange::from(port)];
            row.configured = true;
        }
        Ok(self)
    }

    /// The chart without the row of a flow: what a firewall that closes it allows.
    ///
    /// # Errors
    /// [`NoSuchRow`] when this edition has no such flow.
    pub fn without(mut self, flow: Flow) -> Result<Self, NoSuchRow> {
        self.row(flow)?;
        self.rows.retain(|row| row.flow != flow);
        Ok(self)
    }
}

/// A date that is no edition's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no edition of the chart")]
pub struct UnknownEdition(String);

impl Hint for UnknownEdition {
    fn hint(&self) -> Option<String> {
        let known: Vec<_> = Chart::editions().iter().map(|edition| edition.id.as_str()).collect();
        Some(format!("the known editions are {}", known.join(", ")))
    }
}

/// A flow that the edition in force does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("edition {edition} of the chart has no row for {flow}")]
pub struct NoSuchRow {
    /// The flow.
    pub flow: Flow,
    /// The edition's date.
    pub edition: String,
}

impl Hint for NoSuchRow {
    fn hint(&self) -> Option<String> {
        let with: Vec<_> = Chart::editions()
            .iter()
            .filter(|edition| edition.rows.iter().any(|row| row.flow == self.flow))
            .map(|edition| edition.id.as_str())
            .collect();
        (!with.is_empty()).then(|| format!("it is in {}", with.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Transport, flow};

    #[test]
    fn the_default_edition_is_known() {
        assert_eq!(Chart::default_edition().in_force().id, DEFAULT_EDITION);
    }

    #[test]
    fn an_unknown_edition_is_answered_with_the_known_ones() {
        let error = Chart::edition("2018-01-01").unwrap_err();
        assert_eq!(error.to_string(), "\"2018-01-01\" is no edition of the chart");
        assert_eq!(
            error.hint().unwrap(),
            "the known editions are 2016-01-11, 2016-05-19, 2017-02-15-early, 2017-02-15, \
             2017-08-02, 2020-03-04-early, 2020-03-04, 2023-01-19, 2025-04-09"
        );
    }

    #[test]
    fn rows_describe_themselves_as_errors_name_them() {
        let chart = Chart::default_edition();
        let check = |flow, transport, expected: &str| {
            let row = chart.row(flow).unwrap();
            assert_eq!(row.describe(row.first_port(), transport), expected);
        };
        check(flow::CONNECT_AD_LDAP, Transport::Tcp, "Table 1, LDAP 389/tcp");
        check(flow::CONNECT_AD_KERBEROS, Transport::Udp, "Table 1, Kerberos 88/udp");
        check(flow::AGENT_TENANT_BUS, Transport::Tcp, "Table 6a, Azure service bus 9352/tcp");
        check(flow::WORKSTATION_TENANT_HTTPS, Transport::Tcp, "Errata, HTTPS 443/tcp");
    }

    #[test]
    fn a_flow_of_another_edition_is_named_with_that_edition() {
        let error = Chart::default_edition().row(flow::CONNECT_AD_GC).unwrap_err();
        assert_eq!(
            error.to_string(),
            "edition 2017-02-15 of the chart has no row for connect.ad.gc"
        );
        assert_eq!(error.hint().unwrap(), "it is in 2020-03-04, 2023-01-19, 2025-04-09");
    }

    #[test]
    fn errata_stand_beside_every_edition() {
        for edition in Chart::editions() {
            let chart = Chart::edition(&edition.id).unwrap();
            assert!(chart.row(flow::WORKSTATION_TENANT_HTTPS).unwrap().is_erratum());
            assert!(chart.all().count() > edition.row_count());
        }
    }

    #[test]
    fn a_configured_port_changes_one_row_and_says_so() {
        let port = NonZeroU16::new(8443).unwrap();
        let chart = Chart::default_edition().with_port(flow::CONNECT_TENANT_SYNC, port).unwrap();
        let row = chart.row(flow::CONNECT_TENANT_SYNC).unwrap();
        assert_eq!(row.describe(8443, Transport::Tcp), "Table 2, HTTPS 8443/tcp (configured)");
        assert!(!row.contains(443));
        assert_eq!(chart.all().filter(|row| row.configured).count(), 1);
        assert!(Chart::default_edition().with_port(flow::CONNECT_AD_GC, port).is_err());
    }

    #[test]
    fn a_closed_row_is_gone_and_the_others_stay() {
        let chart = Chart::default_edition().without(flow::CONNECT_AD_EPM).unwrap();
        assert!(chart.row(flow::CONNECT_AD_EPM).is_err());
        assert_eq!(chart.all().count(), Chart::default_edition().all().count() - 1);
    }

    #[test]
    fn rows_between_two_roles_leave_out_the_others() {
        let chart = Chart::default_edition();
        let flows: Vec<_> =
            chart.rows(Role::Connect, Role::Tenant).map(|row| row.flow.name()).collect();
        assert_eq!(
            flows,
            [
                "connect.tenant.crl",
                "connect.tenant.sync",
                "connect.tenant.sso-registration",
                "connect.tenant.ocsp",
                "connect.tenant.writeback"
            ]
        );
        assert!(chart.rows_of(Role::Proxy).any(|row| row.flow == flow::CONNECT_FEDERATION_WINRM));
    }
}
