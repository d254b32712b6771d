"""What a user of the Python MCP SDK writes to call attorn's gateway without the shim: an httpx.Auth that signs each
request. Lists and sessions go under a delegated token; a tools/call goes under a capability for exactly its
arguments, or, with `per_call_proof`, under the delegated token and a proof that names the action.
"""
import asyncio
import hashlib
import json

import rfc8785
from governed_http import TOKEN_TYPE, b64, compact

try:  # what mcp 2.x speaks HTTP with
    import httpx2 as httpx
except ImportError:
    import httpx


def digest(label, raw):
    return hashlib.sha256(label.encode() + b"\0" + raw).digest()


class AttornAuth(httpx.Auth):
    requires_request_body = True

    def __init__(self, agent, per_call_proof=False):
        self.agent, self.per_call_proof = agent, per_call_proof

    def sign(self, request):
        url, message, more = str(request.url), json.loads(request.content or "{}"), {}
        token = self.agent.token(url)
        if message.get("method") == "tools/call":
            tool, arguments = message["params"]["name"], message["params"].get("arguments", {})
            args = digest("attorn-args/1", rfc8785.dumps(arguments))
            if self.per_call_proof:
                action = {"actor": self.agent.client_id, "args_digest": "sha-256:" + args.hex(), "aud": url,
                          "op": "tools/call", "target": tool}
                more["action_digest"] = b64(digest("attorn-action/1", rfc8785.dumps(action)))
            else:
                item = {"type": "mcp_tool_call", "server": url, "tool": tool, "args_digest": b64(args)}
                token = self.agent.exchange(url, subject_token=token, subject_token_type=TOKEN_TYPE,
                                            authorization_details=compact([item]))["access_token"]
        ath = b64(hashlib.sha256(token.encode()).digest())
        request.headers["Authorization"] = f"DPoP {token}"
        request.headers["DPoP"] = self.agent.proof(request.method, url, ath=ath, **more)
        return request

    async def async_auth_flow(self, request):
        await request.aread()
        yield await asyncio.to_thread(self.sign, request)
