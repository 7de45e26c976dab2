//! The messages for the KDC and its answers (AS and TGS exchange, [RFC 4120 section 3.1] and 3.3).
//!
//! `sspi` makes the requests from values that are given here. What comes back is opened with our own
//! cryptography, and is held against the request before anything of it is believed: nonce, client,
//! service and realm ([RFC 4120 section 3.1.5]).
//!
//! [RFC 4120 section 3.1]: https://www.rfc-editor.org/rfc/rfc4120#section-3.1
//! [RFC 4120 section 3.1.5]: https://www.rfc-editor.org/rfc/rfc4120#section-3.1.5

use picky_asn1::restricted_string::IA5String;
use picky_asn1::wrapper::{
    Asn1SequenceOf, ExplicitContextTag0, ExplicitContextTag1, ExplicitContextTag2,
    ExplicitContextTag3, ExplicitContextTag8, GeneralizedTimeAsn1, IntegerAsn1, OctetStringAsn1,
    Optional,
};
use picky_krb::constants::types::NT_PRINCIPAL;
use picky_krb::crypto::CipherSuite;
use picky_krb::data_types::{
    Checksum, EncryptedData, EncryptionKey, KerberosStringAsn1, PrincipalName,
};
use picky_krb::messages::{
    AsRep, EncAsRepPart, EncKdcRepPart, EncTgsRepPart, KdcRep, KdcReqBody, TgsRep,
};
use portolan_gss::encrypted::{self, usage};
use portolan_gss::etype_info::{self, KeyInfo, PA_ETYPE_INFO2};
use portolan_gss::{EncryptionType, ProtocolKey};
use portolan_model::{DnsName, Entropy as _, Realm, Spn};
use sspi::kerberos::EncryptionParams;
use sspi::kerberos::client::generators::{
    GenerateAsReqOptions, GenerateAuthenticatorOptions, GenerateKeytabPaDataOptions,
    GenerateTgsReqOptions, generate_as_req, generate_as_req_kdc_body, generate_authenticator,
    generate_pa_datas_for_as_req_with_key, generate_tgs_ap_req, generate_tgs_req,
};
use sspi::{ClientRequestFlags, Secret};
use time::OffsetDateTime;
use zeroize::Zeroize as _;

use crate::entropy::SystemEntropy;

/// A message that could not be made or read, in a library's or our own words.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) step: &'static str,
    pub(super) reason: String,
}

impl Fault {
    pub(super) fn new(step: &'static str, reason: impl ToString) -> Self {
        Self { step, reason: reason.to_string() }
    }
}

/// A ticket with what it takes to use it.
#[derive(Debug)]
pub(super) struct Ticket {
    /// The reply that it came in: client, realm and the ticket itself.
    pub(super) reply: KdcRep,
    /// Its session key.
    pub(super) key: ProtocolKey,
    /// The KDC's clock when it was made, if the reply tells.
    pub(super) made: Option<OffsetDateTime>,
    pub(super) ends: OffsetDateTime,
}

/// A request to the KDC, and the number that its answer must have.
pub(super) struct Request {
    pub(super) octets: Vec<u8>,
    nonce: u32,
}

/// An AS-REP of which only the clear parts were read.
pub(super) struct AsReply(KdcRep);

/// Makes an AS-REQ for the ticket-granting ticket, with a proof of the key if one is given.
pub(super) fn as_request(
    account: &str,
    realm: &Realm,
    encryption_types: &[EncryptionType],
    proof: Option<&ProtocolKey>,
) -> Result<Request, Fault> {
    let fault = |error: sspi::Error| Fault::new("making the AS-REQ", error.description);
    // A nonce above 2^31 is read as negative by some KDCs.
    let nonce = u32::from_be_bytes(SystemEntropy.array()) >> 1;
    let mut body = generate_as_req_kdc_body(&GenerateAsReqOptions {
        realm: realm.as_str(),
        username: account,
        cname_type: NT_PRINCIPAL,
        snames: &[GRANTING, realm.as_str()],
        nonce,
        hostname: "",
        context_requirements: ClientRequestFlags::empty(),
    })
    .map_err(fault)?;
    restrict(&mut body, encryption_types);
    let options = GenerateKeytabPaDataOptions {
        key: Secret::new(proof.map(|key| key.expose().to_vec()).unwrap_or_default()),
        key_enctype: proof.map_or(CipherSuite::Aes256CtsHmacSha196, suite),
        with_pre_auth: proof.is_some(),
    };
    let methods = generate_pa_datas_for_as_req_with_key(&options).map_err(fault)?;
    let request = generate_as_req(methods, body);
    let octets = encode("making the AS-REQ", &request)?;
    Ok(Request { octets, nonce })
}

/// Asks for no other encryption types than there are keys of, and for a ticket that is not bound to
/// this host's addresses.
fn restrict(body: &mut KdcReqBody, encryption_types: &[EncryptionType]) {
    let numbers = encryption_types.iter().map(|encryption_type| {
        let number = encryption_type.number().to_be_bytes();
        IntegerAsn1::from_bytes_be_unsigned(number.to_vec())
    });
    body.etype = ExplicitContextTag8::from(Asn1SequenceOf::from(numbers.collect::<Vec<_>>()));
    body.addresses = Optional::from(None);
}

/// Reads the clear parts of an AS-REP.
pub(super) fn as_reply(octets: &[u8]) -> Result<AsReply, Fault> {
    let reply: AsRep = decode(AS_REP, octets)?;
    Ok(AsReply(reply.0))
}

impl AsReply {
    /// The encryption type of the key that opens it, and its version in the directory.
    pub(super) fn sealed_with(&self) -> (Option<EncryptionType>, Option<u32>) {
        let sealed = &self.0.enc_part.0;
        let kvno = sealed.kvno.0.as_ref().and_then(|kvno| number(&kvno.0));
        (encryption_type(&sealed.etype.0), kvno)
    }

    /// What it says about the account's keys.
    pub(super) fn keys(&self) -> Result<Vec<KeyInfo>, Fault> {
        let methods = self.0.padata.0.iter().flat_map(|methods| &methods.0.0);
        let info = methods.into_iter().find(|method| {
            number(&method.padata_type.0).map(u32::cast_signed) == Some(PA_ETYPE_INFO2)
        });
        let info = info.map(|method| etype_info::decode(&method.padata_data.0.0)).transpose();
        Ok(info.map_err(|error| Fault::new(AS_REP, error))?.unwrap_or_default())
    }

    /// The ticket in it. Nothing when the key is not the one it was sealed with.
    pub(super) fn open(
        self,
        key: &ProtocolKey,
        request: &Request,
        account: &str,
        realm: &Realm,
    ) -> Result<Option<Ticket>, Fault> {
        let Ok(plain) = encrypted::open(key, usage::AS_REP, sealed(&self.0.enc_part)) else {
            return Ok(None);
        };
        // Some KDCs tag it as that of a TGS-REP, which RFC 4120 section 5.4.2 lets them do.
        let part = match decode::<EncAsRepPart>(AS_REP, &plain) {
            Ok(part) => part.0,
            Err(_) => decode::<EncTgsRepPart>(AS_REP, &plain)?.0,
        };
        let service = [GRANTING, realm.as_str()];
        ticket((AS_REP, self.0, part), request, (account, realm.as_str()), realm, &service)
            .map(Some)
    }
}

/// Makes a TGS-REQ to the KDC of a realm, for a service by the parts of its name: the ticket-granting one of
/// another realm is a service too.
pub(super) fn tgs_request(
    granting: &Ticket,
    realm: &Realm,
    service: &[&str],
) -> Result<Request, Fault> {
    let step = "making the TGS-REQ";
    let fault = |error: sspi::Error| Fault::new(step, error.description);
    let mut authenticator = generate_authenticator(GenerateAuthenticatorOptions {
        kdc_rep: &granting.reply,
        seq_num: None,
        sub_key: None,
        checksum: None,
        channel_bindings: None,
        extensions: Vec::new(),
    })
    .map_err(fault)?;
    let key = Secret::new(granting.key.expose().to_vec());
    let mut request = generate_tgs_req(GenerateTgsReqOptions {
        realm: realm.as_str(),
        service_principal: &service.join("/"),
        session_key: &key,
        ticket: granting.reply.ticket.0.clone(),
        authenticator: &mut authenticator,
        additional_tickets: None,
        enc_params: &parameters(&granting.key),
        context_requirements: ClientRequestFlags::empty(),
    })
    .map_err(fault)?;
    // The library takes a name for two parts, whatever stands behind the first slash, and puts a
    // checksum without a key over it.
    let body = &mut request.0.req_body.0;
    if let Some(name) = body.sname.0.as_mut() {
        name.0.name_string = ExplicitContextTag1::from(strings(step, service)?);
    }
    let body = encode(step, body)?;
    authenticator.0.cksum = Optional::from(Some(checksum(&granting.key, &body)));
    let ticket = granting.reply.ticket.0.clone();
    let parameters = parameters(&granting.key);
    let proof = generate_tgs_ap_req(ticket, &key, &authenticator, &parameters).map_err(fault)?;
    let proof = encode(step, &proof)?;
    let methods = request.0.padata.0.as_mut().map(|methods| &mut methods.0.0);
    let mut methods = methods.into_iter().flatten();
    let method = methods.find(|method| number(&method.padata_type.0) == Some(PA_TGS_REQ));
    let method = method.ok_or_else(|| Fault::new(step, "the library put no proof in"))?;
    method.padata_data = ExplicitContextTag2::from(OctetStringAsn1::from(proof));
    // The library chooses the nonce.
    let nonce = number(&request.0.req_body.0.nonce.0);
    let nonce = nonce.ok_or_else(|| Fault::new(step, "the nonce is no number of 32 bits"))?;
    Ok(Request { octets: encode(step, &request)?, nonce })
}

/// The parts of a name, as Kerberos has them.
fn strings(
    step: &'static str,
    parts: &[&str],
) -> Result<Asn1SequenceOf<KerberosStringAsn1>, Fault> {
    let string = |part: &&str| {
        let string = IA5String::from_string((*part).to_owned());
        string.map(KerberosStringAsn1::from).map_err(|error| Fault::new(step, error))
    };
    Ok(Asn1SequenceOf::from(parts.iter().map(string).collect::<Result<Vec<_>, _>>()?))
}

/// The checksum of a TGS-REQ's body under the session key ([RFC 3962 section 7]).
///
/// [RFC 3962 section 7]: https://www.rfc-editor.org/rfc/rfc3962#section-7
fn checksum(key: &ProtocolKey, body: &[u8]) -> ExplicitContextTag3<Checksum> {
    let kind = match key.encryption_type() {
        EncryptionType::Aes128CtsHmacSha1_96 => HMAC_SHA1_96_AES128,
        EncryptionType::Aes256CtsHmacSha1_96 => HMAC_SHA1_96_AES256,
    };
    let code = key.derive(usage::TGS_REQ_CHECKSUM).checksum(&[body]);
    ExplicitContextTag3::from(Checksum {
        cksumtype: ExplicitContextTag0::from(IntegerAsn1::from(vec![kind])),
        checksum: ExplicitContextTag1::from(OctetStringAsn1::from(code.to_vec())),
    })
}

/// Reads a TGS-REP of a realm's KDC for a service.
pub(super) fn tgs_reply(
    octets: &[u8],
    request: &Request,
    granting: &Ticket,
    realm: &Realm,
    service: &Spn,
) -> Result<Ticket, Fault> {
    let (reply, part) = opened(octets, granting)?;
    if let [granting, other] = names(&part.sname.0).as_slice()
        && granting.eq_ignore_ascii_case(GRANTING)
        && !other.eq_ignore_ascii_case(realm.as_str())
    {
        let reason = format!("the service is in another realm, {other}, which is not asked");
        return Err(Fault::new(TGS_REP, reason));
    }
    let expected: Vec<_> = service.parts().collect();
    granted((reply, part), request, granting, realm, &expected)
}

/// Reads a TGS-REP of a realm's KDC for the ticket-granting service of another realm: the ticket for that
/// one, or for one that is nearer to it ([RFC 4120 section 3.3.3]), and which.
///
/// [RFC 4120 section 3.3.3]: https://www.rfc-editor.org/rfc/rfc4120#section-3.3.3
pub(super) fn cross_realm_reply(
    octets: &[u8],
    request: &Request,
    granting: &Ticket,
    realm: &Realm,
) -> Result<(Ticket, DnsName), Fault> {
    let (reply, part) = opened(octets, granting)?;
    let served: Vec<_> = names(&part.sname.0).into_iter().map(str::to_owned).collect();
    let served: Vec<_> = served.iter().map(String::as_str).collect();
    let other = match served.as_slice() {
        [GRANTING, other] => other.parse::<DnsName>().ok(),
        _ => None,
    };
    let other = other.filter(|other| Realm::from(other) != *realm);
    let other = other.ok_or_else(|| Fault::new(TGS_REP, "it is for no other realm"))?;
    Ok((granted((reply, part), request, granting, realm, &served)?, other))
}

fn opened(octets: &[u8], granting: &Ticket) -> Result<(KdcRep, EncKdcRepPart), Fault> {
    let reply = decode::<TgsRep>(TGS_REP, octets)?.0;
    let plain = encrypted::open(&granting.key, usage::TGS_REP, sealed(&reply.enc_part))
        .map_err(|error| Fault::new(TGS_REP, error))?;
    Ok((reply, decode::<EncTgsRepPart>(TGS_REP, &plain)?.0))
}

/// The ticket in a TGS-REP: it is for whom the granting one is for, whichever realm that is of.
fn granted(
    (reply, part): (KdcRep, EncKdcRepPart),
    request: &Request,
    granting: &Ticket,
    realm: &Realm,
    service: &[&str],
) -> Result<Ticket, Fault> {
    let account = names(&granting.reply.cname.0).join("/");
    let home = granting.reply.crealm.0.0.as_utf8().to_owned();
    ticket((TGS_REP, reply, part), request, (&account, &home), realm, service)
}

/// Believes a reply once it proved to be the answer to the request ([RFC 4120 section 3.1.5]). `realm` is
/// that of the KDC.
///
/// [RFC 4120 section 3.1.5]: https://www.rfc-editor.org/rfc/rfc4120#section-3.1.5
fn ticket(
    (step, reply, mut part): (&'static str, KdcRep, EncKdcRepPart),
    request: &Request,
    (account, home): (&str, &str),
    realm: &Realm,
    service: &[&str],
) -> Result<Ticket, Fault> {
    let key = session_key(step, &mut part.key.0);
    let same = |found: &[&str], expected: &[&str]| {
        found.len() == expected.len()
            && found.iter().zip(expected).all(|(one, other)| one.eq_ignore_ascii_case(other))
    };
    let served = names(&part.sname.0);
    let in_ticket = names(&reply.ticket.0.0.sname.0);
    let checks = [
        (number(&part.nonce.0) == Some(request.nonce), "it answers another request"),
        (same(&served, service) && same(&in_ticket, service), "it is for another service"),
        (same(&names(&reply.cname.0), &[account]), "it is for another account"),
        (reply.crealm.0.0.as_utf8() == home, "the account is of another realm"),
        (part.srealm.0.0.as_utf8() == realm.as_str(), "the service is of another realm"),
    ];
    if let Some((_, broken)) = checks.into_iter().find(|(holds, _)| !holds) {
        return Err(Fault::new(step, broken));
    }
    let made = match &part.start_time.0 {
        Some(start) => Some(time(step, &start.0)?),
        // Only of what the account was proven for it is the time of the reply.
        None if step == AS_REP => Some(time(step, &part.auth_time.0)?),
        None => None,
    };
    let ends = time(step, &part.end_time.0)?;
    Ok(Ticket { reply, key: key?, made, ends })
}

/// Takes a key out of a message, and wipes it there.
pub(super) fn session_key(
    step: &'static str,
    found: &mut EncryptionKey,
) -> Result<ProtocolKey, Fault> {
    let kind = encryption_type(&found.key_type.0);
    let kind = kind.ok_or_else(|| Fault::new(step, "it has a key that is not of AES"))?;
    let key = ProtocolKey::new(kind, &found.key_value.0.0);
    found.key_value.0.0.zeroize();
    key.map_err(|error| Fault::new(step, error))
}

/// The library's way to say which cipher a key is for.
pub(super) fn parameters(key: &ProtocolKey) -> EncryptionParams {
    EncryptionParams { encryption_type: Some(suite(key)), ..EncryptionParams::default_for_client() }
}

pub(super) fn suite(key: &ProtocolKey) -> CipherSuite {
    match key.encryption_type() {
        EncryptionType::Aes128CtsHmacSha1_96 => CipherSuite::Aes128CtsHmacSha196,
        EncryptionType::Aes256CtsHmacSha1_96 => CipherSuite::Aes256CtsHmacSha196,
    }
}

pub(super) fn sealed(part: &EncryptedData) -> &[u8] {
    &part.cipher.0.0
}

pub(super) fn encode<T: serde::Serialize>(step: &'static str, value: &T) -> Result<Vec<u8>, Fault> {
    picky_asn1_der::to_vec(value).map_err(|error| Fault::new(step, error))
}

/// Reads a peer's message by the library. It is known to panic on hostile input, which must not take
/// more down than this handshake.
pub(super) fn decode<T: serde::de::DeserializeOwned>(
    step: &'static str,
    octets: &[u8],
) -> Result<T, Fault> {
    std::panic::catch_unwind(|| picky_asn1_der::from_bytes(octets))
        .map_err(|_| Fault::new(step, "the library panicked"))?
        .map_err(|error| Fault::new(step, error))
}

/// A UInt32, which some peers write as an Int32 of the same bits.
pub(super) fn number(integer: &IntegerAsn1) -> Option<u32> {
    let octets = match integer.0.as_slice() {
        [0, rest @ ..] if rest.len() == 4 => rest,
        octets => octets,
    };
    let first = *octets.first().filter(|_| octets.len() <= 4)?;
    let start = if first & 0x80 == 0 || octets.len() == 4 { 0 } else { u32::MAX };
    Some(octets.iter().fold(start, |value, octet| value << 8 | u32::from(*octet)))
}

fn encryption_type(integer: &IntegerAsn1) -> Option<EncryptionType> {
    number(integer).and_then(|number| EncryptionType::from_number(number.cast_signed()))
}

fn names(principal: &PrincipalName) -> Vec<&str> {
    principal.name_string.0.0.iter().map(|component| component.0.as_utf8()).collect()
}

fn time(step: &'static str, time: &GeneralizedTimeAsn1) -> Result<OffsetDateTime, Fault> {
    OffsetDateTime::try_from(time.0.clone()).map_err(|_| Fault::new(step, "a time does not exist"))
}

/// The service that grants tickets.
pub(super) const GRANTING: &str = "krbtgt";
/// What is being done when a reply is not right.
const AS_REP: &str = "reading the AS-REP";
const TGS_REP: &str = "reading the TGS-REP";
/// PA-TGS-REQ ([RFC 4120 section 7.5.2]).
///
/// [RFC 4120 section 7.5.2]: https://www.rfc-editor.org/rfc/rfc4120#section-7.5.2
const PA_TGS_REQ: u32 = 1;
/// The checksums that go with the encryption types ([RFC 3962 section 7]).
///
/// [RFC 3962 section 7]: https://www.rfc-editor.org/rfc/rfc3962#section-7
const HMAC_SHA1_96_AES128: u8 = 15;
const HMAC_SHA1_96_AES256: u8 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_signed_and_unsigned() {
        let check = |octets: &[u8], expected| {
            assert_eq!(number(&IntegerAsn1::from(octets.to_vec())), expected, "{octets:02x?}");
        };
        check(&[18], Some(18));
        check(&[0, 0x80], Some(0x80));
        check(&[0, 0xff, 0xff, 0xff, 0xff], Some(u32::MAX));
        check(&[0xff, 0xff, 0xff, 0xfe], Some(u32::MAX - 1));
        check(&[0xfe], Some(u32::MAX - 1));
        check(&[1, 0, 0, 0, 0], None);
        check(&[], None);
    }
}
