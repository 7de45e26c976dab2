//! The picture as SVG ([SVG 2]): text stays text, and the colours are those of the reader's choice, light
//! or dark.
//!
//! [SVG 2]: https://www.w3.org/TR/SVG2/

use std::fmt::Write as _;

use super::layout::{Area, Arrow, Scene, Style, Text, scene};
use super::{Mark, Zone, links};
use crate::{Chart, Row};

/// Draws a chart, each row with its mark. The result stands alone, and in a page of HTML as well.
#[must_use]
pub fn svg(chart: &Chart, mark: impl Fn(&Row) -> Mark) -> String {
    let scene = scene(&links(chart), &mark);
    let edition = &chart.in_force().id;
    let mut out = String::new();
    let (width, height) = (scene.width, scene.height);
    // Writing to a String does not fail.
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"portolan\" role=\"img\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\">\n\
         <title>Ports and protocols of hybrid identity, edition {}</title>\n<style>{STYLE}</style>\n",
        escape(edition)
    );
    out.push_str(ARROWHEADS);
    let _ = writeln!(out, "<rect class=\"paper\" width=\"{width:.0}\" height=\"{height:.0}\"/>");
    body(&scene, &mut out);
    out.push_str("</svg>\n");
    out
}

fn body(scene: &Scene, out: &mut String) {
    for (area, zone) in &scene.zones {
        let class = match zone {
            Zone::OnPremises => "zone premises",
            Zone::Perimeter => "zone perimeter",
            Zone::Outside => "zone outside",
        };
        rect(area, class, 10, out);
    }
    for arrow in &scene.arrows {
        line(arrow, out);
    }
    for area in &scene.hosts {
        rect(area, "host", 6, out);
    }
    for text in &scene.texts {
        write_text(text, out);
    }
}

fn rect(area: &Area, class: &str, radius: u8, out: &mut String) {
    let Area { x, y, width, height } = area;
    let _ = writeln!(
        out,
        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
         height=\"{height:.1}\" rx=\"{radius}\"/>"
    );
}

fn line(arrow: &Arrow, out: &mut String) {
    let Arrow { from_x, to_x, y, dashed, mark } = arrow;
    // The head's point touches the box.
    let end = if to_x > from_x { to_x - 1.5 } else { to_x + 1.5 };
    let class = mark.class();
    let dashed = if *dashed { " dashed" } else { "" };
    let _ = writeln!(
        out,
        "<path class=\"link {class}{dashed}\" d=\"M{from_x:.1} {y:.1}H{end:.1}\" \
         marker-end=\"url(#head-{class})\"/>"
    );
}

fn write_text(text: &Text, out: &mut String) {
    let class = match text.style {
        Style::Zone => "zone-title".to_owned(),
        Style::Host => "host-title".to_owned(),
        Style::Remark => "remark".to_owned(),
        Style::Table => "table".to_owned(),
        Style::Row(mark, false) => format!("row {}", mark.class()),
        Style::Row(mark, true) => format!("row {} may", mark.class()),
    };
    let anchor = if text.centred { " text-anchor=\"middle\"" } else { "" };
    let Text { x, y, text, .. } = text;
    let text = escape(text);
    let _ =
        writeln!(out, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\"{anchor}>{text}</text>");
}

/// Text as XML has it.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

const STYLE: &str = "
.portolan{--paper:#fff;--ink:#16222c;--faint:#52626f;--line:#5f7380;--host:#fff;--premises:#e9f1f6;\
--perimeter:#f7efdf;--outside:#eaf3ea;--good:#1d6b35;--bad:#b3261e;--doubt:#8a5a00;\
font-family:Arial,'Liberation Sans','DejaVu Sans',sans-serif}
@media (prefers-color-scheme:dark){.portolan{--paper:#0d151b;--ink:#e8eef2;--faint:#a3b3bf;\
--line:#8ea2b0;--host:#1c2a35;--premises:#13202a;--perimeter:#26210f;--outside:#13231a;--good:#7fd69a;\
--bad:#ff8f86;--doubt:#f0c060}}
.portolan .paper{fill:var(--paper)}
.portolan .premises{fill:var(--premises)}.portolan .perimeter{fill:var(--perimeter)}\
.portolan .outside{fill:var(--outside)}
.portolan .host{fill:var(--host);stroke:var(--line);stroke-width:1.2}
.portolan text{fill:var(--ink);font-size:12px}
.portolan .zone-title{font-size:12.5px;font-weight:bold}
.portolan .host-title{font-size:14px;font-weight:bold}
.portolan .remark{font-size:10.5px;fill:var(--faint)}
.portolan .table{font-size:11px;font-weight:bold;fill:var(--faint)}
.portolan .may{font-style:italic}
.portolan .link{stroke:var(--line);stroke-width:1.6;fill:none}
.portolan .dashed{stroke-dasharray:6 4}
.portolan .head{fill:var(--line)}
.portolan text.open{fill:var(--good)}.portolan text.closed{fill:var(--bad);font-weight:bold}\
.portolan text.unjudged{fill:var(--doubt)}
.portolan .link.open{stroke:var(--good)}.portolan .link.closed{stroke:var(--bad);stroke-width:2.4}\
.portolan .link.unjudged{stroke:var(--doubt)}
.portolan .head.open{fill:var(--good)}.portolan .head.closed{fill:var(--bad)}\
.portolan .head.unjudged{fill:var(--doubt)}
";

const ARROWHEADS: &str = "<defs>\
<marker id=\"head-plain\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"11\" markerHeight=\"11\" \
markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path class=\"head\" d=\"M0 0L10 5L0 10z\"/></marker>\
<marker id=\"head-open\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"11\" markerHeight=\"11\" \
markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path class=\"head open\" d=\"M0 0L10 5L0 10z\"/></marker>\
<marker id=\"head-closed\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"13\" markerHeight=\"13\" \
markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path class=\"head closed\" d=\"M0 0L10 5L0 10z\"/></marker>\
<marker id=\"head-unjudged\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"11\" \
markerHeight=\"11\" markerUnits=\"userSpaceOnUse\" orient=\"auto\">\
<path class=\"head unjudged\" d=\"M0 0L10 5L0 10z\"/></marker></defs>\n";
