//! A netlink socket in one namespace: many requests in one datagram, and what the kernel said to each.
//!
//! Synchronous on purpose: rtnetlink and nfnetlink carry requests out within `send`, so when it returns every answer is
//! there already. No runtime, no thread, nothing that ticks. What the requests mean is the other files' business.

use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_ACK_TLVS, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer,
    NetlinkDeserializable, NetlinkMessage, NetlinkPayload, NetlinkSerializable, NlasIterator,
};
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;

use super::error::{Ask, LabError, Refusal};

/// Room for one datagram from the kernel: it makes none above 32 KiB (NLMSG_GOODSIZE, net/netlink/af_netlink.c).
const DATAGRAM_BYTES: usize = 32 * 1024;

/// `struct nlmsghdr` (netlink(7)).
const HEADER_BYTES: usize = 16;

/// Where a `struct nlmsghdr` keeps its flags.
const FLAGS: std::ops::Range<usize> = 6..8;

/// NLMSGERR_ATTR_MSG (include/uapi/linux/netlink.h): the extended ack's text.
const ERROR_TEXT: u16 = 1;

/// Requests that go out together, in order, each with who asked for it.
#[derive(Default, Clone)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    asks: Vec<Ask>,
    last: usize,
}

impl Batch {
    /// Adds a request.
    pub fn push<T: NetlinkSerializable>(&mut self, message: impl Into<NetlinkPayload<T>>, flags: u16, ask: Ask) {
        self.last = self.bytes.len();
        self.push_control(message, flags, ask);
    }

    /// Adds a message that the kernel does not acknowledge: the brackets around an nf_tables transaction.
    pub fn push_control<T: NetlinkSerializable>(
        &mut self,
        message: impl Into<NetlinkPayload<T>>,
        flags: u16,
        ask: Ask,
    ) {
        self.asks.push(ask);
        let sequence = self.asks.len() as u32;
        append(&mut self.bytes, message.into(), NLM_F_REQUEST | flags, sequence);
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.asks.is_empty()
    }
}

/// Serialises one message at the end of `bytes`.
fn append<T: NetlinkSerializable>(bytes: &mut Vec<u8>, payload: NetlinkPayload<T>, flags: u16, sequence: u32) {
    let mut message = NetlinkMessage::new(Default::default(), payload);
    message.header.flags = flags;
    message.header.sequence_number = sequence;
    message.finalize();
    let start = bytes.len();
    bytes.resize(start + message.buffer_len().next_multiple_of(4), 0);
    message.serialize(&mut bytes[start..]);
}

/// A netlink socket. It stays in the namespace it was opened in.
pub(super) struct Connection {
    socket: Socket,
}

impl Connection {
    /// Opens one in the calling thread's namespace; `protocol` as in netlink(7).
    pub fn open(protocol: isize) -> Result<Self, LabError> {
        let open = || -> std::io::Result<Socket> {
            let mut socket = Socket::new(protocol)?;
            socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0))?;
            socket.set_ext_ack(true)?;
            socket.set_cap_ack(true)?;
            Ok(socket)
        };
        Ok(Self { socket: open().map_err(LabError::machine("opening a netlink socket"))? })
    }

    /// Sends the requests and returns the kernel's first refusal, if there is one. All are tried.
    pub fn execute(&self, mut batch: Batch) -> Result<Option<Refusal>, LabError> {
        if batch.is_empty() {
            return Ok(None);
        }
        // Errors always come back; of the successes only the last is acknowledged, as the proof that all were read.
        let flags = &mut batch.bytes[batch.last..][FLAGS];
        let acknowledged = u16::from_ne_bytes([flags[0], flags[1]]) | NLM_F_ACK;
        flags.copy_from_slice(&acknowledged.to_ne_bytes());
        self.socket.send(&batch.bytes, 0).map_err(LabError::machine("sending netlink requests"))?;

        let mut refusal = None;
        let mut is_acknowledged = false;
        while let Some(datagram) = self.receive(libc::MSG_DONTWAIT)? {
            for message in messages(&datagram) {
                let Some(answer) = Answer::parse(message) else { continue };
                is_acknowledged = true;
                let ask = batch.asks.get(answer.sequence.saturating_sub(1) as usize);
                if let (Some(errno), Some(ask), None) = (answer.errno, ask, &refusal) {
                    refusal = Some(Refusal { ask: ask.clone(), errno, text: answer.text });
                }
            }
        }
        if !is_acknowledged {
            let silence = std::io::Error::other("the kernel answered none of them");
            return Err(LabError::machine("sending netlink requests")(silence));
        }
        Ok(refusal)
    }

    /// As [`Self::execute`], where a refusal is an error.
    pub fn demand(&self, batch: Batch) -> Result<(), LabError> {
        self.execute(batch)?.map_or(Ok(()), |refusal| Err(refusal.into()))
    }

    /// Asks one question and returns all messages of the answer; with NLM_F_DUMP in `flags` the whole table.
    pub fn query<T>(&self, question: impl Into<NetlinkPayload<T>>, flags: u16) -> Result<Vec<T>, LabError>
    where
        T: NetlinkSerializable + NetlinkDeserializable,
    {
        let doing = "reading through netlink";
        let mut bytes = Vec::new();
        append(&mut bytes, question.into(), NLM_F_REQUEST | flags, 1);
        self.socket.send(&bytes, 0).map_err(LabError::machine(doing))?;
        let is_dump = flags & NLM_F_DUMP == NLM_F_DUMP;
        let mut found = Vec::new();
        while let Some(datagram) = self.receive(0)? {
            for message in messages(&datagram) {
                if let Some(errno) = Answer::parse(message).and_then(|answer| answer.errno) {
                    return Err(LabError::machine(doing)(errno));
                }
                if message_type(message) == NLMSG_DONE {
                    return Ok(found);
                }
                let message = NetlinkMessage::<T>::deserialize(message)
                    .map_err(|error| LabError::machine(doing)(std::io::Error::other(error.to_string())))?;
                if let NetlinkPayload::InnerMessage(message) = message.payload {
                    found.push(message);
                }
            }
            if !is_dump {
                break;
            }
        }
        Ok(found)
    }

    /// Joins a multicast group, so that [`Self::wait`] sees its notifications.
    pub fn join(&self, group: u32) -> Result<(), LabError> {
        self.socket.add_membership(group).map_err(LabError::machine("joining a netlink group"))
    }

    /// Blocks until the kernel sends something, throws it away and returns true; false when `timeout_ms` is over.
    pub fn wait(&self, timeout_ms: u16) -> Result<bool, LabError> {
        use nix::poll::{PollFd, PollFlags, poll};
        let mut fds = [PollFd::new(self.as_fd(), PollFlags::POLLIN)];
        let ready = poll(&mut fds, timeout_ms).map_err(LabError::machine("waiting for a netlink notification"))?;
        while self.receive(libc::MSG_DONTWAIT)?.is_some() {}
        Ok(ready > 0)
    }

    /// One datagram; `None` if there is none and `flags` say not to wait.
    fn receive(&self, flags: libc::c_int) -> Result<Option<Vec<u8>>, LabError> {
        let mut datagram = Vec::with_capacity(DATAGRAM_BYTES);
        match self.socket.recv(&mut datagram, flags) {
            Ok(_) => Ok(Some(datagram)),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(LabError::machine("receiving from netlink")(error)),
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// What NLMSG_ERROR says: an acknowledgement, or a refusal.
struct Answer {
    sequence: u32,
    errno: Option<Errno>,
    text: Option<String>,
}

impl Answer {
    /// The layout is in netlink(7): header, error, the request's own header (NETLINK_CAP_ACK), then the attributes.
    fn parse(message: &[u8]) -> Option<Self> {
        if message_type(message) != NLMSG_ERROR {
            return None;
        }
        let header = NetlinkBuffer::new_checked(message).ok()?;
        let code = i32::from_ne_bytes(message.get(HEADER_BYTES..HEADER_BYTES + 4)?.try_into().ok()?);
        let attributes = message.get(HEADER_BYTES + 4 + HEADER_BYTES..).unwrap_or_default();
        let text = NlasIterator::new(if header.flags() & NLM_F_ACK_TLVS == 0 { &[] } else { attributes })
            .flatten()
            .find(|attribute| attribute.kind() == ERROR_TEXT)
            .map(|attribute| String::from_utf8_lossy(attribute.value()).trim_end_matches('\0').to_owned());
        let errno = (code != 0).then(|| Errno::from_raw(-code));
        Some(Self { sequence: header.sequence_number(), errno, text })
    }
}

/// nlmsg_type.
fn message_type(message: &[u8]) -> u16 {
    message.get(4..6).map_or(0, |kind| u16::from_ne_bytes([kind[0], kind[1]]))
}

/// Cuts a datagram into messages, each aligned to 4 bytes.
fn messages(mut datagram: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(datagram.get(..4)?.try_into().ok()?) as usize;
        if length < HEADER_BYTES || length > datagram.len() {
            return None;
        }
        let (message, _) = datagram.split_at(length);
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}
