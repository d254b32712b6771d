"""The upstreams' own logs are the evidence of the demo and the end-to-end tests: they must not lie."""
import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DESK = ROOT / "examples/ticket-desk/ticket_desk.py"
KEY = "sk-desk-0123456789"


@pytest.fixture
def desk(tmp_path):
    (tmp_path / "keys.txt").write_text(f"desk-1 {KEY}\n")
    process = subprocess.Popen([sys.executable, DESK, "--keys", "keys.txt"], cwd=tmp_path, stdout=subprocess.PIPE)
    connection = http.client.HTTPConnection("127.0.0.1", int(process.stdout.readline()), timeout=10)
    yield connection, tmp_path / "access.log"
    connection.close()
    process.kill()
    process.wait()


def ask(connection, method, target, body=None, key=KEY):
    headers = {"X-Api-Key": key} if key else {}
    connection.request(method, target, body, headers)
    answer = connection.getresponse()
    text = answer.read()
    return answer.status, json.loads(text) if text else None


def test_ticket_life_on_one_connection(desk):
    connection, log = desk
    body = json.dumps({"title": "Ümlaut", "body": "text", "priority": "high"}).encode()
    status, ticket = ask(connection, "POST", "/tickets", body)
    assert (status, ticket["title"], ticket["opened_by"]) == (201, "Ümlaut", "desk-1")
    assert ask(connection, "GET", f"/tickets/{ticket['id']}") == (200, ticket)
    assert ask(connection, "GET", "/tickets?priority=low") == (200, {"tickets": []})
    assert ask(connection, "DELETE", f"/tickets/{ticket['id']}") == (204, None)
    assert ask(connection, "GET", f"/tickets/{ticket['id']}")[0] == 404
    lines = [line.split(" ") for line in log.read_text().splitlines()]
    assert [line[1:5] for line in lines] == [
        ["POST", "/tickets", "201", "desk-1"], ["GET", "/tickets/1", "200", "desk-1"],
        ["GET", "/tickets?priority=low", "200", "desk-1"], ["DELETE", "/tickets/1", "204", "desk-1"],
        ["GET", "/tickets/1", "404", "desk-1"]]
    assert lines[0][5] == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("method,target,body,key,status", [
    ("GET", "/health", None, None, 200),
    ("GET", "/tickets", None, None, 401),
    ("GET", "/tickets", None, KEY + "x", 401),
    ("POST", "/tickets", b"{", KEY, 400),
    ("POST", "/tickets", b"[]", KEY, 400),
    ("POST", "/tickets", b'{"title":"x","extra":1}', KEY, 400),
    ("POST", "/tickets", b'{"title":" "}', KEY, 422),
    ("POST", "/tickets", b'{"title":"x","priority":["high"]}', KEY, 422),
    ("POST", "/tickets", b"x" * 70000, KEY, 413),
    ("GET", "/tickets/%31", None, KEY, 404),
    ("GET", "/tickets?x=1", None, KEY, 400),
    ("PUT", "/tickets", b"{}", KEY, 405),
    ("GET", "/", None, KEY, 404),
])
def test_each_answer_leaves_one_line(desk, method, target, body, key, status):
    connection, log = desk
    assert ask(connection, method, target, body, key)[0] == status
    [line] = log.read_text().splitlines()
    assert line.split(" ")[1:4] == [method, target, str(status)]


def test_stdio_log_holds_a_line_before_the_server_sees_it(tmp_path):
    log = tmp_path / "log"
    server = f"import sys\nfor line in sys.stdin: print(open({str(log)!r}).read().count(chr(10)), flush=True)"
    wrapped = subprocess.Popen([sys.executable, ROOT / "demo/stdio_log.py", log, sys.executable, "-c", server],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for count in (1, 2):
        wrapped.stdin.write('{"id":%d}\n' % count)
        wrapped.stdin.flush()
        assert wrapped.stdout.readline() == f"{count}\n"
    wrapped.stdin.close()
    assert wrapped.wait(10) == 0
    assert [json.loads(line)["line"] for line in log.read_text().splitlines()] == ['{"id":1}', '{"id":2}']


def test_stdio_log_passes_sigterm_on(tmp_path):
    wrapped = subprocess.Popen([sys.executable, ROOT / "demo/stdio_log.py", tmp_path / "log", "sh", "-c", "echo $$; exec sleep 60"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    child = int(wrapped.stdout.readline())
    wrapped.send_signal(signal.SIGTERM)
    assert wrapped.wait(10) == 128 + signal.SIGTERM  # its stdin is still open
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
    wrapped.stdin.close()


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def test_everything_listens_on_loopback_only_and_is_logged(tmp_path):
    port = free_port()
    server = subprocess.Popen(
        ["node", "--import", "./loopback.mjs", "--import", "./request-log.mjs",
         "node_modules/@modelcontextprotocol/server-everything/dist/index.js", "streamableHttp"],
        cwd=ROOT / "demo", env={**os.environ, "PORT": str(port), "REQUEST_LOG": str(tmp_path / "log")},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}})
        for _ in range(200):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                connection.request("POST", "/mcp", body, {"Content-Type": "application/json",
                                                          "Accept": "application/json, text/event-stream"})
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        assert connection.getresponse().status == 200
        listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
                     if line.split()[3] == "0A" and line.split()[1].endswith(":%04X" % port)]
        everywhere = [line for line in Path("/proc/net/tcp6").read_text().splitlines()[1:]
                      if line.split()[3] == "0A" and line.split()[1].endswith(":%04X" % port)]
        assert listening == ["0100007F:%04X" % port] and not everywhere
        [line] = (tmp_path / "log").read_text().splitlines()
        assert json.loads(line)["body"] == body
    finally:
        server.kill()
        server.wait()
