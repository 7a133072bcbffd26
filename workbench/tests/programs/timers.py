"""Brings about every kind of TCP timer at once, and lets ss(8) look at them: timers.py HOST ROUNDS SECONDS.

HOST drops what is sent to port 80. Both ends of all other connections are here.
"""

import ctypes
import socket
import struct
import subprocess
import sys
import time

HOST, ROUNDS, SECONDS = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])


def pair(receive_buffer=None, family=socket.AF_INET):
    """Both ends of a connection: the one that asked for it, and the one that was asked."""
    listener = socket.socket(family)
    if receive_buffer:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    listener.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
    listener.listen()
    near = socket.create_connection(listener.getsockname()[:2])
    far, _ = listener.accept()
    listener.close()
    return near, far


kept = []

# On: a SYN that nobody answers, one of each family.
for family in (socket.AF_INET, socket.AF_INET6):
    waiting = socket.socket(family)
    waiting.setblocking(False)
    waiting.connect_ex((HOST, 80))
    kept.append(waiting)

# On: data for a peer that has gone deaf. Its kernel throws away what arrives (SO_ATTACH_FILTER, socket(7): `ret 0`).
near, far = pair()
nothing = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))
far.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HL", 1, ctypes.addressof(nothing)))
near.send(b"x")
kept.append((near, far))

# Off: nothing to wait for; a listener.
kept.append(pair())
kept.append(pair(family=socket.AF_INET6))
kept.append(socket.create_server(("127.0.0.1", 0)))

# Keepalive: one that is answered again and again, one with the default of two hours.
for idle in (7, None):
    near, far = pair()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if idle:
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle)
    kept.append((near, far))

# Persist: the peer never reads.
near, far = pair(receive_buffer=4096)
near.setblocking(False)
try:
    while True:
        near.send(b"x" * 4096)
except BlockingIOError:
    pass
kept.append((near, far))

# TIME_WAIT: who closes first. FIN_WAIT2: and the other does not close.
near, far = pair()
near.close()
far.close()
near, far = pair()
near.close()
kept.append(far)

for _ in range(ROUNDS):
    time.sleep(SECONDS)
    subprocess.run(["ss", "-tanoi"], check=True)
