"""watch.py: looks over an agent's shoulder: the memory and environment of its processes while they run, and every byte it
sends and receives. What is searched for must be nowhere; a second text that must be there proves that the search can find.
"""
import os
import re
import threading
import time
from pathlib import Path

CHUNK = 1 << 20


def parent_of(pid):
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError):
        return 0


def family(root):
    """`root` and all its descendants that live now."""
    parents = {int(name): parent_of(name) for name in os.listdir("/proc") if name.isdigit()}
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid and child not in found]
    return found


def command_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
    except OSError:
        return []


def regions(pid):
    """Address ranges of a process that hold data of its own."""
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        first, last, mode = re.match(r"([0-9a-f]+)-([0-9a-f]+) (....)", line).groups()
        if mode.startswith("rw"):
            yield int(first, 16), int(last, 16)


def memory_has(pid, needles):
    """Which of the needles the memory and environment of a live process hold; None when it was gone, wholly or half."""
    found, overlap, seen = set(), max(map(len, needles)), 0
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        found.update(needle for needle in needles if needle in environment)
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            for first, last in regions(pid):
                for at in range(first, last, CHUNK):
                    try:
                        memory.seek(at)
                        piece = memory.read(min(CHUNK + overlap, last - at))
                    except (OSError, OverflowError):
                        continue  # unmapped meanwhile
                    seen += len(piece)
                    found.update(needle for needle in needles if needle in piece)
    except OSError:
        return None
    return found if seen else None


class ShimWatch(threading.Thread):
    """Searches the `attorn mcp` processes of an agent again and again while they live."""

    def __init__(self, root, needles):
        super().__init__(daemon=True)
        self.root, self.needles = root, needles
        self.searched, self.found, self.stop = {}, set(), threading.Event()  # searched: pid -> times
        self.start()

    def run(self):
        while not self.stop.is_set():
            for pid in family(self.root):
                if b"mcp" in command_of(pid)[1:2]:
                    found = memory_has(pid, self.needles)
                    if found is not None:
                        self.searched[pid] = self.searched.get(pid, 0) + 1
                        self.found |= found
            time.sleep(0.01)

    def __str__(self):
        held = ", ".join("no" if needle not in self.found else "yes" for needle in self.needles)
        return f"API key and grant: {held}; searched: {self.searched}"

    def end(self):
        self.stop.set()
        self.join()
