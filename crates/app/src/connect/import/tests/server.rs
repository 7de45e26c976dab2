//! A scripted directory: it decodes what the import asks and answers in octets, as Windows does where
//! Samba does not: pages, ranges, and DirSync in parts.

use std::collections::VecDeque;

use portolan_ldap::control::{self, DirSync, DirSyncReply, PagedResults};
use portolan_ldap::message::{Message, Operation};
use portolan_ldap::{
    Control, Event, LdapResult, Limits, MessageId, ResultCode, SearchRequest, SearchResultEntry,
    Session,
};

use super::super::directory::{Directory, Entries, SearchError};
use crate::report::Failure;

/// An answer: its entries, how it ends, and the control beside the end.
pub(in crate::connect) struct Answer {
    pub(in crate::connect) entries: Vec<SearchResultEntry>,
    pub(in crate::connect) code: ResultCode,
    pub(in crate::connect) control: Option<Control>,
}

impl Answer {
    pub(in crate::connect) fn of(entries: Vec<SearchResultEntry>) -> Self {
        Self { entries, code: ResultCode::Success, control: None }
    }

    pub(in crate::connect) fn refused(code: ResultCode) -> Self {
        Self { code, ..Self::of(Vec::new()) }
    }

    pub(in crate::connect) fn page(entries: Vec<SearchResultEntry>, cookie: &[u8]) -> Self {
        let control = PagedResults { size: 0, cookie: cookie.to_vec() }.control();
        Self { control: Some(control), ..Self::of(entries) }
    }

    pub(in crate::connect) fn changes(
        entries: Vec<SearchResultEntry>,
        cookie: &[u8],
        more: bool,
    ) -> Self {
        let control = DirSyncReply { more, cookie: cookie.to_vec() }.control();
        Self { control: Some(control), ..Self::of(entries) }
    }
}

/// What was asked.
pub(in crate::connect) struct Asked {
    pub(in crate::connect) request: SearchRequest,
    pub(in crate::connect) controls: Vec<Control>,
}

impl Asked {
    /// The page that was asked for.
    pub(in crate::connect) fn page(&self) -> Option<PagedResults> {
        control::find(&self.controls).unwrap()
    }

    /// The cookie of the changes that were asked for.
    pub(in crate::connect) fn cookie(&self) -> Option<Vec<u8>> {
        let oid =
            DirSync { flags: Default::default(), octets_max: 0, cookie: Vec::new() }.control().oid;
        let control = self.controls.iter().find(|control| control.oid == oid)?;
        // A request has the form of a reply: a number, a number, a cookie.
        let reply: DirSyncReply = control::find(std::slice::from_ref(control)).unwrap().unwrap();
        Some(reply.cookie)
    }
}

/// The directory, and the connection to it.
pub(in crate::connect) struct Scripted<F> {
    session: Session,
    answer: F,
    pub(in crate::connect) asked: usize,
}

impl<F: FnMut(&Asked) -> Answer> Scripted<F> {
    pub(in crate::connect) fn new(answer: F) -> Self {
        Self { session: Session::new(Limits::default()), answer, asked: 0 }
    }
}

/// A search under way.
pub(in crate::connect) struct Running {
    events: VecDeque<Event>,
    controls: Vec<Control>,
}

impl<F: FnMut(&Asked) -> Answer> Directory for Scripted<F> {
    type Entries<'a>
        = Running
    where
        Self: 'a;

    async fn search(
        &mut self,
        request: SearchRequest,
        controls: Vec<Control>,
    ) -> Result<Running, SearchError> {
        self.asked += 1;
        let (id, octets) = self.session.search(request, controls).unwrap();
        let message = Message::decode(&octets).unwrap();
        let Operation::SearchRequest(request) = message.operation else {
            panic!("only searches are asked")
        };
        let answer = (self.answer)(&Asked { request, controls: message.controls });
        for octets in encoded(id, answer) {
            self.session.receive(&octets).unwrap();
        }
        let mut events = VecDeque::new();
        while let Some(event) = self.session.next().unwrap() {
            events.push_back(event);
        }
        Ok(Running { events, controls: Vec::new() })
    }
}

fn encoded(id: MessageId, answer: Answer) -> Vec<Vec<u8>> {
    let entries = answer.entries.into_iter().map(Operation::SearchResultEntry);
    let mut messages: Vec<_> = entries.map(|entry| Message::new(id, entry)).collect();
    let result = LdapResult { code: answer.code, ..LdapResult::SUCCESS };
    let mut done = Message::new(id, Operation::SearchResultDone(result));
    done.controls.extend(answer.control);
    messages.push(done);
    messages.iter().map(|message| message.encode().to_vec()).collect()
}

impl Entries for Running {
    async fn next(&mut self) -> Result<Option<SearchResultEntry>, SearchError> {
        match self.events.pop_front() {
            Some(Event::Entry { entry, .. }) => Ok(Some(entry)),
            Some(Event::Done { result, controls, .. }) => {
                self.controls = controls;
                let code = result.code;
                match result.success() {
                    Ok(_) => Ok(None),
                    Err(refusal) => {
                        Err(SearchError::Refused(code, Failure::new(refusal.to_string())))
                    }
                }
            }
            Some(event) => panic!("{event:?}"),
            None => Ok(None),
        }
    }

    fn controls(&self) -> &[Control] {
        &self.controls
    }
}
