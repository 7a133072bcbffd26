//! One socket program from its first step to its last, in a process of its own under the tracer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use nix::errno::Errno;
use nix::time::{ClockId, clock_gettime};

use super::progress::{NEVER, Progress, Result};
use crate::plan::{Call, Direction, Endpoint, ExpectedResult, Family, OptionValue, ProgramPlan, Readiness, SocketKind};
use crate::sys::call::{self, Answer};

/// Where a program rings for the agent: an eventfd. Calls on 0, 1 and 2 leave no record.
const BELL: i32 = 0;
const STDERR: i32 = 2;

/// How much `drain` takes at once.
const DRAIN_BYTES: usize = 64 << 10;

/// Makes the calls of a program, until one goes otherwise than expected. Returns its exit code.
pub fn carry_out(programs: &[ProgramPlan], own: usize, progress: &Progress) -> i32 {
    let program = &programs[own];
    let mut process = Process { programs, own, progress, sockets: vec![-1; program.sockets] };
    for (index, step) in program.steps.iter().enumerate() {
        progress.begin(own, index, now_ns());
        let result = process.make(index, &step.call, &step.expected);
        progress.done(own, index, now_ns(), result);
        if let Call::Reach { .. } = step.call {
            progress.raise(own, index);
            ring();
        }
        let said = result.map_err(said);
        if let Some(complaint) = step.complaint(said.as_ref().copied().map_err(String::as_str)) {
            call::write(STDERR, format!("{complaint}\n").as_bytes());
            return 1;
        }
    }
    0
}

/// An errno's name.
pub fn said(errno: i64) -> String {
    match errno {
        NEVER => "what it waits for ended without coming there".to_owned(),
        errno => format!("{:?}", Errno::from_raw(errno as i32)),
    }
}

/// Tells the agent that there is something to look at.
fn ring() {
    call::write(BELL, &1_u64.to_ne_bytes());
}

struct Process<'a> {
    programs: &'a [ProgramPlan],
    own: usize,
    progress: &'a Progress,
    /// Descriptors, by the sockets' numbers.
    sockets: Vec<i32>,
}

impl Process<'_> {
    fn make(&mut self, index: usize, call: &Call, expected: &ExpectedResult) -> Result {
        let fd = |socket: &usize| self.sockets[*socket];
        let answer = match call {
            Call::Socket { socket, kind, is_nonblocking } => {
                let made = open(*kind, *is_nonblocking);
                return widened(self.keep(*socket, made));
            }
            Call::Accept { socket, made } => {
                let answer = call::accept(fd(socket));
                return widened(self.keep(*made, answer));
            }
            Call::Duplicate { socket, made } => {
                let answer = call::duplicate(fd(socket));
                return widened(self.keep(*made, answer));
            }
            Call::SetOption { socket, level, name, value } => set(fd(socket), *level, *name, value),
            Call::GetOption { socket, level, name } => get(fd(socket), *level, *name, expected),
            Call::Bind { socket, to } => call::bind(fd(socket), address(to)),
            Call::Connect { socket, to } => call::connect(fd(socket), address(to)),
            Call::Listen { socket, backlog } => call::listen(fd(socket), *backlog),
            Call::Send { socket, text, bytes, is_without_signal } => {
                let flags = if *is_without_signal { libc::MSG_NOSIGNAL } else { 0 };
                match text {
                    Some(text) => call::send(fd(socket), text.as_bytes(), flags),
                    None => call::send(fd(socket), &vec![b'x'; *bytes as usize], flags),
                }
            }
            Call::Receive { socket, bytes } => call::receive(fd(socket), &mut vec![0; *bytes as usize]),
            Call::Drain { socket } => drain(fd(socket)),
            Call::Shutdown { socket, direction } => call::shutdown(fd(socket), how(*direction)),
            Call::Close { socket } => call::close(fd(socket)),
            Call::Poll { socket, readiness, timeout_ms } => {
                let events = if *readiness == Readiness::In { libc::POLLIN } else { libc::POLLOUT };
                call::poll(fd(socket), events, timeout_ms.unwrap_or(-1))
            }
            Call::Sleep { duration_ns } => call::sleep(*duration_ns),
            Call::Sigpipe { is_ignored } => call::sigpipe(*is_ignored),
            Call::Reach { .. } => Ok(0),
            Call::Wait { cause } => {
                ring();
                let (program, step) = Progress::flag_of(self.programs, (self.own, index), cause);
                return self.progress.wait(program, step);
            }
        };
        widened(answer)
    }

    /// Keeps a new descriptor. What the program sees of it is that there is one: its number says nothing.
    fn keep(&mut self, socket: usize, made: Answer) -> Answer {
        self.sockets[socket] = made? as i32;
        made
    }
}

fn widened(answer: Answer) -> Result {
    answer.map_err(i64::from)
}

fn open(kind: SocketKind, is_nonblocking: bool) -> Answer {
    let domain = if kind.family == Family::V4 { libc::AF_INET } else { libc::AF_INET6 };
    let protocol = if kind.is_udp { libc::SOCK_DGRAM } else { libc::SOCK_STREAM };
    call::socket(domain, protocol | if is_nonblocking { libc::SOCK_NONBLOCK } else { 0 })
}

fn address(to: &Endpoint) -> SocketAddr {
    let any = match to.family {
        Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    SocketAddr::new(to.address.unwrap_or(any), to.port)
}

fn how(direction: Direction) -> i32 {
    match direction {
        Direction::Read => libc::SHUT_RD,
        Direction::Write => libc::SHUT_WR,
        Direction::Both => libc::SHUT_RDWR,
    }
}

/// Options are structures of C's int and long (socket(7)).
fn set(fd: i32, level: i32, name: i32, value: &OptionValue) -> Answer {
    let bytes = match value {
        OptionValue::Number(number) => number.to_ne_bytes().to_vec(),
        OptionValue::Text(text) => text.clone().into_bytes(),
        OptionValue::Linger(seconds) => {
            [i32::from(seconds.is_some()), seconds.unwrap_or(0)].map(i32::to_ne_bytes).concat()
        }
        OptionValue::Time { ns } => [(ns / 1_000_000_000) as libc::time_t, (ns % 1_000_000_000 / 1000) as libc::time_t]
            .map(libc::time_t::to_ne_bytes)
            .concat(),
    };
    call::set_option(fd, level, name, &bytes)
}

/// The option's int; a time is in milliseconds, a linger in seconds and -1 where it is off. SO_ERROR's value is an
/// errno: where one is expected, it is the result.
fn get(fd: i32, level: i32, name: i32, expected: &ExpectedResult) -> Answer {
    let mut bytes = [0; 16];
    let len = call::get_option(fd, level, name, &mut bytes)?;
    let int = |at: usize| i32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let long = |at: usize| i64::from_ne_bytes(std::array::from_fn(|i| bytes[at + i]));
    match len {
        16 => Ok(long(0) * 1000 + long(8) / 1000),
        8 if int(0) == 0 => Ok(-1),
        8 => Ok(i64::from(int(4))),
        _ if level == libc::SOL_SOCKET
            && name == libc::SO_ERROR
            && int(0) != 0
            && matches!(expected, ExpectedResult::Errno(_)) =>
        {
            Err(int(0))
        }
        _ => Ok(i64::from(int(0))),
    }
}

fn drain(fd: i32) -> Answer {
    let mut room = vec![0; DRAIN_BYTES];
    let mut total = 0;
    loop {
        match call::receive(fd, &mut room)? {
            0 => return Ok(total),
            bytes => total += bytes,
        }
    }
}

fn now_ns() -> i64 {
    // CLOCK_MONOTONIC always exists.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |now| now.tv_sec() * 1_000_000_000 + now.tv_nsec())
}
