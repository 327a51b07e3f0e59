"""/admin/users: the list of users, the page of one user, and the form for a new one."""

from typing import cast

from flask import redirect, request
from werkzeug.wrappers import Response as AnyResponse

from realtime_kv.accounts.admin import user_queries
from realtime_kv.accounts.admin.user_queries import Sort
from realtime_kv.errors import Refusal
from realtime_kv.services import services, wait
from realtime_kv.web.admin.blueprint import actor, admin, administration, number, page
from realtime_kv.web.admin.user_actions import ACTS, actions_for, secret_page
from realtime_kv.web.http import request_auth
from realtime_kv.web.pages import one_time_forms

SORTS = {
    "username": "Name",
    "entries": "Most entries",
    "bytes": "Most bytes",
    "seen": "Last seen",
    "tabs": "Most open tabs",
    "created": "Newest",
}
assert tuple(SORTS) == user_queries.SORTS


@admin.get("")
def home() -> AnyResponse:
    return redirect("/admin/users", 303)


@admin.get("/users")
def users() -> AnyResponse:
    """Show a page of users; an unknown order or page falls back to the first one."""
    search, sort = request.args.get("search", "")[:64], request.args.get("sort", "")
    sort = sort if sort in SORTS else "username"
    wanted = number(request.args.get("page", "")) or 1
    found = wait(administration().users(search=search, sort=cast(Sort, sort), page=wanted, tabs=services().open_tabs()))
    return page("users.html", found=found, search=search, sort=sort, sorts=SORTS)


@admin.get("/users/new")
def new_user() -> AnyResponse:
    return page("new_user.html", username="", link=False)


@admin.post("/users/new")
@one_time_forms.guard
def create_user() -> AnyResponse:
    """Create a user; their temporary password or link is in this answer and nowhere else."""
    form = request_auth.form()
    username, link = form.get("username", ""), form.get("how") == "link"
    try:
        one_time_forms.claim()
        created = wait(administration().create_user(actor(), username, link=link))
    except Refusal as refusal:
        return page("new_user.html", refusal, username=username[:64], link=link)
    made = created.link or created.password
    assert made is not None
    return secret_page(created.user, made, new=True)


@admin.get("/users/<int:user_id>")
def user(user_id: int) -> AnyResponse:
    shown = wait(administration().user(user_id, services().open_tabs()))
    sessions = wait(administration().sessions(user_id))
    done = ACTS.get(request.args.get("done", ""))
    return page(
        "user.html",
        user=shown,
        sessions=sessions,
        actions=actions_for(shown),
        config=services().config,
        done=done.done.format(name=shown.username) if done else "",
    )
