//! `sendmsg`, `recvmsg` and their plurals: message headers, vectors, control messages.

use super::socket::address;
use super::time::{Resolution, timeout};
use super::transfer::{ELEMENT_LIMIT, vector};
use super::{CallStop, Outcome};
use crate::evidence::Arg;
use crate::record::syscalls::names::socket::{LEVELS, MESSAGE_FLAGS, control_type};
use crate::record::syscalls::names::{constant, flags};

/// `sizeof(struct mmsghdr)`: a header, `msg_len`, padding.
const MMSGHDR_BYTES: u64 = 64;
/// Control data read at most: net.core.optmem_max has been at least this.
const CONTROL_LIMIT: u64 = 20_480;
/// `sizeof(struct cmsghdr)`.
const CMSGHDR_BYTES: usize = 16;

/// `struct msghdr`.
struct Header {
    name: u64,
    name_len: i32,
    vector: u64,
    vector_len: u64,
    control: u64,
    control_len: u64,
    flags: u32,
}

impl Header {
    fn read(call: &CallStop, at: u64) -> Option<Self> {
        let bytes: [u8; 56] = call.memory.array(at)?;
        let word = |at: usize| bytes[at..].first_chunk().map(|b| u64::from_ne_bytes(*b));
        Some(Self {
            name: word(0)?,
            name_len: word(8)? as i32,
            vector: word(16)?,
            vector_len: word(24)?,
            control: word(32)?,
            control_len: word(40)?,
            flags: word(48)? as u32,
        })
    }

    /// As a structure; `given` is `msg_namelen` before the call, `data` how many bytes the vector holds.
    fn decode(&self, call: &CallStop, given: Option<i64>, data: u64) -> Arg {
        let len = i64::from(self.name_len);
        let name = address(call, self.name, given.map_or(len, |given| given.min(len)));
        let name_len = match given {
            Some(given) => Arg::Length { given, returned: Some(len) },
            None => Arg::Int(len),
        };
        let mut members = vec![
            ("msg_name".to_owned(), name),
            ("msg_namelen".to_owned(), name_len),
            ("msg_iov".to_owned(), vector(call, self.vector, self.vector_len, data)),
            ("msg_iovlen".to_owned(), Arg::Int(self.vector_len.cast_signed())),
        ];
        if self.control_len > 0 {
            members.push(("msg_control".to_owned(), control(call, self.control, self.control_len)));
        }
        members.push(("msg_controllen".to_owned(), Arg::Int(self.control_len.cast_signed())));
        members.push(("msg_flags".to_owned(), Arg::Symbol(flags(MESSAGE_FLAGS, self.flags, "MSG_???"))));
        Arg::Struct(members)
    }
}

pub fn sendmsg(call: &CallStop) -> Vec<Arg> {
    let header = Header::read(call, call.raw[1]);
    let message = header.map_or(call.pointer(1), |header| header.decode(call, None, u64::MAX));
    vec![call.fd(0), message, call.flags(2, MESSAGE_FLAGS, "MSG_???")]
}

/// Until the return only `msg_namelen` means anything, and it is needed then.
pub fn recvmsg(call: &CallStop) -> Vec<Arg> {
    let message = match Header::read(call, call.raw[1]) {
        Some(header) => Arg::Struct(vec![("msg_namelen".to_owned(), Arg::Int(header.name_len.into()))]),
        None => call.pointer(1),
    };
    vec![call.fd(0), message, call.flags(2, MESSAGE_FLAGS, "MSG_???")]
}

pub fn recvmsg_return(call: &CallStop, outcome: Outcome, args: &mut [Arg]) {
    let given = match &args[1] {
        Arg::Struct(members) => members.first().and_then(|(_, arg)| as_int(arg)),
        _ => None,
    };
    if let (Ok(count), Some(given), Some(header)) = (outcome, given, Header::read(call, call.raw[1])) {
        args[1] = header.decode(call, Some(given), count.cast_unsigned());
    }
}

pub fn sendmmsg(call: &CallStop) -> Vec<Arg> {
    let messages = messages(call, call.raw[2] & 0xffff_ffff, |header, _| header.decode(call, None, u64::MAX));
    vec![call.fd(0), messages, call.unsigned(2), call.flags(3, MESSAGE_FLAGS, "MSG_???")]
}

/// Adds `msg_len`, which the kernel wrote, to the messages that were sent.
pub fn sendmmsg_return(call: &CallStop, outcome: Outcome, args: &mut [Arg]) {
    let (Ok(count), Arg::List(messages)) = (outcome, &mut args[1]) else { return };
    for (i, message) in messages.iter_mut().enumerate().take(usize::try_from(count).unwrap_or(0)) {
        if let (Arg::Struct(members), Some(len)) = (message, message_len(call, i as u64)) {
            members.push(("msg_len".to_owned(), Arg::Int(len.into())));
        }
    }
}

pub fn recvmmsg(call: &CallStop) -> Vec<Arg> {
    let lengths = messages(call, call.raw[2] & 0xffff_ffff, |header, _| Arg::Int(header.name_len.into()));
    let flags = call.flags(3, MESSAGE_FLAGS, "MSG_???");
    vec![call.fd(0), lengths, call.unsigned(2), flags, timeout(call, 4, Resolution::Nanoseconds)]
}

pub fn recvmmsg_return(call: &CallStop, outcome: Outcome, args: &mut [Arg]) {
    let Arg::List(given) = std::mem::replace(&mut args[1], call.pointer(1)) else { return };
    let Ok(count) = outcome else { return };
    let given = |i: u64| {
        given.get(i as usize).and_then(|message| match message {
            Arg::Struct(members) => members.first().and_then(|(_, arg)| as_int(arg)),
            _ => None,
        })
    };
    let mut received = messages(call, count.cast_unsigned(), |header, i| {
        header.decode(call, given(i), message_len(call, i).unwrap_or(0).into())
    });
    if let Arg::List(messages) = &mut received {
        for (i, message) in messages.iter_mut().enumerate() {
            if let (Arg::Struct(members), Some(len)) = (message, message_len(call, i as u64)) {
                members.push(("msg_len".to_owned(), Arg::Int(len.into())));
            }
        }
    }
    args[1] = received;
    super::time::timeout_return(call, outcome, args, 4);
}

/// The first `count` messages of argument 1, each as `{msg_hdr=…}`.
fn messages(call: &CallStop, count: u64, decode: impl Fn(Header, u64) -> Arg) -> Arg {
    let message = |i: u64| {
        let header = Header::read(call, call.raw[1].wrapping_add(i * MMSGHDR_BYTES))?;
        Some(Arg::Struct(vec![("msg_hdr".to_owned(), decode(header, i))]))
    };
    let messages: Option<Vec<Arg>> = (0..count.min(ELEMENT_LIMIT)).map(message).collect();
    messages.map_or(call.pointer(1), Arg::List)
}

fn message_len(call: &CallStop, i: u64) -> Option<u32> {
    call.memory.int(call.raw[1].wrapping_add(i * MMSGHDR_BYTES + 56)).map(i32::cast_unsigned)
}

fn as_int(arg: &Arg) -> Option<i64> {
    match arg {
        Arg::Int(value) => Some(*value),
        _ => None,
    }
}

fn control(call: &CallStop, at: u64, len: u64) -> Arg {
    match call.memory.bytes(at, len.min(CONTROL_LIMIT) as usize) {
        Some(bytes) => Arg::List(control_messages(&bytes)),
        None => Arg::Pointer(at),
    }
}

/// Control messages, each aligned to 8 bytes (cmsg(3)).
fn control_messages(mut bytes: &[u8]) -> Vec<Arg> {
    let mut messages = Vec::new();
    while bytes.len() >= CMSGHDR_BYTES {
        let len = u64::from_ne_bytes(std::array::from_fn(|i| bytes[i]));
        let level = i32::from_ne_bytes(std::array::from_fn(|i| bytes[8 + i]));
        let kind = u32::from_ne_bytes(std::array::from_fn(|i| bytes[12 + i]));
        let end = usize::try_from(len).unwrap_or(usize::MAX).clamp(CMSGHDR_BYTES, bytes.len());
        let data = &bytes[CMSGHDR_BYTES..end];
        let mut members = vec![
            ("cmsg_len".to_owned(), Arg::Int(len.cast_signed())),
            ("cmsg_level".to_owned(), Arg::Symbol(constant(LEVELS, level.cast_unsigned(), "SOL_???"))),
            ("cmsg_type".to_owned(), control_type(level, kind).map_or(Arg::Int(kind.into()), Arg::Symbol)),
        ];
        if !data.is_empty() {
            members.push(("cmsg_data".to_owned(), control_data(level, kind, data)));
        }
        messages.push(Arg::Struct(members));
        bytes = &bytes[end.next_multiple_of(8).min(bytes.len())..];
    }
    messages
}

fn control_data(level: i32, kind: u32, data: &[u8]) -> Arg {
    let ints = || data.chunks_exact(4).map(|b| i32::from_ne_bytes([b[0], b[1], b[2], b[3]]));
    match (level, kind.cast_signed()) {
        (libc::SOL_SOCKET, libc::SCM_RIGHTS) => Arg::List(ints().map(Arg::Fd).collect()),
        (libc::SOL_IP, libc::IP_TTL) => Arg::List(ints().map(|value| Arg::Int(value.into())).collect()),
        _ => Arg::Bytes { head: data.to_vec(), total: data.len() as u64 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_passed_in_a_control_message_are_descriptors() {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&24u64.to_ne_bytes());
        bytes.extend_from_slice(&libc::SOL_SOCKET.to_ne_bytes());
        bytes.extend_from_slice(&libc::SCM_RIGHTS.to_ne_bytes());
        bytes.extend_from_slice(&[5i32.to_ne_bytes(), 6i32.to_ne_bytes()].concat());
        let [Arg::Struct(members)] = &control_messages(&bytes)[..] else { panic!("not one message") };
        assert_eq!(members[3], ("cmsg_data".to_owned(), Arg::List(vec![Arg::Fd(5), Arg::Fd(6)])));
    }

    #[test]
    fn a_control_message_that_claims_more_than_there_is_ends_with_the_buffer() {
        let mut bytes = u64::MAX.to_ne_bytes().to_vec();
        bytes.extend_from_slice(&[0; 12]);
        assert_eq!(control_messages(&bytes).len(), 1);
        assert!(control_messages(&bytes[..10]).is_empty());
    }
}
