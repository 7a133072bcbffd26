//! A packet socket with a memory-mapped receive ring (packet(7), Documentation/networking/packet_mmap.rst).
//!
//! One socket sees every interface of the network namespace it was made in. The ring is TPACKET_V2, which hands each
//! frame over as soon as it is written: a packet was visible 0.04 ms after it was sent, 0.1 ms at most. TPACKET_V3 hands
//! over whole blocks, when one is full or when its timer fires. With a timer of 1 ms that took 0.7 ms, 1.4 ms at most,
//! and a thousand wake-ups of an idle machine every second, for the timer never stops: in virtual time nothing else
//! would tick. The price is paid in bursts: a wake-up of the reader for every seven packets instead of two hundred, and
//! 2.5 us of its time for each packet instead of 0.3.
//!
//! What the packets mean, and where they are kept, is not decided here.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// Bytes of one frame: 66 for its two headers and their alignment, and the first 958 of the packet.
const FRAME_BYTES: usize = 1024;
/// Frames in the ring. A burst may run this far ahead of the reader before packets are lost: 20 ms of 200,000 packets
/// in a second. Making a ring of this size takes 1 ms of CPU time, and time in proportion.
const FRAMES: usize = 4096;
/// The ring's memory is allocated in pieces of this size: single pages. A mapping of larger ones breaks the page tables of
/// User-Mode Linux when it is taken down ("Bad page map", seen on 6.12 and 7.2, blocks of 64 KiB).
const BLOCK_BYTES: usize = 4096;
const RING_BYTES: usize = FRAME_BYTES * FRAMES;

/// Where a frame's `sockaddr_ll` stands: behind the header, both aligned to 16 (TPACKET_ALIGNMENT).
const ADDRESS_OFFSET: usize = size_of::<libc::tpacket2_hdr>().next_multiple_of(16);

/// `sll_pkttype` of a packet that this namespace sends.
pub const PACKET_OUTGOING: u8 = libc::PACKET_OUTGOING;

/// One packet in the ring.
#[derive(Debug)]
pub struct Frame<'a> {
    /// Interface it crossed.
    pub ifindex: i32,
    /// Which way and to whom: `PACKET_HOST`, `PACKET_OUTGOING`, … (packet(7)).
    pub pkttype: u8,
    /// Kernel's stamp on CLOCK_REALTIME.
    pub realtime_ns: i64,
    /// Length of the packet, link-layer header included.
    pub wire_len: u32,
    /// Its first bytes.
    pub bytes: &'a [u8],
}

/// The socket and its mapped ring. Dropping it closes the socket, which waits for RCU grace periods (24 ms measured).
#[derive(Debug)]
pub struct PacketRing {
    socket: OwnedFd,
    base: NonNull<u8>,
    /// The frame that the kernel fills next, or has filled.
    head: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and only this value points to it.
unsafe impl Send for PacketRing {}

impl PacketRing {
    /// Opens one in the calling thread's network namespace. From the return on, every packet is recorded.
    ///
    /// Takes about 8 ms of waiting: packet_set_ring() in net/packet/af_packet.c waits for an RCU grace period, whether
    /// or not the socket is running. Several threads wait for the same one together.
    ///
    /// # Errors
    /// The kernel's: EPERM without CAP_NET_RAW, EAFNOSUPPORT or ENOPROTOOPT without AF_PACKET or its ring, ENOMEM.
    pub fn open() -> io::Result<Self> {
        // Protocol 0: nothing is received before the ring stands, so that nothing waits outside it.
        let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)?;
        set_option(&socket, libc::SOL_PACKET, libc::PACKET_VERSION, &(libc::tpacket_versions::TPACKET_V2 as i32))?;
        let ring = libc::tpacket_req {
            tp_block_size: BLOCK_BYTES as u32,
            tp_block_nr: (RING_BYTES / BLOCK_BYTES) as u32,
            tp_frame_size: FRAME_BYTES as u32,
            tp_frame_nr: FRAMES as u32,
        };
        set_option(&socket, libc::SOL_PACKET, libc::PACKET_RX_RING, &ring)?;
        refuse_loopback_outgoing(&socket)?;
        let length = NonZeroUsize::new(RING_BYTES).expect("a constant above 0");
        let flags = MapFlags::MAP_SHARED;
        // SAFETY: a new mapping at an address of the kernel's choice, of the size the ring was just made with.
        let mapped = unsafe { mmap(None, length, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, flags, &socket, 0) }?;
        let ring = Self { socket, base: mapped.cast(), head: 0 };
        ring.receive_everything()?;
        Ok(ring)
    }

    /// Binds to all protocols and all interfaces, which starts the recording.
    fn receive_everything(&self) -> io::Result<()> {
        let address = libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as u16,
            sll_protocol: (libc::ETH_P_ALL as u16).to_be(),
            sll_ifindex: 0,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        };
        let length = size_of_val(&address) as libc::socklen_t;
        // SAFETY: `address` lives through the call and `length` is its size.
        let result = unsafe { libc::bind(self.socket.as_raw_fd(), (&raw const address).cast(), length) };
        Errno::result(result)?;
        Ok(())
    }

    /// Shows the oldest packet to `visit` and gives its frame back to the kernel. `None` if there is none.
    pub fn pop<T>(&mut self, visit: impl FnOnce(Frame<'_>) -> T) -> Option<T> {
        // SAFETY: `head` is below FRAMES, so the frame lies within the mapping.
        let start = unsafe { self.base.add(self.head * FRAME_BYTES) };
        // SAFETY: the status is an aligned word that the kernel and we only touch as a whole.
        let status = unsafe { AtomicU32::from_ptr(start.as_ptr().cast()) };
        // Acquire: the kernel writes the frame first and its status last (__packet_set_status).
        if status.load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
            return None;
        }
        let result = visit(read_frame(start));
        status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.head = (self.head + 1) % FRAMES;
        Some(result)
    }

    /// How many packets found the ring full since the last call (`PACKET_STATISTICS`).
    ///
    /// # Errors
    /// None that a kernel with this socket gives (packet_getsockopt in net/packet/af_packet.c).
    pub fn take_drops(&self) -> io::Result<u64> {
        let mut statistics = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
        let mut length = size_of_val(&statistics) as libc::socklen_t;
        let fd = self.socket.as_raw_fd();
        let value = (&raw mut statistics).cast();
        // SAFETY: `value` points to `length` writable bytes that live through the call.
        let result = unsafe { libc::getsockopt(fd, libc::SOL_PACKET, libc::PACKET_STATISTICS, value, &mut length) };
        Errno::result(result)?;
        Ok(statistics.tp_drops.into())
    }

    /// Name of an interface in the socket's namespace, wherever the caller is by now.
    ///
    /// # Errors
    /// ENODEV if there is none of this index (any more).
    pub fn interface_name(&self, ifindex: i32) -> io::Result<String> {
        super::interface::name(self.socket.as_fd(), ifindex)
    }

    /// Leaves socket and ring to the end of the process.
    pub fn leak(self) {
        std::mem::forget(self);
    }
}

impl AsFd for PacketRing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for PacketRing {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours alone, and no frame outlives `pop`.
        let result = unsafe { munmap(self.base.cast(), RING_BYTES) };
        debug_assert_eq!(result, Ok(()));
    }
}

/// Reads a frame that the kernel has handed over; it does not touch it again before its status says so.
fn read_frame<'a>(start: NonNull<u8>) -> Frame<'a> {
    // SAFETY: a frame starts with this header, at an address aligned to FRAME_BYTES.
    let header = unsafe { start.cast::<libc::tpacket2_hdr>().read() };
    // SAFETY: a frame is longer than its two headers.
    let address = unsafe { start.add(ADDRESS_OFFSET) };
    // SAFETY: `address` is aligned to 16 and holds this structure.
    let address = unsafe { address.cast::<libc::sockaddr_ll>().read() };
    let offset = usize::from(header.tp_mac).min(FRAME_BYTES);
    let length = (header.tp_snaplen as usize).min(FRAME_BYTES - offset);
    // SAFETY: `offset` is at most FRAME_BYTES.
    let bytes = unsafe { start.add(offset) };
    // SAFETY: `offset + length` is at most FRAME_BYTES, and all of the ring is initialised memory.
    let bytes = unsafe { std::slice::from_raw_parts(bytes.as_ptr(), length) };
    Frame {
        ifindex: address.sll_ifindex,
        pkttype: address.sll_pkttype,
        realtime_ns: i64::from(header.tp_sec) * 1_000_000_000 + i64::from(header.tp_nsec),
        wire_len: header.tp_len,
        bytes,
    }
}

/// A packet on `lo` crosses it twice, out and in at once: the kernel keeps the first one from the ring.
fn refuse_loopback_outgoing(socket: &OwnedFd) -> io::Result<()> {
    /// `lo` is always the first device of a namespace (LOOPBACK_IFINDEX in include/net/flow.h).
    const LOOPBACK_IFINDEX: u32 = 1;
    let load = |field: i32| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, (libc::SKF_AD_OFF + field) as u32);
    let unless = |value: u32, skip: u8| libc::sock_filter {
        code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
        jt: 0,
        jf: skip,
        k: value,
    };
    let mut program = [
        load(libc::SKF_AD_PKTTYPE),
        unless(libc::PACKET_OUTGOING.into(), 3),
        load(libc::SKF_AD_IFINDEX),
        unless(LOOPBACK_IFINDEX, 1),
        statement(libc::BPF_RET | libc::BPF_K, 0),
        statement(libc::BPF_RET | libc::BPF_K, u32::MAX),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    set_option(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &filter)
}

/// One instruction that does not jump.
fn statement(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

fn set_option<T>(socket: &OwnedFd, level: i32, name: i32, value: &T) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` lives through the call and `length` is its size.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, std::ptr::from_ref(value).cast(), length) };
    Errno::result(result)?;
    Ok(())
}
