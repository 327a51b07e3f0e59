"""Runner of one history: a server, tabs in separate processes, faults, a last SIGKILL, and the check of the result."""

import asyncio
import contextlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tests.live_server import ROOT, Account
from tests.robustness import clients, history
from tests.robustness.faults import FAULTS, PURGE_KEEPS, Faults
from tests.robustness.history import Answer, Call, Connected, Fault, History, Push
from tests.robustness.tab import Spec, Tab
from tests.robustness.validators import check
from tests.robustness.validators.frames import wrote
from tests.robustness.workload import REPEATING

# if nothing happens for this long, something hangs
STUCK_SECONDS = 120


@dataclass
class Plan:
    """The settings of one history; `seed` decides the requests of the tabs and the times of the faults."""

    seed: str
    # at least this many
    operations: int = 5000
    users: int = 2
    tabs: int = 6
    processes: int = 2
    faults: list[str] = field(default_factory=lambda: list(FAULTS))
    # misbehaviour of the tabs: once in this many operations
    cut_every: int = 120
    pause_every: int = 120
    abandon_every: int = 400
    stall_seconds: float = 0.0
    sabotage: str = ""
    every: int = 1
    page_bytes: int = 0

    @property
    def expected(self) -> list[str]:
        """The faults and outcomes that must occur for this to prove anything."""
        own = {"cut": self.cut_every, "slow": self.pause_every, "half-open": self.abandon_every}
        own["stalled"] = bool(self.stall_seconds)
        met = ["replayed", "conflict", "polling connections", "stock connections", *sorted(REPEATING)]
        return [*self.faults, *(name for name, every in own.items() if every), *met]


@dataclass
class Run:
    """The result of a plan. `counts` has the proved faults, and the actions and outcomes of the tabs."""

    plan: Plan
    history: History
    counts: Counter[str]
    stuck: list[str]
    seconds: float

    @property
    def problems(self) -> list[str]:
        """All violations of the server, and all reasons why this run proves nothing."""
        unproved = [f"{name}: did not happen" for name in self.plan.expected if not self.counts[name]]
        return [*self.stuck, *unproved, *(f"{guarantee}: {what}" for guarantee, what in check(self.history))]


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Provide a folder for one run."""
    folder = Path(tempfile.mkdtemp(prefix="robustness-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(plan: Plan, folder: Path) -> Run:
    """Execute `plan`; the record is left in `folder`. Raises NotHappened when a fault could not be proved."""
    started = time.monotonic()
    records = folder / "records"
    records.mkdir(parents=True)
    faults = Faults(folder, plan.seed, sabotage=plan.sabotage, every=plan.every, page_bytes=plan.page_bytes)
    parties: list[_Process] = []
    try:
        accounts = [faults.server.sign_up(f"user{n}") for n in range(plan.users)]
        parties = [_Process(party) for party in _parties(plan, accounts, faults.server.port, records)]
        stuck = _inject_all(plan, faults, parties)
        if not stuck:
            # every acknowledged write has to be found again
            faults.inject("kill")
            for process in parties:
                process.tell("finish")
            stuck = [problem for process in parties for problem in process.join()]
            asyncio.run(_audit(accounts, faults.server.port, records))
    finally:
        for process in parties:
            process.close()
        faults.close()
    record = history.load(records)
    if faults.counts["purge"]:
        record.purge_keeps = PURGE_KEEPS
    return Run(plan, record, faults.counts + _count(record), stuck, time.monotonic() - started)


def _parties(plan: Plan, accounts: list[Account], port: int, records: Path) -> list[clients.Party]:
    """Distribute the tabs: every process has tabs of every user, and each kind of tab occurs."""
    specs = [
        _spec(plan, account, number)
        for number in range(plan.tabs)
        for account in accounts
    ]  # fmt: skip
    share, more = divmod(plan.operations, len(specs))
    for index, spec in enumerate(specs):
        spec.operations = share + (index < more)
    return [
        clients.Party(port, str(records), specs[process :: plan.processes])
        for process in range(plan.processes)
        if specs[process :: plan.processes]
    ]


def _spec(plan: Plan, account: Account, number: int) -> Spec:
    spec = Spec(account.username, account.token, f"{account.username}-{number}", plan.seed, 0)
    kind = number % 6
    if kind == 1:
        spec.transport = "polling"
    elif kind == 4:
        spec.transport = "stock"
    elif kind == 2:
        spec.pause_every, spec.stall_seconds = plan.pause_every, plan.stall_seconds
    if kind in {0, 1, 3}:
        spec.cut_every = plan.cut_every
    if kind == 5:
        spec.abandon_every = plan.abandon_every
    return spec


def _inject_all(plan: Plan, faults: Faults, parties: list["_Process"]) -> list[str]:
    """Inject all faults, in an order and at moments chosen by the seed; return the problems met."""
    chosen = random.Random(plan.seed)
    order = list(plan.faults)
    chosen.shuffle(order)
    last = int(plan.operations * 0.85)
    moments = sorted(chosen.randrange(last // 20, last) for _ in order)
    for moment, name in zip(moments, order, strict=True):
        _wait_for(parties, faults, lambda moment=moment: sum(process.begun for process in parties) >= moment)
        if problems := _problems(parties, faults):
            return problems
        faults.inject(name)
    for process in parties:
        process.tell("enough")
    _wait_for(parties, faults, lambda: all(process.answered for process in parties))
    return _problems(parties, faults)


def _wait_for(parties: list["_Process"], faults: Faults, holds) -> None:
    deadline = time.monotonic() + STUCK_SECONDS
    while not holds() and not _problems(parties, faults):
        if time.monotonic() > deadline:
            raise AssertionError("nothing happens any more:\n" + "".join(faults.server.output[-50:]))
        time.sleep(0.005)


def _problems(parties: list["_Process"], faults: Faults) -> list[str]:
    problems = [problem for process in parties for problem in process.problems]
    if not faults.alive:
        problems.append("the server has ended by itself:\n" + "".join(faults.server.output[-50:]))
    return problems


async def _audit(accounts: list[Account], port: int, records: Path) -> None:
    """Read everything from scratch with a fresh tab of each user, and each key once more."""
    tabs = [
        Tab(Spec(account.username, account.token, f"{account.username}-audit", "", 1, auditor=True), port, records)
        for account in accounts
    ]
    for tab in tabs:
        tab.finish()
    await asyncio.gather(*(tab.live() for tab in tabs))


def _count(record: History) -> Counter[str]:
    """Count the actions of the tabs and their outcomes."""
    counts: Counter[str] = Counter()
    for log in record.tabs:
        verbs: dict[int, str] = {}
        for event in log.events:
            if isinstance(event, Call):
                verbs[event.id] = event.verb
            elif isinstance(event, Fault):
                counts[event.kind] += 1
            elif isinstance(event, Connected):
                counts[f"{log.transport} connections"] += 1
            elif isinstance(event, Push):
                counts["changes"] += event.name == "change"
            elif isinstance(event, Answer):
                counts["acknowledged"] += wrote(event.body)
                counts[verbs[event.id]] += verbs[event.id] in REPEATING and wrote(event.body)
                counts["replayed"] += bool(event.body.get("replayed"))
                counts["resets"] += bool(event.body.get("reset") and event.body["from"] == 0)
                counts["pages"] += bool(event.body.get("next") and "epoch" in event.body)
                code = "ok" if event.body["ok"] else event.body["error"]["code"]
                counts["operations"] += "epoch" not in event.body and code != "unavailable"
                counts[code] += code != "ok"
    return counts


class _Process:
    """A process that runs several tabs."""

    def __init__(self, party: clients.Party) -> None:
        self.begun = 0
        self.answered = False
        self.problems: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.robustness.clients"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()
        self.tell(msgspec.json.encode(party).decode())

    def join(self) -> list[str]:
        if self._process.wait(STUCK_SECONDS) != 0 and not self.problems:
            self.problems.append(f"a process of tabs ended with {self._process.returncode}")
        return self.problems

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        other = []
        for line in self._process.stdout:
            if line == "progress\n":
                self.begun += clients.STEP
            elif line == "answered\n":
                self.answered = True
            else:
                other.append(line)
        if other:
            self.problems.append("".join(other[-30:]))
