//! Runs seeds: `cargo xtask sim [--seeds N] [--from S] [--seed S] [--json]`.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use portolan_app::report::Failure;
use portolan_sim::check::Violation;
use portolan_sim::open::is_open;
use portolan_sim::setting::{GRAPH, JOINS, LATER, WIDE};
use portolan_sim::shrink::shrink;
use portolan_sim::step::steps;
use portolan_sim::world::{Ran, Template};

/// Seeds that are run unless it is told otherwise.
const SEEDS: u64 = 1_000;

/// What it is told.
#[derive(Debug, Clone, Copy)]
struct Options {
    /// One seed, and no other.
    one: Option<u64>,
    /// The first of those that follow each other; without, all sorts are run in turn.
    from: Option<u64>,
    /// How many.
    count: u64,
    json: bool,
}

impl Options {
    /// The seed of a run: in turn one of the first ones, one of those that draw what they are made of, one
    /// with all steps, one whose target is a Graph, and one in which people have objects in two forests.
    fn seed(self, number: u64) -> u64 {
        const SORTS: [u64; 5] = [0, WIDE, LATER, GRAPH, JOINS];
        let first = SORTS[(number % SORTS.len() as u64) as usize];
        let next = self.from.map(|from| from + number);
        self.one.or(next).unwrap_or(first + number / SORTS.len() as u64)
    }
}

/// A seed that broke a law.
struct Failed {
    seed: u64,
    violation: Violation,
    ran: Ran,
}

/// What all threads came to.
#[derive(Default)]
struct Totals {
    seeds: AtomicU64,
    cycles: AtomicU64,
    failed: Mutex<Vec<Failed>>,
    broken: Mutex<Vec<String>>,
}

fn main() -> ExitCode {
    let Some(options) = options() else {
        eprintln!("error: --seeds N, --from S, --seed S and --json are understood");
        return ExitCode::FAILURE;
    };
    let totals = Totals::default();
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                if let Err(failure) = work(options, &next, &totals) {
                    let mut broken = totals.broken.lock().unwrap_or_else(PoisonError::into_inner);
                    broken.push(failure.render());
                }
            });
        }
    });
    report(options, &totals)
}

fn options() -> Option<Options> {
    let mut options = Options { one: None, from: None, count: SEEDS, json: false };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--json" => options.json = true,
            "--seeds" => options.count = words.next()?.parse().ok()?,
            "--from" => options.from = Some(words.next()?.parse().ok()?),
            "--seed" => {
                options.one = Some(words.next()?.parse().ok()?);
                options.count = 1;
            }
            _ => return None,
        }
    }
    Some(options)
}

/// One thread: seeds, until none is left.
fn work(options: Options, next: &AtomicU64, totals: &Totals) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|error| Failure::because("cannot begin", &error))?;
    runtime.block_on(async {
        let template = Template::make().await?;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= options.count {
                return Ok(());
            }
            let seed = options.seed(number);
            let steps = steps(seed);
            let ran = template.run(seed, &steps, None).await?;
            totals.seeds.fetch_add(1, Ordering::Relaxed);
            totals.cycles.fetch_add(ran.cycles as u64, Ordering::Relaxed);
            let Some(violation) = ran.violation.clone() else { continue };
            let (_, ran) = shrink(&template, seed, steps, None, violation.law).await?;
            let mut failed = totals.failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.push(Failed { seed, violation, ran });
        }
    })
}

fn report(options: Options, totals: &Totals) -> ExitCode {
    let (seeds, cycles) =
        (totals.seeds.load(Ordering::Relaxed), totals.cycles.load(Ordering::Relaxed));
    let mut failed = totals.failed.lock().unwrap_or_else(PoisonError::into_inner);
    failed.sort_by_key(|failed| failed.seed);
    let broken = totals.broken.lock().unwrap_or_else(PoisonError::into_inner);
    for failure in &*broken {
        eprint!("{failure}");
    }
    let known = failed.iter().filter(|failed| is_open(failed.seed)).count();
    if options.json {
        let failures: Vec<_> = failed
            .iter()
            .map(|failed| {
                serde_json::json!({
                    "seed": failed.seed,
                    "law": format!("{:?}", failed.violation.law),
                    "how": failed.violation.how,
                    "trace": failed.ran.trace,
                    "known": is_open(failed.seed),
                })
            })
            .collect();
        let all = serde_json::json!({"seeds": seeds, "cycles": cycles, "failures": failures});
        println!("{all}");
    } else {
        for Failed { seed, violation, ran } in &*failed {
            let known = if is_open(*seed) { " (known, and not mended yet)" } else { "" };
            println!("seed {seed}: {violation}{known}");
            println!("  made shorter:");
            for line in &ran.trace {
                println!("  {line}");
            }
            if let Some(violation) = &ran.violation {
                println!("  {violation}");
            }
            println!("  again: cargo xtask sim --seed {seed}\n");
        }
        println!(
            "{seeds} seeds, {cycles} cycles: {} broke a law, {known} of them known",
            failed.len()
        );
    }
    // Who asks for one seed alone is told what it does.
    let is_well = failed.is_empty() || options.one.is_none() && known == failed.len();
    if is_well && broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
