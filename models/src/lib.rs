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
//! | [`loaded`] | a model read from a file, of whichever kind |
//! | [`learner`] | [`Predictor`] and [`Learner`], the two traits that every model speaks |
//! | [`drift`] | ADWIN, DDM and Page-Hinkley: has the stream changed? |
//! | [`evaluation`] | prequential metrics, intervals and tests |
//! | [`gate`] | which of two models is served, and why |
//! | `onnx` | models made elsewhere, read from ONNX; where the feature `onnx` is asked for |
//! | [`online`] | models that learn from one event at a time |
//! | [`pmml`] | models made elsewhere, read from PMML |
//! | [`pretrained`] | models trained on a table, saved with a version, a schema and a checksum |
//!
//! What was learned is a part of an operator's state. It is saved bit for bit by [`state::save`] and comes back by
//! [`state::restore`]: the predictions after a restore are those that would have come without it.
//!
//! Predict first, learn when the label comes, watch the errors:
//!
//! ```
//! use wavetank_models::drift::{Adwin, AdwinSettings, DriftDetector, Signal};
//! use wavetank_models::evaluation::{Memory, Prequential, loss};
//! use wavetank_models::online::{LinearSettings, OnlineModel, OnlineSettings};
//! use wavetank_models::{Label, Learner, Predictor, Schema, Target, state};
//!
//! # fn main() -> Result<(), wavetank_models::ModelError> {
//! let schema = Schema::numbers(["distance", "hour"], Target::Number { name: "delay".into() })?;
//! let settings = OnlineSettings::LinearRegression(LinearSettings { scale: true, ..Default::default() });
//! let mut model = OnlineModel::new(schema.clone(), settings)?;
//! let mut metrics = Prequential::new(&schema, Memory::Window(200))?;
//! let mut detector = Adwin::new(AdwinSettings::default())?;
//! let mut drifts = Vec::new();
//! for i in 0..2000 {
//!     let (distance, hour) = (f64::from(i % 37), f64::from(i % 24));
//!     let delay = if i < 1000 { 3.0 * distance } else { 80.0 - 2.0 * hour };
//!     let predicted = model.predict(&[distance, hour])?;
//!     metrics.update(&predicted, Label::Number(delay))?;
//!     if detector.update(loss(&predicted, Label::Number(delay))?)? == Signal::Drift && i > 500 {
//!         drifts.push(i);
//!     }
//!     model.learn(&[distance, hour], Label::Number(delay))?;
//! }
//! assert!(drifts.iter().any(|i| (1000..1100).contains(i)), "{drifts:?}");
//!
//! let restored: OnlineModel = state::restore(&state::save(&model)?)?;
//! assert_eq!(restored.predict(&[10.0, 8.0]), model.predict(&[10.0, 8.0]));
//! # Ok(())
//! # }
//! ```

pub mod drift;
pub mod error;
pub mod evaluation;
pub mod gate;
mod inputs;
pub mod learner;
pub mod loaded;
pub mod online;
#[cfg(feature = "onnx")]
pub mod onnx;
pub mod pmml;
pub mod pretrained;
pub mod schema;
pub mod state;

pub use error::ModelError;
pub use learner::{Label, Learner, Prediction, Predictor};
pub use loaded::{LoadedModel, ReadError};
pub use schema::{Feature, FeatureKind, MISSING, Schema, Target, is_missing};
