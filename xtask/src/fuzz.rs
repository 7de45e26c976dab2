//! `fuzz`: runs the oracles of `crates/oracles` under libFuzzer, on the stable toolchain.
//!
//! All targets are one binary, so that one build and one link serve them all. Coverage is LLVM's own
//! pass, which stable rustc runs; without a sanitizer, which is not needed where `unsafe` is forbidden.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

use crate::run::{Failed, cargo, on_file, read, run};
use crate::steps::Steps;
use crate::workspace::{root, target};

/// How long CI runs each target.
pub(crate) const SECONDS: u32 = 10;

/// The oracles' seeds: one folder a target.
const CORPUS: &str = "crates/oracles/corpus";
/// Names the variable in which the binary finds its target.
const TARGET: &str = "PORTOLAN_FUZZ_TARGET";

/// What makes rustc count edges and comparisons where libFuzzer looks for them. These flags are
/// stable; `cargo fuzz` passes the same.
const COVERAGE: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
];

/// Octets of an input, memory in MiB, and seconds for one input: what is above is a finding.
const OCTETS_MAX: u32 = 65_536;
const MEMORY_MIB_MAX: u32 = 1_024;
const INPUT_SECONDS_MAX: u32 = 5;

/// What a person asked for.
#[derive(Debug, PartialEq)]
pub(crate) struct Options<'a> {
    targets: Vec<&'a str>,
    seconds: u32,
    /// One input to run again, instead of looking for others.
    input: Option<&'a Path>,
}

impl<'a> Options<'a> {
    /// Reads `[TARGET...] [--seconds N] [--input FILE]`.
    pub(crate) fn parse(arguments: &[&'a str]) -> Result<Self, Failed> {
        let mut options = Self { targets: Vec::new(), seconds: SECONDS, input: None };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || {
                let missing = || Failed::new(format!("{argument} is given without its value"));
                arguments.next().ok_or_else(missing)
            };
            match *argument {
                "--seconds" => {
                    let seconds = value()?.parse().ok().filter(|seconds| *seconds > 0);
                    let wrong = || Failed::new("--seconds takes a number above 0");
                    options.seconds = seconds.ok_or_else(wrong)?;
                }
                "--input" => options.input = Some(Path::new(*value()?)),
                option if option.starts_with('-') => {
                    return Err(Failed::new(format!("fuzz has no option {option}")));
                }
                target => options.targets.push(target),
            }
        }
        if options.input.is_some() && options.targets.len() != 1 {
            return Err(Failed::new("--input needs the one target that it is for"));
        }
        Ok(options)
    }

    /// Every target for as long as CI runs it.
    pub(crate) const fn of_ci() -> Self {
        Self { targets: Vec::new(), seconds: SECONDS, input: None }
    }
}

/// Builds the fuzzer and runs targets of it.
pub(crate) fn all(steps: &mut Steps, options: &Options<'_>) -> Result<(), Failed> {
    let chosen = chosen(known()?, &options.targets)?;
    let folder = target()?.join("fuzz");
    let fuzzer = steps.step("the fuzzer", || build(&folder))?;
    if let (Some(input), [target]) = (options.input, chosen.as_slice()) {
        let input = on_file("find", input, input.canonicalize())?;
        return steps.step(target, || run(fuzz(&fuzzer, target).arg(input)));
    }
    let name = format!("{} fuzz targets, {} s each", chosen.len(), options.seconds);
    steps.step(&name, || run_all(&fuzzer, &folder, &chosen, options.seconds))
}

/// The targets, each by the folder of its seeds.
fn known() -> Result<Vec<String>, Failed> {
    let corpus = root().join(CORPUS);
    let entries = on_file("read", &corpus, fs::read_dir(&corpus))?;
    let names = entries.map(|entry| entry.map(|e| e.file_name().to_string_lossy().into_owned()));
    let mut names = on_file("read", &corpus, names.collect::<Result<Vec<_>, _>>())?;
    names.sort();
    Ok(names)
}

fn chosen(known: Vec<String>, names: &[&str]) -> Result<Vec<String>, Failed> {
    if let Some(name) = names.iter().find(|name| !known.iter().any(|target| target == *name)) {
        let hint = format!("the targets are: {}", known.join(", "));
        return Err(Failed::new(format!("no fuzz target is called {name:?}\n  hint: {hint}")));
    }
    let wanted = |target: &String| names.is_empty() || names.contains(&target.as_str());
    Ok(known.into_iter().filter(wanted).collect())
}

/// Builds the binary, for the machine's own kind by name: flags then do not reach build scripts.
fn build(folder: &Path) -> Result<PathBuf, Failed> {
    let host = read(Command::new("rustc").args(["--print", "host-tuple"]).current_dir(root()))?;
    let host = host.trim();
    let what = ["build", "--locked", "--package", "portolan-oracles", "--features", "engine"];
    let how = ["--bin", "fuzz", "--profile", "fuzz", "--target", host, "--target-dir"];
    let mut command = cargo(&what);
    command.args(how).arg(folder).env("RUSTFLAGS", COVERAGE.join(" "));
    run(&mut command)?;
    Ok(folder.join(host).join("fuzz/fuzz"))
}

fn fuzz(fuzzer: &Path, target: &str) -> Command {
    let mut command = Command::new(fuzzer);
    command.current_dir(root()).env(TARGET, target);
    command.arg(format!("-timeout={INPUT_SECONDS_MAX}"));
    command.arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"));
    command
}

/// Runs the targets, as many at a time as there are processors.
fn run_all(fuzzer: &Path, folder: &Path, targets: &[String], seconds: u32) -> Result<(), Failed> {
    let queue = Mutex::new(targets.iter());
    let outcomes = Mutex::new(BTreeMap::new());
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(target) = queue.lock().ok().and_then(|mut queue| queue.next()) {
                    let outcome = run_one(fuzzer, folder, target, seconds);
                    match &outcome {
                        Ok(counts) => println!("{target:<18} {counts}"),
                        Err(failed) => println!("{target:<18} FAILED: {failed}"),
                    }
                    if let Ok(mut outcomes) = outcomes.lock() {
                        outcomes.insert(target.as_str(), outcome.is_ok());
                    }
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap_or_default();
    let failed: Vec<_> =
        targets.iter().filter(|target| outcomes.get(target.as_str()) != Some(&true)).collect();
    match failed.as_slice() {
        [] => Ok(()),
        _ => Err(Failed::new(format!("{} fuzz targets failed: {failed:?}", failed.len()))),
    }
}

/// Runs one target for a while, from what earlier runs found and the seeds.
fn run_one(fuzzer: &Path, folder: &Path, target: &str, seconds: u32) -> Result<Counts, Failed> {
    let found = folder.join("corpus").join(target);
    let findings = folder.join("findings").join(target);
    for path in [&found, &findings] {
        on_file("make", path, fs::create_dir_all(path))?;
    }
    let mut command = fuzz(fuzzer, target);
    command.arg(format!("-max_total_time={seconds}")).arg(format!("-max_len={OCTETS_MAX}"));
    command.arg(format!("-artifact_prefix={}/", findings.display()));
    command.args(["-print_final_stats=1", "-use_value_profile=1"]);
    command.arg(found).arg(root().join(CORPUS).join(target));
    let output = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).output();
    let output = on_file("start", fuzzer, output)?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        return Ok(Counts::of(&said));
    }
    Err(Failed::new(finding(target, &said)))
}

/// What a person needs of a failed run: why, the input, and how to run it again.
fn finding(target: &str, said: &str) -> String {
    let is_why =
        |line: &&str| ["panicked at", "ERROR:", "error:"].iter().any(|word| line.contains(word));
    let mut text = String::new();
    let mut lines = said.lines().peekable();
    while let Some(line) = lines.next() {
        if is_why(&line) {
            // A panic's message is on the line behind its place.
            let more = line.contains("panicked at").then(|| lines.next()).flatten();
            text.push_str(&format!("{line} {}\n  ", more.unwrap_or_default()));
        }
    }
    if text.is_empty() {
        text.push_str(said.lines().last().unwrap_or("it said nothing"));
    }
    let written = said.lines().find_map(|line| line.split("Test unit written to ").nth(1));
    match written {
        Some(path) => format!(
            "{}\n  input: {path}\n  again: cargo xtask fuzz {target} --input {path}\n  \
             hint: once mended, keep the input in {CORPUS}/{target}",
            text.trim_end()
        ),
        None => text,
    }
}

/// How much a run did.
#[derive(Debug, PartialEq)]
struct Counts {
    executions: u64,
    edges: u64,
}

impl Counts {
    /// From what libFuzzer says at the end of a run.
    fn of(said: &str) -> Self {
        let number = |text: Option<&str>| text.and_then(|text| text.trim().parse().ok());
        let executions = said
            .lines()
            .find_map(|line| number(line.strip_prefix("stat::number_of_executed_units:")));
        let edges = said.lines().rev().find_map(|line| {
            number(line.split(" cov: ").nth(1).and_then(|rest| rest.split(' ').next()))
        });
        Self { executions: executions.unwrap_or(0), edges: edges.unwrap_or(0) }
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:>9} inputs, {:>5} edges reached", self.executions, self.edges)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "INFO: seed corpus: files: 3\n\
        #3\tINITED cov: 41 ft: 42 corp: 3/30b exec/s: 0 rss: 30Mb\n\
        #900\tDONE   cov: 57 ft: 80 corp: 9/60b lim: 65536 exec/s: 90 rss: 31Mb\n\
        stat::number_of_executed_units: 900\nstat::average_exec_per_sec: 90\n";

    #[test]
    fn a_run_s_executions_and_edges_are_read() {
        assert_eq!(Counts::of(SAID), Counts { executions: 900, edges: 57 });
        assert_eq!(Counts::of(""), Counts { executions: 0, edges: 0 });
    }

    #[test]
    fn a_finding_names_its_cause_its_input_and_the_command() {
        let said = "thread '<unnamed>' (7) panicked at crates/a.rs:1:2:\nrange end index 9\n\
            ==1== ERROR: libFuzzer: deadly signal\nartifact_prefix='/f/'; Test unit written to /f/crash-1\n";
        let text = finding("ldap_ber", said);
        assert!(text.contains("crates/a.rs:1:2: range end index 9\n"), "{text}");
        assert!(text.contains("again: cargo xtask fuzz ldap_ber --input /f/crash-1\n"), "{text}");
        assert_eq!(finding("ldap_ber", "killed"), "killed");
    }

    #[test]
    fn options_are_read_and_wrong_ones_refused() {
        let options = Options::parse(&["ldap_ber", "--seconds", "60"]).unwrap();
        assert_eq!(options, Options { targets: vec!["ldap_ber"], seconds: 60, input: None });
        let again = Options::parse(&["ldap_ber", "--input", "a"]).unwrap();
        assert_eq!(again.input, Some(Path::new("a")));
        for wrong in [
            &["--seconds"][..],
            &["--seconds", "0"],
            &["--seconds", "x"],
            &["--fast"],
            &["--input", "a"],
        ] {
            assert!(Options::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_target_is_chosen_by_its_name() {
        let known = || vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(chosen(known(), &[]).unwrap(), known());
        assert_eq!(chosen(known(), &["b"]).unwrap(), ["b"]);
        assert!(chosen(known(), &["c"]).unwrap_err().to_string().contains("the targets are: a, b"));
    }
}
