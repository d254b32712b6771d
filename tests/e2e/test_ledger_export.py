"""A verifier that shares no code with us agrees on head and root, and finds every flipped byte."""
import base64
import os
import random
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature

import rfc6962_verify as stranger

BUILD = Path(os.environ.get("ATTORN", Path(__file__).resolve().parents[2] / "build/attorn")).parent
FLIPS = 1000
REFUSALS = (stranger.Bad, ValueError, KeyError, TypeError, IndexError, AttributeError, InvalidSignature)


def make(directory, size):
    """A store with `size` records, its export and its verifier key, made by our own code."""
    run = subprocess.run([BUILD / "tests/unit/ledger/make_ledger", directory, str(size)], stdout=subprocess.PIPE, check=True)
    return (directory / "export.jsonl").read_bytes(), run.stdout.decode().strip()


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    directory = tmp_path_factory.mktemp("ledger")
    return (*make(directory, 300), directory)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 8, 255, 256, 257, 1000])
def test_agrees_on_the_root(tmp_path, size):
    export, vkey = make(tmp_path, size)
    found, root = stranger.verify(export, vkey)
    row = sqlite3.connect(tmp_path / "attorn.db").execute("SELECT size, root FROM log_lock").fetchone()
    assert (found, root) == row == (size + (2 if size else 1), row[1])  # a record of type signer.head under each head


def seeded():
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    print("SEED", seed)
    return random.Random(seed)


def test_every_flip_in_an_export_is_found(log):
    export, vkey, _ = log
    rng, missed = seeded(), []
    for _ in range(FLIPS):
        at, bits = rng.randrange(len(export)), rng.randrange(1, 256)
        flipped = bytearray(export)
        flipped[at] ^= bits
        try:
            stranger.verify(bytes(flipped), vkey)
            missed.append((at, bits))
        except REFUSALS:
            pass
    assert missed == []


def test_every_flip_in_the_stores_leaves_is_found(log):
    export, vkey, directory = log
    rng, missed = seeded(), []
    shutil.copy(directory / "attorn.db", directory / "copy.db")
    rows = sqlite3.connect(directory / "copy.db").execute(
        "SELECT e.leaf FROM entry_index i JOIN entry e USING (seq) ORDER BY i.idx").fetchall()
    leaves = [row[0] for row in rows]
    size, root = stranger.verify(export, vkey)
    hashes = [stranger.hashlib.sha256(b"\x00" + leaf).digest() for leaf in leaves]
    assert (len(leaves), stranger.mth(hashes)) == (size, root)
    for _ in range(FLIPS):
        which = rng.randrange(len(leaves))
        leaf = bytearray(leaves[which])
        leaf[rng.randrange(len(leaf))] ^= rng.randrange(1, 256)
        changed = list(hashes)
        changed[which] = stranger.hashlib.sha256(b"\x00" + leaf).digest()
        if stranger.mth(changed) == root:
            missed.append(which)
    assert missed == []


def test_the_record_is_named(log):
    export, vkey, _ = log
    lines = export.split(b"\n")
    leaf = bytearray(base64.b64decode(stranger.json.loads(lines[41])["leaf"]))
    leaf[10] ^= 1
    row = stranger.json.loads(lines[41]) | {"leaf": base64.b64encode(bytes(leaf)).decode()}
    lines[41] = stranger.json.dumps(row, separators=(",", ":")).encode()
    with pytest.raises(stranger.Bad, match="record 41:"):
        stranger.verify(b"\n".join(lines), vkey)


def test_another_key_is_refused(log):
    export, vkey, _ = log
    other = vkey.replace("example", "examp1e")
    with pytest.raises(REFUSALS):
        stranger.verify(export, other)
