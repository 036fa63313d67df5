//! What can go wrong when a model is built, asked or taught.

/// An input, a label or a setting that a model refuses. The model is left exactly as it was before the call.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// The number of features given is not the number that the schema names.
    #[error("expected {expected} features, got {got}")]
    FeatureCount {
        /// Features in the schema.
        expected: usize,
        /// Features given.
        got: usize,
    },
    /// A feature has no value ([`crate::MISSING`]) and the model has no rule for that.
    #[error("feature {index} `{feature}` has no value")]
    Missing {
        /// Its name in the schema.
        feature: String,
        /// Its place in the schema, from 0.
        index: usize,
    },
    /// A feature is not a number.
    #[error("feature {index} `{feature}` is not a number")]
    NotANumber {
        /// Its name in the schema.
        feature: String,
        /// Its place in the schema, from 0.
        index: usize,
    },
    /// A feature is infinite.
    #[error("feature {index} `{feature}` is infinite")]
    Infinite {
        /// Its name in the schema.
        feature: String,
        /// Its place in the schema, from 0.
        index: usize,
    },
    /// A categorical feature holds a number that is no index into the categories of the schema.
    #[error("feature {index} `{feature}` is category {value}, but there are {categories} categories")]
    NoSuchCategory {
        /// Its name in the schema.
        feature: String,
        /// Its place in the schema, from 0.
        index: usize,
        /// What was given.
        value: f64,
        /// How many categories the schema names.
        categories: usize,
    },
    /// A value that the schema does not know by name.
    #[error("`{value}` is no category of `{feature}`")]
    UnknownCategory {
        /// The feature's or target's name.
        feature: String,
        /// The text given.
        value: String,
    },
    /// A value that a document's field does not allow.
    #[error("`{value}` is not allowed for the field `{feature}`")]
    InvalidValue {
        /// The field.
        feature: String,
        /// The value.
        value: String,
    },
    /// The model has no answer for these values.
    #[error("the model has no answer: {0}")]
    NoAnswer(String),
    /// The label is of another kind than the model learns.
    #[error("the model learns from {expected}, the label is {got}")]
    LabelKind {
        /// What the model learns from.
        expected: &'static str,
        /// What it was given.
        got: &'static str,
    },
    /// The label is not a finite number.
    #[error("the label is not a finite number")]
    LabelNotFinite,
    /// The label names a class that the schema does not have.
    #[error("the label is class {class}, but there are {classes} classes")]
    NoSuchClass {
        /// Index of the class, from 0.
        class: usize,
        /// How many classes the schema names.
        classes: usize,
    },
    /// A value given to a drift detector or a metric is outside what it takes.
    #[error("{what} must be {must}, got {got}")]
    Value {
        /// What the value is.
        what: &'static str,
        /// What it must be.
        must: &'static str,
        /// What was given.
        got: f64,
    },
    /// A setting is outside its range.
    #[error("setting `{name}` must be {must}, got {got}")]
    Setting {
        /// Name of the setting.
        name: &'static str,
        /// The range.
        must: &'static str,
        /// What was given.
        got: String,
    },
    /// The schema does not fit the model.
    #[error("the schema does not fit: {0}")]
    Schema(String),
    /// The model has learned nothing yet that it could answer from.
    #[error("the model has not learned enough to answer: {0}")]
    NotReady(String),
    /// Learning would have made a parameter infinite or not a number, so the example was refused.
    #[error(
        "learning from this example would make `{parameter}` not finite: a smaller learning rate, or scaling, helps"
    )]
    Diverged {
        /// The parameter.
        parameter: String,
    },
    /// Training on a table failed.
    #[error("training failed: {0}")]
    Training(String),
    /// A saved state does not read back.
    #[error("the saved state does not read back: {0}")]
    State(String),
}

impl ModelError {
    /// A setting outside its range.
    pub(crate) fn setting(name: &'static str, must: &'static str, got: impl ToString) -> Self {
        Self::Setting {
            name,
            must,
            got: got.to_string(),
        }
    }
}

/// Checks a setting that must be finite and above zero.
pub(crate) fn positive(name: &'static str, value: f64) -> Result<(), ModelError> {
    if value.is_finite() && value > 0.0 {
        Ok(())
    } else {
        Err(ModelError::setting(name, "a finite number above 0", value))
    }
}

/// Checks a setting that must be finite and not below zero.
pub(crate) fn not_negative(name: &'static str, value: f64) -> Result<(), ModelError> {
    if value.is_finite() && value >= 0.0 {
        Ok(())
    } else {
        Err(ModelError::setting(name, "a finite number, 0 or above", value))
    }
}

/// Checks a setting that must lie strictly between 0 and 1.
pub(crate) fn open_unit(name: &'static str, value: f64) -> Result<(), ModelError> {
    if value > 0.0 && value < 1.0 {
        Ok(())
    } else {
        Err(ModelError::setting(name, "above 0 and below 1", value))
    }
}

/// Checks a count that must be at least `least`.
pub(crate) fn at_least(name: &'static str, value: usize, least: usize) -> Result<(), ModelError> {
    if value >= least {
        Ok(())
    } else {
        Err(ModelError::setting(
            name,
            "larger",
            format!("{value} (at least {least})"),
        ))
    }
}
