#!/bin/sh
# Prepares the machine and checks everything; the last line is `N passed, N failed, N skipped`, the exit code honest.
#
# Needs cargo and a C linker; what else the tests need, `workbench doctor --fix` installs where it can. Runs as root
# and as an ordinary user, with a terminal and without one. With CI set, as CI services do, cargo-deny is built where
# it is absent. CI, `just ci` and a person all run this file.
set -u
cd "$(dirname "$0")/.." || exit 1
# Debian leaves these out of a user's PATH; the tests' oracles (ip, tc, nft, tcpdump) are there.
PATH=$PATH:/usr/sbin:/sbin
export PATH
workbench=${CARGO_TARGET_DIR:-target}/debug/workbench
kept=$(mktemp -d) || exit 1
trap 'rm -rf "$kept"' EXIT
trap 'exit 130' INT TERM
touch "$kept/steps" "$kept/tests" "$kept/runs"
tests_exit=
runs_exit=

# Checks one thing: its name, then its command.
step() {
    name=$1
    shift
    printf '\n== %s\n' "$name"
    "$@"
    status=$?
    if [ "$status" -eq 0 ]; then echo "pass $name"; else echo "fail $name: exit code $status"; fi >>"$kept/steps"
    return "$status"
}

skip() {
    printf '\n== %s: skipped, %s\n' "$1" "$2"
    echo "skip $1: $2" >>"$kept/steps"
}

# Whether cargo has this subcommand: rustfmt, clippy and cargo-deny are parts that a toolchain may lack.
has() {
    cargo "$1" --version >/dev/null 2>&1
}

finish() {
    awk -v "tests_exit=$tests_exit" -v "runs_exit=$runs_exit" -f workbench/tally.awk \
        kind=steps "$kept/steps" kind=tests "$kept/tests" kind=runs "$kept/runs"
    exit
}

check_format() {
    if ! has fmt; then skip format "no rustfmt (rustup component add rustfmt)"; return; fi
    step format cargo fmt --check
}

check_lints() {
    if ! has clippy; then skip lints "no clippy (rustup component add clippy)"; return; fi
    step lints cargo clippy --locked --all-targets -- -D warnings
}

# Two minutes of building: where nobody asked for it, a check of licences is not worth them.
check_licences() {
    if ! has deny && [ -n "${CI:-}" ]; then cargo install --locked --debug cargo-deny; fi
    if ! has deny; then skip licences "no cargo-deny (cargo install --locked cargo-deny)"; return; fi
    step licences cargo deny --locked check licenses bans sources
}

run_tests() {
    printf '\n== tests\n'
    { cargo test --locked --no-fail-fast 2>&1; echo $? >"$kept/exit"; } </dev/null | tee "$kept/tests"
    tests_exit=$(cat "$kept/exit")
}

# The quick scenarios with their snapshots, of which none may be written here.
run_scenarios() {
    printf '\n== scenarios\n'
    CI=true "$workbench" run --tag quick --format json scenarios </dev/null >"$kept/runs"
    runs_exit=$?
    # What differs is for people to read, and JSON is not: seen once more, as text.
    if [ "$runs_exit" -eq 1 ]; then CI=true "$workbench" run --tag quick scenarios </dev/null; fi
}

step build cargo build --locked || finish
step machine "$workbench" doctor --fix --tests
check_format
check_lints
check_licences
run_tests
run_scenarios
finish
