//! Compiled expressions being evaluated, within limits of steps, values and octets.

use std::cell::Cell;

use time::OffsetDateTime;

use super::error::{EvaluationError, Why};
use super::function::{ARGUMENTS_MAX, Body, Each, Fault, Form, Function, Whole};
use super::node::{Call, Chain, Node};
use super::operator;
use super::value::{Operand, Scalar, Slot};
use super::{Context, RESULT_OCTETS_MAX, VALUES_MAX};
use crate::record::Values;

/// One evaluation.
pub(super) struct Run<'r, 'a> {
    context: &'r Context<'a>,
    steps_left: Cell<usize>,
}

/// Octets that a function reads in one step.
const READ_OCTETS_STEP: usize = 64;
/// Octets that a function makes in one step.
const MADE_OCTETS_STEP: usize = 4;
/// Steps that each of several values counts.
const VALUE_STEPS: usize = 4;

impl<'r, 'a> Run<'r, 'a> {
    pub(super) const fn new(context: &'r Context<'a>, steps_max: usize) -> Self {
        Self { context, steps_left: Cell::new(steps_max) }
    }

    pub(super) const fn now(&self) -> OffsetDateTime {
        self.context.now
    }

    /// The next random number (`SplitMix64`).
    pub(super) fn random(&self) -> u64 {
        let state = self.context.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.context.random.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn step(&self, steps: usize) -> Result<(), Why> {
        let left = self.steps_left.get().checked_sub(steps).ok_or(Why::TooLong)?;
        self.steps_left.set(left);
        Ok(())
    }

    /// Whether a value of so many octets may be made.
    pub(super) fn room(&self, octets: usize) -> Result<(), Why> {
        if octets > RESULT_OCTETS_MAX {
            return Err(Why::TooLarge);
        }
        self.step(octets / MADE_OCTETS_STEP)
    }

    /// Whether so many values may be made.
    pub(super) fn room_for_values(&self, count: usize) -> Result<(), Why> {
        if count > VALUES_MAX {
            return Err(Why::TooMany);
        }
        self.step(count * VALUE_STEPS)
    }

    fn read(&self, value: &Scalar<'_>) -> Result<(), Why> {
        let octets = match value {
            Scalar::Text(text) | Scalar::Reference(text) => text.len(),
            Scalar::Octets(octets) => octets.len(),
            _ => 0,
        };
        self.step(octets / READ_OCTETS_STEP)
    }

    fn clone_value(&self, value: &Scalar<'a>) -> Result<Scalar<'a>, Why> {
        self.room(value.owned_octets())?;
        Ok(value.clone())
    }

    fn clone_operand(&self, operand: &Operand<'a>) -> Result<Operand<'a>, Why> {
        match operand {
            Operand::One(value) => self.clone_value(value).map(Operand::One),
            Operand::Many(slots) => {
                self.room_for_values(slots.len())?;
                let slots = slots
                    .iter()
                    .map(|slot| slot.as_ref().map(|value| self.clone_value(value)).transpose());
                slots.collect::<Result<_, _>>().map(Operand::Many)
            }
            none => Ok(none.clone()),
        }
    }

    fn attribute(&self, mut values: Values<'a>) -> Result<Operand<'a>, Why> {
        let Some(first) = values.next() else { return Ok(Operand::Null) };
        let Some(second) = values.next() else { return Ok(Operand::One(first.into())) };
        let mut slots = Vec::new();
        for value in [first, second].into_iter().chain(values) {
            self.step(VALUE_STEPS)?;
            if slots.len() == VALUES_MAX {
                return Err(Why::TooMany);
            }
            slots.push(Some(Scalar::from(value)));
        }
        Ok(Operand::Many(slots))
    }
}

/// A variable with its value, within those around it. A value that could not be had is a fault only
/// where it is used.
pub(super) struct Scope<'s, 'a> {
    value: Result<Operand<'a>, Failure>,
    outer: Option<&'s Scope<'s, 'a>>,
}

impl<'a> Scope<'_, 'a> {
    /// The variable that so many others stand between.
    fn find(&self, outwards: usize) -> Option<&Result<Operand<'a>, Failure>> {
        let mut scope = self;
        for _ in 0..outwards {
            scope = scope.outer?;
        }
        Some(&scope.value)
    }
}

/// An error, boxed because nearly no evaluation has one.
pub(super) type Failure = Box<EvaluationError>;
type Evaluated<'a> = Result<Operand<'a>, Failure>;

/// The value of a part.
pub(super) fn evaluate<'a>(
    node: &'a Node,
    run: &Run<'_, 'a>,
    scope: Option<&Scope<'_, 'a>>,
) -> Evaluated<'a> {
    let fail = |(offset, function): (usize, &'static str)| {
        move |why| Box::new(EvaluationError { offset, function, argument: None, why })
    };
    match node {
        Node::Constant(operand) => Ok(operand.borrow()),
        Node::Attribute(id, offset) => {
            run.attribute(run.context.source.values(*id)).map_err(fail((*offset, "the attribute")))
        }
        Node::Imported(id, offset) => match run.context.imported {
            Some(imported) => {
                run.attribute(imported.values(*id)).map_err(fail((*offset, "ImportedValue")))
            }
            None => Ok(Operand::Null),
        },
        Node::Parameter(name, offset) => match run.context.parameters.value(name) {
            Some(text) => Ok(Operand::One(Scalar::text(text))),
            None => Err(fail((*offset, "the parameter"))(Why::Parameter(name.to_string()))),
        },
        Node::Variable(outwards, offset) => match scope.and_then(|scope| scope.find(*outwards)) {
            Some(Ok(operand)) => {
                run.clone_operand(operand).map_err(fail((*offset, "the variable")))
            }
            Some(Err(failure)) => Err(failure.clone()),
            None => Ok(Operand::Null),
        },
        Node::Call(call) => {
            run.step(1).map_err(fail((call.offset, call.function.name)))?;
            match call.function.body {
                Body::Each(each) => call_each(call, each, run, scope),
                Body::Whole(whole) => call_whole(call, whole, run, scope),
                Body::Form(form) => call_form(call, form, run, scope),
            }
        }
        Node::Chain(chain) => evaluate_chain(chain, run, scope),
    }
}

fn failure(call: &Call, fault: Fault) -> Failure {
    let Function { name, parameters, .. } = call.function;
    let argument = fault.argument.and_then(|at| parameters.get(at)).map(|found| found.name);
    Box::new(EvaluationError { offset: call.offset, function: name, argument, why: fault.why })
}

fn arguments<'a>(
    call: &'a Call,
    run: &Run<'_, 'a>,
    scope: Option<&Scope<'_, 'a>>,
) -> Result<[Operand<'a>; ARGUMENTS_MAX], Failure> {
    let mut operands = [const { Operand::Null }; ARGUMENTS_MAX];
    for (operand, node) in operands.iter_mut().zip(&call.arguments) {
        *operand = evaluate(node, run, scope)?;
    }
    Ok(operands)
}

/// A function that goes over the values of its arguments. Nearly always each has one, or none.
fn call_each<'a>(
    call: &'a Call,
    each: Each,
    run: &Run<'_, 'a>,
    scope: Option<&Scope<'_, 'a>>,
) -> Evaluated<'a> {
    let mut slots = [const { None }; ARGUMENTS_MAX];
    for at in 0..call.arguments.len().min(ARGUMENTS_MAX) {
        match evaluate(&call.arguments[at], run, scope)? {
            Operand::One(value) => slots[at] = Some(value),
            Operand::Many(values) => {
                let mut operands = slots.map(Operand::from);
                operands[at] = Operand::Many(values);
                for (operand, node) in operands.iter_mut().zip(&call.arguments).skip(at + 1) {
                    *operand = evaluate(node, run, scope)?;
                }
                return call_each_several(call, each, run, &mut operands);
            }
            _ => {}
        }
    }
    match call_one(call, each, run, &mut slots) {
        Ok(Some(value)) => Ok(Operand::One(value)),
        Ok(None) => Ok(Operand::Null),
        Err(fault) => Err(failure(call, fault)),
    }
}

/// With one value of each argument, whose types are checked.
fn call_one<'a>(
    call: &Call,
    each: Each,
    run: &Run<'_, 'a>,
    slots: &mut [Slot<'a>; ARGUMENTS_MAX],
) -> Result<Slot<'a>, Fault> {
    let parameters = call.function.parameters;
    for (at, (slot, parameter)) in slots.iter().zip(parameters).enumerate() {
        match slot {
            Some(value) if !parameter.kinds.meets(value.kind()) => {
                let (expected, found) = (parameter.kinds, value.kind());
                return Err(Fault { argument: Some(at), why: Why::Type { expected, found } });
            }
            Some(value) => run.read(value)?,
            None if at < call.arguments.len() && !parameter.takes_null => return Ok(None),
            None => {}
        }
    }
    each(&mut slots[..parameters.len()], run)
}

/// With several values of at least one argument.
fn call_each_several<'a>(
    call: &'a Call,
    each: Each,
    run: &Run<'_, 'a>,
    operands: &mut [Operand<'a>; ARGUMENTS_MAX],
) -> Evaluated<'a> {
    let fail = |fault| failure(call, fault);
    let several = common_length(operands).map_err(|why| fail(why.into()))?.unwrap_or(0);
    run.room_for_values(several).map_err(|why| fail(why.into()))?;
    let mut results = Vec::with_capacity(several);
    for at in 0..several {
        let mut slots = [const { None }; ARGUMENTS_MAX];
        for (slot, operand) in slots.iter_mut().zip(operands.iter_mut()) {
            *slot = value_at(operand, at, run).map_err(|why| fail(why.into()))?;
        }
        run.step(1).map_err(|why| fail(why.into()))?;
        results.push(call_one(call, each, run, &mut slots).map_err(fail)?);
    }
    Ok(Operand::Many(results))
}

/// How many values those have that have several; they must agree.
fn common_length(operands: &[Operand<'_>]) -> Result<Option<usize>, Why> {
    let mut several = None;
    for operand in operands {
        if let Operand::Many(slots) = operand {
            match several {
                Some(count) if count != slots.len() => {
                    return Err(Why::Unpaired(count, slots.len()));
                }
                _ => several = Some(slots.len()),
            }
        }
    }
    Ok(several)
}

/// The value that pairs with that at a place: the only one, or that at the same place.
fn value_at<'a>(operand: &mut Operand<'a>, at: usize, run: &Run<'_, 'a>) -> Result<Slot<'a>, Why> {
    match operand {
        Operand::One(value) => run.clone_value(value).map(Some),
        Operand::Many(slots) => Ok(slots.get_mut(at).and_then(Option::take)),
        _ => Ok(None),
    }
}

/// A function that takes all values of its arguments.
fn call_whole<'a>(
    call: &'a Call,
    whole: Whole,
    run: &Run<'_, 'a>,
    scope: Option<&Scope<'_, 'a>>,
) -> Evaluated<'a> {
    let mut operands = arguments(call, run, scope)?;
    let parameters = call.function.parameters;
    for (at, (operand, parameter)) in operands.iter().zip(parameters).enumerate() {
        let blamed = |why| failure(call, Fault { argument: Some(at), why });
        for value in operand.values() {
            if !parameter.kinds.meets(value.kind()) {
                let (expected, found) = (parameter.kinds, value.kind());
                return Err(blamed(Why::Type { expected, found }));
            }
            run.read(value).map_err(blamed)?;
        }
        let is_null = operand.values().next().is_none();
        if is_null && at < call.arguments.len() && !parameter.takes_null {
            return Ok(Operand::Null);
        }
    }
    whole(&mut operands[..parameters.len()], run).map_err(|fault| failure(call, fault))
}

/// A function that evaluates its arguments itself.
fn call_form<'a>(
    call: &'a Call,
    form: Form,
    run: &Run<'_, 'a>,
    scope: Option<&Scope<'_, 'a>>,
) -> Evaluated<'a> {
    match (form, &*call.arguments) {
        (Form::Iif, [condition, yes, no]) => match holds(call, evaluate(condition, run, scope)?)? {
            Condition::One(true) => evaluate(yes, run, scope),
            Condition::One(false) => evaluate(no, run, scope),
            Condition::Many(conditions) => choose(call, &conditions, yes, no, run, scope),
        },
        (Form::Switch, pairs) => {
            for pair in pairs.chunks_exact(2) {
                match holds(call, evaluate(&pair[0], run, scope)?)? {
                    Condition::One(false) => {}
                    Condition::One(true) => return evaluate(&pair[1], run, scope),
                    Condition::Many(_) => return Err(failure(call, Why::Several.into())),
                }
            }
            Ok(Operand::Null)
        }
        (Form::With, [value, body]) => {
            let value = evaluate(value, run, scope);
            evaluate(body, run, Some(&Scope { value, outer: scope }))
        }
        (Form::Select | Form::Where, [collection, body]) => {
            over_values(call, form, [collection, body], run, scope)
        }
        _ => Ok(Operand::Null),
    }
}

enum Condition {
    One(bool),
    Many(Vec<bool>),
}

/// NULL does not hold.
fn holds(call: &Call, operand: Operand<'_>) -> Result<Condition, Failure> {
    let truth = |slot: &Slot<'_>| match slot {
        Some(Scalar::Boolean(value)) => Ok(*value),
        None => Ok(false),
        Some(other) => {
            let (expected, found) = (super::kinds::Kinds::BOOLEAN, other.kind());
            Err(failure(call, Fault { argument: Some(0), why: Why::Type { expected, found } }))
        }
    };
    match operand {
        Operand::One(value) => truth(&Some(value)).map(Condition::One),
        Operand::Many(slots) => {
            slots.iter().map(truth).collect::<Result<_, _>>().map(Condition::Many)
        }
        _ => Ok(Condition::One(false)),
    }
}

/// IIF with a condition for each of several values.
fn choose<'a>(
    call: &'a Call,
    conditions: &[bool],
    yes: &'a Node,
    no: &'a Node,
    run: &Run<'_, 'a>,
    scope: Option<&Scope<'_, 'a>>,
) -> Evaluated<'a> {
    let fail = |why: Why| failure(call, why.into());
    let mut sides = [(true, yes), (false, no)].map(|(side, node)| {
        // A side that no value takes is not evaluated.
        if conditions.contains(&side) { evaluate(node, run, scope) } else { Ok(Operand::Null) }
    });
    let [yes, no] = &mut sides;
    let (yes, no) =
        (std::mem::replace(yes, Ok(Operand::Null))?, std::mem::replace(no, Ok(Operand::Null))?);
    let mut sides = [no, yes];
    for signal in [Operand::IgnoreThisFlow, Operand::AuthoritativeNull] {
        if sides.contains(&signal) {
            return Ok(signal);
        }
    }
    for side in &sides {
        if let Operand::Many(slots) = side
            && slots.len() != conditions.len()
        {
            return Err(fail(Why::Unpaired(conditions.len(), slots.len())));
        }
    }
    run.room_for_values(conditions.len()).map_err(fail)?;
    let chosen = conditions.iter().enumerate().map(|(at, condition)| {
        value_at(&mut sides[usize::from(*condition)], at, run).map_err(fail)
    });
    chosen.collect::<Result<_, _>>().map(Operand::Many)
}

/// Select and Where.
fn over_values<'a>(
    call: &'a Call,
    form: Form,
    [collection, body]: [&'a Node; 2],
    run: &Run<'_, 'a>,
    scope: Option<&Scope<'_, 'a>>,
) -> Evaluated<'a> {
    let fail = |why: Why| failure(call, why.into());
    let mut kept = Vec::new();
    for item in evaluate(collection, run, scope)?.into_values() {
        run.step(VALUE_STEPS).map_err(fail)?;
        let inner = Scope { value: Ok(Operand::One(item)), outer: scope };
        let result = evaluate(body, run, Some(&inner))?;
        if form == Form::Select {
            kept.extend(result.into_values());
        } else {
            match (holds(call, result)?, inner.value) {
                (Condition::One(false), _) => {}
                (Condition::One(true), Ok(Operand::One(item))) => kept.push(item),
                _ => return Err(fail(Why::Several)),
            }
        }
        if kept.len() > VALUES_MAX {
            return Err(fail(Why::TooMany));
        }
    }
    Ok(Operand::from_values(kept))
}

/// Operators of one rank, from left to right.
fn evaluate_chain<'a>(
    chain: &'a Chain,
    run: &Run<'_, 'a>,
    scope: Option<&Scope<'_, 'a>>,
) -> Evaluated<'a> {
    let mut left = evaluate(&chain.first, run, scope)?;
    for link in &chain.rest {
        let fail = |why| {
            let (offset, function) = (link.offset, link.operator.written());
            Box::new(EvaluationError { offset, function, argument: None, why })
        };
        run.step(1).map_err(fail)?;
        if operator::is_decided(link.operator, &left) {
            continue;
        }
        let right = evaluate(&link.right, run, scope)?;
        left = match (left, right) {
            (Operand::One(left), Operand::One(right)) => {
                operator::apply(link.operator, Some(left), Some(right), run).map_err(fail)?.into()
            }
            (first, second) => {
                let mut sides = [first, second];
                let Some(several) = common_length(&sides).map_err(fail)? else {
                    let [one, other] = sides.map(|side| side.into_slot().unwrap_or_default());
                    let slot = operator::apply(link.operator, one, other, run).map_err(fail)?;
                    left = slot.into();
                    continue;
                };
                run.room_for_values(several).map_err(fail)?;
                let mut slots = Vec::with_capacity(several);
                for at in 0..several {
                    let [left, right] = &mut sides;
                    let left = value_at(left, at, run).map_err(fail)?;
                    let right = value_at(right, at, run).map_err(fail)?;
                    slots.push(operator::apply(link.operator, left, right, run).map_err(fail)?);
                }
                Operand::Many(slots)
            }
        };
    }
    Ok(left)
}
