"""`/api/v1/<verb>`: every verb over HTTP, the same payload, answer and errors as on a socket (protocol §2)."""

from collections.abc import Callable
from time import perf_counter

from flask import Blueprint, Response, request

from realtime_kv import verbs
from realtime_kv.core.cost import REQUEST_SHIFT
from realtime_kv.web import bodies, security
from realtime_kv.web.house import house, wait

api = Blueprint("api", __name__, url_prefix="/api/v1")


def _view(name: str) -> Callable[[], Response]:
    def view() -> Response:
        began, store, rates = perf_counter(), house().store, house().accounts.rates
        caller = security.caller()
        if request.method == "POST":
            body = bodies.json()
            if rates is not None:
                # nonsense is not for nothing
                rates.verb(caller, 1 + (len(body) >> REQUEST_SHIFT))
            payload = verbs.decode(name, body)
        else:
            if rates is not None:
                rates.verb(caller)
            payload = verbs.decode_query(name, bodies.query())
        if rates is not None and payload.weight > 1:
            rates.verb(caller, payload.weight - 1)
        try:
            answer = wait(payload.call(store, caller))
        finally:
            # after an answer there is nothing left to drop; where it came too late, nobody waits any more
            store.abandon(caller)
        store.pulse.verbs += 1
        store.pulse.note(perf_counter() - began)
        return bodies.answer(verbs.encode(answer))

    return view


# a route for each verb, so that an unknown one is an unknown path, and a wrong method is told which are right
for _name in verbs.VERBS:
    _methods = ["GET", "POST"] if _name in verbs.READING else ["POST"]
    api.add_url_rule(f"/{_name}", _name, _view(_name), methods=_methods)
