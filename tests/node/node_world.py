"""A node against the stand-in authority, and stock gRPC (C-core) as its client."""
import os
import pathlib
import platform
import shutil
import subprocess
import tempfile
import time

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from stand_in import Authority

ROOT = pathlib.Path(os.environ.get("ATTORN_ROOT", pathlib.Path(__file__).resolve().parents[2]))
BUILD = pathlib.Path(os.environ.get("ATTORN_BUILD", ROOT / "build"))
ATTORN = os.environ.get("ATTORN", str(BUILD / "attorn"))
UID = os.getuid()
HEADER = (("workload.spiffe.io", "true"),)

_set = descriptor_pb2.FileDescriptorSet.FromString((BUILD / "proto" / "attorn.protoset").read_bytes())
_pool = descriptor_pool.DescriptorPool()
for _file in _set.file:
    _pool.Add(_file)


def message(name):
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(name))


STREAMS = {"FetchX509SVID": ("X509SVIDRequest", "X509SVIDResponse"), "FetchX509Bundles": ("X509BundlesRequest", "X509BundlesResponse"),
           "FetchJWTBundles": ("JWTBundlesRequest", "JWTBundlesResponse"), "FetchWITSVID": ("WITSVIDRequest", "WITSVIDResponse"),
           "FetchWITBundles": ("WITBundlesRequest", "WITBundlesResponse")}
UNARY = {"FetchJWTSVID": ("JWTSVIDRequest", "JWTSVIDResponse"), "ValidateJWTSVID": ("ValidateJWTSVIDRequest", "ValidateJWTSVIDResponse")}


class Client:
    def __init__(self, socket):
        self.channel = grpc.insecure_channel(f"unix://{socket}", options=[("grpc.use_local_subchannel_pool", 1)])

    def call(self, rpc, timeout=15, metadata=HEADER, patient=False, **fields):
        request, response = (STREAMS | UNARY)[rpc]
        make = self.channel.unary_stream if rpc in STREAMS else self.channel.unary_unary
        f = make(f"/SpiffeWorkloadAPI/{rpc}", request_serializer=lambda m: m.SerializeToString(),
                 response_deserializer=message(response).FromString)
        return f(message(request)(**fields), timeout=timeout, metadata=metadata, wait_for_ready=patient)

    def code(self, rpc, **more):
        try:
            answer = self.call(rpc, **more)
            if rpc in STREAMS:
                next(iter(answer))
            return grpc.StatusCode.OK
        except grpc.RpcError as e:
            return e.code()

    def close(self):
        self.channel.close()


class World:
    """W with a configuration, the stand-in behind its internal socket, and a node."""

    def __init__(self, *node_args, base="/var/tmp"):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="attorn-node-", dir=base))
        os.chmod(self.root, 0o755)
        (self.root / "attorn.yaml").write_text(
            "trust_domain: example.test\nissuer: http://127.0.0.1:1\nauthority:\n  listen: 127.0.0.1:1\n"
            "gateway:\n  listen: 127.0.0.1:2\n  url: http://127.0.0.1:2\nlog:\n  level: debug\n")
        os.makedirs(self.root / "data" / "run", mode=0o700)
        os.makedirs(self.root / "keys", mode=0o700)
        (self.root / "keys" / "secret").write_text("private")
        os.chmod(self.root / "data", 0o700)
        self.socket = str(self.root / "run" / "workload.sock")
        self.node_args, self.node, self.clients = node_args, None, []
        self.authority = Authority(self.root / "data" / "run" / "internal.sock")

    def start(self):
        self.log = open(self.root / "node.log", "a")
        ups = self.text().count("event=node.up")
        self.node = subprocess.Popen([ATTORN, "node", "--dir", str(self.root), *self.node_args], stderr=self.log)
        end = time.monotonic() + 10
        while time.monotonic() < end and self.text().count("event=node.up") == ups:
            assert self.node.poll() is None, self.text()
            time.sleep(0.01)
        print(f"\n  kernel {platform.release()}: {self.text().split('kernel=')[1].split(' boundary')[0]}", end="")
        return self

    def text(self):
        return (self.root / "node.log").read_text()

    def client(self):
        c = Client(self.socket)
        self.clients.append(c)
        return c

    def wait(self, what, seconds=5):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if what():
                return
            time.sleep(0.01)
        raise AssertionError("it did not come: " + self.text()[-2000:])

    def end_node(self):
        self.node.terminate()
        assert self.node.wait(10) == 0

    def close(self):
        for c in self.clients:
            c.close()
        if self.node and self.node.poll() is None:
            self.node.kill()
            self.node.wait()
        self.authority.stop()
        os.environ.get("KEEP") or shutil.rmtree(self.root)
