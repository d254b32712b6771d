"""kill -9 of the authority, the signer, the gateway and the stdio upstream at named points of a call, ten times each under load,
at moments drawn at random. What must hold is read from the client's own list, the upstream's own log and the exported
ledger: nothing acknowledged is lost, nothing is executed twice, every attempt ends, and the next start carries on.
"""
import hashlib
import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import rfc6962_verify as stranger
import stage
from world import ATTORN, ROOT, World
from governed_http import Refused, unb64
from processes import child_of, is_running

HOOKS = ROOT / "build-hooks/attorn"
ROUNDS, CLIENTS, SEED = 10, 3, int(os.environ.get("ATTORN_SEED") or random.randrange(1 << 32))
AUTHORITY = ["authority.exchange.before_record", "authority.exchange.after_record", "authority.admit.in_transaction",
             "authority.admit.after_commit", "authority.outcome.in_transaction", "authority.outcome.after_commit",
             "authority.exchange.after_mint", "authority.sequence.after_index", "authority.sequence.after_sign",
             "authority.sequence.after_commit"]
SIGNER = ["signer.sign.before_list", "signer.sign.after_list", "signer.sign.before_answer"]
GATEWAY = ["gateway.call.before_admit", "gateway.call.admitted", "gateway.while_upstream_works", "gateway.call.forwarded",
           "gateway.call.before_answer"]
UPSTREAM = ["upstream.before_effect", "upstream.after_effect", "upstream.half_answered"]


def build_hooks():
    """The same tree with the named points in it; the program that people get has none."""
    deps = os.environ.get("ATTORN_DEPS_DIR") or str(ROOT / "build-deps")
    env = {**os.environ, "ATTORN_DEPS_DIR": deps}
    env.setdefault("CARGO_TARGET_DIR", deps + "/cargo")
    subprocess.run([ROOT / "tools/build", "--only", "attorn", "build-hooks", "-Dtest_hooks=true"], check=True, env=env)
    return HOOKS


def test_a_build_for_people_has_no_points():
    plain, hooked = ATTORN.read_bytes(), build_hooks().read_bytes()
    for point in [*AUTHORITY, *SIGNER, *(p for p in GATEWAY if ".call." in p)]:
        assert point.encode() in hooked
        assert point.encode() not in plain
    assert b"ATTORN_POINTS" not in plain


class Killed(World):
    """attorn with named points, one route to the killable upstream, clients that never stop asking."""

    def __init__(self):
        super().__init__("kill")
        self.attorn = str(build_hooks())
        self.points = self.dir / "points"
        self.points.mkdir()
        os.environ["ATTORN_POINTS"] = str(self.points)
        self.done = self.dir / "logs/done"
        self.tokens, self.good, self.denied, self.sent, self.failed = [], {}, 0, {}, 0
        self.lock, self.asking = threading.Lock(), False

    def furnish(self):
        self.up(self.config)
        self.put_route("work", {"kind": "mcp-stdio", "command": [sys.executable, str(ROOT / "tests/e2e/killable_upstream.py"),
                                                                 str(self.done)], "env": {"ATTORN_POINTS": str(self.points)},
                                "environment": "prod", "data_classes": ["none"], "tools": {
                                    "do": {"scope": "work:do", "effect": "mutating"},
                                    "undo": {"scope": "work:do", "effect": "mutating"}}})
        self.cli("role", "put", "worker", "--scope", "work:do")
        self.user("alice", "worker")
        self.agent("billing-scout", "work:do", owner="alice")
        self.grant_id = self.grant("billing-scout", ["work do n=range:0..1000000000"], uses=1000000)
        return self

    # --- processes by hand ------------------------------------------------------------------------------

    def begin(self, role):
        self.start(role, [self.attorn, role, "--dir", self.work])

    def healthy(self, role):
        url = self.issuer if role == "authority" else self.gateway
        stage.until(f"{role} is healthy again", lambda: stage.is_healthy(url))

    def again(self, role):
        self.begin(role)
        self.healthy(role)

    def by_hand(self):
        self.stop("attorn")
        for role in ("authority", "gateway"):
            self.begin(role)
        for role in ("authority", "gateway"):
            self.healthy(role)

    # --- clients -------------------------------------------------------------------------------------------

    def next_number(self):
        with self.lock:
            number = len(self.sent)
            self.sent[number] = None
            return number

    def heard(self, number, answer):
        with self.lock:
            if answer.status == 200 and answer.json.get("result", {}).get("isError") is not True and "result" in answer.json:
                self.good[number] = answer.text
            else:
                self.failed += 1

    def one_call(self, agent):
        number = self.next_number()
        arguments = {"n": number}
        token = agent.tool_capability("work", "do", arguments)
        with self.lock:
            self.tokens.append(token)
            self.sent[number] = "sha-256:" + hashlib.sha256(token.encode()).hexdigest()
        self.heard(number, agent.call_tool("work", "do", arguments, token=token))

    def one_denial(self, agent):
        """A tool that the grant does not name, under the delegated token and a proof for it."""
        arguments = {"n": 1}
        token, url = agent.delegated_token("work"), self.route("work")
        digest = agent.action_digest("work", "tools/call", "undo", hashlib.sha256(b"attorn-args/1\0" + b'{"n":1}').digest())
        answer = agent.call_tool("work", "undo", arguments, credentials=agent.credentials("POST", url, token, action_digest=digest))
        if answer.status == 200 and answer.json.get("error", {}).get("code") == -32602:
            with self.lock:
                self.denied += 1

    def client(self, seed):
        draw = random.Random(seed)
        agent = self.caller_of()
        while self.asking:
            time.sleep(draw.random() * 0.05)
            try:
                (self.one_denial if draw.random() < 0.15 else self.one_call)(agent)
            except (OSError, http.client.HTTPException, Refused, stage.Problem, ValueError):
                agent.sessions.clear()  # what became of it is in the ledger, not with us
                with self.lock:
                    self.failed += 1
                time.sleep(0.02)

    def caller_of(self):
        import caller
        return caller.Caller(self, "billing-scout", self.grant_id)

    def load(self):
        self.asking = True
        self.threads = [threading.Thread(target=self.client, args=(SEED + i,), daemon=True) for i in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def rest(self):
        self.asking = False
        for thread in self.threads:
            thread.join(60)

    # --- killing ---------------------------------------------------------------------------------------------

    def arm(self, point):
        (self.points / point).touch()

    def gone(self, point):
        stage.until(f"somebody reached {point}", lambda: not (self.points / point).exists())

    def more_done(self):
        before = len(self.good)
        stage.until("calls succeed again", lambda: len(self.good) > before, 30)

    def executed(self):
        return [int(line) for line in self.done.read_text().splitlines()]

    def alive_upstreams(self):
        pids = [int(line) for line in Path(str(self.done) + ".pids").read_text().splitlines()]
        return [pid for pid in pids if is_running(pid)]


@pytest.fixture(scope="module")
def killed():
    print(f"seed {SEED}")
    world = Killed()
    try:
        world.furnish()
        world.by_hand()
        world.load()
        yield world
    finally:
        world.asking = False
        world.close()
        del os.environ["ATTORN_POINTS"]
    if not os.environ.get("KEEP"):
        shutil.rmtree(world.dir, ignore_errors=True)


@pytest.mark.parametrize("point", [*AUTHORITY, *SIGNER, *GATEWAY, *UPSTREAM])
def test_killed_at(killed, point):
    draw, role = random.Random(f"{SEED}{point}"), point.split(".")[0]
    for n in range(ROUNDS):
        time.sleep(draw.random() * 0.05)
        killed.arm(point)
        killed.gone(point)
        if role == "signer":  # of an authority that was started by hand: without it that one ends by itself
            assert killed.children["authority"].wait(stage.STOP_S) == 1
            killed.again("authority")
        elif role != "upstream":  # that one is its gateway's to start again
            assert killed.children[role].wait(stage.STOP_S) == -signal.SIGKILL
            killed.again(role)
        elif n % 3 == 2:  # a gateway starts a server that keeps dying ever more slowly: a new one is patient again
            killed.stop("gateway")
            killed.again("gateway")
        killed.more_done()
    executed = killed.executed()
    assert len(executed) == len(set(executed))


def attempts_of(records):
    return [r for r in records if r["type"] == "attempt"]


def first_outcomes(records):
    return [r for r in records if r["type"] == "outcome" and not r.get("late")]


def test_the_books_balance(killed):
    """After all those deaths, with nobody asking: every list against every other."""
    killed.rest()
    stage.until("every attempt has ended", lambda: len(attempts_of(killed.records())) == len(first_outcomes(killed.records())),
                60, pause=0.5)
    records = killed.records()
    outcomes = {}
    for outcome in (r for r in records if r["type"] == "outcome"):
        outcomes.setdefault(outcome["of"], []).append(outcome)
    attempts = {r["token"]["hash"]: r for r in attempts_of(records)}
    assert len(attempts) == len(attempts_of(records))  # one capability, one attempt
    executed = killed.executed()
    assert len(executed) == len(set(executed)) and len(killed.good) > ROUNDS * len(AUTHORITY)
    for number in executed:  # nothing ran that was not admitted
        assert killed.sent[number] in attempts
    for number in killed.good:  # nothing acknowledged is lost
        assert number in executed
        ends = [o["status"] for o in outcomes[attempts[killed.sent[number]]["rid"]]]
        assert "success" in ends or ends == ["unknown"]
    minted = [r["token"]["jti"] for r in records if r["type"] == "token"]
    assert len(minted) == len(set(minted))
    for token in killed.tokens:
        assert json.loads(unb64(token.split(".")[1]))["jti"] in minted
    assert sum(r["type"] == "decision" for r in records) >= killed.denied > 0
    states = [o["status"] for o in first_outcomes(records)]
    assert "unknown" in states  # those that nobody could tell of
    print(f"{len(killed.sent)} asked, {len(executed)} executed, {len(killed.good)} acknowledged, {len(attempts)} attempts, "
          + ", ".join(f"{states.count(s)} {s}" for s in sorted(set(states))))


def test_the_ledger_verifies(killed):
    assert killed.cli("ledger", "verify")
    size, _ = stranger.verify(killed.export(), killed.vkey())
    assert killed.is_covered(size)


def test_no_upstream_outlives_its_gateway(killed):
    stage.until("one server is left", lambda: len(killed.alive_upstreams()) <= 1)
    killed.stop("gateway", signal.SIGKILL)
    stage.until("none is left", lambda: not killed.alive_upstreams())
    killed.again("gateway")


def test_up_starts_them_again(killed):
    """The supervisor: both children, three deaths each, then its own."""
    for role in ("gateway", "authority"):
        killed.stop(role)
    killed.up()
    killed.load()
    supervisor = killed.children["attorn"]
    for role in ("authority", "gateway") * 3:
        victim = stage.until(f"{role} runs", lambda who=role: child_of(supervisor.pid, who))
        os.kill(victim, signal.SIGKILL)
        stage.until(f"{role} runs again", lambda who=role: child_of(supervisor.pid, who) not in (None, victim))
        killed.more_done()
    children = [child_of(supervisor.pid, role) for role in ("authority", "gateway")]
    killed.stop("attorn", signal.SIGKILL)
    stage.until("its children went with it", lambda: not any(map(is_running, children)))
    killed.up()
    killed.more_done()
    killed.rest()
    executed = killed.executed()
    assert len(executed) == len(set(executed))
    assert killed.cli("ledger", "verify")
