//! The n-fold operation ([RFC 3961 section 5.1]).
//!
//! [RFC 3961 section 5.1]: https://www.rfc-editor.org/rfc/rfc3961#section-5.1

/// Stretches or compresses `input` to `N` octets ([RFC 3961 section 5.1]): copies of the input, each
/// rotated 13 bits further to the right than the one before, are added up in chunks of `N` octets
/// with end-around carry. An empty input gives zeros.
///
/// [RFC 3961 section 5.1]: https://www.rfc-editor.org/rfc/rfc3961#section-5.1
#[must_use]
pub fn n_fold<const N: usize>(input: &[u8]) -> [u8; N] {
    let mut sum = [0; N];
    if input.is_empty() || N == 0 {
        return sum;
    }
    let total = least_common_multiple(input.len(), N);
    for chunk in 0..total / N {
        let mut carry = 0;
        for index in (0..N).rev() {
            carry = add(&mut sum[index], rotated_octet(input, chunk * N + index), carry);
        }
        // The carry out of the top goes back in at the bottom, until none is left.
        while carry != 0 {
            for octet in sum.iter_mut().rev() {
                carry = add(octet, 0, carry);
            }
        }
    }
    sum
}

fn add(octet: &mut u8, addend: u8, carry: u8) -> u8 {
    let [high, low] = (u16::from(*octet) + u16::from(addend) + u16::from(carry)).to_be_bytes();
    *octet = low;
    high
}

/// The octet at `position` of the endless row of rotated copies of `input`.
fn rotated_octet(input: &[u8], position: usize) -> u8 {
    let bits = 8 * input.len();
    let rotation = 13 * (position / input.len()) % bits;
    let start = (8 * (position % input.len()) + bits - rotation) % bits;
    let (first, shift) = (start / 8, start % 8);
    let pair = u16::from_be_bytes([input[first], input[(first + 1) % input.len()]]);
    let [octet, _] = (pair << shift).to_be_bytes();
    octet
}

fn least_common_multiple(a: usize, b: usize) -> usize {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    a / x * b
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<const N: usize>(input: &str, expected: &str) {
        assert_eq!(hex::encode(n_fold::<N>(input.as_bytes())), expected, "{N} octets of {input}");
    }

    #[test]
    fn the_vectors_of_rfc_3961_appendix_a_1_are_met() {
        check::<8>("012345", "be072631276b1955");
        check::<7>("password", "78a07b6caf85fa");
        check::<8>("Rough Consensus, and Running Code", "bb6ed30870b7f0e0");
        check::<21>("password", "59e4a8ca7c0385c3c37b3f6d2000247cb6e6bd5b3e");
        check::<24>(
            "MASSACHVSETTS INSTITVTE OF TECHNOLOGY",
            "db3b0d8f0b061e603282b308a50841229ad798fab9540c1b",
        );
        check::<21>("Q", "518a54a215a8452a518a54a215a8452a518a54a215");
        check::<21>("ba", "fb25d531ae8974499f52fd92ea9857c4ba24cf297e");
        check::<8>("kerberos", "6b65726265726f73");
        check::<16>("kerberos", "6b65726265726f737b9b5b2b93132b93");
        check::<21>("kerberos", "8372c236344e5f1550cd0747e15d62ca7a5a3bcea4");
    }

    #[test]
    fn an_empty_input_does_not_divide_by_zero() {
        check::<4>("", "00000000");
    }
}
