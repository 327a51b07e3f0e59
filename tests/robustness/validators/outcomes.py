"""Acknowledged writes exist, once; refused writes never took effect: durable, exactly once."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from tests.robustness.evidence import Evidence, Operation
from tests.robustness.history import Answer, Call, History, TabLog
from tests.robustness.replica import Replica
from tests.robustness.workload import REPEATING, WRITING


def durable(_history: History, evidence: Evidence) -> Iterator[str]:
    """The auditor, which comes after the last SIGKILL and starts from scratch, finds every acknowledged write.

    A later write in its place also counts.
    """
    for log in evidence.logs:
        if log.auditor:
            replica = _synced(log)
            for operation in evidence.writes():
                yield from _lost(operation, replica, evidence)


def exactly_once(_history: History, evidence: Evidence) -> Iterator[str]:
    """An `op_id` writes once and always gets the same answer; every write was requested, and no refused write exists.

    `undo` and `restore` write the earlier values; `move` and `copy` those of the source.
    """
    accepted: dict[str, list[Operation]] = defaultdict(list)
    wanted: dict[int, Operation] = {}
    for operation in evidence.operations:
        answers = [answer for answer in operation.answers if answer["ok"]]
        op_id = operation.payload.get("op_id")
        if op_id is None:
            continue
        if answers:
            accepted[op_id].append(operation)
        said = {repr(sorted({**answer, "replayed": None}.items())) for answer in answers}
        if len(said) > 1:
            yield f"{op_id} was answered differently: {sorted(said)}"
        if (times := sum(not answer.get("replayed") for answer in answers)) > 1:
            yield f"{op_id} was executed {times} times"
    for op_id, operations in accepted.items():
        if len(operations) > 1:
            yield f"{op_id} was taken for {len(operations)} different writes"
    for operation in evidence.writes():
        assert operation.revision is not None
        if wanted.setdefault(operation.revision, operation) is not operation:
            yield f"two writes share revision {operation.revision}"
        for key, value in operation.repeated.items():
            if (found := evidence.content[key][operation.revision]) != value:
                yield f"{operation.verb} {operation.revision} made {found!r:.60} of {key}: it had to be {value!r:.60}"
    yield from _nobodys(evidence, wanted)


def _nobodys(evidence: Evidence, wanted: dict[int, Operation]) -> Iterator[str]:
    revisions: dict[str, set[int]] = defaultdict(set)
    for content in evidence.content.values():
        for revision, value in content.items():
            maker = wanted.get(revision)
            # a verb that repeats a value does not make it
            if value is not None and (maker is None or maker.verb not in REPEATING):
                revisions[str(value)].add(revision)
    by_value: dict[str, Operation] = {}
    deletes: list[Operation] = []
    for operation in evidence.operations:
        if operation.verb in WRITING - REPEATING:
            by_value.update({str(value): operation for value in operation.ops.values() if value is not None})
            if operation.accepted is None and not operation.refused:
                deletes.append(operation)
    for value, places in revisions.items():
        maker = by_value.get(value)
        if len(places) > 1:
            yield f"{value!r:.60} was written {len(places)} times: {sorted(places)}"
        elif maker is None:
            yield f"{value!r:.60} at {places}: nobody has asked for it"
        elif maker.refused:
            yield f"{value!r:.60} at {places}: it was refused"
        elif maker.accepted and maker.revision not in places:
            yield f"{value!r:.60} at {places}: it was acknowledged as {maker.revision}"
    for revision, ops in evidence.pushed.items():
        # a value names its writer, a delete does not
        only_deletes = revision not in wanted and not any(ops.values())
        if only_deletes and not any(ops.keys() <= operation.ops.keys() for operation in deletes):
            yield f"nobody has asked for the delete of {sorted(ops)} at {revision}"


def _synced(log: TabLog) -> Replica:
    replica = Replica()
    asked: dict[int, dict[str, Any]] = {}
    for event in log.events:
        if isinstance(event, Call) and event.verb == "sync":
            asked[event.id] = event.payload
            if "next" not in event.payload:
                replica.begin_sync()
        elif isinstance(event, Answer) and event.id in asked and event.body["ok"]:
            replica.on_page(event.body)
    return replica


def _lost(operation: Operation, found: Replica, evidence: Evidence) -> Iterator[str]:
    revision = operation.revision
    assert revision is not None
    if found.revision < revision:
        yield f"{operation.tab}'s write {revision} was acknowledged, and the space is found at {found.revision}"
        return
    for key in operation.ops:
        if revision not in evidence.content[key]:
            continue
        held = found.entries.get(key)
        last = evidence.last(key, found.revision)
        if held is None and evidence.content[key][last] is not None:
            yield f"{operation.tab}'s write {revision} to {key} was acknowledged, and it is gone"
        elif held is not None and held.revision < revision:
            yield f"{operation.tab}'s write {revision} to {key} was acknowledged, and it is found at {held.revision}"
