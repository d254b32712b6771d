#!/usr/bin/env python3
"""killable_upstream.py LOG: a stdio MCP server with one tool, do {n}, whose whole effect is one durable line in LOG.
Dies by SIGKILL at a point of its own when the test has armed it (a file in $ATTORN_POINTS), or kills its gateway.
"""
import json
import os
import signal
import sys

POINTS = os.environ.get("ATTORN_POINTS", "")


def point(name, victim=None):
    try:
        os.unlink(f"{POINTS}/{name}")
    except OSError:
        return
    os.kill(victim or os.getpid(), signal.SIGKILL)


def write(text):
    os.write(1, text.encode())


def call(log, message):
    point("upstream.before_effect")
    os.write(log, f"{message['params']['arguments']['n']}\n".encode())
    os.fsync(log)
    point("upstream.after_effect")
    point("gateway.while_upstream_works", os.getppid())
    answer = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": {"content": [{"type": "text", "text": "done"}]}})
    half = len(answer) // 2
    write(answer[:half])
    point("upstream.half_answered")
    write(answer[half:] + "\n")


def main(path):
    log = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    with open(path + ".pids", "a", encoding="utf-8") as pids:
        pids.write(f"{os.getpid()}\n")
    for line in sys.stdin:
        message = json.loads(line)
        if message.get("method") == "tools/call":
            call(log, message)
        elif message.get("method") == "initialize":
            write(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": {
                "protocolVersion": message["params"]["protocolVersion"], "capabilities": {"tools": {}},
                "serverInfo": {"name": "killable", "version": "1"}}}) + "\n")
        elif message.get("method") == "tools/list":
            write(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": {"tools": [
                {"name": "do", "inputSchema": {"type": "object"}}]}}) + "\n")
        elif "id" in message:
            write(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": {}}) + "\n")


main(sys.argv[1])
