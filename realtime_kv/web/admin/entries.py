"""/admin/users/<id>/entries: all keys of a user, with sizes and times; a value only after an explicit request."""

from urllib.parse import urlencode

import msgspec
from flask import request
from werkzeug.wrappers import Response as AnyResponse

from realtime_kv.errors import NotFound, Refusal
from realtime_kv.services import wait
from realtime_kv.web.admin.blueprint import actor, admin, administration, confirm, page
from realtime_kv.web.http import request_auth
from realtime_kv.web.pages import one_time_forms


@admin.get("/users/<int:user_id>/entries")
def entries(user_id: int) -> AnyResponse:
    prefix, after = request.args.get("prefix", "")[:512], request.args.get("after")
    user = wait(administration().user(user_id))
    found = wait(administration().entries(actor(), user_id, prefix=prefix, after=after))
    here = f"/admin/users/{user_id}/entries"
    further = f"{here}?{urlencode({'prefix': prefix, 'after': found.next})}" if found.next is not None else None
    return page(
        "entries.html", user=user, entries=found.entries, prefix=prefix, after=after, here=here, further=further
    )


@admin.get("/users/<int:user_id>/reveal")
def ask_to_reveal(user_id: int) -> AnyResponse:
    """Show the consequences of revealing a value, and ask for confirmation."""
    return page("reveal.html", user=wait(administration().user(user_id)), key=request.args.get("key", ""))


@admin.post("/users/<int:user_id>/reveal")
@one_time_forms.guard
def reveal(user_id: int) -> AnyResponse:
    """Show the value, in this answer and nowhere else; its owner sees that it was revealed."""
    form = request_auth.form()
    key, user = form.get("key", ""), wait(administration().user(user_id))
    try:
        one_time_forms.claim()
        confirm(form)
        revealed = wait(administration().reveal(actor(), user_id, key))
    except NotFound:
        raise
    except Refusal as refusal:
        return page("reveal.html", refusal, user=user, key=key)
    value_page = page("value.html", user=user, revealed=revealed, value=_readable(revealed.value))
    return one_time_forms.secret_page(value_page, f"/admin/users/{user_id}/reveal?{urlencode({'key': key})}")


def _readable(text: str) -> str:
    """Return a JSON object or array indented, any other value unchanged."""
    return msgspec.json.format(text, indent=2) if text[:1] in {"{", "["} else text
