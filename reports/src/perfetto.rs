//! A trace as the JSON that Perfetto and `chrome://tracing` open: a process for each node and one for the faults, a track
//! for each actor, an arrow for each message.
//!
//! The format is Chrome's "Trace Event Format". Times are microseconds of virtual time since the run began. What takes no
//! virtual time is drawn one microsecond long, because arrows begin and end at slices only.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Value, json};

use crate::record::Record;
use crate::time::Time;
use crate::trace::{TraceKind, TraceLine};

/// The process of the faults; those of nodes follow.
const FAULTS: u64 = 1;
/// The first track of each process: the node itself, or what has no fault of its own.
const ITSELF: u64 = 0;

/// Writes a trace. `nodes` says for each actor on which node it stands.
///
/// # Errors
/// When `to` cannot be written.
pub fn write<'a>(
    record: &Record,
    nodes: &BTreeMap<String, String>,
    lines: impl IntoIterator<Item = &'a TraceLine>,
    to: impl Write,
) -> io::Result<()> {
    let mut drawing = Drawing::new(record, nodes, to)?;
    for line in lines {
        drawing.line(line)?;
    }
    drawing.finish()
}

/// A place to draw on: a process and one of its tracks.
type Track = (u64, u64);

struct Drawing<W> {
    to: W,
    start: Time,
    first: bool,
    /// By name: nodes, actors and faults.
    nodes: BTreeMap<String, u64>,
    actors: BTreeMap<String, Track>,
    faults: BTreeMap<String, Track>,
    /// By sender and event: when it was last put out.
    sent: BTreeMap<(String, String), i64>,
    /// By node: since when it is down or paused, and what that is.
    away: BTreeMap<String, (i64, &'static str, Option<String>)>,
    arrows: u64,
    last: i64,
}

impl<W: Write> Drawing<W> {
    fn new(record: &Record, nodes: &BTreeMap<String, String>, mut to: W) -> io::Result<Self> {
        let about = json!({
            "scenario": record.scenario,
            "seed": record.seed,
            "trace": record.trace_hash.to_string(),
            "reproduce": record.reproduce,
        });
        write!(
            to,
            "{{\"displayTimeUnit\":\"ms\",\"otherData\":{about},\"traceEvents\":["
        )?;
        let mut drawing = Self {
            to,
            start: record.start,
            first: true,
            nodes: BTreeMap::new(),
            actors: BTreeMap::new(),
            faults: BTreeMap::new(),
            sent: BTreeMap::new(),
            away: BTreeMap::new(),
            arrows: 0,
            last: 0,
        };
        drawing.name_process(FAULTS, "faults")?;
        for (index, fault) in record.faults.iter().enumerate() {
            let track = (FAULTS, index as u64 + 1);
            drawing.name_track(track, &format!("{} ({})", fault.id, fault.kind))?;
            drawing.faults.insert(fault.id.clone(), track);
            if let (Some(first), Some(last)) = (fault.first, fault.last) {
                let (from, to) = (drawing.at(first), drawing.at(last));
                let about =
                    json!({"about": fault.about, "on": fault.on, "fired": fault.fired, "touched": fault.touched});
                drawing.slice(track, &fault.id, from, to - from, &about)?;
            }
        }
        for actor in &record.actors {
            drawing.track_of(&actor.actor, nodes)?;
        }
        Ok(drawing)
    }

    fn at(&self, time: Time) -> i64 {
        time.0.saturating_sub(self.start.0)
    }

    fn put(&mut self, event: &Value) -> io::Result<()> {
        let comma = if std::mem::replace(&mut self.first, false) {
            ""
        } else {
            ","
        };
        write!(self.to, "{comma}\n{event}")
    }
    fn name_process(&mut self, pid: u64, name: &str) -> io::Result<()> {
        self.put(&json!({"ph": "M", "name": "process_name", "pid": pid, "args": {"name": name}}))?;
        self.put(&json!({"ph": "M", "name": "process_sort_index", "pid": pid, "args": {"sort_index": pid}}))
    }
    fn name_track(&mut self, (pid, tid): Track, name: &str) -> io::Result<()> {
        self.put(&json!({"ph": "M", "name": "thread_name", "pid": pid, "tid": tid, "args": {"name": name}}))?;
        self.put(&json!({"ph": "M", "name": "thread_sort_index", "pid": pid, "tid": tid, "args": {"sort_index": tid}}))
    }
    fn slice(&mut self, (pid, tid): Track, name: &str, at: i64, length: i64, args: &Value) -> io::Result<()> {
        self.last = self.last.max(at);
        let length = length.max(1);
        self.put(&json!({"ph": "X", "name": name, "pid": pid, "tid": tid, "ts": at, "dur": length, "args": args}))
    }
    fn instant(&mut self, (pid, tid): Track, name: &str, at: i64, args: &Value) -> io::Result<()> {
        self.put(&json!({"ph": "i", "s": "t", "name": name, "pid": pid, "tid": tid, "ts": at, "args": args}))
    }

    fn node(&mut self, name: &str) -> io::Result<u64> {
        if let Some(pid) = self.nodes.get(name) {
            return Ok(*pid);
        }
        let pid = FAULTS + 1 + self.nodes.len() as u64;
        self.nodes.insert(name.to_owned(), pid);
        self.name_process(pid, &format!("node {name}"))?;
        self.name_track((pid, ITSELF), "the node")?;
        Ok(pid)
    }
    fn track_of(&mut self, actor: &str, nodes: &BTreeMap<String, String>) -> io::Result<Track> {
        let node = nodes.get(actor).map_or(actor, String::as_str).to_owned();
        let pid = self.node(&node)?;
        let tid = 1 + self.actors.values().filter(|(other, _)| *other == pid).count() as u64;
        self.actors.insert(actor.to_owned(), (pid, tid));
        self.name_track((pid, tid), actor)?;
        Ok((pid, tid))
    }
    fn track(&mut self, line: &TraceLine) -> io::Result<Track> {
        // What is told of a link alone is drawn at its receiver, where it would have arrived.
        let end = line.link.as_ref().and_then(|link| link.rsplit(" -> ").next());
        let Some(name) = line.actor.as_deref().or(end) else {
            return Ok((FAULTS, ITSELF));
        };
        if let Some(track) = self.actors.get(name) {
            return Ok(*track);
        }
        if let Some(pid) = self.nodes.get(name) {
            return Ok((*pid, ITSELF));
        }
        self.track_of(name, &BTreeMap::new())
    }

    fn line(&mut self, line: &TraceLine) -> io::Result<()> {
        let at = self.at(line.time);
        self.last = self.last.max(at);
        let track = self.track(line)?;
        let args = args(line);
        let event = line.event.as_deref().unwrap_or_default();
        match line.kind {
            TraceKind::Emit => {
                let name = line.detail.clone().unwrap_or_else(|| format!("put out {event}"));
                self.slice(track, &name, at, 0, &args)?;
                if let (Some(actor), Some(event)) = (&line.actor, &line.event) {
                    self.sent.insert((actor.clone(), event.clone()), at);
                }
                Ok(())
            }
            TraceKind::Deliver => {
                self.slice(track, &format!("take {event}"), at, 0, &args)?;
                self.arrow(line, track, at)
            }
            TraceKind::Lose => {
                self.instant(track, &format!("lost {event}"), at, &args)?;
                self.arrow(line, track, at)
            }
            TraceKind::Watermark => {
                let Some(stamp) = line.stamp else { return Ok(()) };
                // The last watermark of all is no time.
                if stamp.0 < i64::MAX / 2 && stamp.0 > i64::MIN / 2 {
                    let behind = (line.time.0 - stamp.0) as f64 / 1e3;
                    let name = format!("{}: watermark behind, ms", line.actor.as_deref().unwrap_or_default());
                    self.put(&json!({
                        "ph": "C", "name": name, "pid": track.0, "ts": at, "args": {"behind": behind}
                    }))?;
                }
                Ok(())
            }
            TraceKind::Crash | TraceKind::Pause => {
                let what = if line.kind == TraceKind::Crash {
                    "down"
                } else {
                    "paused"
                };
                if let Some(node) = &line.actor {
                    self.away.insert(node.clone(), (at, what, line.detail.clone()));
                }
                Ok(())
            }
            TraceKind::Restart | TraceKind::Resume => match line.actor.as_ref().and_then(|node| self.away.remove(node))
            {
                Some((from, what, why)) => self.slice(track, what, from, at - from, &json!({"by": why})),
                None => Ok(()),
            },
            TraceKind::Fault => {
                let detail = line.detail.as_deref().unwrap_or_default();
                let id = detail.split([' ', ':']).next().unwrap_or_default();
                let track = self.faults.get(id).copied().unwrap_or(track);
                self.instant(track, detail, at, &args)
            }
            kind => {
                let kind = serde_json::to_value(kind).unwrap_or_default();
                let name = line.detail.as_deref().or(kind.as_str()).unwrap_or_default().to_owned();
                let name = if event.is_empty() {
                    name
                } else {
                    format!("{name} {event}")
                };
                self.instant(track, &name, at, &args)
            }
        }
    }

    /// From where the event was put out to where it arrives, or is lost.
    fn arrow(&mut self, line: &TraceLine, (pid, tid): Track, at: i64) -> io::Result<()> {
        let (Some(link), Some(event)) = (&line.link, &line.event) else {
            return Ok(());
        };
        let Some((from, _)) = link.split_once(" -> ") else {
            return Ok(());
        };
        let Some(sent) = self.sent.get(&(from.to_owned(), event.clone())).copied() else {
            return Ok(());
        };
        let Some((from_pid, from_tid)) = self.actors.get(from).copied() else {
            return Ok(());
        };
        self.arrows += 1;
        let id = self.arrows;
        self.put(
            &json!({"ph": "s", "cat": "message", "name": link, "id": id, "pid": from_pid, "tid": from_tid, "ts": sent}),
        )?;
        self.put(
            &json!({"ph": "f", "bp": "e", "cat": "message", "name": link, "id": id, "pid": pid, "tid": tid, "ts": at}),
        )
    }

    fn finish(mut self) -> io::Result<()> {
        // A node that never came back is away until the end.
        let away = std::mem::take(&mut self.away);
        let last = self.last;
        for (node, (from, what, why)) in away {
            let pid = self.node(&node)?;
            self.slice((pid, ITSELF), what, from, last - from, &json!({"by": why}))?;
        }
        self.to.write_all(b"\n]}\n")?;
        self.to.flush()
    }
}

fn args(line: &TraceLine) -> Value {
    let mut args = serde_json::Map::new();
    args.insert("number".into(), line.seq.into());
    if let Some(stamp) = line.stamp {
        args.insert("stamp".into(), stamp.to_string().into());
    }
    for (name, value) in [("link", &line.link), ("event", &line.event), ("detail", &line.detail)] {
        if let Some(value) = value {
            args.insert(name.into(), value.clone().into());
        }
    }
    if !line.origins.is_empty() {
        args.insert("origins".into(), line.origins.clone().into());
    }
    if let Some(row) = &line.row {
        args.insert("row".into(), row.clone());
    }
    Value::Object(args)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{ActorCounts, Fault};

    fn line(us: i64, seq: u64, kind: TraceKind, actor: &str) -> TraceLine {
        TraceLine {
            actor: Some(actor.to_owned()),
            ..TraceLine::new(Time(us), seq, kind)
        }
    }

    fn drawn(lines: &[TraceLine]) -> Vec<Value> {
        let mut record = Record::new("orders", "filter", 7);
        record.start = Time(1_000);
        record.actors = ["source", "high"]
            .map(|actor| ActorCounts {
                actor: actor.to_owned(),
                ..ActorCounts::default()
            })
            .into();
        record.faults = vec![Fault {
            id: "slow".to_owned(),
            kind: "delay".to_owned(),
            first: Some(Time(1_500)),
            last: Some(Time(3_000)),
            ..Fault::default()
        }];
        let nodes = BTreeMap::from([
            ("source".to_owned(), "edge".to_owned()),
            ("high".to_owned(), "core".to_owned()),
        ]);
        let mut bytes = Vec::new();
        write(&record, &nodes, lines, &mut bytes).unwrap();
        let mut all: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(all["otherData"]["scenario"], "orders");
        let Value::Array(events) = all["traceEvents"].take() else {
            panic!("no events")
        };
        events
    }

    fn of<'a>(events: &'a [Value], ph: &str) -> Vec<&'a Value> {
        events.iter().filter(|event| event["ph"] == ph).collect()
    }

    #[test]
    fn an_arrow_leads_from_where_an_event_is_put_out_to_where_it_is_taken_or_lost() {
        let mut sent = line(2_000, 1, TraceKind::Emit, "source");
        sent.event = Some("source#1".to_owned());
        let mut taken = line(2_500, 2, TraceKind::Deliver, "high");
        (taken.event, taken.link) = (sent.event.clone(), Some("source -> high".to_owned()));
        let mut lost = taken.clone();
        (lost.kind, lost.time, lost.seq, lost.actor) = (TraceKind::Lose, Time(2_700), 3, None);
        let events = drawn(&[sent, taken, lost]);
        let (starts, ends) = (of(&events, "s"), of(&events, "f"));
        assert_eq!((starts.len(), ends.len()), (2, 2));
        for (start, end) in starts.iter().zip(&ends) {
            assert_eq!(start["id"], end["id"]);
            assert_eq!(start["ts"], 1_000);
            // Each begins and ends at something that is drawn there.
            let at = |event: &Value| (event["pid"].clone(), event["tid"].clone(), event["ts"].clone());
            let there = |place| {
                events
                    .iter()
                    .any(|event| ["X", "i"].contains(&event["ph"].as_str().unwrap()) && at(event) == place)
            };
            assert!(there(at(start)) && there(at(end)));
        }
        assert_eq!((&ends[0]["ts"], &ends[1]["ts"]), (&json!(1_500), &json!(1_700)));
    }

    #[test]
    fn nodes_are_processes_and_what_they_lack_is_a_slice() {
        let mut crash = line(4_000, 1, TraceKind::Crash, "core");
        crash.detail = Some("kill (crash)".to_owned());
        let mut pause = line(5_000, 2, TraceKind::Pause, "edge");
        pause.detail = Some("gc (pause)".to_owned());
        let events = drawn(&[crash, pause, line(6_000, 3, TraceKind::Restart, "core")]);
        let names: Vec<&str> = events
            .iter()
            .filter_map(|event| event["args"]["name"].as_str())
            .collect();
        assert_eq!(
            names,
            [
                "faults",
                "slow (delay)",
                "node edge",
                "the node",
                "source",
                "node core",
                "the node",
                "high"
            ]
        );
        let slices: Vec<(&str, i64, i64)> = of(&events, "X")
            .iter()
            .map(|slice| {
                (
                    slice["name"].as_str().unwrap(),
                    slice["ts"].as_i64().unwrap(),
                    slice["dur"].as_i64().unwrap(),
                )
            })
            .collect();
        // The pause never ends: it lasts until the end.
        assert_eq!(
            slices,
            [("slow", 500, 1_500), ("down", 3_000, 2_000), ("paused", 4_000, 1_000)]
        );
    }

    #[test]
    fn a_watermark_is_a_counter_and_the_last_of_all_is_none() {
        let mut watermark = line(9_000, 1, TraceKind::Watermark, "high");
        watermark.stamp = Some(Time(7_500));
        let mut last = line(9_500, 2, TraceKind::Watermark, "high");
        last.stamp = Some(Time(i64::MAX));
        let events = drawn(&[watermark, last]);
        let counters = of(&events, "C");
        assert_eq!(counters.len(), 1);
        assert_eq!(counters[0]["args"]["behind"], 1.5);
    }
}
