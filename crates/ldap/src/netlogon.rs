//! The LDAP ping: one question by UDP that a domain controller answers without a bind, with what it
//! is and in which site the asker is ([MS-ADTS] section 6.3.3).
//!
//! The question is a search of the root DSE for `NetLogon`; the answer's value is a
//! [`SamLogonResponse`]. The driver is in `portolan_net`. Nothing of an answer is authentic: it may
//! steer who is asked first, and whom to leave out, and proves nothing about them.
//!
//! [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts

use portolan_codec::{DecodeError, Fault, Reader, Writer};
use portolan_model::{DnsName, Guid};

use crate::ber::{Tag, element_octets};
use crate::filter::Filter;
use crate::message::{Message, MessageId, Operation, Scope, SearchRequest, SearchResultEntry};

/// Octets of an answer that are looked at: what a datagram can carry.
pub const ANSWER_OCTETS_MAX: usize = u16::MAX as usize;
/// The attribute that is asked for.
const ATTRIBUTE: &str = "NetLogon";
/// NETLOGON_NT_VERSION_5 and _5EX, for this form of the answer, and _AVOID_NT4EMUL, to be answered
/// even by a controller that hides from pings (section 6.3.1.1).
const NT_VERSION: u32 = 0x0000_0002 | 0x0000_0004 | 0x0100_0000;
/// LOGON_SAM_LOGON_RESPONSE_EX and LOGON_SAM_USER_UNKNOWN_EX, which differ in what is said of a user
/// (section 6.3.1.3).
const OPCODES: [u16; 2] = [23, 25];
/// Octets of one decompressed name.
const NAME_OCTETS_MAX: usize = 255;
/// Octets of one label (RFC 1035 section 2.3.4).
const LABEL_OCTETS_MAX: u8 = 63;
/// The bits that make a length a pointer (RFC 1035 section 4.1.4).
const POINTER: u8 = 0xc0;
/// LmNtToken and Lm20Token.
const TOKEN: u16 = 0xffff;

/// What a domain controller is (DS_FLAG, section 6.3.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControllerFlags(
    /// The bits.
    pub u32,
);

impl ControllerFlags {
    /// DS_LDAP_FLAG: it is an LDAP server.
    pub const LDAP: u32 = 0x8;
    /// DS_DS_FLAG: it is a domain controller.
    pub const DIRECTORY: u32 = 0x10;
    /// DS_KDC_FLAG: its Kerberos service runs.
    pub const KDC: u32 = 0x20;
    /// DS_CLOSEST_FLAG: it is in the site closest to the asker.
    pub const CLOSEST: u32 = 0x80;
    /// DS_WRITABLE_FLAG: it is no read-only domain controller.
    pub const WRITABLE: u32 = 0x100;

    /// Whether all of these bits are set.
    #[must_use]
    pub const fn has(self, bits: u32) -> bool {
        self.0 & bits == bits
    }
}

/// NETLOGON_SAM_LOGON_RESPONSE_EX (section 6.3.1.9), without what only a user's ping asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SamLogonResponse {
    /// What the controller is.
    pub flags: ControllerFlags,
    /// The domain's GUID.
    pub domain_guid: Guid,
    /// The forest's name.
    pub forest: String,
    /// The domain's name.
    pub domain: String,
    /// The controller's own name.
    pub host: String,
    /// The site that the controller is in.
    pub site: String,
    /// The site that the asker's address is in; empty when no subnet has it.
    pub client_site: String,
}

/// The question, as one datagram: what the controller that gets it is to this domain.
#[must_use]
pub fn question(id: MessageId, domain: &DnsName) -> Vec<u8> {
    let is = |name: &str, value: &[u8]| {
        name.parse().ok().map(|name| Filter::Equality(name, value.to_vec()))
    };
    let parts =
        [is("DnsDomain", domain.as_str().as_bytes()), is("NtVer", &NT_VERSION.to_le_bytes())];
    let filter = Filter::And(parts.into_iter().flatten().collect());
    let request = SearchRequest::new("", Scope::Base, filter).select([ATTRIBUTE]);
    Message::new(id, Operation::SearchRequest(request)).encode().to_vec()
}

/// The answer to [`question`], of one datagram; nothing when the controller does not hold the domain
/// (section 6.3.3.3).
///
/// # Errors
/// [`DecodeError`] when it is not that.
pub fn answer(id: MessageId, octets: &[u8]) -> Result<Option<SamLogonResponse>, DecodeError> {
    let mut rest = octets;
    let mut found = None;
    while !rest.is_empty() {
        let field = "LDAPMessage";
        let truncated = Fault::Truncated { needed: rest.len() + 1, available: rest.len() };
        let count = element_octets(rest, Tag::SEQUENCE, ANSWER_OCTETS_MAX, field)?;
        let split = count.and_then(|count| rest.split_at_checked(count));
        let (message, behind) = split.ok_or(DecodeError::new(0, field, truncated))?;
        rest = behind;
        let message = Message::decode(message)?;
        if message.id != id {
            let fault = Fault::Unexpected {
                expected: "the number of the question",
                found: message.id.number().into(),
            };
            return Err(DecodeError::new(0, "messageID", fault));
        }
        match message.operation {
            Operation::SearchResultEntry(entry) => found = Some(of_entry(&entry)?),
            Operation::SearchResultDone(_) => return Ok(found),
            _ => break,
        }
    }
    let fault = Fault::Malformed("an entry at most, and the end of the search");
    Err(DecodeError::new(0, "the answer to an LDAP ping", fault))
}

fn of_entry(entry: &SearchResultEntry) -> Result<SamLogonResponse, DecodeError> {
    let fault = Fault::Malformed("an entry with the attribute NetLogon");
    let value = entry.octets(ATTRIBUTE);
    SamLogonResponse::decode(value.ok_or(DecodeError::new(0, "SearchResultEntry", fault))?)
}

impl SamLogonResponse {
    /// Takes the attribute's value in.
    ///
    /// # Errors
    /// [`DecodeError`] when it is not in this form, which was asked for.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(value);
        reader.u16_le("Opcode")?.one_of("a SAM logon response, extended", |opcode| {
            OPCODES.contains(&opcode).then_some(())
        })?;
        let _ = reader.u16_le("Sbz")?.unchecked("reserved");
        let flags = ControllerFlags(reader.u32_le("Flags")?.unchecked("each bit is a statement"));
        let domain_guid = Guid::from_bytes_le(reader.array("DomainGuid")?);
        let forest = name(value, &mut reader, "DnsForestName")?;
        let domain = name(value, &mut reader, "DnsDomainName")?;
        let host = name(value, &mut reader, "DnsHostName")?;
        for field in ["NetbiosDomainName", "NetbiosComputerName", "UserName"] {
            name(value, &mut reader, field)?;
        }
        let site = name(value, &mut reader, "DcSiteName")?;
        let client_site = name(value, &mut reader, "ClientSiteName")?;
        // What follows depends on NtVersion, which ends the structure, and is not used.
        Ok(Self { flags, domain_guid, forest, domain, host, site, client_site })
    }

    /// The attribute's value, its names uncompressed and those that are not held here empty.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.put(&OPCODES[0].to_le_bytes());
        writer.put(&[0, 0]);
        writer.put(&self.flags.0.to_le_bytes());
        writer.put(&self.domain_guid.to_bytes_le());
        for name in [&self.forest, &self.domain, &self.host, "", "", "", &self.site] {
            put_name(&mut writer, name);
        }
        put_name(&mut writer, &self.client_site);
        writer.put(&NT_VERSION.to_le_bytes());
        writer.put(&TOKEN.to_le_bytes());
        writer.put(&TOKEN.to_le_bytes());
        writer.into_vec()
    }
}

/// A compressed name (section 6.3.7): the labels until an empty one, or until a pointer to earlier
/// ones, with dots between them.
fn name<'a>(
    whole: &'a [u8],
    reader: &mut Reader<'a>,
    field: &'static str,
) -> Result<String, DecodeError> {
    let offset = reader.offset();
    let mut name = Vec::new();
    // A pointer leads to before where it stands, so that there is an end to them.
    let mut before = offset;
    let mut elsewhere: Option<Reader<'a>> = None;
    loop {
        let current = elsewhere.as_mut().unwrap_or(reader);
        let length = current.u8(field)?.unchecked("each value is handled");
        match length {
            0 => break,
            1..=LABEL_OCTETS_MAX => {
                let label = current.take(usize::from(length), field)?;
                if !name.is_empty() {
                    name.push(b'.');
                }
                name.extend_from_slice(label);
            }
            POINTER.. => {
                let low = current.u8(field)?.unchecked("it is held against where it stands");
                let target = usize::from(u16::from_be_bytes([length & !POINTER, low]));
                let earlier = whole.get(target..).filter(|_| target < before);
                let fault = Fault::Malformed("a pointer leads to an earlier label");
                let earlier = earlier.ok_or(DecodeError::new(offset, field, fault))?;
                before = target;
                elsewhere = Some(Reader::at(earlier, target));
            }
            _ => {
                let fault = Fault::Malformed("a label has at most 63 octets");
                return Err(DecodeError::new(offset, field, fault));
            }
        }
        if name.len() > NAME_OCTETS_MAX {
            let (found, limit) = (name.len() as u64, NAME_OCTETS_MAX as u64);
            return Err(DecodeError::new(offset, field, Fault::AboveLimit { found, limit }));
        }
    }
    String::from_utf8(name).map_err(|_| DecodeError::new(offset, field, Fault::Malformed("UTF-8")))
}

fn put_name(writer: &mut Writer, name: &str) {
    for label in name.split('.').filter(|label| !label.is_empty()) {
        let length = u8::try_from(label.len())
            .map_or(LABEL_OCTETS_MAX, |length| length.min(LABEL_OCTETS_MAX));
        writer.u8(length);
        writer.put(label.as_bytes().get(..usize::from(length)).unwrap_or_default());
    }
    writer.u8(0);
}

#[cfg(test)]
mod tests;
