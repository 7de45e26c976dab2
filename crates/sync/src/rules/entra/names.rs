//! What Entra Connect calls its things, and what they are here.

use crate::rules::model::MetaverseKind;

/// The connector of the tenant, which has the same identifier in every installation.
pub(super) const TENANT_CONNECTOR: &str = "b891884f-051e-4a83-95af-2544101c9083";

/// Rules of Entra Connect's default set by their tags, without the beginning `Microsoft.` and the
/// version at the end, and the rule of ours that stands for each; empty where several do, or none.
pub(super) const DEFAULT_RULES: &[(&str, &str)] = &[
    ("InfromAADContactExchangeHybrid", ""),
    ("InfromAADContactJoin", ""),
    ("InfromAADGroupExchangeHybrid", ""),
    ("InfromAADGroupJoin", ""),
    ("InfromAADUserExchangeHybrid", ""),
    ("InfromAADUserJoin", ""),
    ("InfromAADUserNGCKey", ""),
    ("InfromADComputerJoin", "in.computer.join"),
    ("InfromADContactCommon", "in.contact.common"),
    ("InfromADContactJoin", "in.contact.join"),
    ("InfromADContactLync", ""),
    ("InfromADDeviceCommon", ""),
    ("InfromADForeignSecurityPrincipalJoinUser", "in.foreign-principal.person"),
    ("InfromADGroupCommon", "in.group.common"),
    ("InfromADGroupExchange", ""),
    ("InfromADGroupJoin", "in.group.join"),
    ("InfromADInetOrgPersonAccountEnabled", ""),
    ("InfromADInetOrgPersonCommon", "in.user.common"),
    ("InfromADInetOrgPersonCommonfromExchange", ""),
    ("InfromADInetOrgPersonExchange", ""),
    ("InfromADInetOrgPersonJoin", "in.user.join"),
    ("InfromADInetOrgPersonLync", ""),
    ("InfromADUserAccountEnabled", ""),
    ("InfromADUserCommon", "in.user.common"),
    ("InfromADUserCommonfromExchange", ""),
    ("InfromADUserExchange", ""),
    ("InfromADUserJoin", "in.user.join"),
    ("InfromADUserLync", ""),
    ("OuttoAADContactAzureRMS", ""),
    ("OuttoAADContactDynamicsCRM", ""),
    ("OuttoAADContactExchangeOnline", ""),
    ("OuttoAADContactIdentity", ""),
    ("OuttoAADContactIntune", ""),
    ("OuttoAADContactJoin", "out.contact.join"),
    ("OuttoAADContactLyncOnline", ""),
    ("OuttoAADContactSharePointOnline", ""),
    ("OuttoAADGroupAzureRMS", ""),
    ("OuttoAADGroupDynamicsCRM", ""),
    ("OuttoAADGroupExchangeOnline", ""),
    ("OuttoAADGroupIdentity", ""),
    ("OuttoAADGroupIntune", ""),
    ("OuttoAADGroupJoin", "out.group.join"),
    ("OuttoAADGroupLyncOnline", ""),
    ("OuttoAADGroupSharePointOnline", ""),
    ("OuttoAADJoinSOAInAD", ""),
    ("OuttoAADUserAzureRMS", ""),
    ("OuttoAADUserDynamicsCRM", ""),
    ("OuttoAADUserExchangeOnline", ""),
    ("OuttoAADUserIdentity", "out.user.common"),
    ("OuttoAADUserIntune", ""),
    ("OuttoAADUserJoin", "out.user.join"),
    ("OuttoAADUserLyncOnline", ""),
    ("OuttoAADUserOfficeProPlus", ""),
    ("OuttoAADUserSharePointOnline", ""),
    ("OuttoADContactExchangeHybrid", ""),
    ("OuttoADContactJoin", ""),
    ("OuttoADGroupExchangeHybrid", ""),
    ("OuttoADGroupJoin", ""),
    ("OuttoADInetOrgPersonExchangeHybrid", ""),
    ("OuttoADInetOrgPersonJoin", ""),
    ("OuttoADUserExchangeHybrid", ""),
    ("OuttoADUserJoinSOAInAD", ""),
];

/// The tag of a default rule without what changes from one release to the next.
pub(super) fn stem(tag: &str) -> Option<&str> {
    let tag = tag.strip_prefix("Microsoft.")?;
    let (stem, version) = tag.rsplit_once('.').unwrap_or((tag, ""));
    Some(if version.bytes().all(|octet| octet.is_ascii_digit()) { stem } else { tag })
}

/// A kind of the metaverse.
pub(super) fn metaverse(name: &str) -> Option<MetaverseKind> {
    match name.to_ascii_lowercase().as_str() {
        "person" => Some(MetaverseKind::Person),
        "group" => Some(MetaverseKind::Group),
        "device" => Some(MetaverseKind::Device),
        _ => None,
    }
}

/// An attribute of a forest or of the metaverse.
pub(super) fn attribute(name: &str) -> &str {
    if name.eq_ignore_ascii_case("dn") { "distinguishedName" } else { name }
}

/// Attributes of the tenant's connector, and Graph's names of them where they differ.
const TENANT_ATTRIBUTES: &[(&str, &str)] = &[
    ("alias", "mailNickname"),
    ("company", "companyName"),
    ("facsimileTelephoneNumber", "faxNumber"),
    ("l", "city"),
    ("member", "members"),
    ("mobile", "mobilePhone"),
    ("onPremiseSecurityIdentifier", "onPremisesSecurityIdentifier"),
    ("physicalDeliveryOfficeName", "officeLocation"),
    ("sn", "surname"),
    ("st", "state"),
    ("telephoneNumber", "businessPhones"),
    ("title", "jobTitle"),
    ("co", "country"),
];

/// An attribute of the tenant under Graph's name.
pub(super) fn tenant_attribute(name: &str) -> &str {
    let row = TENANT_ATTRIBUTES.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
    row.map_or(name, |(_, graph)| graph)
}
