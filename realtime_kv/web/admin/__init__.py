"""Superuser pages under /admin: plain forms that need no JavaScript, for cookie sessions only."""

from flask import Flask

from realtime_kv.web.admin import (
    audit_log,
    backup,
    blueprint,
    diagnostics,
    entries,
    invitations,
    setup,
    user_actions,
    users,
)


def register(app: Flask) -> None:
    """Register the routes under /admin and /setup on `app`."""
    # each of them registers its routes on the gate's blueprint
    assert all(
        part.admin is blueprint.admin
        for part in (user_actions, backup, diagnostics, entries, invitations, audit_log, users)
    )
    app.register_blueprint(blueprint.admin)
    app.register_blueprint(setup.setup)
