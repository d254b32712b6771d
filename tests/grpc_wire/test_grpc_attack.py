"""Peers that mean harm: floods, hoards, foreign hands on a connection. The server lives, others are served, and in the
end every count is back at zero (L13); Server.close checks the program's own accounts."""
import array
import os
import socket
import struct
import threading
import time

import grpc
import pytest

from grpc_world import (ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, HEADER, HEADERS, PING, PREFACE,
                        PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, Raw, Server, frame, hpack, message, request, settle,
                        status_of)

BUNDLES = "/SpiffeWorkloadAPI/FetchX509Bundles"
JWT = "/SpiffeWorkloadAPI/FetchJWTSVID"
TOKEN = message(b"\x0a\x01x")


@pytest.fixture
def server():
    s = Server()
    yield s
    settle(s, connections_now=0, streams_now=0, in_bytes_now=0, out_bytes_now=0, conns=0)
    s.close()


def serves(server):
    """Somebody else is served as if nothing were."""
    start = time.monotonic()
    raw = Raw(server.path)
    one = raw.open(JWT, body=TOKEN)
    assert status_of(raw, one) == ("200", "0")
    raw.close()
    assert time.monotonic() - start < 1


class Reader(threading.Thread):
    """Reads a connection to its end beside the test that writes it."""

    def __init__(self, raw):
        super().__init__()
        self.raw, self.code = raw, None
        self.start()

    def run(self):
        self.code = self.raw.ended()

    def goaway(self):
        self.join(10)
        assert not self.is_alive()
        return self.code


# ---- floods ------------------------------------------------------------------------------------------

def flood(server, piece, times, reads=True):
    raw = Raw(server.path)
    reader = Reader(raw) if reads else None
    sent = 0
    while sent < times and raw.send(piece * 50):
        sent += 50
    code = reader.goaway() if reads else raw.ended()
    raw.close()
    serves(server)
    settle(server, connections_now=0)
    return code


@pytest.mark.parametrize("piece", [
    frame(PING, 0, 0, b"01234567"),
    frame(SETTINGS, 0, 0, struct.pack(">HI", 3, 100)),
    frame(PRIORITY, 0, 1, struct.pack(">IB", 0, 1)),
    frame(RST_STREAM, 0, 1, struct.pack(">I", 8)),
], ids=["10k pings", "10k settings", "10k priorities", "10k resets of an idle stream"])
def test_frames_nobody_needs(server, piece):
    assert flood(server, piece, 10000) in (ENHANCE_YOUR_CALM, 1)
    assert server.counts()["bad_peers"] == 1


def test_pings_of_a_peer_that_does_not_read(server):
    raw = Raw(server.path)
    raw.socket.settimeout(3)
    try:
        while raw.send(frame(PING, 0, 0, b"01234567") * 1000):
            pass
    except TimeoutError:
        pass
    assert server.counts()["out_bytes_now"] < 200 << 10
    serves(server)
    raw.close()


def test_ordinary_keepalive_is_not_punished(server):
    raw = Raw(server.path)
    for i in range(200):
        raw.send(frame(PING, 0, 0, struct.pack(">Q", i)))
        assert raw.until(PING)[3] == struct.pack(">Q", i)
    one = raw.open(JWT, body=TOKEN)
    assert status_of(raw, one) == ("200", "0")
    raw.close()


def test_rapid_reset(server):
    raw = Raw(server.path)
    reader = Reader(raw)
    for i in range(10000):
        head = request(BUNDLES, HEADER)
        if not raw.send(frame(HEADERS, END_HEADERS, 2 * i + 1, head) + frame(RST_STREAM, 0, 2 * i + 1, struct.pack(">I", 8))):
            break
    assert reader.goaway() == ENHANCE_YOUR_CALM
    assert i < 2000
    raw.close()
    serves(server)


def test_resets_that_we_are_made_to_send(server):
    """Malformed requests: each costs us a RST_STREAM; a peer that does not read is not read from."""
    raw = Raw(server.path)
    raw.socket.settimeout(2)
    try:
        for i in range(50000):
            if not raw.send(frame(HEADERS, END_HEADERS | END_STREAM, 2 * i + 1, hpack((":path", "x")))):
                break
    except TimeoutError:
        pass
    assert server.counts()["streams_now"] <= 100
    serves(server)
    raw.close()


def test_continuation_flood(server):
    raw = Raw(server.path)
    reader = Reader(raw)
    sent = raw.send(frame(HEADERS, 0, 1, request(BUNDLES, HEADER)))
    for i in range(10000):
        sent = raw.send(frame(CONTINUATION, 0, 1, hpack(("x", "y" * 1000))))
        if not sent:
            break
    assert not sent and i < 1000
    assert reader.goaway() is not None
    raw.close()
    serves(server)


def test_empty_data_flood(server):
    raw = Raw(server.path)
    reader = Reader(raw)
    one = raw.open(JWT, body=b"", end=False)
    for _ in range(1000):
        if not raw.send(frame(DATA, 0, one) * 100):
            break
    assert reader.goaway() == ENHANCE_YOUR_CALM
    raw.close()
    serves(server)


def test_header_list_without_end(server):
    """HPACK turns one byte into a kilobyte: what it unfolds to is counted, not what came."""
    raw = Raw(server.path)
    big = b"\x40" + b"\x01x" + b"\x7f\xe1\x06" + b"y" * 992  # into the dynamic table
    raw.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, request(JWT, HEADER) + big + b"\xbe" * 3000))
    assert raw.ended() == ENHANCE_YOUR_CALM
    raw.close()
    serves(server)


def test_what_is_not_http2(server):
    for junk in [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01" + b"\0" * 200, os.urandom(4096), PREFACE[:-1] + b"x" * 100]:
        raw = Raw(server.path, hello=False)
        raw.send(junk)
        raw.ended()
        raw.close()
    serves(server)


# ---- hoards ------------------------------------------------------------------------------------------

def test_more_streams_than_allowed(server):
    raw = Raw(server.path)
    ids = [raw.open(BUNDLES) for _ in range(150)]
    refused = [raw.until(RST_STREAM)[2] for _ in range(50)]
    assert refused == ids[100:]
    assert server.counts()["streams_now"] == 100
    raw.close()


def test_unfinished_requests_share_a_bound(server):
    """Five streams with 64 KiB each would be 320 KiB of one connection: the bound is 256."""
    raw = Raw(server.path)
    ids = [raw.open(JWT, body=None) for _ in range(6)]
    for one in ids:
        for part in [struct.pack(">BI", 0, 65536), *[b"x" * 16000] * 4]:
            raw.send(frame(DATA, 0, one, part))
    refused = [raw.until(RST_STREAM)[2] for _ in range(2)]  # the fifth message does not fit, the sixth does not either
    assert set(refused) < set(ids)
    assert server.counts()["in_bytes_now"] <= 256 << 10
    serves(server)
    raw.close()


def test_slow_reader_gets_the_newest_state(server):
    """A window of 0 bytes: nothing leaves. What was in the way of version 999 is overwritten, not queued."""
    raw = Raw(server.path, window=0)
    one = raw.open("/SpiffeWorkloadAPI/FetchX509SVID")
    raw.send(frame(PING, ACK, 0, raw.until(PING)[3]))
    settle(server, out_bytes_now=54)
    for version in range(1000):
        server.order(f"push {version}")
    assert server.counts()["out_bytes_now"] < 200
    raw.send(frame(WINDOW_UPDATE, 0, one, struct.pack(">I", 65535)))
    got = raw.until(DATA)[3]
    assert got.count(b"spiffe://") == 1 and b"v999" in got
    server.order("end")
    end = raw.read()
    assert end[0] == HEADERS and end[1] & END_STREAM
    raw.close()


def test_what_was_withdrawn_does_not_leave(server):
    """The state waits behind a closed window; the end with PermissionDenied overtakes it."""
    raw = Raw(server.path, window=0)
    one = raw.open("/SpiffeWorkloadAPI/FetchX509SVID")
    raw.send(frame(PING, ACK, 0, raw.until(PING)[3]))
    settle(server, out_bytes_now=54)
    server.order("end")
    raw.send(frame(WINDOW_UPDATE, 0, one, struct.pack(">I", 65535)))
    seen = raw.read()
    while not (seen[0] == HEADERS and seen[1] & END_STREAM):
        assert seen[0] != DATA
        seen = raw.read()
    raw.close()


def test_peer_that_reads_nothing_at_all(server):
    """A window of 2 GiB and a socket nobody reads: what is held is the answers and one flush."""
    raw = Raw(server.path, window=2**31 - 1)
    raw.send(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 2**31 - 1 - 65535)))
    for _ in range(20):
        raw.open(JWT, body=message(b"\x0a\x0bbig:4000000"))
    time.sleep(0.5)
    assert server.counts()["out_bytes_now"] <= 20 * 4000100 + (128 << 10)
    serves(server)
    raw.close()


def test_silence_is_not_waited_for(server):
    """10 s for a preface, 10 s for a request's message; both at once here."""
    silent = Raw(server.path, hello=False)
    half = Raw(server.path)
    one = half.open(JWT, body=TOKEN[:-1], end=False)
    silent.socket.settimeout(15)
    half.socket.settimeout(15)
    start = time.monotonic()
    assert status_of(half, one) == ("200", "4")
    assert silent.ended() is None
    assert 8 < time.monotonic() - start < 13
    silent.close()
    half.close()


def test_one_uid_does_not_take_all_connections(server):
    held = [Raw(server.path) for _ in range(600)]
    counts = settle(server, connections_now=512, refused=88)
    assert counts["conns"] == 512
    for raw in held:
        raw.close()
    settle(server, connections_now=0)
    serves(server)


def test_l13_100k_opens_and_aborts(server):
    before = server.descriptors()
    a_connection = PREFACE + frame(SETTINGS, 0, 0)
    for i in range(100000):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.connect(server.path)
        if i % 4:
            s.send(a_connection[:(i * 7) % (len(a_connection) + 1)] or b"P")
        s.close()
    settle(server, connections_now=0, conns=0)
    assert server.descriptors() == before
    assert server.counts()["connections"] >= 99000  # the rest was never accepted
    serves(server)


def test_l13_100k_streams_opened_and_aborted(server):
    for _ in range(250):
        raw = Raw(server.path)
        for i in range(400):
            raw.send(frame(HEADERS, END_HEADERS, 2 * i + 1, request(BUNDLES, HEADER)) + frame(DATA, END_STREAM, 2 * i + 1, message()) +
                     frame(RST_STREAM, 0, 2 * i + 1, struct.pack(">I", 8)))
        raw.close()
    settle(server, connections_now=0, streams_now=0, in_bytes_now=0, out_bytes_now=0)
    assert server.counts()["streams"] > 90000
    serves(server)


# ---- foreign hands (A6, A12, and step 5) ---------------------------------------------------------------

def in_child(action):
    child = os.fork()
    if child == 0:
        try:
            action()
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def test_a6_bytes_of_a_child_close_the_connection(server):
    raw = Raw(server.path)
    assert raw.until(SETTINGS)
    in_child(lambda: raw.send(frame(PING, 0, 0, b"01234567")))
    assert raw.ended() is None
    settle(server, connections_now=0, bad_stamps=1)
    raw.close()


def test_a1_the_first_bytes_are_a_childs(server):
    raw = Raw(server.path, hello=False)
    in_child(lambda: raw.send(PREFACE + frame(SETTINGS, 0, 0)))
    assert raw.ended() is None
    settle(server, connections_now=0, bad_stamps=1)
    raw.close()


def test_a12_descriptors_are_dropped_and_cost_the_connection(server):
    raw = Raw(server.path)
    assert raw.until(SETTINGS)
    before = server.descriptors()
    with open("/dev/null") as f:
        raw.socket.sendmsg([frame(PING, 0, 0, b"01234567")],
                           [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [f.fileno()] * 3))])
    assert raw.ended() is None
    settle(server, connections_now=0, bad_stamps=1)
    assert server.descriptors() == before - 1
    raw.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="naming another sender needs CAP_SYS_ADMIN")
@pytest.mark.parametrize("stamp", [(1, 0, 0), (0, 12345, 0), (0, 0, 12345)], ids=["pid", "uid", "gid"])
def test_stamps_that_name_another(server, stamp):
    raw = Raw(server.path)
    assert raw.until(SETTINGS)
    pid, uid, gid = stamp
    raw.socket.sendmsg([frame(PING, 0, 0, b"01234567")],
                       [(socket.SOL_SOCKET, 2, struct.pack("iII", pid or os.getpid(), uid, gid))])  # SCM_CREDENTIALS
    assert raw.ended() is None
    settle(server, connections_now=0, bad_stamps=1)
    raw.close()


def test_the_proof_cannot_be_given_by_a_child(server):
    raw = Raw(server.path)
    raw.open("/SpiffeWorkloadAPI/FetchX509SVID")
    ping = raw.until(PING)
    in_child(lambda: raw.send(frame(PING, ACK, 0, ping[3])))
    assert raw.ended() is None
    settle(server, connections_now=0, proofs_good=0, proofs_bad=1)
    raw.close()


def test_stock_client_beside_all_of_it(server):
    """A good client's calls while another floods: none fails."""
    stop = threading.Event()

    def bad():
        while not stop.is_set():
            raw = Raw(server.path)
            while not stop.is_set() and raw.send(frame(PING, 0, 0, b"01234567") * 20):
                pass
            raw.close()
    thread = threading.Thread(target=bad)
    thread.start()
    with grpc.insecure_channel("unix://" + server.path) as channel:
        call = channel.unary_unary(JWT)
        for _ in range(300):
            assert call(b"\x0a\x01x", metadata=HEADER, timeout=5)
    stop.set()
    thread.join()
