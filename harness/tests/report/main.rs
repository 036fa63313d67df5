//! The HTML report as a person sees it: opened in a browser, at the width of a desk and of a phone.

mod browser;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use wavetank_scenarios::pattern::PATTERNS;

use browser::{Browser, chromium};

const SIZES: [(u32, u32, &str); 2] = [(1280, 900, "light"), (375, 800, "dark")];

fn wavetank(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wavetank"))
        .args(args)
        .current_dir(folder)
        .output()
        .expect("it runs")
}

/// A report of a scenario of the library, or of a file.
fn report(folder: &Path, runs: &[&str]) -> PathBuf {
    let file = folder.join(format!("{}.html", runs[0].replace(['.', '@'], "-")));
    let path = file.display().to_string();
    let args = [&["report"], runs, &["--output", &path]].concat();
    let output = wavetank(folder, &args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    file
}

/// Plots in which nothing is to be seen.
const UNDRAWN: &str = r#"[...document.querySelectorAll("figure.plot")].filter((figure) => {
    const canvases = [...figure.querySelectorAll("canvas")];
    if (canvases.length) {
        return !canvases.every((canvas) => {
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            return data.some((value) => value !== 0);
        });
    }
    return ![...figure.querySelectorAll(".canvas svg")].some((svg) => svg.querySelector("path[d], line, rect"));
}).map((figure) => figure.dataset.plot + " " + figure.dataset.of)"#;

#[test]
fn the_report_of_each_pattern_draws_every_plot_without_complaint_at_both_widths() {
    let Some(chromium) = chromium() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let mut browser = Browser::start(&chromium);
    // What goes wrong must be drawn as well: lost and late events, crashes, clocks with dates.
    let failing = [
        "watermark-too-tight",
        "slack-too-small",
        "orders-read-again",
        "flights-hourly",
    ];
    let examples = PATTERNS.iter().map(|pattern| pattern.example);
    for scenario in examples.chain(failing) {
        let file = report(folder.path(), &[scenario]);
        for (width, height, scheme) in SIZES {
            browser.screen(width, height, scheme);
            browser.open(&file);
            browser.draw_all();
            let figures = browser.eval("document.querySelectorAll('figure.plot').length");
            assert!(figures.as_u64() > Some(4), "{scenario}: {figures} plots");
            assert_eq!(browser.eval(UNDRAWN), serde_json::json!([]), "{scenario} at {width}");
            let across = browser.eval("document.documentElement.scrollWidth");
            assert_eq!(across, width, "{scenario} has to be scrolled sideways");
            assert_eq!(browser.complaints(), [""; 0], "{scenario} at {width}");
        }
    }
}

/// What the plots show, and where their mark is.
const SHOWN: &str = "document.querySelector('.timebar .range').textContent";
/// The drawing of one plot.
const LAG: &str = "document.querySelector('figure[data-plot=lag] svg').outerHTML";

#[test]
fn choosing_a_broken_expectation_moves_the_plots_to_its_moment_by_pointer_and_by_key() {
    let Some(chromium) = chromium() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let file = report(folder.path(), &["watermark-too-tight"]);
    let mut browser = Browser::start(&chromium);
    for (width, height, scheme) in SIZES {
        browser.screen(width, height, scheme);
        browser.open(&file);
        browser.draw_all();
        let (before, drawn) = (browser.eval(SHOWN), browser.eval(LAG));
        browser.eval("document.querySelector('button.goto').click()");
        browser.frame();
        let after = browser.eval(SHOWN);
        assert_ne!(before, after);
        assert_ne!(drawn, browser.eval(LAG), "the plot stayed where it was");
        let moment = browser.eval("document.querySelector('.expectation.no .at').textContent");
        let said = browser.eval("document.getElementById('said').textContent");
        let first = moment.as_str().and_then(|text| text.get(..4)).expect("a moment");
        assert!(
            said.as_str().is_some_and(|said| said.contains(first)),
            "{said} of {moment}"
        );
        assert!(
            after.as_str().is_some_and(|after| after.contains(first)),
            "{after} of {moment}"
        );
        // Back, and once more without a pointer.
        browser.eval("document.querySelector('.timebar button').click()");
        browser.frame();
        assert_eq!(browser.eval(SHOWN), before);
        browser.eval("document.querySelector('button.goto').focus()");
        browser.press_enter();
        browser.frame();
        assert_eq!(browser.eval(SHOWN), after);
        assert_eq!(browser.complaints(), [""; 0]);
    }
}

#[test]
fn axe_finds_no_serious_violation() {
    let Some(chromium) = chromium() else { return };
    let axe = Path::new(env!("CARGO_MANIFEST_DIR")).join("../reports/web/node_modules/axe-core/axe.min.js");
    let Ok(axe) = std::fs::read_to_string(&axe) else {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI is set, and {} is not there",
            axe.display()
        );
        eprintln!("skipped: `npm ci` in reports/web fetches axe");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let mut browser = Browser::start(&chromium);
    let several = &["filter-survives-a-crash", "watermark-too-tight"];
    for runs in [
        &["watermark-too-tight"][..],
        &["primary-killed"],
        &["slack-too-small"],
        several,
    ] {
        let file = report(folder.path(), runs);
        for (width, height, scheme) in SIZES.into_iter().chain([(1280, 900, "dark")]) {
            browser.screen(width, height, scheme);
            browser.open(&file);
            browser.eval("document.querySelectorAll('details').forEach((details) => { details.open = true; })");
            browser.frame();
            browser.draw_all();
            browser.eval(&axe);
            let found = browser.eval(
                "axe.run(document).then(({ passes, violations }) => passes.length < 10 ? ['axe looked at nothing'] : violations
                    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
                    .map(({ id, nodes }) => id + ': ' + nodes.slice(0, 3).map(({ html }) => html.slice(0, 200)).join(' ')))",
            );
            assert_eq!(found, serde_json::json!([]), "{runs:?} at {width}, {scheme}");
        }
    }
}

#[test]
fn without_a_script_verdict_tables_and_reasons_can_be_read() {
    let Some(chromium) = chromium() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let file = report(folder.path(), &["watermark-too-tight"]);
    let mut browser = Browser::start(&chromium);
    browser.screen(375, 800, "light");
    browser.call(
        "Emulation.setScriptExecutionDisabled",
        serde_json::json!({"value": true}),
    );
    browser.open(&file);
    let text = browser.eval("document.body.innerText");
    let text = text.as_str().expect("text");
    for wanted in [
        "Failed, as it must",
        "Run it again",
        "every reading is counted",
        "decided by",
        "What each actor did with its events",
        "p99.9",
        "The plots are drawn by a script",
    ] {
        assert!(text.contains(wanted), "{wanted} is not in\n{text}");
    }
    assert!(
        !text.contains("Plots show") && !text.contains("Time plane of"),
        "{text}"
    );
}

#[test]
fn markup_in_a_scenario_is_shown_and_never_run() {
    let Some(chromium) = chromium() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let evil = "</script><script>window.ran=1</script><img src=x onerror=window.ran=2><!--";
    let scenario = format!(
        r#"
schema  = 1
name    = "evil"
pattern = "filter"
about   = "{evil}"
[[source]]
name   = "words"
stream = "WordStream/1.0"
events = [
    {{ at = "1s", row = {{ word = "{evil}", n = 1 }} }},
    {{ at = "2s", row = {{ word = "b", n = 2 }} }},
]
[[operator]]
name   = "all"
input  = ["words"]
filter = "word <> '<b>'"
[[sink]]
name  = "seen"
input = ["all"]
[[expect]]
name  = "{evil}"
final = "seen.results == 7"
"#
    );
    std::fs::write(folder.path().join("evil.toml"), scenario).expect("a file");
    let file = report(folder.path(), &["evil.toml"]);
    let mut browser = Browser::start(&chromium);
    browser.screen(1280, 900, "light");
    browser.open(&file);
    browser.draw_all();
    browser.eval("document.querySelector('button.goto').click()");
    browser.frame();
    assert_eq!(browser.eval("window.ran ?? null"), Value::Null);
    assert_eq!(browser.eval("document.querySelectorAll('img').length"), 0);
    let shown = browser.eval("document.querySelector('.about').textContent");
    assert_eq!(shown, evil);
    let shown = browser.eval("document.querySelector('button.goto').textContent");
    assert_eq!(shown, evil);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_report_of_several_runs_opens_each_from_its_summary() {
    let Some(chromium) = chromium() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let file = report(
        folder.path(),
        &["watermark-too-tight", "watermark-with-room", "slack-too-small"],
    );
    let mut browser = Browser::start(&chromium);
    browser.screen(375, 800, "light");
    browser.open(&file);
    assert_eq!(browser.eval("document.querySelectorAll('#summary tbody tr').length"), 3);
    assert_eq!(browser.eval("document.querySelectorAll('details.run[open]').length"), 0);
    browser.eval("document.querySelectorAll('#summary a')[1].click()");
    browser.frame();
    browser.frame();
    let open = browser.eval("document.querySelector('details.run[open] h2').textContent");
    assert_eq!(open, "watermark-with-room");
    browser.draw_all();
    assert!(
        browser
            .eval("document.querySelectorAll('details.run[open] canvas').length")
            .as_u64()
            > Some(2)
    );
    assert_eq!(browser.complaints(), [""; 0]);
}
