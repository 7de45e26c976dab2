//! Every edition's picture, held against what a reader needs of it.

use super::layout::{Area, Scene, Style, scene};
use super::*;

fn charts() -> impl Iterator<Item = Chart> {
    Chart::editions().iter().map(|edition| Chart::edition(&edition.id).unwrap())
}

fn meet(one: &Area, other: &Area) -> bool {
    one.x < other.x + other.width
        && other.x < one.x + one.width
        && one.y < other.y + other.height
        && other.y < one.y + one.height
}

fn scenes() -> impl Iterator<Item = Scene> {
    let marks = [Mark::Plain, Mark::Closed];
    charts().flat_map(move |chart| marks.map(|mark| scene(&links(&chart), &|_| mark)))
}

#[test]
fn no_two_texts_meet_in_any_edition() {
    for scene in scenes() {
        let areas: Vec<_> = scene.texts.iter().map(|text| (text.area(), &text.text)).collect();
        for (index, (one, text)) in areas.iter().enumerate() {
            let met = areas.iter().skip(index + 1).find(|(other, _)| meet(one, other));
            assert!(met.is_none(), "{text:?} and {:?}", met.map(|(_, other)| other));
            assert!(one.x >= 0.0 && one.x + one.width <= scene.width, "{text:?}");
            assert!(one.y >= 0.0 && one.y + one.height <= scene.height, "{text:?}");
        }
    }
}

#[test]
fn every_zone_and_host_has_room_for_its_name() {
    for scene in scenes() {
        let named =
            scene.texts.iter().filter(|text| matches!(text.style, Style::Zone | Style::Host));
        for text in named {
            let area = text.area();
            let holds = |outer: &Area| {
                outer.x <= area.x
                    && area.x + area.width <= outer.x + outer.width
                    && outer.y <= area.y
                    && area.y + area.height <= outer.y + outer.height
            };
            let zones = scene.zones.iter().map(|(area, _)| area);
            assert!(scene.hosts.iter().chain(zones).any(holds), "{:?}", text.text);
        }
    }
}

#[test]
fn no_box_meets_another_or_an_arrow_and_no_arrow_crosses_a_text() {
    for scene in scenes() {
        for (index, host) in scene.hosts.iter().enumerate() {
            assert!(!scene.hosts.iter().skip(index + 1).any(|other| meet(host, other)), "{host:?}");
        }
        for arrow in &scene.arrows {
            let (left, right) = (arrow.from_x.min(arrow.to_x), arrow.from_x.max(arrow.to_x));
            let line =
                Area { x: left + 1.0, y: arrow.y - 1.0, width: right - left - 2.0, height: 2.0 };
            assert!(!scene.hosts.iter().any(|host| meet(host, &line)), "{arrow:?}");
            assert!(!scene.texts.iter().any(|text| meet(&text.area(), &line)), "{arrow:?}");
            let touches = |x: f64, host: &Area| {
                let beside = (host.x - x).abs() < 1.0 || (host.x + host.width - x).abs() < 1.0;
                beside && host.y <= arrow.y && arrow.y <= host.y + host.height
            };
            for x in [arrow.from_x, arrow.to_x] {
                assert!(scene.hosts.iter().any(|host| touches(x, host)), "{arrow:?}");
            }
        }
    }
}

#[test]
fn every_row_is_in_the_picture_and_in_the_text() {
    for chart in charts() {
        let (picture, text) = (svg(&chart, |_| Mark::Plain), mermaid(&chart));
        for row in chart.all() {
            let label = label(row);
            assert!(picture.contains(&svg::escape(&label)), "{label}");
            assert!(text.contains(&label), "{label}");
        }
    }
}

#[test]
fn a_closed_row_is_marked_by_more_than_its_colour() {
    let chart = Chart::default_edition();
    let closed = |row: &Row| match row.flow == crate::flow::CONNECT_AD_KERBEROS {
        true => Mark::Closed,
        false => Mark::Open,
    };
    let picture = svg(&chart, closed);
    assert_eq!(picture.matches("class=\"row closed\"").count(), 1);
    assert!(picture.contains("✗ Kerberos"));
    assert_eq!(picture.matches("class=\"link closed\"").count(), 1);
}

#[test]
fn the_flowchart_of_the_default_edition_reads_well() {
    insta::assert_snapshot!(mermaid(&Chart::default_edition()));
}
