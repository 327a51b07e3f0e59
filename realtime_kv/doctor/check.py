"""The check: tabs of one scratch user write, watch, are cut off, and then verify their copies."""

import random
import secrets
import threading
import time
from collections.abc import Callable

from realtime_kv.doctor.results import Results
from realtime_kv.doctor.simulated_tab import SimulatedTab
from realtime_kv_client import Connection, ConnectionLost, HttpClient

CUT_SECONDS = 0.15


class CheckError(Exception):
    """The check is not possible; the message says what to do."""


class ScratchUser:
    """The scratch user, signed up by the constructor. Raises ClientError."""

    def __init__(self, server: HttpClient) -> None:
        self.server = server
        self.username = f"doctor-{secrets.token_hex(4)}"
        self._password = secrets.token_urlsafe(24)
        answer = server.post("sign_up", {"username": self.username, "password": self._password, "token": True})
        self.token: str = answer["token"]

    def clean_up(self) -> int:
        """Delete every key and then the account; return the number of keys left. Raises ClientError."""
        try:
            while keys := self._keys():
                ops = [{"op": "delete", "key": key} for key in keys]
                self.server.post("batch", {"ops": ops}, self.token)
            return len(self.server.post("list", {"limit": 1}, self.token)["entries"])
        finally:
            # even if its keys could not be deleted, for instance on a full disk: the purge removes them with the
            # account
            self.server.post("delete_account", {"password": self._password}, self.token)

    def _keys(self) -> list[str]:
        page = self.server.post("list", {"limit": 128, "values": False}, self.token)
        return [entry["key"] for entry in page["entries"]]


class Check:
    """One run of the check; the results are in `ledger`."""

    def __init__(self, user: ScratchUser, tabs: int, seconds: float) -> None:
        self.ledger = Results()
        self.revision = 0
        self.equal = 0
        self._seconds = seconds
        self._user = user
        self._failure: Exception | None = None
        self._members = [
            # every third tab stands for a client behind a proxy without WebSocket support
            SimulatedTab(number, user.server, user.token, "polling" if number % 3 == 2 else "websocket", self.ledger)
            for number in range(tabs)
        ]

    def run(self, say: Callable[[float], None]) -> None:
        """Run the check; call `say(seconds)` about twice a second while tabs write. Raises CheckError, ClientError."""
        begin = time.monotonic()
        end = begin + self._seconds
        try:
            threads = self._start(lambda member: member.write_until(end))
            while any(thread.is_alive() for thread in threads):
                self._cut_until(min(time.monotonic() + 0.5, end))
                for thread in threads:
                    thread.join(0.02)
                say(min(time.monotonic() - begin, self._seconds))
            self._raise()
            self.revision = self._server_revision()
            for thread in self._start(lambda member: member.catch_up(self.revision)):
                thread.join()
            self._raise()
            self._compare()
        except ConnectionLost as error:
            raise CheckError(f"The connection to {self._user.server.url} was lost for good: {error}.") from None
        finally:
            for member in self._members:
                member.close()

    def _start(self, work: Callable[[SimulatedTab], None]) -> list[threading.Thread]:
        threads = [threading.Thread(target=self._guard, args=(work, member), daemon=True) for member in self._members]
        for thread in threads:
            thread.start()
        return threads

    def _guard(self, work: Callable[[SimulatedTab], None], member: SimulatedTab) -> None:
        try:
            work(member)
        except Exception as error:
            self._failure = error

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _cut_until(self, end: float) -> None:
        while time.monotonic() < end - CUT_SECONDS and self._failure is None:
            time.sleep(CUT_SECONDS)
            random.choice(self._members).cut()  # noqa: S311 (nothing secret is drawn)
            self.ledger.count("cuts")

    def _server_revision(self) -> int:
        connection = Connection(self._user.server, self._user.token, "websocket", lambda *_: None)
        try:
            revision = int(connection.ask("list", {"limit": 1})["revision"])
        finally:
            connection.close()
        return revision

    def _compare(self) -> None:
        self.ledger.check_revisions(self.revision)
        expected = self.ledger.expected()
        for member in self._members:
            held = member.replica.entries
            if wrong := [key for key in expected.keys() | held.keys() if expected.get(key) != held.get(key)]:
                some = ", ".join(sorted(wrong)[:5])
                self.ledger.complain(
                    "missed", f"{member.name} holds something else than was acknowledged under {some}."
                )
            if member.prove():
                self.equal += 1
            else:
                self.ledger.complain("different", f"{member.name} and the server have different digests.")
