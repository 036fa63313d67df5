//! Learned things: pre-trained models, online learners, drift detectors.
//!
//! A machine learner predicts for each event and learns when a label comes. This crate holds what is learned and the
//! arithmetic of learning, and nothing else: no actor, no clock, no file system. Everything here is a plain value that
//! is told what happened and answers. It never reads the machine's clock, its random source, its environment or the
//! order of a hash map: the same inputs in the same order give the same answers and the same saved bytes.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`schema`] | names, kinds and checks of the features that go in; what comes out |
//! | [`learner`] | [`Predictor`] and [`Learner`], the two traits that every model speaks |
//! | [`drift`] | ADWIN, DDM and Page-Hinkley: has the stream changed? |
//! | [`evaluation`] | prequential metrics, intervals and tests |
//! | [`gate`] | which of two models is served, and why |
//! | [`online`] | models that learn from one event at a time |
//! | [`pmml`] | models made elsewhere, read from PMML |
//! | [`pretrained`] | models trained on a table, saved with a version, a schema and a checksum |
//!
//! What was learned is a part of an operator's state. It is saved bit for bit by [`state::save`] and comes back by
//! [`state::restore`]: the predictions after a restore are those that would have come without it.

pub mod drift;
pub mod error;
pub mod evaluation;
pub mod gate;
mod inputs;
pub mod learner;
pub mod online;
pub mod pmml;
pub mod pretrained;
pub mod schema;
pub mod state;

pub use error::ModelError;
pub use learner::{Label, Learner, Prediction, Predictor};
pub use schema::{Feature, FeatureKind, MISSING, Schema, Target, is_missing};
