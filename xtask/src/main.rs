//! Every verb that a person or CI runs: `cargo xtask VERB`.
//!
//! CI calls nothing else, so what is green here is green there.

mod bench;
mod demo;
mod docs;
mod lint;
mod npm;
mod python;
mod run;
mod setup;
mod steps;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use steps::Steps;

const HELP: &str = "\
cargo xtask VERB [--skip-install]

  demo [--keep]
          setup, build, then the main road end to end in a lab: a forest, a tenant, a sign-in in a
          browser; --keep leaves the lab up

  setup   install what the lab and the tests need: system packages (apt-get, as root), cargo-nextest
          and cargo-deny, the Python peers
  test    setup, lint, every test; what CI runs
  lint    formatting, clippy, tidy, licences, documentation
  docs    write the generated reference pages, build the documentation of the code
  bench [NAME...]
          run the benchmarks: each figure beside its peer's of the same run, and its bar

  --skip-install   take the machine as it is
";

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = arguments.len();
    arguments.retain(|argument| argument != "--skip-install");
    let install = arguments.len() == given;
    let mut steps = Steps::start();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["demo"] => demo::all(&mut steps, install, false),
        ["demo", "--keep"] => demo::all(&mut steps, install, true),
        ["setup"] => setup::all(&mut steps),
        ["lint"] => lint::all(&mut steps),
        ["test"] => test::all(&mut steps, install),
        ["docs"] => docs::all(&mut steps),
        ["bench", ref names @ ..] => bench::all(&mut steps, names),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("error: no such verb\n\n{HELP}");
            return ExitCode::FAILURE;
        }
    };
    print!("\n{}", steps.summary());
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            eprintln!("error: {failed}");
            ExitCode::FAILURE
        }
    }
}
