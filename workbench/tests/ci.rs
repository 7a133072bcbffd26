//! The test command's arithmetic: whatever fails anywhere, its last line and its exit code say so.
//!
//! `workbench/ci.sh` runs here with a cargo and a workbench that only print; nothing is built.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use libtest_mimic::{Failed, Trial};

const GOOD_TESTS: &str = "\
     Running unittests workbench/src/lib.rs (target/debug/deps/workbench-1)
test plan::a ... ok
test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s
     Running workbench/tests/main.rs (target/debug/deps/main-1)
test lab::netem ... ignored (this kernel has no netem)
test lab::slow ... ignored, takes minutes
test result: ok. 3 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.10s
   Doc-tests workbench
test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";
const GOOD_RUNS: &str = "\
{\"scenario\":\"refused\",\"run\":\"curl\",\"status\":\"pass\",\"events\":[]}
{\"scenario\":\"refused\",\"run\":\"wget\",\"status\":\"pass\",\"events\":[]}
";

pub fn trials() -> Vec<Trial> {
    vec![
        Trial::test("ci_sums_the_results_of_all_test_binaries_and_scenarios", sums_everything),
        Trial::test("ci_fails_when_one_test_binary_fails", || {
            let tests = GOOD_TESTS.replace("ok. 3 passed; 0 failed", "FAILED. 2 passed; 1 failed");
            expect(Script { tests: &tests, tests_exit: 101, ..Script::good() }, 1, "21 passed, 1 failed, 2 skipped")
        }),
        Trial::test("ci_fails_when_a_test_binary_ends_without_a_result", || {
            let tests = GOOD_TESTS.lines().take(5).map(|line| format!("{line}\n")).collect::<String>();
            expect(Script { tests: &tests, tests_exit: 101, ..Script::good() }, 1, "19 passed, 1 failed, 0 skipped")
        }),
        Trial::test("ci_fails_when_the_tests_do_not_compile", || {
            let script = Script { tests: "error: could not compile\n", tests_exit: 101, ..Script::good() };
            expect(script, 1, "7 passed, 1 failed, 0 skipped")
        }),
        Trial::test("ci_fails_when_no_test_ran", || {
            expect(Script { tests: "", ..Script::good() }, 1, "7 passed, 1 failed, 0 skipped")
        }),
        Trial::test("ci_fails_when_a_scenario_differs_from_its_snapshot", || {
            let runs = GOOD_RUNS.replacen("pass", "fail", 1);
            expect(Script { runs: &runs, runs_exit: 1, ..Script::good() }, 1, "21 passed, 1 failed, 2 skipped")
        }),
        Trial::test("ci_never_counts_an_inconclusive_run_as_passed", || {
            let runs = GOOD_RUNS.replacen("pass", "inconclusive", 1);
            expect(Script { runs: &runs, runs_exit: 4, ..Script::good() }, 0, "21 passed, 0 failed, 3 skipped")
        }),
        Trial::test("ci_tells_why_a_run_was_skipped", || {
            let skipped = r#""status":"skipped","reason":"no \"netem\" here""#;
            let runs = GOOD_RUNS.replacen(r#""status":"pass""#, skipped, 1);
            let (_, output) = run_ci(Script { runs: &runs, ..Script::good() });
            let line = "skipped: refused/curl: skipped, no 'netem' here";
            if output.lines().any(|l| l == line) { Ok(()) } else { Err(output.into()) }
        }),
        Trial::test("ci_fails_when_the_scenarios_end_badly_without_saying_which", || {
            expect(Script { runs_exit: 2, ..Script::good() }, 1, "22 passed, 1 failed, 2 skipped")
        }),
        Trial::test("ci_fails_when_lints_fail_and_checks_the_rest_all_the_same", || {
            expect(Script { failing: "clippy", ..Script::good() }, 1, "21 passed, 1 failed, 2 skipped")
        }),
        Trial::test("ci_stops_at_a_build_that_fails", || {
            expect(Script { failing: "build", ..Script::good() }, 1, "0 passed, 1 failed, 0 skipped")
        }),
        Trial::test("ci_counts_a_check_whose_tool_is_absent_as_skipped_with_its_reason", skips_what_is_absent),
    ]
}

/// What the pretended cargo and workbench say.
#[derive(Clone, Copy)]
struct Script<'a> {
    tests: &'a str,
    tests_exit: i32,
    runs: &'a str,
    runs_exit: i32,
    /// The cargo subcommand that fails.
    failing: &'a str,
    /// The cargo subcommand that is not there.
    absent: &'a str,
}

impl Script<'_> {
    fn good() -> Self {
        Self { tests: GOOD_TESTS, tests_exit: 0, runs: GOOD_RUNS, runs_exit: 0, failing: "none", absent: "none" }
    }
}

fn executable(file: &Path, text: &str) {
    fs::write(file, text).expect("a writable folder");
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).expect("our own file");
}

/// Runs ci.sh and returns its exit code and output.
fn run_ci(script: Script<'_>) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("debug")).expect("a new folder");
    fs::write(at("tests"), script.tests).expect("a writable folder");
    fs::write(at("runs"), script.runs).expect("a writable folder");
    let here = folder.path().display();
    let Script { tests_exit, runs_exit, failing, absent, .. } = script;
    executable(
        &at("cargo"),
        &format!(
            "#!/bin/sh\ncase $1 in\n{absent}) exit 101;;\n{failing}) [ \"$2\" = --version ]; exit;;\n\
             test) cat {here}/tests; exit {tests_exit};;\nesac\n"
        ),
    );
    executable(
        &at("debug/workbench"),
        &format!("#!/bin/sh\ncase $1 in run) cat {here}/runs; exit {runs_exit};; esac\n"),
    );
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("sh")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/workbench/ci.sh"))
        .env("PATH", format!("{here}:{path}"))
        .env("CARGO_TARGET_DIR", folder.path())
        .env_remove("CI")
        .stdin(Stdio::null())
        .output()
        .expect("sh");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

fn expect(script: Script<'_>, exit: i32, last_line: &str) -> Result<(), Failed> {
    let (code, output) = run_ci(script);
    let last = output.lines().last().unwrap_or_default();
    if code == Some(exit) && last == last_line {
        return Ok(());
    }
    Err(format!("expected exit code {exit} and `{last_line}`, found {code:?} and `{last}` in:\n{output}").into())
}

/// Five steps of its own (build, machine, format, lints, licences), 15 tests, 2 runs.
fn sums_everything() -> Result<(), Failed> {
    let (code, output) = run_ci(Script::good());
    let expected = "\n\
        skipped: lab::netem: (this kernel has no netem)\n\
        skipped: lab::slow: takes minutes\n\
        22 passed, 0 failed, 2 skipped\n";
    if code == Some(0) && output.ends_with(expected) { Ok(()) } else { Err(format!("{code:?}:\n{output}").into()) }
}

fn skips_what_is_absent() -> Result<(), Failed> {
    expect(Script { absent: "deny", ..Script::good() }, 0, "21 passed, 0 failed, 3 skipped")?;
    let (_, output) = run_ci(Script { absent: "deny", ..Script::good() });
    let reason = "skipped: licences: no cargo-deny (cargo install --locked cargo-deny)";
    if output.lines().any(|line| line == reason) { Ok(()) } else { Err(output.into()) }
}
