"""Many cases at a time against one server, with a control client among them, and a check for leaks at the end."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from realtime_kv.core.engine import memtable
from realtime_kv.storage.sqlite import connections
from tests.fuzz import calls, forms, frames, messages, packets, streams
from tests.fuzz.case import Case, Wrong
from tests.fuzz.connections import Ended
from tests.fuzz.control_client import ControlClient
from tests.fuzz.executors import EXECUTORS, Target
from tests.fuzz.randomness import Randomness
from tests.fuzz.services import Services, Usage

WORKERS = 8
# a user's space stays small, so that a sync is quick
INPUTS_A_USER = 5_000
WARM_UP = 0.1
# heap that the allocator keeps after the peak
MEMORY_MARGIN = 48 * 2**20
# memory that is kept on purpose, and its growth per input: the database's pages, and the memtable's cache
KEPT = connections.CACHE_KIB * 1024 + memtable.MAX_CACHED * 512
KEPT_AN_INPUT = 512

# the makers of cases, and their weights
MAKERS: list[tuple[Callable[[Randomness], Case], float]] = [
    (packets.events, 10),
    (packets.polling, 5),
    (frames.frames, 50),
    (frames.handshake, 20),
    (messages.raw, 50),
    (messages.api, 14),
    (calls.calls, 9),
    (forms.forms, 9),
    (forms.superuser, 7),
    (streams.streams, 12),
]


@dataclass
class Findings:
    """The results of a campaign."""

    inputs: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    cases: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    # one of these cases has caused a problem; the likeliest is last
    suspects: list[Case] = field(default_factory=list)
    before: Usage | None = None
    after: Usage | None = None
    stalls: int = 0
    control_writes: int = 0
    control_slowest: float = 0.0


def make(seed: int, index: int) -> Case:
    """Return case `index` of `seed`."""
    rng = Randomness(seed, index)
    (maker,) = rng.choices([maker for maker, _ in MAKERS], [weight for _, weight in MAKERS])
    return maker(rng)


class Campaign:
    """`inputs` messages, from all `seeds` in turn, against `services`.

    With `await_timeouts`, the end waits until silently abandoned sessions of long-polling have timed out (45 s).
    """

    def __init__(
        self,
        services: Services,
        seeds: Sequence[int],
        inputs: int,
        *,
        await_timeouts: bool = True,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.findings = Findings()
        self._services = services
        self._seeds = seeds
        self._await_timeouts = await_timeouts
        self._wanted = inputs
        self._say = say
        self._index = 0
        self._recent: deque[Case] = deque(maxlen=4 * WORKERS)
        self._began = time.monotonic()

    def run(self) -> Findings:
        """Run it all, and check at the end that every resource was released and the database is sound."""
        findings, services = self.findings, self._services
        try:
            asyncio.run(self._run())
        except Wrong as wrong:
            findings.problems.append(str(wrong))
        findings.stalls = services.stalls
        if not findings.problems:
            try:
                self._compare()
                services.stop()
            except Wrong as wrong:
                findings.problems.append(str(wrong))
        return findings

    async def _run(self) -> None:
        findings = self.findings
        control_client = await ControlClient.join(self._services.server.port, self._services.users.sign_up().token)
        try:
            before = self._services.usage()
            await self._play_until(int(self._wanted * WARM_UP), control_client)
            # memory reaches its usual size only with use
            findings.before = replace(before, memory=self._services.usage().memory)
            await self._play_until(self._wanted, control_client)
            findings.control_writes, findings.control_slowest = control_client.writes, control_client.slowest
            if not findings.problems:
                findings.after = await asyncio.to_thread(
                    self._services.quiet, tabs=1, await_timeouts=self._await_timeouts
                )
                self._check(control_client)
        finally:
            control_client.leave()

    async def _play_until(self, inputs: int, control_client: ControlClient) -> None:
        began = time.monotonic()
        watching = asyncio.ensure_future(self._watch(control_client))
        try:
            await asyncio.gather(*(self._work(inputs) for _ in range(WORKERS)))
        finally:
            watching.cancel()
        self.findings.seconds += time.monotonic() - began

    async def _work(self, inputs: int) -> None:
        target, left = None, 0
        while self.findings.inputs.total() < inputs and not self.findings.problems:
            if target is None or left <= 0:
                target, left = await asyncio.to_thread(Target, self._services), INPUTS_A_USER
            case = self._next()
            self._recent.append(case)
            try:
                await asyncio.to_thread(target.be_ready_for, case)
                judged, codes = await EXECUTORS[case.kind](target, case)
            except (Wrong, Ended, OSError) as wrong:
                self._accuse(wrong, [case])
                return
            left -= judged
            self.findings.inputs[case.kind] += judged
            self.findings.codes += codes
            self.findings.cases += 1

    def _next(self) -> Case:
        turn, which = divmod(self._index, len(self._seeds))
        self._index += 1
        return make(self._seeds[which], turn)

    async def _watch(self, control_client: ControlClient) -> None:
        said = time.monotonic()
        while not self.findings.problems:
            await asyncio.sleep(0.25)
            try:
                self._check(control_client)
            except Wrong as wrong:
                self._accuse(wrong, list(self._recent))
            if time.monotonic() - said > 10:
                said = time.monotonic()
                total = self.findings.inputs.total()
                self._say(f"{total} inputs, {total / (said - self._began):.0f} a second, {self._services.usage()}")

    def _check(self, control_client: ControlClient) -> None:
        self._services.check_log()
        if control_client.trouble is not None:
            raise Wrong(f"the control client: {control_client.trouble}")

    def _accuse(self, wrong: Exception, suspects: list[Case]) -> None:
        self.findings.problems.append(f"{type(wrong).__name__}: {wrong}")
        self.findings.suspects = self.findings.suspects or suspects

    def _compare(self) -> None:
        before, after = self.findings.before, self.findings.after
        assert before is not None and after is not None
        for name in ("files", "sockets", "threads"):
            if getattr(after, name) > getattr(before, name):
                raise Wrong(f"{name} were not given back: {before} before, {after} after")
        kept = min(KEPT, self.findings.inputs.total() * KEPT_AN_INPUT)
        if after.memory > before.memory + kept + MEMORY_MARGIN:
            raise Wrong(f"memory was not given back: {before} before, {after} after")
