#!/usr/bin/env python3
"""Golden vectors for docs/digests.md, computed from that page and RFC 8785, 8032, 7638 alone: no code of attorn is used.

usage: generate.py [--check]     writes vectors.json beside this file; --check compares instead (exit 1 on a difference)
"""
import base64
import hashlib
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent


def labelled(label, data):
    return hashlib.sha256(label.encode() + b"\0" + data).digest()


def text_form(digest):
    return "sha-256:" + digest.hex()


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


# --- RFC 8785 ---------------------------------------------------------------------------------------

def es_number(x):
    """ECMAScript's Number.prototype.toString for a finite double (RFC 8785 3.2.2.3)."""
    if x == 0:
        return "0"
    sign, digits = ("-", repr(-x)) if x < 0 else ("", repr(float(x)))
    mantissa, _, exponent = digits.partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    point = len(whole) + int(exponent or 0)
    all_digits = (whole + fraction).lstrip("0")
    point -= len(whole + fraction) - len((whole + fraction).lstrip("0"))
    all_digits = all_digits.rstrip("0") or "0"
    k, n = len(all_digits), point
    if k <= n <= 21:
        return sign + all_digits + "0" * (n - k)
    if 0 < n <= 21:
        return sign + all_digits[:n] + "." + all_digits[n:]
    if -6 < n <= 0:
        return sign + "0." + "0" * -n + all_digits
    e = ("+" if n > 0 else "-") + str(abs(n - 1))
    return sign + all_digits[0] + ("." + all_digits[1:] if k > 1 else "") + "e" + e


def canonical(value):
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (int, float)):
        return es_number(float(value))
    if isinstance(value, list):
        return "[" + ",".join(canonical(v) for v in value) + "]"
    keys = sorted(value, key=lambda k: k.encode("utf-16-be"))
    return "{" + ",".join(json.dumps(k, ensure_ascii=False) + ":" + canonical(value[k]) for k in keys) + "}"


# --- Ed25519 (RFC 8032 5.1), slow and plain: for test keys only -----------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
BASE_Y = 4 * pow(5, P - 2, P) % P


def recover_x(y, odd):
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    return x if x % 2 == odd else P - x


def add(a, b):
    (x1, y1), (x2, y2) = a, b
    t = D * x1 * x2 * y1 * y2 % P
    return ((x1 * y2 + x2 * y1) * pow(1 + t, P - 2, P) % P, (y1 * y2 + x1 * x2) * pow(1 - t, P - 2, P) % P)


def times(n, point):
    result = (0, 1)
    while n:
        if n & 1:
            result = add(result, point)
        point, n = add(point, point), n >> 1
    return result


def encode(point):
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


BASE = (recover_x(BASE_Y, 0), BASE_Y)


def expand(seed):
    h = hashlib.sha512(seed).digest()
    return (int.from_bytes(h[:32], "little") & ((1 << 254) - 8)) | 1 << 254, h[32:]


def public_key(seed):
    return encode(times(expand(seed)[0], BASE))


def sign(seed, message):
    a, prefix = expand(seed)
    r = int.from_bytes(hashlib.sha512(prefix + message).digest(), "little") % L
    big_r = encode(times(r, BASE))
    k = int.from_bytes(hashlib.sha512(big_r + public_key(seed) + message).digest(), "little") % L
    return big_r + ((r + k * a) % L).to_bytes(32, "little")


def thumbprint(public):
    jwk = canonical({"crv": "Ed25519", "kty": "OKP", "x": b64url(public)})
    return b64url(hashlib.sha256(jwk.encode()).digest())


# --- the vectors ----------------------------------------------------------------------------------------

ARGUMENTS = [
    None,
    '{}',
    ' { } ',
    '{"path":"/srv/invoices/2026-11.csv"}',
    '{"b":1,"a":[true,null,"x"],"\\u20ac":"\\u0001\\n\\"\\\\/","c":{"z":0,"y":-0.5}}',
    '{"n":[1.0,1E-7,0.000001,-1.5e-300,9007199254740991,4.50,1e3]}',
    '{"\\ud83d\\ude00":1,"\\ufb33":2,"\\r":3}',
    '{"title":"Z\\u00f6e \\u2028 \\u007f","amount":"125.00"}',
]
BODIES = [b"", b"{}", b'{"title":"x"}', b'{"title":"x"}\n', b"\x00\xff binary"]
ACTOR = "spiffe://td.example/agent/billing-scout"
ROUTE = "https://gw.example/r/"
SEED = hashlib.sha256(b"attorn test key: never trust it").digest()
RENDERED = """Grant 01KAQW7V0000000000000000AA at https://auth.example
The agent spiffe://td.example/agent/billing-scout may act for u:2b0f6f2e-1b1c-4c36-9a43-6f1f6f0a9b11 (key {jkt}).
It may:
   1. use the tool "read_text_file" at "https://gw.example/r/invoices", with exactly these arguments:
       "/path" is a path at or under "/srv/invoices"
   2. send POST "/tickets" at "https://gw.example/r/tickets", with exactly these arguments:
       "/title" is text that matches ".{1,80}"
Permissions: invoices:read tickets:create
Data classes: finance
Environments: any
At most 20 calls.
From 2026-11-22 06:48:40 UTC until 2026-11-22 07:48:40 UTC.
It may not pass this on.
"""


def grant(jkt):
    return {
        "v": "attorn-grant/1", "id": "01KAQW7V0000000000000000AA", "iss": "https://auth.example",
        "delegator": {"sub": "u:2b0f6f2e-1b1c-4c36-9a43-6f1f6f0a9b11", "key": jkt},
        "agent": ACTOR, "parent": None, "iat": 1795330120, "exp": 1795333720,
        "bounds": {
            "scope": "invoices:read tickets:create", "data_classes": ["finance"], "environments": ["*"], "uses": 20,
            "budget": None, "window": None, "depth": 1, "device": None,
            "authorization_details": [
                {"type": "mcp_tool_call", "server": ROUTE + "invoices", "tool": "read_text_file",
                 "constraints": [{"arg": "/path", "kind": "path_under", "value": "/srv/invoices"}]},
                {"type": "http_request", "server": ROUTE + "tickets", "method": "POST", "path": "/tickets",
                 "constraints": [{"arg": "/title", "kind": "matches", "value": ".{1,80}"}]},
            ],
        },
    }


def action(op, route, target, args_digest):
    members = {"actor": ACTOR, "aud": ROUTE + route, "op": op, "target": target, "args_digest": text_form(args_digest)}
    jcs = canonical(members)
    digest = labelled("attorn-action/1", jcs.encode())
    return {**members, "jcs": jcs, "digest": text_form(digest), "digest_b64url": b64url(digest)}


def vectors():
    mcp, http = [], []
    for text in ARGUMENTS:
        form = "{}" if text is None else canonical(json.loads(text))
        digest = labelled("attorn-args/1", form.encode())
        mcp.append({"arguments": text, "canonical": form, "args_digest": text_form(digest), "args_digest_b64url": b64url(digest),
                    "action": action("tools/call", "invoices", "read_text_file", digest)})
    for body in BODIES:
        digest = labelled("attorn-args/1", body)
        http.append({"body_b64url": b64url(body), "body_digest": text_form(digest), "body_digest_b64url": b64url(digest),
                     "action": action("POST", "tickets", "/tickets?draft=1", digest)})
    public = public_key(SEED)
    jkt = thumbprint(public)
    rendered = RENDERED.replace("{jkt}", jkt)
    document = grant(jkt)
    document["render_digest"] = text_form(labelled("attorn-render/1", rendered.encode()))
    grant_text = canonical(document)
    body = b'{"name":"billing-scout"}'
    verb_text = canonical({"body_digest": text_form(hashlib.sha256(body).digest()), "by": jkt, "exp": 1795330220,
                           "iat": 1795330120, "iss": "https://auth.example", "nonce": b64url(bytes(range(16))),
                           "verb": "agent.register"})
    return {
        "mcp": mcp,
        "mcp_refused": ['{"n":9007199254740993}', '{"n":123456789012345680000}', '{"n":1e400}', '{"n":0.1000000000000000055}', '{"n":-0}'],
        "http": http,
        "key": {"seed_b64url": b64url(SEED), "x": b64url(public), "jkt": jkt},
        "grant": {"rendered": rendered, "document": grant_text,
                  "digest": text_form(labelled("attorn-grant/1", grant_text.encode())),
                  "signature_b64url": b64url(sign(SEED, b"attorn-grant/1\0" + grant_text.encode()))},
        "verb": {"body": body.decode(), "document": verb_text,
                 "signature_b64url": b64url(sign(SEED, b"attorn-verb/1\0" + verb_text.encode()))},
    }


def main():
    text = json.dumps(vectors(), indent=1, ensure_ascii=True) + "\n"
    path = HERE / "vectors.json"
    if "--check" in sys.argv[1:]:
        if path.read_text() != text:
            print("vectors.json differs from what generate.py computes", file=sys.stderr)
            return 1
        return 0
    path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
