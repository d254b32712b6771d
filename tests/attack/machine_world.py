"""What the attacks from inside one machine share: the two programs, their users, the server."""
import os
import pathlib
import platform
import shutil
import subprocess
import tempfile
import time

import pytest

ROOT = pathlib.Path(os.environ.get("ATTORN_ROOT", pathlib.Path(__file__).resolve().parents[2]))
BUILD = pathlib.Path(os.environ.get("ATTORN_BUILD", ROOT / "build")) / "tests"
USER, OTHER = 61001, 61002  # uids nobody has
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: several uids and namespaces")
PATHS = ["oldest", "newest"]


def as_user(uid):
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]


class Place:
    """A directory every user may reach, with the attacker's program, and the allowed one beside it."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="attorn-machine-", dir="/var/tmp"))
        os.chmod(self.dir, 0o755)
        self.evil = self.program("evil")
        self.allowed = self.program("allowed")
        self.socket = str(self.dir / "s")

    def program(self, name, mode=0o755):
        shutil.copy(BUILD / "machine", self.dir / name)
        os.chmod(self.dir / name, mode)
        return str(self.dir / name)

    def attack(self, *words, uid=USER, program=None, before=(), **more):
        """Runs to the end; the last line is the verdict."""
        p = subprocess.run([*before, *as_user(uid), program or self.evil, words[0], self.socket, *words[1:]],
                           stdout=subprocess.PIPE, text=True, timeout=30, stdin=subprocess.DEVNULL, **more)
        lines = p.stdout.strip().split("\n")
        assert not lines[-1].startswith("error"), p.stdout
        return lines

    def start(self, *words, uid=USER, program=None, before=()):
        return subprocess.Popen([*before, *as_user(uid), program or self.evil, words[0], self.socket, *words[1:]],
                                stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)

    def remove(self):
        shutil.rmtree(self.dir)


class Server:
    """peer_server; `events` are its lines so far."""

    def __init__(self, place, path, *selectors, env=None):
        if os.path.exists(place.socket):
            os.unlink(place.socket)
        self.log = place.dir / "log"
        with open(self.log, "w") as out:
            self.process = subprocess.Popen([str(BUILD / "peer_server"), place.socket, path, *selectors], stdout=out,
                                            env=dict(os.environ, **(env or {})))
        self.wait("up ")
        print(f"\n  kernel {platform.release()}: {self.events()[0].split('path=')[1]}", end="")

    def events(self):
        return self.log.read_text().split("\n")

    def wait(self, start, seconds=5):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = [e for e in self.events() if e.startswith(start)]
            if found:
                return found[-1]
            time.sleep(0.01)
        raise AssertionError(f"no line '{start}' in {self.events()}")

    def count(self, start):
        return len([e for e in self.events() if e.startswith(start)])

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self):
        self.process.kill()
        self.process.wait()
