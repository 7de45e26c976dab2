//! Our own replication client alone: a whole cycle, each password hash decrypted, nothing derived.
//!
//! It runs in the lab, on the sync server's host, so it is this very program started there.

use std::time::Instant;

use portolan_chart::{Chart, Role};
use portolan_model::{DistinguishedName, DnsName, Guid, Realm, SecretString};
use portolan_net::dc;
use portolan_net::drs::{DrsConnection, DrsLimits};
use portolan_net::entropy::SystemEntropy;
use portolan_net::kerberos::{AccountSecret, Credential};
use portolan_net::{Network, NetworkConfig};
use portolan_rpc::drsr::{
    DsName, ExtendedOperation, GetNcChanges, Oid, PartialAttributes, ReplicationFlags, Reply,
    UsnVector, secret,
};
use portolan_testsuite::{ACCOUNT, ACCOUNT_PASSWORD, FOREST_DOMAIN};

/// Objects of a page, as connect asks for.
pub(crate) const PAGE_OBJECTS: u32 = 1_000;
/// Octets of a page, as connect asks for.
const PAGE_OCTETS: u32 = 8 * 1024 * 1024;

/// What a cycle read, and in what time.
#[derive(Debug, Default)]
struct Cycle {
    objects: usize,
    hashes: usize,
    from: UsnVector,
    invocation: Guid,
}

/// Reads the forest once, and prints what `drs_client.py` does.
pub(crate) fn read() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut replica = runtime.block_on(connect());
    let began = Instant::now();
    let cycle = runtime.block_on(cycle(&mut replica));
    let seconds = began.elapsed().as_secs_f64();
    let Cycle { objects, hashes, .. } = cycle;
    println!("{}", serde_json::json!({ "objects": objects, "hashes": hashes, "seconds": seconds }));
}

async fn connect() -> DrsConnection {
    let chart = Chart::edition("2017-02-15").unwrap();
    let network = Network::new(NetworkConfig::new(chart, Role::Connect)).unwrap();
    let domain: DnsName = FOREST_DOMAIN.parse().unwrap();
    let located = dc::locate(&network, &domain, &mut SystemEntropy).await.unwrap();
    let password = AccountSecret::Password(SecretString::new(ACCOUNT_PASSWORD.to_owned()));
    let credential = Credential::new(ACCOUNT.to_owned(), Realm::from(&domain), password);
    let limits = DrsLimits::default();
    DrsConnection::connect(&network, &located.controllers[0], &credential, limits).await.unwrap()
}

async fn cycle(replica: &mut DrsConnection) -> Cycle {
    let domain: DnsName = FOREST_DOMAIN.parse().unwrap();
    let name = DsName { guid: Guid::NIL, name: DistinguishedName::of_domain(&domain).to_string() };
    let attributes = PartialAttributes::new(&[Oid::UNICODE_PWD, Oid::PWD_LAST_SET]);
    let mut cycle = Cycle::default();
    loop {
        let request = GetNcChanges {
            handle: replica.handle(),
            destination: Guid::from_bytes_le([1; 16]),
            source_invocation: cycle.invocation,
            name: &name,
            from: cycle.from,
            up_to_date: None,
            flags: ReplicationFlags::WRITABLE,
            objects_max: PAGE_OBJECTS,
            octets_max: PAGE_OCTETS,
            operation: ExtendedOperation::None,
            attributes: Some(&attributes),
        };
        let changes = replica.get_nc_changes(&request).await.unwrap();
        let reply = changes.reply().unwrap();
        cycle.objects += reply.objects().len();
        cycle.hashes += decrypt(&reply, replica.session_key());
        (cycle.from, cycle.invocation) = (reply.to, reply.source_invocation);
        if !reply.more_data {
            return cycle;
        }
    }
}

fn decrypt(reply: &Reply<'_>, session_key: &[u8]) -> usize {
    let Some(unicode_pwd) = reply.table.attribute_type(&Oid::UNICODE_PWD) else { return 0 };
    let mut hashes = 0;
    for object in reply.objects() {
        let value = object.attribute(unicode_pwd).and_then(|found| found.values.first().copied());
        if let (Some(value), Some(name)) = (value, object.name()) {
            let sid = name.sid().unwrap().unwrap();
            std::hint::black_box(secret::nt_hash(session_key, value, sid.rid()).unwrap());
            hashes += 1;
        }
    }
    hashes
}
