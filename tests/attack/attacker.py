"""The stage of the attacks: the routes of the end-to-end tests, and upstreams that say what they understood, keep the bytes they
got, or attack back. One stage for all attacks; each attack leaves it whole.
"""
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.parse
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
_spec = importlib.util.spec_from_file_location("attorn_stage_fixtures", ROOT / "tests/e2e/conftest.py")
fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fixtures)
import caller  # noqa: E402
import stage  # noqa: E402


class Arena(fixtures.World):
    def furnish(self):
        super().furnish()
        tools = {name: {"scope": "parrot:use", "effect": "readonly"} for name in ("say", "shout")}
        for name, command in {
                "python": [sys.executable, HERE / "parrot.py", "feed", self.dir / "logs/python.seen", "say", "shout"],
                "careless": [sys.executable, HERE / "parrot.py", "unicode", self.dir / "logs/careless.seen", "say", "shout"],
                "node": ["node", HERE / "parrot.mjs", "say", "shout"]}.items():
            self.put_route(name, {"kind": "mcp-stdio", "command": self.logged_stdio(name, *command), "environment": "test",
                                  "data_classes": ["none"], "tools": tools})
        self.recorder = {}
        for name in ("raw", "liar"):
            self.recorder[name] = self.start_recorder(name)
        self.secret("raw-key", "sk-raw-0123456789")
        credential = {"secret": "raw-key", "header": "X-Api-Key", "prefix": ""}
        self.put_route("raw", {"kind": "http", "upstream": self.recorder["raw"], "credential": credential, "environment": "test",
                               "data_classes": ["none"], "http": [
                                   {"method": "POST", "path": "/things", "scope": "raw:use", "effect": "mutating"},
                                   {"method": "GET", "path": "/things/{id}", "scope": "raw:use", "effect": "readonly"}]})
        self.put_route("liar", {"kind": "mcp-http", "upstream": self.recorder["liar"] + "/mcp", "credential": credential,
                                "environment": "test", "data_classes": ["none"], "tools": tools})
        extra = ["parrot:use", "raw:use"]
        self.cli("role", "put", "attackers", *(word for scope in extra for word in ("--scope", scope)))
        self.cli("user", "roles", "alice", "--role", "billing", "--role", "attackers")
        scopes = ["invoices:read", "warehouse:read", "everything:use", "tickets:create", "tickets:read", *extra]
        for name in ("mallory", "eve"):
            self.agent(name, *scopes, owner="alice")
        self.rules += [f"{route} say message=matches:'.*'" for route in ("python", "careless", "node", "liar")]
        self.rules += ["raw POST /things note=matches:'.*'", "raw GET /things/1"]
        return self

    def start_recorder(self, name):
        log = self.dir / f"logs/{name}.bytes"
        log.touch()
        child = self.start(f"recorder-{name}", [sys.executable, HERE / "recorder.py", log, self.dir / f"{name}.answer"],
                           stdout=subprocess.PIPE)
        return f"http://127.0.0.1:{int(child.stdout.readline())}"

    def recorded(self, name):
        return [json.loads(line).encode("latin-1") for line in stage.text_lines(self.dir / f"logs/{name}.bytes")]

    def answers(self, name, raw):
        """What the recorder says from now on; None: its harmless default."""
        path = self.dir / f"{name}.answer"
        if raw is None:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(raw)

    def raw(self, data, port=None, timeout=10, shut=False):
        """Bytes to a door, bytes back until it closes or falls silent."""
        with socket.create_connection(("127.0.0.1", port or self.port + 1), timeout) as sock:
            sock.sendall(data)
            if shut:
                sock.shutdown(socket.SHUT_WR)
            got = b""
            try:
                while True:
                    more = sock.recv(65536)
                    if not more:
                        return got
                    got += more
                    sock.settimeout(0.2)
            except (TimeoutError, ConnectionResetError):
                return got


class Attacker(caller.Caller):
    def proofed(self, route, op, target, args, **more):
        """Both headers under the delegated token, the proof naming an action over these 32 bytes."""
        at = self.on.route(route)
        path = "" if op == "tools/call" else urllib.parse.urlsplit(target).path
        return self.credentials("POST" if op == "tools/call" else op, at + path, self.delegated_token(route),
                                action_digest=self.action_digest(route, op, target, args), **more)

    def call_raw(self, route, text, tool="say", arguments=None):
        """A tools/call whose bytes are `text`, under a proof for `arguments` as we would have it."""
        try:
            args = caller.args_digest(arguments)
        except (ValueError, TypeError, UnicodeEncodeError):
            args = bytes(32)
        session = self.open(route)
        return self.post(route, text if isinstance(text, bytes) else text.encode(), self.proofed(route, "tools/call", tool, args), session)


@pytest.fixture(scope="session")
def arena():
    made = Arena("attack")
    try:
        yield made.furnish()
    finally:
        made.close()
    if not os.environ.get("KEEP"):
        shutil.rmtree(made.dir, ignore_errors=True)


@pytest.fixture(scope="session")
def mallory(arena):
    return Attacker(arena, "mallory", arena.grant("mallory", arena.rules, uses=100_000))


@pytest.fixture(scope="session")
def eve(arena):
    return Attacker(arena, "eve", arena.grant("eve", arena.rules, uses=100_000))
