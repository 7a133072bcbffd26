# The everyday commands. `just` alone lists them; nothing depends on just: each recipe is a line anyone can type.

[private]
default:
    @just --list

# Prepare the machine and check everything, exactly as CI does.
[group('check')]
ci:
    sh workbench/ci.sh

# Run the tests whose names contain a word; all of them without one.
[group('check')]
test word='':
    cargo test -- {{ word }}

# Format the source and the scenarios.
[group('check')]
fmt:
    cargo fmt
    cargo run -q -- fmt scenarios workbench/benches

# Lint as CI does.
[group('check')]
lint:
    cargo clippy --all-targets -- -D warnings

# Make the table of docs/verdict.md anew: what the verdict says of each mechanism that the catalogue brings about.
[group('check')]
confusion:
    UPDATE=1 cargo test --test main -- catalogue_the_confusion_table

# Make docs/atlas.md anew from docs/atlas.kdl and the snapshots.
[group('check')]
atlas:
    UPDATE=1 cargo test --test main -- atlas_the_page

# Check licences, duplicate bans and sources of everything depended on.
[group('check')]
licences:
    cargo deny --locked check licenses bans sources

# Say what this machine has and lacks; `just doctor --fix` installs.
[group('run')]
doctor *flags:
    cargo run -q --release -- doctor {{ flags }}

# Run scenarios: files or folders, and any flag of `workbench run`.
[group('run')]
run *arguments='--tag quick scenarios':
    cargo run -q --release -- run {{ arguments }}

# Draw the pictures in docs/ again, from fresh runs in virtual time.
[group('run')]
pictures:
    cargo run -q --release -- run --engine virtual --no-snapshot --only curl --artifacts target/pictures scenarios/syn-retries-0.kdl
    cargo run -q --release -- show target/pictures/syn-retries-0/curl diagram --output docs/syn-retries-0.svg

# Look at pending snapshots one by one.
[group('run')]
review:
    cargo run -q --release -- review

# Compare a run's cost with the hand-made way and with the floor.
[group('run')]
bench rounds='15':
    cargo bench --bench compare -- {{ rounds }}
