//! What has been learned, and what is known of how good it is: everything that predicts, and everything that a label
//! changes.

use serde::{Deserialize, Serialize};
use wavetank_models::drift::{Detector, DriftDetector, Signal};
use wavetank_models::evaluation::{Prequential, loss};
use wavetank_models::gate::{Gate, Served};
use wavetank_models::online::OnlineModel;
use wavetank_models::{Label, Learner as _, ModelError, Prediction, Predictor};
use wavetank_scenarios::asking::Said as Heard;
use wavetank_scenarios::metric::Metric;
use wavetank_scenarios::script::{Learn, OnDrift};
use wavetank_scenarios::{Time, Value};

use super::plan::Plan;
use crate::operator::Output;

/// Whose answer it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum By {
    Pretrained,
    Online,
    Nobody,
}

/// What the models say of an event.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Said {
    pretrained: Option<Prediction>,
    online: Option<Prediction>,
    /// What is answered.
    pub served: Option<Prediction>,
    /// What the online model looked at.
    features: Option<Vec<f64>>,
}

impl Said {
    /// Roughly how many bytes it takes.
    pub fn bytes(&self) -> usize {
        let features = self.features.as_ref().map_or(0, Vec::len);
        size_of::<Self>() + features * size_of::<f64>()
    }
}

/// Why a model did not answer.
struct Refusal {
    why: String,
    /// It has learned nothing yet.
    unready: bool,
}

impl From<ModelError> for Refusal {
    fn from(error: ModelError) -> Self {
        Self {
            why: error.to_string(),
            unready: matches!(error, ModelError::NotReady(_)),
        }
    }
}

/// The sum of losses, and how many they are.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
struct Losses {
    sum: f64,
    count: u64,
}

impl Losses {
    fn add(&mut self, loss: f64) -> f64 {
        self.sum += loss;
        self.count += 1;
        self.sum / self.count as f64
    }
}

/// The part that is saved.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Minds {
    /// Which version of the pre-trained model serves.
    version: usize,
    online: Option<OnlineModel>,
    gate: Option<Gate>,
    detector: Option<Detector>,
    metrics: Option<Prequential>,
    pretrained_losses: Losses,
    online_losses: Losses,
}

/// Millionths, as a reading.
fn millionths(x: f64) -> u64 {
    (x * 1e6).round().max(0.0) as u64
}

impl Minds {
    pub fn new(learn: &Learn, plan: &Plan) -> Result<Self, String> {
        let wrong = |error: ModelError| error.to_string();
        let online = learn.online.clone();
        let online = online.map(|online| OnlineModel::new(plan.schema.clone(), online));
        let metrics = plan.label.is_some();
        let metrics = metrics.then(|| Prequential::new(&plan.schema, learn.evaluate));
        Ok(Self {
            version: 0,
            online: online.transpose().map_err(wrong)?,
            gate: learn.gate.map(Gate::new).transpose().map_err(wrong)?,
            detector: learn.drift.map(Detector::new).transpose().map_err(wrong)?,
            metrics: metrics.transpose().map_err(wrong)?,
            pretrained_losses: Losses::default(),
            online_losses: Losses::default(),
        })
    }

    /// Whether it can be the saved state of one with the same settings as `other`.
    pub fn like(&self, other: &Self, plan: &Plan) -> bool {
        let online = match (&self.online, &other.online) {
            (Some(mine), Some(theirs)) => mine.like(theirs),
            (None, None) => true,
            _ => false,
        };
        online
            && self.version < plan.versions.len().max(1)
            && self.gate.is_some() == other.gate.is_some()
            && self.detector.is_some() == other.detector.is_some()
            && self.metrics.as_ref().map(std::mem::discriminant) == other.metrics.as_ref().map(std::mem::discriminant)
    }

    fn serves_online(&self, plan: &Plan) -> bool {
        match &self.gate {
            Some(gate) => gate.served() == Served::Online,
            None => plan.versions.is_empty(),
        }
    }

    /// Predicts: all that the models say, and whose answer is served. `heard` is what a service said in the place of the
    /// pre-trained model.
    ///
    /// # Errors
    /// No model can answer, and there is no fallback: why.
    pub fn predict(&self, plan: &Plan, row: &[Value], heard: Option<Heard>) -> Result<(Said, By), String> {
        let here = || {
            let version = plan.versions.get(self.version)?;
            let answer = version.looks.at(row).and_then(|x| version.model.predict(&x));
            Some(answer.map_err(Refusal::from))
        };
        let pretrained = match heard {
            Some(heard) => Some(heard.map_err(|why| Refusal { why, unready: false })),
            None => here(),
        };
        let mut features = None;
        let online = self.online.as_ref().zip(plan.online.as_ref()).map(|(model, looks)| {
            let x = looks.at(row)?;
            let answer = model.predict(&x).map_err(Refusal::from);
            features = Some(x);
            answer
        });
        let mut answers = [(By::Pretrained, pretrained.as_ref()), (By::Online, online.as_ref())];
        if self.serves_online(plan) {
            answers.reverse();
        }
        let first = |(by, answer): &(By, Option<&Result<Prediction, Refusal>>)| {
            Some((*by, answer.as_ref()?.as_ref().ok()?.clone()))
        };
        let served = answers.iter().find_map(first);
        let (by, served) = match (served, &plan.fallback) {
            (Some((by, answer)), _) => (by, Some(answer)),
            (None, Some(fallback)) => (By::Nobody, Some(fallback.clone())),
            (None, None) => {
                let mut errors = answers.iter().filter_map(|(_, answer)| answer.as_ref()?.as_ref().err());
                if !errors.clone().any(|refusal| refusal.unready) {
                    let why = errors.next().map(|refusal| refusal.why.clone());
                    return Err(why.unwrap_or_else(|| "there is no model".into()));
                }
                (By::Nobody, None)
            }
        };
        let said = Said {
            pretrained: pretrained.and_then(Result::ok),
            online: online.and_then(Result::ok),
            served,
            features,
        };
        Ok((said, by))
    }

    /// The columns that say who answered.
    pub fn signed(&self, plan: &Plan, by: By, columns: &mut Vec<Value>) {
        let version = plan.versions.get(self.version).map(|version| version.model.version());
        columns.push(Value::from(match by {
            By::Pretrained => "pre-trained",
            By::Online => "online",
            By::Nobody => "fallback",
        }));
        columns.push(match version {
            Some(version) if by == By::Pretrained && !version.is_empty() => Value::text(version),
            _ => Value::Null,
        });
        if let Some(online) = &self.online {
            columns.push(Value::Int(online.learned() as i64));
        }
    }

    /// Learns from an event that has no label: the event itself is the lesson.
    pub fn observe(&mut self, said: &Said, out: &mut Output) {
        self.learn(said, Label::None, out);
    }

    /// Learns from an event and its label, when it has been compared with what was predicted; the loss of what was served.
    pub fn teach(&mut self, settings: &Learn, plan: &Plan, said: &Said, label: Label, out: &mut Output) -> Option<f64> {
        let lost = |prediction: &Option<Prediction>| prediction.as_ref().and_then(|p| loss(p, label).ok());
        let (served, pretrained, online) = (lost(&said.served), lost(&said.pretrained), lost(&said.online));
        if let (Some(metrics), Some(answer)) = (&mut self.metrics, &said.served)
            && metrics.update(answer, label).is_ok()
        {
            self.measure(out);
        }
        if let Some(loss) = pretrained {
            out.measure(Metric::PretrainedLoss, millionths(self.pretrained_losses.add(loss)));
        }
        if let Some(loss) = online {
            out.measure(Metric::OnlineLoss, millionths(self.online_losses.add(loss)));
        }
        let watched = if self.online.is_some() { online } else { pretrained };
        let mut signal = Signal::Stable;
        if let Some(gate) = &mut self.gate {
            if let (Some(pretrained), Some(online)) = (pretrained, online)
                && let Ok(verdict) = gate.observe(pretrained, online)
            {
                signal = verdict.signal;
                if let Some(switch) = verdict.switch {
                    out.measure(Metric::Switches, 1);
                    out.measure(Metric::OnlineServed, u64::from(switch.to == Served::Online));
                    out.note(switch.to_string());
                }
            }
        } else if let (Some(detector), Some(loss)) = (&mut self.detector, watched) {
            signal = detector.update(loss).unwrap_or_default();
        }
        match signal {
            Signal::Stable => {}
            Signal::Warning => out.measure(Metric::DriftWarnings, 1),
            Signal::Drift => self.drifted(settings, plan, out),
        }
        self.learn(said, label, out);
        served
    }

    fn drifted(&mut self, settings: &Learn, plan: &Plan, out: &mut Output) {
        out.measure(Metric::Drifts, 1);
        let learned = self.online.as_ref().map(wavetank_models::Learner::learned);
        if settings.on_drift == OnDrift::Forget
            && let (Some(learned), Some(online)) = (learned, &settings.online)
            && let Ok(afresh) = OnlineModel::new(plan.schema.clone(), online.clone())
        {
            self.online = Some(afresh);
            out.note(format!(
                "the losses have drifted: what was learned from {learned} examples is forgotten"
            ));
        } else {
            out.note("the losses have drifted".into());
        }
    }

    fn learn(&mut self, said: &Said, label: Label, out: &mut Output) {
        let Some(online) = &mut self.online else { return };
        let learned = said.features.as_ref().is_some_and(|x| online.learn(x, label).is_ok());
        out.measure(if learned { Metric::Learned } else { Metric::Unlearned }, 1);
    }

    fn measure(&self, out: &mut Output) {
        match &self.metrics {
            None => {}
            Some(Prequential::Number(metrics)) => {
                out.measure(Metric::Mae, millionths(metrics.mae()));
                out.measure(Metric::Rmse, millionths(metrics.rmse()));
            }
            Some(Prequential::Class(metrics)) => {
                let last = metrics.classes().saturating_sub(1);
                for (metric, share) in [
                    (Metric::Accuracy, metrics.accuracy()),
                    (Metric::BalancedAccuracy, metrics.balanced_accuracy()),
                    (Metric::MacroF1, metrics.macro_f1()),
                    (Metric::Precision, metrics.precision(last)),
                    (Metric::Recall, metrics.recall(last)),
                    (Metric::Kappa, metrics.kappa()),
                ] {
                    out.measure(metric, millionths(share));
                }
            }
        }
    }

    /// What is asked of the pre-trained model that serves.
    pub fn question(&self, plan: &Plan, row: &[Value]) -> Option<Vec<Value>> {
        plan.versions
            .get(self.version)
            .map(|version| version.looks.question(row))
    }

    /// Serves the versions whose time has come by `now`; whether there are any.
    pub fn swap(&mut self, plan: &Plan, now: Time, out: &mut Output) -> bool {
        let before = self.version;
        while let Some(next) = plan.versions.get(self.version + 1).filter(|next| next.from <= now) {
            self.version += 1;
            if let Some(gate) = &mut self.gate {
                gate.pretrained_replaced();
            }
            out.measure(Metric::ModelVersion, self.version as u64 + 1);
            out.note(format!(
                "`{}` version `{}` serves from here",
                next.model.name(),
                next.model.version()
            ));
        }
        self.version > before
    }

    /// What is to be seen before anything has happened.
    pub fn enter(&self, plan: &Plan, out: &mut Output) {
        if !plan.versions.is_empty() {
            out.measure(Metric::ModelVersion, self.version as u64 + 1);
        }
        if self.gate.is_some() {
            out.measure(Metric::OnlineServed, u64::from(self.serves_online(plan)));
        }
    }

    /// Roughly how many bytes it takes.
    pub fn bytes(&self, plan: &Plan) -> usize {
        let online = self.online.as_ref().map_or(0, OnlineModel::state_bytes);
        let pretrained = plan
            .versions
            .get(self.version)
            .map_or(0, |version| version.model.state_bytes());
        size_of::<Self>() + online + pretrained
    }
}
