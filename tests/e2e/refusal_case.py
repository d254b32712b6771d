"""What a row of the refusal tables says, and what its preparation finds: `At`."""
import hashlib
import hmac
import json
import time
import uuid
from dataclasses import dataclass
from typing import Callable, Optional

from caller import Caller, args_digest, b64, body_digest, compact
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from governed_http import GRANT_TYPE, TOKEN_TYPE, unb64

ROWS = []


@dataclass
class Row:
    ids: str  # requirements of the references, "oauth:P21 mcp:G18"; may be empty
    name: str
    prepare: Callable  # At -> a function without arguments that sends the one request under test
    status: int
    words: str  # stands in what is answered
    record: Optional[str] = None  # code of the one decision record: a known caller
    count: Optional[str] = None  # "door code" of the one count: a stranger


def row(ids, name, status, words, record=None, count=None):
    """Decorates the preparation of a row."""
    assert bool(record) != bool(count), name

    def add(prepare):
        assert name not in [known.name for known in ROWS], name
        ROWS.append(Row(ids, name, prepare, status, words, record, count))
        return prepare
    return add


def ticket(title="refused"):
    return json.dumps({"title": title, "body": "-", "priority": "low"}, separators=(",", ":")).encode()


class At:
    """Where a row stands: the world, the agent that asks, another agent, and tokens of every kind."""

    def __init__(self, world):
        self.on, self.me = world, world.caller(uses=100_000)
        world.agent("night-watch", "invoices:read", "tickets:create", owner="alice")
        self.other = world.caller([f"tickets POST /tickets title=matches:'.*' body=matches:'.*' priority=matches:'.*'",
                                   f"invoices read_text_file path=under:{world.invoices}"], name="night-watch")
        self.url = {name: world.route(name) for name in ("invoices", "warehouse", "everything", "tickets")}
        self.file = f"{world.invoices}/INV-0401.json"
        for route in ("invoices", "everything"):
            self.me.open(route)
        self.other.open("invoices")

    # --- the token endpoint -----------------------------------------------------------------------------

    def form(self, **changed):
        """A good exchange of the grant, but for what is changed; None leaves a parameter out."""
        return {**self.me.exchange_form("tickets"), **changed}

    def capability_form(self, **changed):
        details = changed.pop("details", [self.me.http_item("tickets", "POST", "/tickets", ticket())])
        return self.form(**{"subject_token": self.me.delegated_token("tickets"), "subject_token_type": TOKEN_TYPE,
                            "authorization_details": details if isinstance(details, str) else compact(details), **changed})

    def proof(self, me=None, **changed):
        """A good proof for the token endpoint, but for what is changed."""
        me = me or self.me
        return me.proof("POST", self.on.issuer + "/oauth/token", **{"nonce": self.me.fresh_nonce(), **changed})

    def token(self, form, proof=None, **more):
        """Prepares POST /oauth/token."""
        proof = self.proof() if proof is None else proof
        return lambda: self.me.token_request(proof, form, **more)

    # --- the gateway ---------------------------------------------------------------------------------------

    def capability(self, me=None, body=None):
        me = me or self.me
        return me.capability_of("tickets", me.http_item("tickets", "POST", "/tickets", body or ticket()))

    def post_ticket(self, token=None, body=None, credentials=None, target="/tickets", method="POST", **more):
        """Prepares a request to the ticket desk through the gateway."""
        body = ticket() if body is None else body
        if credentials is None:
            token = token or self.capability(body=body)
            credentials = self.me.credentials(method, self.url["tickets"] + target.split("?")[0], token)
        return lambda: self.me.http("tickets", method, target, body, credentials=credentials, **more)

    def call(self, tool, arguments, route="invoices", op="tools/call", **how):
        """Prepares a tools/call under the delegated token with a proof for exactly this call."""
        me, token = self.me, self.me.delegated_token(route)
        digest = me.action_digest(route, op, tool, args_digest(arguments))
        credentials = me.credentials("POST", self.url[route], token, action_digest=digest)
        return lambda: me.call_tool(route, tool, arguments, credentials=credentials, **how)

    def message(self, raw, route="invoices", session=True):
        """Prepares the POST of a message, right or wrong, under a good delegated token."""
        me, sid = self.me, self.me.open(route) if session is True else session
        credentials = me.credentials("POST", self.url[route], me.delegated_token(route))
        return lambda: me.post(route, raw, credentials, sid)

    # --- tokens that are none ---------------------------------------------------------------------------------

    def forged(self, header, claims, sign):
        text = b64(compact(header)) + "." + b64(compact(claims))
        return text + "." + b64(sign(text.encode()))

    def payload_of(self, token):
        return json.loads(unb64(token.split(".")[1]))

    def header_of(self, token):
        return json.loads(unb64(token.split(".")[0]))


__all__ = ["At", "Caller", "Ed25519PrivateKey", "GRANT_TYPE", "ROWS", "Row", "TOKEN_TYPE", "args_digest", "b64", "body_digest",
           "compact", "hashlib", "hmac", "row", "ticket", "unb64"]
