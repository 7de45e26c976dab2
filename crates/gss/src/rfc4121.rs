//! Per-message tokens of the Kerberos mechanism ([RFC 4121 section 4.2]) for the AES encryption
//! types, and their variant for RPC ([MS-KILE] 3.4.5.4.1, `GSS_WrapEx`).
//!
//! [RFC 4121 section 4.2]: https://www.rfc-editor.org/rfc/rfc4121#section-4.2
//! [MS-KILE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-kile

use portolan_legacy_crypto::kerberos::{BLOCK_LENGTH, MAC_LENGTH, ProtocolKey, UsageKeys};
use portolan_model::Entropy;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::header::{HEADER_LENGTH, Header};
use crate::{Pdu, Protection, SecurityContext, UnwrapError, Unwrapped, WrapError};

/// The side of a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The client, which sent the AP-REQ.
    Initiator,
    /// The server.
    Acceptor,
}

/// What the handshake established.
#[derive(Debug, Clone)]
pub struct Established {
    /// The key of the context: the acceptor's subkey if there is one.
    pub key: ProtocolKey,
    /// Our side.
    pub role: Role,
    /// Whether the key is the acceptor's subkey.
    pub acceptor_subkey: bool,
    /// The sequence number of our first token.
    pub first_send: u64,
    /// The sequence number of the peer's first token. When it is not known, it is taken from the
    /// first token that proves to be the peer's; tokens dropped before that one go unnoticed.
    pub first_receive: Option<u64>,
}

/// An established context over AES-CTS and HMAC-SHA1-96. All its keys are derived once, and wiped
/// with it.
#[derive(Debug)]
pub struct Rfc4121 {
    key: ProtocolKey,
    send: UsageKeys,
    receive: UsageKeys,
    send_flags: u8,
    receive_flags: u8,
    send_next: u64,
    receive_next: Option<u64>,
    /// Where a fragment is put together for the cipher; kept for its memory.
    scratch: Zeroizing<Vec<u8>>,
}

impl Rfc4121 {
    /// A context from what the handshake established.
    #[must_use]
    pub fn new(established: Established) -> Self {
        let Established { key, role, acceptor_subkey, first_send, first_receive } = established;
        let subkey = if acceptor_subkey { Header::ACCEPTOR_SUBKEY } else { 0 };
        let initiator = (key.derive(INITIATOR_SEAL), subkey);
        let acceptor = (key.derive(ACCEPTOR_SEAL), subkey | Header::SENT_BY_ACCEPTOR);
        let ((send, send_flags), (receive, receive_flags)) = match role {
            Role::Initiator => (initiator, acceptor),
            Role::Acceptor => (acceptor, initiator),
        };
        Self {
            key,
            send,
            receive,
            send_flags,
            receive_flags,
            send_next: first_send,
            receive_next: first_receive,
            scratch: Zeroizing::new(Vec::new()),
        }
    }

    fn take_sequence(&mut self) -> Result<u64, WrapError> {
        let sequence = self.send_next;
        self.send_next = sequence.checked_add(1).ok_or(WrapError::SequenceExhausted)?;
        Ok(sequence)
    }

    /// Checks who sent a token and under which key, before anything is computed.
    fn expect_sender(&self, header: Header) -> Result<(), UnwrapError> {
        let wrong = (header.flags ^ self.receive_flags) & !Header::SEALED;
        if wrong & Header::SENT_BY_ACCEPTOR != 0 {
            return Err(UnwrapError::Reflected);
        }
        if wrong & Header::ACCEPTOR_SUBKEY != 0 {
            return Err(UnwrapError::WrongKey);
        }
        Ok(())
    }

    /// Accepts the sequence number of a token that proved to be the peer's.
    fn accept_sequence(&mut self, found: u64) -> Result<(), UnwrapError> {
        let expected = self.receive_next.unwrap_or(found);
        if found < expected {
            return Err(UnwrapError::Replayed { expected, found });
        }
        let next = found.checked_add(1).filter(|_| found == expected);
        self.receive_next = Some(next.ok_or(UnwrapError::Gap { expected, found })?);
        Ok(())
    }

    /// { message | checksum }, the checksum over { message | header with EC and RRC 0 }.
    fn unwrap_integrity<'t>(
        &self,
        header: Header,
        rest: &'t mut [u8],
    ) -> Result<&'t [u8], UnwrapError> {
        if header.extra_length() != MAC_LENGTH {
            return Err(UnwrapError::ExtraCount(header.extra_count));
        }
        rotate_back(rest, header.rotation);
        let found = HEADER_LENGTH + rest.len();
        let (message, checksum) = rest
            .split_last_chunk::<MAC_LENGTH>()
            .ok_or(UnwrapError::TooShort { needed: HEADER_LENGTH + MAC_LENGTH, found })?;
        let signed = Header { extra_count: 0, ..header.unrotated() }.encode();
        if !self.receive.has_checksum(&[message, &signed], checksum) {
            return Err(UnwrapError::ChecksumMismatch);
        }
        Ok(message)
    }

    /// { confounder | message | filler | header with RRC 0 }, encrypted, and its code.
    fn unwrap_confidentiality<'t>(
        &self,
        header: Header,
        rest: &'t mut [u8],
    ) -> Result<&'t [u8], UnwrapError> {
        let (found, needed) = (HEADER_LENGTH + rest.len(), HEADER_LENGTH + SEALED_FIXED_LENGTH);
        if found < needed {
            return Err(UnwrapError::TooShort { needed, found });
        }
        if header.extra_length() > found - needed {
            return Err(UnwrapError::ExtraCount(header.extra_count));
        }
        rotate_back(rest, header.rotation);
        let (sealed, code) = rest
            .split_last_chunk_mut::<MAC_LENGTH>()
            .ok_or(UnwrapError::TooShort { needed, found })?;
        self.receive
            .encryption()
            .decrypt(sealed)
            .map_err(|_| UnwrapError::TooShort { needed, found })?;
        if !self.receive.has_integrity(&[sealed], code) {
            return Err(UnwrapError::ChecksumMismatch);
        }
        let end = sealed.len() - HEADER_LENGTH;
        expect_copy(header, &sealed[end..])?;
        Ok(&sealed[BLOCK_LENGTH..end - header.extra_length()])
    }
}

impl SecurityContext for Rfc4121 {
    fn wrap(
        &mut self,
        protection: Protection,
        message: &[u8],
        rng: &mut dyn Entropy,
        token: &mut Vec<u8>,
    ) -> Result<(), WrapError> {
        let sequence = self.take_sequence()?;
        let header = Header { flags: self.send_flags, extra_count: 0, rotation: 0, sequence };
        token.reserve(message.len() + self.overhead(protection));
        match protection {
            Protection::Integrity => {
                let checksum = self.send.checksum(&[message, &header.encode()]);
                token.extend(Header { extra_count: MAC_LENGTH_U16, ..header }.encode());
                token.extend(message);
                token.extend(checksum);
            }
            Protection::Confidentiality => {
                let header = Header { flags: header.flags | Header::SEALED, ..header }.encode();
                token.extend(header);
                let start = token.len();
                let mut confounder = [0; BLOCK_LENGTH];
                rng.fill(&mut confounder);
                token.extend(confounder);
                token.extend(message);
                token.extend(header);
                let sealed = &mut token[start..];
                let code = self.send.integrity(&[sealed]);
                self.send.encryption().encrypt(sealed)?;
                token.extend(code);
            }
        }
        Ok(())
    }

    fn unwrap<'t>(&mut self, token: &'t mut [u8]) -> Result<Unwrapped<'t>, UnwrapError> {
        let (header, rest) = Header::decode(token)?;
        self.expect_sender(header)?;
        let (message, protection) = if header.is_sealed() {
            (self.unwrap_confidentiality(header, rest)?, Protection::Confidentiality)
        } else {
            (self.unwrap_integrity(header, rest)?, Protection::Integrity)
        };
        self.accept_sequence(header.sequence)?;
        Ok(Unwrapped { message, protection })
    }

    fn overhead(&self, protection: Protection) -> usize {
        match protection {
            Protection::Integrity => HEADER_LENGTH + MAC_LENGTH,
            Protection::Confidentiality => HEADER_LENGTH + SEALED_FIXED_LENGTH,
        }
    }

    fn seal_pdu(&mut self, pdu: Pdu<'_>, rng: &mut dyn Entropy) -> Result<(), WrapError> {
        let wrong =
            WrapError::AuthValueLength { needed: AUTH_VALUE_LENGTH, found: pdu.auth_value.len() };
        let auth_value: &mut [u8; AUTH_VALUE_LENGTH] =
            pdu.auth_value.try_into().map_err(|_| wrong)?;
        let sequence = self.take_sequence()?;
        let flags = self.send_flags | Header::SEALED;
        let header = Header { flags, extra_count: PDU_EXTRA_COUNT, rotation: 0, sequence };
        let mut confounder = [0; BLOCK_LENGTH];
        rng.fill(&mut confounder);
        let mut tail = [0; PDU_EXTRA_LENGTH + HEADER_LENGTH];
        tail[PDU_EXTRA_LENGTH..].copy_from_slice(&header.encode());
        let code = self.send.integrity(&[&confounder, pdu.header, pdu.body, pdu.trailer, &tail]);

        assemble(&mut self.scratch, &confounder, pdu.body, &tail);
        self.send.encryption().encrypt(&mut self.scratch)?;
        let (sealed, tail) = self.scratch.split_at(BLOCK_LENGTH + pdu.body.len());
        pdu.body.copy_from_slice(&sealed[BLOCK_LENGTH..]);
        // Rotated by RRC + EC, all but the body lies in the auth_value.
        let header = Header { rotation: PDU_ROTATION, ..header }.encode();
        let parts = [&header, tail, &code, &sealed[..BLOCK_LENGTH]];
        for (to, from) in auth_value.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        Ok(())
    }

    fn unseal_pdu(&mut self, pdu: Pdu<'_>) -> Result<(), UnwrapError> {
        let (header, rest) = Header::decode(pdu.auth_value)?;
        self.expect_sender(header)?;
        if !header.is_sealed() {
            return Err(UnwrapError::NotSealed);
        }
        if header.rotation != PDU_ROTATION {
            return Err(UnwrapError::Rotation(header.rotation));
        }
        // The body is the rest of the rotated message: the auth_value has its fixed parts exactly.
        if rest.len() != SEALED_FIXED_LENGTH + header.extra_length() {
            return Err(UnwrapError::ExtraCount(header.extra_count));
        }
        let (tail, rest) = rest.split_at(header.extra_length() + HEADER_LENGTH);
        let (code, confounder) = rest.split_at(MAC_LENGTH);
        assemble(&mut self.scratch, confounder, pdu.body, tail);
        let (needed, found) = (BLOCK_LENGTH, self.scratch.len());
        self.receive
            .encryption()
            .decrypt(&mut self.scratch)
            .map_err(|_| UnwrapError::TooShort { needed, found })?;
        let (confounder, rest) = self.scratch.split_at(BLOCK_LENGTH);
        let (body, tail) = rest.split_at(pdu.body.len());
        let signed = [confounder, pdu.header, body, pdu.trailer, tail];
        if !self.receive.has_integrity(&signed, code) {
            return Err(UnwrapError::ChecksumMismatch);
        }
        expect_copy(header, &tail[header.extra_length()..])?;
        pdu.body.copy_from_slice(body);
        self.accept_sequence(header.sequence)
    }

    fn auth_value_length(&self) -> usize {
        AUTH_VALUE_LENGTH
    }

    fn session_key(&self) -> &[u8] {
        self.key.expose()
    }
}

/// Undoes the sender's rotation to the right; counts above the length are legal and go round.
fn rotate_back(rest: &mut [u8], rotation: u16) {
    if let Some(count) = usize::from(rotation).checked_rem(rest.len()) {
        rest.rotate_left(count);
    }
}

fn expect_copy(header: Header, copy: &[u8]) -> Result<(), UnwrapError> {
    let same: bool = header.unrotated().encode().as_slice().ct_eq(copy).into();
    same.then_some(()).ok_or(UnwrapError::HeaderAltered)
}

fn assemble(scratch: &mut Zeroizing<Vec<u8>>, confounder: &[u8], body: &[u8], tail: &[u8]) {
    let needed = confounder.len() + body.len() + tail.len();
    scratch.clear();
    if scratch.capacity() < needed {
        // Growth would leave the old memory behind as it is.
        *scratch = Zeroizing::new(Vec::with_capacity(needed));
    }
    scratch.extend(confounder);
    scratch.extend(body);
    scratch.extend(tail);
}

/// Key usages ([RFC 4121 section 2]).
///
/// [RFC 4121 section 2]: https://www.rfc-editor.org/rfc/rfc4121#section-2
const ACCEPTOR_SEAL: u32 = 22;
const INITIATOR_SEAL: u32 = 24;

const MAC_LENGTH_U16: u16 = 12;
/// What a sealed token has besides header, message and filler.
const SEALED_FIXED_LENGTH: usize =
    BLOCK_LENGTH /* confounder */ + HEADER_LENGTH /* copy */ + MAC_LENGTH;

/// The extra count in RPC: one block ([MS-KILE] 3.4.5.4.1).
const PDU_EXTRA_COUNT: u16 = 16;
const PDU_EXTRA_LENGTH: usize = 16;
/// The rotation in RPC: header copy and code ([MS-KILE] 3.4.5.4.1).
const PDU_ROTATION: u16 = 28;
const AUTH_VALUE_LENGTH: usize = HEADER_LENGTH + SEALED_FIXED_LENGTH + PDU_EXTRA_LENGTH;
