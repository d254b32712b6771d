"""The agent tries to leave what it was lent: paths at the real filesystem server, SQL at the real SQLite server, targets, bodies
and headers at a plain HTTP API.
"""
import json
import urllib.parse

import caller
import pytest

SECRET = "what nobody was lent"
NOTE = b'{"note":"a"}'


def per_call(agent, route, tool, arguments):
    """tools/call under a proof for exactly these arguments: only the bounds stand in the way."""
    return agent.call_tool(route, tool, arguments, credentials=agent.proofed(route, "tools/call", tool, caller.args_digest(arguments)))


@pytest.fixture(scope="module")
def tree(arena):
    """Below the lent folder: files with the names that a sloppy check mistakes; outside: what must not be read."""
    (arena.invoices / "in").mkdir(exist_ok=True)
    (arena.invoices / "in/plain.txt").write_text("inside")
    (arena.dir / "finance/invoices-evil").mkdir(exist_ok=True)
    (arena.dir / "finance/invoices-evil/x.txt").write_text(SECRET)
    (arena.dir / "finance/payroll/x.txt").write_text(SECRET)
    return arena.invoices


TRICKS = [
    "{in}/../payroll/salaries.csv", "{in}/in/../../payroll/salaries.csv", "{in}/./../payroll/salaries.csv", "{in}/..", "{in}/.",
    "{in}/..\\payroll\\salaries.csv", "{in}\\..\\payroll\\salaries.csv", "{in}/%2e%2e/payroll/salaries.csv",
    "{in}/..%2fpayroll/salaries.csv", "{in}/%252e%252e/payroll/salaries.csv", "{in}//../payroll/salaries.csv", "{in}//in/plain.txt",
    "{in}/in/plain.txt\0.json", "{in}/..\0/payroll/salaries.csv", "{in}/..;/payroll/salaries.csv", "{in}/.. /payroll/salaries.csv",
    "{in}/..\u00a0", "{in}/..\u3000", "{in}/..\ufeff", "{in}/..\u2028", "{in}/.. ", "{in}/..\t", "{in}/..\n", "{in}/..\"", "{in}/..'",
    "\"{in}/..\"", "'{in}/..'", " {in}/..", "{in}/\u2025/payroll/salaries.csv", "{in}/\uff0e\uff0e/payroll/salaries.csv",
    "{in}/.\u0301./payroll/salaries.csv", "{in}/\u202e../payroll/salaries.csv", "{in}-evil/x.txt", "{in}evil", "{out}/payroll/salaries.csv",
    "/etc/passwd", "~/.ssh/id_rsa", "~", "{in}/~/../../payroll/x.txt", "finance/payroll/x.txt", "../payroll/salaries.csv", "", "/", "//",
    "file://{in}/in/plain.txt", "file:///etc/passwd", "/mnt/c/x", "C:\\windows", "\\\\host\\share", "/proc/self/root{out}/payroll/x.txt",
    "{in}/in/plain.txt/../../../payroll/x.txt", "{IN}/in/plain.txt", "{in}/cafe\u0301.txt", "{in}/" + "a/" * 5000, "{in}/" + "a" * 70000,
]


@pytest.mark.parametrize("n", range(len(TRICKS)))
def test_no_path_leaves_the_lent_folder(arena, mallory, tree, n):
    path = TRICKS[n].replace("{in}", str(tree)).replace("{IN}", str(tree).upper()).replace("{out}", str(tree.parent))
    csv = (tree.parent / "payroll/salaries.csv").read_text()[:40]
    for tool in ("read_text_file", "list_directory"):
        before = len(arena.stdio_calls("invoices"))
        try:
            answer = per_call(mallory, "invoices", tool, {"path": path})
        except UnicodeEncodeError:
            continue
        assert not any(sign in answer.text for sign in (SECRET, csv, "[DIR] payroll")), answer.text
        if not ("result" in answer.json and not answer.is_tool_error):
            assert len(arena.stdio_calls("invoices")) in (before, before + 1)
        else:
            assert answer.text == "inside"


@pytest.mark.parametrize("path", ["{in}/in/plain.txt", "{in}/in/plain.txt/"])
def test_a_path_inside_is_read(mallory, tree, path):
    assert per_call(mallory, "invoices", "read_text_file", {"path": path.replace("{in}", str(tree))}).text in ("inside",) or path.endswith("/")


@pytest.mark.parametrize("arguments", [
    {}, {"path": None}, {"path": 1}, {"path": ["{in}/in/plain.txt"]}, {"path": {"": "{in}"}}, {"path": "{in}/in/plain.txt", "head": 1},
    {"path": "{in}/in/plain.txt", "Path": "/etc/passwd"}, {"path": "{in}/in/plain.txt", "paths": ["/etc/passwd"]},
    {"path": "{in}/in/plain.txt", "": ""}, {"path": "{in}/in/plain.txt", "x": {}}, {"path": "{in}/in/plain.txt", "x": []},
    {"path": "{in}/in/plain.txt", "/path": "/etc/passwd"}, {"path~1": "{in}"}, {"path": "{in}/in/plain.txt", "*": "x"},
])
def test_an_argument_that_the_grant_does_not_name_refuses(arena, mallory, tree, arguments):
    arguments = json.loads(json.dumps(arguments).replace("{in}", str(tree)))
    before = len(arena.stdio_calls("invoices"))
    answer = per_call(mallory, "invoices", "read_text_file", arguments)
    assert answer.is_tool_error and "outside the grant" in answer.text, answer.text
    assert len(arena.stdio_calls("invoices")) == before


STATEMENTS = [
    "SELECT * FROM customers", "SELECT id FROM orders; DROP TABLE orders", "SELECT id FROM orders;", "SELECT id FROM orders -- ",
    "SELECT id FROM orders\n; SELECT name FROM customers", "SELECT id FROM orders\0", "SELECT id FROM orders/**/",
    "SELECT id FROM orders UNION SELECT name FROM customers", "SELECT id FROM orders,customers", "SELECT id FROM orders customers",
    "SELECT (SELECT name FROM customers) FROM orders", "SELECT (select group_concat(name) from customers) FROM orders",
    "SELECT id, (select name from customers) FROM orders", "SELECT id FROM orders WHERE id = 1 OR 1=1",
    "SELECT id FROM orders WHERE id = (SELECT 1)", "SELECT id FROM orders WHERE id = 1\n", "\nSELECT id FROM orders",
    "select id from orders", "SELECT id FROM \"orders\"", "SELECT id FROM orders WHERE id = \u0661", "SELECT\u00a0id FROM orders",
    "SELECT name from customers union select id FROM orders", "SELECT name from customers limit id FROM orders", "SELECT load_extension(x) FROM orders", "SELECT id FROM Orders", "SELECT id FROM orders WHERE id = 1e1",
    "PRAGMA table_info(orders)", "ATTACH DATABASE 'x' AS y", "SELECT id FROM main.orders", "SELECT id FROM orders_",
    "SELECT count(*) from customers where x in (select y FROM orders",
]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_no_statement_outside_the_pattern_reaches_the_database(arena, mallory, statement):
    before = len(arena.stdio_calls("warehouse"))
    answer = per_call(mallory, "warehouse", "read_query", {"query": statement})
    assert answer.is_tool_error or answer.status == 400 or "error" in answer.json, answer.text
    assert len(arena.stdio_calls("warehouse")) == before


# --- plain HTTP --------------------------------------------------------------------------------------------------------

def head_of(raw):
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    return first, [tuple(line.split(": ", 1)) for line in lines], body


def ask(arena, agent, method, target, body=NOTE, headers=(("Content-Type", "application/json"),), args_body=None, line=None):
    """A request under a proof for it, written by hand: what we say is what goes out."""
    args = caller.body_digest(body if args_body is None else args_body)
    path = target.split("?")[0]
    proof = agent.credentials(method, arena.route("raw") + path, agent.delegated_token("raw"),
                              action_digest=agent.action_digest("raw", method, target, args))
    lines = [line or f"{method} /r/raw{target} HTTP/1.1", f"Host: 127.0.0.1:{arena.port + 1}", "Connection: close",
             *(f"{name}: {value}" for name, value in [*proof, *headers])]
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    raw = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
    return arena.raw(raw)


def status(answer):
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0


def test_a_request_as_granted_passes_with_the_key_and_nothing_of_ours(arena, mallory):
    answer = ask(arena, mallory, "POST", "/things")
    assert status(answer) == 200, answer
    first, headers, body = head_of(arena.recorded("raw")[-1])
    names = [name.lower() for name, _ in headers]
    assert first == "POST /things HTTP/1.1" and body == NOTE
    assert ("X-Api-Key", "sk-raw-0123456789") in headers and len(names) == len(set(names))
    assert not {"authorization", "dpop", "connection", "cookie", "transfer-encoding"} & set(names) - {"connection"}


TARGETS = [
    "/things?x=1", "/things?", "/things/", "/things//", "//things", "/things/../things", "/./things", "/things;x=1", "/things%2f",
    "/things%2F1", "/things/1/", "/things/2", "/things/%31", "/things/1?x", "/things/1%3fx", "/things/1%23", "/things/..%2fadmin",
    "/things/1;admin", "/things/1/../../admin", "/THINGS", "/thing%73", "/things%00", "/things/%2e%2e/admin", "/things/..;/admin",
    "/things\\..\\admin", "/admin", "/", "/things/1?a=b?c=d", "/things/1??", "/things/1?access_token=x",
]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("target", TARGETS)
def test_no_other_target_reaches_the_api(arena, mallory, method, target):
    before = len(arena.recorded("raw"))
    answer = ask(arena, mallory, method, target, NOTE if method == "POST" else b"")
    assert 400 <= status(answer) < 500, answer
    assert len(arena.recorded("raw")) == before


LINES = [
    "POST http://127.0.0.1:{port}/r/raw/things HTTP/1.1", "POST http://evil.test/r/raw/things HTTP/1.1", "POST /r/raw/things#x HTTP/1.1",
    "POST /r/raw/things", "POST /r/raw/things HTTP/1.0", "POST /r/raw/things HTTP/2.0", "POST  /r/raw/things HTTP/1.1",
    "post /r/raw/things HTTP/1.1", "POST /r/raw/things HTTP/1.1 ", "CONNECT 127.0.0.1:80 HTTP/1.1", "POST * HTTP/1.1",
    "POST /r/./raw/things HTTP/1.1", "POST /r/raw/../raw/things HTTP/1.1", "POST //r/raw/things HTTP/1.1", "POST /R/raw/things HTTP/1.1",
    "POST /r/RAW/things HTTP/1.1", "POST /r/raw%2fthings HTTP/1.1", "POST /r/ra%77/things HTTP/1.1", "PUT /r/raw/things HTTP/1.1",
    "PATCH /r/raw/things HTTP/1.1", "TRACE /r/raw/things HTTP/1.1", "DELETE /r/raw/things HTTP/1.1", "HEAD /r/raw/things HTTP/1.1",
]


@pytest.mark.parametrize("line", LINES)
def test_no_other_request_line_reaches_the_api(arena, mallory, line):
    before = len(arena.recorded("raw"))
    answer = ask(arena, mallory, "POST", "/things", line=line.replace("{port}", str(arena.port + 1)))
    assert status(answer) == 0 or 400 <= status(answer) < 500, answer
    assert len(arena.recorded("raw")) == before


BODIES = {  # content type, body: each is JSON to somebody, and none may pass a grant with constraints unread
    "no type": (None, NOTE), "text": ("text/plain", b'{"admin":true}'), "form": ("application/x-www-form-urlencoded", b"admin=true"),
    "form that is JSON": ("application/x-www-form-urlencoded", b'{"admin":true}'), "utf-16": ("application/json; charset=utf-16", NOTE),
    "utf-7": ("application/json; charset=utf-7", b'{"note":"+ACIALAAi-admin+ACIAOgAi-true"}'),
    "utf-7 upper": ("application/json; Charset=\"UTF-7\"", b'{"note":"+ACIALAAi-admin+ACIAOgAi-true"}'),
    "ebcdic": ("application/json;charset=ibm037", NOTE), "utf-32": ("application/json;charset=utf-32", NOTE),
    "latin-1": ("application/json;charset=iso-8859-1", '{"note":"é"}'.encode()),
    "two charsets": ("application/json;charset=utf-8;charset=utf-7", NOTE), "no separator": ("application/json charset=utf-7", NOTE),
    "comma": ("application/json, text/plain", NOTE), "suffix": ("text/plain+json", b'{"admin":true}'), "ndjson": ("application/x-ndjson", NOTE),
    "multipart": ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="admin"\r\n\r\ntrue\r\n--x--\r\n'),
    "xml": ("application/xml", b"<admin/>"), "duplicate": ("application/json", b'{"note":"a","note":"b"}'),
    "unnamed": ("application/json", b'{"note":"a","admin":true}'), "bom": ("application/json", b"\xef\xbb\xbf" + NOTE),
    "trailing": ("application/json", NOTE + b"x"), "array": ("application/json", b'["a"]'), "scalar": ("application/json", b'"a"'),
    "empty": ("application/json", b""), "blank": ("application/json", b" "), "nan": ("application/json", b'{"note":NaN}'),
}


@pytest.mark.parametrize("name", BODIES)
def test_no_body_passes_unread(arena, mallory, name):
    kind, body = BODIES[name]
    before = len(arena.recorded("raw"))
    answer = ask(arena, mallory, "POST", "/things", body, [("Content-Type", kind)] if kind else [])
    assert 400 <= status(answer) < 500, answer
    assert len(arena.recorded("raw")) == before


HEADERS = {  # each must neither pass nor change what upstream sees
    "override": [("X-HTTP-Method-Override", "DELETE"), ("X-Method-Override", "DELETE"), ("X-HTTP-Method", "DELETE"), ("_method", "DELETE")],
    "rewrite": [("X-Original-URL", "/admin"), ("X-Rewrite-URL", "/admin")],
    "forwarded": [("X-Forwarded-For", "10.0.0.1"), ("X-Forwarded-Host", "evil"), ("Forwarded", "for=1"), ("X-Real-IP", "1"), ("Via", "1.1 x")],
    "identity": [("X-User", "admin"), ("Remote-User", "admin"), ("X-Api-Key", "mine"), ("x-api-KEY", "mine2"), ("Cookie", "a=b"),
                 ("Proxy-Authorization", "Basic x"), ("X_Api_Key", "mine3"), ("X.Api.Key", "mine4")],
    "hop": [("TE", "trailers"), ("Trailer", "X"), ("Upgrade", "h2c"), ("Keep-Alive", "1"), ("HTTP2-Settings", "AAMAAABkAAQAAP__"), ("Expect", "x")],
    "nominated": [("Connection", "X-Api-Key, Content-Type, User-Agent"), ("User-Agent", "me")],
}


@pytest.mark.parametrize("name", HEADERS)
def test_no_header_of_the_agent_means_anything_upstream(arena, mallory, name):
    before = len(arena.recorded("raw"))
    answer = ask(arena, mallory, "POST", "/things", headers=[("Content-Type", "application/json"), *HEADERS[name]])
    if status(answer) != 200:
        assert 400 <= status(answer) < 500 and len(arena.recorded("raw")) == before, answer
        return
    first, headers, body = head_of(arena.recorded("raw")[-1])
    assert (first, body) == ("POST /things HTTP/1.1", NOTE)
    sent = {header.lower() for header, _ in headers}
    ours = {"host", "accept", "content-length", "content-type", "user-agent", "x-api-key", "connection"}
    assert sent <= ours, sent - ours
    assert [value for header, value in headers if header.lower() == "x-api-key"] == ["sk-raw-0123456789"]


FRAMING = {
    "length and chunks": "Content-Length: 12\r\nTransfer-Encoding: chunked", "two lengths": "Content-Length: 12\r\nContent-Length: 12",
    "two lengths that differ": "Content-Length: 12\r\nContent-Length: 0", "a list": "Content-Length: 12, 12", "plus": "Content-Length: +12",
    "hex": "Content-Length: 0xc", "blank": "Content-Length: 1 2", "negative": "Content-Length: -1", "huge": "Content-Length: 99999999999999999999",
    "gzip, chunked": "Transfer-Encoding: gzip, chunked", "chunked twice": "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "identity": "Transfer-Encoding: identity", "tab": "Transfer-Encoding:\tchunked\r\nContent-Length: 12", "blank before colon": "Content-Length : 12",
    "folded": "X-A: b\r\n Content-Length: 3\r\nContent-Length: 12", "bare cr": "X-A: b\rTransfer-Encoding: chunked\r\nContent-Length: 12",
    "bare lf": "X-A: b\nContent-Length: 12", "nul": "X-A: b\0\r\nContent-Length: 12", "no name": ": x\r\nContent-Length: 12",
    "two hosts": "Host: evil.test\r\nContent-Length: 12", "xchunked": "Transfer-Encoding: xchunked\r\nContent-Length: 12",
}


@pytest.mark.parametrize("name", FRAMING)
def test_no_framing_trick_reaches_the_api(arena, mallory, name):
    before = len(arena.recorded("raw"))
    proof = mallory.proofed("raw", "POST", "/things", caller.body_digest(NOTE))
    lines = ["POST /r/raw/things HTTP/1.1", f"Host: 127.0.0.1:{arena.port + 1}", "Content-Type: application/json",
             *(f"{header}: {value}" for header, value in proof), FRAMING[name]]
    inner = f"GET /r/raw/things/1 HTTP/1.1\r\nHost: 127.0.0.1:{arena.port + 1}\r\n\r\n".encode()
    answer = arena.raw("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + NOTE + inner)
    assert status(answer) == 0 or 400 <= status(answer) < 500, answer
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert len(arena.recorded("raw")) == before


def test_a_chunked_body_is_sent_upstream_as_the_bytes_it_is(arena, mallory):
    proof = mallory.proofed("raw", "POST", "/things", caller.body_digest(NOTE))
    lines = ["POST /r/raw/things HTTP/1.1", f"Host: 127.0.0.1:{arena.port + 1}", "Content-Type: application/json", "Connection: close",
             *(f"{header}: {value}" for header, value in proof), "Transfer-Encoding: chunked"]
    answer = arena.raw("\r\n".join(lines).encode() + b"\r\n\r\n6;x=y\r\n" + NOTE[:6] + b"\r\n6\r\n" + NOTE[6:] + b"\r\n0\r\nX-Api-Key: evil\r\n\r\n")
    assert status(answer) == 200, answer
    first, headers, body = head_of(arena.recorded("raw")[-1])
    assert body == NOTE and ("Content-Length", "12") in headers
    assert "evil" not in repr(headers) and "transfer-encoding" not in [name.lower() for name, _ in headers]


@pytest.mark.parametrize("host", ["evil.test", "127.0.0.1", "localhost:{port}", "127.0.0.1:{port}.evil.test", "127.0.0.1:{port}@evil.test", "",
                                  "127.0.0.1:{port},evil.test", "[::1]:{port}", "0177.0.0.1:{port}", "2130706433:{port}"])
def test_no_other_host_is_served(arena, mallory, host):
    """Neither by Host nor by what a proof says of it (P24)."""
    host = host.replace("{port}", str(arena.port + 1))
    proof = mallory.credentials("POST", f"http://{host or 'x'}/r/raw/things", mallory.delegated_token("raw"),
                                action_digest=mallory.action_digest("raw", "POST", "/things", caller.body_digest(NOTE)))
    before = len(arena.recorded("raw"))
    for headers in (proof, mallory.proofed("raw", "POST", "/things", caller.body_digest(NOTE))):
        lines = ["POST /r/raw/things HTTP/1.1", f"Host: {host}", "Content-Type: application/json", "Content-Length: 12",
                 *(f"{name}: {value}" for name, value in headers)]
        answer = arena.raw("\r\n".join(lines).encode() + b"\r\n\r\n" + NOTE)
        assert status(answer) in (400, 403, 421), answer
    assert len(arena.recorded("raw")) == before


def test_query_and_target_are_those_that_were_granted(arena, mallory):
    answer = ask(arena, mallory, "GET", "/things/1", b"")
    assert status(answer) == 200 and head_of(arena.recorded("raw")[-1])[0] == "GET /things/1 HTTP/1.1"
    assert urllib.parse.urlsplit(arena.recorder["raw"]).port
