"""Every verb as a person types it: what it prints, what --json gives, how it ends."""
import http.server
import json
import os
import socketserver
import subprocess
import threading
import time
import urllib.parse

import pytest
import stage


@pytest.fixture(scope="module")
def lent(furnished):
    return furnished.grant("billing-scout", furnished.rules, uses=1000)


def attorn(world, *words, stdin=None, env=None):
    """A command without the options that stage.run adds."""
    return subprocess.run([world.attorn, *map(str, words)], input=stdin, capture_output=True, text=True, timeout=60,
                          env={**os.environ, "ATTORN_DIR": str(world.work), **(env or {})})


def agent_env(world, grant):
    return {"ATTORN_AGENT": "billing-scout", "ATTORN_AGENT_KEY": str(world.dir / "agents/billing-scout/agent.key"), "ATTORN_GRANT": grant}


def call_of(world, rid_of="attempt"):
    return [record["rid"] for record in world.records() if record["type"] == rid_of][-1]


def a_call(world, lent):
    ran = attorn(world, "http", "tickets", "POST", "/tickets", "--data", '{"title":"t","body":"b","priority":"low"}',
                 env=agent_env(world, lent))
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_every_read_as_text_and_as_json(furnished, lent):
    a_call(furnished, lent)
    call = call_of(furnished)
    for words, part in [(["status"], "issuer"), (["user", "list"], "alice"), (["user", "show", "alice"], "u:"), (["role", "list"], "billing"),
                        (["agent", "list"], "billing-scout"), (["agent", "show", "billing-scout"], "spiffe://"),
                        (["route", "list"], "mcp-stdio"), (["route", "show", "tickets"], "tickets-key"),
                        (["secret", "list"], "tickets-key"), (["grant", "list"], lent), (["grant", "show", lent], "uses left"),
                        (["policy", "show"], "permit"), (["policy", "rules"], "forbid  guard.scope"), (["ledger", "head"], "verifier key"), (["explain", call], "billing-scout")]:
        text, data = attorn(furnished, *words), attorn(furnished, *words, "--json")
        assert (text.returncode, data.returncode, text.stderr + data.stderr) == (0, 0, ""), words
        assert part in text.stdout, words
        assert isinstance(json.loads(data.stdout), dict), words
        assert furnished.desk_key not in text.stdout + data.stdout


@pytest.mark.parametrize("words,status,text", [
    (["user", "show", "nobody"], 1, "not found"), (["agent", "show", "nobody"], 1, "not found"), (["route", "show", "none"], 1, "not found"),
    (["grant", "show", "01M870X2F44D309KM971BCA7T2"], 1, "not found"), (["explain", "01M870X2F44D309KM971BCA7T2"], 1, "not found"),
    (["grant", "revoke", "01M870X2F44D309KM971BCA7T2"], 1, "not found"), (["agent", "show", "../users/alice"], 1, ""),
    (["agent", "show", "a?b"], 1, ""), (["status", "--dir", "/nonexistent"], 3, "attorn up"), (["status", "--dir", "x" * 300], 3, ""),
    (["user", "add", "bob", "--key", "/nonexistent"], 4, "No such file"), (["secret", "put", "x"], 2, "--file"),
    (["grant", "create", "--agent", "billing-scout"], 2, "--uses"), (["ledger", "verify", "--vkey", "nonsense"], 2, "not a verifier key"),
])
def test_what_goes_wrong_says_so_and_ends_with_its_number(furnished, words, status, text):
    ran = furnished.run(*words) if "--dir" not in words else attorn(furnished, *words)
    assert (ran.returncode, ran.stdout) == (status, ""), ran.stderr
    assert text in ran.stderr and ran.stderr.startswith("attorn: ")


@pytest.mark.parametrize("rule,words", [
    ("invoices", "expected ROUTE TOOL"), ("invoices read_text_file path", "expected"), ("invoices read_text_file path=nothing:x", ""),
    ("invoices read_text_file path=under:/a/../b", ""), ("nowhere echo", "not found"),
    ("invoices read_text_file path=matches:'('", ""), ("invoices read_text_file 'path=under:/x", "expected"),
])
def test_rules_that_cannot_be_are_not_signed(furnished, rule, words):
    ran = furnished.run("grant", "create", "--agent", "billing-scout", "--uses", 1, "--allow", rule, by="alice")
    assert ran.returncode in (1, 2) and words in ran.stderr, ran.stderr
    assert "Traceback" not in ran.stderr and "check failed" not in ran.stderr


def test_keys_and_passphrases(furnished, tmp_path):
    (tmp_path / "short").write_text("1234567")
    (tmp_path / "good").write_text("long enough\n")
    made = attorn(furnished, "user", "key", "carol", "--out", tmp_path / "carol.key", "--passphrase-file", tmp_path / "short")
    assert made.returncode == 4 and "8" in made.stderr and not (tmp_path / "carol.key").exists()
    made = attorn(furnished, "user", "key", "carol", "--out", tmp_path / "carol.key", "--passphrase-file", tmp_path / "good", "--json")
    assert made.returncode == 0 and json.loads(made.stdout)["kty"] == "OKP" and "d" not in json.loads(made.stdout)
    assert (tmp_path / "carol.key").stat().st_mode & 0o777 == 0o600
    again = attorn(furnished, "user", "key", "carol", "--out", tmp_path / "carol.key", "--passphrase-file", tmp_path / "good")
    assert again.returncode == 4 and "exists" in again.stderr
    agent = attorn(furnished, "agent", "key", "x", "--out", tmp_path / "x.key", "--json")
    assert agent.returncode == 0 and "d" not in json.loads(agent.stdout)
    assert (tmp_path / "x.key").stat().st_mode & 0o777 == 0o600
    wrong = attorn(furnished, "role", "put", "r", "--scope", "a:b", "--as", "alice", "--user-key", furnished.key_of("alice"),
                   "--passphrase-file", tmp_path / "good")
    assert wrong.returncode == 4 and "wrong passphrase" in wrong.stderr
    # somebody else's key, though the passphrase fits
    other = attorn(furnished, "role", "put", "r", "--scope", "a:b", "--user-key", tmp_path / "carol.key", "--passphrase-file", tmp_path / "good")
    assert other.returncode == 1 and "not signed by an enrolled user key" in other.stderr


def test_an_agent_key_that_others_may_read_is_not_used(furnished, lent):
    key = furnished.dir / "agents/billing-scout/agent.key"
    key.chmod(0o644)
    try:
        ran = attorn(furnished, "token", "get", "tickets", env=agent_env(furnished, lent))
    finally:
        key.chmod(0o600)
    assert ran.returncode == 4 and "chmod 600" in ran.stderr and ran.stdout == ""


def test_tokens_step_by_step(furnished, lent):
    env = agent_env(furnished, lent)
    token = attorn(furnished, "token", "get", "everything", env=env).stdout
    assert token.count(".") == 2
    got = json.loads(attorn(furnished, "token", "capability", "everything", "echo", "--data", '{"message":"x"}', "--json", env=env).stdout)
    assert got["token_type"] == "DPoP" and got["access_token"] != token.strip()
    for text, active in (token, True), (got["access_token"], True), ("nonsense", False), (token[:-8] + "AAAAAAA\n", False):
        ran = attorn(furnished, "token", "introspect", "everything", stdin=text, env=env)
        seen = json.loads(ran.stdout)
        assert (seen["active"], ran.returncode) == (active, 0 if active else 1)
        assert active or seen == {"active": False}
    assert attorn(furnished, "token", "revoke", "everything", stdin=token, env=env).returncode == 0
    assert attorn(furnished, "token", "introspect", "everything", stdin=token, env=env).returncode == 1
    assert attorn(furnished, "token", "revoke", "everything", stdin="nonsense", env=env).returncode == 0  # RFC 7009 2.2
    for words in ["write_file", "no_such_tool"]:
        ran = attorn(furnished, "token", "capability", "invoices", words, env=env)
        assert (ran.returncode, ran.stderr) == (1, "attorn: no capability: authorization details not granted; fix: ask for less\n")
    assert attorn(furnished, "token", "capability", "everything", "echo", "--data", "[]", env=env).returncode == 2
    assert attorn(furnished, "token", "get", "everything", env={**env, "ATTORN_GRANT": "01M870X2F44D309KM971BCA7T2"}).returncode == 1


def test_keys_come_and_go(furnished, tmp_path):
    """One more key, the old one retired by file or thumbprint; what was made with it ends."""
    run, key = furnished.run, furnished.agent("turner", "everything:use")
    grant = furnished.grant("turner", ["everything echo message=matches:'.*'"], uses=5)
    env = {"ATTORN_AGENT": "turner", "ATTORN_AGENT_KEY": str(key), "ATTORN_GRANT": grant}
    assert attorn(furnished, "agent", "key", "turner", "--out", tmp_path / "new.key").returncode == 0
    assert attorn(furnished, "token", "get", "everything", env={**env, "ATTORN_AGENT_KEY": str(tmp_path / "new.key")}).returncode == 1
    assert run("agent", "key-add", "turner", "--key", tmp_path / "new.key.pub").returncode == 0
    assert attorn(furnished, "token", "get", "everything", env={**env, "ATTORN_AGENT_KEY": str(tmp_path / "new.key")}).returncode == 0
    ran = attorn(furnished, "agent", "key-retire", "turner", "--key", key.with_suffix(".pub"))  # narrowing: nobody's key needed
    assert (ran.returncode, ran.stdout) == (0, "the key is retired\n"), ran.stderr
    assert attorn(furnished, "token", "get", "everything", env=env).returncode == 1
    keys = json.loads(attorn(furnished, "agent", "show", "turner", "--json").stdout)["keys"]
    assert sorted(one["state"] for one in keys) == ["active", "retired"]

    (tmp_path / "pass").write_text("long enough\n")
    for name in "first", "second":
        made = attorn(furnished, "user", "key", "dora", "--out", tmp_path / name, "--passphrase-file", tmp_path / "pass")
        assert made.returncode == 0, made.stderr
    assert run("user", "add", "dora", "--key", tmp_path / "first").returncode == 0
    assert run("user", "key-add", "dora", "--key", tmp_path / "second").returncode == 0
    first = next(one["jkt"] for one in json.loads(attorn(furnished, "user", "show", "dora", "--json").stdout)["keys"])
    assert attorn(furnished, "user", "key-retire", "dora", "--", first).returncode == 0
    for words, status, text in [(["user", "key-retire", "dora", "short"], 2, "thumbprint"), (["user", "key-retire", "dora"], 2, "--key"),
                                (["user", "key-add", "dora"], 2, "--key"), (["agent", "key-retire", "turner", "A" * 43], 1, "not found"),
                                (["user", "key-add", "dora", "--key", tmp_path / "second"], 1, "exists")]:
        ran = run(*words)
        assert (ran.returncode, text in ran.stderr) == (status, True), (words, ran.stderr)


def test_an_agent_is_updated_in_part(furnished):
    def shown():
        agent = json.loads(attorn(furnished, "agent", "show", "mender", "--json").stdout)
        return agent["owner"], agent["scopes"], agent["roles"], agent["max_depth"], agent["rev"]
    furnished.agent("mender", "everything:use")
    owner, scopes, roles, depth, rev = shown()
    assert furnished.run("agent", "update", "mender", "--depth", "3").returncode == 0
    assert shown() == (owner, scopes, roles, 3, rev + 1)
    assert furnished.run("agent", "update", "mender", "--scope", "a:b", "--scope", "c:d", "--owner", "alice").returncode == 0
    alice = json.loads(attorn(furnished, "user", "show", "alice", "--json").stdout)["id"]
    assert shown() == (alice, ["a:b", "c:d"], roles, 3, rev + 2)
    assert furnished.run("agent", "update", "mender", "--scope", "-").returncode == 0
    assert shown() == (alice, [], roles, 3, rev + 3)
    ran = furnished.run("agent", "update", "mender")
    assert ran.returncode == 2 and "--owner" in ran.stderr
    ran = furnished.run("agent", "update", "mender", "--owner", "nobody")
    assert ran.returncode == 1 and shown() == (alice, [], roles, 3, rev + 3)


def test_over_the_network_every_request_is_signed(furnished):
    seen = furnished.run("agent", "list", "--json", "--url", furnished.issuer)
    assert seen.returncode == 0, seen.stderr
    assert "billing-scout" in [one["name"] for one in json.loads(seen.stdout)["agents"]]
    seen = furnished.run("role", "put", "faraway", "--scope", "a:b", "--url", furnished.issuer)
    assert seen.returncode == 0, seen.stderr
    assert furnished.run("agent", "list", "--url", furnished.issuer, signed_with="alice").returncode in (0, 1)


class Pages(http.server.BaseHTTPRequestHandler):
    """An admin socket with three pages of roles; the last page asked for under a cursor it did not give is an error."""
    pages = {"": (["a", "b"], "b"), "b": (["c"], "c & d"), "c & d": (["e"], None)}

    def do_GET(self):
        target = urllib.parse.urlsplit(self.path)
        names, after = self.pages[urllib.parse.parse_qs(target.query).get("after", [""])[0]]
        body = json.dumps({"roles": [{"name": name, "permissions": ["a:b"]} for name in names], "next": after}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):
        return "unix"

    def log_message(self, *_):
        pass


def test_lists_of_more_than_a_page(furnished, tmp_path):
    (tmp_path / "data/run").mkdir(parents=True)
    with socketserver.UnixStreamServer(str(tmp_path / "data/run/admin.sock"), Pages) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        text, data = (attorn(furnished, "role", "list", "--dir", tmp_path, *more) for more in ([], ["--json"]))
        server.shutdown()
    assert (text.returncode, data.returncode) == (0, 0), text.stderr + data.stderr
    assert [line.split()[0] for line in text.stdout.splitlines()] == ["name", "a", "b", "c", "e"]
    assert [one["name"] for one in json.loads(data.stdout)["roles"]] == ["a", "b", "c", "e"]


def test_export_and_verify(furnished, tmp_path):
    export, again = tmp_path / "export", tmp_path / "again"
    stage.until("the head covers all", lambda: attorn(furnished, "ledger", "export", "--out", again).returncode == 0 and
                again.read_text().count('{"index":') >= furnished.entries() or again.unlink(), 10)
    assert attorn(furnished, "ledger", "export", "--out", export).returncode == 0
    assert attorn(furnished, "ledger", "export", "--out", export).returncode == 4  # not over a file that is there
    vkey = furnished.vkey()
    for words in [["ledger", "verify"], ["ledger", "verify", "--file", export, "--vkey", vkey]]:
        ran = attorn(furnished, *words)
        assert ran.returncode == 0 and ran.stdout.startswith("PASS: "), ran.stdout + ran.stderr
        assert json.loads(attorn(furnished, *words, "--json").stdout)["ok"] is True
    ran = attorn(furnished, "ledger", "verify", "--file", "-", "--vkey", vkey, stdin=export.read_text().rstrip("\n"))
    assert ran.returncode == 0, ran.stdout
    lines = export.read_text().splitlines(keepends=True)
    lines[3] = lines[3].replace('"leaf":"', '"leaf":"A', 1)
    export.write_text("".join(lines))
    ran = attorn(furnished, "ledger", "verify", "--file", export, "--vkey", vkey)
    assert ran.returncode == 5 and ran.stdout.startswith("FAIL: record 3 "), ran.stdout
    bad = json.loads(attorn(furnished, "ledger", "verify", "--file", export, "--vkey", vkey, "--json").stdout)
    assert bad["ok"] is False and bad["bad_index"] == 3


def test_narrowing_needs_no_key(furnished):
    grant = furnished.grant("billing-scout", ["everything echo message=matches:'.*'"], uses=2)
    ran = attorn(furnished, "grant", "revoke", grant, "--reason", "it is over", env={"ATTORN_PASSPHRASE_FILE": "/nonexistent"})
    assert ran.returncode == 0 and "no call under it passes" in ran.stdout, ran.stderr
    began = time.monotonic()
    seen = attorn(furnished, "token", "get", "everything", env=agent_env(furnished, grant))
    assert seen.returncode == 1 and "revoked" in seen.stderr and time.monotonic() - began < 5


def test_the_shim_by_route_name_and_directory(furnished, lent):
    lines = [{"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}},
        {"jsonrpc": "2.0", "method": "notifications/initialized"}, {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": "echo", "arguments": {"message": "by name"}}}]
    ran = attorn(furnished, "mcp", "everything", stdin="".join(json.dumps(line) + "\n" for line in lines), env=agent_env(furnished, lent))
    answers = {one["id"]: one for one in map(json.loads, ran.stdout.splitlines())}
    assert (ran.returncode, ran.stderr) == (0, "")
    assert answers[1]["result"]["content"][0]["text"] == "Echo: by name"


def test_an_autonomous_agent_through_the_shim(furnished):
    key = furnished.agent("night-watch", "everything:use", owner="alice", kind="autonomous")
    lines = [{"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}},
        {"jsonrpc": "2.0", "method": "notifications/initialized"}, {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}]
    ran = attorn(furnished, "mcp", "everything", stdin="".join(json.dumps(line) + "\n" for line in lines),
                 env={"ATTORN_AGENT": "night-watch", "ATTORN_AGENT_KEY": str(key), "ATTORN_GRANT": ""})
    answers = {one["id"]: one for one in map(json.loads, ran.stdout.splitlines())}
    assert (ran.returncode, ran.stderr) == (0, "")
    assert [tool["name"] for tool in answers[1]["result"]["tools"]] == ["echo", "get-sum"]
