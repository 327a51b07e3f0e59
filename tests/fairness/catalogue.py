"""The attacks, each with its credentials and number of addresses.

Every one sends as fast as the server takes it. All work within what a stranger, a user, a token or a stolen session
can reach; none needs anything that a client cannot send.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

from tests.fairness import connections
from tests.fairness.connections import Line, event, frame
from tests.fairness.data import Person, Template

MANY = 50


@dataclass(frozen=True)
class Context:
    """The target and the credentials of an attack."""

    port: int
    people: list[Person]
    moved: int

    @classmethod
    def of(cls, template: Template, port: int) -> "Context":
        return cls(port, template.people[:-1], template.moved)


Lines = Callable[[Context], list[Line]]


@dataclass(frozen=True)
class Attack:
    """`who`: a stranger, a user, several users, a token; `addresses`: how many it comes from."""

    name: str
    who: str
    addresses: int
    lines: Lines


def _address(number: int) -> str:
    return f"127.0.{1 + number // 200}.{1 + number % 200}"


def _sockets(blob: bytes, count: int, *, addresses: int = 1, once: bool = False, churn: bool = False) -> Lines:
    """WebSockets that do not join."""

    def lines(context: Context) -> list[Line]:
        return [
            Line(lambda n=n: connections.websocket(context.port, _address(n % addresses)), blob, once=once, churn=churn)
            for n in range(count)
        ]

    return lines


def _handshakes(count: int, *, addresses: int = 1) -> Lines:
    """WebSockets that are opened, and closed as soon as they are."""

    def lines(context: Context) -> list[Line]:
        return [
            Line(
                lambda n=n: _connect(context.port, _address(n % addresses)),
                connections.handshake(context.port),
                once=True,
                churn=True,
                until=b'{"sid"',
            )
            for n in range(count)
        ]

    return lines


def _joining(token: str, count: int, *, addresses: int = 1) -> Lines:
    """WebSockets that try to join with this token, again and again."""

    def lines(context: Context) -> list[Line]:
        return [
            Line(lambda n=n: connections.websocket(context.port, _address(n % addresses), token), b"", churn=True)
            for n in range(count)
        ]

    return lines


def _tabs(
    blob: Callable[[Context], bytes] | bytes,
    *,
    users: int = 1,
    each: int = 2,
    credential: str = "token",
    churn: bool = False,
    deaf: bool = False,
) -> Lines:
    """Joined tabs of one or several users, each user from an address of their own."""

    def lines(context: Context) -> list[Line]:
        sent = blob if isinstance(blob, bytes) else blob(context)
        made = []
        for number, person in enumerate(context.people[:users]):
            token = getattr(person, credential)
            made += [
                Line(
                    lambda n=number, t=token: connections.websocket(context.port, _address(n), t),
                    sent,
                    churn=churn,
                    deaf=deaf,
                )
                for _ in range(each)
            ]
        return made

    return lines


def _http(
    message: Callable[[Context, str], bytes],
    *,
    count: int = 8,
    addresses: int = 1,
    credential: str = "",
    users: int = 1,
    pipelined: int = 8,
    churn: bool = False,
    once: bool = False,
) -> Lines:
    """HTTP connections that send one request after the other, without waiting for answers."""

    def lines(context: Context) -> list[Line]:
        made = []
        for number in range(count):
            token = getattr(context.people[number % users], credential) if credential else ""
            address = _address(number % max(addresses, users))
            made.append(
                Line(
                    lambda a=address: _connect(context.port, a),
                    message(context, token) * pipelined,
                    churn=churn,
                    once=once,
                )
            )
        return made

    return lines


def _connect(port: int, address: str):  # type: ignore[no-untyped-def]
    try:
        return connections.connect(port, address)
    except OSError:
        return None


def _get(path: str) -> Callable[[Context, str], bytes]:
    return lambda context, token: connections.request("GET", path, context.port, token)


def _post(path: str, **payload: object) -> Callable[[Context, str], bytes]:
    body = json.dumps(payload).encode()
    return lambda context, token: connections.request("POST", path, context.port, token, body)


def _form(path: str, fields: int) -> Callable[[Context, str], bytes]:
    body = b"&".join(b"a%d=b" % n for n in range(fields))
    head = f"POST {path} HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}"
    return lambda context, token: f"{head}\r\nHost: 127.0.0.1:{context.port}\r\n\r\n".encode() + body


def _raw(text: bytes) -> Callable[[Context, str], bytes]:
    return lambda context, token: text


def _undo(context: Context) -> bytes:
    return event("undo", {"revision": context.moved, "dry_run": True}) * 20


def _large_body(context: Context, _token: str) -> bytes:
    head = f"POST /api/v1/set HTTP/1.1\r\nHost: 127.0.0.1:{context.port}\r\nContent-Type: application/json\r\n"
    return (head + "Content-Length: 1048576\r\n\r\n").encode() + b"x" * 1_048_000


PING, PONG = frame(b"", 9), frame(b"", 10)
EMPTY = frame(b"", 0, fin=False)
FLOATS = b'{"key":"p/f","value":[%b0.5]}' % (b"0.5," * 15_000)
TINY = b'{"key":"p/f","value":[%b0.5]}' % (b"1e-99," * 10_000)
TOO_MANY_FLOATS = b'{"key":"p/f","value":[%b1.5]}' % (b"1.5," * 250_000)
TOO_MANY_LISTS = b'{"key":"p/f","value":[%b1]}' % (b"[[1]]," * 160_000)
DEEP = b'{"key":"p/d","value":%b}' % (b'[{"a":' * 30 + b"1" + b"}]" * 30)
BATCH = {"ops": [{"op": "set", "key": f"b/{n}", "value": "x" * 7000} for n in range(128)]}
SMALL_BATCH = {"ops": [{"op": "set", "key": f"b/{n}", "value": n} for n in range(128)]}
FLOAT_BATCH = {"ops": [{"op": "set", "key": f"b/{n}", "value": [0.5] * 1800} for n in range(128)]}

ATTACKS = [
    # Strangers, frames and bytes before there is a message
    Attack("WebSocket pings", "stranger", 1, _sockets(PING * 10_000, 1)),
    Attack("WebSocket pings, 10 sockets", "stranger", 1, _sockets(PING * 10_000, 10)),
    Attack("WebSocket pings, 50 addresses", "stranger", MANY, _sockets(PING * 10_000, MANY, addresses=MANY)),
    Attack("unasked pongs", "stranger", 1, _sockets(PONG * 10_000, 4)),
    Attack("pings with 125 bytes", "stranger", 1, _sockets(frame(b"x" * 125, 9) * 1000, 4)),
    Attack("empty fragments", "stranger", 1, _sockets(frame(b"", 1, fin=False) + EMPTY * 10_000, 4)),
    Attack(
        "fragments of one byte",
        "stranger",
        1,
        _sockets(frame(b"4", 1, fin=False) + frame(b"x", 0, fin=False) * 9000, 4),
    ),
    Attack("unknown opcodes", "stranger", 1, _sockets(frame(b"x", 3) * 100, 8)),
    Attack("binary frames", "stranger", 1, _sockets(frame(b"x" * 1000, 2) * 100, 8)),
    Attack("close frames", "stranger", 1, _sockets(frame(b"\x03\xe8", 8), 8, once=True, churn=True)),
    Attack("messages before CONNECT", "stranger", 1, _sockets(frame(b"6") * 5000, 8)),
    Attack("half a large message", "stranger", 1, _sockets(frame(b"x" * 900_000, 1, fin=False), 20, once=True)),
    # Strangers, their connections
    Attack("handshakes", "stranger", 1, _handshakes(32)),
    Attack("handshakes, 50 addresses", "stranger", MANY, _handshakes(2 * MANY, addresses=MANY)),
    Attack("CONNECT with a bad token", "stranger", 1, _joining("rks_nobody", 8)),
    Attack("CONNECT with a bad token, 50 addresses", "stranger", MANY, _joining("rks_nobody", MANY, addresses=MANY)),
    Attack("idle sockets", "stranger", 1, _sockets(b"", 300)),
    Attack("polling opens", "stranger", 1, _http(_get("/socket.io/?EIO=4&transport=polling"))),
    Attack(
        "half a request",
        "stranger",
        1,
        _http(_raw(b"GET / HTTP/1.1\r\nHost: x\r\nX: "), count=300, pipelined=1, once=True),
    ),
    Attack("bytes that are no HTTP", "stranger", 1, _http(_raw(b"\x16\x03\x01\x02\x00" * 20), count=8)),
    Attack("connections opened and closed", "stranger", 1, _http(_raw(b""), count=16, churn=True)),
    # Strangers, their requests
    Attack("pages that do not exist", "stranger", 1, _http(_get("/nowhere"))),
    Attack("the sign-in page", "stranger", 1, _http(_get("/signin"))),
    Attack("the API page", "stranger", 1, _http(_get("/api"))),
    Attack("the OpenAPI document", "stranger", 1, _http(_get("/api/v1/openapi.json"))),
    Attack("the largest script", "stranger", 1, _http(_get("/static/js/vendor/@codemirror/view.js"))),
    Attack("the service worker", "stranger", 1, _http(_get("/sw.js"))),
    Attack("forms of many fields", "stranger", 1, _http(_form("/signin", fields=6000))),
    Attack("metrics", "stranger", 1, _http(_get("/metrics"))),
    Attack("readiness", "stranger", 1, _http(_get("/readyz"))),
    Attack("verbs signed out", "stranger", 1, _http(_post("/api/v1/get", key="a"))),
    Attack(
        "sign-ins",
        "stranger",
        1,
        _http(_post("/api/v1/sign_in", username="person3", password="wrong password 1")),
    ),
    Attack(
        "sign-ins, 50 addresses",
        "stranger",
        MANY,
        _http(_post("/api/v1/sign_in", username="person3", password="wrong password 1"), count=MANY, addresses=MANY),
    ),
    Attack(
        "sign-ups",
        "stranger",
        1,
        _http(_post("/api/v1/sign_up", username="x" * 40, password="correct horse battery")),
    ),
    Attack(
        "recoveries",
        "stranger",
        1,
        _http(_post("/api/v1/recover", username="person3", codes=["a"], password="b" * 12)),
    ),
    Attack("bodies of 1 MiB", "stranger", 1, _http(_large_body, count=100, pipelined=1, once=True)),
    Attack("streams signed out", "stranger", 1, _http(_get("/api/v1/stream"))),
    # A user, verbs in their dearest form
    Attack("set", "user", 1, _tabs(event("set", {"key": "p/a", "value": 1}) * 1000)),
    Attack("set of 60 KB", "user", 1, _tabs(event("set", {"key": "p/a", "value": "x" * 60_000}) * 20)),
    Attack("set of floats", "user", 1, _tabs(event("set", FLOATS) * 20)),
    Attack("set of tiny floats", "user", 1, _tabs(event("set", TINY) * 20)),
    Attack("set of floats that are too many", "user", 1, _tabs(event("set", TOO_MANY_FLOATS) * 4)),
    Attack("set of lists that are too many", "user", 1, _tabs(event("set", TOO_MANY_LISTS) * 4)),
    Attack("set of nested values", "user", 1, _tabs(event("set", DEEP) * 200)),
    Attack("batch of 128", "user", 1, _tabs(event("batch", SMALL_BATCH) * 50)),
    Attack("batch of 900 KB", "user", 1, _tabs(event("batch", BATCH) * 4)),
    Attack("batch of floats", "user", 1, _tabs(event("batch", FLOAT_BATCH) * 4)),
    Attack("get", "user", 1, _tabs(event("get", {"key": "s/000001"}) * 1000)),
    Attack("list", "user", 1, _tabs(event("list", {"prefix": "s/", "limit": 1000}) * 250)),
    Attack("list of large values", "user", 1, _tabs(event("list", {"prefix": "big/", "limit": 1000}) * 250)),
    Attack("sync", "user", 1, _tabs(event("sync", {}) * 250)),
    Attack("history", "user", 1, _tabs(event("history", {"limit": 1000}) * 250)),
    Attack("history of one key", "user", 1, _tabs(event("history", {"key": "big/000000", "limit": 1000}) * 250)),
    Attack("trash", "user", 1, _tabs(event("trash", {"limit": 1000}) * 250)),
    Attack(
        "delete_prefix that is too large",
        "user",
        1,
        _tabs(event("delete_prefix", {"prefix": "", "dry_run": True}) * 60),
    ),
    Attack("move, dry run", "user", 1, _tabs(event("move", {"from": "to/", "to": "x/", "dry_run": True}) * 40)),
    Attack("copy, dry run", "user", 1, _tabs(event("copy", {"from": "to/", "to": "x/", "dry_run": True}) * 40)),
    Attack("undo of a large move, dry run", "user", 1, _tabs(_undo)),
    Attack("restore", "user", 1, _tabs(event("restore", {"key": "s/000001", "revision": 1}) * 200)),
    Attack("events that are no JSON", "user", 1, _tabs(frame(b'421["set",{') * 2000)),
    Attack("events of a verb that is not there", "user", 1, _tabs(event("nonsense", {}) * 2000)),
    Attack(
        "events without an acknowledgement",
        "user",
        1,
        _tabs(event("set", {"key": "p/a", "value": 1}, None) * 1000),
    ),
    Attack("WebSocket pings, signed in", "user", 1, _tabs(PING * 10_000)),
    Attack("tabs that come and go", "user", 1, _tabs(b"", each=8, churn=True)),
    Attack("200 tabs", "user", 1, _tabs(event("get", {"key": "p/a"}) * 10, each=200)),
    Attack("tabs that never read", "user", 1, _tabs(event("list", {"prefix": "big/"}) * 200, each=20, deaf=True)),
    # A user over HTTP
    Attack("set over HTTP", "user", 1, _http(_post("/api/v1/set", key="p/a", value=1), credential="token")),
    Attack("history over HTTP", "user", 1, _http(_get("/api/v1/history?limit=1000"), credential="token")),
    Attack("exports", "user", 1, _http(_get("/api/v1/export"), credential="token", pipelined=1)),
    Attack(
        "imports, dry run",
        "user",
        1,
        _http(
            _post("/api/v1/import?dry_run=true", **{f"k{n}": n for n in range(5000)}), credential="token", pipelined=1
        ),
    ),
    Attack(
        "streams that come and go",
        "user",
        1,
        _http(_get("/api/v1/stream"), credential="token", pipelined=1, churn=True),
    ),
    Attack(
        "200 streams",
        "user",
        1,
        _http(_get("/api/v1/stream"), credential="token", count=200, pipelined=1, once=True),
    ),
    Attack("me", "user", 1, _http(_get("/api/v1/me"), credential="token")),
    Attack("list of sessions", "user", 1, _http(_get("/api/v1/sessions"), credential="token")),
    Attack("account events", "user", 1, _http(_get("/api/v1/events?limit=200"), credential="token")),
    Attack("dismiss_notice", "user", 1, _http(_post("/api/v1/dismiss_notice"), credential="token")),
    Attack(
        "change_password with a wrong one",
        "user",
        1,
        _http(
            _post("/api/v1/change_password", password="wrong-wrong-1", new_password="correct horse battery 2"),
            credential="token",
        ),
    ),
    Attack("tokens made", "user", 1, _http(_post("/api/v1/create_token", name="t"), credential="token")),
    Attack(
        "two_step_begin",
        "user",
        1,
        _http(_post("/api/v1/two_step_begin", password="wrong-wrong-1"), credential="token"),
    ),
    # A limited token, as a public page would use it
    Attack(
        "get by a public token",
        "token",
        1,
        _tabs(event("get", {"key": "s/000001"}) * 1000, credential="reading"),
    ),
    Attack(
        "history by a public token",
        "token",
        1,
        _tabs(event("history", {"limit": 1000}) * 250, credential="reading"),
    ),
    Attack(
        "200 tabs of a public token",
        "token",
        1,
        _tabs(event("get", {"key": "s/000001"}) * 5, each=200, credential="reading"),
    ),
    Attack(
        "set by a limited token",
        "token",
        1,
        _tabs(event("set", {"key": "p/a", "value": 1}) * 1000, credential="limited"),
    ),
    # Several users at once, each from another address
    Attack("sync, 10 users", "users", 10, _tabs(event("sync", {}) * 250, users=10)),
    Attack("history, 10 users", "users", 10, _tabs(event("history", {"limit": 1000}) * 250, users=10)),
    Attack("set, 10 users", "users", 10, _tabs(event("set", {"key": "p/a", "value": 1}) * 1000, users=10)),
    Attack("batch of 900 KB, 10 users", "users", 10, _tabs(event("batch", BATCH) * 4, users=10)),
    Attack(
        "dismiss_notice, 10 users",
        "users",
        10,
        _http(_post("/api/v1/dismiss_notice"), credential="token", users=10, count=20),
    ),
]

BY_NAME = {attack.name: attack for attack in ATTACKS}
