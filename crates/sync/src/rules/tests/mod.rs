//! Rule files become rules, or say what is wrong with them.

mod default_set;
mod entra;
mod filters;
mod former;
mod lint;

use portolan_model::Hint as _;

use super::*;
use crate::dictionary::Dictionary;
use crate::forest::ObjectKind;
use crate::kind::TenantKind;
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

#[test]
fn the_default_set_compiles_and_an_overlay_changes_none_of_its_rules() {
    let built_in = || RuleFile::built_in();
    let compile = |overlay: &str| {
        let files = [built_in(), RuleFile::overlay("o.toml", overlay)];
        Rules::compile(&files, &mut Dictionary::default(), &mut RuleNumbers::default())
    };
    let shown = |errors: Vec<RuleError>| {
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let plain = compile("").unwrap_or_else(|errors| panic!("{}", shown(errors)));
    let count = plain.all().len();
    let clone = "[[rule]]\nkey = \"mine\"\nclone = \"in.user.photo\"\nprecedence = 5\n";
    let changed = compile(&format!("[[disable]]\nkey = \"in.user.photo\"\n{clone}")).unwrap();
    assert_eq!(changed.all().len(), count);
    assert_eq!(changed.all()[0].key, "mine");
    assert_eq!(changed.all()[0].flows.len(), 1);
    assert!(changed.disabled().any(|key| key == "in.user.photo"));
    let same =
        compile("[[rule]]\nkey = \"in.user.photo\"\nclone = \"in.user.join\"\nprecedence = 5");
    assert!(
        shown(same.unwrap_err()).contains("is a rule of the default set, which no file changes")
    );
    let none = compile("[[disable]]\nkey = \"in.user.foto\"");
    assert_eq!(none.unwrap_err()[0].hint().as_deref(), Some("did you mean \"in.user.photo\"?"));
}

#[test]
fn what_is_written_out_reads_back_as_the_same_rules() {
    let filter = "[[filter]]\nunit = \"OU=a,DC=b\"\nreason = \"r\"\n[[attribute]]\nname = \"badge\"\nsyntax = \"integer\"";
    let text = format!("{SMALL}\n{filter}");
    let (rules, _) = compile(&text).unwrap();
    let written = rules.to_toml();
    let (again, _) = compile(&written).unwrap_or_else(|errors| panic!("{errors:?}\n{written}"));
    assert_eq!(again.to_toml(), written);
    assert_eq!(again.all().len(), rules.all().len());
    assert_eq!(rules.to_json()["rule"][1]["key"], "corp.people");
    let built_in = [RuleFile::built_in()];
    let rules = Rules::compile(&built_in, &mut Dictionary::default(), &mut RuleNumbers::default());
    let json = rules.unwrap().to_json();
    assert_eq!(json["rule"][0]["key"], "in.user.join");
    assert_eq!(json["rule"][0]["except"].as_array().unwrap().len(), 12);
}

#[test]
fn places_are_counted_in_lines_and_characters_from_one() {
    let check = |text: &str, expected: &str| assert_eq!(errors(text)[0], expected, "{text}");
    check("rul = 1", "x.toml:1:1: \"rul\" is no key of a file");
    check("# çà\n\n rul = 1", "x.toml:3:2: \"rul\" is no key of a file");
    check("[[disable]]\nkey = \"a\"\n\n", "x.toml:2:7: no rule has the key \"a\"");
    check(
        "disable = [{ reason = \"çà\", kay = 1 }]",
        "x.toml:1:29: \"kay\" is no key of a disable",
    );
}
