"""API documentation for people and for programs: `/api`, and `/api/v1/openapi.json`."""

from flask import Blueprint, Response, render_template, request

from realtime_kv.accounts import cookies
from realtime_kv.web import bodies, openapi, reference, sessions
from realtime_kv.web.house import house

guide = Blueprint("guide", __name__)


@guide.get("/api")
def page() -> str:
    """Return the API page, the same for everybody, signed in or not."""
    config = house().config
    origin = config.public_url or request.host_url.rstrip("/")
    caller = sessions.visitor()
    return render_template(
        "api.html", caller=caller, origin=origin, verbs=reference.shown(origin), refusals=reference.refusals()
    )


@guide.get("/api/v1/openapi.json")
def document() -> Response:
    config = house().config
    return bodies.answer(openapi.document(config, cookies.cookie_name(request.environ, config), reference.SUMMARIES))
