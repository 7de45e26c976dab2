//! What Graph says of its tenant: its domains, on which names depend.

use portolan_model::DnsName;
use serde_json::Value as Json;

/// The path of it.
pub const PATH: &str = "/organization";

/// Domains that a tenant may have, as [Entra ID's limits] have them.
///
/// [Entra ID's limits]: https://learn.microsoft.com/entra/identity/users/directory-service-limits-restrictions
const DOMAINS_MAX: usize = 5_000;

/// A tenant of Graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Its id, as it was said.
    pub id: String,
    /// The domain that it began with.
    pub initial: DnsName,
    /// Every domain that it has verified.
    pub verified: Vec<DnsName>,
}

/// The answer is none that says which domains there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the target does not say which domains its tenant has")]
pub struct InvalidOrganization;

impl Organization {
    /// Reads the answer to [`PATH`].
    ///
    /// # Errors
    /// When it is none, or has no domain that the tenant began with.
    pub fn read(body: &[u8]) -> Result<Self, InvalidOrganization> {
        let json: Json = serde_json::from_slice(body).map_err(|_| InvalidOrganization)?;
        let one = json.get("value").and_then(|value| value.get(0)).ok_or(InvalidOrganization)?;
        let id = one.get("id").and_then(Json::as_str).ok_or(InvalidOrganization)?;
        let domains = one.get("verifiedDomains").and_then(Json::as_array);
        let (mut initial, mut verified) = (None, Vec::new());
        for domain in domains.ok_or(InvalidOrganization)?.iter().take(DOMAINS_MAX) {
            let name = domain.get("name").and_then(Json::as_str).ok_or(InvalidOrganization)?;
            let name: DnsName = name.parse().map_err(|_| InvalidOrganization)?;
            if domain.get("isInitial").and_then(Json::as_bool) == Some(true) {
                initial = Some(name.clone());
            }
            verified.push(name);
        }
        let initial = initial.ok_or(InvalidOrganization)?;
        Ok(Self { id: id.to_owned(), initial, verified })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_initial_domain_is_one_of_the_verified_ones_and_has_to_be_there() {
        let body = |initial| {
            json!({"value": [{"id": "t", "verifiedDomains": [
                {"name": "cloud.example", "isInitial": initial},
                {"name": "corp.example", "isInitial": false},
            ]}]})
            .to_string()
        };
        let read = Organization::read(body(true).as_bytes()).unwrap();
        assert_eq!(read.initial.to_string(), "cloud.example");
        assert_eq!(read.verified.len(), 2);
        for body in [body(false), String::new(), json!({"value": []}).to_string()] {
            assert_eq!(Organization::read(body.as_bytes()), Err(InvalidOrganization));
        }
    }
}
