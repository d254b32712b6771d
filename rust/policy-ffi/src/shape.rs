//! The types of the schema, made so that a value is held against one where it lies. Cedar's own checks
//! copy each value into an expression first: half of what a decision cost. What holds here is what
//! Cedar would let pass; where it does not hold, Cedar is asked, whose word and text count. Types this
//! file does not know (open, enumerated, actions) hold nothing, so that they are always Cedar's.

use cedar_policy_core::ast::{
    Entity, EntityType, EntityUID, Literal, Name, PartialValue, Value, ValueKind,
};
use cedar_policy_core::validator::types::{Attributes, BoolType, EntityKind, OpenTag, Type};
use cedar_policy_core::validator::{
    ValidatorActionId, ValidatorEntityType, ValidatorEntityTypeKind, ValidatorSchema,
};
use smol_str::SmolStr;
use std::collections::{BTreeMap, HashMap, HashSet};

pub enum Shape {
    Bool,
    Long,
    String,
    Set(Box<Shape>),
    Record(Members),
    /// of a type whose ids are free
    Entity(EntityType),
    Extension(Name),
    Unknown,
}

/// Closed: what is not named may not be there.
pub struct Members {
    named: HashMap<SmolStr, Member>,
    required: usize,
}

struct Member {
    shape: Shape,
    required: bool,
}

/// What an entity of one type may be.
pub struct Kind {
    attributes: Members,
    tags: Option<Shape>,
    parents: HashSet<EntityType>,
}

pub type Kinds = HashMap<EntityType, Kind>;
/// Of each action, the members of its context.
pub type Contexts = HashMap<EntityUID, Members>;

pub fn kinds(schema: &ValidatorSchema) -> Kinds {
    schema.entity_types().filter_map(|t| Some((t.name().clone(), Kind::of(schema, t)?))).collect()
}

pub fn contexts(schema: &ValidatorSchema) -> Contexts {
    let members = |t: &Type| match Shape::of(schema, t) {
        Shape::Record(members) => Some(members),
        _ => None,
    };
    let each = |a: &ValidatorActionId| Some((a.name().clone(), members(a.context_type()?)?));
    schema.action_ids().filter_map(each).collect()
}

/// Any id of this type is one the schema knows.
fn is_free(schema: &ValidatorSchema, t: &EntityType) -> bool {
    let known = schema.get_entity_type(t);
    !t.is_action() && known.is_some_and(|t| matches!(t.kind, ValidatorEntityTypeKind::Standard(_)))
}

impl Shape {
    fn of(schema: &ValidatorSchema, t: &Type) -> Self {
        match t {
            Type::Bool(BoolType::AnyBool) => Self::Bool,
            Type::Long => Self::Long,
            Type::String => Self::String,
            Type::Set { element_type: Some(t) } => Self::Set(Box::new(Self::of(schema, t))),
            Type::Record { attrs, open_attributes: OpenTag::ClosedAttributes } => {
                Self::Record(Members::of(schema, attrs))
            }
            Type::Entity(EntityKind::Entity(lub)) => match lub.get_single_entity() {
                Some(t) if is_free(schema, t) => Self::Entity(t.clone()),
                _ => Self::Unknown,
            },
            Type::ExtensionType { name } => Self::Extension(name.clone()),
            _ => Self::Unknown,
        }
    }

    /// As deep as the value, which eval.rs bounds.
    pub fn holds(&self, v: &Value) -> bool {
        match (self, v.value_kind()) {
            (Self::Bool, ValueKind::Lit(Literal::Bool(_)))
            | (Self::Long, ValueKind::Lit(Literal::Long(_)))
            | (Self::String, ValueKind::Lit(Literal::String(_))) => true,
            (Self::Set(each), ValueKind::Set(s)) => s.authoritative.iter().all(|v| each.holds(v)),
            (Self::Record(members), ValueKind::Record(r)) => members.hold_all(r),
            (Self::Entity(t), ValueKind::Lit(Literal::EntityUID(uid))) => uid.entity_type() == t,
            (Self::Extension(name), ValueKind::ExtensionValue(v)) => v.typename() == *name,
            _ => false,
        }
    }
}

impl Members {
    fn of(schema: &ValidatorSchema, all: &Attributes) -> Self {
        let member = |shape, required| Member { shape, required };
        let named: HashMap<_, _> = all
            .iter()
            .map(|(k, a)| (k.clone(), member(Shape::of(schema, &a.attr_type), a.is_required)))
            .collect();
        let required = named.values().filter(|m| m.required).count();
        Self { named, required }
    }

    pub fn hold_all(&self, all: &BTreeMap<SmolStr, Value>) -> bool {
        self.hold(all.iter().map(|(k, v)| (k, Some(v))))
    }

    /// `all` names nothing twice.
    fn hold<'a>(&self, all: impl Iterator<Item = (&'a SmolStr, Option<&'a Value>)>) -> bool {
        let mut required = 0;
        for named in all.map(|(k, v)| (self.named.get(k), v)) {
            match named {
                (Some(m), Some(v)) if m.shape.holds(v) => required += usize::from(m.required),
                _ => return false,
            }
        }
        required == self.required
    }
}

impl Kind {
    fn of(schema: &ValidatorSchema, t: &ValidatorEntityType) -> Option<Self> {
        let closed = t.open_attributes() == OpenTag::ClosedAttributes;
        if !is_free(schema, t.name()) || !closed {
            return None;
        }
        let above = |p: &&ValidatorEntityType| p.has_descendant_entity_type(t.name());
        let free = |p: &&ValidatorEntityType| is_free(schema, p.name());
        Some(Self {
            attributes: Members::of(schema, t.attributes()),
            tags: t.tag_type().map(|t| Shape::of(schema, t)),
            parents: schema.entity_types().filter(above).filter(free).map(|p| p.name().clone()).collect(),
        })
    }

    /// `e` is of this kind's type.
    pub fn holds(&self, e: &Entity) -> bool {
        let is_tag = |v| self.tags.as_ref().zip(known(v)).is_some_and(|(t, v)| t.holds(v));
        self.attributes.hold(e.attrs().map(|(k, v)| (k, known(v))))
            && e.tags().all(|(_, v)| is_tag(v))
            && e.ancestors().all(|a| self.parents.contains(a.entity_type()))
    }
}

fn known(v: &PartialValue) -> Option<&Value> {
    match v {
        PartialValue::Value(v) => Some(v),
        PartialValue::Residual(_) => None,
    }
}
