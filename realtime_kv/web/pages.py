"""The pages of one's keys, and the files that pages load."""

from functools import cache
from pathlib import Path

from flask import Blueprint, Response, abort, current_app, redirect, render_template, request, send_file
from werkzeug.wrappers import Response as AnyResponse

from realtime_kv import browser_files
from realtime_kv.web import going, headers, sessions
from realtime_kv.web.house import house, wait

pages = Blueprint("pages", __name__)

# what the tabs of a key are made by
_TABS = {"history": ["dashboard/past/history.js"], "use": ["dashboard/use/use-it.js"]}
_WITH_IMPORTS = {"Content-Security-Policy": headers.policy_with(browser_files.IMPORT_MAP)}


@pages.get("/")
def home() -> AnyResponse:
    return redirect(going.HOME if sessions.visitor() else "/signin", 303)


@pages.get("/keys", defaults={"page": "keys"})
@pages.get("/activity", defaults={"page": "activity"})
@pages.get("/trash", defaults={"page": "trash"})
def dashboard(page: str) -> tuple[str, dict[str, str]]:
    """One page, which tells by its address what it shows."""
    caller = sessions.signed_in()
    limits = {"value": house().config.value_bytes}
    page_data = {
        "username": caller.username,
        "session": caller.session,
        "kept": caller.kept,
        "build": browser_files.build(),
        "limits": limits,
        "trash_days": house().config.trash_days,
    }
    notice = wait(house().accounts.own.recovery_notice(caller))
    scripts = Path(str(current_app.static_folder)) / "js"
    modules = browser_files.modules(scripts, *_first_modules(page))
    made = render_template(
        "keys.html",
        page=page,
        caller=caller,
        notice=notice,
        page_data=page_data,
        modules=modules,
        styles=browser_files.styles(scripts, modules),
        importmap=browser_files.IMPORT_MAP,
    )
    # the service worker keeps the page with the files of the same version
    return made, _WITH_IMPORTS | {"RKV-Files": _files_version(scripts.parent)}


@cache
def _files_version(folder: Path) -> str:
    """Looked at once: a hundred files, while everybody waits."""
    return browser_files.version(folder)


@cache
def _worker(folder: Path) -> str:
    """As above, and of the same version."""
    return browser_files.worker(folder)


def _first_modules(page: str) -> list[str]:
    """What this address shows at once; otherwise the page asks for it only when its first modules are there."""
    first = ["dashboard/main.js"]
    if page in ("activity", "trash"):
        first.append(f"dashboard/past/{page}.js")
    elif request.args.get("key"):
        first += ["dashboard/key/opened.js", "dashboard/key/detail.js", "dashboard/key/pane.js"]
        first += _TABS.get(request.args.get("tab", ""), [])
    return first


@pages.get("/needs-server")
def needs_server() -> str:
    """What the service worker shows instead of a page of the server that does not answer."""
    return render_template("needs_server.html")


@pages.get("/.well-known/change-password")
def change_password() -> AnyResponse:
    """Where password managers lead to (W3C, "A Well-Known URL for Changing Passwords")."""
    return redirect("/account/security", 303)


@pages.get("/rkv.js")
def client() -> Response:
    """The client, at an address that is easy to remember."""
    return current_app.send_static_file("js/rkv.js")


@pages.get("/sw.js")
def worker() -> Response:
    """The service worker. It stands at the root, since it may only look after what stands below it."""
    made = _worker(Path(str(current_app.static_folder)))
    return Response(made, mimetype="text/javascript", headers={"Cache-Control": "no-cache"})


@pages.get("/static/js/vendor/<path:name>")
def vendor(name: str) -> Response:
    """A browser library, if it is one of the few that we serve."""
    path = browser_files.path(name)
    if path is None or not path.is_file():
        abort(404)
    return send_file(path, conditional=True)
