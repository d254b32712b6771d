#!/usr/bin/env python3
"""A stdio MCP server that answers every tools/call with what it understood: {"name", "arguments"} as its own JSON reader saw
them. `lines`: how it splits its input: "feed" as the protocol says, "unicode" as careless programs do (str.splitlines).
    parrot.py feed|unicode LOG TOOL...     LOG: one line of JSON per call that it would have carried out
"""
import json
import sys

LINES, LOG, TOOLS = sys.argv[1], sys.argv[2], sys.argv[3:]


def answer(message):
    method, more = message.get("method"), {"jsonrpc": "2.0", "id": message.get("id")}
    if method == "initialize":
        return {**more, "result": {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
                                   "serverInfo": {"name": "parrot", "version": "1"}}}
    if method == "tools/list":
        return {**more, "result": {"tools": [{"name": tool, "inputSchema": {"type": "object"}} for tool in TOOLS]}}
    if method == "tools/call":
        seen = {"name": message["params"]["name"], "arguments": message["params"].get("arguments")}
        with open(LOG, "a", encoding="utf-8") as log:
            log.write(json.dumps(seen) + "\n")
        return {**more, "result": {"content": [{"type": "text", "text": json.dumps(seen)}]}}
    return None


for raw in sys.stdin.buffer:
    line = raw.decode()
    for piece in line.splitlines() if LINES == "unicode" else [line]:
        try:
            said = answer(json.loads(piece))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
        if said:
            print(json.dumps(said), flush=True)
