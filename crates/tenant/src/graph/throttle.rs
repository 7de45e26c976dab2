//! How many requests Graph takes: the limits that Microsoft publishes for identity, as a model.
//!
//! Each request costs resource units, and a write costs a write besides. What is spent is counted by the
//! pair of application and tenant, by the application, and by the tenant, and drains steadily: a bucket
//! for each limit ([throttling limits]). The first bucket that would run over refuses the request and says
//! when it has room. Time is an argument, so that the same model throttles a served tenant and a simulated
//! one.
//!
//! Two things are not published and chosen here: a request that is refused costs nothing, and the priority
//! that a caller gives does not change the order.
//!
//! [throttling limits]: https://learn.microsoft.com/graph/throttling-limits#identity-and-access-service-limits

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use portolan_model::Guid;
use time::{Duration, OffsetDateTime};

/// Applications that are counted at most. Empty buckets are forgotten to make room.
const APPLICATIONS_MAX: usize = 10_000;

/// From this part of a limit on, answers say how much of it is spent.
const TOLD_FROM: f64 = 0.8;

/// A limit: so much within so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// How much.
    pub units: u32,
    /// Within how long.
    pub within: Duration,
}

/// The limits of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Resource units of an application in a tenant of under 50 users.
    pub pair_small: Limit,
    /// In a tenant of 50 to 500 users.
    pub pair_medium: Limit,
    /// In a larger tenant.
    pub pair_large: Limit,
    /// Writes of an application in a tenant.
    pub pair_writes: Limit,
    /// Resource units of an application in all tenants.
    pub application: Limit,
    /// Writes of an application in all tenants.
    pub application_writes: Limit,
    /// Writes of all applications in a tenant.
    pub tenant_writes: Limit,
}

impl Limits {
    /// As published.
    pub const GRAPH: Self = Self {
        pair_small: Limit { units: 3_500, within: Duration::seconds(10) },
        pair_medium: Limit { units: 5_000, within: Duration::seconds(10) },
        pair_large: Limit { units: 8_000, within: Duration::seconds(10) },
        pair_writes: Limit { units: 3_000, within: Duration::seconds(150) },
        application: Limit { units: 150_000, within: Duration::seconds(20) },
        application_writes: Limit { units: 70_000, within: Duration::minutes(5) },
        tenant_writes: Limit { units: 18_000, within: Duration::minutes(5) },
    };

    /// So many parts of these limits within the same times, at least 1: to meet them with few objects.
    #[must_use]
    pub fn divided_by(self, parts: NonZeroU32) -> Self {
        let part = |limit: Limit| Limit { units: (limit.units / parts).max(1), ..limit };
        Self {
            pair_small: part(self.pair_small),
            pair_medium: part(self.pair_medium),
            pair_large: part(self.pair_large),
            pair_writes: part(self.pair_writes),
            application: part(self.application),
            application_writes: part(self.application_writes),
            tenant_writes: part(self.tenant_writes),
        }
    }

    const fn pair(&self, users: u64) -> Limit {
        match users {
            0..50 => self.pair_small,
            50..=500 => self.pair_medium,
            _ => self.pair_large,
        }
    }
}

/// What a request costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Resource units.
    pub units: u32,
    /// Writes.
    pub writes: u32,
}

impl Cost {
    /// The cost of a request by the published table: its method, its path below the version, and its query
    /// options by their names, of which `$top` comes with its value.
    #[must_use]
    pub fn of(method: &str, path: &str, options: &[(&str, &str)]) -> Self {
        let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
        let base = match (method, parts.as_slice()) {
            ("GET", ["groups", _, "members"]) => 3,
            ("GET", ["users"]) => 2,
            _ => 1,
        };
        let named = |name: &str| options.iter().find(|(option, _)| *option == name);
        let less = u32::from(named("$select").is_some())
            + u32::from(
                named("$top").is_some_and(|(_, top)| top.parse().is_ok_and(|top: u32| top < 20)),
            );
        let more = u32::from(named("$expand").is_some());
        let writes = u32::from(method != "GET" && method != "HEAD");
        Self { units: (base + more).saturating_sub(less).max(1), writes }
    }
}

/// A request that may come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Admitted {
    /// What it cost: `x-ms-resource-unit`.
    pub units: u32,
    /// How much of the fullest limit is spent, when that is much: `x-ms-throttle-limit-percentage`.
    pub spent: Option<f64>,
}

/// Whose limit a request runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// An application's in this tenant.
    Pair,
    /// An application's in all tenants.
    Application,
    /// The tenant's.
    Tenant,
}

/// A request that comes too soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttled {
    /// Whose limit it is.
    pub scope: Scope,
    /// Whether it is the limit of writes, or else of resource units.
    pub writes: bool,
    /// Seconds after which there is room.
    pub retry_after_seconds: u32,
}

impl Throttled {
    /// The value of `x-ms-throttle-scope`: `<Scope>/<Limit>/<ApplicationId>/<TenantId>`.
    #[must_use]
    pub fn scope_text(&self, application: Guid, tenant: Guid) -> String {
        let scope = match self.scope {
            Scope::Pair => "Tenant_Application",
            Scope::Application => "Application",
            Scope::Tenant => "Tenant",
        };
        let limit = if self.writes { "Write" } else { "ReadWrite" };
        format!("{scope}/{limit}/{application}/{tenant}")
    }

    /// The value of `x-ms-throttle-information`.
    #[must_use]
    pub const fn information(&self) -> &'static str {
        if self.writes { "WriteLimitExceeded" } else { "ResourceUnitLimitExceeded" }
    }
}

/// What is spent of a limit; it drains steadily.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    spent: f64,
    looked_at: OffsetDateTime,
}

impl Bucket {
    /// What is spent now.
    fn level(&self, limit: Limit, now: OffsetDateTime) -> f64 {
        let drained = (now - self.looked_at).as_seconds_f64() * limit.per_second();
        // A clock that goes back drains nothing.
        (self.spent - drained.max(0.0)).max(0.0)
    }
}

impl Limit {
    fn per_second(self) -> f64 {
        f64::from(self.units) / self.within.as_seconds_f64().max(f64::EPSILON)
    }
}

/// What is counted under one name.
type Key = (Scope, bool, Guid);

/// The counts of a tenant.
#[derive(Debug)]
pub struct Throttle {
    limits: Limits,
    buckets: BTreeMap<Key, Bucket>,
}

impl Throttle {
    /// Nothing spent yet.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { limits, buckets: BTreeMap::new() }
    }

    /// Counts a request of an application in a tenant of so many users.
    ///
    /// # Errors
    /// The limit that it would run over; it is not counted then.
    pub fn admit(
        &mut self,
        application: Guid,
        cost: Cost,
        users: u64,
        now: OffsetDateTime,
    ) -> Result<Admitted, Throttled> {
        let Limits { pair_writes, application_writes, tenant_writes, .. } = self.limits;
        let (units, writes) = (f64::from(cost.units), f64::from(cost.writes));
        let counts = [
            ((Scope::Pair, false, application), self.limits.pair(users), units),
            ((Scope::Application, false, application), self.limits.application, units),
            ((Scope::Pair, true, application), pair_writes, writes),
            ((Scope::Application, true, application), application_writes, writes),
            ((Scope::Tenant, true, Guid::NIL), tenant_writes, writes),
        ];
        let mut fullest: f64 = 0.0;
        for (key, limit, drawn) in &counts {
            let level = level_of(&self.buckets, key, *limit, now);
            let room = f64::from(limit.units);
            let over = level + drawn - room;
            // A bucket that is empty takes what is larger than itself, or that would never come.
            if *drawn > 0.0 && over > 1e-9 && level > 0.0 {
                let retry_after_seconds = whole_seconds(over / limit.per_second());
                let (scope, writes, _) = *key;
                return Err(Throttled { scope, writes, retry_after_seconds });
            }
            fullest = fullest.max((level + drawn) / room);
        }
        for (key, limit, drawn) in counts {
            if drawn > 0.0 {
                let spent = level_of(&self.buckets, &key, limit, now) + drawn;
                self.make_room(&key, now);
                self.buckets.insert(key, Bucket { spent, looked_at: now });
            }
        }
        Ok(Admitted { units: cost.units, spent: (fullest > TOLD_FROM).then_some(fullest) })
    }

    /// Forgets who has been silent for longer than every limit remembers.
    fn make_room(&mut self, key: &Key, now: OffsetDateTime) {
        if self.buckets.len() < APPLICATIONS_MAX || self.buckets.contains_key(key) {
            return;
        }
        let remembered = self.limits.tenant_writes.within.max(self.limits.pair_writes.within);
        self.buckets.retain(|_, bucket| now - bucket.looked_at < remembered);
        if self.buckets.len() >= APPLICATIONS_MAX {
            self.buckets.pop_first();
        }
    }
}

fn level_of(buckets: &BTreeMap<Key, Bucket>, key: &Key, limit: Limit, now: OffsetDateTime) -> f64 {
    buckets.get(key).map_or(0.0, |bucket| bucket.level(limit, now))
}

/// The whole seconds after which so many have passed: at least 1, at most an hour.
fn whole_seconds(seconds: f64) -> u32 {
    (1..=3_600).find(|&whole| f64::from(whole) >= seconds).unwrap_or(3_600)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::tests::now;

    const WRITE: Cost = Cost { units: 1, writes: 1 };

    fn application(number: u8) -> Guid {
        Guid::from_random([number; 16])
    }

    #[test]
    fn requests_cost_what_the_published_table_says() {
        let check = |method: &str, path: &str, options: &[(&str, &str)], units, writes| {
            let found = Cost::of(method, path, options);
            assert_eq!(found, Cost { units, writes }, "{method} {path} {options:?}");
        };
        check("GET", "/users", &[], 2, 0);
        check("GET", "/users", &[("$select", "id")], 1, 0);
        check("GET", "/users", &[("$top", "19")], 1, 0);
        check("GET", "/users", &[("$top", "20")], 2, 0);
        check("GET", "/users/x", &[("$select", "id")], 1, 0);
        check("GET", "/groups", &[("$expand", "members")], 2, 0);
        check("GET", "/groups/x/members", &[], 3, 0);
        check("GET", "/groups/x/members", &[("$select", "id"), ("$top", "5")], 1, 0);
        check("POST", "/users", &[], 1, 1);
        check("PATCH", "/users/x", &[], 1, 1);
        check("PUT", "/users/x/manager/$ref", &[], 1, 1);
        check("DELETE", "/groups/x/members/y/$ref", &[], 1, 1);
    }

    #[test]
    fn an_application_writes_twenty_a_second_in_the_long_run() {
        let mut throttle = Throttle::new(Limits::GRAPH);
        let (mut admitted, mut refused) = (0_u32, 0_u32);
        // Forty a second for five minutes, in virtual time.
        for tick in 0..12_000 {
            let at = now() + Duration::milliseconds(25 * tick);
            match throttle.admit(application(1), WRITE, 1_000, at) {
                Ok(_) => admitted += 1,
                Err(throttled) => {
                    assert_eq!(throttled.scope, Scope::Pair);
                    assert!(throttled.writes);
                    refused += 1;
                }
            }
        }
        // What the bucket holds, and what drained meanwhile.
        assert!((8_950..=9_001).contains(&admitted), "{admitted}");
        assert!(refused > 0);
    }

    #[test]
    fn who_waits_as_told_is_admitted() {
        let limits = Limits::GRAPH.divided_by(NonZeroU32::new(300).unwrap());
        let mut throttle = Throttle::new(limits);
        let mut at = now();
        for _ in 0..100 {
            if let Err(throttled) = throttle.admit(application(1), WRITE, 10, at) {
                at += Duration::seconds(i64::from(throttled.retry_after_seconds));
                assert!(throttle.admit(application(1), WRITE, 10, at).is_ok());
            }
        }
        assert!(at > now() + Duration::minutes(5), "a tenth of a write a second");
    }

    #[test]
    fn the_tenants_limit_holds_for_all_applications_together() {
        let mut throttle = Throttle::new(Limits::GRAPH);
        let mut refusal = None;
        for number in 0..=255 {
            for _ in 0..100 {
                if let Err(throttled) = throttle.admit(application(number), WRITE, 10, now()) {
                    refusal = refusal.or(Some((number, throttled)));
                }
            }
        }
        let (number, throttled) = refusal.unwrap();
        assert_eq!((number, throttled.scope), (180, Scope::Tenant));
        let text = throttled.scope_text(application(1), Guid::NIL);
        assert!(text.starts_with("Tenant/Write/"), "{text}");
        assert_eq!(throttled.information(), "WriteLimitExceeded");
        let read = Cost { units: 1, writes: 0 };
        assert!(throttle.admit(application(1), read, 10, now()).is_ok(), "reads go on");
    }

    #[test]
    fn answers_say_when_most_of_a_limit_is_spent() {
        let mut throttle = Throttle::new(Limits::GRAPH);
        let read = Cost { units: 1, writes: 0 };
        let mut told = 0;
        for _ in 0..3_500 {
            told +=
                u32::from(throttle.admit(application(1), read, 10, now()).unwrap().spent.is_some());
        }
        assert_eq!(told, 700);
        assert!(throttle.admit(application(1), read, 10, now()).is_err());
        assert!(
            throttle.admit(application(1), read, 50, now()).is_ok(),
            "a larger tenant has more"
        );
    }
}
