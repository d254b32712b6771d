"""What the gRPC wire tests share: the fixed server, and a client that speaks HTTP/2 frame by frame."""
import json
import os
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path

ATTORN = Path(os.environ.get("ATTORN", "build/attorn")).resolve()
PROGRAM = ATTORN.parent / "tests/grpc_fixed_server"
HEADER = (("workload.spiffe.io", "true"),)

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS = 1, 1, 4
ENHANCE_YOUR_CALM = 11
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Server:
    def __init__(self, path=None):
        self.folder = tempfile.TemporaryDirectory(prefix="grpc")
        self.path = path or self.folder.name + "/s.sock"
        self.start()

    def start(self):
        self.process = subprocess.Popen([PROGRAM, self.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def order(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def counts(self):
        return self.order("counts")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self):
        """The program checks at its end that nothing is left; its code says so."""
        self.process.stdin.close()
        code = self.process.wait(10)
        self.process.stdout.close()
        return code

    def close(self):
        code = self.stop() if self.process.poll() is None else self.process.returncode
        self.folder.cleanup()
        assert code == 0, code


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def hpack(*pairs):
    """Literals without indexing, names and values as they are."""
    return b"".join(b"\x00" + hpack_text(name) + hpack_text(value) for name, value in pairs)


def hpack_text(text):
    raw = text.encode("latin-1") if isinstance(text, str) else text
    n, head = len(raw), bytearray()
    if n < 127:
        head.append(n)
    else:
        head.append(127)
        n -= 127
        while n >= 128:
            head.append(n % 128 + 128)
            n //= 128
        head.append(n)
    return bytes(head) + raw


def request(path, extra=(), authority="localhost", kind="application/grpc", method="POST"):
    return hpack((":method", method), (":scheme", "http"), (":path", path), (":authority", authority),
                 ("content-type", kind), ("te", "trailers"), *extra)


def message(body=b"", flag=0):
    return struct.pack(">BI", flag, len(body)) + body


class Raw:
    """One connection, frames by hand."""

    def __init__(self, path, window=None, hello=True):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(10)
        self.socket.connect(path)
        self.bytes = b""
        self.next_id = 1
        if hello:
            settings = b"" if window is None else struct.pack(">HI", 4, window)
            self.send(PREFACE + frame(SETTINGS, 0, 0, settings))

    def send(self, raw):
        """False when the server has closed; a server that stops reading is no failure of the test."""
        try:
            self.socket.sendall(raw)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def open(self, path, extra=HEADER, body=message(), end=True, **more):
        stream, self.next_id = self.next_id, self.next_id + 2
        self.send(frame(HEADERS, END_HEADERS, stream, request(path, extra, **more)) +
                  (frame(DATA, END_STREAM if end else 0, stream, body) if body is not None else b""))
        return stream

    def read(self):
        """(kind, flags, stream, payload), or None at the end of the connection."""
        while len(self.bytes) < 9 or len(self.bytes) < 9 + int.from_bytes(self.bytes[:3], "big"):
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                return None
            self.bytes += more
        n = int.from_bytes(self.bytes[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", self.bytes[3:9])
        payload, self.bytes = self.bytes[9:9 + n], self.bytes[9 + n:]
        return kind, flags, stream, payload

    def until(self, *kinds, stream=None):
        """The next frame of one of these kinds, or None."""
        while True:
            got = self.read()
            if got is None or (got[0] in kinds and (stream is None or got[2] == stream)):
                return got

    def ended(self):
        """Reads to the end; the error code of the last GOAWAY, or None."""
        code = None
        while True:
            got = self.read()
            if got is None:
                return code
            if got[0] == GOAWAY:
                code = struct.unpack(">I", got[3][4:8])[0]

    def close(self):
        self.socket.close()


def settle(server, **want):
    deadline = time.monotonic() + 5
    while True:
        counts = server.counts()
        if all(counts[k] == v for k, v in want.items()) or time.monotonic() > deadline:
            break
        time.sleep(0.01)
    assert {k: counts[k] for k in want} == want
    return counts


class Hpack:
    """As much of RFC 7541 as our server's encoder uses: the dynamic table, and Huffman for the bytes of our answers."""

    def __init__(self):
        self.table = []

    STATIC = {8: (":status", "200"), 9: (":status", "204"), 10: (":status", "206"), 11: (":status", "304"), 12: (":status", "400"),
              13: (":status", "404"), 14: (":status", "500"), 31: ("content-type", "")}

    def number(self, data, at, bits):
        mask = (1 << bits) - 1
        n = data[at] & mask
        at += 1
        shift = 0
        while n >= mask:
            n += (data[at] & 127) << shift
            shift += 7
            at += 1
            if data[at - 1] < 128:
                break
        return n, at

    def text(self, data, at):
        huffman = data[at] & 128
        n, at = self.number(data, at, 7)
        raw = data[at:at + n]
        return (huffman_decode(raw) if huffman else raw.decode("latin-1")), at + n

    def entry(self, i):
        return self.STATIC[i] if i < 62 else self.table[i - 62]

    def decode(self, data):
        at, fields = 0, {}
        while at < len(data):
            b = data[at]
            if b & 128:
                i, at = self.number(data, at, 7)
                name, value = self.entry(i)
            elif b & 0xe0 == 0x20:
                _, at = self.number(data, at, 5)
                continue
            else:
                i, at = self.number(data, at, 6 if b & 64 else 4)
                if i:
                    name = self.entry(i)[0]
                else:
                    name, at = self.text(data, at)
                value, at = self.text(data, at)
                if b & 64:
                    self.table.insert(0, (name, value))
            fields[name] = value
        return fields


# RFC 7541 appendix B for the bytes that occur in our headers
CODES = {"0": "00000", "1": "00001", "2": "00010", "a": "00011", "c": "00100", "e": "00101", "i": "00110", "o": "00111",
         "s": "01000", "t": "01001", " ": "010100", "%": "010101", "-": "010110", ".": "010111", "/": "011000",
         "3": "011001", "4": "011010", "5": "011011", "6": "011100", "7": "011101", "8": "011110", "9": "011111",
         "=": "100000", "A": "100001", "_": "100010", "b": "100011", "d": "100100", "f": "100101", "g": "100110",
         "h": "100111", "l": "101000", "m": "101001", "n": "101010", "p": "101011", "r": "101100", "u": "101101",
         ":": "1011100", "B": "1011101", "C": "1011110", "D": "1011111", "E": "1100000", "F": "1100001", "G": "1100010",
         "H": "1100011", "I": "1100100", "J": "1100101", "K": "1100110", "L": "1100111", "M": "1101000", "N": "1101001",
         "O": "1101010", "P": "1101011", "Q": "1101100", "R": "1101101", "S": "1101110", "T": "1101111", "U": "1110000",
         "V": "1110001", "W": "1110010", "Y": "1110011", "j": "1110100", "k": "1110101", "q": "1110110", "v": "1110111",
         "w": "1111000", "x": "1111001", "y": "1111010", "z": "1111011"}
LETTERS = {v: k for k, v in CODES.items()}


def huffman_decode(raw):
    out, code = "", ""
    for bit in "".join(f"{b:08b}" for b in raw):
        code += bit
        if code in LETTERS:
            out, code = out + LETTERS[code], ""
    return out


def status_of(raw, stream_id):
    """(:status, grpc-status) of a trailers-only answer or of the trailers."""
    decoder = Hpack()
    seen = {}
    while True:
        got = raw.read()
        if got is None:
            return seen.get(":status"), "connection closed"
        kind, flags, stream, payload = got
        if kind == RST_STREAM and stream == stream_id and "grpc-status" not in seen:
            return seen.get(":status"), f"reset {struct.unpack('>I', payload)[0]}"
        if kind == HEADERS:
            fields = decoder.decode(payload)
            if stream == stream_id:
                seen.update(fields)
                if flags & END_STREAM:
                    return seen.get(":status"), seen.get("grpc-status")
