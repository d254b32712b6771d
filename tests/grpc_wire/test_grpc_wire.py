"""E1-E9 of the SPIFFE notes against engine/grpc with fixed answers, by stock grpcio and by hand."""
import socket
import struct
import time

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from grpc_world import (ACK, ATTORN, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADER, HEADERS, PING, Hpack, Raw, Server, frame,
                        hpack, message, settle, status_of)

Code = grpc.StatusCode
RPCS = ["FetchX509SVID", "FetchX509Bundles", "FetchJWTSVID", "FetchJWTBundles", "ValidateJWTSVID", "FetchWITSVID",
        "FetchWITBundles"]


@pytest.fixture
def server():
    s = Server()
    yield s
    s.close()


@pytest.fixture
def channel(server):
    with grpc.insecure_channel("unix://" + server.path) as c:
        yield c


def types():
    """Message classes from the descriptor set of the build."""
    files = descriptor_pb2.FileDescriptorSet.FromString((ATTORN.parent / "proto/attorn.protoset").read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for f in files.file:
        pool.Add(f)
    return lambda name: message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


TYPE = types()


def unary(channel, rpc, request, answer, metadata=HEADER, timeout=5):
    call = channel.unary_unary("/SpiffeWorkloadAPI/" + rpc, TYPE(request).SerializeToString, TYPE(answer).FromString)
    return call(TYPE(request)(**({"audience": ["x"]} if request == "JWTSVIDRequest" else {})), metadata=metadata, timeout=timeout)


def stream(channel, rpc, request, answer, metadata=HEADER, timeout=None):
    call = channel.unary_stream("/SpiffeWorkloadAPI/" + rpc, TYPE(request).SerializeToString, TYPE(answer).FromString)
    return call(TYPE(request)(), metadata=metadata, timeout=timeout)


def jwt(channel, audience, **more):
    call = channel.unary_unary("/SpiffeWorkloadAPI/FetchJWTSVID", TYPE("JWTSVIDRequest").SerializeToString,
                               TYPE("JWTSVIDResponse").FromString)
    return call(TYPE("JWTSVIDRequest")(audience=audience), metadata=HEADER, **{"timeout": 5, **more})


def code_of(call):
    with pytest.raises(grpc.RpcError) as e:
        call()
    return e.value.code()


# ---- E1, E2: the header -------------------------------------------------------------------------------

@pytest.mark.parametrize("rpc", RPCS + ["NoSuchRpc"])
def test_e1_no_header_on_any_rpc(channel, rpc):
    assert code_of(lambda: channel.unary_unary("/SpiffeWorkloadAPI/" + rpc)(b"", timeout=5)) == Code.INVALID_ARGUMENT


@pytest.mark.parametrize("metadata", [[("workload.spiffe.io", "True")], [("workload.spiffe.io", "TRUE")],
                                      [("workload.spiffe.io", "true"), ("workload.spiffe.io", "true")],
                                      [("workload.spiffe.io", "true,true")], [("workload.spiffe.io", "")],
                                      [("workload.spiffe.io", "1")], [("workload-spiffe-io", "true")]])
def test_e2_any_other_header(channel, metadata):
    assert code_of(lambda: unary(channel, "FetchJWTSVID", "JWTSVIDRequest", "JWTSVIDResponse", metadata)) == Code.INVALID_ARGUMENT


@pytest.mark.parametrize("rpc", ["FetchWITSVID", "FetchWITBundles", "NoSuchRpc"])
def test_w1_unknown_rpc_after_the_header(channel, rpc):
    assert code_of(lambda: channel.unary_unary("/SpiffeWorkloadAPI/" + rpc)(b"", metadata=HEADER, timeout=5)) == Code.UNIMPLEMENTED


# ---- E3, E4 -------------------------------------------------------------------------------------------

def test_e3_two_streams_on_one_connection(server, channel):
    a, b = (stream(channel, "FetchX509SVID", "X509SVIDRequest", "X509SVIDResponse") for _ in range(2))
    assert next(a).svids[0].hint == next(b).svids[0].hint == "v0"
    bundles = stream(channel, "FetchX509Bundles", "X509BundlesRequest", "X509BundlesResponse")
    assert dict(next(bundles).bundles) == {"spiffe://example.org": b"root"}
    server.order("push 7")
    assert next(a).svids[0].hint == next(b).svids[0].hint == "v7"
    counts = server.counts()
    assert (counts["connections_now"], counts["streams_now"]) == (1, 3)
    server.order("end")
    assert code_of(lambda: next(a)) == code_of(lambda: next(b)) == Code.PERMISSION_DENIED
    for call in (a, b, bundles):
        call.cancel()


def test_e4_plaintext_without_client_authentication(channel):
    assert unary(channel, "FetchJWTSVID", "JWTSVIDRequest", "JWTSVIDResponse").svids[0].svid == "token"


# ---- E5: reflection, health ----------------------------------------------------------------------------

def test_e5_reflection_by_a_stock_client(channel):
    db = ProtoReflectionDescriptorDatabase(channel)
    assert set(db.get_services()) == {"SpiffeWorkloadAPI", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
                                      "grpc.reflection.v1alpha.ServerReflection"}
    pool = descriptor_pool.DescriptorPool(db)
    service = pool.FindServiceByName("SpiffeWorkloadAPI")
    assert [m.name for m in service.methods] == RPCS
    assert service.methods_by_name["FetchX509SVID"].output_type.fields_by_name["federated_bundles"].number == 3
    assert pool.FindMessageTypeByName("ValidateJWTSVIDResponse").fields_by_name["claims"].message_type.full_name == "google.protobuf.Struct"
    assert pool.FindServiceByName("grpc.health.v1.Health").methods[0].name == "Check"


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_e5_reflection_answers_in_order(channel, version):
    ask = reflection_pb2.ServerReflectionRequest
    call = channel.stream_stream(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
                                 ask.SerializeToString, reflection_pb2.ServerReflectionResponse.FromString)
    questions = [ask(list_services="*"), ask(file_by_filename="workload.proto"), ask(file_by_filename="no.proto"),
                 ask(file_containing_symbol="SpiffeWorkloadAPI.FetchX509SVID"), ask(file_containing_symbol="Spiffe"),
                 ask(all_extension_numbers_of_type="X509SVID"), ask(host="h")]
    answers = list(call(iter(questions), timeout=5))
    assert [a.WhichOneof("message_response") for a in answers] == [
        "list_services_response", "file_descriptor_response", "error_response", "file_descriptor_response",
        "error_response", "error_response", "error_response"]
    assert answers[2].error_response.error_code == 5 and answers[6].error_response.error_code == 3
    assert [a.original_request for a in answers] == questions


def test_e5_unknown_service(channel):
    for path in ["/no.such.Service/Rpc", "/SpiffeWorkloadAPI", "/", "/SpiffeWorkloadAPI/FetchX509SVID/x", "/x" * 200]:
        assert code_of(lambda: channel.unary_unary(path)(b"", metadata=HEADER, timeout=5)) == Code.UNIMPLEMENTED, path


def health(channel, service):
    call = channel.unary_unary("/grpc.health.v1.Health/Check", TYPE("grpc.health.v1.HealthCheckRequest").SerializeToString,
                               TYPE("grpc.health.v1.HealthCheckResponse").FromString)
    return call(TYPE("grpc.health.v1.HealthCheckRequest")(service=service), timeout=5).status


def test_health_check_and_watch(server, channel):
    assert health(channel, "") == health(channel, "SpiffeWorkloadAPI") == 1
    assert code_of(lambda: health(channel, "nobody")) == Code.NOT_FOUND
    watch = channel.unary_stream("/grpc.health.v1.Health/Watch", TYPE("grpc.health.v1.HealthCheckRequest").SerializeToString,
                                 TYPE("grpc.health.v1.HealthCheckResponse").FromString)
    mine, unknown = (watch(TYPE("grpc.health.v1.HealthCheckRequest")(service=s)) for s in ("SpiffeWorkloadAPI", "nobody"))
    assert next(mine).status == 1 and next(unknown).status == 3
    server.order("sick")
    assert next(mine).status == 2 and health(channel, "SpiffeWorkloadAPI") == 2
    server.order("well")
    assert next(mine).status == 1
    mine.cancel()
    unknown.cancel()


# ---- E6: half-open, resets, drain -----------------------------------------------------------------------

def test_e6_client_that_only_stops_sending_is_closed(server):
    raw = Raw(server.path)
    raw.open("/SpiffeWorkloadAPI/FetchX509Bundles")
    assert raw.until(DATA)
    raw.socket.shutdown(socket.SHUT_WR)
    assert raw.ended() is None
    settle(server, connections_now=0, streams_now=0)


def test_e6_reset_frees_at_once(server, channel):
    call = channel.unary_unary("/SpiffeWorkloadAPI/FetchJWTSVID")
    slow = TYPE("JWTSVIDRequest")(audience=["slow:60000"]).SerializeToString()
    calls = [call.future(slow, metadata=HEADER) for _ in range(20)]
    settle(server, streams_now=20)
    for call in calls:
        call.cancel()
    settle(server, streams_now=0, connections_now=1, in_bytes_now=0, out_bytes_now=0)


def test_e6_drain_lets_calls_end(server):
    raw = Raw(server.path)
    slow = raw.open("/SpiffeWorkloadAPI/FetchJWTSVID", body=message(TYPE("JWTSVIDRequest")(audience=["slow:1500"]).SerializeToString()))
    settle(server, streams_now=1)
    server.order("drain")
    first, last = raw.until(GOAWAY), None
    assert struct.unpack(">II", first[3][:8]) == (2**31 - 1, 0)
    quick = raw.open("/SpiffeWorkloadAPI/FetchJWTSVID", body=message(TYPE("JWTSVIDRequest")(audience=["x"]).SerializeToString()))
    ended = []
    while (got := raw.read()) is not None:
        if got[0] == HEADERS and got[1] & END_STREAM:
            ended.append(got[2])
        last = got if got[0] == GOAWAY else last
    assert ended == [quick, slow] and struct.unpack(">II", last[3][:8]) == (quick, 0)
    with pytest.raises(OSError):
        Raw(server.path)
    settle(server, connections_now=0)


def test_e6_client_goes_away(server):
    raw = Raw(server.path)
    stream_id = raw.open("/SpiffeWorkloadAPI/FetchJWTSVID", body=message(TYPE("JWTSVIDRequest")(audience=["slow:200"]).SerializeToString()))
    raw.send(frame(GOAWAY, 0, 0, struct.pack(">II", 0, 0)))
    assert raw.until(DATA, stream=stream_id)
    assert raw.ended() in (None, 0)
    settle(server, connections_now=0)


# ---- E7: things too large and things broken ------------------------------------------------------------

BROKEN = {
    "16 MiB message": (message(b"")[:1] + struct.pack(">I", 16 << 20) + b"x" * 100, "8"),
    "64 KiB and one": (message(b"")[:1] + struct.pack(">I", (64 << 10) + 1), "8"),
    "no message": (b"", "3"),
    "two messages": (message() * 2, "3"),
    "half a prefix": (b"\0\0\0", "3"),
    "half a message": (message(b"abcd")[:-2], "3"),
    "flag 2": (message(b"", flag=2), "13"),
    "compressed without an encoding": (message(b"", flag=1), "13"),
    "broken protobuf": (message(b"\xff\xff\xff"), "3"),
    "NUL in a string": (message(b"\x0a\x03a\0b"), "3"),
    "string not UTF-8": (message(b"\x0a\x01\xff"), "3"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_e7_broken_messages(server, case):
    body, want = BROKEN[case]
    raw = Raw(server.path)
    one = raw.open("/SpiffeWorkloadAPI/FetchJWTSVID", body=body)
    assert status_of(raw, one) == ("200", want)
    two = raw.open("/SpiffeWorkloadAPI/FetchJWTSVID", body=message(b"\x0a\x01x"))  # the connection lives
    assert raw.until(DATA, stream=two)
    raw.close()
    settle(server, connections_now=0, streams_now=0, in_bytes_now=0)


HEADS = {
    "4,096 bytes in the header": ([("workload.spiffe.io", "t" * 4096)], {}, ("200", "3")),
    "4,096 bytes elsewhere": ([*HEADER, ("x", "y" * 4096)], {}, ("200", "0")),
    "above 8 KiB": ([*HEADER, ("x", "y" * 8192)], {}, ("200", "8")),
    "65 small ones": ([*HEADER, *((f"x{i}", "y") for i in range(65))], {}, ("200", "8")),
    "upper case name": ([*HEADER, ("X", "y")], {}, (None, "reset 1")),
    "blank in a name": ([*HEADER, ("x y", "y")], {}, (None, "reset 1")),
    "CR LF in a value": ([*HEADER, ("x", "a\r\nb")], {}, (None, "reset 1")),
    "NUL in a value": ([*HEADER, ("x", "a\0b")], {}, (None, "reset 1")),
    "connection": ([*HEADER, ("connection", "close")], {}, (None, "reset 1")),
    "transfer-encoding": ([*HEADER, ("transfer-encoding", "chunked")], {}, (None, "reset 1")),
    "te gzip": ([*HEADER, ("te", "gzip")], {}, (None, "reset 1")),
    "pseudo after regular": ([*HEADER, (":path", "/x")], {}, (None, "reset 1")),
    "no header at all": ([], {}, ("200", "3")),
    "other content type": (HEADER, {"kind": "application/json"}, ("415", None)),
    "grpc-web": (HEADER, {"kind": "application/grpc-web"}, ("415", None)),
    "grpc+proto": (HEADER, {"kind": "application/grpc+proto"}, ("200", "0")),
    "GET": (HEADER, {"method": "GET"}, ("405", None)),
    "empty authority": (HEADER, {"authority": ""}, ("200", "0")),
    "escaped path as authority": (HEADER, {"authority": "%2Ftmp%2Fs.sock"}, ("200", "0")),
    "raw path as authority": (HEADER, {"authority": "/tmp/s@x.sock"}, ("200", "0")),
    "bad timeout": ([*HEADER, ("grpc-timeout", "1x")], {}, ("200", "3")),
    "nine digits": ([*HEADER, ("grpc-timeout", "123456789S")], {}, ("200", "3")),
}


@pytest.mark.parametrize("case", HEADS)
def test_e7_heads(server, case):
    extra, more, want = HEADS[case]
    raw = Raw(server.path)
    one = raw.open("/SpiffeWorkloadAPI/FetchJWTSVID", extra=extra, body=message(b"\x0a\x01x"), **more)
    assert status_of(raw, one) == want
    raw.send(frame(PING, 0, 0, b"12345678"))
    assert raw.until(PING)[3] == b"12345678"  # the connection lives
    raw.close()
    settle(server, connections_now=0, streams_now=0)


@pytest.mark.parametrize("head", [
    hpack((":method", "POST"), (":path", "/x"), ("content-type", "application/grpc")),
    hpack((":method", "POST"), (":scheme", "http"), ("content-type", "application/grpc")),
    hpack((":method", "POST"), (":scheme", "http"), (":path", "x"), ("content-type", "application/grpc")),
    hpack((":method", "POST"), (":method", "POST"), (":scheme", "http"), (":path", "/x"), ("content-type", "application/grpc")),
    hpack((":method", "POST"), (":scheme", "http"), (":path", "/x"), (":protocol", "y"), ("content-type", "application/grpc")),
    hpack(),
])
def test_e7_pseudo_headers(server, head):
    raw = Raw(server.path)
    raw.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, head))
    assert status_of(raw, 1) == (None, "reset 1")
    raw.close()


def test_e7_compressed_with_an_encoding(server, channel):
    with pytest.raises(grpc.RpcError) as e:
        channel.unary_unary("/SpiffeWorkloadAPI/FetchJWTSVID")(b"\x0a\x64" + b"x" * 100, metadata=HEADER, timeout=5,
                                                                compression=grpc.Compression.Gzip)
    assert e.value.code() == Code.UNIMPLEMENTED
    raw = Raw(server.path)
    one = raw.open("/SpiffeWorkloadAPI/FetchJWTSVID", extra=[*HEADER, ("grpc-encoding", "gzip")], body=message(b"", flag=1))
    decoder, got = Hpack(), raw.until(HEADERS, stream=one)
    assert decoder.decode(got[3])["grpc-accept-encoding"] == "identity"
    raw.close()


def test_e7_split_in_any_way(server):
    body = message(TYPE("JWTSVIDRequest")(audience=["x"]).SerializeToString())
    for cut in range(len(body) + 1):
        raw = Raw(server.path)
        one = raw.open("/SpiffeWorkloadAPI/FetchJWTSVID", body=None)
        raw.send(frame(DATA, 0, one, body[:cut]) + frame(DATA, 0, one, body[cut:]) + frame(DATA, END_STREAM, one))
        assert status_of(raw, one) == ("200", "0"), cut
        raw.close()


def test_e7_answers_up_to_4_mib(server, channel):
    with grpc.insecure_channel("unix://" + server.path, [("grpc.max_receive_message_length", 8 << 20)]) as wide:
        assert len(jwt(wide, ["big:4194000"]).svids[0].svid) == 4194000
        assert code_of(lambda: jwt(wide, ["big:4194304"])) == Code.RESOURCE_EXHAUSTED
    assert len(jwt(channel, ["big:4194000"]).svids[0].svid) == 4194000  # a stock client takes what we build
    settle(server, out_bytes_now=0, streams_now=0)


def test_grpc_message_is_percent_encoded(server, channel):
    with pytest.raises(grpc.RpcError) as e:
        jwt(channel, ["forbidden"])
    assert (e.value.code(), e.value.details()) == (Code.PERMISSION_DENIED, "no identity issued: 100 % \xe9")
    raw = Raw(server.path)
    one = raw.open("/SpiffeWorkloadAPI/FetchJWTSVID", body=message(b"\x0a\x09forbidden"))
    got = raw.until(HEADERS, stream=one)
    assert got[1] & END_STREAM  # trailers only: one frame
    assert Hpack().decode(got[3])["grpc-message"] == "no identity issued: 100 %25 %C3%A9"
    raw.close()


# ---- E8, E9 -------------------------------------------------------------------------------------------

def test_e8_107_byte_path_and_restart():
    folder = Server()
    path = folder.folder.name + "/"
    path += "s" * (107 - len(path))
    server = Server(path)
    with grpc.insecure_channel("unix://" + path) as channel:
        assert jwt(channel, ["x"]).svids[0].svid == "token"
        assert server.stop() == 0
        assert code_of(lambda: jwt(channel, ["x"])) == Code.UNAVAILABLE
        server.start()
        assert jwt(channel, ["x"], wait_for_ready=True, timeout=20).svids[0].svid == "token"
    server.close()
    folder.close()


def test_e9_grpc_timeout(server, channel):
    start = time.monotonic()
    assert code_of(lambda: jwt(channel, ["slow:5000"], timeout=0.3)) == Code.DEADLINE_EXCEEDED
    assert time.monotonic() - start < 2
    settle(server, streams_now=0)


@pytest.mark.parametrize("text", ["100m", "0S", "100000u", "99999999n", "00000001n"])
def test_e9_the_server_keeps_the_time(server, text):
    """No client timer here: the server itself answers DeadlineExceeded."""
    raw = Raw(server.path)
    one = raw.open("/SpiffeWorkloadAPI/FetchJWTSVID", extra=[*HEADER, ("grpc-timeout", text)],
                   body=message(TYPE("JWTSVIDRequest")(audience=["slow:5000"]).SerializeToString()))
    start = time.monotonic()
    assert status_of(raw, one) == ("200", "4")
    assert time.monotonic() - start < 2
    raw.close()


def test_proof_waits_for_the_peer(server):
    """No PING answer, no SVID: the stream stays silent and ends as Unavailable after two seconds."""
    raw = Raw(server.path)
    one = raw.open("/SpiffeWorkloadAPI/FetchX509SVID")
    ping = raw.until(PING)
    assert ping[1] == 0 and len(ping[3]) == 8
    start = time.monotonic()
    raw.send(frame(PING, ACK, 0, b"\0" * 8))  # not these bytes
    assert status_of(raw, one) == ("200", "14")
    assert 1.5 < time.monotonic() - start < 4
    two = raw.open("/SpiffeWorkloadAPI/FetchX509SVID")
    raw.send(frame(PING, ACK, 0, raw.until(PING)[3]))
    assert raw.until(DATA, stream=two)
    raw.close()
    settle(server, connections_now=0, proofs_good=1, proofs_bad=1)
