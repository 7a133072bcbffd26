"""A connection that is idle for a while, with SO_KEEPALIVE on both ends: idle.py SECONDS."""

import socket
import sys
import time

listener = socket.create_server(("127.0.0.1", 0))
near = socket.create_connection(listener.getsockname())
far, _ = listener.accept()
for end in (near, far):
    end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
near.send(b"hello")
far.recv(16)
time.sleep(float(sys.argv[1]))
