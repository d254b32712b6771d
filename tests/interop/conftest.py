"""Fixtures of the tests with clients nobody here wrote: the stage of the end-to-end tests, with a few more tools."""
import importlib.util
import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("attorn_stage_fixtures", ROOT / "tests/e2e/conftest.py")
fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fixtures)

EVERYTHING_TOOLS = ["echo", "get-sum", "trigger-long-running-operation"]


class World(fixtures.World):
    def furnish(self):
        super().furnish()
        (self.invoices / "big.txt").write_text("0123456789" * 150_000)
        document = self.cli("route", "show", "everything")
        document = document.get("document", document)
        document["tools"] = {tool: {"scope": "everything:use", "effect": "readonly"} for tool in EVERYTHING_TOOLS}
        self.put_route("everything", document)
        self.rules += ["everything get-sum a=range:0..100 b=range:0..100",
                       "everything trigger-long-running-operation duration=range:1..20 steps=range:1..20"]
        self.key = self.dir / "agents/billing-scout/agent.key"
        self.lent = self.grant("billing-scout", self.rules, uses=100_000)
        return self

    def shim(self, route, grant=None):
        """How a client starts the shim of a route: what its configuration file would say. No secret in it."""
        return {"command": self.attorn, "args": ["mcp", self.route(route)],
                "env": {"ATTORN_ISSUER": self.issuer, "ATTORN_AGENT": "spiffe://example.test/agent/billing-scout",
                        "ATTORN_AGENT_KEY": str(self.key), "ATTORN_GRANT": grant or self.lent}}


@pytest.fixture(scope="module")
def world(request):
    made = World(request.module.__name__.removeprefix("test_"))
    try:
        yield made.furnish()
    finally:
        made.close()
    if not os.environ.get("KEEP"):
        shutil.rmtree(made.dir, ignore_errors=True)
