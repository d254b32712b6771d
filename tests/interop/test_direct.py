"""Stock clients of the official SDKs straight to the gateway over Streamable HTTP, with an authentication of some forty lines
as a user would write it (direct_auth.py, direct_fetch.mjs): one capability per call, or one proof per call. Each client plays
its part once, three sessions at a time; the tests read what it saw and what the upstreams' own logs say.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
DEPS = Path(os.environ.get("ATTORN_DEPS_DIR") or HERE.parents[1] / "build-deps")
NODE18 = f"--import={(HERE.parents[1] / 'demo/node18.mjs').as_uri()}"
PYTHON, NODE = [sys.executable, "direct_client.py"], ["node", NODE18]
MCP2 = {"PYTHONPATH": str(DEPS / "mcp2")}
CLIENTS = {  # command, environment, mode, a proof per call instead of a capability
    "python-1": (PYTHON, {}, None, False),
    "python-1-proof": (PYTHON, {}, None, True),
    "python-2": (PYTHON, MCP2, "legacy", False),
    "python-2-auto": (PYTHON, MCP2, "auto", True),
    "typescript-1": ([*NODE, "direct_client_v1.mjs"], {}, None, False),
    "typescript-1-proof": ([*NODE, "direct_client_v1.mjs"], {}, None, True),
    "typescript-2": ([*NODE, "direct_client_v2.mjs"], {}, None, False),
    "typescript-2-auto": ([*NODE, "direct_client_v2.mjs"], {}, "auto", True),
}
SLOW = ["trigger-long-running-operation", {"duration": 2, "steps": 4}]
STUCK = ["trigger-long-running-operation", {"duration": 20, "steps": 2}]
READ, ECHO = "read_text_file", "héllo\n☃ \u2028 \"q\""


def play(scene, *calls):
    return {"play": scene, "calls": calls}


class Story:
    def __init__(self, name, world):
        self.command, self.env, self.mode, self.per_call_proof = CLIENTS[name]
        self.world = world
        before, cancels = world.upstream_calls(), self.cancels()
        hidden = [play("calls", ["write_file", {"path": "/x", "content": "y"}], ["no_such_tool", {}])] if self.per_call_proof else []
        running = [
            self.start("invoices", [play("tools"), play("calls", [READ, {"path": f"{world.invoices}/INV-0401.json"}],
                       [READ, {"path": f"{world.invoices}/none.json"}], [READ, {"path": f"{world.dir}/finance/payroll/salaries.csv"}]),
                       *hidden]),
            self.start("everything", [play("tools"), play("calls", ["echo", {"message": ECHO}], ["get-sum", {"a": 40, "b": 2}]),
                       play("parallel", *(["echo", {"message": f"m{n}"}] for n in range(20))), play("progress", SLOW),
                       play("cancel", STUCK, ["echo", {"message": "after"}])]),
            self.start("everything", [play("calls", *([["echo", {"message": "m"}]] * (3 if self.per_call_proof else 2)))],
                       world.grant("billing-scout", world.rules, uses=2)),
        ]
        self.invoices, self.everything, self.uses = map(self.end, running)
        after = world.upstream_calls()
        self.reached = {name: after[name] - before[name] for name in after if after[name] != before[name]}
        self.cancelled = self.cancels() - cancels

    def start(self, route, plays, grant=None):
        server = {"url": self.world.route(route), "issuer": self.world.issuer, "agent": "spiffe://example.test/agent/billing-scout",
                  "grant": grant or self.world.lent, "key": str(self.world.key), "mode": self.mode,
                  "per_call_proof": self.per_call_proof}
        return subprocess.Popen([*self.command, json.dumps(server), json.dumps(plays)], cwd=HERE, text=True,
                                env={**os.environ, **self.env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def end(self, ran):
        try:
            out, err = ran.communicate(timeout=60)
        finally:
            ran.kill()
        assert ran.returncode == 0, err
        return json.loads(out)

    def cancels(self):
        return (self.world.dir / "logs/everything.requests").read_text().count("notifications/cancelled")


@pytest.fixture(params=CLIENTS, scope="module")
def story(request, world):
    return Story(request.param, world)


def test_lists_show_what_the_grant_names(story):
    assert story.invoices[0] == ["list_directory", READ]
    assert story.everything[0] == ["echo", "get-sum", "trigger-long-running-operation"]


def test_calls_and_denials_reach_the_caller(story):
    """stdio upstream: an answer, a file that is not there, a path outside the grant; HTTP upstream with SSE answers."""
    whole, missing, outside = story.invoices[1]
    echo, total = story.everything[1]
    assert json.loads(whole["text"])["invoice"] == "INV-0401"
    assert missing["is_error"] and "ENOENT" in missing["text"]
    assert outside["is_error"]
    assert outside["text"].startswith("Refused: an argument is outside the grant; stay inside the granted bounds (call 01")
    assert (echo["text"], total["text"]) == (f"Echo: {ECHO}", "The sum of 40 and 2 is 42.")


def test_parallel_calls_each_get_their_own_answer(story):
    assert [one["text"] for one in story.everything[2]] == [f"Echo: m{n}" for n in range(20)]


def test_progress_comes_while_the_call_runs(story):
    progress = story.everything[3]
    assert len(progress["seen"]) >= 3
    assert progress["seen"][0][1] < progress["done"] - 0.5  # streamed, not saved up


def test_a_cancel_reaches_the_upstream_and_the_session_lives_on(story):
    cancel = story.everything[4]
    assert cancel["gave_up"] < 5
    assert cancel["next"]["text"] == "Echo: after"
    assert story.cancelled == 1


def test_a_hidden_tool_and_an_absent_one_are_one(story):
    """Under a proof per call the gateway says so; a capability for it is refused by the authority already."""
    for seen, tool in zip(story.invoices[2] if story.per_call_proof else [], ["write_file", "no_such_tool"], strict=story.per_call_proof):
        assert (seen["code"], seen["text"]) == (-32602, f"Unknown tool: {tool}")


def test_the_last_use_is_the_last(story):
    seen = story.uses[0]
    assert [one["text"] for one in seen[:2]] == ["Echo: m"] * 2
    for third in seen[2:]:  # the authority gives no capability for it, so that only proofs get as far as here
        assert third["is_error"] and third["text"].startswith("Refused: the grant has no uses left; ask the user for a new grant")


def test_the_upstreams_saw_what_was_allowed_and_nothing_else(story):
    assert story.reached == {"invoices": 2, "everything": 2 + 20 + 1 + 2 + 2}
