//! How much one peer, and all together, may have of a stand-in.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Limits;

/// Who is connected, and who was answered by UDP lately.
#[derive(Debug)]
pub(super) struct Guests {
    limits: Limits,
    connected: Mutex<HashMap<IpAddr, usize>>,
    /// Since when datagrams are counted, and how many each peer had answered since.
    answered: Mutex<(Instant, HashMap<IpAddr, u32>)>,
}

/// The place of one connection, given back when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    guests: Arc<Guests>,
    peer: IpAddr,
}

/// For how long datagrams are counted.
const WINDOW: Duration = Duration::from_secs(1);

impl Guests {
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        let answered = Mutex::new((now, HashMap::new()));
        Self { limits, connected: Mutex::default(), answered }
    }

    /// A place for one more connection; none when there are too many.
    pub(super) fn seat(self: &Arc<Self>, peer: IpAddr) -> Option<Seat> {
        let mut connected = self.connected.lock().unwrap_or_else(PoisonError::into_inner);
        if connected.values().sum::<usize>() >= self.limits.connections_max {
            return None;
        }
        let of_peer = connected.entry(peer).or_default();
        if *of_peer >= self.limits.connections_of_a_peer_max {
            return None;
        }
        *of_peer += 1;
        Some(Seat { guests: Arc::clone(self), peer })
    }

    /// Whether one more datagram of a peer is answered.
    pub(super) fn answers(&self, peer: IpAddr, now: Instant) -> bool {
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, counts) = &mut *answered;
        if now.saturating_duration_since(*since) >= WINDOW {
            *since = now;
            counts.clear();
        }
        if counts.len() >= self.limits.peers_max && !counts.contains_key(&peer) {
            return false;
        }
        let count = counts.entry(peer).or_default();
        *count = count.saturating_add(1);
        *count <= self.limits.datagrams_of_a_peer_max
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut connected = self.guests.connected.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = connected.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                connected.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use portolan_net::clock;

    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));
    const THIRD: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 3));

    fn guests() -> (Arc<Guests>, Instant) {
        let limits = Limits {
            connections_max: 3,
            connections_of_a_peer_max: 2,
            datagrams_of_a_peer_max: 2,
            peers_max: 2,
            ..Limits::default()
        };
        let now = clock::monotonic();
        (Arc::new(Guests::new(limits, now)), now)
    }

    #[test]
    fn neither_a_peer_nor_all_take_more_seats_than_there_are() {
        let (guests, _) = guests();
        let first = guests.seat(ONE).unwrap();
        let _second = guests.seat(ONE).unwrap();
        assert!(guests.seat(ONE).is_none());
        let _third = guests.seat(OTHER).unwrap();
        assert!(guests.seat(OTHER).is_none());
        drop(first);
        assert!(guests.seat(OTHER).is_some());
    }

    #[test]
    fn datagrams_are_counted_for_a_second() {
        let (guests, now) = guests();
        assert!(guests.answers(ONE, now) && guests.answers(ONE, now));
        assert!(!guests.answers(ONE, now));
        assert!(guests.answers(OTHER, now));
        assert!(!guests.answers(THIRD, now));
        assert!(guests.answers(THIRD, now + WINDOW) && guests.answers(ONE, now + WINDOW));
    }
}
