#!/usr/bin/env python3
"""make bench: every figure of docs/benchmarks.md in one run, beside its limit or its peer, on this machine and disk.

    bench/run.py --build build-release [--rounds 3] [--only exchange,call,admit,policy] [--write]

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
        return [of(figures) if callable(of) else figures[of] for figures in self.rows[name]]

    def mid(self, name, of):
        return median(self.all(name, of))

    def shown(self, name, of, digits=0):
        values = sorted(self.all(name, of))
        return " / ".join(f"{value:,.{digits}f}" for value in (values[0], median(values), values[-1]))


def attorn_cpu(figures):
    return figures["cpu_us"]["authority"] + figures["cpu_us"]["gateway"]


def crypto(build):
    with on(SERVERS):
        out = subprocess.run([build / "bench/crypto_bench"], capture_output=True, text=True, check=True).stdout
    return {name: float(us) for name, us in (line.split("\t") for line in out.splitlines())}


def exchange(scene, rounds, table):
    series, limits = Series(), []
    for _ in range(rounds):
        limits.append(crypto(scene.build))
        for kind in ("delegated", "capability"):
            for connections in (1, 16, 32):
                series.add((kind, connections), scene.load("exchange", "tickets", kind="http", token=kind,
                                                           connections=connections, count=8000, seconds=1.5))
    sign, verify = (median(one[f"ed25519_{what}"] for one in limits) for what in ("sign", "verify"))
    table.append("| exchange | signatures it cannot do without, µs | connections | per s | p50 µs | p99 µs | CPU of the authority, µs | share |")
    table.append("|---|---|---|---|---|---|---|---|")
    for (kind, connections) in series.rows:
        limit = sign + verify * (2 if kind == "delegated" else 3)
        cpu = series.mid((kind, connections), lambda f: f["cpu_us"]["authority"])
        table.append(f"| {kind} | {limit:.0f} | {connections} | " + " | ".join(
            series.shown((kind, connections), of) for of in ("per_s", "p50_us", "p99_us", lambda f: f["cpu_us"]["authority"])) +
            f" | {limit / cpu:.0%} |")
    return series


def calls(scene, rounds, table):
    series = Series()
    ways = [("HTTP straight to the upstream", "plain", dict(kind="http", port=scene.echo_port)),
            ("HTTP through nginx proxy_pass", "plain", dict(kind="http", port=scene.nginx_port)),
            ("HTTP, one capability a call", "call", dict(route="tickets", kind="http", token="capability")),
            ("HTTP, delegated token, per-call proof", "call", dict(route="tickets", kind="http", token="delegated")),
            ("MCP tools/call, one capability a call", "call", dict(route="echo", kind="mcp", token="capability")),
            ("MCP tools/call, delegated token, per-call proof", "call", dict(route="echo", kind="mcp", token="delegated"))]
    for _ in range(rounds):
        for connections in (1, 32):
            for name, verb, how in ways:
                count = 60000 if verb == "plain" else 6000 if connections > 1 else 2000
                series.add((name, connections), scene.load(verb, connections=connections, count=count,
                                                           seconds=1 if verb == "plain" else 1.5, **how))
    table.append("| call | connections | per s | p50 µs | p99 µs | CPU of gateway, µs | of authority | together (nginx: its own) |")
    table.append("|---|---|---|---|---|---|---|---|")
    for (name, connections) in series.rows:
        key = (name, connections)
        whole = (lambda f: f["cpu_us"]["nginx"]) if "nginx" in name else attorn_cpu
        parts = (lambda f: f["cpu_us"]["gateway"], lambda f: f["cpu_us"]["authority"])
        own = ["–", "–", series.shown(key, whole)] if "proof" not in name and "capability" not in name else [
            series.shown(key, of) for of in (*parts, whole)]
        if "straight" in name:
            own[2] = "–"
        table.append(f"| {name} | {connections} | " + " | ".join(
            [series.shown(key, of) for of in ("per_s", "p50_us", "p99_us")] + own) + " |")
    return series


def admits(scene, rounds, table):
    series = Series()
    for _ in range(rounds):
        for connections in (1, 32, 64):
            series.add(connections, scene.load("admit", "tickets", socket=scene.work / "data/run/internal.sock",
                                               connections=connections, count=16000, seconds=1.5))
    table.append("| admit over the internal socket, connections | per s | p50 µs | p99 µs | CPU of the authority, µs |")
    table.append("|---|---|---|---|---|")
    for connections in series.rows:
        table.append(f"| {connections} | " + " | ".join(series.shown(connections, of) for of in (
            "per_s", "p50_us", "p99_us", lambda f: f["cpu_us"]["authority"])) + " |")
    return series


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=Path, default=Path("build-release"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="exchange,call,admit,policy")
    parser.add_argument("--keep", action="store_true", help="leave everything running, print where, wait for Enter")
    options = parser.parse_args()
    build = options.build.resolve()
    only = options.only.split(",")
    disk = stage.real_disk(build)
    scene = Scene(build, tempfile.mkdtemp(prefix="bench-", dir=build))
    table = []
    try:
        scene.furnish()
        print(f"file system {disk}, load average {os.getloadavg()[0]:.1f}, pids {scene.pids}", flush=True)
        if options.keep:
            print(scene.dir)
            input()
        for name, run in (("exchange", exchange), ("call", calls), ("admit", admits)):
            if name in only:
                run(scene, options.rounds, table)
                print("\n".join(table), flush=True)
                table.clear()
    finally:
        scene.close()
        shutil.rmtree(scene.dir, ignore_errors=True)


if __name__ == "__main__":
    main()
