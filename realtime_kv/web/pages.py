"""The pages of one's keys, and the files that pages load."""

from pathlib import Path

from flask import Blueprint, Response, abort, current_app, redirect, render_template, send_file
from werkzeug.wrappers import Response as AnyResponse

from realtime_kv import browser_files
from realtime_kv.web import going, headers, sessions
from realtime_kv.web.house import house, wait

pages = Blueprint("pages", __name__)

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
        "limits": limits,
        "trash_days": house().config.trash_days,
    }
    notice = wait(house().accounts.own.recovery_notice(caller))
    modules = browser_files.modules(Path(str(current_app.static_folder)) / "js", "dashboard/main.js")
    made = render_template(
        "keys.html",
        page=page,
        caller=caller,
        notice=notice,
        page_data=page_data,
        modules=modules,
        importmap=browser_files.IMPORT_MAP,
    )
    return made, _WITH_IMPORTS


@pages.get("/rkv.js")
def client() -> Response:
    """The client, at an address that is easy to remember."""
    return current_app.send_static_file("js/rkv.js")


@pages.get("/sw.js")
def worker() -> Response:
    """The service worker. It stands at the root, since it may only look after what stands below it."""
    made = browser_files.worker(Path(str(current_app.static_folder)))
    return Response(made, mimetype="text/javascript", headers={"Cache-Control": "no-cache"})


@pages.get("/static/js/vendor/<path:name>")
def vendor(name: str) -> Response:
    """A browser library, if it is one of the few that we serve."""
    path = browser_files.path(name)
    if path is None or not path.is_file():
        abort(404)
    return send_file(path, conditional=True)
