//! Graph's writes as they reach the tenant, and Graph's replies as they reach an export.

use std::collections::BTreeMap;

use portolan_model::{Entropy, Guid};
use portolan_sync::TenantKind;
use portolan_sync::target::graph::Value;
use portolan_sync::target::graph::{
    Action, Change, Conversation, Desired, Exporter, Known, Reply, Settings, read_page,
};
use portolan_tenant::directory::{Attributes, Kind};
use portolan_tenant::graph::batch::{self, REQUESTS_MAX, fold};
use portolan_tenant::graph::body::{Asked, single_reference};
use portolan_tenant::graph::write::MEMBERS_BOUND_MAX;
use time::OffsetDateTime;

const HOST: &str = "graph.cloud.example";

/// Batches, bodies and references.
pub(crate) fn writes(octets: &[u8]) {
    if let Ok(requests) = batch::parse(octets, HOST) {
        assert!((1..=REQUESTS_MAX).contains(&requests.len()));
        let mut ran = Vec::new();
        for request in &requests {
            let id = fold(&request.id);
            assert!(!ran.contains(&id), "an id comes twice");
            assert!(request.depends_on.iter().all(|needed| ran.contains(&fold(needed))));
            assert!(request.url.starts_with('/') && !request.url.starts_with("//"));
            ran.push(id);
        }
    }
    for kind in [Kind::User, Kind::Group] {
        match Asked::parse(octets, kind, HOST) {
            Ok(asked) => {
                assert!(asked.members.len() <= MEMBERS_BOUND_MAX);
                for (name, value) in asked.attributes {
                    let set = value.map(|value| Attributes::default().set(name, value));
                    assert!(set.is_none_or(|set| set.is_ok()), "{name} does not fit the schema");
                }
            }
            Err(fault) => assert!(!fault.code().is_empty() && !fault.to_string().is_empty()),
        }
    }
    let _ = single_reference(octets, HOST);
}

/// Random octets that are all the same: a reply is what varies.
struct Still;

impl Entropy for Still {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill(7);
    }
}

/// Pages of what is there, and replies to a batch, with the status in the first octet.
pub(crate) fn replies(octets: &[u8]) {
    let base = format!("https://{HOST}/v1.0");
    if let Ok(page) = read_page(octets, &base) {
        assert!(page.next.is_none_or(|next| next.starts_with('/')));
    }
    let (Some((first, body)), Ok(anchor)) = (octets.split_first(), "a".parse()) else { return };
    let attributes = BTreeMap::from([("securityEnabled".to_owned(), Some(Value::Boolean(true)))]);
    let write = |name: &str, kind| {
        let anchor = name.parse().ok()?;
        Some(Change::Write(Desired { anchor, kind, attributes: attributes.clone() }))
    };
    let changes = [write("u", TenantKind::User), write("g", TenantKind::Group)];
    let gone = Change::Delete { anchor, kind: TenantKind::User };
    let changes: Vec<_> = changes.into_iter().flatten().chain([gone]).collect();
    let known = Known::from_iter("a".parse().ok().map(|anchor| (anchor, Guid::NIL)));
    let count = changes.len();
    let settings = Settings { base, batches_max: 1, attempts_max: 3, restores_deleted: true };
    let mut exporter = Exporter::new(changes, known, settings);
    let mut now = OffsetDateTime::UNIX_EPOCH;
    let status = 100 + u16::from(*first) * 2;
    let mut sent = 0;
    // Every other batch is answered so, and the rest is lost: an end comes in any case.
    for _ in 0..100 {
        match exporter.next(now, &mut Still) {
            Action::Done => break,
            Action::Wait { until } => now = until.map_or(now, |until| until.max(now)),
            Action::Send(batch) => {
                assert!((1..=REQUESTS_MAX).contains(&batch.requests));
                sent += 1;
                let reply = Reply { status, retry_after: None, body: body.to_vec() };
                match sent % 2 {
                    1 => exporter.answered(batch.number, &reply, now, &mut Still),
                    _ => exporter.lost(batch.number, now, &mut Still),
                }
            }
        }
    }
    let (outcomes, _) = exporter.finish();
    assert_eq!(outcomes.len(), count);
}
