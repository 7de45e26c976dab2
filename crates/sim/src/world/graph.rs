//! Cycles whose target is a Graph, and what such a one is to have of the forests.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use portolan_app::connect::simulated::{Cycle, Graph, Origin as _, Server};
use portolan_app::report::Failure;

use super::World;
use crate::chance::Chance;
use crate::expected::Shown;
use crate::fault::Fuse;
use crate::forest::Connection;
use crate::graph::place;
use crate::graph::time::Time;
use crate::graph::wire::{GraphWire, Way};
use crate::tenant::{Found, Trouble};

/// What Graph takes of an object's attributes.
const USER: [&str; 5] =
    ["accountEnabled", "department", "displayName", "mail", "userPrincipalName"];
const GROUP: [&str; 2] = ["displayName", "securityEnabled"];

impl World<'_> {
    /// A cycle of the server.
    pub(super) async fn run_to_graph(
        &self,
        server: &Server,
        directories: &mut [Connection<'_>],
        (fuse, trouble): (&Fuse, Trouble),
        chance: Chance,
    ) -> Result<Cycle, Failure> {
        let none = || Failure::new("the run has no Graph");
        let keys = self.template.keys.as_ref().ok_or_else(none)?;
        let limits = self.setting.limits().ok_or_else(none)?;
        let tenant = {
            let mut tenant = self.tenant.lock().await;
            tenant.manners.begin();
            tenant.id()
        };
        let way = Way {
            tenant: &self.tenant,
            fuse,
            trouble,
            time: Time::new(Arc::clone(&self.clock)),
            chance: RefCell::new(chance),
            young: &self.cloud.young,
            bug: self.bug,
        };
        let wire = GraphWire(Rc::new(way));
        let mut graph = Graph::over(wire, &place(tenant)?, keys.application.signing()?);
        let (allowance, allowed) = self.allowance();
        let began = self.clock.now();
        let allowed = (&allowance, allowed);
        let cycle = server.synchronise_with_graph(directories, &mut graph, allowed).await?;
        if trouble == Trouble::default() {
            let took = self.clock.now() - began;
            self.tenant.lock().await.manners.took(took, &limits);
        }
        Ok(cycle)
    }

    /// Who knows no more what a Graph acknowledged asks what it has.
    pub(super) async fn confirm_next(&self) -> Result<(), Failure> {
        if self.setting.graph.is_none() {
            return Ok(());
        }
        self.server.confirm_next().await
    }

    /// Makes what a tenant of ours is to have into what a Graph is to have, and leaves out of what it has what
    /// nobody can be asked for: what is left of what a server forgot, managers among it, and users in the recycle bin whose name has
    /// passed on to somebody else, if that was told.
    pub(super) async fn as_graph_has_it(
        &self,
        expected: &mut BTreeMap<String, Shown>,
        found: &mut Vec<Found>,
    ) -> Result<(), Failure> {
        let tenant = self.tenant.lock().await;
        let recycled = tenant.recycled(&self.cloud.refused).await?;
        let is_told = |number: &String| {
            let anchors = tenant.log.anchors.get(number);
            anchors.is_some_and(|anchors| recycled.iter().any(|one| anchors.contains(one)))
        };
        expected.retain(|number, shown| shown.kind != "contact" && !is_told(number));
        let there: BTreeSet<_> = expected.keys().cloned().collect();
        for (number, shown) in expected.iter_mut() {
            let taken: &[&str] = if shown.kind == "user" { &USER } else { &GROUP };
            shown.attributes.retain(|name, _| taken.contains(name));
            // Graph lets nobody be a member of themselves, or their own manager.
            let is_taken = |other: &String| there.contains(other) && other != number;
            shown.members.retain(is_taken);
            shown.manager = shown.manager.take().filter(is_taken);
        }
        let stays =
            |number: &String| self.cloud.may_stay.contains(number) && !there.contains(number);
        found.retain(|one| !stays(&one.number));
        for Found { number, shown, .. } in found.iter_mut() {
            let is_given = expected.get(number).is_some_and(|user| user.manager.is_some());
            let was_there =
                |manager: &String| self.cloud.managed.contains(&(number.clone(), manager.clone()));
            shown.manager = shown.manager.take().filter(|one| is_given || !was_there(one));
            shown.attributes.remove("mailEnabled");
            shown.members.retain(|member| !stays(member));
            shown.manager = shown.manager.take().filter(|manager| !stays(manager));
        }
        Ok(())
    }
}
