//! `wavetank explain`: one word on one screen of 80 columns and 24 lines.
//!
//! Patterns, faults, metrics, kinds of expectation and exit codes are explained from their descriptors, settings and
//! their choices from the schema of scenario files, the field's words and the verdicts from the tables in [`words`].

mod settings;
mod words;

use std::collections::BTreeMap;

use wavetank_reports::text::{DIM, STRONG, TYPED, elide, hang, styled};
use wavetank_scenarios::exit::{EXITS, Exit};
use wavetank_scenarios::expectation::EXPECTATIONS;
use wavetank_scenarios::fault::{FAULTS, FaultDescriptor, Pledge, Timing};
use wavetank_scenarios::metric::{Form, METRICS, MetricDescriptor, Unit};
use wavetank_scenarios::pattern::{PATTERNS, PatternDescriptor};
use wavetank_scenarios::suggest;

use super::Stop;
use super::output::Output;

/// What `wavetank explain` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A pattern, fault, metric, setting, verdict, exit code, kind of expectation, or another word of the field;
    /// `metric:late` says which `late` is meant
    word: String,
}

/// What a word can be; where it is several things, the first one is shown, and the others are named.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Sort {
    Pattern,
    Word,
    Fault,
    Expectation,
    Verdict,
    Metric,
    Setting,
    Choice,
    Exit,
}

impl Sort {
    const fn name(self) -> &'static str {
        match self {
            Self::Pattern => "pattern",
            Self::Word => "word",
            Self::Fault => "fault",
            Self::Expectation => "expectation",
            Self::Verdict => "verdict",
            Self::Metric => "metric",
            Self::Setting => "setting",
            Self::Choice => "choice",
            Self::Exit => "exit",
        }
    }
}

/// Something that can be explained.
#[derive(Clone, Debug)]
struct Topic {
    sort: Sort,
    word: String,
    /// For the title, and for where other topics name it: `a fault on a link`.
    what: String,
    page: Vec<Part>,
}

/// A part of a page.
#[derive(Clone, Debug)]
enum Part {
    /// A paragraph.
    Text(String),
    /// A word and what there is to say about it, wrapped beside it.
    Entry(String, String),
    /// The keys of a table: one a line with the first sentence about it, or their names alone where they are too many.
    Keys(Vec<(String, String)>),
    /// Lines to copy, as they are.
    Code(String),
    /// A blank line.
    Gap,
    /// A command to type.
    Next(String),
}

/// Explains a word.
///
/// # Errors
/// When nothing is called so.
pub fn explain(args: &Args, output: &mut Output) -> Result<Exit, Stop> {
    let topics = topics();
    match find(&topics, &args.word) {
        Ok(found) => {
            output.print(&render(&found, output.width()))?;
            Ok(Exit::AllHold)
        }
        Err(help) => Err(Stop::new(
            Exit::Usage,
            format!("nothing is called `{}`; {help}", args.word),
        )),
    }
}

/// Everything that can be explained.
fn topics() -> Vec<Topic> {
    let mut all: Vec<Topic> = PATTERNS.iter().map(pattern).collect();
    all.extend(words::words());
    all.extend(FAULTS.iter().map(fault));
    all.extend(EXPECTATIONS.iter().map(|kind| Topic {
        sort: Sort::Expectation,
        word: kind.name.into(),
        what: "a kind of expectation".into(),
        page: vec![
            Part::Text(format!("An expectation of this kind {}.", kind.meaning)),
            Part::Gap,
            Part::Code(format!("[[expect]]\nname = \"in words\"\n{}", kind.example)),
            Part::Gap,
            Part::Text(
                "A statement compares numbers (actor.metric, actor.metric.p99, fault.id.fired, durations, sums of \
                 them) or tables (sink == truth, admitted or twin), with and, or, not."
                    .into(),
            ),
            Part::Next("wavetank list metrics".into()),
        ],
    }));
    all.extend(words::verdicts());
    all.extend(METRICS.iter().map(metric));
    all.extend(settings::settings());
    for exit in EXITS {
        for word in [exit.code.to_string(), exit.name.replace(' ', "-")] {
            all.push(Topic {
                sort: Sort::Exit,
                word,
                what: "an exit code".into(),
                page: vec![Part::Text(format!(
                    "Exit code {}, {}: {}.",
                    exit.code, exit.name, exit.meaning
                ))],
            });
        }
    }
    all
}

/// The topics that a word means, the one to show first; otherwise what may have been meant.
fn find<'a>(topics: &'a [Topic], word: &str) -> Result<Vec<&'a Topic>, String> {
    let (sort, word) = match word.split_once(':') {
        Some((sort, word)) => (Some(sort), word),
        None => (None, word),
    };
    let plain = |text: &str| text.trim().to_lowercase().replace([' ', '_'], "-");
    let wanted = plain(word);
    let is_meant = |topic: &&Topic| {
        sort.is_none_or(|sort| sort == topic.sort.name())
            // A setting goes by its last name, and by its whole path.
            && (plain(&topic.word) == wanted || topic.word.rsplit_once('.').is_some_and(|(_, last)| plain(last) == wanted))
    };
    let mut found: Vec<&Topic> = topics.iter().filter(is_meant).collect();
    found.sort_by_key(|topic| topic.sort);
    if !found.is_empty() {
        return Ok(found);
    }
    let names = topics.iter().map(|topic| {
        topic
            .word
            .rsplit_once('.')
            .map_or(topic.word.as_str(), |(_, last)| last)
    });
    Err(suggest::closest(word, names).map_or_else(
        || "try a pattern, a fault or a metric: see `wavetank list`".to_owned(),
        |near| format!("did you mean `{near}`?"),
    ))
}

/// Lines of a screen, one left for the prompt.
const LINES: usize = 23;

fn render(found: &[&Topic], width: usize) -> String {
    let width = width.max(60);
    let Some((first, others)) = found.split_first() else {
        return String::new();
    };
    let mut lines = vec![format!("{}, {}", styled(STRONG, &first.word), first.what)];
    let mut next = Vec::new();
    // Other meanings and what to type next always have their place; the page gives way.
    let mut last = Vec::new();
    let mut also: BTreeMap<Sort, Vec<&str>> = BTreeMap::new();
    for other in others {
        also.entry(other.sort).or_default().push(&other.word);
    }
    if !also.is_empty() {
        let named = also
            .iter()
            .flat_map(|(sort, words)| words.iter().map(move |word| format!("{}:{word}", sort.name())));
        last.extend(wrapped(
            "  also: ",
            &named.take(8).collect::<Vec<_>>().join(", "),
            width,
        ));
    }
    let commands = first.page.iter().filter(|part| matches!(part, Part::Next(_))).count();
    let free = LINES.saturating_sub(last.len() + commands);
    for part in &first.page {
        match part {
            Part::Keys(keys) if lines.len() + keys.len() <= free => lines.extend(keys.iter().map(|(key, about)| {
                let sentence = about.split_once(". ").map_or(about.as_str(), |(first, _)| first);
                let head = format!("  {key:<12} ");
                let about = elide(
                    sentence.trim_end_matches('.'),
                    width.saturating_sub(head.chars().count()),
                );
                format!("{head}{about}")
            })),
            Part::Keys(keys) => {
                let names: Vec<&str> = keys.iter().map(|(key, _)| key.as_str()).collect();
                lines.extend(wrapped("  keys         ", &names.join(", "), width));
            }
            Part::Text(text) => lines.extend(wrapped("  ", text, width)),
            Part::Entry(head, text) => lines.extend(wrapped(&format!("  {head:<12} "), text, width)),
            Part::Code(code) => lines.extend(code.lines().map(|line| format!("    {}", styled(TYPED, line)))),
            Part::Gap => lines.push(String::new()),
            Part::Next(command) => next.push(command.clone()),
        }
    }
    last.extend(
        next.iter()
            .map(|command| format!("  {} {}", styled(DIM, "next:"), styled(TYPED, command))),
    );
    let room = LINES.saturating_sub(last.len());
    if lines.len() > room {
        lines.truncate(room.saturating_sub(1));
        lines.push("  …".into());
    }
    lines.extend(last);
    lines.join("\n") + "\n"
}

fn wrapped(head: &str, text: &str, width: usize) -> Vec<String> {
    hang(head, text, width).lines().map(str::to_owned).collect()
}

fn pattern(pattern: &PatternDescriptor) -> Topic {
    let mut page = vec![Part::Text(pattern.summary.into()), Part::Gap];
    if !pattern.settings.is_empty() {
        page.push(Part::Entry("settings".into(), pattern.settings.join(", ")));
    }
    if !pattern.metrics.is_empty() {
        let names: Vec<&str> = pattern.metrics.iter().map(|metric| metric.name()).collect();
        page.push(Part::Entry("metrics".into(), names.join(", ")));
    }
    if !pattern.example.is_empty() {
        page.push(Part::Next(format!("wavetank run {}", pattern.example)));
    }
    page.push(Part::Next(format!("wavetank new {}", pattern.name)));
    let what = format!("a pattern of {}: {}", pattern.family.name(), pattern.title);
    Topic {
        sort: Sort::Pattern,
        word: pattern.name.into(),
        what,
        page,
    }
}

fn fault(fault: &FaultDescriptor) -> Topic {
    let timing = match fault.timing {
        Timing::Element => {
            "hits single elements: a share (`rate`) of those sent `during` its periods, or the first at each moment"
        }
        Timing::Interval => "acts for a while: `during` its periods, or from each moment on `for` so long",
        Timing::Point => "acts at moments: `at` some, or `every` so often",
    };
    let pledge = |pledge: &Pledge| match pledge {
        Pledge::Zero => "rate 0 is no fault",
        Pledge::Superset => "a higher rate hits the same and more",
        Pledge::Independence => "other faults decide as without it",
        Pledge::Pairing => "two designs at one seed meet the same",
    };
    let mut page = vec![
        Part::Text(format!("It {}.", fault.summary)),
        Part::Gap,
        Part::Entry("when".into(), timing.into()),
    ];
    if !fault.needs.is_empty() {
        page.push(Part::Entry("needs".into(), fault.needs.join(", ")));
    }
    if !fault.takes.is_empty() {
        let takes: Vec<String> = fault
            .takes
            .iter()
            .map(|(key, default)| format!("{key} (default: {default})"))
            .collect();
        page.push(Part::Entry("takes".into(), takes.join(", ")));
    }
    page.push(Part::Entry(
        "promises".into(),
        fault.pledges.iter().map(pledge).collect::<Vec<_>>().join("; "),
    ));
    page.push(Part::Gap);
    page.push(Part::Code(format!("[[fault]]\n{}", fault.example)));
    page.push(Part::Next("wavetank list faults".into()));
    Topic {
        sort: Sort::Fault,
        word: fault.name.into(),
        what: format!("a fault on a {}", fault.place.name()),
        page,
    }
}

fn metric(metric: &MetricDescriptor) -> Topic {
    let unit = match metric.unit {
        Unit::Count => "how many",
        Unit::Micros => "virtual time; an expectation writes it with a unit: 250ms, 2s",
        Unit::Bytes => "bytes",
        Unit::Ratio => "a share from 0 to 1, or a number in the unit of what is predicted",
    };
    let form = match metric.form {
        Form::Counter => "counts up".to_owned(),
        Form::Gauge => format!("goes up and down; the largest value is {}.max", metric.name),
        Form::Histogram => format!(
            "a distribution: ask for {0}.p50, {0}.p99, {0}.max, {0}.mean, {0}.count",
            metric.name
        ),
    };
    let of: Vec<&str> = metric.of.iter().map(|of| of.name()).collect();
    let page = vec![
        Part::Text(format!("It says: {}.", metric.meaning)),
        Part::Gap,
        Part::Entry("measured on".into(), of.join(", ")),
        Part::Entry("unit".into(), unit.into()),
        Part::Entry("form".into(), form),
        Part::Next("wavetank list metrics".into()),
    ];
    Topic {
        sort: Sort::Metric,
        word: metric.name.into(),
        what: "a metric".into(),
        page,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_reports::text::without_styles;

    fn screen(word: &str) -> String {
        let topics = topics();
        without_styles(&render(&find(&topics, word).expect(word), 80))
    }

    #[test]
    fn every_word_fits_one_screen_and_speaks_to_people() {
        let topics = topics();
        for topic in &topics {
            let text = screen(&format!("{}:{}", topic.sort.name(), topic.word));
            assert!(text.lines().count() <= LINES, "{text}");
            assert!(text.lines().count() >= 2, "{text}");
            assert!(!text.contains("\n  …\n"), "cut short:\n{text}");
            for line in text.lines() {
                assert!(line.chars().count() <= 80, "{line}\n{text}");
            }
            for code in ["::", "[`", "`]"] {
                assert!(!text.contains(code), "{code} in\n{text}");
            }
        }
    }

    #[test]
    fn a_word_of_several_meanings_shows_the_first_and_names_the_others() {
        insta::assert_snapshot!(screen("late"));
        let metric = screen("metric:late");
        assert!(metric.starts_with("late, a metric\n"), "{metric}");
    }

    #[test]
    fn a_fault_a_setting_and_an_exit_code_are_explained_from_their_descriptors() {
        insta::assert_snapshot!(screen("delay"));
        insta::assert_snapshot!(screen("behind"));
        insta::assert_snapshot!(screen("5"));
    }

    #[test]
    fn the_keys_of_a_setting_are_listed_with_what_they_mean() {
        let emit = screen("setting:operator.emit");
        assert!(emit.contains("\n  early        "), "{emit}");
        let operator = screen("setting:operator");
        assert!(
            operator.contains("keys         "),
            "too many for a line each:\n{operator}"
        );
    }

    #[test]
    fn a_word_is_found_however_it_is_written_and_a_wrong_one_gets_a_proposal() {
        assert_eq!(screen("Windowed Aggregation"), screen("windowed-aggregation"));
        assert_eq!(screen("EMIT-DELAY"), screen("emit_delay"));
        assert_eq!(screen("operator.watermark.behind"), screen("behind"));
        let topics = topics();
        assert!(
            find(&topics, "watermrak")
                .expect_err("wrong")
                .contains("did you mean `watermark`?")
        );
        assert!(find(&topics, "qqq").expect_err("wrong").contains("wavetank list"));
    }

    #[test]
    fn every_word_that_another_part_of_wavetank_sends_people_to_is_explained() {
        // Explanations of failures end with these.
        for word in ["late", "shed", "crash", "inconclusive"] {
            screen(word);
        }
    }
}
