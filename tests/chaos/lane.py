"""One lane: a server behind a relay, and one browser context after the other, with random faults.

A run begins with a new user, whose page writes all the time. Faults follow one another; after each the tab has to be
live again, and at the end the server's history is compared with the outcome of each write in the page.
"""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, CDPSession, Page

from tests.chaos.relay import Relay
from tests.live_server import PASSWORD, Account, Server

LAUNCHER = Path(__file__).with_name("launcher.py")
SCRIPT = Path(__file__).with_name("page.js")
# a run that takes longer hangs
RUN_SECONDS = 240
LONG_SLEEP_SECONDS = 12
SIGN_INS = 10  # attempts
SHOWN = 400  # characters of an error
FAULTS = ("sleep", "network change", "swallowed packets", "server upgrade", "sign-out elsewhere")


@dataclass
class Result:
    """The result of one run."""

    seed: str
    faults: list[str] = field(default_factory=list)
    # each fault, and the seconds until the tab was live again
    live: list[tuple[str, float]] = field(default_factory=list)
    # how long an undisturbed connection took
    control: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


class Lane:
    """Use `async with`; call `run` any number of times."""

    def __init__(self, browser: Browser, folder: Path) -> None:
        self._browser = browser
        self._version = folder / "version"
        self._versions = 1
        self._serves = False
        self._version.parent.mkdir(parents=True, exist_ok=True)
        self._version.write_text("1.0.0")
        self.relay = Relay()
        self.server = Server(
            folder / "data", launcher=LAUNCHER, RKV_PUBLIC_URL=self.relay.url, CHAOS_VERSION=str(self._version)
        )

    async def __aenter__(self) -> "Lane":
        await asyncio.to_thread(self._start)
        self.relay.port = self.server.port
        return self

    async def __aexit__(self, *_: object) -> None:
        self.relay.close()
        await asyncio.to_thread(self.server.close)

    async def upgrade(self, *, killed: bool) -> None:
        """Stop the server, or kill it, and start another version."""
        await asyncio.to_thread(self.server.kill if killed else self.server.stop)
        self._versions += 1
        self._version.write_text(f"1.0.{self._versions}")
        await asyncio.to_thread(self._start)

    def _start(self) -> None:
        self._serves = False
        self.server.start()
        self._serves = True

    async def run(self, seed: str, name: str) -> Result:
        """Make one run; every failure is among the result's problems."""
        result = Result(seed)
        if not self._serves:
            # the previous run ended in the middle of an upgrade
            await asyncio.to_thread(self.server.close)
            await asyncio.to_thread(self._start)
        context = await self._browser.new_context()
        try:
            async with asyncio.timeout(RUN_SECONDS):
                await _Run(self, context, name, random.Random(seed), result).go()
        except TimeoutError:
            result.problems.append(f"not finished after {RUN_SECONDS} s, faults {result.faults}")
        except Exception as error:
            result.problems.append(f"{type(error).__name__}: {str(error)[:SHOWN]}")
        finally:
            self.relay.restore()
            with contextlib.suppress(Exception):
                await context.close()
        return result


class _Run:
    def __init__(self, lane: Lane, context: BrowserContext, name: str, rng: random.Random, result: Result) -> None:
        self._lane = lane
        self._context = context
        self._name = name
        self._rng = rng
        self._result = result
        self._outcomes: dict[str, str] = {}
        self._next = 0
        self._page: Page
        self._cdp: CDPSession
        self._auditor: Account
        self._acts: dict[str, Callable[[], Awaitable[None]]] = {
            "sleep": self._sleep,
            "network change": self._network_change,
            "swallowed packets": self._swallow,
            "server upgrade": self._upgrade,
            "sign-out elsewhere": self._sign_out,
        }

    async def go(self) -> None:
        self._auditor = await asyncio.to_thread(self._lane.server.sign_up, self._name)
        await self._open()
        self._result.faults = [self._rng.choice(FAULTS) for _ in range(self._rng.randint(1, 3))]
        for fault in self._result.faults:
            # so that writes are in flight
            await asyncio.sleep(self._rng.uniform(0.1, 1.0))
            await self._acts[fault]()
        await self._page.evaluate("chaos.module.drain()")
        record = await self._note()
        await self._judge(record)

    # page

    async def _open(self) -> None:
        await self._sign_in()
        self._page = await self._context.new_page()
        self._cdp = await self._context.new_cdp_session(self._page)
        await self._begin()

    async def _begin(self) -> None:
        """Load a page and connect in it, and measure how long that takes."""
        page = self._page
        await page.goto(f"{self._lane.relay.url}/signin")
        began = time.monotonic()
        await page.evaluate(_module(), [self._name, self._next])
        self._result.control = max(self._result.control, time.monotonic() - began)

    async def _note(self) -> dict[str, Any]:
        """Collect the outcomes known to the page."""
        record = await self._page.evaluate("chaos.module.record()")
        self._next = record["next"]
        self._outcomes.update(record["outcomes"])
        return record

    async def _sign_in(self) -> None:
        credentials = {"username": self._name, "password": PASSWORD}
        for _ in range(SIGN_INS):
            answer = await self._context.request.post(f"{self._lane.relay.url}/api/v1/sign_in", data=credentials)
            # a busy machine is no fault
            if answer.status != 503:
                break
            await asyncio.sleep(1)
        assert answer.status == 200, await answer.text()

    async def _live(self, fault: str) -> None:
        """Measure the time until the tab is live. Called when the network is back."""
        began = time.monotonic()
        await self._page.evaluate("chaos.module.live()")
        self._result.live.append((fault, time.monotonic() - began))

    # faults

    async def _sleep(self) -> None:
        """Freeze the page, and meanwhile kill its connections silently."""
        if self._rng.random() < 0.3:
            await self._cdp.send("Debugger.enable")
            await self._cdp.send("Debugger.pause")
            self._lane.relay.kill_silently()
            await asyncio.sleep(LONG_SLEEP_SECONDS)
            await self._cdp.send("Debugger.disable")
        else:
            await self._cdp.send("Page.setWebLifecycleState", {"state": "frozen"})
            self._lane.relay.kill_silently()
            await asyncio.sleep(self._rng.uniform(0.5, 3))
            await self._cdp.send("Page.setWebLifecycleState", {"state": "active"})
        await self._live("sleep")

    async def _network_change(self) -> None:
        """Reset every connection; in some runs there is no network for a while."""
        if self._rng.random() < 0.5:
            self._lane.relay.drop()
        else:
            self._lane.relay.refuse()
            await asyncio.sleep(self._rng.uniform(0.2, 4))
            self._lane.relay.restore()
        await self._live("network change")

    async def _swallow(self) -> None:
        """Swallow all packets silently; half of the time the browser is told that the network is back."""
        self._lane.relay.swallow()
        await asyncio.sleep(self._rng.uniform(0.5, 9))
        self._lane.relay.restore()
        if self._rng.random() < 0.5:
            await self._page.evaluate("dispatchEvent(new Event('online'))")
        await self._live("swallowed packets")

    async def _upgrade(self) -> None:
        await self._lane.upgrade(killed=self._rng.random() < 0.5)
        await self._live("server upgrade")
        if not (await self._note())["outdated"]:
            self._result.problems.append("the new version of the server was not noticed")

    async def _sign_out(self) -> None:
        """End this session from another one, sometimes without a network; then the user signs in again."""
        away = self._rng.random() < 0.5
        if away:
            self._lane.relay.refuse()
            await asyncio.sleep(self._rng.uniform(0.2, 2))
        answer = await asyncio.to_thread(self._auditor.http, "end_other_sessions")
        assert answer.status_code == 200, answer.text
        self._lane.relay.restore()
        await self._page.evaluate("chaos.module.signedOut()")
        await self._note()
        # otherwise the browser loads the page over connections that were killed silently before
        self._lane.relay.drop()
        await self._sign_in()
        await self._begin()
        await self._live("sign-out elsewhere")

    # verdict

    async def _judge(self, record: dict[str, Any]) -> None:
        problems = self._result.problems
        written = await asyncio.to_thread(self._history)
        for n, outcome in self._outcomes.items():
            times = written[int(n)]
            self._result.outcomes[outcome] += 1
            if times > 1:
                problems.append(f"write {n} ({outcome}) was applied {times} times")
            if outcome == "acknowledged" and times == 0:
                problems.append(f"write {n} was acknowledged and is not there")
            # writes kept for the next sign-in must have been sent by now; all others were reported as failed
            if times == 0 and outcome in ("pending", "unauthenticated"):
                problems.append(f"write {n} was lost: {outcome}")
        listed = (await asyncio.to_thread(self._auditor.http, "list", limit=1000)).json()["entries"]
        held = {entry["key"]: [entry["value"], entry["revision"]] for entry in listed}
        if held != record["entries"]:
            problems.append("the tab does not hold what the server holds")
        if record["healed"]:
            problems.append(f"differences healed: {record['healed']}")

    def _history(self) -> Counter[int]:
        """Return how often each number was written."""
        written: Counter[int] = Counter()
        before: dict[str, int] = {}
        while writes := self._auditor.http("history", limit=1000, **before).json()["writes"]:
            for write in writes:
                written.update(op["value"]["n"] for op in write["ops"] if op["key"] != "probe")
            before = {"before": writes[-1]["revision"]}
        return written


def _module() -> str:
    """Return `page.js` as one function, since the page's CSP allows no module of ours."""
    source = SCRIPT.read_text().replace("export ", "")
    return f"""async ([user, first]) => {{
      {source}
      await begin(user, first)
      chaos.module = {{ live, drain, signedOut, record }}
    }}"""
