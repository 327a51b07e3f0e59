"""HTTP requests: valid ones with hostile contents, and ones with malformed bytes."""

import json
from dataclasses import dataclass, replace
from urllib.parse import quote_from_bytes

from tests.fuzz import json_payloads
from tests.fuzz.case import COOKIE_TOKEN, EPOCH, LIMITED, READER, SID, TOKEN, VISITOR, Case
from tests.fuzz.case import FORM as FORM_TOKEN
from tests.fuzz.randomness import SPICE, Randomness, mangle

JSON = (b"Content-Type", b"application/json")
FORM = (b"Content-Type", b"application/x-www-form-urlencoded")
BEARER = (b"Authorization", b"Bearer " + TOKEN)
API_TOKENS = tuple((b"Authorization", b"Bearer " + token) for token in (READER, LIMITED))
COOKIE = (b"Cookie", b"rkv_session=" + COOKIE_TOKEN)
VISITED = (b"Cookie", b"rkv_form=" + VISITOR)
FORM_FIELD = b"csrf_token=" + FORM_TOKEN
NOBODY = b"rks_" + b"x" * 43


@dataclass(frozen=True)
class Request:
    method: bytes
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes | None = None

    def render(self) -> bytes:
        """Return the bytes of a valid request."""
        headers = [(b"Host", b"127.0.0.1"), *self.headers]
        if self.body is not None:
            headers.append((b"Content-Length", b"%d" % len(self.body)))
        lines = [b"%b %b HTTP/1.1" % (self.method, self.target), *(b"%b: %b" % header for header in headers)]
        return b"\r\n".join([*lines, b"", self.body or b""])


# valid exchanges to start from
CORPUS = (
    *(
        Request(b"GET", path)
        for path in (b"/", b"/keys", b"/signin", b"/signup?next=/keys", b"/healthz", b"/readyz", b"/metrics")
    ),
    Request(b"GET", b"/static/icon.svg"),
    Request(b"GET", b"/no/such/page"),
    Request(b"HEAD", b"/signin"),
    Request(
        b"OPTIONS",
        b"/api/v1/get",
        ((b"Origin", b"https://elsewhere.example"), (b"Access-Control-Request-Method", b"POST")),
    ),
    Request(b"GET", b"/keys", (COOKIE,)),
    Request(b"GET", b"/api/v1/me", (BEARER,)),
    Request(b"GET", b"/api/v1/get?key=folder/a", (BEARER,)),
    Request(b"GET", b"/api/v1/list?prefix=folder/&limit=2&values=false", (BEARER,)),
    Request(b"GET", b"/api/v1/sync?epoch=%b&since=0" % EPOCH, (BEARER,)),
    Request(b"POST", b"/api/v1/set", (BEARER, JSON), b'{"key":"folder/a","value":{"a":[1,2]}}'),
    Request(b"POST", b"/api/v1/batch", (COOKIE, JSON), b'{"ops":[{"op":"set","key":"folder/b","value":1}]}'),
    Request(b"POST", b"/api/v1/delete", (BEARER, JSON), b'{"key":"folder/b"}'),
    Request(b"POST", b"/api/v1/sign_out", (JSON,), b"{}"),
    Request(b"POST", b"/api/v1/sign_in", (JSON,), b'{"username":"no","password":"short"}'),
    Request(b"GET", b"/api/v1/list?limit=2", (API_TOKENS[0],)),
    Request(b"POST", b"/api/v1/set", (API_TOKENS[1], JSON), b'{"key":"folder/c","value":null}'),
    Request(b"GET", b"/api/v1/events?before=9&limit=2", (BEARER,)),
    Request(b"GET", b"/api/v1/sessions", (COOKIE,)),
    Request(b"GET", b"/account/profile", (COOKIE,)),
    Request(b"GET", b"/admin/users", (COOKIE,)),
    Request(b"GET", b"/recover/" + b"x" * 43),
    Request(b"POST", b"/signin", (FORM, VISITED), FORM_FIELD + b"&username=&password=&next=/keys"),
    Request(b"POST", b"/signin/code", (FORM, VISITED), FORM_FIELD + b"&code=1&by=recovery"),
    Request(b"POST", b"/signup", (FORM, VISITED), FORM_FIELD + b"&username=%21&password=short"),
    Request(b"POST", b"/recover/code", (FORM, VISITED), FORM_FIELD + b"&username=%21&code=&new_password=short"),
    Request(b"POST", b"/signout", (FORM, VISITED), FORM_FIELD),
    Request(b"GET", b"/socket.io/?EIO=4&transport=polling"),
    Request(b"GET", b"/socket.io/?EIO=4&transport=websocket"),
    Request(b"GET", b"/socket.io/?EIO=4&transport=polling&sid=" + SID),
    Request(b"POST", b"/socket.io/?EIO=4&transport=polling&sid=" + SID, ((b"Content-Type", b"text/plain"),), b"40"),
    Request(b"OPTIONS", b"/socket.io/?EIO=4&transport=polling"),
)
METHODS = (
    b"GET",
    b"POST",
    b"HEAD",
    b"PUT",
    b"DELETE",
    b"PATCH",
    b"OPTIONS",
    b"TRACE",
    b"CONNECT",
    b"get",
    b"G\0T",
    b"M" * 300,
    b"",
)
TARGETS = (
    *b"/static/../realtime_kv/app.py /static/%2e%2e/%2e%2e/etc/passwd".split(b" "),
    *b"/static//etc/passwd /static/js/vendor/../x".split(b" "),
    *b"/static/js/vendor/ /static/ /static/%00 /rkv.js%00 //evil.example/".split(b" "),
    *b"/\\evil /keys/ /%2fkeys /api /api/ /api/v1".split(b" "),
    *b"/api/v1/ /api/v1/get/ /api/v1/GET /api/v1/__proto__".split(b" "),
    *b"/api/v1//get /api//v1/get /api/v2/get * http://evil/".split(b" "),
    *b"http://[::1 http://[/ /%ff /%c0%af".split(b" "),
    *b"/\xff /a?%ff /signin?next=//evil /signin?next=%0d%0aX:y /signin?next=\\\\".split(b" "),
    *b"/signin?next=%ff /?a=1&a=2 /api/v1/get?key=%ff".split(b" "),
    *b"/api/v1/get?key=a&key=b /api/v1/get?=&&&= /metrics?x=%00".split(b" "),
    *b"/socket.io /socket.io/x?EIO=4 /socket.io/?EIO=%ff /socket.io/?sid[]=1".split(b" "),
    *b"/socket.io/?EIO=4&sid=%00 ? # ;".split(b" "),
    b"/" + b"a" * 8300,
    b"/a?" + b"b" * 8300,
    b"/api/v1/get?" + b"&" * 3000,
    b"/socket.io/?" + b"a&" * 3000,
    b"/" + b"../" * 1000,
)
VERSIONS = (
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"HTTP/0.9",
    b"HTTP/2.0",
    b"HTTP/1.1.1",
    b"HTTP/",
    b"HTTP/x.y",
    b"",
    b"ICY",
    b"HTTP/1.1 x",
    b"HTTP/9999999999.1",
)
HEADERS = (
    b"Content-Length: 0",
    b"Content-Length: -1",
    b"Content-Length: +5",
    b"Content-Length: 5, 5",
    b"Content-Length: 0x10",
    b"Content-Length: 99999999999999999999",
    b"Content-Length: 1048577",
    b"Content-Length: 3",
    b"Content-Length: \xb2",
    b"Content-Length:",
    b"Content-Length : 4",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: Chunked",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: \x0bchunked",
    b"Transfer-Encoding : chunked",
    b"Transfer-Encoding: gzip, chunked",
    b" folded: value",
    b"\tfolded",
    b"NoColon",
    b": no name",
    b"Bad Name: x",
    b"X_Forwarded_For: 1.2.3.4",
    b"X-Forwarded-For: , ,",
    b"X-Forwarded-Proto: https",
    b"X-Nul: a\0b",
    b"X-High: \xff\xfe",
    b"X-Long: " + b"x" * 9_000,
    b"X-Longer: " + b"x" * 70_000,
    b"\r\n".join(b"X-%d: y" % n for n in range(120)),
    b"Expect: 100-continue",
    b"Expect: 200-maybe",
    b"Connection: close",
    b"Connection: keep-alive",
    b"Connection: Upgrade",
    b"Upgrade: websocket",
    b"Host: evil.example",
    b"Host:",
    b"Host: [::1",
    b"Host: a b",
    b"Host: \xff",
    b"Host: " + b"h" * 300,
    b"Host: xn--\x80",
    b"Host: a:99999999",
    b"Origin: null",
    b"Origin: http://evil.example",
    b"Origin: \xff",
    b"Sec-Fetch-Site: cross-site",
    b"Authorization: Bearer",
    b"Authorization: Bearer " + NOBODY,
    b"Authorization: Bearer \xff\xff",
    b"Authorization: Basic \xff",
    b"Authorization: Digest x=",
    b"Authorization: Bearer " + b"x" * 8000,
    b"Cookie: rkv_session=" + NOBODY,
    b'Cookie: rkv_session="',
    b"Cookie: rkv_session=\xff; rkv_session=a",
    b"Cookie: ;=;=;; \x7f=\\",
    b"Cookie: " + b"a=b; " * 1000,
    b"Content-Type: application/json; charset=\xff",
    b"Content-Type: multipart/form-data; boundary=",
    b"Content-Type: application/x-www-form-urlencoded; charset=utf-7",
    b"Content-Type: ;;;",
    b"Content-Encoding: gzip",
    b"If-None-Match: \xff, *, W/",
    b"If-Modified-Since: Sun, 99 Zzz 99999 99:99:99 GMT",
    b"If-Range: x",
    b"Range: bytes=5-1",
    b"Range: bytes=-99999999999999999999",
    b"Range: bytes=0-0,1-1,2-2",
    b"Accept: */*;q=x",
    b"Accept-Language: \xff;q=1e400",
    b"User-Agent: \xff\0",
    b"Last-Event-ID: x",
)
CHUNKS = (
    b"5\r\nhello\r\n0\r\n\r\n",
    b"5;ext=1\r\nhello\r\n0\r\nTrailer: x\r\n\r\n",
    b"FFFFFFFFFFFFFFFF\r\nx",
    b"FFFFFFFF\r\nx\r\n",
    b"-5\r\nhello\r\n0\r\n\r\n",
    b"0x5\r\nhello\r\n0\r\n\r\n",
    b"5\nhello\n0\n\n",
    b"5\r\nhelloX\r\n0\r\n\r\n",
    b"5\r\nhell",
    b"\r\n",
    b"0\r\n",
    b"0\r\n\r\nGET /keys HTTP/1.1\r\nHost: x\r\n\r\n",
    b"0\r\n\r\n0\r\n\r\n",
    b" 5\r\nhello\r\n0\r\n\r\n",
    b"5 \r\nhello\r\n0\r\n\r\n",
    b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n",
    b";" * 300 + b"\r\n",
    b"100001\r\n" + b"x" * 70_000,
)


def raw(rng: Randomness) -> Case:
    """Return a TCP connection with some requests on it, not all of them valid."""
    requests = [_broken(rng) if rng.chance(0.8) else rng.one(CORPUS).render() for _ in range(1 + rng.below(5))]
    stream = b"".join(requests)
    if rng.chance(0.15):
        stream = mangle(rng, stream)
    if rng.chance(0.05):
        stream = stream[: rng.below(len(stream) + 1)]
    return Case("raw", tuple(rng.pieces(stream, 5)), len(requests), "half" if rng.chance(0.93) else "reset")


def api(rng: Randomness) -> Case:
    """Return valid requests, pipelined, with hostile query strings, headers and bodies: each has to be answered."""
    requests = [
        rng.one((_call, _call, _call, _query, _query, _account, _visit))(rng).render() for _ in range(1 + rng.below(30))
    ]
    return Case("api", tuple(requests), len(requests))


def _broken(rng: Randomness) -> bytes:
    request = rng.one(CORPUS)
    roll = rng.random()
    if roll < 0.15:
        return mangle(rng, request.render())
    if roll < 0.3:
        head, _, rest = request.render().partition(b"\r\n")
        words = head.split(b" ")
        words[rng.below(3)] = rng.junk()
        return b" ".join(words) + b"\r\n" + rest
    if roll < 0.45:
        line = b"%b %b %b" % (
            rng.one(METHODS) if rng.chance(0.5) else b"GET",
            rng.one(TARGETS) if rng.chance(0.7) else request.target,
            rng.one(VERSIONS) if rng.chance(0.3) else b"HTTP/1.1",
        )
        return line + b"\r\nHost: x\r\n\r\n"
    if roll < 0.55:
        head = replace(request, method=b"POST", body=None).render()[:-2] + b"Transfer-Encoding: chunked\r\n"
        return head + (rng.one(HEADERS) + b"\r\n" if rng.chance(0.3) else b"") + b"\r\n" + rng.one(CHUNKS)
    lines = request.render().split(b"\r\n")
    for _ in range(1 + rng.below(3)):
        header = rng.one(HEADERS) if rng.chance(0.8) else mangle(rng, rng.one(HEADERS))
        lines.insert(1 + rng.below(len(lines) - 2), header)
    return b"\r\n".join(lines)


def _call(rng: Randomness) -> Request:
    verb = rng.one(json_payloads.VERBS[:6]) if rng.chance(0.85) else rng.one(json_payloads.VERBS)
    headers = [rng.one((BEARER, BEARER, COOKIE, *API_TOKENS)), JSON]
    if rng.chance(0.1):
        headers[rng.below(2)] = harmless(rng)
    return Request(b"POST", b"/api/v1/" + verb.encode(), tuple(headers), json_payloads.payload(rng, verb))


def _query(rng: Randomness) -> Request:
    verb = rng.one(("get", "list", "sync", "history", "trash", "set", "me"))
    pairs = []
    for name, make, share in json_payloads.FIELDS.get(verb, []):
        if rng.chance(share):
            pairs.append(name.encode() + b"=" + percent(rng, make(rng).strip(b'"')))
    if rng.chance(0.2):
        pairs.append(percent(rng, rng.junk()) + b"=" + percent(rng, rng.junk()))
    if pairs and rng.chance(0.1):
        pairs.append(rng.one(pairs))
    target = b"/api/v1/" + verb.encode() + b"?" + b"&".join(pairs)
    who = rng.one((BEARER, BEARER, COOKIE, *API_TOKENS))
    return Request(b"GET", target[:8000], (who, harmless(rng)) if rng.chance(0.3) else (who,))


def _account(rng: Randomness) -> Request:
    """Sign in or out without a session: our own session has to survive."""
    name, password = (rng.one((b"", b"ab", b"n" * 33, b"\xff", b"a\0b", b"n%00", b"%ff")) for _ in range(2))
    if rng.chance(0.4):
        body = b"%b&username=%b&password=%b&next=%b" % (
            FORM_FIELD,
            name,
            password,
            rng.one((b"//evil", b"/keys", b"%0d%0a", b"/\\", b"%ff")),
        )
        if rng.chance(0.3):
            body = percent(rng, mangle(rng, body))
        return Request(b"POST", rng.one((b"/signin", b"/signup", b"/signout")), (FORM, VISITED), body)
    fields: dict[str, object] = {
        "username": name.decode("latin-1"),
        "password": rng.one(("", "x", "x" * 1025, "é" * 600)),
    }
    body = json.dumps(fields).encode()
    if rng.chance(0.5):
        body = body.replace(b'"}', b'","%b":%b}' % (rng.one((b"token", b"username", b"x")), json_payloads.odd(rng)))
    if rng.chance(0.2):
        body = json_payloads.odd(rng)
    return Request(b"POST", rng.one((b"/api/v1/sign_in", b"/api/v1/sign_up", b"/api/v1/sign_out")), (JSON,), body)


def _visit(rng: Randomness) -> Request:
    """Return an odd request for a page. (No poll: it would delay the requests after it.)"""
    target = rng.one(CORPUS[:9]).target
    if rng.chance(0.4):
        target += (b"&" if b"?" in target else b"?") + b"next=" + percent(rng, rng.one(SPICE))
    return Request(b"GET", target, (harmless(rng), harmless(rng)))


def harmless(rng: Randomness) -> tuple[bytes, bytes]:
    """Return a strange header that leaves the bounds of the request unchanged."""
    while True:
        name, colon, value = rng.one(HEADERS).partition(b": ")
        if colon and name.isascii() and not set(name + value) & set(b"\r\n\0 \t") and name not in FRAMING:
            return name, value


FRAMING = {
    b"Content-Length",
    b"Transfer-Encoding",
    b"Connection",
    b"Expect",
    b"Host",
    b"Upgrade",
    b"X-Long",
    b"X-Longer",
}


def percent(rng: Randomness, data: bytes) -> bytes:
    """Encode data for a URL or a form, so that it keeps its meaning; nearly always."""
    if len(data) > 2000:
        data = data[:2000]
    return quote_from_bytes(data).encode() if rng.chance(0.9) else quote_from_bytes(data, safe=b"%+&=").encode()
