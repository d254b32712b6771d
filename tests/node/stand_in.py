"""A stand-in for the authority's internal door for nodes (docs/identity.md 4): feed, certificates, tokens, runs.
It signs with keys of its own and does what it is told; it is a test program and nothing of it is shipped."""
import base64
import datetime
import hashlib
import http.server
import json
import os
import socketserver
import threading
import time
import uuid

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import ExtendedKeyUsageOID

TD = "example.test"


def b64u(b):
    return base64.urlsafe_b64encode(b).rstrip(b"=").decode()


def jwk(key):
    n = key.public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256", "x": b64u(n.x.to_bytes(32, "big")), "y": b64u(n.y.to_bytes(32, "big"))}


def der(cert):
    return cert.public_bytes(serialization.Encoding.DER)


class Ca:
    def __init__(self, td):
        self.key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.timezone.utc)
        ski = x509.SubjectKeyIdentifier.from_public_key(self.key.public_key())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ca-" + ski.digest.hex())])
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        self.cert = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self.key.public_key())
                     .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(seconds=60))
                     .not_valid_after(now + datetime.timedelta(days=1))
                     .add_extension(x509.BasicConstraints(True, None), True).add_extension(usage, True).add_extension(ski, False)
                     .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"spiffe://{td}")]), False)
                     .sign(self.key, hashes.SHA256()))
        self.ski = ski

    def leaf(self, csr, spiffe_id, ttl):
        now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
        end = now + datetime.timedelta(seconds=ttl)
        cert = (x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(self.cert.subject)
                .public_key(csr.public_key()).serial_number(x509.random_serial_number())
                .not_valid_before(now - datetime.timedelta(seconds=10)).not_valid_after(end)
                .add_extension(x509.BasicConstraints(False, None), True).add_extension(usage, True)
                .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False)
                .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(spiffe_id)]), True)
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(csr.public_key()), False)
                .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self.ski), False)
                .sign(self.key, hashes.SHA256()))
        return cert, int(end.timestamp())


class Authority:
    def __init__(self, socket_path):
        self.path, self.lock = str(socket_path), threading.Condition()
        self.seq, self.entries, self.feeds, self.log = 0, {}, [], []
        self.cas, self.jwt_key, self.kid = [Ca(TD)], ec.generate_private_key(ec.SECP256R1()), uuid.uuid4().hex
        self.foreign = {}
        self.runs, self.over, self.away = {}, [], False
        self.bundle_seq = 1
        self.life = 0
        self.server = None
        self.start()

    # --- the door

    def start(self):
        me = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def address_string(self):
                return ""

            def log_message(self, *a):
                pass

            def answer(self, status, body):
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_GET(self):
                me.feed(self)

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with me.lock:
                    me.log.append((self.path, body))
                if me.away:
                    return self.answer(503, {"error": "unavailable", "message": "", "fix": ""})
                name = self.path.removeprefix("/internal/v1/").replace("/", "_")
                self.answer(*getattr(me, "post_" + name)(body))

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True
            request_queue_size = 64

        if os.path.exists(self.path):
            os.unlink(self.path)
        self.server = Server(self.path, Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        with self.lock:
            self.life += 1  # every feed ends
            self.feeds.clear()
            self.lock.notify_all()

    # --- feed

    def lines(self):
        yield self.bundle_line(TD)
        for td in self.foreign:
            yield self.bundle_line(td)
        for key, (agent, created, doc) in self.entries.items():
            yield {"kind": "entry", "seq": self.seq, "key": key, "agent": agent, "created": created, "entry": doc}
        yield {"kind": "synced", "seq": self.seq}

    def bundle_line(self, td):
        cas = self.cas if td == TD else [self.foreign[td]]
        keys = [{**jwk(c.key), "use": "x509-svid", "x5c": [base64.b64encode(der(c.cert)).decode()]} for c in cas]
        if td == TD:
            keys.append({**jwk(self.jwt_key), "use": "jwt-svid", "kid": self.kid})
        return {"kind": "bundle", "seq": self.seq, "td": td,
                "bundle": {"keys": keys, "spiffe_sequence": self.bundle_seq, "spiffe_refresh_hint": 60}}

    def feed(self, handler):
        queue = []
        with self.lock:
            queue.extend(self.lines())
            self.feeds.append(queue)
            life = self.life
        handler.send_response(200)
        handler.send_header("Content-Type", "application/jsonl")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        try:
            while True:
                with self.lock:
                    if not queue:
                        self.lock.wait(1.0)
                    out, gone = list(queue) or [{"kind": "ping", "seq": self.seq}], life != self.life
                    queue.clear()
                if gone:
                    handler.close_connection = True
                    return
                text = b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in out)
                handler.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
                handler.wfile.flush()
        except OSError:
            handler.close_connection = True

    def tell(self, *lines):
        for queue in self.feeds:
            queue.extend(lines)
        self.lock.notify_all()

    # --- what a test does

    def entry(self, key, *selectors, agent="spiffe://example.test/agent/a", **doc):
        doc = {"id": key, "selectors": sorted(selectors), **doc}
        with self.lock:
            self.seq += 1
            name = f"{agent}#{key}"
            self.entries[name] = (agent, self.seq, doc)
            self.tell({"kind": "entry", "seq": self.seq, "key": name, "agent": agent, "created": self.seq, "entry": doc})
        return name

    def remove(self, name):
        with self.lock:
            self.seq += 1
            del self.entries[name]
            self.tell({"kind": "entry_gone", "seq": self.seq, "key": name})

    def rotate(self, taint=False):
        with self.lock:
            old = self.cas[0]
            self.cas.insert(0, Ca(TD))
            self.bundle_seq += 1
            self.tell(self.bundle_line(TD), *([{"kind": "tainted", "seq": self.seq, "kid": "old"}] if taint else []))
        return old

    def federate(self, td):
        with self.lock:
            self.foreign[td] = Ca(td)
            self.tell(self.bundle_line(td))

    def unfederate(self, td):
        with self.lock:
            del self.foreign[td]
            self.tell({"kind": "bundle_gone", "seq": self.seq, "td": td})

    def asked(self, path):
        with self.lock:
            return [body for p, body in self.log if p == path]

    # --- answers

    def identity(self, item):
        if item["key"] not in self.entries:
            return None, None
        agent, _, doc = self.entries[item["key"]]
        facts = item["facts"]
        if not set(doc["selectors"]) <= set(facts["selectors"]):
            return None, None
        base = doc.get("spiffe_id", agent)
        for s in facts["selectors"]:
            if s.startswith("unix:uid:"):
                base = base.replace("{unix.uid}", s.split(":")[2])
        run = facts.get("run")
        if "runner" in doc:
            if not run or run["id"] not in self.runs or run["id"] in self.over:
                return None, None
            base += "/i/" + run["id"]
        return base, doc

    def post_svid(self, body):
        items = []
        with self.lock:
            for item in body["items"]:
                name, doc = self.identity(item)
                if not name:
                    items.append({"error": "entry_match"})
                    continue
                csr = x509.load_der_x509_csr(base64.b64decode(item["csr"]))
                assert csr.is_signature_valid
                cert, exp = self.cas[0].leaf(csr, name, doc.get("x509_ttl", 900))
                items.append({"exp": exp, "id": name, "chain": [base64.b64encode(der(cert)).decode()]})
        return 200, {"items": items}

    def token(self, claims, kid=None, key=None, **header):
        head = {"alg": "ES256", "typ": "JWT", "kid": kid or self.kid, **header}
        text = b64u(json.dumps(head).encode()) + "." + b64u(json.dumps(claims).encode())
        r, s = utils.decode_dss_signature((key or self.jwt_key).sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return text + "." + b64u(r.to_bytes(32, "big") + s.to_bytes(32, "big"))

    def post_jwt(self, body):
        items = []
        with self.lock:
            for item in body["items"]:
                name, doc = self.identity(item)
                if not name:
                    items.append({"error": "entry_match"})
                    continue
                now = int(time.time())
                exp = now + doc.get("jwt_ttl", 300)
                claims = {"sub": name, "aud": item["aud"], "exp": exp, "iat": now}
                if doc.get("jwt_jti"):
                    claims["jti"] = uuid.uuid4().hex
                items.append({"exp": exp, "id": name, "token": self.token(claims)})
        return 200, {"items": items}

    def post_run(self, body):
        with self.lock:
            run = body["facts"]["run"]
            agent, _, doc = self.entries[body["key"]]
            if not set(doc["runner"]["selectors"]) <= set(run["runner"]):
                return 403, {"error": "entry_match", "message": "", "fix": ""}
            self.runs[run["id"]] = body
            name = doc.get("spiffe_id", agent) + "/i/" + run["id"]
            return 200, {"exp": int(time.time()) + doc.get("run_s", 3600), "spiffe_id": name}

    def post_run_over(self, body):
        with self.lock:
            self.over.append(body["id"])
            return 200, {"spiffe_id": ""}


def thumb(cert_der):
    return hashlib.sha256(cert_der).hexdigest()
