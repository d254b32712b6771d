"""OAuth and JOSE libraries nobody here wrote against the authority and the gateway's metadata: openid-client, oauth4webapi, jose
and the MCP SDKs' own discovery (npm), authlib, PyJWT and joserfc (PyPI); and the examples as they stand in the tree.
"""
import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import caller
import jwt
import pytest
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc import jwt as jose_jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
AGENT = "spiffe://example.test/agent/billing-scout"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
NODE18 = f"--import={(ROOT / 'demo/node18.mjs').as_uri()}"


def play(world, what, **more):
    given = {"issuer": world.issuer, "agent": AGENT, "grant": world.lent, "key": str(world.key), "url": world.route("everything"),
             "args_digest": caller.b64(caller.args_digest({"message": "x"})), **more}
    ran = subprocess.run(["node", NODE18, "oauth_clients.mjs", what, json.dumps(given)], cwd=HERE, capture_output=True, text=True,
                         timeout=60)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.fixture(scope="module")
def agent(world):
    return caller.Caller(world, "billing-scout", world.lent)


@pytest.fixture(scope="module")
def tokens(world, agent):
    return [agent.delegated_token("everything"), agent.tool_capability("everything", "echo", {"message": "x"})]


def test_openid_client(world, agent):
    seen = play(world, "openid-client")
    url = world.route("everything")
    for token in ("delegated", "capability"):
        assert seen[token]["token_type"].lower() == "dpop"
        assert seen[token]["issued_token_type"] == "urn:ietf:params:oauth:token-type:access_token"
    [item] = seen["capability"]["authorization_details"]
    assert (item["server"], item["tool"]) == (url, "echo")
    assert seen["before"]["active"] is True
    assert (seen["before"]["client_id"], seen["before"]["aud"], seen["before"]["cnf"]["jkt"]) == (AGENT, url, agent.kid)
    assert seen["before"]["act"]["sub"] == AGENT and seen["before"]["sub"] == world.alice["id"]
    assert seen["after"] == seen["foreign"] == {"active": False}
    assert seen["capabilityAfter"] == "invalid_request"  # a token given back buys nothing more
    assert seen["metadata"]["issuer"] == world.issuer


def test_oauth4webapi(world, agent):
    seen = play(world, "oauth4webapi")
    assert seen["other"] == "OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED"  # a document of another issuer
    assert seen["nonceAsked"] is True and seen["token_type"] == "dpop"
    assert seen["seen"]["active"] is True and seen["seen"]["cnf"]["jkt"] == agent.kid


def test_jose_verifies_our_tokens(world, agent, tokens):
    seen = play(world, "jose", tokens=tokens)
    assert seen["kid"] == agent.kid
    for one in seen["seen"]:
        assert one["header"]["typ"] == "at+jwt" and one["header"]["alg"] == "EdDSA" and set(one["header"]) == {"alg", "kid", "typ"}
        assert (one["jkt"], one["aud"], one["act"]) == (agent.kid, world.route("everything"), AGENT)
        assert one["sub"] == world.alice["id"]
    assert seen["flipped"] == "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"
    assert seen["audience"] == seen["typ"] == "ERR_JWT_CLAIM_VALIDATION_FAILED"


def test_pyjwt_verifies_our_tokens(world, agent, tokens):
    keys = jwt.PyJWKClient(world.issuer + "/keys")
    for token in tokens:
        key = keys.get_signing_key_from_jwt(token)
        claims = jwt.decode(token, key, algorithms=["EdDSA"], audience=world.route("everything"), issuer=world.issuer)
        assert claims["cnf"] == {"jkt": agent.kid} and isinstance(claims["aud"], str)
        assert jwt.get_unverified_header(token)["typ"] == "at+jwt"
        with pytest.raises(jwt.InvalidAudienceError):
            jwt.decode(token, key, algorithms=["EdDSA"], audience=world.route("tickets"))


def test_joserfc_verifies_our_tokens(world, tokens):
    with urllib.request.urlopen(world.issuer + "/keys") as answer:
        assert answer.headers["Content-Type"] == "application/jwk-set+json"
        keys = KeySet.import_key_set(json.load(answer))
    for token in tokens:
        assert jose_jwt.decode(token, keys, algorithms=["EdDSA"]).header["typ"] == "at+jwt"
    with pytest.raises(JoseError):
        jose_jwt.decode(tokens[0], keys, algorithms=["ES256"])


def test_authlib(world, agent):
    """authlib makes the private_key_jwt assertion; it knows no DPoP, so the proof is added by hand. Unless told otherwise its
    assertions name the token endpoint as audience (P10) and live an hour: each of the two is refused."""
    key = OKPKey.import_key({**agent.jwk, "d": json.loads(world.key.read_text())["d"]})
    url = world.issuer + "/oauth/token"

    def fetch(**claims):
        right = {"aud": world.issuer, "exp": int(time.time()) + 60}
        method = PrivateKeyJWT(url, claims={**right, **claims}, headers={"kid": agent.kid}, alg="EdDSA")
        with OAuth2Client(AGENT, key, token_endpoint_auth_method=method, token_endpoint=url) as client:
            nonce = agent.nonce or agent.fresh_nonce()
            return client.fetch_token(url, grant_type=EXCHANGE, subject_token=world.lent, subject_token_type=caller.GRANT_TYPE,
                                      resource=world.route("tickets"), headers={"DPoP": agent.proof("POST", url, nonce=nonce)})
    token = fetch()
    assert token["token_type"] == "DPoP" and token["scope"] == "tickets:create"
    for wrong in ({"aud": url}, {"exp": int(time.time()) + 3600}):
        with pytest.raises(OAuthError, match="invalid_client"):
            fetch(**wrong)


def test_resource_metadata_by_the_sdks_own_discovery(world):
    url = world.route("everything")
    for seen in play(world, "metadata").values():
        assert (seen["status"], seen["scope"], seen["error"]) == (401, "everything:use", None)
        assert seen["url"] == f"{world.gateway}/.well-known/oauth-protected-resource/r/everything"
        assert seen["resource"] == seen["unguided"] and seen["resource"]["resource"] == url
        assert seen["resource"]["authorization_servers"] == [world.issuer]
        # there is no authorization endpoint yet, and the SDKs' schema of RFC 8414 documents insists on one
        assert "authorization_endpoint" in seen["server"]


def test_the_sdks_own_dpop_opens_and_lists(world, tokens):
    seen = play(world, "sdk-dpop", tokens=tokens)
    assert seen["tools"] == ["echo", "get-sum", "trigger-long-running-operation"]
    assert seen["call"] != "none"  # a delegated token alone calls nothing


def test_example_in_typescript_without_a_sdk(world, tmp_path):
    seed, run = tmp_path / "seed", ["node", NODE18, "--import", "tsx", "ed25519-agent.ts"]
    shown = subprocess.run([*run, seed], cwd=ROOT / "examples", capture_output=True, text=True, check=True)
    (tmp_path / "key.pub").write_text(shown.stdout)
    assert seed.stat().st_mode & 0o777 == 0o600
    world.cli("agent", "register", "by-hand", "--key", tmp_path / "key.pub", "--owner", "alice", "--scope", "tickets:create")
    grant = world.grant("by-hand", [rule for rule in world.rules if rule.startswith("tickets ")], uses=1)
    arguments = [seed, world.issuer, "spiffe://example.test/agent/by-hand", grant, world.route("tickets")]
    before = len(world.desk_lines())
    first = subprocess.run([*run, *arguments], cwd=ROOT / "examples", capture_output=True, text=True)
    assert first.returncode == 0 and first.stdout.startswith("201 "), first.stdout + first.stderr
    assert world.desk_lines()[-1][1:5] == ["POST", "/tickets", "201", "attorn-gateway"]
    second = subprocess.run([*run, *arguments], cwd=ROOT / "examples", capture_output=True, text=True)
    assert second.returncode == 1 and "the grant has no uses left" in second.stderr
    assert len(world.desk_lines()) == before + 1


def test_example_in_python(world):
    before = world.upstream_calls()
    ran = subprocess.run([sys.executable, ROOT / "examples/agent/billing_scout.py", "--key", world.key, "--client-id", AGENT,
                          "--grant", world.lent, "--issuer", world.issuer, "--gateway", world.gateway, "--folder", world.invoices,
                          "--attorn", world.attorn], capture_output=True, text=True, env={**os.environ})
    assert ran.returncode == 0, ran.stderr
    seen = json.loads(ran.stdout)
    assert seen["tools"] == ["list_directory", "read_text_file"] and seen["invoices"] == 12
    assert {name for name, _ in seen["anomalies"]} == {"INV-0405", "INV-0409"} or len(seen["anomalies"]) == 2
    assert seen["ticket"]["opened_by"] == "attorn-gateway"
    after = world.upstream_calls()
    assert {name: after[name] - before[name] for name in after} == {"invoices": 13, "warehouse": 1, "everything": 0, "desk": 1}
