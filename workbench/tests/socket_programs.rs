//! Socket programs, on this machine's kernel and in virtual time: that their calls are made in order, recorded as a tool's
//! are, wait for each other and for socket states, and are told when they go otherwise than expected.

use libtest_mimic::{Completion, Failed, Trial};
use workbench::evidence::{Ending, Evidence, StepResult};

use crate::support::virtual_engine::{read, virtual_engine};
use crate::support::{no_labs, scenario, scratch, texts, workbench};

const HOSTS: &str = "namespace client\nnamespace server\nlink client server\n";

/// The server closes first and has the connection in TIME_WAIT.
const REUSE: &str = "
program server in=server {
    socket listener tcp
    setsockopt listener SO_REUSEADDR OPTION
    bind listener 80
    listen listener
    step ready
    accept listener as=conn
    recv conn 5 { expect 5; }
    close conn
    wait client.closed
    wait server.time-wait
    close listener
    socket again tcp
    setsockopt again SO_REUSEADDR OPTION
    bind again 80 { expect RESULT; }
}
program client in=client {
    wait server.ready
    socket s tcp
    connect s server 80
    send s text=hello
    drain s { expect 0; }
    close s
    step closed
}
run run program=server { expect exit=0; }
";

type Check = fn(&Evidence, &str) -> Result<(), Failed>;

/// Each on both engines.
pub fn trials() -> Vec<Trial> {
    let without = REUSE.replace("OPTION", "0").replace("RESULT", "EADDRINUSE");
    let with = REUSE.replace("OPTION", "1").replace("RESULT", "0");
    let client = "program p in=client { socket s tcp; CALLS }\nrun run program=p\n";
    let unexpected = client.replace("CALLS", "connect s server 80; step later");
    let pipe = "
program server in=server { socket l tcp; bind l 80; listen l; accept l as=c; setsockopt c SO_LINGER \"0s\"; close c; step reset; }
program p in=client {
    wait server.listening; socket s tcp; connect s server 80; wait server.reset
    SIGNAL
    send s text=a { expect ECONNRESET; }
    send s text=b { expect EPIPE; }
}
run run program=p
";
    let gone = "
program p in=client { wait q.never; }
program q in=server { socket s tcp; connect s client 9; step never; }
run run program=p
";
    let ready = "
program server in=server { socket l tcp; bind l 80; listen l; step ready; accept l as=c; drain c; }
run run in=client \"true\" { expect exit=0; }
";
    let timeout = "
program p in=client { socket s udp; bind s 53; setsockopt s SO_RCVTIMEO \"100ms\"; recv s 10 { expect EAGAIN; }; }
run run program=p { expect exit=0; }
";
    [
        ("without_reuseaddr_a_port_in_time_wait_is_in_use", without, exits_well as Check),
        ("with_reuseaddr_it_is_not", with, exits_well),
        ("an_unexpected_errno_ends_the_program_and_is_told_with_its_line", unexpected, unexpected_is_told),
        ("sigpipe_kills_the_one_that_does_not_ignore_it", pipe.replace("SIGNAL", ""), dies_of_sigpipe),
        ("epipe_is_returned_to_the_one_that_does", pipe.replace("SIGNAL", "signal SIGPIPE ignore"), exits_well),
        ("a_wait_for_a_program_that_has_ended_is_told", gone.to_owned(), never_is_told),
        ("a_command_waits_for_the_step_ready", ready.to_owned(), ready_comes_first),
        ("a_receive_timeout_is_an_errno", timeout.to_owned(), exits_well),
    ]
    .into_iter()
    .flat_map(|(name, text, check)| {
        ["host", "virtual"].map(|engine| {
            let text = format!("{HOSTS}{text}");
            Trial::ignorable_test(format!("socket_programs::{name}_{engine}"), move || on(engine, &text, check))
        })
    })
    .collect()
}

fn on(engine: &str, text: &str, check: Check) -> Result<Completion, Failed> {
    let missing = if engine == "host" { no_labs().map(str::to_owned) } else { virtual_engine().err() };
    if let Some(why) = missing {
        return Ok(Completion::ignored_with(why));
    }
    let folder = scratch();
    let file = scenario(folder.path(), "program.kdl", text);
    let output = workbench()
        .args(["run", "--engine", engine, "--no-snapshot", "--artifacts"])
        .args([folder.path(), &file])
        .output()?;
    let (out, err) = texts(&output);
    let evidence = read(&folder.path().join("program/run/evidence.json")).map_err(|e| format!("{e}\n{out}{err}"))?;
    check(&evidence, &format!("{out}{err}"))?;
    Ok(Completion::Completed)
}

fn holds(holds: bool, what: &str, evidence: &Evidence, told: &str) -> Result<(), Failed> {
    match holds {
        true => Ok(()),
        false => Err(format!("{what}\n{:?}\n{:?}\n{told}", evidence.steps, evidence.output).into()),
    }
}

/// Exit 0, and nothing but the declared calls is recorded, each under its program's name.
fn exits_well(evidence: &Evidence, told: &str) -> Result<(), Failed> {
    holds(evidence.end.how == Ending::Exit(0), "not exit 0", evidence, told)?;
    let are_named = evidence.processes.iter().all(|process| process.program.is_some());
    holds(are_named, "a process has no program", evidence, told)?;
    let names: Vec<&str> = evidence.calls.iter().map(|call| call.name.as_str()).collect();
    let declared = ["socket", "bind", "listen", "accept", "connect", "sendto", "recvfrom", "setsockopt", "close"];
    let is_declared = |name: &&str| declared.contains(name) || *name == "exit_group";
    holds(names.iter().all(is_declared), &format!("{names:?}"), evidence, told)
}

fn unexpected_is_told(evidence: &Evidence, told: &str) -> Result<(), Failed> {
    let said = String::from_utf8_lossy(&evidence.output.stderr);
    let is_told = said.contains("program.kdl:4: connect s server 80: ECONNREFUSED, expected success");
    holds(is_told && evidence.end.how == Ending::Exit(1), "not told", evidence, told)?;
    let failed = evidence.steps.last().and_then(|step| step.result.clone());
    holds(failed == Some(StepResult::Failed("ECONNREFUSED".into())), "another last step", evidence, told)
}

fn dies_of_sigpipe(evidence: &Evidence, told: &str) -> Result<(), Failed> {
    holds(evidence.end.how == Ending::Signal("SIGPIPE".into()), "not SIGPIPE", evidence, told)
}

fn never_is_told(evidence: &Evidence, told: &str) -> Result<(), Failed> {
    let said = String::from_utf8_lossy(&evidence.output.stderr);
    holds(said.contains("wait q.never: what it waits for ended without coming there"), "not told", evidence, told)?;
    holds(told.contains("connect s client 9"), "a companion's failure is no finding", evidence, told)
}

fn ready_comes_first(evidence: &Evidence, told: &str) -> Result<(), Failed> {
    let ready = evidence.steps.iter().find(|step| step.program == "server" && step.index == 3);
    let is_before = ready.is_some_and(|step| step.done_ns.is_some_and(|done_ns| done_ns <= 0));
    holds(is_before && evidence.end.how == Ending::Exit(0), "not ready before zero", evidence, told)
}
