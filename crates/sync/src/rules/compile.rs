//! Rule files become the rules in force: references between them resolved, names made numbers,
//! expressions compiled, types checked.

mod filters;
mod flows;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::error::{Place, RuleError, nearest};
use super::model::{
    Clause, Connected, ConnectedKind, Direction, Exception, Linking, Origin, Rule, Scope,
};
use super::raw::{At, RawClause, RawException, RawRule, RuleFile};
use super::set::{RuleNumbers, Rules};
use super::types::{self, Side};
use crate::dictionary::{AttributeId, Dictionary};
use crate::forest::ObjectKind;
use crate::kind::TenantKind;
use crate::syntax::{Declaration, Syntaxes};

/// Precedences that are the default set's own, so that no release takes one of an overlay's.
pub const BUILT_IN_PRECEDENCES: std::ops::RangeInclusive<i64> = 1000..=99_999;
/// The highest precedence.
pub const PRECEDENCE_MAX: i64 = 1_000_000;
/// Octets of a rule's key.
pub const KEY_OCTETS_MAX: usize = 128;

impl Rules {
    /// The rules that files give together: the default set first, then overlays. Names of attributes
    /// and keys of rules get numbers where they have none.
    ///
    /// # Errors
    /// Every problem of every file, in the order of the files.
    pub fn compile(
        files: &[RuleFile],
        names: &mut Dictionary,
        numbers: &mut RuleNumbers,
    ) -> Result<Self, Vec<RuleError>> {
        let errors = files.iter().flat_map(|file| file.errors.iter().cloned()).collect();
        let syntaxes = Syntaxes::default();
        let mut compiler = Compiler { names, numbers, syntaxes, errors };
        compiler.declare(files);
        let listed = compiler.list(files);
        let disabled = compiler.disabled(files, &listed);
        let mut rules = Vec::new();
        let mut off = Vec::new();
        for (origin, raw) in &listed.rules {
            let key = raw.key.as_ref().map_or("", |key| key.value.as_str());
            let raw = compiler.cloned(raw, &listed);
            let is_off = raw.disabled.as_ref().is_some_and(|flag| flag.value);
            let rule = compiler.rule(*origin, &raw);
            if is_off || disabled.contains(key) {
                off.push(key.to_owned());
            } else {
                rules.extend(rule.map(|rule| (raw, rule)));
            }
        }
        compiler.precedences(&rules);
        let filters = compiler.filters(files);
        let Compiler { errors, syntaxes, .. } = compiler;
        if !errors.is_empty() {
            return Err(errors);
        }
        let (mut written, mut in_force) = (HashMap::new(), Vec::new());
        for (raw, rule) in rules {
            written.insert(rule.id, raw);
            in_force.push(rule);
        }
        let mut rules = in_force;
        rules.sort_by_key(|rule| (rule.direction != Direction::Inbound, rule.precedence));
        let written_filters = files.iter().flat_map(|file| file.filters.clone()).collect();
        Ok(Self { rules, written, written_filters, disabled: off, filters, syntaxes })
    }
}

struct Compiler<'c> {
    names: &'c mut Dictionary,
    numbers: &'c mut RuleNumbers,
    syntaxes: Syntaxes,
    errors: Vec<RuleError>,
}

/// All rules of all files, and where each key is.
struct Listed<'f> {
    rules: Vec<(Origin, &'f RawRule)>,
    by_key: HashMap<&'f str, usize>,
}

impl<'f> Listed<'f> {
    fn get(&self, key: &str) -> Option<(Origin, &'f RawRule)> {
        self.by_key.get(key).and_then(|at| self.rules.get(*at)).copied()
    }
}

impl Compiler<'_> {
    fn error(&mut self, place: &Place, text: impl Into<String>) {
        self.errors.push(RuleError::at(place, text));
    }

    fn hinted(&mut self, place: &Place, text: impl Into<String>, hint: impl Into<String>) {
        self.errors.push(RuleError::at(place, text).with_hint(hint));
    }

    fn intern(&mut self, name: &At<String>) -> Option<AttributeId> {
        match self.names.intern(&name.value) {
            Ok(id) => Some(id),
            Err(refused) => {
                self.error(&name.place, refused.to_string());
                None
            }
        }
    }

    fn declare(&mut self, files: &[RuleFile]) {
        for attribute in files.iter().flat_map(|file| &file.attributes) {
            let declaration = Declaration { syntax: attribute.syntax, single: !attribute.many };
            if self.intern(&attribute.name).is_some() {
                self.syntaxes.declare(&attribute.name.value, declaration);
            }
        }
    }

    fn list<'f>(&mut self, files: &'f [RuleFile]) -> Listed<'f> {
        let mut listed = Listed { rules: Vec::new(), by_key: HashMap::new() };
        for file in files {
            for raw in &file.rules {
                let Some(key) = &raw.key else { continue };
                let legal = |octet: u8| octet.is_ascii_alphanumeric() || b".-_".contains(&octet);
                if key.value.len() > KEY_OCTETS_MAX || !key.value.bytes().all(legal) {
                    let text = format!("{:?} is no key", key.value);
                    let hint =
                        "a key has letters, digits, points, hyphens and underscores, 128 at most";
                    self.hinted(&key.place, text, hint);
                }
                match listed.get(&key.value) {
                    Some((Origin::BuiltIn, _)) if file.origin == Origin::Overlay => self.hinted(
                        &key.place,
                        format!("{:?} is a rule of the default set, which no file changes", key.value),
                        "give this rule a key of its own with `clone`, and turn the other off with `[[disable]]`",
                    ),
                    Some((_, other)) => {
                        let text = format!("{:?} is the key of the rule at {} too", key.value, other.place);
                        self.error(&key.place, text);
                    }
                    None => {
                        listed.by_key.insert(&key.value, listed.rules.len());
                        listed.rules.push((file.origin, raw));
                    }
                }
            }
        }
        listed
    }

    fn disabled(&mut self, files: &[RuleFile], listed: &Listed<'_>) -> BTreeSet<String> {
        let mut keys = BTreeSet::new();
        for key in files.iter().flat_map(|file| &file.disabled).map(|disable| &disable.key) {
            match listed.get(&key.value) {
                Some((Origin::BuiltIn, _)) => _ = keys.insert(key.value.clone()),
                Some((Origin::Overlay, _)) => self.hinted(
                    &key.place,
                    format!("{:?} is no rule of the default set", key.value),
                    "write `disabled = true` into the rule itself",
                ),
                None => self.no_such_rule(key, listed),
            }
        }
        keys
    }

    fn no_such_rule(&mut self, key: &At<String>, listed: &Listed<'_>) {
        let text = format!("no rule has the key {:?}", key.value);
        match nearest(&key.value, listed.by_key.keys().copied()) {
            Some(meant) => self.hinted(&key.place, text, format!("did you mean {meant:?}?")),
            None => self.error(&key.place, text),
        }
    }

    /// A rule with what it takes from the one that it clones.
    fn cloned(&mut self, raw: &RawRule, listed: &Listed<'_>) -> RawRule {
        let mut whole = raw.clone();
        let mut seen: Vec<&str> = raw.key.iter().map(|key| key.value.as_str()).collect();
        let mut next = raw.clone.as_ref();
        while let Some(key) = next {
            let Some((_, other)) = listed.get(&key.value) else {
                self.no_such_rule(key, listed);
                break;
            };
            if seen.contains(&key.value.as_str()) {
                self.error(&key.place, format!("{:?} clones itself", key.value));
                break;
            }
            seen.push(&key.value);
            whole = whole.over(other);
            next = other.clone.as_ref();
        }
        whole
    }

    /// No two rules of a direction have the same precedence.
    fn precedences(&mut self, rules: &[(RawRule, Rule)]) {
        let mut taken: BTreeMap<(bool, u32), &(RawRule, Rule)> = BTreeMap::new();
        for entry in rules {
            let (RawRule { place, .. }, rule) = entry;
            let slot = (rule.direction == Direction::Inbound, rule.precedence);
            if let Some((RawRule { place: other_place, .. }, other)) = taken.insert(slot, entry) {
                let text = format!(
                    "{:?} has the precedence {} of {:?} at {other_place}",
                    rule.key, rule.precedence, other.key
                );
                self.hinted(
                    place,
                    text,
                    "of two rules one has to win: give each a number of its own",
                );
            }
        }
    }

    fn rule(&mut self, origin: Origin, raw: &RawRule) -> Option<Rule> {
        let place = &raw.place;
        let key = raw.key.as_ref()?.value.clone();
        let id = self.numbers.intern(&key);
        if id.is_none() {
            self.error(place, "more rules than a state can know");
        }
        let direction = self.given(raw.direction.as_ref(), place, "direction");
        let metaverse = self.given(raw.metaverse.as_ref(), place, "metaverse");
        let precedence = self.precedence(origin, raw);
        if raw.objects.is_none() {
            self.error(place, "this rule has no object");
        }
        let direction = direction?;
        let objects = self.objects(direction, raw.objects.as_deref().unwrap_or_default());
        let side = Side::of_source(direction);
        let scope = self.scope(side, raw);
        let joins = self.joins(raw.joins.as_deref().unwrap_or_default());
        let flows = self.flows(direction, &objects, raw.flows.as_deref().unwrap_or_default());
        let references = raw.references.as_deref().unwrap_or_default();
        let references = self.references(direction, &objects, references);
        Some(Rule {
            id: id?,
            name: raw.name.as_ref().map_or_else(|| key.clone(), |name| name.value.clone()),
            key,
            origin,
            direction,
            connected: connected(raw.connected.as_ref()),
            objects,
            metaverse: metaverse?,
            linking: raw.linking.as_ref().map_or(Linking::Join, |linking| linking.value),
            precedence: precedence?,
            scope,
            joins,
            flows,
            references,
            password: raw.password.as_ref().is_some_and(|flag| flag.value),
        })
    }

    fn given<T: Copy>(&mut self, value: Option<&At<T>>, place: &Place, key: &str) -> Option<T> {
        if value.is_none() {
            self.error(place, format!("this rule has no {key} that reads"));
        }
        value.map(|value| value.value)
    }

    fn precedence(&mut self, origin: Origin, raw: &RawRule) -> Option<u32> {
        let Some(At { value, place }) = &raw.precedence else {
            self.error(&raw.place, "this rule has no precedence");
            return None;
        };
        let reserved = BUILT_IN_PRECEDENCES.contains(value) != (origin == Origin::BuiltIn);
        if !(1..=PRECEDENCE_MAX).contains(value) || reserved {
            let text = format!("{value} is no precedence of a rule of one's own");
            let hint = "1 to 999 win over the default set, 100000 to 1000000 yield to it";
            self.hinted(place, text, hint);
            return None;
        }
        u32::try_from(*value).ok()
    }

    fn objects(&mut self, direction: Direction, raw: &[At<String>]) -> Vec<ConnectedKind> {
        let mut kinds = Vec::new();
        for At { value, place } in raw {
            let found = match direction {
                Direction::Inbound => ObjectKind::from_name(value).map(ConnectedKind::Forest),
                Direction::Outbound => TenantKind::from_name(value).map(ConnectedKind::Target),
            };
            match found {
                Some(kind) if kinds.contains(&kind) => {
                    self.error(place, format!("{value:?} is there twice"));
                }
                Some(kind) => kinds.push(kind),
                None => {
                    let known: Vec<_> = match direction {
                        Direction::Inbound => ObjectKind::ALL.map(ObjectKind::as_str).to_vec(),
                        Direction::Outbound => TenantKind::ALL.map(TenantKind::as_str).to_vec(),
                    };
                    let text = format!("{value:?} is no object of that side");
                    self.hinted(place, text, format!("it is one of {}", known.join(", ")));
                }
            }
        }
        kinds
    }

    fn scope(&mut self, side: Side, raw: &RawRule) -> Scope {
        let groups = raw.scope.as_deref().unwrap_or_default();
        let groups = groups.iter().map(|group| self.clauses(side, group)).collect();
        let except: &[RawException] = raw.except.as_deref().unwrap_or_default();
        let exceptions = except.iter().map(|exception| Exception {
            reason: exception.reason.clone(),
            clauses: self.clauses(side, &exception.clauses),
        });
        let exceptions = exceptions.collect();
        Scope { groups, exceptions }
    }

    fn clauses(&mut self, side: Side, raw: &[RawClause]) -> Vec<Clause> {
        raw.iter().filter_map(|clause| self.clause(side, clause)).collect()
    }

    fn clause(&mut self, side: Side, raw: &RawClause) -> Option<Clause> {
        let attribute = self.intern(&raw.attribute)?;
        let named = raw.operator.value;
        let known = types::of_source(side, &raw.attribute.value, &self.syntaxes);
        let form = known.map(|known| known.syntax.form());
        if let Some(why) = types::refuse(named.operator, form) {
            let text = format!("{} {why}", raw.attribute.value);
            self.error(&raw.operator.place, text);
        }
        let mut values = Vec::new();
        for At { value, place } in &raw.values {
            match types::compared(named.operator, form, value) {
                Ok(value) => values.push(value),
                Err(why) => self.error(place, format!("{} {why}", raw.attribute.value)),
            }
        }
        let (operator, negated) = (named.operator, named.negated);
        Some(Clause { attribute, operator, values, negated, case_sensitive: raw.case })
    }
}

fn connected(name: Option<&At<String>>) -> Connected {
    name.map_or(Connected::Every, |name| Connected::Named(name.value.clone()))
}

impl RawRule {
    /// This rule with what it does not say taken from another.
    fn over(self, other: &Self) -> Self {
        Self {
            place: self.place,
            key: self.key,
            clone: None,
            name: self.name,
            direction: self.direction.or_else(|| other.direction.clone()),
            connected: self.connected.or_else(|| other.connected.clone()),
            objects: self.objects.or_else(|| other.objects.clone()),
            metaverse: self.metaverse.or_else(|| other.metaverse.clone()),
            linking: self.linking.or_else(|| other.linking.clone()),
            precedence: self.precedence,
            scope: self.scope.or_else(|| other.scope.clone()),
            except: self.except.or_else(|| other.except.clone()),
            joins: self.joins.or_else(|| other.joins.clone()),
            flows: self.flows.or_else(|| other.flows.clone()),
            references: self.references.or_else(|| other.references.clone()),
            password: self.password.or_else(|| other.password.clone()),
            disabled: self.disabled,
        }
    }
}
