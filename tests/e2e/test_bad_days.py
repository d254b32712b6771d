"""Bad days: slow, lost and hostile clients, upstreams that die, hang, flood and lie, an authority that stands still, broken
configuration, rules and routes. Each time: a clear answer, one outcome for each attempt, and the next call works.
"""
import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse

import pytest
import stage
from world import ATTORN, ROOT, World
from governed_http import Refused
from processes import child_of, resident_mib

STDIO = ["ok", "slow", "big", "die", "half", "garbage", "strays", "endless", "never", "stranger", "twice", "error"]
HTTP = ["ok", "hang", "hang-in-body", "reset", "reset-in-body", "short", "big", "drip", "no-http", "two-lengths", "huge-head"]
LIMIT_MS = 3000


class Bad(World):
    """One route to each misbehaving upstream; both upstreams keep a log of what reached them."""

    def __init__(self, name="bad"):
        super().__init__(name)
        self.logs = {"stdio": self.dir / "logs/bad-stdio", "http": self.dir / "logs/bad-http"}
        self.numbers = iter(range(1, 1 << 30))

    def furnish(self):
        self.up(self.config)
        for log in self.logs.values():
            log.touch()
        common = {"environment": "prod", "data_classes": ["none"], "limits": {"timeout_ms": LIMIT_MS, "concurrent": 64}}
        self.put_route("stdio", {"kind": "mcp-stdio", "command": [sys.executable, str(ROOT / "tests/e2e/bad_stdio.py"), str(self.logs["stdio"])],
                                 "tools": {name: {"scope": "bad:use", "effect": "mutating"} for name in STDIO}, **common})
        child = self.start("bad-http", [sys.executable, ROOT / "tests/e2e/bad_http.py", self.logs["http"]], stdout=subprocess.PIPE)
        self.put_route("http", {"kind": "http", "upstream": f"http://127.0.0.1:{int(child.stdout.readline())}", **common,
                                "http": [{"method": "GET", "path": "/" + way, "scope": "bad:use", "effect": "mutating"} for way in HTTP]})
        self.cli("role", "put", "user-of-bad", "--scope", "bad:use")
        self.user("alice", "user-of-bad")
        self.agent("billing-scout", "bad:use", owner="alice")
        self.rules = [f"stdio {tool} n=range:0..1000000000" for tool in STDIO] + [f"http GET /{way}" for way in HTTP]
        return self

    # --- one call, prepared and sent apart ---------------------------------------------------------------

    def prepare(self, agent, tool):
        arguments = {"n": next(self.numbers)}
        return tool, arguments, agent.tool_capability("stdio", tool, arguments)

    def send_tool(self, agent, prepared):
        tool, arguments, token = prepared
        return agent.call_tool("stdio", tool, arguments, token=token)

    def get_capability(self, agent, way):
        return agent.capability_of("http", agent.http_item("http", "GET", f"/{way}", b""))

    def reached(self, which):
        return self.logs[which].read_text().splitlines()

    def attempts(self, token):
        wanted = "sha-256:" + hashlib.sha256(token.encode()).hexdigest()
        records = self.records()
        found = [r for r in records if r["type"] == "attempt" and r["token"]["hash"] == wanted]
        return found, [[o for o in records if o["type"] == "outcome" and o["of"] == r["rid"]] for r in found]

    def outcome(self, token):
        """The one outcome of the one attempt under this capability, once it is there."""
        def ended():
            attempts, outcomes = self.attempts(token)
            assert len(attempts) == 1
            return outcomes[0]
        [one] = stage.until("the attempt has ended", ended, 25, pause=0.1)
        return one["status"]

    def works(self, agent):
        answer = self.send_tool(agent, self.prepare(agent, "ok"))
        return answer.status == 200 and answer.text == "ok"

    def gateway_mib(self):
        return resident_mib(child_of(self.children["attorn"].pid, "gateway"))


@pytest.fixture(scope="module")
def bad():
    world = Bad()
    try:
        yield world.furnish()
    finally:
        world.close()


@pytest.fixture(scope="module")
def scout(bad):
    return bad.caller()


# --- upstreams ------------------------------------------------------------------------------------------------

STDIO_EXPECTED = {  # tool -> (does the client get the tool's answer?, outcome)
    "ok": (True, "success"), "garbage": (True, "success"), "twice": (True, "success"), "big": (True, "success"),
    "slow": (True, "success"), "error": (False, "error"), "die": (False, ("error", "unknown")),
    "half": (False, ("error", "unknown")), "endless": (False, ("error", "unknown")),
    "never": (False, "timeout"), "stranger": (False, "timeout"), "strays": (None, ("success", "error", "unknown")),
}


@pytest.mark.parametrize("tool", STDIO)
def test_stdio_server(bad, scout, tool):
    good, status = STDIO_EXPECTED[tool]
    prepared = bad.prepare(scout, tool)
    before, began = len(bad.reached("stdio")), time.monotonic()
    answer = bad.send_tool(scout, prepared)
    assert time.monotonic() - began < LIMIT_MS / 1000 + 3
    if good is not None:
        assert ("result" in answer.json and not answer.is_tool_error) == good if answer.status == 200 else not good
    assert bad.reached("stdio")[before:] == [f"{tool} {prepared[1]['n']}"]  # once, whatever became of it
    assert bad.outcome(prepared[2]) in ((status,) if isinstance(status, str) else status)
    stage.until("the next call works", lambda: bad.works(scout), 30, pause=0.1)
    assert bad.gateway_mib() < 300


HTTP_EXPECTED = {  # way -> (statuses of an answer, None: the answer is cut), outcome
    "ok": ((200,), "success"), "drip": ((200,), "success"), "big": ((200, 502, None), ("success", "error")),
    "hang": ((504,), "timeout"), "hang-in-body": ((504, None), ("timeout", "error", "unknown")), "reset": ((502,), ("error", "unknown")),
    "reset-in-body": ((502, None), ("error", "unknown")), "short": ((502, None), ("error", "unknown")),
    "no-http": ((502,), ("error", "unknown")), "two-lengths": ((502,), ("error", "unknown")), "huge-head": ((502,), ("error", "unknown")),
}


def fetched(agent, way, token):
    """Status of a whole answer and its size, or None when it was cut."""
    try:
        answer = agent.http("http", "GET", f"/{way}", token=token)
        return answer.status, len(answer.body)
    except (http.client.HTTPException, OSError):
        return None, 0


@pytest.mark.parametrize("way", HTTP)
def test_http_upstream(bad, scout, way):
    statuses, outcome = HTTP_EXPECTED[way]
    token = bad.get_capability(scout, way)
    before = len(bad.reached("http"))
    status, size = fetched(scout, way, token)
    assert status in statuses
    if way == "big" and status == 200:
        assert size == 10 << 20
    assert bad.reached("http")[before:] == [f"/{way}"]
    assert bad.outcome(token) in ((outcome,) if isinstance(outcome, str) else outcome)
    assert fetched(scout, "ok", bad.get_capability(scout, "ok")) == (200, 2)
    assert bad.gateway_mib() < 300


# --- clients ----------------------------------------------------------------------------------------------------

def raw_request(bad, agent, way, token):
    url = bad.route("http") + f"/{way}"
    head = [f"GET {urllib.parse.urlsplit(url).path} HTTP/1.1", f"Host: {urllib.parse.urlsplit(url).netloc}",
            *(f"{name}: {value}" for name, value in agent.credentials("GET", url, token)), "", ""]
    sock = socket.create_connection(("127.0.0.1", bad.port + 1))
    sock.sendall("\r\n".join(head).encode())
    return sock


def test_a_client_that_goes_mid_answer(bad, scout):
    token = bad.get_capability(scout, "drip")
    sock = raw_request(bad, scout, "drip", token)
    assert sock.recv(20).startswith(b"HTTP/1.1 200")
    sock.close()
    assert bad.outcome(token) in ("success", "error", "unknown")
    assert bad.works(scout)


def test_a_client_that_goes_before_the_answer(bad, scout):
    token = bad.get_capability(scout, "hang")
    before = len(bad.reached("http"))
    sock = raw_request(bad, scout, "hang", token)
    stage.until("the call is upstream", lambda: len(bad.reached("http")) > before)
    sock.close()
    assert bad.outcome(token) in ("timeout", "error", "unknown")


def test_a_client_that_reads_a_byte_a_second(bad, scout):
    token = bad.get_capability(scout, "big")
    sock = raw_request(bad, scout, "big", token)
    for _ in range(4):
        assert sock.recv(1)
        began = time.monotonic()
        assert bad.works(scout) and time.monotonic() - began < 2  # nobody else waits for it
        time.sleep(0.7)
    assert bad.gateway_mib() < 300
    sock.close()
    assert bad.outcome(token) in ("success", "error", "unknown", "timeout")


@pytest.mark.parametrize("door", [0, 1])
def test_slow_loris(bad, scout, door):
    """Heads that never end hold nobody up, and are cut."""
    socks = [socket.create_connection(("127.0.0.1", bad.port + door)) for _ in range(50)]
    for sock in socks:
        sock.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
    cut, end = 0, time.monotonic() + 15
    while cut < len(socks) and time.monotonic() < end:
        began = time.monotonic()
        assert bad.works(scout) and time.monotonic() - began < 2
        cut = sum(is_cut(sock) for sock in socks)
        time.sleep(0.5)
    assert cut == len(socks)


def is_cut(sock):
    try:
        sock.send(b"x")
        sock.setblocking(False)
        return sock.recv(4096) == b"" or is_cut(sock)
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        sock.setblocking(True)


def test_a_thousand_connections_that_say_nothing(bad, scout):
    socks = [socket.create_connection(("127.0.0.1", bad.port + door)) for door in (0, 1) for _ in range(500)]
    assert bad.works(scout)
    for sock in socks:
        sock.close()


def test_an_agent_whose_clock_is_wrong(bad, scout, monkeypatch):
    real = time.time
    stranger = bad.caller()
    for off in (-3600, 3600):
        monkeypatch.setattr(time, "time", lambda: real() + off)
        with pytest.raises(Refused, match="invalid_client|invalid_dpop_proof"):
            stranger.delegated_token("stdio")
        monkeypatch.setattr(time, "time", real)
    assert stranger.delegated_token("stdio")


# --- an authority that stands still ---------------------------------------------------------------------------

def test_nothing_runs_while_the_authority_is_stopped(bad, scout):
    scout.open("stdio")
    prepared = [bad.prepare(scout, "ok") for _ in range(4)]
    before = len(bad.reached("stdio"))
    authority = child_of(bad.children["attorn"].pid, "authority")
    os.kill(authority, signal.SIGSTOP)
    answers = []
    try:
        threads = [threading.Thread(target=lambda p=p: answers.append(bad.send_tool(scout, p))) for p in prepared]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT_MS / 1000 + 5)
    finally:
        os.kill(authority, signal.SIGCONT)
    assert len(answers) == len(prepared)
    for answer in answers:  # refused, in words that name the fix
        assert answer.status >= 500 or answer.is_tool_error or "error" in answer.json
        assert b"attorn status" in answer.body
    stage.until("it works again", lambda: bad.works(scout))
    time.sleep(1)
    assert not set(bad.reached("stdio")[before:]) & {f"ok {p[1]['n']}" for p in prepared}
    for tool, arguments, token in prepared:  # what was admitted too late ended as not executed
        attempts, _ = bad.attempts(token)
        assert not attempts or bad.outcome(token) == "not_executed"


# --- what operators get wrong -----------------------------------------------------------------------------------

GOOD = """trust_domain: example.test
issuer: http://127.0.0.1:1
authority:
  listen: 127.0.0.1:1
gateway:
  listen: 127.0.0.1:2
  url: http://127.0.0.1:2
"""
BROKEN = [  # text, line that must be named, word that must be said
    (GOOD + "colour: blue\n", 8, "colour"),
    (GOOD.replace("  listen: 127.0.0.1:1", "  listen: 127.0.0.1:1\n  lisen: 127.0.0.1:1"), 5, "lisen"),
    (GOOD + "limits:\n  body_bytes: plenty\n", 9, "plenty"),
    (GOOD + "tokens:\n  delegated_s: 7\n", 9, "delegated_s"),
    (GOOD + "tokens:\n  capability_s: 99999\n", 9, "capability_s"),
    (GOOD + "log:\n  level: shouting\n", 9, "shouting"),
    (GOOD.replace("127.0.0.1:1\ngateway", "0.0.0.0:1\ngateway"), 4, "loopback"),
    (GOOD.replace("listen: 127.0.0.1:2", "listen: nowhere"), 6, "listen"),
    (GOOD.replace("issuer: http://127.0.0.1:1", "issuer: http://127.0.0.1:1/"), 2, "issuer"),
    (GOOD.replace("trust_domain: example.test", "trust_domain: Example Test"), 1, "trust_domain"),
    (GOOD + "  - x\n :\n", 7, ""),
    (GOOD + "authority:\n  listen: 127.0.0.1:9\n", 8, "authority"),
]


@pytest.mark.parametrize("text,line,word", BROKEN)
@pytest.mark.parametrize("role", ["authority", "gateway", "up"])
def test_a_broken_configuration_names_its_line(tmp_path, role, text, line, word):
    (tmp_path / "attorn.yaml").write_text(text)
    ran = subprocess.run([ATTORN, role, "--dir", tmp_path], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    assert ran.returncode not in (0, -signal.SIGABRT, -signal.SIGSEGV)
    assert f"attorn.yaml:{line}" in ran.stderr and word in ran.stderr
    assert {p.name for p in tmp_path.rglob("*") if p.is_file()} <= {"attorn.yaml", "lock"}  # nothing half made


@pytest.mark.parametrize("text,said", [
    ("permit (principal, action, resource", "rules.cedar"), ("@id(\"x\") permit (principal, action, resource) when { principal.nonsense };", "nonsense"),
    ("@id(\"x\") permit (principal == Nobody::\"x\", action, resource);", "Nobody"),
])
def test_a_broken_policy_leaves_the_last_good_one(bad, scout, text, said):
    folder = bad.dir / "policy"
    folder.mkdir(exist_ok=True)
    (folder / "rules.cedar").write_text(text)
    before = bad.cli("policy", "show")
    ran = bad.run("policy", "push", folder)
    assert ran.returncode != 0 and said in ran.stderr
    assert bad.cli("policy", "show") == before and bad.works(scout)


@pytest.mark.parametrize("document,said", [
    ({"kind": "mcp-stdio"}, "command"), ({"kind": "http", "upstream": "ftp://x", "http": []}, "upstream"),
    ({"kind": "mcp-http", "upstream": "http://127.0.0.1:1/mcp", "tools": {"x": {"scope": "no scope", "effect": "readonly"}}}, "scope"),
    ({"kind": "mcp-stdio", "command": ["x"], "tools": {}, "colour": "blue"}, "colour"),
    ({"kind": "mcp-stdio", "command": ["x"], "tools": {"x": {"scope": "a:b", "effect": "harmless"}}}, "effect"),
])
def test_a_broken_route_changes_nothing(bad, scout, document, said):
    before = bad.cli("route", "show", "stdio")
    path = bad.dir / "broken.route.json"
    path.write_text(json.dumps({"environment": "prod", "data_classes": ["none"], **document}))
    ran = bad.run("route", "put", "stdio", "--file", path)
    assert ran.returncode != 0 and said in ran.stderr
    assert bad.cli("route", "show", "stdio") == before and bad.works(scout)
