"""processes.py: what /proc says of the processes that a test started."""
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
