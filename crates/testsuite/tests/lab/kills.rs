//! Power cuts: connect and the tenant are ended at random points of a synchronisation, and whatever
//! the next one finds, it ends where a run without the fault would have.

use std::process::Child;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portolan_testsuite::Road;

use crate::holdings::{Forest, Tenant, connector_space_equals};
use crate::world::World;

/// Kills, half of connect and half of the tenant.
const KILLS: u64 = 200;
/// People whom the changes are about.
const PEOPLE: u64 = 10;
/// After so many kills the credentials are compared too, which takes another replication.
const KILLS_BETWEEN_CREDENTIALS: u64 = 10;
/// How long connect may take to notice that its tenant is gone.
const GIVE_UP_SECONDS_MAX: u64 = 60;
/// Where the random numbers begin, so that a failure comes again.
const SEED: u64 = 0x706f_7274_6f6c_616e;

#[test]
fn kills_at_two_hundred_random_points_lose_nothing_and_double_nothing() {
    let world = World::up("kills");
    let mut road = world.road();
    road.tenant_up().unwrap();
    road.connect_up().unwrap();
    road.ldapmodify(&people()).unwrap();
    road.connect_run().unwrap().success().unwrap();
    // People come and go in every round, which is as it should be here.
    let path = road.path("connect").join("connect.toml");
    let told = std::fs::read_to_string(&path).unwrap();
    let guard = "\n[guard]\ndeletions_max = 10000\ndeletions_percent_max = 100\n";
    std::fs::write(&path, told + guard).unwrap();
    let mut random = Random(SEED);
    let mut cycle = Duration::ZERO;
    for kill in 0..KILLS {
        road.ldapmodify(&changes(kill, &mut random)).unwrap();
        let at = cycle.mul_f64(random.fraction());
        let mut run = road.connect_start().unwrap();
        // The kill is to fall anywhere in a cycle, so this waits for a moment and for no event.
        std::thread::sleep(at);
        if kill.is_multiple_of(2) {
            portolan_lab::end_inside(&mut run).unwrap();
        } else {
            road.kill_tenant().unwrap();
            end(&mut run);
            road.serve().unwrap();
        }
        let began = Instant::now();
        road.connect_run().unwrap().success().unwrap();
        // A cycle with something to do is what is killed in the next round.
        cycle = cycle.max(began.elapsed());
        let whole = (kill + 1).is_multiple_of(KILLS_BETWEEN_CREDENTIALS);
        same_as_without_the_fault(&road, whole);
    }
}

/// Waits for a run whose tenant is gone; how it ends is its own affair.
fn end(run: &mut Child) {
    let began = Instant::now();
    while run.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < Duration::from_secs(GIVE_UP_SECONDS_MAX), "connect hangs");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn same_as_without_the_fault(road: &Road<'_>, whole: bool) {
    let forest = Forest::read(road);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(connector_space_equals(road, &forest));
    let tenant = runtime.block_on(Tenant::read(road));
    tenant.equals(&forest);
    if whole {
        tenant.credentials_equal(&forest, &road.hashes_by_samba().unwrap());
    }
}

/// The people, and the group that they join and leave.
fn people() -> String {
    let mut ldif: String = (0..PEOPLE).map(|n| person(&format!("kim{n}"))).collect();
    ldif.push_str("dn: CN=Kims,CN=Users,DC=corp,DC=example\nchangetype: add\nobjectClass: group\n");
    ldif.push_str("sAMAccountName: Kims\n\n");
    ldif
}

fn dn(name: &str) -> String {
    format!("CN={name},CN=Users,DC=corp,DC=example")
}

fn person(name: &str) -> String {
    format!(
        "dn: {}\nchangetype: add\nobjectClass: user\nsAMAccountName: {name}\nuserPrincipalName: {name}@corp.example\nuserAccountControl: 512\nunicodePwd:: {}\n\n",
        dn(name),
        unicode_pwd("Fir5t-Pass!word"),
    )
}

/// A password as `unicodePwd` takes it ([MS-ADTS] 3.1.1.3.1.5): in quotes, as UTF-16, little-endian.
///
/// [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
fn unicode_pwd(password: &str) -> String {
    let octets: Vec<u8> =
        format!("\"{password}\"").encode_utf16().flat_map(u16::to_le_bytes).collect();
    STANDARD.encode(octets)
}

/// What happens in the forest before a kill: an attribute and a password change, a member comes or
/// goes, and somebody is hired or leaves.
fn changes(kill: u64, random: &mut Random) -> String {
    let mut someone = || dn(&format!("kim{}", random.below(PEOPLE)));
    let title =
        format!("dn: {}\nchangetype: modify\nreplace: title\ntitle: Title {kill}\n\n", someone());
    let password = format!(
        "dn: {}\nchangetype: modify\nreplace: unicodePwd\nunicodePwd:: {}\n\n",
        someone(),
        unicode_pwd(&format!("An0ther-Pass!{kill}"))
    );
    let verb = if (kill / PEOPLE).is_multiple_of(2) { "add" } else { "delete" };
    let member = format!(
        "dn: {}\nchangetype: modify\n{verb}: member\nmember: {}\n\n",
        dn("Kims"),
        dn(&format!("kim{}", kill % PEOPLE))
    );
    let visitor = format!("visitor{}", kill / 2);
    let visit = if kill.is_multiple_of(2) {
        person(&visitor)
    } else {
        format!("dn: {}\nchangetype: delete\n\n", dn(&visitor))
    };
    [title, password, member, visit].concat()
}

/// Sebastiano Vigna's SplitMix64: random enough to hit any point, and the same each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// From 0 to 1.
    fn fraction(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits are what an f64 holds")]
        let fraction = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        fraction
    }
}
