//! Several forests in one metaverse, on a real state without a network.

use portolan_model::{DnsName, Guid};
use portolan_store::state::{Answer, ImportedObject, Place, ReferencePlace, State, TargetKey};
use portolan_sync::engine::{ConnectorId, PendingExport};
use portolan_sync::record::{Record, Value};
use portolan_sync::{AttributeId, ObjectKind};

use super::{Connected, Domains, Host, Ruleset, Scope, Synchronised, run};
use crate::report::Failure;

/// People of all forests with one mail address are one person.
const BY_MAIL: &str = r#"
[[rule]]
key = "corp.same-mail"
name = "Who has the same mail in another forest"
direction = "inbound"
object = ["user"]
metaverse = "person"
linking = "join"
precedence = 900
joins = [[{ source = "mail", target = "mail" }]]
"#;

const FIRST: &str = "corp.example";
const SECOND: &str = "other.example";

/// A state with two forests and a target.
struct World {
    /// Where the state and the rules are.
    _directory: tempfile::TempDir,
    state: State,
    connected: Connected,
    domains: Domains,
    rules: Ruleset,
}

fn domain(name: &str) -> DnsName {
    name.parse().unwrap()
}

impl World {
    async fn with(overlay: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let rules = directory.path().join("rules");
        std::fs::create_dir(&rules).unwrap();
        std::fs::write(rules.join("own.toml"), overlay).unwrap();
        let state = State::open(&directory.path().join("space.db")).await.unwrap();
        let forests = vec![domain(FIRST), domain(SECOND)];
        let target = domain("cloud.example");
        let connected = Connected::by(&state, &forests, &target).await.unwrap();
        let verified = [forests.clone(), vec![target.clone()]].concat();
        let domains = Domains { forests, initial: target, verified, netbios: [].into() };
        let rules = Ruleset::read(directory.path(), &state).await.unwrap();
        Self { _directory: directory, state, connected, domains, rules }
    }

    fn id(&self, name: &str) -> AttributeId {
        self.rules.names.id(name).unwrap()
    }

    fn connector(&self, forest: &str) -> ConnectorId {
        let found = self.connected.forests.iter().find(|one| one.domain == domain(forest));
        found.unwrap().connector
    }

    /// A forest has these objects and no others.
    async fn import(&self, forest: &str, objects: Vec<ImportedObject>) {
        let mut import = self.state.begin_full_import(self.connector(forest)).await.unwrap();
        for object in objects {
            import.put(object).await.unwrap();
        }
        import.finish(b"cursor").await.unwrap();
    }

    /// An object with these attributes, which stands in a forest by its number.
    fn object(
        &self,
        (kind, number): (ObjectKind, u8),
        forest: &str,
        attributes: &[(&str, Value)],
    ) -> ImportedObject {
        let of = |(name, value): &(&str, Value)| (self.id(name), vec![value.clone()]);
        let record: Record = attributes.iter().map(of).collect();
        let suffix = forest.split('.').map(|label| format!("DC={label}"));
        let suffix = suffix.collect::<Vec<_>>().join(",");
        let dn = format!("CN=o{number},{suffix}").parse().unwrap();
        let guid = guid(number);
        ImportedObject { guid, kind, parent: None, dn, record, references: Vec::new() }
    }

    /// A user in the scope of the default rules, with further attributes.
    fn user(&self, number: u8, forest: &str, more: &[(&str, Value)]) -> ImportedObject {
        let mut attributes = vec![
            ("sAMAccountName", text(&format!("u{number}"))),
            ("sAMAccountType", Value::Integer(0x3000_0000)),
            ("userAccountControl", Value::Integer(0x200)),
        ];
        attributes.extend(more.iter().cloned());
        self.object((ObjectKind::User, number), forest, &attributes)
    }

    async fn synchronise(&self) -> Synchronised {
        self.try_to().await.unwrap()
    }

    async fn try_to(&self) -> Result<Synchronised, Failure> {
        let (rules, domains) = (&self.rules, &self.domains);
        let id = self.state.begin_run("synchronise", portolan_net::clock::now()).await.unwrap();
        let work = (id, Scope::Changes);
        run(&self.state, rules, &self.connected, domains, work, &Host).await
    }

    /// What is to be exported: of each object the values of an attribute.
    async fn pending(&self, attribute: &str) -> Vec<Vec<String>> {
        let target = self.connected.target;
        let pending = self.state.pending_exports(target, Place::default(), 100).await.unwrap();
        let id = self.id(attribute);
        let of = |pending: &PendingExport| match pending {
            PendingExport::Add(record) | PendingExport::Update(record) => {
                record.values(id).map(|value| value.to_text().into_owned()).collect()
            }
            PendingExport::Delete => vec!["deleted".to_owned()],
        };
        pending.iter().map(|export| of(&export.pending)).collect()
    }

    async fn acknowledge(&self) {
        let target = self.connected.target;
        let pending = self.state.pending_exports(target, Place::default(), 100).await.unwrap();
        let answer = Answer::at(time::OffsetDateTime::UNIX_EPOCH);
        self.state.acknowledge(&pending, &[], answer).await.unwrap();
    }
}

fn guid(number: u8) -> Guid {
    Guid::from_random([number; 16])
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn sid(relative: u8) -> Value {
    let mut octets = vec![1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0];
    octets.extend([relative, 4, 0, 0]);
    Value::Octets(octets)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_object_of_the_same_batch_joined_is_decided_about_as_it_is_by_then() {
    let world = World::with(BY_MAIL).await;
    let mail = ("mail", text("ada@corp.example"));
    let there =
        |department: &str| world.user(1, SECOND, &[mail.clone(), ("department", text(department))]);
    world.import(SECOND, vec![there("Sales")]).await;
    world.import(FIRST, Vec::new()).await;
    world.synchronise().await;
    // Both are in one batch: the one that joins comes first, and the one that was there is loaded with it.
    let here = world.user(2, FIRST, &[mail.clone(), ("title", text("Countess"))]);
    world.import(FIRST, vec![here]).await;
    world.import(SECOND, vec![there("Research")]).await;
    world.synchronise().await;
    assert_eq!(world.pending("jobTitle").await, [["Countess"]]);
    assert_eq!(world.pending("department").await, [["Research"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_waited_for_its_person_joins_when_the_person_comes() {
    let world = World::with("").await;
    let mailbox = [
        ("msExchMasterAccountSID", sid(7)),
        ("mail", text("ada@other.example")),
        ("objectSid", sid(200)),
    ];
    // The mailbox is read first, and nobody is there whose it could be.
    world.import(SECOND, vec![world.user(1, SECOND, &mailbox)]).await;
    world.import(FIRST, Vec::new()).await;
    world.synchronise().await;
    assert_eq!(world.pending("mail").await, Vec::<Vec<String>>::new());
    world.import(FIRST, vec![world.user(2, FIRST, &[("objectSid", sid(7))])]).await;
    world.synchronise().await;
    assert_eq!(world.pending("mail").await, [["ada@other.example"]]);
    // The password is the account's, and not the disabled mailbox user's.
    world.acknowledge().await;
    let (first, second) = (world.connector(FIRST), world.connector(SECOND));
    let (state, target) = (&world.state, world.connected.target);
    let account = state.anchors_of_password_users(first, target, &[guid(2)]).await.unwrap();
    assert_eq!(account.len(), 1);
    let mailbox = state.anchors_of_password_users(second, target, &[guid(1)]).await.unwrap();
    assert!(mailbox.is_empty(), "{mailbox:?}");
    assert_eq!(state.owed(second, target, TargetKey::default(), 9).await.unwrap(), []);
    assert_eq!(state.owed(first, target, TargetKey::default(), 9).await.unwrap().len(), 1);
    // The account goes, and with it the person: the mailbox is nobody's again, and waits.
    world.import(FIRST, Vec::new()).await;
    world.synchronise().await;
    assert_eq!(world.pending("mail").await, [["deleted"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_in_two_forests_is_one_and_keeps_the_anchor_of_the_first_day() {
    let world = World::with(BY_MAIL).await;
    let mail = ("mail", text("ada@corp.example"));
    world.import(FIRST, Vec::new()).await;
    let there = world.user(1, SECOND, &[mail.clone(), ("sn", text("Second"))]);
    world.import(SECOND, vec![there.clone()]).await;
    world.synchronise().await;
    world.acknowledge().await;
    let here = world.user(2, FIRST, &[mail.clone(), ("sn", text("First"))]);
    world.import(FIRST, vec![here]).await;
    world.synchronise().await;
    // The forest that is configured first wins where both say something.
    assert_eq!(world.pending("surname").await, [["First"]]);
    world.acknowledge().await;
    let target = world.connected.target;
    assert_eq!(world.state.exported_count(target).await.unwrap(), 1);
    // Gone from one forest, the person stays as the other has them.
    world.import(FIRST, Vec::new()).await;
    world.synchronise().await;
    assert_eq!(world.pending("surname").await, [["Second"]]);
    world.acknowledge().await;
    world.import(SECOND, Vec::new()).await;
    world.synchronise().await;
    assert_eq!(world.pending("surname").await, [["deleted"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_decided_before_every_forest_was_read_whole() {
    let world = World::with("").await;
    world.import(FIRST, vec![world.user(1, FIRST, &[])]).await;
    let refused = world.try_to().await.unwrap_err();
    assert!(refused.text().starts_with("forest other.example was not read whole yet"));
    assert_eq!(world.pending("surname").await, Vec::<Vec<String>>::new());
    // A forest that is gone from the configuration alone is not taken for an empty one.
    let one = [domain(SECOND)];
    let without = Connected::by(&world.state, &one, &domain("cloud.example")).await.unwrap();
    let refused = without.check_known(&world.state).await.unwrap_err();
    assert!(refused.text().contains("1 objects of forest corp.example"), "{}", refused.text());
    assert!(world.connected.check_known(&world.state).await.is_ok());
}

#[tokio::test]
async fn an_object_has_the_name_of_its_own_domain_and_stays_the_same_when_it_moves_to_another() {
    const CHILD: &str = "child.corp.example";
    let filter = "[[filter]]\ndomain = \"lab.corp.example\"\n";
    for is_new_first in [true, false] {
        let mut world = World::with(filter).await;
        let forest = world.connector(FIRST);
        let mut parts = Vec::new();
        for name in [CHILD, "lab.corp.example"] {
            parts.push((domain(name), world.state.partition(forest, name).await.unwrap()));
        }
        world.connected.forests[0].domains.extend(parts.iter().cloned());
        world.import(FIRST, vec![]).await;
        let said = world.try_to().await.unwrap_err();
        assert!(said.text().starts_with("forest other.example") || said.text().contains(CHILD));
        world.import(SECOND, vec![]).await;
        let said = world.try_to().await.unwrap_err();
        assert!(
            said.text().starts_with("domain child.corp.example of forest corp.example was not")
        );
        for ((name, partition), number) in parts.iter().zip([1, 2]) {
            let mut import = world.state.begin_full_import(*partition).await.unwrap();
            import.put(world.user(number, name.as_str(), &[])).await.unwrap();
            import.finish_among_others(b"cursor", 0).await.unwrap();
        }
        world.synchronise().await;
        assert_eq!(
            world.pending("onPremisesDomainName").await,
            [[CHILD]],
            "a filter has the other"
        );
        world.acknowledge().await;

        for is_new in [is_new_first, !is_new_first] {
            let of = if is_new { forest.into() } else { parts[0].1 };
            let mut changes = world.state.begin_changes(of).await.unwrap();
            if is_new {
                changes.put(&world.user(1, FIRST, &[]), true).await.unwrap();
            } else {
                changes.depart(&guid(1), 0).await.unwrap();
            }
            changes.finish(b"next").await.unwrap();
            world.synchronise().await;
            let pending = world.pending("onPremisesDomainName").await;
            assert!(!pending.contains(&vec!["deleted".to_owned()]), "{pending:?}");
        }
        assert_eq!(world.pending("onPremisesDomainName").await, [[FIRST]], "and nothing is new");
    }
}

#[tokio::test]
async fn an_expression_knows_the_netbios_name_of_the_object_s_domain_and_of_its_forest() {
    const CHILD: &str = "child.corp.example";
    let rule = r#"
[[rule]]
key = "corp.domain"
name = "Domain as office"
direction = "inbound"
object = ["user"]
metaverse = "person"
precedence = 50
flows = [{ target = "physicalDeliveryOfficeName", expression = '%Domain.Netbios% & " " & %Forest.Netbios% & " " & %Forest.LDAP%' }]
"#;
    let mut world = World::with(rule).await;
    let child = world.state.partition(world.connector(FIRST), CHILD).await.unwrap();
    world.connected.forests[0].domains.push((domain(CHILD), child));
    world.import(FIRST, vec![world.user(1, FIRST, &[])]).await;
    world.import(SECOND, vec![world.user(2, SECOND, &[])]).await;
    let mut import = world.state.begin_full_import(child).await.unwrap();
    import.put(world.user(3, CHILD, &[])).await.unwrap();
    import.finish_among_others(b"cursor", 0).await.unwrap();
    // Without what no forest told yet, nothing comes of it.
    world.synchronise().await;
    assert_eq!(world.pending("officeLocation").await, vec![Vec::<String>::new(); 3]);
    // Once it is told, everybody is decided about again.
    for (of, netbios) in [(FIRST, "CONTOSO"), (CHILD, "KIDS"), (SECOND, "FABRIKAM")] {
        world.domains.netbios.insert(domain(of), netbios.to_owned());
    }
    world.synchronise().await;
    let mut offices = world.pending("officeLocation").await;
    offices.sort();
    let expected = [
        "CONTOSO CONTOSO DC=corp,DC=example",
        "FABRIKAM FABRIKAM DC=other,DC=example",
        "KIDS CONTOSO DC=corp,DC=example",
    ];
    assert_eq!(offices, expected.map(|text| vec![text.to_owned()]));
}

/// The second forest's account 1 has a person with the first one's account 2, and is a member of the first one's group
/// 3, where a foreign security principal stands for it. Gives the world, and that principal.
async fn a_member_of_two_forests() -> (World, [ImportedObject; 3]) {
    let world = World::with(BY_MAIL).await;
    let mail = ("mail", text("ada@corp.example"));
    let there = world.user(1, SECOND, &[mail.clone(), ("objectSid", sid(1))]);
    let here = world.user(2, FIRST, &[mail, ("objectSid", sid(2))]);
    let name = [("sAMAccountName", text("g3")), ("objectSid", sid(3))];
    let mut group = world.object((ObjectKind::Group, 3), FIRST, &name);
    group.references = vec![(world.id("member"), vec![guid(4)])];
    let stands = [("objectSid", sid(1))];
    let principal = world.object((ObjectKind::ForeignSecurityPrincipal, 4), FIRST, &stands);
    world.import(SECOND, vec![there]).await;
    (world, [here, group, principal])
}

/// How many members are to come, or to go.
async fn members(world: &World, come: bool) -> usize {
    let (target, first) = (world.connected.target, ReferencePlace::default());
    let pending = world.state.pending_references(target, first, 100).await.unwrap();
    pending.iter().filter(|reference| reference.is_added == come).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_principal_of_another_forest_takes_nobodys_place_and_stands_for_each_account_of_a_person()
{
    let (world, [here, group, principal]) = a_member_of_two_forests().await;
    // The principal is there before the account that its forest has of the person itself.
    world.import(FIRST, vec![group.clone(), principal.clone()]).await;
    world.synchronise().await;
    world.acknowledge().await;
    assert_eq!(members(&world, true).await, 1);
    world.import(FIRST, vec![here.clone(), group, principal]).await;
    world.synchronise().await;
    let errors = world.state.error_counts().await.unwrap();
    assert!(errors.is_empty(), "{errors:?}");
    // One person, of whom the group's own forest knows the account now.
    world.acknowledge().await;
    let target = world.connected.target;
    assert_eq!(world.state.exported_count(target).await.unwrap(), 2);
    assert_eq!(members(&world, true).await, 1);

    // The other way round: the person is there, with both accounts, when the principal comes.
    let (world, [here, group, principal]) = a_member_of_two_forests().await;
    world.import(FIRST, vec![here.clone(), group.clone()]).await;
    world.synchronise().await;
    world.acknowledge().await;
    assert_eq!(members(&world, true).await, 0);
    world.import(FIRST, vec![here, group, principal]).await;
    world.synchronise().await;
    assert_eq!(members(&world, true).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_principal_stands_for_nobody_whose_account_it_is_not() {
    let (world, [here, group, principal]) = a_member_of_two_forests().await;
    world.import(FIRST, vec![here, group, principal]).await;
    world.synchronise().await;
    world.acknowledge().await;
    assert_eq!(members(&world, true).await, 1);
    // The account goes for which it stands. Its person stays, as the first forest's.
    world.import(SECOND, Vec::new()).await;
    world.synchronise().await;
    world.acknowledge().await;
    let target = world.connected.target;
    assert_eq!(world.state.exported_count(target).await.unwrap(), 2);
    assert_eq!(members(&world, true).await, 0);
}
