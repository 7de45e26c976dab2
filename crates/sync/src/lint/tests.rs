//! Cases as data: objects in, findings out.

mod objects;

use proptest::prelude::*;

pub(super) use self::objects::{RULES, by, object, reading, staged};
use super::*;
use crate::engine::Staged;

const USER: (&str, &str) = ("sAMAccountType", "805306368");

fn domains() -> Domains {
    let parse = |name: &str| name.parse().unwrap();
    let initial = parse("contoso.onmicrosoft.com");
    let verified = vec![parse("contoso.onmicrosoft.com"), parse("contoso.com")];
    Domains { initial, verified }
}

fn everything() -> BTreeSet<Rule> {
    Rule::ALL.iter().copied().collect()
}

fn lint(objects: &[Staged], domains: Option<&Domains>) -> Vec<Finding> {
    let (mut survey, reading) = (Survey::new(7), reading());
    objects.iter().for_each(|object| survey.add(&reading.subject(object)));
    let (survey, rules) = (survey.finish(), everything());
    let mut linter = Linter::new(&survey, domains, &rules);
    objects.iter().flat_map(|object| linter.look(&reading.subject(object))).collect()
}

/// A finding in one line: rule, attribute, value, proposal.
fn line(finding: &Finding) -> String {
    let attribute = finding.attribute.map_or("-", Attribute::name);
    let proposal = finding.proposal.as_deref().map_or("-".to_owned(), |text| format!("{text:?}"));
    format!("{} {attribute} {:?} {proposal}", finding.rule, finding.value)
}

/// A person of the tenant's own domain, with these attributes besides.
fn person(name: &str, attributes: &[(&str, &str)]) -> Staged {
    let mut all = vec![USER, ("sAMAccountName", name), ("displayName", name)];
    let upn = format!("{name}@contoso.com");
    if !attributes.iter().any(|(name, _)| *name == "userPrincipalName") {
        all.push(("userPrincipalName", &upn));
    }
    all.retain(|(name, _)| !attributes.iter().any(|(other, _)| other == name));
    all.extend(attributes);
    object("user", &format!("CN={name},DC=contoso,DC=com"), &all)
}

fn check(objects: &[Staged], expected: &[&str]) {
    let lines: Vec<_> = lint(objects, Some(&domains())).iter().map(line).collect();
    assert_eq!(lines, expected);
}

/// One person with one attribute.
fn check_one(attribute: &str, value: &str, expected: &[&str]) {
    check(&[person("p", &[(attribute, value)])], expected);
}

#[test]
fn an_object_without_a_fault_has_no_finding() {
    check(
        &[
            person(
                "alice",
                &[
                    ("mail", "alice@contoso.com"),
                    ("mailNickname", "alice"),
                    ("proxyAddresses", "SMTP:alice@contoso.com"),
                    ("proxyAddresses", "smtp:alice@contoso.onmicrosoft.com"),
                    ("proxyAddresses", "X500:/o=A/ou=Exchange (FYDI)/cn=alice"),
                ],
            ),
            person("bob", &[("mail", "bob@fabrikam.com")]),
            object("organizationalUnit", "OU= x ,DC=contoso,DC=com", &[]),
        ],
        &[],
    );
}

#[test]
fn characters_are_refused_by_attribute_and_taken_out() {
    check_one(
        "userPrincipalName",
        "jür gen&co@contoso.com",
        &["character userPrincipalName \"jür gen&co@contoso.com\" \"jurgenco@contoso.com\""],
    );
    check_one("mailNickname", "a(b)@c", &["character mailNickname \"a(b)@c\" \"abc\""]);
    check_one(
        "proxyAddresses",
        "smtp:a;b@contoso.com",
        &[
            "character proxyAddresses \"smtp:a;b@contoso.com\" \"smtp:ab@contoso.com\"",
            "local-part proxyAddresses \"smtp:a;b@contoso.com\" \"smtp:ab@contoso.com\"",
        ],
    );
    // With a UPN the account name is not looked at; without one it makes the UPN.
    let account = ("sAMAccountName", "a[b]");
    check(&[person("p", &[account])], &[]);
    let without = object("user", "CN=p,DC=x", &[USER, account, ("displayName", "p")]);
    check(&[without], &["character sAMAccountName \"a[b]\" \"ab\""]);
}

#[test]
fn what_nobody_sees_is_found_and_taken_out() {
    let check = check_one;
    check("displayName", " p", &["white-space displayName \" p\" \"p\""]);
    check("displayName", "p\u{200b}q", &["invisible displayName \"p\\u{200b}q\" \"pq\""]);
    check("givenName", "p\u{a0}q", &["invisible givenName \"p\\u{a0}q\" \"p q\""]);
    check(
        "mail",
        "p@contoso.com\t",
        &[
            "invisible mail \"p@contoso.com\\t\" \"p@contoso.com\"",
            "white-space mail \"p@contoso.com\\t\" \"p@contoso.com\"",
        ],
    );
    check("displayName", "ecila\u{202e}", &["invisible displayName \"ecila\\u{202e}\" \"ecila\""]);
}

#[test]
fn names_and_addresses_have_their_form() {
    let check = check_one;
    check("userPrincipalName", "alice", &["format userPrincipalName \"alice\" -"]);
    check(
        "userPrincipalName",
        "a@b@contoso.com",
        &["format userPrincipalName \"a@b@contoso.com\" -"],
    );
    check(
        "userPrincipalName",
        ".a..b.@contoso.com",
        &["local-part userPrincipalName \".a..b.@contoso.com\" \"a.b@contoso.com\""],
    );
    check(
        "userPrincipalName",
        "a@-x.com",
        &["domain-part userPrincipalName \"a@-x.com\" \"a@contoso.com\""],
    );
    check("mail", "nobody", &["format mail \"nobody\" -"]);
    check("mail", "a@contoso", &["top-level-domain mail \"a@contoso\" -"]);
    check("mail", "a@corp.local", &["top-level-domain mail \"a@corp.local\" -"]);
    check("mail", "a@con_toso.com", &["domain-part mail \"a@con_toso.com\" -"]);
    check(
        "proxyAddresses",
        "smtp:a.@contoso.com",
        &["local-part proxyAddresses \"smtp:a.@contoso.com\" \"smtp:a@contoso.com\""],
    );
    check("proxyAddresses", "sip:nobody", &[]);
    check("mailNickname", ".a.", &["format mailNickname \".a.\" \"a\""]);
}

#[test]
fn suffixes_are_the_tenants_and_routable() {
    let check = check_one;
    check(
        "userPrincipalName",
        "a@corp.local",
        &["unroutable-suffix userPrincipalName \"a@corp.local\" \"a@contoso.com\""],
    );
    check(
        "userPrincipalName",
        "a@fabrikam.com",
        &["unverified-suffix userPrincipalName \"a@fabrikam.com\" \"a@contoso.com\""],
    );
    let object = person("p", &[("userPrincipalName", "a@fabrikam.com")]);
    assert!(lint(&[object], None).is_empty(), "without the tenant nothing is known of it");
    // Of several domains nobody knows which.
    let mut several = domains();
    several.verified.push("contoso.net".parse().unwrap());
    let object = person("p", &[("userPrincipalName", "a@fabrikam.com")]);
    assert_eq!(lint(&[object], Some(&several))[0].proposal, None);
}

#[test]
fn lengths_are_taken_up_to_their_limit_and_cut() {
    let long = |count: usize| "a".repeat(count);
    let found = |attribute: &str, value: &str| {
        let findings = lint(&[person("p", &[(attribute, value)])], Some(&domains()));
        let length = findings.into_iter().find(|finding| finding.rule == Rule::Length);
        length.map(|finding| finding.proposal.map(|text| text.chars().count()))
    };
    let label = format!("{}.{}", long(44), "com");
    for (attribute, fits, exceeds, proposed) in [
        ("displayName", long(255), long(256), Some(255)),
        ("givenName", long(64), long(65), Some(64)),
        ("mailNickname", long(64), long(65), Some(64)),
        (
            "userPrincipalName",
            format!("{}@{label}", long(64)),
            format!("{}@{label}", long(65)),
            Some(76),
        ),
        ("userPrincipalName", format!("a@{label}"), format!("a@a{label}"), Some(13)),
        ("mail", format!("{}@contoso.com", long(64)), format!("{}@contoso.com", long(65)), None),
        ("proxyAddresses", format!("x500:{}", long(251)), format!("x500:{}", long(252)), None),
        ("targetAddress", format!("x500:{}", long(250)), format!("x500:{}", long(251)), None),
        // Two units each in UTF-16.
        ("givenName", "𝒜".repeat(32), "𝒜".repeat(33), Some(32)),
    ] {
        assert_eq!(found(attribute, &fits), None, "{attribute}");
        assert_eq!(found(attribute, &exceeds), Some(proposed), "{attribute}");
    }
    let without = |name: &str| {
        lint(
            &[object("user", "CN=p,DC=x", &[USER, ("sAMAccountName", name), ("displayName", "p")])],
            None,
        )
    };
    assert!(without(&long(20)).is_empty());
    assert_eq!(without(&long(21))[0].rule, Rule::Length);
}

#[test]
fn blank_names_are_made_of_the_others() {
    let blank = |attributes: &[(&str, &str)], expected: &[&str]| {
        let all = [&[USER, ("sAMAccountName", "p")][..], attributes].concat();
        check(&[object("user", "CN=p,DC=x", &all)], expected);
    };
    blank(
        &[("givenName", "Alice"), ("sn", "Liddell"), ("name", "x")],
        &["blank displayName \"\" \"Alice Liddell\""],
    );
    blank(&[("name", "Alice")], &["blank displayName \"\" \"Alice\""]);
    blank(&[("displayName", "  ")], &["blank displayName \"  \" \"p\""]);
    let group = object("group", "CN=g,DC=x", &[("sAMAccountName", "g")]);
    check(&[group], &["blank displayName \"\" \"g\""]);
    let contact = object(
        "contact",
        "CN=c,DC=x",
        &[("displayName", "c"), ("mail", "c@x.com"), ("proxyAddresses", "SMTP:c@x.com")],
    );
    check(&[contact], &["blank targetAddress \"\" \"SMTP:c@x.com\""]);
}

#[test]
fn the_addresses_of_an_object_agree() {
    check(
        &[person(
            "p",
            &[
                ("mail", "p@contoso.com"),
                ("proxyAddresses", "SMTP:q@contoso.com"),
                ("proxyAddresses", "smtp:p@contoso.com"),
            ],
        )],
        &["primary-address mail \"p@contoso.com\" \"q@contoso.com\""],
    );
    check(
        &[person("p", &[("proxyAddresses", "SMTP:a@x.com"), ("proxyAddresses", "SMTP:b@x.com")])],
        &[
            "primary-address proxyAddresses \"SMTP:a@x.com\" -",
            "primary-address proxyAddresses \"SMTP:b@x.com\" -",
        ],
    );
    check(
        &[person("p", &[("mail", "p@corp.local"), ("proxyAddresses", "SMTP:p@contoso.com")])],
        &[
            "top-level-domain mail \"p@corp.local\" \"p@contoso.com\"",
            "primary-address mail \"p@corp.local\" \"p@contoso.com\"",
        ],
    );
    let target = [("mail", "p@contoso.com"), ("targetAddress", "SMTP:p@fabrikam.com")];
    let expected = "mail-match targetAddress \"SMTP:p@fabrikam.com\" \"SMTP:p@contoso.com\"";
    check(&[person("p", &target)], &[expected]);
    let remote = [target[0], target[1], ("msExchRecipientTypeDetails", "2147483648")];
    check(&[person("p", &remote)], &[]);
}

#[test]
fn values_that_the_directory_takes_for_the_same_are_found_across_objects_and_attributes() {
    check(
        &[
            person("a", &[("mail", "x@contoso.com")]),
            person("b", &[("proxyAddresses", "smtp:x@contoso.com")]),
            person("c", &[("proxyAddresses", "smtp:X@contoso.com")]),
            person("d", &[("targetAddress", "smtp:x@contoso.com")]),
        ],
        &[
            "duplicate mail \"x@contoso.com\" -",
            "duplicate proxyAddresses \"smtp:x@contoso.com\" -",
            "case-collision proxyAddresses \"smtp:X@contoso.com\" -",
        ],
    );
    check(
        &[person("a", &[("mailNickname", "müller")]), person("b", &[("mailNickname", "Muller")])],
        &["case-collision mailNickname \"müller\" -", "case-collision mailNickname \"Muller\" -"],
    );
    let upn = ("userPrincipalName", "one@contoso.com");
    let findings = lint(&[person("a", &[upn]), person("b", &[upn])], Some(&domains()));
    let why: Vec<_> = findings.iter().map(|finding| finding.why.as_str()).collect();
    assert_eq!(why, ["2 objects have it", "2 objects have it, CN=a,DC=contoso,DC=com among them"]);
    // One that is left out claims nothing.
    let left_out = object("user", "CN=m,DC=x", &[USER, ("sAMAccountName", "MSOL_1"), upn]);
    check(&[person("a", &[upn]), left_out], &[]);
}

#[test]
fn names_that_look_alike_are_found_and_those_that_are_the_same_are_not_told_twice() {
    check(
        &[
            person("a", &[("displayName", "Alice")]),
            person("b", &[("displayName", "\u{410}lice")]),
            person("c", &[("displayName", "ALICE")]),
            person("d", &[("displayName", "Alison")]),
        ],
        &[
            "look-alike displayName \"Alice\" -",
            "look-alike displayName \"\u{410}lice\" -",
            "look-alike displayName \"ALICE\" -",
        ],
    );
    check(
        &[person("a", &[("displayName", "Alice")]), person("b", &[("displayName", "ALICE")])],
        &[],
    );
}

#[test]
fn a_proposal_that_somebody_has_or_was_offered_is_not_made() {
    let upn = |value| [("userPrincipalName", value)];
    let objects = [
        person("a", &upn("x y@contoso.com")),
        person("b", &upn("xy@contoso.com")),
        person("c", &upn("z z@contoso.com")),
        person("d", &upn("z  z@contoso.com")),
    ];
    let twice = [("proxyAddresses", "SMTP:pp@x.com"), ("proxyAddresses", "smtp:p p@x.com")];
    check(
        &[person("p", &twice)],
        &[
            "character proxyAddresses \"smtp:p p@x.com\" -",
            "local-part proxyAddresses \"smtp:p p@x.com\" -",
        ],
    );
    check(
        &objects,
        &[
            "character userPrincipalName \"x y@contoso.com\" -",
            "character userPrincipalName \"z z@contoso.com\" \"zz@contoso.com\"",
            "character userPrincipalName \"z  z@contoso.com\" -",
        ],
    );
}

#[test]
fn shared_and_malformed_anchors_are_found_and_with_whom() {
    let anchored = |name: &str, value: &str| person(name, &[("mS-DS-ConsistencyGuid", value)]);
    let shared = "0123456789abcdef";
    let findings = lint(
        &[anchored("a", shared), anchored("b", shared), anchored("c", "short"), person("d", &[])],
        Some(&domains()),
    );
    let told: Vec<_> =
        findings.iter().map(|f| (f.rule, f.dn.as_str(), f.proposal.as_deref())).collect();
    assert_eq!(
        told,
        [
            (Rule::SharedAnchor, "CN=a,DC=contoso,DC=com", None),
            (Rule::SharedAnchor, "CN=b,DC=contoso,DC=com", None),
            (Rule::MalformedAnchor, "CN=c,DC=contoso,DC=com", None),
        ]
    );
}

#[test]
fn objects_that_somebody_may_miss_are_told_and_those_of_the_directory_are_not() {
    check(
        &[
            object("contact", "CN=c,DC=x", &[("displayName", "c")]),
            object("user", "CN=a\\0ACNF:6a20fa50,DC=x", &[USER, ("sAMAccountName", "a")]),
            object("user", "CN=m,DC=x", &[USER, ("sAMAccountName", "MSOL_1")]),
            object("user", "CN=k,DC=x", &[USER, ("isCriticalSystemObject", "TRUE")]),
        ],
        &["left-out - \"\" -", "left-out - \"\" -"],
    );
}

#[test]
fn only_the_rules_that_are_asked_for_are_told_and_values_that_are_no_text_are() {
    let object = staged(
        (&RULES.0, &RULES.1),
        "user",
        "CN=a,DC=x",
        &[
            ("sAMAccountName", b"a"),
            ("sAMAccountType", b"805306368"),
            ("displayName", b"\xff"),
            ("mail", b"nobody"),
        ],
    );
    check(
        std::slice::from_ref(&object),
        &["not-text displayName \"\u{fffd}\" -", "format mail \"nobody\" -"],
    );
    let survey = Survey::new(0).finish();
    let rules = BTreeSet::from([Rule::Format]);
    let findings = Linter::new(&survey, None, &rules).look(&reading().subject(&object));
    assert_eq!(findings.iter().map(|f| f.rule).collect::<Vec<_>>(), [Rule::Format]);
}

#[test]
fn rules_are_named_and_return_from_their_names() {
    for rule in Rule::ALL {
        assert_eq!(rule.name().parse(), Ok(*rule));
    }
    let error = "dupes".parse::<Rule>().unwrap_err().to_string();
    assert!(
        error.starts_with("\"dupes\" is no rule; the rules are left-out, duplicate"),
        "{error}"
    );
}

#[test]
fn the_first_pass_takes_a_few_hundred_octets_an_object() {
    const OBJECTS: usize = 4_000;
    /// What a million objects may take is 512 MiB.
    const OBJECT_OCTETS_MAX: u64 = 512 * 1024 * 1024 / 1_000_000;
    let objects: Vec<_> = (0..OBJECTS)
        .map(|number| {
            let (name, address) = (format!("user{number}"), format!("user{number}@contoso.com"));
            let primary = format!("SMTP:{address}");
            let second = format!("smtp:{name}@contoso.onmicrosoft.com");
            person(
                &name,
                &[
                    ("displayName", &format!("Person Number{number}")),
                    ("mail", &address),
                    ("mailNickname", &name),
                    ("proxyAddresses", &primary),
                    ("proxyAddresses", &second),
                ],
            )
        })
        .collect();
    let held = allocation_counter::measure(|| {
        let (mut survey, reading) = (Survey::new(7), reading());
        objects.iter().for_each(|object| survey.add(&reading.subject(object)));
        let survey = survey.finish();
        let rules = everything();
        let mut linter = Linter::new(&survey, None, &rules);
        let findings = objects.iter().map(|object| linter.look(&reading.subject(object)).len());
        assert_eq!(findings.sum::<usize>(), 0);
    });
    let of_each = held.bytes_max / OBJECTS as u64;
    assert!(of_each < OBJECT_OCTETS_MAX, "{of_each} octets an object");
}

/// The rules of one object alone that a proposal is to mend.
const MENDED: [Rule; 3] = [Rule::Invisible, Rule::WhiteSpace, Rule::Character];

proptest! {
    #[test]
    fn a_proposal_breaks_no_rule_of_characters_and_is_not_mended_again(
        which in 0usize..9,
        value in "\\PC{0,12}[ @.\\u{200b}\\u{a0}a-zé:;()-]{0,20}",
    ) {
        let attribute = Attribute::ALL[which];
        let findings = lint(&[person("p", &[(attribute.name(), &value)])], Some(&domains()));
        for proposal in findings.iter().filter(|f| f.attribute == Some(attribute)).filter_map(|f| f.proposal.clone()) {
            let again = lint(&[person("p", &[(attribute.name(), &proposal)])], Some(&domains()));
            for finding in again.iter().filter(|f| f.attribute == Some(attribute)) {
                prop_assert!(!MENDED.contains(&finding.rule), "{value:?} {proposal:?} {finding:?}");
                prop_assert!(finding.proposal.as_deref() != Some(proposal.as_str()));
            }
        }
    }
}
