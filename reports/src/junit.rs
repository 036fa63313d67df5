//! Records as JUnit XML, which build servers read: a suite for each scenario, a case for each expectation.
//!
//! The `time` attribute is the wall-clock cost; nothing else differs from run to run. There are no timestamps.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::record::{Expectation, Failure, Holds, Kind, Outcome, Record};
use crate::terminal::{failure, judgement};
use crate::text::without_styles;
use crate::time::Span;

/// Columns of explanations.
const WIDTH: usize = 100;

/// Why records cannot be written as JUnit XML.
#[derive(Debug, thiserror::Error)]
#[error("the JUnit report cannot be written: {0}")]
pub struct JunitError(#[from] quick_junit::SerializeError);

/// All records as one JUnit report.
///
/// A scenario that must fail and does so for the reason it names is a success: its broken expectations are then successes
/// too, and say so in their output. What was not put to the test is skipped.
///
/// # Errors
/// When the XML cannot be formed.
pub fn junit(records: &[Record]) -> Result<String, JunitError> {
    let mut report = Report::new("wavetank");
    let mut total = Duration::ZERO;
    for record in records {
        total += duration(record.wall);
        report.add_test_suite(suite(record));
    }
    report.set_time(total);
    Ok(report.to_string()?)
}

fn suite(record: &Record) -> TestSuite {
    let mut suite = TestSuite::new(record.scenario.as_str());
    suite.set_time(duration(record.wall));
    for (name, value) in [
        ("pattern", record.pattern.clone()),
        ("seed", record.seed.to_string()),
        ("trace_hash", record.trace_hash.to_string()),
        ("events", record.events.to_string()),
        ("simulated_us", record.simulated.0.to_string()),
        ("reproduce", record.reproduce.clone()),
    ] {
        suite.add_property((name, value.as_str()));
    }
    let class = format!("{}.{}", record.pattern, record.scenario);
    for expectation in &record.expectations {
        let mut case = TestCase::new(expectation.name.as_str(), status(record, expectation));
        case.set_classname(class.as_str()).set_time(Duration::ZERO);
        if record.outcome == Outcome::FailedAsItMust && expectation.holds == Holds::No {
            case.set_system_out("broken, as this scenario must show");
        }
        suite.add_test_case(case);
    }
    if let Some(status) = whole(record) {
        let mut case = TestCase::new("the scenario does what it must", status);
        case.set_classname(class.as_str()).set_time(duration(record.wall));
        suite.add_test_case(case);
    }
    suite
}

/// The status of the scenario itself, where the cases of its expectations do not say it all.
fn whole(record: &Record) -> Option<TestCaseStatus> {
    let non_success = |message: &str| {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status
            .set_type(message)
            .set_message(format!("reproduce: {}", record.reproduce));
        status
    };
    let mut status = match record.outcome {
        Outcome::Passed | Outcome::Failed => return None,
        Outcome::FailedAsItMust => return Some(TestCaseStatus::success()),
        Outcome::DidNotFail => non_success("did not fail"),
        Outcome::FailedForAnotherReason => non_success("failed for another reason"),
        Outcome::Inconclusive => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(if record.interrupted {
                "interrupted"
            } else {
                "inconclusive"
            });
            status
        }
    };
    status.set_description(without_styles(&judgement(record, WIDTH)));
    Some(status)
}

fn status(record: &Record, expectation: &Expectation) -> TestCaseStatus {
    match expectation.holds {
        Holds::Yes => TestCaseStatus::success(),
        Holds::No if record.outcome == Outcome::FailedAsItMust => TestCaseStatus::success(),
        Holds::No => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_type(if expectation.kind == Kind::Derived {
                "derived expectation"
            } else {
                "expectation"
            });
            status.set_message(match &expectation.failure {
                Some(Failure { expected, came, .. }) => format!("expected {expected}, came {came}"),
                None => expectation.text.clone(),
            });
            status.set_description(without_styles(&failure(record, expectation, WIDTH)));
            status
        }
        Holds::Untested => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(expectation.untested.as_deref().unwrap_or("nothing put it to the test"));
            status
        }
    }
}

fn duration(span: Span) -> Duration {
    Duration::from_micros(u64::try_from(span.0).unwrap_or(0))
}
