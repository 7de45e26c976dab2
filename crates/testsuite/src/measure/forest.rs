//! A forest with many users, read by connect and by its peers.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use portolan_lab::{Guard, Lab, LabError, LabName, Options};
use portolan_sync::Dictionary;
use portolan_sync::rules::{RuleFile, RuleNumbers, Rules};

use super::process::{Marked, watch};
use crate::{ACCOUNT, ACCOUNT_PASSWORD, FOREST_DOMAIN, Outcome, Road, RoadError, Tools};

/// The filter of connect's import, which peers get too.
const FILTER: &str = "(|(objectCategory=person)(objectCategory=group)\
    (objectCategory=organizationalUnit)(objectCategory=computer)\
    (objectCategory=foreignSecurityPrincipal))";
/// What connect says right before and right after it reads the forest.
const BOUND: &str = "all that follows is sealed";
const IMPORTED: &str = "imported ";
/// What it says when the tenant has acknowledged everything.
const EXPORTED: &str = "exported ";

/// Pages as large as Windows gives them.
const PAGES: &str = "pr=1000/noprompt";
/// The control that connect sends: names that carry their objects' identifiers, as text
/// (`LDAP_SERVER_EXTENDED_DN_OID`).
const EXTENDED_NAMES: &str = "!1.2.840.113556.1.4.529=::MAMCAQE=";

/// How `ldapsearch` is to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// In one piece, with plain names: less than what connect asks for.
    Whole,
    /// In pages of a thousand, with plain names.
    Paged,
    /// In one piece, with extended names: exactly what connect asks for.
    Extended,
}

impl Manner {
    const fn extension(self) -> Option<&'static str> {
        match self {
            Self::Whole => None,
            Self::Paged => Some(PAGES),
            Self::Extended => Some(EXTENDED_NAMES),
        }
    }
}

/// A lab whose forest has many users.
pub struct BulkForest {
    lab: Guard,
    tools: Tools,
    work: PathBuf,
}

/// One full import by connect, from the bound connection to the connector space on disk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Import {
    /// All that was read: users, contacts, groups, organizational units, computers and foreign security principals.
    pub objects: u64,
    /// How long it took.
    pub took: Duration,
    /// Time on processors.
    pub cpu: Duration,
    /// The most memory that was resident at once (VmHWM), in KiB, from the process's start.
    pub peak_kib: u64,
}

impl Import {
    /// Objects a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.objects as f64 / self.took.as_secs_f64()
    }

    /// Microseconds on processors for an object.
    #[must_use]
    pub fn cpu_of_object(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.objects as f64
    }

    /// MiB of memory at the peak.
    #[must_use]
    pub fn peak_mib(&self) -> f64 {
        self.peak_kib as f64 / 1024.0
    }
}

/// One synchronisation of objects by connect, without its start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cycle {
    /// Users, groups and contacts that the tenant acknowledged: new ones and changed ones.
    pub exported: u64,
    /// How long it took, from the bound connection to the last acknowledgement.
    pub took: Duration,
    /// The most memory that was resident at once (VmHWM), in KiB, from the process's start.
    pub peak_kib: u64,
}

impl BulkForest {
    /// Brings a lab up whose forest has this many users beyond the usual ones. The first time it is
    /// loaded, which takes minutes; then it comes from an archive. Files are kept below `folder`.
    ///
    /// # Errors
    /// When the lab does not come up.
    pub fn up(name: &str, users: u32, folder: &Path) -> Result<Self, RoadError> {
        let name: LabName =
            name.parse().map_err(|_| RoadError::NoField { what: "a lab", field: "legal name" })?;
        let state = folder.join("labs");
        match Lab::remove(&name, &state, None) {
            Ok(()) | Err(LabError::NotRunning { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let work = folder.join(name.as_str());
        // What a killed run left behind.
        let _ = std::fs::remove_dir_all(&work);
        let options = Options { name, state, extra_users: users, ..Options::default() };
        let (lab, _) = Lab::up(&options, &mut |step| {
            eprintln!("{:8.1} s  {}", step.took.as_secs_f64(), step.what);
        })?;
        Ok(Self { lab: lab.guard(), tools: Tools::from_environment()?, work })
    }

    /// A road with a tenant and an enrolled sync server.
    ///
    /// # Errors
    /// When one of them does not come up.
    pub fn road(&self) -> Result<Road<'_>, RoadError> {
        let mut road = Road::begin(&self.lab, self.tools.clone(), &self.work)?;
        road.tenant_up()?;
        road.connect_up()?;
        Ok(road)
    }

    /// Lets connect read the forest in full, into a connector space that is not there yet.
    ///
    /// # Errors
    /// When it fails, or does not say when it read what.
    pub fn import(&self, road: &Road<'_>) -> Result<Import, RoadError> {
        let state = road.path("connect");
        for file in ["connector-space.db", "connector-space.db-wal", "connector-space.db-shm"] {
            let _ = std::fs::remove_file(state.join(file));
        }
        let mut command = self.lab.command("connect", &self.tools.portolan)?;
        // Planning writes nothing but the connector space.
        command.args(["connect", "plan", "--json", "--state"]).arg(state);
        let (outcome, marked) = watch(command)?;
        outcome.success()?;
        import_of(&marked).ok_or(RoadError::NoField { what: "connect plan", field: "import" })
    }

    /// One synchronisation by connect, from the bound connection until the tenant has acknowledged what
    /// was exported.
    ///
    /// # Errors
    /// When it fails, or does not say when it did what.
    pub fn cycle(&self, road: &Road<'_>) -> Result<Cycle, RoadError> {
        let mut command = self.lab.command("connect", &self.tools.portolan)?;
        command.args(["connect", "run", "--once", "--state"]).arg(road.path("connect"));
        let (outcome, marked) = watch(command)?;
        outcome.success()?;
        cycle_of(&marked).ok_or(RoadError::NoField { what: "connect run", field: "cycle" })
    }

    /// Gets a ticket for `ldapsearch`, so that what is measured authenticates by nothing but a
    /// ticket that it has.
    ///
    /// # Errors
    /// When `kinit` fails.
    pub fn ticket(&self) -> Result<(), RoadError> {
        let mut kinit = self.lab.command("connect", "/bin/sh")?;
        let line = format!("printf '%s\\n' '{ACCOUNT_PASSWORD}' | kinit {ACCOUNT}");
        kinit.args(["-c", &line]).env("KRB5CCNAME", self.cache());
        finish(kinit)?.success().map(drop)
    }

    /// How many objects `ldapsearch` finds that connect imports.
    ///
    /// # Errors
    /// When it fails.
    pub fn count(&self) -> Result<u64, RoadError> {
        let mut search = self.ldapsearch()?;
        search.args(["-E", PAGES, "-b", &base(), FILTER, "1.1"]);
        let found = finish(search)?.success()?;
        Ok(found.stdout.lines().filter(|line| line.starts_with("dn:")).count() as u64)
    }

    /// How long `ldapsearch` takes to read what connect reads, beyond what it takes to bind: the
    /// same command, sealed alike, is also timed reading the root DSE, and that is subtracted.
    ///
    /// # Errors
    /// When it fails.
    pub fn ldapsearch_took(&self, manner: Manner) -> Result<Duration, RoadError> {
        let mut bind = self.ldapsearch()?;
        bind.args(["-s", "base", "-b", "", "(objectClass=*)", "1.1"]);
        let bound = timed(bind)?;
        let mut search = self.ldapsearch()?;
        if let Some(extension) = manner.extension() {
            search.args(["-E", extension]);
        }
        search.args(["-b", &base(), FILTER]).args(wanted()?);
        Ok(timed(search)?.saturating_sub(bound))
    }

    /// `ldapsearch` over a sealed connection.
    fn ldapsearch(&self) -> Result<Command, RoadError> {
        let mut search = self.lab.command("connect", "ldapsearch")?;
        search.args(["-LLL", "-Q", "-Y", "GSSAPI", "-O", "minssf=56", "-o", "ldif-wrap=no", "-H"]);
        search.arg(format!("ldap://dc1.{FOREST_DOMAIN}"));
        search.env("KRB5CCNAME", self.cache()).env("LDAPSASL_NOCANON", "on");
        Ok(search)
    }

    fn cache(&self) -> String {
        format!("FILE:{}", self.work.join("krb5cc").display())
    }
}

/// The import within what connect said.
fn import_of(marked: &[Marked]) -> Option<Import> {
    let begin = marked.iter().find(|marked| marked.line.contains(BOUND))?.reading;
    let (said, end) = marked
        .iter()
        .find_map(|marked| Some((marked.line.split_once(IMPORTED)?.1, marked.reading)))?;
    let number = |kind: &str| {
        let part = said.split(", ").find(|part| part.contains(kind))?;
        part.split(' ').next()?.parse::<u64>().ok()
    };
    Some(Import {
        objects: number("users")?
            + number("contacts")?
            + number("groups")?
            + number("organizational units")?
            + number("computers")?
            + number("foreign security principals")?,
        took: end.at.duration_since(begin.at),
        cpu: end.cpu.saturating_sub(begin.cpu),
        peak_kib: end.peak_kib,
    })
}

/// The cycle within what connect said.
fn cycle_of(marked: &[Marked]) -> Option<Cycle> {
    let begin = marked.iter().find(|marked| marked.line.contains(BOUND))?.reading;
    let (said, end) = marked
        .iter()
        .find_map(|marked| Some((marked.line.split_once(EXPORTED)?.1, marked.reading)))?;
    let number = |kind: &str| {
        let part = said.split(", ").find(|part| part.contains(kind))?;
        part.split(' ').next()?.parse::<u64>().ok()
    };
    Some(Cycle {
        exported: number("new")? + number("changed")?,
        took: end.at.duration_since(begin.at),
        peak_kib: end.peak_kib,
    })
}

/// What connect asks for by the default rules.
fn wanted() -> Result<Vec<String>, RoadError> {
    let mut names = Dictionary::default();
    let files = [RuleFile::built_in()];
    let rules = Rules::compile(&files, &mut names, &mut RuleNumbers::default());
    let refused = RoadError::NoField { what: "the default rules", field: "compiled form" };
    Ok(rules.map_err(|_| refused)?.wanted(&names))
}

fn base() -> String {
    format!("DC={}", FOREST_DOMAIN.replace('.', ",DC="))
}

/// Runs a command whose output nobody reads; anything but success is an error.
fn timed(mut command: Command) -> Result<Duration, RoadError> {
    let what = format!("{command:?}");
    let io = |error| RoadError::Io { what: what.clone(), error };
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let start = Instant::now();
    let output = command.spawn().and_then(std::process::Child::wait_with_output).map_err(io)?;
    let took = start.elapsed();
    Outcome::new(what, &output).success()?;
    Ok(took)
}

fn finish(mut command: Command) -> Result<Outcome, RoadError> {
    let what = format!("{command:?}");
    let io = |error| RoadError::Io { what: what.clone(), error };
    let output = command.stdin(Stdio::null()).output().map_err(io)?;
    Ok(Outcome::new(what, &output))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Reading;

    #[test]
    fn the_import_is_between_the_bind_and_its_summary() {
        let start = Instant::now();
        let marked = |seconds, line: &str| {
            let passed = Duration::from_secs(seconds);
            let reading = Reading { at: start + passed, cpu: passed / 2, peak_kib: 10 * seconds };
            Marked { line: line.to_owned(), reading }
        };
        let lines = [
            marked(1, "   0.1 s  Table 1  found dc1"),
            marked(2, "   0.2 s  Table 1  bound to dc1, all that follows is sealed"),
            marked(
                6,
                "   0.6 s  Table 1  imported 6 users, 1 contacts, 2 groups with 9 members, 1 organizational units, \
                 2 computers, 8 foreign security principals",
            ),
            marked(9, "   0.9 s  Table 1  signed in"),
        ];
        let import = import_of(&lines).unwrap();
        assert_eq!((import.objects, import.took), (20, Duration::from_secs(4)));
        assert_eq!((import.cpu, import.peak_kib), (Duration::from_secs(2), 60));
        assert_eq!(import.rate(), 5.0);
        assert_eq!(import.cpu_of_object(), 100_000.0);
        assert!(import_of(&lines[2..]).is_none());
    }
}
