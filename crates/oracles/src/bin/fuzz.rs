//! One binary for all fuzz targets: libFuzzer's `main`, and the target that the environment names.
//!
//! `cargo xtask fuzz` builds and runs it.

#![no_main]

use std::sync::LazyLock;

use portolan_oracles::{Target, find};

/// Names the variable with the target's name.
const TARGET: &str = "PORTOLAN_FUZZ_TARGET";

static CHOSEN: LazyLock<&'static Target> = LazyLock::new(|| {
    let name = std::env::var(TARGET).unwrap_or_default();
    find(&name).unwrap_or_else(|| {
        eprintln!("error: {TARGET} names no target: {name:?}");
        std::process::exit(2)
    })
});

libfuzzer_sys::fuzz_target!(init: { LazyLock::force(&CHOSEN); }, |octets: &[u8]| -> () {
    CHOSEN.check(octets);
});
