#!/usr/bin/env python3
"""billing-scout: an ordinary agent program. It reads invoices, compares them with the warehouse, and opens
one ticket on what does not add up. It holds its own key pair and a grant id, and no password, API key
or token anywhere: `attorn mcp ROUTE` gives a stock MCP client its tokens, one capability per call.

    billing_scout.py --key agent.key --client-id spiffe://.../agent/billing-scout --grant ID
                     --issuer URL --gateway URL --folder INVOICES [--attorn attorn]
Prints one JSON line: what it saw, what it found, the ticket.
"""
import argparse
import asyncio
import json
import os
from contextlib import asynccontextmanager

from governed_http import Agent
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

ORDERS = "SELECT id, customer, total_cents FROM orders"


@asynccontextmanager
async def mcp_route(options, route):
    """A session with one MCP route; the shim is the only thing that knows about tokens."""
    shim = StdioServerParameters(command=options.attorn, args=[
        "mcp", f"{options.gateway}/r/{route}", "--issuer", options.issuer,
        "--agent", options.client_id, "--key", options.key, "--grant", options.grant])
    async with stdio_client(shim) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        yield session


async def call(session, tool, **arguments):
    result = await session.call_tool(tool, arguments)
    text = "".join(part.text for part in result.content if part.type == "text")
    if result.isError:
        raise SystemExit(f"{tool}: {text}")
    return text


async def read_invoices(options):
    async with mcp_route(options, "invoices") as session:
        tools = sorted(tool.name for tool in (await session.list_tools()).tools)
        listing = await call(session, "list_directory", path=options.folder)
        names = sorted(line.removeprefix("[FILE] ") for line in listing.splitlines()
                       if line.startswith("[FILE] ") and line.endswith(".json"))
        texts = [await call(session, "read_text_file", path=os.path.join(options.folder, name)) for name in names]
        return tools, [json.loads(text) for text in texts]


async def read_orders(options):
    async with mcp_route(options, "warehouse") as session:
        rows = await call(session, "read_query", query=ORDERS)
        return {row["id"]: row for row in literal(rows)}


def literal(text):
    """mcp-server-sqlite answers with a Python literal."""
    import ast
    return ast.literal_eval(text)


def anomalies(invoices, orders):
    billed, found = set(), []
    for invoice in invoices:
        order = orders.get(invoice["order"])
        if order is None:
            found.append((invoice["invoice"], "no such order"))
        elif invoice["order"] in billed:
            found.append((invoice["invoice"], f"order {invoice['order']} is billed a second time"))
        elif invoice["total_cents"] != order["total_cents"]:
            found.append((invoice["invoice"], f"bills {invoice['total_cents'] / 100:.2f}, "
                                              f"the order says {order['total_cents'] / 100:.2f}"))
        billed.add(invoice["order"])
    return found


async def main():
    parser = argparse.ArgumentParser(description="Looks for billing anomalies and opens one ticket.")
    for name in ("key", "client-id", "grant", "issuer", "gateway", "folder"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--attorn", default="attorn")
    options = parser.parse_args()

    tools, invoices = await read_invoices(options)
    found = anomalies(invoices, await read_orders(options))
    ticket = None
    if found:
        agent = Agent(options.issuer, options.client_id, options.grant, options.key)
        ticket = agent.call(options.gateway + "/r/tickets", "POST", "/tickets", {
            "title": f"{len(found)} billing anomalies", "priority": "high",
            "body": "\n".join(f"{invoice}: {what}" for invoice, what in found)})
    print(json.dumps({"tools": tools, "invoices": len(invoices), "anomalies": found, "ticket": ticket}))


asyncio.run(main())
