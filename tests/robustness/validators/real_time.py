"""Linearizable: writes and reads take effect one after the other, in an order that real time does not contradict.

In general that is hard to decide; here every accepted write names its revision and every read the revision it saw, so
the only possible order is known, and one pass over the starts and ends of all steps, sorted by time, suffices:

- A step has an interval and a position, its revision. A step that ended before another began must not come after it.
  At each moment `floor` is the highest position among the steps that have ended; a step remembers the floor of the
  moment when it began, and its position must be at or above it (for a write above: its position is its own).
- A write ends when it is acknowledged or first seen by any tab, whichever is earlier. A write with an unknown outcome
  that nobody saw stays open, and constrains nothing.
- A read that found nothing is placed after some delete: at the first position at or above its floor where the key is
  absent. Taking the first is safe: any order that is possible with a later one is possible with an earlier one.

This is done for each key, and once more for the revision of the whole space.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.robustness.evidence import NEVER, Evidence, Operation
from tests.robustness.history import History


class Step(NamedTuple):
    """`position` is a revision; None for a read that found nothing."""

    start: float
    end: float
    position: int | None
    writes: bool
    who: str


def linearizable(_history: History, evidence: Evidence) -> Iterator[str]:
    """Includes conditional writes: one with `if_revision` follows directly on that revision."""
    makers = {operation.revision: operation for operation in evidence.writes()}
    by_value = {str(value): op for op in evidence.operations if op.verb != "get" for value in _values(op)}
    reads: dict[str, list[Step]] = {key: [] for key in evidence.history}
    for reading in evidence.readings:
        if reading.key in reads:
            reads[reading.key].append(Step(reading.start, reading.end, reading.revision, False, reading.tab))
        elif reading.revision is not None:
            yield f"{reading.tab} read {reading.key}, which nobody has written"
    for key, revisions in evidence.history.items():
        content = evidence.content[key]
        writes = [
            _write(revision, makers.get(revision) or by_value.get(str(content[revision])), evidence)
            for revision in revisions
        ]
        for what in contradictions([*writes, *reads[key]], lambda floor, key=key: _absent_from(evidence, key, floor)):
            yield f"{key}: {what}"
    yield from (f"the space: {what}" for what in contradictions(list(_space(evidence)), lambda floor: floor))
    for operation in evidence.writes():
        yield from _conditions(operation, evidence)


def contradictions(steps: list[Step], absent_from: Callable[[int], int | None]) -> Iterator[str]:
    """Yield contradictions of real time and positions; `absent_from` places a read that found nothing."""
    moments = sorted(
        (moment, is_end, index)
        for index, step in enumerate(steps)
        for moment, is_end in ((step.start, False), (step.end, True))
        if moment != NEVER
    )
    floor, whose = 0, ""
    below = [0] * len(steps)
    for _, is_end, index in moments:
        step = steps[index]
        if step.end < step.start:
            if not is_end:
                yield f"{step.who} wrote {step.position} after it had been seen"
        elif not is_end:
            below[index] = floor
        else:
            position = absent_from(below[index]) if step.position is None else step.position
            if position is None:
                yield f"{step.who} found nothing, and nothing had deleted {below[index]}"
            elif position < below[index] or (step.writes and position == below[index] > 0):
                did = "wrote" if step.writes else "read"
                yield f"{step.who} {did} {position} after {below[index]} was there ({whose})"
            elif position > floor:
                floor, whose = position, f"now {floor}, then {position} by {step.who}"


def _write(revision: int, maker: Operation | None, evidence: Evidence) -> Step:
    seen = evidence.seen.get(revision, NEVER)
    if maker is None:
        return Step(-NEVER, seen, revision, True, "somebody")
    return Step(maker.start, min(maker.end, seen), revision, True, maker.tab)


def _absent_from(evidence: Evidence, key: str, floor: int) -> int | None:
    content, revisions = evidence.content[key], evidence.history[key]
    last = evidence.last(key, floor)
    if not last or content[last] is None:
        return floor
    return next((revision for revision in revisions if revision > floor and content[revision] is None), None)


def _space(evidence: Evidence) -> Iterator[Step]:
    for operation in evidence.operations:
        answer = operation.accepted
        if answer is None or "revision" not in answer:
            continue
        if operation.revision is None:
            yield Step(operation.start, operation.end, answer["revision"], False, operation.tab)
        else:
            yield _write(operation.revision, operation, evidence)


def _conditions(operation: Operation, evidence: Evidence) -> Iterator[str]:
    expected = operation.payload.get("if_revision")
    if expected is None:
        return
    assert operation.revision is not None
    key = operation.payload["key"]
    before = evidence.last(key, operation.revision - 1)
    held = 0 if before and evidence.content[key][before] is None else before
    if held != expected:
        yield f"{operation.tab} wrote {key} at {operation.revision} if it was at {expected}: it was at {held}"


def _values(operation: Operation) -> list[str]:
    return (
        [value for value in operation.ops.values() if value is not None] if operation.verb in {"set", "batch"} else []
    )
