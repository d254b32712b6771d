#!/usr/bin/env python3
"""bad_stdio.py LOG: a stdio MCP server that misbehaves in the way its tool says. LOG gets one line a call before anything
else happens: "tool n".
"""
import json
import os
import sys
import time


def write(data):
    view = memoryview(data)
    while view:
        view = view[os.write(1, view):]


def answer(request, result):
    write(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}).encode() + b"\n")


def text(words):
    return {"content": [{"type": "text", "text": words}]}


def ok(request):
    answer(request, text("ok"))


def slow(request):
    time.sleep(2)
    ok(request)


def big(request):
    answer(request, text("x" * (3 << 20)))


def die(request):
    os._exit(3)


def half(request):
    write(b'{"jsonrpc":"2.0","id":' + json.dumps(request["id"]).encode() + b',"resu')
    os._exit(0)


def garbage(request):
    for line in (b"not json\n", b"\xff\xfe\x00\n", b"[]\n", b'{"jsonrpc":"2.0"}\n', b"{" * 70000 + b"\n", b"\n"):
        write(line)
    ok(request)


def strays(request):
    for n in range(5000):
        write(b'{"jsonrpc":"2.0","id":"nobody-%d","result":{}}\n' % n)
    ok(request)


def endless(request):
    for _ in range(40):
        write(b"y" * (1 << 20))


def never(request):
    pass


def stranger(request):
    answer({"id": "somebody else"}, text("ok"))


def twice(request):
    ok(request)
    answer(request, text("again"))


def error(request):
    write(json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32000, "message": "no"}}).encode() + b"\n")


TOOLS = {f.__name__: f for f in (ok, slow, big, die, half, garbage, strays, endless, never, stranger, twice, error)}


def main(path):
    log = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    for line in sys.stdin:
        request = json.loads(line)
        method, params = request.get("method"), request.get("params", {})
        if method == "tools/call":
            os.write(log, f"{params['name']} {params['arguments']['n']}\n".encode())
            TOOLS[params["name"]](request)
        elif method == "initialize":
            answer(request, {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}},
                             "serverInfo": {"name": "bad", "version": "1"}})
        elif method == "tools/list":
            answer(request, {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in TOOLS]})
        elif "id" in request:
            answer(request, {})


if __name__ == "__main__":
    main(sys.argv[1])
