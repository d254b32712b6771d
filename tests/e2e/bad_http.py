#!/usr/bin/env python3
"""bad_http.py LOG: a plain HTTP API that misbehaves in the way the path says. Prints its port; LOG gets one line a
request before anything else happens: the path.
"""
import http.server
import os
import socket
import struct
import sys
import time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def head(self, length, more=()):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        for name, value in more:
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def do_GET(self):
        os.write(self.server.log, f"{self.path}\n".encode())
        self.close_connection = True
        way = self.path.strip("/").split("/")[0]
        if way == "ok":
            self.head(2)
            self.wfile.write(b"ok")
        elif way == "hang":
            time.sleep(20)
        elif way == "hang-in-body":
            self.head(1000)
            self.wfile.write(b"x" * 10)
            time.sleep(20)
        elif way == "reset":
            self.reset()
        elif way == "reset-in-body":
            self.head(1000)
            self.wfile.write(b"x" * 10)
            self.wfile.flush()
            time.sleep(0.2)
            self.reset()
        elif way == "short":
            self.head(1000)
            self.wfile.write(b"x" * 10)
        elif way == "big":
            self.head(10 << 20)
            for _ in range(10):
                self.wfile.write(b"z" * (1 << 20))
        elif way == "drip":
            self.head(40)
            for _ in range(40):
                self.wfile.write(b"d")
                self.wfile.flush()
                time.sleep(0.05)
        elif way == "no-http":
            self.wfile.write(b"220 smtp.example ESMTP\r\n")
        elif way == "two-lengths":
            self.head(2, [("Content-Length", "5")])
            self.wfile.write(b"ok")
        elif way == "huge-head":
            self.head(2, [(f"X-{n}", "h" * 4000) for n in range(30)])
            self.wfile.write(b"ok")


def main(path):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # peers that go are expected
    server.log = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1])
