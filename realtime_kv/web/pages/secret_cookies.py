"""Secrets that one page passes to the next: each in a cookie of its own, never in an address.

A path with a secret in it is answered by a cookie and a redirect, so that the secret has left the address bar, the
history and every `Referer` before a page is shown. Scripts cannot read the cookie, and its lifetime is at most that of
the secret.
"""

from dataclasses import dataclass

from flask import request
from werkzeug.wrappers import Response

from realtime_kv.accounts.credentials import one_time_tokens
from realtime_kv.clock import DAY
from realtime_kv.request import cookies
from realtime_kv.services import services

# no secret of this server is longer; the placeholder for a longer one leads to the page for expired links
_LONGEST = 128


@dataclass(frozen=True)
class SecretCookie:
    """A cookie for secrets of one kind."""

    name: str
    # how long the browser keeps it, in milliseconds
    lifetime: int

    def keep(self, response: Response, secret: str) -> Response:
        """Set the cookie to `secret` on `response`."""
        value = secret if secret.isascii() and len(secret) <= _LONGEST else "-"
        self._set(response, value, self.lifetime // 1000)
        return response

    def held(self) -> str | None:
        """Return the secret in this request's cookie, if any."""
        return request.cookies.get(cookies.cookie_name(request.environ, services().config, self.name)) or None

    def drop(self, response: Response) -> Response:
        """Delete the cookie: its secret has served its purpose."""
        if self.held() is not None:
            self._set(response, "", 0)
        return response

    def _set(self, response: Response, value: str, seconds: int) -> None:
        config = services().config
        name = cookies.cookie_name(request.environ, config, self.name)
        response.set_cookie(name, value, seconds, path="/", httponly=True, samesite="Lax", secure=config.secure)


# a sign-in that needs a code; a new password to be chosen; an email address to be confirmed
STEP = SecretCookie("rkv_step", one_time_tokens.LIFETIMES["second_step"])
RECOVERY = SecretCookie("rkv_recovery", one_time_tokens.LIFETIMES["recovery"])
EMAIL = SecretCookie("rkv_email", one_time_tokens.LIFETIMES["email"])
# an invitation to sign up: for a day, after which its link can be opened again
INVITATION = SecretCookie("rkv_invitation", DAY)
