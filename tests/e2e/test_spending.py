"""What a refusal costs: nothing. What a revoke ends: everything that rests on the grant."""
import os
import signal
import time
import urllib.parse

import pytest
import stage
from caller import send
from governed_http import Refused
from processes import child_of, metric
from refusal_case import Ed25519PrivateKey, b64, ticket


def post(me, world, token, body, by=None):
    url = world.route("tickets") + "/tickets"
    return me.http("tickets", "POST", "/tickets", body, credentials=(by or me).credentials("POST", url, token))


def test_a_refused_call_spends_neither_token_nor_use(furnished):
    """oauth P59: another key, changed bytes, arguments outside: the token still does its call, and the use is left."""
    world, body = furnished, ticket("survives")
    me, thief = world.caller(uses=2), world.caller()
    thief.key = Ed25519PrivateKey.generate()
    thief.jwk = {**me.jwk, "x": b64(thief.key.public_key().public_bytes_raw())}
    token = me.capability_of("tickets", me.http_item("tickets", "POST", "/tickets", body))
    assert post(me, world, token, body, by=thief).status == 401
    assert post(me, world, token, ticket("changed")).status == 403
    assert me.http("tickets", "POST", "/tickets", body.replace(b"low", b"odd")).status == 403
    assert world.cli("grant", "show", me.grant)["uses_left"] == 2
    assert post(me, world, token, body).status == 201
    assert world.cli("grant", "show", me.grant)["uses_left"] == 1
    assert post(me, world, token, body).status == 401


def test_an_authority_that_stands_still_is_not_waited_for(furnished):
    """After ADMIT_ASK_MS (5 s) the call is refused; when the authority goes on, what it reads too late spends nothing."""
    world, body = furnished, ticket("in time")
    me = world.caller(uses=2)
    token = me.capability_of("tickets", me.http_item("tickets", "POST", "/tickets", body))
    authority, before = child_of(world.children["attorn"].pid, "authority"), world.upstream_calls()
    os.kill(authority, signal.SIGSTOP)
    try:
        began = time.monotonic()
        answer = post(me, world, token, body)
        took = time.monotonic() - began
        silent, waiting = metric(world.gateway, "feed_silent_seconds"), metric(world.gateway, "outcomes_waiting")
    finally:
        os.kill(authority, signal.SIGCONT)
    assert answer.status == 503 and "authority_away" in answer.text and "attorn status" in answer.text, answer.text
    assert 4.5 < took < 8
    assert (silent > 2.5, waiting) == (True, 1)
    stage.until("the doors are open again", lambda: stage.is_healthy(world.gateway) and stage.is_healthy(world.issuer))
    stage.until("the outcome is taken", lambda: metric(world.gateway, "outcomes_waiting") == 0)
    assert metric(world.gateway, "feed_silent_seconds") < 5
    assert stage.grown(before, world.upstream_calls()) == {}
    assert world.cli("grant", "show", me.grant)["uses_left"] == 2
    assert post(me, world, token, body).status == 201  # the very same capability: it was not spent
    assert world.cli("grant", "show", me.grant)["uses_left"] == 1


def introspect(me, token):
    url = me.issuer + "/oauth/introspect"
    form = {"token": token, "client_assertion": me.assertion(), "client_assertion_type":
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}
    proof = me.proof("POST", url, nonce=me.fresh_nonce())
    return send("POST", url, [("Content-Type", "application/x-www-form-urlencoded"), ("DPoP", proof)],
                urllib.parse.urlencode(form).encode())


def test_a_revoke_ends_all_that_rests_on_the_grant(furnished):
    """oauth P84: after the acknowledgement neither exchange, introspection, session nor call."""
    world, body = furnished, ticket("too late")
    me = world.caller()
    me.open("invoices")
    token = me.capability_of("tickets", me.http_item("tickets", "POST", "/tickets", body))
    assert introspect(me, token).json["active"] is True
    before = world.upstream_calls()
    world.cli("grant", "revoke", me.grant)
    assert introspect(me, token).json["active"] is False
    assert post(me, world, token, body).status == 401
    assert me.ask("invoices", "tools/list").status == 401
    for attempt in (lambda: me.capability_of("tickets", me.http_item("tickets", "POST", "/tickets", body)),
                    lambda: me.exchange(world.route("warehouse"), subject_token=me.grant,
                                        subject_token_type="urn:attorn:params:oauth:token-type:grant")):
        with pytest.raises(Refused, match="400"):
            attempt()
    assert world.upstream_calls() == before


def test_the_key_reaches_nobody(furnished):
    """oauth P35, P83: the desk's key is in no answer, log or record; no token of ours reaches an upstream."""
    world, me = furnished, furnished.caller()
    answer = me.http("tickets", "POST", "/tickets", ticket("who sees the key"))
    token = me.tool_capability("everything", "echo", {"message": "hello"})
    assert me.call_tool("everything", "echo", {"message": "hello"}, token=token).status == 200
    key = world.desk_key
    assert key not in str(answer.headers) + answer.text
    assert key not in world.log("attorn") and key.encode() not in world.export()
    request = world.http_calls()[-1]
    assert token not in str(request) and me.delegated_token("everything") not in str(request)
    assert "dpop" not in {name.lower() for name in request["headers"]}
    assert token not in world.log("attorn")
