//! io_uring under the tracer: what goes through a ring's memory is seen where it can be, and said to be missed where not.

use libtest_mimic::{Completion, Trial};
use workbench::evidence::{Call, Ending, RingCompletion, RingSubmission};
use workbench::record::syscalls::TraceEvent;
use workbench::report::strace::render;

use crate::traced::{Trace, compiled, in_lab, ip, trace};

/// Programs that do one thing each, by first argument.
const PROGRAM: &str = "rings.c";
/// The exit code of one that finds its kernel unable.
const UNABLE: i32 = 77;
/// What the programs wait.
const SOON: Option<Option<u64>> = Some(Some(30_000_000));

type Body = fn(&Trace) -> Result<(), String>;

/// All trials of this file.
pub fn trials() -> Vec<Trial> {
    let programs: [(&str, &'static str, Body); 12] = [
        ("a_timeout_is_seen_when_it_is_armed_and_when_it_runs_out", "timeout", timeout),
        ("a_timeout_until_an_instant_says_how_long_it_is", "absolute", absolute),
        ("a_receive_cut_short_by_its_linked_timeout", "link-recv", link_recv),
        ("a_connect_cut_short_by_its_linked_timeout", "link-connect", link_connect),
        ("a_wait_limited_by_the_call_itself", "wait-limited", wait_limited),
        ("a_cancelled_timeout_is_not_one_that_ran_out", "cancel", cancel),
        ("two_rings_are_told_apart", "two", two),
        ("a_ring_in_the_programs_own_memory", "no-mmap", timeout),
        ("a_ring_that_never_had_a_descriptor", "registered-only", timeout),
        ("a_ring_served_by_a_kernel_thread_is_said_to_be_missed", "polled", polled),
        ("a_ring_served_by_a_kernel_thread_that_is_not_used_is_no_matter", "polled-unused", polled_unused),
        ("a_ring_under_an_unknown_descriptor_is_said_to_be_missed", "moved", moved),
    ];
    let trial = |(name, program, body): (&str, &'static str, Body)| {
        Trial::ignorable_test(format!("tracer_rings::{name}"), move || run(program, body))
    };
    programs.into_iter().map(trial).collect()
}

fn run(name: &'static str, body: Body) -> Result<Completion, libtest_mimic::Failed> {
    let Some(program) = compiled(PROGRAM)? else { return Ok(Completion::ignored_with("needs gcc")) };
    // Asked without a tracer, so that a kernel that lacks it is told from a tracer that breaks it.
    let status =
        std::process::Command::new(program).arg(if name == "link-connect" { "timeout" } else { name }).status()?;
    if status.code() == Some(UNABLE) {
        return Ok(Completion::ignored_with("needs io_uring, and this of it, of the kernel"));
    }
    in_lab(move || {
        black_hole()?;
        let trace = trace(&[program, name])?;
        check(trace.ending == Some(Ending::Exit(0)), "it exits 0", &trace)?;
        body(&trace)
    })
}

/// A veth pair whose other end has no address: what is sent there is dropped without an answer.
fn black_hole() -> Result<(), String> {
    ip("link add wb0 type veth peer name wb1")?;
    ip("addr add 10.9.0.1/24 dev wb0")?;
    ip("link set wb0 up")?;
    ip("link set wb1 up")?;
    ip("neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 nud permanent dev wb0")
}

fn check(holds: bool, what: &str, trace: &Trace) -> Result<(), String> {
    let arguments = |call: &Call| format!("{}\n    {:?}", render(call), call.args.get(6..).unwrap_or_default());
    let calls: Vec<String> = trace.named("io_uring_enter").map(arguments).collect();
    if holds { Ok(()) } else { Err(format!("expected: {what}; found:\n{}\n{}", trace.story(), calls.join("\n"))) }
}

fn submitted(trace: &Trace) -> Vec<RingSubmission<'_>> {
    trace.named("io_uring_enter").flat_map(Call::ring_submissions).collect()
}

fn completed(trace: &Trace) -> Vec<RingCompletion<'_>> {
    let mut all: Vec<_> = trace.named("io_uring_enter").flat_map(Call::ring_completions).collect();
    all.sort_by_key(|completion| completion.user_data);
    all
}

fn is_hidden(trace: &Trace) -> bool {
    trace.events.iter().any(|event| matches!(event, TraceEvent::HiddenRing { .. }))
}

fn ran_out(user_data: u64) -> RingCompletion<'static> {
    RingCompletion { user_data, result: Err("ETIME"), is_earlier: false }
}

fn timeout(trace: &Trace) -> Result<(), String> {
    let submitted = submitted(trace);
    let is_armed = matches!(&submitted[..], [one] if one.operation == "IORING_OP_TIMEOUT" && one.timeout_ns() == SOON && one.user_data == 7);
    check(is_armed && submitted[0].fd().is_none(), "one timeout of 30 ms", trace)?;
    check(completed(trace) == [ran_out(7)], "it ran out during the call", trace)?;
    check(!is_hidden(trace), "nothing is missed", trace)?;
    // As strace prints it: the call's own arguments, no more.
    let lines: Vec<String> = trace.named("io_uring_enter").map(render).collect();
    check(lines.len() == 1 && lines[0].ends_with(", NULL, 8) = 1"), "six arguments", trace)
}

fn absolute(trace: &Trace) -> Result<(), String> {
    let armed = submitted(trace).first().and_then(RingSubmission::timeout_ns);
    check(matches!(armed, Some(Some(1..=30_000_000))), "what was left of 30 ms at the call's entry", trace)?;
    check(completed(trace) == [ran_out(8)], "it ran out", trace)
}

/// An operation and the timeout that limits it.
fn linked(trace: &Trace, operation: &str) -> Result<(), String> {
    let submitted = submitted(trace);
    let [limited, limit] = &submitted[..] else { return check(false, "two submissions", trace) };
    check(limited.operation == operation && limited.is_linked && limited.fd().is_some(), operation, trace)?;
    let is_limit = limit.operation == "IORING_OP_LINK_TIMEOUT" && limit.timeout_ns() == SOON;
    check(is_limit, "its limit of 30 ms", trace)?;
    let cut_short = RingCompletion { user_data: 1, result: Err("ECANCELED"), is_earlier: false };
    check(completed(trace) == [cut_short, ran_out(2)], "which cut it short", trace)
}

fn link_recv(trace: &Trace) -> Result<(), String> {
    linked(trace, "IORING_OP_RECV")
}

fn link_connect(trace: &Trace) -> Result<(), String> {
    linked(trace, "IORING_OP_CONNECT")?;
    let address = trace.named("io_uring_enter").find_map(Call::address);
    check(format!("{address:?}").contains("10.9.0.2"), "whom it was to reach", trace)
}

fn wait_limited(trace: &Trace) -> Result<(), String> {
    let Some(wait) = trace.named("io_uring_enter").nth(1) else { return check(false, "two calls", trace) };
    check(wait.timeout_ns() == SOON && wait.error() == Some("ETIME"), "a wait of 30 ms that ran out", trace)?;
    let submitted = submitted(trace);
    check(matches!(&submitted[..], [poll] if poll.operation == "IORING_OP_POLL_ADD"), "for a poll", trace)?;
    check(completed(trace).is_empty(), "which never ended", trace)
}

fn cancel(trace: &Trace) -> Result<(), String> {
    let submitted = submitted(trace);
    check(submitted.len() == 2 && submitted[1].target() == Some(4), "a timeout and its cancellation", trace)?;
    let (cut_short, done) = (Err("ECANCELED"), Ok(0));
    let results: Vec<_> = completed(trace).into_iter().map(|c| (c.user_data, c.result)).collect();
    check(results == [(4, cut_short), (5, done)], "both ended", trace)
}

fn two(trace: &Trace) -> Result<(), String> {
    check(completed(trace) == [ran_out(11), ran_out(22)], "one timeout of each", trace)?;
    let fds: Vec<Option<i32>> = trace.named("io_uring_enter").map(Call::fd).collect();
    check(fds.len() == 2 && fds[0] != fds[1], "of different rings", trace)
}

fn polled(trace: &Trace) -> Result<(), String> {
    check(is_hidden(trace), "it is said", trace)?;
    check(submitted(trace).is_empty(), "and nothing is made up", trace)?;
    // It may have come before the program asks: a kernel thread does it, in its own time.
    let results: Vec<_> = completed(trace).into_iter().map(|c| (c.user_data, c.result)).collect();
    check(results == [(6, Err("ETIME"))], "what came back is seen all the same", trace)
}

fn polled_unused(trace: &Trace) -> Result<(), String> {
    check(!is_hidden(trace), "nothing is missed", trace)
}

fn moved(trace: &Trace) -> Result<(), String> {
    check(is_hidden(trace), "it is said", trace)?;
    check(submitted(trace).is_empty() && completed(trace).is_empty(), "and nothing is made up", trace)
}
