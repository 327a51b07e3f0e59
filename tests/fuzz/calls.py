"""The JSON calls about accounts, with hostile fields: from an expendable user, or signed out."""

from dataclasses import replace

from tests.fuzz import json_payloads, text_inputs
from tests.fuzz.case import LIMITED, PAWN, READER, VISITOR, Case
from tests.fuzz.json_payloads import Fields, document, one_of
from tests.fuzz.messages import JSON, Request, harmless, percent
from tests.fuzz.randomness import Randomness
from tests.fuzz.text_inputs import TextInput

# cookies that a browser may send: duplicates, other names of ours, broken quoting
ODD_COOKIES = (
    b"rkv_form=" + VISITOR + b"; rkv_form=another",
    b"rkv_form=another; rkv_form=" + VISITOR,
    b"rkv_form=",
    b"rkv_form=\xff\xfe",
    b'rkv_form="\\303\\050\\000"',
    b"rkv_form=" + b"x" * 5000,
    b"__Host-rkv_form=" + VISITOR,
    b"__Host-rkv_session=" + PAWN,
    b"__Secure-rkv_session=" + PAWN,
    b"rkv_session=" + READER,
    b'rkv_session="' + PAWN + b'"',
    b"rkv_session=" + PAWN + b"; rkv_session=" + b"x" * 47,
    b"RKV_SESSION=" + PAWN,
    b"rkv_session",
    b"rkv_session=; rkv_form=; rkv_step=; rkv_recovery=; rkv_email=; rkv_setup=",
    b"rkv_step=\xff; rkv_recovery=\xed\xa0\x80; rkv_email=%00; rkv_setup=\\",
    b'rkv_recovery="\\000\\n\\""; rkv_step=""',
    b"rkv_recovery=" + b"x" * 5000,
    b"=rkv_session; $Version=1; rkv_email; ;;",
)
ODD_HOSTS = (
    *(b"localhost", b"LOCALHOST:1", b"localhost.", b"[::1]:80", b"127.0.0.1:0", b"127.0.0.1:99999", b"127.0.0.1:x"),
    *(b"127.1", b"0x7f.1", b"2130706433", b"10.0.0.1", b"[::ffff:127.0.0.1]", b"[::1", b"[::1%25eth0]", b"::1"),
    *(b"evil.example", b"user@127.0.0.1", b"127.0.0.1/evil", b"127.0.0.1?x", b"127.0.0.1#x", b"127.0.0.1\\evil"),
    *(b"\xff", b"xn--\x80", b"h" * 300, b"127.0.0.1<fuzzed>", b"127.0.0.1, evil", b"\xe2\x93\x81ocalhost"),
)


def bearer(token: bytes) -> tuple[bytes, bytes]:
    """Return the header with `token`, as a program sends it."""
    return b"Authorization", b"Bearer " + token


def cookies(rng: Randomness, *pairs: bytes) -> tuple[bytes, bytes]:
    """Return these cookies; now and then with odd ones added or instead."""
    if rng.chance(0.1):
        known = rng.sample(pairs, rng.below(len(pairs) + 1))
        pairs = (*known, rng.one(ODD_COOKIES)) if rng.chance(0.5) else (rng.one(ODD_COOKIES), *known)
    return b"Cookie", b"; ".join(pairs)


def by_another_name(rng: Randomness, request: Request) -> bytes:
    """Return the request as bytes; now and then with an odd name of the server in Host."""
    rendered = request.render()
    if rng.chance(0.06):
        return rendered.replace(b"Host: 127.0.0.1\r\n", b"Host: " + rng.one(ODD_HOSTS) + b"\r\n", 1)
    return rendered


def query(rng: Randomness, path: bytes, fields: list[tuple[str, TextInput]]) -> bytes:
    """Return `path` with some of these fields in its query string."""
    pairs = [name.encode() + b"=" + _encoded(rng, make) for name, make in fields if rng.chance(0.6)]
    if rng.chance(0.1):
        pairs.append(percent(rng, rng.junk()) + b"=" + percent(rng, rng.junk()))
    if pairs and rng.chance(0.1):
        pairs.append(rng.one(pairs))
    return (path + b"?" + b"&".join(pairs) if pairs else path)[:8000]


def _encoded(rng: Randomness, make: TextInput) -> bytes:
    return percent(rng, make(rng).encode(errors="surrogatepass"))


def calls(rng: Randomness) -> Case:
    """Return some calls over one connection."""
    requests = [_get(rng) if rng.chance(0.3) else _post(rng) for _ in range(1 + rng.below(24))]
    return Case("accounts", tuple(by_another_name(rng, request) for request in requests), len(requests))


def _post(rng: Randomness) -> Request:
    verb, fields = rng.one(CALLS)
    who = _who(rng)
    headers = (*who, JSON) if rng.chance(0.95) else (*who, harmless(rng))
    if rng.chance(0.05):
        headers += (harmless(rng),)
    return Request(b"POST", b"/api/v1/" + verb.encode(), headers, document(rng, fields))


def _get(rng: Randomness) -> Request:
    paging: list[tuple[str, TextInput]] = [("before", text_inputs.number), ("limit", text_inputs.number)]
    verb = rng.one((b"account", b"sessions", b"events", b"events", b"events", b"tokens", b"me"))
    request = Request(b"GET", b"/api/v1/" + verb, _who(rng))
    if verb == b"events" or rng.chance(0.1):
        request = replace(request, target=query(rng, request.target, paging))
    return request


def _who(rng: Randomness) -> tuple[tuple[bytes, bytes], ...]:
    roll = rng.random()
    if roll < 0.45:
        return (bearer(PAWN),)
    if roll < 0.8:
        return (cookies(rng, b"rkv_session=" + PAWN),)
    if roll < 0.9:
        # API tokens are allowed none of this
        return (bearer(rng.one((READER, LIMITED))),)
    return () if roll < 0.95 else (bearer(PAWN), cookies(rng, b"rkv_session=" + PAWN))


def _text(make: TextInput) -> json_payloads.Make:
    return lambda rng: json_payloads.text(rng, make(rng)) if rng.chance(0.95) else json_payloads.odd(rng)


_flag = one_of(b"true", b"true", b"true", b"false", b"false", b"false", b"null", b"1")
_password, _token = ("password", _text(text_inputs.password), 1.0), ("token", _flag, 0.3)
_username = ("username", _text(text_inputs.name), 1.0)
_new_password = ("new_password", _text(text_inputs.new_password), 1.0)
_entering: Fields = [_token, ("keep", _flag, 0.3)]
# pick one of these at a time
CALLS: list[tuple[str, Fields]] = [
    ("sign_in", [_username, _password, *_entering]),
    (
        "sign_up",
        [("username", _text(text_inputs.new_name), 1), ("password", _text(text_inputs.new_password), 1), *_entering],
    ),
    ("second_step", [("ticket", _text(text_inputs.secret), 1), ("code", _text(text_inputs.code), 1), *_entering]),
    ("sign_out", []),
    ("end_session", [("id", _text(text_inputs.which), 1)]),
    ("end_other_sessions", []),
    ("change_password", [_password, _new_password, _token]),
    ("delete_account", [_password]),
    ("dismiss_notice", []),
    ("recovery_codes", [_password]),
    ("set_email", [_password, ("email", _text(text_inputs.email), 1)]),
    ("two_step_begin", [_password]),
    ("two_step_confirm", [("code", _text(text_inputs.code), 1), _token]),
    ("two_step_end", [_password, _token]),
    ("two_step_reset", [_password]),
    (
        "recover",
        [_new_password, _username, ("code", _text(text_inputs.code), 1), ("ticket", _text(text_inputs.secret), 0.05)],
    ),
    ("recover", [_new_password, ("ticket", _text(text_inputs.secret), 1)]),
    ("ask_recovery_mail", [_username]),
    ("confirm_email", [("ticket", _text(text_inputs.secret), 1)]),
    (
        "create_token",
        [
            ("name", _text(text_inputs.token_name), 1),
            ("scope", one_of(b'"read"', b'"read"', b'"write"', b'"write"', b'"admin"', b"null"), 0.7),
            ("prefix", _text(text_inputs.prefix), 0.5),
            ("expires_at", _text(text_inputs.moment), 0.5),
        ],
    ),
    ("revoke_token", [("id", _text(text_inputs.which), 1)]),
]
