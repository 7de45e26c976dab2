//! The server's side of an association without security: what a bind proposes, and the answers to it and to
//! a call (C706 12.6.4.3 to 12.6.4.10).
//!
//! Only the stand-in of the chart's checks accepts associations; no interface is served here.

use portolan_codec::{DecodeError, Reader, Writer};

use super::bind::SyntaxId;
use super::{ContextResult, FRAGMENT_OCTETS_MAX, Flags, Header, PacketType};
use crate::Status;

/// What a bind proposes (C706 12.6.4.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The call that the bind is.
    pub call_id: u32,
    /// Whether a sec_trailer asks for security.
    pub is_secured: bool,
    /// The presentation contexts, in their order.
    pub contexts: Vec<ProposedContext>,
}

/// One presentation context of a bind (C706 12.6.3.1, `p_cont_elem_t`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposedContext {
    /// Its identifier.
    pub context_id: u16,
    /// The interface.
    pub interface: SyntaxId,
    /// The transfer syntaxes, in the client's order.
    pub transfers: Vec<SyntaxId>,
}

impl Proposal {
    /// Reads the body behind `header`.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(header: Header, mut input: Reader<'_>) -> Result<Self, DecodeError> {
        input.u16_le("max_xmit_frag")?.unchecked("answers are shorter than any fragment");
        input.u16_le("max_recv_frag")?.unchecked("answers are shorter than any fragment");
        input.u32_le("assoc_group_id")?.unchecked("no group is kept");
        let count = input.u8("n_context_elem")?.at_most(CONTEXTS_MAX)?;
        input.take(3, "reserved")?;
        let mut contexts = Vec::with_capacity(count);
        for _ in 0..count {
            let context_id = input.u16_le("p_cont_id")?.unchecked("only echoed");
            let transfers = input.u8("n_transfer_syn")?.at_most(TRANSFERS_MAX)?;
            input.take(1, "reserved")?;
            let interface = SyntaxId::decode(&mut input)?;
            let transfers = (0..transfers).map(|_| SyntaxId::decode(&mut input));
            let transfers = transfers.collect::<Result<_, _>>()?;
            contexts.push(ProposedContext { context_id, interface, transfers });
        }
        Ok(Self { call_id: header.call_id, is_secured: header.auth_length != 0, contexts })
    }
}

/// The answer to a bind (C706 12.6.4.4).
#[derive(Debug, Clone, Copy)]
pub struct Acceptance<'a> {
    /// The bind's call.
    pub call_id: u32,
    /// The number of the association group, which is the server's to choose.
    pub group: u32,
    /// The port, as text.
    pub secondary_address: &'a str,
    /// What is said to each context of the bind.
    pub results: &'a [ContextResult],
}

impl Acceptance<'_> {
    /// The fragment.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        Header::encode(PacketType::BindAck, WHOLE, self.call_id, &mut out);
        out.u16_le(FRAGMENT_OCTETS_MAX);
        out.u16_le(FRAGMENT_OCTETS_MAX);
        out.u32_le(self.group);
        let length = self.secondary_address.len() + 1 /* the zero behind it */;
        out.u16_le(u16::try_from(length).unwrap_or(u16::MAX));
        out.put(self.secondary_address.as_bytes());
        out.u8(0);
        out.align(4);
        out.put(&[u8::try_from(self.results.len()).unwrap_or(u8::MAX), 0, 0, 0]);
        for result in self.results {
            out.u16_le(result.result);
            out.u16_le(result.reason);
            result.transfer.encode(&mut out);
        }
        Header::patch_lengths(&mut out, 0);
        out.into_vec()
    }
}

/// The refusal of an association (C706 12.6.4.5), which names the one version of the protocol.
#[must_use]
pub fn encode_bind_nak(call_id: u32, reason: u16) -> Vec<u8> {
    let mut out = Writer::new();
    Header::encode(PacketType::BindNak, WHOLE, call_id, &mut out);
    out.u16_le(reason);
    out.put(&[1, 5, 0]); // one version: 5.0
    out.align(4);
    Header::patch_lengths(&mut out, 0);
    out.into_vec()
}

/// A call of one fragment (C706 12.6.4.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call<'a> {
    /// The call's number.
    pub call_id: u32,
    /// The presentation context.
    pub context_id: u16,
    /// The operation.
    pub opnum: u16,
    /// Its parameters.
    pub stub: &'a [u8],
}

impl<'a> Call<'a> {
    /// Reads the body behind `header`, of a fragment without a sec_trailer.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(header: Header, mut input: Reader<'a>) -> Result<Self, DecodeError> {
        input.u32_le("alloc_hint")?.unchecked("a hint that nothing is allocated from");
        let context_id = input.u16_le("p_cont_id")?.unchecked("only echoed");
        let opnum = input.u16_le("opnum")?.unchecked("compared by the caller");
        if header.flags.contains(Flags::OBJECT) {
            input.take(16, "object")?;
        }
        Ok(Self { call_id: header.call_id, context_id, opnum, stub: input.rest() })
    }

    /// The answer with a call's results (C706 12.6.4.10).
    #[must_use]
    pub fn response(&self, stub: &[u8]) -> Vec<u8> {
        let mut out = self.answer(PacketType::Response, stub.len());
        out.put(stub);
        Header::patch_lengths(&mut out, 0);
        out.into_vec()
    }

    /// The answer that the call failed (C706 12.6.4.7).
    #[must_use]
    pub fn fault(&self, status: Status) -> Vec<u8> {
        let mut out = self.answer(PacketType::Fault, 0);
        out.u32_le(status.0);
        out.u32_le(0); // reserved
        Header::patch_lengths(&mut out, 0);
        out.into_vec()
    }

    fn answer(&self, packet_type: PacketType, stub_octets: usize) -> Writer {
        let mut out = Writer::new();
        Header::encode(packet_type, WHOLE, self.call_id, &mut out);
        out.u32_le(u32::try_from(stub_octets).unwrap_or(u32::MAX));
        out.u16_le(self.context_id);
        out.put(&[0, 0]); // cancel_count, reserved
        out
    }
}

/// One fragment is the whole message.
const WHOLE: Flags = Flags::FIRST.with(Flags::LAST);
/// Presentation contexts that a bind may propose.
const CONTEXTS_MAX: usize = 16;
/// Transfer syntaxes that a context may propose.
const TRANSFERS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::super::{Bind, BindAck, Fault, NDR20, Request, Response};
    use super::*;

    const RESULT: ContextResult = ContextResult { result: 0, reason: 0, transfer: NDR20 };

    #[test]
    fn a_client_s_bind_is_read_back() {
        let interface = crate::epm::INTERFACE;
        let bind = Bind { call_id: 7, context_id: 1, interface, transfer: NDR20, security: None };
        let octets = bind.encode();
        let (header, input) = Header::of(&octets).unwrap();
        let proposal = Proposal::decode(header, input).unwrap();
        let context = ProposedContext { context_id: 1, interface, transfers: vec![NDR20] };
        assert_eq!(proposal, Proposal { call_id: 7, is_secured: false, contexts: vec![context] });
        let security = Some((&b"token"[..], 1));
        let octets = Bind { security, ..bind }.encode();
        let (header, input) = Header::of(&octets).unwrap();
        assert!(Proposal::decode(header, input).unwrap().is_secured);
    }

    #[test]
    fn a_client_reads_the_acceptance() {
        for secondary_address in ["", "135", "49152", "1234567"] {
            let acceptance =
                Acceptance { call_id: 3, group: 9, secondary_address, results: &[RESULT, RESULT] };
            let octets = acceptance.encode();
            let (header, input) = Header::of(&octets).unwrap();
            assert_eq!((header.packet_type, header.call_id), (PacketType::BindAck, 3));
            let ack = BindAck::decode(header, input, 0).unwrap();
            assert_eq!(ack.results, [RESULT, RESULT]);
        }
    }

    #[test]
    fn a_call_is_read_and_answered() {
        let mut out = Writer::new();
        Request { flags: WHOLE, call_id: 5, alloc_hint: 3, context_id: 1, opnum: 3 }
            .encode(&mut out);
        out.put(b"abc");
        Header::patch_lengths(&mut out, 0);
        let octets = out.into_vec();
        let (header, input) = Header::of(&octets).unwrap();
        let call = Call::decode(header, input).unwrap();
        assert_eq!(call, Call { call_id: 5, context_id: 1, opnum: 3, stub: b"abc" });

        let octets = call.response(b"result");
        let (header, mut input) = Header::of(&octets).unwrap();
        assert_eq!((header.packet_type, header.call_id), (PacketType::Response, 5));
        assert_eq!(Response::decode(&mut input).unwrap().context_id, 1);
        assert_eq!(input.rest(), b"result");

        let octets = call.fault(Status::ACCESS_DENIED);
        let (header, mut input) = Header::of(&octets).unwrap();
        assert_eq!(header.packet_type, PacketType::Fault);
        Response::decode(&mut input).unwrap();
        assert_eq!(Fault::decode(&mut input).unwrap().status, Status::ACCESS_DENIED);
    }
}
