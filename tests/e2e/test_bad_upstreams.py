"""Upstreams that die, flood, lie, hang, forget or want a key; calls that are cut. What the client hears, what the ledger
says, and what the upstream itself saw."""
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest
import stage
from caller import args_digest, compact, send
from governed_http import Refused

HERE = Path(__file__).resolve().parent
TOOLS = {name: {"scope": "bad:use", "effect": "readonly"} for name in
         ["echo", "sleep", "die", "flood", "garbage", "endless", "asks", "steals", "progress", "forks"]}
RULES = ["bad echo x=matches:'.*'", "bad sleep ms=range:0..60000", "bad progress steps=range:0..100000",
         *(f"bad {name}" for name in ["die", "flood", "garbage", "endless", "asks", "steals", "forks"])]


@pytest.fixture(scope="module")
def bad(furnished):
    furnished.bad_log = furnished.dir / "logs/bad.lines"
    furnished.bad_log.touch()
    scopes = ["bad:use", "keyed:use"]
    furnished.cli("role", "put", "bad", *(word for scope in scopes for word in ("--scope", scope)))
    furnished.user("bob", "bad")
    furnished.agent("tester", *scopes, owner="bob")
    furnished.bad_route = {"kind": "mcp-stdio", "command": [sys.executable, str(HERE / "bad_server.py"), str(furnished.bad_log)],
                           "env": {"K": "V"}, "environment": "test", "data_classes": ["none"], "tools": TOOLS}
    furnished.put_route("bad", furnished.bad_route)
    furnished.tester = lambda rules=RULES, **how: furnished.caller(rules, name="tester", by="bob", **how)
    stage.until("the child lives", lambda: pids(furnished))
    return furnished


def processes(words):
    """Processes whose command line holds `words`."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode() if folder.name.isdigit() else ""
        except (FileNotFoundError, ProcessLookupError):
            continue
        if words in line:
            found.append(int(folder.name))
    return found


def pids(world):
    """Live processes of bad_server.py, forked ones included."""
    return processes(str(world.bad_log))


def lines(world):
    return [json.loads(line) for line in world.bad_log.read_text().splitlines()]


def calls_seen(world):
    return [line for line in lines(world) if line.get("method") == "tools/call"]


def per_call(agent, tool, arguments, message_id="m", **more):
    """tools/call under the delegated token and a proof for exactly this call."""
    session, url = agent.open("bad"), agent.on.route("bad")
    digest = agent.action_digest("bad", "tools/call", tool, args_digest(arguments))
    credentials = agent.credentials("POST", url, agent.delegated_token("bad"), action_digest=digest)
    params = {"name": tool, "arguments": arguments, **more}
    return agent.post("bad", {"jsonrpc": "2.0", "id": message_id, "method": "tools/call", "params": params}, credentials, session)


def outcomes_since(world, since):
    """What became of the calls since `since`, when there is something: outcomes follow their answers."""
    return stage.until("an outcome", lambda: [
        (r["status"], r.get("code")) for r in world.records(since) if r["type"] == "outcome"])


def in_background(function, *args, **more):
    box = {}
    thread = threading.Thread(target=lambda: box.update(answer=function(*args, **more), at=time.monotonic()))
    thread.start()
    return thread, box


def is_upstream_failure(answer):
    return answer.status == 200 and answer.json["error"]["code"] == -33013


def test_initialize_shows_what_is_relayed(bad):
    agent = bad.tester()
    agent.open("bad")
    mine = [line["self"] for line in lines(bad) if "self" in line][-1]
    assert mine["env"]["K"] == "V" and set(mine["env"]) <= {"K", "PATH", "HOME", "LANG", "LC_CTYPE"}
    assert mine["fds"][:3] == ["0", "1", "2"] and len(mine["fds"]) <= 5  # the log, and that of /proc itself
    assert lines(bad)[1]["params"]["capabilities"] == {}
    assert agent.tools("bad") == sorted(TOOLS)


def test_garbage_and_questions_are_dropped(bad):
    agent = bad.tester()
    assert json.loads(per_call(agent, "garbage", {}).text) == {}
    assert json.loads(per_call(agent, "asks", {}).text) == {}
    refused = [line for line in lines(bad) if line.get("id") == "mine"]
    assert [line["error"]["code"] for line in refused] == [-32601]


def test_no_answer_crosses_over(bad):
    waits, thief = bad.tester(), bad.tester()
    thread, box = in_background(per_call, waits, "sleep", {"ms": 1000}, message_id="slow")
    time.sleep(0.3)
    assert json.loads(per_call(thief, "steals", {}).text) == {}
    thread.join()
    assert json.loads(box["answer"].text) == {"ms": 1000} and box["answer"].json["id"] == "slow"


def test_progress_carries_the_clients_token(bad):
    answer = per_call(bad.tester(), "progress", {"steps": 3}, _meta={"progressToken": "mine"})
    events = [json.loads(line[5:]) for line in answer.body.decode().splitlines() if line.startswith("data:")]
    assert [event["params"]["progressToken"] for event in events[:-1]] == ["mine"] * 3
    assert events[-1]["id"] == "m"
    flood = per_call(bad.tester(), "progress", {"steps": 5000}, _meta={"progressToken": 1})
    assert flood.body.count(b"notifications/progress") < 100


@pytest.mark.parametrize("how", ["die", "flood", "endless"])
def test_a_child_that_ends_takes_only_its_calls_along(bad, how):
    agent, since, before = bad.tester(), bad.entries(), set(pids(bad))
    agent.open("bad")
    assert is_upstream_failure(per_call(agent, how, {}))
    assert outcomes_since(bad, since) == [("unknown", "upstream")]
    stage.until("another child", lambda: pids(bad) and not before & set(pids(bad)))
    assert json.loads(per_call(agent, "echo", {"x": how}).text) == {"x": how}


def test_a_cancelled_call_is_cut_and_told(bad):
    agent, since = bad.tester(), bad.entries()
    thread, box = in_background(per_call, agent, "sleep", {"ms": 20000}, message_id="c")
    stage.until("the call is there", lambda: calls_seen(bad)[-1]["params"]["name"] == "sleep")
    began = time.monotonic()
    credentials = agent.credentials("POST", bad.route("bad"), agent.delegated_token("bad"))
    notice = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "c"}}
    assert agent.post("bad", notice, credentials, agent.open("bad")).status == 202
    thread.join()
    assert box["at"] - began < 5 and box["answer"].body == b""
    sent = calls_seen(bad)[-1]["id"]
    assert [line["params"]["requestId"] for line in lines(bad) if line.get("method") == "notifications/cancelled"][-1] == sent
    assert outcomes_since(bad, since) == [("unknown", "cancelled")]


def test_another_session_cancels_nothing(bad):
    agent, other = bad.tester(), bad.tester()
    thread, box = in_background(per_call, agent, "sleep", {"ms": 800}, message_id="c")
    time.sleep(0.3)
    credentials = other.credentials("POST", bad.route("bad"), other.delegated_token("bad"))
    notice = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "c"}}
    assert other.post("bad", notice, credentials, other.open("bad")).status == 202
    thread.join()
    assert json.loads(box["answer"].text) == {"ms": 800}


def test_a_revoke_cuts_what_runs(bad):
    agent, since = bad.tester(), bad.entries()
    thread, box = in_background(per_call, agent, "sleep", {"ms": 20000})
    stage.until("the call is there", lambda: calls_seen(bad)[-1]["params"]["name"] == "sleep")
    bad.cli("grant", "revoke", agent.grant)
    acknowledged = time.monotonic()
    thread.join()
    assert box["answer"].status == 401 and box["at"] - acknowledged < 2
    assert ("unknown", "grant_revoked") in outcomes_since(bad, since)
    seen = len(calls_seen(bad))
    assert per_call(agent, "echo", {"x": "1"}).status == 401
    assert len(calls_seen(bad)) == seen


def test_a_client_that_goes_away_cancels_nothing(bad):
    agent, since = bad.tester(), bad.entries()
    agent.open("bad")
    agent.delegated_token("bad")
    with pytest.raises(TimeoutError):
        url, arguments = bad.route("bad"), {"ms": 1000}
        digest = agent.action_digest("bad", "tools/call", "sleep", args_digest(arguments))
        headers = [("Content-Type", "application/json"), ("Mcp-Session-Id", agent.sessions["bad"]),
                   *agent.credentials("POST", url, agent.delegated_token("bad"), action_digest=digest)]
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "sleep", "arguments": arguments}}
        send("POST", url, headers, compact(body).encode(), timeout=0.3)
    assert outcomes_since(bad, since) == [("success", None)]


def test_sessions_survive_the_gateway_and_children_do_not(bad):
    agent = bad.tester()
    per_call(agent, "echo", {"x": "before"})
    old = pids(bad)
    [gateway] = processes(f"gateway --dir {bad.dir}")
    os.kill(gateway, signal.SIGKILL)
    stage.until("new children", lambda: pids(bad) and not set(old) & set(pids(bad)))
    stage.until("the gateway is back", lambda: stage.is_healthy(bad.gateway))
    assert json.loads(per_call(agent, "echo", {"x": "after"}).text) == {"x": "after"}


def test_a_removed_route_takes_its_process_group_along(bad):
    per_call(bad.tester(), "forks", {})
    assert len(pids(bad)) == 2
    bad.cli("route", "remove", "bad")
    stage.until("both are gone", lambda: not pids(bad), seconds=10)
    bad.put_route("bad", bad.bad_route)
    stage.until("the child lives", lambda: pids(bad))


# --- an MCP server over HTTP that wants a key and forgets ---------------------------------------------------------


@pytest.fixture(scope="module")
def keyed(bad):
    bad.keyed_log = bad.dir / "logs/keyed.lines"
    key = "sk-keyed-" + uuid.uuid4().hex
    child = bad.start("keyed", [sys.executable, HERE / "keyed_server.py", key, bad.keyed_log], stdout=subprocess.PIPE)
    bad.secret("keyed-key", key)
    bad.put_route("keyed", {
        "kind": "mcp-http", "upstream": f"http://127.0.0.1:{int(child.stdout.readline())}/mcp",
        "credential": {"secret": "keyed-key", "header": "Authorization", "prefix": "Bearer "},
        "environment": "test", "data_classes": ["none"], "tools": {"echo": {"scope": "keyed:use", "effect": "readonly"}}})
    bad.key = key
    return bad


def keyed_requests(world):
    return [json.loads(line) for line in world.keyed_log.read_text().splitlines()]


def test_the_key_goes_up_and_never_down(keyed):
    agent, since = keyed.tester(["keyed echo message=matches:'.*'"], uses=2), keyed.entries()
    assert agent.tools("keyed") == ["echo"]  # initialize and the list need the key too, and spend no use
    answers = [agent.call_tool("keyed", "echo", {"message": message}) for message in ("one", "two")]
    assert [answer.text for answer in answers] == ["one", "two"]
    with pytest.raises(Refused):
        agent.call_tool("keyed", "echo", {"message": "three"})
    for request in keyed_requests(keyed):
        headers = {name.lower(): value for name, value in request["headers"].items()}
        assert headers["authorization"] == f"Bearer {keyed.key}" and "dpop" not in headers
    said = b"".join(answer.body + str(answer.headers).encode() for answer in answers)
    assert keyed.key.encode() not in said
    attempts = [record["act"]["op"] for record in keyed.records(since) if record["type"] == "attempt"]
    assert attempts == ["initialize", "notifications/initialized", "tools/list", "tools/call", "tools/call"]


def test_a_forgotten_session_is_made_anew_once(keyed):
    agent = keyed.tester(["keyed echo message=matches:'.*'"])
    assert agent.call_tool("keyed", "echo", {"message": "forget"}).text == "forget"
    before = len(keyed_requests(keyed))
    assert agent.call_tool("keyed", "echo", {"message": "again"}).text == "again"
    methods = [json.loads(request["body"])["method"] for request in keyed_requests(keyed)[before:]]
    assert methods == ["tools/call", "initialize", "notifications/initialized", "tools/call"]
    assert agent.call_tool("keyed", "echo", {"message": "forget"}).text == "forget"
    assert agent.tools("keyed") == ["echo"]


def test_a_wrong_key_is_nobodys_business(keyed):
    keyed.secret("keyed-key", "wrong")
    agent = keyed.tester(["keyed echo message=matches:'.*'"])
    with pytest.raises(stage.Problem) as failed:
        agent.open("keyed")
    assert "-33013" in str(failed.value) and "realm" not in str(failed.value)
    keyed.secret("keyed-key", keyed.key)
