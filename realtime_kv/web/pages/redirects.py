"""Redirects after an action: always to a local path, where one sentence confirms the action."""

import re

from flask import redirect
from werkzeug.wrappers import Response

HOME = "/keys"

# confirmations by the word in the next page's address: a link from another site can only choose one of these
DONE = {
    "password_set": "Password set; all other sessions are signed out. Sign in with the new one.",
    "password": "Password changed; all other sessions are signed out.",
    "two_step_on": "Two-step sign-in is on: signing in now asks for a code too.",
    "two_step_off": "Two-step sign-in is off.",
    "wrong_codes": "Wrong codes are counted from zero again.",
    "email_sent": "An email is on its way. Open its link within a day to confirm the address.",
    "email_gone": "The email address is removed.",
    "email": "The email address is confirmed. It can now be used to recover this account.",
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
    "deleted": "The account is deleted. Sign in before it is purged to restore it.",
}

# a local path and nothing else: browsers read `//` and `/\` as another host, and drop tabs and line ends
_LOCAL = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]{0,4000}")


def local(path: str | None) -> str:
    """Return `path` if it is a local path, otherwise `HOME`."""
    return path if path and _LOCAL.fullmatch(path) else HOME


def to(path: str, done: str | None = None) -> Response:
    """Redirect to `path` with a GET; `done` is a word of `DONE`."""
    assert done is None or done in DONE, done
    return redirect(address(path, done), 303)


def address(path: str, done: str | None = None) -> str:
    """Return `path`, with `done` to select the confirmation."""
    return f"{path}?done={done}" if done else path


def said(word: str | None) -> str:
    """Return the confirmation for the word in an address; an empty string for an unknown word."""
    return DONE.get(word or "", "")
