"""API documentation for people and for programs: `/api`, and `/api/v1/openapi.json`."""

from flask import Blueprint, Response, render_template, request

from realtime_kv.request import cookies
from realtime_kv.services import services
from realtime_kv.web.api import openapi, reference
from realtime_kv.web.http import login, parsing

guide = Blueprint("guide", __name__)


@guide.get("/api")
def page() -> str:
    """Return the API page, the same for everybody, signed in or not."""
    config = services().config
    origin = config.public_url or request.host_url.rstrip("/")
    caller = login.visitor()
    return render_template(
        "api.html", caller=caller, origin=origin, verbs=reference.verb_docs(origin), refusals=reference.refusals()
    )


@guide.get("/api/v1/openapi.json")
def document() -> Response:
    config = services().config
    return parsing.answer(openapi.document(config, cookies.cookie_name(request.environ, config)))
