//! What the tenant keeps, and the traits by which it is kept.
//!
//! One transaction is one unit of work: what it wrote is there after [`Transaction::commit`], all of
//! it or nothing. A writing transaction sees no other's writes until it ends, and there is one at a
//! time; that is what makes a sign-in and a password change happen in one order.

use std::error::Error;
use std::future::Future;
use std::net::IpAddr;

use portolan_legacy_crypto::pph1::CredentialData;
use portolan_model::{Guid, SourceAnchor};
use time::OffsetDateTime;

use crate::application::Application;
use crate::authorize::Challenge;
use crate::directory::{Definition, Kind, Name, Object, Photo, ProvisioningError, Reference};
use crate::feature::Features;
use crate::throttle::Throttle;
use crate::{Digest, Rule, Tenant};

/// The store failed. What happened is for the log; a caller is told [`Rule::Unavailable`].
#[derive(Debug, thiserror::Error)]
#[error("the tenant's store failed")]
pub struct StorageError(#[source] Box<dyn Error + Send + Sync>);

impl StorageError {
    /// Wraps the store's own error.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(error.into())
    }
}

/// A person's synchronised password.
#[derive(Debug, Clone)]
pub struct Credential {
    /// The derived key and its salt.
    pub credential: CredentialData,
    /// When the password was set in the forest.
    pub changed_at: OffsetDateTime,
}

/// What the directory has under an anchor, as far as a password is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The anchor.
    pub anchor: SourceAnchor,
    /// The object's id.
    pub id: Guid,
    /// What it is.
    pub kind: Kind,
    /// Whether it was deleted.
    pub is_deleted: bool,
    /// When its password was set in the forest, if it has one.
    pub password_set_at: Option<OffsetDateTime>,
}

/// What becomes of the objects that one object refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceChange {
    /// The object that refers.
    pub from: Guid,
    /// By which attribute.
    pub reference: Reference,
    /// Whether every other one goes.
    pub is_whole: bool,
    /// Who comes. An anchor whose object has not arrived yet counts from when it does.
    pub added: Vec<SourceAnchor>,
    /// Who goes; not one that is added.
    pub removed: Vec<SourceAnchor>,
}

impl ReferenceChange {
    /// From here on an object refers to these and no others.
    #[must_use]
    pub fn whole(from: Guid, reference: Reference, to: &[SourceAnchor]) -> Self {
        let (added, removed) = (to.to_vec(), Vec::new());
        Self { from, reference, is_whole: true, added, removed }
    }
}

/// A browser in which somebody signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The digest of the cookie.
    pub digest: Digest,
    /// Its name in tokens.
    pub id: Guid,
    /// Who.
    pub user: Guid,
    /// When they proved it.
    pub authenticated_at: OffsetDateTime,
    /// Until when it holds.
    pub expires_at: OffsetDateTime,
}

/// What a person granted an application: what a code or a refresh token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The application.
    pub client_id: Guid,
    /// The person.
    pub user: Guid,
    /// The session that it came from.
    pub session: Guid,
    /// The scopes, as [`crate::scope::Scopes::to_text`] writes them.
    pub scopes: String,
    /// When the person proved who they are.
    pub authenticated_at: OffsetDateTime,
    /// All refresh tokens that descend from one code share this name.
    pub family: Guid,
}

/// An authorization code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// The digest of the code.
    pub digest: Digest,
    /// What it stands for.
    pub grant: Grant,
    /// The redirect URI of the request, which the exchange repeats.
    pub redirect_uri: String,
    /// The proof key's challenge.
    pub challenge: Challenge,
    /// The value for the ID token.
    pub nonce: Option<String>,
    /// Until when it can be redeemed.
    pub expires_at: OffsetDateTime,
    /// Whether it was.
    pub redeemed: bool,
}

/// A refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// The digest of the token.
    pub digest: Digest,
    /// What it stands for.
    pub grant: Grant,
    /// Until when it can be used.
    pub expires_at: OffsetDateTime,
    /// Whether it was: the next one has taken its place.
    pub used: bool,
}

/// A batch that was ingested, so that the same batch gets the same answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestedBatch {
    /// The sync server's name for it.
    pub id: Guid,
    /// The digest of who sent it and what was sent.
    pub digest: Digest,
    /// What was answered.
    pub answer: String,
    /// When.
    pub at: OffsetDateTime,
}

/// A line of the sign-in log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInRecord {
    /// When.
    pub at: OffsetDateTime,
    /// The request.
    pub correlation_id: Guid,
    /// Who, when the directory knows them. A name that nobody has is not kept: people type
    /// passwords into the wrong field.
    pub user: Option<Guid>,
    /// The application.
    pub client_id: Option<Guid>,
    /// From where: the address of the client as the tenant saw it.
    pub address: IpAddr,
    /// How: `password`, `session`, `code`, `refresh`, `assertion`, `password grant`; `unknown` for a
    /// grant that is not offered.
    pub method: &'static str,
    /// Why it failed; `None` when it did not.
    pub rule: Option<Rule>,
}

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// When.
    pub at: OffsetDateTime,
    /// Who acted: an application's id, or `command line`.
    pub actor: String,
    /// What was done: `user.delete`, `application.add`.
    pub action: &'static str,
    /// On what.
    pub target: String,
}

/// Whether a transaction writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It only reads.
    Read,
    /// It writes; there is one such at a time.
    Write,
}

/// The tenant's store.
pub trait Store: Clone + Send + Sync + 'static {
    /// Its transactions.
    type Transaction: Transaction;

    /// Begins a transaction.
    fn begin(
        &self,
        access: Access,
    ) -> impl Future<Output = Result<Self::Transaction, StorageError>> + Send;
}

/// What a method of [`Transaction`] gives: a future that may move between threads.
pub trait Stored<T>: Future<Output = Result<T, StorageError>> + Send {}

impl<T, F: Future<Output = Result<T, StorageError>> + Send> Stored<T> for F {}

/// A unit of work on the store.
pub trait Transaction: Send {
    /// Makes what was written last.
    fn commit(self) -> impl Stored<()>;

    /// The tenant itself.
    fn tenant(&mut self) -> impl Stored<Tenant>;

    /// An object by its id, tombstones included.
    fn object(&mut self, id: Guid) -> impl Stored<Option<Object>>;

    /// The object of an anchor, tombstones included.
    fn object_by_anchor(&mut self, anchor: &SourceAnchor) -> impl Stored<Option<Object>>;

    /// The objects of these anchors, tombstones included, in no order; nothing of one that no object has.
    fn objects_by_anchor(&mut self, anchors: &[&SourceAnchor]) -> impl Stored<Vec<Object>>;

    /// The objects of these ids, tombstones included, in no order.
    fn objects_by_id(&mut self, ids: &[Guid]) -> impl Stored<Vec<Object>>;

    /// Those of these users who have a role in the directory.
    fn administrators(&mut self, users: &[Guid]) -> impl Stored<Vec<Guid>>;

    /// The switches that are on.
    fn features(&mut self) -> impl Stored<Features>;

    /// The extensions of the schema, by name.
    fn extensions(&mut self) -> impl Stored<Vec<Definition>>;

    /// The values that these objects do not have because others have them.
    fn provisioning_errors(&mut self, objects: &[Guid]) -> impl Stored<Vec<ProvisioningError>>;

    /// Sets the values that objects do not have: all of each object.
    fn put_provisioning_errors(
        &mut self,
        errors: &[(Guid, Vec<ProvisioningError>)],
    ) -> impl Stored<()>;

    /// Values set aside that nobody has any more, the oldest conflict first, at most `count`.
    fn free_values(&mut self, count: u32) -> impl Stored<Vec<ProvisioningError>>;

    /// The ids of the living objects that have these names, in no order.
    fn name_holders(&mut self, names: &[Name]) -> impl Stored<Vec<(Name, Guid)>>;

    /// What sync servers wrote under these anchors, in no order; nothing under one that no object has,
    /// or one of the cloud's own.
    fn accounts(&mut self, anchors: &[&SourceAnchor]) -> impl Stored<Vec<Account>>;

    /// The living user of a name, compared without case.
    fn user_by_name(&mut self, name: &str) -> impl Stored<Option<Object>>;

    /// Writes an object, new or changed, with its indexes and the next number of the change feed.
    fn put_object(&mut self, object: &Object) -> impl Stored<()>;

    /// The same for many objects, of each no more than one; names may change hands among them.
    fn put_objects(&mut self, objects: &[&Object]) -> impl Stored<()>;

    /// Living objects of a kind in the order of their ids, behind `after`, at most `count`.
    fn objects(&mut self, kind: Kind, after: Option<Guid>, count: u32) -> impl Stored<Vec<Object>>;

    /// How many living objects of a kind there are.
    fn count_objects(&mut self, kind: Kind) -> impl Stored<u64>;

    /// Changes whom objects refer to, in order. Who is there already stays as they are, and who is not
    /// there does not go.
    fn change_references(&mut self, changes: &[ReferenceChange]) -> impl Stored<()>;

    /// Ends all references to these anchors, of whatever object.
    fn end_references_to(&mut self, anchors: &[&SourceAnchor]) -> impl Stored<()>;

    /// Living members of a group in the order of their ids, behind `after`, at most `count`.
    fn members(&mut self, group: Guid, after: Option<Guid>, count: u32)
    -> impl Stored<Vec<Object>>;

    /// The living group of a unique name, compared with case.
    fn group_by_unique_name(&mut self, name: &str) -> impl Stored<Option<Object>>;

    /// The living device of a `deviceId`.
    fn device_by_id(&mut self, device_id: Guid) -> impl Stored<Option<Object>>;

    /// Living objects that an object refers to in the order of their ids, behind `after`, at most `count`.
    fn referred(
        &mut self,
        whose: (Guid, Reference),
        after: Option<Guid>,
        count: u32,
    ) -> impl Stored<Vec<Object>>;

    /// Lets an object refer to others that are there, by their ids.
    fn add_references(&mut self, whose: (Guid, Reference), to: &[Guid]) -> impl Stored<()>;

    /// To which of these objects an object refers, by their ids or their anchors.
    fn referred_among(
        &mut self,
        whose: (Guid, Reference),
        among: &[Guid],
    ) -> impl Stored<Vec<Guid>>;

    /// Lets an object refer to another one no more; false when it does not.
    fn remove_reference(&mut self, whose: (Guid, Reference), to: Guid) -> impl Stored<bool>;

    /// Sets or clears a user's manager.
    fn put_manager(&mut self, user: Guid, manager: Option<Guid>) -> impl Stored<()>;

    /// The living manager of a user.
    fn manager(&mut self, user: Guid) -> impl Stored<Option<Object>>;

    /// The living users whose manager a user is, in the order of their ids, behind `after`, at most
    /// `count`.
    fn direct_reports(
        &mut self,
        user: Guid,
        after: Option<Guid>,
        count: u32,
    ) -> impl Stored<Vec<Object>>;

    /// A user's photo.
    fn photo(&mut self, user: Guid) -> impl Stored<Option<Photo>>;

    /// Sets the photos of users, or removes them.
    fn put_photos(&mut self, photos: &[(Guid, Option<&Photo>)]) -> impl Stored<()>;

    /// A user's password.
    fn credential(&mut self, user: Guid) -> impl Stored<Option<Credential>>;

    /// Sets a user's password.
    fn put_credential(&mut self, user: Guid, credential: &Credential) -> impl Stored<()>;

    /// Sets the passwords of many users; of each no more than one.
    fn put_credentials(&mut self, credentials: &[(Guid, &Credential)]) -> impl Stored<()>;

    /// Erases a user's password.
    fn erase_credential(&mut self, user: Guid) -> impl Stored<()>;

    /// When a user's password was set in the forest, if there is one.
    fn password_set_at(&mut self, user: Guid) -> impl Stored<Option<OffsetDateTime>>;

    /// Ends a user's sessions, codes and refresh tokens, and moves [`Self::sessions_valid_from`] on,
    /// which ends their access tokens.
    fn end_sessions_of(&mut self, user: Guid, now: OffsetDateTime) -> impl Stored<()>;

    /// The same for many users at once.
    fn end_sessions_of_all(&mut self, users: &[Guid], now: OffsetDateTime) -> impl Stored<()>;

    /// When a user's sessions were last ended; `None` when they never were. No two ends are at the
    /// same microsecond.
    fn sessions_valid_from(&mut self, user: Guid) -> impl Stored<Option<OffsetDateTime>>;

    /// Whether a device cookie is one that was given out, to anybody.
    fn device_exists(&mut self, device: &Digest) -> impl Stored<bool>;

    /// Whether a user signed in with this device cookie before.
    fn device_knows(&mut self, device: &Digest, user: Guid) -> impl Stored<bool>;

    /// Keeps that a user signed in with this device cookie.
    fn put_device(&mut self, device: &Digest, user: Guid, now: OffsetDateTime) -> impl Stored<()>;

    /// A count of wrong passwords ([`crate::throttle`]).
    fn throttle(&mut self, name: &Digest) -> impl Stored<Option<Throttle>>;

    /// Sets or clears a count of wrong passwords.
    fn put_throttle(&mut self, name: &Digest, throttle: Option<&Throttle>) -> impl Stored<()>;

    /// Keeps a session.
    fn put_session(&mut self, session: &Session) -> impl Stored<()>;

    /// A session by the digest of its cookie.
    fn session(&mut self, digest: &Digest) -> impl Stored<Option<Session>>;

    /// Ends a session.
    fn end_session(&mut self, digest: &Digest) -> impl Stored<()>;

    /// Keeps a code, new or changed.
    fn put_code(&mut self, code: &Code) -> impl Stored<()>;

    /// A code.
    fn code(&mut self, digest: &Digest) -> impl Stored<Option<Code>>;

    /// Keeps a refresh token, new or changed.
    fn put_refresh_token(&mut self, token: &RefreshToken) -> impl Stored<()>;

    /// A refresh token.
    fn refresh_token(&mut self, digest: &Digest) -> impl Stored<Option<RefreshToken>>;

    /// Ends all refresh tokens of a family.
    fn end_family(&mut self, family: Guid) -> impl Stored<()>;

    /// Remembers a one-time name until a moment; false when it was known already.
    fn use_once(&mut self, name: &Digest, until: OffsetDateTime) -> impl Stored<bool>;

    /// An application.
    fn application(&mut self, client_id: Guid) -> impl Stored<Option<Application>>;

    /// All applications, by name.
    fn applications(&mut self) -> impl Stored<Vec<Application>>;

    /// Writes an application, new or changed.
    fn put_application(&mut self, application: &Application) -> impl Stored<()>;

    /// Keeps the digest of an enrolment secret until a moment.
    fn put_enrolment(&mut self, secret: &Digest, until: OffsetDateTime) -> impl Stored<()>;

    /// Takes an enrolment secret out; false when it is unknown, used or too old.
    fn take_enrolment(&mut self, secret: &Digest, now: OffsetDateTime) -> impl Stored<bool>;

    /// A batch that was ingested.
    fn batch(&mut self, id: Guid) -> impl Stored<Option<IngestedBatch>>;

    /// Keeps a batch's answer.
    fn put_batch(&mut self, batch: &IngestedBatch) -> impl Stored<()>;

    /// Writes a line of the sign-in log.
    fn record_sign_in(&mut self, record: &SignInRecord) -> impl Stored<()>;

    /// Writes a line of the audit log.
    fn record_audit(&mut self, record: &AuditRecord) -> impl Stored<()>;

    /// Forgets what is over: sessions, codes, tokens, counts, names, batches, and what was deleted long
    /// ago.
    fn prune(&mut self, now: OffsetDateTime) -> impl Stored<()>;
}
