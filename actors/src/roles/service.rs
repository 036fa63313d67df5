//! A service that has the versions of a model and answers who asks.

use std::sync::Arc;

use wavetank_models::{LoadedModel, Predictor};
use wavetank_scenarios::asking::{Answer, Question, Said};
use wavetank_scenarios::script::Learn;
use wavetank_scenarios::topology::ActorId;

use crate::element::Element;
use crate::host::Part;
use crate::reliability::Control;
use crate::world::{Input, Stage};

/// Answers each question as it comes, and remembers nothing: a crash costs it what it had not answered.
pub(crate) struct Serving {
    versions: Vec<Arc<LoadedModel>>,
    asker: ActorId,
}

impl Serving {
    /// The service of a learner with these settings, which `asker` asks.
    ///
    /// # Errors
    /// A model has not been read.
    pub fn new(learn: &Learn, asker: ActorId) -> Result<Self, String> {
        let versions = learn.pretrained.iter().map(|file| {
            let read = file.read.as_ref().map(|read| Arc::clone(&read.model));
            read.ok_or_else(|| format!("the model `{}` has not been read", file.file))
        });
        Ok(Self {
            versions: versions.collect::<Result<_, _>>()?,
            asker,
        })
    }

    fn answer(&self, question: &Question) -> Said {
        let model = self.versions.get(question.version as usize);
        let model = model.ok_or_else(|| format!("there is no version number {}", question.version))?;
        model.predict(&question.features).map_err(|error| error.to_string())
    }
}

impl Part for Serving {
    fn play(&mut self, input: Input, stage: &mut Stage) {
        if let Input::Element {
            element: Element::Control(control),
            ..
        } = input
            && let Control::Question(question) = &*control
        {
            let answer = Answer {
                event: question.event,
                version: question.version,
                said: self.answer(question),
            };
            stage.tell(self.asker, Control::Answer(answer));
        }
    }
}
