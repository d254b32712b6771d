"""The agent plays our JSON reader against the upstream's: whatever reaches a server must mean to it what was judged here."""
import json

import pytest

CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"say","arguments":%s}}'
DEEP = '{"message":' + "[" * 70 + "]" * 70 + "}"

ARGUMENTS = {
    "plain": '{"message":"a"}',
    "escapes": '{"me\\u0073sage":"\\u0061\\/\\b\\f\\n\\r\\t\\"\\\\ \\ud83d\\ude00"}',
    "raw separators": '{"message":"\u2028\u2029\u0085\u00a0\ufeff"}',
    "rtl": '{"message":"\u202egpj.exe"}',
    "white space": '\t\n\r {\r\n"message" : \t"a" \n}',
    "duplicate": '{"message":"a","message":"b"}',
    "duplicate, escaped": '{"message":"a","mess\\u0061ge":"b"}',
    "duplicate, deep": '{"message":"a","x":{"y":[{"z":1,"z":2}]}}',
    "lone high": '{"message":"\\ud800"}',
    "lone low": '{"message":"\\udc00"}',
    "swapped": '{"message":"\\udc00\\ud800"}',
    "surrogate as utf-8": b'{"message":"\xed\xa0\x80"}',
    "overlong": b'{"message":"\xc0\xaf"}',
    "latin-1": b'{"message":"\xe9"}',
    "cut utf-8": b'{"message":"\xe2\x82"}',
    "nul escape": '{"message":"a\\u0000b"}',
    "nul": b'{"message":"a\x00b"}',
    "raw line feed": '{"message":"a\nb"}',
    "raw tab": '{"message":"a\tb"}',
    "del": '{"message":"a\x7fb"}',
    "huge exponent": '{"message":1e400}',
    "tiny exponent": '{"message":1e-400}',
    "minus zero": '{"message":-0}',
    "minus zero, decimal": '{"message":-0.0}',
    "beyond 2^53": '{"message":9007199254740993}',
    "long decimal": '{"message":0.1000000000000000055511151231257827}',
    "fraction of an integer": '{"message":2.0}',
    "exponent of an integer": '{"message":2e0}',
    "nan": '{"message":NaN}',
    "infinity": '{"message":-Infinity}',
    "hex": '{"message":0x10}',
    "leading zero": '{"message":01}',
    "plus": '{"message":+1}',
    "dot first": '{"message":.5}',
    "dot last": '{"message":5.}',
    "trailing comma": '{"message":"a",}',
    "comment": '{"message":"a"/*,"message":"b"*/}',
    "single quotes": "{'message':'a'}",
    "bare key": '{message:"a"}',
    "literal case": '{"message":True}',
    "deep": DEEP,
    "proto": '{"message":"a","__proto__":{"message":"b"}}',
    "constructor": '{"message":"a","constructor":{"prototype":{"x":1}}}',
    "other case": '{"message":"a","Message":"b"}',
    "kelvin": '{"message":"a","messa\u212ae":"b"}',
    "array": '["a"]',
    "string": '"a"',
    "null": "null",
    "empty key": '{"message":"a","":"b"}',
}


def judged(arguments):
    """The action digest that an honest client would compute, from the most lenient reading there is."""
    try:
        return json.loads(arguments if isinstance(arguments, str) else arguments.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        return {"message": "a"}


@pytest.mark.parametrize("route", ["python", "node"])
@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_server_understands_what_was_judged(arena, mallory, route, name):
    raw, head, tail = ARGUMENTS[name], *CALL.split("%s")
    text = head.encode() + (raw if isinstance(raw, bytes) else raw.encode()) + tail.encode()
    meant = judged(raw)
    if name in ("fraction of an integer", "exponent of an integer"):
        meant = {"message": 2}  # RFC 8785 writes 2.0 as 2
    before = len(arena.stdio_calls(route))
    answer = mallory.call_raw(route, text, arguments=meant)
    reached = len(arena.stdio_calls(route)) - before if answer.status == 200 else 0
    if answer.status == 200 and "result" in answer.json and not answer.is_tool_error:
        seen = json.loads(answer.text)
        assert seen == {"name": "say", "arguments": meant}
        assert set(seen["arguments"]) == {"message"} and isinstance(seen["arguments"]["message"], str)
        assert reached == 1
    else:
        assert reached == 0
    if name in ("plain", "escapes", "raw separators", "rtl", "white space", "del"):
        assert reached == 1, answer.text


MESSAGES = {
    "second params": '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"say","arguments":{"message":"a"}},"params":{"name":"shout"}}',
    "PARAMS": '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"say","arguments":{"message":"a"}},"PARAMS":{"name":"shout"}}',
    "Params first": '{"jsonrpc":"2.0","id":1,"method":"tools/call","Params":{"name":"shout"},"params":{"name":"say","arguments":{"message":"a"}}}',
    "long s": '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"say","arguments":{"message":"a"}},"param\u017f":{"name":"shout"}}',
    "Method": '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"say","arguments":{"message":"a"}},"Method":"tools/list"}',
    "ID": '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"say","arguments":{"message":"a"}},"ID":7}',
    "Name": '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"say","arguments":{"message":"a"},"Name":"shout"}}',
    "Arguments": '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"say","arguments":{"message":"a"},"Arguments":{"message":"b"}}}',
    "argument\u017f": '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"say","arguments":{"message":"a"},"argument\u017f":{"message":"b"}}}',
    "bom": '\ufeff{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"say","arguments":{"message":"a"}}}',
    "two": '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"say","arguments":{"message":"a"}}}\n{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"shout"}}',
    "trailing": '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"say","arguments":{"message":"a"}}}x',
    "batch": '[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"say","arguments":{"message":"a"}}}]',
    "result too": '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"say","arguments":{"message":"a"}},"result":{}}',
    "version": '{"jsonrpc":"2.00","id":1,"method":"tools/call","params":{"name":"say","arguments":{"message":"a"}}}',
    "id null": '{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"say","arguments":{"message":"a"}}}',
    "id fraction": '{"jsonrpc":"2.0","id":1.5,"method":"tools/call","params":{"name":"say","arguments":{"message":"a"}}}',
    "no id": '{"jsonrpc":"2.0","method":"tools/call","params":{"name":"say","arguments":{"message":"a"}}}',
    "method blank": '{"jsonrpc":"2.0","id":1,"method":"tools/call ","params":{"name":"say","arguments":{"message":"a"}}}',
    "params list": '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["say",{"message":"a"}]}',
}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_that_two_readers_read_in_two_ways_goes_nowhere(arena, mallory, name):
    before = arena.upstream_calls(), len((arena.dir / "logs/python.lines").read_text().split("\n"))
    answer = mallory.call_raw("python", MESSAGES[name], arguments={"message": "a"})
    assert answer.status in (400, 202) or "error" in answer.json, answer.text
    assert (arena.upstream_calls(), len((arena.dir / "logs/python.lines").read_text().split("\n"))) == before


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"])
def test_no_text_becomes_a_line_of_its_own(arena, mallory, separator):
    """A server that splits its input at more than line feeds would take the middle for a message of its own."""
    inner = '{"jsonrpc":"2.0","id":99,"method":"tools/call","params":{"name":"shout","arguments":{}}}'
    message = f"x{separator}{inner}{separator}"
    text = CALL % json.dumps({"message": message}, ensure_ascii=False).replace(json.dumps(separator)[1:-1], separator)
    assert f"x{separator}" in text
    answer = mallory.call_raw("careless", text, arguments={"message": message})
    if separator in "\u2028\u2029\u0085":  # what JSON allows as it is arrives whole
        assert json.loads(answer.text)["arguments"] == {"message": message}
    else:
        assert answer.status == 400
    assert '"name": "shout"' not in (arena.dir / "logs/careless.seen").read_text()
