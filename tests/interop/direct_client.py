"""The scenes of shim_client.py, played by the official Python SDK (1.x or 2.x) straight to the gateway's URL.
argv[1]: {"url", "issuer", "agent", "grant", "key", "per_call_proof", "mode"?}; argv[2]: what to play in one session, in order.
"""
import asyncio
import json
import sys
from contextlib import asynccontextmanager
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "examples/agent"))
import direct_auth  # noqa: E402
import mcp  # noqa: E402
import shim_client  # noqa: E402
from governed_http import Agent  # noqa: E402
from mcp.client.streamable_http import streamable_http_client  # noqa: E402


@asynccontextmanager
async def connected(server):
    agent = Agent(server["issuer"], server["agent"], server["grant"], server["key"])
    auth = direct_auth.AttornAuth(agent, server["per_call_proof"])
    async with direct_auth.httpx.AsyncClient(auth=auth, timeout=60) as http:
        transport = streamable_http_client(server["url"], http_client=http)
        if server.get("mode"):
            async with mcp.Client(transport, mode=server["mode"]) as client:
                yield client
            return
        async with transport as (read, write, *_), mcp.ClientSession(read, write) as session:
            await session.initialize()
            yield session


async def main():
    server, plays = json.loads(sys.argv[1]), json.loads(sys.argv[2])
    async with asyncio.timeout(60), connected(server) as session:
        print(json.dumps([await getattr(shim_client, play["play"])(session, play) for play in plays]))


asyncio.run(main())
