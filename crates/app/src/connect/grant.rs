//! The right that a change takes, named with the command that grants it.

use portolan_ldap::{Filter, Scope, SearchRequest};
use portolan_model::{DistinguishedName, DnsName, Guid};
use portolan_net::ldap::{LdapConnection, LdapError};

use super::rights::{Grantee, first};
use crate::report::Failure;

/// What an account lacks that may not change an attribute of an object. The command grants it on what
/// stands above the object, and all below it: rarely one object alone is to be mended.
pub(super) async fn missing(
    directory: &mut LdapConnection,
    domain: &DnsName,
    account: &str,
    dn: &str,
    attribute: &str,
) -> Result<Failure, Failure> {
    let grantee = Grantee::look_up(directory, domain, account).await?;
    let text =
        format!("{} lacks the right \"Write Property {attribute}\" on {dn}", grantee.principal);
    let above = dn.parse().ok().and_then(|dn: DistinguishedName| dn.parent());
    let above = above.map_or_else(|| dn.to_owned(), |above| above.to_string());
    let command = if grantee.is_samba {
        let schema_guid = schema_guid(directory, attribute).await?;
        let object = schema_guid.map(|guid| guid.to_string()).unwrap_or_default();
        let letter = if object.is_empty() { "A" } else { "OA" };
        format!(
            "samba-tool dsacl set --action=allow --objectdn=\"{above}\" \
             --sddl=\"({letter};CI;WP;{object};;{})\"",
            grantee.sid
        )
    } else {
        format!("dsacls \"{above}\" /I:T /G \"{}:WP;{attribute}\"", grantee.principal)
    };
    let hint = format!(
        "grant it on a domain controller: `{command}`; or name an account that has it by --account \
         and --password-file"
    );
    Ok(Failure::new(text).with_hint(hint))
}

/// By what an access control entry names an attribute: its schemaIDGUID.
async fn schema_guid(
    directory: &mut LdapConnection,
    attribute: &str,
) -> Result<Option<Guid>, LdapError> {
    let root = directory.root_dse(&["schemaNamingContext"]).await?;
    let (Some(schema), Ok(name)) = (root.text("schemaNamingContext"), "lDAPDisplayName".parse())
    else {
        return Ok(None);
    };
    let filter = Filter::Equality(name, attribute.as_bytes().to_vec());
    let request = SearchRequest::new(schema, Scope::One, filter).select(["schemaIDGUID"]);
    let entry = first(directory, request, Vec::new()).await?;
    let octets = entry.as_ref().and_then(|entry| entry.octets("schemaIDGUID"));
    Ok(octets.and_then(|octets| octets.try_into().ok()).map(Guid::from_bytes_le))
}

/// A class of object, by its name and its schemaIDGUID.
pub(super) type Class = (&'static str, &'static str);

/// The class group ([MS-ADSC] 2.53).
///
/// [MS-ADSC]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adsc
pub(super) const GROUP: Class = ("Group", "bf967a9c-0de6-11d0-a285-00aa003049e2");
/// The class msDS-Device ([MS-ADSC] 2.136).
///
/// [MS-ADSC]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adsc
pub(super) const DEVICE: Class = ("msDS-Device", "5df2b673-6d41-4774-b3e8-d52e8ee9ff99");

/// What an account lacks that may not make objects of a class below one.
pub(super) async fn missing_children(
    directory: &mut LdapConnection,
    domain: &DnsName,
    account: &str,
    (above, (class, guid)): (&str, Class),
) -> Result<Failure, Failure> {
    let grantee = Grantee::look_up(directory, domain, account).await?;
    let principal = &grantee.principal;
    let text =
        format!("{principal} lacks the right \"Create and Delete {class} objects\" on {above}");
    let command = if grantee.is_samba {
        let sid = &grantee.sid;
        format!(
            "samba-tool dsacl set --action=allow --objectdn=\"{above}\" \
             --sddl=\"(OA;CI;CCDC;{guid};;{sid})(OA;CIIO;RPWPSD;;{guid};{sid})\""
        )
    } else {
        let class = class.to_lowercase();
        format!(
            "dsacls \"{above}\" /I:T /G \"{principal}:CCDC;{class}\" \"{principal}:RPWPSD;;{class}\""
        )
    };
    let hint = format!(
        "grant it on a domain controller: `{command}`; or name an account that has it by --account \
         and --password-file"
    );
    Ok(Failure::new(text).with_hint(hint))
}
