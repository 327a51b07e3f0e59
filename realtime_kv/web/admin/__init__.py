"""Superuser pages under /admin: plain forms that need no JavaScript, for cookie sessions only."""

from flask import Flask

from realtime_kv.web.admin import acts, backup, diagnostics, entries, gate, invitations, log, setup, users


def register(app: Flask) -> None:
    """Register the routes under /admin and /setup on `app`."""
    # each of them registers its routes on the gate's blueprint
    assert all(part.admin is gate.admin for part in (acts, backup, diagnostics, entries, invitations, log, users))
    app.register_blueprint(gate.admin)
    app.register_blueprint(setup.setup)
