//! The schema as checks of entities and requests need it. Cedar's own view describes a type anew, by
//! copying it, for every entity and every reference to one: a third of what checking a request's
//! entities costs. Ours describes each type once, in Cedar's words, and hands those out. A context that
//! plainly fits (shape.rs) is not checked again.

use crate::shape::Contexts;
use cedar_policy_core::ast::{
    Context, Eid, Entity, EntityType, EntityUID, Request, RequestSchema, UnreservedId,
};
use cedar_policy_core::entities::{EntityTypeDescription, Schema, SchemaType};
use cedar_policy_core::extensions::Extensions;
use cedar_policy_core::validator::{
    CoreSchema, EntityTypeDescription as Described, RequestValidationError, ValidatorSchema,
};
use nonempty::NonEmpty;
use smol_str::SmolStr;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

pub type Types = HashMap<EntityType, Described>;

pub fn describe(schema: &ValidatorSchema) -> Types {
    let each = |t: &EntityType| Described::new(schema, t).map(|d| (t.clone(), d));
    schema.entity_types().filter_map(|t| each(t.name())).collect()
}

pub struct Known<'a> {
    pub schema: &'a ValidatorSchema,
    pub types: &'a Types,
    pub contexts: &'a Contexts,
}

impl<'a> Schema for Known<'a> {
    type EntityTypeDescription = Known1<'a>;
    type ActionEntityIterator = Vec<Arc<Entity>>;

    fn entity_type(&self, t: &EntityType) -> Option<Known1<'a>> {
        self.types.get(t).map(Known1)
    }
    fn action(&self, action: &EntityUID) -> Option<Arc<Entity>> {
        CoreSchema::new(self.schema).action(action)
    }
    fn entity_types_with_basename<'b>(
        &'b self,
        name: &'b UnreservedId,
    ) -> Box<dyn Iterator<Item = EntityType> + 'b> {
        let schema = CoreSchema::new(self.schema);
        let named: Vec<_> = schema.entity_types_with_basename(name).collect();
        Box::new(named.into_iter())
    }
    fn action_entities(&self) -> Vec<Arc<Entity>> {
        CoreSchema::new(self.schema).action_entities().collect()
    }
}

pub struct Known1<'a>(&'a Described);

impl EntityTypeDescription for Known1<'_> {
    fn entity_type(&self) -> EntityType {
        self.0.entity_type()
    }
    fn attr_type(&self, name: &str) -> Option<SchemaType> {
        self.0.attr_type(name)
    }
    fn tag_type(&self) -> Option<SchemaType> {
        self.0.tag_type()
    }
    fn required_attrs<'s>(&'s self) -> Box<dyn Iterator<Item = SmolStr> + 's> {
        self.0.required_attrs()
    }
    fn allowed_parent_types(&self) -> Arc<HashSet<EntityType>> {
        self.0.allowed_parent_types()
    }
    fn open_attributes(&self) -> bool {
        self.0.open_attributes()
    }
    fn enum_entity_eids(&self) -> Option<&NonEmpty<Eid>> {
        self.0.enum_entity_eids()
    }
    fn is_external(&self) -> bool {
        self.0.is_external()
    }
}

impl RequestSchema for Known<'_> {
    type Error = RequestValidationError;

    fn validate_request(&self, q: &Request, x: &Extensions<'_>) -> Result<(), Self::Error> {
        let action = q.action().uid();
        self.validate_scope_variables(q.principal().uid(), action, q.resource().uid())?;
        match (q.context(), action) {
            (Some(context), Some(action)) => self.validate_context(context, action, x),
            _ => Ok(()),
        }
    }

    fn validate_context<'x>(
        &self,
        context: &Context,
        action: &EntityUID,
        x: &Extensions<'x>,
    ) -> Result<(), Self::Error> {
        let members = self.contexts.get(action);
        match context {
            Context::Value(all) if members.is_some_and(|m| m.hold_all(all)) => Ok(()),
            _ => self.schema.validate_context(context, action, x),
        }
    }

    fn validate_scope_variables(
        &self,
        principal: Option<&EntityUID>,
        action: Option<&EntityUID>,
        resource: Option<&EntityUID>,
    ) -> Result<(), Self::Error> {
        self.schema.validate_scope_variables(principal, action, resource)
    }
}
