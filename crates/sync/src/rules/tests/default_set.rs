//! The default set gives what the first releases gave without rules, object by object.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use portolan_model::DnsName;
use proptest::prelude::*;
use time::OffsetDateTime;

use super::former::flow::{Domains, Value as FormerValue, project};
use super::former::{FormerObject, scope};
use super::*;
use crate::dictionary::AttributeId;
use crate::expression::{Context, Outcome, Parameters};
use crate::record::Record;
use crate::source::Source;
use crate::target::{TargetSystem, graph};

struct DefaultSet {
    names: Dictionary,
    rules: Rules,
    parameters: Parameters,
    domains: Domains,
}

impl DefaultSet {
    fn new() -> Self {
        let mut names = Dictionary::default();
        let rules =
            Rules::compile(&[RuleFile::built_in()], &mut names, &mut RuleNumbers::default());
        let name = |text: &str| text.parse::<DnsName>().unwrap();
        let domains = Domains {
            forest: name("corp.example"),
            initial: name("cloud.example"),
            verified: vec![name("corp.example"), name("cloud.example")],
        };
        let parameters = [
            ("Domain.FQDN", "corp.example"),
            ("Tenant.InitialDomain", "cloud.example"),
            ("Tenant.VerifiedDomains", ";corp.example;cloud.example;"),
        ];
        let parameters = parameters.into_iter().collect();
        Self { names, rules: rules.unwrap(), parameters, domains }
    }

    /// The object's attributes as an import would stage them.
    fn staged(&self, object: &FormerObject) -> Record {
        let mut record: Vec<(AttributeId, Vec<Value>)> = Vec::new();
        for (name, values) in &object.attributes {
            let Some(id) = self.names.id(name) else { continue };
            let syntax = self.rules.syntaxes().of(name).map(|known| known.syntax);
            let values = values.iter().filter_map(|octets| crate::syntax::decode(syntax, octets));
            record.push((id, values.collect()));
        }
        if !object.members.is_empty() {
            let count = i64::try_from(object.members.len()).unwrap();
            record.push((self.names.id("memberCount").unwrap(), vec![Value::Integer(count)]));
        }
        Record::from_iter(record).named(object.dn.as_str(), &object.guid)
    }

    /// What rules give, the first one winning: the simplest reading of precedence.
    fn given<'r>(
        &self,
        rules: impl Iterator<Item = &'r Rule>,
        source: &dyn Source,
    ) -> BTreeMap<AttributeId, Vec<Value>> {
        let mut given = BTreeMap::new();
        for rule in rules.filter(|rule| rule.scope.holds(source)) {
            for flow in &rule.flows {
                let values = self.values(&flow.given, source);
                if !values.is_empty() {
                    given.entry(flow.target).or_insert(values);
                }
            }
        }
        given
    }

    fn values(&self, given: &Given, source: &dyn Source) -> Vec<Value> {
        match given {
            Given::Direct(attribute) => {
                source.values(*attribute).map(crate::record::ValueRef::to_value).collect()
            }
            Given::Constant(value) => vec![value.clone()],
            Given::Expression(expression) => {
                let random = Cell::new(0);
                let (parameters, now) = (&self.parameters, OffsetDateTime::UNIX_EPOCH);
                let context = Context { source, imported: None, parameters, now, random: &random };
                let outcome = expression.evaluate(&context).unwrap();
                assert!(!matches!(outcome, Outcome::AuthoritativeNull | Outcome::IgnoreThisFlow));
                outcome.values().map(|datum| datum.value().to_value()).collect()
            }
        }
    }

    /// The tenant's object by rules; `None` out of scope.
    fn by_rules(
        &self,
        object: &FormerObject,
    ) -> Option<(TenantKind, BTreeMap<String, Vec<Value>>)> {
        let staged = self.staged(object);
        let inbound = || self.rules.inbound(object.kind, "corp.example");
        let makes = |rule: &&Rule| rule.linking == Linking::Provision && rule.scope.holds(&staged);
        let kind = inbound().find(makes)?.metaverse;
        let metaverse = self.given(inbound().filter(|rule| rule.metaverse == kind), &staged);
        let metaverse: Record = metaverse.into_iter().collect();
        let outbound = || self.rules.of(Direction::Outbound).filter(|rule| rule.metaverse == kind);
        let makes =
            |rule: &&Rule| rule.linking == Linking::Provision && rule.scope.holds(&metaverse);
        let ConnectedKind::Target(kind) = outbound().find(makes)?.objects[0] else { return None };
        let of_kind = |rule: &&Rule| rule.objects.contains(&ConnectedKind::Target(kind));
        let given = self.given(outbound().filter(of_kind), &metaverse);
        let named = given.into_iter().map(|(id, mut values)| {
            values.sort_unstable();
            let name = self.names.name(id).unwrap();
            (crate::syntax::tenant_spelling(name).to_owned(), values)
        });
        Some((kind, named.collect()))
    }

    /// The tenant's object as it was without rules.
    fn by_former(
        &self,
        object: &FormerObject,
    ) -> Option<(TenantKind, BTreeMap<String, Vec<Value>>)> {
        if !scope::is_in(object) {
            return None;
        }
        let (kind, attributes) = project(object, &self.domains);
        let attributes = attributes.into_iter().map(|(name, value)| {
            let mut values = match value {
                FormerValue::Text(text) => vec![Value::Text(text)],
                FormerValue::Texts(texts) => texts.into_iter().map(Value::Text).collect(),
                FormerValue::Boolean(value) => vec![Value::Boolean(value)],
            };
            values.sort_unstable();
            values.dedup();
            (name.to_owned(), values)
        });
        Some((kind, attributes.collect()))
    }
}

/// Attributes that objects of a test have, each with values that some rule looks for. None comes from
/// the list of what differs.
const POOL: &[(&str, &[&str])] = &[
    ("sAMAccountType", &["805306368", "805306368", "805306370", "268435456"]),
    ("isCriticalSystemObject", &["TRUE", "FALSE", "FALSE"]),
    ("mailNickname", &["ada", "SystemMailbox{1}", "systemmailbox{1}", "CAS_1}", "CAS_1", "xCAS_}"]),
    ("msExchRecipientTypeDetails", &["1", "4096", "16384", "536870912", "1073741824", "33"]),
    ("msExchHideFromAddressLists", &["TRUE", "FALSE"]),
    ("displayName", &["Ada", "Ada (MSOL)", "ada (msol)"]),
    ("mail", &["ada@corp.example", "ada", "Ada@corp.example"]),
    (
        "proxyAddresses",
        &["SMTP:ada@corp.example", "smtp:b@corp.example", "SMTP:none", "x500:/o=a@"],
    ),
    ("groupType", &["-2147483646", "2", "8", "-2147483640"]),
    ("name", &["Ada Lovelace"]),
    (
        "userPrincipalName",
        &[
            "ada@corp.example",
            "Ada@Corp.Example",
            "ada@other.example",
            "a da@corp.example",
            "a@b@corp.example",
            "a[b]@corp.example",
            "ada",
            "@corp.example",
            "l2345678901234567890123456789012345678901234567890123456789012345@corp.example",
            "m234567890123456789012345678901234567890123456789012345678901234@corp.example",
        ],
    ),
    ("userAccountControl", &["512", "514", "66048", "262656", "262658"]),
    ("accountExpires", &["0", "9223372036854775807", "133000000000000000", "116444736000000001"]),
    ("pwdLastSet", &["0", "133000000000000000"]),
    ("givenName", &["Ada"]),
    ("sn", &["Lovelace"]),
    ("title", &["Countess"]),
    ("telephoneNumber", &["+1 2"]),
    ("co", &["United Kingdom"]),
    ("c", &["GB"]),
    ("employeeID", &["7"]),
    ("description", &["a description"]),
    ("extensionAttribute1", &["one"]),
    ("extensionAttribute15", &["fifteen"]),
    ("preferredLanguage", &["en-GB"]),
];

const ACCOUNTS: &[&str] = &[
    "ada",
    "ada b",
    "AAD_1",
    "aad_1",
    "MSOL_1",
    "krbtgt",
    "KRBTGT_7",
    "CAS_{1}",
    "SUPPORT_388945a0",
    "MSOL_AD_Sync_RichCoexistence",
    "x",
    "y",
];

fn sid(rid: u32) -> Vec<u8> {
    let head = [1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0];
    [&head[..], &rid.to_le_bytes()].concat()
}

fn objects() -> impl Strategy<Value = FormerObject> {
    use ObjectKind::{Contact, Group, InetOrgPerson, OrganizationalUnit, User};
    let kinds = [User, User, InetOrgPerson, Group, Contact, OrganizationalUnit];
    let picks = proptest::collection::vec((0..3_usize, any::<u8>(), any::<u8>()), POOL.len());
    let account = proptest::option::weighted(0.9, 0..ACCOUNTS.len());
    let rid = prop_oneof![Just(502_u32), Just(1103), Just(1104), Just(1105)];
    let numbers = (rid, any::<[u8; 16]>(), 0..30_u8);
    (0..kinds.len(), picks, account, numbers).prop_map(move |(kind, picks, account, numbers)| {
        let (rid, guid, rare) = numbers;
        let kind = kinds[kind];
        let mut attributes: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
        let mut put = |name: &str, value: &[u8]| {
            let values = attributes.entry(name.to_owned()).or_default();
            if !values.iter().any(|other| other == value) {
                values.push(value.to_vec());
            }
        };
        for ((name, values), (present, one, other)) in POOL.iter().zip(picks) {
            let value = |pick: u8| values[usize::from(pick) % values.len()].as_bytes();
            if present > 0 {
                put(name, value(one));
            }
            if present > 1 && *name == "proxyAddresses" {
                put(name, value(other));
            }
        }
        // A contact is no principal: it has neither an account's name nor an identifier.
        if let Some(account) = account.filter(|_| kind != Contact) {
            put("sAMAccountName", ACCOUNTS[account].as_bytes());
        }
        if kind != Contact && rare != 1 {
            put("objectSid", &sid(rid));
        }
        if rare == 2 {
            put("msExchMasterAccountSID", &sid(9));
        }
        if rare == 3 {
            put("mS-DS-ConsistencyGuid", &guid);
        }
        let dn = if rare == 4 { "CN=a\\0ACNF:1,DC=x" } else { "CN=a,DC=corp,DC=example" };
        FormerObject::new(dn, kind, guid, Vec::new(), attributes)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_default_set_gives_what_was_given_without_rules(objects in proptest::collection::vec(objects(), 8)) {
        thread_local! {
            static SET: DefaultSet = DefaultSet::new();
        }
        SET.with(|set| {
            for object in &objects {
                prop_assert_eq!(set.by_rules(object), set.by_former(object), "{:?}", object);
            }
            Ok(())
        })?;
    }
}

#[test]
fn the_members_of_a_group_have_a_limit() {
    let set = DefaultSet::new();
    let group = |members: usize| {
        let attributes = [("sAMAccountName".to_owned(), vec![b"g".to_vec()])];
        let members = vec![portolan_model::Guid::from_bytes_le([1; 16]); members];
        FormerObject::new("CN=g,DC=x", ObjectKind::Group, [7; 16], members, attributes)
    };
    assert!(set.by_rules(&group(scope::GROUP_MEMBERS_MAX)).is_some());
    assert!(set.by_rules(&group(scope::GROUP_MEMBERS_MAX + 1)).is_none());
}

#[test]
fn who_is_left_out_of_password_synchronisation_is_marked() {
    let set = DefaultSet::new();
    let password = |mark: Option<&str>, kind: ObjectKind| {
        let mark = mark.map(|mark| {
            let id = set.names.id("adminDescription").unwrap();
            (id, vec![Value::Text(mark.to_owned())])
        });
        let record = Record::from_iter(mark);
        set.rules.inbound(kind, "x").any(|rule| rule.password && rule.scope.holds(&record))
    };
    assert!(password(None, ObjectKind::User));
    assert!(password(Some("other"), ObjectKind::User));
    assert!(!password(Some("phsfiltered"), ObjectKind::User));
    assert!(!password(None, ObjectKind::InetOrgPerson));
}

#[test]
fn a_linked_mailbox_joins_its_account_and_a_foreign_principal_too() {
    let set = DefaultSet::new();
    let id = |name: &str| set.names.id(name).unwrap();
    let record = Record::from_iter([
        (id("msExchMasterAccountSID"), vec![Value::Octets(sid(7))]),
        (id("sAMAccountType"), vec![Value::Integer(805_306_368)]),
        (id("sAMAccountName"), vec![Value::Text("a".to_owned())]),
    ]);
    let linking = |kind, record: &Record| -> Vec<_> {
        let rules = set.rules.inbound(kind, "x").filter(|rule| rule.scope.holds(record));
        rules
            .filter(|rule| !rule.joins.is_empty() || rule.linking == Linking::Provision)
            .map(|rule| rule.key.as_str())
            .collect()
    };
    assert_eq!(linking(ObjectKind::User, &record), ["in.user.linked-mailbox"]);
    let foreign = Record::from_iter([(id("objectSid"), vec![Value::Octets(sid(7))])]);
    let expected = ["in.foreign-principal.person", "in.foreign-principal.group"];
    assert_eq!(linking(ObjectKind::ForeignSecurityPrincipal, &foreign), expected);
}

#[test]
fn a_computer_is_a_device_when_it_has_a_certificate() {
    let set = DefaultSet::new();
    let scope = &set.rules.inbound(ObjectKind::Computer, "x").next().unwrap().scope;
    let certificate = set.names.id("userCertificate").unwrap();
    assert!(!scope.holds(&Record::default()));
    assert!(scope.holds(&Record::from_iter([(certificate, vec![Value::Octets(vec![1])])])));
}

#[test]
fn the_default_set_for_graph_gives_what_graph_takes_and_no_less() {
    let compiled = |target| {
        let mut names = Dictionary::default();
        let files = [RuleFile::built_in_for(target)];
        let rules = Rules::compile(&files, &mut names, &mut RuleNumbers::default()).unwrap();
        let given = |kind: TenantKind| {
            let rules = rules.outbound(kind, "any");
            let ids: BTreeSet<_> = rules.flat_map(Rule::gives).collect();
            ids.into_iter().map(|id| names.name(id).unwrap().to_owned()).collect::<BTreeSet<_>>()
        };
        let inbound = rules.of(Direction::Inbound).map(|rule| rule.key.clone());
        (given(TenantKind::User), given(TenantKind::Group), inbound.collect::<Vec<_>>())
    };
    let (users, groups, inbound) = compiled(TargetSystem::Graph);
    let (all_users, all_groups, all_inbound) = compiled(TargetSystem::Tenant);
    assert_eq!(inbound, all_inbound, "what comes in is the same");
    for (kind, given, all) in
        [(TenantKind::User, users, all_users), (TenantKind::Group, groups, all_groups)]
    {
        let spelled = graph::capability::spelled;
        let taken = all.into_iter().filter(|name| graph::takes(spelled(name), kind));
        assert_eq!(given, taken.collect(), "{kind}");
        assert!(given.contains("displayName") && !given.contains("proxyAddresses"), "{given:?}");
    }
}
