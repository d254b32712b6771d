#!/usr/bin/env python3
"""Property: a pattern that the matcher of `matches` accepts means to it what it means to Python's re.fullmatch.

usage: pattern.py PATTERN_LINE [SEED]     prints seed, counts and the smallest counterexample
"""
import os
import random
import re
import signal
import subprocess
import sys
import warnings

warnings.simplefilter("ignore")
ALPHABET = "ab01_- \n\tZ\u00e9\u20ac\U0001f600./"
META = "ab0|()[]{}*+?.^$\\-,dwsDWSnrt19 "


def atom(r, depth):
    kind = r.randrange(9 if depth else 6)
    if kind == 0:
        return "."
    if kind == 1:
        return r.choice(["\\d", "\\w", "\\s", "\\D", "\\W", "\\S", "\\n", "\\t"])
    if kind == 2:
        return "\\" + r.choice(".*+?()[]{}|\\^$/-")
    if kind == 3:
        members = "".join(r.choice(["a", "b-z", "0-9", "\\d", "\\w", "\\s", "\\]", "\\-", "_", ".", "\u00e9", "\u20ac-\U0001f600"])
                          for _ in range(r.randint(1, 3)))
        return "[" + r.choice(["", "^"]) + members + r.choice(["", "", "-"]) + "]"
    if kind < 6:
        return r.choice("ab01_ Z\u00e9")
    return "(" + pattern(r, depth - 1) + ")"


def pattern(r, depth):
    branches = []
    for _ in range(r.choice([1, 1, 1, 2, 3])):
        parts = []
        for _ in range(r.randint(0, 4)):
            q = r.choice(["", "", "", "*", "+", "?", "{2}", "{0,2}", "{1,}", "{0}", "{3,5}"])
            parts.append(atom(r, depth) + q)
        branches.append("".join(parts))
    return "|".join(branches)


def texts(r, compiled):
    yield ""
    for _ in range(6):
        yield "".join(r.choice(ALPHABET) for _ in range(r.randint(0, 8)))
    for base in ("a", "ab", "0", "a0_", "aa", "abab", "\u00e9"):
        yield base


def cases(r, n):
    for i in range(n):
        p = pattern(r, 2) if i % 3 else "".join(r.choice(META) for _ in range(r.randint(0, 8)))
        for t in texts(r, p):
            yield p, t


def ask(program, batch):
    lines = "".join(f"{p.encode().hex()} {t.encode().hex()}\n" for p, t in batch)
    out = subprocess.run([program], input=lines, capture_output=True, text=True, check=True).stdout.split()
    assert len(out) == len(batch), "a line was lost"
    return out


def too_slow(*_):
    raise TimeoutError


def verdict(p, t):
    """Python's answer; None when its backtracking takes too long."""
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        return "1" if re.fullmatch(p, t, re.ASCII | re.DOTALL) else "0"
    except re.error:
        return "bad"
    except TimeoutError:
        return None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def main():
    program = sys.argv[1]
    seed = int(sys.argv[2] if len(sys.argv) > 2 else os.environ.get("ATTORN_SEED", random.randrange(1 << 32)))
    n = int(os.environ.get("ATTORN_CASES", "4000"))
    print(f"# seed {seed}")
    batch = list(cases(random.Random(seed), n))
    got = ask(program, batch)
    signal.signal(signal.SIGALRM, too_slow)
    judged = [(p, t, g, verdict(p, t)) for (p, t), g in zip(batch, got) if g != "E"]
    wrong = [case for case in judged if case[3] not in (None, case[2])]
    accepted, matched = len(judged), got.count("1")
    slow = sum(case[3] is None for case in judged)
    print(f"# {len(batch)} pairs, {accepted} with an accepted pattern, {matched} matches, {slow} too slow for Python")
    if wrong:
        p, t, g, w = min(wrong, key=lambda x: len(x[0]) + len(x[1]))
        print(f"pattern {p!r} text {t!r}: ours {g}, Python {w} ({len(wrong)} in all)")
        return 1
    if accepted * 2 < len(batch) or matched * 20 < len(batch):
        print("the generator does not reach enough")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
