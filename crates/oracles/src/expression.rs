//! Expressions: any text compiles or is refused in words, and what compiles comes to a value or an
//! error over any record, within its limits.

use std::cell::Cell;

use portolan_sync::Dictionary;
use portolan_sync::expression::{
    Context, Datum, Expression, Outcome, Parameters, TEXT_OCTETS_MAX, VALUES_MAX,
};
use portolan_sync::record::{RECORD_OCTETS_MAX, Record, ValueRef};
use time::OffsetDateTime;

use crate::bytes;

/// The names of the record's attributes after those that every dictionary has.
const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
/// What no text has: the record begins after it.
const SEPARATOR: u8 = 0xff;

/// A text, and after an octet that no text has a record.
pub(crate) fn texts(octets: &[u8]) {
    let mut parts = octets.splitn(2, |octet| *octet == SEPARATOR);
    let text = bytes::text(parts.next().unwrap_or_default());
    let record = Record::from_octets(parts.next().unwrap_or_default().to_vec()).unwrap_or_default();
    let mut dictionary = Dictionary::default();
    for name in NAMES {
        assert!(dictionary.intern(name).is_ok());
    }
    match Expression::compile(text, &mut dictionary) {
        Ok(expression) => evaluate(&expression, &record),
        Err(error) => {
            let (from, to) = (error.offset, error.offset + error.length);
            assert!(to <= text.len() || text.len() > TEXT_OCTETS_MAX, "a place beyond the text");
            assert!(text.is_char_boundary(from), "a place within a character");
            assert!(!error.to_string().is_empty());
            let shown = error.show(text).to_string();
            assert!(shown.contains("  ^") || shown.contains(" ^"), "no caret: {shown}");
        }
    }
}

/// Two evaluations with the same context come to the same.
fn evaluate(expression: &Expression, record: &Record) {
    let parameters: Parameters = [("p", "DC=corp,DC=example")].into_iter().collect();
    let come_to = |random: &Cell<u64>| {
        let context = Context {
            source: record,
            imported: Some(record),
            parameters: &parameters,
            now: OffsetDateTime::UNIX_EPOCH,
            random,
        };
        match expression.evaluate(&context) {
            Ok(outcome) => {
                look(&outcome);
                format!("{:016x}", digest(&outcome))
            }
            Err(error) => error.to_string(),
        }
    };
    let (first, second) = (Cell::new(1), Cell::new(1));
    assert_eq!(come_to(&first), come_to(&second));
    assert_eq!(first, second);
}

fn look(outcome: &Outcome<'_>) {
    let values = outcome.values().count();
    assert!(values <= VALUES_MAX, "{values} values");
    assert!(!matches!(outcome, Outcome::Many(_)) || values > 1, "{values} are not many");
    for datum in outcome.values() {
        let octets = match datum.value() {
            ValueRef::Text(text) => text.len(),
            ValueRef::Octets(octets) => octets.len(),
            ValueRef::Integer(_) | ValueRef::Boolean(_) => 0,
        };
        assert!(octets <= RECORD_OCTETS_MAX);
    }
}

/// Enough to tell two outcomes apart, without holding either's text.
fn digest(outcome: &Outcome<'_>) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    std::mem::discriminant(outcome).hash(&mut hasher);
    for datum in outcome.values() {
        matches!(datum, Datum::Reference(_)).hash(&mut hasher);
        datum.value().hash(&mut hasher);
    }
    hasher.finish()
}

/// The longest overlay that is made of a short text: names are repeated in it.
const OVERLAY_OCTETS_MAX: usize = 4 * 1024 * 1024;

/// An exported configuration of Entra Connect, whatever it says: it is refused in words, or becomes an overlay
/// that reads as a rule file, and what came of each rule is told.
pub(crate) fn export(octets: &[u8]) {
    use portolan_sync::rules::{RuleFile, RuleNumbers, Rules, entra};
    match entra::import(bytes::text(octets)) {
        Ok(imported) => {
            assert!(!imported.report.is_empty(), "nothing is told of its rules");
            assert!(imported.overlay.len() <= OVERLAY_OCTETS_MAX.max(octets.len() * 64));
            let files = [RuleFile::overlay("o.toml", &imported.overlay)];
            let mut names = Dictionary::default();
            let compiled = Rules::compile(&files, &mut names, &mut RuleNumbers::default());
            // It may say what no rule may, and that is told with its place.
            let errors = compiled.map_or_else(|errors| errors, |_| Vec::new());
            assert!(errors.iter().all(|error| !error.to_string().is_empty()));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
