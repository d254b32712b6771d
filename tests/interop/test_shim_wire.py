"""`attorn mcp` line by line: what it does with messages no SDK would send and with a far side that misbehaves."""
import base64
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import far_side
import pytest
from far_side import Reply, answer, initialized, stream

ATTORN = os.environ.get("ATTORN") or Path(__file__).resolve().parents[2] / "build/attorn"
INITIALIZE = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
    "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}


def call(number, tool="echo", **arguments):
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}


class Shim:
    def __init__(self, url, key, **env):
        self.process = subprocess.Popen(
            [ATTORN, "mcp", f"{url}/r/far"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "ATTORN_ISSUER": url, "ATTORN_AGENT_KEY": str(key),
                 "ATTORN_AGENT": "spiffe://example.test/agent/a", "ATTORN_GRANT": "01M870X2F44D309KM971BCA7T2", **env})

    def send(self, *messages):
        for message in messages:
            self.process.stdin.write(message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def line(self):
        return json.loads(self.process.stdout.readline())

    def ask(self, message):
        self.send(message)
        return self.line()

    def end(self, timeout=15):
        """Closes stdin; what still comes, line by line. It must end by itself, with 0."""
        out, err = self.process.communicate(timeout=timeout)
        assert self.process.returncode == 0, err
        assert b"secret-token" not in out + err and b"eyJ" not in out + err
        self.stderr = err.decode()
        return [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def far():
    made = far_side.Far()
    yield made
    made.close()


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    path = tmp_path_factory.mktemp("agent") / "agent.key"
    subprocess.run([ATTORN, "agent", "key", "a", "--out", path], check=True, capture_output=True)
    return path


@pytest.fixture
def shim(far, key):
    made = Shim(far.url, key)
    yield made
    if made.process.poll() is None:
        made.process.kill()
    made.process.communicate()


@pytest.fixture
def opened(far, shim):
    assert shim.ask(INITIALIZE)["result"]["serverInfo"]["name"] == "far"
    shim.send(INITIALIZED)
    end = time.monotonic() + 5
    while len(far.to_route()) < 2 and time.monotonic() < end:
        time.sleep(0.005)
    return shim


def test_nothing_happens_before_the_first_message(far, shim):
    time.sleep(0.3)
    assert far.connections == 0
    assert shim.end() == []
    assert far.connections == 0


def test_each_request_carries_what_it_must(far, opened):
    opened.ask({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    opened.ask(call("two", message="x"))
    opened.end()
    init, ready, tools, act, delete = far.to_route()
    assert [one.method for one in far.to_route()] == ["POST"] * 4 + ["DELETE"]
    assert init.headers["Authorization"] == ready.headers["Authorization"] == tools.headers["Authorization"] == "DPoP secret-token-1"
    assert act.headers["Authorization"] == "DPoP secret-token-2"
    assert delete.headers["Authorization"] == "DPoP secret-token-1"
    assert "Mcp-Session-Id" not in init.headers and "MCP-Protocol-Version" not in init.headers
    for later in (ready, tools, act, delete):
        assert (later.headers["Mcp-Session-Id"], later.headers["MCP-Protocol-Version"]) == ("s1", "2025-11-25")
    assert all("text/event-stream" in one.headers["Accept"] and "application/json" in one.headers["Accept"]
               for one in far.to_route() if one.method == "POST")
    proofs = [json.loads(base64.urlsafe_b64decode(one.headers["DPoP"].split(".")[1] + "==")) for one in far.to_route()]
    assert len({proof["jti"] for proof in proofs}) == 5
    assert all(proof["htu"] == f"{far.url}/r/far" and "ath" in proof for proof in proofs)


def test_a_capability_is_for_exactly_these_arguments(far, opened):
    import hashlib
    opened.send(b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"arguments":{"b":[1,2.50],"a":"\\u00e9"},"name":"t"}}\n')
    opened.line()
    opened.end()
    [item] = json.loads(far.exchanges()[-1].form["authorization_details"])
    digest = hashlib.sha256(b"attorn-args/1\0" + '{"a":"é","b":[1,2.5]}'.encode()).digest()
    assert item == {"type": "mcp_tool_call", "server": f"{far.url}/r/far", "tool": "t",
                    "args_digest": base64.urlsafe_b64encode(digest).decode().rstrip("=")}
    # the bytes that go out are the client's, and not ours
    assert far.to_route("tools/call")[0].body == \
        b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"arguments":{"b":[1,2.50],"a":"\\u00e9"},"name":"t"}}'


@pytest.mark.parametrize("line,code,number", [
    (b"nonsense\n", -32700, None), (b"\xff\xfe\n", -32700, None), (b"[1]\n", -32600, None), (b"[]\n", -32600, None),
    (b'{"jsonrpc":"2.0","id":1,"id":1,"method":"ping"}\n', -32600, None),
    (b'{"jsonrpc":"1.0","id":1,"method":"ping"}\n', -32600, 1), (b'{"id":1,"method":"ping"}\n', -32600, 1),
    (b'{"jsonrpc":"2.0","id":null,"method":"ping"}\n', -32600, None), (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}\n', -32600, None),
    (b'{"jsonrpc":"2.0","id":{},"method":"ping"}\n', -32600, None), (b'{"jsonrpc":"2.0","id":1,"method":7}\n', -32600, 1),
    (b'{"jsonrpc":"2.0","id":1}\n', -32600, 1), (b'{"jsonrpc":"2.0"}\n', -32600, None),
    (b'{"jsonrpc":"2.0","id":1,"method":"tools/call"}\n', -32602, 1),
    (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{}}}\n', -32602, 1),
    (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":[]}}\n', -32602, 1),
    (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"n":12345678901234567890}}}\n', -32602, 1),
    (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a b","arguments":{}}}\n', -32602, 1),
    (b"[" * 100000 + b"\n", -32600, None), (b'{"a":' * 1000 + b"\n", -32600, None),
])
def test_bad_messages_are_answered_and_not_forwarded(far, opened, line, code, number):
    before = len(far.to_route())
    opened.send(line)
    seen = opened.line()
    assert (seen["error"]["code"], seen["id"]) == (code, number)
    assert opened.ask({"jsonrpc": "2.0", "id": 9, "method": "ping"})["id"] == 9
    opened.end()
    assert len(far.to_route()) == before + 2  # the ping and the DELETE


def test_a_line_of_eleven_megabytes_is_refused_and_the_next_one_heard(opened):
    opened.send(b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"' + b"x" * (11 << 20) + b'"}}\n')
    assert opened.line()["error"]["code"] == -32600
    assert opened.ask({"jsonrpc": "2.0", "id": 2, "method": "ping"})["id"] == 2


def test_ids_keep_their_type_and_bytes(far, opened):
    for number in (b'"1"', b"1", b"-7", b'"\\u0041"', b"12345678901234567890"):
        opened.send(b'{"jsonrpc":"2.0","id":' + number + b',"method":"ping"}\n')
        opened.line()
    assert [one.body.split(b'"id":')[1].split(b',"method"')[0] for one in far.to_route("ping")] == \
        [b'"1"', b"1", b"-7", b'"\\u0041"', b"12345678901234567890"]


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 1000])
def test_event_streams_in_pieces_of_any_size(far, opened, cut):
    note = '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"☃"}}'
    reply = '{"jsonrpc":"2.0",\ndata: "id":3,"result":{}}'
    text = (f": hello\r\nid: 1\r\ndata:\r\n\r\nevent: message\rdata:{note}\r\rretry: 5\n\ndata: {reply}\n\n"
            "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/late\"}\n\ndata: cut off").encode()
    far.route = lambda request: stream(*[text[at:at + cut] for at in range(0, len(text), cut)]) if request.body and \
        request.json.get("method") == "tools/list" else far.usual(request)
    opened.send({"jsonrpc": "2.0", "id": 3, "method": "tools/list"})
    assert opened.line() == json.loads(note)
    assert opened.line() == {"jsonrpc": "2.0", "id": 3, "result": {}}
    assert opened.line()["method"] == "notifications/late"
    assert opened.end() == [] and opened.stderr == ""


def test_events_stream_while_they_come(far, opened):
    def slow(request):
        if request.body and request.json.get("method") == "tools/call":
            return stream(b'data: {"jsonrpc":"2.0","method":"notifications/progress","params":{}}\n\n',
                          b'data: {"jsonrpc":"2.0","id":3,"result":{}}\n\n', pause=1)
        return far.usual(request)
    far.route = slow
    began = time.monotonic()
    opened.send(call(3))
    assert opened.line()["method"] == "notifications/progress"
    assert time.monotonic() - began < 0.9
    assert opened.line()["id"] == 3


def test_a_server_request_is_answered_by_its_client(far, opened):
    def asks(request):
        if request.body and request.json.get("method") == "tools/call":
            return stream(b'data: {"jsonrpc":"2.0","id":"srv-1","method":"roots/list"}\n\n',
                          b'data: {"jsonrpc":"2.0","id":3,"result":{}}\n\n', pause=0.3)
        return far.usual(request)
    far.route = asks
    opened.send(call(3))
    assert opened.line() == {"jsonrpc": "2.0", "id": "srv-1", "method": "roots/list"}
    opened.send({"jsonrpc": "2.0", "id": "srv-1", "result": {"roots": []}})
    assert opened.line()["id"] == 3
    opened.end()
    assert [one.json["result"] for one in far.to_route() if one.body and "result" in one.json] == [{"roots": []}]


@pytest.mark.parametrize("reply", [
    Reply(202), Reply(200), Reply(200, b"<html>", {"Content-Type": "text/html"}), Reply(500, b"oops"), Reply(502), Reply(301),
    Reply(200, b'{"jsonrpc":"2.0","id":99,"result":{}}', {"Content-Type": "application/json"}),
    Reply(200, b'{"jsonrpc":"2.0","id":3,"result":{}', {"Content-Type": "application/json"}),
    Reply(200, b'{"jsonrpc":"2.0","id":3,"result":{},"id":3}', {"Content-Type": "application/json"}),
    stream(), stream(b"data: nonsense\n\n"), stream(b'data: {"jsonrpc":"2.0","id":3,"result":{}}\n'),
    stream(b'data: {"jsonrpc":"2.0","id":"3","result":{}}\n\n'),
])
def test_every_request_ends_in_an_answer(far, opened, reply):
    far.route = lambda request: reply if request.body and request.json.get("id") == 3 else far.usual(request)
    seen = opened.ask({"jsonrpc": "2.0", "id": 3, "method": "tools/list"})
    assert (seen["id"], seen["error"]["code"], seen["error"]["data"]["reason"]) == (3, -33013, "upstream")
    far.route = far.usual
    assert "result" in opened.ask({"jsonrpc": "2.0", "id": 4, "method": "ping"})


def test_line_ends_in_an_answer_do_not_break_the_line(far, opened):
    far.route = lambda request: Reply(200, b'{\r\n  "jsonrpc": "2.0",\n  "id": 3,\n  "result": {"a": "x\\ny"}\n}\n',
                                      {"Content-Type": "application/json"}) if request.body and request.json.get("id") == 3 \
        else far.usual(request)
    assert opened.ask({"jsonrpc": "2.0", "id": 3, "method": "tools/list"})["result"] == {"a": "x\ny"}


def refuses(code, error="invalid_request", status=400):
    def token(request):
        body = {"error": error, "error_description": "words of the authority", "attorn": {"code": code, "fix": "do this"}}
        return Reply(status, json.dumps(body).encode(), {"Content-Type": "application/json"})
    return token


@pytest.mark.parametrize("code,what", [
    ("grant_revoked", "tool"), ("grant_uses", "tool"), ("denied", "tool"), ("client", "tool"), ("agent_state", "tool"),
    ("details", "unknown"), ("unavailable", "failed"), ("ledger", "failed"), ("throttled", "throttled"), ("no such name", "failed"),
])
def test_refusals_of_the_authority(far, opened, code, what):
    before = len(far.to_route())
    far.token = refuses(code)
    seen = opened.ask(call(3))
    assert seen["id"] == 3
    if what == "tool":
        assert seen["result"] == {"content": [{"text": "Refused: words of the authority; fix: do this", "type": "text"}],
                                  "isError": True}
    elif what == "unknown":
        assert (seen["error"]["code"], seen["error"]["message"]) == (-32602, "Unknown tool: echo")
    else:
        assert seen["error"]["code"] == {"failed": -33013, "throttled": -33011}[what]
    assert len(far.to_route()) <= before + 1  # nothing of the call went out


def test_a_refused_session_is_a_json_rpc_error(far, shim):
    far.token = refuses("grant_revoked")
    seen = shim.ask(INITIALIZE)
    assert seen["error"] == {"code": -33010, "message": "words of the authority; fix: do this",
                             "data": {"fix": "ask the user for a new grant", "reason": "grant_revoked"}}
    assert shim.end() == [] and far.to_route() == []


def test_nonces_of_the_authority_are_taken_up(far, shim):
    def token(request):
        claims = json.loads(base64.urlsafe_b64decode(request.headers["DPoP"].split(".")[1] + "=="))
        if claims.get("nonce") != "n-1":
            return Reply(400, b'{"error":"use_dpop_nonce","attorn":{"code":"nonce"}}', {"DPoP-Nonce": "n-1"})
        return Reply(body=b'{"access_token":"secret-token-n","token_type":"DPoP","expires_in":600}')
    far.token = token
    assert "result" in shim.ask(INITIALIZE)
    assert len(far.exchanges()) == 2
    shim.ask(call(3))
    assert len(far.exchanges()) == 3  # the nonce is kept


def test_nonces_of_the_gateway_are_taken_up(far, shim):
    def route(request):
        claims = json.loads(base64.urlsafe_b64decode(request.headers["DPoP"].split(".")[1] + "=="))
        if claims.get("nonce") != "g-1":
            return Reply(401, b"{}", {"DPoP-Nonce": "g-1", "WWW-Authenticate": 'DPoP error="use_dpop_nonce"'})
        return far.usual(request)
    far.route = route
    assert "result" in shim.ask(INITIALIZE)
    assert "result" in shim.ask(call(3))
    assert len(far.to_route()) == 3


def test_a_refused_token_is_fetched_anew_once(far, opened):
    refused = []

    def route(request):
        if request.method == "POST" and request.headers["Authorization"] == "DPoP secret-token-1":
            refused.append(request)
            return Reply(401, b'{"error":"invalid_token"}')
        return far.usual(request)
    far.route = route
    assert "result" in opened.ask({"jsonrpc": "2.0", "id": 3, "method": "tools/list"})
    assert len(refused) == 1
    far.route = lambda request: Reply(401, b'{"error":"invalid_token"}') if request.method == "POST" else Reply(200)
    before = len(far.to_route())
    seen = opened.ask(call(4))
    assert seen["result"]["isError"] and "token" in seen["result"]["content"][0]["text"]
    assert len(far.to_route()) == before + 2  # twice, and not for ever


def test_a_lost_session_is_made_anew(far, opened):
    alive = {"s1"}

    def route(request):
        if request.method == "POST" and request.json.get("method") == "initialize":
            alive.add("s2")
            return initialized(request, "s2")
        if request.headers.get("Mcp-Session-Id") not in alive:
            return Reply(404, b'{"error":"session","title":"session not known"}')
        return far.usual(request)
    opened.ask({"jsonrpc": "2.0", "id": 1, "method": "ping"})
    far.route = route
    alive.clear()
    opened.send(*(call(number) for number in range(10, 18)))
    assert sorted(opened.line()["id"] for _ in range(8)) == list(range(10, 18))
    assert len(far.to_route("initialize")) == 2
    assert [one.headers["Mcp-Session-Id"] for one in far.to_route("notifications/initialized")] == ["s1", "s2"]
    assert opened.end() == []
    assert far.to_route()[-1].headers["Mcp-Session-Id"] == "s2"


def test_a_route_that_is_not_there_is_told(far, shim):
    far.route = lambda request: Reply(404, b'{"error":"not_found","title":"not found","fix":""}')
    seen = shim.ask(INITIALIZE)
    assert (seen["error"]["code"], seen["error"]["data"]["reason"]) == (-33010, "not_found")
    assert len(far.to_route()) == 1


@pytest.mark.parametrize("body", [b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"bad"}}',
                                  b'{"jsonrpc":"2.0","id":3,"error":{"code":-32600,"message":"bad"}}'])
def test_errors_on_other_statuses_come_under_the_request_s_id(far, opened, body):
    far.route = lambda request: Reply(400, body, {"Content-Type": "application/json"}) if request.body and \
        request.json.get("id") == 3 else far.usual(request)
    seen = opened.ask({"jsonrpc": "2.0", "id": 3, "method": "tools/list"})
    assert (seen["id"], seen["error"]["code"], seen["error"]["message"]) == (3, -32600, "bad")


@pytest.mark.parametrize("pad", range(505, 515))
def test_long_words_of_the_far_side_are_cut_between_characters(far, opened, pad):
    body = json.dumps({"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "x" * pad + "\u2603\U0001f600" * 100}},
                      ensure_ascii=False).encode()
    far.route = lambda request: Reply(400, body) if request.body and request.json.get("id") == 3 else far.usual(request)
    message = opened.ask({"jsonrpc": "2.0", "id": 3, "method": "tools/list"})["error"]["message"]
    assert 505 <= len(message.encode()) <= 512 and message.startswith("x" * 505)


@pytest.mark.parametrize("version", ["2025-11-25\r\nEvil: 1", "\u2603", "", 7, "x" * 1000])
def test_a_strange_version_breaks_no_header(far, shim, version):
    far.route = lambda request: answer(request, {"protocolVersion": version, "capabilities": {}}, **{"Mcp-Session-Id": "s"}) \
        if request.body and request.json.get("method") == "initialize" else far.usual(request)
    assert shim.ask(INITIALIZE)["result"]["protocolVersion"] == version
    assert "result" in shim.ask({"jsonrpc": "2.0", "id": 1, "method": "ping"})
    assert "Evil" not in far.to_route("ping")[0].headers


@pytest.mark.parametrize("size,whole", [((10 << 20) - 60, True), ((10 << 20) + 1, False)])
@pytest.mark.parametrize("as_stream", [False, True])
def test_answers_up_to_ten_megabytes(far, opened, size, whole, as_stream):
    body = b'{"jsonrpc":"2.0","id":3,"result":{"x":"' + b"x" * (size - 42) + b'"}}'
    reply = stream(b"data: " + body + b"\n\n") if as_stream else Reply(200, body, {"Content-Type": "application/json"})
    far.route = lambda request: reply if request.body and request.json.get("id") == 3 else far.usual(request)
    seen = opened.ask({"jsonrpc": "2.0", "id": 3, "method": "tools/list"})
    assert ("result" in seen) == whole and seen["id"] == 3
    assert whole or seen["error"]["data"]["reason"] == "limit"
    assert "result" in opened.ask({"jsonrpc": "2.0", "id": 4, "method": "ping"})


@pytest.mark.parametrize("arguments", [{"x": "y" * (9 << 20)}, {"x": list(range(60000))}])
def test_large_arguments(far, opened, arguments):
    assert opened.ask(call(3, **arguments))["id"] == 3
    assert far.to_route("tools/call")[0].json["params"]["arguments"] == arguments


def test_arguments_with_too_many_parts_are_refused_here(far, opened):
    seen = opened.ask(call(3, x=list(range(70000))))
    assert seen["error"]["code"] == -32600 and far.to_route("tools/call") == []


def test_a_cancelled_request_gets_no_answer(far, opened):
    def route(request):
        if request.body and request.json.get("id") == 3:
            return stream(b": wait\n\n", b'data: {"jsonrpc":"2.0","id":3,"result":{}}\n\n', pause=1)
        return far.usual(request)
    far.route = route
    opened.send(call(3))
    time.sleep(0.4)
    opened.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 3}})
    time.sleep(1.2)
    assert opened.ask({"jsonrpc": "2.0", "id": 4, "method": "ping"})["id"] == 4
    assert opened.end() == []
    assert len(far.to_route("notifications/cancelled")) == 1


def test_what_runs_at_the_end_of_input_is_finished(far, opened):
    far.route = lambda request: stream(b": wait\n\n", b'data: {"jsonrpc":"2.0","id":3,"result":{}}\n\n', pause=0.7) \
        if request.body and request.json.get("id") == 3 else far.usual(request)
    opened.send(call(3))
    assert [one["id"] for one in opened.end()] == [3]
    assert far.to_route()[-1].method == "DELETE"


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_within_what_sdks_wait(far, opened, sig):
    far.route = lambda request: stream(*[b": wait\n\n"] * 50, pause=0.2) if request.body and request.json.get("id") == 3 \
        else far.usual(request)
    opened.send(call(3))
    time.sleep(0.4)
    began = time.monotonic()
    opened.process.send_signal(sig)
    assert opened.process.wait(5) == 0
    assert time.monotonic() - began < 2
    assert far.to_route()[-1].method == "DELETE"


def test_a_client_that_goes_away_ends_it(far, opened):
    opened.process.stdout.close()
    opened.send({"jsonrpc": "2.0", "id": 4, "method": "ping"})
    assert opened.process.wait(5) == 0
    opened.process.stdout = open(os.devnull, "rb")


def test_more_than_its_threads_wait_their_turn_and_too_many_are_throttled(far, opened):
    held = []

    def route(request):
        if request.body and request.json.get("method") == "tools/list":
            held.append(request)
            while not far.go:
                time.sleep(0.05)
            return answer(request)
        return far.usual(request)
    far.route, far.go = route, False
    opened.send(*({"jsonrpc": "2.0", "id": number, "method": "tools/list"} for number in range(1030)))
    throttled = [opened.line() for _ in range(6)]
    assert {one["error"]["code"] for one in throttled} == {-33011}
    assert [one["id"] for one in throttled] == list(range(1024, 1030))
    assert len(held) <= 64
    opened.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1000}})
    time.sleep(0.2)
    far.go = True
    left = [number for number in range(1024) if number != 1000]
    assert sorted(opened.line()["id"] for _ in left) == left
    assert opened.end() == []
    assert sorted(one.json["id"] for one in far.to_route("tools/list")) == left  # given up before its turn: never sent


def test_nobody_there(key, far):
    far.close()
    shim = Shim(far.url, key)
    seen = shim.ask(INITIALIZE)
    assert (seen["error"]["code"], seen["error"]["data"]["reason"]) == (-33013, "authority_away")
    shim.end()


@pytest.mark.parametrize("env,status,words", [
    ({"ATTORN_AGENT_KEY": "/nonexistent/key"}, 4, "No such file"),
    ({"ATTORN_AGENT_KEY": ""}, 4, ""),
    ({"ATTORN_AGENT": ""}, 2, "which agent?"),
])
def test_what_cannot_work_ends_at_once(far, key, env, status, words):
    shim = Shim(far.url, key, **env)
    out, err = shim.process.communicate(timeout=5)
    assert (shim.process.returncode, out) == (status, b"")
    assert words in err.decode()


@pytest.mark.parametrize("url", ["http://attorn.example", "ftp://127.0.0.1", "http://user@127.0.0.1:1"])
def test_a_key_is_not_shown_to_the_open_network(key, url):
    shim = Shim(url, key)
    seen = shim.ask(INITIALIZE)
    assert seen["error"]["data"]["reason"] == "authority_away"
    shim.end()
    assert "expected https://" in shim.stderr
