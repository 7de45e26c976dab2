//! A full import over sealed LDAP into the connector space on disk, against `ldapsearch` reading the
//! same attributes of the same objects, sealed alike.
//!
//! Connect asks for extended names, which cost the directory more: `ldapsearch` reads with them and
//! without, and the fastest way counts.
//!
//! Authentication counts on neither side: ours begins when connect says that it is bound; from
//! `ldapsearch`'s time that of the same command reading the root DSE is subtracted.

use std::cell::RefCell;
use std::path::Path;

use portolan_testsuite::RoadError;
use portolan_testsuite::measure::{Better, BulkForest, Comparison, Manner, PAIRS, Peer, rounds};

/// The most time on processors that an object may take, in microseconds.
const OBJECT_CPU_MAX: f64 = 60.0;

fn main() -> Result<(), RoadError> {
    measure(10_000, PAIRS)?;
    if std::env::args().any(|argument| argument == "--long") {
        measure(100_000, PAIRS)?;
    }
    Ok(())
}

fn measure(users: u32, count: usize) -> Result<(), RoadError> {
    let forest = BulkForest::up("bench-import", users, Path::new(env!("CARGO_TARGET_TMPDIR")))?;
    let road = forest.road()?;
    forest.ticket()?;
    let objects = forest.count()?;
    let cpu = RefCell::new(Vec::new());
    let mut ours = || {
        let import = forest.import(&road)?;
        if import.objects != objects {
            return Err(RoadError::NoField { what: "the import", field: "object of each entry" });
        }
        cpu.borrow_mut().push(import.cpu_of_object());
        Ok(import.rate())
    };
    let theirs = |manner| {
        let took = forest.ldapsearch_took(manner)?;
        Ok(objects as f64 / took.as_secs_f64())
    };
    let mut whole = || theirs(Manner::Whole);
    let mut paged = || theirs(Manner::Paged);
    let mut extended = || theirs(Manner::Extended);
    // Once unmeasured: what the domain controller reads from disk, it reads for all.
    rounds(1, &mut [&mut ours, &mut whole, &mut paged, &mut extended])?;
    cpu.borrow_mut().clear();
    let values = rounds(count, &mut [&mut ours, &mut whole, &mut paged, &mut extended])?;
    let [ours, whole, paged, extended] = values.as_slice() else { return Ok(()) };
    let peers = [
        Peer::measured("ldapsearch, sealed", whole.clone()),
        Peer::measured("ldapsearch, sealed, paged", paged.clone()),
        Peer::measured("ldapsearch, sealed, extended names", extended.clone()),
    ];
    let figure = format!("full import of {users} users, objects/s");
    Comparison { figure, better: Better::Higher, bar: 0.8 }.figure(ours, &peers).print();
    let figure = format!("full import of {users} users beside the very same search, objects/s");
    let same = [Peer::measured("ldapsearch, sealed, extended names", extended.clone())];
    Comparison { figure, better: Better::Higher, bar: 0.8 }.figure(ours, &same).print();
    let figure = format!("full import of {users} users, CPU an object, µs");
    let limit = [Peer::limit(OBJECT_CPU_MAX, count)];
    Comparison { figure, better: Better::Lower, bar: 1.0 }.figure(&cpu.take(), &limit).print();
    Ok(())
}
