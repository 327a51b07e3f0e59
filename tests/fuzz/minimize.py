"""Minimizer: from many cases to the one that causes the problem, and to the smallest that still does."""

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from tests.fuzz.case import Case, Wrong
from tests.fuzz.connections import Ended
from tests.fuzz.executors import EXECUTORS, Target
from tests.fuzz.services import Services

TRIES = 80
# two complaints are the same if they begin with the same characters
ALIKE = 24

S = TypeVar("S", bytes, tuple[bytes, ...])


@contextmanager
def fresh_services() -> Iterator[Services]:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        services = Services(Path(folder) / "data")
        try:
            yield services
        finally:
            services.close()


def play(services: Services, case: Case) -> None:
    """Play one case by itself. Raises Wrong."""
    target = Target(services)
    try:
        target.be_ready_for(case)
        asyncio.run(EXECUTORS[case.kind](target, case))
    except (Ended, OSError) as error:
        raise Wrong(f"{type(error).__name__} {error}") from None
    finally:
        # the server's log has to come through a pipe
        time.sleep(0.05)
        services.check_log()


def complaint(case: Case) -> str:
    """Play this case against a new server; return the beginning of the complaint, `""` if nothing is wrong."""
    with fresh_services() as services:
        try:
            play(services, case)
        except Wrong as wrong:
            return str(wrong)[:ALIKE]
    return ""


def minimize(suspects: list[Case]) -> Case | None:
    """Return the smallest case that causes the problem by itself; None if none does."""
    for case in reversed(suspects):
        if first := complaint(case):
            return shrink(case, lambda smaller, first=first: complaint(smaller) == first)
    return None


def shrink(case: Case, is_wrong: Callable[[Case], bool]) -> Case:
    """Remove halves, then quarters and so on, of the inputs, then of the bytes of each, while it is still wrong."""
    tries = TRIES

    def still(smaller: Case) -> bool:
        nonlocal tries
        tries -= 1
        return tries >= 0 and is_wrong(smaller)

    inputs = _shortest(case.inputs, lambda shorter: still(replace(case, inputs=shorter)))
    # half a valid request is not one
    for at in range(len(inputs) if case.kind not in {"api", "accounts", "streams"} else 0):
        before, after = inputs[:at], inputs[at + 1 :]
        data = _shortest(inputs[at], lambda it, b=before, a=after: still(replace(case, inputs=(*b, it, *a))))
        inputs = (*before, data, *after)
    return replace(case, inputs=inputs, messages=len(inputs))


def _shortest(whole: S, fits: Callable[[S], bool]) -> S:
    size = (len(whole) + 1) // 2
    while size:
        at = 0
        while at < len(whole):
            shorter = whole[:at] + whole[at + size :]
            if shorter and fits(shorter):
                whole = shorter
            else:
                at += size
        size //= 2
    return whole
