//! Rules that the source keeps and no compiler checks: who may use whom, sizes, where unsafe code lives, words that do
//! not belong, and that every file of tests is really run.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Failed, Trial};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Each module with those it may use. The pipeline points one way; what comes after evidence neither acts nor looks.
const MAY_USE: &[(&str, &[&str])] = &[
    ("agent", &["evidence", "lab", "peers", "plan", "programs", "record", "sys"]),
    ("cli", &["doctor", "scenario"]),
    (
        "commands",
        &[
            "agent",
            "cli",
            "doctor",
            "engine",
            "evidence",
            "exit_code",
            "kernels",
            "plan",
            "report",
            "scenario",
            "snapshot",
            "timeline",
            "verdict",
        ],
    ),
    ("doctor", &["kernels", "sys"]),
    ("engine", &["agent", "evidence", "plan", "sys"]),
    ("evidence", &["plan"]),
    ("exit_code", &[]),
    ("kernel_model", &["evidence"]),
    ("kernels", &["sys"]),
    ("lab", &["evidence", "plan", "scenario", "sys"]),
    ("peers", &["plan", "sys"]),
    ("plan", &["scenario"]),
    ("programs", &["plan", "sys"]),
    ("record", &["evidence", "plan", "sys"]),
    ("report", &["evidence", "plan", "scenario", "snapshot", "timeline", "verdict"]),
    ("scenario", &[]),
    ("snapshot", &["evidence", "plan", "timeline", "verdict"]),
    ("sys", &[]),
    ("timeline", &["evidence", "kernel_model", "plan"]),
    ("verdict", &["evidence", "kernel_model", "plan", "scenario", "timeline"]),
];

pub fn trials() -> Vec<Trial> {
    vec![
        Trial::test("structure_modules_use_only_what_comes_before_them", || verdict(imports())),
        Trial::test("structure_every_file_opens_with_what_it_is_for", || verdict(headers())),
        Trial::test("structure_files_stay_under_400_lines", || verdict(long_files())),
        Trial::test("structure_functions_fit_a_screen", || verdict(long_functions())),
        Trial::test("structure_unsafe_code_is_in_sys_alone", || verdict(unsafe_code())),
        Trial::test("structure_no_word_is_left_that_does_not_belong", || verdict(forbidden_words())),
        Trial::test("structure_every_file_of_tests_is_run", || verdict(unregistered_tests())),
        Trial::test("structure_every_benchmark_is_registered", || verdict(unregistered_benchmarks())),
    ]
}

fn verdict(complaints: Vec<String>) -> Result<(), Failed> {
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n").into()) }
}

/// A file's path below the root and its text.
struct File {
    path: String,
    text: String,
}

/// Every text file below a folder, in order of path.
fn files(folder: &str) -> Vec<File> {
    let mut found = Vec::new();
    let mut open = vec![Path::new(ROOT).join(folder)];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path.strip_prefix(ROOT).unwrap_or(&path).display().to_string();
            found.push(File { path, text });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn rust_files() -> Vec<File> {
    let files: Vec<File> = files("workbench").into_iter().filter(|file| file.path.ends_with(".rs")).collect();
    assert!(files.len() > 20, "the source is not where it was: {} files below {ROOT}/workbench", files.len());
    files
}

/// The names after `crate::` in a file, up to its inline tests; those may use whatever makes them clear.
fn used_modules(text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut used = BTreeSet::new();
    for after in lines.flat_map(|line| line.split("crate::").skip(1)) {
        let names = match after.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or_default().split(',').collect(),
            None => vec![after],
        };
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        used.extend(names.iter().filter_map(|name| name.trim().split(|c| !is_word(c)).next()).map(str::to_owned));
    }
    used.remove("");
    used
}

fn imports() -> Vec<String> {
    let mut complaints = Vec::new();
    for File { path, text } in rust_files() {
        let Some(below) = path.strip_prefix("workbench/src/") else {
            continue;
        };
        let module = below.split('/').next().unwrap_or_default().trim_end_matches(".rs");
        if ["lib", "main"].contains(&module) || path.contains("tests") {
            continue;
        }
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == module) else {
            complaints.push(format!("{path}: the module `{module}` has no line in the table of who may use whom"));
            continue;
        };
        for used in used_modules(&text) {
            if used != module && !allowed.contains(&used.as_str()) {
                complaints.push(format!("{path}: `{module}` may not use `{used}`"));
            }
        }
    }
    complaints
}

fn headers() -> Vec<String> {
    let bad = |file: &File| !file.text.starts_with("//! ");
    rust_files().into_iter().filter(bad).map(|file| format!("{}: does not open with `//!`", file.path)).collect()
}

fn long_files() -> Vec<String> {
    let lines = |file: &File| file.text.lines().count();
    let long = |file: &File| lines(file) >= 400;
    rust_files().iter().filter(|f| long(f)).map(|f| format!("{}: {} lines", f.path, lines(f))).collect()
}

/// rustfmt puts a function's closing brace under the start of its first line, so indentation tells where it ends.
fn long_functions() -> Vec<String> {
    let mut complaints = Vec::new();
    for File { path, text } in rust_files() {
        let lines: Vec<&str> = text.lines().collect();
        for (start, line) in lines.iter().enumerate() {
            let code = line.trim_start();
            let is_function = ["fn ", "pub fn ", "pub(super) fn ", "pub(crate) fn ", "async fn ", "pub async fn "]
                .iter()
                .any(|opening| code.starts_with(opening));
            if !is_function || line.ends_with('}') || line.ends_with(';') {
                continue;
            }
            let closing = format!("{}}}", &line[..line.len() - code.len()]);
            let length = lines[start..].iter().position(|line| *line == closing).map_or(0, |last| last + 1);
            if length > 60 {
                complaints.push(format!("{path}:{}: a function of {length} lines", start + 1));
            }
        }
    }
    complaints
}

fn unsafe_code() -> Vec<String> {
    let word = concat!("unsa", "fe");
    let openings = [" {", " fn", " impl", "_code)]", "_code,"].map(|rest| format!("{word}{rest}"));
    // lib.rs holds the one exception, for the module `sys`.
    let is_place = |file: &File| file.path.starts_with("workbench/src/sys/") || file.path == "workbench/src/lib.rs";
    let code = |file: &File| file.text.lines().any(|l| !l.trim_start().starts_with("//") && has_any(l, &openings));
    let complaint = |file: File| format!("{}: unsafe code outside of workbench/src/sys", file.path);
    rust_files().into_iter().filter(|file| !is_place(file) && code(file)).map(complaint).collect()
}

fn has_any(line: &str, words: &[String]) -> bool {
    words.iter().any(|word| line.contains(word.as_str()))
}

/// Left-overs of writing, and names of places that exist on one machine only.
fn forbidden_words() -> Vec<String> {
    let words = [
        concat!("FIX", "ME"),
        concat!("TO", "DO"),
        concat!("XX", "X"),
        concat!("HA", "CK"),
        concat!("dbg", "!("),
        concat!("/ro", "ot/"),
        concat!("/wo", "rk/"),
        concat!("lorem ", "ipsum"),
        concat!("issue ", "#"),
    ];
    let places = ["workbench", "scenarios", "snapshots", "docs", ".github", ".ci", ".config"];
    let single = ["README.md", "CHANGELOG.md", "Cargo.toml", "deny.toml", "justfile", "rustfmt.toml"];
    let mut complaints = Vec::new();
    for File { path, text } in places.iter().chain(&single).flat_map(|place| files(place)) {
        for (number, line) in text.lines().enumerate() {
            for word in words.iter().filter(|word| line.contains(**word)) {
                complaints.push(format!("{path}:{}: `{word}`", number + 1));
            }
        }
    }
    complaints
}

/// With the package at the root and `autotests = false`, a file here that nobody names is silently never run.
fn unregistered_tests() -> Vec<String> {
    let manifest = fs::read_to_string(Path::new(ROOT).join("Cargo.toml")).unwrap_or_default();
    let main = fs::read_to_string(Path::new(ROOT).join("workbench/tests/main.rs")).unwrap_or_default();
    let mut complaints = Vec::new();
    for entry in fs::read_dir(Path::new(ROOT).join("workbench/tests")).into_iter().flatten().flatten() {
        let path = entry.path();
        let Some(name) = module_name(&path) else {
            continue;
        };
        if manifest.contains(&format!("\"workbench/tests/{name}.rs\"")) {
            continue;
        }
        if !main.contains(&format!("mod {name};\n")) {
            complaints.push(format!("workbench/tests/{name}: neither in Cargo.toml nor a module of main.rs"));
        } else if has_trials(&path) && !main.contains(&format!("{name}::trials()")) {
            complaints.push(format!("workbench/tests/{name}: main.rs does not collect its trials"));
        }
    }
    complaints
}

/// `lab` for `lab.rs` and for a folder with `lab/mod.rs`; nothing else here is code.
fn module_name(path: &Path) -> Option<String> {
    let is_module = path.extension().is_some_and(|e| e == "rs") || path.join("mod.rs").exists();
    is_module.then(|| path.file_stem().unwrap_or_default().to_string_lossy().into_owned())
}

fn has_trials(path: &Path) -> bool {
    let file: PathBuf = if path.is_dir() { path.join("mod.rs") } else { path.to_owned() };
    fs::read_to_string(file).is_ok_and(|text| text.contains("pub fn trials()"))
}

fn unregistered_benchmarks() -> Vec<String> {
    let manifest = fs::read_to_string(Path::new(ROOT).join("Cargo.toml")).unwrap_or_default();
    let names = files("workbench/benches").into_iter().map(|file| file.path).filter(|path| path.ends_with(".rs"));
    let unnamed = names.filter(|path| !manifest.contains(&format!("\"{path}\"")));
    unnamed.map(|path| format!("{path}: not in Cargo.toml")).collect()
}
