"""A ledger larger than any buffer of ours (64 MiB): exported, and verified with and without a file, in little memory."""
import base64
import hashlib
import http.server
import json
import resource
import socketserver
import subprocess
import threading

import pytest
import rfc6962_verify as stranger
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from world import ATTORN

RECORDS, PAD = 5600, 12000  # 85 MiB of lines
MEMORY_BYTES = 40 << 20
NAME = "example.test/ledger"


def b64(raw):
    return base64.b64encode(raw).decode()


def root_of(leaves):
    """RFC 6962 2.1, level by level: an odd last one goes up as it is."""
    level = [hashlib.sha256(b"\0" + leaf).digest() for leaf in leaves]
    while len(level) > 1:
        pairs = [hashlib.sha256(b"\1" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)]
        level = pairs + level[len(pairs) * 2:]
    return level[0]


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """The export's file and the verifier key."""
    key, path = Ed25519PrivateKey.generate(), tmp_path_factory.mktemp("big") / "export.jsonl"
    public = b"\1" + key.public_key().public_bytes_raw()
    key_id = hashlib.sha256(NAME.encode() + b"\n" + public).digest()[:4]
    leaves = [b'{"pad":"%s","rid":"01M870X2F44D309KM971BCA7T2","v":%d}' % (b"x" * PAD, n) for n in range(RECORDS)]
    with open(path, "w") as out:
        for index, leaf in enumerate(leaves):
            out.write(f'{{"index":{index},"leaf":"{b64(leaf)}","hash":"{b64(hashlib.sha256(bytes(1) + leaf).digest())}"}}\n')
        text = f"{NAME}\n{RECORDS}\n{b64(root_of(leaves))}\n"
        note = text + f"\n\u2014 {NAME} {b64(key_id + key.sign(text.encode()))}\n"
        out.write(json.dumps({"head": note}, ensure_ascii=False, separators=(",", ":")) + "\n")
    assert path.stat().st_size > 80 << 20
    return path, f"{NAME}+{key_id.hex()}+{b64(public)}"


@pytest.fixture(scope="module")
def authority(big, tmp_path_factory):
    """An admin socket with nothing behind it but that export. Its working directory."""
    path, vkey = big

    class Door(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"vkey": vkey}).encode() if self.path == "/api/v1/ledger/head" else path.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def address_string(self):
            return "unix"

        def log_message(self, *_):
            pass

    # a name that fits a socket's address, wherever temporary files lie
    work = tmp_path_factory.mktemp("w")
    (work / "data/run").mkdir(parents=True)
    with socketserver.UnixStreamServer(str(work / "data/run/admin.sock"), Door) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield work
        server.shutdown()


def attorn(*words):
    """What it says; its memory is a part of what it reads."""
    ran = subprocess.run([ATTORN, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
                         preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES)))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_stranger_agrees_that_it_is_one(big):
    path, vkey = big
    assert stranger.verify(path.read_bytes(), vkey)[0] == RECORDS


def test_exported(big, authority, tmp_path):
    attorn("ledger", "export", "--dir", authority, "--out", tmp_path / "out")
    assert hashlib.sha256((tmp_path / "out").read_bytes()).digest() == hashlib.sha256(big[0].read_bytes()).digest()


@pytest.mark.parametrize("way", ["authority", "file"])
def test_verified(big, authority, way):
    out = attorn("ledger", "verify", *(["--dir", authority] if way == "authority" else ["--file", big[0], "--vkey", big[1]]))
    assert out == f"PASS: {RECORDS} records, signed head of size {RECORDS}, root recomputed from every record\n"
