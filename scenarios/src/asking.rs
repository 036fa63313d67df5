//! What travels between a learner and the service that has its pre-trained model.

use serde::{Deserialize, Serialize};
use wavetank_models::Prediction;

use crate::event::EventId;

/// What a service says: a prediction, or why there is none.
pub type Said = Result<Prediction, String>;

/// What a service is asked.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Question {
    /// The event that it is about.
    pub event: EventId,
    /// Which version is asked, from 0.
    pub version: u32,
    /// What the model looks at, in the order of its schema.
    pub features: Vec<f64>,
}

/// What it answers.
#[derive(Clone, PartialEq, Debug)]
pub struct Answer {
    /// The event that was asked about.
    pub event: EventId,
    /// Which version was asked.
    pub version: u32,
    /// What it says.
    pub said: Said,
}
