"""One call of each kind of route, from the signed grant to the verified record."""
import json

import rfc6962_verify as stranger
import stage

TICKET = b'{"title":"two invoices do not add up","body":"see INV-0405\\nand INV-0409","priority":"high"}'


def calls_since(world, since):
    """Records of calls from index `since` on: (attempt, its outcome), when each has one: it follows the answer."""
    def closed():
        records = world.records(since)
        outcomes = {record["of"]: record for record in records if record["type"] == "outcome"}
        attempts = [record for record in records if record["type"] == "attempt"]
        if attempts and all(attempt["rid"] in outcomes for attempt in attempts):
            return [(attempt, outcomes[attempt["rid"]]) for attempt in attempts]
        return None
    return stage.until("every call has its outcome", closed)


def one_more(before, after):
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


def check_one(world, since, before, upstream, answer):
    assert answer.status in (200, 201), answer.text
    assert one_more(before, world.upstream_calls()) == {upstream: 1}
    [(attempt, outcome)] = calls_since(world, since)
    assert (attempt["enf"], outcome["status"]) == ("allow", "success")
    assert [hop["role"] for hop in attempt["chain"]] == ["user", "agent", "tool"]
    assert attempt["chain"][0]["sub"] == world.alice["id"]
    assert attempt["chain"][1]["sub"] == "spiffe://example.test/agent/billing-scout"


def test_http_api(furnished):
    agent, before, since = furnished.caller(), furnished.upstream_calls(), furnished.entries()
    answer = agent.http("tickets", "POST", "/tickets", TICKET)
    check_one(furnished, since, before, "desk", answer)
    assert answer.json["title"] == "two invoices do not add up"
    assert furnished.desk_lines()[-1][1:5] == ["POST", "/tickets", "201", "attorn-gateway"]


def test_stdio_server(furnished):
    agent, before, since = furnished.caller(), furnished.upstream_calls(), furnished.entries()
    answer = agent.call_tool("invoices", "read_text_file", {"path": f"{furnished.invoices}/INV-0401.json"})
    check_one(furnished, since, before, "invoices", answer)
    assert json.loads(answer.text)["invoice"] == "INV-0401"


def test_streamable_http_server(furnished):
    agent, before, since = furnished.caller(), furnished.upstream_calls(), furnished.entries()
    answer = agent.call_tool("everything", "echo", {"message": "hello"})
    check_one(furnished, since, before, "everything", answer)
    assert answer.text == "Echo: hello"


def test_tools_list_shows_what_the_grant_names(furnished):
    agent = furnished.caller()
    assert agent.tools("invoices") == ["list_directory", "read_text_file"]
    assert agent.tools("everything") == ["echo"]


def test_the_export_verifies(furnished):
    size, _ = stranger.verify(furnished.export(), furnished.vkey())
    assert furnished.is_covered(size)
