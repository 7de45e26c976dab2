//! How wrong passwords are slowed down, and whom that stops.
//!
//! Five counts are kept, each under a [`Limit`] of its own. A browser in which the person signed in
//! before is *familiar* at their name: it carries a device cookie, and is counted by itself, so that
//! nobody else's attempts stop it. Everybody else is *unfamiliar*, and counted three or four times:
//!
//! | count of | limit | what it stops |
//! |---|---|---|
//! | a familiar browser at a name | [`CLIENT`] | that browser at that name |
//! | an unfamiliar address at a name | [`CLIENT`] | unfamiliar browsers there, at that name |
//! | a name, over all unfamiliar addresses | [`NAME`] | unfamiliar browsers everywhere, at that name |
//! | an address, over all names | [`ADDRESS`] | unfamiliar browsers there, at every name |
//! | an IPv6 site, over all names | [`SITE`] | unfamiliar browsers there, at every name |
//!
//! So ten wrong passwords lock a name for whoever typed them, and for nobody else; who types them
//! from many places locks it for unfamiliar browsers only; who tries one password at many names is
//! stopped by the address. A locked client that waits and fails again is locked for twice as long.
//! A right password starts the client's own count anew, and no other. Names that nobody has are
//! counted in the same way, so that locking tells nothing. While any of its counts is locked, no
//! password of a client is looked at, and nothing is counted.
//!
//! Microsoft's [smart lockout] keeps familiar and unfamiliar places apart in the same way. Unlike it,
//! the same wrong password counts each time: what would recognise it again after a restart is
//! something to guess it from, and the person's own is often like it.
//!
//! [smart lockout]: https://learn.microsoft.com/entra/identity/authentication/howto-password-smart-lockout

use std::net::IpAddr;

use portolan_model::Guid;
use time::{Duration, OffsetDateTime};

use crate::Digest;

/// What one count allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The wrong password that locks; those before it are free.
    pub failures_max: u32,
    /// How long the first lock holds. Each further wrong password doubles it.
    pub lock_first: Duration,
    /// How long a lock holds at most.
    pub lock_max: Duration,
    /// After how long without a wrong password the count starts anew.
    pub forgotten_after: Duration,
}

/// One client at one name.
pub const CLIENT: Limit = Limit {
    failures_max: 10,
    lock_first: Duration::MINUTE,
    lock_max: Duration::HOUR,
    forgotten_after: Duration::DAY,
};

/// One name, over all unfamiliar addresses. It is forgotten sooner than a single address's locks grow
/// apart, so that no single address reaches it.
pub const NAME: Limit = Limit {
    failures_max: 50,
    lock_first: Duration::MINUTE,
    lock_max: Duration::HOUR,
    forgotten_after: Duration::minutes(30),
};

/// One address, over all names: an office behind one address makes many mistakes of its own.
pub const ADDRESS: Limit = Limit {
    failures_max: 100,
    lock_first: Duration::MINUTE,
    lock_max: Duration::HOUR,
    forgotten_after: Duration::HOUR,
};

/// One site of IPv6, over all names: whoever has a /48 has 65,536 addresses to count by.
pub const SITE: Limit = Limit {
    failures_max: 1_000,
    lock_first: Duration::MINUTE,
    lock_max: Duration::HOUR,
    forgotten_after: Duration::HOUR,
};

/// After how long without a wrong password any count may be forgotten.
pub const FORGOTTEN_AFTER: Duration = Duration::DAY;

/// Bits of an IPv6 address that one customer has: the rest is theirs to vary.
const IPV6_CUSTOMER_BITS: u32 = 64;

/// Bits of an IPv6 address that one site has at most (RFC 6177 section 2).
const IPV6_SITE_BITS: u32 = 80;

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The address: of the browser, or of whatever stands in front of the tenant.
    pub address: IpAddr,
    /// The digest of the device cookie, if there is one.
    pub device: Option<Digest>,
}

impl Client {
    /// The address as it is counted: an IPv4 address whole, however it was written, and of an IPv6
    /// address the /64.
    #[must_use]
    pub fn network(&self) -> IpAddr {
        self.without(IPV6_CUSTOMER_BITS)
    }

    /// The address without what one site can vary: an IPv4 address whole, and of an IPv6 address
    /// the /48.
    #[must_use]
    pub fn site(&self) -> IpAddr {
        self.without(IPV6_SITE_BITS)
    }

    fn without(&self, ipv6_bits: u32) -> IpAddr {
        match self.address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => {
                IpAddr::V6((address.to_bits() & (u128::MAX << ipv6_bits)).into())
            }
        }
    }
}

/// Who is to be signed in: the user, however their name was spelled, or a name that nobody has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A user.
    User(Guid),
    /// Nobody's name, as it was typed.
    Name(String),
}

/// What an attempt is counted under, the client's own count first.
#[must_use]
pub fn counts(subject: &Subject, client: &Client, familiar: bool) -> Vec<(Digest, Limit)> {
    let subject = match subject {
        Subject::User(id) => format!("user {id}"),
        Subject::Name(name) => format!("name {}", name.trim().to_lowercase()),
    };
    let key = |text: String| Digest::of(text.as_bytes());
    if let (Some(device), true) = (client.device, familiar) {
        return vec![(key(format!("device {} {subject}", device.to_base64url())), CLIENT)];
    }
    let (network, site) = (client.network(), client.site());
    let mut counts = vec![
        (key(format!("client {network} {subject}")), CLIENT),
        (key(subject), NAME),
        (key(format!("address {network}")), ADDRESS),
    ];
    if site != network {
        counts.push((key(format!("site {site}")), SITE));
    }
    counts
}

/// A count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttle {
    /// Wrong passwords.
    pub failures: u32,
    /// When the last one came.
    pub failed_at: OffsetDateTime,
    /// Until when no password is looked at.
    pub locked_until: Option<OffsetDateTime>,
}

impl Throttle {
    /// Whether it locks.
    #[must_use]
    pub fn is_locked(&self, now: OffsetDateTime) -> bool {
        self.locked_until.is_some_and(|until| now < until)
    }

    /// The count after one more wrong password.
    #[must_use]
    pub fn after_failure(before: Option<Self>, limit: &Limit, now: OffsetDateTime) -> Self {
        let failures = before
            .filter(|before| now - before.failed_at < limit.forgotten_after)
            .map_or(1, |before| before.failures.saturating_add(1));
        let locked_until = failures.checked_sub(limit.failures_max).map(|doublings| {
            let factor = 2_i32.checked_pow(doublings).unwrap_or(i32::MAX);
            let long = limit.lock_first.checked_mul(factor).unwrap_or(limit.lock_max);
            now + long.min(limit.lock_max)
        });
        Self { failures, failed_at: now, locked_until }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::tests::now;

    #[test]
    fn the_tenth_wrong_password_locks_and_each_further_one_doubles() {
        let mut throttle = None;
        for _ in 1..10 {
            let next = Throttle::after_failure(throttle, &CLIENT, now());
            assert_eq!(next.locked_until, None, "{next:?}");
            throttle = Some(next);
        }
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
            let next = Throttle::after_failure(throttle, &CLIENT, now());
            let until = now() + Duration::minutes(minutes);
            assert_eq!(next.locked_until, Some(until));
            assert!(next.is_locked(until - Duration::SECOND) && !next.is_locked(until));
            throttle = Some(next);
        }
        let end = Throttle { failures: u32::MAX, failed_at: now(), locked_until: None };
        let next = Throttle::after_failure(Some(end), &CLIENT, now());
        assert_eq!(next.locked_until, Some(now() + Duration::HOUR));
    }

    #[test]
    fn time_without_a_wrong_password_starts_a_count_anew() {
        let before = Throttle { failures: 30, failed_at: now(), locked_until: None };
        let check = |limit: &Limit, after, expected| {
            assert_eq!(
                Throttle::after_failure(Some(before), limit, now() + after).failures,
                expected
            );
        };
        check(&CLIENT, Duration::DAY - Duration::SECOND, 31);
        check(&CLIENT, Duration::DAY, 1);
        check(&NAME, Duration::minutes(30), 1);
        check(&ADDRESS, Duration::HOUR, 1);
    }

    /// Somebody who types a wrong password whenever they may, from one address, for a week.
    #[test]
    fn one_address_never_locks_a_name_for_the_others() {
        let (mut own, mut name) = (None, None);
        let mut at = now();
        while at < now() + Duration::WEEK {
            own = Some(Throttle::after_failure(own, &CLIENT, at));
            name = Some(Throttle::after_failure(name, &NAME, at));
            assert_eq!(name.and_then(|name| name.locked_until), None, "{at}");
            at = own.and_then(|own| own.locked_until).unwrap_or(at + Duration::SECOND);
        }
    }

    #[test]
    fn addresses_are_counted_by_what_one_customer_has() {
        let check = |address: &str, expected: &str| {
            let client = Client { address: address.parse().unwrap(), device: None };
            assert_eq!(client.network().to_string(), expected);
        };
        check("192.0.2.7", "192.0.2.7");
        check("::ffff:192.0.2.7", "192.0.2.7");
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::");
        check("2001:db8:1:2:ffff::1", "2001:db8:1:2::");
        check("2001:db8:1:3::1", "2001:db8:1:3::");
    }

    #[test]
    fn who_changes_addresses_within_a_site_of_ipv6_is_counted_by_the_site() {
        let at = |address: &str| {
            let client = Client { address: address.parse().unwrap(), device: None };
            counts(&Subject::Name(address.to_owned()), &client, false)
        };
        let (one, other) = (at("2001:db8:1:2::1"), at("2001:db8:1:3::1"));
        assert_eq!((one[3], one[3].1), (other[3], SITE));
        assert!((0..3).all(|count| one[count].0 != other[count].0));
        assert_ne!(one[3], at("2001:db8:2:2::1")[3]);
        assert_eq!(at("192.0.2.7").len(), 3, "an IPv4 address is its site");
    }

    #[test]
    fn a_familiar_browser_is_counted_apart_and_a_strange_one_three_times() {
        let device = Some(Digest::of(b"cookie"));
        let client = Client { address: "192.0.2.7".parse().unwrap(), device };
        let alice = Subject::User(Guid::from_random([1; 16]));
        let keys = |client: &Client, familiar| {
            counts(&alice, client, familiar).into_iter().map(|(key, _)| key).collect::<Vec<_>>()
        };
        let strange = keys(&client, false);
        assert_eq!((strange.len(), keys(&client, true).len()), (3, 1));
        assert!(!strange.contains(&keys(&client, true)[0]));
        let elsewhere = Client { address: "192.0.2.8".parse().unwrap(), device: None };
        let other = keys(&elsewhere, false);
        assert_eq!(strange[1], other[1], "the name's count is one");
        assert!(strange[0] != other[0] && strange[2] != other[2]);
        // Without a cookie nothing is familiar.
        assert_eq!(keys(&elsewhere, true), other);
    }

    #[test]
    fn a_name_that_nobody_has_is_one_name_however_it_is_spelled() {
        let client = Client { address: "192.0.2.7".parse().unwrap(), device: None };
        let keys = |name: &str| counts(&Subject::Name(name.to_owned()), &client, false);
        assert_eq!(keys("Nobody@corp.example "), keys("nobody@CORP.example"));
        assert_ne!(keys("nobody@corp.example"), keys("nobody2@corp.example"));
    }
}
