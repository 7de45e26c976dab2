//! Rule files being read. Every problem is noted with its place, and reading goes on.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Place, RuleError, nearest};
use super::keys;
use super::model::{Merge, Origin};
use super::operators::{
    Arity, DIRECTIONS, LINKINGS, MERGES, METAVERSE_KINDS, NamedOperator, OPERATORS, operator,
};
use super::raw::{
    At, FILE_OCTETS_MAX, FileName, RawAttribute, RawClause, RawDisable, RawException, RawFilter,
    RawFlow, RawGiven, RawJoin, RawReference, RawRule, RuleFile, Scalar,
};
use crate::syntax::Syntax;

/// Reads a file.
pub(super) fn read(origin: Origin, name: &str, text: &str) -> RuleFile {
    let mut file = RuleFile::empty(origin);
    let ends = text.match_indices('\n').map(|(end, _)| end + 1);
    let lines = std::iter::once(0).chain(ends).collect();
    let mut reader = Reader { file: name.into(), text, lines, errors: Vec::new() };
    if text.len() > FILE_OCTETS_MAX {
        reader.error(0, format!("more than {FILE_OCTETS_MAX} octets"));
        file.errors = reader.errors;
        return file;
    }
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        // One line: the reader's own message may quote the file and span several.
        let words: Vec<_> = error.message().split_whitespace().collect();
        reader.error(error.span().map_or(0, |span| span.start), words.join(" "));
    }
    let top = reader.table(document.get_ref(), document.span(), keys::FILE);
    file.rules = reader.tables(&top, "rule", keys::RULE, Reader::rule);
    file.disabled = reader.tables(&top, "disable", keys::DISABLE, Reader::disable);
    file.filters = reader.tables(&top, "filter", keys::FILTER, Reader::filter);
    file.attributes = reader.tables(&top, "attribute", keys::ATTRIBUTE, Reader::attribute);
    file.errors = reader.errors;
    file
}

struct Reader<'t> {
    file: FileName,
    text: &'t str,
    /// Where each line begins.
    lines: Vec<usize>,
    errors: Vec<RuleError>,
}

/// A table, whose keys were found to be known.
struct Table<'d> {
    entries: &'d DeTable<'d>,
    at: usize,
    kind: &'static str,
}

impl<'d> Table<'d> {
    fn get(&self, key: &str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.entries.get(key)
    }
}

impl<'t> Reader<'t> {
    fn place(&self, at: usize) -> Place {
        let line = self.lines.partition_point(|start| *start <= at);
        let start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let column = self.text.get(start..at).map_or(0, |text| text.chars().count()) + 1;
        Place { file: self.file.clone(), line, column }
    }

    fn error(&mut self, at: usize, text: impl Into<String>) {
        self.errors.push(RuleError::at(&self.place(at), text));
    }

    fn error_with_hint(&mut self, at: usize, text: String, hint: String) {
        self.errors.push(RuleError::at(&self.place(at), text).with_hint(hint));
    }

    fn table<'d>(
        &mut self,
        entries: &'d DeTable<'d>,
        span: Range<usize>,
        kind: &'static str,
    ) -> Table<'d> {
        for name in entries.keys() {
            let found = name.get_ref();
            if keys::of(kind).any(|known| known == found) {
                continue;
            }
            let text = format!("{found:?} is no key of a {kind}");
            let meant = nearest(found, keys::of(kind)).map_or_else(
                || format!("its keys are {}", keys::of(kind).collect::<Vec<_>>().join(", ")),
                |meant| format!("did you mean {meant:?}?"),
            );
            self.error_with_hint(name.span().start, text, meant);
        }
        Table { entries, at: span.start, kind }
    }

    fn wrong_type(&mut self, value: &Spanned<DeValue<'_>>, key: &str, wanted: &str) {
        let found = value.get_ref().type_str();
        self.error(
            value.span().start,
            format!("{key} takes {wanted}, and this is of type {found}"),
        );
    }

    fn items<'d>(
        &mut self,
        value: &'d Spanned<DeValue<'d>>,
        key: &str,
    ) -> Vec<&'d Spanned<DeValue<'d>>> {
        if let Some(array) = value.get_ref().as_array() {
            return array.iter().collect();
        }
        self.wrong_type(value, key, "an array");
        Vec::new()
    }

    /// The tables of an array under a key, each read by `read`.
    fn tables<'d, T>(
        &mut self,
        table: &Table<'d>,
        key: &'static str,
        kind: &'static str,
        read: fn(&mut Self, &Table<'d>) -> Option<T>,
    ) -> Vec<T> {
        let Some(value) = table.get(key) else { return Vec::new() };
        let items = self.items(value, key);
        items.into_iter().filter_map(|item| self.inner(item, key, kind, read)).collect()
    }

    fn inner<'d, T>(
        &mut self,
        item: &'d Spanned<DeValue<'d>>,
        key: &str,
        kind: &'static str,
        read: fn(&mut Self, &Table<'d>) -> Option<T>,
    ) -> Option<T> {
        let Some(entries) = item.get_ref().as_table() else {
            self.wrong_type(item, key, "tables");
            return None;
        };
        let table = self.table(entries, item.span(), kind);
        read(self, &table)
    }

    /// Likewise of an array of arrays.
    fn groups<'d, T>(
        &mut self,
        table: &Table<'d>,
        key: &'static str,
        kind: &'static str,
        read: fn(&mut Self, &Table<'d>) -> Option<T>,
    ) -> Option<Vec<Vec<T>>> {
        let value = table.get(key)?;
        let mut groups = Vec::new();
        for group in self.items(value, key) {
            let items = self.items(group, key);
            if items.is_empty() && group.get_ref().is_array() {
                self.error(group.span().start, format!("an empty group in {key}"));
            }
            let read_all = items.into_iter().filter_map(|item| self.inner(item, key, kind, read));
            groups.push(read_all.collect());
        }
        Some(groups)
    }

    fn text(&mut self, table: &Table<'_>, key: &str) -> Option<At<String>> {
        let value = table.get(key)?;
        self.text_of(value, key)
    }

    fn text_of(&mut self, value: &Spanned<DeValue<'_>>, key: &str) -> Option<At<String>> {
        let place = self.place(value.span().start);
        match value.get_ref().as_str() {
            Some("") => self.error(value.span().start, format!("{key} is empty")),
            Some(text) => return Some(At { value: text.to_owned(), place }),
            None => self.wrong_type(value, key, "a text"),
        }
        None
    }

    fn required(&mut self, table: &Table<'_>, key: &str) -> Option<At<String>> {
        if table.get(key).is_none() {
            self.missing(table, key);
        }
        self.text(table, key)
    }

    fn missing(&mut self, table: &Table<'_>, key: &str) {
        self.error(table.at, format!("this {} has no {key}", table.kind));
    }

    fn flag(&mut self, table: &Table<'_>, key: &str) -> Option<At<bool>> {
        let value = table.get(key)?;
        let place = self.place(value.span().start);
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.wrong_type(value, key, "true or false");
        }
        flag.map(|value| At { value, place })
    }

    fn is_set(&mut self, table: &Table<'_>, key: &str) -> bool {
        self.flag(table, key).is_some_and(|flag| flag.value)
    }

    fn number(&mut self, table: &Table<'_>, key: &str) -> Option<At<i64>> {
        let value = table.get(key)?;
        match self.scalar(value, key)? {
            At { value: Scalar::Integer(value), place } => Some(At { value, place }),
            _ => {
                self.wrong_type(value, key, "a number");
                None
            }
        }
    }

    fn scalar(&mut self, value: &Spanned<DeValue<'_>>, key: &str) -> Option<At<Scalar>> {
        let place = self.place(value.span().start);
        let scalar = match value.get_ref() {
            DeValue::String(text) => Scalar::Text(text.clone().into_owned()),
            DeValue::Boolean(flag) => Scalar::Boolean(*flag),
            DeValue::Integer(number) => {
                let Ok(number) = i64::from_str_radix(number.as_str(), number.radix()) else {
                    self.error(value.span().start, "a number that 64 bits do not hold");
                    return None;
                };
                Scalar::Integer(number)
            }
            _ => {
                self.wrong_type(value, key, "a text, a number, true or false");
                return None;
            }
        };
        Some(At { value: scalar, place })
    }

    /// A value by its name in a table of names.
    fn choice<T: Copy>(
        &mut self,
        table: &Table<'_>,
        key: &str,
        names: &[(&'static str, T)],
    ) -> Option<At<T>> {
        let At { value: text, place } = self.text(table, key)?;
        if let Some((_, value)) = names.iter().find(|(name, _)| *name == text) {
            return Some(At { value: *value, place });
        }
        let all: Vec<_> = names.iter().map(|(name, _)| *name).collect();
        let hint = format!("it is one of {}", all.join(", "));
        self.errors.push(RuleError::at(&place, format!("{text:?} is no {key}")).with_hint(hint));
        None
    }

    fn rule(&mut self, table: &Table<'_>) -> Option<RawRule> {
        let objects = table.get("object").map(|value| match value.get_ref() {
            DeValue::Array(items) => {
                items.iter().filter_map(|item| self.text_of(item, "object")).collect()
            }
            _ => self.text_of(value, "object").into_iter().collect(),
        });
        let given = |key: &str| table.get(key).is_some();
        Some(RawRule {
            place: self.place(table.at),
            key: self.required(table, "key"),
            name: self.text(table, "name"),
            clone: self.text(table, "clone"),
            direction: self.choice(table, "direction", DIRECTIONS),
            connected: self.text(table, "connected"),
            objects,
            metaverse: self.choice(table, "metaverse", METAVERSE_KINDS),
            linking: self.choice(table, "linking", LINKINGS),
            precedence: self.number(table, "precedence"),
            scope: self.groups(table, "scope", keys::CLAUSE, Self::clause),
            except: given("except")
                .then(|| self.tables(table, "except", keys::EXCEPTION, Self::exception)),
            joins: self.groups(table, "joins", keys::JOIN, Self::join),
            flows: given("flows").then(|| self.tables(table, "flows", keys::FLOW, Self::flow)),
            references: given("references")
                .then(|| self.tables(table, "references", keys::REFERENCE, Self::reference)),
            password: self.flag(table, "password"),
            disabled: self.flag(table, "disabled"),
        })
    }

    fn clause(&mut self, table: &Table<'_>) -> Option<RawClause> {
        let attribute = self.required(table, "attribute");
        let operator = self.required(table, "operator").and_then(|name| self.operator(name));
        let mut values = Vec::new();
        if let Some(value) = table.get("value") {
            values.extend(self.scalar(value, "value"));
        }
        if let Some(several) = table.get("values") {
            if table.get("value").is_some() {
                self.error(several.span().start, "a clause has value or values, not both");
            }
            for value in self.items(several, "values") {
                values.extend(self.scalar(value, "values"));
            }
        }
        let (attribute, operator) = (attribute?, operator?);
        let name = operator.value.name;
        match operator.value.values {
            Arity::None if !values.is_empty() => {
                self.error(table.at, format!("{name} takes no value"));
            }
            Arity::Some if values.is_empty() => {
                self.error(table.at, format!("{name} needs a value"));
            }
            Arity::None | Arity::Some => {}
        }
        let case = self.is_set(table, "case");
        Some(RawClause { attribute, operator, values, case })
    }

    fn operator(&mut self, name: At<String>) -> Option<At<&'static NamedOperator>> {
        let At { value: name, place } = name;
        if let Some(value) = operator(&name) {
            return Some(At { value, place });
        }
        let names: Vec<_> = OPERATORS.iter().map(|operator| operator.name).collect();
        let hint = nearest(&name, names.iter().copied()).map_or_else(
            || format!("it is one of {}", names.join(", ")),
            |meant| format!("did you mean {meant}?"),
        );
        self.errors.push(RuleError::at(&place, format!("{name:?} is no operator")).with_hint(hint));
        None
    }

    fn exception(&mut self, table: &Table<'_>) -> Option<RawException> {
        let reason = self.required(table, "reason");
        let clauses = self.tables(table, "where", keys::CLAUSE, Self::clause);
        if table
            .get("where")
            .is_none_or(|list| list.get_ref().as_array().is_some_and(|l| l.is_empty()))
        {
            self.error(table.at, "an exception without a clause leaves out every object");
        }
        Some(RawException { reason: reason?.value, clauses })
    }

    fn join(&mut self, table: &Table<'_>) -> Option<RawJoin> {
        let (source, target) = (self.required(table, "source"), self.required(table, "target"));
        let case = self.is_set(table, "case");
        Some(RawJoin { source: source?, target: target?, case })
    }

    fn flow(&mut self, table: &Table<'_>) -> Option<RawFlow> {
        let target = self.required(table, "target");
        let constant = table.get("constant").and_then(|value| self.scalar(value, "constant"));
        let source = self.text(table, "source").map(RawGiven::Source);
        let expression = self.text(table, "expression").map(RawGiven::Expression);
        let merge = self.choice(table, "merge", MERGES).map_or(Merge::Update, |merge| merge.value);
        let once = self.is_set(table, "once");
        let mut given =
            [source, constant.map(RawGiven::Constant), expression].into_iter().flatten();
        let first = given.next();
        let stated =
            ["source", "constant", "expression"].iter().filter(|key| table.get(key).is_some());
        if stated.count() != 1 {
            let text = "a flow has one of source, constant and expression";
            self.error(table.at, text);
        }
        Some(RawFlow { target: target?, given: first?, once, merge })
    }

    fn reference(&mut self, table: &Table<'_>) -> Option<RawReference> {
        let (source, target) = (self.required(table, "source"), self.required(table, "target"));
        Some(RawReference { target: target?, source: source? })
    }

    fn disable(&mut self, table: &Table<'_>) -> Option<RawDisable> {
        let _reason = self.text(table, "reason");
        self.required(table, "key").map(|key| RawDisable { key })
    }

    fn filter(&mut self, table: &Table<'_>) -> Option<RawFilter> {
        Some(RawFilter {
            place: self.place(table.at),
            connected: self.text(table, "connected"),
            domain: self.text(table, "domain"),
            unit: self.text(table, "unit"),
            guid: self.text(table, "guid"),
            group: self.text(table, "group"),
            clauses: table
                .get("where")
                .is_some()
                .then(|| self.tables(table, "where", keys::CLAUSE, Self::clause)),
            include: self.is_set(table, "include"),
            reason: self.text(table, "reason").map(|reason| reason.value),
        })
    }

    fn attribute(&mut self, table: &Table<'_>) -> Option<RawAttribute> {
        let name = self.required(table, "name");
        if table.get("syntax").is_none() {
            self.missing(table, "syntax");
        }
        let syntax = self.choice(table, "syntax", &Syntax::NAMED);
        let many = self.is_set(table, "many");
        Some(RawAttribute { name: name?, syntax: syntax?.value, many })
    }
}
