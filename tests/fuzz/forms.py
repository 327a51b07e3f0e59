"""Forms and pages with hostile fields, as a browser sends and requests them; those of superusers as well.

The superuser's own session has to survive, so superuser actions target other users.
"""

from urllib.parse import quote_from_bytes

from tests.fuzz import typed
from tests.fuzz.calls import by_another_name, cookies, query
from tests.fuzz.case import ADMIN, FORM, LINK, PAWN, STEP, USER_ID, VISITOR, Case
from tests.fuzz.dice import Dice, mangle
from tests.fuzz.messages import FORM as FORM_TYPE
from tests.fuzz.messages import Request, harmless, percent
from tests.fuzz.typed import Typed, exactly

Fields = dict[str, Typed]

_ENTERING: Fields = {"next": typed.path, "kept": exactly("yes")}
# path, and one set of fields for each possible action there
FORMS: list[tuple[bytes, Fields]] = [
    (b"/signin", {"username": typed.name, "password": typed.password, **_ENTERING}),
    (b"/signin/code", {"code": typed.code, "by": exactly("", "recovery"), **_ENTERING}),
    (b"/signup", {"username": typed.new_name, "password": typed.new_password, "next": typed.path}),
    (b"/signout", {}),
    (b"/setup", {"username": typed.new_name, "password": typed.new_password}),
    (b"/recover/code", {"username": typed.name, "code": typed.code, "new_password": typed.new_password}),
    (b"/recover/mail", {"username": typed.name}),
    (b"/recover/password", {"new_password": typed.new_password}),
    (b"/account/email", {}),
    (b"/account/notice", {"next": typed.path}),
    (b"/account/sessions", {"do": exactly("end"), "id": typed.which}),
    (b"/account/sessions", {"do": exactly("end_others")}),
    (b"/account/data", {"do": exactly("delete"), "username": typed.name, "password": typed.password}),
    (
        b"/account/tokens",
        {
            "do": exactly("create"),
            "name": typed.token_name,
            "prefix": typed.prefix,
            "scope": exactly("read", "write"),
            "days": exactly("7", "0", "365"),
        },
    ),
    (b"/account/tokens", {"do": exactly("revoke"), "id": typed.which}),
    *(
        (b"/account/security", {"do": exactly(do), "password": typed.password, **more})
        for do, more in (
            ("password", {"new_password": typed.new_password}),
            ("codes", {}),
            ("two_step", {}),
            ("confirm", {"code": typed.code}),
            ("two_step_off", {}),
            ("email", {"email": typed.email}),
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
    (b"/account/events", {"before": typed.number}),
    (b"/account", {}),
    (b"/signin", {"next": typed.path, "done": exactly("password_set", "deleted")}),
    (b"/signin/code", {"next": typed.path, "by": exactly("recovery"), "kept": typed.anything}),
    (b"/signup", {"next": typed.path}),
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
_KEYS: Fields = {"key": typed.prefix, "password": typed.password}
# actions on a user; each needs the password
ACTS: dict[bytes, Fields] = {
    **{
        act: {"password": typed.password}
        for act in b"link password end-two-step make-admin unmake-admin disable enable restore no-such-act".split()
    },
    b"sessions": {"password": typed.password, "tokens": exactly("yes")},
    b"quota": {"password": typed.password, "keys": typed.number, "bytes": typed.number},
    b"delete": {"password": typed.password, "name": typed.name},
    b"reveal": _KEYS,
}
_FILTERS: Fields = {
    "user": typed.name,
    "actor": exactly("cli", "admin", "superuser", "9" * 18, "9" * 19, "-1"),
    "action": exactly("sign_in", "sign_in_failed", "no_such_action"),
    "since": typed.day,
    "until": typed.day,
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
                {"search": typed.name, "sort": exactly("entries", "seen", "tabs", "no"), "page": typed.number},
            )
        ]
        * 4
    ),
    *([(b"/admin/audit", {**_FILTERS, "before": typed.number})] * 6),
    (b"/admin/audit.csv", _FILTERS),
    (b"/admin/audit.ndjson", _FILTERS),
]


def forms(dice: Dice) -> Case:
    """Return a browser that goes through forms and pages, with a session or without."""
    return _case(dice, [_form(dice) if dice.chance(0.7) else _page(dice) for _ in range(1 + dice.below(20))])


def superuser(dice: Dice) -> Case:
    """Return the same as `forms` for the pages of superusers; seldom the sender is no superuser."""
    return _case(dice, [_act(dice) if dice.chance(0.5) else _admin_page(dice) for _ in range(1 + dice.below(16))])


def _case(dice: Dice, requests: list[Request]) -> Case:
    return Case("accounts", tuple(by_another_name(dice, request) for request in requests), len(requests))


def _form(dice: Dice) -> Request:
    path, fields = dice.one(FORMS)
    return _post(dice, path, fields, _browser(dice))


def _page(dice: Dice) -> Request:
    if dice.chance(0.15):
        path = dice.one(_SECRET_PATHS) + percent(dice, typed.secret(dice).encode(errors="surrogatepass"))
    else:
        path, fields = dice.one(PAGES)
        path = query(dice, path, list(fields.items()))
    headers = (_browser(dice), harmless(dice)) if dice.chance(0.2) else (_browser(dice),)
    return Request(b"GET", path[:8000], headers)


def _act(dice: Dice) -> Request:
    roll = dice.random()
    who = _superuser(dice)
    if roll < 0.1:
        how = {"username": typed.new_name, "how": exactly("link", "password")}
        return _post(dice, b"/admin/users/new", how, who)
    if roll < 0.15:
        # never the right password: the answer would contain the data of all users
        return _post(dice, b"/admin/backup", {"password": typed.anything}, who)
    act = dice.one(tuple(ACTS))
    return _post(dice, b"/admin/users/%b/%b" % (_whom(dice), act), ACTS[act], who)


def _admin_page(dice: Dice) -> Request:
    if dice.chance(0.6):
        path, fields = dice.one(ADMIN_PAGES)
        return Request(b"GET", query(dice, path, list(fields.items())), (_superuser(dice),))
    path = b"/admin/users/" + _whom(dice)
    if dice.chance(0.3):
        path += b"/" + dice.one(tuple(ACTS))
    elif dice.chance(0.5):
        path = query(dice, path + b"/entries", [("prefix", typed.prefix), ("after", typed.prefix)])
    return Request(b"GET", path[:8000], (_superuser(dice),))


def _whom(dice: Dice) -> bytes:
    return USER_ID if dice.chance(0.75) else dice.one(_OTHERS)


def _browser(dice: Dice) -> tuple[bytes, bytes]:
    held = [b"rkv_form=" + VISITOR]
    if dice.chance(0.7):
        held.append(b"rkv_session=" + PAWN)
    for name, right in ((b"rkv_step", STEP), (b"rkv_recovery", LINK), (b"rkv_email", LINK), (b"rkv_setup", STEP)):
        if dice.chance(0.3):
            value = right if dice.chance(0.7) else dice.one((b"x" * 43, b"-", b"", b"\xff", b"%00", b'"', b"x" * 3000))
            held.append(name + b"=" + value)
    return cookies(dice, *held)


def _superuser(dice: Dice) -> tuple[bytes, bytes]:
    token = ADMIN if dice.chance(0.95) else PAWN
    return cookies(dice, b"rkv_session=" + token, b"rkv_form=" + VISITOR)


def _post(dice: Dice, path: bytes, fields: Fields, browser: tuple[bytes, bytes]) -> Request:
    pairs = [
        name.encode() + b"=" + _encoded(dice, make(dice)) for name, make in fields.items() if not dice.chance(0.04)
    ]
    if not dice.chance(0.03):
        pairs.insert(dice.below(len(pairs) + 1), b"csrf_token=" + FORM)
    if dice.chance(0.05):
        pairs.append(percent(dice, dice.junk()) + b"=" + percent(dice, dice.junk()))
    if pairs and dice.chance(0.03):
        pairs.append(dice.one(pairs))
    body = b"&".join(pairs)
    if dice.chance(0.04):
        body = mangle(dice, body)
    headers = (browser, FORM_TYPE if dice.chance(0.97) else harmless(dice))
    if dice.chance(0.05):
        headers += (harmless(dice),)
    return Request(b"POST", path, headers, body)


def _encoded(dice: Dice, text: str) -> bytes:
    # rarely unencoded, whatever effect that has on the form
    data = text.encode(errors="surrogatepass")
    return quote_from_bytes(data).encode() if dice.chance(0.98) else data
