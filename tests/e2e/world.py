"""The world of the end-to-end tests: the real binary in a directory of its own on a real disk, real upstreams, people and
agents made through the command line. See demo/stage.py and demo/caller.py, which the demo uses too.
"""
import os
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "demo"), str(ROOT / "tests/e2e")]
import caller  # noqa: E402
import stage  # noqa: E402

ATTORN = Path(os.environ.get("ATTORN") or ROOT / "build/attorn")
CONFIG = """trust_domain: example.test
issuer: http://127.0.0.1:{authority}
authority:
  listen: 127.0.0.1:{authority}
gateway:
  listen: 127.0.0.1:{gateway}
  url: http://127.0.0.1:{gateway}
limits:
  body_bytes: 4194304
  denials_per_minute: 100000
"""
TICKET_RULE = "tickets POST /tickets title=matches:'.{1,200}' body=matches:'.*' priority=one_of:low,normal,high"
ORDERS_RULE = "warehouse read_query query=matches:'SELECT ([a-z_]+(, [a-z_]+)*|[*]) FROM orders( WHERE [a-z_]+ = [0-9]+)?'"


class World(stage.Stage):
    """The stage with the routes, people and agents that most tests need."""

    def __init__(self, name, config=CONFIG):
        (ROOT / "build/e2e").mkdir(parents=True, exist_ok=True)
        stage.real_disk(ROOT / "build/e2e")
        super().__init__(ATTORN, tempfile.mkdtemp(prefix=f"{name}-", dir=ROOT / "build/e2e"))
        self.config = config

    def furnish(self):
        """attorn, the four routes, alice, and the agent billing-scout."""
        self.up(self.config)
        self.invoices = self.dir / "finance/invoices"
        shutil.copytree(ROOT / "demo/data/finance", self.dir / "finance")
        with sqlite3.connect(self.dir / "warehouse.db") as db:
            db.executescript((ROOT / "demo/data/warehouse.sql").read_text())
        self.put_route("invoices", {
            "kind": "mcp-stdio", "command": self.logged_stdio("invoices", "node", stage.FILESYSTEM, self.dir / "finance"),
            "environment": "prod", "data_classes": ["finance"], "tools": {
                "read_text_file": {"scope": "invoices:read", "effect": "readonly"},
                "list_directory": {"scope": "invoices:read", "effect": "readonly"},
                "write_file": {"scope": "invoices:write", "effect": "irreversible"}}})
        self.put_route("warehouse", {
            "kind": "mcp-stdio", "command": self.logged_stdio("warehouse", stage.SQLITE, "--db-path", self.dir / "warehouse.db"),
            "environment": "prod", "data_classes": ["sales"],
            "tools": {"read_query": {"scope": "warehouse:read", "effect": "readonly"}}})
        self.put_route("everything", {
            "kind": "mcp-http", "upstream": self.everything(), "environment": "test", "data_classes": ["none"],
            "tools": {"echo": {"scope": "everything:use", "effect": "readonly"},
                      "get-sum": {"scope": "everything:use", "effect": "readonly"}}})
        self.desk_url, self.desk_key = self.ticket_desk()
        self.secret("tickets-key", self.desk_key)
        self.put_route("tickets", {
            "kind": "http", "upstream": self.desk_url, "credential": {"secret": "tickets-key", "header": "X-Api-Key", "prefix": ""},
            "environment": "prod", "data_classes": ["support"],
            "http": [{"method": "POST", "path": "/tickets", "scope": "tickets:create", "effect": "mutating"},
                     {"method": "GET", "path": "/tickets/{id}", "scope": "tickets:read", "effect": "readonly"}]})
        scopes = ["invoices:read", "warehouse:read", "everything:use", "tickets:create", "tickets:read"]
        self.cli("role", "put", "billing", *(word for scope in scopes for word in ("--scope", scope)))
        self.alice = self.user("alice", "billing")
        self.agent("billing-scout", *scopes, owner="alice")
        self.rules = [f"invoices read_text_file path=under:{self.invoices}", f"invoices list_directory path=under:{self.invoices}",
                      ORDERS_RULE, "everything echo message=matches:'.{0,200}'", TICKET_RULE]
        return self

    def caller(self, rules=None, uses=1000, name="billing-scout", **how):
        """The agent with a new grant of alice's."""
        return caller.Caller(self, name, self.grant(name, rules or self.rules, uses=uses, **how))


def world(name, config=CONFIG):
    made = World(name, config)
    try:
        yield made.furnish()
    finally:
        made.close()
    if not os.environ.get("KEEP"):
        shutil.rmtree(made.dir, ignore_errors=True)
