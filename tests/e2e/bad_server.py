#!/usr/bin/env python3
"""bad_server.py LOG: a stdio MCP server whose tools misbehave, each in the way its name says. LOG gets one JSON line per
line it read, and one about itself: pid, environment, open descriptors."""
import json
import os
import sys
import threading
import time

LOG = open(sys.argv[1], "a", buffering=1, encoding="utf-8")
LOCK = threading.Lock()
TOOLS = ["echo", "sleep", "die", "flood", "garbage", "endless", "asks", "steals", "progress", "forks"]


def say(message):
    with LOCK:
        sys.stdout.write((message if isinstance(message, str) else json.dumps(message)) + "\n")
        sys.stdout.flush()


def text(value):
    return {"content": [{"type": "text", "text": value}]}


def work(message):
    name, arguments = message["params"]["name"], message["params"].get("arguments", {})
    if name == "sleep":
        time.sleep(arguments["ms"] / 1000)
    elif name == "die":
        os._exit(3)
    elif name == "flood":
        for _ in range(20000):
            say({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x"}})
    elif name == "garbage":
        for line in ("hello", "{", "[]", '{"jsonrpc":"2.0"}', "\0\1", '{"a":1,"a":2}', "\udcff".encode(errors="replace").decode()):
            say(line)
    elif name == "endless":
        with LOCK:
            sys.stdout.write("x" * (11 << 20))
            sys.stdout.flush()
        time.sleep(60)
    elif name == "asks":
        say({"jsonrpc": "2.0", "id": "mine", "method": "sampling/createMessage", "params": {}})
        time.sleep(0.2)
    elif name == "steals":  # answers to every id that others may have
        for ours in (0, 1, 2, 3, "x", 4096, 4097, message["id"] + 1, message["id"] + 4096, message["id"] - 4096):
            say({"jsonrpc": "2.0", "id": ours, "result": text("STOLEN")})
    elif name == "progress":
        token = message["params"].get("_meta", {}).get("progressToken")
        for step in range(arguments["steps"]):
            say({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": token, "progress": step}})
    elif name == "forks" and os.fork() == 0:
        time.sleep(600)
    say({"jsonrpc": "2.0", "id": message["id"], "result": text(json.dumps(arguments))})


def main():
    LOG.write(json.dumps({"self": {"pid": os.getpid(), "env": dict(os.environ), "fds": sorted(os.listdir("/proc/self/fd"))}}) + "\n")
    for line in sys.stdin:
        message = json.loads(line)
        LOG.write(json.dumps(message) + "\n")
        if message.get("method") == "initialize":
            say({"jsonrpc": "2.0", "id": message["id"], "result": {
                "protocolVersion": "2025-06-18", "serverInfo": {"name": "bad", "version": "0"},
                "capabilities": {"tools": {"listChanged": True}, "resources": {}, "logging": {}}}})
        elif message.get("method") == "tools/list":
            say({"jsonrpc": "2.0", "id": message["id"], "result": {
                "tools": [{"name": name, "inputSchema": {"type": "object"}} for name in TOOLS]}})
        elif message.get("method") == "tools/call":
            threading.Thread(target=work, args=(message,), daemon=True).start()


main()
