"""Refusals of the admin API: a verb is signed by a person, for exactly one request, once. And of the network's own layer:
bytes of which two readers could make two requests (oauth P71), on both ports."""
import json
import os
import socket
import time

from caller import Answer, send
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from refusal_case import b64, compact, hashlib, row, ticket

ROLE = compact({"permissions": ["invoices:read"]}).encode()
SIGNED_BY_NOBODY = "not signed by an enrolled user key"


def key_of(at):
    """A person whose key the test holds in the open: carol, an administrator."""
    if not hasattr(at, "carol"):
        at.carol = Ed25519PrivateKey.generate()
        jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64(at.carol.public_key().public_bytes_raw())}
        path = at.on.people / "carol.pub"
        path.write_text(json.dumps(jwk))
        at.on.cli("user", "add", "carol", "--key", path, "--role", "admin")
    return at.carol


def signed(at, method, path, body, name, key=None, **changed):
    """The two headers of a signed verb (wire.md 7), right but for what is changed."""
    carol = key_of(at)
    key = key or carol
    x = b64(carol.public_key().public_bytes_raw())
    now = int(time.time())
    document = {"body_digest": "sha-256:" + hashlib.sha256(f"{method} {path}\n".encode() + body).hexdigest(),
                "by": b64(hashlib.sha256(compact({"crv": "Ed25519", "kty": "OKP", "x": x}).encode()).digest()),
                "exp": now + 60, "iat": now, "iss": at.on.issuer, "nonce": b64(os.urandom(16)), "verb": name, **changed}
    text = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    return [("Content-Type", "application/json"), ("Attorn-Verb", b64(text)),
            ("Attorn-Signature", b64(key.sign(b"attorn-verb/1\0" + text)))]


def put_role(at, headers, body=ROLE, path="/api/v1/roles/tester"):
    return lambda: send("PUT", at.on.issuer + path, headers, body)


def good(at, **changed):
    return signed(at, "PUT", "/api/v1/roles/tester", ROLE, "role.put", **changed)


@row("oauth:P102", "a verb without signature", 401, SIGNED_BY_NOBODY, count="api login")
def _(at):
    return put_role(at, [("Content-Type", "application/json")])


@row("oauth:P102", "a widening verb without signature on the admin socket", 401, SIGNED_BY_NOBODY, count="api login")
def _(at):
    def send_it():
        status, answer = at.on.admin("PUT", "/api/v1/roles/tester", {"permissions": ["invoices:read"]})
        return Answer(status, {}, json.dumps(answer).encode())
    return send_it


@row("", "a read without signature from the network", 401, SIGNED_BY_NOBODY, count="api login")
def _(at):
    return lambda: send("GET", at.on.issuer + "/api/v1/users")


@row("", "a signature by another key", 401, "", count="api login")
def _(at):
    return put_role(at, good(at, key=Ed25519PrivateKey.generate()))


@row("", "a signature by a key nobody enrolled", 401, SIGNED_BY_NOBODY, count="api login")
def _(at):
    return put_role(at, good(at, by=b64(os.urandom(32))))


@row("", "a signature used before", 401, "", record="replay")
def _(at):
    headers = good(at)
    assert put_role(at, headers)().status == 200
    return put_role(at, headers)


@row("", "a signature for another body", 401, "signed for another verb, path or body", count="api login")
def _(at):
    return put_role(at, good(at), body=ROLE.replace(b"invoices", b"tickets1"))


@row("", "a signature for another path", 401, "signed for another verb, path or body", count="api login")
def _(at):
    return put_role(at, good(at), path="/api/v1/roles/admin")


@row("", "a signature for another verb", 401, "signed for another verb, path or body", count="api login")
def _(at):
    return put_role(at, good(at, verb="read"))


@row("", "a signature for another authority", 401, "signed for another authority", count="api login")
def _(at):
    return put_role(at, good(at, iss="http://127.0.0.1:1"))


@row("", "a signature that has expired", 401, "has expired", count="api login")
def _(at):
    now = int(time.time())
    return put_role(at, good(at, iat=now - 300, exp=now - 240))


@row("", "a signature that lives too long", 401, "", count="api login")
def _(at):
    return put_role(at, good(at, exp=int(time.time()) + 3600))


@row("oauth:P19", "an access token as signature", 401, SIGNED_BY_NOBODY, count="api login")
def _(at):
    return put_role(at, [("Content-Type", "application/json"), ("Authorization", "DPoP " + at.me.delegated_token("tickets"))])


@row("", "a person who may not", 403, "this user may not do that", record="verb")
def _(at):
    # alice's key is sealed: she asks through the command line
    def send_it():
        run = at.on.run("role", "put", "tester", "--scope", "a:b", "--json", by="alice")
        return Answer(403 if run.returncode == 1 else 0, {}, run.stderr.encode())
    return send_it


# --- bytes that two readers could read as two requests (oauth P71) ---------------------------------------------------------

def raw_send(port, raw):
    """Sends bytes; the first answer, whole, and the end of the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(raw)
        sock.shutdown(socket.SHUT_WR)
        got = b""
        try:
            while piece := sock.recv(65536):
                got += piece
        except ConnectionResetError:
            pass
    heads = got.count(b"HTTP/1.1 ")
    assert heads == 1, f"one answer, then the end: {got!r}"
    return Answer(int(got.split(b" ")[1]), {}, got)


BODY = ticket("smuggled")
CHUNK = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
SMUGGLING = [  # name, status, head lines after the credentials, body; HEAD stands for the request line
    ("Content-Length and Transfer-Encoding", 400, LENGTH + b"Transfer-Encoding: chunked\r\n", CHUNK),
    ("Transfer-Encoding and Content-Length", 400, b"Transfer-Encoding: chunked\r\n" + LENGTH, CHUNK),
    ("two Content-Lengths, equal", 400, LENGTH + LENGTH, BODY),
    ("two Content-Lengths, different", 400, LENGTH + b"Content-Length: 5\r\n", BODY),
    ("a list of lengths", 400, b"Content-Length: %d, %d\r\n" % (len(BODY), len(BODY)), BODY),
    ("a length with a sign", 400, b"Content-Length: +%d\r\n" % len(BODY), BODY),
    ("gzip, chunked", 400, b"Transfer-Encoding: gzip, chunked\r\n", CHUNK),
    ("chunked twice", 400, b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", CHUNK),
    ("xchunked", 400, b"Transfer-Encoding: xchunked\r\n", CHUNK),
    ("a blank before the colon", 400, b"Transfer-Encoding : chunked\r\n", CHUNK),
    ("a folded header", 400, b"X-Abc: y\r\n z\r\n" + LENGTH, BODY),
    ("a bare CR in a value", 400, b"X-Abc: \rxTransfer-Encoding: chunked\r\n", CHUNK),
    ("a bare LF as line end", 400, b"X-Abc: y\n" + LENGTH, BODY),
    ("a NUL in a value", 400, b"X-Abc: y\0z\r\n" + LENGTH, BODY),
    ("a chunk that runs on", 400, b"Transfer-Encoding: chunked\r\n", b"5\r\nhelloXX0\r\n\r\n"),
    ("a chunk of negative size", 400, b"Transfer-Encoding: chunked\r\n", b"-1\r\n\r\n0\r\n\r\n"),
    ("a chunk of endless size", 400, b"Transfer-Encoding: chunked\r\n", b"fffffffffffffffff\r\nx\r\n0\r\n\r\n"),
    ("a chunk ended by LF", 400, b"Transfer-Encoding: chunked\r\n", b"1\nA\r\n0\r\n\r\n"),
    ("two Hosts", 400, b"Host: evil.example\r\n" + LENGTH, BODY),
]
LINES = [  # name, status, request line
    ("HTTP/0.9", 400, b"POST /r/tickets/tickets\r\n"),
    ("HTTP/1.0", 400, b"POST /r/tickets/tickets HTTP/1.0\r\n"),
    ("HTTP/2.0", 400, b"POST /r/tickets/tickets HTTP/2.0\r\n"),
    ("an absolute target", 400, b"POST http://127.0.0.1/r/tickets/tickets HTTP/1.1\r\n"),
    ("CONNECT", 400, b"CONNECT 127.0.0.1:80 HTTP/1.1\r\n"),
    ("two blanks in the request line", 400, b"POST  /r/tickets/tickets HTTP/1.1\r\n"),
]


def head_of(at, line, credentials):
    lines = [b"Host: 127.0.0.1:%d" % (at.on.port + 1), b"Content-Type: application/json"]
    return line + b"\r\n".join(lines + [f"{name}: {value}".encode() for name, value in credentials]) + b"\r\n"


def add_smuggling(name, status, line, rest, body):
    @row("oauth:P71", name, status, "", count="http refused")
    def _(at):
        credentials = at.me.credentials("POST", at.url["tickets"] + "/tickets", at.capability(body=BODY))
        raw = head_of(at, line, credentials) + rest + b"\r\n" + body
        return lambda: raw_send(at.on.port + 1, raw)

    @row("oauth:P71", f"{name}, at the authority", status, "", count="http refused")
    def _(at):
        form = b"grant_type=client_credentials"
        raw = (line.replace(b"/r/tickets/tickets", b"/oauth/token") + b"Host: 127.0.0.1:%d\r\n" % at.on.port
               + b"Content-Type: application/x-www-form-urlencoded\r\n" + rest.replace(b"%d" % len(BODY), b"%d" % len(form))
               + b"\r\n" + body.replace(BODY, form).replace(b"%x\r\n" % len(BODY), b"%x\r\n" % len(form)))
        return lambda: raw_send(at.on.port, raw)


for one_name, one_status, one_rest, one_body in SMUGGLING:
    add_smuggling(one_name, one_status, b"POST /r/tickets/tickets HTTP/1.1\r\n", one_rest, one_body)
for one_name, one_status, one_line in LINES:
    add_smuggling(one_name, one_status, one_line, LENGTH, BODY)
