//! Which policies can matter for one request, and what of them is still open.
//!
//! Cedar's authorizer walks every policy of its set and builds and evaluates its whole condition.
//! Ours are sorted beforehand. First by request environment (types of principal and resource,
//! action), then by the entity a policy's scope names: `resource == X` matters only where the
//! resource is X, `resource in X` only where X is an ancestor. A policy left out by this would have
//! been false by its scope alone, before any of its conditions is looked at; and what the place in
//! the index has already settled is not evaluated again. So decision, reasons and errors are those of
//! the whole set; tests.rs holds this beside Cedar's own authorizer.

use crate::abi::{err, Rc, R};
use cedar_policy::{Policy, Schema};
use cedar_policy_core::ast::{
    ActionConstraint, Effect, Entity, EntityReference, EntityType, EntityUID, Expr,
    Policy as CorePolicy, PrincipalOrResourceConstraint as Scope,
};
use cedar_policy_core::entities::{Dereference, Entities};
use std::collections::HashMap;

/// A policy as one environment needs it.
pub struct Rule {
    pub number: u32,
    pub forbids: bool,
    /// None: satisfied by its place in the index
    pub condition: Option<Expr>,
}

type ByEntity = HashMap<EntityUID, Vec<Rule>>;

struct Env {
    principal_type: EntityType,
    resource_type: EntityType,
    rest: Vec<Rule>,
    resource_is: ByEntity,
    resource_in: ByEntity,
    principal_is: ByEntity,
    principal_in: ByEntity,
}

pub struct Action {
    pub uid: EntityUID,
    envs: Vec<Env>,
}

pub struct Index<'a> {
    schema: &'a Schema,
    action_entities: &'a Entities,
    everything: bool,
    actions: HashMap<EntityUID, Action>,
}

impl<'a> Index<'a> {
    /// `everything` gives each environment every whole policy: the slow twin that tests compare with.
    pub fn new(schema: &'a Schema, action_entities: &'a Entities, everything: bool) -> Self {
        let mut index = Self { schema, action_entities, everything, actions: HashMap::new() };
        for e in schema.request_envs() {
            index.env(e.action().as_ref(), e.principal().as_ref(), e.resource().as_ref());
        }
        index
    }

    fn env(
        &mut self,
        action: &EntityUID,
        principal: &EntityType,
        resource: &EntityType,
    ) -> &mut Env {
        let new = || Action { uid: action.clone(), envs: Vec::new() };
        let envs = &mut self.actions.entry(action.clone()).or_insert_with(new).envs;
        let same = |e: &Env| &e.principal_type == principal && &e.resource_type == resource;
        let at = envs.iter().position(same).unwrap_or_else(|| {
            envs.push(Env::new(principal.clone(), resource.clone()));
            envs.len() - 1
        });
        &mut envs[at]
    }

    /// Sound after strict validation only: an environment in which a policy fails to type-check
    /// does not appear in `get_valid_request_envs`, and a forbid would vanish from it.
    pub fn add(&mut self, policy: &Policy, number: u32) {
        let core: &CorePolicy = policy.as_ref();
        let forbids = core.effect() == Effect::Forbid;
        if self.everything {
            for env in self.actions.values_mut().flat_map(|a| a.envs.iter_mut()) {
                env.rest.push(Rule { number, forbids, condition: Some(core.condition()) });
            }
            return;
        }
        let valid: Vec<_> = policy.get_valid_request_envs(self.schema).collect();
        for e in valid {
            let open = action_left(core, e.action().as_ref(), self.action_entities);
            let env = self.env(e.action().as_ref(), e.principal().as_ref(), e.resource().as_ref());
            env.add(core, number, open);
        }
    }

    /// By the action's name alone; two namespaces with one name would make it ambiguous.
    pub fn into_actions(self) -> R<HashMap<String, Action>> {
        let mut named = HashMap::new();
        for (uid, action) in self.actions {
            let name: &str = uid.eid().as_ref();
            if named.insert(name.to_owned(), action).is_some() {
                return err(Rc::Parse, format!("schema: action {name} exists in two namespaces\n"));
            }
        }
        Ok(named)
    }
}

/// The policy's word about the action, unless it plainly holds for this one.
fn action_left(policy: &CorePolicy, action: &EntityUID, actions: &Entities) -> Option<Expr> {
    let is_or_in = |group: &EntityUID| {
        group == action
            || matches!(actions.entity(action), Dereference::Data(e) if e.is_descendant_of(group))
    };
    let holds = match policy.template().action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => uid.as_ref() == action,
        ActionConstraint::In(uids) => uids.iter().any(|uid| is_or_in(uid)),
    };
    (!holds).then(|| policy.template().action_constraint().as_expr())
}

/// The entity a scope names, and whether it means that one alone.
fn named(scope: &Scope) -> Option<(&EntityUID, bool)> {
    match scope {
        Scope::Eq(EntityReference::EUID(uid)) => Some((uid, true)),
        Scope::In(EntityReference::EUID(uid)) | Scope::IsIn(_, EntityReference::EUID(uid)) => {
            Some((uid, false))
        }
        _ => None,
    }
}

/// Nothing of the scope is open: its type is the environment's, and the entity it names, if any, is
/// the one the rule is found under.
fn settled(scope: &Scope, t: &EntityType, found_under_it: bool) -> bool {
    match scope {
        Scope::Any => true,
        Scope::Is(wanted) => wanted.as_ref() == t,
        Scope::Eq(_) | Scope::In(_) => found_under_it,
        Scope::IsIn(wanted, _) => found_under_it && wanted.as_ref() == t,
    }
}

fn and(open: Option<Expr>, more: Option<Expr>) -> Option<Expr> {
    match (open, more) {
        (Some(a), Some(b)) => Some(Expr::and(a, b)),
        (a, b) => a.or(b),
    }
}

enum Place<'a> {
    Resource(&'a mut ByEntity, &'a EntityUID),
    Principal(&'a mut ByEntity, &'a EntityUID),
    Rest,
}

impl Env {
    fn new(principal_type: EntityType, resource_type: EntityType) -> Self {
        Self {
            principal_type,
            resource_type,
            rest: Vec::new(),
            resource_is: ByEntity::new(),
            resource_in: ByEntity::new(),
            principal_is: ByEntity::new(),
            principal_in: ByEntity::new(),
        }
    }

    /// Under the resource if the scope names exactly one, else the principal, else what contains
    /// them.
    fn add(&mut self, policy: &CorePolicy, number: u32, open: Option<Expr>) {
        let t = policy.template();
        let (p, r) = (t.principal_constraint(), t.resource_constraint());
        let place = match (named(r.as_inner()), named(p.as_inner())) {
            (Some((uid, true)), _) => Place::Resource(&mut self.resource_is, uid),
            (_, Some((uid, true))) => Place::Principal(&mut self.principal_is, uid),
            (Some((uid, false)), _) => Place::Resource(&mut self.resource_in, uid),
            (_, Some((uid, false))) => Place::Principal(&mut self.principal_in, uid),
            _ => Place::Rest,
        };
        let by_resource = matches!(place, Place::Resource(..));
        let by_principal = matches!(place, Place::Principal(..));
        let p_done = settled(p.as_inner(), &self.principal_type, by_principal);
        let r_done = settled(r.as_inner(), &self.resource_type, by_resource);
        let scope = and((!p_done).then(|| p.as_expr()), (!r_done).then(|| r.as_expr()));
        let condition = and(and(scope, open), policy.non_scope_constraints().cloned());
        let rule = Rule { number, forbids: policy.effect() == Effect::Forbid, condition };
        match place {
            Place::Resource(map, uid) | Place::Principal(map, uid) => {
                map.entry(uid.clone()).or_default().push(rule);
            }
            Place::Rest => self.rest.push(rule),
        }
    }
}

impl Action {
    /// Calls `ask` with each rule that may apply to this principal and resource; false if the schema
    /// knows no such environment.
    pub fn each_rule(
        &self,
        principal: &Entity,
        resource: &Entity,
        mut ask: impl FnMut(&Rule),
    ) -> bool {
        let fits = |e: &&Env| {
            &e.principal_type == principal.uid().entity_type()
                && &e.resource_type == resource.uid().entity_type()
        };
        let Some(env) = self.envs.iter().find(fits) else {
            return false;
        };
        env.rest.iter().for_each(&mut ask);
        for (is, within, entity) in [
            (&env.resource_is, &env.resource_in, resource),
            (&env.principal_is, &env.principal_in, principal),
        ] {
            if !is.is_empty() {
                is.get(entity.uid()).into_iter().flatten().for_each(&mut ask);
            }
            if !within.is_empty() {
                within.get(entity.uid()).into_iter().flatten().for_each(&mut ask);
                let above = entity.ancestors().filter(|a| *a != entity.uid());
                above.filter_map(|a| within.get(a)).flatten().for_each(&mut ask);
            }
        }
        true
    }
}
