//! The machine learner.
//!
//! The model in words: a loop over events and labels, in the order of arrival, or, by event time, over those that the
//! watermark has passed, sorted by stamp, events before labels, then by the source event. Each event is shown to the
//! models as they are at that moment, and what they say is noted on a list. Each label looks through the whole list for
//! the notes that it is meant for, compares, and is shown to the model that learns; then those notes are struck out. A
//! label that finds none waits on a list of its own while its event may still come. The watermark strikes out what
//! nothing can come for any more. A crash leaves nothing.
//!
//! Where the pre-trained model stands behind a service, there is a line before all that: whatever comes stands in it, an
//! event puts its question when it comes, and then, again and again, the first of the line is let in unless it is an event
//! whose question has neither been answered nor been waited for long enough. The token of the timer for a question is how
//! many had come before it.
//!
//! The models themselves are those of the models crate: they are judged elsewhere, by what other programs say.

use wavetank_models::drift::{Detector, DriftDetector, Signal};
use wavetank_models::evaluation::loss;
use wavetank_models::online::OnlineModel;
use wavetank_models::{FeatureKind, Label, Learner, MISSING, ModelError, Prediction, Predictor, Target};
use wavetank_scenarios::asking::{Answer, Question, Said};
use wavetank_scenarios::script::{Learn, LearnOrder, LearnResults, OnDrift, Operator};
use wavetank_scenarios::{Event, EventId, Row, Schema, Span, Time, Value};

use crate::learner_gate::Referee;
use crate::{Arrival, Due, DueResult, Reference, Why};

/// What was said of an event, until its label has come.
#[derive(Clone)]
struct Note {
    event: Event,
    columns: Vec<Value>,
    answers: Answers,
}

#[derive(Clone, Default)]
struct Answers {
    seen: Option<Vec<f64>>,
    pretrained: Option<Prediction>,
    online: Option<Prediction>,
    given: Option<Prediction>,
}

/// What stands in the line before a service.
#[derive(Clone)]
struct InLine {
    token: u64,
    what: What,
    /// What was asked, if anything was, and what it is remembered by.
    question: Option<(Question, Vec<Value>)>,
    /// What was said, or why nobody waits for it any more.
    said: Option<Said>,
}

#[derive(Clone)]
enum What {
    Comes(bool, Event),
    Watermark(Time),
}

/// All that changes as it learns.
#[derive(Clone)]
struct Knowledge {
    version: usize,
    online: Option<OnlineModel>,
    referee: Option<Referee>,
    detector: Option<Detector>,
}

/// The naive model of a learner.
#[derive(Clone)]
pub(crate) struct Learning {
    learn: Learn,
    model: wavetank_models::Schema,
    events: Schema,
    labels: Schema,
    /// The input that labels come on.
    labels_on: Option<usize>,
    label: Option<String>,
    knows: Knowledge,
    watermark: Time,
    notes: Vec<Note>,
    early: Vec<Event>,
    coming: Vec<(bool, Event)>,
    /// The largest watermark that has come, whoever stands in the line.
    told: Time,
    line: Vec<InLine>,
    /// How many have come to the line.
    came: u64,
    /// The version that is asked by who comes.
    asks: usize,
    /// Questions and answers, those used last at the end.
    remembered: Vec<(Vec<Value>, Prediction)>,
    tick: Span,
}

impl Learning {
    pub fn new(operator: &Operator, learn: &Learn, inputs: &[&Schema], tick: Span) -> Result<Self, String> {
        let labels_on = learn.label_input(&operator.input);
        let events = (0..inputs.len()).find(|input| Some(*input) != labels_on);
        let events = events.map(|input| inputs[input].clone()).ok_or("it has no events")?;
        let labels = labels_on.map_or_else(|| events.clone(), |input| inputs[input].clone());
        let model = learn.schema()?;
        let label = learn.label_of(model.target()).map(str::to_owned);
        let knows = Knowledge::nothing(learn, &model)?;
        Ok(Self {
            learn: learn.clone(),
            model,
            events,
            labels,
            labels_on,
            label,
            knows,
            watermark: Time::MIN,
            notes: vec![],
            early: vec![],
            coming: vec![],
            told: Time::MIN,
            line: vec![],
            came: 0,
            asks: 0,
            remembered: vec![],
            tick,
        })
    }

    fn outcomes(&self) -> bool {
        self.learn.results == LearnResults::Outcomes
    }

    /// Something comes, by the order that is asked for.
    fn comes(&mut self, what: What, due: &mut Due) {
        let Some(_) = &self.learn.service else {
            return self.turn(&what, None, due);
        };
        let by_stamp = self.learn.order == LearnOrder::EventTime;
        let serving = match &what {
            What::Comes(_, event) if by_stamp => event.stamp,
            What::Watermark(watermark) if *watermark < Time::MAX => *watermark,
            _ => Time::MIN,
        };
        let froms = self.learn.pretrained.iter().enumerate().skip(1);
        let begun = froms.filter(|(_, file)| file.read.as_ref().is_some_and(|read| read.from <= serving));
        let asks = begun.map(|(k, _)| k).max().unwrap_or(0).max(self.asks);
        if asks > self.asks {
            self.asks = asks;
            self.remembered.clear();
        }
        let mut place = InLine {
            token: self.came,
            what,
            question: None,
            said: None,
        };
        self.came += 1;
        if let What::Comes(false, event) = &place.what {
            let read = self.learn.pretrained[self.asks].read.as_ref();
            let model = read.map(|read| read.model.schema().clone());
            match model.as_ref().map(|model| features(model, &self.events, event)) {
                None => {}
                Some(Err(why)) => place.said = Some(Err(why.to_string())),
                Some(Ok(features)) => {
                    let names = model.iter().flat_map(wavetank_models::Schema::features);
                    let key: Vec<Value> = names.map(|f| value(&self.events, event, &f.name)).collect();
                    let question = Question {
                        event: event.id,
                        version: self.asks as u32,
                        features,
                    };
                    match self.remembered.iter().position(|(known, _)| *known == key) {
                        Some(at) => {
                            let known = self.remembered.remove(at);
                            place.said = Some(Ok(known.1.clone()));
                            self.remembered.push(known);
                        }
                        None => due.asked.push(question.clone()),
                    }
                    place.question = Some((question, key));
                }
            }
        }
        self.line.push(place);
        self.let_in(due);
    }

    /// The first of the line is let in, again and again.
    fn let_in(&mut self, due: &mut Due) {
        while let Some(first) = self.line.first()
            && (first.question.is_none() || first.said.is_some())
        {
            let first = self.line.remove(0);
            self.turn(&first.what, first.said, due);
        }
    }

    /// An answer has come, or it has been waited for long enough.
    fn said(&mut self, mut whom: impl FnMut(&InLine) -> bool, said: &Said, due: &mut Due) {
        for waiting in &mut self.line {
            if waiting.said.is_some() || !whom(waiting) {
                continue;
            }
            if let (Some((question, key)), Ok(said)) = (&waiting.question, said)
                && question.version as usize == self.asks
                && self.learn.cache > 0
            {
                self.remembered.retain(|(known, _)| known != key);
                self.remembered.push((key.clone(), said.clone()));
                if self.remembered.len() > self.learn.cache as usize {
                    self.remembered.remove(0);
                }
            }
            waiting.said = Some(said.clone());
        }
        self.let_in(due);
    }

    /// It is the turn of an event, of which a service said this, of a label or of a watermark.
    fn turn(&mut self, what: &What, said: Option<Said>, due: &mut Due) {
        match what {
            What::Comes(is_label, event) => {
                if self.learn.order == LearnOrder::EventTime {
                    self.new_versions(event.stamp, due);
                }
                if *is_label {
                    self.a_label(event, due);
                } else {
                    self.an_event(event, said, due);
                }
            }
            What::Watermark(watermark) => self.passes(*watermark, due),
        }
    }

    fn an_event(&mut self, event: &Event, said: Option<Said>, due: &mut Due) {
        let Some((answers, by)) = self.ask(event, said) else {
            due.dropped.push((event.id, Why::Failed));
            return;
        };
        let mut columns = event.row.to_vec();
        columns.extend(self.says(&answers, by));
        let note = Note {
            event: event.clone(),
            columns,
            answers,
        };
        if self.label.is_none() {
            due.results.push(alone(event, note.columns.clone()));
            return self.knows.study(&note.answers, Label::None);
        }
        if self.labels_on.is_none() {
            let label = self.label_of(&self.events, event).ok().flatten();
            if !self.outcomes() {
                due.results.push(alone(event, note.columns.clone()));
            }
            match label {
                Some(label) => {
                    let lost = self.compare(&note.answers, label, due);
                    if self.outcomes() {
                        due.results.push(alone(event, self.judged(&note, label, lost)));
                    }
                }
                None if self.outcomes() => due.dropped.push((event.id, Why::Filtered)),
                None => {}
            }
            return;
        }
        if !self.outcomes() {
            due.results.push(alone(event, note.columns.clone()));
        }
        if self.id(&self.events, event).is_none() {
            if self.outcomes() {
                due.dropped.push((event.id, Why::Filtered));
            }
            return;
        }
        match self.early.iter().position(|label| self.belongs(label, event)) {
            Some(place) => {
                let label = self.early.remove(place);
                self.lesson(&[note], &label, due);
            }
            None => self.notes.push(note),
        }
    }

    fn a_label(&mut self, label: &Event, due: &mut Due) {
        match self.label_of(&self.labels, label) {
            Err(()) => due.dropped.push((label.id, Why::Failed)),
            Ok(None) => due.dropped.push((label.id, Why::Filtered)),
            Ok(Some(_)) => {
                let (meant, others) = std::mem::take(&mut self.notes)
                    .into_iter()
                    .partition::<Vec<Note>, _>(|note| self.belongs(label, &note.event));
                self.notes = others;
                let may_wait = self.learn.order == LearnOrder::Arrival
                    && label.stamp > self.watermark
                    && self.id(&self.labels, label).is_some();
                if !meant.is_empty() {
                    self.lesson(&meant, label, due);
                } else if may_wait {
                    self.early.push(label.clone());
                } else {
                    due.dropped.push((label.id, Why::Filtered));
                }
            }
        }
    }

    fn lesson(&mut self, notes: &[Note], label: &Event, due: &mut Due) {
        let Ok(Some(value)) = self.label_of(&self.labels, label) else {
            return;
        };
        for note in notes {
            let lost = self.compare(&note.answers, value, due);
            if self.outcomes() {
                let both = [&note.event, label];
                let last = if (label.stamp, label.id) > (note.event.stamp, note.event.id) {
                    label
                } else {
                    &note.event
                };
                let mut origins: Vec<EventId> = both.iter().flat_map(|e| e.origins().to_vec()).collect();
                origins.sort_unstable();
                origins.dedup();
                due.results.push(DueResult {
                    stamp: label.stamp,
                    row: self.judged(note, value, lost).into(),
                    bounds: vec![],
                    pane: None,
                    correlation: last.correlation,
                    origins,
                });
            }
        }
        if !self.outcomes() {
            due.dropped.push((label.id, Why::Filtered));
        }
    }

    /// Compares what was said with what was true, and learns.
    fn compare(&mut self, answers: &Answers, label: Label, due: &mut Due) -> Option<f64> {
        let of = |answer: &Option<Prediction>| loss(answer.as_ref()?, label).ok();
        let (pretrained, online) = (of(&answers.pretrained), of(&answers.online));
        let knows = &mut self.knows;
        let mut signal = Signal::Stable;
        if let Some(referee) = &mut knows.referee {
            if let Some((pretrained, online)) = pretrained.zip(online) {
                let (says, change) = referee.label(pretrained, online);
                signal = says;
                due.notes.extend(change);
            }
        } else if let Some(detector) = &mut knows.detector {
            let watched = if knows.online.is_some() { online } else { pretrained };
            if let Some(lost) = watched {
                signal = detector.update(lost).unwrap_or_default();
            }
        }
        if signal == Signal::Drift {
            let forgets = self.learn.on_drift == OnDrift::Forget;
            let again = self.learn.online.clone().filter(|_| forgets);
            match again.and_then(|again| OnlineModel::new(self.model.clone(), again).ok()) {
                Some(afresh) => {
                    let learned = knows.online.as_ref().map_or(0, Learner::learned);
                    due.notes.push(format!(
                        "the losses have drifted: what was learned from {learned} examples is forgotten"
                    ));
                    knows.online = Some(afresh);
                }
                None => due.notes.push("the losses have drifted".into()),
            }
        }
        knows.study(answers, label);
        of(&answers.given)
    }

    fn judged(&self, note: &Note, label: Label, lost: Option<f64>) -> Vec<Value> {
        let mut columns = note.columns.clone();
        columns.push(match label {
            Label::Number(x) => Value::Float(x),
            Label::Class(class) => self.class(class),
            Label::None => Value::Null,
        });
        columns.push(lost.map_or(Value::Null, Value::Float));
        columns
    }

    fn class(&self, class: usize) -> Value {
        Value::text(self.model.classes()[class].as_str())
    }

    /// What the models say, and who is heard: 0 the pre-trained one, 1 the online one, 2 nobody.
    fn ask(&self, event: &Event, said: Option<Said>) -> Option<(Answers, usize)> {
        let mut answers = Answers::default();
        let mut unanswered = false;
        let mut refused = false;
        let mut unready = false;
        let mut hear = |answer: Result<Prediction, ModelError>| match answer {
            Ok(prediction) => Some(prediction),
            Err(ModelError::NotReady(_)) => {
                unready = true;
                None
            }
            Err(_) => {
                refused = true;
                None
            }
        };
        if let Some(said) = said {
            unanswered = said.is_err();
            answers.pretrained = said.ok();
        } else if let Some(read) = self
            .learn
            .pretrained
            .get(self.knows.version)
            .and_then(|f| f.read.as_ref())
        {
            let features = features(read.model.schema(), &self.events, event);
            answers.pretrained = hear(features.and_then(|x| read.model.predict(&x)));
        }
        if let Some(online) = &self.knows.online {
            let features = features(&self.model, &self.events, event);
            answers.seen = features.clone().ok();
            answers.online = hear(features.and_then(|x| online.predict(&x)));
        }
        let prefers_online = match &self.knows.referee {
            Some(referee) => referee.online,
            None => self.learn.pretrained.is_empty(),
        };
        let (first, second) = if prefers_online { (1, 0) } else { (0, 1) };
        for by in [first, second] {
            let answer = if by == 0 { &answers.pretrained } else { &answers.online };
            if answer.is_some() {
                answers.given = answer.clone();
                return Some((answers, by));
            }
        }
        if let Some(fallback) = &self.learn.fallback {
            answers.given = Some(self.constant(&fallback.into()));
            return Some((answers, 2));
        }
        (unready || !(refused || unanswered)).then_some((answers, 2))
    }

    fn constant(&self, value: &Value) -> Prediction {
        let number = value.as_f64().unwrap_or(f64::NAN);
        match self.model.target() {
            Target::Number { .. } => Prediction::Number(number),
            Target::Anomaly => Prediction::Anomaly { score: number },
            Target::Cluster => Prediction::Cluster {
                cluster: number as usize,
                distance: f64::NAN,
            },
            Target::Class { classes, .. } => {
                let name = value.to_string();
                Prediction::Class {
                    class: classes.iter().position(|class| *class == name).unwrap_or_default(),
                    probabilities: vec![],
                }
            }
        }
    }

    /// The columns behind those of the event.
    fn says(&self, answers: &Answers, by: usize) -> Vec<Value> {
        let mut columns = Vec::new();
        let number = |x: f64| if x.is_finite() { Value::Float(x) } else { Value::Null };
        match (&answers.given, self.model.target()) {
            (None, Target::Class { .. } | Target::Cluster) => columns.extend([Value::Null, Value::Null]),
            (None, _) => columns.push(Value::Null),
            (Some(Prediction::Number(x) | Prediction::Anomaly { score: x }), _) => columns.push(Value::Float(*x)),
            (Some(Prediction::Cluster { cluster, distance }), _) => {
                columns.extend([Value::Int(*cluster as i64), number(*distance)]);
            }
            (Some(Prediction::Class { class, probabilities }), _) => {
                let sure = probabilities.get(*class).map_or(Value::Null, |p| number(*p));
                columns.extend([self.class(*class), sure]);
            }
        }
        columns.push(Value::from(["pre-trained", "online", "fallback"][by]));
        let file = self.learn.pretrained.get(self.knows.version).filter(|_| by == 0);
        let version = file
            .and_then(|file| file.read.as_ref())
            .map(|read| read.model.version());
        columns.push(match version {
            None | Some("") => Value::Null,
            Some(version) => Value::text(version),
        });
        columns.extend(
            self.knows
                .online
                .iter()
                .map(|online| Value::Int(online.learned() as i64)),
        );
        columns
    }

    /// The label in a row, if it is there.
    fn label_of(&self, schema: &Schema, event: &Event) -> Result<Option<Label>, ()> {
        let name = self.label.as_deref().unwrap_or_default();
        match value(schema, event, name) {
            Value::Null => Ok(None),
            value => match self.model.target() {
                Target::Number { .. } => match value.as_f64() {
                    Some(x) if x.is_finite() => Ok(Some(Label::Number(x))),
                    _ => Err(()),
                },
                _ => {
                    let name = value.to_string();
                    let class = self.model.classes().iter().position(|class| *class == name);
                    class.map(|class| Some(Label::Class(class))).ok_or(())
                }
            },
        }
    }

    fn id(&self, schema: &Schema, event: &Event) -> Option<Vec<Value>> {
        let by = &self.learn.labels.as_ref()?.by;
        let id: Vec<Value> = by.iter().map(|name| value(schema, event, name)).collect();
        (!id.contains(&Value::Null)).then_some(id)
    }

    fn belongs(&self, label: &Event, event: &Event) -> bool {
        let Some(labels) = &self.learn.labels else { return false };
        let after = label.stamp.since(event.stamp);
        let id = self.id(&self.labels, label);
        !after.is_negative() && after <= labels.within && id.is_some() && id == self.id(&self.events, event)
    }

    /// Lets every version serve whose time has come.
    fn new_versions(&mut self, now: Time, due: &mut Due) {
        for (k, file) in self.learn.pretrained.iter().enumerate() {
            let Some(read) = &file.read else { continue };
            if k == self.knows.version + 1 && read.from <= now {
                self.knows.version = k;
                if let Some(referee) = &mut self.knows.referee {
                    referee.void();
                }
                let (name, version) = (read.model.name(), read.model.version());
                due.notes.push(format!("`{name}` version `{version}` serves from here"));
            }
        }
    }

    fn watermark(&mut self, watermark: Time, due: &mut Due) {
        self.told = watermark;
        let (mut ready, coming) = std::mem::take(&mut self.coming)
            .into_iter()
            .partition::<Vec<_>, _>(|(_, event)| event.stamp <= watermark);
        self.coming = coming;
        ready.sort_by_key(|(is_label, event)| (event.stamp, *is_label, event.correlation, event.id));
        for (is_label, event) in ready {
            self.comes(What::Comes(is_label, event), due);
        }
        self.comes(What::Watermark(watermark), due);
    }

    /// It is the turn of a watermark.
    fn passes(&mut self, watermark: Time, due: &mut Due) {
        self.watermark = watermark;
        if watermark < Time::MAX {
            self.new_versions(watermark, due);
        }
        let within = self
            .learn
            .labels
            .as_ref()
            .map(|labels| labels.within)
            .unwrap_or_default();
        let outcomes = self.outcomes();
        self.notes.retain(|note| {
            let over = note.event.stamp + within <= watermark;
            if over && outcomes {
                due.dropped.push((note.event.id, Why::Filtered));
            }
            !over
        });
        self.early.retain(|label| {
            let over = label.stamp <= watermark;
            if over {
                due.dropped.push((label.id, Why::Filtered));
            }
            !over
        });
    }
}

impl Knowledge {
    fn nothing(learn: &Learn, model: &wavetank_models::Schema) -> Result<Self, String> {
        let wrong = |error: ModelError| error.to_string();
        let online = learn.online.clone();
        let online = online.map(|settings| OnlineModel::new(model.clone(), settings));
        Ok(Self {
            version: 0,
            online: online.transpose().map_err(wrong)?,
            referee: learn.gate.map(Referee::new).transpose().map_err(wrong)?,
            detector: learn.drift.map(Detector::new).transpose().map_err(wrong)?,
        })
    }

    fn study(&mut self, answers: &Answers, label: Label) {
        if let (Some(online), Some(seen)) = (&mut self.online, &answers.seen) {
            // What it refuses leaves it as it was.
            drop(online.learn(seen, label));
        }
    }
}

fn value(schema: &Schema, event: &Event, name: &str) -> Value {
    let slot = schema.slot(name);
    slot.and_then(|slot| event.row.get(slot).cloned()).unwrap_or_default()
}

fn features(model: &wavetank_models::Schema, events: &Schema, event: &Event) -> Result<Vec<f64>, ModelError> {
    let mut out = Vec::new();
    for (index, feature) in model.features().iter().enumerate() {
        let value = value(events, event, &feature.name);
        out.push(match (&value, &feature.kind) {
            (Value::Null, _) => MISSING,
            (_, FeatureKind::Category(_)) => model.category(&feature.name, &value.to_string())?,
            (Value::Bool(true), _) => 1.0,
            (Value::Bool(false), _) => 0.0,
            _ => value.as_f64().ok_or_else(|| ModelError::NotANumber {
                feature: feature.name.clone(),
                index,
            })?,
        });
    }
    Ok(out)
}

fn alone(event: &Event, row: Vec<Value>) -> DueResult {
    DueResult {
        stamp: event.stamp,
        row: Row::from(row),
        bounds: vec![],
        pane: event.pane.as_deref().cloned(),
        correlation: event.correlation,
        origins: event.origins().to_vec(),
    }
}

impl Learning {
    /// What is due, with how many are held and how far the watermark may go.
    fn so_far(&self, mut due: Due) -> Due {
        let waiting = if self.outcomes() { self.notes.len() } else { 0 };
        let stamps = self.line.iter().filter_map(|waiting| match &waiting.what {
            What::Comes(_, event) => Some(event.stamp),
            What::Watermark(_) => None,
        });
        let in_line = stamps.clone().count();
        due.limit = stamps.min().map(|stamp| stamp - self.tick);
        due.held = (waiting + self.early.len() + self.coming.len() + in_line) as u64;
        due
    }
}

impl Reference for Learning {
    fn arrive(&mut self, arrival: &Arrival) -> Due {
        let mut due = Due::default();
        match arrival {
            Arrival::Event { input, event, .. } => {
                let is_label = Some(*input) == self.labels_on;
                match self.learn.order {
                    LearnOrder::Arrival => self.comes(What::Comes(is_label, event.clone()), &mut due),
                    LearnOrder::EventTime if event.stamp <= self.told => due.dropped.push((event.id, Why::Late)),
                    LearnOrder::EventTime => self.coming.push((is_label, event.clone())),
                }
            }
            Arrival::Watermark(watermark) => self.watermark(*watermark, &mut due),
            Arrival::Timer { token, .. } => {
                let within = self.learn.service.as_ref().map_or(Span::ZERO, |service| service.within);
                let why = Err(format!("the service did not answer within {within}"));
                let whom = |waiting: &InLine| waiting.question.is_some() && waiting.token == *token;
                self.said(whom, &why, &mut due);
            }
            Arrival::Crash => {
                if let Ok(nothing) = Knowledge::nothing(&self.learn, &self.model) {
                    self.knows = nothing;
                }
                (self.watermark, self.told) = (Time::MIN, Time::MIN);
                (self.came, self.asks) = (0, 0);
                self.line.clear();
                self.remembered.clear();
                self.notes.clear();
                self.early.clear();
                self.coming.clear();
            }
        }
        self.so_far(due)
    }
    fn answer(&mut self, answer: &Answer) -> Option<Due> {
        let mut due = Due::default();
        let whom = |waiting: &InLine| {
            let asked = waiting.question.as_ref().map(|(q, _)| (q.event, q.version));
            asked == Some((answer.event, answer.version))
        };
        self.said(whom, &answer.said, &mut due);
        Some(self.so_far(due))
    }

    fn waits(&self) -> bool {
        !self.line.is_empty()
    }
}
