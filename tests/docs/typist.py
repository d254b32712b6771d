#!/usr/bin/env python3
"""attorn, typed by somebody who follows the README: waits until attorn is up, puts in the ids that a person would copy from
the line above, and is the MCP client of `attorn mcp`. Everything else is the real program's.

Environment: REAL_ATTORN, TYPIST_DIR (what was copied), TYPIST_PORT."""
import asyncio
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

REAL, NOTES = os.environ["REAL_ATTORN"], Path(os.environ["TYPIST_DIR"])
ULID = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{26}\b")


def wait_until_up(directory):
    for _ in range(1000):
        probe = subprocess.run([REAL, "status", "--dir", directory], capture_output=True)
        if probe.returncode == 0:
            return
        time.sleep(0.02)
    sys.exit("attorn did not come up")


async def talk(words):
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client
    shim = StdioServerParameters(command=REAL, args=words, env=dict(os.environ))
    async with stdio_client(shim) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        tools = (await session.list_tools()).tools
        print("tools:", *sorted(tool.name for tool in tools))
        result = await session.call_tool(tools[0].name, {"path": os.environ["TYPIST_FILE"]})
        print("call:", "refused" if result.isError else "done", result.content[0].text[:60].replace("\n", " "))
        return not result.isError


def last_call():
    export = subprocess.run([REAL, "ledger", "export", "--json"], capture_output=True, text=True, check=True).stdout
    import base64
    records = [json.loads(base64.b64decode(json.loads(line)["leaf"])) for line in export.splitlines() if line.startswith('{"index":')]
    return [record["rid"] for record in records if record["type"] == "attempt"][-1]


def main(words):
    words = [(NOTES / word).read_text() if word in ("ID", "CALL") else word for word in words]
    if words[0] == "up":
        os.execv(REAL, ["attorn", *words, "--port", os.environ["TYPIST_PORT"]])
    if "ATTORN_DIR" in os.environ:
        wait_until_up(os.environ["ATTORN_DIR"])
    if words[0] == "mcp":
        if not asyncio.run(talk(words)):
            sys.exit(1)
        time.sleep(0.5)  # the head of the ledger follows
        (NOTES / "CALL").write_text(last_call())
        return 0
    run = subprocess.run([REAL, *words], stdout=subprocess.PIPE, text=True)
    sys.stdout.write(run.stdout)
    if words[:2] == ["grant", "create"] and run.returncode == 0:
        (NOTES / "ID").write_text(ULID.findall(run.stdout)[-1])
    return run.returncode


sys.exit(main(sys.argv[1:]))
