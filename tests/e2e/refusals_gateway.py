"""Refusals of the gateway: who calls, with which proof, what, and in which form."""
import time

from caller import send
from refusal_case import b64, body_digest, compact, hashlib, hmac, row, ticket

BAD_TOKEN = "token or proof not valid here"
DIFFERS = "the call differs from what the token allows"
OUTSIDE = "an argument is outside the grant"

# --- who calls ------------------------------------------------------------------------------------------------------


@row("mcp:G18", "no token", 401, "no token", count="gateway no_token")
def _(at):
    return at.post_ticket(credentials=[])


@row("mcp:G18", "no token on an MCP route", 401, "no token", count="gateway no_token")
def _(at):
    return lambda: at.me.post("invoices", {"jsonrpc": "2.0", "id": 1, "method": "ping"}, [])


@row("oauth:P25", "bound token as Bearer", 401, BAD_TOKEN, count="gateway token")
def _(at):
    token = at.capability()
    proof = at.me.credentials("POST", at.url["tickets"] + "/tickets", token)[1]
    return at.post_ticket(credentials=[("Authorization", f"Bearer {token}"), proof])


@row("oauth:P25", "token without proof", 401, BAD_TOKEN, count="gateway proof")
def _(at):
    return at.post_ticket(credentials=[("Authorization", f"DPoP {at.capability()}")])


@row("oauth:P70", "two Authorization headers", 400, "", count="gateway duplicate")
def _(at):
    first, proof = at.me.credentials("POST", at.url["tickets"] + "/tickets", at.capability())
    return at.post_ticket(credentials=[first, ("Authorization", "Bearer x"), proof])


@row("oauth:P70", "two DPoP headers", 400, "", count="gateway duplicate")
def _(at):
    first, proof = at.me.credentials("POST", at.url["tickets"] + "/tickets", at.capability())
    return at.post_ticket(credentials=[first, proof, proof])


@row("oauth:P70 mcp:G18", "token in the query", 400, "", count="gateway value")
def _(at):
    token = at.capability()
    return at.post_ticket(token, target=f"/tickets?access_token={token}")


@row("mcp:G18", "token in the query of an MCP route", 404, "", count="gateway not_found")
def _(at):
    token = at.me.delegated_token("invoices")
    credentials = at.me.credentials("POST", at.url["invoices"], token)
    body = compact({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()
    return lambda: send("POST", f"{at.url['invoices']}?access_token={token}", [("Content-Type", "application/json"), *credentials], body)


# --- tokens that are none (P19: every kind in every slot but its own) ----------------------------------------------------

def presented(at, token):
    return at.post_ticket(credentials=at.me.credentials("POST", at.url["tickets"] + "/tickets", token))


@row("oauth:P19", "assertion as token", 401, BAD_TOKEN, count="gateway type")
def _(at):
    return presented(at, at.me.assertion())


@row("oauth:P19", "proof as token", 401, BAD_TOKEN, count="gateway type")
def _(at):
    return presented(at, at.me.proof("POST", at.url["tickets"] + "/tickets"))


@row("oauth:P19", "grant id as token", 401, BAD_TOKEN, count="gateway token")
def _(at):
    return presented(at, at.me.grant)


@row("oauth:P15", "token signed by the agent itself", 401, BAD_TOKEN, count="gateway signature")
def _(at):
    good = at.capability()
    return presented(at, at.me.jwt({"typ": "at+jwt", "kid": at.header_of(good)["kid"]}, at.payload_of(good)))


@row("oauth:P15", "token that brings its own key", 401, BAD_TOKEN, count="gateway token")
def _(at):
    return presented(at, at.me.jwt({"typ": "at+jwt", "jwk": at.me.jwk}, at.payload_of(at.capability())))


@row("oauth:P19", "token with alg none", 401, BAD_TOKEN, count="gateway algorithm")
def _(at):
    return presented(at, b64(compact({"typ": "at+jwt", "alg": "none"})) + "." + at.capability().split(".")[1] + ".")


@row("oauth:P19", "token in HS256 under the public key", 401, BAD_TOKEN, count="gateway algorithm")
def _(at):
    import json
    import urllib.request

    from refusal_case import unb64
    good = at.capability()
    keys = json.load(urllib.request.urlopen(at.on.issuer + "/keys"))["keys"]
    secret = unb64(next(key["x"] for key in keys if key["kid"] == at.header_of(good)["kid"]))
    return presented(at, at.forged({"typ": "at+jwt", "alg": "HS256", "kid": at.header_of(good)["kid"]}, at.payload_of(good),
                                   lambda text: hmac.new(secret, text, hashlib.sha256).digest()))


@row("oauth:P68", "token with one flipped bit of its signature", 401, BAD_TOKEN, count="gateway signature")
def _(at):
    head, body, mark = at.capability().split(".")
    return presented(at, f"{head}.{body}.{('A' if mark[20] != 'A' else 'B').join((mark[:20], mark[21:]))}")


@row("oauth:P68", "token with blanks in it", 401, BAD_TOKEN, count="gateway token")
def _(at):
    token = at.capability()
    credentials = at.me.credentials("POST", at.url["tickets"] + "/tickets", token)
    return at.post_ticket(credentials=[("Authorization", f"DPoP {token[:30]} {token[30:]}"), credentials[1]])


@row("oauth:P12", "another route's token", 401, BAD_TOKEN, count="gateway audience")
def _(at):
    return presented(at, at.me.delegated_token("invoices"))


@row("", "a token of 12 kB", 401, BAD_TOKEN, count="gateway token")
def _(at):
    return at.post_ticket(credentials=[("Authorization", "DPoP " + "a" * 12000), ("DPoP", "x")])


# --- the proof --------------------------------------------------------------------------------------------------------------

def with_proof(at, proof, token):
    return at.post_ticket(credentials=[("Authorization", f"DPoP {token}"), ("DPoP", proof)])


@row("oauth:P2", "another agent's token, its own key", 401, BAD_TOKEN, count="gateway token_key")
def _(at):
    return presented(at, at.capability(at.other))


@row("oauth:P2", "my token, another key", 401, BAD_TOKEN, count="gateway token_key")
def _(at):
    token = at.capability()
    return at.post_ticket(credentials=at.other.credentials("POST", at.url["tickets"] + "/tickets", token))


@row("oauth:P20", "call with a proof for another method", 401, BAD_TOKEN, count="gateway proof")
def _(at):
    token = at.capability()
    return with_proof(at, at.me.proof("GET", at.url["tickets"] + "/tickets", ath=at.me.ath(token)), token)


@row("oauth:P24", "call with a proof for another URL", 401, BAD_TOKEN, count="gateway proof")
def _(at):
    token = at.capability()
    return with_proof(at, at.me.proof("POST", at.url["tickets"] + "/other", ath=at.me.ath(token)), token)


@row("oauth:P24", "proof for the URL that Host claims", 403, "host or origin not allowed", count="gateway host")
def _(at):
    token = at.capability()
    proof = at.me.proof("POST", "http://evil.example/r/tickets/tickets", ath=at.me.ath(token))
    return lambda: send_raw_host(at, token, proof)


def send_raw_host(at, token, proof):
    import http.client
    connection = http.client.HTTPConnection("127.0.0.1", at.on.port + 1, timeout=10)
    connection.putrequest("POST", "/r/tickets/tickets", skip_host=True, skip_accept_encoding=True)
    body = ticket()
    for name, value in (("Host", "evil.example"), ("Authorization", f"DPoP {token}"), ("DPoP", proof),
                        ("Content-Type", "application/json"), ("Content-Length", str(len(body)))):
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    from caller import Answer
    return Answer(answer.status, answer.headers, answer.read())


@row("oauth:P25", "proof of another token", 401, BAD_TOKEN, count="gateway proof")
def _(at):
    token = at.capability()
    return with_proof(at, at.me.proof("POST", at.url["tickets"] + "/tickets", ath=at.me.ath(token + "x")), token)


@row("oauth:P68", "a proof that is no JWT", 401, BAD_TOKEN, count="gateway proof")
def _(at):
    return with_proof(at, "proof", at.capability())


@row("", "proof without ath", 401, BAD_TOKEN, count="gateway proof")
def _(at):
    return with_proof(at, at.me.proof("POST", at.url["tickets"] + "/tickets"), at.capability())


@row("", "call with a proof too old", 401, BAD_TOKEN, count="gateway proof")
def _(at):
    token = at.capability()
    return with_proof(at, at.me.proof("POST", at.url["tickets"] + "/tickets", ath=at.me.ath(token), iat=int(time.time()) - 200), token)


@row("", "proof from the future", 401, BAD_TOKEN, count="gateway proof")
def _(at):
    token = at.capability()
    return with_proof(at, at.me.proof("POST", at.url["tickets"] + "/tickets", ath=at.me.ath(token), iat=int(time.time()) + 200), token)


@row("oauth:P19", "token as proof", 401, BAD_TOKEN, count="gateway proof")
def _(at):
    token = at.capability()
    return with_proof(at, token, token)


@row("oauth:P19", "call with an assertion as proof", 401, BAD_TOKEN, count="gateway proof")
def _(at):
    return with_proof(at, at.me.assertion(), at.capability())


@row("mcp:G32", "proof of a list used before", 401, BAD_TOKEN, record="replay")
def _(at):
    credentials = at.me.credentials("POST", at.url["invoices"], at.me.delegated_token("invoices"))
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    assert at.me.post("invoices", message, credentials, at.me.open("invoices")).status == 200
    return lambda: at.me.post("invoices", message, credentials, at.me.open("invoices"))


# --- what the token is for ----------------------------------------------------------------------------------------------------

@row("oauth:P97", "second use of a capability", 401, BAD_TOKEN, record="replay")
def _(at):
    token = at.capability()
    assert at.post_ticket(token)().status == 201
    return at.post_ticket(token)


@row("oauth:P95", "delegated token, proof that names no action", 403, DIFFERS, record="action")
def _(at):
    return presented(at, at.me.delegated_token("tickets"))


@row("oauth:P95", "delegated token, proof for another action", 403, DIFFERS, record="action")
def _(at):
    token, url = at.me.delegated_token("tickets"), at.url["tickets"] + "/tickets"
    action = at.me.action_digest("tickets", "POST", "/tickets", body_digest(ticket("another")))
    return at.post_ticket(credentials=at.me.credentials("POST", url, token, action_digest=action))


@row("oauth:P95", "per-call proof used before", 401, BAD_TOKEN, record="replay")
def _(at):
    token, url = at.me.delegated_token("tickets"), at.url["tickets"] + "/tickets"
    action = at.me.action_digest("tickets", "POST", "/tickets", body_digest(ticket("twice")))
    credentials = at.me.credentials("POST", url, token, action_digest=action)
    assert at.post_ticket(credentials=credentials, body=ticket("twice"))().status == 201
    return at.post_ticket(credentials=credentials, body=ticket("twice"))


@row("oauth:P20", "one changed byte of the body", 403, DIFFERS, record="action")
def _(at):
    return at.post_ticket(at.capability(body=ticket("aaaa")), body=ticket("aaab"))


@row("oauth:P20", "one blank more in the body", 403, DIFFERS, record="action")
def _(at):
    return at.post_ticket(at.capability(), body=ticket() + b" ")


@row("oauth:P20", "another method", 403, DIFFERS, record="action")
def _(at):
    return at.post_ticket(at.capability(), method="PUT")


@row("oauth:P20", "another target", 403, DIFFERS, record="action")
def _(at):
    return at.post_ticket(at.capability(), target="/tickets/1")


@row("oauth:P20", "a query more", 403, DIFFERS, record="action")
def _(at):
    return at.post_ticket(at.capability(), target="/tickets?x=1")


@row("oauth:P20", "one changed argument", 403, DIFFERS, record="action")
def _(at):
    token = at.me.tool_capability("invoices", "read_text_file", {"path": at.file})
    return lambda: at.me.call_tool("invoices", "read_text_file", {"path": at.file.replace("0401", "0402")}, token=token)


@row("oauth:P20", "another tool", 403, DIFFERS, record="action")
def _(at):
    token = at.me.tool_capability("invoices", "read_text_file", {"path": at.file})
    return lambda: at.me.call_tool("invoices", "list_directory", {"path": at.file}, token=token)


@row("oauth:P96", "capability opens no session", 401, BAD_TOKEN, record="type")
def _(at):
    token = at.me.tool_capability("invoices", "read_text_file", {"path": at.file})
    message = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}}
    credentials = at.me.credentials("POST", at.url["invoices"], token)
    return lambda: at.me.post("invoices", message, credentials)


@row("oauth:P96", "capability lists nothing", 401, BAD_TOKEN, record="type")
def _(at):
    token = at.me.tool_capability("invoices", "read_text_file", {"path": at.file})
    credentials = at.me.credentials("POST", at.url["invoices"], token)
    return lambda: at.me.post("invoices", {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, credentials, at.me.open("invoices"))


# --- sessions ---------------------------------------------------------------------------------------------------------------------

def list_in(at, session, route="invoices"):
    credentials = at.me.credentials("POST", at.url[route], at.me.delegated_token(route))
    return lambda: at.me.post(route, {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, credentials, session)


@row("oauth:P96 mcp:G11", "another agent's session", 404, "", record="session")
def _(at):
    return list_in(at, at.other.open("invoices"))


@row("mcp:G11", "another route's session", 404, "", record="session")
def _(at):
    return list_in(at, at.me.open("everything"))


@row("mcp:G11", "a session id with one changed character", 404, "", record="session")
def _(at):
    session = at.me.open("invoices")
    return list_in(at, session[:40] + ("A" if session[40] != "A" else "B") + session[41:])


@row("mcp:G11", "a session id that somebody made up", 404, "", record="session")
def _(at):
    return list_in(at, "0123456789abcdef")


# --- bounds and rules ----------------------------------------------------------------------------------------------------------------

@row("mcp:G29", "a tool that does not exist", 200, "Unknown tool: no_such_tool", record="tool")
def _(at):
    return at.call("no_such_tool", {})


@row("mcp:G29", "a tool of the server that the route does not list", 200, "Unknown tool: move_file", record="tool")
def _(at):
    return at.call("move_file", {"source": at.file, "destination": at.file + "x"})


@row("", "a tool of the route that the grant does not name", 200, "Unknown tool: write_file", record="tool")
def _(at):
    return at.call("write_file", {"path": at.file, "content": "x"})


@row("oauth:P107", "path with dots", 200, OUTSIDE, record="argument")
def _(at):
    return at.call("read_text_file", {"path": f"{at.on.invoices}/../payroll/salaries.csv"})


@row("oauth:P107", "path with escaped dots", 200, OUTSIDE, record="argument")
def _(at):
    return at.call("read_text_file", {"path": f"{at.on.invoices}/%2e%2e/payroll/salaries.csv"})


@row("oauth:P107", "path with a backslash", 200, OUTSIDE, record="argument")
def _(at):
    return at.call("read_text_file", {"path": f"{at.on.invoices}/..\\payroll/salaries.csv"})


@row("oauth:P107", "path with two slashes", 200, OUTSIDE, record="argument")
def _(at):
    return at.call("read_text_file", {"path": f"{at.on.invoices}//INV-0401.json"})


@row("oauth:P107", "path that only begins alike", 200, OUTSIDE, record="argument")
def _(at):
    return at.call("read_text_file", {"path": f"{at.on.invoices}-old/INV-0401.json"})


@row("oauth:P107", "path not in normal form", 200, OUTSIDE, record="argument")
def _(at):
    return at.call("read_text_file", {"path": f"{at.on.invoices}/INV-e\u0301.json"})


@row("oauth:P66 oauth:P107", "path with NUL", 400, "a value is not allowed here", record="value")
def _(at):
    return at.call("read_text_file", {"path": f"{at.on.invoices}/INV-0401.json\0.txt"})


@row("oauth:P32", "an argument that no rule names", 200, OUTSIDE, record="argument")
def _(at):
    return at.call("read_text_file", {"path": at.file, "head": 3})


@row("oauth:P32", "an argument that is missing", 200, OUTSIDE, record="argument")
def _(at):
    return at.call("read_text_file", {})


@row("", "an argument of another type", 200, OUTSIDE, record="argument")
def _(at):
    return at.call("read_text_file", {"path": [at.file]})


@row("", "a query on a table the grant does not name", 200, OUTSIDE, record="argument")
def _(at):
    at.me.open("warehouse")
    return at.call("read_query", {"query": "SELECT name, iban FROM customers"}, route="warehouse")


@row("", "a query that reaches another table by a union", 200, OUTSIDE, record="argument")
def _(at):
    at.me.open("warehouse")
    return at.call("read_query", {"query": "SELECT iban from customers union select id FROM orders"}, route="warehouse")


@row("", "a query with a second statement", 200, OUTSIDE, record="argument")
def _(at):
    at.me.open("warehouse")
    return at.call("read_query", {"query": "SELECT id FROM orders; DROP TABLE orders"}, route="warehouse")


@row("oauth:P46", "a ticket whose priority is outside the grant", 403, OUTSIDE, record="argument")
def _(at):
    body = ticket().replace(b'"low"', b'"urgent"')
    return at.post_ticket(at.capability(body=body), body=body)


@row("", "a method that the route does not list", 404, "unknown tool", record="tool")
def _(at):
    token, url = at.me.delegated_token("tickets"), at.url["tickets"] + "/tickets/1"
    action = at.me.action_digest("tickets", "DELETE", "/tickets/1", body_digest(b""))
    return at.post_ticket(credentials=at.me.credentials("DELETE", url, token, action_digest=action), method="DELETE",
                          target="/tickets/1", body=b"")


@row("", "a body that is not what its type says", 400, "malformed request", record="syntax")
def _(at):
    return at.post_ticket(at.capability(body=b"{"), body=b"{")


@row("", "a body that rules cannot read", 403, OUTSIDE, record="argument")
def _(at):
    return at.post_ticket(at.capability(), content_type="text/plain")


@row("oauth:P44", "a permission the user has lost", 403, "the user has no role with this permission", record="denied")
def _(at):
    me, body = at.me, ticket()
    send_it = at.post_ticket(at.capability())
    scopes = ["invoices:read", "warehouse:read", "everything:use", "tickets:create", "tickets:read"]

    def role(names):
        at.on.cli("role", "put", "billing", *(word for name in names for word in ("--scope", name)))
    role([name for name in scopes if name != "tickets:create"])

    def send_and_restore():
        answer = send_it()
        role(scopes)
        return answer
    assert me and body
    return send_and_restore


@row("oauth:P84", "call under a revoked grant, its token still fresh", 401, BAD_TOKEN, record="grant_revoked")
def _(at):
    me = at.on.caller()
    token = at.capability(me)
    at.on.cli("grant", "revoke", me.grant)
    return lambda: me.http("tickets", "POST", "/tickets", ticket(), token=token)


@row("oauth:P106", "a grant without uses left", 403, "the grant has no uses left", record="grant_uses")
def _(at):
    me = at.on.caller(uses=1)
    first, second = at.capability(me), at.capability(me)
    assert me.http("tickets", "POST", "/tickets", ticket(), token=first).status == 201
    return lambda: me.http("tickets", "POST", "/tickets", ticket(), token=second)


@row("", "a grant that has ended", 403, "the grant has ended", record="grant_expired")
def _(at):
    me = at.on.caller(life="2s")
    token = at.capability(me)
    time.sleep(3.1)
    return lambda: me.http("tickets", "POST", "/tickets", ticket(), token=token)


@row("", "call by an agent in quarantine", 401, BAD_TOKEN, record="agent_state")
def _(at):
    token = at.capability(at.other)
    at.on.cli("agent", "state", "night-watch", "quarantined")

    def send_it():
        answer = at.other.http("tickets", "POST", "/tickets", ticket(), token=token)
        at.on.cli("agent", "state", "night-watch", "active")
        return answer
    return send_it


# --- messages ----------------------------------------------------------------------------------------------------------------------------

PING = '{"jsonrpc":"2.0","id":1,"method":"ping"}'
DEEP = '{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":' + "[" * 70 + "]" * 70 + "}}"
MESSAGES = [  # name, ids, text, status, words, code
    ("JSON cut off", "mcp:G5", '{"jsonrpc":"2.0","id":1,"method":"ping"', 400, "malformed request", "syntax"),
    ("JSON with a comma too many", "mcp:G5", '{"jsonrpc":"2.0","id":1,"method":"ping",}', 400, "malformed request", "syntax"),
    ("JSON with a byte order mark", "mcp:G5", "\ufeff" + PING, 400, "malformed request", "syntax"),
    ("two JSON texts", "mcp:G5", PING + PING, 400, "malformed request", "syntax"),
    ("JSON with a comment", "mcp:G5", "/**/" + PING, 400, "malformed request", "syntax"),
    ("nothing", "mcp:G5", "", 400, "malformed request", "syntax"),
    ("a member twice", "oauth:P65", '{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}', 400, "repeated", "duplicate"),
    ("a member twice, once escaped", "oauth:P65", '{"jsonrpc":"2.0","id":1,"method":"ping","m\\u0065thod":"ping"}', 400, "repeated", "duplicate"),
    ("a member twice, deep inside", "oauth:P65", '{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":[{"b":1,"b":2}]}}', 400, "repeated",
     "duplicate"),
    ("a lone surrogate", "oauth:P66", '{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"\\ud800"}}', 400, "UTF-8", "utf8"),
    ("bytes that are not UTF-8", "oauth:P66", b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"\xff"}}', 400, "UTF-8", "utf8"),
    ("JSON too deep", "oauth:P65", DEEP, 413, "too large, too deep", "limit"),
    ("JSON with too many values", "oauth:P65", '{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":[' + "0," * 70000 + "0]}}", 413,
     "too large", "limit"),
    ("a batch", "mcp:G5", f"[{PING}]", 400, "not allowed", "value"),
    ("a text", "mcp:G5", '"ping"', 400, "not allowed", "value"),
    ("another version of JSON-RPC", "", '{"jsonrpc":"1.0","id":1,"method":"ping"}', 400, "not allowed", "value"),
    ("id null", "", '{"jsonrpc":"2.0","id":null,"method":"ping"}', 400, "not allowed", "value"),
    ("id with a fraction", "", '{"jsonrpc":"2.0","id":1.5,"method":"ping"}', 400, "not allowed", "value"),
    ("params that are a list", "", '{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}', 400, "not allowed", "value"),
    ("request and response in one", "", '{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}', 400, "not allowed", "value"),
]


def add_message(name, ids, text, status, words, code):
    raw = text if isinstance(text, bytes) else text.encode()
    row(ids, name, status, words, record=code)(lambda at: at.message(raw))


for one in MESSAGES:
    add_message(*one)


@row("oauth:P67", "a number beyond 2^53 among the arguments", 200, "number outside the exact range", record="number")
def _(at):
    raw = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_text_file","arguments":{"path":9007199254740993}}}'
    return at.message(raw.encode())


@row("mcp:G5", "a message above the limit", 413, "", count="http refused")
def _(at):
    raw = PING[:-1].encode() + b',"params":{"a":"' + b"a" * (4 << 20) + b'"}}'
    return at.message(raw)


@row("", "a message that is no JSON by its type", 415, "wrong content type", record="content_type")
def _(at):
    credentials = at.me.credentials("POST", at.url["invoices"], at.me.delegated_token("invoices"))
    session = at.me.open("invoices")
    return lambda: send("POST", at.url["invoices"], [("Content-Type", "text/plain"), ("Accept", "application/json, text/event-stream"),
                                                     ("Mcp-Session-Id", session), *credentials], PING.encode())


@row("mcp:G4", "an origin that is not allowed", 403, "host or origin not allowed", count="gateway host")
def _(at):
    credentials = at.me.credentials("POST", at.url["invoices"], at.me.delegated_token("invoices"))
    return lambda: at.me.post("invoices", PING.encode(), [("Origin", "http://evil.example"), *credentials], at.me.open("invoices"))


@row("", "call to a route that does not exist", 404, "", count="gateway not_found")
def _(at):
    return lambda: send("POST", at.on.route("nothing"), at.me.credentials("POST", at.on.route("nothing"), at.me.delegated_token("tickets")))


# --- paths of an HTTP route -------------------------------------------------------------------------------------------------------------------

PATHS = ["/tickets/../tickets", "/tickets/%2e%2e/tickets", "//tickets", "/tickets//1", "/tickets%2f1", "/tick%65ts", "/tickets/%00",
         "/tickets\\1", "/./tickets", "/tickets/.;x/1"]


def add_path(path):
    @row("oauth:P107", f"path {path}", 400, "", count="gateway value")
    def _(at):
        token = at.me.delegated_token("tickets")
        action = at.me.action_digest("tickets", "POST", path, body_digest(ticket()))
        credentials = at.me.credentials("POST", at.url["tickets"] + path, token, action_digest=action)
        return at.post_ticket(credentials=credentials, target=path)


for one in PATHS:
    add_path(one)
