"""No token, proof, assertion, key or secret is written down anywhere: logs, metrics, answers, records, the store (oauth.md P72).
Everything that was sent is remembered by the client and looked for afterwards.
"""
import re
import urllib.request

import governed_http
import pytest
from governed_http import Refused
from test_one_call import TICKET


class Remembering:
    """Every JWT that leaves an agent or comes back to it."""

    def __init__(self, monkeypatch):
        self.seen = set()
        sign, exchange = governed_http.Agent.jwt, governed_http.Agent.exchange

        def jwt(agent, header, claims):
            return self.keep(sign(agent, header, claims))

        def exchanged(agent, route, **form):
            answer = exchange(agent, route, **form)
            self.keep(answer["access_token"])
            return answer
        monkeypatch.setattr(governed_http.Agent, "jwt", jwt)
        monkeypatch.setattr(governed_http.Agent, "exchange", exchanged)

    def keep(self, text):
        self.seen.add(text)
        return text


@pytest.fixture
def remembered(monkeypatch):
    return Remembering(monkeypatch)


def story(world):
    """Calls that pass and calls that do not, on each kind of route and at the token endpoint."""
    agent = world.caller()
    assert agent.http("tickets", "POST", "/tickets", TICKET).status == 201
    agent.call_tool("invoices", "read_text_file", {"path": f"{world.invoices}/INV-0401.json"})
    agent.call_tool("everything", "echo", {"message": "hello"})
    token = agent.tool_capability("invoices", "read_text_file", {"path": f"{world.invoices}/INV-0401.json"})
    for _ in range(2):  # the second use is refused
        agent.call_tool("invoices", "read_text_file", {"path": f"{world.invoices}/INV-0401.json"}, token=token)
    agent.call_tool("invoices", "read_text_file", {"path": "/etc/passwd"}, token=token)
    agent.http("tickets", "POST", "/tickets", TICKET, token=token)
    agent.post("invoices", b"{", agent.credentials("POST", world.route("invoices"), token))
    for broken in ({"aud": "http://elsewhere"}, {"exp": 1}, {"jti": None}):
        form = agent.exchange_form(client_assertion=agent.assertion(**broken))
        agent.token_request(agent.proof("POST", agent.issuer + "/oauth/token", nonce=agent.nonce), form)
    with pytest.raises(Refused):
        agent.exchange(world.route("nowhere"), subject_token=agent.grant, subject_token_type=governed_http.GRANT_TYPE)


def written_down(world):
    """Everything that stays: logs, the store with its log, metrics, the export."""
    for path in sorted([*(world.dir / "logs").glob("attorn*"), *(world.work / "data").glob("attorn.db*")]):
        yield path.name, path.read_bytes()
    for url in (world.issuer, world.gateway):
        yield url + "/metrics", urllib.request.urlopen(url + "/metrics", timeout=5).read()
    yield "the export", world.export()
    yield "its records", repr(world.records()).encode()


def test_nothing_secret_is_written_down(furnished, remembered):
    story(furnished)
    secrets = {furnished.desk_key.encode(), furnished.passphrase("operator").read_bytes().strip(),
               furnished.passphrase("alice").read_bytes().strip()}
    assert len(remembered.seen) > 20
    for text in remembered.seen:  # the signature alone: the rest of a JWT is not secret, but it has no business there either
        secrets |= {part.encode() for part in text.split(".")[1:]}
    places = dict(written_down(furnished))
    assert any(name.startswith("attorn.db") for name in places) and "attorn.log" in places
    for place, text in places.items():
        for secret in secrets:
            assert secret not in text, f"{place} holds {secret[:40]!r}..."


def test_the_canary_would_be_heard(furnished, remembered):
    """The same search finds what is allowed to be there: ids of tokens that were recorded."""
    agent = furnished.caller()
    token = agent.delegated_token("tickets")
    jti = re.search(r'"jti":"([^"]+)"', governed_http.unb64(token.split(".")[1]).decode()).group(1)
    assert any(jti.encode() in text for text in dict(written_down(furnished)).values())
