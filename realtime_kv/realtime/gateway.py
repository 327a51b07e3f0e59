"""Socket gateway: connect → room, event → store, commit → changes and acknowledgements. The only module that emits.

A tab receives all its messages of one commit together, the change first: frames are collected per tab while outcomes
are delivered, and sent once afterwards (`flush`). Nothing here waits, except a connect for its session.
"""

import logging
import secrets
from collections.abc import Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Any

import msgspec
from socketio import Server
from socketio.exceptions import ConnectionRefusedError

from realtime_kv import static_assets
from realtime_kv.accounts.credentials.sessions import SessionEnded
from realtime_kv.accounts.service import Accounts
from realtime_kv.concurrency.runtime import Future, Runtime, repeat
from realtime_kv.config import Config
from realtime_kv.core.domain.cost import BYTES_PER_UNIT, REQUEST_SHIFT
from realtime_kv.core.domain.credential_budgets import Budget
from realtime_kv.core.messages import CommitEvent, SyncPage
from realtime_kv.core.store import Store
from realtime_kv.errors import Internal, RateLimited, Refusal
from realtime_kv.metrics.limit_log import LimitLog
from realtime_kv.realtime import identity, prefix_fanout, presence
from realtime_kv.realtime.bookmarks import Bookmarks
from realtime_kv.realtime.engineio.server import EngineIOServer, Frame, ack_frame, event_frame
from realtime_kv.realtime.presence import Presence
from realtime_kv.realtime.rooms import Room, Tab
from realtime_kv.request import authentication, origin_check
from realtime_kv.request.addresses import network_of
from realtime_kv.verbs import registry as verbs

log = logging.getLogger(__name__)

# a tab with this many unanswered requests is not read from until half of them are answered: resuming for each answer
# would cost more than the request
UNANSWERED = 256
# users see when a session was last seen; a few times a day would do
SEEN_SECONDS = 60
# seconds after which a tab over the limit may retry
CLOSE_SOME_SECONDS = 10

# events that are no verbs
_OTHERS = {identity.EVENT: identity.decode}

_encode = msgspec.json.Encoder().encode


class Gateway:
    """The connected tabs: handles their events and sends them their messages."""

    def __init__(self, config: Config, runtime: Runtime, store: Store, accounts: Accounts, limit_log: LimitLog) -> None:
        self._config = config
        self._runtime = runtime
        self._store = store
        self._accounts = accounts
        self._latency = store.latency
        self._rates = accounts.rates
        self._limit_log = limit_log
        self._budget = Budget("tabs", config.connections_per_user) if config.rate_limits else None
        self._server: Server
        self._engine: EngineIOServer
        # computed once and cached, before a request needs it
        static_assets.build()
        self._tabs: dict[str, Tab] = {}
        self._rooms: dict[int, Room] = {}
        self._dirty: dict[str, Tab] = {}
        self._endings = 0
        store.watch(self.push)
        accounts.watch(self.end_session)
        runtime.after_delivery(self.flush)
        repeat(runtime, SEEN_SECONDS, self.touch_sessions)
        self._presence = Presence(runtime, self._emit, self.flush)
        self.bookmarks = Bookmarks(runtime, store, self._rooms, self._send, self._emit, self.flush)

    def attach(self, server: Server, engine: EngineIOServer) -> None:
        """Serve the tabs that connect to `server`."""
        self._server = server
        self._engine = engine
        server.on("connect", self.connect)
        server.on("disconnect", self.disconnect)

    # called by the transport

    def connect(self, sid: str, environ: dict[str, Any], auth: Any) -> None:
        """Accept a tab: resolve its caller, once. A refusal has the error's code as its message."""
        try:
            token, kind = authentication.credentials(environ, self._config, auth)
            origin_check.check_origin(environ, self._config, kind)
            address = authentication.address(environ, self._config)
            while True:
                endings = self._endings
                caller = self._runtime.wait(
                    self._accounts.caller(token, "socket", address, presented=kind or "bearer"), timeout=10
                )
                # a session that ended during the look-up was ended before this tab was in its room, so look again
                if endings == self._endings:
                    break
            room = self._rooms.get(caller.user_id) or Room(caller.user_id)
            if self._budget is not None and (over := self._budget.exceeded(caller)) is not None:
                self._limit_log.record(
                    over.limit, account=caller.user_id, credential=caller.session, network=network_of(address)
                )
                raise RateLimited(over.message, retry_after=CLOSE_SOME_SECONDS)
        except Refusal as refusal:
            who = authentication.address(environ, self._config) or "somebody"
            self._accounts.noticed.note(refusal.status, "a socket", who)
            self._accounts.noticed.note_misaddressed(refusal)
            raise ConnectionRefusedError(refusal.code, refusal.body()) from None
        except Exception:
            raise ConnectionRefusedError("internal", self._bug("connect").body()) from None
        # nothing yields between the last look-up and the CONNECT packet, so that is the tab's first message
        eio_sid = self._server.manager.eio_sid_from_sid(sid, "/")
        self._rooms[caller.user_id] = room
        tab = Tab(sid, eio_sid, caller, room, self._store.clock())
        self._server.enter_room(sid, room.name)
        self._tabs[eio_sid] = tab
        room.add(tab)
        if self._budget is not None:
            self._budget.take(caller)
        self._runtime.deliver(partial(self._presence.tell, tab))

    def disconnect(self, sid: str, _reason: str = "") -> None:
        """Remove a tab."""
        eio_sid = self._server.manager.eio_sid_from_sid(sid, "/")
        tab = self._tabs.pop(eio_sid, None)
        if tab is None:
            return
        self._dirty.pop(eio_sid, None)
        # its writes stay; its queued reads have no recipient any more
        self._store.abandon(tab.caller)
        tab.room.remove(tab)
        if self._budget is not None:
            self._budget.give_back(tab.caller)
        if tab.room.tabs:
            self._runtime.deliver(partial(self._presence.tell, tab))
        else:
            self._rooms.pop(tab.room.user_id, None)

    def receive(self, eio_sid: str, ack_id: int | None, body: bytes) -> None:
        """Handle an event, `["verb", {…}]`, in the order of arrival; it is acknowledged when its outcome is known."""
        tab = self._tabs.get(eio_sid)
        if tab is None:
            return
        latency = self._latency
        latency.verbs += 1
        began = None if latency.verbs % latency.every else perf_counter()
        try:
            if len(body) < BYTES_PER_UNIT or self._rates is None:
                future = self._call(tab, body)
            else:
                with self._rates.timed(tab.caller):
                    future = self._call(tab, body)
        except Refusal as refusal:
            self._acknowledge(tab, ack_id, self._refused(tab, refusal))
        except Exception:
            self._acknowledge(tab, ack_id, verbs.encode_refusal(self._bug("event")))
        else:
            tab.unanswered += 1
            if tab.unanswered == UNANSWERED:
                tab.busy = True
                self._limit_log.record("unanswered_requests", account=tab.caller.user_id, credential=tab.caller.session)
            future.then(partial(self._answer, tab, ack_id))
            if began is not None:
                future.then(lambda _: latency.note(perf_counter() - began))

    def account(self, eio_sid: str) -> int | None:
        """Return the id of the user whose tab this is."""
        tab = self._tabs.get(eio_sid)
        return None if tab is None else tab.caller.user_id

    def credential(self, eio_sid: str) -> int | None:
        """Return the row of the session or token of this tab."""
        tab = self._tabs.get(eio_sid)
        return None if tab is None else tab.caller.session_id

    def busy(self, eio_sid: str) -> bool:
        """Return True if this tab must wait for answers before more is read from it."""
        tab = self._tabs.get(eio_sid)
        return tab is not None and tab.busy

    def used(self, eio_sid: str, seconds: float) -> None:
        """Charge the tab's user for the time that handling its data has taken."""
        tab = self._tabs.get(eio_sid)
        if tab is not None and self._rates is not None and self._rates.used(tab.caller, seconds):
            self._limit_log.record("processor_time", account=tab.caller.user_id, credential=tab.caller.session)

    def pause(self, eio_sid: str) -> float:
        """Return for how many seconds nothing is read from this tab: its user's requests have taken too much time."""
        tab = self._tabs.get(eio_sid)
        return 0.0 if tab is None or self._rates is None else self._rates.pause(tab.caller)

    def flush(self) -> None:
        """Send the collected frames: one send per tab."""
        while self._dirty:
            dirty, self._dirty = self._dirty, {}
            for eio_sid, tab in dirty.items():
                frames, tab.outgoing = tab.outgoing, []
                self._engine.send(eio_sid, frames)

    # called by the store and the accounts

    def push(self, committed: Sequence[CommitEvent]) -> None:
        """Send every tab the changes that these commits made to its user's space; encoded once per user.

        (And once per prefix, for a user's tabs whose token is limited to a prefix.)
        """
        for news in committed:
            room = self._rooms.get(news.user_id)
            if room is None:
                continue
            room.bookmark = news.bookmark()
            if room.whole:
                for change in news.changes():
                    self._emit(room.whole, event_frame("change", change))
            if room.limited:
                prefix_fanout.push(room, news, self._send)

    def end_session(self, ended: SessionEnded) -> None:
        """Notify the tabs of a session that it has ended, and close them."""
        self._endings += 1
        room = self._rooms.get(ended.user_id)
        if room is None:
            return
        frame = event_frame("signed_out", _encode({"reason": ended.reason}))
        for tab in [*room.tabs.values()]:
            if tab.caller.session_id == ended.session_id:
                self._send(tab, frame)
                self.flush()
                self._engine.disconnect(tab.eio_sid)

    def announce_restart(self) -> None:
        """Notify every tab that the server restarts."""
        notice = {"kind": "restart", "message": "The server restarts; this tab comes back by itself.", "retry_after": 1}
        frame = event_frame("notice", _encode(notice))
        for room in self._rooms.values():
            self._emit(room.tabs, frame)
        self.flush()

    def touch_sessions(self) -> None:
        """Update the last-seen time of sessions: one with an open tab is in use, even if it sends no request."""
        for session_id in {tab.caller.session_id for tab in self._tabs.values()}:
            self._accounts.touch_session(session_id)

    def after_restore(self) -> None:
        """Disconnect all tabs because other data has replaced theirs; they reconnect by themselves and start anew."""
        self.announce_restart()
        # a tab that is connecting right now looks its session up again
        self._endings += 1
        self._engine.close_all_for_reconnect()

    def metrics(self) -> dict[str, float]:
        """Return the number of connected tabs, and of their users."""
        return {"tabs": len(self._tabs), "users_connected": len(self._rooms)}

    def open_tabs(self) -> dict[int, int]:
        """Return the number of open tabs of each user, by user id."""
        return {user_id: len(room.tabs) for user_id, room in self._rooms.items()}

    # answering

    def _call(self, tab: Tab, body: bytes) -> Future[Any]:
        request = verbs.decode_event(body, partial(self._charge_unusual, tab, body), _OTHERS)
        if self._rates is not None:
            self._rates.verb(tab.caller, request.weight + (len(body) >> REQUEST_SHIFT))
        return request.call(self._store, tab.caller)

    def _charge_unusual(self, tab: Tab, body: bytes) -> None:
        if self._rates is not None:
            # an invalid event is charged as well
            self._rates.verb(tab.caller, 1 + (len(body) >> REQUEST_SHIFT))

    def _answer(self, tab: Tab, ack_id: int | None, future: Future[Any]) -> None:
        tab.unanswered -= 1
        if tab.eio_sid not in self._tabs:
            return
        answer = None
        body: Sequence[bytes | memoryview]
        try:
            answer = future.result()
            body = verbs.encode_in_pieces(answer) if type(answer) in verbs.PAGES else (verbs.encode(answer),)
        except Refusal as refusal:
            body = (self._refused(tab, refusal),)
        except Exception:
            body = (verbs.encode_refusal(self._bug("answer")),)
        self._acknowledge(tab, ack_id, *body)
        if isinstance(answer, SyncPage) and answer.next is None:
            self.bookmarks.send_after_sync(tab, answer)
            self._send(tab, presence.frame(tab.visible_tabs()))
        if tab.busy and tab.unanswered <= UNANSWERED // 2:
            tab.busy = False
            self._engine.resume(tab.eio_sid)

    def _refused(self, tab: Tab, refusal: Refusal) -> bytes:
        caller = tab.caller
        self._accounts.noticed.note(refusal.status, "a verb over a socket", f"user {caller.user_id} ({caller.session})")
        return verbs.encode_refusal(refusal)

    def _acknowledge(self, tab: Tab, ack_id: int | None, *body: bytes | memoryview) -> None:
        if ack_id is not None:
            self._send(tab, ack_frame(ack_id, *body))

    def _emit(self, tabs: Mapping[str, Tab], frame: Frame) -> None:
        for tab in tabs.values():
            self._send(tab, frame)

    def _send(self, tab: Tab, frame: Frame) -> None:
        tab.outgoing.append(frame)
        self._dirty[tab.eio_sid] = tab

    def _bug(self, where: str) -> Internal:
        request_id = secrets.token_hex(8)
        log.error("%s failed (request %s)", where, request_id, exc_info=True)
        return Internal(request_id)
