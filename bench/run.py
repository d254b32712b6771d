#!/usr/bin/env python3
"""make bench: every figure of docs/benchmarks.md in one run, beside its limit or its peer, on this machine and disk.

    bench/run.py --build build-release [--rounds 3] [--only exchange,call,admit,policy]

Each figure is measured --rounds times, peers in turn within a round so that what else the machine does falls on all of
them; the table shows minimum, median and maximum. CPU time per request is what the kernel says the processes used; it
holds on a busy machine, where rates and latencies do not. The servers run on one core, load and upstream on another.
"""
import argparse
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "demo"))
import stage  # noqa: E402

CORES = sorted(os.sched_getaffinity(0))
SERVERS, CLIENTS = {CORES[0]}, {CORES[-1]}
CONFIG = """trust_domain: example.test
issuer: http://127.0.0.1:{authority}
authority:
  listen: 127.0.0.1:{authority}
gateway:
  listen: 127.0.0.1:{gateway}
  url: http://127.0.0.1:{gateway}
"""
NGINX = """daemon off; master_process off; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/nginx.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3; uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
  upstream echo {{ server 127.0.0.1:{echo}; keepalive 64; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://echo; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""
BEGIN, END = "<!-- figures: written by make bench -->", "<!-- end of figures -->"


class on:
    """Children started in here run on these cores."""

    def __init__(self, cores):
        self.cores = cores

    def __enter__(self):
        os.sched_setaffinity(0, self.cores)

    def __exit__(self, *_):
        os.sched_setaffinity(0, CORES)


# --- the scene ----------------------------------------------------------------------------------------------------


class Scene(stage.Stage):
    """attorn with one user, one agent, one grant and two routes, both to the C echo; nginx to the same echo."""

    def __init__(self, build, directory):
        super().__init__(build / "attorn", directory)
        self.build = build

    def furnish(self):
        with on(CLIENTS):
            self.start("echo", [self.build / "bench/echo", self.dir / "echo.port"])
        port_file = self.dir / "echo.port"
        self.echo_port = int(stage.until("echo listens", lambda: port_file.exists() and port_file.read_text().strip()))
        with on(SERVERS):
            self.up(CONFIG)
            self.nginx()
        self.secret("bench-key", "sk-bench-0123456789")
        self.put_route("tickets", {
            "kind": "http", "upstream": f"http://127.0.0.1:{self.echo_port}", "environment": "prod",
            "data_classes": ["support"], "credential": {"secret": "bench-key", "header": "X-Api-Key", "prefix": ""},
            "http": [{"method": "POST", "path": "/tickets", "scope": "tickets:create", "effect": "mutating"}]})
        self.put_route("echo", {
            "kind": "mcp-http", "upstream": f"http://127.0.0.1:{self.echo_port}/mcp", "environment": "prod",
            "data_classes": ["support"], "tools": {"echo": {"scope": "echo:use", "effect": "readonly"}}})
        self.cli("role", "put", "bench", "--scope", "tickets:create", "--scope", "echo:use")
        self.user("alice", "bench")
        self.key = self.agent("scout", "tickets:create", "echo:use", owner="alice")
        self.grant_id = self.grant("scout", [
            "tickets POST /tickets title=matches:'.{1,200}' priority=one_of:low,normal,high",
            "echo echo message=matches:'.{0,200}'"], uses=1000000)
        self.pids = self.children_of(self.children["attorn"].pid)
        return self

    def nginx(self):
        self.nginx_port = stage.free_ports(1)
        conf = self.dir / "nginx.conf"
        conf.write_text(NGINX.format(dir=self.dir, echo=self.echo_port, port=self.nginx_port))
        self.start("nginx", ["nginx", "-p", self.dir, "-c", conf, "-e", self.dir / "nginx.log"])

    @staticmethod
    def children_of(pid):
        """Process ids by role of what `attorn up` supervises."""
        found = {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                words = path.read_text().rsplit(")", 1)[1].split()
                line = (path.parent / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if int(words[1]) == pid:
                found[line[1].decode()] = int(path.parent.name)
        return found

    def load(self, verb, route=None, **how):
        """Runs load once and returns its figures."""
        words = {"issuer": self.issuer, "agent": "spiffe://example.test/agent/scout", "grant": self.grant_id,
                 "authority": self.port, "gateway": self.port + 1, "key": self.key}
        if route:
            words |= {"route": route, "resource": self.route(route)}
        words |= how
        pids = [f"pid={role}:{pid}" for role, pid in self.pids.items()] + [
            f"pid={name}:{self.children[name].pid}" for name in ("echo", "nginx")]
        with on(CLIENTS):
            ran = subprocess.run([self.build / "bench/load", verb, *(f"{key}={value}" for key, value in words.items()), *pids],
                                 capture_output=True, text=True)
        if ran.returncode != 0:
            raise stage.Problem(f"load {verb} {how}: {ran.stderr.strip()}")
        return json.loads(ran.stdout)


# --- figures ------------------------------------------------------------------------------------------------------


class Series:
    """Figures of one kind, by name, over the rounds."""

    def __init__(self):
        self.rows = {}

    def add(self, name, figures):
        self.rows.setdefault(name, []).append(figures)

    def all(self, name, of):
        return sorted(of(figures) if callable(of) else figures[of] for figures in self.rows[name])

    def mid(self, name, of):
        return median(self.all(name, of))

    def shown(self, name, of, digits=0):
        """minimum / median / maximum"""
        values = self.all(name, of)
        return " / ".join(f"{value:,.{digits}f}" for value in (values[0], median(values), values[-1]))


def cpu_of(*roles):
    return lambda figures: sum(figures["cpu_us"][role] for role in roles)


def table(head, rows):
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(row) + " |" for row in rows), ""]


def crypto(build):
    with on(SERVERS):
        out = subprocess.run([build / "bench/crypto_bench"], capture_output=True, text=True, check=True).stdout
    return {name: float(us) for name, us in (line.split("\t") for line in out.splitlines())}


def sync_us(directory):
    """Median of a 4 KiB append with fdatasync, the least that durability costs here."""
    took = []
    with open(directory / "sync.probe", "wb", buffering=0) as f:
        for _ in range(60):
            began = time.perf_counter()
            f.write(b"x" * 4096)
            os.fdatasync(f.fileno())
            took.append((time.perf_counter() - began) * 1e6)
    (directory / "sync.probe").unlink()
    return median(took)


class Bench:
    """One run: rounds of each part, then their tables and what they mean for the goals."""

    def __init__(self, scene):
        self.scene = scene
        self.exchanges, self.calls, self.admits, self.rows, self.rules = (Series() for _ in range(5))
        self.syncs = []
        self.signatures = None

    # --- what is run, once a round ---

    def round_exchange(self):
        self.signatures = self.signatures or crypto(self.scene.build)
        for kind, widths in (("delegated", (1, 16, 32)), ("capability", (1, 32))):
            for connections in widths:
                self.exchanges.add((kind, connections), self.scene.load(
                    "exchange", "tickets", kind="http", token=kind, connections=connections, count=3000, seconds=0.8))

    def round_call(self):
        scene = self.scene
        self.syncs.append(sync_us(scene.dir))
        ways = [("HTTP, straight to the upstream", "plain", dict(kind="http", port=scene.echo_port)),
                ("HTTP, through nginx", "plain", dict(kind="http", port=scene.nginx_port)),
                ("HTTP, a capability each", "call", dict(route="tickets", kind="http", token="capability")),
                ("HTTP, delegated token", "call", dict(route="tickets", kind="http", token="delegated")),
                ("MCP, straight to the upstream", "plain", dict(kind="mcp", port=scene.echo_port)),
                ("MCP, a capability each", "call", dict(route="echo", kind="mcp", token="capability")),
                ("MCP, delegated token", "call", dict(route="echo", kind="mcp", token="delegated"))]
        for connections in (1, 32):
            for name, verb, how in ways:
                count = 30000 if verb == "plain" else 1500 if connections > 1 else 400
                self.calls.add((name, connections), scene.load(verb, connections=connections, count=count,
                                                               seconds=0.4 if verb == "plain" else 1, **how))

    def round_admit(self):
        for connections in (1, 32, 64):
            self.admits.add(connections, self.scene.load(
                "admit", "tickets", socket=self.scene.work / "data/run/internal.sock", connections=connections, count=4000,
                seconds=0.8))
        with on(SERVERS):
            out = subprocess.run([self.scene.build / "bench/ledger_bench", self.scene.dir, "0.3"], capture_output=True, text=True,
                                 check=True).stdout
        for line in out.splitlines():
            found = re.match(r"(append|admit rows)\tbatch +(\d+)\tours +(\d+)/s +([\d.]+) us CPU\tbare SQLite +(\d+)/s +([\d.]+) us", line)
            if found:
                what, batch, ours, ours_cpu, bare, bare_cpu = found.groups()
                self.rows.add((what, int(batch)), dict(ours=float(ours), ours_cpu=float(ours_cpu), bare=float(bare),
                                                       bare_cpu=float(bare_cpu), ratio=float(ours) / float(bare)))

    def round_policy(self):
        with on(SERVERS):
            ours = subprocess.run([self.scene.build / "bench/policy_bench", "0.2"], capture_output=True, text=True, check=True).stdout
            native = "" if self.rules.rows else subprocess.run([ROOT / "tools/cargo-build", "--profile", "release", "--default-target-dir",
                                     self.scene.build / "cargo", "--run", "native"], capture_output=True, text=True, check=True).stdout
        for line in ours.splitlines():
            row = json.loads(line)
            self.rules.add((row["case"], row["rules"], "attorn"), row)
        for line in native.splitlines():
            row = json.loads(line)
            self.rules.add((row["case"], row["rules"], row["share"]), row)

    # --- what is told ---

    def limit(self):
        """The signatures that nobody can leave out: assertion and proof verified, the token signed."""
        return self.signatures["ed25519_sign"] + 2 * self.signatures["ed25519_verify"]

    def told_exchange(self):
        cpu, signer = cpu_of("authority", "signer"), cpu_of("signer")
        return ["### Exchanges: `POST /oauth/token`, recorded durably", ""] + table(
            ["token", "connections", "per s", "p50 µs", "p99 µs", "CPU of authority and signer, µs", "of the signer", "signatures it needs, µs",
             "their share"],
            [[kind, str(connections), *(self.exchanges.shown(key, of) for of in ("per_s", "p50_us", "p99_us", cpu, signer)),
              f"{self.limit():.0f}", f"{self.limit() / self.exchanges.mid(key, cpu):.0%}"]
             for key in self.exchanges.rows for kind, connections in [key]])

    def told_call(self):
        def row(key):
            name, connections = key
            own = ["–"] * 3
            if "nginx" in name:
                own[2] = self.calls.shown(key, cpu_of("nginx"))
            elif "straight" not in name:
                own = [self.calls.shown(key, cpu_of(*roles)) for roles in (("gateway",), ("authority",), ("gateway", "authority"))]
            return [name, str(connections), *(self.calls.shown(key, of) for of in ("per_s", "p50_us", "p99_us")), *own]
        return ["### Calls: every check on, admitted and recorded durably", "",
                f"One disk sync (4 KiB and fdatasync): {median(self.syncs):,.0f} µs.", ""] + table(
            ["call", "connections", "per s", "p50 µs", "p99 µs", "CPU of gateway, µs", "of authority", "of both, or of nginx"],
            [row(key) for key in self.calls.rows])

    def told_admit(self):
        return ["### Admits: the commit point", ""] + table(
            ["over the internal socket, connections", "per s", "p50 µs", "p99 µs", "CPU of the authority, µs"],
            [[str(n), *(self.admits.shown(n, of) for of in ("per_s", "p50_us", "p99_us", cpu_of("authority")))]
             for n in self.admits.rows]) + table(
            ["rows alone", "in one transaction", "attorn per s", "CPU µs", "bare SQLite per s", "CPU µs", "ratio"],
            [[what, str(batch), *(self.rows.shown(key, of, digits) for of, digits in (
                ("ours", 0), ("ours_cpu", 0), ("bare", 0), ("bare_cpu", 0), ("ratio", 2)))]
             for key in self.rows.rows for what, batch in [key]])

    def told_policy(self):
        cases = [key[:2] for key in self.rules.rows if key[2] == "attorn"]
        return ["### Decisions: from facts to verdict, beside the Cedar crate called natively, p50 µs", ""] + table(
            ["rules", "how they are spread", "attorn", "crate: all made anew", "request made anew", "decide alone"],
            [[str(rules), case, *(self.rules.shown((case, rules, who), "p50_us", 1) for who in ("attorn", "all", "request", "decide"))]
             for case, rules in cases])

    def goals(self):
        """Each goal with what was measured; None where a part was not run."""
        both, found = cpu_of("gateway", "authority"), []

        def goal(what, measured, wanted, met):
            found.append([what, measured, wanted, "met" if met else "not met"])
        if self.exchanges.rows:
            cpu = self.exchanges.mid(("delegated", 32), cpu_of("authority", "signer"))
            goal("exchange, 32 connections: share of the signatures in its CPU time", f"{self.limit() / cpu:.0%} of {cpu:,.0f} µs",
                 "≥ 60 %", self.limit() / cpu >= 0.6)
            goal("exchange: CPU beside Keycloak 26.7 (2,000 µs, nothing recorded)", f"{2000 / cpu:.1f} times less", "≥ 10 times", cpu <= 200)
        if self.calls.rows:
            for name in ("HTTP, a capability each", "MCP, delegated token"):
                cpu = self.calls.mid((name, 32), both)
                goal(f"{name}, 32 connections: CPU of gateway and authority", f"{cpu:,.0f} µs", "≤ 200 µs", cpu <= 200)
                goal(f"{name}: calls per second and core", f"{1e6 / cpu:,.0f}", "≥ 4,000", cpu <= 250)
                straight = name.split(",")[0] + ", straight to the upstream"
                added = self.calls.mid((name, 1), "p50_us") - self.calls.mid((straight, 1), "p50_us")
                wanted = median(self.syncs) + 500
                goal(f"{name}, 1 connection: added p50", f"{added:,.0f} µs", f"≤ {wanted:,.0f} µs (one sync and 500)", added <= wanted)
        if self.rows.rows:
            ratio = self.rows.mid(("admit rows", 64), "ratio")
            goal("admit rows beside bare SQLite, 64 in a transaction", f"{ratio:.0%}", "≥ 50 %", ratio >= 0.5)
        if self.rules.rows:
            few = min(key[1] for key in self.rules.rows)
            us = self.rules.mid(("spread", few, "attorn"), "p50_us")
            goal(f"decision, {few} rules", f"{us:.1f} µs", "≤ 27 µs", us <= 27)
        return table(["goal", "measured (median)", "wanted", ""], found)


def machine(disk):
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return (f"{time.strftime('%Y-%m-%d')}, {len(CORES)} cores of {model.group(1) if model else platform.machine()}, Linux {platform.release()}, "
            f"file system {disk}, load average {os.getloadavg()[0]:.1f} at the start.")


def doc_write(text):
    path = ROOT / "docs/benchmarks.md"
    before, rest = path.read_text().split(BEGIN)
    path.write_text(before + BEGIN + "\n\n" + text + "\n" + END + rest.split(END)[1])


def measure(scene, only, rounds, told):
    bench = Bench(scene)
    for n in range(rounds):
        for part in only:
            getattr(bench, f"round_{part}")()
        print(f"round {n + 1} of {rounds} done, load average {os.getloadavg()[0]:.1f}", flush=True)
    figures = [line for part in only for line in getattr(bench, f"told_{part}")()]
    return "\n".join([told, "", f"minimum / median / maximum of {rounds} rounds", "", *bench.goals(), *figures])


def main():
    parts = ["exchange", "call", "admit", "policy"]
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=Path, default=Path("build-release"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(parts), help="a part alone is printed and not written into the page")
    options = parser.parse_args()
    build, only = options.build.resolve(), options.only.split(",")
    told = machine(stage.real_disk(build))
    subprocess.run(["ninja", "-C", build, *(f"bench/{name}" for name in ("load", "echo", "crypto_bench", "ledger_bench", "policy_bench"))],
                   check=True, stdout=subprocess.DEVNULL)
    began = time.monotonic()
    scene = Scene(build, tempfile.mkdtemp(prefix="bench-", dir=build))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        text = measure(scene.furnish(), only, options.rounds, told)
    finally:
        scene.close()
        shutil.rmtree(scene.dir, ignore_errors=True)
    print(text)
    print(f"{time.monotonic() - began:.0f} s")
    if only == parts:
        doc_write(text)


if __name__ == "__main__":
    main()
