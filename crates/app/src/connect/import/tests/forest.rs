//! A forest of several domains, scripted: what each domain's controller answers to what the import asks.
//!
//! Samba has no child domains, so nothing here was held against a real forest of several. It follows
//! [MS-ADTS]: DirSync tells an object whole that is new behind a cookie, and of another one the attributes
//! and link values that changed (3.1.1.3.4.1.3); a tombstone is told by its objectGUID; an object that moves
//! to another domain is new there under its objectGUID with another SID, and an infrastructureUpdate object
//! that is deleted at once stands for it where it was (3.1.1.5.4.2.3).
//!
//! [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts

use std::collections::BTreeMap;

use portolan_ldap::{ResultCode, Scope, SearchResultEntry};
use portolan_model::{DistinguishedName, DnsName, Guid};

use super::guid;
use super::server::{Answer, Asked};

/// The objects of a domain, by their numbers.
#[derive(Default)]
struct Domain {
    /// Its last change.
    usn: i64,
    objects: BTreeMap<u16, Object>,
    /// What stands for objects that moved away: by its own number that of the object, its name there, and
    /// the change that made it.
    proxies: BTreeMap<u16, (u16, String, i64)>,
}

#[derive(Clone)]
struct Object {
    class: &'static str,
    /// The change that made it here.
    made: i64,
    mail: (String, i64),
    /// Whom it refers to: whether it does, since which change.
    members: BTreeMap<u16, (bool, i64)>,
    deleted: Option<i64>,
}

/// The forest.
pub(super) struct Forest {
    domains: BTreeMap<DnsName, Domain>,
    /// Whether the account may ask by DirSync.
    pub(super) dirsync: bool,
}

impl Forest {
    pub(super) fn of(domains: &[&str]) -> Self {
        let domains = domains.iter().enumerate().map(|(at, name)| {
            let mut domain = Domain::default();
            // Every domain has an object of its own at its root, and a user from its first day.
            let (head, first) =
                (1_000 + u16::try_from(at).unwrap(), 2_000 + u16::try_from(at).unwrap());
            domain.objects.insert(head, Object::new("domainDNS", 1));
            domain.objects.insert(first, Object::new("user", 1));
            domain.usn = 1;
            (name.parse().unwrap(), domain)
        });
        Self { domains: domains.collect(), dirsync: true }
    }

    fn change(&mut self, domain: &str) -> (&mut Domain, i64) {
        let domain = self.domains.get_mut(&domain.parse().unwrap()).unwrap();
        domain.usn += 1;
        let usn = domain.usn;
        (domain, usn)
    }

    pub(super) fn make(&mut self, domain: &str, number: u16, class: &'static str) {
        let (domain, usn) = self.change(domain);
        domain.objects.insert(number, Object::new(class, usn));
    }

    pub(super) fn mail(&mut self, domain: &str, number: u16, mail: &str) {
        let (domain, usn) = self.change(domain);
        domain.objects.get_mut(&number).unwrap().mail = (mail.to_owned(), usn);
    }

    pub(super) fn member(&mut self, domain: &str, group: u16, member: u16, is_one: bool) {
        let (domain, usn) = self.change(domain);
        domain.objects.get_mut(&group).unwrap().members.insert(member, (is_one, usn));
    }

    pub(super) fn delete(&mut self, domain: &str, number: u16) {
        let (domain, usn) = self.change(domain);
        domain.objects.get_mut(&number).unwrap().deleted = Some(usn);
    }

    /// Moves an object: it is new in the other domain, and what stands for it where it was is deleted.
    pub(super) fn move_to(&mut self, from: &str, to: &str, number: u16) {
        let (domain, usn) = self.change(from);
        let object = domain.objects.remove(&number).unwrap();
        let name = dn(number, &to.parse().unwrap());
        domain.proxies.insert(5_000 + u16::try_from(usn).unwrap(), (number, name, usn));
        let (domain, usn) = self.change(to);
        domain.objects.insert(number, Object { made: usn, ..object });
    }

    /// What a controller of a domain answers.
    pub(super) fn answer(&self, domain: &DnsName, asked: &Asked) -> Answer {
        let own = self.domains.get(domain).unwrap();
        let (base, filter) = (asked.request.base.as_str(), asked.request.filter.to_string());
        if base.is_empty() {
            let service = format!("CN=NTDS Settings,CN=DC1-{domain}");
            let usn = own.usn.to_string();
            let root = [
                ("dsServiceName", service.as_bytes()),
                ("highestCommittedUSN", usn.as_bytes()),
                ("configurationNamingContext", b"CN=Configuration,DC=corp,DC=example"),
            ];
            let root: Vec<_> = root.iter().map(|(name, value)| (*name, [*value])).collect();
            let root: Vec<_> = root.iter().map(|(name, value)| (*name, &value[..])).collect();
            return Answer::of(vec![SearchResultEntry::new("", &root).unwrap()]);
        }
        if base.starts_with("CN=NTDS") {
            let id: &[&[u8]] = &[&[7; 16]];
            return Answer::of(vec![
                SearchResultEntry::new(base, &[("invocationId", id)]).unwrap(),
            ]);
        }
        if base.starts_with("CN=Partitions,") {
            return Answer::of(self.cross_references());
        }
        if base.starts_with("CN=Deleted Objects") {
            return self.deleted(domain, own, asked);
        }
        if let Some(cookie) = asked.cookie() {
            if !self.dirsync {
                return Answer::refused(ResultCode::InsufficientAccessRights);
            }
            return self.changes(domain, own, &filter, &cookie);
        }
        if filter.contains("proxiedObjectName") {
            let since = since(&filter);
            let proxies = own.proxies.iter().filter(|(_, (.., usn))| *usn >= since);
            let entries =
                proxies.map(|(number, (of, name, usn))| proxy(domain, *number, *of, name, *usn));
            return Answer::page(entries.collect(), b"");
        }
        let alone: Vec<_> = own
            .objects
            .iter()
            .filter(|(_, object)| object.deleted.is_none())
            .filter(|(number, object)| match filter.split_once("uSNChanged>=") {
                Some(_) => object.usn() >= since(&filter),
                None if filter.contains("objectGUID=") => filter.contains(&octets(**number)),
                None => object.class != "domainDNS",
            })
            .map(|(number, object)| whole(domain, *number, object))
            .collect();
        if asked.page().is_some() { Answer::page(alone, b"") } else { Answer::of(alone) }
    }

    /// The tombstones that changed, or the container itself.
    fn deleted(&self, domain: &DnsName, own: &Domain, asked: &Asked) -> Answer {
        if asked.request.scope == Scope::Base {
            let base = asked.request.base.as_str();
            return Answer::of(vec![SearchResultEntry::new(base, &[]).unwrap()]);
        }
        let since = since(&asked.request.filter.to_string());
        let gone = own.objects.iter().filter(|(_, object)| object.deleted >= Some(since));
        let entries = gone.map(|(number, object)| {
            let usn = object.deleted.unwrap_or_default().to_string();
            entry(domain, *number, &[("uSNChanged", &[usn.as_bytes()])])
        });
        Answer::page(entries.collect(), b"")
    }

    fn cross_references(&self) -> Vec<SearchResultEntry> {
        let of_domains = self.domains.keys().map(|domain| (domain.to_string(), "3"));
        let others =
            [("corp.example".to_owned(), "1"), ("DomainDnsZones.corp.example".to_owned(), "5")];
        let all = of_domains.chain(others).enumerate().map(|(at, (domain, flags))| {
            let netbios = domain.split('.').next().unwrap().to_uppercase();
            let attributes: &[(&str, &[&[u8]])] = &[
                ("systemFlags", &[flags.as_bytes()]),
                ("dnsRoot", &[domain.as_bytes()]),
                ("nETBIOSName", &[netbios.as_bytes()]),
            ];
            let name = format!("CN=ref{at},CN=Partitions,CN=Configuration,DC=corp,DC=example");
            SearchResultEntry::new(&name, attributes).unwrap()
        });
        all.collect()
    }

    /// What changed behind a cookie, which is the number of a change.
    fn changes(&self, domain: &DnsName, own: &Domain, filter: &str, cookie: &[u8]) -> Answer {
        let usn = own.usn.to_string();
        if filter.starts_with("(objectGUID=") {
            return Answer::changes(Vec::new(), usn.as_bytes(), false);
        }
        let after: i64 = std::str::from_utf8(cookie).unwrap().parse().unwrap();
        let mut entries = Vec::new();
        for (number, object) in &own.objects {
            if object.deleted > Some(after) {
                entries.push(entry(domain, *number, &[("isDeleted", &[b"TRUE"])]));
            } else if object.deleted.is_none() && object.made > after {
                let (mut own, mut members) = (parts(domain, *number, object), Vec::new());
                for (member, (is_one, _)) in &object.members {
                    members.extend(is_one.then(|| extended(*member)));
                }
                own.push(("member;range=1-1".to_owned(), members));
                entries.push(of_parts(domain, *number, &own));
            } else if object.deleted.is_none() && object.usn() > after {
                entries.push(changed(domain, *number, object, after));
            }
        }
        let proxies = own.proxies.iter().filter(|(_, (.., usn))| *usn > after);
        entries.extend(
            proxies.map(|(number, (of, name, usn))| proxy(domain, *number, *of, name, *usn)),
        );
        Answer::changes(entries, usn.as_bytes(), false)
    }
}

impl Object {
    fn new(class: &'static str, made: i64) -> Self {
        Self { class, made, mail: (String::new(), 0), members: BTreeMap::new(), deleted: None }
    }

    /// Its last change.
    fn usn(&self) -> i64 {
        let members = self.members.values().map(|(_, usn)| *usn);
        members.chain([self.made, self.mail.1]).max().unwrap()
    }
}

fn dn(number: u16, domain: &DnsName) -> String {
    let name = DistinguishedName::of_domain(domain);
    if number / 1_000 == 1 { name.to_string() } else { format!("CN=o{number},{name}") }
}

/// The reference to an object of whatever domain: its name is not what counts.
fn extended(number: u16) -> Vec<u8> {
    format!("<GUID={}>;CN=o{number},DC=somewhere", guid(number)).into_bytes()
}

fn octets(number: u16) -> String {
    guid(number).to_bytes_le().iter().map(|octet| format!("\\{octet:02x}")).collect()
}

fn since(filter: &str) -> i64 {
    let (_, number) = filter.split_once("uSNChanged>=").unwrap();
    number.trim_end_matches(')').parse().unwrap()
}

fn entry(domain: &DnsName, number: u16, attributes: &[(&str, &[&[u8]])]) -> SearchResultEntry {
    let own: &[&[u8]] = &[&guid(number).to_bytes_le()];
    let attributes: Vec<_> =
        [("objectGUID", own)].into_iter().chain(attributes.iter().copied()).collect();
    let name = format!("<GUID={}>;{}", guid(number), dn(number, domain));
    SearchResultEntry::new(&name, &attributes).unwrap()
}

/// What an object has besides its members. Its SID is its domain's.
fn parts(domain: &DnsName, number: u16, object: &Object) -> Vec<(String, Vec<Vec<u8>>)> {
    let sid = domain.as_str().len().to_le_bytes()[0];
    let text = |text: &str| vec![text.as_bytes().to_vec()];
    let mut parts = vec![
        ("objectClass".to_owned(), vec![b"top".to_vec(), object.class.as_bytes().to_vec()]),
        ("name".to_owned(), text(&format!("o{number}"))),
        ("objectSid".to_owned(), vec![[1, 1, 0, 0, 0, 0, 0, 5, sid, 0, 0, 0].to_vec()]),
    ];
    parts.push(("uSNChanged".to_owned(), text(&object.usn().to_string())));
    if !object.mail.0.is_empty() {
        parts.push(("mail".to_owned(), text(&object.mail.0)));
    }
    parts
}

fn of_parts(domain: &DnsName, number: u16, parts: &[(String, Vec<Vec<u8>>)]) -> SearchResultEntry {
    let values: Vec<(&str, Vec<&[u8]>)> = parts
        .iter()
        .filter(|(_, values)| !values.is_empty())
        .map(|(name, values)| (name.as_str(), values.iter().map(Vec::as_slice).collect()))
        .collect();
    let values: Vec<_> = values.iter().map(|(name, values)| (*name, &values[..])).collect();
    entry(domain, number, &values)
}

/// An object as a search shows it.
fn whole(domain: &DnsName, number: u16, object: &Object) -> SearchResultEntry {
    let mut parts = parts(domain, number, object);
    let members = object.members.iter().filter(|(_, (is_one, _))| *is_one);
    parts.push(("member".to_owned(), members.map(|(member, _)| extended(*member)).collect()));
    of_parts(domain, number, &parts)
}

/// What changed of an object.
fn changed(domain: &DnsName, number: u16, object: &Object, after: i64) -> SearchResultEntry {
    let mut parts = Vec::new();
    if object.mail.1 > after {
        parts.push(("mail".to_owned(), vec![object.mail.0.as_bytes().to_vec()]));
    }
    for (range, wanted) in [("member;range=0-0", false), ("member;range=1-1", true)] {
        let of = object.members.iter();
        let of = of.filter(|(_, (is_one, usn))| *is_one == wanted && *usn > after);
        parts.push((range.to_owned(), of.map(|(member, _)| extended(*member)).collect()));
    }
    of_parts(domain, number, &parts)
}

/// What stands for an object that moved.
fn proxy(domain: &DnsName, number: u16, of: u16, name: &str, usn: i64) -> SearchResultEntry {
    let named = format!("B:16:0000000000000001:<GUID={}>;<SID=S-1-5-21-1>;{name}", guid(of));
    let usn = usn.to_string();
    let attributes: &[(&str, &[&[u8]])] = &[
        ("isDeleted", &[b"TRUE"]),
        ("proxiedObjectName", &[named.as_bytes()]),
        ("uSNChanged", &[usn.as_bytes()]),
    ];
    entry(domain, number, attributes)
}

/// The objectGUID of an object.
pub(super) fn id(number: u16) -> Guid {
    guid(number)
}
