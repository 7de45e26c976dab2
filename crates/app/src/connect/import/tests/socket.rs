//! The import of a forest of two domains over sockets: the client that connect uses, against servers of the
//! project's own codec.

use portolan_ldap::{ResultCode, Scope, SearchRequest};
use portolan_model::DnsName;
use portolan_store::state::{Found, Partition, StagedPlace};
use portolan_sync::engine::ObjectKey;

use super::super::directory::SearchError;
use super::super::{
    Belief, Imported, Sought, Staging, domains, find, look_for_departed, read, read_one,
};
use super::forest::{Forest, id};
use super::ldap_server::Servers;
use super::{Space, space};

const ROOT: &str = "corp.example";
const CHILD: &str = "child.corp.example";
const GROUP: u16 = 10;
const USER: u16 = 20;

/// A universal group of the root with a member in the child domain, which has more users than two pages.
async fn servers(dirsync: bool) -> Servers {
    let mut forest = Forest::of(&[ROOT, CHILD]);
    forest.dirsync = dirsync;
    forest.make(ROOT, GROUP, "group");
    for number in USER..USER + 7 {
        forest.make(CHILD, number, "user");
    }
    forest.member(ROOT, GROUP, USER, true);
    Servers::up(forest, &[ROOT, CHILD]).await
}

async fn partition(space: &Space, domain: &str) -> Partition {
    if domain == ROOT {
        return space.forest.into();
    }
    space.state.partition(space.forest, domain).await.unwrap()
}

/// Does something with a domain's controller and where its objects go.
macro_rules! with {
    ($space:expr, $servers:expr, $domain:expr, |$directory:ident, $staging:ident| $what:expr) => {{
        let partition = partition($space, $domain).await;
        let other = if $domain == ROOT { CHILD } else { ROOT };
        let [domain, other]: [DnsName; 2] = [$domain, other].map(|name| name.parse().unwrap());
        let (state, reading) = (&$space.state, &$space.reading);
        let others = std::slice::from_ref(&other);
        let $staging = Staging { domain: &domain, state, partition, others, reading, now: 0 };
        let mut $directory = $servers.connect(&domain).await;
        let done = $what;
        $directory.close().await.unwrap();
        done
    }};
}

async fn import(space: &Space, servers: &Servers, domain: &str) -> Imported {
    with!(space, servers, domain, |directory, staging| {
        read(&mut directory, &staging, Belief::allowing(100)).await.unwrap()
    })
}

async fn user(space: &Space, number: u16) -> Option<(ObjectKey, Found)> {
    let all = space.state.staged(space.forest, ObjectKey(0), 1_000).await.unwrap();
    all.into_iter().find(|(_, guid, _)| *guid == id(number)).map(|(key, _, found)| (key, found))
}

async fn is_member(space: &Space, number: u16) -> bool {
    let place = StagedPlace::default();
    let all = space.state.staged_references(space.forest, place, 1_000).await.unwrap();
    all.iter().any(|reference| reference.target == id(number))
}

#[tokio::test]
async fn a_forest_of_two_domains_is_read_over_sockets_and_what_moves_stays_the_same() {
    for dirsync in [true, false] {
        let (_directory, space) = space().await;
        let servers = servers(dirsync).await;
        let first = import(&space, &servers, ROOT).await;
        assert_eq!((first.full, first.users, first.groups, first.members), (true, 1, 1, 1));
        let first = import(&space, &servers, CHILD).await;
        assert_eq!((first.full, first.users), (true, 8));
        let log = std::mem::take(&mut *servers.log.lock().unwrap());
        let whole = format!("{CHILD} DC=child,DC=corp,DC=example (|(objectCategory=person)");
        let pages = log.iter().filter(|line| line.starts_with(&whole)).count();
        assert!(pages >= 4, "eight users in pages of two: {log:#?}");

        servers.forest().mail(CHILD, USER, "bob@corp.example");
        servers.forest().delete(CHILD, USER + 1);
        let changed = import(&space, &servers, CHILD).await;
        assert_eq!((changed.full, changed.changed, changed.removed), (false, 1, 1));
        assert!(import(&space, &servers, ROOT).await.is_quiet());

        // Read where it was first, it waits; then it is found where it is.
        let (key, before) = user(&space, USER).await.unwrap();
        servers.forest().move_to(CHILD, ROOT, USER);
        import(&space, &servers, CHILD).await;
        assert_eq!(user(&space, USER).await.unwrap().1.dn, before.dn);
        import(&space, &servers, ROOT).await;
        let (now, after) = user(&space, USER).await.unwrap();
        assert_eq!((now, after.dn.as_str()), (key, "CN=o20,DC=corp,DC=example"));
        assert!(is_member(&space, USER).await);

        // And back, read where it is first.
        servers.forest().move_to(ROOT, CHILD, USER);
        import(&space, &servers, ROOT).await;
        import(&space, &servers, CHILD).await;
        let (now, after) = user(&space, USER).await.unwrap();
        assert_eq!((now, after.dn), (key, before.dn));
        assert_eq!(space.state.departed(space.forest, 9).await.unwrap(), []);
    }
}

#[tokio::test]
async fn what_a_whole_read_lacks_is_looked_for_in_the_other_domain_over_a_socket() {
    let (_directory, space) = space().await;
    let servers = servers(true).await;
    import(&space, &servers, ROOT).await;
    import(&space, &servers, CHILD).await;
    servers.forest().move_to(CHILD, ROOT, USER);
    let child = partition(&space, CHILD).await;
    space.state.forget_forest_cursor(child).await.unwrap();
    assert!(import(&space, &servers, CHILD).await.full);
    assert_eq!(space.state.departed(space.forest, 9).await.unwrap(), [id(USER)]);
    with!(&space, servers, ROOT, |directory, staging| {
        look_for_departed(&mut directory, &staging).await.unwrap();
    });
    assert_eq!(space.state.departed(space.forest, 9).await.unwrap(), []);
    assert_eq!(user(&space, USER).await.unwrap().1.dn.as_str(), "CN=o20,DC=corp,DC=example");
}

#[tokio::test]
async fn the_domains_of_a_forest_and_one_object_are_read_over_a_socket() {
    let (_directory, space) = space().await;
    let servers = servers(true).await;
    import(&space, &servers, CHILD).await;
    servers.forest().mail(CHILD, USER, "bob@corp.example");
    let (named, found, one) = with!(&space, servers, CHILD, |directory, staging| {
        let named = domains(&mut directory).await.unwrap();
        let sought = Sought::Guid(id(USER));
        let found = find(&mut directory, &staging, &sought).await.unwrap();
        (named, found, read_one(&mut directory, &staging, id(USER)).await.unwrap())
    });
    let named: Vec<_> = named.iter().map(|named| named.domain.as_str()).collect();
    assert_eq!((named, found), (vec![CHILD, ROOT], Some(id(USER))));
    let mail = space.reading.attribute_of("mail");
    let has_mail = |found: Option<Found>| found.unwrap().record.first(mail).is_some();
    assert_eq!((has_mail(one.before), has_mail(one.after)), (false, true));
}

#[tokio::test]
async fn a_reference_is_counted_and_a_referral_is_a_refusal_that_leaves_the_connection_usable() {
    let (_directory, space) = space().await;
    let servers = servers(true).await;
    with!(&space, servers, ROOT, |directory, _staging| {
        let any = || "(objectClass=*)".parse().unwrap();
        let whole = SearchRequest::new("DC=corp,DC=example", Scope::Subtree, any());
        let mut found = directory.search(whole.clone(), Vec::new()).await.unwrap();
        while found.next().await.unwrap().is_some() {}
        assert_eq!(found.end().unwrap().references, 1, "the child domain");

        let child = SearchRequest::new("CN=o20,DC=child,DC=corp,DC=example", Scope::Base, any());
        let mut refused = directory.search(child, Vec::new()).await.unwrap();
        let error = SearchError::from(refused.next().await.unwrap_err());
        let SearchError::Refused(code, failure) = error else { panic!("it is another domain's") };
        assert_eq!(code, ResultCode::Referral);
        assert!(failure.text().contains("ferral"), "{}", failure.text());
        drop(refused);
        // An answer that is given up in its middle is not taken for the next one's.
        let mut given_up = directory.search(whole, Vec::new()).await.unwrap();
        given_up.next().await.unwrap();
        drop(given_up);
        let root = directory.root_dse(&["highestCommittedUSN"]).await.unwrap();
        assert!(root.text("highestCommittedUSN").is_some());
    });
}
