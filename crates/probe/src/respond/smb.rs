//! SMB 2 ([MS-SMB2]): the negotiation, and a refusal of whatever follows.
//!
//! A client that begins in SMB 1 and offers to go on in SMB 2 is answered in SMB 2 (section 3.3.5.3). No
//! security token is offered, and a session is refused before a name was proven.
//!
//! [MS-SMB2]: https://learn.microsoft.com/openspecs/windows_protocols/ms-smb2

use portolan_codec::{DecodeError, Reader, Writer};
use time::OffsetDateTime;

use super::opening::{Answer, Opening, Scene, Step};
use crate::mark;

/// Octets of a request; the length in front has three octets (section 2.1).
const REQUEST_OCTETS_MAX: usize = 16 * 1024;
/// What messages of either version begin with.
const SMB1: &[u8] = b"\xffSMB";
const SMB2: &[u8] = b"\xfeSMB";
/// Where the command stands in SMB 1 (MS-CIFS 2.2.3.1), and the one that negotiates.
const SMB1_COMMAND_AT: usize = 4;
const SMB1_NEGOTIATE: u8 = 0x72;
/// Octets of the header (section 2.2.1.2).
const HEADER_OCTETS: usize = 64;
const HEADER_SIZE: u16 = 64;
/// SMB2_FLAGS_SERVER_TO_REDIR.
const FROM_SERVER: u32 = 1;
const NEGOTIATE: u16 = 0;
const STATUS_SUCCESS: u32 = 0;
const STATUS_ACCESS_DENIED: u32 = 0xc000_0022;
const STATUS_NOT_SUPPORTED: u32 = 0xc000_00bb;
/// Dialects (section 2.2.3), the newest last; the answer to a client that has yet to name its own.
const DIALECTS: [u16; 5] = [0x0202, 0x0210, 0x0300, 0x0302, NEWEST];
const NEWEST: u16 = 0x0311;
const ANY: u16 = 0x02ff;
const DIALECTS_MAX: usize = 64;
/// SMB2_NEGOTIATE_SIGNING_ENABLED and _REQUIRED, as a domain controller has them.
const SIGNING: u16 = 3;
/// Octets that reads, writes and transactions may have: nothing comes of it.
const TRANSFER_OCTETS_MAX: u32 = 65_536;
/// SMB2_PREAUTH_INTEGRITY_CAPABILITIES, and SHA-512 (section 2.2.3.1.1).
const INTEGRITY: u16 = 1;
const SHA_512: u16 = 1;
const SALT_OCTETS: u16 = 32;
/// Units of 100 ns from 1601, where Windows' time begins, to 1970.
const UNIX_EPOCH: i64 = 116_444_736_000_000_000;

/// One connection.
#[derive(Debug)]
pub(super) struct Smb;

impl Opening for Smb {
    fn hear(&mut self, heard: &[u8], scene: &Scene<'_>) -> Step {
        let message = match heard.split_first_chunk::<4>() {
            None => None,
            // The transport's first octet is zero (section 2.1).
            Some(([0, a, b, c], rest)) => {
                let length = u32::from_be_bytes([0, *a, *b, *c]);
                match usize::try_from(length) {
                    Ok(length) if length <= REQUEST_OCTETS_MAX => rest.get(..length),
                    _ => return Step::Foreign,
                }
            }
            Some(_) => return Step::Foreign,
        };
        let Some(message) = message else { return Step::More };
        answer(message, scene).map_or(Step::Foreign, |(body, asked, ends)| {
            let length = u32::try_from(body.len()).unwrap_or(0);
            let mut octets = length.to_be_bytes().to_vec();
            octets.extend(body);
            Step::Answer(Answer { taken: 4 + message.len(), octets, asked, ends })
        })
    }
}

/// The answer's octets, what was asked, and whether the connection ends.
fn answer(message: &[u8], scene: &Scene<'_>) -> Option<(Vec<u8>, String, bool)> {
    if message.starts_with(SMB1) {
        let offers =
            |dialect: &[u8]| message.windows(dialect.len()).any(|window| window == dialect);
        if message.get(SMB1_COMMAND_AT) != Some(&SMB1_NEGOTIATE) {
            return None;
        }
        let dialect = match (offers(b"SMB 2.???\0"), offers(b"SMB 2.002\0")) {
            (true, _) => ANY,
            (false, true) => DIALECTS[0],
            (false, false) => return None,
        };
        let body = negotiated(Request { command: NEGOTIATE, message_id: 0 }, dialect, scene);
        return Some((body, "a negotiation that begins in SMB 1".to_owned(), false));
    }
    let mut input = Reader::new(message);
    let request = Request::decode(&mut input).ok()?;
    if request.command != NEGOTIATE {
        let asked = format!("command {} of SMB 2", request.command);
        return Some((request.error(STATUS_ACCESS_DENIED), asked, false));
    }
    let offered = offered(&mut input).ok()?;
    let names: Vec<_> = offered.iter().map(|dialect| format!("{dialect:#06x}")).collect();
    let asked = format!("a negotiation of {}", names.join(", "));
    match DIALECTS.iter().rev().find(|dialect| offered.contains(dialect)) {
        Some(dialect) => Some((negotiated(request, *dialect, scene), asked, false)),
        None => Some((request.error(STATUS_NOT_SUPPORTED), asked, true)),
    }
}

/// What is echoed of a request's header.
#[derive(Debug, Clone, Copy)]
struct Request {
    command: u16,
    message_id: u64,
}

impl Request {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let fault = input.fault("ProtocolId", portolan_codec::Fault::Malformed("SMB 2"));
        if input.take(SMB2.len(), "ProtocolId")? != SMB2 {
            return Err(fault);
        }
        input.u16_le("StructureSize")?.exactly(HEADER_SIZE, "64")?;
        input.take(2 /* CreditCharge */ + 4 /* Status */, "CreditCharge")?;
        let command = input.u16_le("Command")?.unchecked("compared by the caller");
        input.take(2 /* CreditRequest */ + 4 /* Flags */ + 4 /* NextCommand */, "Flags")?;
        let message_id = input.u64_le("MessageId")?.unchecked("only echoed");
        input
            .take(4 + 4 /* TreeId */ + 8 /* SessionId */ + 16 /* Signature */, "Signature")?;
        Ok(Self { command, message_id })
    }

    fn header(self, status: u32) -> Writer {
        let mut out = Writer::with_capacity(HEADER_OCTETS);
        out.put(SMB2);
        out.u16_le(HEADER_SIZE);
        out.u16_le(0); // CreditCharge
        out.u32_le(status);
        out.u16_le(self.command);
        out.u16_le(1); // CreditResponse
        out.u32_le(FROM_SERVER);
        out.u32_le(0); // NextCommand
        out.u64_le(self.message_id);
        out.put(&[0; 4 + 4 + 8 + 16]);
        out
    }

    /// The ERROR response (section 2.2.2).
    fn error(self, status: u32) -> Vec<u8> {
        let mut out = self.header(status);
        out.u16_le(9); // StructureSize
        out.put(&[0; 1 + 1 + 4 + 1]);
        out.into_vec()
    }
}

/// The dialects of a NEGOTIATE request (section 2.2.3).
fn offered(input: &mut Reader<'_>) -> Result<Vec<u16>, DecodeError> {
    input.u16_le("StructureSize")?.exactly(36, "36")?;
    let count = input.u16_le("DialectCount")?.at_most(DIALECTS_MAX)?;
    input.take(2 + 2 + 4 + 16 + 8, "ClientGuid")?;
    (0..count).map(|_| Ok(input.u16_le("Dialect")?.unchecked("looked up"))).collect()
}

/// The NEGOTIATE response (section 2.2.4).
fn negotiated(request: Request, dialect: u16, scene: &Scene<'_>) -> Vec<u8> {
    let is_newest = dialect == NEWEST;
    let mut out = request.header(STATUS_SUCCESS);
    out.u16_le(65); // StructureSize
    out.u16_le(SIGNING);
    out.u16_le(dialect);
    out.u16_le(u16::from(is_newest)); // NegotiateContextCount
    out.put(&mark::SERVER_GUID.to_bytes_le());
    out.u32_le(0); // Capabilities
    [TRANSFER_OCTETS_MAX; 3].into_iter().for_each(|octets| out.u32_le(octets));
    out.u64_le(file_time(scene.now));
    out.u64_le(0); // ServerStartTime
    let end = HEADER_SIZE + 64 /* of the body, up to the buffer */;
    out.u16_le(end); // SecurityBufferOffset
    out.u16_le(0); // SecurityBufferLength
    out.u32_le(if is_newest { u32::from(end) } else { 0 }); // NegotiateContextOffset
    if is_newest {
        out.u16_le(INTEGRITY);
        out.u16_le(2 + 2 + 2 + SALT_OCTETS);
        out.u32_le(0);
        out.u16_le(1); // HashAlgorithmCount
        out.u16_le(SALT_OCTETS);
        out.u16_le(SHA_512);
        out.put(&scene.stand_in.salt);
    }
    out.into_vec()
}

fn file_time(now: OffsetDateTime) -> u64 {
    let units = now.unix_timestamp_nanos() / 100 + i128::from(UNIX_EPOCH);
    u64::try_from(units).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::stand_in::tests::stand_in;
    use super::*;

    fn hear(message: &[u8]) -> Step {
        let (stand_in, now) = (stand_in(), OffsetDateTime::UNIX_EPOCH);
        let here = [192, 0, 2, 1].into();
        let mut framed = u32::try_from(message.len()).unwrap().to_be_bytes().to_vec();
        framed.extend(message);
        Smb.hear(&framed, &Scene { stand_in: &stand_in, here, port: 1, is_private: false, now })
    }

    fn negotiate(dialects: &[u16]) -> Vec<u8> {
        let mut out = Request { command: NEGOTIATE, message_id: 3 }.header(0);
        out.u16_le(36);
        out.u16_le(u16::try_from(dialects.len()).unwrap());
        out.put(&[0; 2 + 2 + 4 + 16 + 8]);
        dialects.iter().for_each(|dialect| out.u16_le(*dialect));
        out.into_vec()
    }

    fn chosen(message: &[u8]) -> u16 {
        let Step::Answer(answer) = hear(message) else { panic!() };
        let body = &answer.octets[4 + HEADER_OCTETS..];
        assert_eq!(body[8..24], mark::SERVER_GUID.to_bytes_le());
        u16::from_le_bytes([body[4], body[5]])
    }

    #[test]
    fn the_newest_dialect_of_both_is_chosen() {
        assert_eq!(chosen(&negotiate(&[0x0202, 0x0210])), 0x0210);
        assert_eq!(chosen(&negotiate(&[0x0302, 0x0311, 0x0202])), NEWEST);
        assert_eq!(chosen(b"\xffSMB\x72..............\x02SMB 2.002\0\x02SMB 2.???\0"), ANY);
        let Step::Answer(answer) = hear(&negotiate(&[0x9999])) else { panic!() };
        assert!(answer.ends);
    }

    #[test]
    fn a_session_is_refused() {
        let request = Request { command: 1, message_id: 4 }.header(0).into_vec();
        let Step::Answer(answer) = hear(&request) else { panic!() };
        assert_eq!(answer.octets[4 + 8..4 + 12], STATUS_ACCESS_DENIED.to_le_bytes());
    }

    #[test]
    fn what_is_not_smb_ends() {
        assert_eq!(hear(b"\xffSMB\x72 NT LM 0.12\0"), Step::Foreign);
        assert_eq!(hear(b"nonsense"), Step::Foreign);
        assert_eq!(hear(&negotiate(&[0x0202])[..70]), Step::Foreign);
    }
}
