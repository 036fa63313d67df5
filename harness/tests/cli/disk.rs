//! A run on the machine's clock whose broker keeps its events in a file, is killed, and is started again.

use std::fmt::Write as _;
use std::process::{Command, Stdio};

use crate::support::Place;

/// Four seconds of orders behind a log.
fn scenario() -> String {
    let mut events = String::new();
    for n in 0..200 {
        let _ = writeln!(
            events,
            "  {{ t = \"{}ms\", row = {{ n = \"order {n:03}\" }} }},",
            n * 20
        );
    }
    format!(
        "schema = 1\nname = \"kept\"\npattern = \"replay\"\n[[source]]\nname = \"orders\"\nevents = [\n{events}]\n\
         [[broker]]\nname = \"log\"\ninput = [\"orders\"]\n\
         [[operator]]\nname = \"all\"\ninput = [\"log\"]\nfilter = \"true\"\n\
         [[sink]]\nname = \"shown\"\ninput = [\"all\"]\n\
         [[expect]]\nname = \"all are shown\"\nfinal = \"shown == truth\"\n"
    )
}

/// How many events the log took anew and how many it had already.
fn kept(out: &str) -> (u64, u64) {
    let record: serde_json::Value = serde_json::from_str(out).expect("a record");
    let metric = |name: &str| record["runs"][0]["metrics"]["log"][name]["value"].as_u64().expect(name);
    (metric("kept"), metric("repeated"))
}

#[test]
fn a_run_that_is_killed_and_started_again_finds_what_its_log_had_kept() {
    let place = Place::new();
    place.write("kept.toml", &scenario());
    let args = [
        "run",
        "kept.toml",
        "--real-time=1",
        "--disk",
        "logs",
        "--no-store",
        "--format",
        "json",
    ];
    let mut first = Command::new(env!("CARGO_BIN_EXE_wavetank"))
        .current_dir(place.path())
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    // SIGKILL in the middle of its work.
    let file = place.join("logs/kept@42/log.redb");
    let fiftieth = b"order 050";
    let there = || std::fs::read(&file).is_ok_and(|bytes| bytes.windows(fiftieth.len()).any(|at| at == fiftieth));
    while !there() {
        assert_eq!(first.try_wait().expect("its state"), None, "it runs still");
    }
    first.kill().expect("it can be killed");
    first.wait().expect("it ends");

    let again = place.run(&args).ends(0);
    let (anew, had) = kept(&again.out);
    assert!(had >= 50, "{had}");
    assert_eq!(anew + had, 200);
    // With virtual time there is no file to look into.
    let refused = place.run(&["run", "kept.toml", "--disk", "logs"]).ends(2);
    assert!(refused.err.contains("--real-time"), "{}", refused.err);
    std::fs::write(&file, "no database").expect("written");
    let broken = place.run(&args);
    assert_ne!(broken.code, Some(0));
    assert!(
        broken.err.contains("log.redb") && broken.err.contains("left as it is"),
        "{}",
        broken.err
    );
    assert_eq!(place.read("logs/kept@42/log.redb"), "no database");
}
