//! What is found in rules that compile.

use super::*;

fn findings(text: &str) -> Vec<String> {
    found_with(text, ["tenant", "other"])
}

fn found_with(text: &str, targets: [&str; 2]) -> Vec<String> {
    let mut names = Dictionary::default();
    let files = [RuleFile::built_in(), RuleFile::overlay("o.toml", text)];
    let rules = Rules::compile(&files, &mut names, &mut RuleNumbers::default()).unwrap();
    let [forests, targets] =
        [["corp.example", "both.example"], targets].map(|names| names.map(str::to_owned));
    let systems = SystemNames { forests: &forests, targets: &targets };
    let shown = |finding: &Finding| format!("{finding} -> {}", finding.hint().unwrap_or_default());
    lint(&rules, &names, &systems).iter().map(shown).collect()
}

fn inbound(precedence: u32, rest: &str) -> String {
    format!(
        "[[rule]]\nkey = \"k{precedence}\"\ndirection = \"inbound\"\nobject = \"user\"\n\
         metaverse = \"person\"\nprecedence = {precedence}\n{rest}\n"
    )
}

fn outbound(precedence: u32, rest: &str) -> String {
    inbound(precedence, rest).replace("\"inbound\"", "\"outbound\"")
}

#[test]
fn the_default_set_has_no_finding() {
    assert_eq!(findings(""), Vec::<String>::new());
}

#[test]
fn each_mistake_is_found_with_its_rule_its_place_and_what_to_do() {
    let check = |text: &str, expected: &[&str]| assert_eq!(findings(text), expected, "{text}");
    check(
        &inbound(1, "connected = \"crop.example\""),
        &[
            "o.toml:1:1: k1: no system with the name \"crop.example\" is connected -> did you mean \"corp.example\"?",
        ],
    );
    check(
        "[[filter]]\nconnected = \"x\"\ndomain = \"a.example\"",
        &[
            "a filter on the domain a.example: no forest with the name \"x\" is connected -> connected are corp.example, both.example",
        ],
    );
    let clauses = "scope = [[{ attribute = \"title\", operator = \"EQUAL\", value = \"a\" }, { attribute = \"title\", operator = \"EQUAL\", value = \"b\" }]]";
    check(
        &inbound(1, clauses),
        &[
            "o.toml:1:1: k1: no object is ever in its scope -> mend the groups of its scope, or turn the rule off",
            "o.toml:1:1: k1: group 1 of its scope holds for no object: title EQUAL a and title EQUAL b -> take one of the two away",
        ],
    );
    let null = "scope = [[{ attribute = \"title\", operator = \"ISNULL\" }, { attribute = \"title\", operator = \"CONTAINS\", value = \"b\" }], []]";
    assert!(errors(&inbound(1, null))[0].contains("an empty group"));
    let two = inbound(1, "flows = [{ target = \"title\", constant = \"x\" }]")
        + &inbound(2, "flows = [{ target = \"title\", source = \"title\" }]");
    let shadow = |place: &str, key: &str| {
        format!(
            "{place}: {key}: title never comes from here -> k1 gives it first to the same objects: take one away"
        )
    };
    // The default rule is for inetOrgPersons too, for which k1 is not.
    check(&two, &[&shadow("o.toml:8:1", "k2")]);
    check(
        &inbound(1, "joins = [[{ source = \"mail\", target = \"corpMail\" }]]"),
        &[
            "o.toml:1:1: k1: it joins by corpMail, which no rule fills -> let a rule give corpMail to the metaverse",
        ],
    );
    check(
        &inbound(1, "flows = [{ target = \"x\", source = \"corpBadge\" }]"),
        &[
            "o.toml:1:1: k1: corpBadge is no attribute of the schema's table, and is taken for text -> declare it: [[attribute]] name = \"corpBadge\", syntax = ..",
        ],
    );
    check(
        &outbound(1, "flows = [{ target = \"jobTitel\", source = \"titel\" }]"),
        &[
            "o.toml:1:1: k1: a user of a tenant has no attribute jobTitel -> did you mean \"jobTitle\"?",
            "o.toml:1:1: k1: no rule gives titel to the metaverse -> did you mean \"title\"?",
        ],
    );
    check(
        &inbound(1, "flows = [{ target = \"x\", expression = '%Forest.FQN%' }]"),
        &["o.toml:1:1: k1: no run gives the parameter %forest.fqn% -> did you mean %Forest.FQDN%?"],
    );
}

#[test]
fn types_that_do_not_meet_and_values_that_are_replaced_are_found() {
    let check = |text: &str, expected: &[&str]| assert_eq!(findings(text), expected, "{text}");
    let types = inbound(1, "flows = [{ target = \"badge\", source = \"accountExpires\" }]")
        + &inbound(2, "flows = [{ target = \"badge\", source = \"title\" }]")
        + &outbound(1, "flows = [{ target = \"employeeId\", source = \"badge\" }]")
            .replace("k1", "o1");
    check(
        &types,
        &[
            "o.toml:8:1: k2: it gives badge text, and k1 gives a number -> convert one of them in an expression",
            "o.toml:15:1: o1: employeeId takes text, and badge is a number -> convert it in an expression",
        ],
    );
    let merge = inbound(1, "flows = [{ target = \"info\", source = \"title\" }]")
        + &inbound(2, "flows = [{ target = \"info\", source = \"info\", merge = \"merge\" }]");
    check(
        &merge,
        &[
            "o.toml:8:1: k2: info is merged here, and k1 replaces all values -> let both merge, or this one win",
        ],
    );
}

#[test]
fn an_outbound_scope_that_nothing_is_ever_in_is_found() {
    let check = |text: &str, expected: &[&str]| assert_eq!(findings(text), expected, "{text}");
    let badge = |constant: &str| {
        inbound(1, &format!("flows = [{{ target = \"badge\", constant = \"{constant}\" }}]"))
    };
    let scope = |precedence, clause: &str| {
        outbound(precedence, &format!("scope = [[{clause}]]")).replace("key = \"k", "key = \"o")
    };
    let equal = |value: &str| {
        format!("{{ attribute = \"badge\", operator = \"EQUAL\", value = \"{value}\" }}")
    };
    check(&(badge("red") + &scope(2, &equal("RED"))), &[]);
    check(
        &(badge("red") + &scope(2, &equal("blue"))),
        &[
            "o.toml:8:1: o2: no object is ever in its scope -> mend the groups of its scope, or turn the rule off",
            "o.toml:8:1: o2: group 1 of its scope holds for no object: badge EQUAL blue, and rules give red alone -> let an inbound rule give it, or take the clause away",
        ],
    );
    // Whatever an expression gives is not known.
    let open = inbound(1, "flows = [{ target = \"badge\", source = \"title\" }]");
    let red = inbound(3, "flows = [{ target = \"badge\", constant = \"red\" }]");
    check(&(open + &red + &scope(2, &equal("blue"))), &[]);
    let without = findings(&scope(2, &equal("blue")));
    assert!(
        without.iter().any(|one| one.contains("badge EQUAL blue, and no rule gives that")),
        "{without:?}"
    );
    // The rules that make users in the tenant have others in their scopes than this one.
    let cloud = "{ attribute = \"cloudFiltered\", operator = \"EQUAL\", value = true }";
    let cloud_filtered =
        inbound(4, "flows = [{ target = \"cloudFiltered\", expression = 'IsPresent([info])' }]");
    let found = findings(&(cloud_filtered + &scope(2, cloud)));
    assert!(found.iter().any(|one| one.contains("no object of its scope is made: ")), "{found:?}");
}

#[test]
fn an_attribute_that_comes_back_from_where_it_went_is_found() {
    let both = "connected = \"both.example\"\n";
    let text = inbound(1, &format!("{both}flows = [{{ target = \"info\", source = \"city\" }}]"))
        + &outbound(2, &format!("{both}flows = [{{ target = \"city\", source = \"info\" }}]"));
    let found = found_with(&text, ["tenant", "both.example"]);
    assert!(
        found.iter().any(|one| one.contains("info goes out to the system that it comes from")),
        "{found:?}"
    );
}

#[test]
fn what_is_given_once_needs_a_rule_that_makes_the_object() {
    let text = inbound(1, "flows = [{ target = \"info\", source = \"info\", once = true }]");
    let mut names = Dictionary::default();
    let files = [RuleFile::overlay("o.toml", &text)];
    let rules = Rules::compile(&files, &mut names, &mut RuleNumbers::default()).unwrap();
    let found = lint(&rules, &names, &SystemNames::default());
    assert_eq!(found[0].text, "info is given when the object is made, and no rule makes one");
}
