//! The domains of a forest, as its configuration names them: the same on every controller of it.
//!
//! Each naming context has a crossRef object in the container Partitions ([MS-ADTS] 6.1.1.2.1.1), which says
//! by a flag whether it is a domain's.
//!
//! [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts

use portolan_ldap::{Scope, SearchRequest};
use portolan_model::DnsName;
use serde::{Deserialize, Serialize};

use super::cursor::base;
use super::directory::{Directory, Entries as _};
use super::search;
use crate::report::Failure;

/// FLAG_CR_NTDS_DOMAIN ([MS-ADTS] 2.2.10): the naming context is a domain's.
///
/// [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
const OF_A_DOMAIN: i64 = 2;
/// Naming contexts of a forest, those that are no domains' among them.
const CONTEXTS_MAX: usize = 10_000;

/// A domain of a forest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Named {
    /// Its DNS name, in lower case.
    pub(in super::super) domain: String,
    /// Its NetBIOS name.
    pub(in super::super) netbios: Option<String>,
}

/// The domains that a controller's forest has, in the order of their names.
///
/// # Errors
/// When the directory fails, or does not show its configuration.
pub(in super::super) async fn domains(
    directory: &mut impl Directory,
) -> Result<Vec<Named>, Failure> {
    let root = base(directory, "", &["configurationNamingContext"], false).await?;
    let context = root.as_ref().and_then(|root| root.text("configurationNamingContext"));
    let context = context
        .ok_or_else(|| Failure::new("the directory does not say its configurationNamingContext"))?;
    let request = SearchRequest::new(
        format!("CN=Partitions,{context}"),
        Scope::One,
        search::filter("(objectClass=crossRef)")?,
    )
    .select(["systemFlags", "dnsRoot", "nETBIOSName"]);
    let mut found = directory.search(request, Vec::new()).await?;
    let (mut domains, mut contexts) = (Vec::new(), 0);
    while let Some(entry) = found.next().await? {
        contexts += 1;
        if contexts > CONTEXTS_MAX {
            let text = format!("the forest names more than {CONTEXTS_MAX} naming contexts");
            return Err(Failure::new(text));
        }
        let flags: i64 = entry.text("systemFlags").and_then(|text| text.parse().ok()).unwrap_or(0);
        let domain = entry.text("dnsRoot").and_then(|name| name.parse::<DnsName>().ok());
        if let Some(domain) = domain.filter(|_| flags & OF_A_DOMAIN != 0) {
            let netbios = entry.text("nETBIOSName").map(str::to_owned);
            domains.push(Named { domain: domain.to_string(), netbios });
        }
    }
    domains.sort_unstable_by(|one, other| one.domain.cmp(&other.domain));
    Ok(domains)
}
