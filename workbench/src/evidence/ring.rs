//! What a call to io_uring handed over and what came back: a view of the arguments behind its own six.

use super::{Arg, Call, SocketAddress};

/// Where the lists stand among the arguments of `io_uring_enter`.
const SUBMISSIONS: usize = 6;
const COMPLETIONS: usize = 7;

/// An operation handed to the kernel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RingSubmission<'a> {
    members: &'a [(String, Arg)],
    /// `IORING_OP_TIMEOUT`.
    pub operation: &'a str,
    /// The program's own mark, which its completion bears.
    pub user_data: u64,
    /// Whether the next submission begins when this one is done, or, if that is an IORING_OP_LINK_TIMEOUT, limits it.
    pub is_linked: bool,
}

/// An operation that came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingCompletion<'a> {
    /// The submission's mark.
    pub user_data: u64,
    /// What came of it, or the errno's name: `ETIME` of a timeout that ran out, `ECANCELED` of what it cut short.
    pub result: Result<i64, &'a str>,
    /// Whether it had come before the call that it was seen at began.
    pub is_earlier: bool,
}

impl<'a> RingSubmission<'a> {
    fn read(arg: &'a Arg) -> Option<Self> {
        let Arg::Struct(members) = arg else { return None };
        let flags = member(members, "flags").and_then(symbol).unwrap_or_default();
        let is_linked = flags.split('|').any(|flag| matches!(flag, "IOSQE_IO_LINK" | "IOSQE_IO_HARDLINK"));
        let operation = member(members, "opcode").and_then(symbol)?;
        let user_data = member(members, "user_data").and_then(integer)?.cast_unsigned();
        Some(Self { members, operation, user_data, is_linked })
    }

    /// What it works on; `None` for one that works on nothing, and for a file registered with the ring.
    pub fn fd(&self) -> Option<i32> {
        match member(self.members, "fd")? {
            Arg::Fd(fd) => Some(*fd),
            _ => None,
        }
    }

    /// The wait that it arms, as in [`Call::timeout_ns`].
    pub fn timeout_ns(&self) -> Option<Option<u64>> {
        match member(self.members, "timeout")? {
            Arg::Timeout { ns, .. } => Some(*ns),
            _ => None,
        }
    }

    /// Where an `IORING_OP_CONNECT` goes.
    pub fn address(&self) -> Option<&'a SocketAddress> {
        match member(self.members, "addr")? {
            Arg::Address(address) => Some(address),
            _ => None,
        }
    }

    /// The mark of the submission that it cancels or changes.
    pub fn target(&self) -> Option<u64> {
        member(self.members, "target_user_data").and_then(integer).map(i64::cast_unsigned)
    }
}

impl Call {
    /// What this call handed to the kernel through an io_uring, in order. A kernel may have taken fewer: its result counts
    /// them.
    pub fn ring_submissions(&self) -> impl Iterator<Item = RingSubmission<'_>> {
        self.ring_list(SUBMISSIONS).iter().filter_map(RingSubmission::read)
    }

    /// What was found in an io_uring to have come to its end since it was looked at before, in order.
    pub fn ring_completions(&self) -> impl Iterator<Item = RingCompletion<'_>> {
        self.ring_list(COMPLETIONS).iter().filter_map(|arg| {
            let Arg::Struct(members) = arg else { return None };
            let result = match member(members, "res")? {
                Arg::Symbol(errno) => Err(errno.as_str()),
                other => Ok(integer(other)?),
            };
            let user_data = member(members, "user_data").and_then(integer)?.cast_unsigned();
            let is_earlier = member(members, "is_earlier").and_then(integer) == Some(1);
            Some(RingCompletion { user_data, result, is_earlier })
        })
    }

    fn ring_list(&self, at: usize) -> &[Arg] {
        match self.args.get(at) {
            Some(Arg::List(list)) if self.name == "io_uring_enter" => list,
            _ => &[],
        }
    }
}

pub(super) fn member<'a>(members: &'a [(String, Arg)], wanted: &str) -> Option<&'a Arg> {
    members.iter().find(|(name, _)| name == wanted).map(|(_, arg)| arg)
}

fn symbol(arg: &Arg) -> Option<&str> {
    match arg {
        Arg::Symbol(name) => Some(name),
        _ => None,
    }
}

fn integer(arg: &Arg) -> Option<i64> {
    match arg {
        Arg::Int(value) => Some(*value),
        _ => None,
    }
}
