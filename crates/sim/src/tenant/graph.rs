//! The tenant's Graph: what is asked of it, and what checkers keep of what it wrote.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response};
use portolan_app::connect::simulated::{ApplicationKey, Origin as _};
use portolan_app::report::Failure;
use portolan_app::tenant::hosts::Hosts;
use portolan_model::{DnsName, Entropy};
use portolan_tenant::application::Application;
use portolan_tenant::graph::throttle::Limits;
use portolan_tenant::storage::{Access, Store as _, Transaction as _};
use serde_json::Value as Json;

use super::{Tenant, broken};
use crate::chance::Chance;
use crate::graph::{self, ROLES};

/// The keys of those who talk to each other.
pub struct Keys {
    /// That of the application that exports.
    pub application: ApplicationKey,
    /// The one by which the tenant signs its tokens.
    pub tenant: ApplicationKey,
}

impl Keys {
    /// Makes them.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn make() -> Result<Self, Failure> {
        Ok(Self { application: ApplicationKey::make()?, tenant: ApplicationKey::make()? })
    }

    /// The application that exports.
    pub(super) fn application(&self) -> Application {
        Application {
            client_id: graph::sender(),
            name: "graph".to_owned(),
            redirect_uris: Vec::new(),
            permissions: Vec::new(),
            roles: ROLES.map(str::to_owned).to_vec(),
            keys: vec![self.application.public.clone()],
        }
    }
}

/// Numbers that several draw from.
struct Drawn(Arc<Mutex<Chance>>);

impl Entropy for Drawn {
    fn fill(&mut self, out: &mut [u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill(out);
    }
}

impl Tenant {
    /// Opens its hosts, which keep these limits of Graph's.
    ///
    /// # Errors
    /// When they do not open.
    pub fn open_graph(&mut self, keys: &Keys, limits: Limits) -> Result<(), Failure> {
        let clock = Arc::clone(&self.clock);
        let chance = Arc::new(Mutex::new(self.chance.clone()));
        let hosts = Hosts::of(
            self.store.clone(),
            self.identity.clone(),
            keys.tenant.signing()?,
            limits,
            Arc::new(move || clock.now()),
            Arc::new(move || Box::new(Drawn(Arc::clone(&chance)))),
        )?;
        self.hosts = Some(hosts);
        Ok(())
    }

    /// What a host of it answers to a request, and what it wrote for it is kept.
    ///
    /// # Errors
    /// When the store fails, or there are no such hosts in this run.
    pub async fn ask_graph(
        &mut self,
        host: &DnsName,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, Failure> {
        let hosts = self.hosts.clone().ok_or_else(|| Failure::new("the run has no Graph"))?;
        let asked: Json = serde_json::from_slice(request.body()).unwrap_or_default();
        let is_write = |one: &Json| one["method"] != "GET";
        let requests = asked["requests"].as_array().map_or(&[][..], Vec::as_slice);
        let writes = requests.iter().any(is_write);
        let before = if writes { self.there().await? } else { BTreeMap::new() };
        let answer = hosts.answer(host, request).await?;
        if let Some(units) = answer.headers().get("x-ms-resource-unit") {
            let units = units.to_str().ok().and_then(|units| units.parse().ok());
            self.manners.cost(units.unwrap_or(0), false);
        }
        let json: Json = serde_json::from_slice(answer.body()).unwrap_or_default();
        let mut throttled = 0;
        for one in json["responses"].as_array().into_iter().flatten() {
            let of_it = |request: &&Json| request["id"] == one["id"];
            let Some(request) = requests.iter().find(of_it) else { continue };
            let units = one["headers"]["x-ms-resource-unit"].as_str();
            if let Some(units) = units.and_then(|units| units.parse().ok()) {
                self.manners.cost(units, is_write(request));
            }
            let (method, url) = (&request["method"], &request["url"]);
            let said = one["body"]["error"]["message"].as_str().unwrap_or_default();
            if one["status"] == 429 {
                throttled += 1;
            } else if is_write(request) {
                self.log.said.push(format!("{}: {method} {url} {said}", one["status"]));
            }
        }
        if throttled > 0 {
            self.log.said.push(format!("tells {throttled} requests to wait"));
        }
        if writes {
            let after = self.there().await?;
            self.note_difference(&before, &after);
        }
        Ok(answer)
    }

    /// The kinds and numbers of what is there, by anchors.
    async fn there(&self) -> Result<BTreeMap<String, (String, &'static str)>, Failure> {
        let found = self.shown().await?.into_iter();
        Ok(found.map(|found| (found.anchor, (found.number, found.shown.kind))).collect())
    }

    /// Keeps for the checkers what came and what went.
    fn note_difference(
        &mut self,
        before: &BTreeMap<String, (String, &'static str)>,
        after: &BTreeMap<String, (String, &'static str)>,
    ) {
        for (anchor, (number, kind)) in after.iter().filter(|(one, _)| !before.contains_key(*one)) {
            self.log.said.push(format!("has {kind} {number} as {anchor}"));
            self.log.anchors.entry(number.clone()).or_default().insert(anchor.clone());
            self.log.numbers.insert(anchor.clone(), number.clone());
        }
        for (anchor, (number, kind)) in before.iter().filter(|(one, _)| !after.contains_key(*one)) {
            self.log.said.push(format!("has {kind} {number}, {anchor}, no more"));
            self.log.books.deleted(number, kind, self.clock.now());
            self.log.deleted.insert(number.clone());
        }
    }

    /// The anchors of those users in the recycle bin whose name somebody else has by now: nobody else may have one of
    /// these anchors, and they do not come out of it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn recycled(&self, anchors: &[String]) -> Result<Vec<String>, Failure> {
        let mut tx = self.store.begin(Access::Read).await.map_err(|error| broken(&error))?;
        let mut recycled = Vec::new();
        for anchor in anchors {
            let Ok(key) = anchor.parse() else { continue };
            let object = tx.object_by_anchor(&key).await.map_err(|error| broken(&error))?;
            let Some(user) = object.filter(|object| object.deleted_at.is_some()) else { continue };
            let holder = match user.upn() {
                Some(name) => tx.user_by_name(name).await.map_err(|error| broken(&error))?,
                None => None,
            };
            if holder.is_some() {
                recycled.push(anchor.clone());
            }
        }
        Ok(recycled)
    }
}
