//! What Microsoft documents as synchronised by default, and what becomes of it here: the table from
//! which `docs/reference/attributes.md` is made.
//!
//! The names are those of "Attributes synchronized by Microsoft Entra Connect", as of 2025-04-09: all
//! that it lists for users, contacts and groups, except for what is written back and for devices and
//! public folders. What flows is read from the default rules.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use TenantKind::{Contact, Group, User};

use crate::dictionary::{AttributeId, Dictionary};
use crate::forest::ObjectKind;
use crate::kind::TenantKind;
use crate::rules::{
    ConnectedKind, Direction, Given, MetaverseKind, Rule, RuleFile, RuleNumbers, Rules,
};
use crate::syntax::tenant_spelling;

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

/// Names of the page for what a forest calls otherwise.
const OTHERWISE: &[(&str, &str)] = &[
    ("accountEnabled", "userAccountControl"),
    ("securityEnabled", "groupType"),
    ("usageLocation", "c"),
];

/// Names of the page for what no attribute of a forest gives.
const BESIDE: &[(&str, &str)] = &[
    ("domainFQDN", "onPremisesDomainName, the name of the forest's domain"),
    ("sourceAnchor", "onPremisesImmutableId"),
];

const NOT_SHOWN: &str = "Graph v1.0 shows no such property of the kind";
const EXTENSIONS: &str = "of users they flow, as onPremisesExtensionAttributes; contacts and groups have no such property";
const EXCHANGE: &str = "for Exchange Online, which a tenant here does not have";
const TELEPHONY: &str = "for Teams and Skype, which a tenant here does not have";
const REFERENCE: &str =
    "a reference to another object, which a tenant here does not take of the kind";
const BINARY: &str = "octets, which a tenant here does not take";
const OF_USERS: &str = "users alone have a photo in a tenant";
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
    ("thumbnailPhoto", OF_USERS),
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

/// What an attribute of the forest becomes in the tenant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Passage {
    kind: TenantKind,
    /// The attribute in the forest.
    from: String,
    /// The attribute in the tenant.
    to: String,
    /// Whether an expression makes it.
    computed: bool,
}

/// All that the default rules pass on.
#[expect(
    clippy::expect_used,
    reason = "the default set is part of the release, and a test compiles it"
)]
fn passages() -> BTreeSet<Passage> {
    let files = [RuleFile::built_in()];
    let (mut names, mut numbers) = (Dictionary::default(), RuleNumbers::default());
    let rules = Rules::compile(&files, &mut names, &mut numbers).expect("the default set compiles");
    let mut passages = BTreeSet::new();
    for kind in TenantKind::ALL {
        for (metaverse, through, to, computed) in given(&rules, kind) {
            for (from, inbound) in taken(&rules, kind, metaverse, through) {
                let name = |id| names.show(id).to_string();
                let (from, to) = (name(from), tenant_spelling(&name(to)).to_owned());
                passages.insert(Passage { kind, from, to, computed: computed || inbound });
            }
        }
    }
    passages
}

/// What outbound rules read for each attribute of a kind, and whether an expression does.
fn given(rules: &Rules, kind: TenantKind) -> Vec<(MetaverseKind, AttributeId, AttributeId, bool)> {
    let mut all = Vec::new();
    for rule in rules.of(Direction::Outbound) {
        if rule.objects.contains(&ConnectedKind::Target(kind)) {
            let one = |(from, to, computed)| (rule.metaverse, from, to, computed);
            all.extend(pairs(rule).into_iter().map(one));
        }
    }
    all
}

/// What inbound rules read for an attribute of the metaverse, of objects that become this kind.
fn taken(
    rules: &Rules,
    kind: TenantKind,
    metaverse: MetaverseKind,
    attribute: AttributeId,
) -> Vec<(AttributeId, bool)> {
    let objects: &[ObjectKind] = match kind {
        User => &[ObjectKind::User, ObjectKind::InetOrgPerson],
        Contact => &[ObjectKind::Contact],
        Group => &[ObjectKind::Group],
        TenantKind::Device => &[ObjectKind::Computer],
    };
    let mut all = Vec::new();
    for rule in rules.of(Direction::Inbound).filter(|rule| rule.metaverse == metaverse) {
        if objects.iter().any(|object| rule.objects.contains(&ConnectedKind::Forest(*object))) {
            let pairs = pairs(rule).into_iter().filter(|(_, to, _)| *to == attribute);
            all.extend(pairs.map(|(from, _, computed)| (from, computed)));
        }
    }
    all
}

/// Each attribute that a rule reads with that which it gives, and whether an expression is between them.
fn pairs(rule: &Rule) -> Vec<(AttributeId, AttributeId, bool)> {
    let flows = rule.flows.iter().flat_map(|flow| {
        let computed = matches!(flow.given, Given::Expression(_));
        flow.given.reads().iter().map(move |from| (*from, flow.target, computed))
    });
    flows.chain(rule.references.iter().map(|flow| (flow.source, flow.target, false))).collect()
}

fn fate(passages: &BTreeSet<Passage>, name: &str, kind: TenantKind) -> Option<Fate> {
    let is = |other: &str| other.eq_ignore_ascii_case(name);
    if let Some((_, to)) = BESIDE.iter().find(|(own, _)| is(own)) {
        return Some(Fate::Flows((*to).to_owned()));
    }
    let otherwise = OTHERWISE.iter().find(|(own, _)| is(own)).map(|(_, other)| *other);
    let from = otherwise.unwrap_or(name);
    let of = passages.iter().filter(|p| p.kind == kind && p.from.eq_ignore_ascii_case(from));
    let mut to: Vec<String> = of.map(Passage::shown).collect();
    to.dedup();
    if to.is_empty() {
        return LEFT_OUT.iter().find(|(from, _)| is(from)).map(|(_, why)| Fate::LeftOut(why));
    }
    let mut cell = to.join(", ");
    if let Some(other) = otherwise {
        cell.push_str(&format!(", of `{other}`"));
    }
    Some(Fate::Flows(cell))
}

impl Passage {
    fn shown(&self) -> String {
        if self.computed { format!("{} (computed)", self.to) } else { self.to.clone() }
    }
}

/// The reference page.
#[must_use]
pub fn page() -> String {
    let passages = passages();
    let mut page = String::from(HEAD);
    // Writing to a String does not fail.
    for (name, kinds) in DOCUMENTED {
        let _ = write!(page, "| `{name}` |");
        let mut reasons: Vec<&str> = Vec::new();
        for kind in ALL.iter().copied() {
            let cell = match kinds.contains(&kind).then(|| fate(&passages, name, kind)).flatten() {
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
    page.push_str(BESIDES_HEAD);
    for passage in &passages {
        let is_named = |name: &str| name.eq_ignore_ascii_case(&passage.from);
        let listed = |(name, kinds): &(&str, &[TenantKind])| {
            let otherwise = OTHERWISE.iter().any(|(own, from)| own == name && is_named(from));
            (is_named(name) || otherwise) && kinds.contains(&passage.kind)
        };
        if !DOCUMENTED.iter().any(listed) {
            let _ = writeln!(page, "- {}: `{}` as {}", passage.kind, passage.from, passage.shown());
        }
    }
    page.push_str(TAIL);
    page
}

const HEAD: &str = "<!-- Generated by `cargo xtask docs` from crates/sync/src/attributes.rs and the default rules. -->

# Attributes

What [Microsoft documents](https://learn.microsoft.com/entra/identity/hybrid/connect/reference-connect-sync-attributes-synchronized)
as synchronised by default (2025-04-09) for users, contacts and groups, and what the default rules make of it in the
tenant, under Graph's names. Computed: an expression reads it, maybe beside others. An empty cell: the page does not
list it for that kind. A dash: it is left out, for the reason beside it. The page's lists for devices, public folders
and writeback are not covered; what devices get is listed below.

| attribute | user | contact | group | left out because |
|---|---|---|---|---|
";

const BESIDES_HEAD: &str = "
## Besides these

The default rules also pass on what the page does not list for the kind:

";

const TAIL: &str = "- contact, group: the name of the forest's domain as onPremisesDomainName

Which objects are synchronised at all, and what else a rule can say: [rules](rules.md).
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_attribute_flows_or_has_a_reason() {
        let passages = passages();
        for (name, kinds) in DOCUMENTED {
            for kind in *kinds {
                assert!(fate(&passages, name, *kind).is_some(), "{name} of a {kind}");
            }
        }
    }

    #[test]
    fn what_is_left_out_is_documented_and_does_not_flow_everywhere() {
        let passages = passages();
        for (name, _) in LEFT_OUT {
            let row = DOCUMENTED.iter().find(|(documented, _)| documented == name);
            let (_, kinds) = row.unwrap_or_else(|| panic!("{name}"));
            let left =
                |kind: &TenantKind| matches!(fate(&passages, name, *kind), Some(Fate::LeftOut(_)));
            assert!(kinds.iter().any(left), "{name} flows");
        }
    }

    #[test]
    fn what_flows_is_read_from_the_default_rules() {
        let passages = passages();
        let flows = |name: &str, kind| match fate(&passages, name, kind) {
            Some(Fate::Flows(to)) => to,
            other => panic!("{name} of a {kind}: {other:?}"),
        };
        assert_eq!(flows("title", User), "jobTitle");
        assert_eq!(flows("manager", User), "manager");
        assert_eq!(flows("member", Group), "members");
        assert_eq!(flows("pwdLastSet", User), "onPremisesPasswordChangeRequired (computed)");
        assert_eq!(flows("securityEnabled", Group), "securityEnabled (computed), of `groupType`");
        assert_eq!(fate(&passages, "manager", Contact), Some(Fate::LeftOut(REFERENCE)));
        assert_eq!(flows("thumbnailPhoto", User), "thumbnailPhoto");
        assert_eq!(fate(&passages, "thumbnailPhoto", Contact), Some(Fate::LeftOut(OF_USERS)));
    }
}
