//! The packet recorder against real traffic in network namespaces of its own: what was sent is what was seen.

use std::fs::File;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::process::Command;
use std::thread;

use libtest_mimic::{Completion, Failed, Trial};
use nix::sched::{CloneFlags, setns, unshare};
use workbench::evidence::{CaptureLoss, Direction, Packet};
use workbench::record::packets::Capture;

/// Whatever goes wrong in a trial.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
/// What a trial's body returns.
pub type Outcome = Result<()>;

/// The trials of this file.
pub fn trials() -> Vec<Trial> {
    vec![
        trial("capture_sees_every_packet_of_a_burst_at_both_ends_in_order", burst_over_a_link),
        trial("capture_keeps_each_packet_on_lo_once", loopback_once),
        trial("capture_counts_exactly_what_did_not_fit_into_the_ring", overrun_is_counted),
        trial("capture_keeps_the_first_bytes_and_the_true_length_of_a_long_packet", long_packet_is_cut),
        trial("capture_knows_interfaces_that_appear_after_it_was_opened", late_interface_has_its_name),
        trial("capture_counts_stamps_from_the_zero_of_its_caller", stamps_are_converted),
        trial("capture_says_which_host_it_could_not_enter", wrong_descriptor_is_an_error),
    ]
}

fn trial(name: &str, test: fn() -> Outcome) -> Trial {
    Trial::ignorable_test(name, move || on_thread_with_namespace(test))
}

/// Runs a trial's body on a thread with a network namespace of its own, or skips it where one cannot be made.
pub fn on_thread_with_namespace(
    test: impl FnOnce() -> Outcome + Send + 'static,
) -> std::result::Result<Completion, Failed> {
    let body = move || match unshare(CloneFlags::CLONE_NEWNET) {
        Err(e) => Ok(Completion::ignored_with(format!("needs a network namespace of its own: unshare says {e}"))),
        Ok(()) if Command::new("ip").arg("-V").output().is_err() => Ok(Completion::ignored_with("needs ip(8)")),
        Ok(()) => test().map(|()| Completion::Completed).map_err(|e| Failed::from(e.to_string())),
    };
    thread::spawn(body).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The calling thread's network namespace.
pub fn this_namespace() -> Result<File> {
    Ok(File::open("/proc/thread-self/ns/net")?)
}

/// A network namespace that nobody is in.
pub fn fresh_namespace() -> Result<File> {
    let make = || -> Result<File> {
        unshare(CloneFlags::CLONE_NEWNET)?;
        this_namespace()
    };
    thread::spawn(make).join().map_err(|_| "the thread panicked")?
}

/// What `work` makes on a thread in this namespace.
pub fn in_namespace<T: Send>(netns: &File, work: impl FnOnce() -> T + Send) -> T {
    let body = || {
        setns(netns.as_fd(), CloneFlags::CLONE_NEWNET).expect("the namespace was made by this test");
        work()
    };
    thread::scope(|scope| scope.spawn(body).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Runs ip(8) in the calling thread's namespace.
pub fn ip(arguments: &str) -> Outcome {
    let output = Command::new("ip").args(arguments.split(' ')).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {arguments}: {}", String::from_utf8_lossy(&output.stderr)).into())
}

fn open_here(host: &str) -> Result<Capture> {
    Ok(Capture::open_all(&[(host, this_namespace()?.as_fd())])?.remove(0))
}

/// Sends numbered datagrams, and drains between them if told to.
fn send_numbered(socket: &UdpSocket, count: u32, mut between: impl FnMut()) -> std::io::Result<()> {
    for number in 0..count {
        socket.send(&number.to_be_bytes())?;
        between();
    }
    Ok(())
}

/// Numbers of the datagrams that `send_numbered` sent, in the order of the capture. IPv4, no options.
fn numbers(packets: &[Packet]) -> Vec<u32> {
    let udp = packets.iter().filter(|p| p.bytes.len() == 46 && p.bytes[12..14] == [8, 0] && p.bytes[23] == 17);
    udp.map(|p| u32::from_be_bytes([p.bytes[42], p.bytes[43], p.bytes[44], p.bytes[45]])).collect()
}

fn finish(capture: Capture) -> (Vec<Packet>, Option<CaptureLoss>) {
    capture.finish(&|realtime_ns| realtime_ns)
}

fn loopback_pair() -> Result<(UdpSocket, UdpSocket)> {
    let receiver = UdpSocket::bind("127.0.0.1:9000")?;
    let sender = UdpSocket::bind("127.0.0.1:0")?;
    sender.connect("127.0.0.1:9000")?;
    Ok((sender, receiver))
}

/// A reader on a thread of its own, as the agent is one, while the sender sends as fast as it can.
fn drain_until(mut capture: Capture, stop: &File) -> (Vec<Packet>, Option<CaptureLoss>) {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    loop {
        let ready = {
            let mut polled =
                [PollFd::new(capture.as_fd(), PollFlags::POLLIN), PollFd::new(stop.as_fd(), PollFlags::POLLIN)];
            poll(&mut polled, PollTimeout::NONE).expect("poll of two open descriptors");
            polled.map(|p| p.any().unwrap_or(false))
        };
        capture.drain();
        if ready[1] {
            return finish(capture);
        }
    }
}

fn burst_over_a_link() -> Outcome {
    const DATAGRAMS: u32 = 50_000;
    let server_ns = fresh_namespace()?;
    let peer = format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&server_ns));
    let client_ns = this_namespace()?;
    let mut captures = Capture::open_all(&[("client", client_ns.as_fd()), ("server", server_ns.as_fd())])?;
    ip(&format!("link add eth0 type veth peer name eth0 netns {peer}"))?;
    ip("addr add 10.9.0.1/24 dev eth0")?;
    ip("link set eth0 up")?;
    in_namespace(&server_ns, || ip("addr add 10.9.0.2/24 dev eth0").and_then(|()| ip("link set eth0 up")))?;
    let _receiver = in_namespace(&server_ns, || UdpSocket::bind("10.9.0.2:9000"))?;
    let sender = UdpSocket::bind("10.9.0.1:0")?;
    sender.connect("10.9.0.2:9000")?;

    let (stop, stopper) = std::io::pipe()?;
    let stop = File::from(std::os::fd::OwnedFd::from(stop));
    let server = captures.pop().ok_or("two captures")?;
    let client = captures.pop().ok_or("two captures")?;
    let (sent, received) = thread::scope(|scope| {
        let sent = scope.spawn(|| drain_until(client, &stop));
        let received = scope.spawn(|| drain_until(server, &stop));
        send_numbered(&sender, DATAGRAMS, || ()).expect("sending to a bound socket");
        drop(stopper);
        (sent.join().expect("client's reader"), received.join().expect("server's reader"))
    });
    for (packets, loss) in [&sent, &received] {
        let seen = numbers(packets);
        let lost = loss.as_ref().map_or(0, |l| l.packets) as usize;
        println!("burst of {DATAGRAMS}: {} seen, {lost} lost", seen.len());
        if lost == 0 && seen.len() != DATAGRAMS as usize {
            return Err(format!("{DATAGRAMS} sent, {} seen, and no loss reported", seen.len()).into());
        }
        if seen.len() > DATAGRAMS as usize || seen.len() + lost < DATAGRAMS as usize {
            return Err(format!("{DATAGRAMS} sent, {} seen, {lost} reported lost", seen.len()).into());
        }
        if !seen.is_sorted_by(|a, b| a < b) {
            return Err("datagrams are not in the order they were sent in".into());
        }
        assert!(packets.iter().zip(0..).all(|(p, n)| p.seq == n && p.interface == "eth0"));
    }
    assert!(sent.0.iter().all(|p| p.host == "client") && received.0.iter().all(|p| p.host == "server"));
    let is_udp = |p: &&Packet| p.bytes.len() == 46;
    assert!(sent.0.iter().filter(is_udp).all(|p| p.direction == Direction::Sent));
    assert!(received.0.iter().filter(is_udp).all(|p| p.direction == Direction::Received));
    Ok(())
}

fn loopback_once() -> Outcome {
    ip("link set lo up")?;
    let mut capture = open_here("client")?;
    let (sender, _receiver) = loopback_pair()?;
    send_numbered(&sender, 1000, || capture.drain())?;
    let (packets, loss) = finish(capture);
    assert_eq!(loss, None);
    assert_eq!(numbers(&packets), (0..1000).collect::<Vec<_>>());
    assert!(packets.iter().all(|p| p.direction == Direction::Received && p.interface == "lo"));
    Ok(())
}

fn overrun_is_counted() -> Outcome {
    const DATAGRAMS: u32 = 20_000;
    ip("link set lo up")?;
    let capture = open_here("client")?;
    let (sender, _receiver) = loopback_pair()?;
    send_numbered(&sender, DATAGRAMS, || ())?;
    let (packets, loss) = finish(capture);
    let loss = loss.ok_or("20,000 packets cannot fit into the ring")?;
    assert_eq!(loss.host, "client");
    assert!(!packets.is_empty());
    assert_eq!(numbers(&packets), (0..packets.len() as u32).collect::<Vec<_>>(), "the first ones are kept");
    assert_eq!(packets.len() as u64 + loss.packets, u64::from(DATAGRAMS));
    Ok(())
}

fn long_packet_is_cut() -> Outcome {
    ip("link set lo up")?;
    let capture = open_here("client")?;
    let (sender, _receiver) = loopback_pair()?;
    let payload: Vec<u8> = (0..1400u32).map(|n| n as u8).collect();
    sender.send(&payload)?;
    let (packets, _) = finish(capture);
    assert_eq!(packets.len(), 1);
    assert_eq!(packets[0].wire_len, 14 + 20 + 8 + 1400);
    assert_eq!(packets[0].bytes.len(), 958);
    assert_eq!(packets[0].bytes[42..], payload[..958 - 42]);
    Ok(())
}

fn late_interface_has_its_name() -> Outcome {
    let capture = open_here("client")?;
    ip("link add cable0 type veth peer name cable1")?;
    ip("addr add 10.9.0.1/24 dev cable0")?;
    ip("link set cable1 up")?;
    ip("link set cable0 up")?;
    UdpSocket::bind("10.9.0.1:0")?.send_to(b"anybody", "10.9.0.2:9")?;
    let (packets, _) = finish(capture);
    let is_arp = |p: &&Packet| p.bytes[12..14] == [8, 6];
    let asked: Vec<_> = packets.iter().filter(is_arp).map(|p| (p.interface.as_str(), p.direction)).collect();
    assert_eq!(asked, [("cable0", Direction::Sent), ("cable1", Direction::Received)]);
    Ok(())
}

fn stamps_are_converted() -> Outcome {
    let wall_ns =
        || -> Result<i64> { Ok(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_nanos() as i64) };
    ip("link set lo up")?;
    let capture = open_here("client")?;
    let (sender, _receiver) = loopback_pair()?;
    let before_ns = wall_ns()?;
    sender.send(b"x")?;
    let after_ns = wall_ns()?;
    let (packets, _) = capture.finish(&|realtime_ns| realtime_ns - before_ns);
    assert!((0..=after_ns - before_ns).contains(&packets[0].t_ns), "{} ns", packets[0].t_ns);
    Ok(())
}

fn wrong_descriptor_is_an_error() -> Outcome {
    let not_a_namespace = File::open("/dev/null")?;
    let here = this_namespace()?;
    let error = Capture::open_all(&[("client", here.as_fd()), ("server", not_a_namespace.as_fd())]).err();
    let message = error.ok_or("a file is not a namespace")?.to_string();
    assert!(message.contains("host `server`"), "{message}");
    Ok(())
}
