"""Lets the kernel's timers end things, one after the other, and says when each began and ended.

Arguments: names of the functions below. Prints one JSON object a line, times in nanoseconds of CLOCK_MONOTONIC. Both ends
of each connection are in this process, on the loopback interface. A filter that takes nothing makes a peer deaf.
"""

import ctypes
import errno
import json
import socket
import struct
import sys
import time

SO_ATTACH_FILTER = 26
TCP_INFO_RTO = slice(8, 12)
STATES = {3: "SYN_RECV", 4: "FIN_WAIT1", 5: "FIN_WAIT2", 6: "TIME_WAIT"}


def now():
    return time.monotonic_ns()


def say(what, start_ns, **more):
    print(json.dumps({"what": what, "start_ns": start_ns, "end_ns": now(), **more}), flush=True)


def deafen(sock):
    """BPF_RET|BPF_K 0: of every packet nothing is taken."""
    program = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(program)))


def rto_us(sock):
    return struct.unpack("I", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)[TCP_INFO_RTO])[0]


def pair(options=(), receive_buffer=None):
    listener = socket.socket()
    if receive_buffer:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    client = socket.socket()
    for level, name, value in options:
        client.setsockopt(level, name, value)
    begun = now()
    client.connect(listener.getsockname())
    server, _ = listener.accept()
    listener.close()
    return client, server, begun


def fails(call, *arguments):
    try:
        call(*arguments)
        return "nothing"
    except OSError as error:
        return errno.errorcode[error.errno]


def tcp(name, value):
    return socket.IPPROTO_TCP, name, value


def connects():
    """To nobody: the peer's packet filter drops. TCP_SYNCNT from 1 to 6."""
    for count in range(1, 7):
        sock = socket.socket()
        sock.setsockopt(*tcp(socket.TCP_SYNCNT, count))
        start = now()
        error = fails(sock.connect, ("server", 80))
        say("connect", start, error=error, syn_count=count)
        time.sleep(0.3217)


def connects_by_default():
    sock = socket.socket()
    start = now()
    say("connect", start, error=fails(sock.connect, ("server", 80)))


def connects_with_user_timeout():
    for ms in (300, 1_500, 5_000, 20_000):
        sock = socket.socket()
        sock.setsockopt(*tcp(socket.TCP_USER_TIMEOUT, ms))
        start = now()
        error = fails(sock.connect, ("server", 80))
        say("connect", start, error=error, user_timeout_ms=ms)
        time.sleep(0.0717)


def retransmits(user_timeout_ms=None):
    options = [tcp(socket.TCP_USER_TIMEOUT, user_timeout_ms)] if user_timeout_ms else []
    client, server, _ = pair(options)
    time.sleep(0.1533)
    deafen(server)
    start = now()
    client.send(b"x")
    rto = rto_us(client)
    error = fails(client.recv, 1)
    say("retransmissions", start, error=error, rto_us=rto, port=server.getsockname()[1], user_timeout_ms=user_timeout_ms)


def retransmits_with_user_timeout():
    for ms in (250, 900, 5_000, 31_000):
        retransmits(ms)


def keeps_alive():
    keep = lambda idle, interval, count: [
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        tcp(socket.TCP_KEEPIDLE, idle),
        tcp(socket.TCP_KEEPINTVL, interval),
        tcp(socket.TCP_KEEPCNT, count),
    ]
    for idle, interval, count, heard_after_s, user_timeout_ms in (
        (5, 1, 3, 0, None),
        (70, 7, 2, 0, None),
        (10, 2, 9, 3.1, None),
        (5, 1, 9, 0, 7_500),
    ):
        options = keep(idle, interval, count)
        options += [tcp(socket.TCP_USER_TIMEOUT, user_timeout_ms)] if user_timeout_ms else []
        client, server, start = pair(options)
        heard = start
        if heard_after_s:
            time.sleep(heard_after_s)
            heard = now()
            server.send(b"x")
            client.recv(1)
            time.sleep(0.5)
        deafen(server)
        error = fails(client.recv, 1)
        say(
            "keepalive",
            start,
            error=error,
            heard_ns=heard,
            keep_idle_s=idle,
            keep_interval_s=interval,
            keep_count=count,
            user_timeout_ms=user_timeout_ms,
        )


def keeps_alive_by_default():
    client, server, start = pair([(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)])
    deafen(server)
    say("keepalive", start, error=fails(client.recv, 1), heard_ns=start)


def probes(user_timeout_ms=None):
    options = [tcp(socket.TCP_USER_TIMEOUT, user_timeout_ms)] if user_timeout_ms else []
    client, server, _ = pair(options, receive_buffer=4096)
    client.setblocking(False)
    # Until nothing more moves: both buffers are full, and all that is on the way has been acknowledged.
    while True:
        try:
            client.send(b"x" * 1024)
        except BlockingIOError:
            break
    time.sleep(0.19)
    deafen(server)
    client.setblocking(True)
    rto = rto_us(client)
    begun = now()
    error = fails(client.recv, 1)
    say("persist", begun, error=error, rto_us=rto, port=client_port(server), user_timeout_ms=user_timeout_ms)


def client_port(server):
    return server.getpeername()[1]


def probes_with_user_timeout():
    for ms in (500, 1_300):
        probes(ms)


def socket_times_out():
    client, server, _ = pair()
    for ms in (1, 40, 1_500, 7_003, 100_000):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", ms // 1000, ms % 1000 * 1000))
        start = now()
        say("socket timeout", start, error=fails(client.recv, 1), timeout_ms=ms)


def state_of(port):
    """The state of the socket with this local port that is no listener, from /proc/net/tcp; None if it is gone."""
    listens = "0A"
    for line in open("/proc/net/tcp").readlines()[1:]:
        fields = line.split()
        if int(fields[1].split(":")[1], 16) == port and fields[3] != listens:
            return STATES.get(int(fields[3], 16), fields[3])
    return None


def lasts(port, state):
    """Waits for the state and its end; looks every 20 ms. When it began."""
    while state_of(port) != state:
        time.sleep(0.001)
    begun = now()
    while state_of(port) == state:
        time.sleep(0.02)
    return begun


def lingers():
    client, server, _ = pair()
    port, rto = client.getsockname()[1], rto_us(client)
    client.close()
    begun = lasts(port, "FIN_WAIT2")
    say("FIN_WAIT2", begun, rto_us=rto, error=str(state_of(port)))
    client, server, _ = pair()
    port = client.getsockname()[1]
    client.close()
    time.sleep(0.0731)
    server.close()
    begun = lasts(port, "TIME_WAIT")
    say("TIME_WAIT", begun, error=str(state_of(port)))


def is_orphaned():
    client, server, _ = pair()
    port = client.getsockname()[1]
    time.sleep(0.0512)
    deafen(server)
    start = now()
    client.send(b"x")
    rto = rto_us(client)
    client.close()
    lasts(port, "FIN_WAIT1")
    say("orphan", start, rto_us=rto, error=str(state_of(port)))


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    return ~(total % 0xFFFF) & 0xFFFF


def half_opens():
    """A SYN in the name of the server's port 80, where everything is dropped: nobody answers the SYN-ACK."""
    theirs = socket.gethostbyname("server")
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    probe.connect((theirs, 1))
    ours = probe.getsockname()[0]
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for port, count in ((8001, 2), (8002, None)):
        listener = socket.socket()
        listener.bind((ours, port))
        listener.listen()
        if count:
            listener.setsockopt(*tcp(socket.TCP_SYNCNT, count))
        addresses = socket.inet_aton(theirs) + socket.inet_aton(ours)
        segment = lambda of: struct.pack("!HHIIBBHHH", 80, port, 1, 0, 5 << 4, 2, 1024, of, 0)
        syn = segment(checksum(addresses + struct.pack("!HH", 6, 20) + segment(0)))
        packet = struct.pack("!BBHHHBBH", 0x45, 0, 40, 1, 0, 64, 6, 0) + addresses + syn
        start = now()
        raw.sendto(packet, (ours, 0))
        lasts(port, "SYN_RECV")
        say("SYN-ACK", start, error=str(state_of(port)), syn_count=count, port=port)
        listener.close()
        time.sleep(0.0931)


def asks_for_neighbours():
    ours = socket.gethostbyname("server").split(".")
    for last in (77, 78, 79):
        sock = socket.socket()
        start = now()
        error = fails(sock.connect, (".".join(ours[:3] + [str(last)]), 80))
        say("neighbour", start, error=error)
        time.sleep(0.0117)


for name in sys.argv[1:]:
    globals()[name]()
