"""far_side.py: an authority and a route that misbehave on demand, to see what `attorn mcp` makes of it. Every request is kept.
`Far.route` and `Far.token` are called with each request and return what to answer.
"""
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs


@dataclass
class Request:
    method: str
    path: str
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def form(self):
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}


@dataclass
class Reply:
    status: int = 200
    body: object = b""  # bytes, or a list of bytes that are sent one by one, `pause` apart
    headers: dict = field(default_factory=dict)
    pause: float = 0.0


def answer(request, result=None, **more):
    return Reply(body=json.dumps({"jsonrpc": "2.0", "id": request.json["id"], "result": result or {}}).encode(),
                 headers={"Content-Type": "application/json", **more})


def stream(*chunks, pause=0.0):
    return Reply(body=list(chunks), headers={"Content-Type": "text/event-stream"}, pause=pause)


def initialized(request, session="s1"):
    return answer(request, {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "far", "version": "1"}},
                  **{"Mcp-Session-Id": session})


class Far:
    def __init__(self):
        self.requests, self.tokens, self.connections = [], 0, 0
        self.lock = threading.Lock()
        self.route = self.usual
        self.token = self.usual_token
        far = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                far.connections += 1
                super().setup()

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = Request(self.command, self.path, dict(self.headers.items()), body)
                with far.lock:
                    far.requests.append(request)
                try:
                    far.send(self, far.token(request) if request.path == "/oauth/token" else far.route(request))
                except OSError:
                    pass  # the shim went away

            do_GET = do_POST = do_DELETE = handle_any

            def log_message(self, *_):
                pass

        ThreadingHTTPServer.request_queue_size = 256
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def send(self, handler, reply):
        chunks = reply.body if isinstance(reply.body, list) else None
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        handler.send_header("Connection", "close")
        if chunks is None:
            handler.send_header("Content-Length", str(len(reply.body)))
        handler.end_headers()
        handler.close_connection = True
        for chunk in chunks if chunks is not None else [reply.body]:
            handler.wfile.write(chunk)
            handler.wfile.flush()
            time.sleep(reply.pause)

    def usual_token(self, request):
        with self.lock:
            self.tokens += 1
            number = self.tokens
        return Reply(body=json.dumps({"access_token": f"secret-token-{number}", "token_type": "DPoP", "expires_in": 600}).encode(),
                     headers={"Content-Type": "application/json", "DPoP-Nonce": f"nonce-{number}"})

    def usual(self, request):
        if request.method == "DELETE":
            return Reply(200)
        if "id" not in request.json or "method" not in request.json:
            return Reply(202)
        if request.json["method"] == "initialize":
            return initialized(request)
        return answer(request, {"content": [{"type": "text", "text": "ok"}]})

    def to_route(self, method=None):
        """Requests that came to the route, or those of one JSON-RPC method."""
        found = [one for one in self.requests if one.path == "/r/far"]
        return [one for one in found if one.body and one.json.get("method") == method] if method else found

    def exchanges(self):
        return [one for one in self.requests if one.path == "/oauth/token"]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
