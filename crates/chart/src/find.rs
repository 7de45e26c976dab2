//! Rows by what people call them: a flow, a table and a place in it, a port, or words of the page.

use crate::{Chart, Flow, PortRange, Row, TableId, Transport};

impl Chart {
    /// The rows that a text calls: a flow's name; `TABLE/NUMBER`, the place counted in its table or, as
    /// [`Row::number`] has it, through all tables; `PORT` or `PORT/tcp`; and otherwise every row in
    /// which all words of the text are found: of the page's or our own titles, roles, protocol and cell.
    /// Where they are a row's protocol and cell as the page prints them, it is that row alone.
    #[must_use]
    pub fn find(&self, text: &str) -> Vec<&Row> {
        let text = text.trim();
        if let Ok(flow) = text.parse::<Flow>() {
            return self.row(flow).into_iter().collect();
        }
        let by_place = text.split_once('/').map(|(table, place)| self.at(table, place));
        if let Some(rows) = by_place.filter(|rows| !rows.is_empty()) {
            return rows;
        }
        if let Some((port, transport)) = port(text) {
            return self.all().filter(|row| row.covers(port, transport)).collect();
        }
        self.by_words(text)
    }

    /// The rows in which all words are found; `table 6a` among them leaves the other tables out.
    fn by_words(&self, text: &str) -> Vec<&Row> {
        let mut words: Vec<_> = text.split_whitespace().map(str::to_lowercase).collect();
        let mut rows: Vec<_> = self.all().collect();
        if let Some(at) =
            words.iter().position(|word| word == "table").filter(|at| at + 1 < words.len())
        {
            let table: Vec<_> = words.drain(at..=at + 1).collect();
            rows.retain(|row| table.last().is_some_and(|id| row.table.is_called(id)));
        } else if words.is_empty() {
            return Vec::new();
        }
        let is_printed_so = |row: &&Row| {
            let cell = row.printed.as_ref().map_or("", |printed| printed.ports.as_str());
            let own = format!("{} {cell}", row.protocol).to_lowercase();
            own.split_whitespace().eq(words.iter().map(String::as_str))
        };
        let printed_so: Vec<_> = rows.iter().copied().filter(is_printed_so).collect();
        if !printed_so.is_empty() {
            return printed_so;
        }
        rows.retain(|row| {
            let known = self.words_of(row);
            words.iter().all(|word| known.iter().any(|text| contains(text, word)))
        });
        rows
    }

    fn at(&self, table: &str, place: &str) -> Vec<&Row> {
        let Ok(place) = place.parse::<usize>() else { return Vec::new() };
        let in_table = self.all().filter(|row| row.table.is_called(table));
        let rows: Vec<_> = in_table.collect();
        let counted = place.checked_sub(1).and_then(|index| rows.get(index).copied());
        let numbered = || rows.iter().find(|row| usize::from(row.number) == place).copied();
        counted.or_else(numbered).into_iter().collect()
    }

    /// What a reader may call a row by, in small letters.
    fn words_of(&self, row: &Row) -> Vec<String> {
        let mut texts =
            vec![row.flow.name().to_owned(), row.table.to_string(), row.protocol.clone()];
        texts.push(row.speaks.name().to_owned());
        texts.extend(row.printed.as_ref().map(|printed| printed.ports.clone()));
        for role in [row.from, row.to] {
            texts.extend(role.names().iter().map(|name| (*name).to_owned()));
        }
        if let TableId::Page(id) = &row.table {
            let edition = self.in_force();
            let titles = edition.tables.iter().filter(|(table, _)| table == id);
            texts.extend(titles.map(|(_, title)| title.clone()));
            texts.extend(edition.printed_title(id).map(str::to_owned));
        }
        texts.iter().map(|text| text.to_lowercase()).collect()
    }
}

impl Row {
    /// Whether the row runs on this port; by this transport where one is given.
    #[must_use]
    pub fn covers(&self, port: u16, transport: Option<Transport>) -> bool {
        self.contains(port) && transport.is_none_or(|transport| self.uses(transport))
    }
}

impl TableId {
    /// Whether a reader's words name this table: `6a`, `Table 6a`, `errata`.
    #[must_use]
    pub fn is_called(&self, text: &str) -> bool {
        let text = text.trim().to_lowercase();
        let text = text.strip_prefix("table").map_or(text.as_str(), str::trim_start);
        match self {
            Self::Page(id) => id.to_lowercase() == text,
            Self::Errata => text == "errata",
        }
    }
}

/// Whether a word stands in a text; a number only as a whole.
fn contains(text: &str, word: &str) -> bool {
    match word.bytes().all(|octet| octet.is_ascii_digit()) {
        true => text.split(|character: char| !character.is_ascii_digit()).any(|own| own == word),
        false => text.contains(word),
    }
}

/// `389`, `389/udp`.
#[must_use]
pub fn port(text: &str) -> Option<(u16, Option<Transport>)> {
    let (port, transport) = match text.split_once('/') {
        None => (text, None),
        Some((port, transport)) => {
            let named = [Transport::Tcp, Transport::Udp].into_iter();
            (port, Some(named.into_iter().find(|known| known.name() == transport.to_lowercase())?))
        }
    };
    let port = port.parse::<PortRange>().ok()?.single()?;
    Some((port, transport))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let chart = Chart::default_edition();
        let flows: Vec<_> = chart.find(text).iter().map(|row| row.flow.name()).collect();
        assert_eq!(flows, expected, "{text:?}");
    }

    #[test]
    fn rows_are_found_by_flow_place_port_and_words() {
        check("connect.ad.ldap", &["connect.ad.ldap"]);
        check("1/4", &["connect.ad.ldap"]);
        check("6a/3", &["agent.tenant.response"]);
        check("6a/17", &["agent.tenant.response"]);
        check("Table 6a/3", &["agent.tenant.response"]);
        check("errata/6", &["connect.ad.kpasswd"]);
        check("9350", &["agent.tenant.relay"]);
        check(
            "88/udp",
            &[
                "connect.ad.kerberos",
                "forest.forest.kerberos",
                "agent.forest.kerberos",
                "federation.forest.kerberos",
                "proxy.forest.kerberos",
                "workstation.forest.kerberos",
            ],
        );
        check("WAP 49443", &["user.proxy.certificate"]);
        check("Table 6a 8080/443", &["agent.tenant.bootstrap"]);
        check("LDAP/SSL", &["connect.ad.ldaps"]);
        check("Pass-through HTTPS 9350", &["agent.tenant.relay"]);
    }

    #[test]
    fn nothing_is_found_by_what_no_row_is_called() {
        for text in ["", "   ", "9/9", "1/0", "1/x", "389/sctp", "70000", "connect.ad.gc", "gopher"]
        {
            check(text, &[]);
        }
    }
}
