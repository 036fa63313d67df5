//! Which of two models is served: the pre-trained one, or the one that learns.
//!
//! Both predict every event. When a label comes, the gate is told both losses, and says which model is to be served
//! from then on and, when that changes, why. The rules:
//!
//! - The pre-trained model is served until the online one is better: over the last labels the mean of the pre-trained
//!   loss minus the online loss is above a margin with a stated confidence (Student's paired test, one-sided).
//! - The online model is served until it is worse by a margin of its own, with the same confidence, or until a drift
//!   detector on its losses says drift. The distance between the two margins is the hysteresis.
//! - A test is made every so many labels and must come out the same way several times in a row. The confidence is that
//!   of one test.
//! - A drift, and a new version of the pre-trained model, make the evidence void: counting starts again.
//!
//! The gate is a plain value without a clock. It holds no model.

use crate::ModelError;
use crate::drift::{Detector, DetectorSettings, DriftDetector, Signal};
use crate::error::{at_least, not_negative, open_unit};
use crate::evaluation::mean_above;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt;

/// One of the two models.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Served {
    /// The pre-trained model.
    #[default]
    Pretrained,
    /// The model that learns.
    Online,
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pretrained => "pre-trained",
            Self::Online => "online",
        })
    }
}

/// Settings of a [`Gate`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GateSettings {
    /// Labels that count: the last 500.
    pub window: usize,
    /// Labels before the first test: 100.
    pub least_labels: usize,
    /// Confidence of a test, above 0.5 and below 1: 0.95.
    pub confidence: f64,
    /// How much better the online model must be to be served, in the unit of the loss: 0.
    pub margin: f64,
    /// How much worse the online model must be to be no longer served, in the unit of the loss: 0.
    pub margin_back: f64,
    /// Labels between two tests: 10.
    pub test_every: usize,
    /// Tests in a row that must come out the same: 3.
    pub in_a_row: u32,
    /// What watches the losses of the online model, if anything.
    pub drift: Option<DetectorSettings>,
}

impl Default for GateSettings {
    fn default() -> Self {
        Self {
            window: 500,
            least_labels: 100,
            confidence: 0.95,
            margin: 0.0,
            margin_back: 0.0,
            test_every: 10,
            in_a_row: 3,
            drift: None,
        }
    }
}

/// Why the gate switched.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Reason {
    /// The online model is better.
    Better(Evidence),
    /// The online model is worse.
    Worse(Evidence),
    /// The losses of the online model have drifted.
    Drift,
}

/// What a test saw.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Labels that it looked at.
    pub labels: usize,
    /// Mean loss of the pre-trained model over them.
    pub pretrained: f64,
    /// Mean loss of the online model over them.
    pub online: f64,
    /// The mean difference in favour of the winner is above this, with the confidence.
    pub at_least: f64,
    /// The confidence.
    pub confidence: f64,
}

/// A change of the model that is served.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Switch {
    /// The label, counted from 1, after which it happens.
    pub after_label: u64,
    /// The model that is served from now on.
    pub to: Served,
    /// Why.
    pub because: Reason,
}

impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "label {}: {} model served, ", self.after_label, self.to)?;
        match &self.because {
            Reason::Drift => f.write_str("because the losses of the online model drifted"),
            Reason::Better(e) | Reason::Worse(e) => {
                let is = if matches!(self.because, Reason::Better(_)) {
                    "better"
                } else {
                    "worse"
                };
                write!(
                    f,
                    "because the online model is {is} by more than {:.4} with confidence {} \
                     (mean loss {:.4} against {:.4} over {} labels)",
                    e.at_least, e.confidence, e.online, e.pretrained, e.labels
                )
            }
        }
    }
}

/// What the gate makes of one label.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The model that is served from now on.
    pub served: Served,
    /// The change, if there is one.
    pub switch: Option<Switch>,
    /// What the drift detector says.
    pub signal: Signal,
}

/// The gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    settings: GateSettings,
    served: Served,
    detector: Option<Detector>,
    /// Pre-trained and online losses, oldest first.
    losses: VecDeque<(f64, f64)>,
    /// Labels since the evidence was last void.
    since: u64,
    labels: u64,
    agreeing: u32,
    switches: u64,
}

impl Gate {
    /// A gate that serves the pre-trained model.
    ///
    /// # Errors
    /// [`ModelError::Setting`] for a setting outside its range.
    pub fn new(settings: GateSettings) -> Result<Self, ModelError> {
        at_least("window", settings.window, 2)?;
        at_least("least_labels", settings.least_labels, 2)?;
        if settings.least_labels > settings.window {
            return Err(ModelError::setting(
                "least_labels",
                "no more than `window`",
                settings.least_labels,
            ));
        }
        open_unit("confidence", settings.confidence)?;
        if settings.confidence <= 0.5 {
            return Err(ModelError::setting(
                "confidence",
                "above 0.5 and below 1",
                settings.confidence,
            ));
        }
        not_negative("margin", settings.margin)?;
        not_negative("margin_back", settings.margin_back)?;
        at_least("test_every", settings.test_every, 1)?;
        at_least("in_a_row", settings.in_a_row as usize, 1)?;
        let detector = settings.drift.map(Detector::new).transpose()?;
        Ok(Self {
            settings,
            served: Served::Pretrained,
            detector,
            losses: VecDeque::new(),
            since: 0,
            labels: 0,
            agreeing: 0,
            switches: 0,
        })
    }

    /// The model that is served.
    pub fn served(&self) -> Served {
        self.served
    }

    /// Labels seen.
    pub fn labels(&self) -> u64 {
        self.labels
    }

    /// How often the gate has switched.
    pub fn switches(&self) -> u64 {
        self.switches
    }

    /// Takes the losses of both models on an event whose label has come.
    ///
    /// # Errors
    /// [`ModelError::Value`] for a loss that is negative or not finite, or that the drift detector does not take (DDM
    /// takes 0 and 1 only); the gate is as it was before.
    pub fn observe(&mut self, pretrained: f64, online: f64) -> Result<Verdict, ModelError> {
        for loss in [pretrained, online] {
            if !loss.is_finite() || loss < 0.0 {
                return Err(ModelError::Value {
                    what: "a loss",
                    must: "finite and not negative",
                    got: loss,
                });
            }
        }
        let signal = match &mut self.detector {
            Some(detector) => detector.update(online)?,
            None => Signal::Stable,
        };
        self.labels += 1;
        if signal == Signal::Drift {
            self.forget();
            let switch = (self.served == Served::Online).then(|| self.switch(Reason::Drift));
            return Ok(Verdict {
                served: self.served,
                switch,
                signal,
            });
        }
        self.since += 1;
        if self.losses.len() == self.settings.window {
            self.losses.pop_front();
        }
        self.losses.push_back((pretrained, online));
        let due = self.since.is_multiple_of(self.settings.test_every as u64);
        let switch = if due && self.losses.len() >= self.settings.least_labels {
            self.test()?
        } else {
            None
        };
        Ok(Verdict {
            served: self.served,
            switch,
            signal,
        })
    }

    /// Tells the gate that the pre-trained model is another from now on: what was seen of the old one is void.
    pub fn pretrained_replaced(&mut self) {
        self.forget();
    }

    fn forget(&mut self) {
        self.losses.clear();
        self.since = 0;
        self.agreeing = 0;
    }

    fn test(&mut self) -> Result<Option<Switch>, ModelError> {
        let (sign, margin) = match self.served {
            Served::Pretrained => (1.0, self.settings.margin),
            Served::Online => (-1.0, self.settings.margin_back),
        };
        let differences: Vec<f64> = self.losses.iter().map(|(p, o)| sign * (p - o)).collect();
        let at_least = mean_above(&differences, self.settings.confidence)?;
        if at_least.is_nan() || at_least <= margin {
            self.agreeing = 0;
            return Ok(None);
        }
        self.agreeing += 1;
        if self.agreeing < self.settings.in_a_row {
            return Ok(None);
        }
        let labels = self.losses.len();
        let mean = |of: fn(&(f64, f64)) -> f64| self.losses.iter().map(of).sum::<f64>() / labels as f64;
        let confidence = self.settings.confidence;
        let evidence = Evidence {
            labels,
            pretrained: mean(|l| l.0),
            online: mean(|l| l.1),
            at_least,
            confidence,
        };
        Ok(Some(self.switch(match self.served {
            Served::Pretrained => Reason::Better(evidence),
            Served::Online => Reason::Worse(evidence),
        })))
    }

    fn switch(&mut self, because: Reason) -> Switch {
        self.served = match self.served {
            Served::Pretrained => Served::Online,
            Served::Online => Served::Pretrained,
        };
        self.switches += 1;
        self.agreeing = 0;
        Switch {
            after_label: self.labels,
            to: self.served,
            because,
        }
    }
}
