//! Rule files become rules, or say what is wrong with them.

use portolan_model::Hint as _;

use super::*;
use crate::dictionary::Dictionary;
use crate::flow::TenantKind;
use crate::forest::ObjectKind;
use crate::record::Value;

fn compile(text: &str) -> Result<(Rules, Dictionary), Vec<RuleError>> {
    let mut names = Dictionary::default();
    let files = [RuleFile::overlay("x.toml", text)];
    Rules::compile(&files, &mut names, &mut RuleNumbers::default()).map(|rules| (rules, names))
}

fn errors(text: &str) -> Vec<String> {
    compile(text).unwrap_err().iter().map(ToString::to_string).collect()
}

const SMALL: &str = r#"
[[rule]]
key = "corp.people"
name = "People of the head office"
direction = "inbound"
connected = "corp.example"
object = ["user", "inetOrgPerson"]
metaverse = "person"
linking = "provision"
precedence = 10
password = true
scope = [
    [{ attribute = "userAccountControl", operator = "isbitnotset", value = "2" }],
    [{ attribute = "employeeType", operator = "ISIN", values = ["a", "b"], case = true }],
]
except = [{ reason = "tests", where = [{ attribute = "cn", operator = "LIKE", value = "t*" }] }]
joins = [[{ source = "mail", target = "mail" }], [{ source = "objectSid", target = "objectSid", case = true }]]
flows = [
    { target = "title", source = "title" },
    { target = "c", constant = "DE", once = true },
    { target = "proxyAddresses", source = "proxyAddresses", merge = "merge-case-insensitive" },
]
references = [{ target = "manager", source = "manager" }]

[[rule]]
key = "corp.first"
direction = "inbound"
object = "user"
metaverse = "person"
precedence = 9

[[rule]]
key = "corp.out"
direction = "outbound"
object = "user"
metaverse = "person"
precedence = 9
flows = [{ target = "accountEnabled", constant = true }]
"#;

#[test]
fn a_file_becomes_rules_in_the_order_of_their_precedence() {
    let (rules, names) = compile(SMALL).unwrap();
    let keys = |rules: Vec<&Rule>| rules.iter().map(|rule| rule.key.clone()).collect::<Vec<_>>();
    let inbound = |connector: &str| keys(rules.inbound(ObjectKind::User, connector).collect());
    assert_eq!(inbound("CORP.example"), ["corp.first", "corp.people"]);
    assert_eq!(inbound("other.example"), ["corp.first"]);
    assert_eq!(rules.inbound(ObjectKind::Group, "corp.example").count(), 0);
    assert_eq!(keys(rules.outbound(TenantKind::User, "t").collect()), ["corp.out"]);
    assert_eq!(keys(rules.outbound_of(MetaverseKind::Person, "t").collect()), ["corp.out"]);
    let people = rules.inbound(ObjectKind::InetOrgPerson, "corp.example").next().unwrap();
    assert_eq!(people.linking, Linking::Provision);
    assert!(people.password);
    assert_eq!(people.scope.groups[0][0].values, [Value::Integer(2)]);
    assert!(people.scope.groups[0][0].negated);
    assert!(people.scope.groups[1][0].case_sensitive);
    assert_eq!(people.scope.exceptions[0].reason, "tests");
    assert_eq!(people.joins.len(), 2);
    assert_eq!(people.flows.len(), 3);
    assert_eq!(names.show(people.references[0].source).to_string(), "manager");
    assert_eq!(rules.joined_by().len(), 2);
    assert_eq!(rules.rule(people.id).map(|rule| &rule.key), Some(&people.key));
}

#[test]
fn every_problem_of_a_file_is_told_at_once_with_its_place() {
    let text = r#"
[[rule]]
key = "a b"
direction = "inbond"
object = "usr"
metaverse = "person"
precedence = 1000
presedence = 3
flows = [{ target = "x" }]

[[rule]]
key = "b"
direction = "outbound"
object = "user"
metaverse = "person"
precedence = 2
flows = [
    { target = "accountEnabled", constant = "yes" },
    { target = "accountEnabled", constant = true },
    { target = "manager", source = "manager" },
]
scope = [[{ attribute = "userAccountControl", operator = "ISBITST", value = 2 }]]

[[filter]]
domain = "a.example"
include = 1
"#;
    let expected = [
        "x.toml:8:1: \"presedence\" is no key of a rule",
        "x.toml:4:13: \"inbond\" is no direction",
        "x.toml:9:10: a flow has one of source, constant and expression",
        "x.toml:22:58: \"ISBITST\" is no operator",
        "x.toml:26:11: include takes true or false, and this is of type integer",
        "x.toml:3:7: \"a b\" is no key",
        "x.toml:2:1: this rule has no direction that reads",
        "x.toml:7:14: 1000 is no precedence of a rule of one's own",
        "x.toml:18:45: accountEnabled takes a truth value, not text",
        "x.toml:19:16: this rule gives accountEnabled twice",
        "x.toml:20:36: manager refers to other objects",
    ];
    let mut found = errors(text);
    let mut expected = expected.map(str::to_owned).to_vec();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn a_mistake_comes_with_what_is_meant() {
    let hint = |text: &str| compile(text).unwrap_err()[0].hint().unwrap_or_default();
    assert_eq!(hint("[[rul]]\nkey = \"a\""), "did you mean \"rule\"?");
    let rule =
        "direction = \"inbound\"\nobject = \"user\"\nmetaverse = \"person\"\nprecedence = 1\n";
    let operator = "scope = [[{ attribute = \"cn\", operator = \"STARTWITH\", value = \"a\" }]]";
    let text = format!("[[rule]]\nkey = \"a\"\n{rule}{operator}");
    assert_eq!(hint(&text), "did you mean STARTSWITH?");
}
