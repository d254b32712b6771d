"""A full disk: attorn's directory on a small file system of its own, filled to the last byte. New work is refused in clear
words and spends nothing; denials, outcomes and revokes are still recorded, from the reserve; when there is room again
everything works, and nothing is lost.
"""
import errno
import os
import shutil
import subprocess
import threading

import caller
import pytest
import stage
from governed_http import Refused
from processes import metric
from test_bad_days import Bad

IMAGE_MIB = 96  # the store's reserve is 8, and below 4 free nothing new is begun


class Small(Bad):
    def __init__(self):
        if not (shutil.which("mkfs.ext4") and os.geteuid() == 0):
            pytest.skip("a small file system of its own needs root and mkfs.ext4")
        super().__init__("full")
        self.image = self.dir / "disk.img"
        with open(self.image, "wb") as file:
            file.truncate(IMAGE_MIB << 20)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", self.image], check=True)
        mounted = subprocess.run(["mount", "-o", "loop", self.image, self.work], capture_output=True, text=True)
        if mounted.returncode != 0:
            pytest.skip(f"no loop mounts here: {mounted.stderr.strip()}")
        shutil.rmtree(self.work / "lost+found", ignore_errors=True)

    def fill(self):
        with open(self.work / "filler", "wb", buffering=0) as file:
            size = 1 << 20
            while size:
                try:
                    file.write(b"\0" * size)
                except OSError as error:
                    assert error.errno == errno.ENOSPC
                    size //= 2

    def empty(self):
        (self.work / "filler").unlink()

    def close(self):
        super().close()
        subprocess.run(["umount", "-l", self.work], check=False, capture_output=True)


@pytest.fixture(scope="module")
def small():
    world = Small()
    try:
        yield world.furnish()
    finally:
        world.close()


def denied(world, agent):
    """A tool that no grant names; the answer, which goes out only when it is on record."""
    arguments, url = {"n": 1}, world.route("stdio")
    digest = agent.action_digest("stdio", "tools/call", "unknown", caller.args_digest(arguments))
    token = agent.delegated_token("stdio")
    return agent.call_tool("stdio", "unknown", arguments, credentials=agent.credentials("POST", url, token, action_digest=digest))


def refused_in_words(world, agent, prepared):
    answer = world.send_tool(agent, prepared)
    assert answer.status == 503, answer.body
    assert b"disk" in answer.body and b"free disk space" in answer.body


def test_a_full_disk(small):
    agent, victim = small.caller(), small.grant("billing-scout", small.rules)
    agent.open("stdio")
    slow, held = small.prepare(agent, "slow"), small.prepare(agent, "ok")
    decisions = sum(r["type"] == "decision" for r in small.records())
    answers = []
    running = threading.Thread(target=lambda: answers.append(small.send_tool(agent, slow)))
    running.start()
    stage.until("the slow call is upstream", lambda: any(line.startswith("slow") for line in small.reached("stdio")))
    small.fill()
    # new work: refused, and nothing of it happened
    refused_in_words(small, agent, held)
    with pytest.raises(Refused, match="disk_full.*free disk space|free disk space.*disk_full"):
        small.prepare(agent, "ok")
    assert not any(line.startswith("ok") for line in small.reached("stdio"))
    assert metric(small.issuer, "store_full") == 1
    # what must not be lost
    for _ in range(5):
        assert denied(small, agent).json["error"]["code"] == -32602
    assert small.cli("grant", "revoke", victim, "--reason", "the disk is full", by="alice")
    running.join(20)
    assert answers[0].text == "ok"
    assert small.outcome(slow[2]) == "success"
    small.empty()
    stage.until("new work is taken again", lambda: works(small, agent), 20, pause=0.2)
    assert metric(small.issuer, "store_full") == 0
    answer = small.send_tool(agent, held)  # the refused call had spent nothing
    assert answer.text == "ok" and small.outcome(held[2]) == "success"
    records = small.records()
    assert sum(r["type"] == "decision" for r in records) == decisions + 5
    assert sum(r["type"] == "revoke" for r in records) == 1
    assert small.cli("ledger", "verify")


def works(world, agent):
    try:
        return world.works(agent)
    except Refused:
        return False


def test_a_start_on_a_full_disk(small):
    """It starts, says so, records denials, and carries on when there is room."""
    agent = small.caller()
    agent.open("stdio")
    small.stop("attorn")
    small.fill()
    small.up()
    with pytest.raises(Refused, match="disk_full"):
        small.prepare(agent, "ok")
    assert denied(small, agent).json["error"]["code"] == -32602
    small.empty()
    stage.until("new work is taken again", lambda: works(small, agent), 20, pause=0.2)
    assert small.cli("ledger", "verify")
    assert os.statvfs(small.work).f_bavail > 0
