//! Objects of a forest that are changed, each in the domain that holds it.
//!
//! A controller writes the objects of its own domain. The domain that an object is in is told by its name; one
//! that was moved since somebody wrote the name down is looked for in the other domains that are read.

use std::collections::BTreeMap;

use portolan_ldap::ModifyRequest;
use portolan_model::{DistinguishedName, DnsName};
use portolan_net::ldap::{LdapConnection, LdapError};

use super::import::directory::{Directory, SearchError};
use super::steps::Steps;
use super::writer::Writer;
use crate::report::Failure;

/// A directory that is changed.
pub(super) trait Changed: Directory {
    /// Asks for a change of one object.
    ///
    /// # Errors
    /// When the directory refuses it, or the connection is over: nobody knows then whether it was made.
    async fn modify(&mut self, request: ModifyRequest) -> Result<(), SearchError>;
}

impl Changed for LdapConnection {
    async fn modify(&mut self, request: ModifyRequest) -> Result<(), SearchError> {
        match Self::modify(self, request, Vec::new()).await {
            Err(LdapError::Refused { refusal, .. }) => {
                let code = refusal.0.code;
                Err(SearchError::Refused(code, Failure::from(*refusal)))
            }
            done => Ok(done?),
        }
    }
}

/// Who connects to a controller of a domain.
pub(super) trait Connecting {
    /// The directory behind it.
    type Directory: Changed;

    /// Connects.
    async fn connect(&self, domain: &DnsName) -> Result<Self::Directory, Failure>;
}

impl Connecting for Writer {
    type Directory = LdapConnection;

    async fn connect(&self, domain: &DnsName) -> Result<LdapConnection, Failure> {
        self.connect_to(domain, &Steps::begin()).await
    }
}

/// The domains of a forest, each connected to when the first of its objects is met.
pub(super) struct Writing<'c, C: Connecting> {
    by: &'c C,
    /// The domain that names the forest, and behind it the others that are read.
    domains: Vec<DnsName>,
    open: BTreeMap<DnsName, C::Directory>,
}

impl<'c, C: Connecting> Writing<'c, C> {
    /// Connects to the domain that names the forest, and to others once they are needed.
    ///
    /// # Errors
    /// When no controller of it is reached.
    pub(super) async fn begin(by: &'c C, own: &DnsName, read: &[DnsName]) -> Result<Self, Failure> {
        let others = read.iter().filter(|domain| *domain != own);
        let domains = [own].into_iter().chain(others).cloned().collect();
        let mut writing = Self { by, domains, open: BTreeMap::new() };
        writing.in_domain(own).await?;
        Ok(writing)
    }

    /// Where an object may be: first in the domain of its name, then in the others.
    pub(super) fn of(&self, dn: &str) -> Vec<DnsName> {
        let first = domain_of(dn, &self.domains).or(self.domains.first());
        let others = self.domains.iter().filter(|domain| Some(*domain) != first);
        first.into_iter().chain(others).cloned().collect()
    }

    /// The connection to a domain.
    ///
    /// # Errors
    /// When no controller of it is reached.
    pub(super) async fn in_domain(
        &mut self,
        domain: &DnsName,
    ) -> Result<&mut C::Directory, Failure> {
        if !self.open.contains_key(domain) {
            let opened = self.by.connect(domain).await?;
            self.open.insert(domain.clone(), opened);
        }
        self.open.get_mut(domain).ok_or_else(|| Failure::new("a connection is gone"))
    }

    /// The connections, to be ended.
    pub(super) fn end(self) -> impl Iterator<Item = C::Directory> {
        self.open.into_values()
    }
}

/// The domain in which an object of this name is: the one with the longest name of those that end it.
pub(super) fn domain_of<'d>(dn: &str, domains: &'d [DnsName]) -> Option<&'d DnsName> {
    let dn: DistinguishedName = dn.parse().ok()?;
    let parts: Vec<&str> = dn.rdns().map(str::trim).collect();
    let is_in = |domain: &&DnsName| {
        let name = DistinguishedName::of_domain(domain);
        let end: Vec<&str> = name.rdns().collect();
        let from = parts.len().checked_sub(end.len());
        let found = from.and_then(|from| parts.get(from..));
        found.is_some_and(|found| {
            found.iter().zip(&end).all(|(one, other)| one.eq_ignore_ascii_case(other))
        })
    };
    domains.iter().filter(is_in).max_by_key(|domain| domain.as_str().len())
}

#[cfg(test)]
pub(super) mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use portolan_ldap::{Control, ResultCode, SearchRequest, SearchResultEntry};
    use portolan_model::Guid;

    use super::super::import::tests::server::{Answer, Asked, Running, Scripted};
    use super::*;

    /// An object: its domain, its number, its name, and what it has.
    pub(in crate::connect) type Placed =
        (&'static str, u8, &'static str, Vec<(&'static str, Vec<Vec<u8>>)>);

    /// What was changed: in which domain, and by which request.
    pub(in crate::connect) type Changes = Rc<RefCell<Vec<(String, ModifyRequest)>>>;

    /// A forest whose controllers know the objects of their own domain alone, and write down what is asked.
    #[derive(Default)]
    pub(in crate::connect) struct Forest {
        pub(in crate::connect) objects: Vec<Placed>,
        pub(in crate::connect) changed: Changes,
    }

    /// A controller of a domain.
    pub(in crate::connect) struct Controller {
        domain: String,
        objects: Scripted<Box<dyn FnMut(&Asked) -> Answer>>,
        changed: Changes,
    }

    pub(in crate::connect) fn guid(number: u8) -> Guid {
        Guid::from_bytes_le([number; 16])
    }

    pub(in crate::connect) fn domains(names: &[&str]) -> Vec<DnsName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    impl Connecting for Forest {
        type Directory = Controller;

        async fn connect(&self, domain: &DnsName) -> Result<Controller, Failure> {
            let domain = domain.to_string();
            let own = self.objects.iter().filter(|object| object.0 == domain);
            let own: Vec<_> = own.cloned().collect();
            let answer = move |asked: &Asked| {
                let named = |(_, number, ..): &&Placed| {
                    asked.request.base == format!("<GUID={}>", guid(*number))
                };
                let Some((.., dn, attributes)) = own.iter().find(named) else {
                    return Answer::refused(ResultCode::NoSuchObject);
                };
                let values: Vec<(&str, Vec<&[u8]>)> = attributes
                    .iter()
                    .map(|(name, values)| (*name, values.iter().map(Vec::as_slice).collect()))
                    .collect();
                let values: Vec<(&str, &[&[u8]])> =
                    values.iter().map(|(name, values)| (*name, values.as_slice())).collect();
                Answer::of(vec![SearchResultEntry::new(dn, &values).unwrap()])
            };
            let objects = Scripted::new(Box::new(answer) as Box<dyn FnMut(&Asked) -> Answer>);
            Ok(Controller { domain, objects, changed: Rc::clone(&self.changed) })
        }
    }

    impl Directory for Controller {
        type Entries<'a> = Running;

        async fn search(
            &mut self,
            request: SearchRequest,
            controls: Vec<Control>,
        ) -> Result<Running, SearchError> {
            self.objects.search(request, controls).await
        }
    }

    impl Changed for Controller {
        async fn modify(&mut self, request: ModifyRequest) -> Result<(), SearchError> {
            self.changed.borrow_mut().push((self.domain.clone(), request));
            Ok(())
        }
    }

    #[test]
    fn an_object_is_in_the_domain_with_the_longest_name_that_ends_its_own() {
        let domains: Vec<DnsName> = ["corp.example", "child.corp.example", "tree.example"]
            .iter()
            .map(|name| name.parse().unwrap())
            .collect();
        for (dn, expected) in [
            ("CN=a,OU=b,DC=corp,DC=example", Some("corp.example")),
            ("CN=a,DC=child,DC=corp,DC=example", Some("child.corp.example")),
            ("cn=a,dc=Child,dc=CORP, dc=example", Some("child.corp.example")),
            ("CN=a\\,DC=child,DC=corp,DC=example", Some("corp.example")),
            ("CN=a,DC=nochild,DC=corp,DC=example", Some("corp.example")),
            ("DC=tree,DC=example", Some("tree.example")),
            ("CN=a,DC=xcorp,DC=example", None),
            ("CN=a", None),
            ("", None),
        ] {
            let found = domain_of(dn, &domains).map(DnsName::as_str);
            assert_eq!(found, expected, "{dn}");
        }
    }
}
