"""An agent that holds no key: `attorn run` gives the process its identity, the identity gets it tokens, the
ledger says so, and the end of the process ends it."""
import base64
import http.server
import json
import os
import socket
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

import pytest

ATTORN = os.environ.get("ATTORN") or str(Path(__file__).resolve().parents[2] / "build/attorn")
SHARED_UID = os.geteuid() != 0


def free_ports():
    """Two neighbours, for authority and gateway."""
    for port in range(21000 + os.getpid() % 4000, 30000, 2):
        with socket.socket() as a, socket.socket() as b:
            try:
                a.bind(("127.0.0.1", port))
                b.bind(("127.0.0.1", port + 1))
                return port
            except OSError:
                continue
    raise AssertionError("no free ports")


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


class World:
    def __init__(self, folder):
        self.folder, self.work = folder, folder / "w"
        self.work.mkdir()
        (folder / "pass").write_text("a passphrase of the test\n")
        self.port = free_ports()
        self.env = {**os.environ, "ATTORN_DIR": str(self.work), "ATTORN_PASSPHRASE_FILE": str(folder / "pass")}
        self.log = open(folder / "up.log", "w")
        self.up = subprocess.Popen([ATTORN, "up", "--dir", self.work, "--passphrase-file", folder / "pass", "--port", str(self.port)],
                                   stdout=self.log, stderr=self.log)
        self.desk = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Desk)
        threading.Thread(target=self.desk.serve_forever, daemon=True).start()
        self.wait()

    def wait(self):
        for _ in range(200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=1)
                keys = json.load(urllib.request.urlopen(f"http://127.0.0.1:{self.port}/svid/keys", timeout=1))
                if keys["keys"] and (self.work / "run/workload.sock").exists():
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise AssertionError((self.folder / "up.log").read_text())

    def cli(self, *args, check=True):
        ran = subprocess.run([ATTORN, *map(str, args)], env=self.env, capture_output=True, text=True, cwd=self.folder, timeout=60)
        assert not check or ran.returncode == 0, ran.stderr
        return ran

    def run(self, *command, **options):
        return self.cli("run", "--as", "scout", "--", *command, **options)

    def records(self):
        lines = [json.loads(line) for line in self.cli("ledger", "export").stdout.splitlines()]
        return [json.loads(base64.b64decode(line["leaf"])) for line in lines if "leaf" in line]

    def close(self):
        self.up.terminate()
        self.up.wait(20)
        self.desk.shutdown()
        self.log.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    w = World(tmp_path_factory.mktemp("attested"))
    uid = os.geteuid()
    (w.folder / "entries.json").write_text(json.dumps([{"id": "run", "selectors": [f"unix:uid:{uid}"], "runner": {"selectors": [f"unix:uid:{uid}"]}}]))
    (w.folder / "route.json").write_text(json.dumps({
        "kind": "http", "upstream": f"http://127.0.0.1:{w.desk.server_address[1]}", "environment": "prod", "data_classes": ["web"],
        "http": [{"method": "GET", "path": "/hello", "scope": "web:read", "effect": "readonly"}]}))
    w.cli("role", "put", "reader", "--scope", "web:read")
    w.cli("user", "key", "alice", "--out", "alice.key")
    w.cli("user", "add", "alice", "--key", "alice.key", "--role", "reader")
    w.cli("agent", "register", "scout", "--file", "entries.json", "--owner", "alice", "--scope", "web:read")
    w.cli("route", "put", "web", "--file", "route.json")
    w.cli("grant", "create", "--as", "alice", "--user-key", "alice.key", "--agent", "scout", "--uses", 20, "--for", "1h", "--allow", "web GET /hello")
    w.grant = json.loads(w.cli("grant", "list", "--json").stdout)["grants"][0]["id"]
    w.call = [ATTORN, "http", f"http://127.0.0.1:{w.port + 1}/r/web", "GET", "/hello", "--issuer", f"http://127.0.0.1:{w.port}", "--grant", w.grant]
    yield w
    w.close()


def test_a_process_without_a_key_calls_and_the_ledger_says_how(world):
    ran = world.run(*world.call)
    assert ran.stdout == "hello\n" and len(Desk.seen) == 1
    for _ in range(100):  # a record has its place in the log a moment after it is durable
        records = world.records()
        if any(r["type"] == "outcome" for r in records):
            break
        time.sleep(0.1)
    [attempt] = [r for r in records if r["type"] == "attempt"]
    assert attempt["assurance"] == ("shared-uid" if SHARED_UID else "attested")
    run = attempt["run"]["id"]
    states = [(r["state"], r["subject"]) for r in records if r["type"] == "run" and r["run"]["id"] == run]
    assert ("started", f"spiffe://example.test/agent/scout/i/{run}") in states
    svids = [r for r in records if r["type"] == "svid" and r["run"]["id"] == run]
    assert svids and all(r["sign"]["n"] >= 1 and r["via"] == "spiffe://example.test/attorn/node/local" for r in svids)
    assert world.cli("ledger", "verify").stdout.startswith("PASS")


def test_the_environment_holds_no_secret(world):
    names = {line.partition("=")[0]: line for line in world.run("env").stdout.splitlines()}
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
    script = "exec sleep 0.2"
    world.run("sh", "-c", script)
    assert len(Desk.seen) == before
    for _ in range(100):
        ended = [r for r in world.records() if r["type"] == "run" and r["state"] == "ended"]
        started = [r for r in world.records() if r["type"] == "run" and r["state"] == "started"]
        if len(ended) == len(started):
            break
        time.sleep(0.1)
    assert len(ended) == len(started) > 1


def test_a_retired_agent_is_nobody(world):
    world.cli("agent", "state", "scout", "quarantined")
    ran = world.run(*world.call, check=False)
    assert ran.returncode != 0
    world.cli("agent", "state", "scout", "active")
