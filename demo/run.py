#!/usr/bin/env python3
"""The whole story on real tools, told in nine steps, each timed and each asserted on what the upstreams logged and what the
ledger holds. Exits 0 only if every step held.

    demo/run.py --attorn build/attorn [--dir build/demo]
    KEEP=1   leaves everything running and prints the URLs
    BREAK=replay|scope|tamper|revoke|proof   plants that one fault for real; the story must then turn red at its step
"""
import argparse
import base64
import http.client
import json
import os
import re
import select
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import stage
from caller import Caller, args_digest, body_digest, digest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from governed_http import Refused as AgentRefused
from governed_http import b64, unb64
from watch import ShimWatch, family, memory_has

BREAKS = ("replay", "scope", "tamper", "revoke", "proof")
USES = 20
ORDERS = "'SELECT [a-z_]+(, [a-z_]+)* FROM orders'"  # names alone: a blank between two would let in a statement of its own
TICKET = "title=matches:'.{1,200}' body=matches:'.*' priority=one_of:low,normal,high"
SCOPES = ("invoices:read", "warehouse:read", "tickets:create", "tickets:read")
WIDTH = 100


class Red(Exception):
    """Something that must hold does not."""


class Teller:
    """Prints the story: a heading with its time, then what was seen. Nothing blinks and nothing scrolls back."""

    def __init__(self):
        self.began, self.colour = time.monotonic(), sys.stdout.isatty()

    def paint(self, code, text):
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour else text

    @contextmanager
    def step(self, number, word, title):
        self.name, self.seen, begin = f"step {number}, {word}", [], time.monotonic()
        try:
            yield
            self.close(f" {number}  ", word, title, begin)
        except BaseException:
            self.close(self.paint("31", f" {number}  "), word, title, begin)
            raise

    def close(self, number, word, title, begin):
        seconds = f"{time.monotonic() - begin:.2f} s"
        print(f"\n{number}{self.paint('1', f'{word:<10}')}{title:<{WIDTH - 24}}{seconds:>8}")
        for line in self.seen:
            print(f"      {line}")
        sys.stdout.flush()

    def say(self, text):
        self.seen.append(text)

    def must(self, holds, what):
        """The one assertion of the story; `what` says what must be so."""
        if not holds:
            self.seen.append(self.paint("31", f"NOT SO: {what}"))
            raise Red(f"{self.name}: {what}")


class Story(Teller):
    def __init__(self, options):
        super().__init__()
        self.options, self.fault = options, os.environ.get("BREAK") or ""
        self.on = stage.Stage(options.attorn, options.dir)
        self.disk = stage.real_disk(options.dir)

    # --- 1 --------------------------------------------------------------------------------------------------

    def up(self):
        on = self.on
        self.must(os.listdir(on.work) == [], "the directory is empty before the first start")
        seconds = on.up()
        self.say(f"healthy {seconds:.2f} s after the command, in {os.path.relpath(on.work)} ({self.disk}, a real disk)")
        load, cores = os.getloadavg()[0], os.cpu_count()
        if load > cores:
            self.say(f"(the machine is busy, load {load:.1f} on {cores} cores: that time is not judged)")
        self.must(seconds <= self.options.up_within or load > cores, f"both doors are healthy within {self.options.up_within:g} s")
        key = json.loads(on.key_of("operator").read_text())
        self.must(set(key) == {"v", "public", "sealed"}, "the operator's key file holds the private half sealed only")
        for path, mode in ((on.work / "data", 0o700), (on.key_of("operator"), 0o600), (on.work / "data/kek", 0o600)):
            self.must(stat.S_IMODE(path.stat().st_mode) == mode, f"{path.name} has mode {mode:o}")
        self.guess_passphrase()
        self.say("no default password: the operator's key is sealed by a passphrase that this run made up")

    def guess_passphrase(self):
        guess = self.on.people / "guess"
        guess.write_text("attorn-admin\n")
        run = subprocess.run([self.on.attorn, "role", "put", "x", "--scope", "a:b", "--dir", self.on.work,
                              "--passphrase-file", guess], capture_output=True, text=True)
        self.must(run.returncode == 4 and "wrong passphrase" in run.stderr, "another passphrase does not open the key")

    # --- 2 --------------------------------------------------------------------------------------------------

    def tools(self):
        on, data = self.on, stage.ROOT / "demo/data"
        self.finance = on.dir / "finance"
        self.invoices = self.finance / "invoices"
        shutil.copytree(data / "finance", self.finance)
        with sqlite3.connect(on.dir / "warehouse.db") as db:
            db.executescript((data / "warehouse.sql").read_text())
        self.desk_url, self.desk_key = on.ticket_desk()
        on.secret("tickets-key", self.desk_key)
        write = "irreversible"
        on.put_route("invoices", {
            "kind": "mcp-stdio", "command": on.logged_stdio("invoices", "node", stage.FILESYSTEM, self.finance),
            "environment": "prod", "data_classes": ["finance"],
            "tools": {"read_text_file": {"scope": "invoices:read", "effect": "readonly"},
                      "list_directory": {"scope": "invoices:read", "effect": "readonly"},
                      "write_file": {"scope": "invoices:write", "effect": write}}})
        on.put_route("warehouse", {
            "kind": "mcp-stdio", "environment": "prod", "data_classes": ["sales"],
            "command": on.logged_stdio("warehouse", stage.SQLITE, "--db-path", on.dir / "warehouse.db"),
            "tools": {"read_query": {"scope": "warehouse:read", "effect": "readonly"},
                      "write_query": {"scope": "warehouse:write", "effect": write}}})
        on.put_route("everything", {
            "kind": "mcp-http", "upstream": on.everything(), "environment": "test", "data_classes": ["none"],
            "tools": {"echo": {"scope": "everything:use", "effect": "readonly"}}})
        on.put_route("tickets", {
            "kind": "http", "upstream": self.desk_url, "environment": "prod", "data_classes": ["support"],
            "credential": {"secret": "tickets-key", "header": "X-Api-Key", "prefix": ""},
            "http": [{"method": "POST", "path": "/tickets", "scope": "tickets:create", "effect": "mutating"},
                     {"method": "GET", "path": "/tickets/{id}", "scope": "tickets:read", "effect": "readonly"}]})
        self.must(not self.is_in_files(self.desk_key, on.work), "the API key stands nowhere in attorn's files in the open")
        self.say("invoices    npm server-filesystem, stdio, started and owned by the gateway")
        self.say("warehouse   PyPI mcp-server-sqlite on a real SQLite file, stdio")
        self.say(f"everything  npm server-everything, Streamable HTTP   (started by this demo, pid {on.children['everything'].pid})")
        self.say(f"tickets     a plain HTTP API that knows static API keys (its own process, pid {on.children['desk'].pid})")
        self.say("its API key went in with `attorn secret put` and lies sealed: not one file of attorn's shows it")

    @staticmethod
    def is_in_files(needle, *folders):
        raw = needle.encode()
        return [path for folder in folders for path in folder.rglob("*") if path.is_file() and raw in path.read_bytes()]

    # --- 3 --------------------------------------------------------------------------------------------------

    def agent(self):
        on = self.on
        scopes = SCOPES + (("invoices:write",) if self.fault == "scope" else ())
        on.cli("role", "put", "billing", *(word for scope in scopes for word in ("--scope", scope)))
        self.alice = on.user("alice", "billing")
        self.agent_key = on.agent("billing-scout", *scopes, owner="alice")
        private = json.loads(self.agent_key.read_text())["d"]
        self.must(not self.is_in_files(private, on.work), "the agent's private key never left the agent")
        self.client_id = on.cli("agent", "show", "billing-scout")["id"]
        self.say(f"alice  {self.alice['id']}, her own key, role billing ({', '.join(SCOPES)})")
        self.say(f"agent  {self.client_id}, an Ed25519 pair it made itself; attorn knows the public half")

    # --- 4 --------------------------------------------------------------------------------------------------

    def lend(self):
        rules = [f"invoices read_text_file path=under:{self.invoices}", f"invoices list_directory path=under:{self.invoices}",
                 f"warehouse read_query query=matches:{ORDERS}", f"tickets POST /tickets {TICKET}"]
        if self.fault == "scope":
            rules.append(f"invoices write_file path=under:{self.finance} content=matches:'.*'")
        self.grant = self.on.grant("billing-scout", rules, uses=USES, life="1h")
        for rule in rules:
            self.say(f"may    {rule}")
        self.say(f"for    {USES} calls, one hour, and may not pass it on")
        shown = self.on.cli("grant", "show", self.grant)
        self.must(self.signed_by_alice(shown), "alice's own key signed exactly this document")
        [record] = [r for r in self.on.records() if r["type"] == "grant"]
        self.must((record["rid"], record["by"], record["key"]) == (self.grant, "delegator", self.alice["keys"][0]["jkt"]),
                  "the ledger's grant record names alice's key")
        self.must(record["digest"] == "sha-256:" + digest("attorn-grant/1", shown["document"].encode()).hex(),
                  "the ledger holds the digest of the document alice signed")
        self.must(record["sig"] == "sha-256:" + stage.hashlib.sha256(unb64(shown["signature"])).hexdigest(),
                  "the ledger holds the hash of alice's signature")
        self.say(f"proof  record {record['index']}: grant {self.grant}, signed by alice's key {record['key'][:12]}...")
        self.forge(shown)

    def signed_by_alice(self, shown):
        key = Ed25519PublicKey.from_public_bytes(unb64(self.alice["keys"][0]["jwk"]["x"]))
        try:
            key.verify(unb64(shown["signature"]), b"attorn-grant/1\0" + shown["document"].encode())
            return True
        except stage.stranger.InvalidSignature:
            return False

    def forge(self, shown):
        """What an operator can do in alice's name: not her signature."""
        other = Ed25519PrivateKey.generate().sign(b"attorn-grant/1\0" + shown["document"].encode())
        status, said = self.on.admin("POST", "/api/v1/grants", {"document": shown["document"], "signature": b64(other)})
        self.must((status, said["error"]) == (403, "grant_signature"), "a signature by another key is refused")
        rule = f"invoices read_text_file path=under:{self.invoices}"
        self.on.user("bob", "billing")
        try:
            self.on.grant("billing-scout", [rule], by="alice", signed_with="bob")
            self.must(False, "bob's key cannot sign for alice")
        except stage.Refused as refused:
            self.must("not signed by its user" in str(refused) or "grant_signature" in str(refused), "and the refusal says why")
        made = self.on.grant("billing-scout", [rule], by="alice", signed_with="operator")
        [record] = [r for r in self.on.records() if r["rid"] == made]
        self.must(record["by"] == "admin" and record["key"] != self.alice["keys"][0]["jkt"],
                  "what an operator lends in her name is marked as such and bears the operator's key")
        self.on.cli("grant", "revoke", made, "--reason", "demonstration")
        self.say("       her document under another key: refused (grant_signature); a colleague signing for her: refused;")
        self.say("       what the operator lends in her name stands in the ledger as made by an administrator, not by her")

    # --- 5 --------------------------------------------------------------------------------------------------

    def work(self):
        on, since, before = self.on, self.on.entries(), self.on.upstream_calls()
        self.report = self.run_agent()
        self.must(self.report["invoices"] == 12 and [name for name, _ in self.report["anomalies"]] == ["INV-0407", "INV-0412"],
                  "the agent read twelve invoices and found the two that do not add up")
        calls = stage.grown(before, on.upstream_calls())
        self.must(calls == {"invoices": 13, "warehouse": 1, "desk": 1}, f"the upstreams saw 13, 1 and 1 calls; their logs say {calls}")
        line = on.desk_lines()[-1]
        self.must(line[1:5] == ["POST", "/tickets", "201", "attorn-gateway"], "the desk's log shows the ticket, opened with the gateway's key")
        records = on.records(since)
        self.attempts = [r for r in records if r["type"] == "attempt"]
        outcomes = {r["of"]: r["status"] for r in records if r["type"] == "outcome"}
        self.must(len(self.attempts) == 15 and all(outcomes.get(a["rid"]) == "success" for a in self.attempts),
                  "the ledger holds 15 attempts, each with the outcome success")
        self.must(all(self.grant in json.dumps(a["chain"]) for a in self.attempts), "each rests on alice's grant")
        self.must(on.cli("grant", "show", self.grant)["uses_left"] == USES - 15, "five calls are left of the twenty")
        for name, what in self.report["anomalies"]:
            self.say(f"found  {name}: {what}")
        self.say(f"opened ticket {self.report['ticket']['id']}: \"{self.report['ticket']['title']}\"")
        self.say(f"15 calls: {calls['invoices']} in the log of invoices, 1 of warehouse, 1 of the desk; 15 attempts and outcomes in the ledger")
        self.say(f"the API key is not in the agent's memory ({self.agent_mb} MB), nor in its {len(self.shims)} shims' (searched "
                 f"{sum(self.shims.values())} times),")
        self.say(f"environment, traffic ({self.traffic_kb} kB), output or files, nor in attorn's log or the ledger")

    def run_agent(self):
        """The agent under watch. -i keeps it alive after its last line until its memory was searched, and its shims wait 0.4 s
        before they exit, so that they are searched with all that they ever saw."""
        on, folder = self.on, self.agent_key.parent
        traffic = folder / "traffic"
        needles = [self.desk_key.encode(), self.grant.encode()]
        agent = subprocess.Popen(
            ["strace", "-f", "-qq", "-e", "trace=%network,write,exit_group", "-e", "signal=none", "-e", "inject=exit_group:delay_enter=400000",
             "-s", "4000000", "-o", traffic,
             sys.executable, "-u", "-i", stage.ROOT / "examples/agent/billing_scout.py", "--key", self.agent_key,
             "--client-id", self.client_id, "--grant", self.grant, "--issuer", on.issuer, "--gateway", on.gateway,
             "--folder", self.invoices, "--attorn", on.attorn],
            cwd=folder, env={"PATH": os.environ["PATH"], "HOME": str(folder)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=open(folder / "stderr", "wb"), start_new_session=True)
        on.children["agent"] = agent
        watch = ShimWatch(agent.pid, needles)
        line = self.last_line(agent, folder / "stderr")
        watch.end()
        self.search_agent(agent, needles)
        self.shims = watch.searched
        self.must(len(self.shims) == 2, f"both shims were searched while they ran (searched: {len(self.shims)})")
        self.must(watch.found == {needles[1]}, f"the shims' memory and environment hold the grant's id and not the API key; {watch}")
        agent.stdin.close()
        rest = agent.stdout.read()
        agent.wait(stage.STOP_S)
        del on.children["agent"]
        (folder / "stdout").write_bytes(line + rest)
        raw = traffic.read_bytes()
        self.traffic_kb = len(raw) // 1000
        self.must(b"billing anomalies" in raw and b"DPoP" in raw, "the agent's traffic was recorded: its ticket is in it")
        self.must(not self.is_in_files(self.desk_key, folder, on.dir / "logs"),
                  "the API key is not in the agent's traffic, output or files, nor in any log")
        self.must(self.desk_key.encode() not in on.export(), "the API key is not in the ledger")
        return json.loads(line)

    @staticmethod
    def last_line(agent, stderr):
        """What the agent printed; its interpreter prompts (>>>) once it is done, well or not."""
        stage.until("the agent is done", lambda: agent.poll() is not None or ">>>" in stderr.read_text(), 30)
        if not select.select([agent.stdout], [], [], 0)[0]:
            raise stage.Problem(f"the agent failed: {stderr.read_text()[-1500:]}")
        return agent.stdout.readline()

    def search_agent(self, tracer, needles):
        [pid] = [p for p in family(tracer.pid) if p != tracer.pid]
        found = memory_has(pid, needles)
        self.agent_mb = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") // 1_000_000
        self.must(found == {needles[1]}, "the agent's memory and environment hold the grant's id and not the API key")

    # --- 6 --------------------------------------------------------------------------------------------------

    def refusals(self):
        self.me = Caller(self.on, "billing-scout", self.grant, self.agent_key)
        until = self.short_grant()
        self.tool_outside()
        self.path_outside()
        self.second_use()
        self.another_key()
        self.changed_byte()
        time.sleep(max(0.0, until - time.time()) + 1.1)  # its end is a whole second
        self.expired()
        self.last_call()

    def short_grant(self):
        """A token under a grant that ends in a few seconds; more of them on a machine too busy for three."""
        for life in (3, 6, 12, 24):
            grant = self.on.grant("billing-scout", [f"tickets POST /tickets {TICKET}"], life=f"{life}s")
            until = time.time() + life
            self.short = Caller(self.on, "billing-scout", grant, self.agent_key)
            try:
                self.short_token = self.short.capability_of("tickets", self.short.http_item("tickets", "POST", "/tickets", self.body()))
                return until
            except AgentRefused as e:
                if life == 24 or "grant_expired" not in str(e):
                    raise
        return None

    @staticmethod
    def body(title="a ticket of the demo"):
        return json.dumps({"title": title, "body": "-", "priority": "low"}, separators=(",", ":")).encode()

    def refused(self, name, act, status, words, record=None, count=None):
        """Runs `act` and holds its answer, the upstreams' logs and the ledger against what must be."""
        since, before, counted = self.on.entries(), self.on.upstream_calls(), self.on.counts()
        answer = act()
        calls = stage.grown(before, self.on.upstream_calls())
        self.must(answer.status == status and words in answer.text, f"{name}: refused with {status} \"{words}\"; "
                  f"it was {answer.status} \"{answer.text[:120]}\"")
        self.must(calls == {}, f"{name}: no line in any upstream's log; there is one in {', '.join(calls)}")
        records = [r for r in self.on.records(since) if r["type"] in ("attempt", "decision")]
        counts = stage.grown(counted, self.on.counts())
        if record:
            self.must([(r["type"], r.get("code")) for r in records] == [("decision", record)], f"{name}: exactly one record, a decision {record}")
            self.must(counts == {}, f"{name}: on record, so not counted")
        else:
            self.must(records == [] and counts == {count: 1}, f"{name}: exactly one count, {count}; it was {counts}, {len(records)} records")
        proof = f"record {records[0]['index']}" if record else "counted once"
        self.say(f"{name:<30} {status}  {self.short_text(answer)}   [{proof}]")

    @staticmethod
    def short_text(answer):
        try:
            document = answer.json
        except ValueError:
            return answer.text[:70]
        if "title" in document:
            return f"{document['title']}; {document['fix']}"
        if isinstance(document.get("error"), str):
            return f"{document['message']}; {document['fix']}"
        return answer.text.partition(" (call ")[0].removeprefix("Refused: ")

    def by_proof(self, tool, arguments, route="invoices"):
        """Under the delegated token with a proof for exactly this call: nothing but the grant stands in the way."""
        me, url, token = self.me, self.on.route(route), self.me.delegated_token(route)
        action = me.action_digest(route, "tools/call", tool, args_digest(arguments))
        return me.call_tool(route, tool, arguments, credentials=me.credentials("POST", url, token, action_digest=action))

    def tool_outside(self):
        target = {"path": str(self.finance / "planted.txt"), "content": "x"}
        shown = self.me.tools("invoices")
        self.refused("tool outside the grant", lambda: self.by_proof("write_file", target), 200, "Unknown tool: write_file", record="tool")
        self.must(not (self.finance / "planted.txt").exists(), "tool outside the grant: no file was written")
        self.must(shown == ["list_directory", "read_text_file"], "tool outside the grant: absent from tools/list")
        self.say(f"{'':<30}      and absent from tools/list, which shows {' and '.join(shown)}")

    def path_outside(self):
        inside = str(self.invoices)
        for name, path in (("..", f"{inside}/../payroll/salaries.csv"), ("%2e", f"{inside}/%2e%2e/payroll/salaries.csv"),
                           ("//", f"{inside}//INV-0401.json"), ("NUL", f"{inside}/INV-0401.json\0"),
                           ("another folder", f"{self.finance}/payroll/salaries.csv")):
            self.refused(f"path outside ({name})", lambda at=path: self.by_proof("read_text_file", {"path": at}),
                         *self.path_answer(name))

        query = "SELECT iban from customers union select id FROM orders"
        self.me.open("warehouse")
        self.refused("a query on another table", lambda: self.by_proof("read_query", {"query": query}, "warehouse"),
                     200, "an argument is outside the grant", "argument")

    @staticmethod
    def path_answer(name):
        if name == "NUL":  # no text of ours holds one: refused as malformed, before any rule is asked
            return (400, "a value is not allowed here", "value")
        return (200, "an argument is outside the grant", "argument")

    def second_use(self):
        body = self.body("used once")
        token = self.me.capability_of("tickets", self.me.http_item("tickets", "POST", "/tickets", body))
        first = self.me.http("tickets", "POST", "/tickets", body, token=token)
        self.must(first.status == 201, "the first use of a capability is let through")
        if self.fault == "replay":
            self.forget(token)
        self.refused("second use of a token", lambda: self.me.http("tickets", "POST", "/tickets", body, token=token), 401,
                     "token or proof not valid here", record="replay")

    def forget(self, token):
        """BREAK=replay: the row that says the token was spent is taken out of the store."""
        jti = json.loads(unb64(token.split(".")[1]))["jti"]
        with sqlite3.connect(self.on.work / "data/attorn.db") as db:
            self.must(db.execute("DELETE FROM used WHERE id = ?", (jti,)).rowcount == 1, "the fault was planted")

    def another_key(self):
        body = self.body("stolen")
        token = self.me.capability_of("tickets", self.me.http_item("tickets", "POST", "/tickets", body))
        thief = self.agent_key.parent / "thief.key"
        if self.fault == "proof":
            shutil.copy(self.agent_key, thief)  # this thief has the key too
        else:
            subprocess.run([sys.executable, stage.ROOT / "examples/agent/governed_http.py", "keygen", thief], check=True)
        other = Caller(self.on, "billing-scout", self.grant, thief)
        self.refused("a stolen token, another key", lambda: other.http("tickets", "POST", "/tickets", body, token=token), 401,
                     "token or proof not valid here", count="gateway token_key")

    def changed_byte(self):
        body, other = self.body("priority low"), self.body("priority lox")
        token = self.me.capability_of("tickets", self.me.http_item("tickets", "POST", "/tickets", body))
        self.refused("one changed argument byte", lambda: self.me.http("tickets", "POST", "/tickets", other, token=token), 403,
                     "the call differs from what the token allows", record="action")

    def expired(self):
        self.refused("after the grant's end", lambda: self.short.http("tickets", "POST", "/tickets", self.body(), token=self.short_token),
                     403, "the grant has ended", record="grant_expired")

    def last_call(self):
        left = self.on.cli("grant", "show", self.grant)["uses_left"]
        self.must(left == USES - 16, "refused calls cost nothing: four of twenty are left")
        body = self.body("call 21")
        token = self.me.capability_of("tickets", self.me.http_item("tickets", "POST", "/tickets", body))
        for number in range(left):
            answer = self.me.http("tickets", "POST", "/tickets", self.body(f"call {USES - left + number + 1}"))
            self.must(answer.status == 201, f"call {USES - left + number + 1} of {USES} is let through")
        self.refused("the 21st call", lambda: self.me.http("tickets", "POST", "/tickets", body, token=token), 403, "the grant has no uses left",
                     record="grant_uses")

    # --- 7 --------------------------------------------------------------------------------------------------

    def revoke(self):
        rule = "tickets GET /tickets/1"
        grant = self.on.grant("billing-scout", [rule], uses=100_000)
        load = Load([Caller(self.on, "billing-scout", grant, self.agent_key) for _ in range(8)])
        stage.until("100 calls went through", lambda: load.good() >= 100 or load.errors, 20)
        self.must(not load.errors, f"calls under the grant go through; {load.errors[:1]}")
        since = self.on.entries()
        began = time.monotonic()
        if self.fault != "revoke":  # BREAK=revoke: never sent
            self.on.cli("grant", "revoke", grant, "--reason", "enough", "--url", self.on.issuer, by="alice")
        acknowledged = time.monotonic()
        stage.until("100 calls were tried after it", lambda: load.tried(acknowledged) >= 100, 20)
        load.end()
        late = load.good(acknowledged)
        self.must(late == 0, f"no call that began after the acknowledgement went through; {late} did")
        records = self.settled(grant)
        [(place, by)] = [(r["index"], r["by"]) for r in records if r["type"] == "revoke" and r["grant"] == grant]
        self.must(by == self.alice["id"], f"the ledger says that alice revoked it; it says {by}")
        attempts = {r["rid"]: r["index"] for r in records if r["type"] == "attempt" and grant in json.dumps(r["chain"])}
        after = [index for index in attempts.values() if index > place]
        self.must(attempts and after == [], f"no attempt under the grant stands behind the revoke in the ledger; {len(after)} do")
        ends = [r["status"] for r in records if r["type"] == "outcome" and r["of"] in attempts]
        done, cut = ends.count("success"), len(ends) - ends.count("success")
        seen = sum(1 for line in self.on.desk_lines() if line[1] == "GET")
        self.must(done <= seen <= done + cut - ends.count("not_executed"),
                  f"the desk's log shows the calls that the ledger calls done; {seen} of {done}, {cut} cut ({', '.join(sorted(set(ends)))})")
        took = re.findall(r" us=(\d+) verb=grant.revoke ", self.on.log("attorn"))[-1]
        self.say(f"`attorn grant revoke` under load of 8 callers: {int(took) / 1000:.1f} ms from request to acknowledgement, on disk "
                 f"({(acknowledged - began) * 1000:.0f} ms for the person who types it: opening the key is slow on purpose)")
        self.say(f"{len(attempts)} calls admitted before it, {cut} of them cut in flight, {seen} in the desk's log; "
                 f"{load.tried(acknowledged)} tried after it")
        self.say(f"calls admitted after the acknowledgement, by ledger order: {len(after)}")

    def settled(self, grant):
        """The ledger, once every attempt under the grant has its outcome."""
        def closed():
            records = self.on.records()
            ended = {r["of"] for r in records if r["type"] == "outcome"}
            under = [r for r in records if r["type"] == "attempt" and grant in json.dumps(r["chain"])]
            return records if all(r["rid"] in ended for r in under) else None
        return stage.until("every attempt has an outcome", closed, 20, 0.1)

    # --- 8 --------------------------------------------------------------------------------------------------

    def explain(self):
        [call] = [a["rid"] for a in self.attempts if a["route"]["id"] == "tickets"]
        run = self.on.run("explain", call)
        self.must(run.returncode == 0, "attorn explain answers")
        for what in ("alice", "billing-scout", self.grant, "tickets", "POST", "allow", "base.delegated", "success"):
            self.must(what in run.stdout, f"the story of the call names {what}")
        self.say(f"$ attorn explain {call}")
        for line in run.stdout.splitlines():
            self.say("  " + line)

    # --- 9 --------------------------------------------------------------------------------------------------

    def verify(self):
        on, vkey = self.on, self.on.vkey()
        if self.fault == "tamper":
            self.tamper()
        run = on.run("ledger", "verify")
        self.must(run.returncode == 0 and run.stdout.startswith("PASS"), f"attorn ledger verify says PASS; it says {run.stdout or run.stderr}".strip())
        self.say(run.stdout.strip())
        export = on.export()
        size, root = stage.stranger.verify(export, vkey)
        self.must(on.is_covered(size), "the signed head covers every record")
        self.say(f"a verifier written from RFC 6962 alone agrees: {size} records, root {base64.b64encode(root).decode()[:16]}...")
        index, copy = self.flip(export)
        run = on.run("ledger", "verify", "--file", copy, "--vkey", vkey)
        self.must(run.returncode == 5 and run.stdout.startswith(f"FAIL: record {index} "), f"the copy fails and record {index} is named; "
                  f"it says {run.stdout.strip()}")
        self.say(f"one flipped byte in a copy: {run.stdout.strip()}")

    def flip(self, export):
        """A copy of the export with one bit of one record turned; returns the record's index and the file."""
        lines = export.split(b"\n")
        index = len(lines) // 2
        row = json.loads(lines[index])
        leaf = bytearray(base64.b64decode(row["leaf"]))
        leaf[len(leaf) // 2] ^= 1
        lines[index] = json.dumps({**row, "leaf": base64.b64encode(bytes(leaf)).decode()}, separators=(",", ":")).encode()
        copy = self.on.dir / "copy.jsonl"
        copy.write_bytes(b"\n".join(lines))
        return index, copy

    def tamper(self):
        """BREAK=tamper: one bit of one record of the real store is turned, as somebody with the disk could."""
        with sqlite3.connect(self.on.work / "data/attorn.db") as db:
            db.execute("DROP TRIGGER entry_frozen")
            seq, leaf = db.execute("SELECT seq, leaf FROM entry WHERE kind = 'attempt' ORDER BY seq LIMIT 1").fetchone()
            leaf = bytearray(leaf)
            leaf[len(leaf) // 2] ^= 1
            db.execute("UPDATE entry SET leaf = ? WHERE seq = ?", (bytes(leaf), seq))

    # --- the whole --------------------------------------------------------------------------------------------

    def tell(self):
        for number, word, title, run in (
                (1, "up", "authority and gateway, from an empty directory", self.up),
                (2, "tools", "real ones that other people wrote, and a plain HTTP API", self.tools),
                (3, "agent", "billing-scout and the person it will work for", self.agent),
                (4, "grant", "alice lends a little of her authority, and signs it", self.lend),
                (5, "work", "the agent, on the official MCP client SDK, looks and opens a ticket", self.work),
                (6, "rule", "what is outside is refused, says why, and leaves one trace", self.refusals),
                (7, "revoke", "alice takes it back, under load", self.revoke),
                (8, "explain", "who asked, on whose authority, by which rule, what happened", self.explain),
                (9, "proof", "the ledger verifies, and a flipped byte is found", self.verify)):
            with self.step(number, word, title):
                run()

    def keep(self):
        on = self.on
        (on.dir / "pids").write_text("\n".join(str(child.pid) for child in on.children.values()) + "\n")
        print("\nKEEP=1: everything runs on")
        print(f"  authority  {on.issuer}\n  gateway    {on.gateway}\n  tickets    {self.desk_url}")
        for name, child in on.children.items():
            print(f"  pid {child.pid:<7} {name}")
        print(f"  attorn status --dir {on.work}\n  stop it: kill {' '.join(str(c.pid) for c in on.children.values())}")


class Load:
    """Callers that call as fast as they can, each on its own thread; every call is noted with its begin and status."""

    def __init__(self, callers):
        self.calls, self.errors, self.over = [], [], threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(one,), daemon=True) for one in callers]
        for thread in self.threads:
            thread.start()

    def run(self, me):
        try:
            url, target = me.on.route("tickets"), "/tickets/1"
            token = me.delegated_token("tickets")
            action = me.action_digest("tickets", "GET", target, body_digest(b""))
            while not self.over.is_set():
                proof = me.credentials("GET", url + target, token, action_digest=action)
                began = time.monotonic()
                try:
                    status = me.http("tickets", "GET", target, credentials=proof).status
                except http.client.HTTPException:
                    status = 0  # cut in flight
                self.calls.append((began, status))
        except (OSError, AgentRefused) as problem:
            self.errors.append(problem)

    def good(self, since=0.0):
        return sum(1 for began, status in list(self.calls) if began >= since and status == 200)

    def tried(self, since):
        return sum(1 for began, _ in list(self.calls) if began >= since)

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join()


def fresh(directory):
    """An empty directory; one whose processes still run is left alone."""
    pids = directory / "pids"
    if pids.exists():
        alive = [pid for pid in pids.read_text().split() if Path(f"/proc/{pid}").exists()]
        if alive:
            sys.exit(f"an earlier demo still runs in {directory}; end it first: kill {' '.join(alive)}")
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attorn", type=Path, default=stage.ROOT / "build/attorn")
    parser.add_argument("--dir", type=Path, default=stage.ROOT / "build/demo")
    parser.add_argument("--up-within", type=float, default=1.0, help="seconds until healthy (default 1)")
    options = parser.parse_args()
    if os.environ.get("BREAK", "") not in ("", *BREAKS):
        sys.exit(f"BREAK is one of {' '.join(BREAKS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    fresh(options.dir)
    story = Story(options)
    keep = False
    print("attorn: power of attorney for AI agents\n"
          "Alice asks the agent billing-scout to look into invoices, query a warehouse, and open a ticket.")
    try:
        story.tell()
        keep = bool(os.environ.get("KEEP"))
        print(f"\nEvery step held; {time.monotonic() - story.began:.1f} s in all.")
        if keep:
            story.keep()
        return 0
    except Red as red:
        print(f"\nRED at {red}")
        return 1
    except (stage.Problem, stage.Refused, AgentRefused, OSError, subprocess.SubprocessError) as problem:
        print(f"\nRED at {story.name}: {type(problem).__name__}: {problem}")
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; everything that was started is ended")
        return 130
    finally:
        if not keep:
            story.on.close()


sys.exit(main())
