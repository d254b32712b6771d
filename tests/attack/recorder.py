#!/usr/bin/env python3
"""An HTTP upstream that keeps the very bytes of every request, and answers what it was told to.
    recorder.py LOG ANSWER     prints its port; LOG: one JSON string (latin-1) per request; ANSWER: a file whose bytes are the
                               whole answer of the next requests, `200 {}` while it is not there
"""
import json
import re
import socketserver
import sys
from pathlib import Path

LOG, ANSWER = map(Path, sys.argv[1:3])
DEFAULT = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


class Handler(socketserver.StreamRequestHandler):
    timeout = 20

    def handle(self):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = self.rfile.read(1)
            if not byte:
                return
            head += byte
        length = re.search(rb"(?im)^content-length: *(\d+)", head)
        body = self.rfile.read(int(length[1])) if length else b""
        with open(LOG, "a", encoding="utf-8") as log:
            log.write(json.dumps((head + body).decode("latin-1")) + "\n")
        said = ANSWER.read_bytes() if ANSWER.exists() else DEFAULT
        message = re.search(rb'"id":("[^"]*"|\d+)', body)
        self.wfile.write(said.replace(b"@ID@", message[1] if message else b"null"))


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


with Server(("127.0.0.1", 0), Handler) as server:
    print(server.server_address[1], flush=True)
    server.serve_forever(0.2)
