"""HTTP: the pages, the account calls, the verbs, and how the house is doing.

Each view takes a request apart, calls accounts or store, and puts the answer together; who is calling and from which
origin is asked in `security`, and what is refused becomes a problem body or a page in `errors`.
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
    """Give `app` its routes, its sessions, its headers and its way to refuse."""
    # a//b is not a/b: no answer of ours is a redirect that Werkzeug wrote
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
