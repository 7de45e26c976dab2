//! Which batch the tenant has last: how a tenant that was restored from a backup is noticed.
//!
//! The tenant names the last batch that it has of this server, and before each batch the one in front of
//! it. This server remembers the last one that was acknowledged, and the one that it was about to send:
//! what breaks off between the two is one of them. Any other name says that the tenant is not what it
//! was. Then what it has is asked for, and everything else is forgotten here, so that objects and
//! passwords are sent again and what should be gone is deleted again.

use std::collections::BTreeSet;

use portolan_store::state::{State, Unanswered};
use portolan_sync::TenantKind;
use portolan_sync::engine::ConnectorId;
use portolan_tenant::wire::ObjectsResponse;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::predecessor;
use crate::report::Failure;

/// Pages of objects that the tenant may have, each of some thousands.
const PAGES_MAX: usize = 10_000;

/// Stands for a batch that no tenant names.
const LOST: &str = "lost";

/// Who says what of the directory is this server's.
#[expect(async_fn_in_trait, reason = "one task asks, and moves to no other thread")]
pub trait Owned {
    /// A page of living objects behind an anchor; none behind the last one.
    async fn owned(&mut self, after: &str) -> Result<ObjectsResponse, Failure>;
}

/// What is remembered. An empty name is that of no batch.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Batches {
    acknowledged: String,
    sending: String,
    /// What of the batch that is being sent is not known until it is answered.
    #[serde(default, skip_serializing_if = "Unanswered::is_empty")]
    sent: Unanswered,
    /// The same of earlier ones, of which no answer came.
    #[serde(default, skip_serializing_if = "Unanswered::is_empty")]
    unanswered: Unanswered,
}

/// A batch under way.
#[derive(Debug)]
pub(super) struct Begun {
    before: Batches,
    sent: Unanswered,
    unanswered: Unanswered,
}

impl Begun {
    /// The same, of which this was not answered although the rest was.
    pub(super) fn leaving(self, open: &Unanswered) -> Self {
        let unanswered = self.unanswered.and(open);
        Self { sent: self.sent.without(open), unanswered, ..self }
    }
}

impl Batches {
    async fn read(state: &State, target: ConnectorId) -> Result<Option<Self>, Failure> {
        let Some(octets) = state.batches(target).await? else { return Ok(None) };
        serde_json::from_slice(&octets)
            .map(Some)
            .map_err(|error| Failure::because("what was sent to the tenant does not read", &error))
    }

    fn octets(&self) -> Result<Vec<u8>, Failure> {
        serde_json::to_vec(self)
            .map_err(|error| Failure::because("cannot write what was sent to the tenant", &error))
    }

    async fn write(&self, state: &State, target: ConnectorId) -> Result<(), Failure> {
        Ok(state.commit_batches(target, &self.octets()?).await?)
    }

    fn knows(&self, last: &str) -> bool {
        last == self.acknowledged || (!last.is_empty() && last == self.sending)
    }

    /// Remembers a batch that is about to be sent, and what of it nobody knows until it is answered.
    pub(super) async fn begin(
        state: &State,
        target: ConnectorId,
        batch: &str,
        sent: Unanswered,
    ) -> Result<Begun, Failure> {
        let before = Self::read(state, target).await?.unwrap_or_default();
        let (acknowledged, sending) = (before.acknowledged.clone(), batch.to_owned());
        // Nobody asked whether the one before this one arrived.
        let unanswered = before.unanswered.and(&before.sent);
        let begun = Self { acknowledged, sending, sent, unanswered };
        begun.write(state, target).await?;
        Ok(Begun { before, sent: begun.sent, unanswered: begun.unanswered })
    }

    /// The anchors of objects that were sent and may be there as they were sent: no answer came.
    pub(super) async fn in_doubt(
        state: &State,
        target: ConnectorId,
    ) -> Result<BTreeSet<String>, Failure> {
        let known = Self::read(state, target).await?.unwrap_or_default();
        let put = known.unanswered.put().chain(known.sent.put());
        Ok(put.map(str::to_owned).collect())
    }

    /// Takes what was sent last for not answered. So it is at a target that names no batches: what it was sent
    /// nobody can ask it for.
    pub(super) async fn suspect(state: &State, target: ConnectorId) -> Result<(), Failure> {
        let Some(known) = Self::read(state, target).await? else { return Ok(()) };
        if known.sent.is_empty() {
            return Ok(());
        }
        let unanswered = known.unanswered.and(&known.sent);
        Self { sent: Unanswered::default(), unanswered, ..known }.write(state, target).await
    }

    /// Lets the opposite be done of what was sent, was never answered, and is not to be any more. What was deleted
    /// counts as lost `now`.
    pub(super) async fn settle(
        state: &State,
        target: ConnectorId,
        now: OffsetDateTime,
    ) -> Result<(), Failure> {
        let Some(known) = Self::read(state, target).await? else { return Ok(()) };
        if known.unanswered.is_empty() {
            return Ok(());
        }
        let unanswered = state.settle_unanswered(target, &known.unanswered, now).await?;
        Self { unanswered, ..known }.write(state, target).await
    }
}

/// A batch that was answered, before what came of it is kept.
#[derive(Debug)]
pub(super) struct Answered {
    /// What was remembered when it began.
    pub(super) begun: Begun,
    /// Its name.
    pub(super) batch: String,
    /// The one in front of it at the tenant.
    pub(super) previous: Option<String>,
}

impl Answered {
    /// What is remembered once the batch was acknowledged, to be kept with what of it was done: a batch that
    /// is known without the other, or the other way round, would be missed when the tenant loses it. If the
    /// one in front of it is none of those that were known, the next synchronisation sends everything again.
    pub(super) fn octets(self) -> Result<Vec<u8>, Failure> {
        let Self { begun, batch, previous } = self;
        let is_known = previous.is_none_or(|previous| begun.before.knows(&previous));
        let acknowledged = if is_known { batch } else { LOST.to_owned() };
        let unanswered = begun.unanswered.without(&begun.sent);
        Batches { acknowledged, unanswered, ..Batches::default() }.octets()
    }
}

/// Holds the last batch that the tenant has against what is remembered. How many objects the tenant has,
/// if it is not what it was: everything else is forgotten then.
pub(super) async fn reconcile(
    tenant: &mut impl Owned,
    state: &State,
    target: ConnectorId,
    last: &str,
    at: OffsetDateTime,
) -> Result<Option<usize>, Failure> {
    let known = Batches::read(state, target).await?;
    let mut now = Batches { acknowledged: last.to_owned(), ..Batches::default() };
    let is_same = match &known {
        Some(known) => known.knows(last),
        // A state that knows of no batch and of no object is not the one that sent the last.
        None => last.is_empty() || state.exported_count(target).await? > 0,
    };
    if is_same {
        if let Some(known) = &known {
            // One that did not arrive did nothing.
            let arrived = last != known.acknowledged;
            let of_last = if arrived { known.sent.clone() } else { Unanswered::default() };
            now.unanswered = known.unanswered.and(&of_last);
        }
        if known.as_ref() != Some(&now) {
            now.write(state, target).await?;
        }
        return Ok(None);
    }
    // Whoever wrote what the tenant has may have read more than this state.
    predecessor::ask_next(state, target).await?;
    let mut objects = Vec::new();
    let mut after = String::new();
    for _ in 0..PAGES_MAX {
        let page = tenant.owned(&after).await?;
        let Some(end) = page.objects.last() else {
            state.begin_anew(target, &objects, &now.octets()?, at).await?;
            return Ok(Some(objects.len()));
        };
        if end.anchor <= after {
            break;
        }
        after.clone_from(&end.anchor);
        for object in &page.objects {
            let unknown = || Failure::new("the tenant names an object that is none");
            let anchor = object.anchor.parse().map_err(|_| unknown())?;
            let kind = TenantKind::from_name(&object.kind).ok_or_else(unknown)?;
            objects.push((anchor, kind));
        }
    }
    Err(Failure::new("the tenant's list of this server's objects has no end"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use portolan_model::{DnsName, Guid, SourceAnchor};
    use portolan_store::state::{Answer, ImportedObject, Place, ReferencePlace};
    use portolan_sync::ObjectKind;
    use portolan_sync::engine::{PendingExport, Side};
    use portolan_sync::record::Value;
    use portolan_tenant::wire::OwnedObject;

    use super::super::gate;
    use super::super::synchronise::{
        Connected, ConnectedForest, Domains, Ruleset, Synchronisation,
    };
    use super::*;

    /// A tenant that has these anchors, two on a page.
    struct Restored(Vec<&'static str>);

    impl Owned for Restored {
        async fn owned(&mut self, after: &str) -> Result<ObjectsResponse, Failure> {
            let behind = self.0.iter().filter(|anchor| **anchor > after).take(2);
            let object = |anchor: &&str| OwnedObject {
                anchor: (*anchor).to_owned(),
                kind: "user".to_owned(),
                content: None,
                photo: None,
                password: false,
                references: None,
            };
            Ok(ObjectsResponse { objects: behind.map(object).collect(), with_photos: false })
        }
    }

    /// A state, its forest and its target.
    struct Space {
        state: State,
        forest: ConnectorId,
        target: ConnectorId,
    }

    async fn space(directory: &tempfile::TempDir) -> Space {
        let state = State::open(&directory.path().join("space.db")).await.unwrap();
        let forest = state.connector("corp.example", Side::Forest).await.unwrap();
        let target = state.connector("cloud.example", Side::Target).await.unwrap();
        Space { state, forest, target }
    }

    /// Sends a batch; whether the acknowledgement came.
    async fn send(space: &Space, batch: &str, previous: &str, comes: bool) {
        let (state, target) = (&space.state, space.target);
        let begun = Batches::begin(state, target, batch, Unanswered::default()).await.unwrap();
        if comes {
            let (batch, previous) = (batch.to_owned(), Some(previous.to_owned()));
            let batches = Answered { begun, batch, previous }.octets().unwrap();
            state.commit_batches(target, &batches).await.unwrap();
        }
    }

    async fn forgotten(space: &Space, last: &str) -> Option<usize> {
        let mut tenant = Restored(vec!["a", "b", "c"]);
        let at = OffsetDateTime::UNIX_EPOCH;
        reconcile(&mut tenant, &space.state, space.target, last, at).await.unwrap()
    }

    /// Lets the target have a user of the forest and its credential. Gives the user's anchor.
    async fn export_a_user(space: &Space, directory: &Path) -> SourceAnchor {
        let Space { state, forest, target } = space;
        let rules = Ruleset::read(directory, state).await.unwrap();
        let user = zoe(&rules);
        let (guid, anchor) = (user.guid, SourceAnchor::from(user.guid));
        synchronise(space, &rules, vec![user]).await;
        let pending = state.pending_exports(*target, Place::default(), 10).await.unwrap();
        let answer = Answer::at(OffsetDateTime::UNIX_EPOCH);
        state.acknowledge(&pending, &[], answer).await.unwrap();
        state.acknowledge_credentials(*forest, *target, &[guid], answer).await.unwrap();
        assert_eq!(state.exported_count(*target).await.unwrap(), 1);
        assert_eq!(state.credentialed_count(*target).await.unwrap(), 1);
        anchor
    }

    /// Objects become all that the forest has, and what is to be exported of them is decided.
    async fn synchronise(space: &Space, rules: &Ruleset, objects: Vec<ImportedObject>) {
        let Space { state, forest, target } = space;
        let domain = |name: &str| name.parse::<DnsName>().unwrap();
        let (corp, cloud) = (domain("corp.example"), domain("cloud.example"));
        let mut import = state.begin_full_import(*forest).await.unwrap();
        for object in objects {
            import.put(object).await.unwrap();
        }
        import.finish(b"forest").await.unwrap();
        let verified = vec![corp.clone(), cloud.clone()];
        let forests = vec![ConnectedForest {
            domain: corp.clone(),
            connector: *forest,
            domains: vec![(corp.clone(), (*forest).into())],
        }];
        let domains = Domains { forests: vec![corp], initial: cloud, verified, netbios: [].into() };
        let connected = Connected { forests, target: *target };
        let run = state.begin_run("synchronise", portolan_net::clock::now()).await.unwrap();
        let synchronisation = Synchronisation::begin(state, rules, &connected, &domains, run);
        synchronisation.await.unwrap().changes().await.unwrap();
    }

    fn text(text: &str) -> Vec<Value> {
        vec![Value::Text(text.to_owned())]
    }

    fn zoe(rules: &Ruleset) -> ImportedObject {
        let id = |name: &str| rules.names.id(name).unwrap();
        ImportedObject {
            guid: Guid::from_random([1; 16]),
            kind: ObjectKind::User,
            parent: None,
            dn: "CN=Zoë,DC=corp,DC=example".parse().unwrap(),
            record: [
                (id("sAMAccountName"), text("zoe")),
                (id("sAMAccountType"), vec![Value::Integer(0x3000_0000)]),
                (id("userAccountControl"), vec![Value::Integer(0x200)]),
            ]
            .into_iter()
            .collect(),
            references: Vec::new(),
        }
    }

    /// A security group, with her in it or without.
    fn staff(rules: &Ruleset, has_zoe: bool) -> ImportedObject {
        let id = |name: &str| rules.names.id(name).unwrap();
        let zoe = vec![Guid::from_random([1; 16])];
        ImportedObject {
            guid: Guid::from_random([2; 16]),
            kind: ObjectKind::Group,
            parent: None,
            dn: "CN=Staff,DC=corp,DC=example".parse().unwrap(),
            record: [
                (id("sAMAccountName"), text("staff")),
                (id("displayName"), text("Staff")),
                (id("groupType"), vec![Value::Integer(-0x7fff_fffe)]),
            ]
            .into_iter()
            .collect(),
            references: has_zoe.then_some((id("member"), zoe)).into_iter().collect(),
        }
    }

    #[tokio::test]
    async fn what_a_graph_was_sent_without_an_answer_is_undone_once_it_is_taken_back() {
        let directory = tempfile::tempdir().unwrap();
        let space = space(&directory).await;
        let Space { state, target, .. } = &space;
        let rules = Ruleset::read(directory.path(), state).await.unwrap();
        synchronise(&space, &rules, vec![zoe(&rules), staff(&rules, true)]).await;
        let objects = state.pending_exports(*target, Place::default(), 10).await.unwrap();
        let answer = Answer::at(OffsetDateTime::UNIX_EPOCH);
        state.acknowledge(&objects, &[], answer).await.unwrap();
        let references = async || {
            let after = ReferencePlace::default();
            let pending = state.pending_references(*target, after, 10).await.unwrap();
            pending.iter().map(|one| (one.is_added, one.clone())).collect::<Vec<_>>()
        };
        let coming = references().await;
        let [(true, member)] = coming.as_slice() else { panic!("she comes, and not {coming:?}") };
        let sent = Unanswered::references([member].into_iter());
        Batches::begin(state, *target, "graph", sent).await.unwrap();
        // The power fails; and she is taken out of the group before the next run.
        synchronise(&space, &rules, vec![zoe(&rules), staff(&rules, false)]).await;
        assert!(references().await.is_empty(), "nothing says that she is in it");
        gate::settle(state, *target, OffsetDateTime::UNIX_EPOCH).await.unwrap();
        let going = references().await;
        let [(false, gone)] = going.as_slice() else { panic!("she goes, and not {going:?}") };
        assert_eq!((&gone.anchor, &gone.target), (&member.anchor, &member.target));
        let sent = Unanswered::references([gone].into_iter());
        let begun = Batches::begin(state, *target, "graph", sent).await.unwrap();
        let batch = "graph".to_owned();
        let octets = Answered { begun, batch, previous: None }.octets().unwrap();
        let answer = Answer { batches: Some((*target, octets.as_slice())), ..answer };
        state.acknowledge_references(std::slice::from_ref(gone), answer).await.unwrap();
        gate::settle(state, *target, OffsetDateTime::UNIX_EPOCH).await.unwrap();
        assert!(references().await.is_empty(), "once is enough");
    }

    #[tokio::test]
    async fn what_breaks_off_is_no_loss_wherever_it_does() {
        let directory = tempfile::tempdir().unwrap();
        let space = space(&directory).await;
        assert_eq!(
            forgotten(&space, "").await,
            None,
            "a tenant that knows nothing of a new server"
        );
        send(&space, "1", "", true).await;
        assert_eq!(forgotten(&space, "1").await, None);
        send(&space, "2", "1", false).await;
        assert_eq!(forgotten(&space, "1").await, None, "it did not arrive");
        send(&space, "3", "1", false).await;
        assert_eq!(forgotten(&space, "3").await, None, "its acknowledgement did not arrive");
        send(&space, "4", "3", false).await;
        send(&space, "5", "4", true).await;
        assert_eq!(forgotten(&space, "5").await, None, "nobody asked between the two");
    }

    #[tokio::test]
    async fn a_new_state_of_a_server_that_the_tenant_knows_asks_what_it_has() {
        let directory = tempfile::tempdir().unwrap();
        let space = space(&directory).await;
        assert_eq!(forgotten(&space, "of the state before").await, Some(3));
        assert_eq!(forgotten(&space, "of the state before").await, None, "once is enough");
        assert_eq!(space.state.exported_count(space.target).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn a_restored_tenant_is_noticed_and_what_it_has_is_what_counts() {
        let directory = tempfile::tempdir().unwrap();
        let space = space(&directory).await;
        let user = export_a_user(&space, directory.path()).await;
        let Space { state, forest, target } = &space;
        send(&space, "1", "", true).await;
        send(&space, "2", "1", true).await;
        let passed_by = [].into();
        let cursor = state.commit_replication_cursor(*forest, *target, b"cursor", &passed_by);
        cursor.await.unwrap();
        assert_eq!(forgotten(&space, "1").await, Some(3));
        assert_eq!(state.credentialed_count(*target).await.unwrap(), 0);
        assert_eq!(state.replication_cursor(*forest).await.unwrap(), None);
        let pending = state.pending_exports(*target, Place::default(), 10).await.unwrap();
        let [again] = pending.as_slice() else { panic!("one object, and not {pending:?}") };
        assert_eq!((&again.anchor, &again.confirmed), (&user, &None), "it is sent again");
        assert!(matches!(again.pending, PendingExport::Add(_)));
        assert_eq!(state.exported_count(*target).await.unwrap(), 3, "what the tenant has");
        let anchors = ["a", "b", "c"].map(|anchor| anchor.parse().unwrap());
        assert_eq!(state.orphans(&anchors).await.unwrap().len(), 3, "and is nobody's");
        assert_eq!(forgotten(&space, "1").await, None, "once is enough");
        // A tenant without anything, and one that is sent to before anybody asks.
        send(&space, "3", "1", true).await;
        assert_eq!(forgotten(&space, "").await, Some(3));
        send(&space, "4", "", true).await;
        send(&space, "5", "0", true).await;
        assert_eq!(forgotten(&space, "5").await, Some(3));
    }
}
