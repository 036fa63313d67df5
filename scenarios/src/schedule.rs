//! When faults act: moments and periods since the start of the run.

use serde_json::{Value as Json, json};

use crate::draw::DrawKey;
use crate::script::Fault;
use crate::time::Span;

/// Moments since the start: `"4m"` or `["4m", "6m"]`.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "serde_json::Value", into = "serde_json::Value")]
pub struct Moments(pub Vec<Span>);

/// Periods since the start, half-open: `"2m..5m"`, `"2m.."`, or a list of such.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "serde_json::Value", into = "serde_json::Value")]
pub struct Periods(pub Vec<(Span, Span)>);

impl TryFrom<Json> for Moments {
    type Error = String;
    fn try_from(value: Json) -> Result<Self, String> {
        let list = match &value {
            Json::Array(list) if list.is_empty() => return Err("a list of moments has one at least".into()),
            Json::Array(list) => list.as_slice(),
            one => std::slice::from_ref(one),
        };
        let mut moments = Vec::with_capacity(list.len());
        for item in list {
            let Json::String(text) = item else {
                return Err(format!(
                    "a moment is a duration since the start, like \"4m\", not {item}"
                ));
            };
            if text.contains("..") {
                return Err(format!(
                    "`{text}` is a period; `at` takes moments like \"4m\", `during` takes periods"
                ));
            }
            let moment = Span::parse(text)?;
            if moment.is_negative() {
                return Err(format!("`{text}` lies before the start"));
            }
            moments.push(moment);
        }
        moments.sort_unstable();
        moments.dedup();
        Ok(Self(moments))
    }
}
impl From<Moments> for Json {
    fn from(moments: Moments) -> Self {
        match moments.0.as_slice() {
            [one] => json!(one),
            all => json!(all),
        }
    }
}
impl schemars::JsonSchema for Moments {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Moments".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let span = generator.subschema_for::<Span>();
        schemars::json_schema!({"description": "moments since the start", "anyOf": [
            span, {"type": "array", "items": span, "minItems": 1},
        ]})
    }
}

fn period(item: &Json) -> Result<(Span, Span), String> {
    let Json::String(text) = item else {
        return Err(format!("a period is text like \"2m..5m\", not {item}"));
    };
    let Some((from, to)) = text.split_once("..") else {
        return Err(format!(
            "`{text}` is not a period; write \"2m..5m\", \"2m..\" or \"..5m\""
        ));
    };
    let side = |side: &str, open: Span| {
        if side.trim().is_empty() {
            Ok(open)
        } else {
            Span::parse(side)
        }
    };
    let (from, to) = (side(from, Span::ZERO)?, side(to, Span::MAX)?);
    if from.is_negative() || to <= from {
        return Err(format!(
            "the period `{text}` is empty: it goes from the earlier to the later moment"
        ));
    }
    Ok((from, to))
}

impl TryFrom<Json> for Periods {
    type Error = String;
    fn try_from(value: Json) -> Result<Self, String> {
        let mut periods = match &value {
            Json::Array(list) if list.is_empty() => return Err("a list of periods has one at least".into()),
            Json::Array(list) => list.iter().map(period).collect::<Result<Vec<_>, _>>()?,
            one => vec![period(one)?],
        };
        periods.sort_unstable();
        if let Some(pair) = periods.windows(2).find(|pair| pair[1].0 < pair[0].1) {
            return Err(format!("two periods overlap where the second begins, at {}", pair[1].0));
        }
        Ok(Self(periods))
    }
}
impl From<Periods> for Json {
    fn from(periods: Periods) -> Self {
        let print = |(from, to): &(Span, Span)| match *to {
            Span::MAX => format!("{from}.."),
            to => format!("{from}..{to}"),
        };
        match periods.0.as_slice() {
            [one] => json!(print(one)),
            all => all.iter().map(print).collect(),
        }
    }
}
impl schemars::JsonSchema for Periods {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Periods".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let period = json!({"type": "string", "pattern": r"^[^.]*(\.\d+[^.]*)*\.\..*$"});
        schemars::json_schema!({"description": "periods since the start, half-open: 2m..5m", "anyOf": [
            period, {"type": "array", "items": period, "minItems": 1},
        ]})
    }
}

/// When one fault acts, in spans since the start of the run.
///
/// *Moments* are those of `at`, and with `every` its multiples from the first on (not the start itself), as far as they
/// lie within `during`. `rate` is the share of moments (where there are none: of the periods of `during`) that are hit;
/// each is decided by a draw keyed by the fault, the seed and the moment's turn, and by nothing else.
#[derive(Clone, Debug)]
pub struct Schedule {
    during: Vec<(Span, Span)>,
    at: Vec<Span>,
    every: Option<Span>,
    lasting: Option<Span>,
    rate: f64,
    end: Span,
    at_key: DrawKey,
    every_key: DrawKey,
    during_key: DrawKey,
}

impl Schedule {
    /// The schedule of a fault in a run of that length at that seed.
    pub fn new(fault: &Fault, seed: u64, length: Span) -> Self {
        let key = |purpose| DrawKey::new(seed, &fault.id, purpose, &fault.on);
        Self {
            during: fault
                .during
                .as_ref()
                .map_or_else(|| vec![(Span::ZERO, Span::MAX)], |p| p.0.clone()),
            at: fault.at.as_ref().map_or_else(Vec::new, |m| m.0.clone()),
            every: fault.every,
            lasting: fault.lasting,
            rate: fault.rate,
            end: length,
            at_key: key("at"),
            every_key: key("every"),
            during_key: key("during"),
        }
    }

    /// Whether the fault acts at moments (`at`, `every`) instead of all the time within `during`.
    pub fn has_moments(&self) -> bool {
        !self.at.is_empty() || self.every.is_some()
    }

    /// Whether `t` lies in one of the periods of `during`.
    pub fn within(&self, t: Span) -> bool {
        let after = self.during.partition_point(|(from, _)| *from <= t);
        after > 0 && t < self.during[after - 1].1
    }

    /// The moments that are hit, ascending, before the end of the run. A moment in both `at` and `every` comes twice.
    pub fn moments(&self) -> impl Iterator<Item = Span> + '_ {
        let mut cursor = Cursor::default();
        std::iter::from_fn(move || cursor.next(self))
    }

    /// The periods `[start, end)` in which an interval fault acts, ascending by start, those before the end of the run:
    /// from each moment on for `for` (without it: to the end), or else the periods of `during` that are hit.
    pub fn periods(&self) -> impl Iterator<Item = (Span, Span)> + '_ {
        let lasting = self.lasting.unwrap_or(Span::MAX);
        let from_moments = self.moments().map(move |start| (start, start + lasting));
        let whole = self.during.iter().enumerate().filter(|_| !self.has_moments());
        let from_periods = whole
            .filter(|(slot, (start, _))| *start < self.end && self.during_key.slot(*slot as u64) < self.rate)
            .map(|(_, period)| *period);
        from_moments.chain(from_periods)
    }
}

/// How far the moments of a schedule have been read.
#[derive(Clone, Copy, Debug, Default)]
struct Cursor {
    at: usize,
    every: i64,
}

impl Cursor {
    fn next(&mut self, schedule: &Schedule) -> Option<Span> {
        loop {
            let at = schedule.at.get(self.at).copied();
            let every = schedule
                .every
                .and_then(|every| every.micros().checked_mul(self.every + 1))
                .map(Span::from_micros);
            let (moment, draw) = match (at, every) {
                (Some(at), every) if every.is_none_or(|every| at <= every) => {
                    self.at += 1;
                    (at, schedule.at_key.slot(self.at as u64 - 1))
                }
                (_, Some(every)) => {
                    self.every += 1;
                    (every, schedule.every_key.slot(self.every as u64))
                }
                (_, None) => return None,
            };
            if moment >= schedule.end {
                return None;
            }
            if draw < schedule.rate && schedule.within(moment) {
                return Some(moment);
            }
        }
    }
}

/// Which elements a per-element fault hits at one place. Elements are asked about in the order in which they are sent.
///
/// Without moments: each element sent within `during`, with probability `rate`, decided by the identity of the element.
/// With moments: the first element at or after each moment.
#[derive(Clone, Debug)]
pub struct Hits {
    schedule: Schedule,
    key: DrawKey,
    cursor: Cursor,
    pending: Option<Span>,
}

impl Hits {
    /// The hits of `fault` at `place`, a link or an actor by name.
    pub fn new(fault: &Fault, place: &str, seed: u64, length: Span) -> Self {
        let schedule = Schedule::new(fault, seed, length);
        let mut cursor = Cursor::default();
        let pending = if schedule.has_moments() {
            cursor.next(&schedule)
        } else {
            None
        };
        Self {
            key: DrawKey::new(seed, &fault.id, "hit", place),
            schedule,
            cursor,
            pending,
        }
    }

    /// Whether the element is hit that was sent at `sent` after the start: by `producer` (the key of its name), with that
    /// number, at that attempt.
    pub fn hit(&mut self, sent: Span, producer: u64, number: u64, attempt: u32) -> bool {
        if !self.schedule.has_moments() {
            return self.schedule.within(sent) && self.key.unit(producer, number, attempt) < self.schedule.rate;
        }
        let mut hit = false;
        while self.pending.is_some_and(|moment| moment <= sent) {
            hit = true;
            self.pending = self.cursor.next(&self.schedule);
        }
        hit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fault(settings: &str) -> Fault {
        let text = format!("id = 'f'\nkind = 'drop'\non = 'a -> b'\n{settings}");
        toml::from_str(&text).expect(settings)
    }
    fn moments(settings: &str, length: i64) -> Vec<i64> {
        let schedule = Schedule::new(&fault(settings), 1, Span::from_secs(length));
        schedule.moments().map(|m| m.micros() / 1_000_000).collect()
    }

    #[test]
    fn moments_and_periods_are_read_and_printed_as_they_were() {
        for text in [r#""4m""#, r#"["4m","6m"]"#] {
            let json: Json = serde_json::from_str(text).expect(text);
            let moments = Moments::try_from(json.clone()).expect(text);
            assert_eq!(Json::from(moments), json);
        }
        for text in [r#""2m..5m""#, r#""2m..""#, r#"["0s..1m","2m..3m"]"#] {
            let json: Json = serde_json::from_str(text).expect(text);
            let periods = Periods::try_from(json.clone()).expect(text);
            assert_eq!(Json::from(periods), json);
        }
        assert_eq!(
            Periods::try_from(json!("..5m")),
            Ok(Periods(vec![(Span::ZERO, Span::from_secs(300))]))
        );
    }

    #[test]
    fn empty_reversed_and_overlapping_periods_are_refused() {
        for bad in [
            json!("5m"),
            json!("5m..2m"),
            json!("5m..5m"),
            json!([]),
            json!(["1m..3m", "2m..4m"]),
            json!(3),
        ] {
            assert!(Periods::try_from(bad.clone()).is_err(), "{bad}");
        }
        for bad in [json!("-1s"), json!("1m..2m"), json!([]), json!(3), json!("soon")] {
            assert!(Moments::try_from(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn moments_are_those_of_at_and_the_multiples_of_every_within_during() {
        assert_eq!(moments("at = ['4s', '2s']", 10), [2, 4]);
        assert_eq!(moments("every = '3s'", 10), [3, 6, 9]);
        assert_eq!(moments("every = '3s'\nduring = '4s..9s'", 20), [6]);
        assert_eq!(moments("every = '4s'\nat = '5s'", 10), [4, 5, 8]);
        assert_eq!(moments("at = '12s'", 10), [0i64; 0]);
    }

    #[test]
    fn interval_faults_act_from_each_moment_for_a_while_or_in_their_periods() {
        let periods = |settings: &str| {
            let schedule = Schedule::new(&fault(settings), 1, Span::from_secs(10));
            schedule
                .periods()
                .map(|(a, b)| (a.micros() / 1_000_000, b.micros() / 1_000_000))
                .collect::<Vec<_>>()
        };
        assert_eq!(periods("every = '4s'\nfor = '1s'"), [(4, 5), (8, 9)]);
        assert_eq!(periods("during = ['1s..2s', '5s..6s', '20s..30s']"), [(1, 2), (5, 6)]);
        assert_eq!(periods("rate = 0.0\nduring = '1s..2s'"), [(0, 0); 0]);
    }

    #[test]
    fn a_fault_with_moments_hits_the_first_element_at_or_after_each() {
        let mut hits = Hits::new(&fault("at = ['2s', '5s']"), "a -> b", 1, Span::from_secs(10));
        let hit: Vec<i64> = (0..10)
            .filter(|s| hits.hit(Span::from_millis(s * 1_000 + 500), 1, 0, 0))
            .collect();
        assert_eq!(hit, [2, 5]);
    }

    proptest! {
        #[test]
        fn a_higher_rate_hits_a_superset_and_rate_zero_nothing(seed: u64, low in 0.0f64..1.0, more in 0.0f64..1.0) {
            let hit = |rate: f64| -> Vec<u64> {
                let mut hits = Hits::new(&fault(&format!("rate = {rate:?}")), "a -> b", seed, Span::MAX);
                (0..200).filter(|n| hits.hit(Span::ZERO, 7, *n, 0)).collect()
            };
            let high = hit((low + more).min(1.0));
            prop_assert!(hit(low).iter().all(|n| high.contains(n)));
            prop_assert!(hit(0.0).is_empty());
            prop_assert_eq!(hit(1.0).len(), 200);
            let moments = |rate: f64| -> Vec<Span> {
                let fault = fault(&format!("rate = {rate:?}\nevery = '1s'"));
                Schedule::new(&fault, seed, Span::from_secs(50)).moments().collect()
            };
            let high = moments((low + more).min(1.0));
            prop_assert!(moments(low).iter().all(|m| high.contains(m)));
        }
    }
}
