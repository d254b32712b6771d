"""processes.py: what /proc, and they themselves, say of the processes that a test started."""
import urllib.request
from pathlib import Path


def is_running(pid):
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def child_of(pid, role):
    """The child of `pid` that was started as `attorn ROLE`, or None."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(") ", 1)[1].split()
            words = (path.parent / "cmdline").read_text().split("\0")
        except OSError:
            continue
        if int(fields[1]) == pid and role in words:
            return int(path.parent.name)
    return None


def resident_mib(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0


def metric(url, name):
    """One figure of a process's /metrics."""
    text = urllib.request.urlopen(url + "/metrics", timeout=5).read().decode()
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"attorn_{name} "))
