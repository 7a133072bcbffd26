# Sums what workbench/ci.sh has kept into one last line: `N passed, N failed, N skipped`.
#
# Reads three kinds of file, told apart by `kind=` before each name on the command line:
#   steps   ci.sh's own lines: `pass NAME`, `fail NAME`, `skip NAME: REASON`
#   tests   what `cargo test` printed, by libtest and libtest-mimic alike; its exit code is the variable tests_exit
#   runs    what `workbench run --format json` printed; its exit code is the variable runs_exit
# The exit codes are empty for what was never started. Nothing may get lost: a test binary that ended without a
# result, an exit code that nothing explains, and a set in which nothing ran are failures. An inconclusive run is
# never a pass: it counts as skipped. Exits 0 only if nothing failed and something passed.

function fail(what) { failed++; failures = failures "failed:  " what "\n" }
function skip(what) { skipped++; skips = skips "skipped: " what "\n" }

# The text of the first `"key":"text"` in a line of JSON, with ' for the quotation marks in it.
function field(key,    rest, start) {
    rest = $0
    gsub(/\\"/, "'", rest)
    start = index(rest, "\"" key "\":\"")
    if (start == 0) return ""
    rest = substr(rest, start + length(key) + 4)
    return substr(rest, 1, index(rest, "\"") - 1)
}

# The name in `test NAME ... OUTCOME`.
function test_name(    name) {
    name = $0
    sub(/^test +/, "", name)
    sub(/ +\.\.\. .*/, "", name)
    return name
}

kind == "steps" && $1 == "pass" { passed++ }
kind == "steps" && $1 == "fail" { fail(substr($0, 6)) }
kind == "steps" && $1 == "skip" { skip(substr($0, 6)) }

kind == "tests" && /^ +(Running|Doc-tests) / { started++ }
kind == "tests" && /^test .* \.\.\. FAILED/ { failures = failures "failed:  " test_name() "\n" }
kind == "tests" && /^test .* \.\.\. ignored/ {
    reason = $0
    sub(/.* \.\.\. ignored[, ]*/, "", reason)
    skips = skips "skipped: " test_name() ": " (reason == "" ? "no reason given" : reason) "\n"
}
kind == "tests" && /^test result: [A-Za-z]+\. [0-9]+ passed; [0-9]+ failed; [0-9]+ ignored;/ {
    finished++
    passed += $4
    failed += $6
    skipped += $8
    tests_run += $4 + $6
    tests_failed += $6
}

kind == "runs" && /^\{/ {
    status = field("status")
    run = field("scenario") "/" field("run")
    runs_told++
    if (status == "pass") passed++
    else if (status == "skipped" || status == "inconclusive") skip(run ": " status ", " field("reason"))
    else { fail(run ": " status ", " field("reason")); runs_failed++ }
}

END {
    if (tests_exit != "") {
        if (started > finished) fail(started - finished " test binaries ended without a result")
        else if (tests_exit != 0 && tests_failed == 0) fail("cargo test: exit code " tests_exit " without a failed test")
        else if (tests_run == 0) fail("cargo test: ran no test")
    }
    if (runs_exit != "") {
        # 4 is inconclusive, and each such run has said so.
        if (runs_exit != 0 && runs_exit != 4 && runs_failed == 0)
            fail("workbench run: exit code " runs_exit " without a failed run")
        else if (runs_told == 0) fail("workbench run: ran nothing")
    }
    printf "\n%s%s%d passed, %d failed, %d skipped\n", skips, failures, passed, failed, skipped
    exit (failed > 0 || passed == 0)
}
