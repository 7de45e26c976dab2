//! Filters: the nearest place decides, whatever it is called by now.

use portolan_model::Guid;

use super::*;
use crate::record::Record;

const FILTERS: &str = r#"
[[filter]]
domain = "Lab.corp.example"

[[filter]]
unit = "OU=Service,DC=corp,DC=example"
reason = "service accounts"

[[filter]]
unit = "OU=Kept,OU=Service,DC=corp,DC=example"
guid = "11111111-1111-1111-1111-111111111111"
include = true

[[filter]]
connected = "other.example"
group = "22222222-2222-2222-2222-222222222222"

[[filter]]
where = [{ attribute = "employeeType", operator = "EQUAL", value = "test" }]
"#;

fn guid(octet: u8) -> Guid {
    Guid::from_bytes_le([octet; 16])
}

#[test]
fn the_nearest_place_decides_and_pilots_are_direct_members() {
    let (rules, names) = compile(FILTERS).unwrap();
    let filters = rules.filters();
    assert_eq!(filters.unpinned().collect::<Vec<_>>(), ["OU=Service,DC=corp,DC=example"]);
    assert_eq!(filters.pin(|_| None).unwrap_err()[0].name, "OU=Service,DC=corp,DC=example");
    let pinned = filters.pin(|_| Some(guid(0x33))).unwrap();
    let record = |kind: &str| {
        let id = names.id("employeeType").unwrap();
        Record::from_iter([(id, vec![Value::Text(kind.to_owned())])])
    };
    let (plain, test) = (record("staff"), record("TEST"));
    let base = Standing {
        connector: "corp.example",
        kind: ObjectKind::User,
        domain: "corp.example",
        above: &[],
        groups: &[],
        attributes: &plain,
    };
    let check = |standing: Standing<'_>, expected: Option<&str>| {
        let found = pinned.admits(&standing).err().map(ToString::to_string);
        assert_eq!(found.as_deref(), expected);
    };
    let (service, kept) = (guid(0x33), guid(0x11));
    let lab = Some("a filter on the domain lab.corp.example");
    check(base, None);
    check(Standing { above: &[guid(9), service, guid(8)], ..base }, Some("service accounts"));
    check(Standing { above: &[kept, service], ..base }, None);
    check(Standing { above: &[service, kept], ..base }, Some("service accounts"));
    check(Standing { domain: "lab.corp.example", ..base }, lab);
    check(Standing { domain: "lab.corp.example", above: &[kept], ..base }, None);
    check(Standing { attributes: &test, ..base }, Some("a filter on its attributes"));
    let other = Standing { connector: "other.example", ..base };
    let no_pilot = Some("no direct member of 22222222-2222-2222-2222-222222222222");
    check(other, no_pilot);
    check(Standing { groups: &[guid(0x22)], ..other }, None);
    check(Standing { kind: ObjectKind::OrganizationalUnit, ..other }, None);
    check(Standing { kind: ObjectKind::ForeignSecurityPrincipal, ..other }, None);
    check(Standing { kind: ObjectKind::Group, ..other }, no_pilot);
}

#[test]
fn a_filter_says_one_thing_by_a_name_that_can_be_one() {
    let check = |text: &str, expected: &str| {
        let found = errors(&format!("[[filter]]\n{text}"));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].ends_with(expected), "{found:?}");
    };
    let one = "a filter has one of domain, unit, group and where";
    check("reason = \"x\"", one);
    check("domain = \"a.example\"\nunit = \"OU=a,DC=b\"", one);
    check("unit = \"nonsense\"", "is neither a distinguished name nor an objectGUID");
    check("unit = \"OU=a,DC=b\"\nguid = \"5\"", "is no objectGUID");
    check("group = \"CN=a,DC=b\"\ninclude = true", "include goes with domain or unit");
}
