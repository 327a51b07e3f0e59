"""`/api/v1/<verb>`: every verb over HTTP, with the payload, answer and errors of a socket (protocol §2)."""

from collections.abc import Callable
from contextlib import nullcontext
from time import perf_counter

from flask import Blueprint, Response, request

from realtime_kv.core.domain.cost import BYTES_PER_UNIT, REQUEST_SHIFT
from realtime_kv.services import services, wait
from realtime_kv.verbs import registry as verbs
from realtime_kv.web.http import parsing, request_auth

api = Blueprint("api", __name__, url_prefix="/api/v1")


def _view(name: str) -> Callable[[], Response]:
    def view() -> Response:
        began, store, rates = perf_counter(), services().store, services().accounts.rates
        caller = request_auth.caller()
        body = parsing.json() if request.method == "POST" else None
        size = 0 if body is None else len(body)
        if rates is not None:
            # charged before decoding, so that invalid requests cost as well
            rates.verb(caller, 1 + (size >> REQUEST_SHIFT))
        try:
            with rates.timed(caller) if rates is not None and size >= BYTES_PER_UNIT else nullcontext():
                payload = verbs.decode_query(name, parsing.query()) if body is None else verbs.decode(name, body)
                if rates is not None and payload.weight > 1:
                    rates.verb(caller, payload.weight - 1)
                future = payload.call(store, caller)
            answer = wait(future)
        finally:
            # drop reads that still wait: there are none after an answer, and no client waits after a timeout
            store.abandon(caller)
        store.latency.verbs += 1
        store.latency.note(perf_counter() - began)
        return parsing.answer(verbs.encode(answer))

    return view


# one route per verb: an unknown verb is an unknown path, and a wrong method is answered with the right ones
for _name in verbs.VERBS:
    _methods = ["GET", "POST"] if _name in verbs.READING else ["POST"]
    api.add_url_rule(f"/{_name}", _name, _view(_name), methods=_methods)
