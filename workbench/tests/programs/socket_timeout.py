"""Waits with socket.settimeout: `connect ADDRESS PORT` for a connection, `recv ADDRESS PORT` for data on one."""

import socket
import sys

mode, address, port = sys.argv[1:]
peer = socket.socket()
if mode == "connect":
    peer.settimeout(2)
    peer.connect((address, int(port)))
else:
    peer.connect((address, int(port)))
    peer.settimeout(2)
    peer.recv(1)
