//! Whether an object is in a rule's scope.

use std::cmp::Ordering;

use super::model::{Clause, Operator, Scope};
use crate::record::{Value, ValueRef};
use crate::source::Source;

/// What a scope says of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'s> {
    /// It is in scope.
    Within,
    /// An exception leaves it out.
    Excepted {
        /// The reason that the exception gives.
        reason: &'s str,
        /// The exception's clauses, all of which hold.
        clauses: &'s [Clause],
    },
    /// No group holds. Of each group the first clause that does not.
    NoGroup,
}

impl Scope {
    /// Whether an object is in scope.
    #[must_use]
    pub fn holds(&self, object: &dyn Source) -> bool {
        (self.groups.is_empty() || self.groups.iter().any(|group| all(group, object)))
            && !self.exceptions.iter().any(|exception| all(&exception.clauses, object))
    }

    /// Why an object is in scope or not.
    #[must_use]
    pub fn verdict(&self, object: &dyn Source) -> Verdict<'_> {
        let excepted = self.exceptions.iter().find(|exception| all(&exception.clauses, object));
        match excepted {
            Some(exception) => {
                Verdict::Excepted { reason: &exception.reason, clauses: &exception.clauses }
            }
            None if self.holds(object) => Verdict::Within,
            None => Verdict::NoGroup,
        }
    }

    /// Of every group the first clause that does not hold.
    #[must_use]
    pub fn failing(&self, object: &dyn Source) -> Vec<&Clause> {
        let first = |group: &'_ Vec<Clause>| group.iter().position(|clause| !clause.holds(object));
        self.groups.iter().filter_map(|group| group.get(first(group)?)).collect()
    }

    /// All clauses: the groups', then the exceptions'.
    pub fn clauses(&self) -> impl Iterator<Item = &Clause> {
        let excepted = self.exceptions.iter().flat_map(|exception| &exception.clauses);
        self.groups.iter().flatten().chain(excepted)
    }
}

fn all(clauses: &[Clause], object: &dyn Source) -> bool {
    clauses.iter().all(|clause| clause.holds(object))
}

impl Clause {
    /// Whether the condition holds for an object.
    #[must_use]
    pub fn holds(&self, object: &dyn Source) -> bool {
        let mut values = object.values(self.attribute);
        let found = match self.operator {
            Operator::IsNull => values.is_empty(),
            _ => values.any(|value| self.values.iter().any(|other| self.compares(value, other))),
        };
        found != self.negated
    }

    fn compares(&self, value: ValueRef<'_>, other: &Value) -> bool {
        let other = other.borrow();
        match self.operator {
            Operator::Equal | Operator::IsIn | Operator::IsMemberOf => {
                value == other
                    || self.texts(value, other, <[u8]>::eq_ignore_ascii_case, |one, two| one == two)
            }
            Operator::Contains => self.texts(value, other, contains, |one, two| one.contains(two)),
            Operator::StartsWith => {
                self.texts(value, other, begins, |one, two| one.starts_with(two))
            }
            Operator::EndsWith => self.texts(value, other, ends, |one, two| one.ends_with(two)),
            Operator::Like => {
                let folded = |one: &[u8], two: &[u8]| like(&lower(one), &lower(two));
                self.texts(value, other, folded, like)
            }
            Operator::LessThan => order(value, other) == Some(Ordering::Less),
            Operator::GreaterThan => order(value, other) == Some(Ordering::Greater),
            Operator::LessThanOrEqual => order(value, other).is_some_and(Ordering::is_le),
            Operator::GreaterThanOrEqual => order(value, other).is_some_and(Ordering::is_ge),
            Operator::IsBitSet => matches!(
                (number(value), number(other)),
                (Some(value), Some(bits)) if value & bits == bits
            ),
            // It asks for no value; absence was decided above.
            Operator::IsNull => false,
        }
    }

    /// Compares as texts. `ascii` is what `test` is without case, of texts that are ASCII, and makes no
    /// copy of them.
    fn texts(
        &self,
        value: ValueRef<'_>,
        other: ValueRef<'_>,
        ascii: impl Fn(&[u8], &[u8]) -> bool,
        test: impl Fn(&str, &str) -> bool,
    ) -> bool {
        let (value, other) = (value.to_text(), other.to_text());
        if self.case_sensitive {
            test(&value, &other)
        } else if value.is_ascii() && other.is_ascii() {
            ascii(value.as_bytes(), other.as_bytes())
        } else {
            test(&value.to_lowercase(), &other.to_lowercase())
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|at| at.eq_ignore_ascii_case(part))
}

fn begins(text: &[u8], part: &[u8]) -> bool {
    text.get(..part.len()).is_some_and(|start| start.eq_ignore_ascii_case(part))
}

fn ends(text: &[u8], part: &[u8]) -> bool {
    let start = text.len().checked_sub(part.len());
    start.and_then(|start| text.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(part))
}

/// ASCII in lower case.
fn lower(text: &[u8]) -> String {
    text.iter().map(|octet| char::from(octet.to_ascii_lowercase())).collect()
}

/// The order of two numbers; of texts that are none, such as times, their own.
fn order(value: ValueRef<'_>, other: ValueRef<'_>) -> Option<Ordering> {
    match (number(value), number(other)) {
        (Some(value), Some(other)) => Some(value.cmp(&other)),
        (None, None) => Some(value.as_text()?.cmp(other.as_text()?)),
        _ => None,
    }
}

fn number(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Integer(number) => Some(number),
        ValueRef::Text(text) => text.parse().ok(),
        ValueRef::Boolean(_) | ValueRef::Octets(_) => None,
    }
}

/// Whether a text is as a pattern says, in which `*` stands for any characters. The earliest place of
/// each part is as good as any later one, so that no part is looked for twice.
fn like(text: &str, pattern: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return text == pattern };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dictionary::{AttributeId, Dictionary};
    use crate::record::Record;
    use crate::rules::model::Exception;

    fn clause(attribute: AttributeId, operator: Operator, values: &[Value]) -> Clause {
        let values = values.to_vec();
        Clause { attribute, operator, values, negated: false, case_sensitive: false }
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn every_operator_holds_where_it_should_and_its_negation_everywhere_else() {
        let mut names = Dictionary::default();
        let [mail, control, sid, none] = ["mail", "userAccountControl", "objectSid", "x"]
            .map(|name| names.intern(name).unwrap());
        let record = Record::from_iter([
            (mail, vec![text("Ada@Corp.example"), text("b@x")]),
            (control, vec![Value::Integer(514)]),
            (sid, vec![Value::Octets(vec![1, 5, 0xf6, 1, 0, 0])]),
        ]);
        let cases = [
            (mail, Operator::Equal, vec![text("ADA@corp.example")], true),
            (mail, Operator::Equal, vec![text("ada")], false),
            (none, Operator::Equal, vec![text("")], false),
            (control, Operator::Equal, vec![Value::Integer(514)], true),
            (control, Operator::Equal, vec![text("514")], true),
            (control, Operator::LessThan, vec![Value::Integer(515)], true),
            (control, Operator::LessThan, vec![Value::Integer(514)], false),
            (control, Operator::LessThanOrEqual, vec![Value::Integer(514)], true),
            (control, Operator::GreaterThan, vec![Value::Integer(513)], true),
            (control, Operator::GreaterThanOrEqual, vec![Value::Integer(515)], false),
            (none, Operator::GreaterThan, vec![Value::Integer(-1)], false),
            (mail, Operator::Contains, vec![text("@CORP.")], true),
            (mail, Operator::StartsWith, vec![text("c"), text("B@")], true),
            (mail, Operator::EndsWith, vec![text(".org")], false),
            (sid, Operator::EndsWith, vec![text("f6010000")], true),
            (mail, Operator::Like, vec![text("a*@*.example")], true),
            (mail, Operator::Like, vec![text("a*.example.org")], false),
            (mail, Operator::IsNull, vec![], false),
            (none, Operator::IsNull, vec![], true),
            (mail, Operator::IsIn, vec![text("a"), text("B@x")], true),
            (control, Operator::IsBitSet, vec![Value::Integer(2)], true),
            (control, Operator::IsBitSet, vec![Value::Integer(3)], false),
            (control, Operator::IsBitSet, vec![Value::Integer(1), Value::Integer(0x200)], true),
            (mail, Operator::IsMemberOf, vec![text("b@X")], true),
        ];
        for (attribute, operator, values, expected) in cases {
            let mut clause = clause(attribute, operator, &values);
            assert_eq!(clause.holds(&record), expected, "{operator:?} {values:?}");
            clause.negated = true;
            assert_eq!(clause.holds(&record), !expected, "not {operator:?} {values:?}");
        }
    }

    #[test]
    fn case_counts_where_it_is_asked_for() {
        let mut names = Dictionary::default();
        let name = names.intern("sAMAccountName").unwrap();
        let record = Record::from_iter([(name, vec![text("aad_ÄRA")])]);
        let mut clause = clause(name, Operator::StartsWith, &[text("AAD_ä")]);
        assert!(clause.holds(&record));
        clause.case_sensitive = true;
        assert!(!clause.holds(&record));
    }

    #[test]
    fn a_pattern_takes_every_text_between_its_parts_and_no_part_twice() {
        let cases = [
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("abc", "*", true),
            ("", "*", true),
            ("abc", "a*c", true),
            ("ab", "ab*b", false),
            ("abcbd", "a*b*d", true),
            ("abcb", "*b*b", true),
            ("ab", "*b*b", false),
            ("CAS_{1}", "CAS_*}*", true),
        ];
        for (text, pattern, expected) in cases {
            assert_eq!(like(text, pattern), expected, "{text} like {pattern}");
        }
    }

    #[test]
    fn one_group_suffices_and_an_exception_takes_away_what_groups_give() {
        let mut names = Dictionary::default();
        let name = names.intern("cn").unwrap();
        let equal = |value: &str| clause(name, Operator::StartsWith, &[text(value)]);
        let mut scope = Scope::default();
        let record = |value: &str| Record::from_iter([(name, vec![text(value)])]);
        assert!(scope.holds(&record("x")));
        scope.groups = vec![vec![equal("a"), equal("ab")], vec![equal("b")]];
        scope.exceptions = vec![Exception { reason: "no".to_owned(), clauses: vec![equal("bb")] }];
        let check = |value: &str, expected: Verdict<'_>| {
            assert_eq!(scope.verdict(&record(value)), expected, "{value}");
            assert_eq!(scope.holds(&record(value)), expected == Verdict::Within, "{value}");
        };
        check("abc", Verdict::Within);
        check("a", Verdict::NoGroup);
        check("b", Verdict::Within);
        let clauses = &scope.exceptions[0].clauses;
        check("bbc", Verdict::Excepted { reason: "no", clauses });
        assert_eq!(scope.failing(&record("a")), [&scope.groups[0][1], &scope.groups[1][0]]);
    }
}
