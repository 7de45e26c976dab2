//! Records being made.

use super::{Record, ValueRef, Values, read};
use crate::dictionary::AttributeId;

/// A record being made. It is fastest when attributes come in the order of their numbers.
#[derive(Debug, Default)]
pub struct RecordWriter {
    octets: Vec<u8>,
    last: Option<AttributeId>,
    /// Attributes that came late, with their encoded values.
    late: Vec<(AttributeId, Vec<u8>)>,
    /// The values of one attribute.
    scratch: Vec<u8>,
}

impl RecordWriter {
    /// A writer of a record that has about so many octets.
    #[must_use]
    pub fn with_capacity(octets: usize) -> Self {
        Self { octets: Vec::with_capacity(octets), ..Self::default() }
    }

    /// Gives an attribute the values of another record's, as [`put`](Self::put) does.
    pub fn put_values(&mut self, attribute: AttributeId, values: Values<'_>) {
        match values.encoded() {
            None => self.put(attribute, values),
            Some([]) => {}
            // They stand there sorted and each once.
            Some(encoded) if self.last.is_none_or(|last| attribute > last) => {
                put_attribute(&mut self.octets, attribute, encoded);
                self.last = Some(attribute);
            }
            Some(encoded) => self.late.push((attribute, encoded.to_vec())),
        }
    }

    /// Gives an attribute these values, sorted and each once; without one it stays absent. An attribute
    /// is put once: of a later time, nothing is kept.
    pub fn put<'a>(
        &mut self,
        attribute: AttributeId,
        values: impl IntoIterator<Item = ValueRef<'a>>,
    ) {
        let mut values = values.into_iter();
        let Some(first) = values.next() else { return };
        self.scratch.clear();
        match values.next() {
            None => put_value(&mut self.scratch, first),
            Some(second) => {
                let mut all: Vec<_> = [first, second].into_iter().chain(values).collect();
                all.sort_unstable();
                all.dedup();
                all.iter().for_each(|value| put_value(&mut self.scratch, *value));
            }
        }
        if self.last.is_some_and(|last| attribute <= last) {
            self.late.push((attribute, self.scratch.clone()));
        } else {
            put_attribute(&mut self.octets, attribute, &self.scratch);
            self.last = Some(attribute);
        }
    }

    /// Puts all attributes of a record.
    pub(super) fn append(&mut self, record: &Record) {
        let mut attributes = record.iter().peekable();
        if attributes.peek().is_some_and(|(first, _)| self.last.is_none_or(|last| *first > last)) {
            self.octets.extend_from_slice(record.as_octets());
            self.last = attributes.last().map(|(attribute, _)| attribute);
        } else {
            attributes.for_each(|(attribute, values)| self.put_values(attribute, values));
        }
    }

    /// The record.
    #[must_use]
    pub fn finish(mut self) -> Record {
        if self.late.is_empty() {
            return Record { octets: self.octets };
        }
        let in_order = read::bodies(&self.octets).map(|(id, body)| (id, body.to_vec()));
        let mut all: Vec<_> = in_order.chain(self.late.drain(..)).collect();
        // Stable: of an attribute that was put twice, the first comes first.
        all.sort_by_key(|(attribute, _)| *attribute);
        all.dedup_by_key(|(attribute, _)| *attribute);
        let mut octets = Vec::with_capacity(self.octets.len());
        for (attribute, body) in &all {
            put_attribute(&mut octets, *attribute, body);
        }
        Record { octets }
    }
}

fn put_attribute(out: &mut Vec<u8>, attribute: AttributeId, body: &[u8]) {
    put_varint(out, u64::from(attribute.0));
    put_varint(out, body.len() as u64);
    out.extend_from_slice(body);
}

fn put_value(out: &mut Vec<u8>, value: ValueRef<'_>) {
    let mut put = |kind: u64, octets: &[u8]| {
        put_varint(out, (octets.len() as u64) << 3 | kind);
        out.extend_from_slice(octets);
    };
    match value {
        ValueRef::Text(text) => put(read::TEXT, text.as_bytes()),
        ValueRef::Octets(octets) => put(read::OCTETS, octets),
        ValueRef::Boolean(false) => put(read::FALSE, &[]),
        ValueRef::Boolean(true) => put(read::TRUE, &[]),
        ValueRef::Integer(number) => {
            let octets = number.to_le_bytes();
            let fill = if number < 0 { 0xff } else { 0 };
            let mut length = octets.len();
            // What the sign bit of the octet before says need not stand there.
            while length > 1
                && octets[length - 1] == fill
                && (octets[length - 2] ^ fill) & 0x80 == 0
            {
                length -= 1;
            }
            put(read::INTEGER, &octets[..length]);
        }
    }
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
