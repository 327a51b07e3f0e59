"""The parts around an Engine.IO session: who handles its messages, and the registry of all sessions."""

from collections.abc import Callable, Hashable
from typing import Any, Protocol

from realtime_kv.concurrency.pauses import Pauses
from realtime_kv.concurrency.runtime import Runtime
from realtime_kv.concurrency.time_slices import TimeSlices
from realtime_kv.realtime.engineio.websocket import WebSocket


class MessageHandler(Protocol):
    """The message handler (the gateway): called on the event loop, and must not wait."""

    def receive(self, eio_sid: str, ack_id: int | None, body: bytes) -> None:
        """Handle an event of a connected tab: `body` is its JSON array, UTF-8 but unparsed. In the order of sending."""

    def flush(self) -> None:
        """Note that all events that arrived together have been given to `receive`."""

    def account(self, eio_sid: str) -> int | None:
        """Return the id of the user whose tab this is, for the limit log; None for a connection that is no tab."""

    def credential(self, eio_sid: str) -> Hashable:
        """Return the session or token of this tab: the unit of `pause`."""

    def busy(self, eio_sid: str) -> bool:
        """Return True if nothing more is read from this tab until `engine.resume(eio_sid)`: too much is unanswered."""

    def used(self, eio_sid: str, seconds: float) -> None:
        """Charge the tab's user for the time that handling its data has taken."""

    def pause(self, eio_sid: str) -> float:
        """Return for how many seconds nothing is read from this tab: its user's requests have taken too much time."""


class SessionHost(Protocol):
    """The session registry, as a connection uses it."""

    limits: Any
    receiver: MessageHandler
    runtime: Runtime
    joined: set[str]
    slices: TimeSlices
    stranger_slices: TimeSlices
    pauses: Pauses

    # runs a function in a greenlet of its own, which may wait
    spawn: Callable[..., None]
    # processes a CONNECT or DISCONNECT
    work: Callable[[str, bytes], None]
    # reports that a connection has ended, and why
    left: Callable[[str, str], None]

    # charges seconds of work to a network; returns how long it must wait
    def charge(self, network: str, seconds: float) -> float: ...
    # records that a limit was reached
    def record(self, limit: str, connection: Any) -> None: ...
    def alive(self, connection: Any) -> None: ...
    def queued(self, connection: Any) -> None: ...
    def forget(self, connection: Any) -> None: ...
    def on_end(self, websocket: WebSocket) -> None: ...
