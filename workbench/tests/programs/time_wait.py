"""A connection that is closed here first, and then the peer's end; after that, nothing for a while: time_wait.py SECONDS."""

import socket
import sys
import time

listener = socket.create_server(("127.0.0.1", 0))
near = socket.create_connection(listener.getsockname())
far, _ = listener.accept()
for end in (near, far, listener):
    end.close()
time.sleep(float(sys.argv[1]))
