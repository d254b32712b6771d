"""The process that holds the keys: walled in, alone with them, and no signature of its without a record. One is made behind
the authority's back by a program that speaks to the signer's socket, and verifying shows it for ever.
"""
import base64
import hashlib
import json
import os
import signal
import socket
import struct
import subprocess
from pathlib import Path

import pytest
import rfc6962_verify as stranger
import stage
from processes import child_of, is_running

SIGN, HEADS = 3, 5


class Door:
    """Our own end of a signer's socket, in the bytes of src/engine/signer/wire.h."""

    def __init__(self, world):
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [str(world.attorn), "signer", "--dir", str(world.work), "--signer-fd", str(theirs.fileno())]
        self.process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        theirs.close()
        self.socket.settimeout(20)

    def ask(self, op, body=b""):
        """Returns the error's number, 0 for none, and the answer."""
        self.socket.send(struct.pack(">IIB", len(body) + 5, 7, op) + body)
        answer = self.socket.recv(1 << 16)
        size, asked, error = struct.unpack(">IIB", answer[:9])
        assert (size, asked) == (len(answer) - 4, 7)
        return error, answer[9:]

    def heads(self):
        """{kid: (entries, highest number)}"""
        error, body = self.ask(HEADS)
        assert error == 0
        return {body[at:at + 43].decode(): struct.unpack(">QQ", body[at + 43:at + 59]) for at in range(0, len(body), 91)}

    def close(self):
        self.socket.close()
        return self.process.wait(20)


def kid_of(world, use):
    with world.store() as db:
        return db.execute("SELECT kid, next_n FROM key WHERE use = ? AND state = 'active'", (use,)).fetchone()


def b64url(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def token_of(kid, claims):
    header = json.dumps({"typ": "at+jwt", "alg": "EdDSA", "kid": kid}, separators=(",", ":")).encode()
    return b64url(header) + b"." + b64url(json.dumps(claims).encode())


def signer_of(world):
    return stage.until("a signer runs", lambda: child_of(world.children["attorn"].pid, "signer"))


def lists_of(export):
    return [json.loads(line) for line in export.splitlines() if line.startswith(b'{"list":')]


def test_it_is_behind_its_walls(furnished):
    pid = signer_of(furnished)
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    assert (status["Seccomp"], status["NoNewPrivs"], status["Threads"]) == ("2", "1", "1")
    held = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    assert sum("socket:" in name for name in held) == 1  # and no file but those of its own directory
    files = {name for name in held if name.startswith(str(furnished.dir)) and "/logs/" not in name}
    assert files and all(name.startswith(f"{furnished.work}/data/signer") for name in files)
    told = furnished.cli("status")["signer"]
    assert told["seccomp"] is True and told["kek"] == "file" and told["keys"] >= 2 and told["ahead"] == 0


def test_no_private_half_is_elsewhere(furnished):
    with furnished.store() as db:
        rows = db.execute("SELECT use, length(sealed) FROM key WHERE use IN ('token', 'ledger')").fetchall()
    assert sorted(rows) == [("ledger", 0), ("token", 0)]
    folder = furnished.work / "data/signer"
    assert folder.stat().st_mode & 0o7777 == 0o700
    assert all(path.stat().st_mode & 0o7777 == 0o600 for path in folder.iterdir())


def test_every_token_is_on_both_lists(furnished):
    agent = furnished.caller()
    tokens = [agent.tool_capability("everything", "echo", {"message": str(n)}) for n in range(5)]
    kid, _ = kid_of(furnished, "token")

    def named():  # a head that was signed before the token names the list without it; the next look is seconds away
        export = furnished.export()
        stranger.verify(export, furnished.vkey())
        entries = b"".join(base64.b64decode(row["entries"]) for row in lists_of(export) if row["list"] == kid)
        return all(hashlib.sha256(token.rpartition(".")[0].encode()).digest() in entries for token in tokens)
    stage.until("what was signed stands on the signer's list", named)
    ran = furnished.run("ledger", "verify")
    assert ran.returncode == 0 and "each with its record" in ran.stdout


@pytest.mark.parametrize("who", ["signer", "authority"])
def test_killed_they_start_again_together(furnished, who):
    supervisor = furnished.children["attorn"]
    before = {role: stage.until(f"{role} runs", lambda at=role: child_of(supervisor.pid, at)) for role in ("signer", "authority")}
    agent = furnished.caller()
    agent.tool_capability("everything", "echo", {"message": "before"})
    os.kill(before[who], signal.SIGKILL)
    for role in before:
        stage.until(f"{role} runs anew", lambda at=role: child_of(supervisor.pid, at) not in (None, before[at]), 20)
    stage.until("the authority is healthy", lambda: stage.is_healthy(furnished.issuer), 20)
    assert not any(map(is_running, before.values()))
    furnished.caller().tool_capability("everything", "echo", {"message": "after"})
    stranger.verify(furnished.export(), furnished.vkey())
    assert furnished.run("ledger", "verify").returncode == 0
    assert furnished.cli("status")["signer"]["ahead"] == 0


def test_two_at_once_there_are_not(furnished):
    door = Door(furnished)
    with pytest.raises((OSError, struct.error)):  # it gives up and closes its end
        door.ask(HEADS)
        door.ask(HEADS)
    assert door.close() == 1
    assert b"another signer works" in door.process.stderr.read()


def test_a_signature_behind_the_authoritys_back_shows(furnished):
    """Last: it spoils this ledger for ever."""
    furnished.caller().tool_capability("everything", "echo", {"message": "mine"})
    vkey, whole = furnished.vkey(), furnished.export()
    assert furnished.run("ledger", "verify").returncode == 0
    assert furnished.stop("attorn") == 0
    kid, next_n = kid_of(furnished, "token")
    door = Door(furnished)
    made = door.heads()[kid]
    message = token_of(kid, {"sub": "u:somebody", "scope": "everything:use"})
    assert door.ask(SIGN, kid.encode() + struct.pack(">Q", made[1]) + message)[0] != 0  # a number that was used
    assert door.ask(SIGN, kid.encode() + struct.pack(">Q", next_n) + b"anything at all")[0] != 0  # not a token
    error, signature = door.ask(SIGN, kid.encode() + struct.pack(">Q", next_n) + message)
    assert error == 0 and len(signature) == 64
    assert door.heads()[kid] == (made[0] + 1, next_n)
    assert door.close() == 0
    furnished.up()
    stage.until("it is told", lambda: "event=signer.ahead" in furnished.log("attorn"))
    assert furnished.cli("status")["signer"]["ahead"] == 1

    def shown():
        ran = furnished.run("ledger", "verify")
        return ran.returncode == 5 and ran.stdout
    said = stage.until("verifying shows it", shown, 20)
    assert f"signature {next_n} of key {kid} has no record" in said
    export = furnished.export()
    with pytest.raises(stranger.Bad, match=f"signature {next_n} of {kid} has no record"):
        stranger.verify(export, vkey)
    copy = furnished.dir / "export.jsonl"
    copy.write_bytes(export)
    offline = furnished.run("ledger", "verify", "--file", copy, "--vkey", vkey)
    assert offline.returncode == 5 and f"signature {next_n} of key {kid}" in offline.stdout
    stranger.verify(whole, vkey)  # what was exported before is as good as it was
    furnished.caller().tool_capability("everything", "echo", {"message": "and it goes on"})  # with the next number
    assert kid_of(furnished, "token")[1] > next_n + 1
