//! Rules as the engine evaluates them: every name a number, every expression compiled, every reference
//! to another rule resolved.

use crate::dictionary::AttributeId;
use crate::expression::Expression;
use crate::forest::ObjectKind;
use crate::kind::TenantKind;
use crate::record::Value;

/// The number of a rule in a state: it is kept with every value that the rule gave, and means the same
/// rule as long as the state lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub u16);

/// What an object is in the metaverse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MetaverseKind {
    /// A person: users and contacts of forests.
    Person,
    /// A group.
    Group,
    /// A device.
    Device,
}

/// Which way a rule goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From a connector space into the metaverse.
    Inbound,
    /// From the metaverse to a target.
    Outbound,
}

/// What a rule's object is in the connected system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConnectedKind {
    /// An object of a forest.
    Forest(ObjectKind),
    /// An object of a target.
    Target(TenantKind),
}

/// What a rule does about the link between an object and the metaverse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Linking {
    /// Joins, and makes the object at the other end when there is none. Its end ends the link.
    Provision,
    /// Joins, and makes nothing. Out of scope, the link ends; it does not keep the metaverse object.
    Join,
    /// Joins, and the link stays when the rule's scope does not hold any more.
    StickyJoin,
}

/// Which connected systems a rule is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connected {
    /// Every system of the rule's side: all forests, or all targets.
    Every,
    /// The one with this name.
    Named(String),
}

/// Where a rule comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The default rule set: part of the release.
    BuiltIn,
    /// The administrator's overlay.
    Overlay,
}

/// One rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its number in the state.
    pub id: RuleId,
    /// What identifies it for ever, in files and reports.
    pub key: String,
    /// Its name for people.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// Which way it goes.
    pub direction: Direction,
    /// For which connected systems.
    pub connected: Connected,
    /// What the object is there: one of these, all of the rule's side.
    pub objects: Vec<ConnectedKind>,
    /// What it is in the metaverse.
    pub metaverse: MetaverseKind,
    /// What it does about links.
    pub linking: Linking,
    /// Of two rules that give an attribute a value, that with the lower number wins. No two rules of a
    /// direction have the same.
    pub precedence: u32,
    /// For which objects. Inbound of the connector space's, outbound of the metaverse's attributes.
    pub scope: Scope,
    /// How to find the object at the other end: in order, until a group matches exactly one.
    pub joins: Vec<JoinGroup>,
    /// What it gives, in ascending order of the targets' numbers, each target once.
    pub flows: Vec<Flow>,
    /// References that it passes on.
    pub references: Vec<ReferenceFlow>,
    /// Whether users that it brings into scope have their password hash synchronised.
    pub password: bool,
}

/// For which objects a rule is: one of the groups holds, and of a group every clause; no group: all.
/// Those of an exception are left out whatever the groups say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Groups of clauses.
    pub groups: Vec<Vec<Clause>>,
    /// Exceptions.
    pub exceptions: Vec<Exception>,
}

/// Objects that a scope leaves out: those for which every clause holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// Why they are left out, for people.
    pub reason: String,
    /// The clauses, one at least.
    pub clauses: Vec<Clause>,
}

/// One condition on an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// The attribute.
    pub attribute: AttributeId,
    /// What of it.
    pub operator: Operator,
    /// What it is compared to; none for [`Operator::IsNull`]. One of them has to hold.
    pub values: Vec<Value>,
    /// Whether the condition is that the operator does not hold: of no value, with none of those above.
    pub negated: bool,
    /// Whether texts are compared with their case.
    pub case_sensitive: bool,
}

/// The operators of a scope, by the names that Entra Connect gives them. Of an attribute with several
/// values one has to hold. Octets are compared to texts as lower-case hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operator {
    /// EQUAL (NOTEQUAL when negated).
    Equal,
    /// LESSTHAN, of numbers.
    LessThan,
    /// LESSTHAN_OR_EQUAL, of numbers.
    LessThanOrEqual,
    /// GREATERTHAN, of numbers.
    GreaterThan,
    /// GREATERTHAN_OR_EQUAL, of numbers.
    GreaterThanOrEqual,
    /// CONTAINS.
    Contains,
    /// STARTSWITH.
    StartsWith,
    /// ENDSWITH.
    EndsWith,
    /// LIKE, which Entra Connect does not have: `*` stands for any characters.
    Like,
    /// ISNULL (ISNOTNULL when negated).
    IsNull,
    /// ISIN: one of the values listed.
    IsIn,
    /// ISBITSET: all bits of the number are set.
    IsBitSet,
    /// ISMEMBEROF: the object is a direct member of the group with this name. The driver gives the
    /// groups of an object as the texts of the attribute `memberOf`.
    IsMemberOf,
}

/// Conditions that find an object at the other end: all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinGroup {
    /// The conditions.
    pub clauses: Vec<JoinClause>,
}

/// One condition of a join: the attribute here equals the attribute there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinClause {
    /// The object's attribute.
    pub source: AttributeId,
    /// The metaverse object's (inbound) or the target object's (outbound).
    pub target: AttributeId,
    /// Whether case counts.
    pub case_sensitive: bool,
}

/// What a flow gives.
#[derive(Debug, Clone)]
pub enum Given {
    /// The values of an attribute as they are.
    Direct(AttributeId),
    /// A value.
    Constant(Value),
    /// What an expression comes to.
    Expression(Expression),
}

/// How the values of several rules become one attribute's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Merge {
    /// Those of the rule that wins.
    #[default]
    Update,
    /// Those of all rules that merge, each once.
    Merge,
    /// Likewise; texts that differ in case alone are one.
    MergeCaseInsensitive,
}

/// A flow of values to an attribute.
#[derive(Debug, Clone)]
pub struct Flow {
    /// The attribute that gets them.
    pub target: AttributeId,
    /// Where they come from.
    pub given: Given,
    /// Whether they are given when the object is made there, and never again.
    pub once: bool,
    /// How they go together with other rules'.
    pub merge: Merge,
}

/// A flow of references, such as members: always direct, and kept as edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReferenceFlow {
    /// The attribute that gets them.
    pub target: AttributeId,
    /// The attribute that has them.
    pub source: AttributeId,
}
