//! Which of two models should be served.
//!
//! The model in words: keep every pair of losses since the evidence was last void. Whenever their number is a multiple of
//! `test_every`, and the last `window` of them are at least `least_labels`, ask whether the mean of the differences in
//! favour of the one that is not served is above its margin with the stated confidence. So many yeses in a row, and the
//! other one is served. A drift makes the evidence void and the pre-trained model is served; a new version of it makes
//! the evidence void.

use wavetank_models::ModelError;
use wavetank_models::drift::{Detector, DriftDetector, Signal};
use wavetank_models::evaluation::mean_above;
use wavetank_models::gate::{Evidence, GateSettings, Reason, Served, Switch};

#[derive(Clone)]
pub(crate) struct Referee {
    settings: GateSettings,
    pub online: bool,
    since: Vec<(f64, f64)>,
    yeses: u32,
    labels: u64,
    detector: Option<Detector>,
}

impl Referee {
    pub fn new(settings: GateSettings) -> Result<Self, ModelError> {
        Ok(Self {
            settings,
            online: false,
            since: Vec::new(),
            yeses: 0,
            labels: 0,
            detector: settings.drift.map(Detector::new).transpose()?,
        })
    }

    pub fn void(&mut self) {
        self.since.clear();
        self.yeses = 0;
    }

    /// A label has come: whether the losses of the online model drift, and what the referee says of a change.
    pub fn label(&mut self, pretrained: f64, online: f64) -> (Signal, Option<String>) {
        let mut signal = Signal::Stable;
        if let Some(detector) = &mut self.detector {
            match detector.update(online) {
                Ok(says) => signal = says,
                // It takes no such loss: this label does not count.
                Err(_) => return (Signal::Stable, None),
            }
        }
        self.labels += 1;
        if signal == Signal::Drift {
            self.void();
            let change = self.online.then(|| self.change(Reason::Drift));
            return (signal, change);
        }
        self.since.push((pretrained, online));
        (signal, self.ask())
    }

    fn ask(&mut self) -> Option<String> {
        let GateSettings {
            window,
            least_labels,
            confidence,
            margin,
            margin_back,
            test_every,
            in_a_row,
            ..
        } = self.settings;
        let last = &self.since[self.since.len().saturating_sub(window)..];
        if !self.since.len().is_multiple_of(test_every) || last.len() < least_labels {
            return None;
        }
        let better_by: Vec<f64> = last
            .iter()
            .map(|(pretrained, online)| {
                if self.online {
                    -(pretrained - online)
                } else {
                    pretrained - online
                }
            })
            .collect();
        let needed = if self.online { margin_back } else { margin };
        let at_least = mean_above(&better_by, confidence).ok()?;
        // What cannot be said (not a number) is no yes.
        let yes = at_least > needed;
        self.yeses = if yes { self.yeses + 1 } else { 0 };
        if !yes {
            return None;
        }
        if self.yeses < in_a_row {
            return None;
        }
        let mean = |of: fn(&(f64, f64)) -> f64| last.iter().map(of).sum::<f64>() / last.len() as f64;
        let evidence = Evidence {
            labels: last.len(),
            pretrained: mean(|pair| pair.0),
            online: mean(|pair| pair.1),
            at_least,
            confidence,
        };
        let because = if self.online {
            Reason::Worse(evidence)
        } else {
            Reason::Better(evidence)
        };
        Some(self.change(because))
    }

    fn change(&mut self, because: Reason) -> String {
        self.online = !self.online;
        self.yeses = 0;
        let to = if self.online {
            Served::Online
        } else {
            Served::Pretrained
        };
        let after_label = self.labels;
        Switch {
            after_label,
            to,
            because,
        }
        .to_string()
    }
}
