//! `portolan connect init`: checks every connection, enrols this server, writes the configuration.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use portolan_chart::flow;
use portolan_model::DnsName;
use portolan_net::tls::Fingerprint;
use portolan_tenant::wire::EnrolmentFile;

use super::config::{RawConfig, RawForest, RawTenant, parse_fingerprint, read_password};
use super::forest::{self, Forest};
use super::steps::Steps;
use super::{key, rights, tenant_client};
use crate::report::Failure;

/// What `connect init` is told.
#[derive(Debug, clap::Args)]
pub struct Init {
    /// Where this server keeps its configuration, key and connector space
    #[arg(long, default_value = super::STATE)]
    state: PathBuf,
    /// The file that `portolan tenant enrol` wrote; it works once, within an hour
    #[arg(long, value_name = "FILE")]
    enrol: PathBuf,
    /// The domain of the forest, such as corp.example
    #[arg(long, value_name = "DOMAIN")]
    forest: DnsName,
    /// The service account that reads the forest, by its sAMAccountName
    #[arg(long)]
    account: String,
    /// A file whose first line is the account's password; its owner alone may read it
    #[arg(long, value_name = "FILE")]
    password_file: PathBuf,
    /// The edition of the chart whose ports are used
    #[arg(long, default_value = portolan_chart::DEFAULT_EDITION)]
    edition: String,
}

/// Runs `connect init`. The configuration is written last, when everything else has worked.
pub(super) async fn run(init: Init) -> Result<(), Failure> {
    let steps = Steps::begin();
    let enrolment = read_enrolment(&init.enrol)?;
    let password = read_password(&init.password_file).map_err(Failure::new)?;
    let earlier = RawConfig::existing(&init.state)?;
    if let Some(earlier) = &earlier {
        check_same(earlier, &init, &enrolment)?;
    }
    let network = forest::network(&init.edition)?;
    let chart = network.chart().clone();

    let found = Forest::find(&network, &init.forest, &init.account, password, &steps).await?;
    rights::prove(&found, &init.forest, &init.account, &steps).await?;

    let directory = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&init.state);
    directory.map_err(|error| {
        Failure::because(&format!("cannot make {}", init.state.display()), &error)
    })?;
    let (key, key_file) = key::create(&absolute(&init.state)?)?;
    let ca = parse_fingerprint(&enrolment.ca_sha256).map_err(Failure::new)?;
    let client = tenant_client::client(&network, Fingerprint::new(ca));
    let enrolled = tenant_client::enrol(&client, &enrolment, &key).await?;
    steps.over(&chart, flow::CONNECT_TENANT_CRL, "the tenant's certificate is not revoked");
    let done = format!(
        "enrolled as application {} of tenant {}",
        enrolled.client_id, enrolled.tenant.tenant_id
    );
    steps.over(&chart, flow::CONNECT_TENANT_SYNC, &done);

    let config = RawConfig {
        edition: init.edition,
        forest: RawForest {
            domain: init.forest.to_string(),
            account: init.account,
            password_file: absolute(&init.password_file)?,
        },
        tenant: RawTenant {
            id: enrolled.tenant.tenant_id,
            domain: enrolled.tenant.initial_domain,
            ca_sha256: enrolment.ca_sha256,
            client_id: enrolled.client_id,
            key_file,
        },
    };
    config.write(&init.state)?;
    if let Some(earlier) = earlier {
        // The tenant forgets the earlier application when its administrator removes it; its key has
        // no use here any more.
        let _ = std::fs::remove_file(earlier.tenant.key_file);
    }
    let written = format!("the configuration is in {}", init.state.display());
    steps.say(None, &written);
    steps.say(None, "next: `portolan connect run --once`, or `connect plan` to look first");
    Ok(())
}

/// A connector space belongs to one forest and one tenant: with another it would take for done what
/// never was.
fn check_same(earlier: &RawConfig, init: &Init, enrolment: &EnrolmentFile) -> Result<(), Failure> {
    let forest = init.forest.to_string();
    if earlier.tenant.id == enrolment.tenant_id && earlier.forest.domain == forest {
        return Ok(());
    }
    let text = format!(
        "{} synchronises {} to tenant {}, and not {forest} to tenant {}",
        init.state.display(),
        earlier.forest.domain,
        earlier.tenant.id,
        enrolment.tenant_id
    );
    Err(Failure::new(text).with_hint("name a new --state directory"))
}

fn read_enrolment(path: &Path) -> Result<EnrolmentFile, Failure> {
    let doing = format!("cannot read the enrolment file {}", path.display());
    let hint = "make one with `portolan tenant enrol` on the tenant";
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::because(&doing, &error).with_hint(hint))?;
    serde_json::from_str(&text).map_err(|error| Failure::because(&doing, &error).with_hint(hint))
}

/// A path that holds wherever a later run starts.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::because(&format!("cannot use {}", path.display()), &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_directory_is_not_turned_to_another_tenant_or_forest() {
        let earlier: RawConfig = toml::from_str(
            r#"
            edition = "2017-02-15"
            [forest]
            domain = "corp.example"
            account = "svc"
            password_file = "p"
            [tenant]
            id = "one"
            domain = "cloud.example"
            ca_sha256 = "00"
            client_id = "c"
            key_file = "k"
            "#,
        )
        .unwrap();
        let check = |forest: &str, tenant: &str| {
            let init = Init {
                state: "s".into(),
                enrol: "e".into(),
                forest: forest.parse().unwrap(),
                account: "svc".to_owned(),
                password_file: "p".into(),
                edition: "2017-02-15".to_owned(),
            };
            let enrolment = format!(
                r#"{{"tenant_id":"{tenant}","host":"h","ca_sha256":"00","secret":"x","expires":"x"}}"#
            );
            check_same(&earlier, &init, &serde_json::from_str(&enrolment).unwrap())
        };
        assert!(check("corp.example", "one").is_ok());
        let error = check("corp.example", "two").unwrap_err();
        assert_eq!(
            error.text(),
            "s synchronises corp.example to tenant one, and not corp.example to tenant two"
        );
        assert!(check("other.example", "one").is_err());
    }
}
