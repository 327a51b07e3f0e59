"""HTTP layer: pages, account calls, verbs, health checks and metrics.

Each view parses a request, calls `accounts` or `store`, and formats the answer. `security` determines the caller and
checks the origin; `errors` turns a refusal into a problem body or a page.
"""

from flask import Flask

from realtime_kv.extensions import login_manager
from realtime_kv.web import (
    account,
    account_pages,
    admin,
    api,
    bodies,
    carry,
    compression,
    errors,
    guide,
    health,
    one_time_forms,
    own,
    pages,
    recovery,
    recovery_pages,
    security,
    security_pages,
    sessions,
    shown,
    signing,
    streams,
    token_pages,
    tokens,
)


def register(app: Flask) -> None:
    """Register routes, sessions, headers and error handlers on `app`."""
    # a//b is not a/b: Werkzeug must not answer one with a redirect to the other
    app.url_map.merge_slashes = False
    app.session_interface = sessions.TokenSessions()
    login_manager.init_app(app)
    compression.register(app)
    app.before_request(bodies.check_query)
    one_time_forms.register(app)
    security.register(app)
    errors.register(app)
    shown.register(app)
    for blueprint in (
        pages.pages,
        signing.signing,
        recovery_pages.recovery_pages,
        account_pages.account_pages,
        security_pages.security_pages,
        token_pages.token_pages,
        account.account,
        tokens.tokens,
        own.own,
        recovery.recovery,
        api.api,
        carry.carry,
        streams.streams,
        guide.guide,
        health.health,
    ):
        app.register_blueprint(blueprint)
    admin.register(app)
