"""The server of the trials, and queries of its own files."""

import json
import sqlite3
from pathlib import Path

import requests
from sqlalchemy import update

from realtime_kv.app import create_app
from realtime_kv.config import Config
from realtime_kv.storage.models import User
from tests.running import DEADLINE, PASSWORD, ROOT, Server

LAUNCHER = ROOT / "tests" / "revocation" / "launcher.py"


class Services:
    """A server that records every ending, with access to its database."""

    def __init__(self, folder: Path) -> None:
        self._notes = folder / "endings.jsonl"
        self._notes.touch()
        data = folder / "data"
        _make_superuser(data)
        self.server = Server(data, launcher=LAUNCHER, ENDINGS_FILE=str(self._notes)).start()
        self._database = f"file:{data / 'realtime_kv.db'}?mode=ro"
        self._superuser = requests.Session()
        answer = self._superuser.post(
            f"{self.server.url}/api/v1/sign_in", json={"username": "root", "password": PASSWORD}, timeout=DEADLINE
        )
        assert answer.ok, answer.text

    def act(self, name: str, username: str) -> None:
        """Perform a superuser's action on a user, by the page for it."""
        user = self._query("SELECT id FROM users WHERE username = ?", username)[0][0]
        path = f"{self.server.url}/admin/users/{user}/{name}"
        page = self._superuser.get(path, timeout=DEADLINE).text
        token = page.split('name="csrf_token" value="')[1].split('"')[0]
        form = {"csrf_token": token, "password": PASSWORD, "name": username}
        answer = self._superuser.post(path, data=form, timeout=DEADLINE)
        assert answer.ok, answer.text

    def sessions(self, username: str) -> dict[str, int]:
        """Return the row ids of a user's sessions and tokens, by public id."""
        found = self._query(
            "SELECT s.public_id, s.id FROM sessions AS s JOIN users AS u ON u.id = s.user_id WHERE u.username = ?",
            username,
        )
        return dict(found)

    def ending(self, session: int) -> tuple[str, int] | None:
        """Return the reason this session ended, and the last row of the log at that time."""
        for line in self._notes.read_text().splitlines():
            row, reason, last = json.loads(line)
            if row == session:
                return reason, last
        return None

    def written_behind(self, row: int, public_id: str) -> list[int]:
        """Return the writes of this session in the log after that row."""
        return [
            number
            for number, frame in self._query("SELECT id, frame FROM log WHERE id > ?", row)
            if json.loads(frame)["origin"]["session"] == public_id
        ]

    def close(self) -> None:
        self.server.close()

    def _query(self, sql: str, *parameters: object) -> list[tuple]:
        connection = sqlite3.connect(self._database, uri=True)
        try:
            return connection.execute(sql, parameters).fetchall()
        finally:
            connection.close()


def _make_superuser(folder: Path) -> None:
    app = create_app(Config(data_dir=folder))
    assert app.test_client().post("/api/v1/sign_up", json={"username": "root", "password": PASSWORD}).status_code == 201
    services = app.extensions["realtime_kv"]
    services.store.writer.run_in_transaction(lambda db: db.execute(update(User).values(is_admin=True))).result()
    services.stop()
