"""stage.py: the stage of the demo and of the end-to-end tests: attorn in a directory of its own, the real upstreams,
the people and their keys. Everything goes through the command line a person would type; what happened is read from
the upstreams' own logs and from the exported ledger, never from what attorn says of itself.
"""
import base64
import hashlib
import http.client
import json
import os
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "examples/agent"), str(ROOT / "tests/e2e")]
import rfc6962_verify as stranger  # noqa: E402  a verifier that shares no code with attorn

NODE_MODULES = ROOT / "demo/node_modules"
FILESYSTEM = NODE_MODULES / "@modelcontextprotocol/server-filesystem/dist/index.js"
SQLITE = Path(sys.executable).parent / "mcp-server-sqlite"
EVERYTHING = NODE_MODULES / "@modelcontextprotocol/server-everything/dist/index.js"
START_S, STOP_S = 20, 10  # patience with slow machines; nothing waits longer than it must


class Problem(Exception):
    """Something the story needs is not there, or a command that must succeed did not."""


def real_disk(path):
    """The name of the file system under `path`; a memory file system proves nothing about durability."""
    run = subprocess.run(["stat", "-f", "-c", "%T", path], stdout=subprocess.PIPE, check=True, text=True)
    name = run.stdout.strip()
    if name in ("tmpfs", "ramfs"):
        raise Problem(f"{path} is on {name}: this needs a real disk")
    return name


def free_ports(count=2):
    """The first of `count` ports in a row that nobody uses."""
    for first in range(21000 + os.getpid() % 400 * 20, 32000, count):
        held = []
        try:
            for port in range(first, first + count):
                held.append(socket.socket())
                held[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                held[-1].bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
        finally:
            for one in held:
                one.close()
    raise Problem("no free ports")


def until(what, condition, seconds=START_S, pause=0.005):
    """Waits until condition() is true and returns its value."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(pause)
    raise Problem(f"waited {seconds} s in vain until {what}")


def is_healthy(url):
    try:
        with urllib.request.urlopen(url + "/health", timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def text_lines(path):
    """Lines of a log; str.splitlines would also end them at U+2028 and its kind, which JSON leaves as they are."""
    return path.read_text().split("\n")[:-1]


class Refused(Exception):
    """A command ended with 1: the answer is no. Holds the words a person reads."""


class Stage:
    def __init__(self, attorn, directory):
        self.attorn = str(Path(attorn).resolve())
        self.dir = Path(directory).resolve()
        self.work = self.dir / "attorn"  # its working directory
        self.people = self.dir / "people"
        self.children = {}  # name -> Popen, in the order of their start
        for folder in (self.work, self.people, self.dir / "logs"):
            folder.mkdir(parents=True)
        self.port = None

    # --- processes ------------------------------------------------------------------------------------

    def start(self, name, command, **options):
        log = open(self.dir / f"logs/{name}.log", "ab")
        options.setdefault("stdout", log)
        child = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stderr=log,
                                 start_new_session=True, **options)
        log.close()
        self.children[name] = child
        return child

    def stop(self, name, sig=signal.SIGTERM):
        child = self.children.pop(name)
        if child.poll() is None:
            child.send_signal(sig)
        try:
            return child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            return child.wait()

    def close(self):
        for name in reversed(list(self.children)):
            self.stop(name)

    def log(self, name):
        return (self.dir / f"logs/{name}.log").read_text(errors="replace")

    # --- attorn ---------------------------------------------------------------------------------------

    def passphrase(self, person):
        """A passphrase nobody chose and nobody knows: there is no default one."""
        path = self.people / f"{person}.passphrase"
        if not path.exists():
            fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            os.write(fd, base64.b32encode(os.urandom(20)) + b"\n")
            os.close(fd)
        return path

    def up(self, config=None):
        """`attorn up` in the empty working directory; returns the seconds until both doors are healthy."""
        self.port = self.port or free_ports()
        if config:
            (self.work / "attorn.yaml").write_text(config.format(authority=self.port, gateway=self.port + 1))
        self.issuer, self.gateway = (f"http://127.0.0.1:{self.port + more}" for more in (0, 1))
        began = time.monotonic()
        child = self.start("attorn", [self.attorn, "up", "--dir", self.work, "--port", self.port,
                                      "--passphrase-file", self.passphrase("operator")])
        for url in (self.issuer, self.gateway):
            until(f"{url}/health is green; see {self.dir}/logs/attorn.log", lambda at=url: is_healthy(at) or
                  child.poll() is not None)
        if child.poll() is not None:
            raise Problem(f"attorn up ended with {child.returncode}: {self.log('attorn')}")
        return time.monotonic() - began

    def route(self, name):
        return f"{self.gateway}/r/{name}"

    def key_of(self, person):
        return self.work / "keys/operator.key" if person == "operator" else self.people / f"{person}.key"

    def run(self, *words, by="operator", signed_with=None):
        """attorn WORDS..., as a person would; returns the finished process."""
        command = [self.attorn, *map(str, words), *([] if "--url" in words else ["--dir", str(self.work)]), "--as", by,
                   "--user-key", str(self.key_of(signed_with or by)),
                   "--passphrase-file", str(self.passphrase(signed_with or by))]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)

    def cli(self, *words, by="operator", signed_with=None):
        """The same with --json; returns the answer. Refused when the answer is no."""
        ran = self.run(*words, "--json", by=by, signed_with=signed_with)
        if ran.returncode == 1:
            raise Refused(ran.stderr.strip())
        if ran.returncode != 0:
            raise Problem(f"attorn {shlex.join(map(str, words))} ended with {ran.returncode}: {ran.stderr.strip()}")
        return json.loads(ran.stdout) if ran.stdout.strip() else None

    def admin(self, method, path, document):
        """One unsigned request on the admin socket; returns the status and the answer."""
        connection = http.client.HTTPConnection("authority")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(self.work / "data/run/admin.sock"))
        connection.request(method, path, json.dumps(document), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, json.loads(body)

    def user(self, name, *roles):
        """A person with a key of their own, made where it will be used, sealed by their passphrase."""
        made = subprocess.run([self.attorn, "user", "key", name, "--out", self.key_of(name), "--json",
                               "--passphrase-file", self.passphrase(name)], capture_output=True, text=True)
        if made.returncode != 0:
            raise Problem(f"attorn user key: {made.stderr.strip()}")
        self.cli("user", "add", name, "--key", self.key_of(name), *(word for role in roles for word in ("--role", role)))
        return self.cli("user", "show", name)

    def agent(self, name, *scopes, owner="operator", kind="delegated"):
        """An agent that makes its own key pair and hands over the public half. Returns the key file."""
        folder = self.dir / "agents" / name
        folder.mkdir(parents=True)
        subprocess.run([sys.executable, ROOT / "examples/agent/governed_http.py", "keygen", folder / "agent.key"], check=True)
        self.cli("agent", "register", name, "--key", folder / "agent.pub", "--owner", owner, "--kind", kind,
                 *(word for scope in scopes for word in ("--scope", scope)))
        return folder / "agent.key"

    def put_route(self, name, document):
        path = self.dir / f"{name}.route.json"
        path.write_text(json.dumps(document, indent=1))
        return self.cli("route", "put", name, "--file", path)

    def secret(self, name, value):
        path = self.dir / f"{name}.secret"
        path.write_text(value)
        self.cli("secret", "put", name, "--file", path)
        path.unlink()

    def grant(self, agent, rules, uses=20, life="1h", by="alice", depth=1, signed_with=None):
        """Signed by `by`; returns its id."""
        answer = self.cli("grant", "create", "--agent", agent, "--uses", uses, "--for", life, "--depth", depth,
                          *(word for rule in rules for word in ("--allow", rule)), by=by, signed_with=signed_with)
        return answer["grant"]["id"]

    # --- upstreams ------------------------------------------------------------------------------------

    def ticket_desk(self):
        """The plain HTTP API. Returns its URL and the API key that it knows."""
        folder = self.dir / "desk"
        folder.mkdir()
        key = "sk-desk-" + base64.b32encode(os.urandom(15)).decode().lower()
        (folder / "keys.txt").write_text(f"attorn-gateway {key}\n")
        child = self.start("desk", [sys.executable, ROOT / "examples/ticket-desk/ticket_desk.py", "--keys", folder / "keys.txt",
                                    "--db", folder / "tickets.db", "--log", folder / "access.log"], stdout=subprocess.PIPE)
        port = int(child.stdout.readline())
        return f"http://127.0.0.1:{port}", key

    def everything(self):
        """npm server-everything over Streamable HTTP. Returns its URL."""
        port = free_ports(1)
        log = self.dir / "logs/everything.requests"
        log.touch()
        self.start("everything", ["node", "--import", ROOT / "demo/loopback.mjs", "--import", ROOT / "demo/request-log.mjs",
                                  EVERYTHING, "streamableHttp"], env={**os.environ, "PORT": str(port), "REQUEST_LOG": str(log)})

        def listens():
            with socket.socket() as sock:
                return sock.connect_ex(("127.0.0.1", port)) == 0
        until("server-everything listens", listens)
        return f"http://127.0.0.1:{port}/mcp"

    def logged_stdio(self, name, *command):
        """The command of a stdio server under demo/stdio_log.py, which keeps its access log."""
        log = self.dir / f"logs/{name}.lines"
        log.touch()
        return [sys.executable, str(ROOT / "demo/stdio_log.py"), str(log), *map(str, command)]

    # --- what the upstreams saw: their own logs ---------------------------------------------------------

    def desk_lines(self):
        path = self.dir / "desk/access.log"
        return [line.split(" ") for line in path.read_text().splitlines()] if path.exists() else []

    def stdio_calls(self, name):
        """(tool, arguments) of each tools/call that reached the stdio server of a route."""
        lines = (json.loads(line)["line"] for line in text_lines(self.dir / f"logs/{name}.lines"))
        return [(m["params"]["name"], m["params"].get("arguments")) for m in map(json.loads, lines)
                if m.get("method") == "tools/call"]

    def http_calls(self):
        """Parsed requests that reached server-everything and ask for a tool."""
        rows = map(json.loads, text_lines(self.dir / "logs/everything.requests"))
        return [row for row in rows if '"tools/call"' in row["body"]]

    def upstream_calls(self):
        """How many calls of each upstream, by its own log."""
        counts = {"desk": len(self.desk_lines())}
        for path in sorted((self.dir / "logs").glob("*.lines")):
            counts[path.stem] = len(self.stdio_calls(path.stem))
        if (self.dir / "logs/everything.requests").exists():
            counts["everything"] = len(self.http_calls())
        return counts

    # --- what the ledger says -----------------------------------------------------------------------------

    def store(self):
        return sqlite3.connect(f"file:{self.work}/data/attorn.db?mode=ro", uri=True)

    def entries(self):
        with self.store() as db:
            return db.execute("SELECT count(*) FROM entry").fetchone()[0]

    def is_covered(self, size):
        """Is every record below a head of this size, but those that number the heads themselves?"""
        with self.store() as db:
            return db.execute("SELECT count(*) FROM entry LEFT JOIN entry_index USING (seq) WHERE kind <> 'signer.head'"
                              " AND (idx IS NULL OR idx >= ?)", (size,)).fetchone()[0] == 0

    def export(self, since=0):
        """The export of the ledger from an index on, once its signed head covers every record."""
        def covered():
            wanted = self.entries()
            ran = self.run("ledger", "export", "--from", since)
            if ran.returncode == 1:
                return None  # the head does not reach as far as that yet
            if ran.returncode != 0:
                raise Problem(f"attorn ledger export: {ran.stderr.strip()}")
            return ran.stdout.encode() if since + ran.stdout.count('{"index":') >= wanted else None
        return until("the signed head covers every record", covered, 5) if since < self.entries() else b""

    def vkey(self):
        return self.cli("ledger", "head")["vkey"]

    def records(self, since=0):
        """Records from index `since` on, parsed from the export, each with its `index`; leaf hashes are recomputed. Without
        those of type signer.head, which come with every head."""
        found, few = [], self.entries() - since < 1000  # a part carries a proof for each record: good for few
        for line in self.export(since if few else 0).decode().splitlines()[0 if few else since:-1]:
            row = json.loads(line)
            if "list" in row:
                break  # the signer's lists and the head: verifying them is another's
            leaf = base64.b64decode(row["leaf"])
            if hashlib.sha256(b"\x00" + leaf).digest() != base64.b64decode(row["hash"]):
                raise Problem(f"record {row['index']} is not what was recorded")
            found.append({"index": row["index"], **json.loads(leaf)})
        return [record for record in found if record["type"] != "signer.head"]

    def counts(self):
        """Refusals of strangers that were counted, by "door code", summed over both processes."""
        total = {}
        for url in (self.issuer, self.gateway):
            with urllib.request.urlopen(url + "/metrics", timeout=5) as answer:
                for line in answer.read().decode().splitlines():
                    if line.startswith("attorn_http_refused_total "):
                        total["http refused"] = total.get("http refused", 0) + int(line.split()[1])
                    if line.startswith("attorn_refused_total{"):
                        labels, _, value = line.removeprefix("attorn_refused_total{").rpartition("} ")
                        key = labels.replace('door="', "").replace('",code="', " ").rstrip('"')
                        total[key] = total.get(key, 0) + int(value)
        return total


def grown(before, after):
    """What a dictionary of counts gained."""
    return {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key, 0)}
