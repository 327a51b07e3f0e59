"""A whole app on a real database, and its visitors with a browser or a program."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from realtime_kv.accounts.mail import Send
from realtime_kv.app import create_app
from realtime_kv.clock import Clock, now_ms, steady_ms
from realtime_kv.config import Config
from realtime_kv.request import cookies

PASSWORD = "correct horse battery"


class Visitor:
    """A client with a cookie jar or a bearer token."""

    def __init__(self, app: Flask, token: str | None = None) -> None:
        self.client: FlaskClient = app.test_client()
        self.config: Config = app.extensions["realtime_kv"].config
        self.token = token

    def get(self, path: str, **more: Any) -> TestResponse:
        return self._open(path, "GET", more)

    def post(self, path: str, **more: Any) -> TestResponse:
        return self._open(path, "POST", more)

    def ask(self, path: str, method: str, **more: Any) -> TestResponse:
        return self._open(path, method, more)

    def call(self, verb: str, /, **payload: Any) -> TestResponse:
        return self.post(f"/api/v1/{verb}", json=payload)

    def form_token(self) -> str:
        """Return the value of the hidden field in every form for this visitor."""
        page = self.client.get("/signin", follow_redirects=True).text
        return page.split('name="csrf_token" value="')[1].split('"')[0]

    @property
    def cookie(self) -> str | None:
        found = self.client.get_cookie(cookies.cookie_name({}, self.config))
        return found.value if found else None

    def _open(self, path: str, method: str, more: dict[str, Any]) -> TestResponse:
        headers = dict(more.pop("headers", {}))
        if method == "POST" and not path.startswith("/api/") and isinstance(more.get("data", {}), dict):
            more["data"] = {"csrf_token": self.form_token(), **more.get("data", {})}
        if self.token is not None:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        return self.client.open(path, method=method, headers=headers, **more)


class Site:
    """One running app, and its visitors."""

    def __init__(self, app: Flask) -> None:
        self.app = app

    def visitor(self, token: str | None = None) -> Visitor:
        return Visitor(self.app, token)

    def browser(self, username: str) -> Visitor:
        """Sign up a new user with a cookie."""
        visitor = self.visitor()
        assert visitor.call("sign_up", username=username, password=PASSWORD).status_code == 201
        return visitor

    def browser_of(self, username: str) -> Visitor:
        """Sign in an existing user with a cookie."""
        visitor = self.visitor()
        assert visitor.call("sign_in", username=username, password=PASSWORD).status_code == 200
        return visitor

    def program(self, username: str) -> Visitor:
        """Sign in an existing user with a bearer token."""
        answer = self.visitor().call("sign_in", username=username, password=PASSWORD, token=True)
        return self.visitor(answer.json["token"])


@pytest.fixture
def open_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Return a function that opens a site with given settings."""
    apps: list[Flask] = []

    def make(send: Send | None = None, clock: Clock = now_ms, steady: Clock = steady_ms, **settings: Any) -> Site:
        apps.append(create_app(Config(data_dir=tmp_path, **settings), send=send, clock=clock, steady=steady))
        return Site(apps[-1])

    yield make
    for app in apps:
        app.extensions["realtime_kv"].stop()


@pytest.fixture
def site(open_site: Callable[..., Site]) -> Site:
    return open_site()


@pytest.fixture
def alice(site: Site) -> Visitor:
    return site.browser("Alice")


@pytest.fixture
def charlie(site: Site) -> Visitor:
    return site.browser("Charlie")


@pytest.fixture
def stranger(site: Site) -> Visitor:
    return site.visitor()
