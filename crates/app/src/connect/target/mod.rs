//! What is exported to: a tenant of ours ([`tenant`]), or Microsoft Graph ([`graph`], [`changes`], and what it has
//! already: [`survey`]); and the [`commands`] about the latter.
//!
//! A [`Target`] takes as much of what is pending as it does at once, and gives a [`Verdict`] on each. What
//! is pending, and what becomes of it in the state, is the exporter's, whatever the target.

mod changes;
mod commands;
mod file;
pub(super) mod graph;
pub(super) mod photo;
pub(super) mod proof;
mod record;
mod settled;
pub(super) mod survey;
pub(super) mod tenant;
pub(super) mod wire;

use portolan_store::state::{Export, ReferenceExport, Remark, State};
use portolan_sync::Dictionary;
use portolan_sync::engine::ConnectorId;
use portolan_sync::target::TargetSystem;
use portolan_tenant::wire::ReadUpTo;

pub(super) use self::commands::{Capabilities, Command, capabilities, run};
use self::graph::Graph;
use self::wire::Wire;
use super::batches::{Answered, Batches};
use super::export::Ingest;
use super::synchronise::Origin;
use super::tenant_client::Tenant;
use crate::report::Failure;

/// A system that is exported to.
pub(super) enum Target {
    /// A tenant of ours.
    Tenant(Tenant),
    /// Microsoft Graph.
    Graph(Graph),
}

/// What an export works with besides its target.
#[derive(Clone, Copy)]
pub(super) struct Sending<'a> {
    pub(super) state: &'a State,
    pub(super) target: ConnectorId,
    pub(super) names: &'a Dictionary,
    /// How far the forests were read on which what is sent rests, for a tenant that keeps it.
    pub(super) read_up_to: Option<&'a ReadUpTo>,
    /// The clock by which losses are counted.
    pub(super) origin: &'a dyn Origin,
}

/// What became of an object or of a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The target has it as it is to be.
    Done,
    /// The target refused it.
    Refused {
        /// What kind of refusal.
        code: String,
        /// What the target says.
        text: String,
    },
    /// It was refused for another object that is still to be written: once more, behind all others.
    Later {
        /// What kind of refusal it would be.
        code: String,
        /// What the target says.
        text: String,
    },
    /// Targets of this kind have no such thing.
    Unable(String),
}

/// What a target did with the first ones of a list: so many as there are verdicts.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) verdicts: Vec<Verdict>,
    /// What is to be told besides.
    pub(super) notes: Vec<String>,
    /// What became of values of objects that were taken.
    pub(super) remarks: Vec<Remark>,
    /// What is ended when what became of these is kept, of a target that names its batches.
    pub(super) answered: Option<Answered>,
}

/// Who takes what is pending: a [`Target`], or whoever takes batches alone.
pub(super) trait Receiver {
    /// Looks at what the target has, if that has to be known before anything is sent.
    async fn begin(&mut self, sending: Sending<'_>) -> Result<(), Failure>;

    /// Writes and deletes the first of these objects, one at least.
    async fn objects(&mut self, sending: Sending<'_>, exports: &[Export])
    -> Result<Taken, Failure>;

    /// Adds and removes the first of these references, one at least. Those of one attribute of one object
    /// are together.
    async fn references(
        &mut self,
        sending: Sending<'_>,
        exports: &[ReferenceExport],
    ) -> Result<Taken, Failure>;
}

impl<T: Ingest> Receiver for T {
    async fn begin(&mut self, sending: Sending<'_>) -> Result<(), Failure> {
        Batches::settle(sending.state, sending.target, sending.origin.now()).await
    }

    async fn objects(
        &mut self,
        sending: Sending<'_>,
        exports: &[Export],
    ) -> Result<Taken, Failure> {
        tenant::objects(self, sending, exports).await
    }

    async fn references(
        &mut self,
        sending: Sending<'_>,
        exports: &[ReferenceExport],
    ) -> Result<Taken, Failure> {
        tenant::references(self, sending, exports).await
    }
}

impl<W: Wire> Receiver for Graph<W> {
    async fn begin(&mut self, sending: Sending<'_>) -> Result<(), Failure> {
        changes::begin(self, sending).await
    }

    async fn objects(
        &mut self,
        sending: Sending<'_>,
        exports: &[Export],
    ) -> Result<Taken, Failure> {
        changes::objects(self, sending, exports).await
    }

    async fn references(
        &mut self,
        sending: Sending<'_>,
        exports: &[ReferenceExport],
    ) -> Result<Taken, Failure> {
        changes::references(self, sending, exports).await
    }
}

impl Receiver for Target {
    async fn begin(&mut self, sending: Sending<'_>) -> Result<(), Failure> {
        match self {
            Self::Tenant(tenant) => tenant.begin(sending).await,
            Self::Graph(graph) => graph.begin(sending).await,
        }
    }

    async fn objects(
        &mut self,
        sending: Sending<'_>,
        exports: &[Export],
    ) -> Result<Taken, Failure> {
        match self {
            Self::Tenant(tenant) => tenant.objects(sending, exports).await,
            Self::Graph(graph) => graph.objects(sending, exports).await,
        }
    }

    async fn references(
        &mut self,
        sending: Sending<'_>,
        exports: &[ReferenceExport],
    ) -> Result<Taken, Failure> {
        match self {
            Self::Tenant(tenant) => tenant.references(sending, exports).await,
            Self::Graph(graph) => graph.references(sending, exports).await,
        }
    }
}

/// Why a target of a kind cannot have an object at all; `None` when it can.
pub(super) fn inability(
    system: TargetSystem,
    export: &Export,
    names: &Dictionary,
) -> Option<String> {
    match system {
        TargetSystem::Tenant => None,
        TargetSystem::Graph => changes::wish(export).inability(names).map(|why| why.to_string()),
    }
}

impl Target {
    /// The tenant of ours, if it is one: it takes password hashes, leases and keys.
    pub(super) fn tenant(&mut self) -> Option<&mut Tenant> {
        match self {
            Self::Tenant(tenant) => Some(tenant),
            Self::Graph(_) => None,
        }
    }
}
