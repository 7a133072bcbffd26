//! The ways to look at a run, asked for with it and afterwards.

use libtest_mimic::{Failed, Trial};

use crate::support::{lab_trial, scenario, scratch, texts, workbench};

pub fn trials() -> Vec<Trial> {
    vec![
        Trial::test("show_has_no_place_in_json_and_the_error_says_where_it_has", no_view_in_json),
        lab_trial("show_tells_every_run_of_many_and_the_same_from_kept_evidence", told_and_told_again),
    ]
}

fn expect(condition: bool, what: impl Into<String>) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(what.into().into()) }
}

/// A SYN that nobody answers, and the tool is ended before the kernel's patience is.
const UNANSWERED: &str = "\
namespace client
namespace server { drop tcp dport=80; }
link client server
run it in=client \"timeout 0.3 curl --silent --connect-timeout 999 http://server/\"
";

fn no_view_in_json() -> Result<(), Failed> {
    let folder = scratch();
    let file = scenario(folder.path(), "a.kdl", UNANSWERED);
    let output = workbench().args(["run", "--format", "json", "--show", "sockets"]).arg(&file).output()?;
    let (out, err) = texts(&output);
    expect(output.status.code() == Some(2) && out.is_empty(), format!("{:?}: {out}{err}", output.status))?;
    expect(err.contains("--artifacts DIR") && err.contains("`workbench show`"), err)
}

fn told_and_told_again() -> Result<(), Failed> {
    let folder = scratch();
    for name in ["a.kdl", "b.kdl"] {
        scenario(folder.path(), name, UNANSWERED);
    }
    let kept = folder.path().join("kept");
    let arguments = ["run", "--no-snapshot", "--show", "sockets", "--show", "calls", "--artifacts"];
    let output = workbench().args(arguments).arg(&kept).arg(folder.path()).output()?;
    let (out, err) = texts(&output);
    expect(output.status.success(), format!("{out}{err}"))?;
    for run in ["a", "b"] {
        let shown = |view: &str| workbench().arg("show").arg(kept.join(run).join("it")).arg(view).output();
        let (sockets, calls) = (texts(&shown("sockets")?).0, texts(&shown("calls")?).0);
        expect(out.contains(&sockets), format!("{out}\nlacks\n{sockets}"))?;
        expect(out.contains(&calls), format!("{out}\nlacks\n{calls}"))?;
        let has_both = sockets.contains("\nSYN-SENT 0      1 ") && sockets.contains(" SYN_SENT    ");
        expect(has_both && sockets.contains(":80   timer:(on,"), sockets)?;
    }
    expect(!out.contains("wait, timer"), format!("a timeline that nobody asked for\n{out}"))
}
