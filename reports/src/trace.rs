//! Traces: everything that happened in a run, in order, one JSON object a line.
//!
//! The first line is a [`TraceHeader`], each further one a [`TraceLine`]. Reading streams: a trace may be larger than
//! memory. A file that is broken says where, and what comes before the broken line has been read by then, so that the
//! trace of an interrupted run is good up to its last line.

use std::io::{self, BufRead, Write};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Time;

/// The version of the format that this program writes, and the newest that it reads.
pub const TRACE_SCHEMA: u32 = 1;

/// The first line of a trace: which run it is of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TraceHeader {
    /// Version of this format: [`TRACE_SCHEMA`].
    pub trace: u32,
    /// The scenario.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
}

impl TraceHeader {
    /// The header of a trace in the version that this program writes.
    pub fn new(scenario: impl Into<String>, seed: u64) -> Self {
        Self {
            trace: TRACE_SCHEMA,
            scenario: scenario.into(),
            seed,
        }
    }
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TraceKind {
    /// An actor put an element on a link.
    Emit,
    /// An element reached an actor.
    Deliver,
    /// A link gave an element up.
    Lose,
    /// An actor was done with an event without a result; `detail` says why (`filtered`, `late`, `failed`).
    Drop,
    /// A full mailbox refused an event or gave one up.
    Shed,
    /// A timer was due.
    Timer,
    /// A watermark reached an actor.
    Watermark,
    /// An input fell idle or spoke again.
    Idle,
    /// Input ended.
    End,
    /// A fault acted; `detail` starts with its id.
    Fault,
    /// A node lost its state and mailbox.
    Crash,
    /// A node came back with a new incarnation of its actors.
    Restart,
    /// A node stopped for a while.
    Pause,
    /// A paused node went on.
    Resume,
    /// Something worth noting that is none of the others.
    Note,
}

/// One thing that happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TraceLine {
    /// When, in virtual time.
    #[serde(rename = "us")]
    pub time: Time,
    /// Its place in the order of the run: ascending, without repetition.
    pub seq: u64,
    /// What.
    pub kind: TraceKind,
    /// The actor or node that it happened to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The link that it happened on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The event that it happened to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// That event's stamp, or the watermark's time.
    #[serde(default, rename = "stamp_us", skip_serializing_if = "Option::is_none")]
    pub stamp: Option<Time>,
    /// The source events behind it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
    /// More about it, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The event's payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<serde_json::Value>,
}

impl TraceLine {
    /// A line that says when and what; fill in the rest.
    pub fn new(time: Time, seq: u64, kind: TraceKind) -> Self {
        Self {
            time,
            seq,
            kind,
            actor: None,
            link: None,
            event: None,
            stamp: None,
            origins: Vec::new(),
            detail: None,
            row: None,
        }
    }
}

/// Writes a trace line by line.
#[derive(Debug)]
pub struct TraceWriter<W> {
    to: W,
}

impl<W: Write> TraceWriter<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// When `to` cannot be written.
    pub fn new(mut to: W, header: &TraceHeader) -> io::Result<Self> {
        write_line(&mut to, header)?;
        Ok(Self { to })
    }
    /// Writes a line.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self, line: &TraceLine) -> io::Result<()> {
        write_line(&mut self.to, line)
    }
    /// Hands everything on and gives back what was written to.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.to.flush()?;
        Ok(self.to)
    }
}

fn write_line(to: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *to, line)?;
    to.write_all(b"\n")
}

/// Why a trace cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file cannot be read.
    #[error("{origin}:{line}: cannot be read: {source}")]
    Io {
        /// The file.
        origin: String,
        /// The line that was to be read, from 1.
        line: u64,
        /// Why.
        source: io::Error,
    },
    /// A line is not what it should be.
    #[error("{origin}:{line}:{column}: {message}")]
    Broken {
        /// The file.
        origin: String,
        /// Line, from 1.
        line: u64,
        /// Column, from 1.
        column: usize,
        /// What is wrong, and what was probably meant.
        message: String,
    },
}

/// Reads a trace line by line. After an error it ends.
#[derive(Debug)]
pub struct TraceReader<R> {
    from: R,
    origin: String,
    line: u64,
    header: TraceHeader,
    last: Option<(Time, u64)>,
    done: bool,
    text: Vec<u8>,
}

impl<R: BufRead> TraceReader<R> {
    /// Reads the header. `origin` is where the text comes from, for errors.
    ///
    /// # Errors
    /// When there is no header, or one of a newer format.
    pub fn new(from: R, origin: impl Into<String>) -> Result<Self, TraceError> {
        let mut reader = Self {
            from,
            origin: origin.into(),
            line: 0,
            header: TraceHeader::new("", 0),
            last: None,
            done: false,
            text: Vec::new(),
        };
        if !reader.next_text()? {
            return Err(reader.broken(1, "the file is empty; a trace starts with its header".to_owned()));
        }
        // The version first: a newer header may have other fields.
        #[derive(Deserialize)]
        struct Probe {
            trace: u64,
        }
        let Probe { trace } = reader.parse("the header of a trace")?;
        if trace == 0 || trace > u64::from(TRACE_SCHEMA) {
            let message = format!(
                "this trace has version {trace}, and this program reads up to {TRACE_SCHEMA}; use the wavetank that wrote it"
            );
            return Err(reader.broken(1, message));
        }
        reader.header = reader.parse("the header of a trace")?;
        Ok(reader)
    }

    /// Which run the trace is of.
    pub const fn header(&self) -> &TraceHeader {
        &self.header
    }

    /// Reads the next line that is not blank; false at the end.
    fn next_text(&mut self) -> Result<bool, TraceError> {
        loop {
            self.text.clear();
            self.line += 1;
            let read = self
                .from
                .read_until(b'\n', &mut self.text)
                .map_err(|source| TraceError::Io {
                    origin: self.origin.clone(),
                    line: self.line,
                    source,
                })?;
            if read == 0 {
                return Ok(false);
            }
            if !self.text.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    }

    fn parse<T: for<'de> Deserialize<'de>>(&self, what: &str) -> Result<T, TraceError> {
        serde_json::from_slice(&self.text).map_err(|e| {
            let cut_off = e.is_eof() || !self.text.ends_with(b"\n") && e.is_syntax();
            let place = format!(" at line {} column {}", e.line(), e.column());
            let message = e.to_string();
            let message = message.strip_suffix(&place).unwrap_or(&message);
            let hint = if cut_off {
                "; the file may have been cut off here"
            } else {
                ""
            };
            self.broken(e.column().max(1), format!("this is not {what}: {message}{hint}"))
        })
    }

    fn broken(&self, column: usize, message: String) -> TraceError {
        TraceError::Broken {
            origin: self.origin.clone(),
            line: self.line.max(1),
            column,
            message,
        }
    }

    fn next_line(&mut self) -> Result<Option<TraceLine>, TraceError> {
        if !self.next_text()? {
            return Ok(None);
        }
        let line: TraceLine = self.parse("a line of a trace")?;
        if let Some((time, seq)) = self.last
            && (line.time < time || line.seq <= seq)
        {
            let message = format!(
                "out of order: {} with number {} after {time} with number {seq}; lines were moved, or two traces mixed",
                line.time, line.seq
            );
            return Err(self.broken(1, message));
        }
        self.last = Some((line.time, line.seq));
        Ok(Some(line))
    }
}

impl<R: BufRead> Iterator for TraceReader<R> {
    type Item = Result<TraceLine, TraceError>;
    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let next = self.next_line().transpose();
        self.done = !matches!(next, Some(Ok(_)));
        next
    }
}

/// The first place at which two traces differ.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Divergence {
    /// The how-manieth line (without the header), from 1.
    pub index: u64,
    /// What the first trace has there; nothing where it has ended.
    pub first: Option<TraceLine>,
    /// What the second has.
    pub second: Option<TraceLine>,
}

/// Finds the first place at which two traces differ, for runs whose hashes should have been the same.
///
/// # Errors
/// When one of them cannot be read.
pub fn first_divergence<A: BufRead, B: BufRead>(
    first: TraceReader<A>,
    second: TraceReader<B>,
) -> Result<Option<Divergence>, TraceError> {
    let (mut first, mut second) = (first, second);
    let mut index = 0;
    loop {
        index += 1;
        match (first.next().transpose()?, second.next().transpose()?) {
            (None, None) => return Ok(None),
            (a, b) if a == b => {}
            (first, second) => return Ok(Some(Divergence { index, first, second })),
        }
    }
}

impl std::fmt::Display for TraceLine {
    /// `3m41.2s #1731 deliver orders -> per-minute orders-0#17 (stamp 3m40s) detail`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = serde_json::to_value(self.kind).unwrap_or_default();
        write!(f, "{} #{} {}", self.time, self.seq, kind.as_str().unwrap_or_default())?;
        for part in [&self.link, &self.actor, &self.event].into_iter().flatten() {
            write!(f, " {part}")?;
        }
        if let Some(stamp) = self.stamp {
            write!(f, " (stamp {stamp})")?;
        }
        if let Some(row) = &self.row {
            write!(f, " {row}")?;
        }
        match &self.detail {
            Some(detail) => write!(f, ": {}", crate::text::printable(detail)),
            None => Ok(()),
        }
    }
}
