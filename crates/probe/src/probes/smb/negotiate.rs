//! The negotiation of a dialect ([MS-SMB2] sections 2.2.3 and 2.2.4), in the framing of direct TCP
//! (section 2.1), and SMB 1's own ([MS-CIFS] section 2.2.4.52) for who speaks nothing newer.
//!
//! [MS-SMB2]: https://learn.microsoft.com/openspecs/windows_protocols/ms-smb2
//! [MS-CIFS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-cifs

use portolan_codec::{DecodeError, Fault, Reader, Writer};
use portolan_model::Guid;
use time::{Duration, OffsetDateTime};

/// Octets of the frame's header: a zero, and the length in three octets (section 2.1).
pub(super) const FRAME_OCTETS: usize = 4;
/// ProtocolId of SMB 2 and 3.
const SMB2: [u8; 4] = *b"\xfeSMB";
/// Protocol of SMB 1.
const SMB1: [u8; 4] = *b"\xffSMB";
const HEADER_OCTETS: u16 = 64;
/// SMB2_NEGOTIATE.
const NEGOTIATE: u16 = 0;
/// SMB2_NEGOTIATE_SIGNING_ENABLED.
const SIGNING_ENABLED: u16 = 1;
/// SMB2_NEGOTIATE_SIGNING_REQUIRED.
const SIGNING_REQUIRED: u16 = 2;
/// The dialects from 2.0.2 to 3.1.1.
const DIALECTS: [u16; 5] = [0x0202, 0x0210, 0x0300, 0x0302, 0x0311];
/// SMB2_PREAUTH_INTEGRITY_CAPABILITIES (section 2.2.3.1.1), without which there is no 3.1.1.
const PREAUTH_INTEGRITY: u16 = 1;
const SHA512: u16 = 1;
const SALT_OCTETS: u16 = 32;
/// Seconds from 1601, where the system time begins ([MS-DTYP] section 2.3.3), to 1970.
const UNIX_EPOCH: i64 = 11_644_473_600;

/// What a server said to the negotiation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It speaks SMB 2 or 3.
    Agreed(Negotiated),
    /// It speaks SMB 2 or 3, and refuses, with this NTSTATUS.
    Refused(u32),
    /// It speaks SMB 1.
    Old,
}

/// The answer of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Negotiated {
    /// DialectRevision.
    pub dialect: u16,
    /// Whether it signs at all.
    pub signing_enabled: bool,
    /// Whether it talks to nobody who does not sign.
    pub signing_required: bool,
    /// ServerGuid.
    pub server: Guid,
    /// SystemTime, in whole seconds; nothing when it does not tell.
    pub system_time: Option<OffsetDateTime>,
}

/// A NEGOTIATE request with its frame.
#[must_use]
pub(super) fn question(client: Guid, salt: &[u8; SALT_OCTETS as usize]) -> Vec<u8> {
    let mut out = Writer::new();
    out.put(&SMB2);
    out.u16_le(HEADER_OCTETS);
    out.put(&[0; 6]); // CreditCharge, Status
    out.u16_le(NEGOTIATE);
    out.u16_le(1); // CreditRequest
    out.put(&[0; 48]); // Flags to Signature
    out.u16_le(36); // StructureSize
    out.u16_le(u16::try_from(DIALECTS.len()).unwrap_or_default());
    out.u16_le(SIGNING_ENABLED);
    out.put(&[0; 6]); // Reserved, Capabilities
    out.put(&client.to_bytes_le());
    let context_offset = out.position();
    out.put(&[0; 4]); // NegotiateContextOffset, below
    out.u16_le(1); // NegotiateContextCount
    out.u16_le(0);
    for dialect in DIALECTS {
        out.u16_le(dialect);
    }
    out.align(8);
    let offset = u32::try_from(out.position()).unwrap_or_default();
    out.patch(context_offset, &offset.to_le_bytes());
    out.u16_le(PREAUTH_INTEGRITY);
    out.u16_le(
        2 /* HashAlgorithmCount */ + 2 /* SaltLength */ + 2 /* HashAlgorithm */ + SALT_OCTETS,
    );
    out.u32_le(0);
    out.u16_le(1);
    out.u16_le(SALT_OCTETS);
    out.u16_le(SHA512);
    out.put(salt);
    framed(&out.into_vec())
}

/// SMB 1's negotiation of its last dialect, with its frame.
#[must_use]
pub(super) fn old_question() -> Vec<u8> {
    let mut out = Writer::new();
    out.put(&SMB1);
    out.u8(0x72); // SMB_COM_NEGOTIATE
    out.put(&[0; 27]);
    out.u8(0); // WordCount
    const DIALECT: &[u8] = b"\x02NT LM 0.12\0";
    out.u16_le(u16::try_from(DIALECT.len()).unwrap_or_default());
    out.put(DIALECT);
    framed(&out.into_vec())
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or_default();
    [&length.to_be_bytes(), message].concat()
}

/// Octets of the frame that begins here, its header counted; nothing while that is not whole.
///
/// # Errors
/// [`DecodeError`] when it is no frame of a message.
pub fn frame_octets(octets: &[u8]) -> Result<Option<usize>, DecodeError> {
    let mut reader = Reader::new(octets);
    if !octets.is_empty() {
        reader.u8("frame")?.exactly(0, "a message")?;
    }
    let Some(header) = octets.first_chunk::<FRAME_OCTETS>() else { return Ok(None) };
    // The first octet is zero.
    let length = usize::try_from(u32::from_be_bytes(*header)).unwrap_or(usize::MAX);
    Ok(Some(FRAME_OCTETS + length))
}

impl Answer {
    /// Reads a message, without its frame.
    ///
    /// # Errors
    /// [`DecodeError`] when it is no answer to a negotiation.
    pub fn decode(message: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(message);
        match reader.array::<4>("ProtocolId")? {
            SMB1 => return Ok(Self::Old),
            SMB2 => {}
            _ => return Err(reader.fault("ProtocolId", Fault::Malformed("SMB"))),
        }
        reader.u16_le("StructureSize")?.exactly(HEADER_OCTETS, "a header")?;
        reader.take(2, "CreditCharge")?;
        let status = reader.u32_le("Status")?.unchecked("every status is told");
        reader.u16_le("Command")?.exactly(NEGOTIATE, "NEGOTIATE")?;
        reader.take(50, "CreditResponse to Signature")?;
        if status != 0 {
            return Ok(Self::Refused(status));
        }
        reader.u16_le("StructureSize")?.exactly(65, "a NEGOTIATE response")?;
        let mode = reader.u16_le("SecurityMode")?.unchecked("each bit is a statement");
        let dialect = reader
            .u16_le("DialectRevision")?
            .one_of("a dialect that was offered", |it| DIALECTS.contains(&it).then_some(it))?;
        reader.take(2, "NegotiateContextCount")?;
        let server = Guid::from_bytes_le(reader.array("ServerGuid")?);
        reader.take(16, "Capabilities to MaxWriteSize")?;
        let system_time = u64::from_le_bytes(reader.array("SystemTime")?);
        reader.take(12, "ServerStartTime to SecurityBufferLength")?;
        Ok(Self::Agreed(Negotiated {
            dialect,
            signing_enabled: mode & SIGNING_ENABLED != 0,
            signing_required: mode & SIGNING_REQUIRED != 0,
            server,
            system_time: moment(system_time),
        }))
    }
}

/// A FILETIME of hundreds of nanoseconds.
fn moment(filetime: u64) -> Option<OffsetDateTime> {
    let seconds = i64::try_from(filetime / 10_000_000).ok().filter(|seconds| *seconds > 0)?;
    OffsetDateTime::UNIX_EPOCH.checked_add(Duration::seconds(seconds - UNIX_EPOCH))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The answer of a server with this mode, dialect and status, at 2027-01-15 08:00:00 UTC.
    fn message(mode: u16, dialect: u16, status: u32) -> Vec<u8> {
        let mut out = Writer::new();
        out.put(&SMB2);
        out.u16_le(HEADER_OCTETS);
        out.u16_le(0);
        out.u32_le(status);
        out.put(&[0; 52]);
        out.u16_le(65);
        out.u16_le(mode);
        out.u16_le(dialect);
        out.u16_le(0);
        out.put(&[7; 16]);
        out.put(&[0; 16]);
        out.u64_le((1_800_000_000 + UNIX_EPOCH.unsigned_abs()) * 10_000_000);
        out.put(&[0; 16]);
        out.into_vec()
    }

    #[test]
    fn a_server_s_answer_is_read() {
        let Ok(Answer::Agreed(agreed)) = Answer::decode(&message(3, 0x0311, 0)) else { panic!() };
        assert_eq!(agreed.dialect, 0x0311);
        assert!(agreed.signing_enabled && agreed.signing_required);
        assert_eq!(agreed.server, Guid::from_bytes_le([7; 16]));
        assert_eq!(agreed.system_time.map(OffsetDateTime::unix_timestamp), Some(1_800_000_000));
        assert_eq!(Answer::decode(&message(1, 0, 0xc000_00bb)), Ok(Answer::Refused(0xc000_00bb)));
        assert_eq!(Answer::decode(b"\xffSMBr"), Ok(Answer::Old));
        assert!(Answer::decode(&message(1, 0x0999, 0)).is_err(), "a dialect nobody offered");
        assert_eq!(moment(0), None);
        assert_eq!(moment(u64::MAX), None);
    }

    #[test]
    fn a_message_cut_anywhere_is_refused() {
        let whole = message(1, 0x0311, 0);
        for end in 0..whole.len() - 4 {
            assert!(Answer::decode(&whole[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn a_frame_is_told_from_text() {
        assert_eq!(frame_octets(&[0, 0, 1, 2]), Ok(Some(0x102 + FRAME_OCTETS)));
        assert_eq!(frame_octets(&[0, 0]), Ok(None));
        assert!(frame_octets(b"HTTP").is_err());
    }

    #[test]
    fn the_context_of_the_question_is_where_the_question_says() {
        let question = question(Guid::NIL, &[9; 32]);
        assert_eq!(frame_octets(&question), Ok(Some(question.len())));
        let offset = u32::from_le_bytes(*question[FRAME_OCTETS + 92..].first_chunk().unwrap());
        assert_eq!(offset % 8, 0);
        let context = &question[FRAME_OCTETS + usize::try_from(offset).unwrap()..];
        assert_eq!(context[..4], [1, 0, 38, 0]);
        assert_eq!(context.len(), 8 + 38);
    }

    proptest! {
        #[test]
        fn no_octets_make_the_decoder_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Answer::decode(&octets);
            let _ = frame_octets(&octets);
            let mut near = message(1, 0x0311, 0);
            let length = near.len();
            for (index, octet) in octets.iter().enumerate() {
                near[(index * 31 + usize::from(*octet)) % length] = *octet;
            }
            let _ = Answer::decode(&near);
        }
    }
}
