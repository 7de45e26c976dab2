//! The most memory that connect has resident while it imports (VmHWM), against its limit; with
//! `--long` of 100,000 users, also against that of 10,000.

use std::path::Path;

use portolan_testsuite::RoadError;
use portolan_testsuite::measure::{Better, BulkForest, Comparison, Peer, median};

/// The most memory that may be resident, in MiB.
const PEAK_MIB_MAX: f64 = 256.0;
/// How much more ten times the users may take.
const GROWTH_MAX: f64 = 1.5;
/// Imports of a forest: memory differs little between them.
const IMPORTS: usize = 3;

fn main() -> Result<(), RoadError> {
    let few = measure(10_000)?;
    if std::env::args().any(|argument| argument == "--long") {
        let many = measure(100_000)?;
        let allowed = vec![GROWTH_MAX * median(&few); IMPORTS];
        let allowed = Peer::measured("1.5 × that of 10000", allowed);
        let figure = "peak memory importing 100000 users beside 10000, MiB".to_owned();
        let comparison = Comparison { figure, better: Better::Lower, bar: 1.0 };
        comparison.figure(&many, &[allowed]).print();
    }
    Ok(())
}

/// The peaks of some imports, in MiB.
fn measure(users: u32) -> Result<Vec<f64>, RoadError> {
    let forest = BulkForest::up("bench-memory", users, Path::new(env!("CARGO_TARGET_TMPDIR")))?;
    let road = forest.road()?;
    let peaks = (0..IMPORTS).map(|_| Ok(forest.import(&road)?.peak_mib()));
    let peaks = peaks.collect::<Result<Vec<_>, RoadError>>()?;
    let figure = format!("peak memory importing {users} users, MiB");
    let limit = [Peer::limit(PEAK_MIB_MAX, IMPORTS)];
    Comparison { figure, better: Better::Lower, bar: 1.0 }.figure(&peaks, &limit).print();
    Ok(peaks)
}
