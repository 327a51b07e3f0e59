"""The load, in a process of its own: reads one plan from stdin, writes what it measured to stdout, both JSON.

Each user has one tab that writes, with so many calls unanswered at any time, and others that watch. A value carries the
time at which it was sent, so that a watching tab knows how old the news is; both ends read the same clock. Every
acknowledgement is looked at and every push counted; one watching tab of each user takes the times.
"""

import dataclasses
import gc
import json
import random
import re
import secrets
import sys
import time
from dataclasses import dataclass
from typing import Any

from bench.tab import Loop, Tab

_SENT = re.compile(rb'"sent":(\d+)')
_PADDING = "x" * 40


@dataclass(frozen=True)
class Plan:
    """One measurement. `auths` has one for each user; `tutorial` says which dialect the server speaks; with `fill`, it
    ends as soon as each user has written so many keys.
    """

    port: int
    auths: list[dict[str, Any]]
    verb: str = "set"
    tabs: int = 3
    in_flight: int = 4
    batch: int = 1
    keys: int = 1000
    seconds: float = 4.0
    warm_up: float = 0.5
    tutorial: bool = False
    sync: bool = False
    fill: int = 0


class User:
    """One user's tabs: the first writes, the second takes the times of the pushes, all count them."""

    def __init__(self, plan: Plan, tabs: list[Tab]) -> None:
        self.plan = plan
        self.writer = tabs[0]
        self.acks: list[tuple[int, int]] = []
        self.pushes: list[tuple[int, int]] = []
        self.written = 0
        self.seen = [0] * len(tabs)
        self.refused: list[str] = []
        self.sent: dict[int, int] = {}
        self.running = True
        self._run = secrets.token_hex(4)
        self._unsent: list[str] = []
        self.writer.on_ack = self._on_ack
        for number, tab in enumerate(tabs):
            tab.on_event = self._times_of_pushes if number == 1 else self._counter(number)

    def start(self) -> None:
        for _ in range(self.plan.in_flight):
            self._next(time.perf_counter_ns())
        self.flush()

    def flush(self) -> None:
        """Send what the acknowledgements of one turn have made room for, in one go."""
        if self._unsent:
            packets, self._unsent = self._unsent, []
            self.writer.send(packets)

    def missing(self) -> int:
        """Pushes that have not come yet: to every tab, or to every other tab."""
        hearing = self.seen[1:] if self.plan.tutorial else self.seen
        return 0 if self.plan.verb == "get" else sum(self.written - seen for seen in hearing)

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
        value = f'{{"sent":{now},"text":"{_PADDING}"}}'
        if plan.tutorial:
            return f'{{"key":"{key}","value":{value}}}'
        op_id = f"{self._run}-{number}"
        if plan.batch == 1:
            return f'{{"key":"{key}","value":{value},"op_id":"{op_id}"}}'
        first = number * plan.batch
        ops = ",".join(
            [f'{{"op":"set","key":"k{n % plan.keys}","value":{value}}}' for n in range(first, first + plan.batch)]
        )
        return f'{{"ops":[{ops}],"op_id":"{op_id}"}}'

    def _on_ack(self, number: int, payload: bytes, start: int) -> None:
        now = time.perf_counter_ns()
        self.acks.append((self.sent.pop(number), now))
        if payload.find(b'"ok":true', start) > 0:
            self.written += self.plan.batch
        elif not (self.plan.verb == "get" and self.plan.tutorial):
            self.refused.append(payload[start : start + 200].decode())
        if self.running:
            self._next(now)

    def _counter(self, tab: int) -> Any:
        def count(payload: bytes) -> None:
            self.seen[tab] += payload.count(b'"sent":')

        return count

    def _times_of_pushes(self, payload: bytes) -> None:
        now = time.perf_counter_ns()
        times = _SENT.findall(payload)
        self.seen[1] += len(times)
        self.pushes += [(int(sent), now) for sent in times]


def measure(plan: Plan) -> dict[str, Any]:
    """Carry out the plan; what came of it."""
    loop = Loop()
    tabs = loop.open(plan.port, [auth for auth in plan.auths for _ in range(plan.tabs)])
    if plan.sync:
        loop.sync(tabs)
    users = [User(plan, tabs[n : n + plan.tabs]) for n in range(0, len(tabs), plan.tabs)]
    gc.collect()
    gc.disable()  # nothing here makes cycles; a collection in the middle would look like the server's latency
    for user in users:
        user.start()
    _serve(loop, users, plan.warm_up)
    cpu, began = time.process_time(), time.perf_counter_ns()
    _serve(loop, users, plan.seconds, plan.fill)
    ended, cpu = time.perf_counter_ns(), time.process_time() - cpu
    for user in users:
        user.running = False
    _drain(loop, users)
    refused = [refusal for user in users for refusal in user.refused]
    if refused:
        raise RuntimeError(f"{len(refused)} calls were refused, the first with {refused[0]}")
    acks = [pair for user in users for pair in user.acks if began <= pair[1] < ended]
    pushes = [pair for user in users for pair in user.pushes if began <= pair[1] < ended]
    seconds = (ended - began) / 1e9
    return {
        "calls_per_second": len(acks) / seconds,
        "keys_per_second": len(acks) * plan.batch / seconds,
        "ack_ms": _milliseconds(acks),
        "push_ms": _milliseconds(pushes),
        "pushes_missing": sum(user.missing() for user in users),
        "load_cpu": cpu / seconds,
    }


def _serve(loop: Loop, users: list[User], seconds: float, fill: int = 0) -> None:
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        loop.turn(0.05)
        for user in users:
            user.flush()
        if fill and all(user.written >= fill for user in users):
            return


def _drain(loop: Loop, users: list[User]) -> None:
    """Whatever is under way arrives; what does not is missing."""
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
    """The plan as the other process reads it."""
    return json.dumps(dataclasses.asdict(plan))


if __name__ == "__main__":
    print(json.dumps(measure(Plan(**json.load(sys.stdin)))))
