//! The cursor under all decoders, and the way in which oracles draw from their input.

use portolan_codec::Reader;

/// Any sequence of reads keeps to the input, and a read that fails consumes nothing.
pub(crate) fn reader(octets: &[u8]) {
    let (program, input) = octets.split_at(octets.len() / 2);
    let mut reader = Reader::new(input);
    for step in program {
        let before = reader.position();
        let amount = usize::from(step >> 3);
        let failed = match step & 7 {
            0 => reader.u8("u8").is_err(),
            1 => reader.u16_le("u16").is_err(),
            2 => reader.u32_be("u32").is_err(),
            3 => reader.u64_le("u64").is_err(),
            4 => reader.take(amount, "take").is_err(),
            5 => reader.sub(amount, "sub").is_err(),
            6 => reader.align(amount + 1, "align").is_err(),
            _ => reader.u16_be("count").and_then(|count| count.at_most(amount)).is_err(),
        };
        assert!(reader.position() >= before, "the cursor went back");
        assert!(!failed || step & 7 == 7 || reader.position() == before, "a failed read consumed");
        assert_eq!(reader.position() + reader.remaining(), input.len());
        assert_eq!(reader.is_empty(), reader.peek().is_none());
    }
}

/// The first octet, as what decides between variants of an oracle, and the rest.
pub(crate) fn choice(octets: &[u8]) -> (u8, &[u8]) {
    octets.split_first().map_or((0, octets), |(first, rest)| (*first, rest))
}

/// The input as text; what is no UTF-8 is left to other targets.
pub(crate) fn text(octets: &[u8]) -> &str {
    match std::str::from_utf8(octets) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&octets[..error.valid_up_to()]).unwrap_or_default(),
    }
}

/// Cuts octets into pieces as they could arrive, of lengths that `seed` decides.
pub(crate) fn pieces(octets: &[u8], seed: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = octets;
    let mut state = u32::from(seed);
    std::iter::from_fn(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let wanted = (state >> 24) as usize % 96 + 1;
        let (piece, later) = rest.split_at(wanted.min(rest.len()));
        rest = later;
        (!piece.is_empty()).then_some(piece)
    })
}
