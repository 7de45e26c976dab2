//! Small rulesets, each with what it opens and closes.
