//! Windows that are too long to be counted, or of which there would be too many.

use wavetank_scenarios::{LibraryFiles, Script};

fn told(window: &str) -> Option<String> {
    let text = format!(
        "schema = 1\nname = \"w\"\npattern = \"windowed-aggregation\"\n\
         [[source]]\nname = \"s\"\nevents = [{{ t = \"1s\", row = {{ v = 1 }} }}]\n\
         [[operator]]\nname = \"op\"\ninput = [\"s\"]\n\
         query = \"select count(*) as n from s window {window}\"\n\
         [[sink]]\nname = \"to\"\ninput = [\"op\"]\n"
    );
    let problems = Script::load(&text, "w.toml", &LibraryFiles, &[]).err()?;
    let told = |p: &wavetank_scenarios::Problem| format!("{}; {}", p.message, p.help.clone().unwrap_or_default());
    Some(problems.iter().map(told).collect::<Vec<_>>().join("; "))
}

#[test]
fn windows_longer_than_time_can_be_counted_are_refused_before_they_run() {
    for window in [
        "tumbling(100000000 days)",
        "session(100000000 days)",
        "time(100000000 days)",
        "stagger(100000000 days)",
        "tumbling(1 min, 100000000 days)",
    ] {
        let told = told(window).unwrap_or_default();
        assert!(
            told.contains("longer than time can be counted; 73,000 years"),
            "{window}: {told}"
        );
    }
    assert_eq!(told("tumbling(20000000 days)"), None);
}

#[test]
fn an_event_in_millions_of_windows_is_refused_with_a_step_that_will_do() {
    let many = told("hop(1 min, 1 us)").unwrap_or_default();
    assert!(
        many.contains("in 60000000 windows") && many.contains("600us at least"),
        "{many}"
    );
    assert!(told("cumulate(1 day, 1 ms)").is_some_and(|told| told.contains("86400000 windows")));
    assert_eq!(told("hop(1 min, 600 us)"), None);
    assert_eq!(told("hop(1 day, 1 sec)"), None);
}
