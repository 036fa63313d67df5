//! How far event time has come by what one input has said: the watermark of each kind.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

use wavetank_scenarios::script::{Watermark, WatermarkKind};
use wavetank_scenarios::{Event, Schema, Span, Time, Value};

use crate::processing::expr::{Compiled, Fields, Scope};

/// An estimate as it is saved: the largest stamp, and the last delays.
pub(super) type Kept<'a> = (Option<Time>, Cow<'a, VecDeque<Span>>);

/// What has been heard of one input, or of all where they share one largest stamp.
#[derive(Clone, Debug, Default)]
pub(super) struct Estimate {
    /// The largest stamp, or the largest time that a mark, a watermark from upstream or the node's clock stated.
    largest: Option<Time>,
    delays: Delays,
}

impl Estimate {
    /// An event came; `mark` is the time that it states, if it is a mark.
    pub fn hear(&mut self, settings: &Watermark, stamp: Time, mark: Option<Time>) {
        match settings.kind {
            WatermarkKind::Bounded | WatermarkKind::Ascending => self.largest = self.largest.max(Some(stamp)),
            WatermarkKind::Punctuated => self.largest = self.largest.max(mark),
            WatermarkKind::Percentile => {
                self.largest = self.largest.max(Some(stamp));
                let delay = self.largest.map_or(Span::ZERO, |largest| largest.since(stamp));
                self.delays.push(delay, settings);
            }
            WatermarkKind::Forward | WatermarkKind::Arrival => {}
        }
    }

    /// The node's wall clock was read; the time that is taken for now, which never steps back.
    pub fn clock(&mut self, shows: Time) -> Time {
        let now = self.largest.map_or(shows, |largest| largest.max(shows));
        self.largest = Some(now);
        now
    }

    /// A watermark came from upstream.
    pub fn forward(&mut self, watermark: Time) {
        self.largest = self.largest.max(Some(watermark));
    }

    /// What there is to save.
    pub const fn kept(&self) -> Kept<'_> {
        (self.largest, Cow::Borrowed(&self.delays.recent))
    }
    /// From what was saved; `None` where that cannot have been heard.
    pub fn again((largest, recent): Kept<'_>, settings: &Watermark) -> Option<Self> {
        let recent = recent.into_owned();
        let percentile = settings.kind == WatermarkKind::Percentile;
        let most = if percentile { settings.over().max(1) } else { 0 };
        (recent.len() <= most).then(|| Self {
            largest,
            delays: Delays::of(recent, settings),
        })
    }

    /// The watermark by what has been heard. It may step back where the delay allowed for has grown.
    pub fn watermark(&self, settings: &Watermark, tick: Span) -> Option<Time> {
        let largest = self.largest?;
        Some(match settings.kind {
            _ if largest == Time::MAX => Time::MAX,
            WatermarkKind::Bounded => largest - settings.behind() - tick,
            WatermarkKind::Ascending | WatermarkKind::Arrival => largest - tick,
            WatermarkKind::Punctuated | WatermarkKind::Forward => largest - settings.behind(),
            WatermarkKind::Percentile => largest - settings.within(self.delays.ranked()) - tick,
        })
    }
}

/// The last delays, with the one at the wanted rank at hand: the smallest ones up to that rank on one side, all others on
/// the other.
#[derive(Clone, Debug, Default)]
struct Delays {
    recent: VecDeque<Span>,
    low: BTreeMap<Span, u32>,
    high: BTreeMap<Span, u32>,
    /// How many are in `low`, each counted.
    below: usize,
}

impl Delays {
    fn push(&mut self, delay: Span, settings: &Watermark) {
        if self.recent.len() == settings.over()
            && let Some(oldest) = self.recent.pop_front()
        {
            if take(&mut self.low, oldest) {
                self.below -= 1;
            } else {
                take(&mut self.high, oldest);
            }
        }
        self.recent.push_back(delay);
        if self.low.last_key_value().is_some_and(|(largest, _)| delay <= *largest) {
            *self.low.entry(delay).or_default() += 1;
            self.below += 1;
        } else {
            *self.high.entry(delay).or_default() += 1;
        }
        let rank = settings.rank(self.recent.len());
        while self.below > rank
            && let Some((&largest, _)) = self.low.last_key_value()
        {
            take(&mut self.low, largest);
            *self.high.entry(largest).or_default() += 1;
            self.below -= 1;
        }
        while self.below < rank
            && let Some((&smallest, _)) = self.high.first_key_value()
        {
            take(&mut self.high, smallest);
            *self.low.entry(smallest).or_default() += 1;
            self.below += 1;
        }
    }

    /// The delay at the wanted rank.
    fn ranked(&self) -> Span {
        self.low.last_key_value().map_or(Span::ZERO, |(delay, _)| *delay)
    }

    /// From the last delays alone.
    fn of(recent: VecDeque<Span>, settings: &Watermark) -> Self {
        let mut sorted: Vec<Span> = recent.iter().copied().collect();
        sorted.sort_unstable();
        let mut delays = Self {
            below: if sorted.is_empty() {
                0
            } else {
                settings.rank(sorted.len())
            },
            recent,
            ..Self::default()
        };
        for (i, delay) in sorted.into_iter().enumerate() {
            let side = if i < delays.below {
                &mut delays.low
            } else {
                &mut delays.high
            };
            *side.entry(delay).or_default() += 1;
        }
        delays
    }
}

/// Takes one of a delay out; false when there is none.
fn take(delays: &mut BTreeMap<Span, u32>, delay: Span) -> bool {
    match delays.get_mut(&delay) {
        None => false,
        Some(1) => delays.remove(&delay).is_some(),
        Some(several) => {
            *several -= 1;
            true
        }
    }
}

/// What makes an event of one input a mark.
#[derive(Debug)]
pub(super) struct Marks {
    when: Option<Compiled>,
    time: Option<Compiled>,
}

impl Marks {
    /// The marks among events with these fields, under these names of the input.
    pub fn new(settings: &Watermark, schema: &Schema, inputs: &[&str]) -> Result<Self, String> {
        let fields = Fields { schema, inputs };
        let compiled = |key: &str, expr: &Option<wavetank_scenarios::query::Predicate>| {
            let compiled = expr.as_ref().map(|e| Compiled::new(&e.expr, fields)).transpose();
            compiled.map_err(|why| format!("in `watermark.{key}`: {why}"))
        };
        Ok(Self {
            when: compiled("when", &settings.when)?,
            time: compiled("time", &settings.time)?,
        })
    }

    /// The time that an event states, if it is a mark.
    pub fn stated(&self, event: &Event) -> Option<Time> {
        let scope = Scope::event(&event.row, event.stamp);
        if !matches!(self.when.as_ref()?.test(&scope), Ok(Some(true))) {
            return None;
        }
        let Some(time) = &self.time else {
            return Some(event.stamp);
        };
        match time.eval(&scope).as_deref() {
            Ok(Value::Time(time)) => Some(*time),
            Ok(Value::Int(micros)) => Some(Time::from_micros(*micros)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_delay_at_a_rank_is_that_of_the_sorted_list(
            delays in prop::collection::vec(0i64..30, 1..80), over in 1u32..20, millionths in 1u32..=1_000_000
        ) {
            let settings = Watermark {
                kind: WatermarkKind::Percentile,
                share: Some(f64::from(millionths) / 1e6),
                over: Some(over),
                ..Watermark::default()
            };
            let mut window = Delays::default();
            for (i, delay) in delays.iter().enumerate() {
                window.push(Span::from_micros(*delay), &settings);
                let mut last = delays[(i + 1).saturating_sub(over as usize)..=i].to_vec();
                last.sort_unstable();
                let ranked = last[settings.rank(last.len()) - 1];
                prop_assert_eq!(window.ranked(), Span::from_micros(ranked));
                let again = Delays::of(window.recent.clone(), &settings);
                prop_assert_eq!((again.low, again.high, again.below), (window.low.clone(), window.high.clone(), window.below));
            }
        }
    }
}
