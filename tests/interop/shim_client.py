"""A stock MCP client of the official Python SDK (1.x or 2.x) in front of `attorn mcp`: plays one scenario and prints what it
saw as one JSON line. argv[1]: {"command", "args", "env", "mode"?} of the stdio server; argv[2]: what to play.
"""
import asyncio
import importlib.metadata
import json
import sys
import time
from contextlib import asynccontextmanager

import mcp
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

V2 = importlib.metadata.version("mcp").startswith("2.")
Refused = mcp.MCPError if V2 else mcp.McpError


@asynccontextmanager
async def connected(server):
    mode = server.pop("mode", None)
    parameters = StdioServerParameters(**server)
    if V2 and mode:
        async with mcp.Client(parameters, mode=mode) as client:
            yield client
        return
    async with stdio_client(parameters) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        yield session


def text_of(result):
    return "".join(part.text for part in result.content if part.type == "text")


def is_error(result):
    return result.is_error if V2 else result.isError


async def attempt(session, tool, arguments):
    """What a program gets to see of one call."""
    try:
        result = await session.call_tool(tool, arguments)
    except Refused as refused:
        error = refused.error
        return {"code": error.code, "text": error.message}
    return {"is_error": bool(is_error(result)), "text": text_of(result)}


async def calls(session, play):
    return [await attempt(session, *call) for call in play["calls"]]


async def parallel(session, play):
    return await asyncio.gather(*(attempt(session, *call) for call in play["calls"]))


async def progress(session, play):
    """Each progress notification with the seconds at which it came; then the answer."""
    seen, began = [], time.monotonic()

    async def on_progress(value, total, message):
        seen.append([value, time.monotonic() - began])
    result = await session.call_tool(*play["calls"][0], progress_callback=on_progress)
    return {"seen": seen, "done": time.monotonic() - began, "text": text_of(result)}


async def overtaken(session, play):
    """A slow call and a quick one behind it: which answers first?"""
    order = []

    async def one(call):
        await attempt(session, *call)
        order.append(call[0])
    slow = asyncio.create_task(one(play["calls"][0]))
    await asyncio.sleep(0.3)
    await one(play["calls"][1])
    await slow
    return order


async def cancel(session, play):
    """Gives up the first call after a moment; the second one tells whether the session still works."""
    began = time.monotonic()
    slow = asyncio.create_task(session.call_tool(*play["calls"][0]))
    await asyncio.sleep(play.get("after", 0.5))
    if not V2:  # 1.x tells the server nothing when a task is cancelled: say it ourselves
        await session.send_notification(mcp.types.ClientNotification(mcp.types.CancelledNotification(
            method="notifications/cancelled",
            params=mcp.types.CancelledNotificationParams(requestId=session._request_id - 1, reason="changed my mind"))))
    slow.cancel()
    await asyncio.gather(slow, return_exceptions=True)
    gave_up = time.monotonic() - began
    return {"gave_up": gave_up, "next": await attempt(session, *play["calls"][1])}


async def tools(session, play):
    return sorted(tool.name for tool in (await session.list_tools()).tools)


async def main():
    server, play = json.loads(sys.argv[1]), json.loads(sys.argv[2])
    async with asyncio.timeout(60), connected(server) as session:
        print(json.dumps(await globals()[play["play"]](session, play)))


if __name__ == "__main__":
    asyncio.run(main())
