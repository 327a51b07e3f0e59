"""Forms and pages with hostile fields, as a browser sends and requests them; those of superusers as well.

The superuser's own session has to survive, so superuser actions target other users.
"""

from urllib.parse import quote_from_bytes

from tests.fuzz import text_inputs
from tests.fuzz.calls import by_another_name, cookies, query
from tests.fuzz.case import ADMIN, FORM, LINK, PAWN, STEP, USER_ID, VISITOR, Case
from tests.fuzz.messages import FORM as FORM_TYPE
from tests.fuzz.messages import Request, harmless, percent
from tests.fuzz.randomness import Randomness, mangle
from tests.fuzz.text_inputs import TextInput, exactly

Fields = dict[str, TextInput]

_ENTERING: Fields = {"next": text_inputs.path, "kept": exactly("yes")}
# path, and one set of fields for each possible action there
FORMS: list[tuple[bytes, Fields]] = [
    (b"/signin", {"username": text_inputs.name, "password": text_inputs.password, **_ENTERING}),
    (b"/signin/code", {"code": text_inputs.code, "by": exactly("", "recovery"), **_ENTERING}),
    (b"/signup", {"username": text_inputs.new_name, "password": text_inputs.new_password, "next": text_inputs.path}),
    (b"/signout", {}),
    (b"/setup", {"username": text_inputs.new_name, "password": text_inputs.new_password}),
    (
        b"/recover/code",
        {"username": text_inputs.name, "code": text_inputs.code, "new_password": text_inputs.new_password},
    ),
    (b"/recover/mail", {"username": text_inputs.name}),
    (b"/recover/password", {"new_password": text_inputs.new_password}),
    (b"/account/email", {}),
    (b"/account/notice", {"next": text_inputs.path}),
    (b"/account/sessions", {"do": exactly("end"), "id": text_inputs.which}),
    (b"/account/sessions", {"do": exactly("end_others")}),
    (b"/account/data", {"do": exactly("delete"), "username": text_inputs.name, "password": text_inputs.password}),
    (
        b"/account/tokens",
        {
            "do": exactly("create"),
            "name": text_inputs.token_name,
            "prefix": text_inputs.prefix,
            "scope": exactly("read", "write"),
            "days": exactly("7", "0", "365"),
        },
    ),
    (b"/account/tokens", {"do": exactly("revoke"), "id": text_inputs.which}),
    *(
        (b"/account/security", {"do": exactly(do), "password": text_inputs.password, **more})
        for do, more in (
            ("password", {"new_password": text_inputs.new_password}),
            ("codes", {}),
            ("two_step", {}),
            ("confirm", {"code": text_inputs.code}),
            ("two_step_off", {}),
            ("email", {"email": text_inputs.email}),
            ("email_off", {}),
            ("nothing", {}),
        )
    ),
]
PAGES: list[tuple[bytes, Fields]] = [
    *(
        (b"/account/" + tab, {"done": exactly("email", "token")})
        for tab in b"profile sessions data preferences".split()
    ),
    *((b"/account/" + tab, {"done": exactly("email", "token")}) for tab in b"security tokens email".split()),
    (b"/account/events", {"before": text_inputs.number}),
    (b"/account", {}),
    (b"/signin", {"next": text_inputs.path, "done": exactly("password_set", "deleted")}),
    (b"/signin/code", {"next": text_inputs.path, "by": exactly("recovery"), "kept": text_inputs.anything}),
    (b"/signup", {"next": text_inputs.path}),
    *((b"/recover" + way, {}) for way in (b"", b"/code", b"/mail", b"/password")),
    (b"/setup", {}),
]
# a secret in the path goes into a cookie
_SECRET_PATHS = (b"/recover/", b"/account/email/", b"/setup/")

# ids of no user: `superuser` is 1, and the users after it must not be disturbed
_OTHERS = (
    *(b"0", b"00", b"%D9%A0", b"999999999", b"9223372036854775807", b"9223372036854775808", b"9" * 400, b"9" * 5000),
    *(b"-1", b"+0", b"x", b"%00", b"1.0", b"1e3", b"_"),
)
_KEYS: Fields = {"key": text_inputs.prefix, "password": text_inputs.password}
# actions on a user; each needs the password
ACTS: dict[bytes, Fields] = {
    **{
        act: {"password": text_inputs.password}
        for act in b"link password end-two-step make-admin unmake-admin disable enable restore no-such-act".split()
    },
    b"sessions": {"password": text_inputs.password, "tokens": exactly("yes")},
    b"quota": {"password": text_inputs.password, "keys": text_inputs.number, "bytes": text_inputs.number},
    b"delete": {"password": text_inputs.password, "name": text_inputs.name},
    b"reveal": _KEYS,
}
_FILTERS: Fields = {
    "user": text_inputs.name,
    "actor": exactly("cli", "admin", "superuser", "9" * 18, "9" * 19, "-1"),
    "action": exactly("sign_in", "sign_in_failed", "no_such_action"),
    "since": text_inputs.day,
    "until": text_inputs.day,
}
ADMIN_PAGES: list[tuple[bytes, Fields]] = [
    (b"/admin", {}),
    (b"/admin/users/new", {}),
    (b"/admin/backup", {}),
    (b"/admin/diagnostics", {}),
    (b"/admin/diagnostics.json", {}),
    (b"/admin/diagnostics/confirm-time", {}),
    (b"/admin/nothing/here", {}),
    *(
        [
            (
                b"/admin/users",
                {
                    "search": text_inputs.name,
                    "sort": exactly("entries", "seen", "tabs", "no"),
                    "page": text_inputs.number,
                },
            )
        ]
        * 4
    ),
    *([(b"/admin/audit", {**_FILTERS, "before": text_inputs.number})] * 6),
    (b"/admin/audit.csv", _FILTERS),
    (b"/admin/audit.ndjson", _FILTERS),
]


def forms(rng: Randomness) -> Case:
    """Return a browser that goes through forms and pages, with a session or without."""
    return _case(rng, [_form(rng) if rng.chance(0.7) else _page(rng) for _ in range(1 + rng.below(20))])


def superuser(rng: Randomness) -> Case:
    """Return the same as `forms` for the pages of superusers; seldom the sender is no superuser."""
    return _case(rng, [_act(rng) if rng.chance(0.5) else _admin_page(rng) for _ in range(1 + rng.below(16))])


def _case(rng: Randomness, requests: list[Request]) -> Case:
    return Case("accounts", tuple(by_another_name(rng, request) for request in requests), len(requests))


def _form(rng: Randomness) -> Request:
    path, fields = rng.one(FORMS)
    return _post(rng, path, fields, _browser(rng))


def _page(rng: Randomness) -> Request:
    if rng.chance(0.15):
        path = rng.one(_SECRET_PATHS) + percent(rng, text_inputs.secret(rng).encode(errors="surrogatepass"))
    else:
        path, fields = rng.one(PAGES)
        path = query(rng, path, list(fields.items()))
    headers = (_browser(rng), harmless(rng)) if rng.chance(0.2) else (_browser(rng),)
    return Request(b"GET", path[:8000], headers)


def _act(rng: Randomness) -> Request:
    roll = rng.random()
    who = _superuser(rng)
    if roll < 0.1:
        how = {"username": text_inputs.new_name, "how": exactly("link", "password")}
        return _post(rng, b"/admin/users/new", how, who)
    if roll < 0.15:
        # never the right password: the answer would contain the data of all users
        return _post(rng, b"/admin/backup", {"password": text_inputs.anything}, who)
    act = rng.one(tuple(ACTS))
    return _post(rng, b"/admin/users/%b/%b" % (_whom(rng), act), ACTS[act], who)


def _admin_page(rng: Randomness) -> Request:
    if rng.chance(0.6):
        path, fields = rng.one(ADMIN_PAGES)
        return Request(b"GET", query(rng, path, list(fields.items())), (_superuser(rng),))
    path = b"/admin/users/" + _whom(rng)
    if rng.chance(0.3):
        path += b"/" + rng.one(tuple(ACTS))
    elif rng.chance(0.5):
        path = query(rng, path + b"/entries", [("prefix", text_inputs.prefix), ("after", text_inputs.prefix)])
    return Request(b"GET", path[:8000], (_superuser(rng),))


def _whom(rng: Randomness) -> bytes:
    return USER_ID if rng.chance(0.75) else rng.one(_OTHERS)


def _browser(rng: Randomness) -> tuple[bytes, bytes]:
    held = [b"rkv_form=" + VISITOR]
    if rng.chance(0.7):
        held.append(b"rkv_session=" + PAWN)
    for name, right in ((b"rkv_step", STEP), (b"rkv_recovery", LINK), (b"rkv_email", LINK), (b"rkv_setup", STEP)):
        if rng.chance(0.3):
            value = right if rng.chance(0.7) else rng.one((b"x" * 43, b"-", b"", b"\xff", b"%00", b'"', b"x" * 3000))
            held.append(name + b"=" + value)
    return cookies(rng, *held)


def _superuser(rng: Randomness) -> tuple[bytes, bytes]:
    token = ADMIN if rng.chance(0.95) else PAWN
    return cookies(rng, b"rkv_session=" + token, b"rkv_form=" + VISITOR)


def _post(rng: Randomness, path: bytes, fields: Fields, browser: tuple[bytes, bytes]) -> Request:
    pairs = [name.encode() + b"=" + _encoded(rng, make(rng)) for name, make in fields.items() if not rng.chance(0.04)]
    if not rng.chance(0.03):
        pairs.insert(rng.below(len(pairs) + 1), b"csrf_token=" + FORM)
    if rng.chance(0.05):
        pairs.append(percent(rng, rng.junk()) + b"=" + percent(rng, rng.junk()))
    if pairs and rng.chance(0.03):
        pairs.append(rng.one(pairs))
    body = b"&".join(pairs)
    if rng.chance(0.04):
        body = mangle(rng, body)
    headers = (browser, FORM_TYPE if rng.chance(0.97) else harmless(rng))
    if rng.chance(0.05):
        headers += (harmless(rng),)
    return Request(b"POST", path, headers, body)


def _encoded(rng: Randomness, text: str) -> bytes:
    # rarely unencoded, whatever effect that has on the form
    data = text.encode(errors="surrogatepass")
    return quote_from_bytes(data).encode() if rng.chance(0.98) else data
