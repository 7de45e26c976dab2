//! The delete operation ([RFC 4511] section 4.8): an object that has none below it goes.
//!
//! [RFC 4511]: https://www.rfc-editor.org/rfc/rfc4511#section-4.8

/// DelRequest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelRequest {
    /// The object's name.
    pub entry: String,
}
