//! `nft --json list ruleset`; see
//! <https://manpages.debian.org/bookworm/libnftables1/libnftables-json.5.en.html>.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::ReadError;
use super::condition::{Condition, Truth};
use super::nft_expression::{Sets, condition, verdict_map};
use super::ruleset::{Action, Base, Hook, Rule, Ruleset};
use crate::firewall::Family;

/// The letters of a rule's comment that are shown.
const COMMENT_LETTERS_MAX: usize = 120;

/// A chain's or a set's name: family, table, name.
pub(super) type Name = (String, String, String);

/// Reads a listing.
pub(super) fn read(text: &str) -> Result<Ruleset, ReadError> {
    let document: Value = serde_json::from_str(text).map_err(|error| ReadError::Json {
        line: error.line(),
        column: error.column(),
        what: words(&error),
    })?;
    let Some(items) = document.get("nftables").and_then(Value::as_array) else {
        return Err(malformed("the top", "there is no list named nftables"));
    };
    let mut reader = Reader::default();
    reader.ruleset.has_family(Family::V4);
    reader.ruleset.has_family(Family::V6);
    // What rules name may stand behind them.
    reader.declare(items)?;
    for (at, item) in items.iter().enumerate() {
        if let Some(rule) = object(item, "rule") {
            reader.rule(rule, &format!("nftables[{at}].rule"))?;
        }
    }
    Ok(reader.ruleset)
}

/// The reader's words without the place, which is said beside them.
fn words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(words, _)| words.to_owned())
}

#[derive(Default)]
struct Reader {
    ruleset: Ruleset,
    chains: HashMap<Name, usize>,
    sets: Sets,
}

impl Reader {
    fn declare(&mut self, items: &[Value]) -> Result<(), ReadError> {
        let mut passed_over = HashSet::new();
        let doubtful = self.tables(items)?;
        for (at, item) in items.iter().enumerate() {
            if let Some(chain) = object(item, "chain") {
                let place = format!("nftables[{at}].chain");
                let name = name(chain, &place)?;
                if !is_of_hosts(&name.0) {
                    if name.0 == "bridge" && passed_over.insert(name.1.clone()) {
                        self.ruleset.notes.push(format!("the table bridge {} is not read", name.1));
                    }
                    continue;
                }
                let table = (name.0.clone(), name.1.clone());
                let passes = doubtful.get(&table).copied().unwrap_or(Truth::Yes);
                self.chain(chain, name, passes, &place)?;
            }
            for kind in ["set", "map"] {
                if let Some(set) = object(item, kind) {
                    let name = name(set, &format!("nftables[{at}].{kind}"))?;
                    self.sets.insert(name, set);
                }
            }
        }
        Ok(())
    }

    /// The tables whose chains packets may not pass, with whether they do.
    fn tables(&mut self, items: &[Value]) -> Result<HashMap<(String, String), Truth>, ReadError> {
        let mut doubtful = HashMap::new();
        for (at, item) in items.iter().enumerate() {
            let Some(table) = object(item, "table") else { continue };
            let name = table_name(table, &format!("nftables[{at}].table"))?;
            let note = match (is_of_hosts(&name.0), passes(table)) {
                (true, Truth::No) => "is dormant: it closes nothing, and opens nothing",
                (true, Truth::Unknown) => {
                    "has a flag that is not known here: it may be dormant, which \
                     `nft list ruleset` says without --json"
                }
                _ => continue,
            };
            self.ruleset.notes.push(format!("the table {} {} {note}", name.0, name.1));
            doubtful.insert(name, passes(table));
        }
        Ok(doubtful)
    }

    /// A chain, in a table whose chains packets pass or not.
    fn chain(
        &mut self,
        chain: &Map<String, Value>,
        name: Name,
        passes: Truth,
        at: &str,
    ) -> Result<(), ReadError> {
        let (family, table, own) = &name;
        let index = self.ruleset.add_chain(format!("chain {own} of {family} {table}"), at)?;
        let text = |key: &str| chain.get(key).and_then(Value::as_str);
        if let Some(hook) = text("hook") {
            let priority = chain.get("prio").and_then(Value::as_i64);
            let Some(priority) = priority else {
                return Err(malformed(at, "a chain at a hook has a priority"));
            };
            let family = match family.as_str() {
                "ip" => Some(Family::V4),
                "ip6" => Some(Family::V6),
                _ => None,
            };
            let accepts = match text("policy") {
                None | Some("accept") => true,
                Some("drop") => false,
                Some(_) => return Err(malformed(at, "a policy is accept or drop")),
            };
            // What is passed on to others is not read.
            if let Some(hook) = Hook::named(hook).filter(|_| passes != Truth::No) {
                let is_nat = text("type") == Some("nat");
                let may_be_missed = chain.contains_key("dev") || passes == Truth::Unknown;
                let base =
                    Base { hook, priority, family, is_nat, may_be_missed, accepts, chain: index };
                self.ruleset.bases.push(base);
            }
        }
        match self.chains.insert(name, index) {
            None => Ok(()),
            Some(_) => Err(malformed(at, "a chain of this name stands before")),
        }
    }

    fn rule(&mut self, rule: &Map<String, Value>, at: &str) -> Result<(), ReadError> {
        let text = |key: &str| rule.get(key).and_then(Value::as_str);
        let (Some(family), Some(table), Some(chain)) =
            (text("family"), text("table"), text("chain"))
        else {
            return Err(malformed(at, "a rule names its family, table and chain"));
        };
        if !is_of_hosts(family) {
            return Ok(());
        }
        let table = (family, table);
        let Some(index) = self.chain_named(table, chain) else {
            return Err(malformed(at, "the rule's chain is not listed"));
        };
        let handle = rule.get("handle").and_then(Value::as_u64);
        let mut place = format!("chain {chain} of {family} {}", table.1);
        if let Some(handle) = handle {
            place = format!("{place}, handle {handle}");
        }
        if let Some(comment) = text("comment") {
            let short: String = comment.chars().take(COMMENT_LETTERS_MAX).collect();
            place = format!("{place}, \"{short}\"");
        }
        let Some(expressions) = rule.get("expr").and_then(Value::as_array) else {
            return Err(malformed(at, "a rule has a list of expressions"));
        };
        let family_only = match family {
            "ip" => Some(Condition::Family(Family::V4)),
            "ip6" => Some(Condition::Family(Family::V6)),
            _ => None,
        };
        let mut when: Vec<_> = family_only.into_iter().collect();
        for (number, expression) in expressions.iter().enumerate() {
            let at = format!("{at}.expr[{number}]");
            let statement = self.statement(expression, (table, chain), &at)?;
            match statement {
                Statement::Condition(condition) => when.push(condition),
                Statement::Passes => {}
                Statement::Verdict(action) => {
                    let rule = Rule { place: place.clone(), when: Condition::All(when), action };
                    // What a rule does after it may have decided needs no look: only where what it
                    // did is unknown may it go on, and then it does nothing that is known.
                    return self.ruleset.add_rule(index, rule, &at);
                }
            }
        }
        let rule = Rule { place, when: Condition::All(when), action: Action::Pass };
        self.ruleset.add_rule(index, rule, at)
    }

    fn chain_named(&self, (family, table): (&str, &str), name: &str) -> Option<usize> {
        let key = (family.to_owned(), table.to_owned(), name.to_owned());
        self.chains.get(&key).copied()
    }

    fn statement(
        &self,
        expression: &Value,
        (table, chain): ((&str, &str), &str),
        at: &str,
    ) -> Result<Statement, ReadError> {
        let Some((kind, value)) =
            expression.as_object().filter(|it| it.len() == 1).and_then(|it| it.iter().next())
        else {
            return Err(malformed(at, "an expression is an object of one name"));
        };
        let verdict = |action| Ok(Statement::Verdict(action));
        match kind.as_str() {
            "match" => condition(value, table, &self.sets)
                .map(Statement::Condition)
                .ok_or_else(|| malformed(at, "a match has op, left and right")),
            // What counts, logs or marks decides nothing by itself; what asks for a mark is unknown.
            "counter" | "last" | "log" | "set" | "map" | "ct helper" | "ct timeout" | "secmark" => {
                Ok(Statement::Passes)
            }
            "mangle" if is_harmless(value) => Ok(Statement::Passes),
            "limit" | "quota" | "ct count" => {
                Ok(Statement::Condition(Condition::Unknown(format!("the expression {kind}"))))
            }
            // What iptables added in its own way; its own listing tells more.
            "xt" if value.get("type").and_then(Value::as_str) == Some("match") => {
                Ok(Statement::Condition(Condition::Unknown(extension(value))))
            }
            "xt" => verdict(Action::Unknown(extension(value))),
            "vmap" => {
                let chain_of = |name: &str| self.chain_named(table, name);
                match verdict_map(value, table, &self.sets, &chain_of) {
                    Some(choices) => verdict(Action::Choose(choices)),
                    None => verdict(Action::Unknown("a map of verdicts".to_owned())),
                }
            }
            "masquerade" | "snat" if self.is_after_the_filter(table, chain) => {
                verdict(Action::Accept)
            }
            _ => match action(kind, value, &|name: &str| self.chain_named(table, name)) {
                Some(action) => verdict(action),
                None => Err(malformed(at, "the chain that is jumped to is not listed")),
            },
        }
    }

    /// Whether a chain changes a packet only when it has passed the others.
    fn is_after_the_filter(&self, table: (&str, &str), chain: &str) -> bool {
        let index = self.chain_named(table, chain);
        let is_late = |hook| matches!(hook, Hook::Input | Hook::Postrouting);
        self.ruleset.bases.iter().any(|base| Some(base.chain) == index && is_late(base.hook))
    }
}

enum Statement {
    Condition(Condition),
    Passes,
    Verdict(Action),
}

/// A verdict; `None` when it leads to a chain that is not there.
pub(super) fn action(
    kind: &str,
    value: &Value,
    chain_of: &dyn Fn(&str) -> Option<usize>,
) -> Option<Action> {
    let target = || chain_of(value.get("target")?.as_str()?);
    Some(match kind {
        "accept" => Action::Accept,
        "drop" | "reject" => Action::Deny,
        "continue" => Action::Pass,
        "return" => Action::Return,
        "jump" => Action::Jump(target()?),
        "goto" => Action::Goto(target()?),
        other => Action::Unknown(format!("the expression {other}")),
    })
}

fn extension(value: &Value) -> String {
    let name = value.get("name").and_then(Value::as_str).unwrap_or_default();
    format!("the extension {name} of iptables, which iptables-save tells more of")
}

/// Whether a change of a packet touches nothing that a rule here asks.
fn is_harmless(value: &Value) -> bool {
    let key = value.get("key");
    key.is_some_and(|key| key.get("meta").is_some() || key.get("tcp option").is_some())
        || key.and_then(|key| key.pointer("/ct/key")).and_then(Value::as_str) == Some("mark")
}

fn object<'item>(item: &'item Value, kind: &str) -> Option<&'item Map<String, Value>> {
    item.get(kind)?.as_object()
}

fn name(item: &Map<String, Value>, at: &str) -> Result<Name, ReadError> {
    let text = |key: &str| item.get(key).and_then(Value::as_str).map(str::to_owned);
    match (text("family"), text("table"), text("name")) {
        (Some(family), Some(table), Some(name)) => Ok((family, table, name)),
        _ => Err(malformed(at, "family, table and name are texts")),
    }
}

fn table_name(table: &Map<String, Value>, at: &str) -> Result<(String, String), ReadError> {
    let text = |key: &str| table.get(key).and_then(Value::as_str).map(str::to_owned);
    match (text("family"), text("name")) {
        (Some(family), Some(name)) => Ok((family, name)),
        _ => Err(malformed(at, "family and name are texts")),
    }
}

/// Whether the kernel hands packets to a table's chains: not where it is switched off. A flag is listed as a
/// text, and by newer versions in a list.
// DIVERGES: nft 1.0.6 writes the name of the family in place of any flag's, so that a dormant table and one
// that a program owns look the same.
fn passes(table: &Map<String, Value>) -> Truth {
    let flags = match table.get("flags") {
        None => return Truth::Yes,
        Some(Value::Array(flags)) => flags.iter().collect(),
        Some(flag) => vec![flag],
    };
    let names: Vec<_> = flags.iter().filter_map(|flag| flag.as_str()).collect();
    let is_known = |name: &&str| matches!(*name, "owner" | "persist");
    match names.contains(&"dormant") {
        true => Truth::No,
        false if names.len() == flags.len() && names.iter().all(is_known) => Truth::Yes,
        false => Truth::Unknown,
    }
}

/// The families whose tables a host's own packets pass.
fn is_of_hosts(family: &str) -> bool {
    matches!(family, "ip" | "ip6" | "inet" | "netdev")
}

fn malformed(at: &str, what: &str) -> ReadError {
    ReadError::Malformed { at: at.to_owned(), what: what.to_owned() }
}
