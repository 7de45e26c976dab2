//! What is written is read back, by us and by a foreign reader.

use std::process::Command;

use portolan_sync::ObjectKind;
use portolan_sync::lint::Rule;

use super::*;

const NASTY: [&str; 14] = [
    "=1+1",
    "+49 30",
    "-x",
    "@SUM(A1)",
    "'quoted",
    "a,b;\"c\"",
    "line\nline\r\nline",
    "\tx",
    "00777",
    "1e5",
    "＝1",
    " Żółć \u{200b}",
    "",
    "plain",
];

fn finding(value: &str, proposal: Option<&str>) -> Finding {
    Finding {
        rule: Rule::Character,
        dn: "CN=a\\, b,DC=x".to_owned(),
        guid: Guid::from_bytes_le([3; 16]),
        kind: ObjectKind::User,
        attribute: Some(Attribute::DisplayName),
        value: value.to_owned(),
        proposal: proposal.map(str::to_owned),
        why: String::new(),
    }
}

#[test]
fn every_cell_returns_and_none_is_carried_out() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sheet.csv");
    let mut sheet = Writing::begin(&path).unwrap();
    for value in NASTY {
        sheet.put(&[finding(value, Some("next"))]).unwrap();
    }
    sheet.finish().unwrap();
    // A foreign reader sees cells that begin with nothing a spreadsheet acts on, and accepts each row.
    let script = "import csv, json, sys\n\
                  rows = list(csv.DictReader(open(sys.argv[1], newline='', encoding='utf-8')))\n\
                  assert all(not c.startswith(tuple('=+-@\\t\\r\\n')) for r in rows for c in r.values())\n\
                  out = csv.DictWriter(open(sys.argv[2], 'w', newline='', encoding='utf-8-sig'), rows[0].keys(), delimiter=';')\n\
                  out.writeheader()\n\
                  out.writerows({**row, 'action': 'EDIT'} for row in rows)\n\
                  print(json.dumps([row['old_value'] for row in rows]))\n";
    let edited = directory.path().join("edited.csv");
    let output = Command::new("python3").args(["-c", script]).arg(&path).arg(&edited).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let cells: Vec<String> = serde_json::from_slice(&output.stdout).unwrap();
    let plain: Vec<_> = cells.iter().map(|cell| unguarded(cell)).collect();
    assert_eq!(plain, NASTY);
    let changes = read(&edited).unwrap();
    let old: Vec<_> =
        changes.iter().map(|change| change.delete.clone().unwrap_or_default()).collect();
    assert_eq!(old, NASTY);
    assert!(changes.iter().all(|change| change.add.as_deref() == Some("next")));
}

#[test]
fn a_value_that_breaks_several_rules_has_one_row_and_no_action_asks_for_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sheet.csv");
    let mut sheet = Writing::begin(&path).unwrap();
    let other = Finding { rule: Rule::WhiteSpace, ..finding("a", Some("b")) };
    let of_object = Finding { rule: Rule::LeftOut, attribute: None, ..finding("", None) };
    sheet.put(&[finding("a", None), other, of_object]).unwrap();
    sheet.finish().unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let guid = Guid::from_bytes_le([3; 16]);
    assert_eq!(
        text,
        format!(
            "rule,dn,objectGUID,attribute,old_value,proposed_value,action\r\n\
             left-out,\"CN=a\\, b,DC=x\",{guid},,,,\r\n\
             character white-space,\"CN=a\\, b,DC=x\",{guid},displayName,a,b,\r\n"
        )
    );
    assert_eq!(read(&path).unwrap(), []);
}

#[test]
fn all_that_is_wrong_with_a_sheet_is_said_and_then_nothing_counts() {
    let guid = Guid::from_bytes_le([3; 16]);
    let rows = [
        format!("x,CN=a,{guid},mail,a,b,replace"),
        format!("x,CN=a,{guid},mail,a,c,replace"),
        format!("x,CN=a,{guid},unicodePwd,a,b,replace"),
        format!("x,CN=a,{guid},mail,a,,replace"),
        format!("x,CN=a,{guid},mail,,b,remove"),
        format!("x,CN=a,{guid},mail,b,b,replace"),
        format!("x,CN=a,{guid},mail,b,c,perhaps"),
        "x,CN=a,nobody,mail,b,c,replace".to_owned(),
        format!("x,CN=a,{guid},mail,d,e,keep"),
    ];
    let text = format!("{}\r\n{}\r\n", COLUMNS.join(","), rows.join("\r\n"));
    let problems = parse(&text).unwrap_err();
    let rows: Vec<_> = problems.iter().filter_map(|text| text.split(':').next()).collect();
    assert_eq!(rows, ["row 3", "row 4", "row 5", "row 6", "row 7", "row 8", "row 9"]);
    assert_eq!(parse("rule,dn\r\n").unwrap_err(), ["it has no column objectGUID"]);
}
