"""E, X and J cases of spiffe.md 22 that need a node: stock gRPC against `attorn node`, both kernels' paths."""
import base64
import json
import queue
import threading
import time

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from node_world import HEADER, STREAMS, UID, UNARY
from stand_in import TD

ALL = [*STREAMS, *UNARY]


class Stream:
    """Messages of a stream as they come, with their time; its end as a code."""

    def __init__(self, client, rpc):
        self.call, self.q = client.call(rpc, timeout=60), queue.Queue()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        try:
            for m in self.call:
                self.q.put((time.monotonic(), m))
            self.q.put((time.monotonic(), grpc.StatusCode.OK))
        except grpc.RpcError as e:
            self.q.put((time.monotonic(), e.code()))

    def get(self, seconds=5):
        return self.q.get(timeout=seconds)[1]

    def until(self, ok, seconds=10):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            m = self.get(end - time.monotonic())
            if ok(m):
                return m
        raise AssertionError("no such message")


def told(world):
    """The entry just told has reached the node: before that, no identity is the right answer."""
    world.wait(lambda: world.client().code("FetchX509SVID") == grpc.StatusCode.OK)


@pytest.fixture
def me(world):
    """An entry for this very process, gone after the test."""
    name = world.authority.entry("me", f"unix:uid:{UID}", spiffe_id=f"spiffe://{TD}/me", hint="first")
    world.wait(lambda: world.client().code("FetchX509SVID") == grpc.StatusCode.OK)
    yield name
    if name in world.authority.entries:
        world.authority.remove(name)
    world.wait(lambda: world.client().code("FetchX509SVID") == grpc.StatusCode.PERMISSION_DENIED)


def test_e1_no_header(world):
    c = world.client()
    for rpc in ALL:
        assert c.code(rpc, metadata=()) == grpc.StatusCode.INVALID_ARGUMENT, rpc
    f = c.channel.unary_unary("/SpiffeWorkloadAPI/Nothing")
    with pytest.raises(grpc.RpcError) as e:
        f(b"", timeout=5)
    assert e.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(grpc.RpcError) as e:
        f(b"", timeout=5, metadata=HEADER)
    assert e.value.code() == grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("values", [["True"], ["TRUE"], ["true", "true"], ["true,true"], [""]])
def test_e2_header_not_exactly_true(world, values):
    metadata = tuple(("workload.spiffe.io", v) for v in values)
    assert world.client().code("FetchX509SVID", metadata=metadata) == grpc.StatusCode.INVALID_ARGUMENT


def test_w1_wit_is_not_there(world):
    c = world.client()
    assert c.code("FetchWITSVID") == grpc.StatusCode.UNIMPLEMENTED
    assert c.code("FetchWITBundles") == grpc.StatusCode.UNIMPLEMENTED


def test_x9_no_entry(world):
    for rpc in ("FetchX509SVID", "FetchX509Bundles", "FetchJWTBundles"):
        assert world.client().code(rpc) == grpc.StatusCode.PERMISSION_DENIED
    assert world.client().code("FetchJWTSVID", audience=["x"]) == grpc.StatusCode.PERMISSION_DENIED


def test_x1_to_x8_a_whole_svid(world, me):
    begun = time.monotonic()
    m = Stream(world.client(), "FetchX509SVID").get()
    print(f"  first message after {(time.monotonic() - begun) * 1000:.1f} ms", end="")
    (s,) = m.svids
    leaf = x509.load_der_x509_certificate(s.x509_svid)
    key = serialization.load_der_private_key(s.x509_svid_key, None)
    assert key.public_key().public_numbers() == leaf.public_key().public_numbers()
    san = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert san.critical and [n.value for n in san.value] == [s.spiffe_id] == [f"spiffe://{TD}/me"]
    root = x509.load_der_x509_certificate(s.bundle)
    leaf.verify_directly_issued_by(root)
    assert s.hint == "first" and not m.crl and not m.federated_bundles


def test_e3_two_streams_on_one_connection(world, me):
    c = world.client()
    a, b = Stream(c, "FetchX509SVID"), Stream(c, "FetchX509Bundles")
    assert a.get().svids and f"spiffe://{TD}" in b.get().bundles


def test_x14_bundles_hold_the_own_trust_domain(world, me):
    m = Stream(world.client(), "FetchX509Bundles").get()
    assert list(m.bundles) == [f"spiffe://{TD}"]
    x509.load_der_x509_certificate(m.bundles[f"spiffe://{TD}"])


def test_x12_entry_deleted_mid_stream(world, me):
    s = Stream(world.client(), "FetchX509SVID")
    s.get()
    begun = time.monotonic()
    world.authority.remove(me)
    assert s.get() == grpc.StatusCode.PERMISSION_DENIED
    print(f"  {(time.monotonic() - begun) * 1000:.1f} ms", end="")


def test_entry_created_reaches_an_open_stream(world, me):
    s = Stream(world.client(), "FetchX509SVID")
    assert len(s.get().svids) == 1
    begun = time.monotonic()
    name = world.authority.entry("second", f"unix:uid:{UID}", spiffe_id=f"spiffe://{TD}/second", hint="first", priority=5)
    m = s.get()
    print(f"  {(time.monotonic() - begun) * 1000:.1f} ms", end="")
    assert [v.spiffe_id for v in m.svids] == [f"spiffe://{TD}/second", f"spiffe://{TD}/me"]  # priority first
    assert [v.hint for v in m.svids] == ["first", ""]  # X8: the first keeps it
    world.authority.remove(name)
    assert [v.spiffe_id for v in s.get().svids] == [f"spiffe://{TD}/me"]


def test_x10_rotation_around_half_life(world):
    name = world.authority.entry("fast", f"unix:uid:{UID}", spiffe_id=f"spiffe://{TD}/fast", x509_ttl=6)
    told(world)
    s = Stream(world.client(), "FetchX509SVID")
    one = s.get()
    at = time.monotonic()
    two = s.get(8)
    took = time.monotonic() - at
    assert one.svids[0].x509_svid != two.svids[0].x509_svid and one.svids[0].x509_svid_key != two.svids[0].x509_svid_key
    assert 1.5 < took < 4.0  # 6 s from a whole second: half is 2.5 to 3, give or take a tenth
    world.authority.remove(name)
    assert s.until(lambda m: isinstance(m, grpc.StatusCode)) == grpc.StatusCode.PERMISSION_DENIED


def test_x13_both_roots_before_the_first_leaf_under_the_new_one(world, me):
    s = Stream(world.client(), "FetchX509SVID")
    s.get()
    world.authority.rotate()
    m = s.get()
    assert len(m.svids[0].bundle) > 700  # two certificates
    old = m.svids[0].x509_svid
    world.authority.rotate(taint=True)  # and every leaf is replaced at once
    assert s.until(lambda m: m.svids[0].x509_svid != old)
    world.authority.cas = world.authority.cas[:1]


def test_x11_federated_bundles(world, me):
    world.authority.federate("other.test")
    name = world.authority.entry("fed", f"unix:uid:{UID}", spiffe_id=f"spiffe://{TD}/fed", federates_with=["other.test"])
    s = Stream(world.client(), "FetchX509SVID")
    m = s.until(lambda m: m.federated_bundles)
    assert list(m.federated_bundles) == ["spiffe://other.test"]
    b = Stream(world.client(), "FetchX509Bundles").get()
    assert set(b.bundles) == {f"spiffe://{TD}", "spiffe://other.test"}
    world.authority.unfederate("other.test")
    assert not s.until(lambda m: not m.federated_bundles).federated_bundles
    world.authority.remove(name)


def test_template_and_entry_of_another_user(world):
    world.authority.entry("them", f"unix:uid:{UID + 1}", spiffe_id=f"spiffe://{TD}/them")
    name = world.authority.entry("each", f"unix:uid:{UID}", spiffe_id=f"spiffe://{TD}/u/{{unix.uid}}")
    told(world)
    m = Stream(world.client(), "FetchX509SVID").get()
    assert [v.spiffe_id for v in m.svids] == [f"spiffe://{TD}/u/{UID}"]
    world.authority.remove(name)


def test_unknown_family_is_unavailable_not_smaller(world, me):
    """No systemd answers here, or it knows no such unit: then an entry that asks for one makes the answer unknown
    only where it might match."""
    c = world.client()
    name = world.authority.entry("else", f"unix:uid:{UID + 1}", "systemd:id:nothing.service", spiffe_id=f"spiffe://{TD}/x")
    time.sleep(0.1)
    assert c.code("FetchX509SVID") == grpc.StatusCode.OK
    world.authority.remove(name)
    name = world.authority.entry("unit", f"unix:uid:{UID}", "systemd:id:nothing.service", spiffe_id=f"spiffe://{TD}/x")
    time.sleep(0.1)
    assert c.code("FetchX509SVID") == grpc.StatusCode.UNAVAILABLE
    world.authority.remove(name)
    world.wait(lambda: c.code("FetchX509SVID") == grpc.StatusCode.OK)


def test_authority_away_is_unavailable_then_comes(world):
    world.authority.away = True
    name = world.authority.entry("late", f"unix:uid:{UID}", spiffe_id=f"spiffe://{TD}/late")
    time.sleep(0.1)
    assert world.client().code("FetchX509SVID") == grpc.StatusCode.UNAVAILABLE
    world.authority.away = False
    world.wait(lambda: world.client().code("FetchX509SVID") == grpc.StatusCode.OK, 10)
    world.authority.remove(name)


# --- JWT ---------------------------------------------------------------------------------------------------

def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_j1_j2_bad_requests(world, me):
    c = world.client()
    assert c.code("FetchJWTSVID") == grpc.StatusCode.INVALID_ARGUMENT
    assert c.code("FetchJWTSVID", audience=[""]) == grpc.StatusCode.INVALID_ARGUMENT
    assert c.code("FetchJWTSVID", audience=["a"], spiffe_id=f"spiffe://{TD}/other") == grpc.StatusCode.PERMISSION_DENIED
    for bad in ("other", "spiffe://", f"spiffe://{TD}", f"spiffe://{TD}/a//b", f"SPIFFE://{TD}/a", f"spiffe://{TD}/%41"):
        assert c.code("FetchJWTSVID", audience=["a"], spiffe_id=bad) == grpc.StatusCode.INVALID_ARGUMENT, bad


def test_j3_j4_j5_a_token(world, me):
    m = world.client().call("FetchJWTSVID", audience=["one", "two"], spiffe_id=f"spiffe://{TD}/me")
    (s,) = m.svids
    assert s.spiffe_id == f"spiffe://{TD}/me" and s.hint == "first"
    assert claims(s.svid)["aud"] == ["one", "two"] and claims(s.svid)["exp"] - time.time() <= 300
    head = s.svid.split(".")[0]
    assert set(json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))) <= {"alg", "kid", "typ"}


def test_j6_jwt_bundle(world, me):
    m = Stream(world.client(), "FetchJWTBundles").get()
    keys = json.loads(m.bundles[f"spiffe://{TD}"])["keys"]
    assert [k["kid"] for k in keys] == [world.authority.kid] and all("use" not in k for k in keys)


def test_j9_audience_lists_never_share_a_token(world, me):
    c = world.client()
    lists = [["ab", "cd"], ["a", "bcd"], ["abcd"], ["cd", "ab"], ["1:a"], ["ab", "cd"]]
    got = [c.call("FetchJWTSVID", audience=a).svids[0].svid for a in lists]
    assert [claims(t)["aud"] for t in got] == lists and got[0] == got[-1] and len(set(got)) == len(lists) - 1


def test_jti_bypasses_the_cache(world):
    name = world.authority.entry("jti", f"unix:uid:{UID}", spiffe_id=f"spiffe://{TD}/jti", jwt_jti=True)
    world.wait(lambda: world.client().code("FetchX509SVID") == grpc.StatusCode.OK)
    c = world.client()
    got = {c.call("FetchJWTSVID", audience=["a"]).svids[0].svid for _ in range(3)}
    assert len(got) == 3
    world.authority.remove(name)


def test_j7_j8_validate(world, me):
    c, a = world.client(), world.authority
    now = int(time.time())
    good = {"sub": f"spiffe://{TD}/x", "aud": ["me"], "exp": now + 60, "iat": now, "deep": {"list": [1, "two", None, True, {"a": 1.5}]}}
    m = c.call("ValidateJWTSVID", audience="me", svid=a.token(good))
    assert m.spiffe_id == good["sub"]
    from google.protobuf import json_format
    assert json_format.MessageToDict(m.claims) == good
    bad = [dict(good, aud=["you"]), dict(good, exp=now - 60), {k: v for k, v in good.items() if k != "exp"},
           {k: v for k, v in good.items() if k != "aud"}, {k: v for k, v in good.items() if k != "sub"},
           dict(good, sub="spiffe://stranger.test/x")]
    for claim in bad:
        assert c.code("ValidateJWTSVID", audience="me", svid=a.token(claim)) == grpc.StatusCode.INVALID_ARGUMENT, claim
    for head in ({"alg": "none"}, {"alg": "HS256"}, {"alg": "EdDSA"}, {"typ": "at+jwt"}, {"kid": "other"}, {"crit": ["x"]}):
        assert c.code("ValidateJWTSVID", audience="me", svid=a.token(good, **head)) == grpc.StatusCode.INVALID_ARGUMENT, head
    for nothing in ({"audience": "me"}, {"svid": a.token(good)}):
        assert c.code("ValidateJWTSVID", **nothing) == grpc.StatusCode.INVALID_ARGUMENT


def test_e5_health_and_reflection(world):
    from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
    c = world.client()
    assert "SpiffeWorkloadAPI" in ProtoReflectionDescriptorDatabase(c.channel).get_services()
    check = c.channel.unary_unary("/grpc.health.v1.Health/Check")
    assert check(b"", timeout=5) == b"\x08\x01"


def test_node_restart_and_lost_feed(world, me):
    """Streams come back by themselves; the authority's restart changes nothing for those that are open."""
    s = Stream(world.client(), "FetchX509SVID")
    s.get()
    world.authority.stop()
    world.authority.start()
    name = world.authority.entry("after", f"unix:uid:{UID}", spiffe_id=f"spiffe://{TD}/after")
    m = s.until(lambda m: len(m.svids) == 2)
    assert {v.spiffe_id for v in m.svids} == {f"spiffe://{TD}/me", f"spiffe://{TD}/after"}
    world.authority.remove(name)
    world.end_node()
    assert s.until(lambda m: isinstance(m, grpc.StatusCode)) == grpc.StatusCode.UNAVAILABLE
    world.start()
    assert Stream(world.client(), "FetchX509SVID").get().svids
