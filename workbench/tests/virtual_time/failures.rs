//! What can go wrong with a virtual machine, each brought about: it ends, and says what it was.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use libtest_mimic::{Completion, Failed, Trial};
use serde_json::Value;
use workbench::agent::{Guest, Job};
use workbench::engine::{Kernel, Order};
use workbench::evidence::{EngineKind, TimeTravel};
use workbench::kernels;
use workbench::scenario::SourceFile;

use crate::support::virtual_engine::{virtual_engine, virtual_trial};
use crate::support::{scenario, scratch, texts, workbench};

pub fn trials() -> Vec<Trial> {
    vec![
        virtual_trial("virtual_a_program_that_spins_is_named_and_run_again_with_time_that_goes_on", spins),
        virtual_trial(
            "virtual_a_program_that_computes_for_ever_is_named_and_run_again_with_time_that_goes_on",
            computes,
        ),
        virtual_trial("virtual_a_program_that_polls_the_clock_is_named_and_comes_to_its_end", polls),
        virtual_trial("virtual_a_program_that_polls_the_clock_for_too_long_is_named_and_ended", polls_too_long),
        virtual_trial("virtual_a_machine_that_runs_out_of_memory_says_so_and_how_to_give_it_more", out_of_memory),
        virtual_trial("virtual_a_kernel_panic_is_shown_with_what_the_kernel_said", panics),
        virtual_trial("virtual_a_machine_that_is_killed_from_outside_says_so", killed),
        Trial::test("virtual_a_program_that_is_no_kernel_is_named", || no_kernel_at_all(&scratch())),
        Trial::test("virtual_without_a_kernel_an_ordinary_user_is_told_the_one_command", no_kernel),
        virtual_trial("virtual_a_folder_for_memory_that_is_noexec_is_named", noexec),
        virtual_trial("virtual_a_folder_for_memory_without_room_says_how_much_there_is", without_room),
        Trial::test("virtual_options_of_the_virtual_engine_mean_nothing_on_the_host", misplaced),
    ]
}

type Ran = Result<Completion, Failed>;

/// One run of `command`, in text, with `options`.
fn run(command: &str, options: &[&str]) -> Result<Output, Failed> {
    let folder = scratch();
    let text = format!("memory \"64MiB\"\nnamespace client\nrun run in=client {command}\n");
    let file = scenario(folder.path(), "failing.kdl", &text);
    Ok(virtual_engine()?.args(["--no-snapshot"]).args(options).arg(file).output()?)
}

fn expect(output: &Output, code: i32, words: &[&str]) -> Ran {
    let (out, err) = texts(output);
    let said = format!("{out}{err}");
    match words.iter().find(|word| !said.contains(**word)) {
        Some(missing) => Err(format!("expected `{missing}` in:\n{said}").into()),
        None if output.status.code() != Some(code) => Err(format!("expected exit code {code}: {output:?}").into()),
        None => Ok(Completion::Completed),
    }
}

fn spins() -> Ran {
    let output = run(r#"sh -c "while :; do :; done" deadline="2s""#, &[])?;
    let note = "note: sh spins: it used ";
    expect(&output, 0, &["still running at the deadline of 2 s", note, "run again with time-travel=basic"])
}

fn computes() -> Ran {
    let output = run(r#"sh -c "exec yes >/dev/null" deadline="1s""#, &["--compute", "2s"])?;
    expect(&output, 0, &["still running at the deadline of 1 s", "note: yes still computed after "])
}

fn polls() -> Ran {
    let output = run(r#"bash -c "while [ $SECONDS -lt 1 ]; do :; done""#, &[])?;
    expect(
        &output,
        0,
        &["exit 0 after 0.9", "note: bash polls the clock: it waits by reading the time again and again"],
    )
}

fn polls_too_long() -> Ran {
    let output = run(r#"bash -c "while [ $SECONDS -lt 900 ]; do :; done""#, &["--compute", "3s"])?;
    expect(&output, 3, &["error: bash polls the clock", "it was not done after ", "--engine host"])
}

fn out_of_memory() -> Ran {
    let output = run(r#""tail /dev/zero""#, &[])?;
    // Either its kernel gives up, or it does nothing any more but read its programs again and again: that differs by kernel.
    let words =
        ["error: the virtual machine ran out of memory: it", "it had 64 MiB", "`memory \"128MiB\"` in the scenario"];
    expect(&output, 3, &words)
}

/// An order for the launcher; `change` makes it a bad one.
fn launched(folder: &Path, change: impl FnOnce(&mut Order)) -> Result<Output, Failed> {
    let file = scenario(folder, "true.kdl", "namespace client\nrun run in=client \"sleep 60\"\n");
    let scenario = workbench::scenario::parse(&SourceFile::read(&file)?)?;
    let plan = workbench::plan::build(&scenario).remove(0);
    let guest = Guest { seed: 0, phase_ns: None, time_travel: TimeTravel::InfCpu, cwd: folder.to_owned() };
    let job =
        Job { plan, engine: EngineKind::Virtual, known_tools: Default::default(), jiffies: None, guest: Some(guest) };
    let kernel = kernels::select(None, kernels::host_hz()).ok().and_then(|mut kernels| kernels.pop());
    let (image, version) = kernel.map_or_else(Default::default, |k| (k.image.clone(), (k.version().0, k.version().1)));
    let mut order = Order {
        job,
        known_tools: Default::default(),
        kernel: Kernel { image, release: "0.0".into(), hz: 250, version },
        cpu: None,
        programs_at_most_ns: 60_000_000_000,
    };
    change(&mut order);
    let mut launcher =
        workbench().arg("launch").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let stdin = launcher.stdin.take();
    let mut line = serde_json::to_vec(&order)?;
    line.push(b'\n');
    // The end of its standard input would tell the launcher that nobody wants the run.
    stdin.as_ref().map(|mut pipe| pipe.write_all(&line)).transpose()?;
    let output = wait_with_output(launcher)?;
    drop(stdin);
    Ok(output)
}

fn wait_with_output(mut child: std::process::Child) -> Result<Output, Failed> {
    use std::io::Read;
    let mut output = Output { status: Default::default(), stdout: Vec::new(), stderr: Vec::new() };
    child.stdout.take().map(|mut pipe| pipe.read_to_end(&mut output.stdout)).transpose()?;
    child.stderr.take().map(|mut pipe| pipe.read_to_end(&mut output.stderr)).transpose()?;
    output.status = child.wait()?;
    Ok(output)
}

fn broken(output: &Output) -> Result<String, Failed> {
    let (out, err) = texts(output);
    let outcome: Value = serde_json::from_str(&out).map_err(|e| format!("{e}: {out}{err}"))?;
    Ok(outcome["broken"].as_str().ok_or_else(|| format!("not broken: {out}"))?.to_owned())
}

/// A guest that cannot go where its job says ends, and a kernel without its process 1 panics.
fn panics() -> Ran {
    let folder = scratch();
    let output = launched(folder.path(), |order| {
        order.job.guest.as_mut().expect("it was put there").cwd = "/nowhere/at/all".into();
    })?;
    let said = broken(&output)?;
    let words =
        ["the virtual machine's kernel panicked:", "cannot change to the scenario's folder", "Attempted to kill init"];
    match words.iter().find(|word| !said.contains(**word)) {
        None => Ok(Completion::Completed),
        Some(word) => Err(format!("expected `{word}` in: {said}").into()),
    }
}

/// A program that is no kernel ends by itself; one that cannot be executed does so as well.
fn no_kernel_at_all(folder: &tempfile::TempDir) -> Result<(), Failed> {
    let script = folder.path().join("linux");
    fs::write(&script, "#!/bin/sh\necho this is no kernel\nexit 7\n")?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    let said = broken(&launched(folder.path(), |order| order.kernel.image = script.clone())?)?;
    assert!(said.contains("ended without a result") && said.contains("this is no kernel"), "{said}");
    let said = broken(&launched(folder.path(), |order| order.kernel.image = "/nowhere/linux".into())?)?;
    assert!(said.contains("/nowhere/linux cannot be started"), "{said}");
    Ok(())
}

/// A script in the kernel's place that kills itself as somebody else would.
fn killed() -> Ran {
    let folder = scratch();
    let script = folder.path().join("linux");
    fs::write(&script, "#!/bin/sh\nkill -9 $$\n")?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    let said = broken(&launched(folder.path(), |order| order.kernel.image = script.clone())?)?;
    assert!(said.contains("was killed by SIGKILL"), "{said}");
    Ok(Completion::Completed)
}

fn no_kernel() -> Result<(), Failed> {
    let empty = scratch();
    let mut command = workbench();
    command.args(["run", "--engine", "virtual", "scenarios/syn/refused.kdl"]).env("WORKBENCH_CACHE", empty.path());
    let output = command.output()?;
    let words = ["needs a User-Mode Linux kernel, and there is none in", "`workbench kernel build` makes one"];
    expect(&output, 3, &words).map(drop)
}

/// In a mount namespace of its own, with a tmpfs on a folder.
fn with_tmpfs(options: &str, words: &[&str]) -> Ran {
    let folder = scratch();
    let run = format!(
        "mount -t tmpfs -o {options} none '{0}' && TMPDIR='{0}' exec '{1}' run --engine virtual --no-snapshot scenarios/syn/refused.kdl --only curl",
        folder.path().display(),
        env!("CARGO_BIN_EXE_workbench")
    );
    let unshare = ["--mount", "--user", "--map-root-user", "sh", "-c", &run];
    let output = Command::new("unshare").args(unshare).current_dir(crate::support::root()).output()?;
    let (out, err) = texts(&output);
    if err.contains("unshare") || err.contains("mount:") {
        return Ok(Completion::ignored_with(format!("no mounts here: {err}")));
    }
    match words.iter().find(|word| !out.contains(**word)) {
        None => Ok(Completion::Completed),
        Some(word) => Err(format!("expected `{word}` in: {out}{err}").into()),
    }
}

fn noexec() -> Ran {
    with_tmpfs("noexec,size=1G", &["needs a folder for its memory, 144 MiB", "is mounted noexec", "set TMPDIR"])
}

fn without_room() -> Ran {
    with_tmpfs("size=64M", &["needs a folder for its memory, 144 MiB", "has 64 MiB free", "set TMPDIR"])
}

fn misplaced() -> Result<(), Failed> {
    let output = workbench().args(["run", "--horizon", "1d", "scenarios/syn/refused.kdl"]).output()?;
    expect(&output, 2, &["--horizon means nothing on the host engine; add `--engine virtual`"]).map(drop)
}
