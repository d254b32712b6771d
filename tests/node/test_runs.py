"""`attorn run` and attack A14 of spiffe.md 22: identity born with a process. Needs root: the node makes cgroups and
agents run as users of their own."""
import json
import os
import shutil
import signal
import subprocess
import time

import pytest
from node_world import ATTORN, BUILD, World
from stand_in import TD

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: users, cgroups")
USER, OTHER = 61001, 61002
AGENT = f"spiffe://{TD}/agent/scout"
MACHINE = str(BUILD / "tests" / "machine")


def user(uid=USER):
    return {"user": uid, "group": uid, "extra_groups": []}


@pytest.fixture(scope="module", params=["oldest", "newest"])
def world(request):
    w = World(*(["--oldest-kernel"] if request.param == "oldest" else [])).start()
    w.attorn = str(w.root / "attorn")  # where every user may run it
    shutil.copy(ATTORN, w.attorn)
    w.machine = str(w.root / "machine")
    shutil.copy(MACHINE, w.machine)
    w.authority.entry("one", f"unix:uid:{USER}", agent=AGENT, runner={"selectors": [f"unix:path:{w.attorn}", f"unix:uid:{USER}"]})
    w.authority.entry("tree", f"unix:uid:{USER}", agent=f"spiffe://{TD}/agent/grove", scope="tree",
                      runner={"selectors": [f"unix:uid:{USER}"]})
    w.authority.entry("plain", f"unix:uid:{OTHER}", spiffe_id=f"spiffe://{TD}/plain")
    time.sleep(0.2)
    yield w
    w.close()


def run(w, *command, name="scout", uid=USER, **more):
    return subprocess.run([w.attorn, "run", "--dir", str(w.root), "--as", name, "--", *command], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=30, cwd="/", **user(uid), **more)


def start(w, *command, name="scout", uid=USER):
    return subprocess.Popen([w.attorn, "run", "--dir", str(w.root), "--as", name, "--", *command], stdout=subprocess.PIPE,
                            stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/", **user(uid))


def last_run(w):
    return list(w.authority.runs)[-1]


def over(w, run_id, seconds=5):
    w.wait(lambda: run_id in w.authority.over, seconds)


def test_agent_gets_its_identity_and_it_ends_with_it(world):
    p = run(world, world.machine, "honest", world.socket)
    assert p.stdout == "key\n", p.stderr
    assert f"{AGENT}/i/{last_run(world)}" in p.stderr
    print("  " + p.stderr.strip().split(";", 1)[1], end="")
    over(world, last_run(world))


def test_exit_status_and_signals_pass_through(world):
    assert run(world, "sh", "-c", "exit 7").returncode == 7
    assert run(world, "sh", "-c", "kill -TERM $$").returncode == 128 + signal.SIGTERM
    assert run(world, "/nothing/there").returncode == 127
    p = start(world, "sleep", "30")
    time.sleep(0.5)
    p.send_signal(signal.SIGTERM)
    assert p.wait(5) == 128 + signal.SIGTERM


def test_nothing_secret_comes_along(world):
    look = "env; ls -l /proc/self/fd | wc -l; grep -E 'NoNewPrivs|CapEff' /proc/self/status; tr '\\0' ' ' </proc/self/cmdline"
    p = run(world, "sh", "-c", look, env={**os.environ, "ATTORN_GRANT": "g", "ATTORN_AGENT_KEY": "/k", "ATTORN_PASSPHRASE_FILE": "/p"})
    assert "ATTORN_" not in p.stdout and f"SPIFFE_ENDPOINT_SOCKET=unix://{world.socket}" in p.stdout
    assert "NoNewPrivs:\t1" in p.stdout


def test_attorns_files_are_closed_to_it(world):
    """Modes would do it for another uid; Landlock does it for the same one, as in developer mode."""
    secret = world.root / "keys" / "secret"
    os.chmod(world.root / "keys", 0o755)
    os.chmod(secret, 0o644)
    p = run(world, "cat", str(secret))
    if "Landlock in this kernel" in p.stderr or "no Landlock" in p.stderr:
        pytest.skip("no Landlock in this kernel")
    assert p.returncode != 0 and "private" not in p.stdout and "ermission denied" in p.stderr
    assert run(world, "cat", str(world.root / "attorn.yaml")).returncode == 0
    os.chmod(world.root / "keys", 0o700)


def test_runner_rules(world):
    """Another uid, another program and an unknown name are refused, and the child never runs."""
    for uid, name in ((OTHER, "scout"), (USER, "nobody"), (USER, "a")):
        p = run(world, "sh", "-c", "echo ran", name=name, uid=uid)
        assert p.returncode == 1 and p.stdout == "" and "refuses" in p.stderr, p.stderr
    copy = str(world.root / "copy")
    shutil.copy(world.attorn, copy)
    p = subprocess.run([copy, "run", "--dir", str(world.root), "--as", "scout", "--", "echo", "ran"], capture_output=True, text=True,
                       cwd="/", **user())
    assert p.returncode == 1 and p.stdout == ""


def test_a14_scope_process_is_the_leader_alone(world):
    """A child of the agent is nobody; so is a process of the same user outside."""
    p = run(world, "sh", "-c", f"{world.machine} honest {world.socket}; exit 0")
    assert p.stdout == "denied\n"
    q = subprocess.run([world.machine, "honest", world.socket], capture_output=True, text=True, **user())
    assert q.stdout == "denied\n"


def test_a14_scope_tree_is_its_cgroup_while_the_leader_lives(world):
    script = (f"{world.machine} honest {world.socket}; "
              f"(sleep 1.5; exec {world.machine} honest {world.socket}) & sleep 0.5")
    p = start(world, "sh", "-c", script, name="grove")
    out, err = p.communicate(timeout=20)
    assert out.split() == ["key", "denied"], err  # the descendant was one of it; after the leader's end it is not
    assert "in a cgroup of its own" in err


def test_a14_moving_itself_into_the_cgroup(world):
    p = start(world, "sleep", "20", name="grove")
    world.wait(lambda: world.authority.runs and last_run(world) in world.text().split("run=")[-1])
    run_id = last_run(world)
    roots = "/sys/fs/cgroup/unified", "/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/pids"
    world.wait(lambda: any(os.path.exists(f"{r}/attorn/run-{run_id}") for r in roots))
    place = next(r for r in roots if os.path.exists(f"{r}/attorn/run-{run_id}"))
    procs = f"{place}/attorn/run-{run_id}/cgroup.procs"
    q = subprocess.run(["sh", "-c", f"echo $$ > {procs} && echo moved; exec {world.machine} honest {world.socket}"], capture_output=True,
                       text=True, **user())
    assert "moved" not in q.stdout and q.stdout.split()[-1] == "denied"
    # root may move anybody there: then it is in the tree, which is root's word
    p.terminate()
    p.wait()
    over(world, run_id)
    world.wait(lambda: not os.path.exists(os.path.dirname(procs)))


BY_HAND = r"""
import json, os, socket, sys, time
mode, control, who = sys.argv[1:4]
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(control)
def ask(fds=(), **doc):
    socket.send_fds(s, [json.dumps(doc).encode()], list(fds)) if fds else s.send(json.dumps(doc).encode())
    return json.loads(s.recv(16384) or b'{"error":"closed"}')
nonce = ask(op="hello")["nonce"]
more = []
def child(exits=False):
    pid = os.fork()
    if pid == 0:
        time.sleep(0 if exits else 30)
        os._exit(0)
    return pid
if mode == "honest":
    pid = child()
    fds = [os.pidfd_open(pid)]
elif mode == "nonce":
    pid = child(); fds = [os.pidfd_open(pid)]; nonce = "00" * 8
elif mode == "none":
    pid = 0; fds = []
elif mode == "self":
    pid = 0; fds = [os.pidfd_open(os.getpid())]
elif mode == "parent":
    pid = 0; fds = [os.pidfd_open(os.getppid())]
elif mode == "grandchild":
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        g = child()
        os.write(w, str(g).encode()); time.sleep(30); os._exit(0)
    g = int(os.read(r, 32)); fds = [os.pidfd_open(g)]; more = [g]
elif mode == "execed":
    pid = os.spawnv(os.P_NOWAIT, "/bin/sleep", ["sleep", "30"]); time.sleep(0.3); fds = [os.pidfd_open(pid)]
elif mode == "dead":
    pid = child(exits=True); fds = [os.pidfd_open(pid)]; time.sleep(0.2)
elif mode == "file":
    pid = 0; fds = [os.open("/dev/null", os.O_RDONLY)]
elif mode == "two":
    pid = child(); fds = [os.pidfd_open(pid)] * 2
elif mode == "relayed":  # a child of the runner speaks for it
    pid = child(); fds = [os.pidfd_open(pid)]
    r, w = os.pipe()
    if os.fork() == 0:
        try:
            os.write(w, json.dumps(ask(fds, op="run", nonce=nonce, **{"as": who})).encode())
        except OSError:
            os.write(w, b'{"error":"closed"}')
        os._exit(0)
    print(os.read(r, 65536).decode()); os.kill(pid, 9); sys.exit()
try:
    print(json.dumps(ask(fds, op="run", nonce=nonce, **{"as": who})))
except OSError:
    print('{"error":"closed"}')
for p in [pid, *more]:
    if p: os.kill(p, 9)
"""


def by_hand(w, mode, uid=USER):
    p = subprocess.run(["/usr/bin/python3", "-c", BY_HAND, mode, str(w.root / "run" / "control.sock"), "grove"], capture_output=True,
                       text=True, timeout=20, cwd="/", **user(uid))
    return json.loads(p.stdout or '{"error":"' + p.stderr.strip().split("\n")[-1].replace('"', "'") + '"}')


def test_a_runner_by_hand_is_accepted(world):
    assert by_hand(world, "honest")["spiffe_id"].startswith(f"spiffe://{TD}/agent/grove/i/")
    over(world, last_run(world))


@pytest.mark.parametrize("mode", ["nonce", "none", "self", "parent", "grandchild", "execed", "dead", "file", "two", "relayed"])
def test_a14_runner_lies(world, mode):
    before = len(world.authority.runs)
    answer = by_hand(world, mode)
    assert "error" in answer and "spiffe_id" not in answer, answer
    assert len(world.authority.runs) == before


def test_run_withdrawn_by_the_authority(world):
    p = start(world, world.machine, "stays", world.socket)
    assert p.stdout.readline() == "key\n", p.stderr.read()
    with world.authority.lock:
        world.authority.tell({"kind": "run_over", "seq": 0, "run": last_run(world)})
    over(world, last_run(world))
    p.stdin.close()
    p.wait()


def test_inside_a_run_no_run_begins(world):
    p = run(world, world.attorn, "run", "--dir", str(world.root), "--as", "grove", "--", "echo", "ran", name="grove")
    assert p.returncode == 1 and "ran" not in p.stdout


def test_a_run_has_no_other_identity(world):
    """An entry that matches its user as well is not asked for, and not given."""
    name = world.authority.entry("user", f"unix:uid:{USER}", spiffe_id=f"spiffe://{TD}/user")
    time.sleep(0.1)
    assert run(world, world.machine, "honest", world.socket).stdout == "key\n"
    keys = {item["key"] for body in world.authority.asked("/internal/v1/svid") for item in body["items"]}
    world.authority.remove(name)
    assert f"{AGENT}#one" in keys and name not in keys
