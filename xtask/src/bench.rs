//! `bench`: runs the benchmarks and shows each figure beside its peer's or limit's of the same run.
//!
//! A benchmark is a file `crates/*/benches/NAME.rs` with a `main` of its own. It prints one line of JSON
//! for each figure it measured (the fields of [`Figure`]) and whatever else it likes. With `--long` it
//! is told so, and measures what takes long too.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::run::{Failed, cargo, on_file, read};
use crate::steps::Steps;
use crate::test::{BINARY, PEERS};
use crate::workspace::{root, target};

/// The page with the figures, to which the README links.
const PAGE: &str = "docs/benchmarks.md";

/// What a person asked for.
#[derive(Debug, PartialEq, Default)]
pub(crate) struct Options<'a> {
    names: Vec<&'a str>,
    long: bool,
    json: bool,
    list: bool,
    write: bool,
}

impl<'a> Options<'a> {
    /// Reads `[NAME...] [--long] [--json] [--list] [--write]`.
    pub(crate) fn parse(arguments: &[&'a str]) -> Result<Self, Failed> {
        let mut options = Self::default();
        for argument in arguments {
            match *argument {
                "--long" => options.long = true,
                "--json" => options.json = true,
                "--list" => options.list = true,
                "--write" => options.write = true,
                option if option.starts_with('-') => {
                    return Err(Failed::new(format!("bench has no option {option}")));
                }
                name => options.names.push(name),
            }
        }
        Ok(options)
    }
}

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

    fn to_json(&self) -> Value {
        let Self { figure, ours, peer, theirs, ratio, bar, spread } = self;
        json!({
            "figure": figure, "ours": ours, "peer": peer, "theirs": theirs, "ratio": ratio,
            "lowest": spread.0, "highest": spread.1, "bar": bar, "met": self.is_met(),
        })
    }
}

/// Runs the benchmarks of these names, or all; a bar that is not met fails.
pub(crate) fn all(steps: &mut Steps, options: &Options<'_>) -> Result<(), Failed> {
    let known = known()?;
    if options.list {
        known.iter().for_each(|(package, bench)| println!("{bench:<12} {package}"));
        return Ok(());
    }
    let names = &options.names;
    let is_known = |name: &str| known.iter().any(|(_, bench)| bench == name);
    if let Some(name) = names.iter().find(|name| !is_known(name)) {
        let list: Vec<_> = known.iter().map(|(_, bench)| bench.as_str()).collect();
        let hint = format!("the benchmarks are: {}", list.join(", "));
        return Err(Failed::new(format!("no benchmark is called {name:?}\n  hint: {hint}")));
    }
    steps.step("the binary, as it is released", || {
        read(&mut cargo(&["build", "--release", "--locked", "--package", "portolan"])).map(drop)
    })?;
    let mut figures = Vec::new();
    for (package, bench) in &known {
        if names.is_empty() || names.contains(&bench.as_str()) {
            figures.extend(steps.step(bench, || run(package, bench, options.long))?);
        }
    }
    if options.json {
        println!("{}", Value::from_iter(figures.iter().map(Figure::to_json)));
    } else {
        print!("\n{}{}", HEAD, rows(&figures));
    }
    if options.write {
        write(&figures)?;
    }
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

/// Runs one benchmark; those that drive the binary find it as the tests do.
fn run(package: &str, bench: &str, long: bool) -> Result<Vec<Figure>, Failed> {
    let target = target()?;
    let mut command = cargo(&["bench", "--locked", "--package", package, "--bench", bench]);
    command.env(BINARY, target.join("release/portolan"));
    command.env(PEERS, target.join("peers/bin/python3"));
    if long {
        command.args(["--", "--long"]);
    }
    let said = read(&mut command)?;
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

/// The head of the figures' Markdown table.
const HEAD: &str = "\
| figure | ours | peer or limit | theirs | ratio | spread | bar | met |
|---|---|---|---|---|---|---|---|
";

/// The figures as rows of that table.
fn rows(figures: &[Figure]) -> String {
    let mut text = String::new();
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

/// What stands above the table on its page.
const INTRODUCTION: &str = "\
<!-- Written by `cargo xtask bench --write`. -->
# Benchmarks

Ours beside a peer's figure of the same run, or a limit. Each is the median of seven interleaved rounds
(of three for memory, of three or five for a synchronisation, of which the first may have to read from the disk;
what takes minutes is measured once), its ratio the median of the rounds' ratios, the spread the lowest and the
highest of them. A ratio above 1 is better than the peer, whichever way the unit counts; the bar is the ratio to
be reached. `cargo xtask bench` measures anew, `--long` with 100,000 users too.

`ldapsearch` asks for the same base, filter and attributes over a connection sealed alike, in one piece, in
pages, and with the extended names that connect asks for; the fastest of these counts, and its own output
is thrown away. Samba's replication client is the one of its Python bindings over its C library.

";

/// Writes the page. Figures that were not measured now stay as they were.
fn write(figures: &[Figure]) -> Result<(), Failed> {
    let path = root().join(PAGE);
    let before = fs::read_to_string(&path).unwrap_or_default();
    let machine = machine(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default());
    let page = format!("{INTRODUCTION}{HEAD}{}\n{machine}\n", merge(&before, figures));
    on_file("write", Path::new(PAGE), fs::write(&path, page))
}

/// The page's rows, with those replaced that were measured now, and the new ones behind.
fn merge(before: &str, figures: &[Figure]) -> String {
    let name_of = |row: &str| row.split('|').nth(1).map(|cell| cell.trim().to_owned());
    let old = before.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let old: Vec<_> = old.take_while(|line| line.starts_with('|')).collect();
    let is_old = |figure: &&Figure| {
        old.iter().any(|row| name_of(row).is_some_and(|name| name == figure.figure))
    };
    let mut text = String::new();
    for row in &old {
        let name = name_of(row).unwrap_or_default();
        match figures.iter().find(|figure| figure.figure == name) {
            Some(figure) => text.push_str(&rows(std::slice::from_ref(figure))),
            None => text.push_str(&format!("{row}\n")),
        }
    }
    figures
        .iter()
        .filter(|figure| !is_old(figure))
        .for_each(|figure| text.push_str(&rows(std::slice::from_ref(figure))));
    text
}

/// The machine of the last figures, from the kernel's account of its processors.
fn machine(cpuinfo: &str) -> String {
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
    let model =
        model.and_then(|rest| rest.split_once(':')).map_or("unknown", |(_, name)| name.trim());
    let count = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    format!("The latest were measured on {count} processors of the kind {model}.")
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
        assert_eq!(missed.to_json()["met"], false);
        let text = rows(&[figure(LINE).unwrap(), missed]);
        let rows: Vec<_> = text.lines().collect();
        assert_eq!(rows[0], "| a, µs | 10.5 | b | 10.0 | 0.95 | 0.90-1.00 | 0.90 | yes |");
        assert!(rows[1].ends_with("| 1.00 | NO |"));
    }

    #[test]
    fn figures_that_were_not_measured_stay_on_the_page() {
        let page = format!("text\n\n{HEAD}| old | 1.0 |\n| a, µs | 9.0 |\n\n| no row |\n");
        let mut new = figure(LINE).unwrap();
        new.figure = "new".to_owned();
        let text = merge(&page, &[new, figure(LINE).unwrap()]);
        let names: Vec<_> = text.lines().map(|row| row.split('|').nth(1).unwrap().trim()).collect();
        assert_eq!(names, ["old", "a, µs", "new"]);
        assert!(!text.contains("9.0"));
        assert_eq!(merge("", &[figure(LINE).unwrap()]).lines().count(), 1);
    }

    #[test]
    fn options_are_read_and_wrong_ones_refused() {
        let options = Options::parse(&["pph1", "--long", "--json"]).unwrap();
        assert_eq!(options.names, ["pph1"]);
        assert!(options.long && options.json && !options.write && !options.list);
        assert!(Options::parse(&["--quick"]).is_err());
    }

    #[test]
    fn the_machine_is_named() {
        let cpuinfo =
            "processor\t: 0\nmodel name\t: Fast 9\nprocessor\t: 1\nmodel name\t: Fast 9\n";
        assert!(machine(cpuinfo).ends_with("2 processors of the kind Fast 9."));
    }
}
