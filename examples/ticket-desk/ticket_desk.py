#!/usr/bin/env python3
"""ticket-desk: a small help desk over HTTP, as thousands of companies run one. It knows nothing of
attorn: whoever sends one of its static API keys may do everything. Python's standard library only.

    ticket_desk.py --keys keys.txt [--port 0] [--db tickets.db] [--log access.log]

Keys file: one "ID KEY" per line. The key comes as `X-Api-Key: KEY` or `Authorization: Bearer KEY`.
    POST /tickets {"title", "body", "priority"}   201 and the ticket
    GET /tickets[?priority=P][&limit=N]           the newest first
    GET /tickets/ID, DELETE /tickets/ID           the ticket; 204
    GET /health                                   no key needed
Prints its port once it listens (127.0.0.1 only). One line per request in the access log:
    TIME METHOD TARGET STATUS KEY-ID|none SHA-256-OF-THE-BODY
"""
import argparse
import hashlib
import hmac
import json
import sqlite3
import threading
import urllib.parse
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BODY_BYTES_MAX = 64 * 1024  # a ticket is text that a person typed
LIST_MAX = 100
PRIORITIES = ("low", "normal", "high")
SCHEMA = """CREATE TABLE IF NOT EXISTS ticket(id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL,
    body TEXT NOT NULL, priority TEXT NOT NULL, opened_by TEXT NOT NULL, opened_at TEXT NOT NULL)"""


def now():
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Refusal(Exception):
    def __init__(self, status, text):
        super().__init__(text)
        self.status, self.text = status, text


class Desk:
    """The tickets, the keys and the access log; one lock, because a help desk is not busy."""

    def __init__(self, db, keys, log):
        self.lock = threading.Lock()
        self.db = sqlite3.connect(db, check_same_thread=False, isolation_level=None)
        self.db.row_factory = sqlite3.Row
        self.db.execute(SCHEMA)
        self.keys = dict(reversed(line.split(None, 1)) for line in
                         (raw.strip() for raw in open(keys, encoding="utf-8")) if line)
        self.log = open(log, "a", encoding="utf-8", buffering=1)

    def key_id(self, presented):
        found = None
        for key, name in self.keys.items():
            if hmac.compare_digest(key.encode(), presented.encode()):
                found = name
        return found

    def query(self, sql, *values):
        with self.lock:
            return [dict(row) for row in self.db.execute(sql, values)]

    def note(self, *fields):
        with self.lock:
            self.log.write(" ".join([now(), *map(str, fields)]) + "\n")


def ticket_from(body):
    try:
        ticket = json.loads(body)
    except ValueError:
        raise Refusal(400, "the body is not JSON") from None
    if not isinstance(ticket, dict) or set(ticket) - {"title", "body", "priority"}:
        raise Refusal(400, "a ticket has title, body and priority, nothing else")
    title, text, priority = ticket.get("title"), ticket.get("body", ""), ticket.get("priority", "normal")
    if not isinstance(title, str) or not title.strip() or not isinstance(text, str):
        raise Refusal(422, "title must be text and not empty, body must be text")
    if priority not in PRIORITIES:
        raise Refusal(422, f"priority must be one of {', '.join(PRIORITIES)}")
    return title, text, priority


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one write per answer
    timeout = 60
    desk: Desk

    def handle_request(self):
        self.key, self.body = None, b""
        try:
            self.body = self.read_body()
            status, answer = self.answer()
        except Refusal as refusal:
            status, answer = refusal.status, {"error": refusal.text}
        except Exception as problem:  # a bug of ours must not silence the log
            status, answer = 500, {"error": "internal"}
            self.log_error("%r", problem)
        self.desk.note(self.command, self.path, status, self.key or "none",
                       hashlib.sha256(self.body).hexdigest())
        raw = b"" if status == 204 else json.dumps(answer).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(raw)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = handle_request

    def read_body(self):
        lengths = self.headers.get_all("Content-Length", [])
        if self.headers.get("Transfer-Encoding") or len(lengths) > 1:
            self.close_connection = True
            raise Refusal(411, "send one Content-Length")
        length = lengths[0] if lengths else "0"
        if not (length.isascii() and length.isdigit()) or int(length) > BODY_BYTES_MAX:
            self.close_connection = True
            raise Refusal(413, f"at most {BODY_BYTES_MAX} bytes")
        return self.rfile.read(int(length))

    def answer(self):
        url = urllib.parse.urlsplit(self.path)
        if (self.command, url.path) == ("GET", "/health"):
            return 200, {"status": "ok"}
        presented = self.headers.get("X-Api-Key") or ""
        scheme, _, bearer = self.headers.get("Authorization", "").partition(" ")
        self.key = self.desk.key_id(presented or (bearer.strip() if scheme.lower() == "bearer" else ""))
        if not self.key:
            raise Refusal(401, "an API key is needed")
        if url.path == "/tickets":
            return self.open_ticket() if self.command == "POST" else self.list_tickets(url.query)
        prefix, _, number = url.path.rpartition("/")
        if prefix != "/tickets" or not (number.isascii() and number.isdigit() and len(number) < 16):
            raise Refusal(404, "no such page")
        return self.one_ticket(int(number))

    def open_ticket(self):
        row = self.desk.query("INSERT INTO ticket(title, body, priority, opened_by, opened_at)"
                              " VALUES (?, ?, ?, ?, ?) RETURNING *", *ticket_from(self.body), self.key, now())
        return 201, row[0]

    def list_tickets(self, query):
        if self.command != "GET":
            raise Refusal(405, "GET or POST")
        asked = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        limit = asked.pop("limit", str(LIST_MAX))
        priority = asked.pop("priority", None)
        if asked or not (limit.isascii() and limit.isdigit() and 0 < len(limit) < 8):
            raise Refusal(400, "priority and limit (a number) are what can be asked")
        return 200, {"tickets": self.desk.query(
            "SELECT * FROM ticket WHERE ?1 IS NULL OR priority = ?1 ORDER BY id DESC LIMIT ?2",
            priority, min(int(limit), LIST_MAX))}

    def one_ticket(self, number):
        if self.command not in ("GET", "DELETE"):
            raise Refusal(405, "GET or DELETE")
        sql = "SELECT * FROM ticket WHERE id = ?" if self.command == "GET" else \
            "DELETE FROM ticket WHERE id = ? RETURNING *"
        rows = self.desk.query(sql, number)
        if not rows:
            raise Refusal(404, "no such ticket")
        return (200, rows[0]) if self.command == "GET" else (204, None)

    def log_message(self, *_):  # the access log is ours
        pass


def main():
    parser = argparse.ArgumentParser(description="A help desk over HTTP.")
    parser.add_argument("--keys", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--db", default="tickets.db")
    parser.add_argument("--log", default="access.log")
    options = parser.parse_args()
    Handler.desk = Desk(options.db, options.keys, options.log)
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    try:
        server.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        pass


main()
