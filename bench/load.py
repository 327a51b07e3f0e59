"""Load generator, in a process of its own: reads one plan from stdin, writes the results to stdout, both JSON.

Each user has one tab that writes, with a fixed number of unanswered calls, and others that watch. A value contains the
time at which it was sent, from which a watching tab computes the latency; both ends read the same clock. Every
acknowledgement is checked and every push counted; one watching tab of each user takes the times. The system reports the
processor time of the server's process meanwhile.
"""

import dataclasses
import gc
import json
import math
import random
import re
import secrets
import sys
import time
from dataclasses import dataclass
from typing import Any

from bench import processes
from bench.tab import Loop, Tab

_MARK = b'"sent":'
_SENT = re.compile(_MARK + rb"(\d+)")


@dataclass(frozen=True)
class Plan:
    """One measurement. `auths` has one entry per user, of whom the first `writing` write (all, if it is 0).

    `ours` selects the server's protocol. Values hold `text` characters besides the time, with `varied` up to that many.
    With `fill`, the measurement ends as soon as each user has written that many keys.
    """

    port: int
    auths: list[dict[str, Any]]
    pid: int = 0
    ours: bool = True
    writing: int = 0
    verb: str = "set"
    tabs: int = 3
    in_flight: int = 4
    batch: int = 1
    keys: int = 1000
    seconds: float = 4.0
    warm_up: float = 0.5
    text: int = 40
    varied: bool = False
    fill: int = 0


class User:
    """One user's tabs: the first writes, the second takes the times of the pushes, all count them."""

    def __init__(self, plan: Plan, tabs: list[Tab]) -> None:
        self.plan = plan
        self.writer = tabs[0]
        self.acks: list[tuple[int, int]] = []
        self.pushes: list[tuple[int, int]] = []
        self.written = 0
        self.refused: list[str] = []
        self.sent: dict[int, int] = {}
        self.running = True
        self._run = secrets.token_hex(4)
        self._padding = "x" * plan.text
        self._unsent: list[str] = []
        self._tabs = tabs
        self.writer.on_ack = self._on_ack
        self.writer.on_event = self._count
        for tab in tabs[1:2]:
            tab.on_event = self._times_of_pushes
        for tab in tabs[2:]:
            tab.count(_MARK)

    def start(self) -> None:
        for _ in range(self.plan.in_flight):
            self._next(time.perf_counter_ns())
        self.flush()

    def flush(self) -> None:
        """Send the calls that the acknowledgements of one turn have allowed, in one write."""
        if self._unsent:
            packets, self._unsent = self._unsent, []
            self.writer.send(packets)

    def delivered(self) -> int:
        """Return the number of pushes received by the watching tabs."""
        return sum(tab.counted for tab in self._tabs[1:])

    def missing(self) -> int:
        """Return the number of pushes not received yet: by every tab, or by every tab but the writing one."""
        hearing = self._tabs if self.plan.ours else self._tabs[1:]
        return 0 if self.plan.verb == "get" else sum(self.written - tab.counted for tab in hearing)

    def _next(self, now: int) -> None:
        number = self.writer.take_id()
        self.sent[number] = now
        self._unsent.append(f'42{number}["{self._verb}",{self._payload(number, now)}]')

    @property
    def _verb(self) -> str:
        return "batch" if self.plan.batch > 1 else self.plan.verb

    def _payload(self, number: int, now: int) -> str:
        plan = self.plan
        key = f"k{int(random.random() * plan.keys)}"
        if plan.verb == "get":
            return f'{{"key":"{key}"}}'
        text = self._padding[int(random.random() * plan.text) :] if plan.varied else self._padding
        value = f'{{"sent":{now},"text":"{text}"}}'
        op_id = f',"op_id":"{self._run}-{number}"' if plan.ours else ""
        if plan.batch == 1:
            return f'{{"key":"{key}","value":{value}{op_id}}}'
        first = number * plan.batch
        ops = ",".join(
            [f'{{"op":"set","key":"k{n % plan.keys}","value":{value}}}' for n in range(first, first + plan.batch)]
        )
        return f'{{"ops":[{ops}]{op_id}}}'

    def _on_ack(self, number: int, payload: bytes, start: int) -> None:
        now = time.perf_counter_ns()
        self.acks.append((self.sent.pop(number), now))
        if payload.find(b'"ok":true', start) > 0:
            self.written += self.plan.batch
        elif self.plan.ours or self.plan.verb != "get":
            self.refused.append(payload[start : start + 200].decode())
        if self.running:
            self._next(now)

    def _count(self, payload: bytes) -> None:
        self.writer.counted += payload.count(_MARK)

    def _times_of_pushes(self, payload: bytes) -> None:
        now = time.perf_counter_ns()
        times = _SENT.findall(payload)
        self._tabs[1].counted += len(times)
        self.pushes += [(int(sent), now) for sent in times]


def measure(plan: Plan) -> dict[str, Any]:
    """Execute the plan; return the results."""
    loop = Loop()
    tabs = loop.open(plan.port, [auth for auth in plan.auths for _ in range(plan.tabs)])
    if plan.ours:
        loop.sync(tabs)
    writing = tabs[: plan.writing * plan.tabs or None]
    users = [User(plan, writing[n : n + plan.tabs]) for n in range(0, len(writing), plan.tabs)]
    gc.collect()
    gc.disable()  # no reference cycles here; a collection during the run would look like the server's latency
    for user in users:
        user.start()
    _serve(loop, users, plan.warm_up)
    before = _Moment(plan, users)
    _serve(loop, users, plan.seconds, plan.fill)
    after = _Moment(plan, users)
    for user in users:
        user.running = False
    _drain(loop, users)
    refused = [refusal for user in users for refusal in user.refused]
    if refused:
        raise RuntimeError(f"{len(refused)} calls were refused, the first with {refused[0]}")
    acks = [pair for user in users for pair in user.acks if before.time <= pair[1] < after.time]
    pushes = [pair for user in users for pair in user.pushes if before.time <= pair[1] < after.time]
    seconds = (after.time - before.time) / 1e9
    keys = len(acks) * plan.batch
    server_cpu = after.server_cpu - before.server_cpu
    return {
        "calls_per_second": len(acks) / seconds,
        "keys_per_second": keys / seconds,
        "deliveries_per_second": (after.delivered - before.delivered) / seconds,
        "ack_ms": _milliseconds(acks),
        "push_ms": _milliseconds(pushes),
        "pushes_missing": sum(user.missing() for user in users),
        "load_cpu": (after.cpu - before.cpu) / seconds,
        "server_cpu": server_cpu / seconds,
        "server_cpu_per_1000_keys": server_cpu * 1000 / keys if keys else math.nan,
    }


class _Moment:
    """The counters at the beginning and at the end."""

    def __init__(self, plan: Plan, users: list[User]) -> None:
        self.server_cpu = processes.cpu_seconds(plan.pid) or math.nan
        self.delivered = sum(user.delivered() for user in users)
        self.cpu = time.process_time()
        self.time = time.perf_counter_ns()


def _serve(loop: Loop, users: list[User], seconds: float, fill: int = 0) -> None:
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        loop.step(0.05)
        for user in users:
            user.flush()
        if fill and all(user.written >= fill for user in users):
            return


def _drain(loop: Loop, users: list[User]) -> None:
    """Wait for messages in transit; those that do not arrive are missing."""
    try:
        loop.run(lambda: not any(user.sent for user in users), 10, "the last acknowledgements")
        loop.run(lambda: not any(user.missing() for user in users), 10, "the last pushes")
    except TimeoutError as error:
        print(f"load: {error}", file=sys.stderr)


def _milliseconds(pairs: list[tuple[int, int]]) -> dict[str, float] | None:
    if not pairs:
        return None
    took = sorted(end - start for start, end in pairs)
    return {name: took[int((len(took) - 1) * share)] / 1e6 for name, share in (("p50", 0.5), ("p99", 0.99))}


def as_json(plan: Plan) -> str:
    """Return the plan as JSON for the other process."""
    return json.dumps(dataclasses.asdict(plan))


if __name__ == "__main__":
    print(json.dumps(measure(Plan(**json.load(sys.stdin)))))
