"""caller.py: an agent's key at work with every part of a request in our hands, right or wrong. Built on the agent of
examples/agent/governed_http.py; MCP is spoken directly, so that what the gateway answers is seen and not interpreted.
"""
import hashlib
import http.client
import json
import time
import urllib.parse
import uuid
from dataclasses import dataclass

import stage  # noqa: F401  finds examples/agent
from governed_http import GRANT_TYPE, TOKEN_TYPE, Agent, b64, compact

PROTOCOL = "2025-11-25"


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self):
        """The JSON body, or the last message of an event stream."""
        if "text/event-stream" in self.headers.get("Content-Type", ""):
            events = [line[5:].strip() for line in self.body.decode().split("\n") if line.startswith("data:")]
            return json.loads([event for event in events if event][-1])
        return json.loads(self.body)

    @property
    def text(self):
        """What a model or a person gets to read."""
        try:
            document = self.json
        except (ValueError, IndexError):
            return self.body.decode(errors="replace")
        if "result" in document and "content" in document["result"]:
            return "".join(part.get("text", "") for part in document["result"]["content"])
        return document["error"]["message"] if isinstance(document.get("error"), dict) else self.body.decode().strip()

    @property
    def is_tool_error(self):
        return self.status == 200 and self.json.get("result", {}).get("isError") is True


def send(method, url, headers=(), body=b"", timeout=30):
    """One request on a connection of its own; `headers` is a list of pairs and may repeat a name."""
    at = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(at.hostname, at.port, timeout=timeout)
    try:
        connection.putrequest(method, url[len(f"{at.scheme}://{at.netloc}"):] or "/", skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        try:
            connection.endheaders(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before the end of the body: the answer is there
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def canonical(document):
    """RFC 8785 of what our tests send: texts, whole numbers, booleans, lists, objects with ASCII keys."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest(label, raw):
    return hashlib.sha256(label.encode() + b"\0" + raw).digest()


def args_digest(arguments):
    return digest("attorn-args/1", canonical({} if arguments is None else arguments))


def body_digest(raw):
    return digest("attorn-args/1", raw)


class Caller(Agent):
    def __init__(self, on, name, grant, key_file=None):
        key_file = key_file or on.dir / "agents" / name / "agent.key"
        super().__init__(on.issuer, f"spiffe://example.test/agent/{name}", grant, key_file)
        self.on = on
        self.sessions = {}  # route -> Mcp-Session-Id

    # --- pieces -----------------------------------------------------------------------------------------

    def tool_item(self, route, tool, arguments):
        return {"type": "mcp_tool_call", "server": self.on.route(route), "tool": tool, "args_digest": b64(args_digest(arguments))}

    def http_item(self, route, method, target, body):
        return {"type": "http_request", "server": self.on.route(route), "method": method, "target": target,
                "body_digest": b64(body_digest(body))}

    def action_digest(self, route, op, target, args):
        """b64url of the action digest; args: 32 bytes."""
        return b64(digest("attorn-action/1", canonical({
            "actor": self.client_id, "args_digest": "sha-256:" + args.hex(), "aud": self.on.route(route), "op": op,
            "target": target})))

    def delegated_token(self, route):
        return self.token(self.on.route(route))

    def capability_of(self, route, item):
        return self.exchange(self.on.route(route), subject_token=self.delegated_token(route),
                             subject_token_type=TOKEN_TYPE, authorization_details=compact([item]))["access_token"]

    def tool_capability(self, route, tool, arguments):
        return self.capability_of(route, self.tool_item(route, tool, arguments))

    def ath(self, token):
        return b64(hashlib.sha256(token.encode()).digest())

    def credentials(self, method, url, token, **claims):
        """Both headers of a request under `token`."""
        return [("Authorization", f"DPoP {token}"), ("DPoP", self.proof(method, url, ath=self.ath(token), **claims))]

    def assertion(self, header=None, **changed):
        """A client assertion, as it should be but for what is changed; None leaves a claim out."""
        now = int(time.time())
        claims = {"iss": self.client_id, "sub": self.client_id, "aud": self.issuer, "iat": now, "exp": now + 60,
                  "jti": str(uuid.uuid4()), **changed}
        return self.jwt({"kid": self.kid} if header is None else header, {k: v for k, v in claims.items() if v is not None})

    def fresh_nonce(self):
        url = self.issuer + "/oauth/token"
        answer = self.token_request(self.proof("POST", url), self.exchange_form())
        self.nonce = answer.headers["DPoP-Nonce"]
        return self.nonce

    def exchange_form(self, route="tickets", **form):
        return {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "resource": self.on.route(route),
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": self.assertion(), "subject_token": self.grant, "subject_token_type": GRANT_TYPE, **form}

    def token_request(self, proof, form, content_type="application/x-www-form-urlencoded"):
        """POST /oauth/token with exactly this; `form`: a dict, a list of pairs or bytes."""
        body = form if isinstance(form, bytes) else urllib.parse.urlencode(
            [(k, v) for k, v in (form.items() if isinstance(form, dict) else form) if v is not None]).encode()
        proofs = [proof] if isinstance(proof, str) else proof or []
        return send("POST", self.issuer + "/oauth/token", [("Content-Type", content_type), *(("DPoP", p) for p in proofs)], body)

    # --- MCP --------------------------------------------------------------------------------------------

    def post(self, route, message, credentials, session=None, **more):
        """One message to an MCP route. `message`: a document, or raw bytes."""
        body = message if isinstance(message, bytes) else compact(message).encode()
        headers = [("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream"), *credentials]
        if session:
            headers += [("Mcp-Session-Id", session), ("MCP-Protocol-Version", PROTOCOL)]
        return send("POST", self.on.route(route), headers, body, **more)

    def open(self, route):
        """initialize under a delegated token, once per route; returns the session id."""
        if route in self.sessions:
            return self.sessions[route]
        url, token = self.on.route(route), self.delegated_token(route)
        answer = self.post(route, {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": {"name": "caller", "version": "1"}}},
            self.credentials("POST", url, token))
        if answer.status != 200 or "result" not in answer.json:
            raise stage.Problem(f"initialize on {route}: {answer.status} {answer.body!r}")
        self.sessions[route] = answer.headers["Mcp-Session-Id"]
        self.post(route, {"jsonrpc": "2.0", "method": "notifications/initialized"},
                  self.credentials("POST", url, token), self.sessions[route])
        return self.sessions[route]

    def ask(self, route, method, params=None):
        """Any other request under the delegated token."""
        session = self.open(route)
        return self.post(route, {"jsonrpc": "2.0", "id": str(uuid.uuid4()), "method": method, "params": params or {}},
                         self.credentials("POST", self.on.route(route), self.delegated_token(route)), session)

    def tools(self, route):
        return sorted(tool["name"] for tool in self.ask(route, "tools/list").json["result"]["tools"])

    def call_tool(self, route, tool, arguments, token=None, credentials=None):
        """tools/call under a capability for exactly this call, or under what is given."""
        session = self.open(route)
        if credentials is None:
            token = token or self.tool_capability(route, tool, arguments)
            credentials = self.credentials("POST", self.on.route(route), token)
        message = {"jsonrpc": "2.0", "id": str(uuid.uuid4()), "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
        return self.post(route, message, credentials, session)

    # --- HTTP APIs ---------------------------------------------------------------------------------------

    def http(self, route, method, target, body=b"", token=None, credentials=None, content_type="application/json"):
        """A request to an HTTP API under a capability for exactly it, or under what is given."""
        url = self.on.route(route)
        if credentials is None:
            token = token or self.capability_of(route, self.http_item(route, method, target, body))
            credentials = self.credentials(method, url + target.split("?")[0], token)
        return send(method, url + target, [("Content-Type", content_type), *credentials], body)
