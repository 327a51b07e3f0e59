"""The pages: signing in and up with plain forms that need no JavaScript, and the dashboard; and the files they load."""

import re
from collections.abc import Callable

from flask import Blueprint, Response, abort, current_app, redirect, render_template, request, send_file
from werkzeug.wrappers import Response as AnyResponse

from realtime_kv import browser_files
from realtime_kv.accounts import door
from realtime_kv.accounts.sessions import SignedIn
from realtime_kv.core.caller import Caller
from realtime_kv.core.errors import Refusal, Unauthenticated
from realtime_kv.core.runtime import Future
from realtime_kv.web import errors, security, sessions
from realtime_kv.web.house import house, wait

pages = Blueprint("pages", __name__)

HOME = "/keys"

# a path of ours and nothing else: browsers read `//` and `/\` as another host, and drop tabs and line ends
_LOCAL = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]{0,4000}")


@pages.get("/")
def home() -> AnyResponse:
    return redirect(HOME if sessions.visitor() else "/signin", 303)


@pages.get("/keys")
def keys() -> str:
    caller = _signed_in()
    page_data = {"username": caller.username, "session": caller.session}
    return render_template("keys.html", caller=caller, page_data=page_data)


@pages.get("/signin")
def signin() -> AnyResponse:
    return _ask("signin.html")


@pages.get("/signup")
def signup() -> AnyResponse:
    return _ask("signup.html")


@pages.post("/signin")
def post_signin() -> AnyResponse:
    return _enter("signin.html", house().accounts.sign_in)


@pages.post("/signup")
def post_signup() -> AnyResponse:
    return _enter("signup.html", house().accounts.sign_up)


@pages.post("/signout")
def signout() -> AnyResponse:
    security.form()
    environ, config = request.environ, house().config
    if token := door.cookie(environ, config):
        wait(house().accounts.sign_out(token, door.visit(environ, config)))
    sessions.forget()
    return redirect("/signin", 303)


@pages.get("/rkv.js")
def client() -> Response:
    """The client, at an address that is easy to remember."""
    return current_app.send_static_file("js/rkv.js")


@pages.get("/static/js/vendor/<path:name>")
def vendor(name: str) -> Response:
    """A browser library, if it is one of the few that we serve."""
    path = browser_files.path(name)
    if path is None or not path.is_file():
        abort(404)
    return send_file(path, conditional=True)


def _signed_in() -> Caller:
    """Who looks at this page. Raises Unauthenticated, which leads to the sign-in page."""
    caller = sessions.visitor()
    if caller is None:
        raise Unauthenticated()
    return caller


def _ask(template: str) -> AnyResponse:
    wanted = _next(request.args.get("next"))
    if sessions.visitor():
        return redirect(wanted, 303)
    return Response(render_template(template, username="", problem=None, next=wanted))


def _enter(template: str, enter: Callable[..., Future[SignedIn]]) -> AnyResponse:
    """Sign in or up; what does not work is said above the form, with the name still there."""
    form = security.form()
    wanted = _next(form.get("next") or request.args.get("next"))
    username = form.get("username", "")
    environ, config = request.environ, house().config
    try:
        replaced = door.cookie(environ, config)
        future = enter(username, form.get("password", ""), door.visit(environ, config), replacing=replaced)
        sessions.begin(wait(future))
    except Refusal as refusal:
        shown = render_template(template, username=username[:64], problem=refusal, next=wanted)
        return errors.with_headers(Response(shown, refusal.status), refusal)
    return redirect(wanted, 303)


def _next(path: str | None) -> str:
    """Where to go from here: `path`, if it is one of ours."""
    return path if path and _LOCAL.fullmatch(path) else HOME
