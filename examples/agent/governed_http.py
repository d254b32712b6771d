"""Governed HTTP in one page: how a Python agent with its own Ed25519 key calls a plain HTTP API through
attorn's gateway. No attorn library is needed, only the standards: RFC 7523 (the key answers the
authority's challenge), RFC 9449 (DPoP), RFC 8693 (grant -> token -> one capability per call).

    python governed_http.py keygen agent.key     writes agent.key (mode 0600) and agent.pub, as JWKs
"""
import base64
import hashlib
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"
GRANT_TYPE = "urn:attorn:params:oauth:token-type:grant"


def b64(raw):
    return base64.urlsafe_b64encode(raw if isinstance(raw, bytes) else raw.encode()).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def compact(document):
    return json.dumps(document, separators=(",", ":"))


class Refused(Exception):
    """The authority or the gateway said no; the text holds the reason and the fix."""


class Agent:
    """One key pair, one client id, one grant. Tokens are fetched when needed and never written down."""

    def __init__(self, issuer, client_id, grant, key_file):
        jwk = json.load(open(key_file, encoding="utf-8"))
        self.issuer, self.client_id, self.grant = issuer, client_id, grant
        self.key = Ed25519PrivateKey.from_private_bytes(unb64(jwk["d"]))
        self.jwk = {"crv": "Ed25519", "kty": "OKP", "x": jwk["x"]}
        self.kid = b64(hashlib.sha256(compact(self.jwk).encode()).digest())  # RFC 7638
        self.nonce = None
        self.delegated = {}  # route URL -> (token, when it ends)

    def jwt(self, header, claims):
        signed = b64(compact({"alg": "EdDSA", **header})) + "." + b64(compact(claims))
        return signed + "." + b64(self.key.sign(signed.encode()))

    def proof(self, method, url, **more):
        claims = {"htm": method, "htu": url, "iat": int(time.time()), "jti": str(uuid.uuid4()), **more}
        return self.jwt({"typ": "dpop+jwt", "jwk": self.jwk}, claims)

    def exchange(self, route, **form):
        url, now = self.issuer + "/oauth/token", int(time.time())
        for _ in range(2):  # the first answer may be the challenge
            nonce = {"nonce": self.nonce} if self.nonce else {}
            identity = {"iss": self.client_id, "sub": self.client_id, "aud": self.issuer, "iat": now,
                        "exp": now + 60, "jti": str(uuid.uuid4()), **nonce}
            status, headers, body = send("POST", url, {"DPoP": self.proof("POST", url, **nonce)}, urllib.parse.urlencode({
                "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "resource": route, **form,
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": self.jwt({"kid": self.kid}, identity)}).encode())
            self.nonce = headers.get("DPoP-Nonce") or self.nonce
            answer = json.loads(body)
            if status == 200:
                return answer
            if answer.get("error") != "use_dpop_nonce":
                break
        raise Refused(f"{status} {compact(answer)}")

    def token(self, route):
        token, ends = self.delegated.get(route, (None, 0))
        if time.time() > ends - 10:
            answer = self.exchange(route, subject_token=self.grant, subject_token_type=GRANT_TYPE)
            token, ends = answer["access_token"], time.time() + answer["expires_in"]
            self.delegated[route] = token, ends
        return token

    def capability(self, route, method, target, body):
        digest = b64(hashlib.sha256(b"attorn-args/1\0" + body).digest())
        action = {"type": "http_request", "server": route, "method": method, "target": target, "body_digest": digest}
        return self.exchange(route, subject_token=self.token(route), subject_token_type=TOKEN_TYPE,
                             authorization_details=compact([action]))["access_token"]

    def call(self, route, method, target, document=None):
        """One governed request; returns the upstream's JSON. `target` is the path (and query) at the upstream."""
        body = b"" if document is None else compact(document).encode()
        token = self.capability(route, method, target, body)
        proof = self.proof(method, route + target.split("?")[0], ath=b64(hashlib.sha256(token.encode()).digest()))
        status, _, answer = send(method, route + target, {"Authorization": f"DPoP {token}", "DPoP": proof,
                                                          "Content-Type": "application/json"}, body)
        if not 200 <= status < 300:
            raise Refused(f"{status} {answer.decode(errors='replace').strip()}")
        return json.loads(answer) if answer else None


def send(method, url, headers, body):
    request = urllib.request.Request(url, data=body or None, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def keygen(path):
    key = Ed25519PrivateKey.generate()
    public = {"kty": "OKP", "crv": "Ed25519", "x": b64(key.public_key().public_bytes_raw())}
    with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        file.write(compact({**public, "d": b64(key.private_bytes_raw())}) + "\n")
    with open(os.path.splitext(path)[0] + ".pub", "w", encoding="utf-8") as file:
        file.write(compact(public) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] != "keygen":
        sys.exit(__doc__)
    keygen(sys.argv[2])
