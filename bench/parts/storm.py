"""A restart storm: the server is killed and started again, and all its tabs reconnect at the same moment.

Browsers spread their attempts over a second or more; these tabs do not, so it is the worst case. A tab is in step when
`sync` has brought it to its user's revision with the digest from before the kill. Most resume from their revision;
every fifth starts without data, like a page that was reloaded. In the end, a write of each user has to reach all of
their tabs.
"""

import json
import os
import random
import time
from typing import Any

from bench import probe, processes
from bench.probe import Probe
from bench.servers import Auth, Ours
from bench.setting import Measured, Setting, say
from bench.tab import Loop, Tab

_TABS_OF_EACH = 20
_KEYS = 200
_TIMEOUT_SECONDS = 60.0


class Space:
    """The state that a user's tabs have to agree on."""

    def __init__(self, auth: Auth, server: Ours) -> None:
        ops = [{"op": "set", "key": f"app/key-{n}", "value": {"n": n, "text": "x" * 40}} for n in range(_KEYS)]
        for start in range(0, _KEYS, 100):
            server.call(auth, "batch", {"ops": ops[start : start + 100]})
        self.auth = auth
        self.epoch: str = ""
        self.revision = self.digest = self.keys = -1


class Member:
    """One tab in the storm: reconnects whenever it is cut off, syncs, and records when it is in step."""

    def __init__(self, loop: Loop, port: int, space: Space, *, fresh: bool) -> None:
        self.space = space
        self.in_step_at: float | None = None
        self.attempts = 0
        self.retry_at: float | None = None
        self.heard = 0
        self._fresh = fresh
        self._loop = loop
        self._port = port
        self.tab: Tab

    def connect(self) -> None:
        self.attempts += 1
        self.retry_at = None
        self.tab = Tab(self._loop.selector, self._port, self.space.auth)
        self.tab.on_open = self._sync
        self.tab.on_close = self._on_close
        self.tab.on_ack = self._on_sync
        self.tab.on_event = self._on_event

    def forget(self) -> None:
        """Reset the counters at the start of the storm."""
        self.in_step_at = None
        self.attempts = 0

    def _sync(self) -> None:
        self._got = 0
        at = {} if self._fresh or not self.space.epoch else {"epoch": self.space.epoch, "since": self.space.revision}
        self.tab.call("sync", json.dumps(at))

    def _on_sync(self, _number: int, payload: bytes, start: int) -> None:
        [answer] = json.loads(payload[start - 1 :])
        if not answer["ok"]:
            raise RuntimeError(f"sync was refused: {answer}")
        self._got += sum(len(write["ops"]) for write in answer["writes"])
        if answer["next"] is not None:
            self.tab.call("sync", json.dumps({"next": answer["next"]}))
        elif self._is_right(answer):
            self.in_step_at = time.monotonic()

    def _is_right(self, answer: dict[str, Any]) -> bool:
        space = self.space
        if not space.epoch:
            space.epoch, space.revision = answer["epoch"], answer["revision"]
            space.digest, space.keys = answer["digest"], answer["keys"]
        came = (answer["epoch"], answer["revision"], answer["digest"], answer["keys"])
        wanted = self._got == (_KEYS if answer["reset"] else 0)
        if came != (space.epoch, space.revision, space.digest, space.keys) or not wanted:
            raise RuntimeError(f"a tab came back to something else: {came}, {self._got} ops, reset: {answer['reset']}")
        return True

    def _on_event(self, payload: bytes) -> None:
        if payload.startswith(b'42["change"'):
            self.heard += 1

    def _on_close(self, _reason: str) -> None:
        self.in_step_at = None
        self.retry_at = time.monotonic() + random.uniform(0.1, 0.5)


def measure(setting: Setting) -> Measured:
    """Bring all tabs in step, kill the server, restart it, and measure the time until they are in step again."""
    count = setting.storm_tabs
    processes.allow_open_files(count + 1000)
    loop = Loop()
    with setting.ours() as server:
        asking, *auths = server.auths(1 + -(-count // _TABS_OF_EACH))
        spaces = [Space(auth, server) for auth in auths]
        members = [Member(loop, server.port, spaces[n % len(spaces)], fresh=n % 5 == 0) for n in range(count)]
        say(f"storm: connecting {count} tabs")
        for start in range(0, count, 50):
            for member in members[start : start + 50]:
                member.connect()
            _until_in_step(loop, members[start : start + 50])
        say("storm: SIGKILL, and a restart")
        killed = time.monotonic()
        server.kill()
        loop.run(lambda: all(member.tab.is_lost for member in members), 10, "all tabs to notice")
        server.start()
        answering = time.monotonic()
        for member in members:
            member.forget()
        with Probe(server, asking) as asked:
            # these tabs stand for other machines: here they must not take processor time from the server
            os.nice(10)
            for member in members:
                member.connect()
            _until_in_step(loop, members)
            took = sorted(member.in_step_at - answering for member in members if member.in_step_at is not None)
            pushed = _push(loop, members)
        return {
            "tabs": count,
            "users": len(spaces),
            "keys": _KEYS,
            "down_seconds": answering - killed,
            "in_step_seconds": {"p50": took[len(took) // 2], "p99": took[int((len(took) - 1) * 0.99)], "all": took[-1]},
            "attempts": sum(member.attempts for member in members),
            "push_seconds": pushed,
            "resident_mib": server.resident_mib(),
            "answer_ms": asked.found,
            "watchdog": probe.watchdog(server),
        }


def rows(measured: Measured) -> list[str]:
    """Return times from the moment at which the server answers again."""
    took = measured["in_step_seconds"]
    return [
        (
            f"{measured['tabs']} tabs of {measured['users']} users with {measured['keys']} keys each, all back at once "
            f"after a SIGKILL; the server was away for {measured['down_seconds']:.1f} s"
        ),
        (
            f"in step after: half {took['p50']:.2f} s, 99 % {took['p99']:.2f} s, all {took['all']:.2f} s "
            f"({measured['attempts']} connections for it)"
        ),
        f"then a write of each user reached every tab within {measured['push_seconds']:.2f} s",
        f"a small call meanwhile: {probe.row(measured['answer_ms'])}",
        f"its own watchdog: {probe.watchdog_row(measured['watchdog'])}",
    ]


def plots(_measured: Measured) -> dict[str, str]:
    """Return no plots: the result is one figure."""
    return {}


def _until_in_step(loop: Loop, members: list[Member]) -> None:
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while any(member.in_step_at is None for member in members):
        loop.step(0.02)
        now = time.monotonic()
        if now > deadline:
            missing = sum(member.in_step_at is None for member in members)
            raise RuntimeError(f"{missing} of {len(members)} tabs are not in step after {_TIMEOUT_SECONDS:.0f} s")
        for member in members:
            if member.retry_at is not None and now >= member.retry_at:
                member.connect()


def _push(loop: Loop, members: list[Member]) -> float:
    for member in members:
        member.heard = 0
    began = time.monotonic()
    writers = {id(member.space): member for member in members}
    for writer in writers.values():
        writer.tab.on_ack = lambda *_: None
        writer.tab.call("set", '{"key":"app/after","value":true}')
    loop.run(lambda: all(member.heard for member in members), 20, "the write after the storm to reach every tab")
    return time.monotonic() - began
