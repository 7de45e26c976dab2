//! Every verb that a person or CI runs: `cargo xtask VERB`.
//!
//! CI calls nothing else, so what is green here is green there.

mod bench;
mod demo;
mod docs;
mod fuzz;
mod lint;
mod npm;
mod python;
mod run;
mod setup;
mod sim;
mod steps;
mod test;
mod tidy;
mod unpacked;
mod workspace;

use std::process::ExitCode;

use steps::Steps;

const HELP: &str = "\
cargo xtask VERB [--skip-install]

  demo [--keep]
          setup, build, then the main road end to end in a lab: a forest, a tenant, a sign-in in a
          browser; --keep leaves the lab up

  setup   install what the lab and the tests need: system packages (apt-get, as root), cargo-nextest
          and cargo-deny, the peers from PyPI and npm, Heimdal in a folder of its own
  test    setup, lint, every test, every fuzz target for 10 s; what CI runs
  lint    formatting, clippy, tidy, licences, documentation
  fuzz [TARGET...] [--seconds N] [--input FILE]
          run the decoders' oracles under libFuzzer, 10 s each unless told; or one input again
  sim [--seeds N] [--from S] [--seed S] [--json]
          simulate synchronisation by seeds, 1,000 unless told; one that breaks a law is made shorter and
          printed, with the command that runs it again
  docs    write the generated reference pages, build the documentation of the code
  bench [NAME...] [--long] [--json] [--list] [--write]
          run the benchmarks: each figure beside its peer's of the same run, and its bar; --long with
          100,000 users too, --json for programs, --write into docs/benchmarks.md

  --skip-install   take the machine as it is
";

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = arguments.len();
    arguments.retain(|argument| argument != "--skip-install");
    let install = arguments.len() == given;
    // A program that reads the figures gets nothing else on standard output.
    let aside = arguments.iter().any(|argument| argument == "--json");
    let mut steps = if aside { Steps::aside() } else { Steps::start() };
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["demo"] => demo::all(&mut steps, install, false),
        ["demo", "--keep"] => demo::all(&mut steps, install, true),
        ["setup"] => setup::all(&mut steps),
        ["lint"] => lint::all(&mut steps),
        ["test"] => test::all(&mut steps, install),
        ["docs"] => docs::all(&mut steps),
        ["fuzz", ref words @ ..] => {
            fuzz::Options::parse(words).and_then(|options| fuzz::all(&mut steps, &options))
        }
        ["sim", ref words @ ..] => sim::all(&mut steps, words),
        ["bench", ref words @ ..] => {
            bench::Options::parse(words).and_then(|options| bench::all(&mut steps, &options))
        }
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("error: no such verb\n\n{HELP}");
            return ExitCode::FAILURE;
        }
    };
    steps.say(&format!("\n{}", steps.summary()));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            eprintln!("error: {failed}");
            ExitCode::FAILURE
        }
    }
}
