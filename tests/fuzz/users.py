"""Accounts on the server: users with API tokens, the superuser, and expendable users ("pawns")."""

import itertools
import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pyotp
import requests

from tests.fuzz.case import (
    ADMIN,
    COOKIE_TOKEN,
    FORM,
    LIMITED,
    LINK,
    NAME,
    OTHER_ID,
    PAWN,
    READER,
    SESSION_ID,
    SID,
    STEP,
    TOKEN,
    TOKEN_ID,
    USER_ID,
    VISITOR,
)
from tests.fuzz.text_inputs import MARKUP
from tests.live_server import DEADLINE, PASSWORD, Account, Server
from tests.realtime.tools import eventually

_FIELD = re.compile(r'name="csrf_token" value="([^"]+)"')
_SETUP = re.compile(r"http\S+/setup/\S+")
_RECOVER = re.compile(r"/recover/([\w-]{43})")


class Users:
    """Creates accounts; each method returns the real value of each placeholder."""

    def __init__(self, server: Server, database: Path) -> None:
        self._server = server
        self._database = database
        self._count = itertools.count(1)
        self._superuser = requests.Session()
        # avoids a request on an idle connection that the server closes at the same moment
        self._superuser.headers["Connection"] = "close"
        self._form = ""
        self._make_superuser()
        # in parallel, so that all processes that hash passwords run before anything is counted
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: self.sign_up(), range(4)))
        self._shared = _fitting(
            {
                ADMIN: self._superuser.cookies[f"rkv_session_{server.port}"],
                VISITOR: self._superuser.cookies[f"rkv_form_{server.port}"],
                FORM: self._form,
            }
        )

    def sign_up(self) -> Account:
        """Sign up a new user."""
        return self._server.sign_up(f"user{next(self._count)}")

    def user(self) -> dict[bytes, bytes]:
        """Sign up a new user, with a browser session as well, and two API tokens."""
        account = self.sign_up()
        reader = self._call(account, "create_token", name="reader", scope="read")["token"]
        limited = self._call(account, "create_token", name="limited", prefix="folder/")["token"]
        return {
            **self._shared,
            **_fitting(
                {
                    TOKEN: account.token,
                    COOKIE_TOKEN: self._cookie(account),
                    READER: reader,
                    LIMITED: limited,
                    SID: "A" * len(SID),
                }
            ),
        }

    def pawn(self) -> dict[bytes, bytes]:
        """Sign up an expendable user: in turn with a second session, a recovery link, a second step."""
        number = next(self._count)
        account = self._server.sign_up(f"pawn-{number:07}")
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)) as db:
            (user_id,) = db.execute("SELECT id FROM users WHERE username = ?", [account.username]).fetchone()
        # content for superusers to see
        self._call(account, "set", key="a", value={MARKUP: [MARKUP]})
        self._call(account, "set", key=f"folder/{MARKUP}", value=MARKUP)
        other, link, step = "x" * len(OTHER_ID), "x" * len(LINK), "x" * len(STEP)
        # each of these costs the server some hashing
        if number % 3 == 0:
            second = Account(self._server, account.username, self._sign_in(account)["token"])
            other = self._call(second, "me")["session"]["id"]
        elif number % 3 == 1:
            link = _found(_RECOVER, self._post(f"/admin/users/{user_id}/link"))
        else:
            secret = self._call(account, "two_step_begin", password=PASSWORD)["secret"]
            renewed = self._call(account, "two_step_confirm", code=pyotp.TOTP(secret).now(), token=True)
            account = Account(self._server, account.username, renewed["token"])
            step = self._sign_in(account)["ticket"]
        return _fitting(
            {
                NAME: account.username,
                PAWN: account.token,
                USER_ID: f"{user_id:0{len(USER_ID)}}",
                SESSION_ID: self._call(account, "me")["session"]["id"],
                OTHER_ID: other,
                TOKEN_ID: self._call(account, "create_token", name="token")["id"],
                LINK: link,
                STEP: step,
            }
        )

    def lives(self, pawn: dict[bytes, bytes]) -> bool:
        """Return whether this user's session goes on."""
        url, headers = f"{self._server.url}/api/v1/me", {"Authorization": f"Bearer {pawn[PAWN].decode()}"}
        return requests.get(url, headers=headers, timeout=DEADLINE).ok

    def _make_superuser(self) -> None:
        """Create the superuser with the address that the server prints, with forms as a browser sends them."""
        address = eventually(lambda: next(filter(None, map(_SETUP.match, self._server.output)), None))
        page = self._superuser.get(address[0], timeout=DEADLINE).text
        self._form = _found(_FIELD, page)
        self._post("/setup", username="superuser")

    def _post(self, path: str, **fields: str) -> str:
        form = {"csrf_token": self._form, "password": PASSWORD, **fields}
        answer = self._superuser.post(f"{self._server.url}{path}", data=form, timeout=DEADLINE)
        assert answer.ok, answer.text
        return answer.text

    def _cookie(self, account: Account) -> str:
        """Return the token of a session that the browser holds."""
        form = {"username": account.username, "password": PASSWORD}
        answer = requests.post(f"{self._server.url}/api/v1/sign_in", json=form, timeout=DEADLINE)
        return answer.cookies[f"rkv_session_{self._server.port}"]

    def _sign_in(self, account: Account) -> dict[str, Any]:
        """Sign in; return the answer, even if it asks for a code."""
        credentials = {"username": account.username, "password": PASSWORD, "token": True}
        url = f"{self._server.url}/api/v1/sign_in"
        answer: dict[str, Any] = requests.post(url, json=credentials, timeout=DEADLINE).json()
        return answer

    @staticmethod
    def _call(account: Account, verb: str, **payload: Any) -> dict[str, Any]:
        """Call `verb`; return the answer. Without a payload, use a GET."""
        url = f"{account.server.url}/api/v1/{verb}"
        answer = (
            account.http(verb, **payload) if payload else requests.get(url, headers=account.headers, timeout=DEADLINE)
        )
        assert answer.ok, answer.text
        content: dict[str, Any] = answer.json()
        return content


def _found(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    assert match is not None, text
    return match[1]


def _fitting(real: dict[bytes, str]) -> dict[bytes, bytes]:
    """Return the real values as bytes, checked to be as long as their placeholders."""
    for stand_in, text in real.items():
        assert len(stand_in) == len(text), (stand_in, text)
    return {stand_in: text.encode() for stand_in, text in real.items()}
