"""HTTP layer: pages, account calls, verbs, health checks and metrics.

Each view parses a request, calls `accounts` or `store`, and formats the answer. `request_auth` determines the caller
and checks the origin; `error_handlers` converts a refusal to a problem body or a page.
"""

from flask import Flask

from realtime_kv.extensions import login_manager
from realtime_kv.web import admin, health
from realtime_kv.web.api import account as own
from realtime_kv.web.api import auth as api_auth
from realtime_kv.web.api import docs, recovery, stream, tokens, transfer, verbs
from realtime_kv.web.http import compression, error_handlers, login, parsing, request_auth
from realtime_kv.web.pages import account as account_pages
from realtime_kv.web.pages import auth, dashboard, one_time_forms, rendering
from realtime_kv.web.pages import recovery as recovery_pages
from realtime_kv.web.pages import security as security_pages
from realtime_kv.web.pages import tokens as token_pages


def register(app: Flask) -> None:
    """Register routes, sessions, headers and error handlers on `app`."""
    # a//b is not a/b: Werkzeug must not answer one with a redirect to the other
    app.url_map.merge_slashes = False
    app.session_interface = login.TokenSessions()
    login_manager.init_app(app)
    compression.register(app)
    app.before_request(parsing.check_query)
    one_time_forms.register(app)
    request_auth.register(app)
    error_handlers.register(app)
    rendering.register(app)
    for blueprint in (
        dashboard.pages,
        auth.signing,
        recovery_pages.recovery_pages,
        account_pages.account_pages,
        security_pages.security_pages,
        token_pages.token_pages,
        api_auth.account,
        tokens.tokens,
        own.own,
        recovery.recovery,
        verbs.api,
        transfer.transfer,
        stream.streams,
        docs.guide,
        health.health,
    ):
        app.register_blueprint(blueprint)
    admin.register(app)
