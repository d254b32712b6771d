//! The yardstick of bench/policy_bench.c: the same rules and the same question put to cedar-policy
//! through its public interface, the way its documentation shows, without any of our code.
//!
//!     cargo run --release --example native -- STARTER.cedar SCHEMA.cedarschema [SECONDS_PER_CASE]
//!
//! One JSON line per case and per share of the work: `decide` (everything else made beforehand),
//! `request` (context and request made anew, entities kept), `all` (entities too, as our C side does).

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet,
    Request, RestrictedExpression as X, Schema,
};
use std::collections::{HashMap, HashSet};
use std::hint::black_box;
use std::time::{Duration, Instant};

const SAMPLES_MAX: usize = 20_000;

struct Types {
    agent: EntityTypeName,
    user: EntityTypeName,
    role: EntityTypeName,
    route: EntityTypeName,
    tool: EntityTypeName,
    bags: [EntityTypeName; 4],
    call: EntityUid,
}

fn uid(t: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(t.clone(), EntityId::new(id))
}

fn types() -> Types {
    let t = |s: &str| s.parse().expect("a type");
    let bag = |s: &str| t(&format!("Attorn::Arg{s}"));
    Types {
        agent: t("Attorn::Agent"),
        user: t("Attorn::User"),
        role: t("Attorn::Role"),
        route: t("Attorn::Route"),
        tool: t("Attorn::Tool"),
        bags: [bag("Str"), bag("Num"), bag("Bool"), bag("List")],
        call: "Attorn::Action::\"call\"".parse().expect("an action"),
    }
}

fn words(list: &[&str]) -> X {
    X::new_set(list.iter().map(|w| X::new_string((*w).to_owned())))
}

fn text(s: &str) -> X {
    X::new_string(s.to_owned())
}

fn record(pairs: Vec<(&str, X)>) -> X {
    X::new_record(pairs.into_iter().map(|(k, v)| (k.to_owned(), v))).expect("a record")
}

fn attributes(pairs: Vec<(&str, X)>) -> HashMap<String, X> {
    pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
}

fn entities(t: &Types, schema: &Schema) -> Entities {
    let agent = attributes(vec![
        ("name", text("billing-scout")),
        ("kind", text("delegated")),
        ("active", X::new_bool(true)),
        ("owner", X::new_entity_uid(uid(&t.user, "u:bob"))),
        ("ownerActive", X::new_bool(true)),
        ("scopes", words(&["warehouse:read", "warehouse:write"])),
        ("maxDepth", X::new_long(2)),
    ]);
    let user = attributes(vec![
        ("active", X::new_bool(true)),
        ("permissions", words(&["warehouse:read", "warehouse:write"])),
    ]);
    let tool = attributes(vec![
        ("name", text("write_query")),
        ("effect", text("mutating")),
        ("requiredScopes", words(&["warehouse:write"])),
    ]);
    let roles = HashSet::from([uid(&t.role, "analyst")]);
    let route = HashSet::from([uid(&t.route, "warehouse")]);
    let bag = |i: usize, key: &str, v: X| {
        let tags = [(key.to_owned(), v)];
        Entity::new_with_tags(uid(&t.bags[i], "args"), [], [], tags).expect("a bag")
    };
    let agent_id = uid(&t.agent, "spiffe://example.test/agent/billing-scout");
    let all = [
        Entity::new(agent_id, agent, roles.clone()).expect("an agent"),
        Entity::new(uid(&t.user, "u:alice"), user, roles).expect("a user"),
        Entity::new(uid(&t.tool, "warehouse/write_query"), tool, route).expect("a tool"),
        bag(0, "query", text("update orders set state = 'x'")),
        bag(1, "rows", X::new_long(12)),
    ];
    Entities::from_entities(all, Some(schema)).expect("entities")
}

fn request(t: &Types, schema: &Schema) -> Request {
    let ctl = record(vec![
        (
            "delegation",
            record(vec![
                ("user", X::new_entity_uid(uid(&t.user, "u:alice"))),
                ("grant", text("01JDXXXXXXXXXXXXXXXXXXXXXX")),
                ("depth", X::new_long(1)),
                ("maxDepth", X::new_long(2)),
            ]),
        ),
        (
            "token",
            record(vec![
                ("scopes", words(&["warehouse:read", "warehouse:write"])),
                ("senderBound", X::new_bool(true)),
            ]),
        ),
        (
            "direction",
            record(vec![("init", text("unknown")), ("sel", text("agent_within_grant"))]),
        ),
        ("assurance", text("key")),
        ("environment", text("prod")),
        ("dataClasses", words(&["finance"])),
        (
            "clock",
            record(vec![
                ("now", X::new_datetime("2026-11-24T10:00:00Z")),
                ("weekday", X::new_long(2)),
                ("minuteOfDay", X::new_long(600)),
            ]),
        ),
    ]);
    let bag = |i: usize| X::new_entity_uid(uid(&t.bags[i], "args"));
    let args = record(vec![("s", bag(0)), ("n", bag(1)), ("b", bag(2)), ("l", bag(3))]);
    let context = Context::from_pairs([("ctl".to_owned(), ctl), ("args".to_owned(), args)]);
    Request::new(
        uid(&t.agent, "spiffe://example.test/agent/billing-scout"),
        t.call.clone(),
        uid(&t.tool, "warehouse/write_query"),
        context.expect("a context"),
        Some(schema),
    )
    .expect("a request")
}

fn rules(starter: &str, kind: &str, n: usize) -> PolicySet {
    let mut all = starter.to_owned();
    for i in 0..n {
        let (a, call) = (i + 1000, "action == Attorn::Action::\"call\"");
        all += &match kind {
            "spread" => format!(
                "@id(\"spread.{i}\") forbid (principal, {call}, resource == Attorn::Tool::\"other/tool-{i}\") \
                 unless {{ context.args.n.hasTag(\"rows\") && context.args.n.getTag(\"rows\") < {a} }};\n"
            ),
            _ => format!(
                "@id(\"wide.{i}\") forbid (principal, {call}, resource) when {{ \
                 context.args.n.hasTag(\"rows\") && context.args.n.getTag(\"rows\") > {} }};\n",
                i + 100_000
            ),
        };
    }
    all.parse().expect("rules")
}

fn measure(case: &str, share: &str, rules: usize, seconds: f64, mut once: impl FnMut() -> Decision) {
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let mut took = Vec::with_capacity(SAMPLES_MAX);
    while took.len() < SAMPLES_MAX && Instant::now() < end {
        let start = Instant::now();
        let decision = black_box(once());
        took.push(start.elapsed());
        assert_eq!(decision, Decision::Allow);
    }
    took.sort_unstable();
    let us = |i: usize| took[i].as_nanos() as f64 / 1e3;
    let n = took.len();
    println!(
        "{{\"case\":\"{case}\",\"share\":\"{share}\",\"rules\":{rules},\"n\":{n},\"min_us\":{:.2},\
         \"p50_us\":{:.2},\"p99_us\":{:.2}}}",
        us(0),
        us(n / 2),
        us(n * 99 / 100)
    );
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, starter, schema, rest @ ..] = args.as_slice() else {
        eprintln!("usage: native STARTER.cedar SCHEMA.cedarschema [SECONDS_PER_CASE]");
        std::process::exit(2);
    };
    let read = |path: &String| std::fs::read_to_string(path).expect("a readable file");
    let seconds = rest.first().map_or(1.0, |s| s.parse().expect("seconds"));
    let (schema, _) = Schema::from_cedarschema_str(&read(schema)).expect("a schema");
    let (starter, t, authorizer) = (read(starter), types(), Authorizer::new());
    for (case, n) in [("spread", 0), ("spread", 100), ("wide", 100), ("spread", 1000), ("wide", 1000)] {
        let set = rules(&starter, case, n);
        let count = set.policies().count();
        let (kept, asked) = (entities(&t, &schema), request(&t, &schema));
        measure(case, "decide", count, seconds, || {
            authorizer.is_authorized(&asked, &set, &kept).decision()
        });
        measure(case, "request", count, seconds, || {
            authorizer.is_authorized(&request(&t, &schema), &set, &kept).decision()
        });
        measure(case, "all", count, seconds, || {
            authorizer.is_authorized(&request(&t, &schema), &set, &entities(&t, &schema)).decision()
        });
    }
}
