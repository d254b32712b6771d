"""A stranger on the machine: no key, no token, or another account. Nothing may be learnt, filled or held up."""
import json
import os
import resource
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

import caller
import pytest
import stage
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NOBODY = 65534


def healthy(arena, within=1.0):
    began = time.monotonic()
    assert stage.is_healthy(arena.issuer) and stage.is_healthy(arena.gateway)
    assert time.monotonic() - began < within


def connect(port):
    sock = socket.create_connection(("127.0.0.1", port), 5)
    sock.setblocking(True)
    return sock


def test_slow_heads_and_bodies_hold_up_nobody(arena, mallory):
    port, held = arena.port + 1, []
    head = f"POST /r/raw/things HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 4000000\r\n\r\n".encode()
    for n in range(300):
        sock = connect(port if n % 2 else arena.port)
        sock.sendall(b"P" if n % 3 else head + b"{")
        held.append(sock)
    healthy(arena)
    assert json.loads(mallory.call_tool("python", "say", {"message": "a"}).text)["arguments"] == {"message": "a"}
    time.sleep(11)  # the limit for a head is ten seconds
    closed = 0
    for n, sock in enumerate(held):
        sock.settimeout(0.05)
        try:
            sock.recv(400)  # a refusal or the end: either way it was not waited for
            closed += n % 3 != 0
        except TimeoutError:
            pass
        except ConnectionError:
            closed += n % 3 != 0
        sock.close()
    assert closed >= 190
    healthy(arena)


def test_very_many_connections_leave_the_doors_open(arena):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    many = min(4500, hard - 200)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, many + 200), hard))
    held = []
    try:
        for _ in range(many):
            held.append(connect(arena.port + 1))
    except OSError:
        pass
    finally:
        for sock in held:
            sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    stage.until("the door serves again", lambda: stage.is_healthy(arena.gateway), 5)
    assert stage.is_healthy(arena.issuer)


HOST = "Host: 127.0.0.1:{port}\r\n"
FLOODS = {
    "one huge header": b"X: " + b"a" * (1 << 20) + b"\r\n\r\n", "many headers": b"X: a\r\n" * 10_000 + b"\r\n", "a huge name": b"a" * (1 << 20),
    "65 headers": b"X: a\r\n" * 65 + b"\r\n", "huge length": b"Content-Length: 999999999999\r\n\r\n", "5 MB": b"Content-Length: 5242880\r\n\r\n",
    "chunk bomb": b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 200_000, "chunk extensions": b"Transfer-Encoding: chunked\r\n\r\n1;" + b"a" * (2 << 20),
    "huge chunk": b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", "trailers": b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: a\r\n" * 10_000 + b"\r\n",
}


@pytest.mark.parametrize("name", FLOODS)
def test_no_flood_is_kept(arena, name):
    for port, path in ((arena.port, "/oauth/token"), (arena.port + 1, "/r/raw/things")):
        try:
            answer = arena.raw(f"POST {path} HTTP/1.1\r\n{HOST.format(port=port)}".encode() + FLOODS[name], port, 2)
        except (ConnectionError, TimeoutError):
            continue
        assert answer[9:12] in (b"400", b"401", b"408", b"413", b"415", b"431", b""), answer[:100]
    healthy(arena)


@pytest.mark.parametrize("first", [b"", b"\0", b"\r\n" * 5000, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                                   b"GET / HTTP/0.9\r\n\r\n", b"GET /\r\n\r\n", b"GET http://127.0.0.1/ HTTP/1.1\r\nHost: x\r\n\r\n", b"\xff" * 100_000,
                                   b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\nHost: x\n\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_what_is_no_request_gets_no_service(arena, first):
    for port in (arena.port, arena.port + 1):
        answer = arena.raw(first, port, 3, shut=True)
        assert not answer or answer[9:12] in (b"400", b"404", b"413", b"431", b"403", b"505"), answer[:200]
    healthy(arena)


def test_a_pipeline_is_answered_in_order_and_bounded(arena):
    port = arena.port
    one = f"GET /health HTTP/1.1\r\n{HOST.format(port=port)}\r\n".encode()
    assert arena.raw(one * 500, port).count(b"HTTP/1.1 200") == 500


@pytest.mark.parametrize("path", ["/internal/v1/feed", "/internal/v1/admit", "/internal/v1/decision", "//internal/v1/feed", "/api/v1/../../internal/v1/feed",
                                  "/api/v1/%2e%2e/internal", "/.well-known/../internal/v1/feed", "/metrics/../internal/v1/feed", "/r/../internal/v1/feed",
                                  "/data/kek", "/../data/kek", "/api/v1//users", "/API/v1/users", "/api/v1/users/../users"])
def test_inner_doors_are_not_on_the_network(arena, path):
    for port in (arena.port, arena.port + 1):
        for method in ("GET", "POST"):
            answer = arena.raw(f"{method} {path} HTTP/1.1\r\n{HOST.format(port=port)}Content-Length: 2\r\n\r\n{{}}".encode(), port)
            assert answer[9:12] in (b"400", b"401", b"404", b"405", b"403"), answer


@pytest.mark.parametrize("verb", ["GET /api/v1/users", "GET /api/v1/secrets", "GET /api/v1/grants", "GET /api/v1/ledger/export", "GET /api/v1/status",
                                  "GET /api/v1/agents", "POST /api/v1/agents", "PUT /api/v1/secrets/x", "POST /api/v1/policy", "PUT /api/v1/routes/x",
                                  "POST /api/v1/users", "PUT /api/v1/roles/admin", "POST /api/v1/ledger/verify"])
def test_no_verb_without_a_signature(arena, verb):
    for more in ("", "Attorn-Verb: e30\r\nAttorn-Signature: AAAA\r\n", "Attorn-Verb: e30\r\n", "Authorization: Bearer x\r\n", "Cookie: a=b\r\n"):
        answer = arena.raw(f"{verb} HTTP/1.1\r\n{HOST.format(port=arena.port)}{more}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}".encode(), arena.port)
        assert answer[9:12] == b"401", answer
        assert b"alice" not in answer and b"mallory" not in answer


# --- what answers give away -------------------------------------------------------------------------------------------------

def token_answer(arena, agent, client_id, key=None, nonce=True, **form):
    """The token endpoint's answer to somebody who claims to be `client_id`, as (status, body)."""
    other = key or agent
    url, now = arena.issuer + "/oauth/token", int(time.time())
    proof = other.proof("POST", url, **({"nonce": agent.fresh_nonce()} if nonce else {}))
    assertion = other.jwt({"kid": other.kid}, {"iss": client_id, "sub": client_id, "aud": arena.issuer, "iat": now, "exp": now + 60, "jti": str(uuid.uuid4())})
    answer = agent.token_request(proof, agent.exchange_form("tickets", client_assertion=assertion, **form))
    return answer.status, answer.body


def test_agents_that_exist_and_agents_that_do_not_look_alike(arena, mallory, eve):
    here, gone = "spiffe://example.test/agent/eve", "spiffe://example.test/agent/nobody"
    stranger = caller.Caller(arena, "mallory", mallory.grant)
    stranger.key = Ed25519PrivateKey.generate()
    stranger.jwk = {"crv": "Ed25519", "kty": "OKP", "x": caller.b64(stranger.key.public_key().public_bytes_raw())}
    for nonce in (True, False):
        for key in (stranger, mallory):
            known, unknown = (token_answer(arena, mallory, client, key, nonce) for client in (here, gone))
            assert known == unknown, (known, unknown)
    assert token_answer(arena, mallory, here, stranger)[0] == 401


def test_grants_of_others_and_grants_that_do_not_exist_look_alike(arena, mallory, eve):
    answers = {token_answer(arena, mallory, mallory.client_id, subject_token=grant) for grant in (eve.grant, "01ARZ3NDEKTSV4RRFFQ69G5FAV")}
    assert len(answers) == 1 and next(iter(answers))[0] == 400


def test_tokens_of_others_are_not_active(arena, mallory, eve):
    token = eve.delegated_token("tickets")
    url = arena.issuer + "/oauth/introspect"

    def look(agent, text):
        form = urllib.parse.urlencode({"token": text, "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                                       "client_assertion": agent.assertion()}).encode()
        return caller.send("POST", url, [("Content-Type", "application/x-www-form-urlencoded")], form)
    assert look(eve, token).json["active"] is True
    assert look(mallory, token).body == look(mallory, "x").body == b'{"active":false}'


def test_metrics_and_public_documents_name_nobody(arena, mallory):
    for url in (arena.issuer, arena.gateway):
        with urllib.request.urlopen(url + "/metrics") as answer:
            text = answer.read().decode()
        for name in ("alice", "mallory", "eyJ", mallory.grant, mallory.kid, "sk-", "INV-"):
            assert name not in text
    for path in ("/keys", "/.well-known/oauth-authorization-server"):
        with urllib.request.urlopen(arena.issuer + path) as answer:
            text = answer.read().decode()
        assert '"d"' not in text and "alice" not in text and "mallory" not in text


def test_what_agents_and_strangers_send_is_one_line_of_the_log_each(arena, mallory):
    evil = 'x\\n\\u001b[31mts=2026-01-01T00:00:00Z level=error msg=forged\\u202e'
    session = mallory.open("python")
    url, token = arena.route("python"), mallory.delegated_token("python")
    for text in (f'{{"jsonrpc":"2.0","id":"{evil}","method":"{evil}"}}', f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{evil}","arguments":{{}}}}}}'):
        mallory.post("python", text.encode(), mallory.credentials("POST", url, token), session)
    raw = b"\x1b[31m\xe2\x80\xae"
    arena.raw(b"GET /r/raw/" + raw + f" HTTP/1.1\r\n{HOST.format(port=arena.port + 1)}\r\n".encode())
    arena.raw(b"GET /r/python HTTP/1.1\r\nUser-Agent: a\x1b[2J\r\nOrigin: \x1b[31m\r\n" + HOST.format(port=arena.port + 1).encode() + b"\r\n")
    token_answer(arena, mallory, "spiffe://example.test/agent/x\n\x1b[31mts=2026-01-01T00:00:00Z level=error msg=forged")
    time.sleep(0.3)
    log = (arena.dir / "logs/attorn.log").read_bytes()
    lines = log.split(b"\n")
    assert not [line for line in lines if line.startswith(b"ts=2026-01-01")]
    assert b"\x1b" not in log and "\u202e".encode() not in log and b"\r" not in log
    for sign in (b"eyJ", b"sk-raw", b"sk-desk"):
        assert sign not in log
    assert not [line for line in lines if b"msg=forged" in line and b'"' not in line]


# --- another account ---------------------------------------------------------------------------------------------------------

PEEK = """
import socket, sys
for path, request in ((sys.argv[1], "GET /internal/v1/feed?since=0"), (sys.argv[2], "GET /api/v1/users")):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(3)
    try:
        sock.connect(path)
        sock.sendall((request + " HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n").encode())
        print(sock.recv(400).decode().split("\\r\\n")[0])
    except OSError as problem:
        print(type(problem).__name__)
for path in sys.argv[3:]:
    try:
        open(path, "rb").read(1)
        print("read", path)
    except OSError as problem:
        print(type(problem).__name__)
"""


@pytest.fixture
def as_nobody(arena):
    if os.geteuid() != 0:
        pytest.skip("needs root to become somebody else")
    data = arena.work / "data"
    files = [data / "run/internal.sock", data / "run/admin.sock", data / "kek", data / "attorn.db", arena.work / "keys/operator.key", data / "reserve"]
    opened = []
    for folder in [*arena.work.parents, arena.work]:  # nobody gets as far as our own folders
        if not folder.stat().st_mode & 0o001:
            opened.append((folder, folder.stat().st_mode))
            folder.chmod(folder.stat().st_mode | 0o011)

    def peek():
        ran = subprocess.run(["/usr/bin/python3", "-I", "-c", PEEK, *map(str, files)], capture_output=True, text=True,
                             user=NOBODY, group=NOBODY, extra_groups=[], cwd="/")
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.split("\n")[:-1]
    yield peek, files
    for folder, mode in opened:
        folder.chmod(mode)


def test_another_account_finds_every_door_shut(as_nobody):
    peek, files = as_nobody
    assert peek() == ["PermissionError"] * len(files)


def test_another_account_is_turned_away_even_through_an_open_file_mode(arena, as_nobody):
    peek, files = as_nobody
    was = [(path, path.stat().st_mode) for path in (arena.work / "data", arena.work / "data/run", *files[:2])]
    try:
        for path, _ in was:
            path.chmod(0o777)
        answers = peek()[:2]
    finally:
        for path, mode in reversed(was):
            path.chmod(mode)
    assert answers == ["HTTP/1.1 403 Forbidden"] * 2


def test_no_file_of_ours_is_open_to_others(arena):
    for path in [arena.work / "data", arena.work / "keys", *(arena.work / "data").rglob("*"), *(arena.work / "keys").rglob("*")]:
        assert path.lstat().st_mode & 0o077 == 0, path


def test_errors_are_json_and_hold_no_request(arena):
    try:
        urllib.request.urlopen(f"{arena.issuer}/oauth/token?<script>canary</script>")
    except (urllib.error.HTTPError, OSError) as problem:
        assert "canary" not in str(getattr(problem, "read", str)())
    answer = arena.raw(f"GET /canary HTTP/1.1\r\n{HOST.format(port=arena.port)}\r\n".encode(), arena.port)
    assert b"canary" not in answer
