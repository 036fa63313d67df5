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

#[test]
fn files_of_a_folder_are_moved_when_they_are_done_and_their_numbers_go_on() {
    let place = Place::new();
    std::fs::create_dir(place.join("lines")).expect("made");
    place.write(
        "lines/1.csv",
        "time,level\n2024-01-01T00:00:00Z,INFO\n2024-01-01T00:00:01Z,ERROR\n",
    );
    place.write("lines/2.csv", "time,level\n2024-01-01T00:00:02Z,ERROR\n");
    place.write("lines/.3.csv", "half wr");
    place.write(
        "search.toml",
        "schema = 1\nname = \"search\"\npattern = \"replay\"\n\
         [[source]]\nname = \"lines\"\nfile = \"lines/\"\ndone = \"done\"\nevent_time = \"time\"\n\
         [[broker]]\nname = \"log\"\ninput = [\"lines\"]\n\
         [[operator]]\nname = \"errors\"\ninput = [\"log\"]\nfilter = \"level = 'ERROR'\"\n\
         [[sink]]\nname = \"shown\"\ninput = [\"errors\"]\n\
         [[expect]]\nname = \"some\"\nsometimes = \"shown.results > 0\"\n",
    );
    let files = |folder: &str| {
        let entries = std::fs::read_dir(place.join(folder)).expect("a folder");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    place.run(&["run", "search.toml", "--no-store"]).ends(0);
    assert_eq!(
        files("lines"),
        [".3.csv", "1.csv", "2.csv"],
        "with virtual time nothing is moved"
    );

    let args = ["run", "search.toml", "--real-time=100", "--disk", "logs", "--no-store"];
    let shown = place.run(&args).ends(0).out;
    assert!(shown.contains("shown (2 rows)"), "{shown}");
    assert_eq!(files("lines"), [".3.csv"]);
    assert_eq!(files("done"), ["000000000000+2-1.csv", "000000000002+1-2.csv"]);

    // What comes later has numbers of its own: the log does not take it for what it had.
    place.write("lines/4.csv", "time,level\n2024-01-01T00:00:04Z,ERROR\n");
    let shown = place.run(&args).ends(0).out;
    assert!(
        shown.contains("shown (3 rows)"),
        "what lay in the log, and what is new: {shown}"
    );
    assert_eq!(files("done").last().map(String::as_str), Some("000000000003+1-4.csv"));

    let empty = place.run(&args);
    assert!(empty.err.contains("there are no files in `lines/`"), "{}", empty.err);
    place.write("lines/1.csv", "time,level\n2024-01-01T00:00:05Z,ERROR\n");
    place.write("lines/2.csv", "time,size\n2024-01-01T00:00:05Z,7\n");
    let other = place.run(&args);
    assert!(
        other.err.contains("lines/2.csv") && other.err.contains("other columns"),
        "{}",
        other.err
    );
    assert_eq!(
        files("lines"),
        [".3.csv", "1.csv", "2.csv"],
        "what cannot be read stays"
    );
}
