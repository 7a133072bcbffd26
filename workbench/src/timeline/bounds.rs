//! What a socket program bounds its own calls by: the timers of SO_SNDTIMEO, SO_RCVTIMEO and SO_LINGER, and whether one of
//! them ended a call. What a call says is not its matter.

use super::event::{Timer, TimerClass};
use super::flows::Flows;
use super::objects::{Name, Objects, Options};
use super::sockets::Sockets;
use crate::evidence::{Arg, Call};

/// Never early by more than a jiffy, which is 10 ms at most.
const JIFFY_NS: u64 = 10_000_000;

/// The timer that ended a call, if it went on for as long as the socket's option says.
pub(super) fn ran_out(objects: &Objects, index: usize, call: &Call) -> Option<Timer> {
    let (option, name, unit_ns) = match (call.name.as_str(), call.error(), call.value()) {
        // Waits for what was sent to be acknowledged, and says nothing of how it came out (socket(7)).
        ("close", None, _) => (Name::Linger, "SO_LINGER", 1_000_000_000),
        ("connect", Some("EINPROGRESS"), _) => (Name::SendTimeout, "SO_SNDTIMEO", 1),
        (_, Some("EAGAIN"), _) if is_sending(call) => (Name::SendTimeout, "SO_SNDTIMEO", 1),
        (_, None, Some(sent)) if asked(call).is_some_and(|asked| sent < asked) => (Name::SendTimeout, "SO_SNDTIMEO", 1),
        (_, Some("EAGAIN"), _) => (Name::ReceiveTimeout, "SO_RCVTIMEO", 1),
        _ => return None,
    };
    let (set, _) = objects.get(objects.first_of(index)?).options.at(option, index)?;
    let armed_ns = set.checked_mul(unit_ns)?;
    let took_ns = u64::try_from(call.exit_ns? - call.entry_ns).ok()?;
    let timer = Timer { name: name.into(), class: TimerClass::Wheel, armed_ns };
    (took_ns.saturating_add(JIFFY_NS) >= armed_ns).then_some(timer)
}

/// The options of the socket that began a flow.
pub(super) fn options<'a>(sockets: &Sockets, flows: &Flows, objects: &'a Objects, flow: usize) -> Option<&'a Options> {
    let mut connections = sockets.connections.iter().enumerate();
    let of_flow = connections.find(|(number, _)| flows.of_connection(*number) == Some(flow));
    of_flow.map(|(_, connection)| &objects.get(connection.object).options)
}

/// How many bytes a call was asked to send.
pub(super) fn asked(call: &Call) -> Option<i64> {
    match call.args.get(2)? {
        Arg::Int(asked) if matches!(call.name.as_str(), "write" | "sendto") => Some(*asked),
        _ => None,
    }
}

/// A `struct linger` in words.
pub(super) fn linger(arg: &Arg) -> Option<String> {
    let Arg::Struct(members) = arg else { return None };
    let member = |wanted: &str| match members.iter().find(|(name, _)| name == wanted)? {
        (_, Arg::Int(value)) => Some(*value),
        _ => None,
    };
    match member("l_onoff")? {
        0 => Some("off".into()),
        _ => Some(format!("{} s", member("l_linger")?)),
    }
}

/// Whether a call sends.
pub(super) fn is_sending(call: &Call) -> bool {
    matches!(call.name.as_str(), "write" | "writev" | "sendto" | "sendmsg")
}
