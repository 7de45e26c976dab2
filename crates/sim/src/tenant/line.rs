//! A sync server's line to its tenant, on which requests and answers are lost, come twice and come late.

use std::sync::Arc;

use portolan_app::connect::simulated::{Holding, Ingest, Origin as _, Owned, Tenancy};
use portolan_app::report::Failure;
use portolan_app::tenant::ingest::batch_name;
use portolan_model::{Guid, SourceAnchor};
use portolan_tenant::directory::Reference;
use portolan_tenant::held;
use portolan_tenant::lease::{Claim, Tenure};
use portolan_tenant::storage::{Access, Store as _, Transaction as _};
use portolan_tenant::wire::{
    HeldObject, HeldResponse, IngestRequest, IngestResponse, ObjectsResponse, OwnedObject,
    ReadUpTo, ReferencesResponse, TenantResponse,
};
use time::OffsetDateTime;
use tokio::sync::Mutex;

use super::{Tenant, broken, sender};
use crate::chance::{Chance, Virtual};
use crate::expected::{BRANCH, INITIAL, VERIFIED};
use crate::fault::{BATCH, Bug, Fuse};

/// What goes wrong on the line during a cycle: each once in so many batches; never at 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Trouble {
    /// The tenant says to wait.
    pub throttled: usize,
    /// A request does not arrive.
    pub request_lost: usize,
    /// An answer does not.
    pub answer_lost: usize,
    /// A request arrives twice.
    pub twice: usize,
    /// One of before arrives again.
    pub late: usize,
}

/// A lease as a server holds it.
#[derive(Debug, Clone, Copy)]
pub struct Held {
    /// What its batches carry, and the acquisition that it came behind.
    pub tenure: Tenure,
    /// Behind that it sends nothing.
    pub until: OffsetDateTime,
}

/// A sync server's line to its tenant during a cycle.
pub struct Line<'w> {
    /// The tenant.
    pub tenant: &'w Mutex<Tenant>,
    /// Which server's it is.
    pub server: usize,
    /// The server's lease, and until when it is used; none of the only server.
    pub lease: Option<Held>,
    /// The server's own clock.
    pub clock: Arc<Virtual>,
    /// What breaks the cycle off.
    pub fuse: &'w Fuse,
    /// What goes wrong on the way.
    pub trouble: Trouble,
    /// By chance.
    pub chance: Chance,
}

impl Line<'_> {
    fn happens(&mut self, once_in: usize) -> bool {
        once_in > 0 && self.chance.once_in(once_in)
    }
}

impl Ingest for Line<'_> {
    async fn ingest(&mut self, batch: &IngestRequest) -> Result<IngestResponse, Failure> {
        self.fuse.pass(BATCH).await?;
        if self.happens(self.trouble.throttled) {
            return Err(Failure::new("the tenant says to go on more slowly"));
        }
        let octets = serde_json::to_vec(batch)
            .map_err(|error| Failure::because("cannot write the request", &error))?;
        if self.happens(self.trouble.request_lost) {
            return Err(Failure::new("the request was lost"));
        }
        let (by, under) = (sender(self.server), self.lease.map(|lease| lease.tenure.id));
        let answer = self.tenant.lock().await.take(&octets, by, under).await?;
        if self.happens(self.trouble.twice) {
            self.tenant.lock().await.take(&octets, by, under).await?;
        }
        if self.happens(self.trouble.late) {
            let mut tenant = self.tenant.lock().await;
            let before = tenant.written.clone();
            if let Some((octets, by, _)) = self.chance.one(&before) {
                tenant.take(octets, *by, under).await?;
            }
        }
        self.fuse.pass("the answer to a batch").await?;
        if self.happens(self.trouble.answer_lost) {
            return Err(Failure::new("the answer was lost"));
        }
        serde_json::from_str(&answer)
            .map_err(|error| Failure::because("the answer is not understood", &error))
    }

    fn claim(&self) -> Result<Option<Claim>, Failure> {
        let Some(held) = self.lease else { return Ok(None) };
        if self.clock.now() >= held.until {
            return Err(Failure::new("the lease of this server ended: nothing is sent"));
        }
        Ok(Some(held.tenure.claim()))
    }

    fn name(&mut self) -> Guid {
        self.chance.guid()
    }
}

impl Owned for Line<'_> {
    async fn owned(&mut self, after: &str) -> Result<ObjectsResponse, Failure> {
        self.fuse.pass("a page of what the tenant has").await?;
        let tenant = self.tenant.lock().await;
        let tx = tenant.store.begin(Access::Read).await;
        let mut tx = tx.map_err(|error| broken(&error))?;
        let group = tx.sync_group(sender(self.server)).await.map_err(|error| broken(&error))?;
        let owned = tx.owned_objects(group, after, 3).await.map_err(|error| broken(&error))?;
        let object = |(anchor, kind)| OwnedObject {
            anchor,
            kind,
            content: None,
            photo: None,
            password: false,
            references: None,
        };
        Ok(ObjectsResponse { objects: owned.into_iter().map(object).collect(), with_photos: false })
    }
}

impl Holding for Line<'_> {
    async fn held(&mut self, after: &str, with: &str) -> Result<ObjectsResponse, Failure> {
        self.fuse.pass("a page of what is confirmed").await?;
        let tenant = self.tenant.lock().await;
        if tenant.bug == Some(Bug::ConfirmsNothing) {
            return Ok(ObjectsResponse { objects: Vec::new(), with_photos: true });
        }
        let tx = tenant.store.begin(Access::Read).await;
        let mut tx = tx.map_err(|error| broken(&error))?;
        let group = tx.sync_group(sender(self.server)).await.map_err(|error| broken(&error))?;
        if with == "content" {
            let held = tx.held_objects(group, after, 3).await.map_err(|error| broken(&error))?;
            let objects = held.into_iter().map(Into::into).collect();
            return Ok(ObjectsResponse { objects, with_photos: true });
        }
        let owned = tx.owned_objects(group, after, 3).await.map_err(|error| broken(&error))?;
        let anchors = owned.iter().filter_map(|(anchor, _)| anchor.parse::<SourceAnchor>().ok());
        let anchors: Vec<_> = anchors.collect();
        let digests = tx.held_references(group, &anchors.iter().collect::<Vec<_>>()).await;
        let digests = digests.map_err(|error| broken(&error))?;
        let object = |(anchor, kind): (String, String)| OwnedObject {
            references: digests.get(&anchor).and_then(|digest| digest.to_text()),
            content: None,
            photo: None,
            password: false,
            anchor,
            kind,
        };
        Ok(ObjectsResponse { objects: owned.into_iter().map(object).collect(), with_photos: false })
    }

    async fn read(&mut self, anchors: Vec<String>) -> Result<HeldResponse, Failure> {
        self.fuse.pass("what the tenant has of objects").await?;
        let tenant = self.tenant.lock().await;
        let tx = tenant.store.begin(Access::Read).await;
        let mut tx = tx.map_err(|error| broken(&error))?;
        let mut objects = Vec::new();
        for anchor in anchors.iter().filter_map(|anchor| anchor.parse::<SourceAnchor>().ok()) {
            let object = tx.object_by_anchor(&anchor).await.map_err(|error| broken(&error))?;
            let object = object.filter(|object| object.deleted_at.is_none());
            objects.extend(object.map(|object| HeldObject {
                anchor: anchor.to_string(),
                attributes: held::document(&object.attributes),
            }));
        }
        Ok(HeldResponse { objects, answered: anchors.len() })
    }

    async fn held_references(
        &mut self,
        anchor: &str,
        attribute: &str,
        after: &str,
    ) -> Result<ReferencesResponse, Failure> {
        self.fuse.pass("whom an object refers to").await?;
        let tenant = self.tenant.lock().await;
        let tx = tenant.store.begin(Access::Read).await;
        let mut tx = tx.map_err(|error| broken(&error))?;
        let group = tx.sync_group(sender(self.server)).await.map_err(|error| broken(&error))?;
        let reference = Reference::from_word(attribute);
        let reference = reference.ok_or_else(|| Failure::new("there is no such reference"))?;
        let page = tx.held_page(group, anchor, reference, after).await;
        let (anchors, after) = page.map_err(|error| broken(&error))?;
        Ok(ReferencesResponse { anchors, after })
    }

    async fn read_up_to(&mut self) -> Result<ReadUpTo, Failure> {
        let tenant = self.tenant.lock().await;
        if tenant.bug == Some(Bug::IgnoresPredecessor) {
            return Ok(ReadUpTo::new());
        }
        let tx = tenant.store.begin(Access::Read).await;
        let mut tx = tx.map_err(|error| broken(&error))?;
        let group = tx.sync_group(sender(self.server)).await.map_err(|error| broken(&error))?;
        Ok(tx.read_up_to(group).await.map_err(|error| broken(&error))?.told())
    }
}

impl Tenancy for Line<'_> {
    async fn describe(&mut self) -> Result<TenantResponse, Failure> {
        self.fuse.pass("the tenant's domains").await?;
        let tenant = self.tenant.lock().await;
        let tx = tenant.store.begin(Access::Read).await;
        let mut tx = tx.map_err(|error| broken(&error))?;
        let last = tx.last_batch(sender(self.server)).await.map_err(|error| broken(&error))?;
        Ok(TenantResponse {
            tenant_id: tenant.identity.id.to_string(),
            initial_domain: INITIAL.to_owned(),
            verified_domains: vec![VERIFIED.to_owned(), BRANCH.to_owned()],
            sync_group: Some(sender(0).to_string()),
            last_batch: Some(batch_name(last)),
            sync_servers: None,
            uses_lease: false,
            takes_read_up_to: true,
        })
    }
}
