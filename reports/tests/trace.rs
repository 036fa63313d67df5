//! Traces: line by line out and in, and where a broken one is broken.

use std::io::{self, BufReader, Read};

use proptest::prelude::*;
use wavetank_reports::Time;
use wavetank_reports::trace::*;

fn lines() -> Vec<TraceLine> {
    let deliver = TraceLine {
        actor: Some("per-minute".into()),
        link: Some("orders -> per-minute".into()),
        event: Some("orders-0#17".into()),
        stamp: Some(Time(2_000_000)),
        row: Some(serde_json::json!({"store": "store-1", "amount": 12.5})),
        ..TraceLine::new(Time(2_040_000), 5, TraceKind::Deliver)
    };
    let fault = TraceLine {
        detail: Some("slow-link: later by 4.2s".into()),
        ..TraceLine::new(Time(2_040_000), 6, TraceKind::Fault)
    };
    vec![TraceLine::new(Time(0), 1, TraceKind::Timer), deliver, fault]
}

fn written(lines: &[TraceLine]) -> String {
    let write = || -> io::Result<Vec<u8>> {
        let mut writer = TraceWriter::new(Vec::new(), &TraceHeader::new("orders", 42))?;
        lines.iter().try_for_each(|line| writer.write(line))?;
        writer.finish()
    };
    write()
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_default()
}

fn read(text: &str) -> Result<Vec<TraceLine>, String> {
    let reader = TraceReader::new(text.as_bytes(), "trace.jsonl").map_err(|e| e.to_string())?;
    reader.collect::<Result<_, _>>().map_err(|e| e.to_string())
}

#[test]
fn a_trace_is_json_lines_with_a_header() {
    insta::assert_snapshot!(written(&lines()), @r#"
    {"trace":1,"scenario":"orders","seed":42}
    {"us":0,"seq":1,"kind":"timer"}
    {"us":2040000,"seq":5,"kind":"deliver","actor":"per-minute","link":"orders -> per-minute","event":"orders-0#17","stamp_us":2000000,"row":{"store":"store-1","amount":12.5}}
    {"us":2040000,"seq":6,"kind":"fault","detail":"slow-link: later by 4.2s"}
    "#);
}

#[test]
fn a_line_reads_as_a_sentence() {
    let shown: Vec<_> = lines().iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    0s #1 timer
    2.04s #5 deliver orders -> per-minute per-minute orders-0#17 (stamp 2s) {"store":"store-1","amount":12.5}
    2.04s #6 fault: slow-link: later by 4.2s
    "#);
}

#[test]
fn a_trace_reads_back_and_blank_lines_do_not_matter() {
    let text = written(&lines());
    assert_eq!(read(&text), Ok(lines()));
    assert_eq!(read(&text.replace('\n', "\n\n")), Ok(lines()));
    assert_eq!(read(&text.replace('\n', "\r\n")), Ok(lines()));
}

#[test]
fn a_broken_trace_says_where_and_what() {
    let good = written(&lines());
    let cases = [
        ("empty", String::new()),
        ("no header", good.lines().skip(1).collect::<Vec<_>>().join("\n")),
        ("newer", good.replacen("\"trace\":1", "\"trace\":7", 1)),
        ("version 0", good.replacen("\"trace\":1", "\"trace\":0", 1)),
        ("cut off", good[..good.len() - 20].to_owned()),
        ("no JSON", good.replacen("{\"us\":0", "us 0", 1)),
        ("unknown kind", good.replacen("\"timer\"", "\"tick\"", 1)),
        ("no number", good.replacen("\"seq\":5,", "", 1)),
        ("text for time", good.replacen("\"us\":0", "\"us\":\"0s\"", 1)),
        ("order", good.replacen("\"seq\":6", "\"seq\":5", 1)),
        ("back in time", good.replacen("\"us\":0", "\"us\":9000000", 1)),
    ];
    let told: Vec<_> = cases
        .iter()
        .map(|(what, text)| format!("{what}: {}", read(text).err().unwrap_or_default()))
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn what_comes_before_the_broken_line_is_read_and_nothing_after_it() {
    let text = written(&lines()).replacen("\"kind\":\"deliver\"", "\"kind\":7", 1);
    let read: Vec<_> = TraceReader::new(text.as_bytes(), "t")
        .map(Iterator::collect)
        .unwrap_or_default();
    let good: Vec<_> = read.iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, false]);
}

#[test]
fn bytes_that_are_no_text_and_files_that_cannot_be_read_are_errors() {
    let mut bytes = written(&lines()).into_bytes();
    bytes.extend(b"{\"us\":\xff}\n");
    let last = TraceReader::new(bytes.as_slice(), "t")
        .map(Iterator::last)
        .ok()
        .flatten();
    assert!(
        matches!(last, Some(Err(TraceError::Broken { line: 5, .. }))),
        "{last:?}"
    );
    struct Gone;
    impl Read for Gone {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let error = TraceReader::new(BufReader::new(Gone), "t")
        .map(|_| ())
        .map_err(|e| e.to_string());
    assert_eq!(error, Err("t:1: cannot be read: the disk is gone".to_owned()));
}

#[test]
fn the_first_place_at_which_two_traces_differ_is_found() -> Result<(), TraceError> {
    let open = |text: &'static str| TraceReader::new(text.as_bytes(), "t");
    let first: &'static str = written(&lines()).leak();
    let second: &'static str = written(&lines()[..2]).leak();
    assert_eq!(first_divergence(open(first)?, open(first)?)?, None);
    let found = first_divergence(open(first)?, open(second)?)?;
    assert_eq!(
        found.map(|d| (d.index, d.first, d.second)),
        Some((3, lines().pop(), None))
    );
    Ok(())
}

proptest! {
    #[test]
    fn any_trace_reads_back(
        steps in prop::collection::vec((0i64..1_000, 1u64..5, any::<String>(), prop::option::of(any::<i64>())), 0..20),
    ) {
        let (mut time, mut seq) = (0, 0);
        let lines: Vec<_> = steps
            .into_iter()
            .map(|(later, next, detail, stamp)| {
                time += later;
                seq += next;
                TraceLine {
                    detail: Some(detail),
                    stamp: stamp.map(Time),
                    ..TraceLine::new(Time(time), seq, TraceKind::Emit)
                }
            })
            .collect();
        prop_assert_eq!(read(&written(&lines)), Ok(lines));
    }

    #[test]
    fn no_text_whatever_panics_the_reader(text in any::<String>(), cut in 0usize..400) {
        let _ = read(&text);
        let good = written(&lines());
        let _ = read(good.get(..cut.min(good.len())).unwrap_or_default());
    }
}
