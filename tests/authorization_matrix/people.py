"""Ten identities over HTTP and Socket.IO, in a data set that is made once and copied for every trial."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update
from werkzeug.test import TestResponse

from realtime_kv.app import create_app
from realtime_kv.config import Config
from realtime_kv.extensions import socketio
from realtime_kv.request.cookies import SESSION
from realtime_kv.storage.models import User

PASSWORD = "correct horse battery"
# a value that only Alice may see
SECRET = "alices-secret-7f3a"

IDENTITIES = [
    "nobody",
    "alice",
    "charlie",
    "admin",
    "ended session",
    "disabled user",
    "bearer token in the cookie",
    "read token",
    "prefix token",
    "revoked token",
]


@dataclass(frozen=True)
class Credentials:
    """The credentials of an identity: a cookie, a bearer token, or none."""

    cookie: str | None = None
    token: str | None = None


@dataclass(frozen=True)
class Town:
    """A data folder and its users."""

    folder: Path
    people: dict[str, Credentials]
    ids: dict[str, int]
    # public ids of objects that paths name
    names: dict[str, str]

    @contextmanager
    def copy(self, folder: Path) -> Iterator["Services"]:
        """Run an app on a copy of the data folder; changes affect the copy only."""
        shutil.copytree(self.folder, folder)
        services = Services(_app(folder), self)
        try:
            yield services
        finally:
            services.app.extensions["realtime_kv"].stop()
            shutil.rmtree(folder)


class Services:
    """A running app that can be called as any identity."""

    def __init__(self, app: Flask, town: Town) -> None:
        self.app = app
        self.town = town

    def ask(self, identity: str, method: str, path: str, payload: dict[str, object]) -> TestResponse:
        """Make one request: a form or a JSON call, depending on the path."""
        client, headers = self._client(identity)
        if method == "GET":
            return client.get(path, headers=headers, query_string={k: str(v) for k, v in payload.items()})
        if path.startswith("/api/"):
            return client.post(path, headers=headers, json=payload)
        page = client.get("/signin", follow_redirects=True).text
        token = page.split('name="csrf_token" value="')[1].split('"')[0]
        return client.post(path, headers=headers, data={"csrf_token": token, **payload})

    def call(self, identity: str, event: str, payload: dict[str, object]) -> str:
        """Send one event: return `open`, or the code of its refusal, which may come at connect."""
        client, _headers = self._client(identity)
        token = self.town.people[identity].token
        tab = socketio.test_client(self.app, flask_test_client=client, auth={"token": token} if token else {})
        if not tab.is_connected():
            return "unauthenticated"
        answer = tab.emit(event, payload, callback=True)
        tab.disconnect()
        code = "" if answer["ok"] else answer["error"]["code"]
        return code if code in {"unauthenticated", "forbidden"} else "open"

    def _client(self, identity: str) -> tuple[FlaskClient, dict[str, str]]:
        credentials, client = self.town.people[identity], self.app.test_client()
        if credentials.cookie:
            client.set_cookie(SESSION, credentials.cookie)
        return client, {"Authorization": f"Bearer {credentials.token}"} if credentials.token else {}


def found(folder: Path) -> Town:
    """Sign everybody up, and create and revoke their credentials."""
    app = _app(folder)
    people = {"nobody": Credentials()}
    ids, names = {}, {}

    def sign(verb: str, username: str, **more: object) -> dict[str, object]:
        answer = app.test_client().post(f"/api/v1/{verb}", json={"username": username, "password": PASSWORD, **more})
        assert answer.status_code in {200, 201}, answer.text
        return answer.json

    def bearer(verb: str, username: str) -> str:
        return sign(verb, username, token=True)["token"]

    def cookie(verb: str, username: str) -> str:
        client = app.test_client()
        answer = client.post(f"/api/v1/{verb}", json={"username": username, "password": PASSWORD})
        assert answer.status_code in {200, 201}, answer.text
        return client.get_cookie(SESSION).value

    def call(token: str, verb: str, **payload: object) -> dict[str, object]:
        headers = {"Authorization": f"Bearer {token}"}
        answer = app.test_client().post(f"/api/v1/{verb}", json=payload, headers=headers)
        assert answer.status_code < 300, answer.text
        return answer.json or {}

    for identity, username in [("alice", "alice"), ("charlie", "charlie"), ("admin", "root"), ("disabled user", "dis")]:
        people[identity] = Credentials(cookie=cookie("sign_up", username))
    bearer("sign_up", "victor")
    # a superuser's token, which would be admitted everywhere
    smuggled = bearer("sign_in", "root")
    people["bearer token in the cookie"] = Credentials(cookie=smuggled)
    call(bearer("sign_in", "alice"), "set", key="app/secret", value=SECRET)
    over = cookie("sign_in", "alice")
    client = app.test_client()
    client.set_cookie(SESSION, over)
    assert client.post("/api/v1/sign_out").status_code == 204
    people["ended session"] = Credentials(cookie=over)

    dora = bearer("sign_up", "dora")
    call(dora, "set", key="app/x", value="inside")
    call(dora, "set", key="other/x", value="outside")
    made = {
        "read token": call(dora, "create_token", name="reads", scope="read"),
        "prefix token": call(dora, "create_token", name="app only", scope="write", prefix="app/"),
        "revoked token": call(dora, "create_token", name="revoked"),
    }
    for identity, token in made.items():
        people[identity] = Credentials(token=token["token"])
    services = app.extensions["realtime_kv"]
    me = app.test_client().get("/api/v1/me", headers={"Authorization": f"Bearer {made['revoked token']['token']}"})
    call(dora, "revoke_token", id=me.json["session"]["id"])

    def settle(connection):
        now = time.time_ns() // 1_000_000
        connection.execute(update(User).where(User.username == "root").values(is_admin=True))
        connection.execute(update(User).where(User.username == "dis").values(disabled_at=now))
        return dict(connection.execute(User.__table__.select().with_only_columns(User.username, User.id)).all())

    ids = services.runtime.wait(services.store.writer.run_in_transaction(settle), 10)
    services.stop()
    return Town(folder, people, ids, names)


def _app(folder: Path) -> Flask:
    return create_app(Config(data_dir=folder, rate_limits=False))
