#!/usr/bin/env python3
"""keyed_server.py KEY LOG: an MCP server over HTTP that wants `Authorization: Bearer KEY` on every request and forgets all
its sessions when it is told `forget`. LOG gets one JSON line per request. Prints its port."""
import json
import sys
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY, LOG = sys.argv[1], open(sys.argv[2], "a", buffering=1, encoding="utf-8")
SESSIONS = set()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def reply(self, status, document=None, **headers):
        body = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if body:
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_DELETE(self):
        self.do_POST()

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        LOG.write(json.dumps({"method": self.command, "headers": dict(self.headers), "body": body.decode()}) + "\n")
        if self.headers.get("Authorization") != f"Bearer {KEY}":
            return self.reply(401, {}, WWW_Authenticate='Bearer realm="upstream"')
        if self.command == "DELETE":
            return self.reply(200)
        message = json.loads(body)
        params = message.get("params", {})
        if message["method"] == "initialize":
            SESSIONS.add(made := uuid.uuid4().hex)
            return self.reply(200, {"jsonrpc": "2.0", "id": message["id"], "result": {
                "protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}},
                "serverInfo": {"name": "keyed", "version": "1"}}}, Mcp_Session_Id=made)
        if self.headers.get("Mcp-Session-Id") not in SESSIONS:
            return self.reply(404)
        if "id" not in message:
            return self.reply(202)
        if message["method"] == "tools/list":
            result = {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}, {"name": "hidden", "inputSchema": {}}]}
        else:
            result = {"content": [{"type": "text", "text": params["arguments"]["message"]}]}
        if params.get("arguments", {}).get("message") == "forget":
            SESSIONS.clear()
        self.reply(200, {"jsonrpc": "2.0", "id": message["id"], "result": result})


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
