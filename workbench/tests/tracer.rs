//! The tracer against real programs: what it follows, what it reports, and that it dies with whom it should.

use std::fs::{self, File};
use std::io::{PipeReader, Read};
use std::process::Command;

use libtest_mimic::{Completion, Failed, Trial};
use nix::sys::signal::{Signal, kill};
use workbench::evidence::{Arg, CallResult, Ending};
use workbench::record::syscalls::{TraceError, TraceEvent, Tracer};
use workbench::sys::fork::fork_child;

use crate::traced::{Trace, command, compiled, in_lab, trace, trace_command, wait_readable};

/// All trials of this file.
pub fn trials() -> Vec<Trial> {
    type Body = fn() -> Result<(), String>;
    let shell: [(&str, Body); 9] = [
        ("a_program_that_is_not_there_is_told_apart_from_one_that_cannot_be_executed", no_program),
        ("a_namespace_that_is_none_is_named_as_what_failed", no_namespace),
        ("the_command_has_three_descriptors_default_signals_and_no_new_privileges", clean_start),
        ("only_sockets_among_the_descriptors_are_recorded", files_are_left_out),
        ("a_child_that_outlives_the_command_is_followed_to_its_end", outliving_child),
        ("a_stopped_command_stays_stopped_until_it_is_continued", group_stop),
        ("a_signal_names_its_sender", sender),
        ("an_unreleased_command_dies_with_its_tracer", unreleased),
        ("the_command_dies_with_the_agent", agent_killed),
    ];
    let compiled: [(&str, Body); 9] = [
        ("threads_are_told_apart_and_share_their_process", threads),
        ("a_spawned_program_is_followed_through_vfork_and_execve", spawned),
        ("an_execve_by_a_thread_makes_it_the_leader", exec_from_thread),
        ("a_timers_realtime_signal_is_seen_and_ends_the_pause", posix_timer),
        ("an_interrupted_call_has_the_kernels_own_errno", alarm_in_recv),
        ("a_wait_until_an_instant_says_how_long_it_is", absolute_waits),
        ("a_descriptor_number_is_looked_up_anew_when_another_file_has_it", reuse),
        ("an_agent_that_does_not_read_holds_nobody_up", slow_agent),
        ("a_killed_command_takes_its_children_along_and_its_call_never_returned", killed),
    ];
    let shell = shell.map(|(name, body)| Trial::ignorable_test(format!("tracer::{name}"), move || in_lab(body)));
    let compiled =
        compiled.map(|(name, body)| Trial::ignorable_test(format!("tracer::{name}"), move || with_program(body)));
    let foreign = Trial::ignorable_test("tracer::calls_of_a_32_bit_table_are_reported_not_killed", || {
        if cfg!(target_arch = "x86_64") {
            with_program(foreign)
        } else {
            Ok(Completion::ignored_with("needs the 32-bit calls of x86-64"))
        }
    });
    shell.into_iter().chain(compiled).chain([foreign]).collect()
}

fn with_program(body: fn() -> Result<(), String>) -> Result<Completion, Failed> {
    match compiled(PROGRAM)? {
        Some(_) => in_lab(body),
        None => Ok(Completion::ignored_with("needs gcc")),
    }
}

/// Programs that do one thing each, by first argument.
const PROGRAM: &str = "tracees.c";

fn program() -> Result<&'static str, String> {
    compiled(PROGRAM)?.ok_or_else(|| "gcc is gone".to_owned())
}

fn trace_program(name: &str) -> Result<Trace, String> {
    trace(&[program()?, name])
}

fn check(holds: bool, what: &str, trace: &Trace) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("expected: {what}; found:\n{}", trace.story())) }
}

fn no_program() -> Result<(), String> {
    let directory = tempfile::tempdir().map_err(|e| e.to_string())?;
    let text = directory.path().join("text");
    fs::write(&text, "no program\n").map_err(|e| e.to_string())?;
    let text = text.to_string_lossy().into_owned();

    let absent = trace(&["no-such-program"])?;
    check(
        matches!(&absent.events[..], [TraceEvent::Started { .. }, TraceEvent::ExecFailed { errno, .. }] if errno == "ENOENT"),
        "ENOENT",
        &absent,
    )?;
    let forbidden = trace(&[&text])?;
    check(forbidden.ending == Some(Ending::ExecFailed("EACCES".into())), "EACCES", &forbidden)?;
    let executed = forbidden.named("execve").next().and_then(|call| call.error().map(str::to_owned));
    check(executed.as_deref() == Some("EACCES"), "the execve itself is recorded", &forbidden)?;
    let is_last = matches!(forbidden.events.last(), Some(TraceEvent::ExecFailed { .. }));
    check(is_last && forbidden.calls.len() == 1, "nothing follows it", &forbidden)?;
    Command::new("chmod").args(["+x", &text]).status().map_err(|e| e.to_string())?;
    let text = trace(&[&text])?;
    check(text.ending == Some(Ending::ExecFailed("ENOEXEC".into())), "ENOEXEC", &text)
}

fn no_namespace() -> Result<(), String> {
    let mut command = command(&["true"])?;
    command.netns = File::open("/proc/self/status").map_err(|e| e.to_string())?.into();
    let mut tracer = Tracer::spawn(command).map_err(|e| e.to_string())?;
    wait_readable(&tracer)?;
    match tracer.receive() {
        Err(TraceError::Setup { step, errno }) if step == "enter the network namespace" && errno == "EINVAL" => Ok(()),
        other => Err(format!("not a failure to enter the namespace: {other:?}")),
    }
}

/// Runs a shell script and gives back what it printed with the trace.
fn shell(script: &str) -> Result<(String, Trace), String> {
    let (mut read, write) = std::io::pipe().map_err(|e| e.to_string())?;
    let mut command = command(&["sh", "-c", script])?;
    command.stdout = write.into();
    let trace = trace_command(command, |_, _| {})?;
    let mut text = String::new();
    read.read_to_string(&mut text).map_err(|e| e.to_string())?;
    Ok((text, trace))
}

fn clean_start() -> Result<(), String> {
    // Descriptors that the agent forgot to mark close-on-exec.
    let _leaks = nix::unistd::pipe().map_err(|e| e.to_string())?;
    let script = "i=0; while [ $i -lt 64 ]; do [ -e /proc/$$/fd/$i ] && echo $i; i=$((i+1)); done; grep -E 'NoNewPrivs|SigIgn|SigBlk' /proc/$$/status";
    let (text, trace) = shell(script)?;
    let lines: Vec<&str> = text.lines().collect();
    let expected = ["0", "1", "2", "SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000", "NoNewPrivs:\t1"];
    check(lines == expected, &format!("expected {expected:?}, found {lines:?}"), &trace)
}

fn files_are_left_out() -> Result<(), String> {
    let (_, trace) = shell("exec 3</etc/passwd; read line <&3; exec 3<&-; exit 4")?;
    check(trace.ending == Some(Ending::Exit(4)), "the shell exits 4", &trace)?;
    let names: Vec<&str> = trace.calls.iter().map(|call| call.name.as_str()).collect();
    check(names == ["execve", "exit_group"], "nothing but its execve and its exit", &trace)
}

fn outliving_child() -> Result<(), String> {
    let (_, trace) = shell("sleep 0.1 & exit 3")?;
    let place = |wanted: &dyn Fn(&TraceEvent) -> bool| trace.events.iter().position(wanted);
    let main_ended = place(&|e| matches!(e, TraceEvent::MainEnded { how: Ending::Exit(3), .. }));
    let child_ended =
        place(&|e| matches!(e, TraceEvent::Process(p) if p.argv == ["sleep", "0.1"] && p.exit_code == Some(0)));
    check(main_ended.is_some() && main_ended < child_ended, "the shell's end comes before its child's", &trace)
}

fn group_stop() -> Result<(), String> {
    // The child continues the shell only after it has seen it stopped.
    let script = "me=$$; (until grep -q '^State:.t' /proc/$me/status; do :; done; kill -CONT $me) & kill -STOP $me; wait; exit 5";
    let (_, trace) = shell(script)?;
    check(trace.ending == Some(Ending::Exit(5)), "the shell goes on", &trace)?;
    let names: Vec<&str> = trace.signals.iter().map(|signal| signal.name.as_str()).collect();
    check(names.contains(&"SIGSTOP") && names.contains(&"SIGCONT"), "both signals are seen", &trace)
}

fn sender() -> Result<(), String> {
    let (_, trace) = shell("sh -c 'kill -TERM $PPID; exit 0'; exit 6")?;
    check(trace.ending == Some(Ending::Signal("SIGTERM".into())), "the shell is killed", &trace)?;
    let term = trace.signals.iter().find(|signal| signal.name == "SIGTERM");
    let by_child = term.is_some_and(|term| {
        term.code == "SI_USER"
            && term.sender_pid.is_some_and(|pid| pid != term.pid && trace.processes.contains_key(&pid))
    });
    check(by_child, "SIGTERM came from the child", &trace)
}

fn unreleased() -> Result<(), String> {
    let (read, write) = std::io::pipe().map_err(|e| e.to_string())?;
    let mut command = command(&["sleep", "1000"])?;
    command.stdout = write.into();
    drop(Tracer::spawn(command).map_err(|e| e.to_string())?);
    // The end of file comes when nobody holds the other end any more.
    end_of_file(read)
}

fn agent_killed() -> Result<(), String> {
    let (read, write) = std::io::pipe().map_err(|e| e.to_string())?;
    let (mut ready_read, ready_write) = std::io::pipe().map_err(|e| e.to_string())?;
    let agent = fork_child(|| {
        let run = || -> Result<(), String> {
            let mut command = command(&["sh", "-c", "sleep 1000 & echo ready; sleep 1000"])?;
            (command.stdout, command.stderr) = (ready_write.into(), write.into());
            trace_command(command, |_, _| {}).map(drop)
        };
        i32::from(run().is_err())
    })
    .map_err(|e| e.to_string())?;
    let mut ready = [0; 6];
    ready_read.read_exact(&mut ready).map_err(|e| e.to_string())?;
    kill(agent, Signal::SIGKILL).map_err(|e| e.to_string())?;
    nix::sys::wait::waitpid(agent, None).map_err(|e| e.to_string())?;
    end_of_file(read)
}

fn end_of_file(mut read: PipeReader) -> Result<(), String> {
    let mut bytes = Vec::new();
    read.read_to_end(&mut bytes).map(drop).map_err(|e| e.to_string())
}

fn threads() -> Result<(), String> {
    let trace = trace_program("threads")?;
    check(trace.ending == Some(Ending::Exit(0)), "it exits 0", &trace)?;
    let mut polls: Vec<_> = trace.named("poll").map(|call| (call.timeout_ns(), call.tid)).collect();
    polls.sort_unstable();
    check(polls.iter().map(|p| p.0).eq([Some(Some(11_000_000)), Some(Some(22_000_000))]), "two polls", &trace)?;
    check(polls[0].1 != polls[1].1, "of two threads", &trace)?;
    let main = trace.calls[0].pid;
    let threads = trace.processes.values().filter(|p| p.pid == main && p.parent_tid == main && p.exit_code == Some(0));
    check(trace.calls.iter().all(|call| call.pid == main) && threads.count() == 2, "of one process", &trace)
}

fn spawned() -> Result<(), String> {
    let trace = trace_program("spawn")?;
    check(trace.ending == Some(Ending::Exit(0)), "it exits 0", &trace)?;
    let main = trace.calls[0].pid;
    let child = trace.processes.values().find(|process| process.pid != main);
    check(child.is_some_and(|c| c.argv == ["true", "spawned"] && c.parent_tid == main), "its child is known", &trace)?;
    let execve = trace.named("execve").nth(1);
    check(execve.is_some_and(|call| call.pid != main && call.value() == Some(0)), "and so is its execve", &trace)
}

fn exec_from_thread() -> Result<(), String> {
    let trace = trace_program("exec-from-thread")?;
    check(trace.ending == Some(Ending::Exit(0)), "it exits 0", &trace)?;
    let main = trace.calls[0].pid;
    let leader = trace.processes.get(&main);
    check(leader.is_some_and(|p| p.argv == ["true", "from-a-thread"]), "the leader is the new program", &trace)?;
    check(trace.processes.values().all(|p| p.end_ns.is_some()), "nobody is left over", &trace)?;
    check(trace.named("pause").all(|call| call.result.is_none()), "the pause never returned", &trace)
}

fn posix_timer() -> Result<(), String> {
    let trace = trace_program("posix-timer")?;
    check(trace.ending == Some(Ending::Exit(0)), "it exits 0", &trace)?;
    let fired = trace.signals.iter().find(|signal| signal.code == "SI_TIMER");
    check(fired.is_some_and(|s| s.name == "SIGRT_2" && s.sender_pid.is_none()), "the timer's signal", &trace)?;
    check(trace.named("pause").next().and_then(|call| call.error()) == Some("ERESTARTNOHAND"), "ends pause", &trace)?;
    let armed = trace.named("timer_settime").next().map(|call| &call.args[2]);
    check(matches!(armed, Some(Arg::Timer { value_ns: 20_000_000, interval_ns: 0, .. })), "armed for 20 ms", &trace)
}

fn alarm_in_recv() -> Result<(), String> {
    let trace = trace_program("alarm-in-recv")?;
    check(trace.named("recvfrom").next().and_then(|call| call.error()) == Some("ERESTARTSYS"), "ERESTARTSYS", &trace)?;
    let alarm = trace.signals.iter().find(|signal| signal.name == "SIGALRM");
    check(alarm.is_some_and(|signal| signal.code == "SI_KERNEL"), "SIGALRM from the kernel", &trace)
}

fn absolute_waits() -> Result<(), String> {
    let trace = trace_program("absolute-waits")?;
    check(trace.ending == Some(Ending::Exit(0)), "it exits 0", &trace)?;
    // Each instant is 30 ms ahead when the program reads the clock: what is left at the call's entry is no more.
    let is_short = |ns: u64| (1..=30_000_000).contains(&ns);
    for name in ["clock_nanosleep", "futex"] {
        let arg = trace.named(name).flat_map(|call| &call.args).find(|arg| matches!(arg, Arg::Timeout { .. }));
        let is_told = matches!(arg, Some(Arg::Timeout { ns: Some(ns), at_ns: Some(_), .. }) if is_short(*ns));
        check(is_told, &format!("{name} says how long"), &trace)?;
    }
    let timer = trace.named("timerfd_settime").next().map(|call| &call.args[2]);
    let is_told = matches!(timer, Some(Arg::Timer { value_ns, at_ns: Some(_), .. }) if is_short(*value_ns));
    check(is_told, "timerfd_settime says how long", &trace)?;
    check(trace.named("read").next().and_then(|call| call.value()) == Some(8), "its expiry is read", &trace)
}

fn reuse() -> Result<(), String> {
    let trace = trace_program("reuse")?;
    check(trace.ending == Some(Ending::Exit(0)), "it exits 0", &trace)?;
    let names: Vec<&str> = trace.calls.iter().map(|call| call.name.as_str()).collect();
    let expected = ["execve", "socketpair", "dup2", "write", "write", "close", "exit_group"];
    check(names == expected, &format!("{expected:?}"), &trace)
}

/// 40,000 calls are more than the pipe holds: the command must come to its end without anybody reading.
fn slow_agent() -> Result<(), String> {
    let (read, write) = std::io::pipe().map_err(|e| e.to_string())?;
    let mut command = command(&[program()?, "many"])?;
    command.stdout = write.into();
    let mut tracer = Tracer::spawn(command).map_err(|e| e.to_string())?;
    tracer.release().map_err(|e| e.to_string())?;
    end_of_file(read)?;
    let mut calls = 0;
    while !tracer.is_finished() {
        wait_readable(&tracer)?;
        let events = tracer.receive().map_err(|e| e.to_string())?;
        calls += events.iter().filter(|event| matches!(event, TraceEvent::Call(_))).count();
    }
    if calls == 40_002 { Ok(()) } else { Err(format!("expected 40,002 calls, found {calls}")) }
}

fn killed() -> Result<(), String> {
    let command = command(&[program()?, "hold"])?;
    // Killed when the child is there: by then the parent is in recv or about to be.
    let trace = trace_command(command, |event, tracer| {
        if matches!(event, TraceEvent::Process(process) if process.parent_tid != 0) {
            tracer.kill();
        }
    })?;
    check(trace.ending == Some(Ending::Signal("SIGKILL".into())), "killed", &trace)?;
    check(trace.processes.len() == 2, "two processes", &trace)?;
    let all_killed = trace.processes.values().all(|p| p.killed_by.as_deref() == Some("SIGKILL"));
    check(all_killed, "both killed", &trace)?;
    let is_open = |name| trace.named(name).all(|call| call.result.is_none() && call.exit_ns.is_none());
    check(is_open("recvfrom") && is_open("pause"), "their calls never returned", &trace)
}

fn foreign() -> Result<(), String> {
    let trace = trace_program("foreign")?;
    check(trace.ending == Some(Ending::Exit(0)), "it exits 0", &trace)?;
    let reports = trace.events.iter().filter(|event| matches!(event, TraceEvent::ForeignArchitecture { .. }));
    check(reports.count() == 1, "said once", &trace)?;
    let read: Vec<Option<CallResult>> = trace.calls.iter().map(|call| call.result.clone()).collect();
    check(read.len() == 2, "and its own calls are recorded", &trace)
}
