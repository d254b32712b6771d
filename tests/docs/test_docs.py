"""The commands that the documents show do what they say: blocks that begin with ```sh run are run, all others must name what exists."""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "demo"))
import stage  # noqa: E402

ATTORN = Path(os.environ.get("ATTORN") or ROOT / "build/attorn")
BLOCK = re.compile(r"^```sh( run)?\n(.*?)^```", re.M | re.S)
STORY = "attorn up --dir w"  # the README's; what is seen when it is typed:
SEEN = ("attorn is up", "grant ", "tools: read_text_file", "call: done", "who asked", "PASS", "revoked")


def documents():
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "*.md"], capture_output=True, text=True)
    found = listed.stdout.splitlines() or [str(path.relative_to(ROOT)) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]]
    return sorted(found)


BLOCKS = [(f"{name}:{text[:match.start()].count(chr(10)) + 1}", bool(match[1]), match[2])
          for name in documents() for text in [(ROOT / name).read_text()] for match in BLOCK.finditer(text)]


@pytest.fixture
def desk_top(tmp_path):
    """What a person who follows the README has at hand: a passphrase, a route document, some invoices."""
    (ROOT / "build/e2e").mkdir(parents=True, exist_ok=True)
    top = Path(tempfile.mkdtemp(prefix="docs-", dir=ROOT / "build/e2e"))
    shutil.copytree(ROOT / "demo/data/finance/invoices", top / "srv/invoices")
    (top / "pass").write_text("a passphrase of the test\n")
    (top / "invoices.json").write_text(
        '{"kind":"mcp-stdio","command":["node","%s","%s"],"environment":"prod","data_classes":["finance"],'
        '"tools":{"read_text_file":{"scope":"invoices:read","effect":"readonly"}}}' % (stage.FILESYSTEM, top / "srv/invoices"))
    (top / "bin").mkdir()
    wrapper = top / "bin/attorn"
    wrapper.write_text(f"#!/bin/sh\nexec {sys.executable} {ROOT}/tests/docs/typist.py \"$@\"\n")
    wrapper.chmod(0o755)
    yield top
    shutil.rmtree(top)


def run(top, script):
    script = script.replace("/srv/invoices", str(top / "srv/invoices"))
    env = {**os.environ, "PATH": f"{top}/bin:{os.environ['PATH']}", "REAL_ATTORN": str(ATTORN), "TYPIST_DIR": str(top),
           "TYPIST_PORT": str(stage.free_ports()), "TYPIST_FILE": str(top / "srv/invoices/INV-0401.json")}
    for name in ("ATTORN_DIR", "ATTORN_PASSPHRASE_FILE"):
        env.pop(name, None)
    with open(top / "said", "w") as said:
        shell = subprocess.Popen(["bash", "-euc", script], cwd=top, env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                                 start_new_session=True)
    try:
        code = shell.wait(60)
    finally:
        if alive(shell.pid):
            os.killpg(shell.pid, signal.SIGTERM)  # what the person left running, in this shell's own group
        stage.until("it ended", lambda: not alive(shell.pid), 15)
    return code, (top / "said").read_text()


def alive(group):
    try:
        os.killpg(group, 0)
        return True
    except ProcessLookupError:
        return False


@pytest.mark.parametrize("block", [one for one in BLOCKS if one[1]], ids=lambda one: one[0])
def test_block_runs(desk_top, block):
    code, said = run(desk_top, block[2])
    assert code == 0, said
    for seen in SEEN if STORY in block[2] else ():
        assert seen in said, f"{seen!r} is missing in:\n{said}"


def test_the_story_by_hand_is_run():
    assert len([one for one in BLOCKS if one[1] and STORY in one[2]]) == 1


def commands():
    for where, _, block in BLOCKS:
        for line in block.replace("\\\n", " ").splitlines():
            for piece in re.split(r"&&|\|\||;|\|", line.partition(" #")[0]):
                words = piece.strip().rstrip("&").split()
                if words and words[0] in ("make", "attorn"):
                    yield where, words


def test_every_command_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    verbs = set(re.findall(r"^  ([a-z]+) ", subprocess.run([ATTORN, "help"], capture_output=True, text=True).stdout, re.M))
    seen = list(commands())
    assert len(seen) >= 10
    for where, words in seen:
        known = targets if words[0] == "make" else verbs | {"help"}
        assert words[1] in known, f"{where}: {' '.join(words)}"
