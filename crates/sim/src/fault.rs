//! What goes wrong, and where.

use std::cell::Cell;

use portolan_app::report::Failure;
use tokio::sync::Notify;

/// What a server does when it sends a batch.
pub const BATCH: &str = "a batch";

/// How a cycle is broken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The connection of the moment is lost; the server goes on and says so.
    Lost,
    /// The server dies where it stands.
    Crash,
    /// The server stands still, and goes on when it is told to.
    Pause,
}

/// Counts what a server does with others, and breaks it off at one of them.
#[derive(Debug)]
pub struct Fuse {
    left: Cell<u32>,
    cut: Cell<Option<Cut>>,
    burnt: Notify,
    resumed: Notify,
    /// What alone counts.
    only: Option<&'static str>,
    /// What it was doing.
    at: Cell<&'static str>,
}

impl Fuse {
    /// One that burns after so many passes; never, without a cut.
    #[must_use]
    pub fn new(passes: u32, cut: Option<Cut>) -> Self {
        Self {
            left: Cell::new(passes),
            cut: Cell::new(cut),
            burnt: Notify::new(),
            resumed: Notify::new(),
            only: None,
            at: Cell::new(""),
        }
    }

    /// One that counts nothing but this.
    #[must_use]
    pub fn only(self, doing: &'static str) -> Self {
        Self { only: Some(doing), ..self }
    }

    /// Passes, or does not.
    ///
    /// # Errors
    /// When the connection is lost here. Where the server dies it waits for ever.
    pub async fn pass(&self, doing: &'static str) -> Result<(), Failure> {
        let Some(cut) = self.cut.get() else { return Ok(()) };
        if self.only.is_some_and(|only| only != doing) {
            return Ok(());
        }
        if self.left.get() > 0 {
            self.left.set(self.left.get() - 1);
            return Ok(());
        }
        self.at.set(doing);
        match cut {
            Cut::Lost => {
                self.cut.set(None);
                Err(Failure::new(format!("the connection was lost at {doing}")).elsewhere())
            }
            Cut::Crash => {
                self.burnt.notify_one();
                std::future::pending().await
            }
            Cut::Pause => {
                self.cut.set(None);
                self.burnt.notify_one();
                self.resumed.notified().await;
                Ok(())
            }
        }
    }

    /// Lets a server go on that stands still.
    pub fn resume(&self) {
        self.resumed.notify_one();
    }

    /// Waits for the server's death, or until it stands still.
    pub async fn burnt(&self) {
        self.burnt.notified().await;
    }

    /// What it was doing when it was broken off.
    #[must_use]
    pub fn at(&self) -> &'static str {
        self.at.get()
    }
}

/// What goes wrong in a directory during a cycle.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// People change things while it is read.
    pub meanwhile: bool,
    /// The next cookie is refused.
    pub cookie_refused: bool,
    /// What was told is told again.
    pub repeats: bool,
    /// Objects come in no order.
    pub reorders: bool,
    /// No controller answers.
    pub down: bool,
    /// The bug of a server that takes what does not answer for empty.
    pub is_taken_for_empty: bool,
}

/// Bugs that are put in on purpose: each of them a checker must find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// The tenant acknowledges an operation of a batch that it does not write.
    LosesAcknowledged,
    /// The tenant writes an object under another anchor again.
    WritesTwice,
    /// The tenant deletes an object that nobody asked it to.
    DeletesUnasked,
    /// The server sends a deletion that nothing in the forest is the cause of.
    SendsDeletion,
    /// The tenant answers a repeated batch in other words.
    AnswersOtherwise,
    /// The tenant puts a member into a group that nobody asked for.
    AddsMember,
    /// The server changes an object's anchor on its way.
    ChangesAnchor,
    /// There is something to do in every cycle.
    NeverQuiet,
    /// The server deletes as many as there are.
    IgnoresGuard,
    /// The server takes a forest that does not answer for one in which all is deleted.
    TakesUnreadForEmpty,
    /// The tenant takes batches of whoever held the lease once.
    IgnoresEpoch,
    /// The leases of a tenant that was restored have the ids again that others had before.
    RepeatsLeases,
    /// A server that takes over is told that the tenant has nothing.
    ConfirmsNothing,
    /// The server does not wait as long as Graph tells it to.
    IgnoresRetryAfter,
    /// The server waits much longer than it has to.
    Oversleeps,
    /// The server makes groups at Graph under names by which it does not know them again.
    MakesUnderOtherNames,
    /// The server takes what a controller lacks for gone, though it read of it before.
    IgnoresVector,
    /// A server that takes over is not told how far the one before it had read.
    IgnoresPredecessor,
    /// The server writes in staging mode, too.
    IgnoresStaging,
    /// The rules join people by what is no sign of who they are.
    JoinsStrangers,
    /// The rules join nobody.
    JoinsNobody,
    /// The server forgets whom it joined.
    ForgetsJoins,
}
