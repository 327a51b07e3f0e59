"""Where a page leads when it is done: always to a path of ours, where one sentence says what was done."""

import re

from flask import redirect
from werkzeug.wrappers import Response

HOME = "/keys"

# what the next page says, by the word in its address: a stranger's link can choose between these and say nothing else
DONE = {
    "password_set": "Password set; all other sessions are signed out. Sign in with the new one.",
    "password": "Password changed; all other sessions are signed out.",
    "two_step_on": "Two-step sign-in is on: signing in now asks for a code too.",
    "two_step_off": "Two-step sign-in is off.",
    "wrong_codes": "Wrong codes are counted from zero again.",
    "email_sent": "A mail is on its way. Open the link in it, within a day, to confirm the address.",
    "email_gone": "The mail address is removed.",
    "email": "The mail address is confirmed. It can now be used to recover this account.",
    "session": "That session is signed out.",
    "sessions": "All other sessions are signed out.",
    "token": "That token is revoked.",
    "codes_shown": (
        "This was done already, and the recovery codes were shown once. If you did not save them, make new codes below."
    ),
    "token_shown": (
        "This token was created already, and its text was shown once. If you did not store it, revoke it and create "
        "another one."
    ),
    "two_step_begun": (
        "The QR code and the secret were shown once. If your authenticator app has them, type its code; if not, "
        "start again."
    ),
    "deleted": "The account is deleted. Until it is purged, signing in brings it back.",
}

# a path of ours and nothing else: browsers read `//` and `/\` as another host, and drop tabs and line ends
_LOCAL = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]{0,4000}")


def local(path: str | None) -> str:
    """Where to go from here: `path`, if it is one of ours."""
    return path if path and _LOCAL.fullmatch(path) else HOME


def to(path: str, done: str | None = None) -> Response:
    """On to `path` with a GET; `done` is a word of `DONE`."""
    assert done is None or done in DONE, done
    return redirect(address(path, done), 303)


def address(path: str, done: str | None = None) -> str:
    """`path`, where one sentence says what was done."""
    return f"{path}?done={done}" if done else path


def said(word: str | None) -> str:
    """The sentence for the word in an address; nothing for a word that is none of ours."""
    return DONE.get(word or "", "")
