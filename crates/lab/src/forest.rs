//! The forest: Samba domain controllers, provisioned once and restored from an archive after that.
//!
//! The archive's name is a digest of all that went into it, so a change of a person, an option or
//! of Samba itself makes a new one. A forest of two controllers is made from the archive of the
//! forest of one, by a join over the lab's own network and through its firewalls; two forests are, by
//! provisioning the other beside it.

use std::fs::File;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use portolan_chart::Chart;

use crate::authority::{Authority, Certificate};
use crate::controller::{Controller, End, PYTHON, VOLATILE, configuration, place};
use crate::error::LabError;
use crate::plan::{ADMINISTRATOR_PASSWORD, FOREST_DOMAIN, FOREST_REALM, Host};
use crate::process::{self, Program};
use crate::state::{Directory, Namespace};

/// Fills the database.
const POPULATE: &str = include_str!("../forest/populate.py");

/// Changes the account's rights.
const RIGHTS: &str = include_str!("../forest/rights.py");

/// What the sync server's account may do in the forest: all of it, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForestRight {
    /// DS-Replication-Get-Changes on the domain.
    Changes,
    /// DS-Replication-Get-Changes-All on the domain.
    ChangesAll,
    /// To read and to list the container of deleted objects.
    DeletedObjects,
}

impl ForestRight {
    /// Where it is given, and how, in SDDL.
    const fn entry(self) -> (&'static str, &'static str) {
        match self {
            Self::Changes => ("domain", "(OA;;CR;1131f6aa-9c07-11d1-f79f-00c04fc2dcd2;;SID)"),
            Self::ChangesAll => ("domain", "(OA;;CR;1131f6ad-9c07-11d1-f79f-00c04fc2dcd2;;SID)"),
            Self::DeletedObjects => ("deleted", "(A;;RPLC;;;SID)"),
        }
    }
}

/// Changes whenever the steps from nothing to an archive do, so that older archives are not used.
const RECIPE: &str = "5";
/// The same for the steps from one controller to two.
const JOIN_RECIPE: &str = "1";

/// Identities that would otherwise differ from one provisioning to the next.
const FIXED_IDENTITIES: [&str; 6] = [
    "--domain-sid=S-1-5-21-1111111111-2222222222-3333333333",
    "--domain-guid=5b486a16-5ca8-4b74-8b88-14bfe892c682",
    "--ntds-guid=6a20fa50-ff39-499c-a70a-5975c0e93995",
    "--invocationid=e28c18cf-1e6c-4dd5-a350-861a7d3e2c08",
    "--krbtgtpass=Krbtgt-Fixed-1!",
    "--machinepass=Mach1ne-Fixed-1!",
];

/// The same of the other forest.
const OTHER_IDENTITIES: [&str; 6] = [
    "--domain-sid=S-1-5-21-1212121212-2323232323-3434343434",
    "--domain-guid=0b7f3d9a-7f7c-4b0e-9a53-6f2f5f0a6c11",
    "--ntds-guid=1c8a4eab-808d-4c1f-8b64-707060717d22",
    "--invocationid=2d9b5fbc-919e-4d20-9c75-818171828e33",
    "--krbtgtpass=Krbtgt-Other-1!",
    "--machinepass=Mach1ne-Other-1!",
];
/// Changes whenever the steps from nothing to the other forest do.
const OTHER_RECIPE: &str = "1";

/// What Exchange brings into a schema, as far as a linked mailbox shows it, in the order in which it is
/// brought in. The numbers are the lab's own.
const SCHEMA_OF_MAILBOXES: [&str; 3] = [
    "dn: CN=ms-Exch-Master-Account-Sid,CN=Schema,CN=Configuration,DC=other,DC=example
changetype: add
objectClass: attributeSchema
lDAPDisplayName: msExchMasterAccountSID
attributeID: 1.3.6.1.4.1.55555.77.1.1
attributeSyntax: 2.5.5.17
oMSyntax: 4
isSingleValued: TRUE
searchFlags: 1
",
    "dn: CN=lab-Exch-Mailbox,CN=Schema,CN=Configuration,DC=other,DC=example
changetype: add
objectClass: classSchema
lDAPDisplayName: labExchMailbox
governsID: 1.3.6.1.4.1.55555.77.2.1
subClassOf: top
objectClassCategory: 3
mayContain: msExchMasterAccountSID
",
    "dn: CN=User,CN=Schema,CN=Configuration,DC=other,DC=example
changetype: modify
add: auxiliaryClass
auxiliaryClass: labExchMailbox
",
];

/// What the schema of Windows Server 2016 has of a device that Samba's own, of Windows Server 2012 R2, lacks, as
/// far as a writeback writes it (`msDS-IsCompliant` of [MS-ADA2]).
///
/// [MS-ADA2]: https://learn.microsoft.com/openspecs/windows_protocols/ms-ada2
const SCHEMA_OF_DEVICES: [&str; 2] = [
    "dn: CN=ms-DS-Is-Compliant,CN=Schema,CN=Configuration,DC=other,DC=example
changetype: add
objectClass: attributeSchema
lDAPDisplayName: msDS-IsCompliant
attributeID: 1.2.840.113556.1.4.2314
attributeSyntax: 2.5.5.8
oMSyntax: 1
isSingleValued: TRUE
searchFlags: 0
schemaIDGUID:: D31SWcC34kyh3XHO9pYykg==
",
    "dn: CN=ms-DS-Device,CN=Schema,CN=Configuration,DC=other,DC=example
changetype: modify
add: mayContain
mayContain: msDS-IsCompliant
",
];

/// What every controller has a copy of.
const NAMING_CONTEXTS: [&str; 5] = [
    "DC=corp,DC=example",
    "CN=Configuration,DC=corp,DC=example",
    "CN=Schema,CN=Configuration,DC=corp,DC=example",
    "DC=DomainDnsZones,DC=corp,DC=example",
    "DC=ForestDnsZones,DC=corp,DC=example",
];

/// A forest to be put into the lab's hosts.
#[derive(Debug)]
pub(crate) struct Forest<'lab> {
    /// The lab's files.
    pub(crate) directory: &'lab Directory,
    /// The chart whose ports it keeps to.
    pub(crate) chart: &'lab Chart,
    /// The controller that is provisioned.
    pub(crate) first: Controller<'lab>,
    /// The one that joins it.
    pub(crate) second: Option<Controller<'lab>>,
    /// A host that asks whether the forest answers.
    pub(crate) asking: &'lab Namespace,
    /// People beyond the usual ones.
    pub(crate) extra_users: u32,
}

impl<'lab> Forest<'lab> {
    /// Its controllers.
    pub(crate) fn controllers(&self) -> impl Iterator<Item = &Controller<'lab>> {
        std::iter::once(&self.first).chain(&self.second)
    }

    /// The archive of this forest in `cache`, made if it is not there. `report` is told that making
    /// it takes a while.
    pub(crate) fn archive(
        &self,
        cache: &Path,
        report: &mut dyn FnMut(&str),
    ) -> Result<PathBuf, LabError> {
        process::create_directory(cache)?;
        let digest = self.digest()?;
        let mut archive = cache.join(format!("forest-{digest}.tar.zst"));
        // Two labs that start at once make it once.
        let lock = cache.join("lock");
        let held = File::create(&lock).map_err(LabError::io("create", &lock))?;
        held.lock().map_err(LabError::io("lock", &lock))?;
        let joined = match &self.second {
            Some(second) => Some((second, cache.join(self.joined_name(second, &digest)?))),
            None => None,
        };
        if joined.as_ref().is_none_or(|(_, joined)| !joined.exists()) && !archive.exists() {
            report("provisioning a new one, once");
            self.provision()?;
            let authority = Authority::of(self.directory);
            authority.found()?;
            authority.certify(&self.first, Certificate::Good)?;
            self.populate()?;
            self.name_services(&self.first)?;
            self.export_keys()?;
            self.pack(&archive)?;
        }
        if let Some((second, joined)) = joined {
            if !joined.exists() {
                self.restore(&archive)?;
                if second.host.domain == FOREST_DOMAIN {
                    report("a second controller joins it, once");
                    self.join(second)?;
                } else {
                    report("another forest is provisioned beside it, once");
                    self.provision_other(second)?;
                }
                self.pack(&joined)?;
            }
            archive = joined;
        }
        Ok(archive)
    }

    /// Puts the archived databases in place.
    pub(crate) fn restore(&self, archive: &Path) -> Result<(), LabError> {
        self.empty()?;
        // It dies with this program: a lab that is taken away is not filled again behind it.
        let tar = Program::new("setpriv").args(["--pdeathsig", "KILL", "--", "tar"]);
        let tar = tar.args(TAR_OPTIONS).arg("--directory");
        tar.arg(self.directory.forest()).arg("--extract").arg("--file").arg(archive).run()?;
        self.controllers().try_for_each(Controller::make_directories)
    }

    /// Starts all controllers and serves the revocation list beside each, then waits for them.
    pub(crate) fn start(&self) -> Result<(), LabError> {
        let authority = Authority::of(self.directory);
        authority.publish()?;
        self.controllers().try_for_each(Controller::start)?;
        self.controllers().try_for_each(|controller| {
            authority.serve(controller, self.chart)?;
            controller.wait(self.asking, self.chart)
        })
    }

    /// Gives or takes a right of the sync server's account, while the first controller runs.
    pub(crate) fn change_right(&self, verb: &str, right: ForestRight) -> Result<(), LabError> {
        let (container, entry) = right.entry();
        let python = self.first.namespace.program(PYTHON);
        let python = python.args(["-", &place("etc/smb.conf"), verb, container, entry]);
        python.input(RIGHTS).run().map(drop)
    }

    fn digest(&self) -> Result<String, LabError> {
        let samba = Program::new("samba").arg("--version").run()?;
        let configuration = configuration(self.first.host, self.chart)?;
        let arguments = provision_arguments(self.first.host, &FIXED_IDENTITIES).join("\n");
        Ok(name_of(&[
            RECIPE.as_bytes(),
            configuration.as_bytes(),
            arguments.as_bytes(),
            POPULATE.as_bytes(),
            &self.extra_users.to_be_bytes(),
            &samba,
        ]))
    }

    fn joined_name(&self, second: &Controller<'_>, digest: &str) -> Result<String, LabError> {
        if second.host.domain != FOREST_DOMAIN {
            let configuration = configuration(second.host, self.chart)?;
            let arguments = provision_arguments(second.host, &OTHER_IDENTITIES).join("\n");
            let schema = [&SCHEMA_OF_MAILBOXES[..], &SCHEMA_OF_DEVICES].concat().join("\n");
            let inputs = [OTHER_RECIPE, digest, &configuration, &arguments, &schema];
            return Ok(format!("forest-{}-other.tar.zst", name_of(&inputs.map(str::as_bytes))));
        }
        let configuration = configuration(second.host, self.chart)?;
        let addresses = format!("{:?}", second.host.addresses());
        let inputs = [JOIN_RECIPE, digest, &configuration, &addresses];
        Ok(format!("forest-{}-two.tar.zst", name_of(&inputs.map(str::as_bytes))))
    }

    fn provision(&self) -> Result<(), LabError> {
        self.empty()?;
        let arguments = provision_arguments(self.first.host, &FIXED_IDENTITIES);
        let words: Vec<_> = arguments.iter().map(String::as_str).collect();
        self.make(&self.first, &[&["domain", "provision", "--quiet"], &words[..]].concat())
    }

    /// Makes the controller of another forest, with the same people at its own domain and with what a
    /// linked mailbox has in a forest of Exchange.
    fn provision_other(&self, other: &Controller<'_>) -> Result<(), LabError> {
        let arguments = provision_arguments(other.host, &OTHER_IDENTITIES);
        let words: Vec<_> = arguments.iter().map(String::as_str).collect();
        self.make(other, &[&["domain", "provision", "--quiet"], &words[..]].concat())?;
        for step in SCHEMA_OF_MAILBOXES.into_iter().chain(SCHEMA_OF_DEVICES) {
            let modify = other.namespace.program("ldbmodify");
            let modify = modify.arg("--option=dsdb:schema update allowed=true");
            let modify = modify.arg(format!("--configfile={}", place("etc/smb.conf")));
            modify.args(["-H", &place("private/sam.ldb")]).input(step).run()?;
        }
        let people = POPULATE.replace("@partner.example", "@other.example");
        let people = people.replace("elsewhere.example", "elsewhere.other.example");
        let people = people.replace("@corp.example", "@other.example");
        let python = other.namespace.program(PYTHON).args(["-", &place("etc/smb.conf"), "0"]);
        python.input(people).run()?;
        Authority::of(self.directory).certify(other, Certificate::Good)?;
        self.name_services(other)
    }

    /// Makes the second controller and lets both learn of each other, over the LAN.
    fn join(&self, second: &Controller<'_>) -> Result<(), LabError> {
        self.first.start()?;
        self.first.wait(self.asking, self.chart)?;
        let administrator = format!("-UAdministrator%{ADMINISTRATOR_PASSWORD}");
        let realm = format!("--realm={FOREST_REALM}");
        self.make(
            second,
            &[
                "domain",
                "join",
                FOREST_DOMAIN,
                "DC",
                "--dns-backend=SAMBA_INTERNAL",
                &administrator,
                &realm,
                "--option=interfaces=lo eth0",
            ],
        )?;
        Authority::of(self.directory).certify(second, Certificate::Good)?;
        second.start()?;
        second.wait(self.asking, self.chart)?;
        self.replicate(second, &administrator)?;
        self.name_services(second)?;
        // The service that would write the records when it runs is not among the lab's.
        let update = second.namespace.program("samba_dnsupdate");
        update.args(["--use-samba-tool", "--configfile", &place("etc/smb.conf")]).run()?;
        self.replicate(second, &administrator)?;
        second.end(End::Cleanly)?;
        self.first.end(End::Cleanly)
    }

    /// Brings everything that either controller knows to the other.
    fn replicate(&self, second: &Controller<'_>, administrator: &str) -> Result<(), LabError> {
        let (first, second) = (&self.first, second);
        for (from, to) in [(second, first), (first, second)] {
            for context in NAMING_CONTEXTS {
                let words = ["drs", "replicate", to.host.name, from.host.name, context];
                let tool = to.tool(&words).args(["--configfile", &place("etc/smb.conf")]);
                tool.arg(administrator).run()?;
            }
        }
        Ok(())
    }

    /// Makes a controller with a verb of `samba-tool`, which merges the configuration it is given
    /// with what it believes of the machine; ours is put back afterwards.
    fn make(&self, controller: &Controller<'_>, words: &[&str]) -> Result<(), LabError> {
        controller.make_directories()?;
        let configuration = configuration(controller.host, self.chart)?;
        let seed = controller.files().join("seed.conf");
        process::write(&seed, &configuration)?;
        let tool = controller.tool(words);
        tool.arg(format!("--configfile={}", place("seed.conf")))
            .arg(format!("--targetdir={}", place("")))
            .run()?;
        std::fs::remove_file(&seed).map_err(LabError::io("remove", &seed))?;
        process::write(&controller.files().join("etc/smb.conf"), &configuration)
    }

    fn populate(&self) -> Result<(), LabError> {
        let python = self.first.namespace.program(PYTHON).args(["-", &place("etc/smb.conf")]);
        python.arg(self.extra_users.to_string()).input(POPULATE).run().map(drop)
    }

    /// Writes down the keys of the sync server's account.
    fn export_keys(&self) -> Result<(), LabError> {
        let tool = self.first.tool(&["domain", "exportkeytab", "--principal=svc_connect"]);
        let tool = tool.arg(self.directory.service_keytab());
        tool.arg(format!("--configfile={}", place("etc/smb.conf"))).run().map(drop)
    }

    /// Gives a controller's account its service names: the service that would do so when it runs
    /// is not among the lab's.
    fn name_services(&self, controller: &Controller<'_>) -> Result<(), LabError> {
        let tool = controller.namespace.program("samba_spnupdate");
        tool.args(["--configfile", &place("etc/smb.conf")]).run().map(drop)
    }

    fn pack(&self, archive: &Path) -> Result<(), LabError> {
        let draft = archive.with_extension("draft");
        let tar = Program::new("tar").args(TAR_OPTIONS).arg("--directory");
        tar.arg(self.directory.forest())
            .args(VOLATILE.map(|name| format!("--exclude=./*/{name}")))
            .args(["--sparse", "--create", "--file"])
            .arg(&draft)
            .arg(".")
            .run()?;
        std::fs::rename(&draft, archive).map_err(LabError::io("write", archive))
    }

    /// Removes all files of the forest. The controllers' directories stay: they are bound.
    fn empty(&self) -> Result<(), LabError> {
        let authority = self.directory.authority();
        process::create_directory(&authority)?;
        process::empty_directory(&authority)?;
        self.controllers().try_for_each(|controller| process::empty_directory(&controller.files()))
    }
}

/// Access lists live in extended attributes.
const TAR_OPTIONS: [&str; 5] =
    ["--xattrs", "--xattrs-include=*", "--acls", "--numeric-owner", "--zstd"];

/// How a host's forest is provisioned.
fn provision_arguments(host: &Host, identities: &[&str]) -> Vec<String> {
    let mut arguments = vec![
        format!("--realm={}", host.realm()),
        format!("--domain={}", host.netbios()),
        format!("--host-name={}", host.name),
        format!("--adminpass={ADMINISTRATOR_PASSWORD}"),
        "--server-role=dc".to_owned(),
        "--dns-backend=SAMBA_INTERNAL".to_owned(),
    ];
    for address in host.addresses() {
        let option = if address.is_ipv4() { "--host-ip" } else { "--host-ip6" };
        arguments.push(format!("{option}={address}"));
    }
    arguments.extend(identities.iter().map(|identity| (*identity).to_owned()));
    arguments
}

/// A name for what is made from these inputs and no others.
fn name_of(inputs: &[&[u8]]) -> String {
    /// Hexadecimal digits of an archive's name.
    const DIGITS: usize = 16;
    let inputs: Vec<u8> = inputs.join(&[0][..]);
    let mut name = hex::encode(digest(&SHA256, &inputs));
    name.truncate(DIGITS);
    name
}
