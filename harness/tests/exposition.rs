//! What a run puts on show for Prometheus, and the server that answers with it.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use wavetank_harness::exposition::{Exposition, Shown};
use wavetank_harness::run::{Options, run};
use wavetank_reports::record::Metric;
use wavetank_scenarios::Script;
use wavetank_scenarios::library::LibraryFiles;
use wavetank_scenarios::metric::{Form, METRICS, Unit};

/// Counters, gauges in bytes and seconds, distributions, a link and a fault.
const SCENARIO: &str = r#"schema = 1
name = "readings"
pattern = "windowed-aggregation"
[time]
length = "20s"
seed = 7
[[source]]
name = "sensors"
rate = "10/s"
fields = { value = { uniform = [0, 100] } }
[[operator]]
name = "sums"
input = ["sensors"]
query = "select sum(value) as total from sensors window tumbling(2 sec)"
watermark = { behind = "1s" }
[[sink]]
name = "board"
input = ["sums"]
[[fault]]
id = "slow"
kind = "delay"
on = "sensors -> sums"
rate = 0.3
amount = { uniform = ["0s", "3s"] }
"#;

/// Each line that is no comment: its name with labels, and its value.
fn samples(text: &str) -> BTreeMap<&str, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            (name, value.parse().expect("a number"))
        })
        .collect()
}

#[test]
fn what_is_on_show_at_the_end_is_what_the_record_says() {
    let script = Script::load(SCENARIO, "readings.toml", &LibraryFiles, &[]).expect("it is valid");
    let shown = Shown::default();
    assert_eq!(&*shown.text(), "# EOF\n", "before anything was measured");
    let options = Options {
        exposition: Some(shown.clone()),
        ..Options::default()
    };
    let record = run(&Arc::new(script), &options).expect("it runs").record;
    let text = shown.text();
    assert!(text.ends_with("# EOF\n"));
    let samples = samples(&text);
    let labels = |of: &str| {
        let (label, of) = match of.strip_prefix("fault.") {
            Some(fault) => ("fault", fault),
            None if of.contains("->") => ("link", of),
            None => ("actor", of),
        };
        format!("{{scenario=\"readings\",seed=\"7\",{label}=\"{of}\"}}")
    };
    let mut compared = 0;
    for (of, metrics) in &record.metrics {
        for (name, metric) in metrics {
            let Some(descriptor) = METRICS.iter().find(|descriptor| descriptor.name == name) else {
                continue;
            };
            let number = match metric {
                Metric::Count(count) | Metric::Bytes(count) => *count as f64,
                Metric::Us(span) => span.0 as f64 / 1e6,
                Metric::Number(number) => number.0,
                other => panic!("{name}: {other:?}"),
            };
            let unit = match descriptor.unit {
                Unit::Micros => "_seconds",
                Unit::Bytes if !name.ends_with("bytes") => "_bytes",
                _ => "",
            };
            let total = if descriptor.form == Form::Counter { "_total" } else { "" };
            let line = format!("wavetank_{name}{unit}{total}{}", labels(of));
            assert_eq!(samples.get(line.as_str()), Some(&number), "{line}\n{text}");
            compared += 1;
        }
    }
    assert!(compared > 30, "{compared}");
    for (of, histograms) in &record.histograms {
        for (name, histogram) in histograms {
            let labels = labels(of);
            let of = |part: &str, labels: &str| {
                let line = format!("wavetank_{name}_seconds_{part}{labels}");
                *samples
                    .get(line.as_str())
                    .unwrap_or_else(|| panic!("no {line}\n{text}"))
            };
            let count = histogram.count() as f64;
            assert_eq!(of("count", &labels), count, "{name}");
            assert_eq!(
                of("bucket", &labels.replace("seed=\"7\",", "seed=\"7\",le=\"+Inf\",")),
                count,
                "{name}"
            );
            // What lies below a bound is there at that bound and at all above it.
            let mut below = 0.0;
            for (bound, us) in [
                ("0.001", 1_000),
                ("1.0", 1_000_000),
                ("5.0", 5_000_000),
                ("3600.0", 3_600_000_000),
            ] {
                let bucket = of(
                    "bucket",
                    &labels.replace("seed=\"7\",", &format!("seed=\"7\",le=\"{bound}\",")),
                );
                let counted: u64 = histogram
                    .bars()
                    .filter(|(value, _)| value.0 <= us)
                    .map(|(_, many)| many)
                    .sum();
                assert_eq!(bucket, counted as f64, "{name} up to {bound}");
                assert!(bucket >= below, "{name} up to {bound}");
                below = bucket;
            }
        }
    }
}

/// The status line, the headers and the body of an answer.
fn ask(address: SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "{request} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    (head.to_owned(), body.to_owned())
}

#[test]
fn the_server_answers_for_its_one_path() {
    let exposition = Exposition::listen("127.0.0.1:0", Shown::default()).expect("a free port");
    let address = exposition.address();
    let (head, body) = ask(address, "GET /metrics");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
    assert_eq!(body, "# EOF\n");
    let (head, body) = ask(address, "GET /");
    assert!(
        head.starts_with("HTTP/1.1 404") && body.contains("/metrics"),
        "{head}\n{body}"
    );
    let (head, _) = ask(address, "POST /metrics");
    assert!(head.starts_with("HTTP/1.1 405"), "{head}");
    let (head, body) = ask(address, "HEAD /metrics");
    assert!(head.contains("Content-Length: 6") && body.is_empty(), "{head}\n{body}");
    // What a client says it will send is neither waited for nor made room for.
    let (head, _) = ask(address, "GET /metrics HTTP/1.1\r\nContent-Length: 99999999999\r\nX:");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    // Somebody who says nothing holds nobody up.
    let silent = TcpStream::connect(address).expect("it listens");
    assert_eq!(ask(address, "GET /metrics").1, "# EOF\n");
    drop(silent);
    assert!(
        Exposition::listen(address, Shown::default()).is_err(),
        "its port is taken"
    );
    // It ends when nobody holds it any more.
    drop(exposition);
}
