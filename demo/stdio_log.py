#!/usr/bin/env python3
"""stdio_log.py LOG COMMAND...: runs a stdio server and keeps the log it does not keep itself: each line that
reaches it, as {"at": ms, "line": "..."}, on disk before the server sees it. Output is the server's own.
Ends as the server ends: stdin's end is passed on, so are SIGTERM and SIGINT.
"""
import json
import os
import signal
import subprocess
import sys
import threading
import time


def forward(log, server):
    """Copies stdin to the log, then to the server; a server that is gone ends the copying."""
    try:
        for line in sys.stdin.buffer:
            text = line.decode(errors="replace").rstrip("\n")
            os.write(log, (json.dumps({"at": int(time.time() * 1000), "line": text}) + "\n").encode())
            server.stdin.write(line)
            server.stdin.flush()
        server.stdin.close()
    except BrokenPipeError:
        pass


def main(log_path, command):
    log = os.open(log_path, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    stops = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)  # until there is somebody to pass them on to
    server = subprocess.Popen(command, stdin=subprocess.PIPE,
                              preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, stops))
    for number in stops:
        signal.signal(number, lambda got, _: server.send_signal(got))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, stops)
    threading.Thread(target=forward, args=(log, server), daemon=True).start()
    code = server.wait()
    sys.stdout.flush()
    os._exit(code if code >= 0 else 128 - code)  # the copying thread may still wait for stdin


main(sys.argv[1], sys.argv[2:])
