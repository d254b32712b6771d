"""What may happen once happens once: 200 clients at once, 100 rounds; the upstream's own log counts."""
import os
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import stage
from caller import body_digest
from world import ATTORN, world
from refusal_case import ticket

CLIENTS, ROUNDS = 200, 100


class Volley:
    def __init__(self, port):
        self.process = subprocess.Popen([ATTORN.parent / "tests/volley", str(port), str(CLIENTS)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def fire(self, requests):
        """One round; returns how often each status was answered."""
        for request in requests:
            self.process.stdin.write(b"%d\n%s" % (len(request), request))
        self.process.stdin.flush()
        return Counter(map(int, self.process.stdout.readline().split()))

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(10) == 0


@pytest.fixture
def desk():
    """A world of its own for each test: 20,000 records are as many as one wants to read at once."""
    for made in world("once"):
        widen(made)
        yield made


def widen(made):
    """More calls in flight on the route than there are clients."""
    made.put_route("tickets", {
        "kind": "http", "upstream": made.desk_url, "environment": "prod", "data_classes": ["support"], "limits": {"concurrent": 1000},
        "credential": {"secret": "tickets-key", "header": "X-Api-Key", "prefix": ""},
        "http": [{"method": "POST", "path": "/tickets", "scope": "tickets:create", "effect": "mutating"}]})


def request(world, body, credentials):
    head = ["POST /r/tickets/tickets HTTP/1.1", f"Host: 127.0.0.1:{world.port + 1}", "Content-Type: application/json",
            f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in credentials)]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def check_rounds(world, since, refusal, rounds=ROUNDS):
    """Of the records since then: one attempt per round, every other call refused for the one reason."""
    records = world.records(since)
    codes = Counter(r["code"] for r in records if r["type"] == "decision")
    assert sum(1 for r in records if r["type"] == "attempt") == rounds
    assert codes == {refusal: rounds * (CLIENTS - 1)}


def fire_capabilities(desk, volley, rounds):
    me, since, url = desk.caller(), desk.entries(), desk.route("tickets") + "/tickets"
    for number in range(rounds):
        body, seen = ticket(f"round {number}"), len(desk.desk_lines())
        token = me.capability_of("tickets", me.http_item("tickets", "POST", "/tickets", body))
        # every client with a proof of its own: nothing but the token is used twice
        answers = volley.fire([request(desk, body, me.credentials("POST", url, token)) for _ in range(CLIENTS)])
        assert answers == {201: 1, 401: CLIENTS - 1}
        assert len(desk.desk_lines()) == seen + 1
    volley.close()
    check_rounds(desk, since, "replay", rounds)


def test_one_capability(desk):
    fire_capabilities(desk, Volley(desk.port + 1), ROUNDS)


def sockets_of(process):
    return sum(1 for fd in Path(f"/proc/{process.pid}/fd").iterdir() if os.readlink(fd).startswith("socket:"))


def test_one_capability_at_two_gateways(desk):
    """P55: a second gateway listens on the same port, the kernel spreads the clients over both."""
    second = desk.start("second", [ATTORN, "gateway", "--dir", desk.work])
    stage.until("the second gateway has its view", lambda: desk.cli("status")["gateways"] == 2)
    idle, volley = sockets_of(second), Volley(desk.port + 1)
    stage.until("both have clients", lambda: CLIENTS // 4 < sockets_of(second) - idle < CLIENTS * 3 // 4)
    fire_capabilities(desk, volley, 10)


def test_the_last_use_of_a_grant(desk):
    with ThreadPoolExecutor(4) as pool:
        callers = list(pool.map(lambda _: desk.caller(uses=1), range(ROUNDS)))
    for me in callers:
        me.delegated_token("tickets")
    volley, since, url = Volley(desk.port + 1), desk.entries(), desk.route("tickets") + "/tickets"
    for number, me in enumerate(callers):
        body, seen = ticket(f"last use {number}"), len(desk.desk_lines())
        token, action = me.delegated_token("tickets"), me.action_digest("tickets", "POST", "/tickets", body_digest(body))
        answers = volley.fire([request(desk, body, me.credentials("POST", url, token, action_digest=action))
                               for _ in range(CLIENTS)])
        assert answers == {201: 1, 403: CLIENTS - 1}
        assert len(desk.desk_lines()) == seen + 1
        assert desk.cli("grant", "show", me.grant)["uses_left"] == 0
    volley.close()
    check_rounds(desk, since, "grant_uses")
