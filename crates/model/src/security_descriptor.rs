//! Security descriptors, as far as they are written: who may do what with an object.

use crate::{Guid, Sid};

/// The rights of an entry ([MS-ADTS] 5.1.3.2).
///
/// [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
pub mod rights {
    /// RIGHT_DS_CREATE_CHILD.
    pub const CREATE_CHILD: u32 = 0x0000_0001;
    /// RIGHT_DS_DELETE_CHILD.
    pub const DELETE_CHILD: u32 = 0x0000_0002;
    /// RIGHT_DS_LIST_CONTENTS.
    pub const LIST_CONTENTS: u32 = 0x0000_0004;
    /// RIGHT_DS_READ_PROPERTY.
    pub const READ_PROPERTY: u32 = 0x0000_0010;
    /// RIGHT_DS_WRITE_PROPERTY.
    pub const WRITE_PROPERTY: u32 = 0x0000_0020;
    /// RIGHT_DS_LIST_OBJECT.
    pub const LIST_OBJECT: u32 = 0x0000_0080;
    /// RIGHT_DELETE.
    pub const DELETE: u32 = 0x0001_0000;
    /// RIGHT_READ_CONTROL.
    pub const READ_CONTROL: u32 = 0x0002_0000;
    /// Everything that there is of a directory's object.
    pub const ALL: u32 = 0x000F_01FF;
}

/// For which objects an entry counts ([MS-DTYP] 2.4.4.1, CONTAINER_INHERIT_ACE and INHERIT_ONLY_ACE).
///
/// [MS-DTYP]: https://learn.microsoft.com/openspecs/windows_protocols/ms-dtyp
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The object itself.
    Object,
    /// Objects of one class below it, by the class's schemaIDGUID.
    Below(Guid),
}

/// An entry that allows something (ACCESS_ALLOWED_ACE and ACCESS_ALLOWED_OBJECT_ACE, [MS-DTYP] 2.4.4.2 and
/// 2.4.4.3).
///
/// [MS-DTYP]: https://learn.microsoft.com/openspecs/windows_protocols/ms-dtyp
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// Who.
    pub sid: Sid,
    /// What: [`rights`].
    pub mask: u32,
    /// With which class of child or which attribute, by its schemaIDGUID; `None` with all.
    pub object: Option<Guid>,
    /// Where.
    pub reach: Reach,
}

impl Allowed {
    fn encode(&self) -> Vec<u8> {
        const ACCESS_ALLOWED: u8 = 0;
        const ACCESS_ALLOWED_OBJECT: u8 = 5;
        const CONTAINER_AND_INHERIT_ONLY: u8 = 0x02 | 0x08;
        const OBJECT_TYPE_PRESENT: u32 = 1;
        const INHERITED_OBJECT_TYPE_PRESENT: u32 = 2;
        let (flags, inherited) = match self.reach {
            Reach::Object => (0, None),
            Reach::Below(class) => (CONTAINER_AND_INHERIT_ONLY, Some(class)),
        };
        let is_plain = self.object.is_none() && inherited.is_none();
        let mut body = self.mask.to_le_bytes().to_vec();
        if !is_plain {
            let object = self.object.map_or(0, |_| OBJECT_TYPE_PRESENT);
            let below = inherited.map_or(0, |_| INHERITED_OBJECT_TYPE_PRESENT);
            body.extend((object | below).to_le_bytes());
            body.extend(self.object.into_iter().chain(inherited).flat_map(Guid::to_bytes_le));
        }
        body.extend(self.sid.encode());
        let kind = if is_plain { ACCESS_ALLOWED } else { ACCESS_ALLOWED_OBJECT };
        let size = u16::try_from(body.len() + 4 /* ACE_HEADER */).unwrap_or(u16::MAX);
        [vec![kind, flags], size.to_le_bytes().to_vec(), body].concat()
    }
}

/// A self-relative security descriptor with these entries and nothing else ([MS-DTYP] 2.4.6): the directory
/// adds owner, group and what is inherited.
///
/// [MS-DTYP]: https://learn.microsoft.com/openspecs/windows_protocols/ms-dtyp
#[must_use]
pub fn discretionary(entries: &[Allowed]) -> Vec<u8> {
    const DACL_PRESENT_AND_SELF_RELATIVE: u16 = 0x0004 | 0x8000;
    const HEADER: u32 = 20;
    const ACL_REVISION_DS: u8 = 4;
    let entries_octets: Vec<u8> = entries.iter().flat_map(Allowed::encode).collect();
    let size = u16::try_from(8 /* ACL */ + entries_octets.len()).unwrap_or(u16::MAX);
    let count = u16::try_from(entries.len()).unwrap_or(u16::MAX);
    let mut out = vec![1 /* Revision */, 0 /* Sbz1 */];
    out.extend(DACL_PRESENT_AND_SELF_RELATIVE.to_le_bytes());
    for offset in [0, 0, 0, HEADER] {
        out.extend(offset.to_le_bytes());
    }
    out.extend([ACL_REVISION_DS, 0 /* Sbz1 */]);
    out.extend(size.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend([0, 0] /* Sbz2 */);
    out.extend(entries_octets);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_is_laid_out_as_described() {
        let sid = Sid::decode(&[1, 1, 0, 0, 0, 0, 0, 5, 11, 0, 0, 0]).unwrap();
        let class = Guid::from_bytes_le([7; 16]);
        let plain = Allowed { sid: sid.clone(), mask: 0x20094, object: None, reach: Reach::Object };
        let child = Allowed { mask: 3, object: Some(class), ..plain.clone() };
        let below = Allowed { mask: 0x30, reach: Reach::Below(class), ..plain.clone() };
        let found = discretionary(&[plain, child, below]);
        let mut expected = vec![1, 0, 4, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0];
        expected.extend([4, 0, 108, 0, 3, 0, 0, 0]);
        expected.extend([0, 0, 20, 0, 0x94, 0, 2, 0]);
        expected.extend(sid.encode());
        expected.extend([5, 0, 40, 0, 3, 0, 0, 0, 1, 0, 0, 0]);
        expected.extend([7; 16]);
        expected.extend(sid.encode());
        expected.extend([5, 10, 40, 0, 0x30, 0, 0, 0, 2, 0, 0, 0]);
        expected.extend([7; 16]);
        expected.extend(sid.encode());
        assert_eq!(found, expected);
    }
}
