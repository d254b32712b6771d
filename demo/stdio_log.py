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
import time


def main(log_path, command):
    log = os.open(log_path, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    child = subprocess.Popen(command, stdin=subprocess.PIPE)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _: child.send_signal(got))
    try:
        for line in sys.stdin.buffer:
            text = line.decode(errors="replace").rstrip("\n")
            os.write(log, (json.dumps({"at": int(time.time() * 1000), "line": text}) + "\n").encode())
            child.stdin.write(line)
            child.stdin.flush()
        child.stdin.close()
    except BrokenPipeError:
        pass
    code = child.wait()
    return code if code >= 0 else 128 - code


sys.exit(main(sys.argv[1], sys.argv[2:]))
