"""An agent that holds no key: `attorn run` gives the process its identity, the identity gets it tokens, the
ledger says so, and the end of the process ends it."""
import http.server
import json
import os
import subprocess
import threading

import pytest

from world import ATTORN, ROOT, stage

SHARED_UID = os.geteuid() != 0


class Desk(http.server.BaseHTTPRequestHandler):
    seen = []

    def do_GET(self):
        Desk.seen.append((self.path, dict(self.headers)))
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"hello\n")

    def log_message(self, *_):
        pass


class World(stage.Stage):
    """attorn, one route to the desk, alice, and the agent scout: known by what runs, not by a key."""

    def furnish(self):
        self.desk = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Desk)
        threading.Thread(target=self.desk.serve_forever, daemon=True).start()
        self.up()
        stage.until("the node serves identities", lambda: (self.work / "run/workload.sock").exists())
        uid = f"unix:uid:{os.geteuid()}"
        (self.dir / "entries.json").write_text(json.dumps([{"id": "run", "selectors": [uid], "runner": {"selectors": [uid]}}]))
        self.put_route("web", {"kind": "http", "upstream": f"http://127.0.0.1:{self.desk.server_address[1]}", "environment": "prod",
                               "data_classes": ["web"],
                               "http": [{"method": "GET", "path": "/hello", "scope": "web:read", "effect": "readonly"}]})
        self.cli("role", "put", "reader", "--scope", "web:read")
        self.user("alice", "reader")
        self.cli("agent", "register", "scout", "--file", self.dir / "entries.json", "--owner", "alice", "--scope", "web:read")
        self.grant_id = self.grant("scout", ["web GET /hello"])
        self.call = [ATTORN, "http", self.route("web"), "GET", "/hello", "--issuer", self.issuer, "--grant", self.grant_id]

    def run_as(self, *command):
        ran = [self.attorn, "run", "--dir", self.work, "--as", "scout", "--", *map(str, command)]
        return subprocess.run(ran, capture_output=True, text=True, timeout=60)

    def of_type(self, kind):
        return [record for record in self.records() if record["type"] == kind]

    def close(self):
        super().close()
        self.desk.shutdown()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    stage.real_disk(ROOT / "build")
    w = World(ATTORN, tmp_path_factory.mktemp("attested"))
    try:
        w.furnish()
        yield w
    finally:
        w.close()


def test_a_process_without_a_key_calls_and_the_ledger_says_how(world):
    ran = world.run_as(*world.call)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "hello\n" and len(Desk.seen) == 1
    stage.until("the call has its outcome", lambda: world.of_type("outcome"))
    [attempt] = world.of_type("attempt")
    assert attempt["assurance"] == ("shared-uid" if SHARED_UID else "attested")
    run = attempt["run"]["id"]
    states = [(r["state"], r["subject"]) for r in world.of_type("run") if r["run"]["id"] == run]
    assert ("started", f"spiffe://example.test/agent/scout/i/{run}") in states
    svids = [r for r in world.of_type("svid") if r["run"]["id"] == run]
    assert svids and all(r["sign"]["n"] >= 1 and r["via"] == "spiffe://example.test/attorn/node/local" for r in svids)
    assert world.run("ledger", "verify").stdout.startswith("PASS")


def test_the_environment_holds_no_secret(world):
    names = {line.partition("=")[0]: line for line in world.run_as("env").stdout.splitlines()}
    assert names["SPIFFE_ENDPOINT_SOCKET"].endswith(str(world.work / "run/workload.sock"))
    assert not [n for n in names if n.startswith("ATTORN_")]


def test_outside_a_run_nobody_is_the_agent(world):
    before = len(Desk.seen)
    ran = subprocess.run(world.call, env={**os.environ, "SPIFFE_ENDPOINT_SOCKET": f"unix://{world.work}/run/workload.sock"},
                         capture_output=True, text=True, timeout=60)
    assert ran.returncode != 0 and "identity" in ran.stderr, ran.stderr
    assert len(Desk.seen) == before


def test_the_end_of_the_process_ends_its_identity(world):
    """The ledger has the end of each run that it has the beginning of."""
    before = len(Desk.seen)
    world.run_as("sh", "-c", "exec sleep 0.2")
    assert len(Desk.seen) == before

    def each_has_ended():
        states = [r["state"] for r in world.of_type("run")]
        return states.count("ended") == states.count("started") > 1
    stage.until("each run that began has ended", each_has_ended, pause=0.1)


def test_a_retired_agent_is_nobody(world):
    world.cli("agent", "state", "scout", "quarantined")
    assert world.run_as(*world.call).returncode != 0
    world.cli("agent", "state", "scout", "active")
