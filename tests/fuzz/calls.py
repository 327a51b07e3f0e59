"""The JSON calls about accounts, with hostile fields: from an expendable user, or signed out."""

from dataclasses import replace

from tests.fuzz import documents, typed
from tests.fuzz.case import LIMITED, PAWN, READER, VISITOR, Case
from tests.fuzz.dice import Dice
from tests.fuzz.documents import Fields, document, one_of
from tests.fuzz.messages import JSON, Request, harmless, percent
from tests.fuzz.typed import Typed

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


def cookies(dice: Dice, *pairs: bytes) -> tuple[bytes, bytes]:
    """Return these cookies; now and then with odd ones added or instead."""
    if dice.chance(0.1):
        known = dice.sample(pairs, dice.below(len(pairs) + 1))
        pairs = (*known, dice.one(ODD_COOKIES)) if dice.chance(0.5) else (dice.one(ODD_COOKIES), *known)
    return b"Cookie", b"; ".join(pairs)


def by_another_name(dice: Dice, request: Request) -> bytes:
    """Return the request as bytes; now and then with an odd name of the server in Host."""
    rendered = request.render()
    if dice.chance(0.06):
        return rendered.replace(b"Host: 127.0.0.1\r\n", b"Host: " + dice.one(ODD_HOSTS) + b"\r\n", 1)
    return rendered


def query(dice: Dice, path: bytes, fields: list[tuple[str, Typed]]) -> bytes:
    """Return `path` with some of these fields in its query string."""
    pairs = [name.encode() + b"=" + _encoded(dice, make) for name, make in fields if dice.chance(0.6)]
    if dice.chance(0.1):
        pairs.append(percent(dice, dice.junk()) + b"=" + percent(dice, dice.junk()))
    if pairs and dice.chance(0.1):
        pairs.append(dice.one(pairs))
    return (path + b"?" + b"&".join(pairs) if pairs else path)[:8000]


def _encoded(dice: Dice, make: Typed) -> bytes:
    return percent(dice, make(dice).encode(errors="surrogatepass"))


def calls(dice: Dice) -> Case:
    """Return some calls over one connection."""
    requests = [_get(dice) if dice.chance(0.3) else _post(dice) for _ in range(1 + dice.below(24))]
    return Case("accounts", tuple(by_another_name(dice, request) for request in requests), len(requests))


def _post(dice: Dice) -> Request:
    verb, fields = dice.one(CALLS)
    who = _who(dice)
    headers = (*who, JSON) if dice.chance(0.95) else (*who, harmless(dice))
    if dice.chance(0.05):
        headers += (harmless(dice),)
    return Request(b"POST", b"/api/v1/" + verb.encode(), headers, document(dice, fields))


def _get(dice: Dice) -> Request:
    paging: list[tuple[str, Typed]] = [("before", typed.number), ("limit", typed.number)]
    verb = dice.one((b"account", b"sessions", b"events", b"events", b"events", b"tokens", b"me"))
    request = Request(b"GET", b"/api/v1/" + verb, _who(dice))
    if verb == b"events" or dice.chance(0.1):
        request = replace(request, target=query(dice, request.target, paging))
    return request


def _who(dice: Dice) -> tuple[tuple[bytes, bytes], ...]:
    roll = dice.random()
    if roll < 0.45:
        return (bearer(PAWN),)
    if roll < 0.8:
        return (cookies(dice, b"rkv_session=" + PAWN),)
    if roll < 0.9:
        # API tokens are allowed none of this
        return (bearer(dice.one((READER, LIMITED))),)
    return () if roll < 0.95 else (bearer(PAWN), cookies(dice, b"rkv_session=" + PAWN))


def _text(make: Typed) -> documents.Make:
    return lambda dice: documents.text(dice, make(dice)) if dice.chance(0.95) else documents.odd(dice)


_flag = one_of(b"true", b"true", b"true", b"false", b"false", b"false", b"null", b"1")
_password, _token = ("password", _text(typed.password), 1.0), ("token", _flag, 0.3)
_username = ("username", _text(typed.name), 1.0)
_new_password = ("new_password", _text(typed.new_password), 1.0)
_entering: Fields = [_token, ("keep", _flag, 0.3)]
# pick one of these at a time
CALLS: list[tuple[str, Fields]] = [
    ("sign_in", [_username, _password, *_entering]),
    ("sign_up", [("username", _text(typed.new_name), 1), ("password", _text(typed.new_password), 1), *_entering]),
    ("second_step", [("ticket", _text(typed.secret), 1), ("code", _text(typed.code), 1), *_entering]),
    ("sign_out", []),
    ("end_session", [("id", _text(typed.which), 1)]),
    ("end_other_sessions", []),
    ("change_password", [_password, _new_password, _token]),
    ("delete_account", [_password]),
    ("dismiss_notice", []),
    ("recovery_codes", [_password]),
    ("set_email", [_password, ("email", _text(typed.email), 1)]),
    ("two_step_begin", [_password]),
    ("two_step_confirm", [("code", _text(typed.code), 1), _token]),
    ("two_step_end", [_password, _token]),
    ("two_step_reset", [_password]),
    ("recover", [_new_password, _username, ("code", _text(typed.code), 1), ("ticket", _text(typed.secret), 0.05)]),
    ("recover", [_new_password, ("ticket", _text(typed.secret), 1)]),
    ("ask_recovery_mail", [_username]),
    ("confirm_email", [("ticket", _text(typed.secret), 1)]),
    (
        "create_token",
        [
            ("name", _text(typed.token_name), 1),
            ("scope", one_of(b'"read"', b'"read"', b'"write"', b'"write"', b'"admin"', b"null"), 0.7),
            ("prefix", _text(typed.prefix), 0.5),
            ("expires_at", _text(typed.moment), 0.5),
        ],
    ),
    ("revoke_token", [("id", _text(typed.which), 1)]),
]
