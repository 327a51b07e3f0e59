"""`GET /api/v1/stream`: the messages pushed to tabs, as server-sent events (protocol §3)."""

import dataclasses
import re

from flask import Blueprint, Response, request

from realtime_kv.core.domain import permissions
from realtime_kv.request import authentication
from realtime_kv.services import services
from realtime_kv.verbs import registry as verbs
from realtime_kv.verbs.payloads import Stream
from realtime_kv.web.http import parsing, request_auth

streams = Blueprint("streams", __name__, url_prefix="/api/v1")

_POSITION = re.compile(r"([0-9A-Za-z_-]{1,64}):([0-9]{1,16})")


@streams.get("/stream")
def stream() -> Response:
    """Return a sync from the requested position, then every change, until the client or the server ends the stream."""
    at_home = services()
    endings = at_home.streams.endings
    caller = request_auth.caller()
    start = verbs.decode_parameters(Stream, parsing.query())
    if start.prefix:
        caller = dataclasses.replace(caller, prefix=permissions.narrowed(caller, start.prefix))
    epoch, since = start.position
    last = request.headers.get("Last-Event-ID")
    if last is not None:
        # a browser reconnects to the address it was given, and sends its present position in this header
        epoch, since = _position(last)
    if at_home.accounts.rates is not None:
        at_home.accounts.rates.verb(caller)
    response = Response(mimetype="text/event-stream")
    # a proxy that buffers an answer before it passes it on would buffer this one for ever
    response.headers["X-Accel-Buffering"] = "no"
    if request.method != "HEAD":
        address = authentication.address(request.environ, at_home.config)
        response.response = at_home.streams.open(caller, address, epoch, since, endings)
        response.direct_passthrough = True
    return response


def _position(last: str) -> tuple[str | None, int | None]:
    """Return the position in an event id of this server; none for other text, which a browser cannot replace."""
    found = _POSITION.fullmatch(last)
    return (found[1], int(found[2])) if found else (None, None)
