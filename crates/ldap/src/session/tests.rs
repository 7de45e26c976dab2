//! The five framing cases that break the existing crate come first, then the order of messages,
//! then what a hostile server may try.

mod framing;
mod order;
mod peer;
