//! The order of service records ([RFC 2782], "Usage rules").
//!
//! [RFC 2782]: https://www.rfc-editor.org/rfc/rfc2782

use portolan_model::{DnsName, Entropy};

use crate::network::Service;

/// RFC 2782, "Usage rules": lowest priority first; among equals, one after another is drawn with a
/// chance in proportion to its weight.
pub(super) fn order(mut services: Vec<Service>, rng: &mut dyn Entropy) -> Vec<DnsName> {
    let mut hosts = Vec::with_capacity(services.len());
    while let Some(priority) = services.iter().map(|service| service.priority).min() {
        let total: u64 = services
            .iter()
            .filter(|service| service.priority == priority)
            // A weight of 0 keeps a small chance.
            .map(|service| u64::from(service.weight).max(1))
            .sum();
        let mut octets = [0; 8];
        rng.fill(&mut octets);
        let mut point = u64::from_be_bytes(octets) % total;
        let drawn = services.iter().position(|service| {
            let weight = u64::from(service.weight).max(1);
            let here = service.priority == priority && point < weight;
            if service.priority == priority && !here {
                point -= weight;
            }
            here
        });
        // INVARIANT: the point lies below the sum of the weights, so that one is drawn.
        let Some(drawn) = drawn else { break };
        hosts.push(services.remove(drawn).target);
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives the same number again and again.
    struct Always(u64);

    impl Entropy for Always {
        fn fill(&mut self, out: &mut [u8]) {
            out.copy_from_slice(&self.0.to_be_bytes());
        }
    }

    fn check(services: &[(u16, u16, &str)], drawn: u64, expected: &[&str]) {
        let services = services
            .iter()
            .map(|(priority, weight, target)| Service {
                priority: *priority,
                weight: *weight,
                target: target.parse().unwrap(),
            })
            .collect();
        let hosts = order(services, &mut Always(drawn));
        let hosts: Vec<_> = hosts.iter().map(DnsName::as_str).collect();
        assert_eq!(hosts, expected);
    }

    #[test]
    fn priority_comes_before_weight() {
        check(&[(10, 65535, "b"), (0, 0, "a"), (20, 1, "c")], 0, &["a", "b", "c"]);
    }

    #[test]
    fn equals_are_drawn_by_weight() {
        let services = [(0, 10, "a"), (0, 30, "b"), (0, 0, "c")];
        check(&services, 9, &["a", "b", "c"]);
        check(&services, 10, &["b", "c", "a"]);
        check(&services, 40, &["c", "a", "b"]);
        check(&[], 0, &[]);
    }
}
