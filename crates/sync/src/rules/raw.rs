//! A rule file as it was written: every value with its place, nothing resolved.

use std::sync::Arc;

use super::error::{Place, RuleError};
use super::model::{Direction, Linking, Merge, MetaverseKind, Origin};
use super::operators::NamedOperator;
use super::reader;
use crate::kind::TenantKind;
use crate::syntax::Syntax;
use crate::target::{TargetSystem, graph};

/// Octets that a rule file may have: 4 MiB.
pub const FILE_OCTETS_MAX: usize = 4 * 1024 * 1024;

/// The default rule set, as it is part of the release.
const BUILT_IN: &str = include_str!("default.toml");

/// A rule file, read but not yet compiled. What does not read is among its errors, which
/// [`super::Rules::compile`] gives with its own, all at once.
#[derive(Debug, Clone)]
pub struct RuleFile {
    pub(super) origin: Origin,
    pub(super) rules: Vec<RawRule>,
    pub(super) disabled: Vec<RawDisable>,
    pub(super) filters: Vec<RawFilter>,
    pub(super) attributes: Vec<RawAttribute>,
    pub(super) errors: Vec<RuleError>,
}

impl RuleFile {
    /// Reads a file of the administrator's overlay. The name is shown in errors.
    #[must_use]
    pub fn overlay(name: &str, text: &str) -> Self {
        reader::read(Origin::Overlay, name, text)
    }

    /// The default rule set.
    #[must_use]
    pub fn built_in() -> Self {
        reader::read(Origin::BuiltIn, "default.toml", BUILT_IN)
    }

    /// The default rule set for a target: without the flows out that it does not take.
    #[must_use]
    pub fn built_in_for(target: TargetSystem) -> Self {
        let mut file = Self::built_in();
        if target == TargetSystem::Graph {
            let outbound = |rule: &&mut RawRule| {
                rule.direction.as_ref().is_some_and(|at| at.value == Direction::Outbound)
            };
            for rule in file.rules.iter_mut().filter(outbound) {
                let kinds = rule.objects.iter().flatten();
                let kinds: Vec<_> =
                    kinds.filter_map(|kind| TenantKind::from_name(&kind.value)).collect();
                let takes = |name: &str| kinds.iter().any(|kind| graph::takes(name, *kind));
                if let Some(flows) = &mut rule.flows {
                    flows.retain(|flow| takes(&flow.target.value));
                }
                if let Some(references) = &mut rule.references {
                    references.retain(|flow| takes(&flow.target.value));
                }
            }
        }
        file
    }

    pub(super) fn empty(origin: Origin) -> Self {
        let (rules, disabled, filters) = (Vec::new(), Vec::new(), Vec::new());
        let (attributes, errors) = (Vec::new(), Vec::new());
        Self { origin, rules, disabled, filters, attributes, errors }
    }
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scalar {
    Text(String),
    Integer(i64),
    Boolean(bool),
}

#[derive(Debug, Clone)]
pub(super) struct RawRule {
    pub(super) place: Place,
    pub(super) key: Option<At<String>>,
    pub(super) name: Option<At<String>>,
    pub(super) clone: Option<At<String>>,
    pub(super) direction: Option<At<Direction>>,
    pub(super) connected: Option<At<String>>,
    pub(super) objects: Option<Vec<At<String>>>,
    pub(super) metaverse: Option<At<MetaverseKind>>,
    pub(super) linking: Option<At<Linking>>,
    pub(super) precedence: Option<At<i64>>,
    pub(super) scope: Option<Vec<Vec<RawClause>>>,
    pub(super) except: Option<Vec<RawException>>,
    pub(super) joins: Option<Vec<Vec<RawJoin>>>,
    pub(super) flows: Option<Vec<RawFlow>>,
    pub(super) references: Option<Vec<RawReference>>,
    pub(super) password: Option<At<bool>>,
    pub(super) disabled: Option<At<bool>>,
}

#[derive(Debug, Clone)]
pub(super) struct RawClause {
    pub(super) attribute: At<String>,
    pub(super) operator: At<&'static NamedOperator>,
    pub(super) values: Vec<At<Scalar>>,
    pub(super) case: bool,
}

#[derive(Debug, Clone)]
pub(super) struct RawException {
    pub(super) reason: String,
    pub(super) clauses: Vec<RawClause>,
}

#[derive(Debug, Clone)]
pub(super) struct RawJoin {
    pub(super) source: At<String>,
    pub(super) target: At<String>,
    pub(super) case: bool,
}

#[derive(Debug, Clone)]
pub(super) enum RawGiven {
    Source(At<String>),
    Constant(At<Scalar>),
    Expression(At<String>),
}

#[derive(Debug, Clone)]
pub(super) struct RawFlow {
    pub(super) target: At<String>,
    pub(super) given: RawGiven,
    pub(super) once: bool,
    pub(super) merge: Merge,
}

#[derive(Debug, Clone)]
pub(super) struct RawReference {
    pub(super) target: At<String>,
    pub(super) source: At<String>,
}

#[derive(Debug, Clone)]
pub(super) struct RawDisable {
    pub(super) key: At<String>,
}

#[derive(Debug, Clone)]
pub(super) struct RawFilter {
    pub(super) place: Place,
    pub(super) connected: Option<At<String>>,
    pub(super) domain: Option<At<String>>,
    pub(super) unit: Option<At<String>>,
    pub(super) guid: Option<At<String>>,
    pub(super) group: Option<At<String>>,
    pub(super) clauses: Option<Vec<RawClause>>,
    pub(super) include: bool,
    pub(super) reason: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) struct RawAttribute {
    pub(super) name: At<String>,
    pub(super) syntax: Syntax,
    pub(super) many: bool,
}

/// The name of a file that many places share.
pub(super) type FileName = Arc<str>;
