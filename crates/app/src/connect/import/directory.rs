//! What the import needs of a directory: searches, read one entry at a time.
//!
//! A forest is reached by an [`LdapConnection`]; the tests put a scripted server in its place.

use portolan_ldap::{Control, LdapResult, ResultCode, SearchRequest, SearchResultEntry};
use portolan_net::ldap::{LdapConnection, LdapError, SearchStream};

use crate::connect::forest::is_elsewhere;
use crate::report::Failure;

/// A search that failed.
#[derive(Debug)]
pub enum SearchError {
    /// The directory refused it, with this code; the connection goes on.
    Refused(ResultCode, Failure),
    /// The connection is over.
    Failed(Failure),
}

/// A directory that is searched.
#[expect(async_fn_in_trait, reason = "one task drives an import, and moves to no other thread")]
pub trait Directory {
    /// The entries of a search under way.
    type Entries<'a>: Entries
    where
        Self: 'a;

    /// Begins a search; one runs at a time.
    async fn search(
        &mut self,
        request: SearchRequest,
        controls: Vec<Control>,
    ) -> Result<Self::Entries<'_>, SearchError>;
}

/// The entries of a search.
#[expect(async_fn_in_trait, reason = "one task drives an import, and moves to no other thread")]
pub trait Entries {
    /// The next one; nothing when the search has ended well.
    async fn next(&mut self) -> Result<Option<SearchResultEntry>, SearchError>;

    /// The controls with which the search ended.
    fn controls(&self) -> &[Control];
}

impl Directory for LdapConnection {
    type Entries<'a> = SearchStream<'a>;

    async fn search(
        &mut self,
        request: SearchRequest,
        controls: Vec<Control>,
    ) -> Result<SearchStream<'_>, SearchError> {
        Ok(LdapConnection::search(self, request, controls).await?)
    }
}

impl Entries for SearchStream<'_> {
    async fn next(&mut self) -> Result<Option<SearchResultEntry>, SearchError> {
        Ok(SearchStream::next(self).await?)
    }

    fn controls(&self) -> &[Control] {
        self.end().map_or(&[], |end| &end.controls)
    }
}

impl From<LdapError> for SearchError {
    fn from(error: LdapError) -> Self {
        let refused = match &error {
            LdapError::Refused { refusal, .. } => {
                let LdapResult { code, .. } = refusal.0;
                Some(code)
            }
            _ => None,
        };
        let elsewhere = is_elsewhere(&error);
        let failure = Failure::from(error);
        let failure = if elsewhere { failure.elsewhere() } else { failure };
        match refused {
            Some(code) => Self::Refused(code, failure),
            None => Self::Failed(failure),
        }
    }
}

impl From<Failure> for SearchError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<SearchError> for Failure {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Refused(_, failure) | SearchError::Failed(failure) => failure,
        }
    }
}
