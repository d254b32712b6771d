//! Policy text and schema in, one immutable `Cedar` out. Every doubt refuses the whole bundle:
//! a policy that is silently left out may be the forbid somebody relies on.

use crate::abi::{err, Rc, R};
use crate::index::{Action, Index};
use crate::known;
use crate::scan;
use crate::shape;
use cedar_policy::{
    Effect, Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator,
};
use cedar_policy_core::ast::EntityType;
use cedar_policy_core::entities::Entities;
use cedar_policy_core::validator::ValidatorSchema;
use miette::Diagnostic;
use std::collections::HashMap;

pub const SOURCES_MAX: usize = 256;
pub const SOURCES_BYTES_MAX: usize = 4 << 20;
/// Compiling this many takes about two seconds.
pub const POLICIES_MAX: usize = 10_000;
/// Each policy is type-checked once per environment: 20 policies over 20,000 cost 2.5 s.
pub const ENVS_MAX: usize = 5_000;
pub const ID_BYTES_MAX: usize = 128;
/// A policy may look at the attributes and ancestors of principal, resource and what the context
/// names, and no further. A request brings exactly those entities: `x.owner in Role::"r"` of an
/// owner that is not there would be false without an error, and a forbid built on it would be gone.
const LEVEL: u32 = 1;
/// Errors told at once; the first one is usually the cause of the others.
const ERRORS_TOLD_MAX: usize = 16;

pub const FLAG_NO_INDEX: u32 = 1;

pub struct Source<'a> {
    pub name: &'a str,
    pub text: &'a [u8],
}

/// What C may ask about one policy.
pub struct Info {
    pub id: String,
    pub forbids: bool,
    pub annotations: Vec<(String, String)>,
}

pub struct Cedar {
    pub schema: ValidatorSchema,
    pub described: known::Types,
    pub kinds: shape::Kinds,
    pub contexts: shape::Contexts,
    pub policies: Vec<Info>,
    pub types: HashMap<String, EntityType>,
    pub actions: HashMap<String, Action>,
    pub action_entities: Entities,
    /// no entity type has grandparents, so a list of parents is its own transitive closure
    pub flat: bool,
}

impl Cedar {
    pub fn known(&self) -> known::Known<'_> {
        known::Known { schema: &self.schema, types: &self.described, contexts: &self.contexts }
    }
}

/// Two policies of one bundle, and where each came from.
struct Found<'a> {
    policy: Policy,
    source: &'a Source<'a>,
}

pub fn compile(sources: &[Source], schema: &[u8], flags: u32) -> R<(Cedar, String)> {
    let schema = read_schema(schema)?;
    let found = read_policies(sources)?;
    let warnings = validate(&schema, &found)?;
    let mut cedar = about_schema(schema.as_ref().clone(), &schema)?;
    let actions = cedar.action_entities.clone();
    let mut index = Index::new(&schema, &actions, flags & FLAG_NO_INDEX != 0);
    for (i, f) in found.iter().enumerate() {
        index.add(&f.policy, i as u32);
        let annotations = f.policy.annotations().map(|(k, v)| (k.to_owned(), v.to_owned()));
        cedar.policies.push(Info {
            id: f.policy.id().to_string(),
            forbids: f.policy.effect() == Effect::Forbid,
            annotations: annotations.collect(),
        });
    }
    cedar.actions = index.into_actions()?;
    Ok((cedar, warnings))
}

fn read_schema(text: &[u8]) -> R<Schema> {
    let text = scan::schema(text).or_else(|f| {
        err(Rc::Limit, format!("schema:{}:{}: {}\n", f.line, f.column, f.what))
    })?;
    let schema = match Schema::from_cedarschema_str(text) {
        Ok((schema, _warnings)) => schema,
        Err(e) => return err(Rc::Parse, told("schema", text.as_bytes(), [&e as &dyn Diagnostic])),
    };
    if !schema.is_complete() {
        return err(Rc::Parse, "schema: external types cannot be validated\n");
    }
    if schema.request_envs().take(ENVS_MAX + 1).count() > ENVS_MAX {
        return err(Rc::Limit, "schema: more than 5000 combinations of principal, action, resource\n");
    }
    Ok(schema)
}

fn read_policies<'a>(sources: &'a [Source<'a>]) -> R<Vec<Found<'a>>> {
    if sources.len() > SOURCES_MAX {
        return err(Rc::Limit, "more than 256 policy files\n");
    }
    if sources.iter().map(|s| s.text.len()).sum::<usize>() > SOURCES_BYTES_MAX {
        return err(Rc::Limit, "policy files are larger than 4 MiB together\n");
    }
    let mut found: Vec<Found> = Vec::new();
    let mut by_id: HashMap<String, usize> = HashMap::new();
    for source in sources {
        for policy in read_source(source)? {
            let policy = renamed(source, &policy)?;
            if let Some(first) = by_id.insert(policy.id().to_string(), found.len()) {
                let text = format!("@id(\"{}\") is also used in {}", policy.id(), place(&found[first]));
                return err(Rc::Parse, said(source, &policy, &text));
            }
            found.push(Found { policy, source });
            if found.len() > POLICIES_MAX {
                return err(Rc::Limit, "more than 10000 policies\n");
            }
        }
    }
    Ok(found)
}

/// The policies of one file in the order of the file.
fn read_source(source: &Source) -> R<Vec<Policy>> {
    let text = scan::policy(source.text).or_else(|f| {
        err(Rc::Limit, format!("{}:{}:{}: {}\n", source.name, f.line, f.column, f.what))
    })?;
    let set: PolicySet = match text.parse() {
        Ok(set) => set,
        Err(e) => {
            let e: cedar_policy::ParseErrors = e;
            let all = e.iter().map(|e| e as &dyn Diagnostic);
            return err(Rc::Parse, told(source.name, source.text, all));
        }
    };
    if let Some(t) = set.templates().next() {
        let text = format!("{}: template {} has slots, and nothing here fills them\n", source.name, t.id());
        return err(Rc::Parse, text);
    }
    let mut policies: Vec<Policy> = set.policies().cloned().collect();
    policies.sort_by_key(|p| offset_of(p).unwrap_or(usize::MAX));
    Ok(policies)
}

/// Cedar numbers policies; people, records and tests name them, so every policy names itself.
fn renamed(source: &Source, policy: &Policy) -> R<Policy> {
    let id = policy.annotation("id").unwrap_or_default();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-/:".contains(&b);
    if id.is_empty() || id.len() > ID_BYTES_MAX || !id.bytes().all(plain) {
        let text = "a policy needs @id(\"...\"): 1 to 128 letters, digits and . _ - / :";
        return err(Rc::Parse, said(source, policy, text));
    }
    Ok(policy.new_id(PolicyId::new(id)))
}

fn validate(schema: &Schema, found: &[Found]) -> R<String> {
    let set = PolicySet::from_policies(found.iter().map(|f| f.policy.clone()))
        .or_else(|_| err(Rc::Internal, "policies do not form a set"))?;
    let validator = Validator::new(schema.clone());
    let result = validator.validate_with_level(&set, ValidationMode::Strict, LEVEL);
    let source_of: HashMap<&PolicyId, &Source> =
        found.iter().map(|f| (f.policy.id(), f.source)).collect();
    let one = |id: &PolicyId, e: &dyn Diagnostic| match source_of.get(id) {
        Some(s) => told(s.name, s.text, [e]),
        None => told("?", b"", [e]),
    };
    if !result.validation_passed() {
        let errors = result.validation_errors().take(ERRORS_TOLD_MAX);
        return err(Rc::Validate, errors.map(|e| one(e.policy_id(), e)).collect::<String>());
    }
    let warnings = result.validation_warnings().take(ERRORS_TOLD_MAX);
    Ok(warnings.map(|w| one(w.policy_id(), w)).collect())
}

fn about_schema(core: ValidatorSchema, schema: &Schema) -> R<Cedar> {
    let action_entities = core
        .action_entities()
        .or_else(|_| err(Rc::Internal, "actions of the schema do not form a hierarchy"))?;
    let has_ancestors = |t| schema.ancestors(t).is_some_and(|mut a| a.next().is_some());
    let flat = schema
        .entity_types()
        .all(|t| !schema.ancestors(t).is_some_and(|mut a| a.any(has_ancestors)));
    let types = core.entity_types().map(|t| (t.name().to_string(), t.name().clone())).collect();
    Ok(Cedar {
        described: known::describe(&core),
        kinds: shape::kinds(&core),
        contexts: shape::contexts(&core),
        schema: core,
        policies: Vec::new(),
        types,
        actions: HashMap::new(),
        action_entities,
        flat,
    })
}

fn offset_of(policy: &Policy) -> Option<usize> {
    let core: &cedar_policy_core::ast::Policy = policy.as_ref();
    core.loc().map(|l| l.start())
}

fn place(f: &Found) -> String {
    let (line, column) = scan::position(f.source.text, offset_of(&f.policy).unwrap_or(0));
    format!("{}:{line}:{column}", f.source.name)
}

fn said(source: &Source, policy: &Policy, text: &str) -> String {
    let (line, column) = scan::position(source.text, offset_of(policy).unwrap_or(0));
    format!("{}:{line}:{column}: {text}\n", source.name)
}

/// One line per error: file, line, column, what, and Cedar's help where it has some.
fn told<'a>(
    name: &str,
    text: &[u8],
    errors: impl IntoIterator<Item = &'a dyn Diagnostic>,
) -> String {
    let mut out = String::new();
    for e in errors.into_iter().take(ERRORS_TOLD_MAX) {
        let at = e.labels().and_then(|mut l| l.next()).map_or(0, |l| l.offset());
        let (line, column) = scan::position(text, at);
        let help = e.help().map(|h| format!(" ({h})")).unwrap_or_default();
        let line_text = format!("{name}:{line}:{column}: {e}{help}");
        out.push_str(&line_text.replace(|c: char| c.is_control(), " "));
        out.push('\n');
    }
    out
}
