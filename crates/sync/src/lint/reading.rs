//! Staged objects as the rules of the lint see them: attributes by the dictionary's numbers, and what
//! is left out by the synchronisation rules in force.

use std::collections::BTreeSet;

use super::left_out::LeftOut;
use super::subject::{Attribute, Subject};
use crate::dictionary::{AttributeId, Dictionary};
use crate::engine::{ConnectorId, Staged};
use crate::forest::ObjectKind;
use crate::record::Value;
use crate::rules::{Clause, Direction, Linking, MetaverseKind, Operator, Rule, Rules, Verdict};

/// The number of a group's members, which no directory stores.
const MEMBER_COUNT: &str = "memberCount";
/// What the name of a losing copy contains ([MS-ADTS] 3.1.1.5.1.2).
///
/// [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
const CONFLICT: &str = "\\0ACNF:";

/// How staged objects of forests become [`Subject`]s.
#[derive(Debug)]
pub struct Reading<'r> {
    rules: &'r Rules,
    forests: &'r [(ConnectorId, String)],
    /// What a target gets at all.
    exported: BTreeSet<MetaverseKind>,
    /// By the attribute's place in [`Attribute::ALL`].
    numbers: Vec<Option<AttributeId>>,
    member_count: Option<AttributeId>,
}

impl<'r> Reading<'r> {
    /// By these rules and names, of the forests with these numbers and names. Objects of others are left
    /// out. An attribute without a number has no value.
    #[must_use]
    pub fn new(rules: &'r Rules, names: &Dictionary, forests: &'r [(ConnectorId, String)]) -> Self {
        let outbound = rules.of(Direction::Outbound).filter(|rule| provisions(rule));
        Self {
            rules,
            forests,
            exported: outbound.map(|rule| rule.metaverse).collect(),
            numbers: Attribute::ALL.iter().map(|attribute| names.id(attribute.name())).collect(),
            member_count: names.id(MEMBER_COUNT),
        }
    }

    /// An object with its attributes.
    #[must_use]
    pub fn subject<'a>(&self, staged: &'a Staged) -> Subject<'a> {
        let read = |number: &Option<AttributeId>| {
            number.map(|id| staged.record.values(id).collect()).unwrap_or_default()
        };
        Subject {
            dn: &staged.dn,
            guid: staged.guid,
            kind: staged.kind,
            left_out: self.left_out(staged),
            values: self.numbers.iter().map(read).collect(),
        }
    }

    /// Why no rule brings an object to the tenant; `None` of one that a rule does.
    fn left_out(&self, staged: &Staged) -> Option<LeftOut> {
        let forest = self.forests.iter().find(|(number, _)| *number == staged.connector);
        let Some((_, forest)) = forest else { return Some(LeftOut::Meant) };
        let rules = self.rules.inbound(staged.kind, forest);
        let exported = |rule: &&Rule| provisions(rule) && self.exported.contains(&rule.metaverse);
        let mut unexpected = None;
        for rule in rules.filter(exported) {
            let why = match rule.scope.verdict(&staged.record) {
                Verdict::Within => return None,
                Verdict::Excepted { clauses, .. } => self.of_exception(clauses),
                Verdict::NoGroup => {
                    self.of_groups(staged.kind, &rule.scope.failing(&staged.record))
                }
            };
            unexpected = unexpected.or(why);
        }
        Some(unexpected.unwrap_or(LeftOut::Meant))
    }

    /// What an exception asks says more than its words, which an overlay may change.
    fn of_exception(&self, clauses: &[Clause]) -> Option<LeftOut> {
        let [clause] = clauses else { return None };
        let Clause { attribute, operator, values, negated: false, .. } = clause else {
            return None;
        };
        let is = |number: Option<AttributeId>| number == Some(*attribute);
        let conflict = |value: &Value| matches!(value, Value::Text(text) if text == CONFLICT);
        match operator {
            Operator::IsNull if is(self.number(Attribute::SamAccountName)) => {
                Some(LeftOut::NoAccountName)
            }
            Operator::Contains
                if *attribute == AttributeId::DISTINGUISHED_NAME && values.iter().any(conflict) =>
            {
                Some(LeftOut::ReplicationConflict)
            }
            Operator::GreaterThan | Operator::GreaterThanOrEqual if is(self.member_count) => {
                Some(LeftOut::TooManyMembers)
            }
            _ => None,
        }
    }

    /// Without an address a clause fails that asks for one: for any, or for the form of one.
    fn of_groups(&self, kind: ObjectKind, failing: &[&Clause]) -> Option<LeftOut> {
        let addresses = [Attribute::Mail, Attribute::ProxyAddresses].map(|of| self.number(of));
        let asks = |clause: &&Clause| {
            let Clause { attribute, operator, negated, .. } = *clause;
            addresses.contains(&Some(*attribute))
                && match operator {
                    Operator::IsNull => *negated,
                    Operator::Contains | Operator::Like => !*negated,
                    _ => false,
                }
        };
        let sent_to = matches!(kind, ObjectKind::Contact | ObjectKind::Group);
        (sent_to && failing.iter().any(asks)).then_some(LeftOut::NoMailAddress)
    }

    fn number(&self, attribute: Attribute) -> Option<AttributeId> {
        self.numbers.get(attribute as usize).copied().flatten()
    }
}

fn provisions(rule: &Rule) -> bool {
    rule.linking == Linking::Provision
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::tests::{by, object, reading, staged};
    use crate::rules::RuleFile;

    const USER: (&str, &str) = ("sAMAccountType", "805306368");

    #[test]
    fn an_object_is_left_out_by_the_rules_and_what_nobody_meant_has_a_reason() {
        let mail = ("mail", "c@x.com");
        let proxied = ("proxyAddresses", "SMTP:c@x.com");
        let account = ("sAMAccountName", "a");
        let distribution = ("groupType", "8");
        let cases: [(&str, &str, &[(&str, &str)], Option<LeftOut>); 15] = [
            ("user", "CN=a,DC=x", &[USER, account], None),
            ("inetOrgPerson", "CN=a,DC=x", &[USER, account], None),
            ("user", "CN=a,DC=x", &[USER], Some(LeftOut::NoAccountName)),
            ("user", "CN=a,DC=x", &[account], Some(LeftOut::Meant)),
            ("user", "CN=a\\0ACNF:6a,DC=x", &[USER, account], Some(LeftOut::ReplicationConflict)),
            (
                "user",
                "CN=a\\0ACNF:6a,DC=x",
                &[USER, ("isCriticalSystemObject", "TRUE")],
                Some(LeftOut::Meant),
            ),
            ("user", "CN=m,DC=x", &[USER, ("sAMAccountName", "MSOL_1")], Some(LeftOut::Meant)),
            ("contact", "CN=c,DC=x", &[mail, proxied], None),
            ("contact", "CN=c,DC=x", &[mail], Some(LeftOut::NoMailAddress)),
            ("contact", "CN=c,DC=x", &[proxied], Some(LeftOut::NoMailAddress)),
            ("group", "CN=g,DC=x", &[account], None),
            ("group", "CN=g,DC=x", &[], Some(LeftOut::NoAccountName)),
            ("group", "CN=g,DC=x", &[account, distribution], Some(LeftOut::NoMailAddress)),
            (
                "group",
                "CN=g,DC=x",
                &[account, ("memberCount", "250001")],
                Some(LeftOut::TooManyMembers),
            ),
            ("organizationalUnit", "OU=o,DC=x", &[], Some(LeftOut::Meant)),
        ];
        for (kind, dn, attributes, expected) in cases {
            let found = reading().left_out(&object(kind, dn, attributes));
            assert_eq!(found, expected, "{kind} {dn} {attributes:?}");
        }
        // A computer is a device once it has a certificate.
        let certificate = ("userCertificate", "der");
        for (attributes, expected) in
            [(&[account, certificate][..], None), (&[account], Some(LeftOut::Meant))]
        {
            let computer = object("user", "CN=pc,DC=x", attributes);
            let computer = Staged { kind: ObjectKind::Computer, ..computer };
            assert_eq!(reading().left_out(&computer), expected);
        }
        // What a filter leaves out is of no forest that rules are for.
        let filtered = object("user", "CN=a,DC=x", &[USER, account]);
        let filtered = Staged { connector: ConnectorId(u16::MAX), ..filtered };
        assert_eq!(reading().left_out(&filtered), Some(LeftOut::Meant));
    }

    #[test]
    fn a_rule_of_an_overlay_brings_in_what_the_default_set_leaves_out_and_leaves_out_what_it_is_told()
     {
        const OVERLAY: &str = r#"
            [[disable]]
            key = "in.user.join"
            [[rule]]
            key = "in.user.staff"
            clone = "in.user.join"
            precedence = 100
            scope = [[{ attribute = "mail", operator = "ENDSWITH", value = "@x.com" }]]
            [[rule]]
            key = "in.contact.all"
            clone = "in.contact.join"
            precedence = 101
            scope = [[{ attribute = "displayName", operator = "ISNOTNULL" }]]
        "#;
        let (rules, names) = by(&[RuleFile::overlay("overlay.toml", OVERLAY)]);
        let forests = [(ConnectorId(1), "corp.example".to_owned())];
        let reading = Reading::new(&rules, &names, &forests);
        let of = |kind: &str, attributes: &[(&str, &str)]| {
            let octets: Vec<_> =
                attributes.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
            reading.left_out(&staged((&rules, &names), kind, "CN=a,DC=x", &octets))
        };
        let account = ("sAMAccountName", "a");
        assert_eq!(of("contact", &[("displayName", "c")]), None);
        assert_eq!(of("contact", &[]), Some(LeftOut::NoMailAddress));
        assert_eq!(of("user", &[account, ("mail", "a@x.com")]), None);
        assert_eq!(of("user", &[USER, account]), Some(LeftOut::Meant));
        assert_eq!(of("user", &[("mail", "a@x.com")]), Some(LeftOut::NoAccountName));
    }
}
