//! Decisions about neighbourhoods in which nothing changed: every default rule is evaluated, and what
//! comes of it is compared to what is there.

use std::cell::Cell;
use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use portolan_model::Guid;
use portolan_sync::engine::{
    ClaimAnswer, ConnectorId, Engine, Link, LinkKind, MetaverseChange, MetaverseKey, Moment,
    Neighbourhood, ObjectKey, PendingExport, Side, Staged, System, TargetChange,
};
use portolan_sync::expression::Parameters;
use portolan_sync::rules::{RuleFile, RuleNumbers, Rules};
use portolan_sync::{Dictionary, ObjectKind};
use portolan_testsuite::measure::{Better, Comparison, PAIRS, Peer, person, rounds};
use time::OffsetDateTime;

/// Users that are decided about.
const USERS: u32 = 1_000;
/// How often, in one measurement.
const REPETITIONS: u32 = 20;
/// Objects in a second on a core that are to be reached, in thousands: half of what two are to.
const LIMIT: f64 = 25.0;

fn main() -> Result<(), Box<dyn Error>> {
    let mut names = Dictionary::default();
    let files = [RuleFile::built_in()];
    let rules = Rules::compile(&files, &mut names, &mut RuleNumbers::default())
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<String>())?;
    let mut parameters = Parameters::default();
    for name in ["Domain.FQDN", "Tenant.InitialDomain", "Tenant.VerifiedDomains"] {
        parameters.set(name, "corp.example");
    }
    let system = |id, side| {
        let (id, name, parameters) = (ConnectorId(id), format!("s{id}"), parameters.clone());
        System { id, name, side, parameters }
    };
    let systems = [system(0, Side::Forest), system(1, Side::Target)];
    let anchor = names.id("sourceAnchor").ok_or("the default rules give no sourceAnchor")?;
    let engine = Engine::new(rules.all(), &systems, anchor);
    let users: Vec<_> = (0..USERS)
        .map(|number| exported(&engine, user(number, &mut names)?))
        .collect::<Result<_, Box<dyn Error>>>()?;

    let mut ours = || Ok::<_, Box<dyn Error>>(speed(&engine, &users));
    // Once unmeasured: caches and clock speed.
    rounds(1, &mut [&mut ours])?;
    let values = rounds(PAIRS, &mut [&mut ours])?;
    let [ours] = values.as_slice() else { return Ok(()) };
    let figure = "decisions, nothing changes, thousand users/s on a core".to_owned();
    let comparison = Comparison { figure, better: Better::Higher, bar: 1.0 };
    comparison.figure(ours, &[Peer::limit(LIMIT, PAIRS)]).print();
    Ok(())
}

fn user(number: u32, names: &mut Dictionary) -> Result<Neighbourhood, Box<dyn Error>> {
    let mut octets = [1; 16];
    octets[..4].copy_from_slice(&number.to_le_bytes());
    let (guid, dn) =
        (Guid::from_bytes_le(octets), format!("CN=cn{number},OU=people,DC=corp,DC=example"));
    let record = person(number, None, names)?.named(&dn, &guid);
    let key = i64::from(number);
    let link = Some(Link { metaverse: MetaverseKey(key), kind: LinkKind::Provisioned });
    let (key, connector, kind) = (ObjectKey(key), ConnectorId(0), ObjectKind::User);
    let staged = Staged { key, connector, guid, kind, dn, record, link, anchor: None };
    Ok(Neighbourhood { metaverse: None, staged: vec![staged], targets: Vec::new() })
}

/// The neighbourhood as it is when all was exported.
fn exported(engine: &Engine<'_>, mut near: Neighbourhood) -> Result<Neighbourhood, Box<dyn Error>> {
    let random = Cell::new(0);
    let moment = Moment { now: OffsetDateTime::UNIX_EPOCH, random: &random };
    let decision = engine.decide(&near, ClaimAnswer::Granted, &moment);
    if let Some(error) = decision.errors.first() {
        return Err(error.fault.to_string().into());
    }
    if let MetaverseChange::Put(metaverse) = decision.metaverse {
        near.metaverse = Some(metaverse);
    }
    for change in decision.targets {
        let TargetChange::Put(mut target) = change else { continue };
        if let Some(PendingExport::Add(record)) = target.pending.take() {
            target.confirmed = Some(record);
        }
        near.targets.push(target);
    }
    if near.targets.is_empty() {
        return Err("the user is not exported".into());
    }
    Ok(near)
}

/// Thousands of users in a second, of none of whom anything changes.
fn speed(engine: &Engine<'_>, users: &[Neighbourhood]) -> f64 {
    let random = Cell::new(0);
    let moment = Moment { now: OffsetDateTime::UNIX_EPOCH, random: &random };
    let start = Instant::now();
    for _ in 0..REPETITIONS {
        for user in users {
            let decision = engine.decide(black_box(user), ClaimAnswer::Open, &moment);
            assert!(decision.is_empty(), "something is to change");
        }
    }
    f64::from(USERS * REPETITIONS) / start.elapsed().as_secs_f64() / 1e3
}
