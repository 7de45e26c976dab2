//! `bench`: runs the benchmarks and shows each figure beside its peer's or limit's of the same run.
//!
//! A benchmark is a file `crates/*/benches/NAME.rs` with a `main` of its own. It prints one line of JSON
//! for each figure it measured (the fields of [`Figure`]) and whatever else it likes.

use std::fmt::Write as _;
use std::fs;

use serde_json::Value;

use crate::run::{Failed, cargo, on_file, read};
use crate::steps::Steps;
use crate::workspace::root;

/// One measured figure.
#[derive(Debug, PartialEq)]
struct Figure {
    /// What was measured, and its unit.
    figure: String,
    /// Ours.
    ours: f64,
    /// Who or what it is held against.
    peer: String,
    /// The peer's, in the same unit.
    theirs: f64,
    /// How much better ours is: above 1 is better, whichever way the unit counts.
    ratio: f64,
    /// The ratio that is to be reached.
    bar: f64,
    /// The spread of the ratio over the pairs: lowest and highest.
    spread: (f64, f64),
}

impl Figure {
    fn is_met(&self) -> bool {
        self.ratio >= self.bar
    }
}

/// Runs the benchmarks of these names, or all; a bar that is not met fails.
pub(crate) fn all(steps: &mut Steps, names: &[&str]) -> Result<(), Failed> {
    let known = known()?;
    let is_known = |name: &str| known.iter().any(|(_, bench)| bench == name);
    if let Some(name) = names.iter().find(|name| !is_known(name)) {
        let list: Vec<_> = known.iter().map(|(_, bench)| bench.as_str()).collect();
        let hint = format!("the benchmarks are: {}", list.join(", "));
        return Err(Failed::new(format!("no benchmark is called {name:?}\n  hint: {hint}")));
    }
    let mut figures = Vec::new();
    for (package, bench) in &known {
        if names.is_empty() || names.contains(&bench.as_str()) {
            figures.extend(steps.step(bench, || run(package, bench))?);
        }
    }
    print!("\n{}", table(&figures));
    match figures.iter().filter(|figure| !figure.is_met()).count() {
        0 => Ok(()),
        missed => Err(Failed::new(format!("{missed} of {} bars are not met", figures.len()))),
    }
}

/// Every benchmark with its crate's package, in order.
fn known() -> Result<Vec<(String, String)>, Failed> {
    let crates = root().join("crates");
    let mut found = Vec::new();
    for entry in on_file("read", &crates, fs::read_dir(&crates))? {
        let entry = on_file("read", &crates, entry)?;
        let Ok(benches) = fs::read_dir(entry.path().join("benches")) else { continue };
        for bench in benches.filter_map(Result::ok) {
            if let Some(name) = bench.file_name().to_string_lossy().strip_suffix(".rs") {
                let package = format!("portolan-{}", entry.file_name().to_string_lossy());
                found.push((package, name.to_owned()));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn run(package: &str, bench: &str) -> Result<Vec<Figure>, Failed> {
    let said = read(&mut cargo(&["bench", "--locked", "--package", package, "--bench", bench]))?;
    let figures = figures(&said)?;
    if figures.is_empty() {
        return Err(Failed::new(format!("the benchmark {bench} gave no figure")));
    }
    Ok(figures)
}

/// The figures in what a benchmark printed.
fn figures(said: &str) -> Result<Vec<Figure>, Failed> {
    let lines = said.lines().filter(|line| line.starts_with('{'));
    lines
        .map(|line| {
            figure(line)
                .ok_or_else(|| Failed::new(format!("a benchmark printed no figure: {line}")))
        })
        .collect()
}

fn figure(line: &str) -> Option<Figure> {
    let fields: Value = serde_json::from_str(line).ok()?;
    let number = |name| fields.get(name)?.as_f64();
    let text = |name| Some(fields.get(name)?.as_str()?.to_owned());
    Some(Figure {
        figure: text("figure")?,
        ours: number("ours")?,
        peer: text("peer")?,
        theirs: number("theirs")?,
        ratio: number("ratio")?,
        bar: number("bar")?,
        spread: (number("lowest")?, number("highest")?),
    })
}

/// The figures as a Markdown table.
fn table(figures: &[Figure]) -> String {
    let mut text = String::from(
        "| figure | ours | peer | theirs | ratio | spread | bar | met |\n|---|---|---|---|---|---|---|---|\n",
    );
    for figure in figures {
        let Figure { figure: name, ours, peer, theirs, ratio, bar, spread } = figure;
        let met = if figure.is_met() { "yes" } else { "NO" };
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "| {name} | {ours:.1} | {peer} | {theirs:.1} | {ratio:.2} | {:.2}-{:.2} | {bar:.2} | {met} |",
            spread.0, spread.1
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"figure":"a, µs","ours":10.5,"peer":"b","theirs":10.0,"ratio":0.95,"lowest":0.9,"highest":1.0,"bar":0.9}"#;

    #[test]
    fn figures_are_read_from_among_other_lines() {
        let figures = figures(&format!("warming up\n{LINE}\n\n{LINE}\n")).unwrap();
        assert_eq!(figures.len(), 2);
        assert!(figures[0].is_met());
        assert_eq!(figures[0].spread, (0.9, 1.0));
    }

    #[test]
    fn a_figure_without_a_field_is_refused() {
        assert!(figures("{\"figure\":\"a\"}").is_err());
        assert!(figures("{").is_err());
    }

    #[test]
    fn the_table_says_which_bar_is_missed() {
        let mut missed = figure(LINE).unwrap();
        missed.bar = 1.0;
        let text = table(&[figure(LINE).unwrap(), missed]);
        let rows: Vec<_> = text.lines().skip(2).collect();
        assert_eq!(rows[0], "| a, µs | 10.5 | b | 10.0 | 0.95 | 0.90-1.00 | 0.90 | yes |");
        assert!(rows[1].ends_with("| 1.00 | NO |"));
    }
}
