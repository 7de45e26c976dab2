//! What rules and expressions read attributes from.

use crate::dictionary::AttributeId;
use crate::record::{Record, Values};

/// Something that has attributes: an object of a connector space or of the metaverse.
pub trait Source {
    /// The values of an attribute; none when it is absent.
    fn values(&self, attribute: AttributeId) -> Values<'_>;
}

impl Source for Record {
    fn values(&self, attribute: AttributeId) -> Values<'_> {
        Self::values(self, attribute)
    }
}
