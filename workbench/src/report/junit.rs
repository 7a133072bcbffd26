//! Runs as JUnit XML, for CI services: a test suite for each scenario, a test case for each run.
//!
//! JUnit knows failures, errors and skips. A run that cannot be believed is an error, as one that could not be made is:
//! neither says that anything behaves otherwise than it should, and neither may count as a pass. Equal reports give equal
//! bytes: there is no stamp of the wall clock in it.

use std::io;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use super::json::RunReport;
use super::status::Status;

/// A run to be added.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// What came out.
    pub report: &'a RunReport,
    /// The scenario's file: two scenarios of one name are two suites.
    pub file: &'a str,
    /// The kernel, where there are several.
    pub label: Option<&'a str>,
    /// Which repeat, from 1, where there is more than one.
    pub repeat: Option<u32>,
    /// The run and what differs, as it is told to people. Colours are taken out.
    pub told: &'a str,
}

/// Test suites in the making.
#[derive(Debug)]
pub struct Junit {
    report: Report,
    /// The file of each suite.
    files: Vec<String>,
}

impl Default for Junit {
    fn default() -> Self {
        Self { report: Report::new("workbench"), files: Vec::new() }
    }
}

impl Junit {
    /// Adds a run to its scenario's suite.
    pub fn add(&mut self, case: Case<'_>) {
        let position = self.files.iter().position(|file| file == case.file);
        let position = position.unwrap_or_else(|| {
            let mut suite = TestSuite::new(clean(&case.report.scenario));
            suite.add_property(Property::new("file", clean(case.file)));
            self.report.test_suites.push(suite);
            self.files.push(case.file.to_owned());
            self.files.len() - 1
        });
        let suite = &mut self.report.test_suites[position];
        suite.add_test_case(test_case(case));
        suite.time = Some(suite.time.unwrap_or_default() + elapsed(case.report));
    }

    /// The document.
    ///
    /// # Errors
    /// None but a fault of ours: what XML does not allow has been taken out.
    pub fn render(mut self) -> io::Result<Vec<u8>> {
        for suite in &self.report.test_suites {
            self.report.tests += suite.tests;
            self.report.failures += suite.failures;
            self.report.errors += suite.errors;
            self.report.skipped += suite.skipped;
        }
        self.report.time = Some(self.report.test_suites.iter().filter_map(|suite| suite.time).sum());
        let mut bytes = Vec::new();
        self.report.serialize(&mut bytes).map_err(io::Error::other)?;
        Ok(bytes)
    }
}

fn test_case(case: Case<'_>) -> TestCase {
    let Case { report, label, repeat, told, .. } = case;
    let kernel = label.map(|label| format!(" [{label}]")).unwrap_or_default();
    let number = repeat.map(|number| format!(" #{number}")).unwrap_or_default();
    let mut test = TestCase::new(clean(&format!("{}{kernel}{number}", report.run)), status(report, told));
    test.set_classname(clean(&report.scenario));
    test.set_time(elapsed(report));
    let ended_by = report.ended_by.as_ref();
    let properties = [
        ("engine", Some(report.engine.to_string())),
        ("kernel", report.kernel.clone()),
        ("seed", report.seed.map(|seed| seed.to_string())),
        ("snapshot", Some(report.snapshot.to_string())),
        ("ended_by", ended_by.map(|ended_by| ended_by.words.clone())),
        ("artifacts", report.artifacts.clone()),
    ];
    for (name, value) in properties {
        if let Some(value) = value {
            test.properties.push(Property::new(name, clean(&value)));
        }
    }
    test
}

fn status(report: &RunReport, told: &str) -> TestCaseStatus {
    let mut status = match report.status {
        Status::Pass => return TestCaseStatus::success(),
        Status::Skipped => TestCaseStatus::skipped(),
        Status::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Status::Inconclusive | Status::Error => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    status.set_type(report.status.to_string());
    if let Some(reason) = &report.reason {
        status.set_message(clean(reason));
    }
    if report.status != Status::Skipped {
        status.set_description(clean(told));
    }
    status
}

/// How long the command ran; on the virtual engine in its own time.
fn elapsed(report: &RunReport) -> Duration {
    Duration::try_from_secs_f64(report.elapsed_s.unwrap_or(0.0)).unwrap_or_default()
}

/// What the library leaves in and XML 1.0 (2.2) does not allow, and tabs, which it would take out.
fn clean(text: &str) -> String {
    text.replace('\t', "    ").replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::EngineKind;
    use crate::report::SnapshotStatus;
    use crate::timeline::build_from;
    use crate::timeline::fixture::Fixture;
    use crate::verdict::judge;

    fn report(status: Status, reason: Option<&str>) -> RunReport {
        let run = Fixture::syn_retries();
        let timeline = build_from(&run.evidence, &run.flights);
        let verdict = judge(&run.evidence, &timeline);
        let report = RunReport::new(&run.evidence, &timeline, &verdict, SnapshotStatus::Match);
        RunReport { status, reason: reason.map(str::to_owned), ..report }
    }

    fn parsed(cases: &[(&RunReport, &str, &str)]) -> Report {
        let mut junit = Junit::default();
        for (report, file, told) in cases {
            junit.add(Case { report, file, label: Some("6.12.117"), repeat: None, told });
        }
        let bytes = junit.render().unwrap();
        Report::deserialize_from_str(std::str::from_utf8(&bytes).unwrap()).unwrap()
    }

    #[test]
    fn a_scenario_is_a_suite_and_every_status_is_counted() {
        let statuses = [Status::Pass, Status::Fail, Status::Skipped, Status::Inconclusive, Status::Error];
        let reports = statuses.map(|status| report(status, Some("because")));
        let cases: Vec<_> = reports.iter().map(|report| (report, "a.kdl", "story")).collect();
        let parsed = parsed(&[&cases[..], &[(&reports[0], "b.kdl", "")]].concat());
        assert_eq!((parsed.tests, parsed.failures, parsed.errors, parsed.test_suites.len()), (6, 1, 2, 2));
        let suite = &parsed.test_suites[0];
        assert_eq!((suite.name.as_str(), suite.disabled), ("syn-retries-0", None));
        assert_eq!(suite.test_cases[0].name.as_str(), "curl [6.12.117]");
        assert_eq!(suite.test_cases[0].time, Some(Duration::from_millis(3071)));
    }

    #[test]
    fn what_was_told_is_kept_without_colours_and_without_what_xml_forbids() {
        let failed = report(Status::Fail, Some("the \u{ffff}snapshot <differs> & \u{1b}[31mmore\u{1b}[0m"));
        let told = "\u{1b}[1mhead\u{1b}[0m\n\ta\u{0}b ]]> \u{fffe}\u{8} end";
        let parsed = parsed(&[(&failed, "a.kdl", told)]);
        match &parsed.test_suites[0].test_cases[0].status {
            TestCaseStatus::NonSuccess { message, description, .. } => {
                assert_eq!(message.as_ref().map(|m| m.as_str()), Some("the \u{fffd}snapshot <differs> & more"));
                assert_eq!(description.as_ref().map(|d| d.as_str()), Some("head\n    ab ]]> \u{fffd} end"));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_run_that_was_not_made_has_a_reason_and_no_time() {
        let plan = Fixture::syn_retries().evidence.plan;
        let skipped = RunReport::not_run(&plan, EngineKind::Host, Status::Skipped, Some("no netem here".into()));
        let parsed = parsed(&[(&skipped, "a.kdl", "")]);
        match &parsed.test_suites[0].test_cases[0].status {
            TestCaseStatus::Skipped { message, .. } => {
                assert_eq!(message.as_ref().map(|m| m.as_str()), Some("no netem here"));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!((parsed.tests, parsed.skipped), (1, 1));
    }
}
