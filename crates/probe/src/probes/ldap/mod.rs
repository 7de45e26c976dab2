//! LDAP ([RFC 4511], MS-ADTS): the root DSE by TCP, and the ping by UDP. Nothing is bound but a name
//! without a password, which proves nothing to anybody.
//!
//! Whether the connection is in clear, inside TLS or to the global catalogue changes what is expected and
//! not what is asked: [`examine`] takes any stream.
//!
//! [RFC 4511]: https://www.rfc-editor.org/rfc/rfc4511

mod ping;
mod root_dse;
mod signing;

use portolan_ldap::ber::{Tag, element_octets};
use portolan_ldap::message::{Message, Operation};
use portolan_ldap::{LdapResult, MessageId};
use tokio::io::{AsyncRead, AsyncWrite};

pub(super) use ping::probe as ping;
pub(crate) use root_dse::RootDse;

use super::hearing::Hearing;
use crate::{Asker, Outcome, Verdict};

/// What kind of directory a port leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    /// A controller's own objects, in clear: what is read there has to be signed and sealed.
    Directory,
    /// The same inside TLS.
    DirectoryTls,
    /// The global catalogue, in clear.
    Catalogue,
    /// The global catalogue inside TLS.
    CatalogueTls,
}

impl Port {
    const fn is_catalogue(self) -> bool {
        matches!(self, Self::Catalogue | Self::CatalogueTls)
    }

    const fn is_clear(self) -> bool {
        matches!(self, Self::Directory | Self::Catalogue)
    }
}

/// Connects, and looks at the directory there.
pub(super) async fn probe(asker: &Asker<'_>, port: Port) -> Outcome {
    match asker.connect().await {
        Ok(connection) => examine(asker, connection.stream, port).await,
        Err(verdict) => verdict.into(),
    }
}

/// Looks at the directory at the other end of a stream on which nothing was said yet.
pub(crate) async fn examine(
    asker: &Asker<'_>,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    port: Port,
) -> Outcome {
    let mut talk = Talk::over(asker, stream);
    let root = match talk.root_dse().await {
        Ok(root) => root,
        Err(verdict) => return verdict.into(),
    };
    let mut notes = root.notes();
    let mut defects = root.defects(asker.deployment().forest.as_ref(), port);
    if port.is_catalogue() && defects.is_empty() {
        // An empty base is the whole forest there, and an error elsewhere.
        match talk.search_forest().await {
            Ok(result) => defects.extend(root_dse::catalogue_defect(&result)),
            Err(verdict) => return verdict.into(),
        }
    }
    if port.is_clear() && root.is_active_directory() {
        match talk.bind_without_password().await {
            Ok(result) => notes.extend(signing::note(&result)),
            // The root DSE has proven the row; that somebody hangs up on a bind is worth a note.
            Err(verdict) => notes.push(format!("a bind without a password: {}", verdict.name())),
        }
    }
    let verdict = if defects.is_empty() { Verdict::Open } else { Verdict::Faulty(defects) };
    Outcome::new(verdict, notes, root.is_stand_in())
}

/// One session.
struct Talk<'a, S> {
    hearing: Hearing<'a, S>,
    asked: u32,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Talk<'a, S> {
    const fn over(asker: &'a Asker<'a>, stream: S) -> Self {
        Self { hearing: Hearing::new(asker, stream), asked: 0 }
    }

    async fn root_dse(&mut self) -> Result<RootDse, Verdict> {
        let id = self.ask(Operation::SearchRequest(root_dse::question())).await?;
        let mut root = None;
        loop {
            match self.answer(id).await? {
                Operation::SearchResultEntry(entry) if root.is_none() => {
                    root = Some(RootDse::of(&entry));
                }
                Operation::SearchResultDone(result) => {
                    return root.ok_or_else(|| root_dse::hidden(&result));
                }
                _ => return Err(out_of_turn()),
            }
        }
    }

    /// Searches the whole forest for any one object.
    async fn search_forest(&mut self) -> Result<LdapResult, Verdict> {
        let id = self.ask(Operation::SearchRequest(root_dse::any_of_forest())).await?;
        loop {
            match self.answer(id).await? {
                Operation::SearchResultEntry(_) | Operation::SearchResultReference(_) => {}
                Operation::SearchResultDone(result) => return Ok(result),
                _ => return Err(out_of_turn()),
            }
        }
    }

    /// Binds a name that nobody has, without a password.
    async fn bind_without_password(&mut self) -> Result<LdapResult, Verdict> {
        let id = self.ask(Operation::BindRequest(signing::question())).await?;
        match self.answer(id).await? {
            Operation::BindResponse(response) => Ok(response.result),
            _ => Err(out_of_turn()),
        }
    }

    async fn ask(&mut self, operation: Operation) -> Result<MessageId, Verdict> {
        let id = MessageId::of(self.asked);
        self.asked += 1;
        self.hearing.say(&Message::new(id, operation).encode()).await?;
        Ok(id)
    }

    /// The next answer to a request. What the server says to nobody ends the talk.
    async fn answer(&mut self, id: MessageId) -> Result<Operation, Verdict> {
        let message = self.message().await?;
        match message.operation {
            Operation::ExtendedResponse(notice) if message.id == MessageId::UNSOLICITED => {
                Err(root_dse::hidden(&notice.result))
            }
            operation if message.id == id => Ok(operation),
            _ => Err(out_of_turn()),
        }
    }

    async fn message(&mut self) -> Result<Message, Verdict> {
        let limit = self.hearing.limit();
        let mut heard = self.hearing.at_least(1).await?;
        loop {
            // Another protocol is told by its first octet, before more is waited for.
            match element_octets(heard, Tag::SEQUENCE, limit, "LDAPMessage") {
                Err(_) => return Err(Verdict::wrong_protocol(heard)),
                Ok(Some(length)) if length <= heard.len() => {
                    let message = self.hearing.take(length).await?;
                    return Message::decode(&message)
                        .map_err(|_| Verdict::wrong_protocol(&message));
                }
                Ok(_) => heard = self.hearing.more().await?,
            }
        }
    }
}

fn out_of_turn() -> Verdict {
    Verdict::WrongProtocol { heard: "LDAP out of turn".to_owned() }
}
