"""A write is seen whole or not at all, and by nobody but its owner."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from tests.robustness.evidence import Evidence
from tests.robustness.history import Answer, History, Push
from tests.robustness.workload import GROUP, group_of


def atomic(_history: History, evidence: Evidence) -> Iterator[str]:
    """A pushed write has all its requested ops; the keys of a group are never seen apart, in frames or pages."""
    for operation in evidence.writes():
        assert operation.revision is not None
        pushed = evidence.pushed.get(operation.revision)
        # a delete in a batch that found nothing is no op
        asked = {key for key in operation.ops if operation.revision in evidence.content[key]}
        if pushed is not None and pushed.keys() != asked:
            yield f"write {operation.revision} was to change {sorted(asked)}, and was pushed as {sorted(pushed)}"
    for log in evidence.logs:
        for event in log.events:
            if (isinstance(event, Push) and event.name == "change") or (isinstance(event, Answer) and _is_page(event)):
                message = event.data if isinstance(event, Push) else event.body
                for write in message["writes"]:
                    for what in _apart({op["key"]: op.get("value") for op in write["ops"]}):
                        yield f"{log.tab} saw write {write['revision']} in pieces: {what}"
            elif isinstance(event, Answer) and event.body.get("next", "") is None and "entries" in event.body:
                for what in _apart({entry["key"]: entry["value"] for entry in event.body["entries"]}):
                    yield f"{log.tab} listed at {event.body['revision']} one write in pieces: {what}"


def isolated(_history: History, evidence: Evidence) -> Iterator[str]:
    """Keys and values start with their owner's name; no other is ever seen."""
    for key, revisions in evidence.content.items():
        for revision, value in revisions.items():
            if not key.startswith(f"{evidence.user}/") or not str(value or evidence.user).startswith(evidence.user):
                yield f"saw {key} = {value!r:.60} at revision {revision}"
    if len(evidence.epochs) > 1:
        yield f"saw more than one data set: {sorted(evidence.epochs)}"


def _is_page(answer: Answer) -> bool:
    return "writes" in answer.body and "epoch" in answer.body


def _apart(ops: dict[str, Any]) -> Iterator[str]:
    groups: dict[str, dict[str, Any]] = defaultdict(dict)
    for key, value in ops.items():
        if group := group_of(key):
            groups[group][key] = value
    for members in groups.values():
        if len(members) != GROUP or len(set(members.values())) != 1:
            yield repr({key: str(value)[:40] for key, value in members.items()})
