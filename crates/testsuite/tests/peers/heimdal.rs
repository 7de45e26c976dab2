//! Heimdal's programs, which `cargo xtask setup` unpacks into a folder of their own beside MIT's.

use std::path::Path;
use std::process::Command;

use portolan_testsuite::Tools;

use crate::process::{LOOPBACK, Server, run, skew};

/// Where Debian's package has its servers.
const SERVERS: &str = "usr/lib/heimdal-servers";

/// Makes a realm whose KDC is to listen on a port of loopback.
pub(crate) fn make(folder: &Path, realm: &str, port: u16) {
    let at = folder.display();
    let config = format!(
        "[libdefaults]\n default_realm = {realm}\n\
         [realms]\n {realm} = {{\n  kdc = {LOOPBACK}:{port}\n }}\n\
         [kdc]\n addresses = {LOOPBACK}\n ports = {port}\n database = {{\n  dbname = {at}/heimdal\n  \
         realm = {realm}\n  mkey_file = {at}/m-key\n  acl_file = {at}/acl\n  log_file = {at}/changes\n }}\n\
         [logging]\n default = FILE:{at}/heimdal.log\n"
    );
    std::fs::write(folder.join("heimdal.conf"), config).unwrap();
    std::fs::write(folder.join("acl"), "").unwrap();
    let key = format!("--key-file={at}/m-key");
    run(program(folder, "usr/sbin/kstash").args(["--random-key", &key]));
    let ticket = ["--realm-max-ticket-life=1 day", "--realm-max-renewable-life=1 week"];
    administer(folder, &["init", ticket[0], ticket[1], realm]);
}

/// One command of its administration, on the database itself.
pub(crate) fn administer(folder: &Path, words: &[&str]) {
    run(program(folder, "usr/bin/kadmin.heimdal").arg("--local").args(words));
}

/// The KDC of a realm that was made.
pub(crate) async fn kdc(folder: &Path, port: u16, skewed: Option<&str>) -> Server {
    let mut command = program(folder, &format!("{SERVERS}/kdc"));
    command.arg("--config-file").arg(folder.join("heimdal.conf"));
    if let Some(by) = skewed {
        skew(&mut command, by);
    }
    Server::start(command, port).await
}

fn program(folder: &Path, path: &str) -> Command {
    let root = Tools::from_environment().unwrap().heimdal;
    let program = root.join(path);
    assert!(program.exists(), "{} is missing: run `cargo xtask setup`", program.display());
    let mut command = Command::new(program);
    let libraries =
        ["x86_64", "aarch64"].map(|machine| root.join(format!("usr/lib/{machine}-linux-gnu")));
    command.env("LD_LIBRARY_PATH", std::env::join_paths(libraries).unwrap());
    command.env("KRB5_CONFIG", folder.join("heimdal.conf"));
    command
}
