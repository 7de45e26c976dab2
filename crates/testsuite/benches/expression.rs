//! The evaluation of an expression over records of the connector space, against CEL's on the same rule
//! and the same records.

use std::cell::Cell;
use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use cel::common::types::{CelNull, CelString};
use cel::common::value::CowVal;
use cel::context::VariableResolver;
use cel::{Env, Value as CelValue};
use portolan_sync::expression::{Context, Expression, Outcome, Parameters};
use portolan_sync::record::{Record, Value};
use portolan_sync::{AttributeId, Dictionary};
use portolan_testsuite::measure::{Better, Comparison, PAIRS, Peer, rounds};
use time::OffsetDateTime;

const OURS: &str = "IIF(IsNullOrEmpty([displayName]),[cn],Trim([displayName]))";
const THEIRS: &str = "displayName == null || displayName == '' ? cn : displayName.trim()";
/// Records, of which every fourth has no display name.
const RECORDS: usize = 1_000;
/// How often all records are gone over in one measurement.
const REPETITIONS: usize = 400;
/// Evaluations in a second and on a core that are to be reached, in millions.
const LIMIT: f64 = 2.0;

/// Attributes of a typical user; each has a text.
const ATTRIBUTES: [&str; 24] = [
    "c",
    "cn",
    "co",
    "company",
    "countryCode",
    "department",
    "description",
    "displayName",
    "employeeID",
    "givenName",
    "l",
    "mail",
    "mailNickname",
    "mobile",
    "name",
    "objectSid",
    "physicalDeliveryOfficeName",
    "postalCode",
    "proxyAddresses",
    "sAMAccountName",
    "sn",
    "st",
    "telephoneNumber",
    "userPrincipalName",
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut dictionary = Dictionary::default();
    let records = records(&mut dictionary)?;
    let expression = Expression::compile(OURS, &mut dictionary)?;
    let mut env = Env::stdlib();
    env.add_extension(cel::extensions::strings)?;
    let rule = env.parser().parse(THEIRS)?;
    let scope = cel::Context::with_env(env.into());
    let names =
        Names { common: dictionary.intern("cn")?, display: dictionary.intern("displayName")? };

    let mut ours = || speed(&records, |record| evaluate(&expression, record));
    let mut theirs = || {
        speed(&records, |record| {
            let source = Resolver { record, names };
            let mut scope = scope.new_inner_scope();
            scope.set_variable_resolver(&source);
            let value = CelValue::resolve_val(&rule, &scope).map_err(|error| error.to_string())?;
            Ok(value.downcast_ref::<CelString>().map_or(0, |text| text.inner().len()))
        })
    };
    // Once unmeasured: caches and clock speed. Both come to texts of the same length.
    rounds(1, &mut [&mut ours, &mut theirs])?;
    let values = rounds(PAIRS, &mut [&mut ours, &mut theirs])?;
    let [ours, theirs] = values.as_slice() else { return Ok(()) };
    let figure = |name: &str| Comparison {
        figure: format!("expression, {name}, million evaluations/s on a core"),
        better: Better::Higher,
        bar: 1.0,
    };
    figure("limit").figure(ours, &[Peer::limit(LIMIT, PAIRS)]).print();
    figure("beside CEL").figure(ours, &[Peer::measured("cel", theirs.clone())]).print();
    Ok(())
}

fn records(dictionary: &mut Dictionary) -> Result<Vec<Record>, Box<dyn Error>> {
    let mut records = Vec::with_capacity(RECORDS);
    for number in 0..RECORDS {
        let mut attributes = Vec::new();
        for name in ATTRIBUTES {
            if name != "displayName" || number % 4 != 0 {
                let text = format!(" {name} of person {number} ");
                attributes.push((dictionary.intern(name)?, vec![Value::Text(text)]));
            }
        }
        records.push(attributes.into_iter().collect());
    }
    Ok(records)
}

/// Millions of evaluations in a second, each of which comes to a text with so many octets.
fn speed(
    records: &[Record],
    evaluate: impl Fn(&Record) -> Result<usize, String>,
) -> Result<f64, Box<dyn Error>> {
    let start = Instant::now();
    let mut octets = 0;
    for _ in 0..REPETITIONS {
        for record in records {
            octets += evaluate(black_box(record))?;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let expected: usize = (0..RECORDS).map(|number| length(number) * REPETITIONS).sum();
    assert_eq!(octets, expected, "the rule comes to other texts");
    Ok((RECORDS * REPETITIONS) as f64 / seconds / 1e6)
}

/// The octets of what the rule comes to for a record.
fn length(number: usize) -> usize {
    match number % 4 {
        0 => format!(" cn of person {number} ").len(),
        _ => format!("displayName of person {number}").len(),
    }
}

fn evaluate(expression: &Expression, record: &Record) -> Result<usize, String> {
    let (parameters, random) = (Parameters::default(), Cell::new(0));
    let context = Context {
        source: record,
        imported: None,
        parameters: &parameters,
        now: OffsetDateTime::UNIX_EPOCH,
        random: &random,
    };
    match expression.evaluate(&context) {
        Ok(Outcome::One(datum)) => Ok(datum.value().as_text().map_or(0, str::len)),
        Ok(_) => Ok(0),
        Err(error) => Err(error.to_string()),
    }
}

#[derive(Clone, Copy)]
struct Names {
    common: AttributeId,
    display: AttributeId,
}

/// CEL's variables: the texts where they stand in the record.
struct Resolver<'a> {
    record: &'a Record,
    names: Names,
}

impl VariableResolver for Resolver<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let id = match variable {
            "cn" => self.names.common,
            "displayName" => self.names.display,
            _ => return None,
        };
        Some(match self.record.first(id).and_then(|value| value.as_text()) {
            Some(text) => CowVal::owned(CelString::from(text)),
            None => CowVal::owned(CelNull),
        })
    }
}
