"""Sockets in every state and with every timer that one host can bring about, and what programs print of them.

Prints, at the moments (seconds) that are its arguments, `ss -tanoi`, `netstat -antpo` and /proc/net/tcp and tcp6, each
below a line `=== NAME`. The scenario drops data to port 90, a FIN to port 91 and from port 93, and to
port 92 the end of the handshake.
"""

import socket
import subprocess
import sys
import time

BEGAN = time.monotonic()
KEPT = []


def kept(made):
    KEPT.append(made)
    return made


def listener(address, port, family=socket.AF_INET, only_v6=False, device=None, backlog=5):
    made = kept(socket.socket(family))
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if only_v6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if device:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device)
    if port == 84:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.bind((address, port))
    made.listen(backlog)
    return made


def begun(address, family=socket.AF_INET):
    made = kept(socket.socket(family))
    made.setblocking(False)
    made.connect_ex(address)
    return made


def pair(of, address):
    one = kept(socket.create_connection(address))
    return one, kept(of.accept()[0])


def keepalive(made, idle=None):
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if idle:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, idle)


def make():
    plain = listener("127.0.0.1", 80)
    both = listener("::", 81, socket.AF_INET6, backlog=7)
    listener("::", 82, socket.AF_INET6, only_v6=True)
    listener("127.0.0.1", 83, device=b"lo")
    small = listener("127.0.0.1", 84)
    lossy = [listener("127.0.0.1", port) for port in (90, 91, 93)]
    listener("127.0.0.1", 92)

    # Idle; unread; with the usual keepalive and a short one; IPv6; IPv4 in IPv6.
    one, _ = pair(plain, ("127.0.0.1", 80))
    one.send(b"x" * 1000)
    keepalive(pair(plain, ("127.0.0.1", 80))[0])
    keepalive(pair(plain, ("127.0.0.1", 80))[0], idle=3)
    pair(both, ("::1", 81))
    pair(both, ("127.0.0.1", 81))
    # TIME-WAIT; FIN-WAIT-2 without and with a process; CLOSE-WAIT.
    one, other = pair(plain, ("127.0.0.1", 80))
    one.close()
    other.close()
    pair(plain, ("127.0.0.1", 80))[0].close()
    pair(plain, ("127.0.0.1", 80))[0].shutdown(socket.SHUT_WR)
    # LAST-ACK: the answer to a FIN is one that is dropped.
    one, other = pair(lossy[2], ("127.0.0.1", 93))
    one.shutdown(socket.SHUT_WR)
    other.close()
    # A window of zero.
    one, _ = pair(small, ("127.0.0.1", 84))
    one.setblocking(False)
    try:
        while True:
            one.send(b"x" * 1000)
    except BlockingIOError:
        pass
    # RTO of data, of a FIN without a process, of a SYN in both families; SYN-RECV.
    pair(lossy[0], ("127.0.0.1", 90))[0].send(b"x" * 3000)
    pair(lossy[1], ("127.0.0.1", 91))[0].close()
    begun(("server", 79))
    begun(("server", 79), socket.AF_INET6)
    begun(("127.0.0.1", 92))
    # Not accepted.
    kept(socket.create_connection(("127.0.0.1", 80)))


def show():
    for name, command in (
        ("ss", ["ss", "-tanoi"]),
        ("netstat", ["netstat", "-antpo"]),
        ("tcp", ["cat", "/proc/net/tcp"]),
        ("tcp6", ["cat", "/proc/net/tcp6"]),
    ):
        print("===", name, flush=True)
        subprocess.run(command, check=True)


make()
for moment in sys.argv[1:]:
    time.sleep(max(0.0, BEGAN + float(moment) - time.monotonic()))
    show()
