//! The chart proven on the wire: each row of a role is asked in its own protocol, and judged.
//!
//! [`Check`] takes a [`Deployment`] (who stands where) and puts every question of the role's rows at
//! once; each ends as a [`Finding`] with a [`Verdict`], and all of them are a [`Report`]. What is asked on a
//! row is [`Speaks`](portolan_chart::Speaks)' matter: one module of [`probes`] a protocol. No probe sends a
//! real credential or moves a lockout counter, and every one ends within [`Limits::probe_time_max`].

mod asker;
mod check;
mod deployment;
mod finding;
pub mod mark;
mod metered;
pub mod probes;
mod report;
pub mod respond;

pub use asker::Asker;
pub use check::{Check, Event};
pub use deployment::{Deployment, Host, Limits};
pub use finding::{Defect, DefectKind, Figures, Finding, Outcome, Question, Verdict};
pub use report::{Report, RowReport, Standing};
