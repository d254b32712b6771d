"""Every refusal: its status, its words, exactly one record (a known caller) or one count (a stranger), and no line in the
upstream's own log. The rows are in refusals_*.py."""
import re

import pytest
import refusal_case
import refusals_api
import refusals_gateway
import refusals_oauth  # noqa: F401  each of the three adds its rows
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


def test_their_right_neighbours_pass(at):
    """No row is refused because everything is."""
    assert at.token(at.form())().status == 200
    assert at.token(at.capability_form())().status == 200
    assert at.post_ticket()().status == 201
    assert at.call("read_text_file", {"path": at.file})().json["result"].get("isError") is not True
    assert at.message(refusals_gateway.PING.encode())().status == 200
    assert refusals_api.put_role(at, refusals_api.good(at))().status == 200
    head = refusals_api.head_of(at, b"POST /r/tickets/tickets HTTP/1.1\r\n", at.me.credentials(
        "POST", at.url["tickets"] + "/tickets", at.capability(body=refusals_api.BODY)))
    raw = head + b"Transfer-Encoding: chunked\r\n\r\n" + refusals_api.CHUNK
    assert refusals_api.raw_send(at.on.port + 1, raw).status == 201
