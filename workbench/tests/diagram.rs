//! Sequence diagrams of real runs: every scenario in virtual time fits 80 columns and has every claim, and the picture
//! in the documents is what a fresh run gives.

use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Completion, Failed, Trial};
use unicode_width::UnicodeWidthStr;
use workbench::report::text::Options;
use workbench::report::views::Run;
use workbench::timeline::{Event, EventKind};
use workbench::{timeline, verdict};

use crate::support::virtual_engine::{read, virtual_engine, virtual_trial};
use crate::support::{root, scenario, scratch, texts, workbench};

pub fn trials() -> Vec<Trial> {
    vec![
        virtual_trial("diagram_every_scenario_fits_80_columns_and_has_every_claim_once", scenarios),
        virtual_trial("diagram_the_picture_in_the_documents_is_what_a_fresh_run_gives", documents),
        virtual_trial("diagram_colours_stay_out_of_files_and_go_with_no_color", colors),
    ]
}

/// Evidence files below a folder, in order.
fn kept(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        open.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        if path.ends_with("evidence.json") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Four hosts with routers between, and names that take all the room there is.
const ROUTED: &str = r#"
namespace a-client-with-a-long-name
router edge-router-number-one
router core-router-number-two
namespace web-server-with-a-long-name {
    drop tcp dport=81
}
link a-client-with-a-long-name edge-router-number-one
link edge-router-number-one core-router-number-two
link core-router-number-two web-server-with-a-long-name
run refused in=a-client-with-a-long-name "curl -sS http://web-server-with-a-long-name/"
run dropped in=a-client-with-a-long-name "curl -sS --connect-timeout 2 http://web-server-with-a-long-name:81/"
"#;

fn scenarios() -> Result<Completion, Failed> {
    let folder = scratch();
    let routed = scenario(folder.path(), "routed.kdl", ROUTED);
    let mut command = virtual_engine()?;
    command.args(["--no-snapshot", "--artifacts"]).arg(folder.path()).arg("scenarios").arg(routed);
    let output = command.output()?;
    let files = kept(folder.path());
    if files.len() < 20 {
        let (out, err) = texts(&output);
        return Err(format!("only {} runs:\n{out}{err}", files.len()).into());
    }
    for file in files {
        let evidence = read(&file)?;
        let timeline = timeline::build(&evidence);
        let verdict = verdict::judge(&evidence, &timeline);
        let run = Run { evidence: &evidence, timeline: &timeline, verdict: &verdict };
        let (text, picture) = (run.diagram(Options::KEPT), run.picture());
        let problems: Vec<String> =
            [narrow(&text), in_order(&text, &timeline.events), once(&picture, &timeline.events)]
                .into_iter()
                .filter_map(Result::err)
                .collect();
        if !problems.is_empty() {
            return Err(format!("{}:\n{}\n{text}", file.display(), problems.join("\n")).into());
        }
    }
    Ok(Completion::Completed)
}

fn narrow(text: &str) -> Result<(), String> {
    let wide = text.lines().filter(|line| line.width() > 80);
    let wide: Vec<&str> = wide.collect();
    if wide.is_empty() { Ok(()) } else { Err(format!("wider than 80: {wide:#?}")) }
}

/// Letters and digits alone, without the crosses: what is left when lines are broken and drawn around.
fn squeezed(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric() && *c != 'X').collect()
}

/// Every claim's words stand in the drawing, in the timeline's order.
fn in_order(text: &str, events: &[Event]) -> Result<(), String> {
    let drawing = text.split_once("\n\n").ok_or("no drawing")?.1;
    // The times stand in a column of their own, as wide as the heading says.
    let times = drawing.lines().find_map(|line| Some(line.find("time")? + 4)).ok_or("no times")?;
    let words: String = drawing.lines().map(|line| squeezed(line.get(times..).unwrap_or_default())).collect();
    let mut rest = words.as_str();
    for event in events.iter().filter(|event| event.is_claim) {
        if event.kind == EventKind::State {
            // States are drawn as such, from the samples: `FIN_WAIT2` in the host's column.
            let state = event.text.split("is in ").nth(1).and_then(|text| text.split(',').next());
            match state.filter(|state| !drawing.contains(*state)) {
                Some(state) => return Err(format!("no state {state} is drawn: {}", event.text)),
                None => continue,
            }
        }
        let claim = squeezed(&event.text);
        // On an arrow to the left, what became of it stands left of what it was.
        let lost =
            event.text.strip_suffix(", lost on the wire").map(|label| squeezed("lost on the wire") + &squeezed(label));
        let places = [Some(&claim), lost.as_ref()].into_iter().flatten().filter_map(|words| rest.find(words));
        let at = places.min().ok_or_else(|| format!("not there, or not in order: {}", event.text))?;
        rest = &rest[at + claim.len()..];
    }
    Ok(())
}

/// The picture numbers its events: each claim is there once.
fn once(picture: &str, events: &[Event]) -> Result<(), String> {
    for (index, event) in
        events.iter().enumerate().filter(|(_, event)| event.is_claim && event.kind != EventKind::State)
    {
        let count = picture.matches(&format!("id=\"event-{index}\"")).count();
        if count != 1 {
            return Err(format!("{count} times: {}", event.text));
        }
    }
    Ok(())
}

/// The kernel that a picture names.
fn kernel(picture: &str) -> Option<&str> {
    picture.split_once(", Linux ")?.1.split(',').next()
}

/// The words of a picture's events, without figures.
fn labels(picture: &str) -> Vec<String> {
    let is_word = |line: &&str| line.starts_with("<text ");
    let words = |line: &str| line.chars().filter(|c| !c.is_ascii_digit() && *c != '.').collect();
    // Below the last event stand the verdict's words, which name what a kernel has and another one has not.
    let events = picture.split_once("<g ").and_then(|(_, rest)| rest.rsplit_once("</g>")).unwrap_or_default().0;
    events.lines().filter(is_word).map(words).collect()
}

/// The same run as `just pictures` makes. Virtual time repeats it to the byte on the same kernel.
fn documents() -> Result<Completion, Failed> {
    let folder = scratch();
    let mut command = virtual_engine()?;
    command.args(["--no-snapshot", "--only", "curl", "--artifacts"]).arg(folder.path());
    let output = command.arg("scenarios/syn-retries-0.kdl").output()?;
    let fresh = folder.path().join("fresh.svg");
    let mut show = workbench();
    show.arg("show").arg(folder.path().join("syn-retries-0/curl")).args(["diagram", "--output"]).arg(&fresh);
    if !show.output()?.status.success() {
        let (out, err) = texts(&output);
        return Err(format!("{out}{err}").into());
    }
    let fresh = fs::read_to_string(fresh)?;
    let kept = fs::read_to_string(root().join("docs/syn-retries-0.svg"))?;
    if kernel(&fresh) == kernel(&kept) && kernel(&kept).is_some() {
        return if fresh == kept {
            Ok(Completion::Completed)
        } else {
            Err(format!("docs/syn-retries-0.svg is not what a run gives; `just pictures` draws it again:\n{fresh}")
                .into())
        };
    }
    let (fresh, kept) = (labels(&fresh), labels(&kept));
    if fresh == kept && !kept.is_empty() {
        Ok(Completion::Completed)
    } else {
        Err(format!("{fresh:#?}\nis not\n{kept:#?}").into())
    }
}

fn colors() -> Result<Completion, Failed> {
    let folder = scratch();
    let file = scenario(folder.path(), "one.kdl", "namespace client\nrun one in=client sh -c \"exit 0\"\n");
    let mut command = virtual_engine()?;
    let output = command.args(["--no-snapshot", "--artifacts"]).arg(folder.path()).arg(file).output()?;
    let show = |arguments: &[&str]| {
        let mut show = workbench();
        show.arg("show").arg(folder.path().join("one/one")).arg("diagram").args(arguments).output()
    };
    let (plain, err) = texts(&show(&["--no-color"])?);
    let (colored, _) = texts(&show(&["--color", "always"])?);
    let file = folder.path().join("diagram.txt");
    let path = file.display().to_string();
    show(&["--color", "always", "--output", &path])?;
    let (out, run_err) = texts(&output);
    if !plain.contains("# exit 0") || plain.contains('\x1b') || fs::read_to_string(&file)? != plain {
        return Err(format!("{plain}{err}{out}{run_err}").into());
    }
    let both = show(&["--no-color", "--color", "always"])?;
    match colored.contains('\x1b') && both.status.code() == Some(2) {
        true => Ok(Completion::Completed),
        false => Err(format!("{colored}{both:?}").into()),
    }
}
