//! LDAP as Portolan speaks it to a forest: the client's side of [RFC 4511], without IO.
//!
//! A [`Session`] turns requests into octets and received octets into [`Event`]s, in clear or in
//! the frames of a SASL security layer ([`sasl`]). [`message`] has the messages, [`filter`] and
//! [`control`] what a search needs, [`netlogon`] the ping by which controllers are found, [`ber`] their encoding. It follows no referral, resolves no name and opens no socket; the driver is in
//! `portolan_net`, the protection of frames in `portolan_gss`.
//!
//! [RFC 4511]: https://www.rfc-editor.org/rfc/rfc4511

pub mod attribute;
pub mod ber;
mod buffer;
pub mod control;
pub mod filter;
pub mod message;
pub mod netlogon;
pub mod sasl;
pub mod session;

pub use attribute::{AttributeDescription, ValueRange};
pub use control::Control;
pub use filter::Filter;
pub use message::{
    AddRequest, Attribute, BindRequest, ChangeOperation, DelRequest, LdapResult, LogonFailure,
    MessageId, ModifyDnRequest, ModifyRequest, PartialAttribute, Refusal, ResultCode, Scope,
    SearchRequest, SearchResultEntry,
};
pub use sasl::{LayerFault, SaslFraming, SecurityLayer};
pub use session::{Event, Limits, Session, SessionError, Update};
