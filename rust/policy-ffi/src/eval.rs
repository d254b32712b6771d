//! One decision: typed nodes in, decision and policy numbers out.
//!
//! Values are built with Cedar's inner types and never from JSON, where `{"__entity": ...}` in an
//! agent's argument would become an entity. What was built is checked against the schema like
//! any other request.

use crate::abi::{err, Node, Rc, Req, Res, IDS_MAX, R};
use crate::compile::Cedar;
use crate::index::{Action, Rule};
use cedar_policy_core::ast::{
    Context, Eid, Entity, EntityType, EntityUID, Literal, Name, PartialValue, Request,
    RestrictedExpr, SlotEnv, Value, ValueKind,
};
use cedar_policy_core::entities::{Dereference, Entities, TCComputation};
use cedar_policy_core::evaluator::{Evaluator, RestrictedEvaluator};
use cedar_policy_core::extensions::Extensions;
use smol_str::SmolStr;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::slice::Iter;
use std::sync::Arc;

/// Nodes of one tree: a set of 100,000 strings stalls a request with no policy at all.
pub const NODES_MAX: usize = 4_096;
pub const STRING_BYTES_MAX: usize = 64 << 10;
pub const DEPTH_MAX: usize = 16;
/// Entities of one request: checking a chain of 3,000 groups takes seconds.
pub const ENTITIES_MAX: usize = 256;
const ID_BYTES_MAX: usize = 1_024;

const BOOL: u8 = 1;
const LONG: u8 = 2;
const STRING: u8 = 3;
const SET: u8 = 4;
const RECORD: u8 = 5;
const ENTITY: u8 = 6;
const DATETIME: u8 = 7;
const DEFINITION: u8 = 8;

fn bad<T>(what: &str) -> R<T> {
    err(Rc::Request, what)
}

/// # Safety
/// Every slice of every node describes readable memory.
unsafe fn text(s: crate::abi::Slice) -> R<SmolStr> {
    Ok(SmolStr::new(s.str(STRING_BYTES_MAX)?))
}

unsafe fn uid(c: &Cedar, t: crate::abi::Slice, id: crate::abi::Slice) -> R<EntityUID> {
    let Some(t) = c.types.get(t.str(ID_BYTES_MAX)?) else {
        return bad("unknown entity type");
    };
    let t: EntityType = t.clone();
    Ok(EntityUID::from_components(t, Eid::new(id.str(ID_BYTES_MAX)?), None))
}

fn next<'a>(it: &mut Iter<'a, Node>) -> R<&'a Node> {
    it.next().map_or_else(|| bad("a value has fewer parts than it says"), Ok)
}

unsafe fn value(c: &Cedar, it: &mut Iter<Node>, node: &Node, depth: usize) -> R<Value> {
    if depth > DEPTH_MAX {
        return err(Rc::Limit, "a value is nested too deeply");
    }
    if node.kids != 0 && node.kind != SET && node.kind != RECORD {
        return bad("only sets and records have parts");
    }
    let kind: ValueKind = match node.kind {
        BOOL if node.i == 0 || node.i == 1 => (node.i == 1).into(),
        LONG => node.i.into(),
        STRING => text(node.s)?.into(),
        SET => ValueKind::set(elements(c, it, node, depth)?),
        RECORD => ValueKind::record_arc(Arc::new(members(c, it, node, depth)?)),
        ENTITY => uid(c, node.t, node.s)?.into(),
        DATETIME => return datetime(node.i),
        _ => return bad("unknown kind of value"),
    };
    Ok(Value { value: kind, loc: None })
}

unsafe fn elements(c: &Cedar, it: &mut Iter<Node>, set: &Node, depth: usize) -> R<Vec<Value>> {
    let mut all = Vec::new();
    for _ in 0..set.kids {
        let node = next(it)?;
        all.push(value(c, it, node, depth + 1)?);
    }
    Ok(all)
}

unsafe fn members(
    c: &Cedar,
    it: &mut Iter<Node>,
    record: &Node,
    depth: usize,
) -> R<BTreeMap<SmolStr, Value>> {
    let mut all = BTreeMap::new();
    for _ in 0..record.kids {
        let node = next(it)?;
        let v = value(c, it, node, depth + 1)?;
        if all.insert(text(node.key)?, v).is_some() {
            return bad("a record names a member twice");
        }
    }
    Ok(all)
}

/// Cedar builds a datetime from text only, which takes longer than deciding; all requests of one
/// second share it.
fn datetime(ms: i64) -> R<Value> {
    thread_local!(static LAST: RefCell<Option<(i64, Value)>> = const { RefCell::new(None) });
    LAST.with(|last| {
        let mut last = last.borrow_mut();
        if let Some((at, v)) = last.as_ref() {
            if *at == ms {
                return Ok(v.clone());
            }
        }
        let v = datetime_of(&rfc3339(ms)?)?;
        *last = Some((ms, v.clone()));
        Ok(v)
    })
}

fn datetime_of(text: &str) -> R<Value> {
    let name = Name::parse_unqualified_name("datetime")
        .or_else(|_| err(Rc::Internal, "datetime has no name"))?;
    let call = RestrictedExpr::call_extension_fn(name, [RestrictedExpr::val(text)]);
    RestrictedEvaluator::new(Extensions::all_available())
        .interpret(call.as_borrowed())
        .or_else(|_| bad("not a date"))
}

/// `2026-11-24T10:00:00.000Z`, years 1970 to 9999.
fn rfc3339(ms: i64) -> R<String> {
    const LAST_MS: i64 = 253_402_300_799_999;
    if !(0..=LAST_MS).contains(&ms) {
        return bad("a time lies outside of 1970 to 9999");
    }
    let (days, in_day) = (ms / 86_400_000, ms % 86_400_000);
    let (y, m, d) = civil(days);
    let (h, min, s) = (in_day / 3_600_000, in_day / 60_000 % 60, in_day / 1_000 % 60);
    Ok(format!("{y:04}-{m:02}-{d:02}T{h:02}:{min:02}:{s:02}.{:03}Z", in_day % 1_000))
}

/// Days since 1970-01-01 to year, month, day of the proleptic Gregorian calendar; years are
/// counted from March, so that the leap day is the last one of a year.
fn civil(days: i64) -> (i64, i64, i64) {
    let from_0 = days + 719_468; // 0000-03-01
    let (era, day_of_era) = (from_0 / 146_097, from_0 % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year_of_era + carry, month, day)
}

/// type and id, then three parts: record of attributes, set of parents, record of tags
unsafe fn entity(c: &Cedar, it: &mut Iter<Node>, node: &Node) -> R<Entity> {
    if node.kind != DEFINITION || node.kids != 3 {
        return bad("an entity needs attributes, parents and tags");
    }
    let id = uid(c, node.t, node.s)?;
    let attributes = part(c, it, RECORD)?;
    let list = next(it)?;
    if list.kind != SET {
        return bad("parents of an entity are a set");
    }
    let mut parents = HashSet::new();
    for _ in 0..list.kids {
        let p = next(it)?;
        if p.kind != ENTITY || p.kids != 0 {
            return bad("a parent is an entity");
        }
        parents.insert(uid(c, p.t, p.s)?);
    }
    let tags = part(c, it, RECORD)?;
    Ok(Entity::new_with_attr_partial_value(id, attributes, HashSet::new(), parents, tags))
}

unsafe fn part(c: &Cedar, it: &mut Iter<Node>, kind: u8) -> R<Vec<(SmolStr, PartialValue)>> {
    let node = next(it)?;
    if node.kind != kind {
        return bad("attributes and tags are records");
    }
    Ok(members(c, it, node, 0)?.into_iter().map(|(k, v)| (k, PartialValue::Value(v))).collect())
}

/// `base` and the entities of `nodes` in one store, checked against the schema.
///
/// # Safety
/// Every slice of every node describes readable memory.
pub unsafe fn entities(c: &Cedar, base: &Entities, nodes: &[Node]) -> R<Entities> {
    if nodes.len() > NODES_MAX {
        return err(Rc::Limit, "too many values");
    }
    let mut it = nodes.iter();
    let mut all = Vec::new();
    while let Some(node) = it.next() {
        all.push(Arc::new(entity(c, &mut it, node)?));
    }
    if base.len() + all.len() > ENTITIES_MAX + c.action_entities.len() {
        return err(Rc::Limit, "too many entities");
    }
    // A type without grandparents cannot break the closure; the check below refuses other types.
    let closure =
        if c.flat { TCComputation::AssumeAlreadyComputed } else { TCComputation::ComputeNow };
    let fits = |e: &Arc<Entity>| c.kinds.get(e.uid().entity_type()).is_some_and(|k| k.holds(e));
    let asks_cedar = !all.iter().all(fits);
    let schema = asks_cedar.then(|| c.known());
    base.clone()
        .add_entities(all, schema.as_ref(), closure, Extensions::all_available())
        .or_else(|e| err(Rc::Entity, e.to_string()))
}

unsafe fn context(c: &Cedar, nodes: &[Node]) -> R<Context> {
    if nodes.len() > NODES_MAX {
        return err(Rc::Limit, "too many values");
    }
    let mut it = nodes.iter();
    let root = next(&mut it)?;
    if root.kind != RECORD {
        return bad("a context is a record");
    }
    let all = members(c, &mut it, root, 0)?;
    if it.next().is_some() {
        return bad("values follow the context");
    }
    Ok(Context::Value(Arc::new(all)))
}

fn stored<'a>(store: &'a Entities, uid: &EntityUID, what: &str) -> R<&'a Entity> {
    match store.entity(uid) {
        Dereference::Data(e) => Ok(e),
        _ => err(Rc::Entity, format!("{what} is not among the entities")),
    }
}

/// The entities a request is judged on, and the request, both known to the schema.
pub struct Question<'a> {
    pub store: Cow<'a, Entities>,
    pub request: Request,
    action: &'a Action,
}

/// # Safety
/// Every slice of `q` and its nodes describes readable memory.
pub unsafe fn question<'a>(c: &'a Cedar, base: &'a Entities, q: &Req) -> R<Question<'a>> {
    let extra = crate::abi::array(q.entities, q.n_entities);
    let store = match extra {
        [] => Cow::Borrowed(base),
        _ => Cow::Owned(entities(c, base, extra)?),
    };
    let Some(action) = c.actions.get(q.aid.str(ID_BYTES_MAX)?) else {
        return bad("unknown action");
    };
    let context = context(c, crate::abi::array(q.context, q.n_context))?;
    let request = Request::new(
        (uid(c, q.ptype, q.pid)?, None),
        (action.uid.clone(), None),
        (uid(c, q.rtype, q.rid)?, None),
        context,
        Some(&c.known()),
        Extensions::all_available(),
    )
    .or_else(|e| err(Rc::Request, e.to_string()))?;
    Ok(Question { store, request, action })
}

pub fn decide(q: &Question, out: &mut Res) -> R<()> {
    let (Some(p), Some(r)) = (q.request.principal().uid(), q.request.resource().uid()) else {
        return bad("principal or resource is unknown");
    };
    let (p, r) = (stored(&q.store, p, "principal")?, stored(&q.store, r, "resource")?);
    let evaluator = Evaluator::new(q.request.clone(), &q.store, Extensions::all_available());
    let mut answer = Answer::default();
    if !q.action.each_rule(p, r, |rule| answer.ask(rule, &evaluator)) {
        return bad("the schema has no such request");
    }
    answer.tell(out);
    Ok(())
}

#[derive(Default)]
struct Answer {
    permits: Vec<u32>,
    forbids: Vec<u32>,
    errors: Vec<u32>,
}

impl Answer {
    fn ask(&mut self, rule: &Rule, evaluator: &Evaluator) {
        let satisfied = match &rule.condition {
            None => Some(true),
            Some(c) => evaluator.interpret(c, &SlotEnv::new()).ok().and_then(|v| truth(&v)),
        };
        match satisfied {
            Some(true) if rule.forbids => self.forbids.push(rule.number),
            Some(true) => self.permits.push(rule.number),
            Some(false) => {}
            None => self.errors.push(rule.number),
        }
    }

    /// A forbid overrules every permit. Cedar skips a policy that fails, so a failing forbid would
    /// permit: here any error is a no.
    fn tell(self, out: &mut Res) {
        let permitted = self.forbids.is_empty() && !self.permits.is_empty() && self.errors.is_empty();
        let reasons = if self.forbids.is_empty() { self.permits } else { self.forbids };
        out.n_reason = list(reasons, &mut out.reason);
        out.n_error = list(self.errors, &mut out.error);
        out.decision = u32::from(permitted);
    }
}

fn truth(v: &Value) -> Option<bool> {
    match v.value_kind() {
        ValueKind::Lit(Literal::Bool(b)) => Some(*b),
        _ => None,
    }
}

/// In the order of the files, so that the same question gets the same answer; the true count.
fn list(mut numbers: Vec<u32>, out: &mut [u32; IDS_MAX]) -> u32 {
    numbers.sort_unstable();
    for (o, n) in out.iter_mut().zip(&numbers) {
        *o = *n;
    }
    numbers.len() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_agree_with_known_ones() {
        let at = |ms| rfc3339(ms).unwrap_or_default();
        assert_eq!(at(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(at(1_795_514_400_123), "2026-11-24T10:00:00.123Z");
        assert_eq!(at(4_107_542_399_999), "2100-02-28T23:59:59.999Z");
        assert_eq!(at(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
        assert_eq!(at(253_402_300_799_999), "9999-12-31T23:59:59.999Z");
        assert!(rfc3339(-1).is_err() && rfc3339(253_402_300_800_000).is_err());
        assert!(datetime(1_795_514_400_123).is_ok());
    }
}
