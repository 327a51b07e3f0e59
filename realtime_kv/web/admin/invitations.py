"""/admin/invitations: one-time invitations to sign up, for a server with `RKV_SIGNUPS=invite`."""

from flask import redirect, request
from werkzeug.wrappers import Response as AnyResponse

from realtime_kv.accounts.invitations import Invitations
from realtime_kv.errors import BadRequest, NotFound, Refusal
from realtime_kv.services import services, wait
from realtime_kv.web.admin.blueprint import actor, admin, number, page
from realtime_kv.web.http import request_auth
from realtime_kv.web.pages import one_time_forms

HERE = "/admin/invitations"
DAYS = {1: "1 day", 7: "7 days", 30: "30 days", 90: "90 days"}
DONE = {
    "created": (
        "This was done already, and the link was shown once. If you did not pass it on, revoke the invitation and "
        "create another one."
    ),
    "revoked": "The invitation is revoked. Its link no longer works.",
}


@admin.get("/invitations")
def list_invitations() -> AnyResponse:
    return _page(done=DONE.get(request.args.get("done", ""), ""))


@admin.post("/invitations")
@one_time_forms.guard
def create_invitation() -> AnyResponse:
    """Create an invitation; its link is in this answer and nowhere else."""
    form = request_auth.form()
    note, days = form.get("note", ""), number(form.get("days", ""))
    try:
        one_time_forms.claim()
        if days is None:
            raise BadRequest("Choose for how many days the invitation is valid.", field="days")
        made = wait(_invitations().create(actor(), note, days))
    except Refusal as refusal:
        return _page(refusal, note=note[:200], days=days)
    base = services().config.public_url or request.host_url.rstrip("/")
    shown = page("invitation.html", link=f"{base}/invite/{made.secret}", invitation=made)
    return one_time_forms.secret_page(shown, f"{HERE}?done=created")


@admin.post("/invitations/<int:id>/revoke")
def revoke_invitation(id: int) -> AnyResponse:
    request_auth.form()
    try:
        wait(_invitations().revoke(actor(), id))
    except NotFound as refusal:
        return _page(refusal)
    return redirect(f"{HERE}?done=revoked", 303)


def _invitations() -> Invitations:
    return services().accounts.invitations


def _page(problem: Refusal | None = None, *, note: str = "", days: int | None = 7, done: str = "") -> AnyResponse:
    found, signups = wait(_invitations().list()), services().config.signups
    return page(
        "invitations.html", problem, invitations=found, note=note, days=days, choices=DAYS, done=done, signups=signups
    )
