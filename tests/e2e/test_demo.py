"""`make demo` is green, and each planted fault turns it red at its own step."""
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ATTORN = os.environ.get("ATTORN") or ROOT / "build/attorn"
RED_AT = {
    "replay": "RED at step 6, rule: second use of a token: refused with 401",
    "proof": "RED at step 6, rule: a stolen token, another key: refused with 401",
    "scope": "RED at step 6, rule: tool outside the grant: refused with 200",
    "revoke": "RED at step 7, revoke: no call that began after the acknowledgement went through",
    "tamper": "RED at step 9, proof: attorn ledger verify says PASS; it says FAIL: record",
}


def tell(fault):
    directory = ROOT / f"build/e2e/demo-{fault or 'green'}"
    env = {name: value for name, value in os.environ.items() if name not in ("KEEP", "BREAK")}
    run = subprocess.run([sys.executable, ROOT / "demo/run.py", "--attorn", ATTORN, "--dir", directory, "--up-within", "20"],
                         env={**env, "BREAK": fault}, stdout=subprocess.PIPE, text=True, timeout=120)
    left = [f"process {pid} of the demo still runs\n" for pid in left_behind(directory)]
    shutil.rmtree(directory)
    return run.returncode, run.stdout + "".join(left)


def left_behind(directory):
    """Processes that were started with a path of the demo's directory."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if str(directory).encode() in Path(f"/proc/{name}/cmdline").read_bytes():
                yield name
        except OSError:
            pass


@pytest.fixture(scope="module")
def told():
    """All six stories, three at a time: each waits more than it works."""
    with ThreadPoolExecutor(3) as pool:
        return dict(zip(["", *RED_AT], pool.map(tell, ["", *RED_AT])))


def test_the_story_holds(told):
    code, said = told[""]
    assert code == 0 and "Every step held" in said, said
    assert "still runs" not in said
    assert "calls admitted after the acknowledgement, by ledger order: 0" in said


@pytest.mark.parametrize("fault", RED_AT)
def test_a_planted_fault_turns_it_red(told, fault):
    code, said = told[fault]
    assert code == 1 and RED_AT[fault] in said, said
    assert "still runs" not in said
    assert said.count("NOT SO") == 1


def test_an_unknown_fault_is_refused():
    run = subprocess.run([sys.executable, ROOT / "demo/run.py", "--dir", ROOT / "build/e2e/demo-none"],
                         env={**os.environ, "BREAK": "nothing"}, capture_output=True, text=True, timeout=20)
    assert run.returncode != 0 and "BREAK is one of" in run.stderr
