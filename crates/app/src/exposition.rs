//! Figures in Prometheus' text format ([version 0.0.4]), and where they are asked for.
//!
//! [version 0.0.4]: https://prometheus.io/docs/instrumenting/exposition_formats/

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use portolan_net::http::ServerLimits;

/// The type of a page.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a family's figures are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A figure that goes up and down.
    Gauge,
    /// A figure that goes up, and begins anew with the process.
    Counter,
}

/// How often something took at most so long.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Histogram {
    bounds: &'static [f64],
    /// One for each bound, and one for what is above all of them.
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    /// One of nothing, with these upper bounds in ascending order.
    pub(crate) fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    /// Counts one observation.
    pub(crate) fn observe(&mut self, value: f64) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get_mut(at) {
            *count = count.saturating_add(1);
        }
        self.sum += value;
    }
}

/// Writes a family of figures, each with its labels as [`labels`] writes them; nothing for none.
pub(crate) fn family(
    out: &mut String,
    name: &str,
    help: &str,
    kind: Kind,
    samples: &[(String, f64)],
) {
    let word = match kind {
        Kind::Gauge => "gauge",
        Kind::Counter => "counter",
    };
    if samples.is_empty() {
        return;
    }
    head(out, name, help, word);
    for (labels, value) in samples {
        line(out, name, labels, *value);
    }
}

/// Writes a family of histograms.
pub(crate) fn histograms(
    out: &mut String,
    name: &str,
    help: &str,
    histograms: &[(String, &Histogram)],
) {
    if histograms.is_empty() {
        return;
    }
    head(out, name, help, "histogram");
    for (labels, histogram) in histograms {
        let between = if labels.is_empty() { "" } else { "," };
        let mut below = 0_u64;
        let bounds = histogram.bounds.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(&histogram.counts) {
            below = below.saturating_add(*count);
            let labels = format!("{labels}{between}le=\"{bound}\"");
            line(out, &format!("{name}_bucket"), &labels, number(below));
        }
        line(out, &format!("{name}_sum"), labels, histogram.sum);
        line(out, &format!("{name}_count"), labels, number(below));
    }
}

/// Labels as they stand in a line.
pub(crate) fn labels(labels: &[(&str, &str)]) -> String {
    let one = |(name, value): &(&str, &str)| format!("{name}=\"{}\"", escape(value));
    labels.iter().map(one).collect::<Vec<_>>().join(",")
}

/// A count as a figure: exact below 2^53, which no count comes near.
#[expect(clippy::cast_precision_loss, reason = "counts of objects, runs and seconds")]
pub(crate) const fn number(count: u64) -> f64 {
    count as f64
}

/// Where an exporter listens: a port of loopback, or an address with its port.
pub(crate) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let loopback = |port: u16| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let address = text.parse().or_else(|_| text.parse().map(loopback));
    address.map_err(|_| "write PORT, ADDRESS:PORT or [ADDRESS]:PORT".to_owned())
}

/// An exporter has few askers.
pub(crate) fn limits() -> ServerLimits {
    ServerLimits {
        connections_max: 32,
        drain_time_max: Duration::from_secs(1),
        ..ServerLimits::default()
    }
}

fn head(out: &mut String, name: &str, help: &str, kind: &str) {
    // Writing to a String does not fail.
    let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

fn line(out: &mut String, name: &str, labels: &str, value: f64) {
    // Writing to a String does not fail.
    let _ = if labels.is_empty() {
        writeln!(out, "{name} {value}")
    } else {
        writeln!(out, "{name}{{{labels}}} {value}")
    };
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_what_is_at_most_each_bound() {
        let mut histogram = Histogram::new(&[0.5, 2.0]);
        for value in [0.5, 0.6, 2.0, 7.0] {
            histogram.observe(value);
        }
        let mut out = String::new();
        histograms(&mut out, "took_seconds", "Time.", &[(labels(&[("step", "a\"b")]), &histogram)]);
        let expected = "# HELP took_seconds Time.\n# TYPE took_seconds histogram\n\
            took_seconds_bucket{step=\"a\\\"b\",le=\"0.5\"} 1\n\
            took_seconds_bucket{step=\"a\\\"b\",le=\"2\"} 3\n\
            took_seconds_bucket{step=\"a\\\"b\",le=\"+Inf\"} 4\n\
            took_seconds_sum{step=\"a\\\"b\"} 10.1\n\
            took_seconds_count{step=\"a\\\"b\"} 4\n";
        assert_eq!(out, expected);
    }

    #[test]
    fn a_port_alone_is_one_of_loopback() {
        let check = |text, expected: &str| {
            assert_eq!(listen_address(text).unwrap().to_string(), expected);
        };
        check("4711", "127.0.0.1:4711");
        check("10.0.0.1:4711", "10.0.0.1:4711");
        check("[::1]:4711", "[::1]:4711");
        for text in ["", "host:4711", "99999", "::1"] {
            assert!(listen_address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_family_without_figures_is_left_out_and_one_without_labels_has_no_braces() {
        let mut out = String::new();
        family(&mut out, "none", "Nothing.", Kind::Gauge, &[]);
        family(&mut out, "runs_total", "Runs.", Kind::Counter, &[(String::new(), 3.0)]);
        assert_eq!(out, "# HELP runs_total Runs.\n# TYPE runs_total counter\nruns_total 3\n");
    }
}
