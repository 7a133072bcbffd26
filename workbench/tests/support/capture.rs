//! Looks at the lab from inside its hosts: moving in, capturing frames, sending numbered datagrams, asking oracles.

use std::io::IoSliceMut;
use std::net::{IpAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::Command;
use std::time::Duration;

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, recvmsg, setsockopt,
    socket, sockopt,
};
use workbench::lab::Lab;

/// Frames that nobody sends never come: how long to look for them.
const NOTHING_MORE: Duration = Duration::from_millis(300);

/// Runs something with the calling thread inside a host.
pub fn inside<T>(lab: &Lab, host: &str, work: impl FnOnce() -> T) -> T {
    let home = std::fs::File::open("/proc/thread-self/ns/net").expect("own namespace");
    setns(lab.netns(host).expect("the host"), CloneFlags::CLONE_NEWNET).expect("entering the host");
    let result = work();
    setns(&home, CloneFlags::CLONE_NEWNET).expect("coming home");
    result
}

/// What a program prints, run inside a host; it must succeed.
pub fn oracle(lab: &Lab, host: &str, command: &str) -> String {
    let words: Vec<&str> = command.split_whitespace().collect();
    let output = inside(lab, host, || Command::new(words[0]).args(&words[1..]).output()).expect(command);
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// As [`oracle`], for a program that prints JSON.
pub fn oracle_json(lab: &Lab, host: &str, command: &str) -> serde_json::Value {
    serde_json::from_str(&oracle(lab, host, command)).expect("JSON")
}

/// A frame at one of a host's interfaces.
#[derive(Debug)]
pub struct Frame {
    /// Left the host, rather than came in.
    pub is_outgoing: bool,
    /// Kernel's stamp, CLOCK_REALTIME.
    pub stamp_ns: i64,
    /// From the Ethernet header on.
    pub bytes: Vec<u8>,
}

/// Everything that crosses the interfaces of one host.
pub struct Capture {
    socket: OwnedFd,
}

impl Capture {
    /// Starts capturing in a host.
    pub fn start(lab: &Lab, host: &str) -> Self {
        inside(lab, host, || {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            let socket = socket(AddressFamily::Packet, SockType::Raw, flags, SockProtocol::EthAll).expect("capture");
            setsockopt(&socket, sockopt::ReceiveTimestampns, &true).expect("stamps");
            Self { socket }
        })
    }

    /// What has been captured so far.
    pub fn frames(&self) -> Vec<Frame> {
        let mut buffer = vec![0; 65_549];
        let mut frames = Vec::new();
        loop {
            let mut space = nix::cmsg_space!(libc::timespec);
            let mut slices = [IoSliceMut::new(&mut buffer)];
            let fd = self.socket.as_fd().as_raw_fd();
            let message = match recvmsg::<LinkAddr>(fd, &mut slices, Some(&mut space), MsgFlags::empty()) {
                Ok(message) => message,
                Err(Errno::EAGAIN) => return frames,
                Err(error) => panic!("capturing: {error}"),
            };
            let stamp_ns = message.cmsgs().expect("stamps").find_map(|control| match control {
                ControlMessageOwned::ScmTimestampns(stamp) => Some(stamp.tv_sec() * 1_000_000_000 + stamp.tv_nsec()),
                _ => None,
            });
            let is_outgoing = message.address.expect("an address").pkttype() == libc::PACKET_OUTGOING;
            let length = message.bytes;
            let bytes = buffer[..length].to_vec();
            frames.push(Frame { is_outgoing, stamp_ns: stamp_ns.expect("a stamp"), bytes });
        }
    }
}

/// Sends datagrams numbered from 1 from one host to another's port and returns the numbers that arrive.
pub fn numbers_that_arrive(lab: &Lab, from: &str, to: &str, address: IpAddr, port: u16, count: u32) -> Vec<u32> {
    let receiver = inside(lab, to, || UdpSocket::bind((address, port))).expect("a port");
    send_numbers(lab, from, address, port, count);
    receiver.set_read_timeout(Some(NOTHING_MORE)).expect("a timeout");
    let mut buffer = [0; 64];
    let mut arrived = Vec::new();
    while let Ok(length) = receiver.recv(&mut buffer) {
        arrived.push(u32::from_be_bytes(buffer[..length].try_into().expect("a number")));
    }
    arrived
}

/// Sends datagrams of 4 bytes, numbered from 1; what the kernel says about them does not matter.
pub fn send_numbers(lab: &Lab, from: &str, address: IpAddr, port: u16, count: u32) {
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let sender = inside(lab, from, || UdpSocket::bind(any)).expect("a socket");
    for number in 1..=count {
        let _ = sender.send_to(&number.to_be_bytes(), (address, port));
    }
}
