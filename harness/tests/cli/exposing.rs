//! `wavetank run --metrics`.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use crate::support::Place;

#[test]
fn a_run_on_the_machines_clock_says_where_its_metrics_are_and_answers_there() {
    let place = Place::new();
    let args = [
        "run",
        "calm.toml",
        "--real-time=1",
        "--metrics",
        "127.0.0.1:0",
        "--no-store",
    ];
    let mut child = Command::new(env!("CARGO_BIN_EXE_wavetank"))
        .current_dir(place.path())
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut line = String::new();
    let mut said = BufReader::new(child.stderr.take().expect("piped"));
    said.read_line(&mut line).expect("a line");
    let (_, rest) = line.split_once("http://").expect("an address");
    let (address, _) = rest.split_once("/metrics").expect("a path");
    // Readings come as the run goes on.
    let mut text = String::new();
    while !text.contains("wavetank_sent_total") {
        let mut stream = TcpStream::connect(address).expect("it listens");
        write!(
            stream,
            "GET /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
        )
        .expect("asked");
        text.clear();
        stream.read_to_string(&mut text).expect("answered");
        assert!(text.contains("# EOF"), "{text}");
    }
    assert!(text.contains("actor=\"sensors\""), "{text}");
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
}

#[test]
fn an_address_that_is_none_and_a_run_without_a_clock_are_refused() {
    let place = Place::new();
    let ran = place
        .run(&["run", "calm.toml", "--real-time", "--metrics", "9464"])
        .ends(2);
    assert!(ran.err.contains("as in 127.0.0.1:9464"), "{}", ran.err);
    let ran = place.run(&["run", "calm.toml", "--metrics", "127.0.0.1:0"]).ends(2);
    assert!(ran.err.contains("--real-time"), "{}", ran.err);
}
