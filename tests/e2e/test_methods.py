"""What an MCP route serves: which HTTP methods, which MCP methods. What is not relayed does not exist (mcp.md 11, G1 and G27)."""
import pytest
from caller import send


@pytest.fixture(scope="module")
def scout(furnished):
    return furnished.caller()


@pytest.mark.parametrize("route", ["invoices", "everything"])
@pytest.mark.parametrize("method", ["resources/list", "resources/read", "prompts/list", "prompts/get", "completion/complete",
                                    "logging/setLevel", "tasks/list", "sampling/createMessage", "nonsense", "tools/List", "tools"])
def test_what_is_not_relayed(furnished, scout, route, method):
    scout.open(route)
    before, reached = furnished.upstream_calls(), len((furnished.dir / "logs/invoices.lines").read_text())
    answer = scout.ask(route, method)
    assert answer.status == 200 and answer.json["error"]["code"] == -32601
    assert furnished.upstream_calls() == before
    if route == "invoices":
        assert len((furnished.dir / "logs/invoices.lines").read_text()) == reached


@pytest.mark.parametrize("method,status", [("GET", 405), ("PUT", 405), ("PATCH", 405), ("HEAD", 405)])
def test_http_methods(furnished, scout, method, status):
    url = furnished.route("invoices")
    session = scout.open("invoices")
    answer = send(method, url, [*scout.credentials(method, url, scout.delegated_token("invoices")), ("Mcp-Session-Id", session)])
    assert answer.status == status and "POST" in answer.headers["Allow"]


def test_a_session_ends_with_delete(furnished, scout):
    url, session = furnished.route("everything"), scout.open("everything")
    credentials = scout.credentials("DELETE", url, scout.delegated_token("everything"))
    assert send("DELETE", url, [*credentials, ("Mcp-Session-Id", session)]).status in (200, 202, 204)
    assert scout.ask("everything", "ping").status == 404
    scout.sessions.clear()
    assert scout.tools("everything") == ["echo"]
