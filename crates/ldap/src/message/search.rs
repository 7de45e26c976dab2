//! The search request ([RFC 4511] section 4.5.1).
//!
//! [RFC 4511]: https://www.rfc-editor.org/rfc/rfc4511#section-4.5.1

use portolan_codec::{DecodeError, Fault};

use crate::ber::{Decoder, Encoder, Tag};
use crate::filter::Filter;

/// Attributes one request may name.
pub const SELECTION_MAX: usize = 1024;
/// maxInt of RFC 4511 section 4.1.1.
const INTEGER_MAX: i64 = 0x7fff_ffff;

/// How far below the base a search goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The base object only.
    Base,
    /// The children of the base, without itself.
    One,
    /// The base and all below it.
    Subtree,
}

/// Whether aliases are followed. Active Directory has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DerefAliases {
    /// neverDerefAliases.
    Never,
    /// derefInSearching.
    Searching,
    /// derefFindingBaseObj.
    FindingBase,
    /// derefAlways.
    Always,
}

/// SearchRequest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchRequest {
    /// The base object's name; empty for the root DSE.
    pub base: String,
    /// How far below it.
    pub scope: Scope,
    /// Whether aliases are followed.
    pub deref_aliases: DerefAliases,
    /// Entries to return at most; 0 leaves it to the server.
    pub size_limit: u32,
    /// Seconds to take at most; 0 leaves it to the server.
    pub time_limit_seconds: u32,
    /// Whether values are left out.
    pub types_only: bool,
    /// Which entries.
    pub filter: Filter,
    /// Which attributes; none for all user attributes.
    pub attributes: Vec<String>,
}

impl SearchRequest {
    /// A search without limits of its own.
    #[must_use]
    pub fn new(base: impl Into<String>, scope: Scope, filter: Filter) -> Self {
        Self {
            base: base.into(),
            scope,
            deref_aliases: DerefAliases::Never,
            size_limit: 0,
            time_limit_seconds: 0,
            types_only: false,
            filter,
            attributes: Vec::new(),
        }
    }

    /// The same search for these attributes only.
    #[must_use]
    pub fn select<T: Into<String>>(mut self, attributes: impl IntoIterator<Item = T>) -> Self {
        self.attributes = attributes.into_iter().map(Into::into).collect();
        self
    }

    pub(crate) fn encode(&self, encoder: &mut Encoder) {
        encoder.text(&self.base);
        encoder.integer(Tag::ENUMERATED, self.scope as i64);
        encoder.integer(Tag::ENUMERATED, self.deref_aliases as i64);
        encoder.integer(Tag::INTEGER, i64::from(self.size_limit).min(INTEGER_MAX));
        encoder.integer(Tag::INTEGER, i64::from(self.time_limit_seconds).min(INTEGER_MAX));
        encoder.boolean(Tag::BOOLEAN, self.types_only);
        self.filter.encode(encoder);
        encoder.constructed(Tag::SEQUENCE, |selection| {
            self.attributes.iter().for_each(|attribute| selection.text(attribute));
        });
    }

    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let base = decoder.text("baseObject")?.to_owned();
        let scope = match decoder.enumerated(0..=2, "scope")? {
            0 => Scope::Base,
            1 => Scope::One,
            _ => Scope::Subtree,
        };
        let deref_aliases = match decoder.enumerated(0..=3, "derefAliases")? {
            0 => DerefAliases::Never,
            1 => DerefAliases::Searching,
            2 => DerefAliases::FindingBase,
            _ => DerefAliases::Always,
        };
        // The bounds make both numbers fit.
        let size_limit = decoder.integer(0..=INTEGER_MAX, "sizeLimit")? as u32;
        let time_limit_seconds = decoder.integer(0..=INTEGER_MAX, "timeLimit")? as u32;
        let types_only = decoder.boolean(Tag::BOOLEAN, "typesOnly")?;
        let filter = Filter::decode(decoder)?;
        let attributes = selection(decoder.constructed(Tag::SEQUENCE, "attributes")?)?;
        Ok(Self {
            base,
            scope,
            deref_aliases,
            size_limit,
            time_limit_seconds,
            types_only,
            filter,
            attributes,
        })
    }
}

fn selection(mut decoder: Decoder<'_>) -> Result<Vec<String>, DecodeError> {
    let mut attributes = Vec::new();
    while !decoder.is_empty() {
        if attributes.len() == SELECTION_MAX {
            let limit = SELECTION_MAX as u64;
            let fault = Fault::AboveLimit { found: limit + 1, limit };
            return Err(decoder.fault("attributes", fault));
        }
        attributes.push(decoder.text("selector")?.to_owned());
    }
    Ok(attributes)
}
