//! The reply, version 6 ([MS-DRSR] 4.1.10.2.12, `DRS_MSG_GETCHGREPLY_V6`).
//!
//! [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr

use std::fmt;
use std::ops::Range;

use portolan_codec::{DecodeError, Fault};
use portolan_model::Guid;

use super::skip;
use crate::Status;
use crate::drsr::{AttributeType, ObjectName, PrefixTable, UpToDateVector, UsnVector};
use crate::ndr::Reader;

/// A page of changes. Names and values stay in the memory of the stub; they are not printed.
#[derive(Clone)]
pub struct Reply<'a> {
    /// uuidDsaObjSrc: the objectGUID of the domain controller's nTDSDSA object. It stays when the
    /// controller is restored from a backup, which gives it another invocationId.
    pub source: Guid,
    /// uuidInvocIdSrc: the invocationId that `to` is of.
    pub source_invocation: Guid,
    /// usnvecTo: where the next request goes on.
    pub to: UsnVector,
    /// pUpToDateVecSrc: the vector once the cycle is complete; it comes with its last page.
    pub up_to_date: Option<UpToDateVector>,
    /// The table that the attributes' numbers are of.
    pub table: PrefixTable,
    /// ulExtendedRet: 1 when an extended operation succeeded.
    pub extended_result: u32,
    /// Whether the cycle goes on.
    pub more_data: bool,
    /// dwDRSError.
    pub error: Status,
    objects: Vec<Record<'a>>,
    attributes: Vec<(AttributeType, Range<usize>)>,
    values: Vec<&'a [u8]>,
}

/// A changed object ([MS-DRSR] 5.162, `REPLENTINFLIST`).
///
/// [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr
#[derive(Clone, Copy)]
pub struct Object<'r, 'a> {
    reply: &'r Reply<'a>,
    record: &'r Record<'a>,
}

/// A changed attribute ([MS-DRSR] 5.9, `ATTR`).
///
/// [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'r, 'a> {
    /// Which one, in the reply's table.
    pub attribute_type: AttributeType,
    /// All its values; none when it was removed.
    pub values: &'r [&'a [u8]],
}

#[derive(Clone)]
struct Record<'a> {
    name: Option<ObjectName<'a>>,
    parent: Option<Guid>,
    attributes: Range<usize>,
}

impl<'a> Reply<'a> {
    /// Reads the stub of a reply, or the status of the call when it failed.
    ///
    /// # Errors
    /// [`DecodeError`] when the stub is no reply of version 6.
    pub fn decode(stub: &'a [u8]) -> Result<Result<Self, Status>, DecodeError> {
        let mut input = Reader::new(stub);
        input.u32("pdwOutVersion")?.exactly(6, "version 6")?;
        input.u32("pmsgOut")?.exactly(6, "version 6")?;
        input.align(8, "DRS_MSG_GETCHGREPLY_V6")?;
        let source = input.uuid("uuidDsaObjSrc")?;
        let source_invocation = input.uuid("uuidInvocIdSrc")?;
        let name = input.referent("pNC")?;
        UsnVector::decode(&mut input)?; // usnvecFrom
        let to = UsnVector::decode(&mut input)?;
        let up_to_date = input.referent("pUpToDateVecSrc")?;
        let table = PrefixTable::decode_fixed(&mut input)?;
        let extended_result = input.u32("ulExtendedRet")?.unchecked("compared by the caller");
        let count = input.count(OBJECTS_MAX, OBJECT_LENGTH, "cNumObjects")?;
        input.u32("cNumBytes")?.unchecked("not used");
        let objects = input.referent("pObjects")?;
        let more_data = input.u32("fMoreData")?.unchecked("a Boolean") != 0;
        input.u32("cNumNcSizeObjects")?.unchecked("not used");
        input.u32("cNumNcSizeValues")?.unchecked("not used");
        let linked =
            input.count(skip::LINKED_VALUES_MAX, skip::LINKED_VALUE_LENGTH, "cNumValues")?;
        let linked_values = input.referent("rgValues")?;
        let error = Status(input.u32("dwDRSError")?.unchecked("any status is legal"));

        if name {
            ObjectName::decode(&mut input)?;
        }
        let mut reply = Self {
            source,
            source_invocation,
            to,
            up_to_date: match up_to_date {
                true => Some(UpToDateVector::decode(&mut input)?),
                false => None,
            },
            table: match table {
                Some(rows) => PrefixTable::decode_deferred(&mut input, rows)?,
                None => PrefixTable::default(),
            },
            extended_result,
            more_data,
            error,
            objects: Vec::new(),
            attributes: Vec::new(),
            values: Vec::new(),
        };
        if objects {
            reply.decode_objects(&mut input, count)?;
        }
        if linked_values {
            skip::linked_values(&mut input, linked)?;
        }
        let status = Status(input.u32("return value")?.unchecked("any status is legal"));
        input.finish("IDL_DRSGetNCChanges reply")?;
        Ok(status.success().map(|()| reply))
    }

    /// The changed objects, parents before their children.
    pub fn objects(&self) -> impl ExactSizeIterator<Item = Object<'_, 'a>> {
        self.objects.iter().map(|record| Object { reply: self, record })
    }

    /// Reads the list. Each element begins with the pointer to the next, so that NDR sends the heads
    /// of all elements in their order, and then, from the last element to the first, what else their
    /// pointers refer to.
    fn decode_objects(&mut self, input: &mut Reader<'a>, count: usize) -> Result<(), DecodeError> {
        let mut heads = Vec::with_capacity(count);
        let mut next = true;
        while next {
            let at = *input;
            next = input.referent("pNextEntInf")?;
            heads.push(Head::decode(input)?);
            if heads.len() > count || (!next && heads.len() < count) {
                let rule = Fault::Malformed("the list's length is not what cNumObjects names");
                return Err(at.fault("pNextEntInf", rule));
            }
        }
        self.objects = Vec::with_capacity(heads.len());
        for head in heads.into_iter().rev() {
            let record = self.decode_object(input, head)?;
            self.objects.push(record);
        }
        self.objects.reverse();
        Ok(())
    }

    fn decode_object(
        &mut self,
        input: &mut Reader<'a>,
        head: Head,
    ) -> Result<Record<'a>, DecodeError> {
        let name = match head.name {
            true => Some(ObjectName::decode(input)?),
            false => None,
        };
        let first = self.attributes.len();
        if let Some(count) = head.attributes {
            self.decode_attributes(input, count)?;
        }
        let parent = match head.parent {
            true => Some(input.uuid("pParentGuid")?),
            false => None,
        };
        if head.meta_data {
            skip::property_meta_data(input)?;
        }
        Ok(Record { name, parent, attributes: first..self.attributes.len() })
    }

    /// [MS-DRSR] 5.10, `ATTRBLOCK`: all attributes' heads, then for each the heads of its values and
    /// the values.
    ///
    /// [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr
    fn decode_attributes(
        &mut self,
        input: &mut Reader<'a>,
        count: usize,
    ) -> Result<(), DecodeError> {
        input.conformance(count, "pAttr")?;
        // The heads stay where they are, and are read in step with what they refer to.
        let mut heads = *input;
        input.octets(ATTRIBUTE_LENGTH * count, "pAttr")?;
        self.attributes.reserve(count);
        for _ in 0..count {
            let attribute = AttributeType(heads.u32("attrTyp")?.unchecked("any may be sent"));
            let count = heads.count(VALUES_MAX, VALUE_LENGTH, "valCount")?;
            let start = self.values.len();
            if heads.referent("pAVal")? {
                self.decode_values(input, count)?;
            }
            self.attributes.push((attribute, start..self.values.len()));
        }
        Ok(())
    }

    fn decode_values(&mut self, input: &mut Reader<'a>, count: usize) -> Result<(), DecodeError> {
        input.conformance(count, "pAVal")?;
        let mut heads = *input;
        input.octets(VALUE_LENGTH * count, "pAVal")?;
        self.values.reserve(count);
        for _ in 0..count {
            let length = heads.count(VALUE_OCTETS_MAX, 1, "valLen")?;
            if heads.referent("pVal")? {
                input.conformance(length, "pVal")?;
                self.values.push(input.octets(length, "pVal")?);
            } else {
                self.values.push(&[]);
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Reply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({} objects, more: {})", self.objects.len(), self.more_data)
    }
}

impl fmt::Debug for Object<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Object({:?})", self.name().map(ObjectName::guid))
    }
}

impl fmt::Debug for Attribute<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attribute({:#010x}, {} values)", self.attribute_type.0, self.values.len())
    }
}

impl<'r, 'a> Object<'r, 'a> {
    /// Its name; an object of a real reply always has one.
    #[must_use]
    pub const fn name(&self) -> Option<&'r ObjectName<'a>> {
        self.record.name.as_ref()
    }

    /// The objectGUID of its parent.
    #[must_use]
    pub const fn parent(&self) -> Option<Guid> {
        self.record.parent
    }

    /// Its changed attributes.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'r, 'a>> + use<'r, 'a> {
        let reply = self.reply;
        let range = self.record.attributes.clone();
        reply.attributes.get(range).unwrap_or_default().iter().map(|(attribute_type, values)| {
            Attribute {
                attribute_type: *attribute_type,
                values: reply.values.get(values.clone()).unwrap_or_default(),
            }
        })
    }

    /// One attribute, if it changed.
    #[must_use]
    pub fn attribute(&self, attribute_type: AttributeType) -> Option<Attribute<'r, 'a>> {
        self.attributes().find(|attribute| attribute.attribute_type == attribute_type)
    }
}

/// An element of the list without what its pointers refer to.
struct Head {
    name: bool,
    attributes: Option<usize>,
    parent: bool,
    meta_data: bool,
}

impl Head {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let name = input.referent("pName")?;
        input.u32("ulFlags")?.unchecked("not used");
        let count = input.count(ATTRIBUTES_MAX, ATTRIBUTE_LENGTH, "attrCount")?;
        let attributes = input.referent("pAttr")?.then_some(count);
        input.u32("fIsNCPrefix")?.unchecked("not used");
        let parent = input.referent("pParentGuid")?;
        let meta_data = input.referent("pMetaDataExt")?;
        Ok(Self { name, attributes, parent, meta_data })
    }
}

/// The ranges of the counts: objects of a reply, attributes of an object, values of an attribute, octets
/// of a value.
const OBJECTS_MAX: usize = 1_048_576;
const ATTRIBUTES_MAX: usize = 1_048_576;
const VALUES_MAX: usize = 10_485_760;
pub(super) const VALUE_OCTETS_MAX: usize = 26_214_400;
/// Octets of the heads.
const OBJECT_LENGTH: usize = 8 * 4;
const ATTRIBUTE_LENGTH: usize = 4 /* attrTyp */ + 4 /* valCount */ + 4 /* pAVal */;
const VALUE_LENGTH: usize = 4 /* valLen */ + 4 /* pVal */;
