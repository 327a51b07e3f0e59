"""The dashboard's pages, and the files that pages load."""

from functools import cache
from pathlib import Path

from flask import Blueprint, Response, abort, current_app, redirect, render_template, request, send_file
from werkzeug.wrappers import Response as AnyResponse

from realtime_kv import static_assets
from realtime_kv.services import services, wait
from realtime_kv.web.http import login, security_headers
from realtime_kv.web.pages import redirects

pages = Blueprint("pages", __name__)

# the modules of a key's tabs
_TABS = {"history": ["dashboard/history/history-tab.js"], "use": ["dashboard/snippets/snippets-tab.js"]}
_WITH_IMPORTS = {"Content-Security-Policy": security_headers.policy_with(static_assets.IMPORT_MAP)}


@pages.get("/")
def home() -> AnyResponse:
    return redirect(redirects.HOME if login.visitor() else "/signin", 303)


@pages.get("/keys", defaults={"page": "keys"})
@pages.get("/activity", defaults={"page": "activity"})
@pages.get("/trash", defaults={"page": "trash"})
def dashboard(page: str) -> tuple[str, dict[str, str]]:
    """Return the dashboard: one page, which selects its view by its address."""
    caller = login.signed_in()
    limits = {"value": services().config.value_bytes}
    page_data = {
        "username": caller.username,
        "session": caller.session,
        "kept": caller.kept,
        "build": static_assets.build(),
        "limits": limits,
        "trash_days": services().config.trash_days,
    }
    notice = wait(services().accounts.own.recovery_notice(caller))
    scripts = Path(str(current_app.static_folder)) / "js"
    modules = static_assets.modules(scripts, *_first_modules(page))
    made = render_template(
        "keys.html",
        page=page,
        caller=caller,
        notice=notice,
        page_data=page_data,
        modules=modules,
        styles=static_assets.styles(scripts, modules),
        importmap=static_assets.IMPORT_MAP,
    )
    # the service worker caches the page with the files of the same version
    return made, _WITH_IMPORTS | {"RKV-Files": _files_version(scripts.parent)}


@cache
def _files_version(folder: Path) -> str:
    """Return the version of the dashboard's files. Cached: a look at a hundred files blocks the event loop."""
    return static_assets.version(folder)


@cache
def _worker(folder: Path) -> str:
    """Return the service worker, cached likewise and of the same version."""
    return static_assets.worker(folder)


def _first_modules(page: str) -> list[str]:
    """Return the modules that this address needs at once; the page would else request them after its first ones."""
    first = ["dashboard/main.js"]
    if page in ("activity", "trash"):
        first.append(f"dashboard/history/{page}-page.js")
    elif request.args.get("key"):
        first += ["dashboard/key/model/open-key.js", "dashboard/key/detail-pane.js", "dashboard/key/key-view.js"]
        first += _TABS.get(request.args.get("tab", ""), [])
    return first


@pages.get("/needs-server")
def needs_server() -> str:
    """Return the page that the service worker shows when the server does not answer."""
    return render_template("needs_server.html")


@pages.get("/.well-known/change-password")
def change_password() -> AnyResponse:
    """Redirect password managers to the password form (W3C, "A Well-Known URL for Changing Passwords")."""
    return redirect("/account/security", 303)


@pages.get("/rkv.js")
def client() -> Response:
    """Return the client, at an address that is easy to remember."""
    return current_app.send_static_file("js/rkv.js")


@pages.get("/sw.js")
def worker() -> Response:
    """Return the service worker. It is served at the root, since its scope is limited to the paths below its own."""
    made = _worker(Path(str(current_app.static_folder)))
    return Response(made, mimetype="text/javascript", headers={"Cache-Control": "no-cache"})


@pages.get("/static/js/vendor/<path:name>")
def vendor(name: str) -> Response:
    """Return a browser library, if it is one of the few that the server offers."""
    path = static_assets.path(name)
    if path is None or not path.is_file():
        abort(404)
    return send_file(path, conditional=True)
