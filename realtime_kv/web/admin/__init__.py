"""The superuser's pages under /admin: plain forms that need no JavaScript, for cookie sessions only."""

from flask import Flask

from realtime_kv.web.admin import acts, backup, diagnostics, entries, gate, invitations, log, setup, users


def register(app: Flask) -> None:
    """Give `app` its routes under /admin and /setup."""
    # each of them hangs its routes on the gate
    assert all(part.admin is gate.admin for part in (acts, backup, diagnostics, entries, invitations, log, users))
    app.register_blueprint(gate.admin)
    app.register_blueprint(setup.setup)
