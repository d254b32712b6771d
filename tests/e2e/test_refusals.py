"""Every refusal: its status, its words, exactly one record (a known caller) or one count (a stranger), and no line in the
upstream's own log. The rows are in refusals_*.py."""
import re

import pytest
import refusal_case
import refusals_gateway  # noqa: F401
import refusals_oauth  # noqa: F401  each adds its rows
import stage

ROWS_MIN = 24


@pytest.fixture(scope="module")
def at(furnished):
    return refusal_case.At(furnished)


def name_of(row):
    return re.sub(r"[^a-zA-Z0-9]+", "-", row.name)


@pytest.mark.parametrize("row", refusal_case.ROWS, ids=name_of)
def test_refused(at, row):
    on, send = at.on, row.prepare(at)
    since, before, counted = on.entries(), on.upstream_calls(), on.counts()
    answer = send()
    assert (answer.status, row.words in answer.text) == (row.status, True), f"{answer.status} {answer.text}"
    assert stage.grown(before, on.upstream_calls()) == {}
    records = [(r["type"], r["code"]) for r in on.records(since) if r["type"] in ("attempt", "decision")]
    counts = stage.grown(counted, on.counts())
    if row.record:
        assert (records, counts) == ([("decision", row.record)], {})
    else:
        assert (records, counts) == ([], {row.count: 1})


def test_the_tables_are_whole():
    assert len(refusal_case.ROWS) >= ROWS_MIN
