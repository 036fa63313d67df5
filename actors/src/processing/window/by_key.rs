//! Windows that go by the clocks of their keys (`scope = "key"`): each key is a stream of its own. Its watermark moves
//! behind each of its events, so that its windows complete, and its late events are late, by its own largest stamp.
//!
//! What is known of a key are its largest stamp, for as long as the input lasts, and its windows, for as long as they
//! hold events. The watermarks of the input move nothing but at the end, when the windows of all keys complete, in the
//! order of the keys. None is passed on before: a key that nobody knows yet may come with any stamp.

use std::collections::BTreeMap;

use serde::ser::Error;
use serde::{Serialize, Serializer};
use wavetank_scenarios::{Event, Row, Span, Time, Value};

use super::answers::{Occasion, set_timers};
use super::core::Core;
use super::keep::is_far;
use crate::operator::{Operator, Output};
use crate::reliability::{State, StateError, counted};

/// Makes the windows of one key.
pub(super) type Make = Box<dyn Fn() -> Box<dyn Operator>>;

/// The operator.
pub(super) struct ByKey {
    /// Lets events in, and says which key is theirs; it keeps no window itself.
    gate: Core,
    make: Make,
    /// How far the watermark of a key is behind its largest stamp.
    behind: Span,
    keys: BTreeMap<Row, Key>,
    /// The key of the event at hand.
    key: Vec<Value>,
    over: bool,
    held: u64,
    bytes: usize,
}

/// What is known of one key.
struct Key {
    largest: Time,
    /// Its windows, while they hold events.
    windows: Option<Box<dyn Operator>>,
}

impl ByKey {
    /// The windows of each key are made by `make`; the watermark of a key is `behind` its largest stamp.
    pub(super) fn new(gate: Core, behind: Span, make: Make) -> Self {
        Self {
            gate,
            make,
            behind,
            keys: BTreeMap::new(),
            key: Vec::new(),
            over: false,
            held: 0,
            bytes: 0,
        }
    }

    /// Lets the windows of a key work, and keeps count of what they hold.
    fn work(&mut self, windows: &mut dyn Operator, work: impl FnOnce(&mut dyn Operator)) {
        let (held, bytes) = (windows.held(), windows.state_bytes());
        work(windows);
        self.held = self.held - held + windows.held();
        self.bytes = self.bytes - bytes + windows.state_bytes();
    }

    /// Lets the windows of all keys work that have any, in the order of the keys.
    fn each(&mut self, mut work: impl FnMut(&mut dyn Operator)) {
        let mut keys = std::mem::take(&mut self.keys);
        for key in keys.values_mut() {
            if let Some(mut windows) = key.windows.take() {
                self.work(&mut *windows, &mut work);
                key.windows = self.kept(windows);
            }
        }
        self.keys = keys;
    }

    /// Windows without events are forgotten: what comes later finds their state in the key's watermark.
    fn kept(&mut self, windows: Box<dyn Operator>) -> Option<Box<dyn Operator>> {
        if windows.held() > 0 {
            return Some(windows);
        }
        self.bytes -= windows.state_bytes();
        None
    }

    /// The watermark of a key by its largest stamp.
    fn watermark(&self, largest: Time) -> Time {
        if self.over { Time::MAX } else { largest - self.behind }
    }

    /// The windows of a key as they were saved.
    fn restored(&mut self, saved: &State) -> Result<Box<dyn Operator>, StateError> {
        let mut windows = (self.make)();
        let wrong = windows.restore(saved);
        wrong.map_err(|wrong| StateError::of(&format!("{KEYS}/{}", wrong.part), wrong.why))?;
        StateError::unless(windows.held() > 0, KEYS, "windows without events are not kept")?;
        self.held = self.held.saturating_add(windows.held());
        self.bytes = self.bytes.saturating_add(windows.state_bytes());
        Ok(windows)
    }

    /// New windows of a key that has come so far.
    fn windows(&mut self, largest: Time) -> Box<dyn Operator> {
        let mut windows = (self.make)();
        let watermark = self.watermark(largest);
        if watermark > Time::MIN {
            // They hold nothing, and have nothing to say.
            windows.on_watermark(watermark, &mut Output::default());
        }
        self.bytes += windows.state_bytes();
        windows
    }
}

/// The part of a saved state that holds what is known of each key, a chunk for one.
const KEYS: &str = "keys";

/// Windows, as what they save.
struct Saved<'a>(&'a dyn Operator);

impl Serialize for Saved<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut state = State::default();
        self.0.save(&mut state);
        match state.broken() {
            Some(why) => Err(S::Error::custom(why)),
            None => state.serialize(s),
        }
    }
}

impl Operator for ByKey {
    fn on_enter(&mut self, out: &mut Output) {
        set_timers(&self.gate.settings, None, out);
    }

    fn on_event(&mut self, input: usize, event: Event, now: Time, out: &mut Output) {
        if !self.gate.admit(&event, now, out) {
            return;
        }
        let mut values = std::mem::take(&mut self.key);
        self.gate.plan.keys(&event).write_to(&mut values);
        let (largest, windows) = match self.keys.get_mut(values.as_slice()) {
            Some(key) => (key.largest, key.windows.take()),
            None => (Time::MIN, None),
        };
        let mut windows = windows.unwrap_or_else(|| self.windows(largest));
        let grown = largest.max(event.stamp);
        let watermark = (grown > largest).then(|| self.watermark(grown));
        self.work(&mut *windows, |windows| {
            windows.on_event(input, event, now, out);
            if let Some(watermark) = watermark {
                windows.on_watermark(watermark, out);
            }
        });
        let kept = Key {
            largest: grown,
            windows: self.kept(windows),
        };
        match self.keys.get_mut(values.as_slice()) {
            Some(key) => *key = kept,
            None => {
                self.keys.insert(Row::from(values.as_slice()), kept);
            }
        }
        self.key = values;
    }

    fn on_watermark(&mut self, watermark: Time, out: &mut Output) {
        if watermark == Time::MAX {
            self.over = true;
            self.each(|windows| windows.on_watermark(Time::MAX, out));
        }
    }

    fn on_timer(&mut self, token: u64, out: &mut Output) {
        let timers = out.timers.len();
        self.each(|windows| windows.on_timer(token, out));
        // One timer goes round for all.
        out.timers.truncate(timers);
        set_timers(&self.gate.settings, Some(Occasion::of_token(token)), out);
    }

    fn watermark_limit(&self) -> Time {
        if self.over { Time::MAX } else { Time::MIN }
    }

    fn held(&self) -> u64 {
        self.held
    }

    fn state_bytes(&self) -> usize {
        let width = self.gate.plan.key_width() * size_of::<Value>();
        self.bytes + self.keys.len() * (size_of::<(Row, Key)>() + width)
    }

    fn save(&self, state: &mut State) {
        let keys = self.keys.iter();
        state.put_each(
            KEYS,
            keys.map(|(key, known)| (key, (known.largest, known.windows.as_deref().map(Saved)))),
        );
        state.put("over", &self.over);
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        self.over = state.get("over")?;
        for (key, (largest, saved)) in state.each::<Row, (Time, Option<State>)>(KEYS)? {
            let fits = key.len() == self.gate.plan.key_width() && !is_far(largest);
            StateError::unless(fits, KEYS, "it is not one of such windows")?;
            let windows = saved.map(|saved| self.restored(&saved)).transpose()?;
            let new = self.keys.insert(key, Key { largest, windows }).is_none();
            StateError::unless(new, KEYS, "it is there twice")?;
        }
        counted(KEYS, self.held).map(drop)
    }
}
