//! Tables of examples to train on.

use crate::{FeatureKind, Label, MISSING, ModelError, Schema, Target};
use std::collections::BTreeMap;
use std::io::Read;

/// Examples with one schema, all of them complete.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    schema: Schema,
    rows: Vec<Vec<f64>>,
    labels: Vec<Label>,
}

/// A row of a file that is no example.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct BadRow {
    /// Line of the file, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// Why a file is no table.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TableError {
    /// A column of the schema is not in the header.
    #[error("there is no column `{name}`; the header has {columns}")]
    NoColumn {
        /// The name in the schema.
        name: String,
        /// The names in the header.
        columns: String,
    },
    /// A row is no example, and rows may not be skipped.
    #[error(transparent)]
    BadRow(#[from] BadRow),
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Read(String),
}

/// What to do with a row that is no example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnBadRow {
    /// Give up.
    Stop,
    /// Leave it out, and report it.
    Skip,
}

impl Table {
    /// A table without examples.
    pub fn new(schema: Schema) -> Self {
        Self {
            schema,
            rows: Vec::new(),
            labels: Vec::new(),
        }
    }

    /// Adds an example.
    ///
    /// # Errors
    /// As [`Schema::check`], and a label that does not fit the target.
    pub fn push(&mut self, features: &[f64], label: Label) -> Result<(), ModelError> {
        self.schema.check(features)?;
        match self.schema.target() {
            Target::Number { .. } => drop(label.as_number()?),
            Target::Class { classes, .. } => drop(label.as_class(classes.len())?),
            Target::Cluster | Target::Anomaly if label != Label::None => {
                return Err(ModelError::LabelKind {
                    expected: "nothing",
                    got: label.kind(),
                });
            }
            Target::Cluster | Target::Anomaly => {}
        }
        self.rows.push(features.to_vec());
        self.labels.push(label);
        Ok(())
    }

    /// Reads a file of comma separated values whose header names the features and the target, in any order; other
    /// columns are left out. A field that is empty, no number, or no category or class of the schema makes its row
    /// bad. Returns the table and the rows that were skipped.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn from_csv(reader: impl Read, schema: Schema, bad: OnBadRow) -> Result<(Self, Vec<BadRow>), TableError> {
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(reader);
        let header = reader.headers().map_err(|e| TableError::Read(e.to_string()))?.clone();
        let places: BTreeMap<&str, usize> = header.iter().enumerate().map(|(i, name)| (name, i)).collect();
        let place = |name: &str| {
            places.get(name).copied().ok_or_else(|| TableError::NoColumn {
                name: name.into(),
                columns: header.iter().collect::<Vec<_>>().join(", "),
            })
        };
        let columns: Vec<usize> = schema
            .features()
            .iter()
            .map(|f| place(&f.name))
            .collect::<Result<_, _>>()?;
        let target = match schema.target() {
            Target::Number { name } | Target::Class { name, .. } => Some((name.clone(), place(name)?)),
            Target::Cluster | Target::Anomaly => None,
        };
        let (mut table, mut skipped) = (Self::new(schema), Vec::new());
        for record in reader.records() {
            let (line, example) = match record {
                Ok(record) => {
                    let line = record.position().map_or(0, csv::Position::line);
                    (line, table.example(&record, &columns, target.as_ref()))
                }
                Err(error) => match error.position() {
                    Some(position) if !error.is_io_error() => (position.line(), Err(error.to_string())),
                    _ => return Err(TableError::Read(error.to_string())),
                },
            };
            let pushed = example.and_then(|(row, label)| table.push(&row, label).map_err(|e| e.to_string()));
            if let Err(reason) = pushed {
                let row = BadRow { line, reason };
                match bad {
                    OnBadRow::Stop => return Err(row.into()),
                    OnBadRow::Skip => skipped.push(row),
                }
            }
        }
        Ok((table, skipped))
    }

    fn example(
        &self,
        record: &csv::StringRecord,
        columns: &[usize],
        target: Option<&(String, usize)>,
    ) -> Result<(Vec<f64>, Label), String> {
        let field = |column: usize, name: &str| record.get(column).ok_or_else(|| format!("`{name}` is not there"));
        let number = |text: &str, name: &str| match text {
            "" => Ok(MISSING),
            text => text
                .parse::<f64>()
                .map_err(|_| format!("`{name}` is `{text}`, which is no number")),
        };
        let mut row = Vec::with_capacity(columns.len());
        for (feature, &column) in self.schema.features().iter().zip(columns) {
            let text = field(column, &feature.name)?;
            row.push(match &feature.kind {
                FeatureKind::Number => number(text, &feature.name)?,
                FeatureKind::Category(_) if text.is_empty() => MISSING,
                FeatureKind::Category(_) => self.schema.category(&feature.name, text).map_err(|e| e.to_string())?,
            });
        }
        let label = match (self.schema.target(), target) {
            (Target::Number { .. }, Some((name, column))) => match field(*column, name)? {
                "" => return Err(format!("`{name}` has no value")),
                text => Label::Number(number(text, name)?),
            },
            (Target::Class { .. }, Some((name, column))) => match field(*column, name)? {
                "" => return Err(format!("`{name}` has no value")),
                text => Label::Class(self.schema.class(text).map_err(|e| e.to_string())?),
            },
            _ => Label::None,
        };
        Ok((row, label))
    }

    /// The features and the target.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// How many examples there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no example.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The features of each example.
    pub fn rows(&self) -> &[Vec<f64>] {
        &self.rows
    }

    /// The label of each example.
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    pub(super) fn numbers(&self) -> Result<Vec<f64>, ModelError> {
        self.labels.iter().map(Label::as_number).collect()
    }

    pub(super) fn classes(&self) -> Result<Vec<usize>, ModelError> {
        self.labels
            .iter()
            .map(|l| l.as_class(self.schema.classes().len()))
            .collect()
    }
}
