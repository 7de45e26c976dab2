//! The flowcharts of the editions, read by Mermaid itself, and one of them drawn.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use portolan_chart::Chart;
use portolan_testsuite::Tools;
use serde_json::{Value, json};

/// The edition that is drawn as well: the largest.
const DRAWN: &str = "2025-04-09";

/// What Mermaid makes of these texts.
fn read(diagrams: &BTreeMap<String, String>) -> Value {
    let tools = Tools::from_environment().unwrap();
    let mermaid = tools.npm.join("node_modules/mermaid/dist/mermaid.min.js");
    let mut command = Command::new(&tools.python);
    command.arg(tools.scripts.join("mermaid_reader.py"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut reader = command.spawn().unwrap();
    let question = json!({"mermaid": mermaid, "diagrams": diagrams, "draw": [DRAWN]});
    serde_json::to_writer(reader.stdin.take().unwrap(), &question).unwrap();
    let output = reader.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What the program writes of an edition.
fn flowchart(edition: &str) -> String {
    let portolan = Tools::from_environment().unwrap().portolan;
    let mut command = Command::new(portolan);
    command.args(["chart", "diagram", "--format", "mermaid", "--edition", edition]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn mermaid_reads_every_row_of_every_edition_and_refuses_what_is_broken() {
    let editions = Chart::editions().iter().map(|edition| edition.id.clone());
    let mut diagrams: BTreeMap<_, _> = editions.map(|id| (id.clone(), flowchart(&id))).collect();
    let good = diagrams[DRAWN].clone();
    diagrams.insert("no arrow".to_owned(), good.replacen("-->", "-~>", 1));
    diagrams.insert("no end".to_owned(), good.replacen("  end\n", "", 1));
    let answers = read(&diagrams);

    for broken in ["no arrow", "no end"] {
        let error = answers[broken]["error"].as_str().unwrap();
        assert!(error.contains("Parse error"), "{broken}: {error}");
    }
    for edition in Chart::editions() {
        let answer = &answers[&edition.id];
        assert_eq!(answer["type"], "flowchart-v2", "{}: {answer:#}", edition.id);
        let links: Vec<&str> =
            answer["links"].as_array().unwrap().iter().map(|it| it[2].as_str().unwrap()).collect();
        let drawn = answer["drawn"].as_str().unwrap();
        let chart = Chart::edition(&edition.id).unwrap();
        for row in chart.all() {
            let label = format!("{} {}", row.protocol, row.ports_text());
            assert!(links.iter().any(|text| text.contains(&label)), "{}: {label}", edition.id);
            let is_drawn = drawn.contains(&label) || edition.id != DRAWN;
            assert!(is_drawn, "{}: {label} is not drawn", edition.id);
        }
    }
}
