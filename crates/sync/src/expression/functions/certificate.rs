//! Certificate: what an X.509 certificate says, in the forms of .NET's `X509Certificate2`, which the
//! published reference names. Nothing is verified here.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use portolan_legacy_crypto::certificate::thumbprint;
use time::OffsetDateTime;
use x509_parser::der_parser::asn1_rs::{Any, FromDer as _, ToDer as _};
use x509_parser::prelude::{GeneralName, ParsedExtension, X509Certificate, X509Name};

use super::argument;
use crate::expression::error::Why;
use crate::expression::evaluate::Run;
use crate::expression::function::{Fault, Function, Returns, blame, certificate, one_of, word};
use crate::expression::kinds::Kinds;
use crate::expression::moment;
use crate::expression::value::{Operand, Scalar, Slot};

/// Octets of a certificate.
const CERTIFICATE_OCTETS_MAX: usize = 64 * 1024;

/// A function that gives one text of a certificate.
macro_rules! text_of {
    ($name:literal, $read:expr, $summary:literal $(,)?) => {
        Function::each(
            $name,
            &[certificate()],
            Kinds::TEXT,
            |slots, run| {
                let read: fn(&X509Certificate<'_>, &[u8]) -> Option<String> = $read;
                Ok(reading(&mut slots[0], run, read)?.map(Scalar::text))
            },
            $summary,
            &[concat!($name, "([userCertificate])")],
        )
    };
}

/// A function that gives a time of a certificate.
macro_rules! time_of {
    ($name:literal, $read:expr, $summary:literal $(,)?) => {
        Function::each(
            $name,
            &[certificate()],
            Kinds::TIME,
            |slots, run| {
                let read: fn(&X509Certificate<'_>) -> OffsetDateTime = $read;
                let at = reading(&mut slots[0], run, |found, _| read(found))?;
                let at = moment::in_range(at).ok_or(Why::Certificate)?;
                Ok(Some(Scalar::Time(at)))
            },
            $summary,
            &[concat!($name, "([userCertificate])")],
        )
    };
}

/// The group.
pub(super) const FUNCTIONS: &[Function] = &[
    Function::whole(
        "CertExtensionOids",
        &[certificate().or_null()],
        Returns::Many(Kinds::TEXT),
        extension_identifiers,
        "The object identifiers of the critical extensions.",
        &["CertExtensionOids([userCertificate])"],
    ),
    text_of!("CertFormat", |_, _| Some("X509".to_owned()), "The name of the format: X509."),
    text_of!(
        "CertFriendlyName",
        |_, _| Some(String::new()),
        "An empty text: a friendly name is a property of Windows' store, and not in a certificate.",
    ),
    text_of!(
        "CertHashString",
        |_, octets| Some(hex::encode_upper(thumbprint(octets))),
        "The SHA-1 hash of the certificate in hexadecimal: the same as CertThumbprint.",
    ),
    text_of!("CertIssuer", |found, _| Some(name(found.issuer())), "The name of the issuer."),
    text_of!(
        "CertIssuerDN",
        |found, _| Some(name(found.issuer())),
        "The distinguished name of the issuer: the same as CertIssuer.",
    ),
    text_of!(
        "CertIssuerOid",
        |_, _| None,
        "NULL: a name has no object identifier, and .NET gives none for it.",
    ),
    text_of!(
        "CertKeyAlgorithm",
        |found, _| Some(found.public_key().algorithm.algorithm.to_id_string()),
        "The object identifier of the public key's algorithm.",
    ),
    text_of!(
        "CertKeyAlgorithmParams",
        |found, _| {
            let parameters = found.public_key().algorithm.parameters.as_ref()?;
            Some(hex::encode_upper(parameters.to_der_vec().ok()?))
        },
        "The parameters of the public key's algorithm, as DER in hexadecimal.",
    ),
    Function::each(
        "CertNameInfo",
        &[
            certificate(),
            word(
                "nameType",
                &[
                    "SimpleName",
                    "EmailName",
                    "UpnName",
                    "DnsName",
                    "DnsFromAlternativeName",
                    "UrlName",
                ],
            ),
            one_of("issuer", "bool", Kinds::BOOLEAN),
        ],
        Kinds::TEXT,
        |slots, run| {
            let kind = argument::text(&mut slots[1]);
            let of_issuer = slots[2] == Some(Scalar::Boolean(true));
            let found = reading(&mut slots[0], run, |found, _| name_info(found, &kind, of_issuer))?;
            Ok(Some(Scalar::text(found)))
        },
        "One name of the subject, or of the issuer when the last argument is True; empty when there \
         is none of the type.",
        &[
            "CertNameInfo([userCertificate], \"SimpleName\", False)",
            "CertNameInfo([userCertificate], \"UpnName\", False)",
        ],
    ),
    time_of!(
        "CertNotAfter",
        |found| found.validity().not_after.to_datetime(),
        "When the certificate's validity ends, in UTC.",
    ),
    time_of!(
        "CertNotBefore",
        |found| found.validity().not_before.to_datetime(),
        "When the certificate's validity begins, in UTC.",
    ),
    text_of!(
        "CertPublicKeyOid",
        |found, _| Some(found.public_key().algorithm.algorithm.to_id_string()),
        "The object identifier of the public key.",
    ),
    text_of!(
        "CertPublicKeyParametersOid",
        |found, _| {
            let algorithm = &found.public_key().algorithm;
            let curve = algorithm.parameters.as_ref().and_then(|found| found.as_oid().ok());
            Some(curve.as_ref().unwrap_or(&algorithm.algorithm).to_id_string())
        },
        "The object identifier of the public key's parameters, such as its curve; that of the \
         algorithm where they have none.",
    ),
    text_of!(
        "CertSerialNumber",
        |found, _| Some(hex::encode_upper(found.tbs_certificate.raw_serial())),
        "The serial number in hexadecimal.",
    ),
    text_of!(
        "CertSignatureAlgorithmOid",
        |found, _| Some(found.signature_algorithm.algorithm.to_id_string()),
        "The object identifier of the algorithm of the signature.",
    ),
    text_of!("CertSubject", |found, _| Some(name(found.subject())), "The name of the subject."),
    text_of!(
        "CertSubjectNameDN",
        |found, _| Some(name(found.subject())),
        "The distinguished name of the subject: the same as CertSubject.",
    ),
    text_of!(
        "CertSubjectNameOid",
        |_, _| None,
        "NULL: a name has no object identifier, and .NET gives none for it.",
    ),
    text_of!(
        "CertThumbprint",
        |_, octets| Some(hex::encode_upper(thumbprint(octets))),
        "The thumbprint of the certificate: its SHA-1 hash in hexadecimal.",
    ),
    text_of!(
        "CertVersion",
        |found, _| Some((u64::from(found.version().0) + 1).to_string()),
        "The version of the format, such as 3.",
    ),
];

/// The octets of a certificate, which may be in Base64.
fn octets<'a>(slot: &mut Slot<'a>, run: &Run<'_, 'a>) -> Result<Cow<'a, [u8]>, Why> {
    let octets: Cow<'a, [u8]> = match slot.take() {
        Some(Scalar::Octets(octets)) => octets,
        Some(Scalar::Text(text)) if text.len() <= CERTIFICATE_OCTETS_MAX * 2 => {
            let mut encoded = text.into_owned();
            encoded.retain(|c| !c.is_ascii_whitespace());
            BASE64_STANDARD.decode(encoded).map_err(|_| Why::Certificate)?.into()
        }
        _ => return Err(Why::Certificate),
    };
    if octets.len() > CERTIFICATE_OCTETS_MAX {
        return Err(Why::Certificate);
    }
    // Reading one makes about as many octets.
    run.room(octets.len())?;
    Ok(octets)
}

fn reading<'a, T>(
    slot: &mut Slot<'a>,
    run: &Run<'_, 'a>,
    read: impl FnOnce(&X509Certificate<'_>, &[u8]) -> T,
) -> Result<T, Fault> {
    let octets = octets(slot, run).map_err(blame(0))?;
    match X509Certificate::from_der(&octets) {
        Ok(([], found)) => Ok(read(&found, &octets)),
        _ => Err(blame(0)(Why::Certificate)),
    }
}

/// Whether a value is a certificate.
pub(super) fn is_certificate<'a>(slot: &mut Slot<'a>, run: &Run<'_, 'a>) -> Result<bool, Why> {
    match reading(slot, run, |_, _| ()).map_err(|fault| fault.why) {
        Ok(()) => Ok(true),
        Err(Why::Certificate) => Ok(false),
        Err(why) => Err(why),
    }
}

fn extension_identifiers<'a>(
    operands: &mut [Operand<'a>],
    run: &Run<'_, 'a>,
) -> Result<Operand<'a>, Fault> {
    let mut found = Vec::new();
    for value in std::mem::take(&mut operands[0]).into_values() {
        let identifiers = reading(&mut Some(value), run, |certificate, _| {
            let critical = certificate.extensions().iter().filter(|extension| extension.critical);
            critical.map(|extension| extension.oid.to_id_string()).collect::<Vec<_>>()
        })?;
        run.room_for_values(found.len() + identifiers.len())?;
        found.extend(identifiers.into_iter().map(Scalar::text));
    }
    Ok(Operand::from_values(found))
}

/// The types of names that .NET writes by a short name; others are written as `OID.` and the digits.
const SHORT_NAMES: &[(&str, &str)] = &[
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "SERIALNUMBER"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "S"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "T"),
    ("2.5.4.42", "G"),
    ("2.5.4.43", "I"),
    ("1.2.840.113549.1.9.1", "E"),
    ("0.9.2342.19200300.100.1.25", "DC"),
];

/// The parts of a name: of each the type's digits, and the value.
fn parts(found: &X509Name<'_>) -> Vec<Vec<(String, String)>> {
    let part = |attribute: &x509_parser::x509::AttributeTypeAndValue<'_>| {
        let value = match attribute.as_str() {
            Ok(text) => text.to_owned(),
            Err(_) => String::from_utf8_lossy(attribute.as_slice()).into_owned(),
        };
        (attribute.attr_type().to_id_string(), value)
    };
    found.iter_rdn().map(|rdn| rdn.iter().map(part).collect()).collect()
}

/// A name as .NET writes it: what the certificate has last comes first, and what is special stands in
/// quotes.
fn name(found: &X509Name<'_>) -> String {
    let written = |(kind, value): &(String, String)| {
        let short = SHORT_NAMES.iter().find(|(digits, _)| digits == kind);
        let kind = short.map_or_else(|| format!("OID.{kind}"), |(_, short)| (*short).to_owned());
        let special = value.is_empty()
            || value.contains([',', '+', '=', '"', '\n', '<', '>', '#', ';'])
            || value.trim() != value;
        match special {
            true => format!("{kind}=\"{}\"", value.replace('"', "\"\"")),
            false => format!("{kind}={value}"),
        }
    };
    let parts = parts(found);
    let rdns =
        parts.iter().rev().map(|rdn| rdn.iter().map(written).collect::<Vec<_>>().join(" + "));
    rdns.collect::<Vec<_>>().join(", ")
}

/// One name of a type, empty when there is none.
fn name_info(found: &X509Certificate<'_>, kind: &str, of_issuer: bool) -> String {
    let dn = parts(if of_issuer { found.issuer() } else { found.subject() });
    let part = |digits: &str| {
        dn.iter().flatten().rfind(|(kind, _)| kind == digits).map(|(_, value)| value.clone())
    };
    let alternatives: Vec<_> = found
        .extensions()
        .iter()
        .filter_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) if !of_issuer => {
                Some(&names.general_names)
            }
            ParsedExtension::IssuerAlternativeName(names) if of_issuer => {
                Some(&names.general_names)
            }
            _ => None,
        })
        .flatten()
        .collect();
    let first = |pick: fn(&GeneralName<'_>) -> Option<String>| {
        alternatives.iter().find_map(|name| pick(name))
    };
    let mail = || {
        first(|name| match name {
            GeneralName::RFC822Name(mail) => Some((*mail).to_owned()),
            _ => None,
        })
    };
    let dns = || {
        first(|name| match name {
            GeneralName::DNSName(dns) => Some((*dns).to_owned()),
            _ => None,
        })
    };
    let found = match kind {
        "SimpleName" => ["2.5.4.3", "2.5.4.11", "2.5.4.10", "1.2.840.113549.1.9.1"]
            .into_iter()
            .find_map(part)
            .or_else(mail)
            .or_else(dns),
        "EmailName" => mail().or_else(|| part("1.2.840.113549.1.9.1")),
        "UpnName" => first(principal_name),
        "DnsName" => dns().or_else(|| part("2.5.4.3")),
        "DnsFromAlternativeName" => dns(),
        _ => first(|name| match name {
            GeneralName::URI(address) => Some((*address).to_owned()),
            _ => None,
        }),
    };
    found.unwrap_or_default()
}

/// The user principal name among the names that have a type of their own.
fn principal_name(name: &GeneralName<'_>) -> Option<String> {
    let GeneralName::OtherName(kind, octets) = name else { return None };
    if kind.to_id_string() != "1.3.6.1.4.1.311.20.2.3" {
        return None;
    }
    let (_, outer) = Any::from_der(octets).ok()?;
    let (_, text) = Any::from_der(outer.data).ok()?;
    text.as_str().ok().map(str::to_owned)
}
