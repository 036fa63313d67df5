//! What is measured while a run follows the machine's clock, in the text that Prometheus scrapes.
//!
//! A run puts a new text on show about four times a second, between two steps; who asks gets the newest. The format is
//! OpenMetrics 1.0: spans in seconds, counters ending in `_total`, distributions as cumulative buckets.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit as Of};
use wavetank_reports::Histogram;
use wavetank_scenarios::metric::{Form, METRICS, Measured, MetricDescriptor, Unit};

use crate::clock::Stopwatch;
use crate::judge::{Judge, Reading};
use crate::recording::readings;

/// How often a run puts new readings on show.
const EVERY: Duration = Duration::from_millis(250);
/// Upper bounds of the buckets of a distribution, in microseconds: from a millisecond to an hour.
const BOUNDS: [i64; 18] = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
    900_000_000,
    3_600_000_000,
];
/// What the answers of the server are.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The text that is on show: the same one for all who hold a copy of this.
#[derive(Clone, Debug)]
pub struct Shown(Arc<Mutex<Arc<str>>>);

impl Default for Shown {
    /// Nothing was measured yet.
    fn default() -> Self {
        Self(Arc::new(Mutex::new("# EOF\n".into())))
    }
}

impl Shown {
    /// The newest text.
    pub fn text(&self) -> Arc<str> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
    /// Puts what a judge has measured on show.
    pub(crate) fn show(&self, judge: &Judge) {
        let text = text(judge);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = text.into();
    }
}

/// Puts what a judge has measured on show, now and then.
pub(crate) struct Exposer {
    shown: Shown,
    since: Option<Stopwatch>,
}

impl Exposer {
    pub fn new(shown: Shown) -> Self {
        Self { shown, since: None }
    }
    /// Looks at the judge after a step.
    pub fn see(&mut self, judge: &Judge) {
        if self.since.is_none_or(|since| since.elapsed() >= EVERY) {
            self.shown.show(judge);
            self.since = Some(Stopwatch::start());
        }
    }
}

/// What a judge has measured, as OpenMetrics text.
fn text(judge: &Judge) -> String {
    let mut registry = Registry::with_prefix_and_labels(
        "wavetank",
        [
            ("scenario".into(), judge.script.scenario.name.clone().into()),
            ("seed".into(), judge.run.seed.to_string().into()),
        ]
        .into_iter(),
    );
    registry.register_collector(Box::new(Readings::of(judge)));
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = encode(&mut text, &registry);
    text
}

/// What was read of each metric, of everything that has it.
#[derive(Debug)]
struct Readings(Vec<(&'static MetricDescriptor, Vec<Read>)>);

#[derive(Debug)]
struct Read {
    labels: [(&'static str, String); 1],
    value: Value,
}

#[derive(Debug)]
enum Value {
    Number(f64),
    Distribution {
        /// Of all values, in seconds.
        sum: f64,
        count: u64,
        /// Upper bound in seconds, and how many lie below it and above the one before.
        buckets: Vec<(f64, u64)>,
    },
}

impl Readings {
    fn of(judge: &Judge) -> Self {
        let each = METRICS.iter().map(|descriptor| {
            let mut all = Vec::new();
            readings(judge, descriptor, |measured, of, largest, reading| {
                let label = match measured {
                    Measured::Link => "link",
                    Measured::Fault => "fault",
                    _ => "actor",
                };
                let value = match reading {
                    Reading::Number(number) if !largest => Value::Number(in_base_units(descriptor.unit, number)),
                    Reading::Histogram(histogram) => distribution(histogram),
                    _ => return,
                };
                let of = of
                    .strip_prefix("fault.")
                    .filter(|_| measured == Measured::Fault)
                    .unwrap_or(of);
                let labels = [(label, of.to_owned())];
                all.push(Read { labels, value });
            });
            (descriptor, all)
        });
        Self(each.filter(|(_, all)| !all.is_empty()).collect())
    }
}

fn in_base_units(unit: Unit, number: f64) -> f64 {
    if unit == Unit::Micros { number / 1e6 } else { number }
}

fn distribution(histogram: &Histogram) -> Value {
    let count = histogram.count();
    let mut buckets: Vec<(f64, u64)> = BOUNDS.iter().map(|bound| (*bound as f64 / 1e6, 0)).collect();
    buckets.push((f64::INFINITY, 0));
    for (value, many) in histogram.bars() {
        let at = BOUNDS.partition_point(|bound| *bound < value.0);
        buckets[at].1 += many;
    }
    Value::Distribution {
        sum: histogram.mean().unwrap_or(0.0) * count as f64 / 1e6,
        count,
        buckets,
    }
}

impl Collector for Readings {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (descriptor, all) in &self.0 {
            let kind = match descriptor.form {
                Form::Counter => MetricType::Counter,
                Form::Gauge => MetricType::Gauge,
                Form::Histogram => MetricType::Histogram,
            };
            let unit = match descriptor.unit {
                Unit::Micros => Some(Of::Seconds),
                Unit::Bytes if !descriptor.name.ends_with("bytes") => Some(Of::Bytes),
                Unit::Count | Unit::Bytes | Unit::Ratio => None,
            };
            let name = descriptor.name.replace('.', "_");
            let mut family = encoder.encode_descriptor(&name, descriptor.meaning, unit.as_ref(), kind)?;
            for read in all {
                put(family.encode_family(&read.labels)?, descriptor.form, &read.value)?;
            }
        }
        Ok(())
    }
}

fn put(mut to: MetricEncoder<'_>, form: Form, value: &Value) -> fmt::Result {
    match value {
        Value::Number(number) if form == Form::Counter => to.encode_counter::<NoLabelSet, f64, f64>(number, None),
        Value::Number(number) => to.encode_gauge(number),
        Value::Distribution { sum, count, buckets } => to.encode_histogram::<NoLabelSet>(*sum, *count, buckets, None),
    }
}

/// A server that answers `GET /metrics` with what is on show, until this is dropped.
///
/// One request a connection, and nobody can hold it up: who is slow to ask or to listen is given half a second and let go,
/// and what comes behind the head of a request is not read. (A library that reads bodies would have to be kept from
/// taking in what a client says it will send.)
pub struct Exposition {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// How long a client is waited for.
const PATIENCE: Duration = Duration::from_millis(500);
/// The longest head of a request that is read.
const LONGEST: usize = 8_192;

impl Exposition {
    /// Listens at an address.
    ///
    /// # Errors
    /// When nothing can listen there.
    pub fn listen(address: impl ToSocketAddrs, shown: Shown) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        let thread = thread::Builder::new().name("metrics".into()).spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    break;
                }
                let shown = shown.clone();
                // Who asked has gone away, or is too slow: nothing is lost. Others are answered meanwhile.
                let answering = thread::Builder::new().name("scrape".into());
                let _ = stream.and_then(|stream| answering.spawn(move || answer(&stream, &shown)).map(drop));
            }
        })?;
        Ok(Self {
            address,
            over,
            thread: Some(thread),
        })
    }
    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Exposition {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // The listener looks whether it is over when somebody comes.
        if TcpStream::connect_timeout(&self.address, PATIENCE).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

/// Reads a request and answers it.
fn answer(mut stream: &TcpStream, shown: &Shown) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let since = Stopwatch::start();
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut some = [0; 1_024];
        let many = stream.read(&mut some)?;
        if many == 0 || head.len() > LONGEST || since.elapsed() > 4 * PATIENCE {
            return Ok(());
        }
        head.extend_from_slice(&some[..many]);
    }
    let line = String::from_utf8_lossy(&head);
    let mut words = line.split_ascii_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    let (status, kind, text) = match (method, path) {
        ("GET" | "HEAD", "/metrics") => ("200 OK", OPEN_METRICS, shown.text()),
        ("GET" | "HEAD", _) => ("404 Not Found", "text/plain", "metrics are at /metrics\n".into()),
        _ => (
            "405 Method Not Allowed",
            "text/plain",
            "metrics are read with GET\n".into(),
        ),
    };
    let body = if method == "HEAD" { "" } else { &*text };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        text.len()
    )?;
    stream.flush()
}
