//! Wrong scenarios and what their authors are told: each `bad/NAME.kdl` with the text of its diagnostics, `bad/NAME.txt`.
//!
//! And right ones: what the repository ships parses, and is written as `workbench fmt` writes it.
//!
//! `UPDATE=1` writes the texts anew; read them before they are committed.

use std::path::{Path, PathBuf};

use libtest_mimic::{Failed, Trial};
use miette::{GraphicalReportHandler, GraphicalTheme};
use workbench::scenario::{self, Diagnostics, SourceFile};

/// One trial for each bad file and for each scenario that is shipped, and some for files that are too bad to be kept.
pub fn trials() -> Vec<Trial> {
    let bad = kdl_files("workbench/tests/bad")
        .into_iter()
        .filter(|path| !is_part(path))
        .map(|path| Trial::test(format!("language::bad::{}", stem(&path)), move || is_told_as_expected(&path)));
    let shipped = ["scenarios", "workbench/benches"].into_iter().flat_map(kdl_files).map(|path| {
        Trial::test(format!("language::shipped::{}", stem(&path)), move || is_understood_and_formatted(&path))
    });
    let mut trials: Vec<Trial> = bad.chain(shipped).collect();
    trials.push(Trial::test("language::every_example_of_the_documentation_is_a_scenario", examples_parse));
    trials.push(Trial::test("language::a_file_of_100_mb_is_refused_without_being_read", || {
        let file = tempfile::NamedTempFile::new()?;
        file.as_file().set_len(100_000_000)?;
        is_told(SourceFile::read(file.path()).map(|_| ()), "100000000 bytes, at most 1048576 are read")
    }));
    trials.push(Trial::test("language::nesting_a_thousand_deep_is_refused_before_it_is_parsed", || {
        let text = format!("{}{}", "a {\n".repeat(1000), "}\n".repeat(1000));
        is_told(read_and_parse(&written(&text)?), "nested deeper than 16 levels")
    }));
    trials.push(Trial::test("language::comments_nested_a_thousand_deep_are_refused_before_they_are_parsed", || {
        is_told(read_and_parse(&written(&"/*".repeat(1000))?), "comments nested deeper than 16 levels")
    }));
    trials.push(Trial::test("language::twenty_thousand_problems_are_told_in_fifty", || {
        let text = format!("namespace a\nrun x in=a \"true\"\n{}", "a\n".repeat(20_000));
        let told = rendered(&read_and_parse(&written(&text)?).expect_err("refused"));
        let headlines = told.matches("no node `a` in a scenario").count();
        if headlines == 50 { Ok(()) } else { Err(format!("{headlines} problems are told").into()) }
    }));
    trials
}

/// The `kdl` blocks of the language's own page.
fn examples_parse() -> Result<(), Failed> {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scenario.md"))?;
    let examples: Vec<&str> =
        page.split("```kdl\n").skip(1).map(|rest| rest.split("```").next().unwrap_or("")).collect();
    if examples.len() < 8 {
        return Err(format!("only {} examples are found", examples.len()).into());
    }
    for text in examples {
        // An example stands where the parts that it uses are.
        let name = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/syn/example.kdl");
        let source = SourceFile::new(name.display().to_string(), text).with_used_files();
        let scenario = scenario::parse(&source).map_err(|diagnostics| Failed::from(rendered(&diagnostics)))?;
        let runs: usize = scenario.iter().map(|instance| instance.runs.len()).sum();
        if workbench::plan::build(&scenario).len() != runs {
            return Err("a run has no plan".into());
        }
        if scenario::format(&source).expect("KDL") != text {
            return Err(format!("`workbench fmt` would write it otherwise:\n{text}").into());
        }
    }
    Ok(())
}

/// The `.kdl` files in a folder and below it.
fn kdl_files(folder: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the repository") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|extension| extension == "kdl") => files.push(path),
                false => {}
            }
        }
    }
    files.sort();
    files
}

/// Whether a file is a part that scenarios use, and none itself.
fn is_part(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "common")
}

fn stem(path: &Path) -> String {
    path.file_stem().expect("a stem").to_string_lossy().into_owned()
}

fn is_understood_and_formatted(path: &Path) -> Result<(), Failed> {
    let told = |diagnostics: Diagnostics| Failed::from(rendered(&diagnostics));
    let source = SourceFile::read(path).map_err(told)?;
    if !is_part(path) {
        scenario::parse(&source).map_err(told)?;
    }
    let formatted = scenario::format(&source).map_err(told)?;
    if formatted == source.text {
        return Ok(());
    }
    let difference = similar::TextDiff::from_lines(&source.text, &formatted).unified_diff().to_string();
    Err(format!("`workbench fmt` would write it otherwise:\n{difference}").into())
}

fn is_told_as_expected(path: &Path) -> Result<(), Failed> {
    // Named as one would type it in the repository, where the tests run: no name of this machine is in a text.
    let typed = path.strip_prefix(env!("CARGO_MANIFEST_DIR"))?;
    let Err(diagnostics) = read_and_parse(typed) else {
        return Err("nothing is wrong with it".into());
    };
    let told = rendered(&diagnostics).replace(&format!("{}/", typed.parent().expect("a folder").display()), "");
    let expectation = path.with_extension("txt");
    if std::env::var_os("UPDATE").is_some() {
        return Ok(std::fs::write(expectation, told)?);
    }
    let expected = std::fs::read_to_string(&expectation)?;
    if told == expected {
        return Ok(());
    }
    let difference =
        similar::TextDiff::from_lines(&expected, &told).unified_diff().header("expected", "told").to_string();
    Err(format!("told otherwise (UPDATE=1 accepts it):\n{difference}").into())
}

fn is_told(result: Result<(), Diagnostics>, expected: &str) -> Result<(), Failed> {
    let told = rendered(&result.expect_err("refused"));
    if told.contains(expected) { Ok(()) } else { Err(format!("not told that {expected}:\n{told}").into()) }
}

fn read_and_parse(path: &Path) -> Result<(), Diagnostics> {
    scenario::parse(&SourceFile::read(path)?).map(|_| ())
}

fn written(text: &str) -> Result<tempfile::TempPath, Failed> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), text)?;
    Ok(file.into_temp_path())
}

/// As the program renders it on a terminal of 100 columns without colours.
fn rendered(diagnostics: &Diagnostics) -> String {
    let handler =
        GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_width(100).with_links(false);
    let mut text = String::new();
    handler.render_report(&mut text, diagnostics).expect("rendering into a string");
    // Snippets end in spaces where a label leaves room.
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}
