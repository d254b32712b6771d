"""The product's real export: a verifier that shares no code with us agrees on head and root, every flipped byte is found by
it, and by `attorn ledger verify` too."""
import base64
import json
import os
import random
import sqlite3

import pytest
import rfc6962_verify as stranger
import stage
from refusal_case import ticket
from test_ledger_export import FLIPS, REFUSALS

FLIPS_HERE = 150  # of `attorn ledger verify`, a process each


@pytest.fixture(scope="module")
def log(furnished):
    """A ledger with calls of every kind, refusals, a revoke; its export and the key to bring along."""
    me = furnished.caller(uses=40)
    for number in range(20):
        assert me.http("tickets", "POST", "/tickets", ticket(str(number))).status == 201
    me.call_tool("invoices", "read_text_file", {"path": f"{furnished.invoices}/INV-0401.json"})
    me.call_tool("invoices", "read_text_file", {"path": "/etc/passwd"})
    furnished.cli("grant", "revoke", me.grant)
    return furnished.export(), furnished.vkey(), furnished


def seeded():
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    print("SEED", seed)
    return random.Random(seed)


def flipped(raw, rng):
    at, bits = rng.randrange(len(raw)), rng.randrange(1, 256)
    return raw[:at] + bytes([raw[at] ^ bits]) + raw[at + 1:], (at, bits)


def test_agrees_on_head_and_root(log):
    _, vkey, world = log

    def agreed():
        """In one moment between two heads: the export, the head that is told, the head in the store."""
        size, root = stranger.verify(world.export(), vkey)
        head = world.cli("ledger", "head")
        with world.store() as db:
            kept = db.execute("SELECT size, root FROM log_lock").fetchone()
        run = world.run("ledger", "verify")
        assert run.returncode == 0
        return ((size, base64.b64encode(root).decode()) == (head["size"], head["root"]) and kept == (size, root) and
                run.stdout.startswith(f"PASS: {size} records"))
    stage.until("all agree on one head", agreed, 10)


def test_a_part_fits_the_same_head(log):
    export, _, world = log
    whole = export.split(b"\n")
    part = world.run("ledger", "export", "--from", 5, "--to", 9).stdout.encode().split(b"\n")
    assert [json.loads(line)["leaf"] for line in part[:-2]] == [json.loads(line)["leaf"] for line in whole[5:9]]
    assert all(json.loads(line)["proof"] for line in part[:-2])


def test_every_flip_in_the_export_is_found(log):
    export, vkey, _ = log
    rng, missed = seeded(), []
    for _ in range(FLIPS):
        copy, where = flipped(export, rng)
        try:
            stranger.verify(copy, vkey)
            missed.append(where)
        except REFUSALS:
            pass
    assert missed == []


def test_every_flip_in_the_leaves_of_the_store_is_found(log):
    export, vkey, world = log
    size, root = stranger.verify(export, vkey)
    with world.store() as db:
        leaves = [row[0] for row in db.execute("SELECT leaf FROM entry_index JOIN entry USING (seq) WHERE idx < ? ORDER BY idx",
                                               (size,))]
    hashes = [stranger.hashlib.sha256(b"\x00" + leaf).digest() for leaf in leaves]
    assert stranger.mth(hashes) == root
    rng, missed = seeded(), []
    for _ in range(FLIPS):
        which = rng.randrange(len(leaves))
        leaf, where = flipped(leaves[which], rng)
        changed = [*hashes[:which], stranger.hashlib.sha256(b"\x00" + leaf).digest(), *hashes[which + 1:]]
        if stranger.mth(changed) == root:
            missed.append((which, where))
    assert missed == []


def test_attorn_finds_them_too(log, tmp_path):
    export, vkey, world = log
    rng, missed, copy = seeded(), [], tmp_path / "copy"
    copy.write_bytes(export)
    assert world.run("ledger", "verify", "--file", copy, "--vkey", vkey).returncode == 0
    for _ in range(FLIPS_HERE):
        text, where = flipped(export, rng)
        copy.write_bytes(text)
        run = world.run("ledger", "verify", "--file", copy, "--vkey", vkey)
        if (run.returncode, run.stdout[:5]) != (5, "FAIL:"):
            missed.append((where, run.returncode, run.stdout, run.stderr))
    assert missed == []


def test_a_flip_on_disk_is_found_and_named(log, tmp_path):
    """As somebody with the disk could do it, past the guard in the store. Last: the store is damaged from here on."""
    _, _, world = log
    with sqlite3.connect(world.work / "data/attorn.db") as db:
        db.execute("DROP TRIGGER entry_frozen")
        index, seq, rid, leaf = db.execute("SELECT idx, seq, rid, leaf FROM entry_index JOIN entry USING (seq) WHERE kind = 'grant'"
                                           " ORDER BY idx LIMIT 1").fetchone()
        leaf = bytearray(leaf)
        leaf[len(leaf) // 2] ^= 1
        db.execute("UPDATE entry SET leaf = ? WHERE seq = ?", (bytes(leaf), seq))
    run = world.run("ledger", "verify")
    assert run.returncode == 5
    assert run.stdout.startswith(f"FAIL: record {index} {rid}:")
