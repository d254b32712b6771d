"""Refusals of the token endpoint: who asks, with which proof, for what."""
import time
import urllib.parse
import uuid

from caller import send
from refusal_case import Ed25519PrivateKey, b64, compact, hashlib, hmac, row, ticket

INVALID_CLIENT, INVALID_REQUEST = '"error":"invalid_client"', '"error":"invalid_request"'

# --- the proof --------------------------------------------------------------------------------------------------


@row("oauth:P21", "proof without nonce", 400, "use_dpop_nonce", count="oauth nonce")
def _(at):
    at.me.fresh_nonce()
    return at.token(at.form(), at.me.proof("POST", at.on.issuer + "/oauth/token"))


@row("oauth:P21", "proof with a nonce that is not the server's", 400, "use_dpop_nonce", count="oauth nonce")
def _(at):
    nonce = at.me.fresh_nonce()
    return at.token(at.form(), at.proof(nonce=nonce[:-2] + ("AA" if nonce[-2:] != "AA" else "BB")))


@row("", "no proof", 400, "invalid_dpop_proof", count="oauth proof")
def _(at):
    return at.token(at.form(), [])


@row("oauth:P70", "two proofs", 400, INVALID_REQUEST, count="oauth duplicate")
def _(at):
    return at.token(at.form(), [at.proof(), at.proof()])


@row("oauth:P22", "proof used before", 400, "invalid_dpop_proof", record="proof_replay")
def _(at):
    proof = at.proof()
    assert at.token(at.form(), proof)().status == 200
    return at.token(at.form(), proof)


@row("oauth:P24", "proof for another URL", 400, "invalid_dpop_proof", count="oauth proof")
def _(at):
    return at.token(at.form(), at.me.proof("POST", at.on.issuer + "/oauth/introspect", nonce=at.me.fresh_nonce()))


@row("oauth:P20", "proof for another method", 400, "invalid_dpop_proof", count="oauth proof")
def _(at):
    return at.token(at.form(), at.me.proof("GET", at.on.issuer + "/oauth/token", nonce=at.me.fresh_nonce()))


@row("", "proof too old", 400, "invalid_dpop_proof", count="oauth proof")
def _(at):
    return at.token(at.form(), at.proof(iat=int(time.time()) - 300))


@row("oauth:P26", "proof with a private key in it", 400, "invalid_dpop_proof", count="oauth proof")
def _(at):
    claims = {"htm": "POST", "htu": at.on.issuer + "/oauth/token", "iat": int(time.time()), "jti": str(uuid.uuid4()),
              "nonce": at.me.fresh_nonce()}
    jwk = {**at.me.jwk, "d": b64(at.me.key.private_bytes_raw())}
    return at.token(at.form(), at.me.jwt({"typ": "dpop+jwt", "jwk": jwk}, claims))


@row("oauth:P19", "access token as proof", 400, "invalid_dpop_proof", count="oauth proof")
def _(at):
    at.me.fresh_nonce()
    return at.token(at.form(), at.me.delegated_token("tickets"))


@row("oauth:P19", "assertion as proof", 400, "invalid_dpop_proof", count="oauth proof")
def _(at):
    at.me.fresh_nonce()
    return at.token(at.form(), at.me.assertion())


# --- the client ---------------------------------------------------------------------------------------------------

def with_assertion(at, assertion):
    return at.token(at.form(client_assertion=assertion))


@row("oauth:P10", "assertion for the token endpoint's URL", 401, INVALID_CLIENT, count="oauth client")
def _(at):
    return with_assertion(at, at.me.assertion(aud=at.on.issuer + "/oauth/token"))


@row("oauth:P10", "assertion for the issuer with a slash", 401, INVALID_CLIENT, count="oauth client")
def _(at):
    return with_assertion(at, at.me.assertion(aud=at.on.issuer + "/"))


@row("oauth:P11", "assertion whose audience is a list", 401, INVALID_CLIENT, count="oauth client")
def _(at):
    return with_assertion(at, at.me.assertion(aud=[at.on.issuer]))


@row("", "assertion that has expired", 401, INVALID_CLIENT, count="oauth client")
def _(at):
    now = int(time.time())
    return with_assertion(at, at.me.assertion(iat=now - 120, exp=now - 60))


@row("", "assertion that lives too long", 401, INVALID_CLIENT, count="oauth client")
def _(at):
    return with_assertion(at, at.me.assertion(exp=int(time.time()) + 3600))


@row("", "assertion without jti", 401, INVALID_CLIENT, count="oauth client")
def _(at):
    return with_assertion(at, at.me.assertion(jti=None))


@row("oauth:P67", "assertion with a fractional, huge exp", 401, INVALID_CLIENT, count="oauth client")
def _(at):
    return with_assertion(at, at.me.assertion(exp=1e300))


@row("oauth:P11", "assertion used before", 401, INVALID_CLIENT, record="replay")
def _(at):
    form = at.form()
    assert at.token(form)().status == 200
    return at.token(form)


@row("oauth:P2", "assertion by another key", 401, INVALID_CLIENT, count="oauth client")
def _(at):
    stranger = Ed25519PrivateKey.generate()
    text = at.me.assertion().rpartition(".")[0]
    return with_assertion(at, text + "." + b64(stranger.sign(text.encode())))


@row("oauth:P2", "assertion of another agent, my name", 401, INVALID_CLIENT, count="oauth client")
def _(at):
    return with_assertion(at, at.other.assertion(iss=at.me.client_id, sub=at.me.client_id))


@row("oauth:P2", "iss and sub differ", 401, INVALID_CLIENT, count="oauth client")
def _(at):
    return with_assertion(at, at.me.assertion(iss=at.other.client_id))


@row("", "client_id is somebody else", 401, INVALID_CLIENT, count="oauth client")
def _(at):
    return at.token(at.form(client_id=at.other.client_id))


@row("", "an agent nobody registered", 401, INVALID_CLIENT, count="oauth client")
def _(at):
    name = "spiffe://example.test/agent/nobody"
    return with_assertion(at, at.me.assertion(iss=name, sub=name))


@row("oauth:P19", "alg none", 401, INVALID_CLIENT, count="oauth client")
def _(at):
    body = at.me.assertion().split(".")[1]
    return with_assertion(at, b64(compact({"alg": "none", "kid": at.me.kid})) + "." + body + ".")


@row("oauth:P14", "HS256 under the public key", 401, INVALID_CLIENT, count="oauth client")
def _(at):
    text = b64(compact({"alg": "HS256", "kid": at.me.kid})) + "." + at.me.assertion().split(".")[1]
    mac = hmac.new(at.me.key.public_key().public_bytes_raw(), text.encode(), hashlib.sha256).digest()
    return with_assertion(at, text + "." + b64(mac))


@row("oauth:P68", "alg in the wrong case", 401, INVALID_CLIENT, count="oauth client")
def _(at):
    text = b64(compact({"alg": "eddsa", "kid": at.me.kid})) + "." + at.me.assertion().split(".")[1]
    return with_assertion(at, text + "." + b64(at.me.key.sign(text.encode())))


@row("oauth:P68", "assertion in padded base64", 401, INVALID_CLIENT, count="oauth client")
def _(at):
    head, body, mark = at.me.assertion().split(".")
    return with_assertion(at, f"{head}.{body}=.{mark}")


@row("oauth:P15", "assertion that says where its key is", 401, INVALID_CLIENT, count="oauth client")
def _(at):
    return with_assertion(at, at.me.assertion({"kid": at.me.kid, "jku": "http://127.0.0.1:1/keys"}, crit=None))


@row("oauth:P19", "crit in the header", 401, INVALID_CLIENT, count="oauth client")
def _(at):
    return with_assertion(at, at.me.assertion({"kid": at.me.kid, "crit": ["b64"], "b64": True}))


@row("oauth:P19", "proof as assertion", 401, INVALID_CLIENT, count="oauth client")
def _(at):
    return with_assertion(at, at.proof())


@row("oauth:P19", "delegated token as assertion", 401, INVALID_CLIENT, count="oauth client")
def _(at):
    return with_assertion(at, at.me.delegated_token("tickets"))


@row("oauth:P19", "capability as assertion", 401, INVALID_CLIENT, count="oauth client")
def _(at):
    return with_assertion(at, at.capability())


@row("oauth:P65", "assertion with a member twice", 401, INVALID_CLIENT, count="oauth client")
def _(at):
    claims = compact({"iss": at.me.client_id, "sub": at.me.client_id, "aud": at.on.issuer, "iat": int(time.time()),
                      "exp": int(time.time()) + 60, "jti": str(uuid.uuid4())})
    text = b64(compact({"alg": "EdDSA", "kid": at.me.kid})) + "." + b64(claims[:-1] + ',"jti":"again"}')
    return with_assertion(at, text + "." + b64(at.me.key.sign(text.encode())))


@row("", "no assertion", 401, INVALID_CLIENT, count="oauth client")
def _(at):
    return at.token(at.form(client_assertion=None))


@row("oauth:P13", "assertion type of an SVID", 401, INVALID_CLIENT, count="oauth client")
def _(at):
    return at.token(at.form(client_assertion_type="urn:ietf:params:oauth:client-assertion-type:jwt-spiffe"))


@row("", "an agent in quarantine", 401, INVALID_CLIENT, record="agent_state")
def _(at):
    at.on.cli("agent", "state", "night-watch", "quarantined")
    form = at.other.exchange_form("tickets")
    proof = at.proof(at.other)

    def send():
        answer = at.other.token_request(proof, form)
        at.on.cli("agent", "state", "night-watch", "active")
        return answer
    return send


# --- what is asked for ----------------------------------------------------------------------------------------------

@row("oauth:P1 oauth:P2", "another agent's grant", 400, INVALID_REQUEST, record="grant")
def _(at):
    return at.token(at.form(subject_token=at.other.grant))


@row("oauth:P74", "a grant that does not exist", 400, INVALID_REQUEST, record="grant")
def _(at):
    return at.token(at.form(subject_token="01ARZ3NDEKTSV4RRFFQ69G5FAV"))


@row("oauth:P84", "a revoked grant", 400, INVALID_REQUEST, record="grant_revoked")
def _(at):
    grant = at.on.grant("billing-scout", at.on.rules)
    at.on.cli("grant", "revoke", grant)
    return at.token(at.form(subject_token=grant))


@row("oauth:P19 oauth:P8", "assertion as subject token", 400, INVALID_REQUEST, record="token")
def _(at):
    return at.token(at.capability_form(subject_token=at.me.assertion()))


@row("oauth:P19", "proof as subject token", 400, INVALID_REQUEST, record="token")
def _(at):
    return at.token(at.capability_form(subject_token=at.proof()))


@row("oauth:P8", "a JWT of nobody as subject token", 400, INVALID_REQUEST, record="token")
def _(at):
    token = at.me.jwt({"typ": "at+jwt", "kid": at.me.kid}, at.payload_of(at.me.delegated_token("tickets")))
    return at.token(at.capability_form(subject_token=token))


@row("oauth:P96", "capability as subject token", 400, INVALID_REQUEST, record="token")
def _(at):
    return at.token(at.capability_form(subject_token=at.capability()))


@row("oauth:P19", "delegated token as grant", 400, INVALID_REQUEST, record="grant")
def _(at):
    return at.token(at.form(subject_token=at.me.delegated_token("tickets")))


@row("oauth:P19", "grant id as subject token", 400, INVALID_REQUEST, record="token")
def _(at):
    return at.token(at.capability_form(subject_token=at.me.grant))


@row("", "introspection by nobody", 401, INVALID_CLIENT, count="oauth client")
def _(at):
    body = urllib.parse.urlencode({"token": at.capability()}).encode()
    form = [("Content-Type", "application/x-www-form-urlencoded")]
    return lambda: send("POST", at.on.issuer + "/oauth/introspect", form, body)


@row("", "revocation by nobody", 401, INVALID_CLIENT, count="oauth client")
def _(at):
    body = urllib.parse.urlencode({"token": at.capability()}).encode()
    form = [("Content-Type", "application/x-www-form-urlencoded")]
    return lambda: send("POST", at.on.issuer + "/oauth/revoke", form, body)


@row("oauth:P2", "another agent's token as subject token", 400, INVALID_REQUEST, record="token")
def _(at):
    return at.token(at.capability_form(subject_token=at.other.delegated_token("tickets")))


@row("oauth:P2", "my token, proof by another key", 400, "invalid_dpop_proof", record="proof")
def _(at):
    form = at.capability_form()
    return at.token(form, at.proof(at.other))


@row("oauth:P8", "id_token as subject", 400, INVALID_REQUEST, count="oauth value")
def _(at):
    return at.token(at.capability_form(subject_token_type="urn:ietf:params:oauth:token-type:id_token"))


@row("oauth:P8", "refresh_token as subject", 400, INVALID_REQUEST, count="oauth value")
def _(at):
    return at.token(at.capability_form(subject_token_type="urn:ietf:params:oauth:token-type:refresh_token"))


@row("oauth:P5", "an actor token", 400, INVALID_REQUEST, count="oauth value")
def _(at):
    return at.token(at.form(actor_token=at.me.assertion(), actor_token_type="urn:ietf:params:oauth:token-type:jwt"))


@row("", "a route that does not exist", 400, "invalid_target", record="target")
def _(at):
    return at.token(at.form(resource=at.on.route("nothing")))


@row("oauth:P34", "two targets", 400, "invalid_target", count="oauth target")
def _(at):
    return at.token([*at.form().items(), ("resource", at.url["invoices"])])


@row("", "a capability for another route than the token's", 400, "invalid_target", record="target")
def _(at):
    return at.token(at.capability_form(resource=at.url["invoices"]))


@row("oauth:P31", "a scope the grant does not lend", 400, "invalid_scope", record="scope")
def _(at):
    return at.token(at.form(scope="tickets:delete"))


@row("oauth:P32", "empty authorization_details", 400, "invalid_authorization_details", record="details")
def _(at):
    return at.token(at.capability_form(details=[]))


@row("", "two authorization details", 400, "invalid_authorization_details", record="details")
def _(at):
    item = at.me.http_item("tickets", "POST", "/tickets", ticket())
    return at.token(at.capability_form(details=[item, item]))


@row("", "a detail of an unknown type", 400, "invalid_authorization_details", record="details")
def _(at):
    item = at.me.http_item("tickets", "POST", "/tickets", ticket())
    return at.token(at.capability_form(details=[{**item, "type": "payment"}]))


@row("", "a detail with an unknown member", 400, "invalid_authorization_details", record="details")
def _(at):
    item = at.me.http_item("tickets", "POST", "/tickets", ticket())
    return at.token(at.capability_form(details=[{**item, "amount": 1}]))


@row("oauth:P32", "a detail without digest", 400, "invalid_authorization_details", record="details")
def _(at):
    item = at.me.http_item("tickets", "POST", "/tickets", ticket())
    return at.token(at.capability_form(details=[{k: v for k, v in item.items() if k != "body_digest"}]))


@row("oauth:P65", "a detail with a member twice", 400, "invalid_authorization_details", record="details")
def _(at):
    text = compact([at.me.http_item("tickets", "POST", "/tickets", ticket())])
    return at.token(at.capability_form(details=text.replace('"type"', '"method":"GET","type"')))


@row("", "a capability for what the grant does not name", 400, "invalid_authorization_details", record="details")
def _(at):
    return at.token(at.capability_form(details=[at.me.http_item("tickets", "DELETE", "/tickets/1", b"")]))


@row("", "a grant type we do not serve", 400, "unsupported_grant_type", count="oauth grant_type")
def _(at):
    return at.token(at.form(grant_type="authorization_code"))


@row("", "client_credentials by a delegated agent", 400, "unauthorized_client", record="grant_type_client")
def _(at):
    return at.token(at.form(grant_type="client_credentials", subject_token=None, subject_token_type=None))


# --- the form ---------------------------------------------------------------------------------------------------------

@row("oauth:P69", "a parameter twice", 400, INVALID_REQUEST, count="oauth duplicate")
def _(at):
    return at.token([*at.form().items(), ("scope", "tickets:create"), ("scope", "tickets:create")])


@row("oauth:P69", "a bad escape", 400, INVALID_REQUEST, count="oauth syntax")
def _(at):
    return at.token(b"grant_type=%zz")


@row("oauth:P69", "a NUL in a parameter", 400, INVALID_REQUEST, count="oauth syntax")
def _(at):
    return at.token(b"grant_type=client_credentials%00&scope=x")


@row("", "JSON instead of a form", 415, INVALID_REQUEST, count="oauth content_type")
def _(at):
    return at.token(compact(at.form()).encode(), content_type="application/json")


@row("", "parameters in the URL", 400, INVALID_REQUEST, count="oauth value")
def _(at):
    form, proof = at.form(), at.proof()
    return lambda: send("POST", at.on.issuer + "/oauth/token?scope=tickets:create",
                        [("Content-Type", "application/x-www-form-urlencoded"), ("DPoP", proof)], urllib.parse.urlencode(form).encode())


@row("", "a form with too many parameters", 413, INVALID_REQUEST, count="oauth limit")
def _(at):
    return at.token([*at.form().items(), *((f"x{i}", "y") for i in range(100))])


@row("", "GET", 405, INVALID_REQUEST, count="oauth method")
def _(at):
    return lambda: send("GET", at.on.issuer + "/oauth/token")


@row("", "a subject token that is too long", 413, INVALID_REQUEST, count="oauth limit")
def _(at):
    return at.token(at.capability_form(subject_token="a" * 20000))
