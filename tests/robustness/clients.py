"""A process that runs several tabs. It reads orders as lines from stdin and reports as lines on stdout.

In:  one line of JSON (`Party`); `enough` after the last fault that needs tabs at work; `finish` at the end.
Out: `progress` for every 20 operations begun, `answered` once all are done, `stuck: …` when a promise was not kept.
"""

import asyncio
import sys
from pathlib import Path

import msgspec

from tests.robustness.tab import Spec, Stuck, Tab

STEP = 20


class Party(msgspec.Struct):
    """The tabs of one process."""

    port: int
    folder: str
    tabs: list[Spec]


async def live(party: Party, orders: asyncio.StreamReader) -> int:
    """Run the tabs; return the exit code."""
    begun = 0

    def progress() -> None:
        nonlocal begun
        begun += 1
        if begun % STEP == 0:
            _say("progress")

    tabs = [Tab(spec, party.port, Path(party.folder), progress) for spec in party.tabs]
    living = [asyncio.ensure_future(tab.live()) for tab in tabs]
    telling = asyncio.ensure_future(_tell_answered(tabs))
    obeying = asyncio.ensure_future(_obey(orders, tabs))
    try:
        await asyncio.gather(*living)
    except Stuck as stuck:
        _say(f"stuck: {stuck}")
        return 3
    finally:
        telling.cancel()
        obeying.cancel()
    return 0


async def _tell_answered(tabs: list[Tab]) -> None:
    while not all(tab.answered for tab in tabs):
        await asyncio.sleep(0.05)
    _say("answered")


async def _obey(orders: asyncio.StreamReader, tabs: list[Tab]) -> None:
    await orders.readline()
    for tab in tabs:
        tab.enough()
    await orders.readline()
    for tab in tabs:
        tab.finish()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def main() -> int:
    orders = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    party = msgspec.json.decode(await orders.readline(), type=Party)
    return await live(party, orders)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
