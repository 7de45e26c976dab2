//! What the first releases did without rules, object by object: the measure of the default set.

pub(super) mod flow;
pub(super) mod object;
pub(super) mod scope;

pub(super) use object::FormerObject;
