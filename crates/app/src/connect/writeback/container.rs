//! `portolan connect writeback prepare-devices`: the container of devices, made once by an administrator of
//! the domain, in which the account that reads the forest may write devices and nothing else.
//!
//! What the class gives everybody stays; the account gets the right to make and delete devices there, and to
//! read and write what they have. A container that is there is left as it is.

use portolan_ldap::{AddRequest, Filter, PartialAttribute, Scope, SearchRequest};
use portolan_model::security_descriptor::{Allowed, Reach, discretionary, rights};
use portolan_model::{DistinguishedName, Guid, Sid};
use portolan_net::ldap::LdapConnection;
use portolan_sync::writeback::devices::{CLASS, CONTAINER_CLASS};

use super::choice::Choice;
use super::devices::{class_of, container_of, schema};
use super::reading::may_make;
use crate::connect::grant;
use crate::connect::rights::Grantee;
use crate::connect::steps::Steps;
use crate::connect::writer::{Writer, WriterArguments};
use crate::report::Failure;

/// S-1-5-11, authenticated users; S-1-5-18, the system ([MS-DTYP] 2.4.2.4).
///
/// [MS-DTYP]: https://learn.microsoft.com/openspecs/windows_protocols/ms-dtyp
const AUTHENTICATED_USERS: [u8; 12] = [1, 1, 0, 0, 0, 0, 0, 5, 11, 0, 0, 0];
const SYSTEM: [u8; 12] = [1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0];
/// The relative identifier of a domain's administrators (Domain Admins).
const DOMAIN_ADMINISTRATORS: u32 = 512;

/// What `connect writeback prepare-devices` is told.
#[derive(Debug, clap::Args)]
pub(super) struct Prepare {
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    writer: WriterArguments,
}

/// Runs `connect writeback prepare-devices`.
pub(super) async fn run(prepare: Prepare) -> Result<(), Failure> {
    let Prepare { choice, writer } = prepare;
    let permit = choice.permit(&writer.state).await?;
    let writer = Writer::open(writer)?;
    let (domain, container) = (&writer.forest.domain, container_of(&writer));
    let mut directory = writer.connect(&Steps::begin()).await?;
    let known = schema(&mut directory).await?;
    for class in [CONTAINER_CLASS, CLASS] {
        if !known.contains(&class.to_lowercase()) {
            return Err(Failure::new(format!("the forest's schema has no class {class}"))
                .with_hint(
                    "bring it to that of Windows Server 2012 R2 or a newer one (`adprep`)",
                ));
        }
    }
    match class_of(&mut directory, &container).await? {
        Some(true) => {
            println!("{container} is there, and is left as it is");
            return Ok(());
        }
        Some(false) => {
            return Err(Failure::new(format!("{container} is no {CONTAINER_CLASS}"))
                .with_hint("rename what is there"));
        }
        None => {}
    }
    // Whoever reads the forest writes the devices.
    let grantee = Grantee::look_up(&mut directory, domain, &writer.forest.account).await?;
    let principal = &grantee.principal;
    println!("add    {container} ({CONTAINER_CLASS})");
    println!("allow  {principal} to make, change and delete {CLASS} there");
    let above = DistinguishedName::of_domain(domain).to_string();
    if !may_make(&mut directory, &above, CONTAINER_CLASS).await? {
        let account = &writer.account;
        let text = format!("{account} may not make a {CONTAINER_CLASS} below {above}");
        return Err(Failure::new(text).with_hint(
            "name an administrator of the domain by --account and --password-file: it is done once",
        ));
    }
    let Some(permit) = permit else { return Ok(()) };
    let descriptor = descriptor(&mut directory, &above, &grantee.sid).await?;
    let attributes = vec![
        PartialAttribute::new("objectClass", [CONTAINER_CLASS]),
        PartialAttribute::new("nTSecurityDescriptor", [descriptor]),
    ];
    permit.check().await?;
    directory.add(AddRequest { entry: container.clone(), attributes }, Vec::new()).await?;
    permit.end().await;
    println!("{container} is made");
    Ok(())
}

/// What the class's own default allows ([MS-ADSC], defaultSecurityDescriptor), and what the account needs.
///
/// [MS-ADSC]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adsc
async fn descriptor(
    directory: &mut LdapConnection,
    domain: &str,
    account: &Sid,
) -> Result<Vec<u8>, Failure> {
    let malformed = |error| Failure::because("a SID is malformed", &error);
    let administrators = administrators(directory, domain).await?;
    let everybody = Sid::decode(&AUTHENTICATED_USERS).map_err(malformed)?;
    let system = Sid::decode(&SYSTEM).map_err(malformed)?;
    let (_, class) = grant::DEVICE;
    let class: Guid = class.parse().map_err(|error| Failure::because("a class's GUID", &error))?;
    let on_it = |sid, mask| Allowed { sid, mask, object: None, reach: Reach::Object };
    let read =
        rights::READ_PROPERTY | rights::LIST_CONTENTS | rights::LIST_OBJECT | rights::READ_CONTROL;
    let make = rights::CREATE_CHILD | rights::DELETE_CHILD;
    // Samba looks for the right to delete at the object, or for that to delete children of any class.
    let change = rights::READ_PROPERTY | rights::WRITE_PROPERTY | rights::DELETE;
    let reach = Reach::Below(class);
    Ok(discretionary(&[
        on_it(everybody, read),
        on_it(administrators, rights::ALL),
        on_it(system, rights::ALL),
        Allowed { object: Some(class), ..on_it(account.clone(), make) },
        Allowed { reach, ..on_it(account.clone(), change) },
    ]))
}

/// The SID of the domain's administrators.
async fn administrators(directory: &mut LdapConnection, domain: &str) -> Result<Sid, Failure> {
    let request =
        SearchRequest::new(domain, Scope::Base, Filter::And(vec![])).select(["objectSid"]);
    let mut found = directory.search(request, Vec::new()).await?;
    let entry = found.next().await?;
    let octets = entry.as_ref().and_then(|entry| entry.octets("objectSid"));
    let unseen = || Failure::new(format!("the objectSid of {domain} is not seen"));
    let domain = Sid::decode(octets.ok_or_else(unseen)?)
        .map_err(|error| Failure::because("the domain's objectSid is malformed", &error))?;
    domain.with_rid(DOMAIN_ADMINISTRATORS).ok_or_else(unseen)
}
