//! `portolan connect sync OBJECT`: one object from its forest to the target, now, and what came of it. Nothing
//! else that waits is decided or sent.

mod show;

use std::collections::BTreeSet;

use portolan_model::{DnsName, Guid, SourceAnchor};
use portolan_net::ldap::LdapConnection;
use portolan_store::state::{ErrorPlace, Export, Place, Queued};
use portolan_sync::engine::{ConnectorId, ObjectKey, Staged, TargetObject};
use portolan_sync::target::TargetSystem;

use super::cycle::Server;
use super::import::{self, One, Reading, Sought};
use super::passwords;
use super::plan::Chosen;
use super::running::{Counted, Counts, Running};
use super::steps::Steps;
use super::synchronise::{Ruleset, Scope, Surroundings};
use crate::report::Failure;
use crate::signal::Stop;

pub(super) use show::Shown;

/// Changes that are read from the state at once.
const EXPORTS_AT_ONCE: u32 = 2_000;
/// Errors that are shown.
const ERRORS_MAX: u32 = 100;
/// Objects that are looked at for one that the directory does not have any more.
const CANDIDATES_MAX: u32 = 100;

/// Where an object is.
struct Located {
    /// The place of its domain in the configuration.
    place: usize,
    domain: DnsName,
    connector: ConnectorId,
    guid: Guid,
    connection: LdapConnection,
}

/// An object in the state: what it is, where it is linked, and what targets have of it.
struct Standing {
    key: Option<ObjectKey>,
    staged: Option<Staged>,
    anchors: BTreeSet<SourceAnchor>,
}

impl Counted for One {
    fn counts(&self) -> Counts {
        let is_other = self.before != self.after;
        Counts {
            changed: Some(u64::from(is_other && self.after.is_some())),
            removed: Some(u64::from(is_other && self.after.is_none())),
            ..Counts::default()
        }
    }
}

impl Server {
    /// Reads one object, decides about it and what is joined to it, exports what came of it, and brings its
    /// password. `forest` is where it is looked for, among several.
    ///
    /// # Errors
    /// When it is nowhere, or a step fails.
    pub(super) async fn synchronise_one(
        &mut self,
        run: &Running,
        sought: &Sought,
        forest: Option<&DnsName>,
        (stop, steps): (&Stop, &Steps),
    ) -> Result<Shown, Failure> {
        let rules = self.rules().await?;
        let reading = Reading::by(&rules.rules, rules.names.clone(), &self.state).await?;
        let mut located = self.locate(sought, forest, (&rules, &reading), steps).await?;
        let (connector, guid) = (located.connector, located.guid);
        let before = self.standing(connector, guid).await?;
        let state = self.state.clone();
        let gone = || Failure::new("a forest is gone from the configuration");
        let source = self.forests.get(located.place).ok_or_else(gone)?;
        let (staging, name) = (source.staging(&state, &reading), located.domain.to_string());
        let read = import::read_one(&mut located.connection, &staging, guid);
        let read = Box::pin(run.step("import", Some(&name), read)).await;
        let _ = located.connection.close().await;
        let one = read?;
        let domains = Box::pin(run.step("tenant", None, self.prepare(steps))).await?;
        let key = self.standing(connector, guid).await?.key;
        let keys: Vec<_> = key.into_iter().collect();
        let decided = self.decide(run.id(), (&rules, &domains), Scope::Only(&keys), steps);
        Box::pin(run.step("sync", None, decided)).await?;
        let after = self.standing(connector, guid).await?;
        let anchors: BTreeSet<_> = before.anchors.union(&after.anchors).cloned().collect();
        let pending = self.pending_of(&anchors).await?;
        let chosen = Chosen::Of(anchors);
        let exported = self.export(&rules, 0, Some(&chosen), steps);
        let exported = Box::pin(run.step("export", None, exported)).await?;
        let mut password = Ok(None);
        if exported.closed.is_none() && self.has_password(connector, guid).await? {
            let one = passwords::one(self, (located.place, guid), stop, steps);
            password = Box::pin(run.step("passwords", Some(&name), one)).await;
        }
        let mut shown = Shown::new(run.id(), (&name, guid), &one, &rules.names);
        shown.sent(&pending, exported, &rules.names);
        shown.password(password);
        if let Some(staged) = &after.staged {
            shown.left_out = self.left_out(staged, &rules).await?;
        }
        let errors = self.state.errors_of_run(run.id(), ErrorPlace::default(), ERRORS_MAX).await?;
        shown.errors = errors.into_iter().map(|error| error.text).collect();
        Ok(shown)
    }

    /// Finds an object in the forests, or among what was imported of them and is gone there.
    async fn locate(
        &mut self,
        sought: &Sought,
        forest: Option<&DnsName>,
        (rules, reading): (&Ruleset, &Reading),
        steps: &Steps,
    ) -> Result<Located, Failure> {
        let mut known = None;
        for at in 0..self.forests.len() {
            let Some(source) = self.forests.get(at) else { break };
            let (domain, connector) = (source.domain.clone(), source.partition.forest);
            let is_other = |forest: &DnsName| *forest != domain && *forest != source.config.domain;
            if forest.is_some_and(is_other) || !may_have(&domain, sought) {
                continue;
            }
            let mut connection = self.forest(at, steps).await?.ldap(steps).await?;
            let Some(source) = self.forests.get(at) else { break };
            let staging = source.staging(&self.state, reading);
            if let Some(guid) = import::find(&mut connection, &staging, sought).await? {
                return Ok(Located { place: at, domain, connector, guid, connection });
            }
            match self.imported_as(connector, sought, rules).await? {
                Some(guid) if self.is_of(connector, guid, &domain).await? => {
                    known = Some(Located { place: at, domain, connector, guid, connection });
                }
                _ => {
                    let _ = connection.close().await;
                }
            }
        }
        known.ok_or_else(|| {
            Failure::new("no forest has this object, and none had it when it was last imported")
                .with_hint("`portolan connect object search` finds objects by part of their names")
        })
    }

    /// Whether an object as it was imported is in a domain.
    async fn is_of(
        &self,
        forest: ConnectorId,
        guid: Guid,
        domain: &DnsName,
    ) -> Result<bool, Failure> {
        let staged = self.standing(forest, guid).await?.staged;
        Ok(staged.is_some_and(|staged| import::stands_in(&staged.dn, domain)))
    }

    /// The objectGUID of an object as it was imported.
    async fn imported_as(
        &self,
        forest: ConnectorId,
        sought: &Sought,
        rules: &Ruleset,
    ) -> Result<Option<Guid>, Failure> {
        match sought {
            Sought::Guid(guid) => {
                let is_known = self.state.key_of(forest, guid).await?.is_some();
                Ok(is_known.then_some(*guid))
            }
            Sought::Name(name) => Ok(self.state.guid_of_name(forest, name.as_str()).await?),
            Sought::Principal(principal) => {
                let found = self.state.find_objects(principal, CANDIDATES_MAX).await?;
                let name = rules.names.id("userPrincipalName");
                let has_it = |staged: &&Staged| {
                    let value = name.and_then(|name| staged.record.first(name)?.as_text());
                    let is_its = value.is_some_and(|own| own.eq_ignore_ascii_case(principal));
                    staged.connector == forest && is_its
                };
                Ok(found.iter().find(has_it).map(|staged| staged.guid))
            }
        }
    }

    /// Whether an object is a user whose password is replicated to the target.
    async fn has_password(&self, forest: ConnectorId, guid: Guid) -> Result<bool, Failure> {
        if self.config.system.kind() != TargetSystem::Tenant {
            return Ok(false);
        }
        let target = self.connected.target;
        let users = self.state.anchors_of_password_users(forest, target, &[guid]).await?;
        Ok(!users.is_empty())
    }

    async fn standing(&self, forest: ConnectorId, guid: Guid) -> Result<Standing, Failure> {
        let key = self.state.key_of(forest, &guid).await?;
        let mut standing = Standing { key, staged: None, anchors: BTreeSet::new() };
        let Some(key) = key else { return Ok(standing) };
        let queued = [Queued { key, ticket: 0 }];
        for found in self.state.neighbourhoods_of(&queued).await? {
            let own = |target: &&TargetObject| target.connector == self.connected.target;
            let targets = found.neighbourhood.targets.iter().filter(own);
            standing.anchors.extend(targets.map(|target| target.anchor.clone()));
        }
        standing.staged = self.state.object(key).await?;
        Ok(standing)
    }

    /// What is to be sent of some objects of the target.
    async fn pending_of(&self, anchors: &BTreeSet<SourceAnchor>) -> Result<Vec<Export>, Failure> {
        let mut of_them = Vec::new();
        let mut after = Place::default();
        loop {
            let target = self.connected.target;
            let pending = self.state.pending_exports(target, after, EXPORTS_AT_ONCE).await?;
            let Some(last) = pending.last() else { return Ok(of_them) };
            after = last.place;
            of_them.extend(pending.into_iter().filter(|export| anchors.contains(&export.anchor)));
        }
    }

    /// Why an object is not synchronised, in short.
    async fn left_out(&self, staged: &Staged, rules: &Ruleset) -> Result<Option<String>, Failure> {
        let surroundings = Surroundings::by(&self.state, rules, &self.connected).await?;
        if let Some(reason) = surroundings.left_out(&self.state, staged).await? {
            return Ok(Some(format!("a filter leaves it out: {reason}")));
        }
        let unlinked = "no rule takes it; `portolan connect explain` says why of each";
        Ok(staged.link.is_none().then(|| unlinked.to_owned()))
    }
}

/// Whether a domain may have an object: one with a distinguished name is in its own.
fn may_have(domain: &DnsName, sought: &Sought) -> bool {
    let Sought::Name(name) = sought else { return true };
    import::stands_in(name.as_str(), domain)
}
