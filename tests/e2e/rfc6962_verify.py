#!/usr/bin/env python3
"""A stranger's verifier of a whole ledger export: written from RFC 6962 2.1 and docs/ledger-export.md alone.
It also sets the signer's lists beside what the records say was signed.

usage: rfc6962_verify.py EXPORT VKEY        VKEY: name+id+base64, brought along, never taken from the export
"""
import base64
import hashlib
import json
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Bad(Exception):
    pass


def b64(text):
    raw = base64.b64decode(text, validate=True)
    if base64.b64encode(raw).decode() != text:
        raise Bad("base64 has a second spelling")
    return raw


def mth(leaves):
    """RFC 6962 2.1: the Merkle Tree Hash of a list of leaf hashes."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    while len(leaves) > 1:  # level by level; an odd one out moves up unhashed, which is the same tree
        pairs = zip(leaves[0::2], leaves[1::2])
        odd = leaves[-1:] if len(leaves) % 2 else []
        leaves = [hashlib.sha256(b"\x01" + left + right).digest() for left, right in pairs] + odd
    return leaves[0]


def open_head(note, vkey):
    """C2SP signed note and checkpoint: the text is signed with its final newline."""
    name, key_id, key = vkey.split("+", 2)
    typed = b64(key)
    if typed[0] != 1 or hashlib.sha256(name.encode() + b"\n" + typed).digest()[:4].hex() != key_id:
        raise Bad("not an Ed25519 verifier key")
    text, _, line = note.rpartition("\n\n")
    dash, signer, signature = line.rstrip("\n").split(" ")
    blob = b64(signature)
    if (dash, signer, blob[:4].hex()) != ("\u2014", name, key_id) or not line.endswith("\n") or line.count("\n") != 1:
        raise Bad("not signed by the given key")
    Ed25519PublicKey.from_public_bytes(typed[1:]).verify(blob[4:], (text + "\n").encode())
    origin, size, root = text.split("\n")
    if origin != name:
        raise Bad("head of another log")
    return int(size), b64(root)


class Tree:
    """Subtrees of a growing tree, largest first: the root of every prefix without hashing it anew."""

    def __init__(self):
        self.parts = []

    def add(self, leaf_hash):
        size = 1
        while self.parts and self.parts[-1][0] == size:
            leaf_hash = hashlib.sha256(b"\x01" + self.parts.pop()[1] + leaf_hash).digest()
            size *= 2
        self.parts.append((size, leaf_hash))

    def root(self):
        hashes = [h for _, h in self.parts]
        while len(hashes) > 1:
            hashes[-2:] = [hashlib.sha256(b"\x01" + hashes[-2] + hashes[-1]).digest()]
        return hashes[0]


def said(claims, ends, leaf, origin, tree, index):
    """What one record says of signatures: {kid: {number: digest}}, {kid: [(entries, chain)]}."""
    tree.add(hashlib.sha256(b"\x00" + leaf).digest())
    record = json.loads(leaf)
    for end in record.get("lists", ()):
        ends.setdefault(end["kid"], []).append((end["count"], end["digest"]))
    if "sign" not in record:
        return
    sign = record["sign"]
    digest = sign.get("digest")
    if record["type"] == "signer.head":  # numbers the head of the tree that ends with it
        text = f"{origin}\n{index + 1}\n{base64.b64encode(tree.root()).decode()}\n"
        digest = "sha-256:" + hashlib.sha256(text.encode()).hexdigest()
    if claims.setdefault(sign["kid"], {}).setdefault(sign["n"], digest) is not digest:
        raise Bad(f"record {index}: number {sign['n']} was given before")


def side_by_side(claims, ends, lists):
    """Each entry of each list has its record, and each end that a record names is on the chain."""
    for kid in {*ends, *lists}:
        chain, made = hashlib.sha256(b"attorn-list/1\0" + kid.encode()).digest(), set()
        chains = [chain]
        for entry in lists.get(kid, []):
            number, digest = int.from_bytes(entry[:8], "big"), "sha-256:" + entry[8:].hex()
            if number in made or claims.get(kid, {}).get(number) != digest:
                raise Bad(f"signature {number} of {kid} has no record")
            made.add(number)
            chain = hashlib.sha256(chain + entry).digest()
            chains.append(chain)
        for count, digest in ends.get(kid, []):
            if count >= len(chains) or "sha-256:" + chains[count].hex() != digest:
                raise Bad(f"the list of {kid} is not the one that the records name")


def take_list(lists, line):
    row = json.loads(line.decode())
    entries = b64(row["entries"])
    again = json.dumps({"list": row["list"], "from": row["from"], "entries": row["entries"]}, separators=(",", ":"))
    known = lists.setdefault(row["list"], [])
    if again.encode() != line or row["from"] != len(known) or len(entries) % 40 or not entries:
        raise Bad("a list is torn")
    known += [entries[at:at + 40] for at in range(0, len(entries), 40)]


def verify(export, vkey):
    """Returns (size, root) or raises; the message names the first bad record where there is one."""
    if not export.endswith(b"\n"):
        raise Bad("cut off")
    lines, leaves = export[:-1].split(b"\n"), []
    claims, ends, lists, tree = {}, {}, {}, Tree()
    for index, line in enumerate(lines[:-1]):
        if line.startswith(b'{"list":') or lists:
            take_list(lists, line)
            continue
        try:
            row = json.loads(line.decode())
            leaf, leaf_hash = b64(row["leaf"]), b64(row["hash"])
            again = json.dumps({"index": index, "leaf": row["leaf"], "hash": row["hash"]}, separators=(",", ":"))
        except (ValueError, KeyError, TypeError) as error:
            raise Bad(f"record {index}: {error!r}") from error
        if again.encode() != line or hashlib.sha256(b"\x00" + leaf).digest() != leaf_hash:
            raise Bad(f"record {index}: not what was recorded")
        said(claims, ends, leaf, vkey.split("+")[0], tree, index)
        leaves.append(leaf_hash)
    head = json.loads(lines[-1].decode())
    if json.dumps({"head": head["head"]}, separators=(",", ":"), ensure_ascii=False).encode() != lines[-1]:
        raise Bad("head line has a second spelling")
    size, root = open_head(head["head"], vkey)
    if size != len(leaves) or mth(leaves) != root:
        raise Bad(f"the root of these {len(leaves)} records is not the signed one of {size}")
    side_by_side(claims, ends, lists)
    return size, root


if __name__ == "__main__":
    try:
        size, root = verify(open(sys.argv[1], "rb").read(), sys.argv[2])
    except (Bad, ValueError, KeyError, InvalidSignature) as error:
        sys.exit(f"FAIL {error!r}")
    print(f"PASS {size} {base64.b64encode(root).decode()}")
