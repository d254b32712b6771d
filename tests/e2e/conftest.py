"""Fixtures of the end-to-end tests; the world itself is world.py, where every test of any folder finds it."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from world import ATTORN, CONFIG, ORDERS_RULE, TICKET_RULE, World, caller, stage, world  # noqa: E402, F401


@pytest.fixture(scope="module")
def furnished(request):
    yield from world(request.module.__name__.removeprefix("test_"))
