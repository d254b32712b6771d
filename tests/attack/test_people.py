"""Operators who try to lend what is not theirs, users who try to exceed themselves, agents who take what was lent to others; and
the races between a call and what should stop it. The order of the ledger is the judge."""
import json
import os
import signal
import subprocess
import threading
import time

import caller
import pytest
import stage
from caller import compact
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SAY = ["python say message=matches:'.*'"]


def say(agent, route="python", text="a", **more):
    return agent.call_tool(route, "say", {"message": text}, **more)


def said(answer):
    return answer.status == 200 and not answer.is_tool_error and "result" in answer.json


@pytest.fixture
def lent(arena):
    """A new grant to mallory's agent, and the agent with it."""
    def make(rules=SAY, **how):
        grant = arena.grant("mallory", rules, **{"uses": 10_000, **how})
        from attacker import Attacker
        return Attacker(arena, "mallory", grant)
    return make


# --- operators and users -------------------------------------------------------------------------------------------------------

def test_an_operator_cannot_sign_for_a_person_unseen(arena):
    """The grant of an administrator in a user's name is possible where the rules let it, and shows for ever."""
    since = arena.entries()
    try:
        grant = arena.grant("mallory", SAY, by="alice", signed_with="operator")
    except (stage.Refused, stage.Problem):
        return
    shown = json.dumps(arena.cli("grant", "show", grant))
    [record] = [record for record in arena.records(since) if record["type"] == "grant"]
    assert "admin" in shown and "admin" in json.dumps(record), (shown, record)


def test_nobody_lends_what_they_may_not_do(arena):
    arena.cli("role", "put", "reader", "--scope", "invoices:read")
    arena.user("bob", "reader")
    with pytest.raises((stage.Refused, stage.Problem)):
        arena.grant("mallory", SAY, by="bob")
    with pytest.raises((stage.Refused, stage.Problem)):
        arena.cli("user", "roles", "bob", "--role", "admin", by="bob")
    for verb in (["secret", "put", "x", "--file", arena.dir / "x.secret"], ["role", "put", "reader", "--scope", "parrot:use"],
                 ["agent", "state", "mallory", "quarantined"], ["route", "remove", "python"]):
        (arena.dir / "x.secret").write_text("x")
        with pytest.raises((stage.Refused, stage.Problem)):
            arena.cli(*verb, by="bob")
    assert arena.cli("agent", "show", "mallory")["state"] == "active"


def test_no_person_and_no_machine_account_widens_without_a_signature(arena):
    """The admin socket alone, opened by root or the owner, widens nothing (P102)."""
    def ask(method, path, body):
        ran = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket", arena.work / "data/run/admin.sock", "-X", method,
                              "-H", "Content-Type: application/json", "-d", json.dumps(body), "http://x/api/v1" + path], capture_output=True, text=True)
        return ran.stdout
    assert ask("PUT", "/roles/reader", {"permissions": ["parrot:use"]}) == "401"
    assert ask("POST", "/users/bob/roles", {"roles": ["admin"]}) == "401"
    assert ask("PUT", "/secrets/raw-key", {"value": "x"}) == "401"
    assert ask("POST", "/policy", {"files": [{"name": "a.cedar", "text": "permit(principal,action,resource);"}]}) == "401"
    assert ask("POST", "/grants", {"document": "{}", "signature": "AA"}) in ("400", "401", "403", "422")


def test_a_person_who_loses_a_role_lends_it_no_longer(arena, lent):
    agent = lent()
    assert said(say(agent))
    arena.cli("user", "roles", "alice", "--role", "billing")
    try:
        for way in (lambda: say(agent), lambda: say(agent, credentials=agent.proofed("python", "tools/call", "say", caller.args_digest({"message": "a"})))):
            try:
                assert not said(way())
            except Exception as refused:
                assert "Refused" in type(refused).__name__
    finally:
        arena.cli("user", "roles", "alice", "--role", "billing", "--role", "attackers")
    assert said(say(lent()))


SECRETS = ["a\r\nX-Admin: 1", "a\nb", "a\rb", "a\0b", "\x01", "\x7f", " ", "\u2028", "x" * 100_000]


@pytest.mark.parametrize("value", SECRETS)
def test_no_secret_becomes_a_header_of_its_own(arena, mallory, value):
    """Refused when it is put; or the call fails and nothing goes out; never a second header line."""
    before = len(arena.recorded("raw"))
    try:
        arena.secret("raw-key", value)
        answer = mallory.http("raw", "POST", "/things", b'{"note":"a"}')
        assert answer.status >= 400 or b"X-Admin" not in arena.recorded("raw")[-1], answer
    except (stage.Refused, stage.Problem):
        pass
    finally:
        arena.secret("raw-key", "sk-raw-0123456789")
    for raw in arena.recorded("raw")[before:]:
        head = raw.partition(b"\r\n\r\n")[0].lower()
        assert b"x-admin" not in head and b"\0" not in head and head.count(b"x-api-key:") <= 1


BASE = {"kind": "http", "environment": "test", "data_classes": ["none"], "http": [{"method": "POST", "path": "/things", "scope": "raw:use", "effect": "mutating"}]}
ROUTES = {
    "host": {"credential": {"secret": "raw-key", "header": "Host", "prefix": ""}}, "length": {"credential": {"secret": "raw-key", "header": "Content-Length", "prefix": ""}},
    "framing": {"credential": {"secret": "raw-key", "header": "Transfer-Encoding", "prefix": ""}}, "two lines": {"credential": {"secret": "raw-key", "header": "X-Key", "prefix": "a\r\nX-Admin: "}},
    "name": {"credential": {"secret": "raw-key", "header": "X-Key\r\nX-Admin", "prefix": ""}}, "no name": {"credential": {"secret": "raw-key", "header": "", "prefix": ""}},
    "userinfo": {"upstream": "http://u:p@127.0.0.1:9"}, "fragment": {"upstream": "http://127.0.0.1:9/#x"}, "file": {"upstream": "file:///etc"}, "dots": {"upstream": "http://127.0.0.1:9/a/../b"},
    "query": {"upstream": "http://127.0.0.1:9/?x="}, "blank": {"upstream": "http://127.0.0.1 :9/"}, "template": {"http": [{"method": "POST", "path": "/{a}{b}", "scope": "raw:use", "effect": "mutating"}]},
    "lower": {"http": [{"method": "post", "path": "/x", "scope": "raw:use", "effect": "mutating"}]},
    "climb": {"http": [{"method": "POST", "path": "/../x", "scope": "raw:use", "effect": "mutating"}]}, "unknown": {"admin": True}, "no effect": {"http": [{"method": "POST", "path": "/x", "scope": "raw:use"}]},
    "argv": {"kind": "mcp-stdio", "command": ["a\0b"], "tools": {}}, "env": {"kind": "mcp-stdio", "command": ["/bin/true"], "env": {"A=B": "c"}, "tools": {}},
    "no command": {"kind": "mcp-stdio", "command": [], "tools": {}},
}


@pytest.mark.parametrize("name", ROUTES)
def test_no_route_that_means_two_things_is_taken(arena, name):
    document = {**BASE, "upstream": "http://127.0.0.1:9", **ROUTES[name]}
    if document["kind"] == "mcp-stdio":
        document.pop("http"), document.pop("upstream")
    with pytest.raises((stage.Refused, stage.Problem)):
        arena.put_route("doubtful", document)


@pytest.mark.parametrize("rule", [
    "python say", "python * message=matches:'.*'", "* say message=matches:'.*'", "python say message=matches:'('", "python say message=matches:'^a$'",
    "python say message=matches:'(a+)+b\\1'", "invoices read_text_file path=under:relative/..", "invoices read_text_file path=under:/srv/../etc",
    "invoices read_text_file path=under:/srv/%2e%2e", "raw POST /things/../admin note=matches:'.*'", "raw CONNECT / note=matches:'.*'",
    "raw POST //things note=matches:'.*'", "nowhere say message=matches:'.*'",
])
def test_no_grant_that_means_two_things_is_signed_or_lends_more(arena, lent, rule):
    try:
        agent = lent([rule])
    except (stage.Refused, stage.Problem):
        return
    answer = None
    try:
        answer = say(agent)
    except Exception as refused:
        assert "Refused" in type(refused).__name__ or "Problem" in type(refused).__name__, refused
    assert answer is None or not said(answer), rule


# --- another agent, another session -----------------------------------------------------------------------------------------------

def test_a_token_is_of_no_use_to_another_agent(arena, mallory, eve):
    token = eve.delegated_token("python")
    url = arena.route("python")
    message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert mallory.post("python", message, mallory.credentials("POST", url, token), eve.open("python")).status == 401
    capability = eve.tool_capability("python", "say", {"message": "a"})
    assert say(mallory, token=capability).status == 401
    assert say(eve, token=capability).status == 200  # a stranger's try spent nothing (P59)
    with pytest.raises(Exception, match="invalid_request"):
        mallory.exchange(url, subject_token=token, subject_token_type=caller.TOKEN_TYPE,
                         authorization_details=compact([eve.tool_item("python", "say", {"message": "a"})]))
    with pytest.raises(Exception, match="invalid_request"):
        mallory.exchange(url, subject_token=eve.grant, subject_token_type=caller.GRANT_TYPE)


def test_a_proof_by_a_key_that_is_not_the_clients_own_makes_no_token(arena, mallory, eve):
    """Whoever holds a fresh assertion binds no token to a key of their own (P2)."""
    for other in (eve, Ed25519PrivateKey.generate()):
        thief = caller.Caller(arena, "mallory", mallory.grant)
        if other is not eve:
            thief.key = other
            thief.jwk = {"crv": "Ed25519", "kty": "OKP", "x": caller.b64(other.public_key().public_bytes_raw())}
        else:
            thief.key, thief.jwk = eve.key, eve.jwk
        proof = thief.proof("POST", arena.issuer + "/oauth/token", nonce=mallory.fresh_nonce())
        answer = mallory.token_request(proof, mallory.exchange_form("python"))
        assert (answer.status, answer.json["error"]) == (400, "invalid_dpop_proof"), answer.body


def test_a_retired_key_ends_what_is_bound_to_it(arena):
    from attacker import Attacker
    arena.agent("forgetful", "parrot:use", owner="alice")
    agent = Attacker(arena, "forgetful", arena.grant("forgetful", SAY, uses=100))
    assert said(say(agent))
    token = agent.tool_capability("python", "say", {"message": "a"})
    proofs = [agent.proofed("python", "tools/call", "say", caller.args_digest({"message": "a"})) for _ in range(2)]
    ran = subprocess.run(["curl", "-s", "--unix-socket", arena.work / "data/run/admin.sock", "-H", "Content-Type: application/json", "-d", '{"state":"retired"}',
                          f"http://x/api/v1/agents/forgetful/keys/{agent.kid}/state"], capture_output=True, text=True)
    assert json.loads(ran.stdout)["agent"]["keys"][0]["state"] == "retired"
    before = len(arena.stdio_calls("python"))
    assert say(agent, credentials=proofs[0]).status == say(agent, token=token).status == 401
    assert agent.ask("python", "tools/list").status == 401
    with pytest.raises(Exception, match="invalid_client"):
        agent.tool_capability("python", "say", {"message": "b"})
    assert len(arena.stdio_calls("python")) == before


def test_a_session_is_of_no_use_to_another_principal(arena, mallory, eve, lent):
    other = lent()
    for thief, route in ((eve, "python"), (other, "python"), (mallory, "node")):
        session = mallory.open("python")
        url, token = arena.route(route), thief.delegated_token(route)
        answer = thief.post(route, {"jsonrpc": "2.0", "id": 1, "method": "ping"}, thief.credentials("POST", url, token), session)
        assert answer.status == 404, answer
    sealed = mallory.open("python")
    for changed in (sealed[:-1], sealed + "A", sealed[:40] + ("A" if sealed[40] != "A" else "B") + sealed[41:], "x", "A" * 5000):
        answer = mallory.post("python", {"jsonrpc": "2.0", "id": 1, "method": "ping"},
                              mallory.credentials("POST", arena.route("python"), mallory.delegated_token("python")), changed)
        assert answer.status in (400, 404, 431), (changed, answer)


def test_a_call_of_one_cannot_be_cancelled_by_another(arena, mallory, eve):
    """Same request id, other session: the cancel finds nothing."""
    seen = {}

    def slow():
        seen["answer"] = mallory.call_tool("everything", "echo", {"message": "mine"})
    mallory.open("everything"), eve.open("everything")
    thread = threading.Thread(target=slow)
    thread.start()
    for _ in range(20):
        eve.post("everything", {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}},
                 eve.credentials("POST", arena.route("everything"), eve.delegated_token("everything")), eve.open("everything"))
    thread.join()
    assert seen["answer"].text == "Echo: mine"


# --- races -----------------------------------------------------------------------------------------------------------------------------

class Volley:
    """Calls from several threads for as long as it is open; counts what passed."""

    def __init__(self, agent, threads=4, make=say):
        self.agent, self.make, self.on, self.passed, self.lock = agent, make, True, 0, threading.Lock()
        self.threads = [threading.Thread(target=self.fire) for _ in range(threads)]

    def fire(self):
        while self.on:
            try:
                passed = said(self.make(self.agent))
            except Exception:
                passed = False
            with self.lock:
                self.passed += passed
            if not passed:
                time.sleep(0.005)

    def __enter__(self):
        self.agent.open("python"), self.agent.delegated_token("python")
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.on = False
        for thread in self.threads:
            thread.join()


def by_proof(agent):
    return say(agent, credentials=agent.proofed("python", "tools/call", "say", caller.args_digest({"message": "a"})))


@pytest.mark.parametrize("make", [say, by_proof])
def test_no_call_passes_after_a_revoke(arena, lent, make):
    agent, since = lent(), arena.entries()
    with Volley(agent, make=make) as volley:
        stage.until("calls pass", lambda: volley.passed > 10)
        arena.cli("grant", "revoke", agent.grant, by="alice")
        upstream = len(arena.stdio_calls("python"))
        time.sleep(0.5)
    assert len(arena.stdio_calls("python")) - upstream <= 4  # admitted before, still on their way
    records = arena.records(since)
    [revoked] = [record["index"] for record in records if record["type"] == "revoke"]
    attempts = [record["index"] for record in records if record["type"] == "attempt"]
    assert attempts and max(attempts) < revoked


def test_no_call_passes_on_rules_that_were_replaced(arena, lent):
    """A push that forbids, amid calls: no attempt after its record rests on the older policy (the fence)."""
    agent, folder = lent(), arena.dir / "rules"
    folder.mkdir(exist_ok=True)
    now = arena.cli("policy", "show")
    files = now.get("files") or now["policy"]["files"]
    for file in files:
        (folder / file["name"]).write_text(file["text"])
    (folder / "attack.cedar").write_text('@id("no-parrots")\nforbid (principal, action, resource) when { context has route && context.route == "python" };\n')
    since = arena.entries()
    with Volley(agent) as volley:
        stage.until("calls pass", lambda: volley.passed > 10)
        try:
            arena.cli("policy", "push", folder)
        except (stage.Refused, stage.Problem) as problem:
            pytest.skip(f"the rule does not compile here: {problem}")
        time.sleep(0.5)
    try:
        records = arena.records(since)
        [pushed] = [record["index"] for record in records if record["type"] == "policy"]
        after = {record["policy"]["digest"] for record in records if record["type"] == "attempt" and record["index"] > pushed}
        before = {record["policy"]["digest"] for record in records if record["type"] == "attempt" and record["index"] < pushed}
        assert before and not after & before
    finally:
        (folder / "attack.cedar").unlink()
        arena.cli("policy", "push", folder)
    stage.until("the wider rules have reached the gateway", lambda: said(say(agent)))  # until then it denies


def test_no_call_passes_after_a_quarantine(arena, lent):
    agent, since = lent(), arena.entries()
    with Volley(agent) as volley:
        stage.until("calls pass", lambda: volley.passed > 10)
        arena.cli("agent", "state", "mallory", "quarantined")
        time.sleep(0.4)
    try:
        records = arena.records(since)
        [stopped] = [record["index"] for record in records if record["type"] == "agent"]
        assert max(record["index"] for record in records if record["type"] == "attempt") < stopped
    finally:
        arena.cli("agent", "state", "mallory", "active")
    assert said(say(lent()))


# --- two gateways on one port ---------------------------------------------------------------------------------------------------------

@pytest.fixture
def second(arena):
    """Another gateway process on the same port: the kernel deals connections out to both."""
    before = arena.log("attorn").count("child_ready")
    child = arena.start("second", [arena.attorn, "gateway", "--dir", arena.work])
    stage.until("the second gateway has its servers", lambda: arena.log("second").count("child_ready") >= 3 or child.poll() is not None)
    assert child.poll() is None, arena.log("second")
    assert before
    yield child
    arena.stop("second")


def at_once(n, make):
    """n answers of make(k), all asked at one time."""
    gate, answers = threading.Barrier(n), [None] * n

    def one(k):
        gate.wait()
        answers[k] = make(k)
    threads = [threading.Thread(target=one, args=(k,)) for k in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_one_capability_at_two_gateways_is_one_call(arena, lent, second):
    agent = lent()
    agent.open("python")
    for _ in range(10):
        token, before = agent.tool_capability("python", "say", {"message": "a"}), len(arena.stdio_calls("python"))
        answers = at_once(16, lambda _: say(agent, token=token))
        assert sum(map(said, answers)) == 1
        assert len(arena.stdio_calls("python")) == before + 1


def test_one_proof_at_two_gateways_is_one_call(arena, lent, second):
    agent = lent()
    agent.open("python")
    for _ in range(5):
        credentials, before = agent.proofed("python", "tools/call", "say", caller.args_digest({"message": "a"})), len(arena.stdio_calls("python"))
        answers = at_once(16, lambda _: say(agent, credentials=credentials))
        assert sum(map(said, answers)) == 1
        assert len(arena.stdio_calls("python")) == before + 1


def test_the_last_use_at_two_gateways_is_one_call(arena, lent, second):
    agent = lent(uses=3)
    agent.open("python")
    proofs = [agent.proofed("python", "tools/call", "say", caller.args_digest({"message": "a"})) for _ in range(16)]
    assert sum(map(said, at_once(16, lambda k: say(agent, credentials=proofs[k])))) == 3


def test_sessions_hold_at_either_gateway_and_are_sealed_at_both(arena, lent, second, eve):
    agent = lent()
    session = agent.open("python")
    for _ in range(12):
        assert said(say(agent))
        answer = eve.post("python", {"jsonrpc": "2.0", "id": 1, "method": "ping"},
                          eve.credentials("POST", arena.route("python"), eve.delegated_token("python")), session)
        assert answer.status == 404


# --- the authority is away -----------------------------------------------------------------------------------------------------------

def pids_of(arena):
    """The two processes of attorn under `attorn up`: their role -> pid."""
    found = {}
    for pid in os.listdir("/proc"):
        try:
            words = open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0")
        except OSError:
            continue
        if str(arena.work).encode() in words and len(words) > 1 and words[1] in (b"authority", b"gateway"):
            found.setdefault(words[1].decode(), int(pid))
    return found


def test_without_the_authority_nothing_passes(arena, lent):
    agent = lent()
    agent.open("python")
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "say", "arguments": {"message": "a"}}}
    proof = agent.proofed("python", "tools/call", "say", caller.args_digest({"message": "a"}))
    authority, before = pids_of(arena)["authority"], len(arena.stdio_calls("python"))
    os.kill(authority, signal.SIGSTOP)
    try:
        with pytest.raises(TimeoutError):  # neither yes nor no: it waits for the authority's word, and nothing goes out
            agent.post("python", message, proof, agent.sessions["python"], timeout=3)
        assert len(arena.stdio_calls("python")) == before
    finally:
        os.kill(authority, signal.SIGCONT)
    stage.until("the doors are open again", lambda: stage.is_healthy(arena.gateway) and stage.is_healthy(arena.issuer))
    stage.until("calls pass again", lambda: said(say(agent)), 15, 0.2)
