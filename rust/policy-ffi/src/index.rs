//! Which policies can matter for one request.
//!
//! Cedar's authorizer walks every policy of its set; ours are sorted beforehand. First by request
//! environment (types of principal and resource, action), then by the entity a policy's scope
//! names: `resource == X` matters only where the resource is X, `resource in X` only where X is an
//! ancestor. A policy left out by this would have been false by its scope alone, before any of its
//! conditions is looked at, so decision, reasons and errors are those of the whole set; the
//! property test `index` holds the two side by side.
//!
//! Forbids overrule permits across the sets, so several sets are asked and their answers joined.

use crate::abi::{err, Rc, R};
use cedar_policy::{Policy, PrincipalConstraint, ResourceConstraint, Schema};
use cedar_policy_core::ast::{Entity, EntityType, EntityUID, Policy as CorePolicy, PolicySet};
use std::collections::HashMap;

type ByEntity = HashMap<EntityUID, PolicySet>;

#[derive(Default)]
struct Env {
    principal_type: Option<EntityType>,
    resource_type: Option<EntityType>,
    rest: PolicySet,
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
    everything: bool,
    actions: HashMap<EntityUID, Action>,
}

impl<'a> Index<'a> {
    /// `everything` gives each environment the whole set: the slow twin that tests compare with.
    pub fn new(schema: &'a Schema, everything: bool) -> Self {
        let mut index = Self { schema, everything, actions: HashMap::new() };
        for e in schema.request_envs() {
            index.env(e.action().as_ref(), e.principal().as_ref(), e.resource().as_ref());
        }
        index
    }

    fn env(&mut self, action: &EntityUID, principal: &EntityType, resource: &EntityType) -> &mut Env {
        let new = || Action { uid: action.clone(), envs: Vec::new() };
        let envs = &mut self.actions.entry(action.clone()).or_insert_with(new).envs;
        let at = envs.iter().position(|e| {
            e.principal_type.as_ref() == Some(principal) && e.resource_type.as_ref() == Some(resource)
        });
        let at = at.unwrap_or_else(|| {
            envs.push(Env {
                principal_type: Some(principal.clone()),
                resource_type: Some(resource.clone()),
                ..Env::default()
            });
            envs.len() - 1
        });
        &mut envs[at]
    }

    /// Sound after strict validation only: an environment in which a policy fails to type-check
    /// does not appear in `get_valid_request_envs`, and a forbid would vanish from it.
    pub fn add(&mut self, policy: &Policy) -> R<()> {
        let core: &CorePolicy = policy.as_ref();
        if self.everything {
            let envs = self.actions.values_mut().flat_map(|a| a.envs.iter_mut());
            return envs.map(|e| &mut e.rest).try_for_each(|set| add(set, core));
        }
        let valid: Vec<_> = policy.get_valid_request_envs(self.schema).collect();
        for e in valid {
            let env = self.env(e.action().as_ref(), e.principal().as_ref(), e.resource().as_ref());
            add(env.set_for(policy), core)?;
        }
        Ok(())
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

fn add(set: &mut PolicySet, policy: &CorePolicy) -> R<()> {
    set.add(policy.clone()).or_else(|_| err(Rc::Internal, "a policy does not fit its set"))
}

impl Env {
    fn set_for(&mut self, policy: &Policy) -> &mut PolicySet {
        use {PrincipalConstraint as P, ResourceConstraint as S};
        let of = |map, uid: cedar_policy::EntityUid| -> &mut PolicySet {
            let map: &mut ByEntity = map;
            map.entry(uid.as_ref().clone()).or_default()
        };
        match (policy.resource_constraint(), policy.principal_constraint()) {
            (S::Eq(uid), _) => of(&mut self.resource_is, uid),
            (_, P::Eq(uid)) => of(&mut self.principal_is, uid),
            (S::In(uid) | S::IsIn(_, uid), _) => of(&mut self.resource_in, uid),
            (_, P::In(uid) | P::IsIn(_, uid)) => of(&mut self.principal_in, uid),
            _ => &mut self.rest,
        }
    }
}

impl Action {
    /// Calls `ask` with each set that can hold a policy for this principal and resource; false if
    /// the schema knows no such environment.
    pub fn each_set(
        &self,
        principal: &Entity,
        resource: &Entity,
        mut ask: impl FnMut(&PolicySet),
    ) -> bool {
        let same = |t: &Option<EntityType>, e: &Entity| t.as_ref() == Some(e.uid().entity_type());
        let fits = |e: &&Env| same(&e.principal_type, principal) && same(&e.resource_type, resource);
        let Some(env) = self.envs.iter().find(fits) else {
            return false;
        };
        let mut give = |set: Option<&PolicySet>| {
            if let Some(set) = set {
                ask(set);
            }
        };
        give(Some(&env.rest));
        for (is, within, entity) in [
            (&env.resource_is, &env.resource_in, resource),
            (&env.principal_is, &env.principal_in, principal),
        ] {
            if !is.is_empty() {
                give(is.get(entity.uid()));
            }
            if !within.is_empty() {
                give(within.get(entity.uid()));
                entity.ancestors().for_each(|a| give(within.get(a)));
            }
        }
        true
    }
}
