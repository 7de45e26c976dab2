//! Searches, read one entry at a time.

use portolan_ldap::{
    Control, Event, Filter, LdapResult, MessageId, Scope, SearchRequest, SearchResultEntry,
};

use super::{LdapConnection, LdapError};

/// References that one search may bring: a forest has one for each naming context below the base.
const REFERENCES_MAX: u64 = 10_000;

/// The entries of a running search.
///
/// [`Self::next`] gives them one by one, and nothing at the end; [`Self::end`] then says how it
/// ended. A stream that is dropped before its end is given up with the connection's next request.
pub struct SearchStream<'c> {
    connection: &'c mut LdapConnection,
    id: MessageId,
    base: String,
    ended: Option<SearchEnd>,
    references: u64,
}

/// How a search ended.
#[derive(Debug, Clone)]
pub struct SearchEnd {
    /// The directory's result, a success.
    pub result: LdapResult,
    /// Controls beside it: the cookie of a DirSync or paged search.
    pub controls: Vec<Control>,
    /// How often the directory named another place to ask. They are not followed.
    pub references: u64,
}

impl LdapConnection {
    /// Begins a search. One runs at a time: the stream holds the connection.
    ///
    /// # Errors
    /// [`LdapError`] when the request cannot be sent.
    pub async fn search(
        &mut self,
        request: SearchRequest,
        controls: Vec<Control>,
    ) -> Result<SearchStream<'_>, LdapError> {
        self.give_up_unread().await?;
        let base = request.base.clone();
        let sent = self.session.search(request, controls);
        let (id, octets) = sent.map_err(|error| self.session_error(error))?;
        self.send(&octets).await?;
        self.unread = Some(id);
        Ok(SearchStream { connection: self, id, base, ended: None, references: 0 })
    }

    /// The entry of the server itself ([RFC 4512 section 5.1]), with these attributes, or with all
    /// that are not operational when none is named.
    ///
    /// [RFC 4512 section 5.1]: https://www.rfc-editor.org/rfc/rfc4512#section-5.1
    ///
    /// # Errors
    /// [`LdapError`]; also when the server has no such entry.
    pub async fn root_dse(&mut self, attributes: &[&str]) -> Result<SearchResultEntry, LdapError> {
        let link = self.link.clone();
        let request = SearchRequest::new("", Scope::Base, any_object());
        let request = request.select(attributes.iter().copied());
        let mut stream = self.search(request, Vec::new()).await?;
        let out_of_turn = || LdapError::OutOfTurn { link: link.clone() };
        let entry = stream.next().await?.ok_or_else(out_of_turn)?;
        // A search of one object has one entry.
        if stream.next().await?.is_some() {
            return Err(out_of_turn());
        }
        Ok(entry)
    }
}

#[expect(clippy::expect_used, reason = "the text is a constant that every test run parses")]
fn any_object() -> Filter {
    "(objectClass=*)".parse().expect("INVARIANT: a legal filter")
}

impl SearchStream<'_> {
    /// The next entry; nothing when the search has ended with success. Reads from the connection
    /// only when no entry has arrived yet.
    ///
    /// # Errors
    /// [`LdapError::Refused`] when the directory ended the search otherwise, its entries then being
    /// incomplete; any other error ends the connection.
    pub async fn next(&mut self) -> Result<Option<SearchResultEntry>, LdapError> {
        while self.ended.is_none() {
            match self.connection.event().await? {
                Event::Entry { id, entry, .. } if id == self.id => return Ok(Some(entry)),
                Event::Reference { id, .. }
                    if id == self.id && self.references < REFERENCES_MAX =>
                {
                    self.references += 1;
                }
                Event::Done { id, result, controls } if id == self.id => {
                    self.connection.unread = None;
                    let link = || self.connection.link.clone();
                    let result = result.success().map_err(|refusal| LdapError::Refused {
                        link: link(),
                        operation: format!("the search below {:?}", self.base),
                        refusal: Box::new(refusal),
                    })?;
                    let references = self.references;
                    self.ended = Some(SearchEnd { result, controls, references });
                }
                _ => {
                    let link = self.connection.link.clone();
                    return Err(LdapError::OutOfTurn { link });
                }
            }
        }
        Ok(None)
    }

    /// How the search ended; nothing while it has not.
    #[must_use]
    pub const fn end(&self) -> Option<&SearchEnd> {
        self.ended.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_has_a_class() {
        assert_eq!(any_object(), "(objectClass=*)".parse().unwrap());
    }
}
