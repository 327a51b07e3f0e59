"""A device without a screen: a Python client that watches, loses its connection with every kill, and catches up."""

import threading
import time
from typing import Any

from realtime_kv_client import Connection, ConnectionLost, HttpClient, Refused, Replica

AGAIN_SECONDS = 0.2


class ReplicaWatcher:
    """A client that keeps a copy by the client's rule; `shown` may be read from any thread."""

    def __init__(self, url: str, token: str) -> None:
        self._server = HttpClient(url)
        self._token = token
        self._replica = Replica()
        self._connection: Connection | None = None
        self._closed = False
        self._shown: dict[str, Any] = {"state": "offline", "revision": 0, "keys": 0, "digest": 0}
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    @property
    def shown(self) -> dict[str, Any]:
        """The current state: {state, revision, keys, digest}."""
        return self._shown

    def close(self) -> None:
        """Close the connection permanently."""
        self._closed = True
        if (connection := self._connection) is not None:
            connection.cut()
        self._thread.join(5)

    def _watch(self) -> None:
        while not self._closed:
            try:
                # changes may be pushed before the sync is requested
                self._replica.begin_sync()
                self._connection = Connection(self._server, self._token, "websocket", self._on_event)
                self._sync(self._connection)
                while not self._closed:
                    self._connection.step()
            except (ConnectionLost, Refused, OSError):
                self._show("offline")
                time.sleep(AGAIN_SECONDS)
            finally:
                if self._connection is not None:
                    self._connection.close()

    def _sync(self, connection: Connection) -> None:
        self._show("catching up")
        connection.sync(self._replica)
        for change in self._replica.end_sync():
            self._apply(change)
        self._show("live")

    def _on_event(self, name: str, data: Any) -> None:
        if name == "change":
            self._apply(data)
            if not self._replica.is_syncing:
                self._show("live")

    def _apply(self, change: dict[str, Any]) -> None:
        if self._replica.apply(change) == "gap":
            raise ConnectionLost("a gap: what is missing comes with the next sync")

    def _show(self, state: str) -> None:
        replica = self._replica
        self._shown = {
            "state": state, "revision": replica.revision, "keys": replica.keys, "digest": replica.digest
        }  # fmt: skip
