//! The derivation of a credential from an NT hash (PPH1_MD4), against nothing but its PBKDF2.

use std::hint::black_box;
use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2;
use portolan_legacy_crypto::NtHash;
use portolan_legacy_crypto::pph1::{CredentialData, ITERATIONS};
use portolan_testsuite::Comparison;

fn main() {
    let hash = NtHash::from_password("Al1ce-Pass!");
    let salt = [7; 10];
    let iterations = NonZeroU32::new(ITERATIONS).unwrap_or(NonZeroU32::MIN);
    // As long as what is stretched: 32 hexadecimal digits in UTF-16.
    let password = [b'A'; 64];
    let mut key = [0; 32];
    let comparison = Comparison {
        figure: "PPH1_MD4 derivation, µs",
        peer: "aws-lc-rs, bare PBKDF2-HMAC-SHA256",
        bar: 0.9,
        repetitions: 200,
    };
    comparison.run(
        || {
            black_box(CredentialData::derive(black_box(&hash), black_box(salt)));
        },
        || {
            let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
            pbkdf2::derive(algorithm, iterations, &salt, black_box(&password), &mut key);
            black_box(&key);
        },
    );
}
