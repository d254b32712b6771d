"""The doors with TLS of the real program: there when the configuration says so, and shut to everybody while nothing has given
them a certificate; the plain doors do not mind."""
import shutil
import socket
import ssl
import urllib.request

import pytest

import world as worlds


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture(scope="module")
def doors():
    node, mtls = free_port(), free_port()
    config = worlds.CONFIG.replace("  listen: 127.0.0.1:{authority}\n", f"  listen: 127.0.0.1:{{authority}}\n  node_listen: 127.0.0.1:{node}\n")
    config = config.replace("  listen: 127.0.0.1:{gateway}\n", f"  listen: 127.0.0.1:{{gateway}}\n  mtls_listen: 127.0.0.1:{mtls}\n")
    w = worlds.World("tls-doors", config)
    try:
        w.up(config)
        yield {"world": w, "node": node, "mtls": mtls}
    finally:
        w.close()
        shutil.rmtree(w.dir, ignore_errors=True)


@pytest.mark.parametrize("door", ["node", "mtls"])
@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_no_handshake_without_a_certificate(doors, door, version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    with socket.create_connection(("127.0.0.1", doors[door]), timeout=5) as s:
        with pytest.raises((ssl.SSLError, ConnectionError, OSError)):
            context.wrap_socket(s)


@pytest.mark.parametrize("door", ["node", "mtls"])
def test_no_plain_http_there(doors, door):
    with socket.create_connection(("127.0.0.1", doors[door]), timeout=5) as s:
        try:
            s.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b"HTTP" not in s.recv(4096)
        except ConnectionError:
            pass


def test_the_plain_doors_serve(doors):
    w = doors["world"]
    for port in (w.port, w.port + 1):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            assert answer.status == 200
