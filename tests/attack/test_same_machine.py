"""A1 to A13 of spiffe.md 22 against the binding of a connection to a process (service/node/peer.c), each on the
path that kernel 6.1 has and on the one of the kernel that runs. Needs root: it makes users and namespaces.
A14 is about runs (test_runs.py), A10 needs the whole node (test_workload_api.py)."""
import hashlib
import os
import shutil
import signal
import subprocess
import time

import pytest
from machine_world import OTHER, PATHS, USER, Place, Server, needs_root

pytestmark = needs_root


@pytest.fixture
def place():
    p = Place()
    yield p
    p.remove()


@pytest.fixture(params=PATHS)
def path(request):
    return request.param


@pytest.fixture
def server(place, path):
    """Releases a key to the program `allowed` alone."""
    s = Server(place, path, f"unix:path:{place.allowed}")
    yield s
    s.stop()


@pytest.fixture
def uid_server(place, path):
    """Releases a key to the user alone, whatever runs."""
    s = Server(place, path, f"unix:uid:{USER}")
    yield s
    s.stop()


def test_honest_program_gets_its_key(place, server):
    assert place.attack("honest", program=place.allowed) == ["key"]
    assert place.attack("honest") == ["denied"]
    assert server.count("proved") == 2


def test_a1_child_speaks_on_for_a_parent_that_became_allowed(place, server):
    assert place.attack("a1", place.allowed)[-1] == "closed"
    assert server.wait("closed").endswith("why=stamp")


@pytest.mark.parametrize("child", ["answers", "listens"])
def test_a2_request_first_then_exec(place, server, child):
    verdict = place.attack("a2", place.allowed, child)[-1]
    assert verdict in ("closed", "denied") and server.count("key") == 0
    # a child that answers is another sender; one that only listens leaves the proof unanswered
    assert server.wait("closed").split("why=")[1] in (("stamp", "proof", "recheck") if child == "answers" else ("late", "proof"))


def test_a3_descriptor_outlives_the_attested_process(place, server):
    lines = place.attack("a3", program=place.allowed)
    assert lines[0] == "first key" and lines[-1] == "closed"
    took = int(lines[1].split()[1])
    print(f"  closed {took / 1000:.2f} ms after the exit", end="")
    assert took < 1_000_000  # the figure is what counts (goal: 5 ms); timing decides no test


def test_a4_number_recycled_between_connect_and_accept(place, server):
    server.process.send_signal(signal.SIGSTOP)
    time.sleep(0.05)
    old = place.start("a4")
    pid = int(old.stdout.readline().split()[1])
    for _ in range(200):  # setpriv execs, so Popen's child is the one that connected; reap it to free the number
        if old.poll() is not None:
            break
        time.sleep(0.01)
    assert not os.path.exists(f"/proc/{pid}")
    victim = subprocess.Popen([place.evil, "as_pid", place.socket, str(pid), place.allowed, str(USER)],
                              stdout=subprocess.PIPE, text=True)
    assert victim.stdout.readline() == f"runs {pid}\n"
    server.process.send_signal(signal.SIGCONT)
    time.sleep(0.2)
    old.stdin.write("g")
    old.stdin.close()
    verdict = old.stdout.read().strip()
    victim.kill()
    victim.wait()
    os.kill(pid, signal.SIGKILL)
    assert verdict == "closed" and server.count("key") == 0
    if "6.1 path" in server.events()[0]:
        assert server.wait("accepted").endswith(place.allowed)  # the guess was the victim ...
        assert server.wait("closed").endswith("why=stamp")  # ... and the proof shows that it was not the peer
    else:
        assert server.wait("refused at accept")


def test_a5_exec_of_a_setuid_program(place, uid_server):
    suid = place.program("suid")
    os.chown(suid, OTHER, OTHER)
    os.chmod(suid, 0o4755)
    assert place.attack("a5", suid)[-2:] == [f"uids {USER} {OTHER}", "closed"]
    # and one that connects only then is between two identities
    assert place.attack("honest", program=suid)[-1] == "closed"
    assert uid_server.count("key") == 0 and uid_server.count("refused at accept") == 1


def test_a5_into_a_setuid_program(place, path):
    """The user whose key it is owns a setuid program that another runs."""
    s = Server(place, path, f"unix:uid:{OTHER}")
    suid = place.program("suid")
    os.chown(suid, OTHER, OTHER)
    os.chmod(suid, 0o4755)
    assert place.attack("a5", suid)[-1] == "closed"
    assert place.attack("honest", program=suid)[-1] == "closed"
    assert s.count("key") == 0
    s.stop()


def test_a6_connection_passed_to_another_process(place, uid_server):
    assert place.attack("a6")[-1] == "closed"
    assert uid_server.wait("closed").endswith("why=stamp")


@pytest.mark.parametrize("kind", ["user", "pid", "pidonly"])
def test_a9_other_namespaces_have_no_unix_selectors(place, uid_server, kind):
    if kind == "pidonly":  # made by root, as a container runtime does
        p = subprocess.run([place.evil, "a9", place.socket, kind], stdout=subprocess.PIPE, text=True, timeout=30)
        assert p.stdout.split()[-1] == "denied"
    else:
        assert place.attack("a9", kind)[-1] == "denied"
    assert uid_server.count("selector") == 0


def test_a11_forged_stamps_in_nested_namespaces(place, server):
    verdict = place.attack("a11", place.allowed)[-1]
    assert verdict in ("denied", "closed") and server.count("key") == 0 and server.count("selector") == 0


def test_a12_descriptors_are_dropped(place, uid_server):
    before = uid_server.descriptors()
    for _ in range(20):
        assert place.attack("a12")[-1] == "closed"
    assert uid_server.wait("closed").endswith("why=control")
    assert uid_server.descriptors() == before


def settle():
    time.sleep(3.1)  # a digest is remembered only of a file at rest


def test_a13_executable_changed_in_place(place, path):
    good = hashlib.sha256(open(place.allowed, "rb").read()).hexdigest()
    s = Server(place, path, f"unix:sha256:{good}")
    settle()
    assert place.attack("honest", program=place.allowed)[-1] == "key"
    assert place.attack("honest", program=place.allowed)[-1] == "key"
    assert s.wait("key").endswith("hashed=1 remembered=1")
    times = os.stat(place.allowed)
    with open(place.allowed, "r+b") as f:  # the same inode, size and mtime
        f.seek(-1, 2)
        last = f.read(1)
        f.seek(-1, 2)
        f.write(bytes([last[0] ^ 1]))
    os.utime(place.allowed, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert place.attack("honest", program=place.allowed)[-1] == "denied"
    s.stop()


def test_a13_changed_while_it_runs(place, path):
    """Replaced on disk after it was attested: facts are read again before every answer."""
    s = Server(place, path, f"unix:path:{place.allowed}")
    running = place.start("stays", program=place.allowed)
    assert running.stdout.readline() == "key\n"
    os.rename(place.evil, place.allowed)
    assert place.attack("honest", program=place.allowed)[-1] == "key"  # the path's file now is this one
    running.stdin.close()
    running.wait()
    s.stop()


def test_path_of_another_mount_namespace(place, server):
    """Beyond the catalogue: started through /proc/N/root, a process keeps our namespaces and shows a path that
    leads to another file here."""
    assert place.attack("a15", place.allowed, place.evil)[-1] == "denied"
    assert server.wait("accepted").endswith("exe=-")


def test_program_in_memory_under_an_allowed_name(place, server):
    assert place.attack("memfd", place.allowed)[-1] == "denied"
    assert server.wait("accepted").endswith("exe=-")


def test_deleted_program_has_no_path(place, server):
    shutil.copy(place.allowed, place.dir / "copy")
    running = place.start("stays", program=place.allowed)
    assert running.stdout.readline() == "key\n"
    os.unlink(place.allowed)
    os.rename(place.dir / "copy", place.allowed)  # another file under the name
    running.stdin.close()
    running.wait()
    assert place.attack("honest", program=place.allowed)[-1] == "key"


# --- A7 and A8: containers ----------------------------------------------------------------------------------

class Runtime:
    """A docker socket that knows every id and calls `pid` its first process."""

    def __init__(self, place, pid):
        self.path = str(place.dir / "docker.sock")
        code = (
            "import http.server, json, socketserver, sys\n"
            "class H(http.server.BaseHTTPRequestHandler):\n"
            "    def address_string(self): return ''\n"
            "    def log_message(self, *a): pass\n"
            "    def do_GET(self):\n"
            "        body = json.dumps({'Id': self.path.split('/')[2], 'Image': 'sha256:' + 'ab' * 32, 'State': {'Running': True,\n"
            "            'Pid': int(sys.argv[2])}, 'Config': {'Labels': {'app': 'web'}, 'Env': ['A=b'], 'Image': 'web:1'}}).encode()\n"
            "        self.send_response(200); self.send_header('Content-Length', str(len(body))); self.end_headers()\n"
            "        self.wfile.write(body)\n"
            "class S(socketserver.ThreadingMixIn, socketserver.UnixStreamServer): daemon_threads = True\n"
            "S(sys.argv[1], H).serve_forever()\n")
        self.process = subprocess.Popen(["python3", "-c", code, self.path, str(pid)])
        while not os.path.exists(self.path):
            time.sleep(0.02)

    def stop(self):
        self.process.kill()
        self.process.wait()


UNIFIED = next((p for p in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup") if os.path.exists(p + "/cgroup.procs")), None)
ID = "0123456789abcdef" * 4


@pytest.fixture
def cgroups():
    """Makes cgroups of the unified tree; all go at the end."""
    made = []

    def make(path, uid=0):
        full = UNIFIED + path
        parts = path.strip("/").split("/")
        for i in range(1, len(parts) + 1):
            p = UNIFIED + "/" + "/".join(parts[:i])
            if not os.path.exists(p):
                os.mkdir(p)
                made.append(p)
        os.chown(full, uid, uid)
        os.chown(full + "/cgroup.procs", uid, uid)
        return full
    yield make
    for p in reversed(made):
        for _ in range(100):
            try:
                os.rmdir(p)
                break
            except OSError:
                time.sleep(0.02)


def inside(cgroup):
    """A shell that joins before it becomes its arguments."""
    return ["sh", "-c", f'echo $$ > {cgroup}/cgroup.procs; exec "$@"', "sh"]


@pytest.fixture
def container(place, path, cgroups):
    """A real one's cgroup, a first process in it, its runtime, and a server that wants its label."""
    if not UNIFIED:
        pytest.skip("no cgroup2 here")
    group = cgroups(f"/docker/{ID}")
    init = subprocess.Popen([*inside(group), "sleep", "60"])
    time.sleep(0.1)
    runtime = Runtime(place, init.pid)
    s = Server(place, path, "docker:label:app:web", env={"DOCKER_SOCKET": runtime.path})
    s.group = group
    yield s
    s.stop()
    init.kill()
    init.wait()
    runtime.stop()


def test_process_of_a_container_is_known_by_its_cgroup(place, container):
    assert place.attack("honest", before=inside(container.group))[-1] == "key"
    said = set(container.events())
    assert {f"selector docker:container_id:{ID}", "selector docker:env:A=b", "selector docker:image_id:web:1"} <= said
    assert place.attack("honest")[-1] == "denied"


@pytest.mark.parametrize("where", ["/attorn-test/docker-%s.scope", "/attorn-test/docker/%s", "/docker/x%s", "/docker/%s0"])
def test_a7_forged_name_in_a_delegated_cgroup(place, container, cgroups, where):
    group = cgroups(where % ID, USER)
    assert place.attack("honest", before=inside(group))[-1] == "denied"
    assert container.count("selector docker") == 0


def test_a7_right_place_wrong_owner(place, container, cgroups):
    """A slice that is not root's: whoever owns it may have made the name."""
    group = cgroups(f"/system.slice/docker-{ID}.scope")
    os.chown(UNIFIED + "/system.slice", USER, USER)
    try:
        assert place.attack("honest", before=inside(group))[-1] == "denied"
    finally:
        os.chown(UNIFIED + "/system.slice", 0, 0)
    assert container.count("selector docker") == 0


def test_a7_runtime_reports_another_process(place, container, cgroups):
    """The name stands at the right place, but the container of that id runs elsewhere: the family is unknown."""
    group = cgroups("/docker/" + "f" * 64)
    assert place.attack("honest", before=inside(group))[-1] == "denied"
    assert "unknown=32" in container.wait("denied")


def test_a8_foreign_cgroup_mounted_over_ones_own(place, container):
    """What a process mounts in a namespace of its own is not what the kernel says about it."""
    script = f"mount --bind /proc/1/cgroup /proc/self/cgroup 2>/dev/null; mount --bind {container.group} {UNIFIED}/docker 2>/dev/null; exec \"$@\""
    lines = place.attack("honest", before=["unshare", "--mount", "sh", "-c", script, "sh"])
    assert lines[-1] == "denied" and container.count("selector docker") == 0
