//! What strace 6.1 printed for these calls, letter for letter.

use super::*;
use crate::evidence::{PollEntry, SocketAddress};

fn call(name: &str, args: Vec<Arg>, result: Option<CallResult>) -> Call {
    Call { seq: 0, pid: 1, tid: 1, name: name.into(), args, result, entry_ns: 0, exit_ns: Some(1) }
}

fn value(value: i64) -> Option<CallResult> {
    Some(CallResult::Value(value))
}

fn error(name: &str) -> Option<CallResult> {
    Some(CallResult::Error(name.into()))
}

fn symbol(name: &str) -> Arg {
    Arg::Symbol(name.into())
}

#[track_caller]
fn renders(name: &str, args: Vec<Arg>, result: Option<CallResult>, expected: &str) {
    assert_eq!(render(&call(name, args, result)), expected);
}

#[test]
fn a_connect_shows_its_address_and_why_it_did_not_wait() {
    let address = Arg::Address(SocketAddress::Inet { ip: "10.9.0.2".parse().unwrap(), port: 80 });
    renders(
        "connect",
        vec![Arg::Fd(3), address, Arg::Int(16)],
        error("EINPROGRESS"),
        "connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr(\"10.9.0.2\")}, 16) \
         = -1 EINPROGRESS (Operation now in progress)",
    );
    let address = Arg::Address(SocketAddress::Inet { ip: "::1".parse().unwrap(), port: 53 });
    renders(
        "connect",
        vec![Arg::Fd(14), address, Arg::Int(28)],
        value(0),
        "connect(14, {sa_family=AF_INET6, sin6_port=htons(53), sin6_flowinfo=htonl(0), \
         inet_pton(AF_INET6, \"::1\", &sin6_addr), sin6_scope_id=0}, 28) = 0",
    );
}

#[test]
fn a_poll_shows_what_became_ready_or_that_nothing_did() {
    let set = |revents: &str| {
        vec![
            Arg::Poll(vec![
                PollEntry { fd: 6, events: "POLLIN".into(), revents: revents.into() },
                PollEntry { fd: -1, events: "POLLIN".into(), revents: String::new() },
            ]),
            Arg::Int(2),
            Arg::timeout(Some(1_000_000_000), TimeForm::Ms),
        ]
    };
    let asked = "poll([{fd=6, events=POLLIN}, {fd=-1}], 2, 1000)";
    renders("poll", set("POLLIN|POLLHUP"), value(1), &format!("{asked} = 1 ([{{fd=6, revents=POLLIN|POLLHUP}}])"));
    renders("poll", set(""), value(0), &format!("{asked} = 0 (Timeout)"));
    renders(
        "poll",
        set(""),
        error("ERESTART_RESTARTBLOCK"),
        &format!("{asked} = ? ERESTART_RESTARTBLOCK (Interrupted by signal)"),
    );
}

#[test]
fn a_select_shows_the_sets_that_came_back_and_what_was_left() {
    let set = |asked: &[i32], ready: &[i32]| Arg::FdSet { asked: asked.to_vec(), ready: ready.to_vec() };
    let timeout =
        Arg::Timeout { ns: Some(10_000_000), form: TimeForm::Timespec, at_ns: None, left_ns: Some(9_997_786) };
    renders(
        "pselect6",
        vec![Arg::Int(7), set(&[5, 6], &[]), set(&[5], &[5]), Arg::Pointer(0), timeout, Arg::Pointer(0)],
        value(1),
        "pselect6(7, [5 6], [5], NULL, {tv_sec=0, tv_nsec=10000000}, NULL) \
         = 1 (out [5], left {tv_sec=0, tv_nsec=9997786})",
    );
}

#[test]
fn an_epoll_result_shows_its_data() {
    let ready = Arg::Poll(vec![PollEntry { fd: 6, events: String::new(), revents: "EPOLLIN".into() }]);
    renders(
        "epoll_wait",
        vec![Arg::Fd(7), ready, Arg::Int(1023), Arg::timeout(None, TimeForm::Ms)],
        value(1),
        "epoll_wait(7, [{events=EPOLLIN, data={u32=6, u64=6}}], 1023, -1) = 1",
    );
}

#[test]
fn buffers_are_escaped_and_cut_as_strace_does() {
    let bytes = |head: &[u8], total: u64| Arg::Bytes { head: head.to_vec(), total };
    let sent = |arg: Arg| render(&call("write", vec![arg], None));
    assert_eq!(
        sent(bytes(b"abc\x011\0zz\x7f\"\\\t\r\x1b\x0b\x0c", 16)),
        r#"write("abc\0011\0zz\177\"\\\t\r\33\v\f") = ?"#
    );
    assert_eq!(sent(bytes(&[b'x'; 32], 54)), format!("write(\"{}\"...) = ?", "x".repeat(32)));
    assert_eq!(sent(bytes(&[b'x'; 32], 32)), format!("write(\"{}\") = ?", "x".repeat(32)));
    assert_eq!(sent(bytes(b"\xff9", 2)), r#"write("\3779") = ?"#);
    assert_eq!(sent(bytes(b"\x019", 2)), r#"write("\19") = ?"#, "9 is no octal digit");
}

#[test]
fn a_message_header_shows_lengths_that_the_kernel_changed() {
    let element = vec![
        ("iov_base".to_owned(), Arg::Bytes { head: b"hi".to_vec(), total: 2 }),
        ("iov_len".to_owned(), Arg::Int(10)),
    ];
    let header = Arg::Struct(vec![
        ("msg_name".into(), Arg::Pointer(0x7ffc)),
        ("msg_namelen".into(), Arg::Length { given: 110, returned: Some(0) }),
        ("msg_iov".into(), Arg::List(vec![Arg::Struct(element)])),
    ]);
    renders(
        "recvmsg",
        vec![Arg::Fd(11), header, symbol("0")],
        value(2),
        "recvmsg(11, {msg_name=0x7ffc, msg_namelen=110 => 0, msg_iov=[{iov_base=\"hi\", iov_len=10}]}, 0) = 2",
    );
    let name = Arg::Address(SocketAddress::Unix(String::new()));
    renders(
        "getsockname",
        vec![Arg::Fd(9), name, Arg::Length { given: 128, returned: Some(2) }],
        value(0),
        "getsockname(9, {sa_family=AF_UNIX}, [128 => 2]) = 0",
    );
}

#[test]
fn timers_show_interval_and_value_and_instants_stay_instants() {
    let timer = |value_ns, at_ns, form| Arg::Timer { value_ns, interval_ns: 500_000_000, form, at_ns };
    renders(
        "setitimer",
        vec![symbol("ITIMER_REAL"), timer(1_000_000, None, TimeForm::Timeval), Arg::Pointer(0)],
        value(0),
        "setitimer(ITIMER_REAL, {it_interval={tv_sec=0, tv_usec=500000}, it_value={tv_sec=0, tv_usec=1000}}, NULL) = 0",
    );
    let until = Arg::Timeout { ns: Some(5), form: TimeForm::Timespec, at_ns: Some(1_923_566_326_845), left_ns: None };
    renders(
        "clock_nanosleep",
        vec![symbol("CLOCK_MONOTONIC"), symbol("TIMER_ABSTIME"), until, Arg::Pointer(0)],
        error("ERESTARTNOHAND"),
        "clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, {tv_sec=1923, tv_nsec=566326845}, NULL) \
         = ? ERESTARTNOHAND (To be restarted if no handler)",
    );
    renders("alarm", vec![Arg::timeout(Some(2_000_000_000), TimeForm::S)], value(0), "alarm(2) = 0");
}

#[test]
fn a_program_shows_its_arguments_and_how_many_variables_it_got() {
    let argv = Arg::Texts(vec!["curl".into(), "x".repeat(40)]);
    renders(
        "execve",
        vec![Arg::Text("/usr/bin/curl".into()), argv, Arg::Environment { address: 0x7ffe, count: 5 }],
        error("ENOENT"),
        &format!(
            "execve(\"/usr/bin/curl\", [\"curl\", \"{}\"...], 0x7ffe /* 5 vars */) \
             = -1 ENOENT (No such file or directory)",
            "x".repeat(32)
        ),
    );
    renders("exit_group", vec![Arg::Int(0)], None, "exit_group(0) = ?");
    renders(
        "restart_syscall",
        vec![Arg::Resumes("poll".into())],
        value(0),
        "restart_syscall(<... resuming interrupted poll ...>) = 0",
    );
}

#[test]
fn a_signal_shows_where_it_came_from() {
    let signal = Signal {
        t_ns: 0,
        pid: 1,
        tid: 1,
        name: "SIGALRM".into(),
        code: "SI_KERNEL".into(),
        sender_pid: None,
        errno: None,
    };
    assert_eq!(render_signal(&signal), "--- SIGALRM {si_signo=SIGALRM, si_code=SI_KERNEL} ---");
    let sent = Signal { name: "SIGTERM".into(), code: "SI_USER".into(), sender_pid: Some(7), ..signal };
    assert_eq!(render_signal(&sent), "--- SIGTERM {si_signo=SIGTERM, si_code=SI_USER, si_pid=7} ---");
}
