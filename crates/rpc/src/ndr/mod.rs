//! The transfer syntax NDR, version 2.0 (C706 chapter 14), little-endian.
//!
//! Only what the interfaces of this crate need: aligned numbers, referents of pointers, conformant
//! arrays. Structures are read and written by the modules that own them, in the order of section
//! 14.3.12.3: what a pointer refers to comes after the structure that holds the pointer.

mod reader;
mod writer;

pub use reader::Reader;
pub use writer::Writer;
