//! The import of Entra Connect's export, on rules with the fields that its cmdlets write.

use super::*;
use crate::rules::entra::{self, Fate, ImportError};

const EXPORT: &str = r#"{
  "Connectors": [{ "Identifier": "{AE4DB4CC-B16B-4EB2-ACF5-837CA84E4D7D}", "Name": "corp.example" }],
  "SynchronizationRules": [
    { "Name": "In from AD - User Join", "ImmutableTag": "Microsoft.InfromADUserJoin.003", "Disabled": false,
      "Direction": "Inbound", "SourceObjectType": "user", "TargetObjectType": "person", "Precedence": 100 },
    { "Name": "In from AD - Computer Join", "ImmutableTag": "Microsoft.InfromADComputerJoin.012", "Disabled": true,
      "Direction": "Inbound", "SourceObjectType": "computer", "TargetObjectType": "device", "Precedence": 159 },
    { "Name": "Staff: titles", "ImmutableTag": null, "Disabled": false, "Direction": "Inbound",
      "Connector": "ae4db4cc-b16b-4eb2-acf5-837ca84e4d7d", "LinkType": "Join",
      "SourceObjectType": "user", "TargetObjectType": "person", "Precedence": 50,
      "EnablePasswordSync": true,
      "ScopeFilter": [{ "ScopeConditionList": [
        { "Attribute": "employeeType", "ComparisonOperator": "EQUAL", "ComparisonValue": "staff" },
        { "Attribute": "userAccountControl", "ComparisonOperator": "ISBITNOTSET", "ComparisonValue": "2" }] }],
      "JoinFilter": [{ "JoinConditionList": [{ "CSAttribute": "mail", "MVAttribute": "mail", "CaseSensitive": false }] }],
      "AttributeFlowMappings": [
        { "Destination": "title", "Source": ["title"], "FlowType": "Expression", "Expression": "Trim([title])", "ValueMergeType": "Update" },
        { "Destination": "company", "Source": ["Example \"plc\""], "FlowType": "Constant", "ExecuteOnce": true },
        { "Destination": "proxyAddresses", "Source": "proxyAddresses", "FlowType": "Direct", "ValueMergeType": "MergeCaseInsensitive" },
        { "Destination": "manager", "Source": ["manager"], "FlowType": "Direct" },
        { "Destination": "info", "Source": ["info"], "FlowType": "Expression", "Expression": "Tirm([info])" }] },
    { "Name": "Out to AAD - titles", "Direction": "Outbound", "Connector": "b891884f-051e-4a83-95af-2544101c9083",
      "LinkType": "Join", "SourceObjectType": "person", "TargetObjectType": "user", "Precedence": 210,
      "AttributeFlowMappings": [
        { "Destination": "title", "Source": ["title"], "FlowType": "Direct" },
        { "Destination": "accountEnabled", "Source": ["True"], "FlowType": "Constant" },
        { "Destination": "onPremiseSecurityIdentifier", "Source": ["objectSid"], "FlowType": "Direct" },
        { "Destination": "altRecipient", "Source": ["altRecipient"], "FlowType": "Direct" }] },
    { "Name": "Out to AD - back", "Direction": "Outbound", "Connector": "ae4db4cc-b16b-4eb2-acf5-837ca84e4d7d",
      "LinkType": "Join", "SourceObjectType": "person", "TargetObjectType": "user", "Precedence": 51 },
    { "Name": "numbers", "Direction": 0, "SourceObjectType": "user", "TargetObjectType": "person", "Precedence": 52 }
  ]
}"#;

#[test]
fn what_an_administrator_made_becomes_an_overlay_and_the_rest_is_told() {
    let imported = entra::import(&format!("\u{feff}{EXPORT}")).unwrap();
    let report: Vec<_> = imported.report.iter().map(|note| (note.fate, note.to_string())).collect();
    let expected = [
        (Fate::Default, "In from AD - User Join: of the default set: ours stands"),
        (
            Fate::Default,
            "In from AD - Computer Join: of the default set and off: in.computer.join is off",
        ),
        (
            Fate::Partly,
            "Staff: titles: the flow to info is left out: its expression does not compile: there is no function Tirm",
        ),
        (Fate::Partly, "Staff: titles: carried over, but for the above"),
        (
            Fate::Partly,
            "Out to AAD - titles: the flow to altRecipient is left out: a tenant's object has no such attribute",
        ),
        (Fate::Partly, "Out to AAD - titles: carried over, but for the above"),
        (Fate::LeftOut, "Out to AD - back: it writes to a forest, which rules do not"),
        (Fate::LeftOut, "numbers: its direction is not known by name: export with -EnumsAsStrings"),
    ];
    assert_eq!(report, expected.map(|(fate, text)| (fate, text.to_owned())));
    let mut names = Dictionary::default();
    let files = [RuleFile::built_in(), RuleFile::overlay("o.toml", &imported.overlay)];
    let rules = Rules::compile(&files, &mut names, &mut RuleNumbers::default()).unwrap();
    assert!(rules.disabled().any(|key| key == "in.computer.join"));
    let staff = rules.all().iter().find(|rule| rule.key == "entra.staff-titles").unwrap();
    assert_eq!(staff.connected, Connected::Named("corp.example".to_owned()));
    assert_eq!((staff.precedence, staff.password, staff.flows.len()), (50, true, 3));
    assert_eq!(staff.scope.groups[0].len(), 2);
    assert_eq!(staff.references.len(), 1);
    let company = names.id("company").unwrap();
    let company = staff.flows.iter().find(|flow| flow.target == company).unwrap();
    assert!(company.once);
    assert!(
        matches!(&company.given, Given::Constant(Value::Text(text)) if text == "Example \"plc\"")
    );
    let out = rules.all().iter().find(|rule| rule.key == "entra.out-to-aad-titles").unwrap();
    assert_eq!(out.precedence, 100_210);
    let given = |name: &str| {
        let target = names.id(name).unwrap();
        out.flows.iter().find(|flow| flow.target == target).map(|flow| &flow.given)
    };
    assert!(matches!(given("jobTitle"), Some(Given::Direct(_))));
    assert!(matches!(given("accountEnabled"), Some(Given::Constant(Value::Boolean(true)))));
    assert!(matches!(given("onPremisesSecurityIdentifier"), Some(Given::Expression(_))));
}

#[test]
fn what_has_no_rules_is_refused() {
    assert_eq!(entra::import("{]"), Err(ImportError::NoJson { line: 1, column: 2 }));
    assert_eq!(entra::import("[{}, 5]"), Err(ImportError::NoRules));
}

/// Written by us, with the fields, the order and the sorts of rules of Microsoft's documented sample export:
/// default rules and own ones of two forests, a rule that is off, single items in place of lists.
const CONTOSO: &str = include_str!("contoso.json");

#[test]
fn a_whole_export_of_two_forests_becomes_an_overlay_that_compiles_with_what_it_says() {
    let imported = entra::import(CONTOSO).unwrap();
    let report: Vec<_> = imported.report.iter().map(|note| (note.fate, note.to_string())).collect();
    eprintln!("{report:#?}\n{}", imported.overlay);
    let mut names = Dictionary::default();
    let files = [RuleFile::built_in(), RuleFile::overlay("o.toml", &imported.overlay)];
    let rules = Rules::compile(&files, &mut names, &mut RuleNumbers::default()).unwrap();
    let of = |key: &str| rules.all().iter().find(|rule| rule.key == key).unwrap();
    let department = of("entra.in-from-ad-user-department");
    let groups: Vec<_> = department.scope.groups.iter().map(Vec::len).collect();
    assert_eq!((groups, department.joins.len(), department.flows.len()), (vec![2, 3], 2, 5));
    assert_eq!(department.joins[1].clauses.len(), 2);
    assert!(department.joins[0].clauses[0].case_sensitive);
    assert_eq!(department.connected, Connected::Named("contoso.example".to_owned()));
    let fabrikam = of("entra.in-from-ad-fabrikam-filter");
    assert_eq!(fabrikam.connected, Connected::Named("fabrikam.example".to_owned()));
    assert_eq!((fabrikam.scope.groups.len(), fabrikam.flows.len()), (1, 1));
    assert!(
        matches!(&fabrikam.flows[0].given, Given::Constant(Value::Boolean(true))),
        "{:?}",
        fabrikam.flows[0]
    );
    let extras = of("entra.out-to-aad-user-extras");
    assert_eq!((extras.scope.groups[0].len(), extras.flows.len()), (2, 3));
    let imported_again = entra::import(&format!("[{CONTOSO}, {CONTOSO}]"));
    assert!(imported_again.is_ok(), "{imported_again:?}");
}

/// Written by us, with the names that public scripts read from the wizard's file; the names of the joins' fields and of
/// a flow's kind stand in none of them.
const POLICY: &str = include_str!("policy.json");

#[test]
fn a_policy_of_the_wizard_becomes_rules_and_filters_and_what_is_not_known_of_it_is_told() {
    let imported = entra::import(POLICY).unwrap();
    let report: Vec<_> =
        imported.report.iter().map(|note| format!("{:?} {note}", note.fate)).collect();
    let expected = [
        "Carried the export: 3 containers of contoso.example became filters: their objectGUIDs are looked up before the first run",
        "LeftOut the export: of contoso.example this is not read: objectTypeInclusions",
        "LeftOut the export: of the tenant this is not read: sourceAnchorAttribute",
        "LeftOut the export: of the policy this is not read: userInterfaceSettings",
        "Default In from AD - User Join: of the default set: ours stands",
        "Default In from AD - Computer Join: of the default set and off: in.computer.join is off",
        "Partly In from AD - Contractors: a condition's or flow's field colour is not known here",
        "Partly In from AD - Contractors: carried over, but for the above",
        "Partly In from AD - By number: the export lists 2 of its conditions without groups: here all of them have to hold",
        "Partly In from AD - By number: a condition's or flow's field left is not known here",
        "Partly In from AD - By number: a condition's or flow's field right is not known here",
        "Partly In from AD - By number: a join is left out: it does not name both of its attributes",
        "Partly In from AD - By number: carried over, but for the above",
        "LeftOut In from AD - Odd scope: a scope without attribute",
        "LeftOut Out to AD - Back: it writes to a forest, which rules do not",
        "Default Out to AAD - User Join: of the default set: ours stands",
        "Carried Out to AAD - City: carried over",
    ];
    assert_eq!(report, expected);

    let mut names = Dictionary::default();
    let files = [RuleFile::built_in(), RuleFile::overlay("o.toml", &imported.overlay)];
    let rules = Rules::compile(&files, &mut names, &mut RuleNumbers::default()).unwrap();
    let of = |key: &str| rules.all().iter().find(|rule| rule.key == key).unwrap();
    let contractors = of("entra.in-from-ad-contractors");
    let groups: Vec<_> = contractors.scope.groups.iter().map(Vec::len).collect();
    assert_eq!((groups, contractors.precedence), (vec![2, 1], 50));
    assert_eq!(contractors.connected, Connected::Named("contoso.example".to_owned()));
    let given = |name: &str| {
        let target = names.id(name).unwrap();
        &contractors.flows.iter().find(|flow| flow.target == target).unwrap().given
    };
    assert!(matches!(given("title"), Given::Expression(_)));
    assert!(matches!(given("department"), Given::Direct(_)));
    assert!(matches!(given("cloudFiltered"), Given::Constant(Value::Boolean(true))));
    assert!(matches!(given("company"), Given::Constant(Value::Text(text)) if text == "Contoso"));
    assert_eq!(of("entra.in-from-ad-by-number").joins.len(), 1);
    assert_eq!(of("entra.out-to-aad-city").flows.len(), 1);

    let filters: Vec<_> =
        imported.overlay.split("[[").filter(|part| part.starts_with("filter]]")).collect();
    let domains: Vec<_> = filters.iter().filter(|part| part.contains("domain = ")).collect();
    assert_eq!((filters.len(), domains.len()), (4, 1), "{}", imported.overlay);
    assert!(domains[0].contains("domain = \"contoso.example\"") && !domains[0].contains("include"));
    let taken = filters.iter().filter(|part| part.contains("include = true")).count();
    assert_eq!(taken, 2, "the units of people and groups");
    assert!(filters[3].contains("unit = \"OU=Former,OU=People,DC=contoso,DC=example\""));
    assert!(filters[3].contains("reason = \"not selected in Entra Connect\""));
}

#[test]
fn the_list_of_a_migration_is_told_from_an_export() {
    let list =
        r#"{"policyMetadata": {"type": "migration"}, "deploymentMetadata": {"connectorIds": []}}"#;
    assert_eq!(entra::import(list), Err(ImportError::Migration));
    for none in [r#"{"onpremisesDirectoryPolicy": []}"#, r#"{"azureDirectoryPolicy": {}}"#] {
        assert_eq!(entra::import(none), Err(ImportError::NoRules), "{none}");
    }
}
