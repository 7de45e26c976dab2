//! The fragments of a call (C706 12.6.4.7 to 12.6.4.10).

use portolan_codec::{DecodeError, Reader, Writer};

use super::{Flags, Header, PacketType};
use crate::Status;

/// Octets before the stub of a request without an object, and of a response.
pub const CALL_HEADER_LENGTH: usize = Header::LENGTH + 4 /* alloc_hint */ + 2 /* p_cont_id */
    + 2 /* opnum, or cancel_count and reserved */;

/// The head of a request fragment (C706 12.6.4.9).
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// Whether it is the first or the last of its call.
    pub flags: Flags,
    /// The call.
    pub call_id: u32,
    /// Octets of the stub that are still to come, this fragment's included.
    pub alloc_hint: u32,
    /// The presentation context.
    pub context_id: u16,
    /// The operation.
    pub opnum: u16,
}

impl Request {
    /// Appends the head; the lengths are filled in once the fragment is complete.
    pub fn encode(self, out: &mut Writer) {
        Header::encode(PacketType::Request, self.flags, self.call_id, out);
        out.u32_le(self.alloc_hint);
        out.u16_le(self.context_id);
        out.u16_le(self.opnum);
    }
}

/// The head of a response fragment (C706 12.6.4.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Response {
    /// The presentation context.
    pub context_id: u16,
}

impl Response {
    /// Reads the head behind the common header, up to the stub.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.u32_le("alloc_hint")?.unchecked("a hint that nothing is allocated from");
        let context_id = input.u16_le("p_cont_id")?.unchecked("compared by the binding");
        input.u8("cancel_count")?.unchecked("nothing is ever cancelled");
        input.u8("reserved")?.unchecked("reserved");
        Ok(Self { context_id })
    }
}

/// A fault (C706 12.6.4.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Why the call failed.
    pub status: Status,
}

impl Fault {
    /// Reads what follows the head, which is a [`Response`]'s.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { status: Status(input.u32_le("status")?.unchecked("only reported")) })
    }
}
