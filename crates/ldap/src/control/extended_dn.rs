//! LDAP_SERVER_EXTENDED_DN_OID ([MS-ADTS] section 3.1.1.3.4.1.5): names that carry their object's
//! GUID and SID, so that a reference survives a rename.
//!
//! [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts

use portolan_model::{Guid, InvalidName};

use super::{Control, sequence_of_integer};

/// The option for the string form: dashed GUID and `S-1-…` SID.
const STRING_FORM: i64 = 1;

/// The request's control: every name in the results is an extended one, in the string form.
#[must_use]
pub fn extended_dn() -> Control {
    Control::critical("1.2.840.113556.1.4.529", Some(sequence_of_integer(STRING_FORM)))
}

/// A name as this control makes a server write it: `<GUID=…>;<SID=…>;CN=…`, string form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtendedDn<'a> {
    /// objectGUID.
    pub guid: Guid,
    /// objectSid as text, of objects that have one.
    pub sid: Option<&'a str>,
    /// The plain name.
    pub dn: &'a str,
}

impl<'a> ExtendedDn<'a> {
    /// Takes an extended name apart.
    ///
    /// # Errors
    /// [`InvalidName`] when the parts do not come in this form and order.
    pub fn parse(text: &'a str) -> Result<Self, InvalidName> {
        let refuse = || InvalidName {
            noun: "extended distinguished name",
            text: text.to_owned(),
            rule: "<GUID=...>;<SID=...>; and the name, the SID being optional",
        };
        let (guid, rest) = component(text, "<GUID=").ok_or_else(refuse)?;
        let guid = guid.parse().map_err(|_| refuse())?;
        let (sid, dn) = match component(rest, "<SID=") {
            Some((sid, rest)) => (Some(sid), rest),
            None => (None, rest),
        };
        if dn.is_empty() || dn.starts_with('<') {
            return Err(refuse());
        }
        Ok(Self { guid, sid, dn })
    }
}

/// The value of `<KEY=value>;` at the start, and what follows.
fn component<'a>(text: &'a str, start: &str) -> Option<(&'a str, &'a str)> {
    text.strip_prefix(start)?.split_once(">;")
}
