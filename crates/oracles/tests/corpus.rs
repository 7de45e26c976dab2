//! Every oracle over the corpus and seeded mutations of it, without a fuzzer.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot read its corpus fails")]

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use portolan_oracles::{TARGETS, Target, find};

/// Mutations of each target's corpus.
const MUTATIONS: usize = 2_000;
/// Octets a mutated input may have.
const OCTETS_MAX: usize = 16 * 1024;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The target's seeds by name.
fn seeds(target: &Target) -> Vec<(String, Vec<u8>)> {
    let folder = corpus().join(target.name);
    let mut seeds: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    seeds.sort();
    seeds
}

/// Runs an oracle; names the octets when it fails.
fn check(target: &Target, what: &str, octets: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| target.check(octets))).is_err() {
        panic!(
            "{} fails on {what}; keep these octets as a file of crates/oracles/corpus/{}: {}",
            target.name,
            target.name,
            octets.escape_ascii()
        );
    }
}

#[test]
fn every_oracle_holds_over_its_corpus() {
    for target in TARGETS {
        check(target, "nothing", &[]);
        for (name, octets) in seeds(target) {
            check(target, &name, &octets);
            // Cut anywhere: what arrives may end anywhere.
            for end in 0..octets.len().min(512) {
                check(target, &format!("{name}, cut to {end}"), &octets[..end]);
            }
        }
    }
}

#[test]
fn every_oracle_holds_over_mutations_of_its_corpus() {
    for target in TARGETS {
        let seeds: Vec<_> = seeds(target).into_iter().map(|(_, octets)| octets).collect();
        let mut random = Random(0x0070_6f72_746f_6c61);
        for number in 0..MUTATIONS {
            let mut octets = seeds[random.below(seeds.len())].clone();
            for _ in 0..=random.below(4) {
                mutate(&mut octets, &seeds, &mut random);
            }
            octets.truncate(OCTETS_MAX);
            check(target, &format!("mutation {number}"), &octets);
        }
    }
}

#[test]
fn every_target_has_seeds_and_every_seed_a_target() {
    let named: BTreeSet<_> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    let folders = fs::read_dir(corpus()).unwrap();
    let folders = folders.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(named.len(), TARGETS.len(), "two targets have one name");
    assert_eq!(folders.collect::<BTreeSet<_>>(), named);
    for target in TARGETS {
        assert!(!seeds(target).is_empty(), "{} has no seed", target.name);
        assert!(find(target.name).is_some_and(|found| found.name == target.name));
    }
}

/// SplitMix64: the same mutations in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % limit.max(1)
    }
}

/// Numbers at which lengths and counts break.
const EDGES: [u32; 12] =
    [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, u32::MAX];

/// Changes octets as a stranger, or a bad line, would.
fn mutate(octets: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    let at = random.below(octets.len() + 1);
    match random.below(8) {
        0 if at < octets.len() => octets[at] ^= 1 << random.below(8),
        1 if at < octets.len() => octets[at] = EDGES[random.below(EDGES.len())].to_le_bytes()[0],
        2 => octets.truncate(at),
        3 => octets.insert(at, u8::try_from(random.below(256)).unwrap()),
        4 if at < octets.len() => {
            octets.remove(at);
        }
        5 => {
            let number = EDGES[random.below(EDGES.len())];
            let number =
                if random.below(2) == 0 { number.to_le_bytes() } else { number.to_be_bytes() };
            for (to, from) in octets.iter_mut().skip(at).zip(number) {
                *to = from;
            }
        }
        6 => {
            // A piece of itself once more.
            let end = at + random.below(octets.len() - at + 1);
            let piece = octets[at..end].to_vec();
            let to = random.below(octets.len() + 1);
            octets.splice(to..to, piece);
        }
        _ => {
            let other = &seeds[random.below(seeds.len())];
            octets.truncate(at);
            octets.extend_from_slice(&other[random.below(other.len() + 1)..]);
        }
    }
}
