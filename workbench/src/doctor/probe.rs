//! Trying, in a process of its own, everything that a lab needs of the kernel.
//!
//! Three processes, each the workbench run again: one enters fresh namespaces and asks the kernel for devices and
//! rules, one is process 1 in there and mounts its own `/proc`, one is traced. Each step's result is a line of JSON on
//! standard output; what they mean for a user is said elsewhere. Namespaces and processes end with the probe.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::str::FromStr;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::netlink::{self, Refused};
use crate::sys::seccomp;

/// Which of the probe's processes this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Enters namespaces.
    Namespaces,
    /// Process 1 in them.
    Init,
    /// The one that is traced.
    Traced,
}

impl Stage {
    /// Its word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::Init => "init",
            Self::Traced => "traced",
        }
    }
}

impl FromStr for Stage {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let stages = [Self::Namespaces, Self::Init, Self::Traced];
        let expected = || format!("expected `namespaces`, `init` or `traced`, found `{word}`");
        stages.into_iter().find(|stage| stage.as_str() == word).ok_or_else(expected)
    }
}

/// One thing that is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Step {
    /// unshare(2) of user, network, mount, PID, UTS and IPC namespaces.
    Unshare,
    /// Mapping one id (user_namespaces(7)).
    MapIds,
    /// A veth pair.
    Veth,
    /// An AF_PACKET socket.
    PacketSocket,
    /// A table of nf_tables.
    NfTables,
    /// A rule that forwards from one device to another.
    Forward,
    /// The netem qdisc.
    Netem,
    /// A list of TCP sockets through sock_diag(7).
    SockDiag,
    /// A process 1 for the PID namespace, with a `/proc` of its own.
    Proc,
    /// A seccomp filter that stops a process for its tracer.
    Trace,
}

/// How one step went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Finding {
    pub(super) step: Step,
    /// The kernel's words; `None` when it went well.
    pub(super) refused: Option<String>,
}

/// Does one stage's work in this process and returns its exit code.
///
/// The process must be single-threaded (unshare(2) of a user namespace) and ends afterwards: it has left the machine's
/// namespaces for good. `doctor --probe STAGE` calls it and nothing else.
pub fn probe_inside(stage: Stage) -> u8 {
    let result = match stage {
        Stage::Namespaces => enter_namespaces(),
        Stage::Init => be_init(),
        Stage::Traced => be_traced(),
    };
    u8::from(result.is_err())
}

/// Prints one step's result; what refused goes on as an error for the steps that build on it.
fn report(step: Step, result: Result<(), Refused>) -> Result<(), Refused> {
    let refused = result.as_ref().err().map(|refused| format!("{} (errno {})", refused.words, refused.errno));
    let line = serde_json::to_string(&Finding { step, refused }).map_err(io::Error::from)?;
    writeln!(io::stdout(), "{line}")?;
    result
}

fn from_errno(errno: Errno) -> Refused {
    io::Error::from(errno).into()
}

fn enter_namespaces() -> Result<(), Refused> {
    let workbench = std::env::current_exe()?;
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    let all = CloneFlags::CLONE_NEWUSER
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC;
    report(Step::Unshare, unshare(all).map_err(from_errno))?;
    report(Step::MapIds, map_ids(uid.as_raw(), gid.as_raw()).map_err(Refused::from))?;
    report(Step::Veth, netlink::make_veth_pair())?;
    // What follows is independent of each other: a refusal is reported, and the next is tried.
    let _ = report(Step::PacketSocket, open_packet_socket());
    let _ = report(Step::NfTables, netlink::add_table());
    let _ = report(Step::Forward, netlink::add_forward());
    let _ = report(Step::Netem, netlink::add_netem());
    let _ = report(Step::SockDiag, netlink::list_tcp_sockets());
    Command::new(workbench).args(["doctor", "--probe", Stage::Init.as_str()]).stdin(Stdio::null()).status()?;
    Ok(())
}

/// `setgroups` has to be given up before an ordinary user may map a group (user_namespaces(7)).
fn map_ids(uid: u32, gid: u32) -> io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
}

fn open_packet_socket() -> Result<(), Refused> {
    socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)
        .map(drop)
        .map_err(from_errno)
}

fn be_init() -> Result<(), Refused> {
    // The doctor kills a probe that hangs; everything in the PID namespace then ends with its process 1.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(from_errno)?;
    let workbench = std::env::current_exe()?;
    report(Step::Proc, mount_proc().map_err(from_errno))?;
    let mut traced = Command::new(workbench)
        .args(["doctor", "--probe", Stage::Traced.as_str()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let result = catch_getppid(&mut traced);
    traced.kill()?;
    traced.wait()?;
    report(Step::Trace, result)
}

/// Fails where parts of the machine's own `/proc` are hidden, as in a container (fs/namespace.c, mnt_already_visible).
fn mount_proc() -> nix::Result<()> {
    const NO_DATA: Option<&str> = None;
    mount(NO_DATA, "/", NO_DATA, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NO_DATA)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, NO_DATA)
}

/// Seizes the traced process, lets it go on, and expects it to stop at getppid(2).
fn catch_getppid(traced: &mut std::process::Child) -> Result<(), Refused> {
    let broken = |words: String| Refused { errno: 0, words };
    let mut said = String::new();
    let pid = Pid::from_raw(traced.id() as i32);
    let (Some(stdout), Some(stdin)) = (traced.stdout.take(), traced.stdin.as_mut()) else {
        return Err(broken("the traced process has no pipes".into()));
    };
    BufReader::new(stdout).read_line(&mut said)?;
    if said.trim() != "filtered" {
        return Err(broken(format!("no seccomp filter: {}", said.trim())));
    }
    ptrace::seize(pid, ptrace::Options::PTRACE_O_TRACESECCOMP).map_err(from_errno)?;
    stdin.write_all(b"\n")?;
    match waitpid(pid, Some(WaitPidFlag::__WALL)).map_err(from_errno)? {
        WaitStatus::PtraceEvent(_, _, event) if event == ptrace::Event::PTRACE_EVENT_SECCOMP as i32 => Ok(()),
        other => Err(broken(format!("expected a stop at getppid(2), found {other:?}"))),
    }
}

/// Says whether it has its filter, waits until it is seized, and runs into the filter.
fn be_traced() -> Result<(), Refused> {
    match seccomp::install(&stop_at_getppid()) {
        Ok(()) => writeln!(io::stdout(), "filtered")?,
        Err(error) => writeln!(io::stdout(), "{error}")?,
    }
    io::stdin().lock().read_line(&mut String::new())?;
    nix::unistd::getppid();
    Ok(())
}

/// The smallest filter that shows whether stopping at chosen calls works: load the call's number, compare, return one of
/// two verdicts (Documentation/userspace-api/seccomp_filter.rst).
fn stop_at_getppid() -> [libc::sock_filter; 4] {
    let statement = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    [
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0 /* offset of seccomp_data.nr */),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, libc::SYS_getppid as u32),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_TRACE),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}
