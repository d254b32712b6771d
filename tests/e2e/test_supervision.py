"""`attorn up` on good and bad days: what it keeps to itself, how it ends, what a broken start leaves behind."""
import os
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ATTORN = Path(os.environ.get("ATTORN") or ROOT / "build/attorn")
NOBODY = 65534


def free_ports():
    """A port whose successor is free too."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            try:
                two.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


class Up:
    def __init__(self, directory, **how):
        self.dir, self.port = Path(directory), free_ports()
        self.passphrase = self.dir / "passphrase"
        self.passphrase.write_text("a long enough passphrase\n")
        self.log = open(self.dir / "up.log", "ab+")
        self.how = how

    def start(self, **how):
        self.process = subprocess.Popen(
            [ATTORN, "up", "--dir", self.dir, "--passphrase-file", self.passphrase, "--port", str(self.port)],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, **self.how, **how)
        return self

    def said(self):
        return (self.dir / "up.log").read_text()

    def until_up(self, times=1):
        end = time.monotonic() + 30
        while self.said().count("attorn is up in") < times:
            assert self.process.poll() is None and time.monotonic() < end, self.said()
            time.sleep(0.02)
        return self

    def child(self, role):
        for line in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            if role.encode() in Path(f"/proc/{line}/cmdline").read_bytes().split(b"\0"):
                return int(line)
        raise AssertionError(f"no {role}")

    def end(self, sig=signal.SIGTERM, within=15):
        self.process.send_signal(sig)
        return self.process.wait(within)

    def users(self):
        with sqlite3.connect(self.dir / "data/attorn.db") as db:
            return db.execute("SELECT id FROM user_ ORDER BY id").fetchall()


@pytest.fixture
def up(tmp_path):
    made = Up(tmp_path)
    yield made
    if getattr(made, "process", None) and made.process.poll() is None:
        made.process.kill()
        made.process.wait()


def test_it_ends_with_0_when_told_and_leaves_no_process(up):
    up.start().until_up()
    children = [up.child("authority"), up.child("gateway")]
    assert up.end() == 0
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    up.start().until_up(2)
    assert up.end(signal.SIGINT) == 0


def test_a_child_that_dies_is_started_again(up):
    up.start().until_up()
    for role in "authority", "gateway":
        before = up.child(role)
        os.kill(before, signal.SIGKILL)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                if up.child(role) != before:
                    break
            except (AssertionError, OSError):
                time.sleep(0.02)
        assert up.child(role) != before
    assert up.end() == 0


def test_a_taken_port_ends_it_and_says_which(up):
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", up.port))
        other.listen()
        up.start()
        assert up.process.wait(20) == 4
    assert f"127.0.0.1:{up.port}" in up.said()
    assert "authority cannot run" in up.said()
    assert "attorn is up" not in up.said()


def test_two_of_them_never_share_the_gateway_port(up, tmp_path):
    """SO_REUSEPORT is for the gateways of one `up`; a second `up`, and one beside a gateway started alone, are refused."""
    up.start().until_up()
    (tmp_path / "other").mkdir()
    other = Up(tmp_path / "other")
    initialised = subprocess.run([ATTORN, "init", "--dir", other.dir, "--passphrase-file", other.passphrase, "--port", str(other.port)])
    assert initialised.returncode == 0
    config = other.dir / "attorn.yaml"
    config.write_text(config.read_text().replace(f"127.0.0.1:{other.port + 1}", f"127.0.0.1:{up.port + 1}"))
    assert other.start().process.wait(15) == 4
    assert f"cannot listen on 127.0.0.1:{up.port + 1}: another gateway" in other.said()
    alone = subprocess.Popen([ATTORN, "gateway", "--dir", up.dir], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:  # one more gateway of the same authority is welcome
        time.sleep(0.5)
        assert alone.poll() is None
        assert up.end() == 0
        assert other.start().process.wait(15) == 4
    finally:
        alone.kill()
        alone.wait()
    other.start().until_up()
    assert other.end() == 0


def test_two_at_once_agree_who_has_the_port(tmp_path):
    port, ups = free_ports(), []
    for name in "a", "b":
        (tmp_path / name).mkdir()
        ups.append(Up(tmp_path / name))
        assert subprocess.run([ATTORN, "init", "--dir", ups[-1].dir, "--passphrase-file", ups[-1].passphrase,
                               "--port", str(ups[-1].port)], stdout=subprocess.DEVNULL).returncode == 0
        config = ups[-1].dir / "attorn.yaml"
        config.write_text(config.read_text().replace(f"127.0.0.1:{ups[-1].port + 1}", f"127.0.0.1:{port}"))
    for one in ups:
        one.start()
    end = time.monotonic() + 15
    while all(one.process.poll() is None for one in ups):
        assert time.monotonic() < end
        time.sleep(0.05)
    winner = next(one for one in ups if one.process.poll() is None)
    assert [one.process.poll() for one in ups if one is not winner] == [4]
    winner.until_up()
    assert winner.end() == 0


def test_a_configuration_broken_later_ends_it_at_the_next_start_of_a_child(up):
    up.start().until_up()
    with open(up.dir / "attorn.yaml", "a") as f:
        f.write("surprise: 1\n")
    os.kill(up.child("gateway"), signal.SIGKILL)
    assert up.process.wait(20) == 4
    assert "surprise" in up.said() and "gateway cannot run" in up.said()


@pytest.mark.parametrize("damage, said", [
    (lambda up: (up.dir / "data/kek").write_bytes(os.urandom(32)), "does not open the keys"),
    (lambda up: (up.dir / "data/kek").chmod(0o644), "0600"),
    (lambda up: (up.dir / "data/attorn.db").write_bytes(b"not a database" * 1000), "attorn.db"),
    (lambda up: sqlite3.connect(up.dir / "data/attorn.db").execute("PRAGMA user_version=999").close(), "made by a newer attorn"),
    (lambda up: (up.dir / "data").chmod(0o755), "0700"),
], ids=["another-kek", "open-kek", "no-database", "newer-schema", "open-folder"])
def test_a_state_it_cannot_use_ends_it_with_the_reason(up, damage, said):
    up.start().until_up()
    assert up.end() == 0
    damage(up)
    assert up.start().process.wait(20) == 4
    assert said in up.said()
    assert "authority cannot run" in up.said()


def test_a_first_start_killed_anywhere_starts_over(tmp_path):
    for turn in range(8):
        place = tmp_path / f"w{turn}"
        place.mkdir()
        up = Up(place).start()
        time.sleep(0.04 * turn)
        up.end(signal.SIGKILL)
        up.log.truncate(0)
        up.start().until_up()
        assert len(up.users()) == 1
        assert (place / "keys/operator.key").stat().st_mode & 0o777 == 0o600
        assert up.end() == 0


def test_a_lost_mark_never_costs_the_store(up):
    """What is in the store was acknowledged, whatever else is missing."""
    up.start().until_up()
    assert up.end() == 0
    before, key = up.users(), (up.dir / "keys/operator.key").read_bytes()
    (up.dir / "data/started").unlink()
    up.start().until_up(2)
    assert up.users() == before
    assert (up.dir / "keys/operator.key").read_bytes() == key
    assert up.end() == 0


def test_a_first_start_beside_a_running_one_is_refused(up):
    up.start().until_up()
    (up.dir / "data/started").unlink()
    init = subprocess.run([ATTORN, "init", "--dir", up.dir, "--passphrase-file", up.passphrase],
                          capture_output=True, text=True, timeout=20)
    assert init.returncode == 4 and "another authority runs here" in init.stderr
    assert len(up.users()) == 1
    assert up.end() == 0


def limits(pid, name):
    [line] = [line for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if line.startswith(name)]
    return line[len(name):].split()[:2]


def test_descriptors_and_cores_stay_out(up):
    with tempfile.TemporaryFile() as secret:
        up.start(pass_fds=[secret.fileno()]).until_up()
        inode = os.fstat(secret.fileno()).st_ino
        for role in "authority", "gateway":
            pid = up.child(role)
            assert limits(pid, "Max core file size") == ["0", "0"]
            for fd in Path(f"/proc/{pid}/fd").iterdir():
                assert fd.name in "012" or fd.stat().st_ino != inode
    for path in [up.dir / "data", *(up.dir / "data").rglob("*")]:
        assert path.lstat().st_mode & 0o077 == 0 or path.is_symlink(), path
    assert up.end() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_nobody_of_the_same_uid_reads_the_memory():
    with tempfile.TemporaryDirectory(prefix="attorn-") as place:
        os.chown(place, NOBODY, NOBODY)
        up = Up(place, user=NOBODY, group=NOBODY, extra_groups=[])
        os.chown(up.passphrase, NOBODY, NOBODY)
        up.start().until_up()
        try:
            for role in "authority", "gateway":
                look = subprocess.run(["head", "-c1", f"/proc/{up.child(role)}/mem"], user=NOBODY, group=NOBODY,
                                      extra_groups=[], capture_output=True, text=True)
                assert "Permission denied" in look.stderr
        finally:
            assert up.end() == 0


def test_only_get_is_answered_at_health_and_metrics(up):
    up.start().until_up()
    for port in up.port, up.port + 1:
        for path in "/health", "/metrics":
            with socket.create_connection(("127.0.0.1", port)) as s:
                s.sendall(f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 0\r\n\r\n".encode())
                assert s.recv(100).startswith(b"HTTP/1.1 405 ")
    assert up.end() == 0


def call_until_refused(agent, answered):
    while True:
        try:
            answer = agent.http("tickets", "POST", "/tickets", b'{"title":"t","body":"b","priority":"low"}')
        except Exception:  # the door is gone, or was while a token was fetched
            return
        if answer.status != 201:
            return
        answered.append(answer)


def test_told_to_end_under_load_it_loses_nothing(furnished):
    """Every call that reached the upstream has its outcome, and none of them is `unknown`."""
    answered = []
    since, before = furnished.entries(), furnished.upstream_calls().get("desk", 0)
    threads = [threading.Thread(target=call_until_refused, args=(furnished.caller(), answered)) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(1.5)
    assert furnished.stop("attorn") == 0
    for thread in threads:
        thread.join(30)
    furnished.up()
    records = furnished.records(since)
    outcomes = {r["of"]: r["status"] for r in records if r["type"] == "outcome"}
    attempts = [r["rid"] for r in records if r["type"] == "attempt"]
    assert len(answered) > 4
    assert [outcomes.get(rid) for rid in attempts].count("success") >= len(answered)
    assert {outcomes.get(rid) for rid in attempts} <= {"success", "error", "not_executed"}
    assert furnished.upstream_calls()["desk"] - before <= len(attempts)
