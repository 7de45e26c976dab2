//! LDAPMessage ([RFC 4511] section 4.1.1), both directions: what a client sends and what a scripted
//! server answers.
//!
//! [RFC 4511]: https://www.rfc-editor.org/rfc/rfc4511#section-4.1.1

mod add;
mod attributes;
mod bind;
mod delete;
mod entry;
mod modify;
mod modify_dn;
mod result;
mod search;

use std::fmt;

use portolan_codec::{DecodeError, Fault};
use zeroize::Zeroizing;

pub use add::AddRequest;
pub use attributes::PartialAttribute;
pub use bind::{Authentication, BindRequest, BindResponse};
pub use delete::DelRequest;
pub use entry::{ATTRIBUTES_MAX, Attribute, SearchResultEntry, VALUES_MAX};
pub use modify::{Change, ChangeOperation, ModifyRequest};
pub use modify_dn::ModifyDnRequest;
pub use result::{LdapResult, LogonFailure, REFERRALS_MAX, Refusal, ResultCode};
pub use search::{DerefAliases, SELECTION_MAX, Scope, SearchRequest};

use crate::ber::{Decoder, Encoder, Tag, utf8};
use crate::control::{Control, decode_controls, encode_controls};

/// The responseName of the Notice of Disconnection (RFC 4511 section 4.4.1).
pub const NOTICE_OF_DISCONNECTION: &str = "1.3.6.1.4.1.1466.20036";

const BIND_REQUEST: Tag = Tag::application_constructed(0);
const BIND_RESPONSE: Tag = Tag::application_constructed(1);
const UNBIND_REQUEST: Tag = Tag::application(2);
const SEARCH_REQUEST: Tag = Tag::application_constructed(3);
const SEARCH_RESULT_ENTRY: Tag = Tag::application_constructed(4);
const SEARCH_RESULT_DONE: Tag = Tag::application_constructed(5);
const MODIFY_REQUEST: Tag = Tag::application_constructed(6);
const MODIFY_RESPONSE: Tag = Tag::application_constructed(7);
const ADD_REQUEST: Tag = Tag::application_constructed(8);
const ADD_RESPONSE: Tag = Tag::application_constructed(9);
const DEL_REQUEST: Tag = Tag::application(10);
const DEL_RESPONSE: Tag = Tag::application_constructed(11);
const MODIFY_DN_REQUEST: Tag = Tag::application_constructed(12);
const MODIFY_DN_RESPONSE: Tag = Tag::application_constructed(13);
const ABANDON_REQUEST: Tag = Tag::application(16);
const SEARCH_RESULT_REFERENCE: Tag = Tag::application_constructed(19);
const EXTENDED_RESPONSE: Tag = Tag::application_constructed(24);
const CONTROLS: Tag = Tag::context_constructed(0);
const RESPONSE_NAME: Tag = Tag::context(10);
const RESPONSE_VALUE: Tag = Tag::context(11);
/// Octets of headers and numbers around what [`Message::octets_hint`] counts.
const ENVELOPE_OCTETS: usize = 128;

/// The number that ties responses to their request: 1 to 2^31 - 1, or 0 for a response that
/// nobody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(u32);

impl MessageId {
    /// The number of unsolicited notifications.
    pub const UNSOLICITED: Self = Self(0);
    /// The first number of a connection.
    pub(crate) const FIRST: Self = Self(1);
    /// maxInt of RFC 4511 section 4.1.1.
    const MAX: u32 = 0x7fff_ffff;

    /// A number of 1 to 2^31 - 1 from any other, a random one mostly.
    #[must_use]
    pub const fn of(number: u32) -> Self {
        Self(number % Self::MAX + 1)
    }

    /// The number after this one; 1 follows the last.
    pub(crate) const fn following(self) -> Self {
        if self.0 >= Self::MAX { Self::FIRST } else { Self(self.0 + 1) }
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    fn of_integer(value: i64) -> Self {
        // Every caller has bounded the value.
        Self(value as u32)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// LDAPMessage.
#[derive(Debug, Clone)]
pub struct Message {
    /// Which operation it belongs to.
    pub id: MessageId,
    /// The protocolOp.
    pub operation: Operation,
    /// The controls beside it.
    pub controls: Vec<Control>,
}

/// The protocolOp of a message.
#[derive(Debug, Clone)]
pub enum Operation {
    /// BindRequest.
    BindRequest(BindRequest),
    /// BindResponse.
    BindResponse(BindResponse),
    /// UnbindRequest.
    UnbindRequest,
    /// SearchRequest.
    SearchRequest(SearchRequest),
    /// SearchResultEntry.
    SearchResultEntry(SearchResultEntry),
    /// SearchResultReference: the URLs of where the search goes on elsewhere.
    SearchResultReference(Vec<String>),
    /// SearchResultDone.
    SearchResultDone(LdapResult),
    /// ModifyRequest.
    ModifyRequest(ModifyRequest),
    /// ModifyResponse.
    ModifyResponse(LdapResult),
    /// AddRequest.
    AddRequest(AddRequest),
    /// AddResponse.
    AddResponse(LdapResult),
    /// DelRequest.
    DelRequest(DelRequest),
    /// DelResponse.
    DelResponse(LdapResult),
    /// ModifyDNRequest.
    ModifyDnRequest(ModifyDnRequest),
    /// ModifyDNResponse.
    ModifyDnResponse(LdapResult),
    /// AbandonRequest, with the number of the operation to give up.
    AbandonRequest(MessageId),
    /// ExtendedResponse, such as the Notice of Disconnection.
    ExtendedResponse(ExtendedResponse),
}

/// ExtendedResponse (RFC 4511 section 4.12).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtendedResponse {
    /// How the operation ended.
    pub result: LdapResult,
    /// responseName, an object identifier.
    pub name: Option<String>,
    /// responseValue.
    pub value: Option<Vec<u8>>,
}

impl Message {
    /// A message without controls.
    #[must_use]
    pub const fn new(id: MessageId, operation: Operation) -> Self {
        Self { id, operation, controls: Vec::new() }
    }

    /// The message's octets, wiped when dropped: a bind request holds a password.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut encoder = Encoder::with_capacity(ENVELOPE_OCTETS + self.octets_hint());
        encoder.constructed(Tag::SEQUENCE, |message| {
            message.integer(Tag::INTEGER, self.id.0.into());
            self.operation.encode(message);
            if !self.controls.is_empty() {
                message.constructed(CONTROLS, |list| encode_controls(list, &self.controls));
            }
        });
        Zeroizing::new(encoder.into_vec())
    }

    /// Takes one whole message in.
    ///
    /// # Errors
    /// [`DecodeError`] when the octets are not exactly one message of the kinds above.
    pub fn decode(octets: &[u8]) -> Result<Self, DecodeError> {
        let mut outer = Decoder::new(octets);
        let mut message = outer.constructed(Tag::SEQUENCE, "LDAPMessage")?;
        outer.finish("LDAPMessage")?;
        let id = message.integer(0..=MessageId::MAX.into(), "messageID")?;
        let operation = Operation::decode(&mut message)?;
        let controls = if message.peek() == Some(CONTROLS) {
            decode_controls(message.constructed(CONTROLS, "controls")?)?
        } else {
            Vec::new()
        };
        message.skip_extensions("LDAPMessage")?;
        Ok(Self { id: MessageId::of_integer(id), operation, controls })
    }

    /// About how many octets the parts take that may hold a secret.
    fn octets_hint(&self) -> usize {
        match &self.operation {
            Operation::BindRequest(request) => request.octets_hint(),
            Operation::ModifyRequest(request) => request.octets_hint(),
            Operation::AddRequest(request) => request.octets_hint(),
            _ => 0,
        }
    }
}

impl Operation {
    fn encode(&self, encoder: &mut Encoder) {
        match self {
            Self::BindRequest(request) => {
                encoder.constructed(BIND_REQUEST, |inner| request.encode(inner));
            }
            Self::BindResponse(response) => {
                encoder.constructed(BIND_RESPONSE, |inner| response.encode(inner));
            }
            Self::UnbindRequest => encoder.primitive(UNBIND_REQUEST, &[]),
            Self::SearchRequest(request) => {
                encoder.constructed(SEARCH_REQUEST, |inner| request.encode(inner));
            }
            Self::SearchResultEntry(entry) => {
                encoder.constructed(SEARCH_RESULT_ENTRY, |inner| entry.encode(inner));
            }
            Self::SearchResultReference(urls) => {
                encoder.constructed(SEARCH_RESULT_REFERENCE, |inner| {
                    urls.iter().for_each(|url| inner.text(url));
                });
            }
            Self::SearchResultDone(result) => {
                encoder.constructed(SEARCH_RESULT_DONE, |inner| result.encode(inner));
            }
            Self::ModifyRequest(request) => {
                encoder.constructed(MODIFY_REQUEST, |inner| request.encode(inner));
            }
            Self::AddRequest(request) => {
                encoder.constructed(ADD_REQUEST, |inner| request.encode(inner));
            }
            Self::DelRequest(request) => {
                encoder.primitive(DEL_REQUEST, request.entry.as_bytes());
            }
            Self::ModifyDnRequest(request) => {
                encoder.constructed(MODIFY_DN_REQUEST, |inner| request.encode(inner));
            }
            Self::ModifyResponse(result) => {
                encoder.constructed(MODIFY_RESPONSE, |inner| result.encode(inner));
            }
            Self::AddResponse(result) => {
                encoder.constructed(ADD_RESPONSE, |inner| result.encode(inner));
            }
            Self::DelResponse(result) => {
                encoder.constructed(DEL_RESPONSE, |inner| result.encode(inner));
            }
            Self::ModifyDnResponse(result) => {
                encoder.constructed(MODIFY_DN_RESPONSE, |inner| result.encode(inner));
            }
            Self::AbandonRequest(id) => encoder.integer(ABANDON_REQUEST, id.0.into()),
            Self::ExtendedResponse(response) => {
                encoder.constructed(EXTENDED_RESPONSE, |inner| response.encode(inner));
            }
        }
    }

    fn decode(message: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let Some(tag) = message.peek() else {
            return Err(message.fault("protocolOp", Fault::Truncated { needed: 1, available: 0 }));
        };
        if tag == ABANDON_REQUEST {
            let bounds = 0..=MessageId::MAX.into();
            let id = message.number(ABANDON_REQUEST, bounds, "AbandonRequest")?;
            return Ok(Self::AbandonRequest(MessageId::of_integer(id)));
        }
        if tag == UNBIND_REQUEST {
            message.primitive(UNBIND_REQUEST, "UnbindRequest")?;
            return Ok(Self::UnbindRequest);
        }
        if tag == DEL_REQUEST {
            let offset = message.offset();
            let name = message.primitive(DEL_REQUEST, "DelRequest")?;
            let entry = utf8(name, offset, "DelRequest")?.to_owned();
            return Ok(Self::DelRequest(DelRequest { entry }));
        }
        let mut inner = message.constructed(tag, "protocolOp")?;
        let operation = match tag {
            SEARCH_RESULT_ENTRY => {
                let base = inner.offset();
                let entry = SearchResultEntry::decode(inner.rest().to_vec(), base)?;
                return Ok(Self::SearchResultEntry(entry));
            }
            SEARCH_RESULT_REFERENCE => Self::SearchResultReference(result::urls(&mut inner)?),
            SEARCH_RESULT_DONE => Self::SearchResultDone(LdapResult::decode(&mut inner)?),
            BIND_RESPONSE => Self::BindResponse(BindResponse::decode(&mut inner)?),
            EXTENDED_RESPONSE => Self::ExtendedResponse(ExtendedResponse::decode(&mut inner)?),
            MODIFY_RESPONSE => Self::ModifyResponse(LdapResult::decode(&mut inner)?),
            ADD_RESPONSE => Self::AddResponse(LdapResult::decode(&mut inner)?),
            DEL_RESPONSE => Self::DelResponse(LdapResult::decode(&mut inner)?),
            MODIFY_DN_RESPONSE => Self::ModifyDnResponse(LdapResult::decode(&mut inner)?),
            MODIFY_REQUEST => Self::ModifyRequest(ModifyRequest::decode(&mut inner)?),
            ADD_REQUEST => Self::AddRequest(AddRequest::decode(&mut inner)?),
            MODIFY_DN_REQUEST => Self::ModifyDnRequest(ModifyDnRequest::decode(&mut inner)?),
            BIND_REQUEST => Self::BindRequest(BindRequest::decode(&mut inner)?),
            SEARCH_REQUEST => Self::SearchRequest(SearchRequest::decode(&mut inner)?),
            other => {
                let expected = "an operation that Portolan knows";
                let fault = Fault::Unexpected { expected, found: other.octet().into() };
                return Err(inner.fault("protocolOp", fault));
            }
        };
        inner.skip_extensions("protocolOp")?;
        Ok(operation)
    }
}

impl ExtendedResponse {
    fn encode(&self, encoder: &mut Encoder) {
        self.result.encode(encoder);
        if let Some(name) = &self.name {
            encoder.primitive(RESPONSE_NAME, name.as_bytes());
        }
        if let Some(value) = &self.value {
            encoder.primitive(RESPONSE_VALUE, value);
        }
    }

    fn decode(decoder: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let result = LdapResult::decode(decoder)?;
        let offset = decoder.offset();
        let name = decoder.optional(RESPONSE_NAME, "responseName")?;
        let name = name.map(|name| utf8(name, offset, "responseName")).transpose()?;
        let value = decoder.optional(RESPONSE_VALUE, "responseValue")?;
        Ok(Self { result, name: name.map(str::to_owned), value: value.map(<[u8]>::to_vec) })
    }
}

#[cfg(test)]
mod tests;
