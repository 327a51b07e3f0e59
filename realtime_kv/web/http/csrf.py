"""CSRF tokens: each form proves that this server made it for this very browser (OWASP: signed double submit).

A token is bound to the session cookie, or, for a visitor without one, to a random cookie with no other meaning. No
other site can read either of them, so none can make a valid form. JSON calls have their own rules (protocol §4).
"""

import hashlib
import secrets

from flask import Flask, Response, current_app, g, request
from itsdangerous import BadSignature, URLSafeSerializer
from markupsafe import Markup

from realtime_kv.errors import Forbidden
from realtime_kv.request import cookies
from realtime_kv.services import services
from realtime_kv.web.http import login

FIELD = "csrf_token"


def register(app: Flask) -> None:
    """Add `csrf_field()` to every template of `app`."""
    app.jinja_env.globals["csrf_field"] = field
    app.after_request(_keep_visitor)


def field() -> Markup:
    """Return the hidden field that every form with `method="post"` contains."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(FIELD, token())


def token() -> str:
    """Return a unique token for this browser: compression cannot reveal it, and it identifies its form."""
    return _signer().dumps([current_app.extensions["new_form_id"](), _digest(_holder())])


def form_id(fields: dict[str, str]) -> str | None:
    """Return the id of the form that these fields come from, from any browser; None if it is no form of this server."""
    try:
        found, _ = _signer().loads(fields.get(FIELD, ""))
    except (BadSignature, ValueError, TypeError):
        return None
    return found if isinstance(found, str) else None


def check(fields: dict[str, str]) -> dict[str, str]:
    """Return the other fields of a form. Raises Forbidden unless its token is this browser's."""
    try:
        _form_id, digest = _signer().loads(fields.get(FIELD, ""))
    except (BadSignature, ValueError, TypeError):
        digest = None
    holders = {*_holders(), *_older_holders()}
    if not holders:
        raise Forbidden(
            "No cookie came with this form, and it needs one. Allow cookies for this site, load the page again, and "
            "send the form once more."
        )
    # a form that was loaded before a sign-in in another tab still belongs to this browser
    if digest is None or digest not in map(_digest, holders):
        raise Forbidden("This form is out of date. Go back, load the page again, and send it once more.")
    return {name: value for name, value in fields.items() if name != FIELD}


def _holders() -> list[str]:
    held = (login.token_that_came(), cookies.read(request.environ, _cookie_name()))
    return [holder for holder in held if holder]


def _older_holders() -> list[str]:
    """Return cookies without a port in their names. Other servers may replace them, so no new form relies on one."""
    held = cookies.read(request.environ, cookies.unported_name(services().config, cookies.FORM))
    return [held] if held else []


def _cookie_name() -> str:
    return cookies.cookie_name(request.environ, services().config, cookies.FORM)


def _holder() -> str:
    holders = _holders()
    if holders:
        return holders[0]
    if "new_form_holder" not in g:
        g.new_form_holder = secrets.token_urlsafe(24)
    return str(g.new_form_holder)


def _keep_visitor(response: Response) -> Response:
    if holder := g.get("new_form_holder"):
        secure = services().config.secure
        response.set_cookie(_cookie_name(), holder, path="/", httponly=True, samesite="Lax", secure=secure)
    return response


def _signer() -> URLSafeSerializer:
    # the default is SHA-1
    with_sha256 = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
    key = str(current_app.config["SECRET_KEY"])
    return URLSafeSerializer(key, salt="realtime_kv.form", signer_kwargs=with_sha256)


def _digest(holder: str) -> str:
    return hashlib.sha256(holder.encode("utf-8", "replace")).hexdigest()[:32]
