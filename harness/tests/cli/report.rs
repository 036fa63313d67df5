//! `wavetank report`, and the reports of `wavetank run`.

use crate::support::Place;

#[test]
fn the_latest_run_is_reported_to_a_file_that_is_named_or_to_standard_output() {
    let place = Place::new();
    place.run(&["run", "must-fail.toml"]).ends(0);
    let ran = place.run(&["report"]).ends(0);
    assert!(ran.out.contains("report of readings@7: report.html ("), "{}", ran.out);
    let page = place.read("report.html");
    assert!(page.starts_with("<!doctype html>") && page.contains("id=\"timeline-0\""));
    place.run(&["report", "latest", "--output", "other.html"]).ends(0);
    assert_eq!(place.read("other.html"), page, "the same run gives the same page");
    let ran = place.run(&["report", "latest", "--output", "-"]).ends(0);
    assert_eq!(ran.out, page);
}

#[test]
fn a_report_fetches_nothing_and_allows_nothing_but_its_own_script_and_style() {
    let place = Place::new();
    let page = place.run(&["report", "calm.toml", "--output", "-"]).ends(0).out;
    for outside in ["src=\"", "href=\"http", "@import", "url(http"] {
        assert!(!page.contains(outside), "{outside}");
    }
    let policy = page
        .split("Content-Security-Policy\" content=\"")
        .nth(1)
        .expect("a policy");
    let policy = policy.split('"').next().unwrap_or_default().replace("&#39;", "'");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'sha256-"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
}

#[test]
fn a_scenario_is_run_for_its_report_and_several_runs_share_a_page() {
    let place = Place::new();
    let ran = place
        .run(&["report", "calm.toml@3", "calm.toml@4", "calm.toml@3"])
        .ends(0);
    assert!(ran.out.contains("report of 2 runs"), "{}", ran.out);
    let page = place.read("report.html");
    assert!(page.contains("<h1>2 of 2 runs did what they must</h1>"), "no summary");
    assert!(page.contains("href=\"#run-1\"") && page.contains("id=\"run-1\""));
    assert!(!place.join(".wavetank").exists(), "nothing is kept");
}

#[test]
fn a_run_that_is_not_there_is_explained_and_leaves_no_file() {
    let place = Place::new();
    let ran = place.run(&["report"]).ends(3);
    assert!(
        ran.err.contains("nothing was run yet; try `wavetank run`"),
        "{}",
        ran.err
    );
    let ran = place.run(&["report", "no-such"]);
    assert_ne!(ran.code, Some(0));
    assert!(ran.err.contains("no-such"), "{}", ran.err);
    assert!(!place.join("report.html").exists());
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_anything_is_run() {
    let place = Place::new();
    for args in [
        &["report", "calm.toml", "--output", "nowhere/report.html"][..],
        &["run", "calm.toml", "--report", "nowhere/report.html"],
    ] {
        let ran = place.run(args).ends(2);
        assert!(ran.err.contains("its folder is not there"), "{}", ran.err);
        assert!(ran.out.is_empty(), "{}", ran.out);
    }
    let ran = place.run(&["report", "calm.toml", "--output", "."]).ends(2);
    assert!(ran.err.contains("name a file in it"), "{}", ran.err);
    let ran = place.run(&["run", "calm.toml", "--report", "-"]).ends(2);
    assert!(ran.err.contains("use `wavetank report`"), "{}", ran.err);
}

#[test]
fn a_run_that_comes_out_otherwise_than_on_record_is_not_reported() {
    let place = Place::new();
    place.run(&["run", "calm.toml"]).ends(0);
    let record = place.only_run().join("record.json");
    let text = std::fs::read_to_string(&record).expect("a record");
    let at = text.find("\"trace_hash\": \"").expect("a hash") + "\"trace_hash\": \"".len();
    let changed = if text.as_bytes()[at] == b'0' { "1" } else { "0" };
    let text = format!("{}{changed}{}", &text[..at], &text[at + 1..]);
    std::fs::write(&record, text).expect("written");
    let ran = place.run(&["report", "latest"]).ends(7);
    assert!(
        ran.err.contains("another version of wavetank made the record"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("run it with this version"), "{}", ran.err);
}

#[test]
fn a_run_writes_its_report_as_it_ends_and_a_sweep_its_trade_offs() {
    let place = Place::new();
    let args = [
        "run",
        "calm.toml",
        "must-fail.toml",
        "--no-store",
        "--report",
        "all.html",
    ];
    place.run(&args).ends(0);
    let page = place.read("all.html");
    assert!(page.contains("id=\"timeline-1\"") && page.contains("2 of 2 runs did what they must"));
    // The page of a run alone is that of its report.
    place.run(&["run", "calm.toml", "--report", "run.html"]).ends(0);
    place.run(&["report", "latest", "--output", "report.html"]).ends(0);
    let without_place = |name: &str| -> String {
        let page = place.read(name);
        let head = page.split("<script type=\"application/json\" id=\"record").next();
        head.expect("a page").to_owned()
    };
    let section = |page: String| page.split("<summary>The scenario").next().map(str::to_owned);
    assert_eq!(
        section(without_place("run.html")),
        section(without_place("report.html"))
    );

    let args = [
        "run",
        "calm.toml",
        "--sweep",
        "time.seed=1,2",
        "--show",
        "high.arrived",
        "--report",
        "sweep.html",
    ];
    let ran = place.run(&args);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    let page = place.read("sweep.html");
    assert!(page.contains("id=\"sweep-data\"") && page.contains("high.arrived"));
}

#[test]
fn a_run_is_written_in_the_form_that_another_program_reads() {
    let place = Place::new();
    let ran = place.run(&["run", "must-fail.toml", "--format", "json"]).ends(0);
    let json = place.run(&["report", "--format", "json", "-o", "-"]).ends(0).out;
    let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("it is JSON");
    assert_eq!(
        parsed(&json)["runs"],
        parsed(&ran.out)["runs"],
        "what is on record is what was printed"
    );

    let said = place.run(&["report", "--format", "junit"]).ends(0).out;
    assert!(said.contains("report of readings@7: report.xml ("), "{said}");
    assert!(
        place
            .read("report.xml")
            .contains("<testsuite name=\"readings\" tests=\"8\""),
        "{}",
        place.read("report.xml")
    );

    place.run(&["report", "--format", "markdown"]).ends(0);
    assert!(
        place
            .read("report.md")
            .starts_with("# Wavetank: 1 of 1 run as they must")
    );

    // The distributions of the record, each in a file, and their counts.
    place.run(&["report", "--format", "hgrm", "-o", "p"]).ends(0);
    let run = std::fs::read_dir(place.join("p")).expect("a folder").next();
    let folder = run.expect("one run").expect("it can be read").path();
    let histograms = parsed(&json)["runs"][0]["histograms"].clone();
    let mut files = 0;
    for (of, metrics) in histograms.as_object().expect("distributions") {
        for (metric, histogram) in metrics.as_object().expect("each by its name") {
            let name: String = format!("{of}.{metric}")
                .chars()
                .map(|c| {
                    if c.is_alphanumeric() || ".-".contains(c) {
                        c
                    } else {
                        '_'
                    }
                })
                .collect();
            let text = std::fs::read_to_string(folder.join(format!("{name}.hgrm"))).expect(&name);
            let total = format!("Total count    = {:12}]", histogram["count"].as_u64().expect("a count"));
            assert!(text.contains(&total), "{name}: {total}\n{text}");
            files += 1;
        }
    }
    assert!(files > 3 && folder.join("all.hlog").exists());
}

#[test]
fn a_trace_is_of_one_run_and_has_every_delivery_on_the_track_of_its_node() {
    let place = Place::new();
    let ran = place.run(&["run", "calm.toml", "--format", "json"]).ends(0);
    let record: serde_json::Value = serde_json::from_str(&ran.out).expect("it is JSON");
    place.run(&["report", "--format", "perfetto"]).ends(0);
    let drawn: serde_json::Value = serde_json::from_str(&place.read("trace.json")).expect("it is JSON");
    assert_eq!(drawn["otherData"]["trace"], record["runs"][0]["trace_hash"]);
    let events = drawn["traceEvents"].as_array().expect("events");
    let named = |name: &str| {
        let of = |event: &&serde_json::Value| event["ph"] == "M" && event["args"]["name"] == name;
        events.iter().any(|event| of(&event))
    };
    for actor in record["runs"][0]["actors"].as_array().expect("actors") {
        let actor = actor["actor"].as_str().expect("a name");
        assert!(named(actor), "no track of {actor}");
    }
    let starts = events.iter().filter(|event| event["ph"] == "s").count() as u64;
    let ends = events.iter().filter(|event| event["ph"] == "f").count() as u64;
    assert!(starts > 0 && starts == ends, "{starts} arrows begin and {ends} end");
    place.run(&["report", "--format", "perfetto", "-o", "-"]).ends(0);

    let ran = place
        .run(&["report", "calm.toml", "must-fail.toml", "--format", "perfetto"])
        .ends(2);
    assert!(ran.err.contains("a trace is of one run"), "{}", ran.err);
    let ran = place.run(&["report", "--format", "hgrm", "-o", "-"]).ends(2);
    assert!(ran.err.contains("name a folder"), "{}", ran.err);
}

#[test]
fn a_run_on_the_machines_clock_says_so_and_how_to_make_it_again() {
    let place = Place::new();
    let ran = place.run(&[
        "run",
        "calm.toml",
        "--real-time=1000",
        "--report",
        "page.html",
        "--format",
        "json",
    ]);
    let record: serde_json::Value = serde_json::from_str(&ran.out).expect("it is JSON");
    assert_eq!(record["runs"][0]["real_time"], 1000.0);
    let again = record["runs"][0]["reproduce"].as_str().expect("a command");
    assert!(again.ends_with("--seed 7 --real-time=1000"), "{again}");
    let page = place.read("page.html");
    assert!(page.contains("Measured by this machine") && !page.contains("All of it is simulated"));
    // It does not come again, and nothing is left where a report would be.
    let refused = place.run(&["report", "-o", "other.html"]).ends(5);
    assert!(refused.err.contains("followed the machine's clock"), "{}", refused.err);
    assert!(!place.join("other.html").exists());
}

#[test]
fn an_error_ends_a_run_at_its_time() {
    let place = Place::new();
    let ran = place
        .run(&["run", "poison-stops", "--no-store", "--format", "json"])
        .ends(0);
    let record: serde_json::Value = serde_json::from_str(&ran.out).expect("it is JSON");
    assert!(
        record["runs"][0]["simulated_us"].as_u64() > Some(1_000_000),
        "{}",
        record["runs"][0]["simulated_us"]
    );
    let page = place
        .run(&["report", "poison-stops", "--format", "markdown", "-o", "-"])
        .ends(0)
        .out;
    assert!(!page.contains("\\\\n"), "lines of the description run on: {page}");
}
