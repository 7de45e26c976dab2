//! The derivation of a credential from an NT hash (PPH1_MD4), against nothing but its PBKDF2.

use std::convert::Infallible;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Instant;

use portolan_legacy_crypto::NtHash;
use portolan_legacy_crypto::pph1::{CredentialData, ITERATIONS};
use portolan_testsuite::measure::{Better, Comparison, PAIRS, Peer, rounds};
use sha2::Sha256;

/// How often the work is done in one measurement.
const REPETITIONS: u32 = 200;
const SALT: [u8; 10] = [7; 10];
/// As long as what is stretched: 32 hexadecimal digits in UTF-16.
const PASSWORD: [u8; 64] = [b'A'; 64];

fn main() -> Result<(), Infallible> {
    let hash = NtHash::from_password("Al1ce-Pass!");
    let iterations = NonZeroU32::new(ITERATIONS).unwrap_or(NonZeroU32::MIN);
    let mut key = [0; 32];
    let mut other = [0; 32];
    let mut ours = || {
        Ok::<_, Infallible>(time(|| {
            drop(black_box(CredentialData::derive(black_box(&hash), black_box(SALT))))
        }))
    };
    let mut aws = || {
        Ok(time(|| {
            let algorithm = aws_lc_rs::pbkdf2::PBKDF2_HMAC_SHA256;
            let password = black_box(&PASSWORD);
            aws_lc_rs::pbkdf2::derive(algorithm, iterations, &SALT, password, black_box(&mut key));
        }))
    };
    let mut rust_crypto = || {
        Ok(time(|| {
            let (password, key) = (black_box(&PASSWORD), black_box(&mut other));
            pbkdf2::pbkdf2_hmac::<Sha256>(password, &SALT, ITERATIONS, key);
        }))
    };
    // Once unmeasured: caches, clock speed, the providers' choice of code for this processor.
    rounds(1, &mut [&mut ours, &mut aws, &mut rust_crypto])?;
    let values = rounds(PAIRS, &mut [&mut ours, &mut aws, &mut rust_crypto])?;
    let [ours, aws, rust_crypto] = values.as_slice() else { return Ok(()) };
    let peers = [
        Peer::measured("aws-lc-rs, bare PBKDF2", aws.clone()),
        Peer::measured("RustCrypto, bare PBKDF2", rust_crypto.clone()),
    ];
    let figure = "PPH1_MD4 derivation, µs".to_owned();
    Comparison { figure, better: Better::Lower, bar: 0.9 }.figure(ours, &peers).print();
    Ok(())
}

/// The time of one repetition, in microseconds.
fn time(mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..REPETITIONS {
        work();
    }
    start.elapsed().as_secs_f64() * 1e6 / f64::from(REPETITIONS)
}
