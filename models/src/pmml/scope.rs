//! Which names stand for what at a place of the document, and how much has been built.

use super::expression::Expression;
use super::value::{DataType, Value};
use super::xml::{Element, Limits};
use super::{PmmlError, PmmlProblem};
use std::collections::BTreeMap;

/// A field: where its value is kept, and of which type it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) slot: usize,
    pub(super) kind: DataType,
}

/// The fields that a model sees: its own, then those around it.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    around: Option<&'a Scope<'a>>,
    fields: BTreeMap<String, Field>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(around: Option<&'a Scope<'a>>) -> Self {
        Self {
            around,
            fields: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, name: &str, field: Field) {
        self.fields.insert(name.into(), field);
    }

    pub(super) fn find(&self, name: &str) -> Option<Field> {
        let mut scope = Some(self);
        while let Some(here) = scope {
            if let Some(field) = here.fields.get(name) {
                return Some(*field);
            }
            scope = here.around;
        }
        None
    }

    /// The field that an attribute names.
    pub(super) fn field(&self, element: &Element, attribute: &str) -> Result<Field, PmmlError> {
        let name = element.need(attribute)?;
        self.find(name)
            .ok_or_else(|| element.place.invalid(format!("there is no field `{name}` here")))
    }
}

/// A function that the document defines.
#[derive(Debug, Clone)]
pub(super) struct Function {
    pub(super) parameters: usize,
    pub(super) body: Expression,
    pub(super) kind: Option<DataType>,
}

/// What is shared while a document is built.
#[derive(Debug)]
pub(super) struct Builder {
    pub(super) slots: usize,
    pub(super) functions: BTreeMap<String, Function>,
    /// Output fields of all models that are answers: name, slot.
    pub(super) answers: Vec<(String, usize)>,
    left: usize,
    allowed: usize,
}

impl Builder {
    pub(super) fn new(limits: &Limits) -> Self {
        let left = limits.elements;
        Self {
            slots: 0,
            functions: BTreeMap::new(),
            answers: Vec::new(),
            left,
            allowed: left,
        }
    }

    /// A place for one more value.
    pub(super) fn slot(&mut self) -> usize {
        self.slots += 1;
        self.slots - 1
    }

    /// Counts parts of expressions, which functions that call one another may multiply.
    pub(super) fn spend(&mut self, parts: usize, element: &Element) -> Result<(), PmmlError> {
        match self.left.checked_sub(parts) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                let what = format!("more than {} parts of expressions", self.allowed);
                Err(element.place.error(PmmlProblem::TooLarge(what)))
            }
        }
    }
}

/// The values of all fields while a document is asked.
pub(super) type Values = Vec<Value>;
