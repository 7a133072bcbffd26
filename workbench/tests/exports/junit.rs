//! `run --junit FILE`: one file for all runs of the command, whatever became of them.

use std::fs;

use libtest_mimic::{Failed, Trial};
use quick_junit::{NonSuccessKind, Report, TestCaseStatus};

use super::{DROPPED, kept, show};
use crate::support::{lab_trial, scenario, scratch, texts, workbench};

pub fn trials() -> Vec<Trial> {
    vec![
        lab_trial("junit_has_every_run_of_the_command_also_when_some_fail_or_cannot_be_made", all_runs),
        lab_trial("junit_of_a_kept_run_is_the_run_alone", of_a_kept_run),
        Trial::test("junit_that_cannot_be_written_is_said_before_anything_runs", unwritable),
    ]
}

const PASS_AND_FAIL: &str = "namespace client\nrun good in=client \"true\"\nrun again in=client \"true\"\n\
    run bad in=client \"printf '\\\\033[31mred\\\\000'\" {\n expect exit=3\n}\n";

fn all_runs() -> Result<(), Failed> {
    let folder = scratch();
    scenario(folder.path(), "a.kdl", PASS_AND_FAIL);
    scenario(folder.path(), "b.kdl", "requires tool=\"no-such-tool\"\nnamespace client\nrun it in=client \"true\"\n");
    scenario(folder.path(), "c.kdl", "namespace client\nrun it in=client \"no-such-program\"\n");
    let file = folder.path().join("made/for/it/junit.xml");
    fs::create_dir_all(file.parent().ok_or("no folder")?)?;
    fs::write(&file, "of an earlier command")?;
    let mut command = workbench();
    let output = command
        .args(["--color", "always", "run", "--no-snapshot", "--junit"])
        .arg(&file)
        .arg(folder.path())
        .output()?;
    let (out, err) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{out}{err}");
    let text = fs::read_to_string(&file)?;
    let report = Report::deserialize_from_str(&text)?;
    assert_eq!((report.tests, report.failures, report.errors), (5, 1, 1), "{text}");
    let suites: Vec<&str> = report.test_suites.iter().map(|suite| suite.name.as_str()).collect();
    assert_eq!(suites.len(), 3, "{suites:?}");
    let case = |suite: &str, name: &str| {
        let suite = report.test_suites.iter().find(|each| each.name.as_str() == suite);
        suite.and_then(|suite| suite.test_cases.iter().find(|case| case.name.as_str() == name)).map(|case| &case.status)
    };
    assert!(matches!(case("a", "good"), Some(TestCaseStatus::Success { .. })), "{text}");
    assert!(matches!(case("b", "it"), Some(TestCaseStatus::Skipped { .. })), "{text}");
    match (case("a", "bad"), case("c", "it")) {
        (
            Some(TestCaseStatus::NonSuccess {
                kind: NonSuccessKind::Failure,
                description: Some(told),
                message: Some(why),
                ..
            }),
            Some(TestCaseStatus::NonSuccess { kind: NonSuccessKind::Error, .. }),
        ) => {
            assert!(told.contains("exit is not as expected") && !told.contains("[1m"), "{told:?}");
            assert!(why.contains("expected exit 3, observed exit 0"), "{why:?}");
        }
        other => panic!("{other:?}\n{text}"),
    }
    let beside: Vec<_> = fs::read_dir(file.parent().ok_or("no folder")?)?.collect();
    assert_eq!(beside.len(), 1, "nothing else is left there");
    Ok(())
}

fn of_a_kept_run() -> Result<(), Failed> {
    let folder = scratch();
    let text = String::from_utf8(show(&kept(folder.path(), DROPPED)?, "junit")?)?;
    let report = Report::deserialize_from_str(&text)?;
    assert_eq!((report.tests, report.failures, report.errors), (1, 0, 0));
    assert_eq!(report.test_suites[0].test_cases[0].name.as_str(), "it");
    Ok(())
}

fn unwritable() -> Result<(), Failed> {
    let folder = scratch();
    let file = scenario(folder.path(), "a.kdl", "namespace client\nrun it in=client \"true\"\n");
    let output =
        workbench().args(["run", "--no-snapshot", "--junit"]).arg(file.join("junit.xml")).arg(&file).output()?;
    let (out, err) = texts(&output);
    assert_eq!((output.status.code(), out.as_str()), (Some(3), ""), "{err}");
    assert!(err.contains("--junit") && err.contains("a.kdl"), "{err}");
    Ok(())
}
