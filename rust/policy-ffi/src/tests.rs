//! Our index beside Cedar's own authorizer: random rules, random requests, the same answer.

use crate::abi::{Node, Rc, Req, Res, Slice, R};
use crate::compile::{compile, Cedar, Source};
use crate::eval;
use cedar_policy_core::ast::{Context, PolicySet};
use cedar_policy_core::authorizer::{AuthorizationError, Authorizer, Decision};
use cedar_policy_core::parser::parse_policyset;
use std::collections::BTreeSet;

const SCHEMA: &str = include_str!("../../../src/domain/policy/schema.cedarschema");

/// xorshift64*: enough to walk a small space, and the seed tells everything.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % n
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.roll(of.len())]
    }
}

fn random_rules(dice: &mut Dice) -> String {
    let principals = [
        "principal",
        "principal is Attorn::Agent",
        "principal == Attorn::Agent::\"a0\"",
        "principal == Attorn::Agent::\"a1\"",
        "principal in Attorn::Role::\"r0\"",
        "principal in Attorn::Role::\"r1\"",
        "principal is Attorn::Agent in Attorn::Role::\"r1\"",
        "principal in Attorn::Agent::\"a1\"",
    ];
    let actions = [
        "action",
        "action in Attorn::Action::\"invoke\"",
        "action == Attorn::Action::\"call\"",
        "action == Attorn::Action::\"list\"",
        "action in [Attorn::Action::\"list\", Attorn::Action::\"invoke\"]",
    ];
    let resources = [
        "resource",
        "resource is Attorn::Tool",
        "resource == Attorn::Tool::\"t0\"",
        "resource == Attorn::Tool::\"t1\"",
        "resource in Attorn::Route::\"w0\"",
        "resource in Attorn::Route::\"w1\"",
        "resource is Attorn::Tool in Attorn::Route::\"w0\"",
        "resource == Attorn::Route::\"w0\"",
    ];
    let conditions = [
        "",
        "when { true }",
        "when { principal == Attorn::Agent::\"a0\" }",
        "unless { principal in Attorn::Role::\"r0\" }",
        "when { resource in Attorn::Route::\"w1\" }",
        "when { principal in Attorn::Role::\"r1\" } unless { action == Attorn::Action::\"list\" }",
    ];
    // valid where principal is an Agent; the first fails when it is evaluated
    let agent_conditions = [
        "when { principal.maxDepth + 9223372036854775807 > 0 }",
        "when { principal.maxDepth > 1 }",
        "when { principal has owner && principal.owner == Attorn::User::\"u0\" }",
        "unless { principal.active }",
    ];
    let mut text = String::new();
    let broad = dice.roll(2);
    if broad == 1 {
        text += "@id(\"p0\") permit (principal, action, resource);\n";
    }
    for i in broad..1 + broad + dice.roll(10) {
        let effect = dice.pick(&["permit", "permit", "permit", "permit", "forbid"]);
        let mut p = dice.pick(&principals);
        let condition = if dice.roll(3) == 0 {
            p = "principal is Attorn::Agent";
            dice.pick(&agent_conditions)
        } else {
            dice.pick(&conditions)
        };
        let (a, r) = (dice.pick(&actions), dice.pick(&resources));
        text += &format!("@id(\"p{i}\") {effect} ({p}, {a}, {r}) {condition};\n");
    }
    text
}

const NOTHING: Slice = Slice { p: std::ptr::null(), n: 0 };

fn node(kind: u8, kids: u32, key: &str) -> Node {
    Node { kind, kids, i: 0, key: Slice::of(key), s: NOTHING, t: NOTHING }
}

fn long(key: &str, i: i64) -> Node {
    Node { i, ..node(2, 0, key) }
}

fn flag(key: &str, v: bool) -> Node {
    Node { i: i64::from(v), ..node(1, 0, key) }
}

fn text(key: &str, s: &str) -> Node {
    Node { s: Slice::of(s), ..node(3, 0, key) }
}

fn entity(kind: u8, kids: u32, key: &str, t: &'static str, id: &str) -> Node {
    Node { t: Slice::of(t), s: Slice::of(id), ..node(kind, kids, key) }
}

/// Agent with roles, tool in a route or the route itself, in the words of the schema.
fn entities(dice: &mut Dice, agent: &str, tool: Option<&str>, route: &str) -> Vec<Node> {
    let owned = dice.roll(2) as u32;
    let mut v = vec![
        entity(8, 3, "", "Attorn::Agent", agent),
        node(5, 6 + owned, ""),
        text("name", "n"),
        text("kind", "delegated"),
        flag("active", dice.roll(2) == 0),
        flag("ownerActive", true),
        node(4, 0, "scopes"),
        long("maxDepth", dice.roll(3) as i64),
    ];
    if owned == 1 {
        v.push(entity(6, 0, "owner", "Attorn::User", dice.pick(&["u0", "u1"])));
    }
    let roles = dice.roll(3);
    v.push(node(4, roles as u32, ""));
    for role in ["r0", "r1"].iter().take(roles) {
        v.push(entity(6, 0, "", "Attorn::Role", role));
    }
    v.push(node(5, 0, ""));
    if let Some(tool) = tool {
        v.extend([entity(8, 3, "", "Attorn::Tool", tool), node(5, 3, ""), text("name", "x")]);
        v.extend([text("effect", "readonly"), node(4, 0, "requiredScopes"), node(4, 1, "")]);
        v.extend([entity(6, 0, "", "Attorn::Route", route), node(5, 0, "")]);
    } else {
        v.extend([entity(8, 3, "", "Attorn::Route", route)]);
        v.extend([node(5, 0, ""), node(4, 0, ""), node(5, 0, "")]);
    }
    v
}

fn context(with_args: bool) -> Vec<Node> {
    let mut v = vec![node(5, 1 + u32::from(with_args), ""), node(5, 7, "ctl")];
    v.extend([node(5, 2, "delegation"), long("depth", 1), long("maxDepth", 2)]);
    v.extend([node(5, 2, "token"), node(4, 0, "scopes"), flag("senderBound", true)]);
    v.extend([node(5, 2, "direction"), text("init", "human"), text("sel", "unknown")]);
    v.extend([text("assurance", "key"), text("environment", "prod"), node(4, 0, "dataClasses")]);
    v.extend([node(5, 3, "clock"), node(7, 0, "now"), long("weekday", 1), long("minuteOfDay", 0)]);
    if with_args {
        v.push(node(5, 4, "args"));
        for (k, t) in [("s", "Attorn::ArgStr"), ("n", "Attorn::ArgNum"), ("b", "Attorn::ArgBool")] {
            v.push(entity(6, 0, k, t, "args"));
        }
        v.push(entity(6, 0, "l", "Attorn::ArgList", "args"));
    }
    v
}

/// decision, reasons, errors
type Told = (bool, BTreeSet<String>, BTreeSet<String>);

fn ours(c: &Cedar, q: &eval::Question) -> Told {
    let mut out = Res { decision: 0, n_reason: 0, n_error: 0, reason: [0; 16], error: [0; 16] };
    eval::decide(q, &mut out).expect("decided");
    let names = |list: &[u32], n: u32| {
        list[..n as usize].iter().map(|i| c.policies[*i as usize].id.clone()).collect()
    };
    let reasons = names(&out.reason, out.n_reason);
    (out.decision == 1, reasons, names(&out.error, out.n_error))
}

fn theirs(set: &PolicySet, q: &eval::Question) -> Told {
    let response = Authorizer::new().is_authorized(q.request.clone(), set, &q.store);
    let d = response.diagnostics;
    // Cedar's ids are policy0, policy1, ..; ours are p0, p1, .. in the same order
    let short = |id: &str| id.replace("policy", "p");
    let reasons = d.reason.iter().map(|id| short(id.as_ref())).collect();
    let errors: BTreeSet<String> = d
        .errors
        .iter()
        .map(|AuthorizationError::PolicyEvaluationError { id, .. }| short(id.as_ref()))
        .collect();
    (response.decision == Decision::Allow && errors.is_empty(), reasons, errors)
}

#[test]
fn the_index_answers_as_cedar_does() {
    let seed = std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_261_124);
    let mut dice = Dice(seed);
    let (mut asked, mut permits, mut errors) = (0, 0, 0);
    for _ in 0..400 {
        let rules = random_rules(&mut dice);
        let source = [Source { name: "t", text: rules.as_bytes() }];
        let Ok((c, _)) = compile(&source, SCHEMA.as_bytes(), 0) else { continue };
        let (slow, _) = compile(&source, SCHEMA.as_bytes(), 1).expect("compiles without index");
        let set = parse_policyset(&rules).expect("parses");
        for _ in 0..20 {
            let agent = dice.pick(&["a0", "a1", "a2"]);
            let tool = (dice.roll(4) > 0).then(|| dice.pick(&["t0", "t1", "t2"]));
            let route = dice.pick(&["w0", "w1", "w2"]);
            let nodes = entities(&mut dice, agent, tool, route);
            let context = context(tool.is_some());
            let req = Req {
                ptype: Slice::of("Attorn::Agent"),
                pid: Slice::of(agent),
                aid: Slice::of(if tool.is_some() { "call" } else { "list" }),
                rtype: Slice::of(if tool.is_some() { "Attorn::Tool" } else { "Attorn::Route" }),
                rid: Slice::of(tool.unwrap_or(route)),
                context: context.as_ptr(),
                n_context: context.len(),
                entities: nodes.as_ptr(),
                n_entities: nodes.len(),
            };
            let q = unsafe { eval::question(&c, &c.action_entities, &req) }.expect("a request");
            let q_slow = unsafe { eval::question(&slow, &slow.action_entities, &req) };
            let told = ours(&c, &q);
            assert_eq!(told, theirs(&set, &q), "seed {seed}\n{rules}");
            assert_eq!(told, ours(&slow, &q_slow.expect("a request")), "seed {seed}\n{rules}");
            asked += 1;
            permits += usize::from(told.0);
            errors += usize::from(!told.2.is_empty());
        }
    }
    println!("seed {seed}: {asked} requests, {permits} permits, {errors} with errors");
    assert!(asked > 2_000 && permits * 10 > asked * 3 && errors * 20 > asked);
}

const TINY: &str = "entity R; entity E in [R] = {\"n\"?: Long} tags Set<String>; \
    action a appliesTo { principal: E, resource: E, context: {\"v\"?: {}} };";

fn schema_rc(schema: &str) -> Option<Rc> {
    compile(&[], schema.as_bytes(), 0).err().map(|e| e.0)
}

#[test]
fn schemas_have_limits() {
    assert_eq!(schema_rc(TINY), None);
    let nested = |n| {
        let (open, close) = ("{\"x\":".repeat(n), "}".repeat(n));
        schema_rc(&format!("entity E = {open}Long{close};"))
    };
    assert_eq!(nested(16), None);
    assert_eq!(nested(17), Some(Rc::Limit));
    assert_eq!(nested(10_000), Some(Rc::Limit));
    let envs = |n: usize| {
        let types = (0..n).map(|i| format!("entity E{i};")).collect::<String>();
        let all = (0..n).map(|i| format!("E{i}")).collect::<Vec<_>>().join(",");
        let applies = format!("appliesTo {{ principal: [{all}], resource: [{all}] }}");
        schema_rc(&format!("{types} action a, b {applies};"))
    };
    assert_eq!(envs(50), None);
    assert_eq!(envs(51), Some(Rc::Limit)); // 2 * 51 * 51 = 5202
    assert_eq!(schema_rc("entity E; action"), Some(Rc::Parse));
    assert_eq!(schema_rc("entity E in [F];"), Some(Rc::Parse));
    let twice = "namespace A { entity E; action a appliesTo {principal: E, resource: E}; } \
        namespace B { entity E; action a appliesTo {principal: E, resource: E}; }";
    assert_eq!(schema_rc(twice), Some(Rc::Parse));
}

fn tiny() -> Cedar {
    compile(&[], TINY.as_bytes(), 0).expect("compiles").0
}

fn entities_rc(c: &Cedar, nodes: &[Node]) -> Option<Rc> {
    unsafe { eval::entities(c, &c.action_entities, nodes) }.err().map(|e| e.0)
}

/// An entity E::"id" whose tag t holds `n` texts, and whose parents are R::"0" to R::"parents - 1".
fn tagged(id: &str, n: usize, parents: &[String]) -> Vec<Node> {
    let mut v = vec![entity(8, 3, "", "E", id), node(5, 0, ""), node(4, parents.len() as u32, "")];
    v.extend(parents.iter().map(|p| entity(6, 0, "", "R", p)));
    v.extend([node(5, 1, ""), node(4, n as u32, "t")]);
    v.extend((0..n).map(|_| text("", "x")));
    v
}

#[test]
fn requests_have_limits() {
    let c = tiny();
    let ids: Vec<String> = (0..300).map(|i| i.to_string()).collect();
    let many = |n: usize| ids[..n].iter().flat_map(|id| tagged(id, 0, &[])).collect::<Vec<_>>();
    assert_eq!(entities_rc(&c, &many(256)), None);
    assert_eq!(entities_rc(&c, &many(257)), Some(Rc::Limit));
    assert_eq!(entities_rc(&c, &tagged("e", 4_091, &[])), None);
    assert_eq!(entities_rc(&c, &tagged("e", 4_092, &[])), Some(Rc::Limit));
    let mut long = tagged("e", 1, &[]);
    let x = "x".repeat(eval::STRING_BYTES_MAX + 1);
    long[5] = text("", &x[1..]);
    assert_eq!(entities_rc(&c, &long), None);
    long[5] = text("", &x);
    assert_eq!(entities_rc(&c, &long), Some(Rc::Limit));
    let deep: Vec<Node> = std::iter::once(entity(8, 3, "", "E", "e"))
        .chain((0..18).map(|_| node(5, 1, "n")))
        .collect();
    assert_eq!(entities_rc(&c, &deep), Some(Rc::Limit));
}

#[test]
fn entities_must_be_those_of_the_schema() {
    let c = tiny();
    let parents = ["r".to_owned()]; // nodes borrow
    let good = tagged("e", 1, &parents);
    assert_eq!(entities_rc(&c, &good), None);
    let twice: Vec<Node> = good.iter().chain(&good).copied().collect();
    assert_eq!(entities_rc(&c, &twice), None); // the same thing, said twice
    let other: Vec<Node> = good.iter().copied().chain(tagged("e", 2, &[])).collect();
    assert_eq!(entities_rc(&c, &other), Some(Rc::Entity));
    let with = |at: usize, n: Node| {
        let mut v = good.clone();
        v[at] = n;
        entities_rc(&c, &v)
    };
    assert_eq!(with(0, entity(8, 3, "", "X", "e")), Some(Rc::Request));
    assert_eq!(with(0, entity(8, 2, "", "E", "e")), Some(Rc::Request));
    assert_eq!(with(0, entity(6, 0, "", "E", "e")), Some(Rc::Request));
    assert_eq!(with(3, entity(6, 0, "", "E", "r")), Some(Rc::Entity)); // E is no parent of E
    assert_eq!(with(6, long("", 1)), Some(Rc::Entity)); // a tag of another type
    assert_eq!(entities_rc(&c, &good[..6]), Some(Rc::Request)); // cut short
    assert_eq!(entities_rc(&c, &good[..1]), Some(Rc::Request));
}

/// One node of a tree made another: its kind, its name, its type, its size or what it holds.
fn damaged(dice: &mut Dice, nodes: &[Node]) -> Vec<Node> {
    let types = ["Attorn::Role", "Attorn::ArgNum", "Attorn::User", "Attorn::Action"];
    let mut v = nodes.to_vec();
    let n = &mut v[dice.roll(nodes.len())];
    match dice.roll(5) {
        0 => n.kind = 1 + dice.roll(8) as u8,
        1 => n.key = Slice::of(["", "n", "now", "owner", "active", "ctl"][dice.roll(6)]),
        2 => n.t = Slice::of(types[dice.roll(4)]),
        3 => n.kids = dice.roll(4) as u32,
        _ => n.i = dice.roll(3) as i64,
    }
    v
}

#[test]
fn shapes_hold_what_cedar_lets_pass_and_no_more() {
    let seed = std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_261_124);
    let mut dice = Dice(seed);
    let (c, _) = compile(&[], SCHEMA.as_bytes(), 0).expect("compiles");
    let (mut cedars, _) = compile(&[], SCHEMA.as_bytes(), 0).expect("compiles");
    (cedars.kinds, cedars.contexts) = Default::default(); // every check is Cedar's
    let (mut passed, mut refused) = (0, 0);
    for round in 0..20_000 {
        let tool = (dice.roll(2) == 0).then_some("t0");
        let (mut nodes, mut context) = (entities(&mut dice, "a0", tool, "w0"), context(tool.is_some()));
        match round % 3 {
            0 => {}
            1 => nodes = damaged(&mut dice, &nodes),
            _ => context = damaged(&mut dice, &context),
        }
        let req = Req {
            ptype: Slice::of("Attorn::Agent"),
            pid: Slice::of("a0"),
            aid: Slice::of(if tool.is_some() { "call" } else { "list" }),
            rtype: Slice::of(if tool.is_some() { "Attorn::Tool" } else { "Attorn::Route" }),
            rid: Slice::of(tool.unwrap_or("w0")),
            context: context.as_ptr(),
            n_context: context.len(),
            entities: nodes.as_ptr(),
            n_entities: nodes.len(),
        };
        let ours = unsafe { eval::question(&c, &c.action_entities, &req) };
        let theirs = unsafe { eval::question(&cedars, &cedars.action_entities, &req) };
        let rc = |e: &R<eval::Question>| e.as_ref().err().map(|e| e.0);
        assert_eq!(rc(&ours), rc(&theirs), "seed {seed}, round {round}");
        if round % 3 == 0 {
            let fits = ours.as_ref().is_ok_and(|q| plainly_fits(&c, q));
            assert!(fits, "seed {seed}, round {round}");
        }
        passed += usize::from(ours.is_ok());
        refused += usize::from(ours.is_err());
    }
    println!("seed {seed}: {passed} passed, {refused} refused");
    assert!(passed > 6_000 && refused > 6_000);
}

/// Cedar was not needed.
fn plainly_fits(c: &Cedar, q: &eval::Question) -> bool {
    let mut entities = q.store.iter().filter(|e| !e.uid().is_action());
    let Some(Context::Value(context)) = q.request.context() else { return false };
    entities.all(|e| c.kinds[e.uid().entity_type()].holds(e))
        && q.request.action().uid().is_some_and(|a| c.contexts[a].hold_all(context))
}
