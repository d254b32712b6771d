"""docs/cases.md against the tree: every id once and in order, every test that it names there, and no test of an id that the page
calls not built or forgets."""
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
IDS = [f"oauth:P{n}" for n in range(1, 108)] + [f"mcp:G{n}" for n in range(1, 42)] + [f"mcp:W{n}" for n in range(1, 14)]
for letter, last in {"E": 10, "X": 14, "J": 9, "W": 1, "B": 6, "I": 40, "A": 14, "L": 13}.items():
    IDS += [f"spiffe:{letter}{n}" for n in range(1, last + 1)]
IDS += ["spiffe:P2"]
LINE = re.compile(r"^\| ([a-z]+:[A-Z]\d+) \| (.+?) \| (.+) \|$", re.M)
ROWS = {name: held for name, _, held in LINE.findall((ROOT / "docs/cases.md").read_text())}


def parts(held):
    return held.split(" · ")


def test_every_id_stands_there_once_and_in_order():
    assert [name for name, _, _ in LINE.findall((ROOT / "docs/cases.md").read_text())] == IDS


@pytest.mark.parametrize("name", IDS)
def test_what_it_names_exists(name):
    for part in parts(ROWS[name]):
        if part.startswith("not built: "):
            assert part.removeprefix("not built: ").strip() and len(parts(ROWS[name])) == 1
            continue
        reason, file, word = re.fullmatch(r"(by construction: .*\()?([\w./-]+): (.+?)\)?", part).groups()
        text = (ROOT / file).read_text()
        assert re.search(r"\b" + re.escape(word) + r"(?!\w)", text) if word[0].isalnum() else word in text, part
        assert reason or file.split("/")[0] in ("tests", "fuzz", "bench")


def test_refusals_say_what_the_page_says():
    """Each row of the refusal tables that names an id is in a file that the page gives for that id."""
    for path in sorted((ROOT / "tests/e2e").glob("refusals_*.py")):
        for name in set(re.findall(r'\b((?:oauth:P|mcp:G)\d+)\b', path.read_text())):
            assert f"tests/e2e/{path.name}" in ROWS[name], f"{path.name} has rows of {name}"


def test_most_is_built():
    assert sum("not built" not in held for held in ROWS.values()) > 100
