//! Ports and addresses cut into pieces within which no rule tells one from another, and put together
//! again for people.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::firewall::Family;

/// The pieces of a span, cut at the borders.
pub(super) fn pieces(borders: &BTreeSet<u128>, (first, last): (u128, u128)) -> Vec<(u128, u128)> {
    let mut pieces = Vec::new();
    let mut start = first;
    if first < last {
        for border in borders.range(first + 1..=last) {
            pieces.push((start, border - 1));
            start = *border;
        }
    }
    pieces.push((start, last));
    pieces
}

/// Ports and addresses of one fate: every port with every address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tile<F> {
    pub(super) ports: Vec<(u128, u128)>,
    pub(super) addresses: Vec<(u128, u128)>,
    pub(super) fate: F,
}

/// One strip: some ports, and the fates of all addresses with them.
pub(super) type Strip<F> = ((u128, u128), Vec<((u128, u128), F)>);

/// Puts strips together to tiles: for each fate, the ports that have the same addresses.
pub(super) fn tiles<F: Copy + Eq>(strips: Vec<Strip<F>>) -> Vec<Tile<F>> {
    let mut tiles: Vec<Tile<F>> = Vec::new();
    for (ports, cells) in strips {
        let mut here: Vec<Tile<F>> = Vec::new();
        for (span, fate) in cells {
            match here.iter_mut().find(|tile| tile.fate == fate) {
                Some(tile) => join(&mut tile.addresses, span),
                None => here.push(Tile { ports: vec![ports], addresses: vec![span], fate }),
            }
        }
        for tile in here {
            let same =
                |other: &&mut Tile<F>| other.fate == tile.fate && other.addresses == tile.addresses;
            match tiles.iter_mut().find(same) {
                Some(other) => join(&mut other.ports, ports),
                None => tiles.push(tile),
            }
        }
    }
    tiles
}

/// Adds a span behind the others, to the last where it continues that.
fn join(spans: &mut Vec<(u128, u128)>, span: (u128, u128)) {
    match spans.last_mut() {
        Some(last) if last.1.checked_add(1) == Some(span.0) => last.1 = span.1,
        _ => spans.push(span),
    }
}

/// A span of addresses as people write it: an address, a prefix where it is one, else both ends.
pub(super) fn addresses_text(family: Family, (first, last): (u128, u128)) -> String {
    if (first, last) == (0, family.last()) {
        return format!("any {}", family.name());
    }
    let address = |number| -> IpAddr { family.address(number) };
    if first == last {
        return address(first).to_string();
    }
    let size = last - first;
    let is_prefix = size.checked_add(1).is_some_and(u128::is_power_of_two) && first & size == 0;
    match is_prefix {
        true => {
            let length = u32::from(family.bits()) - size.count_ones();
            format!("{}/{length}", address(first))
        }
        false => format!("{}-{}", address(first), address(last)),
    }
}

/// A span of numbers as people write it.
pub(super) fn numbers_text((first, last): (u128, u128)) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_cut_at_its_borders_and_nowhere_else() {
        let check = |borders: &[u128], span, expected: &[(u128, u128)]| {
            assert_eq!(pieces(&borders.iter().copied().collect(), span), expected);
        };
        check(&[0, 5, 10, 20], (1, 10), &[(1, 4), (5, 9), (10, 10)]);
        check(&[1, 11], (1, 10), &[(1, 10)]);
        check(&[7], (7, 7), &[(7, 7)]);
        check(&[], (0, u128::MAX), &[(0, u128::MAX)]);
        check(&[u128::MAX], (0, u128::MAX), &[(0, u128::MAX - 1), (u128::MAX, u128::MAX)]);
    }

    #[test]
    fn spans_are_written_shortest() {
        let check = |family, span, expected: &str| {
            assert_eq!(addresses_text(family, span), expected);
        };
        check(Family::V4, (0, u128::from(u32::MAX)), "any IPv4");
        check(Family::V4, (0x0a00_0000, 0x0aff_ffff), "10.0.0.0/8");
        check(Family::V4, (0x0a00_0001, 0x0a00_0002), "10.0.0.1-10.0.0.2");
        check(Family::V4, (0x0a00_0001, 0x0a00_0001), "10.0.0.1");
        check(Family::V6, (0, u128::MAX), "any IPv6");
        check(Family::V6, (0xfd << 120, (0xfe << 120) - 1), "fd00::/8");
    }

    #[test]
    fn ports_with_the_same_addresses_come_together() {
        let strips = vec![
            ((1, 9), vec![((0, 4), 'a'), ((5, 5), 'b'), ((6, 9), 'a')]),
            ((10, 10), vec![((0, 4), 'a'), ((5, 5), 'b'), ((6, 9), 'a')]),
            ((11, 20), vec![((0, 9), 'a')]),
        ];
        let tiles = tiles(strips);
        assert_eq!(tiles.len(), 3);
        assert_eq!(
            (&tiles[0].ports[..], &tiles[0].addresses[..]),
            (&[(1, 10)][..], &[(0, 4), (6, 9)][..])
        );
        assert_eq!((&tiles[1].ports[..], tiles[1].fate), (&[(1, 10)][..], 'b'));
        assert_eq!(tiles[2].ports, [(11, 20)]);
    }
}
