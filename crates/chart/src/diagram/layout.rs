//! Where everything of a picture stands, in units that SVG calls pixels.
//!
//! Hosts stand in five columns, and between each two of them is a gutter. A link is a lane: a rectangle from
//! the one host's box to the other's, with its arrow and all of its text inside. Lanes are laid one after
//! the other, each as high up as nothing else is in its gutters and in the columns that it crosses; a
//! box is as tall as its lanes. So nothing overlaps by construction.

use super::{Link, Mark, Zone, label, title};
use crate::{Requirement, Role, Row};

/// A picture, ready to be drawn.
#[derive(Debug, Default)]
pub(super) struct Scene {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) zones: Vec<(Area, Zone)>,
    pub(super) hosts: Vec<Area>,
    pub(super) arrows: Vec<Arrow>,
    pub(super) texts: Vec<Text>,
}

/// A rectangle.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// A link's line.
#[derive(Debug)]
pub(super) struct Arrow {
    pub(super) from_x: f64,
    pub(super) to_x: f64,
    pub(super) y: f64,
    pub(super) dashed: bool,
    pub(super) mark: Mark,
}

/// A line of text, by the middle of its baseline or by its beginning.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) centred: bool,
    pub(super) style: Style,
    pub(super) text: String,
}

/// How a text is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Zone,
    Host,
    Remark,
    Table,
    Row(Mark, /* Whether some deployments do without it */ bool),
}

impl Style {
    pub(super) const fn size(self) -> f64 {
        match self {
            Self::Zone => 12.5,
            Self::Host => 14.0,
            Self::Remark => 10.5,
            Self::Table => 11.0,
            Self::Row(..) => 12.0,
        }
    }
}

impl Text {
    #[cfg(test)]
    /// The rectangle that it fills, by the widest usual font without serifs.
    #[cfg(test)]
    pub(super) fn area(&self) -> Area {
        let width = width(&self.text, self.style);
        let x = if self.centred { self.x - width / 2.0 } else { self.x };
        let size = self.style.size();
        Area { x, y: self.y - size * 0.8, width, height: size }
    }
}

/// Of a character, in parts of the font's size; of one in a bold font.
const GLYPH_WIDTH: f64 = 0.61;
const BOLD_WIDTH: f64 = 0.69;

fn width(text: &str, style: Style) -> f64 {
    // A text of more than 2^32 characters does not occur.
    let glyphs = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    let glyph = match style {
        Style::Zone | Style::Host | Style::Table | Style::Row(Mark::Closed, _) => BOLD_WIDTH,
        Style::Remark | Style::Row(..) => GLYPH_WIDTH,
    };
    f64::from(glyphs) * glyph * style.size()
}

const COLUMNS: usize = 5;
const HOST_WIDTH: f64 = 118.0;
const GUTTER_WIDTH_MIN: f64 = 76.0;
const MARGIN: f64 = 16.0;
const PADDING: f64 = 12.0;
const TOP: f64 = 58.0;
const LANE_GAP: f64 = 10.0;
const HOST_GAP: f64 = 20.0;
/// Between what the page has and what it leaves out, with its heading.
const ERRATA_GAP: f64 = 46.0;
const LINE: f64 = 16.0;
/// From a lane's top to its arrow, and to its first row's baseline.
const ARROW_AT: f64 = 18.0;
const ROWS_AT: f64 = 33.0;
/// Rows of a lane that stand in one column, where there is room for more columns.
const ROWS_PER_COLUMN: usize = 3;
const ROWS_GAP: f64 = 24.0;

const fn column(role: Role) -> usize {
    match role {
        Role::Forest => 0,
        Role::Connect | Role::Agent | Role::Health | Role::Workstation => 1,
        Role::Federation | Role::FederationAndProxy | Role::Database => 2,
        Role::Proxy | Role::Balancer | Role::WebProxy | Role::Router | Role::Resolver => 3,
        Role::Tenant | Role::User | Role::TimeSource => 4,
    }
}

/// The order in which lanes are laid. It keeps most hosts in one piece.
const fn rank(from: Role, to: Role) -> u8 {
    match (from, to) {
        (
            Role::Federation | Role::FederationAndProxy,
            Role::Federation | Role::FederationAndProxy,
        ) => 0,
        (Role::Connect, Role::Federation | Role::FederationAndProxy) => 1,
        (Role::Proxy | Role::Balancer, _) => 2,
        (Role::User, _) => 3,
        (Role::Connect, Role::Forest) => 4,
        (Role::Connect, Role::WebProxy) => 5,
        (Role::Connect, Role::Database) => 1,
        (Role::Connect, _) => 6,
        (Role::Federation | Role::FederationAndProxy, _) => 7,
        (Role::Agent, _) => 8,
        (Role::Health, _) => 9,
        (Role::Workstation, _) => 10,
        (Role::Forest, Role::Forest) => 11,
        (_, Role::Resolver) => 12,
        _ => 13,
    }
}

/// The same for what the page leaves out, which stands below it.
const fn rank_of_errata(from: Role) -> u8 {
    match from {
        Role::Connect => 0,
        Role::Agent => 1,
        Role::Health => 2,
        Role::Workstation => 3,
        Role::Federation | Role::FederationAndProxy => 4,
        Role::Proxy | Role::Balancer => 5,
        Role::User => 6,
        Role::Forest => 7,
        _ => 8,
    }
}

/// A host's box while it grows.
struct Host {
    role: Role,
    /// Whether it stands for the peers of a host of the same role.
    another: bool,
    column: usize,
    top: f64,
    bottom: f64,
}

/// A lane: a link, its columns and its top.
struct Lane<'l, 'c> {
    link: &'l Link<'c>,
    from: usize,
    to: usize,
    top: f64,
    /// Rows of its text that stand beside each other.
    columns: usize,
}

/// Places the links of a chart.
pub(super) fn scene(links: &[Link<'_>], mark: &dyn Fn(&Row) -> Mark) -> Scene {
    let mut ordered: Vec<_> = links.iter().collect();
    ordered.sort_by_key(|link| match link.is_erratum() {
        false => (false, rank(link.from, link.to)),
        true => (true, rank_of_errata(link.from)),
    });
    let lefts = column_lefts(&ordered, mark);
    let (mut board, mut lanes, mut errata_at) = (Board::default(), Vec::new(), None);
    for link in ordered {
        if link.is_erratum() && errata_at.is_none() {
            errata_at = Some(board.begin_anew());
        }
        let from = column(link.from);
        let to = match column(link.to) {
            // Another host of the same column stands in the next one.
            to if to == from => from.checked_sub(1).unwrap_or(1),
            to => to,
        };
        let (left, right) = (from.min(to), from.max(to));
        let x = |column: usize| lefts.get(column).copied().unwrap_or_default();
        let room = x(right) - x(left) - HOST_WIDTH - 2.0 * PADDING;
        let columns = columns(link, room, mark);
        let height = ROWS_AT + (count(link.rows.len().div_ceil(columns)) - 1.0) * LINE + 6.0;
        let top = board.lay([(link.from, from), (link.to, to)], height);
        lanes.push(Lane { link, from, to, top, columns });
    }
    let mut scene = draw(&lanes, &board.hosts, &lefts, mark);
    if let Some(y) = errata_at {
        let heading = "What the page leaves out".to_owned();
        let first = lefts.first().copied().unwrap_or_default();
        scene.texts.push(text((first, y - 10.0), false, Style::Zone, heading));
    }
    scene
}

/// The left edge of each column: gutters are as wide as the links need that cross no other.
fn column_lefts(links: &[&Link<'_>], mark: &dyn Fn(&Row) -> Mark) -> [f64; COLUMNS] {
    let mut gutters = [GUTTER_WIDTH_MIN; COLUMNS];
    for link in links {
        let (from, to) = (column(link.from), column(link.to));
        let gutter = match (from.min(to), from.abs_diff(to)) {
            (0, 0) => 0,
            (left, 0) => left - 1,
            (left, 1) => left,
            _ => continue,
        };
        if let Some(wide) = gutters.get_mut(gutter) {
            *wide = wide.max(text_width(link, mark) + 2.0 * PADDING);
        }
    }
    let mut lefts = [MARGIN + PADDING; COLUMNS];
    let mut x = MARGIN + PADDING;
    for (left, gutter) in lefts.iter_mut().zip(gutters) {
        *left = x;
        x += HOST_WIDTH + gutter;
    }
    lefts
}

fn row_text(row: &Row, mark: Mark) -> String {
    format!("{}{}", mark.sign(), label(row))
}

/// The widest line of a link.
fn text_width(link: &Link<'_>, mark: &dyn Fn(&Row) -> Mark) -> f64 {
    let rows = link.rows.iter().map(|row| {
        let mark = mark(row);
        width(&row_text(row, mark), Style::Row(mark, false))
    });
    rows.fold(width(&link.title(), Style::Table), f64::max)
}

/// What was laid so far.
#[derive(Default)]
struct Board {
    hosts: Vec<Host>,
    /// Below what each gutter is free; the gutter of a column is to its right.
    gutters: [f64; COLUMNS],
    /// Below what each column was crossed.
    crossed: [f64; COLUMNS],
}

impl Board {
    /// The box that a lane's end joins: the column's last, if it is the role's and nothing crossed below it.
    fn joined(&mut self, role: Role, column: usize) -> Option<&mut Host> {
        let crossed = self.crossed.get(column).copied().unwrap_or_default();
        let last = self.hosts.iter_mut().rev().find(|host| host.column == column);
        last.filter(|host| title(host.role) == title(role) && crossed <= host.top)
    }

    /// The highest place for an end of a lane.
    fn top(&mut self, role: Role, column: usize) -> f64 {
        if let Some(host) = self.joined(role, column) {
            return host.top;
        }
        let last = self.hosts.iter().rev().find(|host| host.column == column);
        let crossed = self.crossed.get(column).copied().unwrap_or_default();
        last.map_or(TOP, |host| host.bottom + HOST_GAP).max(crossed)
    }

    /// Ends every box: what follows stands below all of them. Gives where that begins.
    fn begin_anew(&mut self) -> f64 {
        let bottom = self.hosts.iter().map(|host| host.bottom).fold(TOP, f64::max);
        let top = if self.hosts.is_empty() { TOP } else { bottom + ERRATA_GAP };
        self.gutters = [top; COLUMNS];
        self.crossed = [top; COLUMNS];
        top
    }

    /// Takes a lane of this height from column to column; gives its top.
    fn lay(&mut self, ends: [(Role, usize); 2], height: f64) -> f64 {
        let [(_, from), (_, to)] = ends;
        let (left, right) = (from.min(to), from.max(to));
        let mut top =
            self.gutters.iter().skip(left).take(right - left).fold(TOP, |top, &y| top.max(y));
        for host in self.hosts.iter().filter(|host| left < host.column && host.column < right) {
            top = top.max(host.bottom + LANE_GAP);
        }
        for (role, column) in ends {
            top = top.max(self.top(role, column));
        }
        let bottom = top + height;
        for (role, column) in ends {
            match self.joined(role, column) {
                Some(host) => host.bottom = host.bottom.max(bottom),
                None => {
                    let another =
                        title(ends[0].0) == title(ends[1].0) && column != self::column(role);
                    self.hosts.push(Host { role, another, column, top, bottom });
                }
            }
        }
        for gutter in self.gutters.iter_mut().skip(left).take(right - left) {
            *gutter = bottom + LANE_GAP;
        }
        for crossed in self.crossed.iter_mut().skip(left + 1).take(right - left - 1) {
            *crossed = bottom + LANE_GAP;
        }
        top
    }
}

/// How many columns of rows there is room for between two hosts.
fn columns(link: &Link<'_>, room: f64, mark: &dyn Fn(&Row) -> Mark) -> usize {
    let wide = text_width(link, mark);
    let wanted = link.rows.len().div_ceil(ROWS_PER_COLUMN).max(1);
    let fits = |columns: &usize| count(*columns) * (wide + ROWS_GAP) - ROWS_GAP <= room;
    (2..=wanted).rev().find(fits).unwrap_or(1)
}

/// A count of lines or columns as a length.
fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

fn draw(
    lanes: &[Lane<'_, '_>],
    hosts: &[Host],
    lefts: &[f64; COLUMNS],
    mark: &dyn Fn(&Row) -> Mark,
) -> Scene {
    let x = |column: usize| lefts.get(column).copied().unwrap_or_default();
    let bottom = hosts.iter().map(|host| host.bottom).fold(TOP, f64::max);
    let mut scene = Scene {
        width: x(COLUMNS - 1) + HOST_WIDTH + PADDING + MARGIN,
        height: bottom + PADDING + MARGIN + 22.0,
        ..Scene::default()
    };
    for zone in Zone::ALL {
        let columns: Vec<_> = (0..COLUMNS).filter(|&column| zone_of(column) == zone).collect();
        let (Some(&first), Some(&last)) = (columns.first(), columns.last()) else { continue };
        let area = Area {
            x: x(first) - PADDING,
            y: MARGIN,
            width: x(last) - x(first) + HOST_WIDTH + 2.0 * PADDING,
            height: bottom + PADDING - MARGIN,
        };
        let (middle, y) = (area.x + area.width / 2.0, MARGIN + 22.0);
        scene.texts.push(text((middle, y), true, Style::Zone, zone.title().to_owned()));
        scene.zones.push((area, zone));
    }
    for host in hosts {
        let area = Area {
            x: x(host.column),
            y: host.top,
            width: HOST_WIDTH,
            height: host.bottom - host.top,
        };
        let (middle, y) = (area.x + HOST_WIDTH / 2.0, area.y + area.height / 2.0);
        let (name, remark) = match (title(host.role), host.another) {
            (title, false) => title,
            ((name, _), true) => (name, "another one"),
        };
        scene.texts.push(text((middle, y - 2.0), true, Style::Host, name.to_owned()));
        scene.texts.push(text((middle, y + 14.0), true, Style::Remark, remark.to_owned()));
        scene.hosts.push(area);
    }
    for lane in lanes {
        draw_lane(lane, &x, mark, &mut scene);
    }
    let legend =
        "solid: the page; dashed: what it leaves out; slanted: not every deployment needs it";
    let at = (MARGIN + PADDING, bottom + PADDING + 24.0);
    scene.texts.push(text(at, false, Style::Remark, legend.to_owned()));
    scene
}

fn draw_lane(
    lane: &Lane<'_, '_>,
    x: &dyn Fn(usize) -> f64,
    mark: &dyn Fn(&Row) -> Mark,
    scene: &mut Scene,
) {
    let (left, right) = (lane.from.min(lane.to), lane.from.max(lane.to));
    let (begin, end) = (x(left) + HOST_WIDTH, x(right));
    let (from_x, to_x) = if lane.from < lane.to { (begin, end) } else { (end, begin) };
    let rows = &lane.link.rows;
    let worst = rows.iter().map(|row| mark(row)).fold(Mark::Plain, Mark::worse);
    let dashed = lane.link.is_erratum();
    scene.arrows.push(Arrow { from_x, to_x, y: lane.top + ARROW_AT, dashed, mark: worst });
    let middle = f64::midpoint(begin, end);
    let heading = (middle, lane.top + ARROW_AT - 6.0);
    scene.texts.push(text(heading, true, Style::Table, lane.link.title()));
    let wide = text_width(lane.link, mark) + ROWS_GAP;
    let lines = rows.len().div_ceil(lane.columns);
    let first = middle - (count(lane.columns) * wide - ROWS_GAP) / 2.0;
    for (index, row) in rows.iter().enumerate() {
        let mark = mark(row);
        let at =
            (first + count(index / lines) * wide, lane.top + ROWS_AT + count(index % lines) * LINE);
        let style = Style::Row(mark, row.requirement != Requirement::Required);
        scene.texts.push(text(at, false, style, row_text(row, mark)));
    }
}

fn text((x, y): (f64, f64), centred: bool, style: Style, text: String) -> Text {
    Text { x, y, centred, style, text }
}

/// The zone of a role's host.
pub(super) const fn zone(role: Role) -> Zone {
    zone_of(column(role))
}

const fn zone_of(column: usize) -> Zone {
    match column {
        0..=2 => Zone::OnPremises,
        3 => Zone::Perimeter,
        _ => Zone::Outside,
    }
}
