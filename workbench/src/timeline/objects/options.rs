//! Socket options that arm or bound a wait, as a program set them, each from the call on that set it.

use crate::evidence::{Arg, Call};

/// One option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// SO_RCVTIMEO, nanoseconds.
    ReceiveTimeout,
    /// SO_SNDTIMEO, nanoseconds.
    SendTimeout,
    /// TCP_USER_TIMEOUT, milliseconds.
    UserTimeout,
    /// SO_KEEPALIVE, a truth value.
    Keepalive,
    /// TCP_KEEPIDLE, seconds.
    KeepIdle,
    /// TCP_KEEPINTVL, seconds.
    KeepInterval,
    /// TCP_KEEPCNT.
    KeepCount,
    /// TCP_SYNCNT.
    SynCount,
    /// SO_LINGER, seconds; 0 also where it is off.
    Linger,
    /// TCP_LINGER2, seconds.
    Linger2,
}

const NAMES: [(&str, Name); 10] = [
    ("SO_RCVTIMEO", Name::ReceiveTimeout),
    ("SO_SNDTIMEO", Name::SendTimeout),
    ("TCP_USER_TIMEOUT", Name::UserTimeout),
    ("SO_KEEPALIVE", Name::Keepalive),
    ("TCP_KEEPIDLE", Name::KeepIdle),
    ("TCP_KEEPINTVL", Name::KeepInterval),
    ("TCP_KEEPCNT", Name::KeepCount),
    ("TCP_SYNCNT", Name::SynCount),
    ("SO_LINGER", Name::Linger),
    ("TCP_LINGER2", Name::Linger2),
];

/// The options of one socket, in the order they were set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    set: Vec<(usize, Name, u64)>,
}

impl Options {
    /// An option's value when the call with this index was made, and the call that had set it. 0 is the same as not
    /// set for all of them.
    pub fn at(&self, name: Name, call: usize) -> Option<(u64, usize)> {
        let last = self.set.iter().rev().find(|(by, set, _)| *set == name && *by <= call)?;
        (last.2 > 0).then_some((last.2, last.0))
    }

    /// An option's last value.
    pub fn last(&self, name: Name) -> Option<(u64, usize)> {
        self.at(name, usize::MAX)
    }
}

/// Keeps what a `setsockopt` sets, if it is one of ours.
pub(super) fn note_option(options: &mut Options, index: usize, call: &Call) {
    let Some((_, name)) = NAMES.iter().find(|(symbol, _)| call.has_symbol(symbol)) else { return };
    if call.error().is_none() {
        options.set.extend(value(call).map(|value| (index, *name, value)));
    }
}

fn value(call: &Call) -> Option<u64> {
    call.args.iter().skip(3).find_map(|arg| match arg {
        Arg::Timeout { ns, .. } => *ns,
        Arg::Struct(members) => linger(members),
        Arg::List(items) => items.iter().find_map(|item| match item {
            Arg::Int(n) => u64::try_from(*n).ok(),
            _ => None,
        }),
        _ => None,
    })
}

/// `struct linger`: the second member counts if the first is not 0.
fn linger(members: &[(String, Arg)]) -> Option<u64> {
    let mut values = members.iter().map(|(_, value)| match value {
        Arg::Int(value) => u64::try_from(*value).ok(),
        _ => None,
    });
    let (is_on, seconds) = (values.next()??, values.next()??);
    Some(if is_on == 0 { 0 } else { seconds })
}
