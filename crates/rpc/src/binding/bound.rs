//! Calls over a binding.

use std::fmt;

use portolan_codec::{Reader, Writer};
use portolan_gss::{Pdu, SecurityContext};
use portolan_model::Entropy;
use zeroize::Zeroizing;

use super::open::BIND_CALL;
use super::{BindingError, PRESENTATION_CONTEXT, SECURITY_CONTEXT};
use crate::pdu::{
    CALL_HEADER_LENGTH, FRAGMENT_OCTETS_MAX, Fault, Flags, Header, PacketType, Request, Response,
    SecTrailer, VerificationTrailer,
};

/// Octets that the parameters of a call may have.
pub const REQUEST_OCTETS_MAX: usize = 1024 * 1024;
/// Octets that a reply may have, all its fragments together.
pub const RESPONSE_OCTETS_MAX: usize = 64 * 1024 * 1024;

/// An open binding: one call at a time.
pub struct Binding {
    context: Option<Box<dyn SecurityContext + Send>>,
    /// What the first request verifies.
    verification: Option<VerificationTrailer>,
    transmit_max: usize,
    call_id: u32,
    reply: Reply,
}

/// How much of the reply to the call under way came.
enum Reply {
    NoCall,
    Awaited,
    Begun(Zeroizing<Vec<u8>>),
}

impl Binding {
    pub(super) fn plain(transmit_max: usize) -> Self {
        Self {
            context: None,
            verification: None,
            transmit_max,
            call_id: BIND_CALL,
            reply: Reply::NoCall,
        }
    }

    pub(super) fn secured(
        transmit_max: usize,
        context: Box<dyn SecurityContext + Send>,
        verification: VerificationTrailer,
    ) -> Self {
        let verification = Some(verification);
        Self { context: Some(context), verification, ..Self::plain(transmit_max) }
    }

    /// The session key of the security context; empty without one.
    #[must_use]
    pub fn session_key(&self) -> &[u8] {
        self.context.as_ref().map_or(&[], |context| context.session_key())
    }

    /// Begins a call and gives its fragments, sealed, to send as they are.
    ///
    /// # Errors
    /// [`BindingError`] when a call is under way or the parameters are too large.
    pub fn call(
        &mut self,
        opnum: u16,
        stub: &[u8],
        rng: &mut dyn Entropy,
    ) -> Result<Vec<u8>, BindingError> {
        if !matches!(self.reply, Reply::NoCall) {
            return Err(BindingError::CallUnderWay);
        }
        let (found, limit) = (stub.len(), REQUEST_OCTETS_MAX);
        if found > limit {
            return Err(BindingError::RequestAboveLimit { found, limit });
        }
        self.call_id = self.call_id.wrapping_add(1);
        let tail = self.verification.take().map(|trailer| tail(stub.len(), &trailer));
        let tail = tail.unwrap_or_default();
        let piece = self.stub_octets_max();
        let mut output = Vec::with_capacity(stub.len() + stub.len() / 8 + CALL_HEADER_LENGTH);
        let mut rest = stub;
        loop {
            let (now, later) = rest.split_at(piece_length(rest.len(), tail.len(), piece));
            let first = if rest.len() == stub.len() { Flags::FIRST } else { Flags(0) };
            let last = if later.is_empty() { Flags::LAST } else { Flags(0) };
            let request = Request {
                flags: first.with(last),
                call_id: self.call_id,
                alloc_hint: u32::try_from(rest.len()).unwrap_or_default(),
                context_id: PRESENTATION_CONTEXT,
                opnum,
            };
            let tail = if later.is_empty() { tail.as_slice() } else { &[] };
            output.extend(self.encode_fragment(request, &[now, tail], rng)?);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        self.reply = Reply::Awaited;
        Ok(output)
    }

    /// Octets of the stub that fit a fragment, such that all but the last need no padding.
    fn stub_octets_max(&self) -> usize {
        let security = match &self.context {
            Some(context) => SecTrailer::LENGTH + context.auth_value_length(),
            None => 0,
        };
        let room = self.transmit_max.saturating_sub(CALL_HEADER_LENGTH + security);
        (room / PADDING).max(1) * PADDING
    }

    fn encode_fragment(
        &mut self,
        request: Request,
        body: &[&[u8]],
        rng: &mut dyn Entropy,
    ) -> Result<Vec<u8>, BindingError> {
        let mut out = Writer::with_capacity(usize::from(FRAGMENT_OCTETS_MAX));
        request.encode(&mut out);
        for part in body {
            out.put(part);
        }
        let length = out.position() - CALL_HEADER_LENGTH;
        let Some(context) = &mut self.context else {
            Header::patch_lengths(&mut out, 0);
            return Ok(out.into_vec());
        };
        let padding = length.next_multiple_of(PADDING) - length;
        out.put(&[0; PADDING][..padding]);
        let auth_pad_length = u8::try_from(padding).unwrap_or_default();
        SecTrailer { auth_pad_length, auth_context_id: SECURITY_CONTEXT }.encode(&mut out);
        let auth_length = context.auth_value_length();
        Header::patch_lengths(&mut out, auth_length);
        let body_length = length + padding;
        let mut fragment = out.into_vec();
        fragment.resize(fragment.len() + auth_length, 0);
        let (header, rest) = fragment.split_at_mut(CALL_HEADER_LENGTH);
        let (body, rest) = rest.split_at_mut(body_length);
        let (trailer, auth_value) = rest.split_at_mut(SecTrailer::LENGTH);
        context.seal_pdu(Pdu { header, body, trailer, auth_value }, rng)?;
        Ok(fragment)
    }

    /// Takes one fragment of the reply in, which is opened in place. Gives the stub of the reply once
    /// it is complete. The stub is wiped when dropped.
    ///
    /// # Errors
    /// [`BindingError`]; the connection is then to be closed.
    pub fn receive(
        &mut self,
        fragment: &mut [u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, BindingError> {
        let (header, _) = Header::of(fragment)?;
        let stub = self.open(header, fragment)?;
        let mut reply = match std::mem::replace(&mut self.reply, Reply::NoCall) {
            Reply::NoCall => return Err(BindingError::NoCall),
            Reply::Awaited if header.flags.contains(Flags::FIRST) => Zeroizing::new(Vec::new()),
            Reply::Begun(reply) if !header.flags.contains(Flags::FIRST) => reply,
            Reply::Awaited | Reply::Begun(_) => return Err(BindingError::FragmentOrder),
        };
        let last = header.flags.contains(Flags::LAST);
        if stub.is_empty() && !last {
            return Err(BindingError::EmptyFragment);
        }
        append(&mut reply, stub)?;
        if last {
            return Ok(Some(reply));
        }
        self.reply = Reply::Begun(reply);
        Ok(None)
    }

    /// The stub in a fragment of the reply, unsealed.
    fn open<'f>(
        &mut self,
        header: Header,
        fragment: &'f mut [u8],
    ) -> Result<&'f [u8], BindingError> {
        let packet_type = header.packet_type;
        if !matches!(packet_type, PacketType::Response | PacketType::Fault) {
            return Err(BindingError::UnexpectedFragment(packet_type));
        }
        if header.call_id != self.call_id {
            let found = header.call_id;
            return Err(BindingError::OtherCall { expected: self.call_id, found });
        }
        let sealed = header.auth_length != 0;
        if packet_type == PacketType::Response && sealed != self.context.is_some() {
            return Err(BindingError::NotSealed(packet_type));
        }
        let mut input = Reader::new(fragment);
        input.take(Header::LENGTH, "header")?;
        let Response { context_id } = Response::decode(&mut input)?;
        let stub = match &mut self.context {
            Some(context) if sealed => unseal(header, fragment, context.as_mut())?,
            _ => fragment.get(CALL_HEADER_LENGTH..).unwrap_or_default(),
        };
        if packet_type == PacketType::Fault {
            let Fault { status } = Fault::decode(&mut Reader::at(stub, CALL_HEADER_LENGTH))?;
            return Err(BindingError::Fault { status, sealed });
        }
        if context_id != PRESENTATION_CONTEXT {
            return Err(BindingError::OtherContext(context_id));
        }
        Ok(stub)
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Binding(call {}, sealed: {})", self.call_id, self.context.is_some())
    }
}

/// What stands behind a stub in the last fragment: padding, and the verification trailer.
fn tail(stub_length: usize, trailer: &VerificationTrailer) -> Vec<u8> {
    let mut out = Writer::with_capacity(VerificationTrailer::LENGTH + 3);
    // The trailer's place counts from the stub, which begins at a multiple of four.
    let before = stub_length % 4;
    out.put(&[0; 3][..before]);
    trailer.encode(&mut out);
    out.into_vec().split_off(before)
}

/// Octets of a stub's rest that go into the next fragment of `piece` octets. The last one has to hold
/// the whole tail, so that a rest for which it has no room beside it is cut once more.
const fn piece_length(rest: usize, tail: usize, piece: usize) -> usize {
    if rest + tail <= piece {
        rest
    } else if rest > piece {
        piece
    } else {
        rest.saturating_sub(1) / PADDING * PADDING
    }
}

/// Splits a sealed fragment into its parts ([MS-RPCE] 2.2.2.11), opens its body and cuts its padding
/// off.
///
/// [MS-RPCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-rpce
fn unseal<'f>(
    header: Header,
    fragment: &'f mut [u8],
    context: &mut dyn SecurityContext,
) -> Result<&'f [u8], BindingError> {
    let (length, auth_length) = (fragment.len(), usize::from(header.auth_length));
    let short = BindingError::NotSealed(header.packet_type);
    let tail = SecTrailer::LENGTH + auth_length;
    let body_length = length.checked_sub(CALL_HEADER_LENGTH + tail).ok_or(short)?;
    let (head, rest) = fragment.split_at_mut(CALL_HEADER_LENGTH);
    let (body, rest) = rest.split_at_mut(body_length);
    let (trailer, auth_value) = rest.split_at_mut(SecTrailer::LENGTH);
    let trailer_at = CALL_HEADER_LENGTH + body_length;
    let sec_trailer = SecTrailer::decode(&mut Reader::at(trailer, trailer_at), SECURITY_CONTEXT)?;
    context.unseal_pdu(Pdu { header: head, body, trailer, auth_value })?;
    let mut input = Reader::at(body, CALL_HEADER_LENGTH);
    let stub_length = body_length.checked_sub(usize::from(sec_trailer.auth_pad_length));
    Ok(input.take(stub_length.unwrap_or(usize::MAX), "stub before its padding")?)
}

/// Appends within the limit. Growth moves the reply to new memory and wipes the old.
fn append(reply: &mut Zeroizing<Vec<u8>>, stub: &[u8]) -> Result<(), BindingError> {
    let length = reply.len() + stub.len();
    if length > RESPONSE_OCTETS_MAX {
        return Err(BindingError::ResponseAboveLimit);
    }
    if length > reply.capacity() {
        let mut grown = Vec::with_capacity((2 * length).max(REPLY_CAPACITY));
        grown.extend_from_slice(reply);
        *reply = Zeroizing::new(grown);
    }
    reply.extend_from_slice(stub);
    Ok(())
}

/// The alignment of a sealed body: the cipher's block ([MS-RPCE] 2.2.2.11).
///
/// [MS-RPCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-rpce
const PADDING: usize = 16;
/// What a reply gets at first.
const REPLY_CAPACITY: usize = 64 * 1024;
