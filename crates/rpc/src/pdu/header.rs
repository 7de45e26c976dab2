//! The header that all fragments have in common (C706 12.6.3.1, [MS-RPCE] 2.2.2.1).
//!
//! [MS-RPCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-rpce

use portolan_codec::{DecodeError, Fault, Reader, Writer};

/// Octets that a fragment may have: what this side offers to receive and to send, and what Windows
/// and Samba use.
pub const FRAGMENT_OCTETS_MAX: u16 = 5_840;

/// The type of a fragment (C706 12.6.4), as far as a client sends or receives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketType {
    /// A part of a call's parameters.
    Request,
    /// A part of a call's results.
    Response,
    /// The end of a call that failed.
    Fault,
    /// The client proposes a presentation context.
    Bind,
    /// The server accepts or refuses presentation contexts.
    BindAck,
    /// The server refuses the association.
    BindNak,
    /// The third leg of an authentication ([MS-RPCE] 2.2.2.5, `rpc_auth_3`).
    ///
    /// [MS-RPCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-rpce
    Auth3,
}

const PACKET_TYPES: [(u8, PacketType); 7] = [
    (0, PacketType::Request),
    (2, PacketType::Response),
    (3, PacketType::Fault),
    (11, PacketType::Bind),
    (12, PacketType::BindAck),
    (13, PacketType::BindNak),
    (16, PacketType::Auth3),
];

/// The flags of a fragment (`pfc_flags`, C706 12.6.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// The first fragment of a call.
    pub const FIRST: Self = Self(0x01);
    /// The last fragment of a call.
    pub const LAST: Self = Self(0x02);
    /// In a bind and its acknowledgement: headers are signed ([MS-RPCE] 2.2.2.3,
    /// `PFC_SUPPORT_HEADER_SIGN`).
    ///
    /// [MS-RPCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-rpce
    pub const HEADER_SIGNING: Self = Self(0x04);
    /// An object UUID follows the header of a request.
    pub const OBJECT: Self = Self(0x80);

    /// Whether all flags of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flags of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The common header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the fragment is.
    pub packet_type: PacketType,
    /// Its flags.
    pub flags: Flags,
    /// Octets of the whole fragment.
    pub fragment_length: u16,
    /// Octets of the auth_value; 0 means that there is no sec_trailer either.
    pub auth_length: u16,
    /// The call it belongs to.
    pub call_id: u32,
}

impl Header {
    /// Octets of the header.
    pub const LENGTH: usize = 1 /* rpc_vers */ + 1 /* rpc_vers_minor */ + 1 /* PTYPE */
        + 1 /* pfc_flags */ + 4 /* packed_drep */ + 2 /* frag_length */ + 2 /* auth_length */
        + 4 /* call_id */;

    /// Where frag_length and auth_length stand.
    const LENGTHS_AT: usize = 8;

    /// Writes a header whose lengths [`Header::patch_lengths`] fills in.
    pub fn encode(packet_type: PacketType, flags: Flags, call_id: u32, out: &mut Writer) {
        let code = PACKET_TYPES.iter().find(|(_, known)| *known == packet_type);
        out.put(&[VERSION, 0, code.map_or(0, |(code, _)| *code), flags.0]);
        out.put(&LITTLE_ENDIAN_ASCII_IEEE);
        out.u32_le(0);
        out.u32_le(call_id);
    }

    /// Fills the lengths of a fragment in, which is complete but for an auth_value of `auth_length`
    /// octets that is still to follow. The caller keeps both within [`FRAGMENT_OCTETS_MAX`].
    pub fn patch_lengths(out: &mut Writer, auth_length: usize) {
        let lengths = [out.position() + auth_length, auth_length]
            .map(|length| u16::try_from(length).unwrap_or(u16::MAX));
        let [[f0, f1], [a0, a1]] = lengths.map(u16::to_le_bytes);
        out.patch(Self::LENGTHS_AT, &[f0, f1, a0, a1]);
    }

    /// Reads the header at the start of a fragment.
    ///
    /// # Errors
    /// [`DecodeError`] for another version or data representation, an unknown type, and lengths that
    /// do not fit each other or the limit.
    pub fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.u8("rpc_vers")?.exactly(VERSION, "version 5")?;
        input.u8("rpc_vers_minor")?.at_most(1)?;
        let packet_type = input.u8("PTYPE")?.one_of("a known packet type", |code| {
            PACKET_TYPES.iter().find(|(known, _)| *known == code).map(|(_, known)| *known)
        })?;
        let flags =
            Flags(input.u8("pfc_flags")?.unchecked("each reader checks the flags it needs"));
        let at = *input;
        if input.array::<4>("packed_drep")? != LITTLE_ENDIAN_ASCII_IEEE {
            let rule =
                Fault::Malformed("the data representation is not little-endian, ASCII, IEEE");
            return Err(at.fault("packed_drep", rule));
        }
        let fragment_length =
            input.u16_le("frag_length")?.at_most(usize::from(FRAGMENT_OCTETS_MAX))?;
        let at = *input;
        let auth_length = input.u16_le("auth_length")?.at_most(fragment_length)?;
        let trailer = if auth_length == 0 { 0 } else { SEC_TRAILER_LENGTH };
        if fragment_length < Self::LENGTH + trailer + auth_length {
            let rule = Fault::Malformed("the fragment is shorter than its header and auth_value");
            return Err(at.fault("frag_length", rule));
        }
        Ok(Self {
            packet_type,
            flags,
            fragment_length: u16::try_from(fragment_length).unwrap_or(u16::MAX),
            auth_length: u16::try_from(auth_length).unwrap_or(u16::MAX),
            call_id: input.u32_le("call_id")?.unchecked("compared with the call's by the binding"),
        })
    }

    /// Reads the header of one whole fragment; the reader stands behind it.
    ///
    /// # Errors
    /// As [`Header::decode`], and when the fragment has another length than its header says.
    pub fn of(fragment: &[u8]) -> Result<(Self, Reader<'_>), DecodeError> {
        let mut input = Reader::new(fragment);
        let header = Self::decode(&mut input)?;
        if usize::from(header.fragment_length) != fragment.len() {
            return Err(input.fault("frag_length", Fault::Malformed("the fragment is another")));
        }
        Ok((header, input))
    }

    /// The length of the fragment that `received` begins with; `None` until its header is there.
    ///
    /// # Errors
    /// As [`Header::decode`].
    pub fn length_of_first(received: &[u8]) -> Result<Option<usize>, DecodeError> {
        let Some(header) = received.get(..Self::LENGTH) else {
            return Ok(None);
        };
        let header = Self::decode(&mut Reader::new(header))?;
        Ok(Some(usize::from(header.fragment_length)))
    }
}

const VERSION: u8 = 5;
const LITTLE_ENDIAN_ASCII_IEEE: [u8; 4] = [0x10, 0, 0, 0];
const SEC_TRAILER_LENGTH: usize = super::SecTrailer::LENGTH;
