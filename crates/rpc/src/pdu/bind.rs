//! Bind, its answers, and the third leg of an authentication (C706 12.6.4.3 to 12.6.4.5,
//! [MS-RPCE] 2.2.2.5).
//!
//! [MS-RPCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-rpce

use portolan_codec::{DecodeError, Reader, Writer};
use portolan_model::Guid;

use super::{FRAGMENT_OCTETS_MAX, Flags, Header, PacketType, SecTrailer};

/// An interface or a transfer syntax with its version (C706 12.6.3.1, `p_syntax_id_t`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyntaxId {
    /// Which one.
    pub uuid: Guid,
    /// Its major version.
    pub major: u16,
    /// Its minor version.
    pub minor: u16,
}

impl SyntaxId {
    pub(super) fn encode(self, out: &mut Writer) {
        out.put(&self.uuid.to_bytes_le());
        out.u16_le(self.major);
        out.u16_le(self.minor);
    }

    pub(super) fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            uuid: Guid::from_bytes_le(input.array("if_uuid")?),
            major: input.u16_le("if_version")?.unchecked("compared by the caller"),
            minor: input.u16_le("if_version_minor")?.unchecked("compared by the caller"),
        })
    }
}

/// The proposal of one presentation context (C706 12.6.4.3).
#[derive(Debug, Clone, Copy)]
pub struct Bind<'a> {
    /// The call that the bind is.
    pub call_id: u32,
    /// The identifier of the presentation context.
    pub context_id: u16,
    /// The interface.
    pub interface: SyntaxId,
    /// The transfer syntax.
    pub transfer: SyntaxId,
    /// The first token of the authentication, and the identifier of its security context.
    pub security: Option<(&'a [u8], u32)>,
}

impl Bind<'_> {
    /// The fragment; with security it asks for signed headers.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        let flags = Flags::FIRST.with(Flags::LAST);
        let flags = match self.security {
            Some(_) => flags.with(Flags::HEADER_SIGNING),
            None => flags,
        };
        Header::encode(PacketType::Bind, flags, self.call_id, &mut out);
        out.u16_le(FRAGMENT_OCTETS_MAX);
        out.u16_le(FRAGMENT_OCTETS_MAX);
        out.u32_le(0); // assoc_group_id: a new one
        out.put(&[1, 0, 0, 0]); // p_context_elem: one
        out.u16_le(self.context_id);
        out.put(&[1, 0]); // one transfer syntax
        self.interface.encode(&mut out);
        self.transfer.encode(&mut out);
        finish(out, self.security)
    }
}

/// The third leg of the authentication ([MS-RPCE] 2.2.2.5, `rpc_auth_3`).
///
/// [MS-RPCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-rpce
#[must_use]
pub(crate) fn encode_auth3(call_id: u32, token: &[u8], auth_context_id: u32) -> Vec<u8> {
    let mut out = Writer::new();
    Header::encode(PacketType::Auth3, Flags::FIRST.with(Flags::LAST), call_id, &mut out);
    out.u32_le(0); // pad
    finish(out, Some((token, auth_context_id)))
}

fn finish(mut out: Writer, security: Option<(&[u8], u32)>) -> Vec<u8> {
    let Some((token, auth_context_id)) = security else {
        Header::patch_lengths(&mut out, 0);
        return out.into_vec();
    };
    let padding = out.align(4);
    let auth_pad_length = u8::try_from(padding).unwrap_or_default();
    SecTrailer { auth_pad_length, auth_context_id }.encode(&mut out);
    Header::patch_lengths(&mut out, token.len());
    out.put(token);
    out.into_vec()
}

/// What a server says to a presentation context (C706 12.6.3.1, `p_result_t`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContextResult {
    /// 0: accepted.
    pub result: u16,
    /// Why it was not.
    pub reason: u16,
    /// The transfer syntax that it chose.
    pub transfer: SyntaxId,
}

/// The answer to a bind (C706 12.6.4.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindAck<'a> {
    /// Octets of a fragment that the server takes.
    pub receive_max: u16,
    /// What it says to the contexts, in the order of the bind.
    pub results: Vec<ContextResult>,
    /// Its token; empty without security.
    pub token: &'a [u8],
}

impl<'a> BindAck<'a> {
    /// Reads the body behind `header`.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(
        header: Header,
        mut input: Reader<'a>,
        auth_context_id: u32,
    ) -> Result<Self, DecodeError> {
        input.u16_le("max_xmit_frag")?.unchecked("each fragment's length is checked when it comes");
        let receive_max = input.u16_le("max_recv_frag")?.unchecked("checked by the binding");
        input.u32_le("assoc_group_id")?.unchecked("a number that only the server understands");
        let length = input.u16_le("sec_addr length")?.at_most(SECONDARY_ADDRESS_OCTETS_MAX)?;
        input.take(length, "sec_addr")?;
        // Alignment counts from the start of the fragment, as the offset does.
        let padding = input.offset().next_multiple_of(4) - input.offset();
        input.take(padding, "sec_addr padding")?;
        let count = input.u8("n_results")?.at_most(CONTEXTS_MAX)?;
        input.take(3, "reserved")?;
        let results = (0..count)
            .map(|_| {
                Ok(ContextResult {
                    result: input.u16_le("result")?.unchecked("compared by the binding"),
                    reason: input.u16_le("reason")?.unchecked("only reported"),
                    transfer: SyntaxId::decode(&mut input)?,
                })
            })
            .collect::<Result<_, DecodeError>>()?;
        let token = decode_token(header, input, auth_context_id)?;
        Ok(Self { receive_max, results, token })
    }
}

/// The token at the end of a fragment.
fn decode_token<'a>(
    header: Header,
    mut input: Reader<'a>,
    auth_context_id: u32,
) -> Result<&'a [u8], DecodeError> {
    if header.auth_length == 0 {
        input.finish("fragment")?;
        return Ok(&[]);
    }
    let tail = SecTrailer::LENGTH + usize::from(header.auth_length);
    input.take(input.remaining().saturating_sub(tail), "auth_pad")?;
    SecTrailer::decode(&mut input, auth_context_id)?;
    let token = input.take(usize::from(header.auth_length), "auth_value")?;
    input.finish("fragment")?;
    Ok(token)
}

/// The refusal of an association (C706 12.6.4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindNak {
    /// Why (C706 12.6.3.1, `p_reject_reason_t`).
    pub reason: u16,
}

impl BindNak {
    /// Reads the reason; what follows differs between implementations and is not needed.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(mut input: Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { reason: input.u16_le("provider_reject_reason")?.unchecked("only reported") })
    }
}

/// Octets that the server's secondary address may have.
const SECONDARY_ADDRESS_OCTETS_MAX: usize = 256;
/// Presentation contexts that an answer may name.
const CONTEXTS_MAX: usize = 8;
