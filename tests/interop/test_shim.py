"""Stock clients of the official SDKs through `attorn mcp`: Python 1.x and 2.x, TypeScript 1.x and 2.x, each as it comes, the
2.x ones also with their probe of the newer era (mode auto). The upstreams' own logs are the evidence.
"""
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import stage

HERE = Path(__file__).resolve().parent
DEPS = Path(os.environ.get("ATTORN_DEPS_DIR") or HERE.parents[1] / "build-deps")
NODE18 = f"--import={(HERE.parents[1] / 'demo/node18.mjs').as_uri()}"
CLIENTS = {
    "python-1": ([sys.executable, "shim_client.py"], {}, None),
    "python-2": ([sys.executable, "shim_client.py"], {"PYTHONPATH": str(DEPS / "mcp2")}, "legacy"),
    "python-2-auto": ([sys.executable, "shim_client.py"], {"PYTHONPATH": str(DEPS / "mcp2")}, "auto"),
    "typescript-1": (["node", NODE18, "shim_client_v1.mjs"], {}, None),
    "typescript-2": (["node", NODE18, "shim_client_v2.mjs"], {}, None),
    "typescript-2-auto": (["node", NODE18, "shim_client_v2.mjs"], {}, "auto"),
}
SLOW = ["trigger-long-running-operation", {"duration": 3, "steps": 3}]
TOKEN_SIGNS = ("eyJ", "DPoP ", "sk-desk-")  # base64url of '{"', and the desk's key


class Client:
    def __init__(self, name, world):
        self.command, self.env, self.mode = CLIENTS[name]
        self.world = world

    def play(self, scene, route, *calls, grant=None, **more):
        server = self.world.shim(route, grant)
        if self.mode:
            server["mode"] = self.mode
        ran = subprocess.run([*self.command, json.dumps(server), json.dumps({"play": scene, "calls": calls, **more})], cwd=HERE,
                             env={**os.environ, **self.env}, capture_output=True, text=True, timeout=90)
        assert ran.returncode == 0, ran.stderr
        assert not [sign for sign in TOKEN_SIGNS if sign in ran.stdout + ran.stderr]
        return json.loads(ran.stdout)


@pytest.fixture(params=CLIENTS)
def client(request, world):
    return Client(request.param, world)


def test_lists_show_what_the_grant_names(client):
    assert client.play("tools", "invoices") == ["list_directory", "read_text_file"]
    assert client.play("tools", "warehouse") == ["read_query"]
    assert client.play("tools", "everything") == ["echo", "get-sum", "trigger-long-running-operation"]


def test_calls_reach_each_kind_of_upstream(client, world):
    before = world.upstream_calls()
    [invoice] = client.play("calls", "invoices", ["read_text_file", {"path": f"{world.invoices}/INV-0401.json"}])
    [rows] = client.play("calls", "warehouse", ["read_query", {"query": "SELECT id FROM orders"}])
    echo, total = client.play("calls", "everything", ["echo", {"message": "héllo\n☃"}], ["get-sum", {"a": 40, "b": 2}])
    assert json.loads(invoice["text"])["invoice"] == "INV-0401"
    assert "'id'" in rows["text"] and not rows["is_error"]
    assert (echo["text"], total["text"]) == ("Echo: héllo\n☃", "The sum of 40 and 2 is 42.")
    after = world.upstream_calls()
    assert {name: after[name] - before[name] for name in after} == {"desk": 0, "invoices": 1, "warehouse": 1, "everything": 2}


def test_parallel_calls_each_get_their_own_answer(client):
    seen = client.play("parallel", "everything", *(["echo", {"message": f"m{n}"}] for n in range(40)))
    assert [one["text"] for one in seen] == [f"Echo: m{n}" for n in range(40)]


def test_a_slow_call_holds_up_nobody(client):
    assert client.play("overtaken", "everything", SLOW, ["echo", {"message": "quick"}]) == ["echo", SLOW[0]]


def test_progress_comes_while_the_call_runs(client):
    seen = client.play("progress", "everything", SLOW)
    assert len(seen["seen"]) >= 2
    assert all(at < seen["done"] - 0.5 for _, at in seen["seen"][:2])  # streamed, not saved up


def test_a_cancel_reaches_the_upstream_and_the_session_lives_on(client, world):
    log = world.dir / "logs/everything.requests"
    before = log.read_text().count("notifications/cancelled")
    seen = client.play("cancel", "everything", ["trigger-long-running-operation", {"duration": 20, "steps": 2}],
                       ["echo", {"message": "after"}])
    assert seen["gave_up"] < 3
    assert seen["next"]["text"] == "Echo: after"
    assert log.read_text().count("notifications/cancelled") == before + 1


def test_big_results_arrive_whole(client, world):
    [seen] = client.play("calls", "invoices", ["read_text_file", {"path": f"{world.invoices}/big.txt"}])
    assert seen["text"] == "0123456789" * 150_000


def test_denials_are_answers_and_reach_no_upstream(client, world):
    before = world.upstream_calls()
    outside, up = client.play("calls", "invoices", ["read_text_file", {"path": "/etc/passwd"}],
                              ["read_text_file", {"path": f"{world.invoices}/../payroll.json"}])
    [large] = client.play("calls", "everything", ["get-sum", {"a": 1, "b": 101}])
    for seen in (outside, up, large):
        assert seen["is_error"] and seen["text"].startswith("Refused: an argument is outside the grant; stay inside")
    assert world.upstream_calls() == before


def test_a_tool_outside_the_grant_is_as_unknown_as_none(client, world):
    before = world.upstream_calls()
    hidden, absent = client.play("calls", "invoices", ["write_file", {"path": f"{world.invoices}/x", "content": "x"}],
                                 ["no_such_tool", {}])
    assert hidden == {"code": -32602, "text": "Unknown tool: write_file"}
    assert absent == {"code": -32602, "text": "Unknown tool: no_such_tool"}
    assert world.upstream_calls() == before


def test_the_call_after_the_last_use_is_refused(client, world):
    grant = world.grant("billing-scout", world.rules, uses=2)
    seen = client.play("calls", "everything", *(["echo", {"message": "x"}] for _ in range(3)), grant=grant)
    assert [one["is_error"] for one in seen] == [False, False, True]
    assert "no uses left" in seen[2]["text"] and "new grant" in seen[2]["text"]


def test_a_revoked_grant_ends_the_session_that_runs_under_it(client, world):
    grant = world.grant("billing-scout", world.rules, uses=100)
    server = {**world.shim("everything", grant), **({"mode": client.mode} if client.mode else {})}
    play = {"play": "cancel", "after": 2, "calls": [["trigger-long-running-operation", {"duration": 20, "steps": 2}],
                                                    ["echo", {"message": "x"}]]}
    running = subprocess.Popen([*client.command, json.dumps(server), json.dumps(play)], cwd=HERE, env={**os.environ, **client.env},
                               stdout=subprocess.PIPE, text=True)
    before = len(world.http_calls())
    end = time.monotonic() + 20
    while len(world.http_calls()) == before and time.monotonic() < end:
        time.sleep(0.02)
    world.cli("grant", "revoke", grant, by="alice")
    seen = json.loads(running.communicate(timeout=60)[0])
    assert seen["next"]["is_error"] and "revoked" in seen["next"]["text"], seen
    assert len(world.http_calls()) == before + 1


def transcript(command, env, lines):
    """The answers to `lines` by id, in the very order of their members; one line after the other."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               env={**os.environ, **env}, text=True)
    seen = {}
    for line in lines:
        process.stdin.write(json.dumps(line) + "\n")
        process.stdin.flush()
        while "id" in line and line["id"] not in seen:
            answer = json.loads(process.stdout.readline())
            if "id" in answer:
                seen[answer["id"]] = json.dumps(answer.get("result", answer.get("error")))
    process.stdin.close()
    process.wait(20)
    process.stdout.close()
    return seen


def test_what_a_server_answers_is_what_the_client_gets(world):
    """mcp.md W13: the same lines straight to the server and through shim and gateway, where everything is allowed."""
    folder = world.invoices
    calls = [("read_text_file", {"path": f"{folder}/INV-0401.json"}), ("read_text_file", {"path": f"{folder}/INV-0401.json", "head": 2}),
             ("read_text_file", {"path": f"{folder}/none.json"}), ("list_directory", {"path": str(folder)}),
             ("list_directory", {"path": f"{folder}/INV-0401.json"})]
    lines = [{"jsonrpc": "2.0", "id": "init", "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}},
        {"jsonrpc": "2.0", "method": "notifications/initialized"}, {"jsonrpc": "2.0", "id": 1, "method": "ping"}]
    lines += [{"jsonrpc": "2.0", "id": f"call {n}", "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
              for n, (tool, arguments) in enumerate(calls)]
    grant = world.grant("billing-scout", [f"invoices read_text_file path=under:{folder}", f"invoices list_directory path=under:{folder}",
                                          f"invoices read_text_file path=under:{folder} head=range:0..100"], uses=100)
    shim = world.shim("invoices", grant)
    through = transcript([shim["command"], *shim["args"]], shim["env"], lines)
    straight = transcript(["node", str(stage.FILESYSTEM), str(world.dir / "finance")], {}, lines)
    for one in straight:
        if one != "init":  # capabilities that the gateway does not relay are left out there
            assert through[one] == straight[one], one
    assert json.loads(through["init"])["serverInfo"] == json.loads(straight["init"])["serverInfo"]
