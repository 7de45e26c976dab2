//! What Microsoft documents as synchronised by default, and what becomes of it here: the table from
//! which `docs/reference/attributes.md` is made.
//!
//! The names are those of "Attributes synchronized by Microsoft Entra Connect", as of 2025-04-09: all
//! that it lists for users, contacts and groups, except for what is written back and for devices and
//! public folders. What flows is read from the flows themselves ([`crate::flow`]).

use std::fmt::Write as _;

use crate::flow::{self, TenantKind};

use TenantKind::{Contact, Group, User};

const USER: &[TenantKind] = &[User];
const GROUP: &[TenantKind] = &[Group];
const PEOPLE: &[TenantKind] = &[User, Contact];
const BOTH: &[TenantKind] = &[User, Group];
const ALL: &[TenantKind] = &[User, Contact, Group];

/// The documented attributes, and of which kinds. Families of many names stand in [`FAMILIES`].
const DOCUMENTED: &[(&str, &[TenantKind])] = &[
    ("accountEnabled", USER),
    ("altRecipient", USER),
    ("authOrig", ALL),
    ("c", PEOPLE),
    ("cn", BOTH),
    ("co", PEOPLE),
    ("company", PEOPLE),
    ("countryCode", PEOPLE),
    ("department", PEOPLE),
    ("description", ALL),
    ("displayName", ALL),
    ("dLMemRejectPerms", ALL),
    ("dLMemSubmitPerms", ALL),
    ("domainFQDN", USER),
    ("domainNetBios", USER),
    ("employeeID", USER),
    ("facsimileTelephoneNumber", PEOPLE),
    ("givenName", PEOPLE),
    ("hideDLMembership", GROUP),
    ("homePhone", PEOPLE),
    ("info", ALL),
    ("initials", PEOPLE),
    ("ipPhone", PEOPLE),
    ("l", PEOPLE),
    ("legacyExchangeDN", ALL),
    ("mail", ALL),
    ("mailNickname", ALL),
    ("managedBy", GROUP),
    ("manager", PEOPLE),
    ("member", GROUP),
    ("middleName", PEOPLE),
    ("mobile", PEOPLE),
    ("msDS-HABSeniorityIndex", ALL),
    ("msDS-KeyCredentialLink", USER),
    ("msDS-PhoneticDisplayName", ALL),
    ("msOrg-IsOrganizational", GROUP),
    ("objectSID", BOTH),
    ("oOFReplyToOriginator", GROUP),
    ("otherFacsimileTelephone", PEOPLE),
    ("otherHomePhone", PEOPLE),
    ("otherIpPhone", PEOPLE),
    ("otherMobile", PEOPLE),
    ("otherPager", PEOPLE),
    ("otherTelephone", PEOPLE),
    ("pager", PEOPLE),
    ("physicalDeliveryOfficeName", PEOPLE),
    ("postalCode", PEOPLE),
    ("postOfficeBox", PEOPLE),
    ("preferredLanguage", USER),
    ("proxyAddresses", ALL),
    ("publicDelegates", ALL),
    ("pwdLastSet", USER),
    ("reportToOriginator", GROUP),
    ("reportToOwner", GROUP),
    ("samAccountName", USER),
    ("securityEnabled", GROUP),
    ("sn", PEOPLE),
    ("sourceAnchor", ALL),
    ("st", PEOPLE),
    ("streetAddress", PEOPLE),
    ("targetAddress", PEOPLE),
    ("telephoneAssistant", PEOPLE),
    ("telephoneNumber", PEOPLE),
    ("thumbnailPhoto", PEOPLE),
    ("title", PEOPLE),
    ("unauthOrig", ALL),
    ("url", PEOPLE),
    ("usageLocation", USER),
    ("userCertificate", PEOPLE),
    ("userPrincipalName", USER),
    ("userSMIMECertificates", PEOPLE),
    ("wWWHomePage", PEOPLE),
];

/// Documented attributes that are left out by the beginning of their names.
const FAMILIES: &[(&str, &[TenantKind], &str)] = &[
    ("extensionAttribute1 to 15", ALL, EXTENSIONS),
    ("msExch…", ALL, EXCHANGE),
    ("msRTCSIP-…", PEOPLE, TELEPHONY),
];

/// What a flow computes from an attribute, or from what the page calls by a name of its own.
const COMPUTED: &[(&str, &[TenantKind], &str)] = &[
    (
        "accountEnabled",
        USER,
        "accountEnabled, onPremisesSmartCardRequired and passwordPolicies, of `userAccountControl`",
    ),
    ("displayName", ALL, "displayName; without one `name`, then `sAMAccountName`"),
    ("domainFQDN", USER, "onPremisesDomainName"),
    ("member", GROUP, "members"),
    ("objectSID", BOTH, "onPremisesSecurityIdentifier"),
    ("proxyAddresses", ALL, "proxyAddresses"),
    ("pwdLastSet", USER, "onPremisesPasswordChangeRequired, and when the credential was set"),
    ("securityEnabled", GROUP, "securityEnabled, of `groupType`"),
    ("sourceAnchor", ALL, "onPremisesImmutableId"),
    ("telephoneNumber", PEOPLE, "businessPhones"),
    ("usageLocation", USER, "usageLocation, of `c`"),
    (
        "userPrincipalName",
        USER,
        "userPrincipalName, if the tenant has verified its suffix, and onPremisesUserPrincipalName",
    ),
];

const NOT_SHOWN: &str = "Graph v1.0 shows no such property of the kind";
const EXTENSIONS: &str = "of users they flow, as onPremisesExtensionAttributes; contacts and groups have no such property";
const EXCHANGE: &str = "for Exchange Online, which a tenant here does not have";
const TELEPHONY: &str = "for Teams and Skype, which a tenant here does not have";
const REFERENCE: &str = "a reference to another object; members are the only ones that flow";
const BINARY: &str = "octets: the flows carry texts and truth values";
const NAMED: &str = "part of the name; `name` stands in for a missing displayName";

/// Why a documented attribute does not flow.
const LEFT_OUT: &[(&str, &str)] = &[
    ("altRecipient", EXCHANGE),
    ("authOrig", EXCHANGE),
    ("c", NOT_SHOWN),
    ("cn", NAMED),
    ("countryCode", NOT_SHOWN),
    ("description", NOT_SHOWN),
    ("dLMemRejectPerms", EXCHANGE),
    ("dLMemSubmitPerms", EXCHANGE),
    ("domainNetBios", NOT_SHOWN),
    ("hideDLMembership", EXCHANGE),
    ("homePhone", NOT_SHOWN),
    ("info", NOT_SHOWN),
    ("initials", NOT_SHOWN),
    ("ipPhone", NOT_SHOWN),
    ("legacyExchangeDN", EXCHANGE),
    ("managedBy", REFERENCE),
    ("manager", REFERENCE),
    ("middleName", NOT_SHOWN),
    ("msDS-HABSeniorityIndex", EXCHANGE),
    ("msDS-KeyCredentialLink", BINARY),
    ("msDS-PhoneticDisplayName", EXCHANGE),
    ("msOrg-IsOrganizational", EXCHANGE),
    ("oOFReplyToOriginator", EXCHANGE),
    ("otherFacsimileTelephone", NOT_SHOWN),
    ("otherHomePhone", NOT_SHOWN),
    ("otherIpPhone", NOT_SHOWN),
    ("otherMobile", NOT_SHOWN),
    ("otherPager", NOT_SHOWN),
    ("otherTelephone", NOT_SHOWN),
    ("pager", NOT_SHOWN),
    ("postOfficeBox", NOT_SHOWN),
    ("publicDelegates", EXCHANGE),
    ("reportToOriginator", EXCHANGE),
    ("reportToOwner", EXCHANGE),
    ("targetAddress", EXCHANGE),
    ("telephoneAssistant", EXCHANGE),
    ("thumbnailPhoto", BINARY),
    ("unauthOrig", EXCHANGE),
    ("url", NOT_SHOWN),
    ("userCertificate", BINARY),
    ("userSMIMECertificates", BINARY),
    ("wWWHomePage", NOT_SHOWN),
];

/// What becomes of a documented attribute of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    Flows(String),
    LeftOut(&'static str),
}

fn fate(name: &str, kind: TenantKind) -> Option<Fate> {
    let is = |other: &str| other.eq_ignore_ascii_case(name);
    let computed = COMPUTED.iter().find(|(from, kinds, _)| is(from) && kinds.contains(&kind));
    if let Some((_, _, to)) = computed {
        return Some(Fate::Flows((*to).to_owned()));
    }
    if let Some((_, to)) = flow::copied(kind).iter().find(|(from, _)| is(from)) {
        return Some(Fate::Flows((*to).to_owned()));
    }
    LEFT_OUT.iter().find(|(from, _)| is(from)).map(|(_, why)| Fate::LeftOut(why))
}

/// The reference page.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(HEAD);
    // Writing to a String does not fail.
    for (name, kinds) in DOCUMENTED {
        let _ = write!(page, "| `{name}` |");
        let mut reasons: Vec<&str> = Vec::new();
        for kind in ALL.iter().copied() {
            let cell = match kinds.contains(&kind).then(|| fate(name, kind)).flatten() {
                None => String::new(),
                Some(Fate::Flows(to)) => to,
                Some(Fate::LeftOut(why)) => {
                    if !reasons.contains(&why) {
                        reasons.push(why);
                    }
                    "–".to_owned()
                }
            };
            let _ = write!(page, " {cell} |");
        }
        let _ = writeln!(page, " {} |", reasons.join("; "));
    }
    for (names, kinds, why) in FAMILIES {
        let cell = |kind| if kinds.contains(&kind) { "–" } else { "" };
        let [user, contact, group] = [User, Contact, Group].map(cell);
        let _ = writeln!(page, "| `{names}` | {user} | {contact} | {group} | {why} |");
    }
    page.push_str(
        "\n## Besides these\n\nThe flows also copy what the page does not list for the kind:\n\n",
    );
    for kind in ALL.iter().copied() {
        for (from, to) in flow::copied(kind) {
            let listed = |(name, kinds): &(&str, &[TenantKind])| {
                name.eq_ignore_ascii_case(from) && kinds.contains(&kind)
            };
            if !DOCUMENTED.iter().any(listed) {
                let _ = writeln!(page, "- {kind}: `{from}` as {to}");
            }
        }
    }
    page.push_str(TAIL);
    page
}

const HEAD: &str = "<!-- Generated by `cargo xtask docs` from crates/sync/src/attributes.rs. -->\n\n# Attributes

What [Microsoft documents](https://learn.microsoft.com/entra/identity/hybrid/connect/reference-connect-sync-attributes-synchronized)
as synchronised by default (2025-04-09) for users, contacts and groups, and what it becomes in the tenant, under
Graph's names. An empty cell: the page does not list it for that kind. A dash: it is left out, for the reason beside
it. The page's lists for devices, public folders and writeback are not covered: none of them is synchronised.

| attribute | user | contact | group | left out because |
|---|---|---|---|---|
";

const TAIL: &str = "- user: `accountExpires` as onPremisesAccountExpiresDateTime
- user: `distinguishedName` as onPremisesDistinguishedName
- group: mailEnabled, true where `mail` is set
- contact, group: the forest's domain as onPremisesDomainName

Which objects are in scope at all, and which attribute is the anchor: `crates/sync/src/scope.rs` and
`crates/sync/src/anchor.rs`.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_attribute_flows_or_has_a_reason() {
        for (name, kinds) in DOCUMENTED {
            for kind in *kinds {
                assert!(fate(name, *kind).is_some(), "{name} of a {kind}");
            }
        }
    }

    #[test]
    fn what_is_left_out_is_documented_and_does_not_flow_everywhere() {
        for (name, _) in LEFT_OUT {
            let row = DOCUMENTED.iter().find(|(documented, _)| documented == name);
            let (_, kinds) = row.unwrap_or_else(|| panic!("{name}"));
            let left = |kind: &&TenantKind| matches!(fate(name, **kind), Some(Fate::LeftOut(_)));
            assert!(kinds.iter().any(|kind| left(&kind)), "{name} flows");
        }
    }

    #[test]
    fn what_a_flow_computes_is_written_by_it() {
        for (_, _, to) in COMPUTED {
            let first = to.split([',', ';', ' ']).next().unwrap_or_default();
            let by_ingest = ["members", "onPremisesImmutableId"].contains(&first);
            assert!(by_ingest || flow::attribute_name(first).is_some(), "{first}");
        }
    }
}
