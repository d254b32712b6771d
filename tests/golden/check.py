#!/usr/bin/env python3
"""What attorn prints of itself against the files beside this one, as TAP. UPDATE=1 writes them anew.

usage: check.py ATTORN
"""
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
TEXTS = {
    "help.txt": ["help"],
    "help-agent.txt": ["help", "agent"],
    "help-grant.txt": ["help", "grant"],
    "help-mcp.txt": ["help", "mcp"],
    "help-up.txt": ["help", "up"],
    "attorn.1": ["help", "--man"],
    "completion.bash": ["completion", "bash"],
}
# what is typed before TAB -> what may come, among others
COMPLETIONS = [
    ("attorn gr", ["grant"]), ("attorn ", ["up", "mcp", "ledger"]), ("attorn grant ", ["create", "revoke"]),
    ("attorn grant create --al", ["--allow"]), ("attorn mcp --gr", ["--grant"]), ("attorn up --p", ["--passphrase-file", "--port"]),
    ("attorn mcp --al", []), ("attorn nothing ", []),
]


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=20, **options)


def texts(attorn):
    for name, words in TEXTS.items():
        got = run(attorn, *words)
        if os.environ.get("UPDATE"):
            (HERE / name).write_text(got.stdout)
        yield name, got.returncode == 0 and not got.stderr and got.stdout == (HERE / name).read_text()


def completions():
    for line, wanted in COMPLETIONS:
        words = line.split(" ")
        script = (f"source {HERE / 'completion.bash'}\nCOMP_WORDS=({' '.join(words[:-1])} '{words[-1]}')\n"
                  f"COMP_CWORD={len(words) - 1}\n_attorn\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"")
        got = run("bash", "-c", script)
        words = got.stdout.split()
        yield f"completion of {line!r}", got.returncode == 0 and set(wanted) <= set(words) and bool(wanted or not words)


def man_page():
    """mandoc or groff, whichever is there, finds nothing to complain of."""
    page = HERE / "attorn.1"
    if shutil.which("mandoc"):
        got = run("mandoc", "-Tlint", "-Wwarning", page)
        yield "the man page is well formed", got.returncode == 0
    elif shutil.which("groff"):
        got = run("groff", "-man", "-Tutf8", "-ww", page)
        yield "the man page is well formed", got.returncode == 0 and not got.stderr


def refusals(attorn):
    for words, status in (["nothing"], 2), (["help", "nothing"], 2), (["agent"], 2), (["agent", "nothing"], 2), (["--version"], 0), \
            ([], 0), (["agent", "--help"], 0), (["status", "--dir", "/nonexistent"], 3), (["ledger", "verify", "--file", "/none"], 3), \
            (["ledger", "verify", "--file", "/none", "--vkey", "x"], 2), (["agent", "key", "a", "--out", "/none/a"], 4):
        got = run(attorn, *words)
        yield f"attorn {' '.join(words)} ends with {status}", got.returncode == status and bool(got.stdout) == (status == 0)


def main():
    attorn = sys.argv[1]
    results = [*texts(attorn), *completions(), *man_page(), *refusals(attorn)]
    print(f"1..{len(results)}")
    for number, (name, good) in enumerate(results, 1):
        print(f"{'ok' if good else 'not ok'} {number} - {name}")
    return 0 if all(good for _, good in results) else 1


if __name__ == "__main__":
    sys.exit(main())
