"""Merged history of one user's tabs: the writes, the content and the requester of each, and the reads.

A write is requested by one or more calls (retries have the same `op_id`). It took effect between the sending of the
first call and the first acknowledgement or the first observation by any tab. Without either, its outcome is unknown.
"""

import bisect
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.robustness.history import Answer, Call, Push, TabLog
from tests.robustness.workload import REPEATING, WRITING, group_keys

NEVER = math.inf


class Violation(NamedTuple):
    """A broken promise: the guarantee, and a description."""

    guarantee: str
    what: str


@dataclass
class Operation:
    """A verb that a tab requested; a write includes all its retries. `answers` are in the order of arrival."""

    verb: str
    payload: dict[str, Any]
    start: float
    tab: str
    calls: int = 0
    end: float = NEVER
    answers: list[dict[str, Any]] = field(default_factory=list)
    # for verbs that write an earlier value again: the values they have to write
    repeated: dict[str, Any] = field(default_factory=dict)

    @property
    def accepted(self) -> dict[str, Any] | None:
        """The first answer that says `ok`."""
        return next((answer for answer in self.answers if answer["ok"]), None)

    @property
    def refused(self) -> bool:
        """Return whether this certainly had no effect."""
        return len(self.answers) == self.calls and all(
            not answer["ok"] and answer["error"]["code"] != "unavailable" for answer in self.answers
        )

    @property
    def revision(self) -> int | None:
        """The revision of the write that this made; None if it wrote nothing or its outcome is unknown."""
        answer = self.accepted
        if answer is None or self.verb not in WRITING:
            return None
        if self.verb == "batch":
            wrote = any(result.get("existed", True) for result in answer["results"])
        else:
            wrote = answer.get("existed", True) and answer.get("count", True)
        return answer["revision"] if wrote else None

    @property
    def ops(self) -> dict[str, Any]:
        """The value that each key gets, or None for deleted. No value of the workload is null."""
        if self.verb == "batch":
            return {op["key"]: op.get("value") for op in self.payload["ops"]}
        if self.verb == "delete_prefix":
            # the keys of a group are written together: either all exist or none
            return dict.fromkeys(group_keys(self.payload["prefix"]))
        if self.verb in REPEATING:
            return self.repeated
        return {self.payload["key"]: self.payload.get("value")}


class Reading(NamedTuple):
    """A tab saw `key` at `revision`, or absent (None), at a moment between `start` and `end`."""

    key: str
    revision: int | None
    start: float
    end: float
    tab: str


class Evidence:
    """All evidence of one user. `content[key][revision]` is a value, or None where that write deleted the key."""

    def __init__(self, user: str, logs: list[TabLog]) -> None:
        self.user = user
        self.logs = logs
        self.operations = self._merge_calls()
        self.content: dict[str, dict[int, Any]] = defaultdict(dict)
        # ops of the writes that were pushed whole
        self.pushed: dict[int, dict[str, Any]] = {}
        self.seen: dict[int, float] = {}
        self.readings: list[Reading] = []
        self._lists: list[tuple[Call, Answer, str]] = []
        self.epochs: set[str] = set()
        self.contradictions: list[str] = []
        for log in logs:
            self._hear(log)
        for operation in self.operations:
            self._take_in(operation)
        # in the order of revisions: an undo may put back a value that another undo put back before
        repeating = [operation for operation in self.writes() if operation.verb in REPEATING]
        for operation in sorted(repeating, key=lambda operation: operation.revision or 0):
            operation.repeated = self._repeated(operation)
            for key, value in operation.repeated.items():
                self.content[key].setdefault(operation.revision or 0, value)
        for call, answer, tab in self._lists:
            found = {entry["key"] for entry in answer.body["entries"]}
            for key in self.content.keys() - found:
                if key.startswith(call.payload["prefix"]):
                    self._read(key, None, call.t, answer.t, tab)
        self.history = {key: sorted(revisions) for key, revisions in self.content.items()}

    def last(self, key: str, until: int) -> int:
        """Return the last known write to `key` up to `until`, or 0 if there is none."""
        revisions = self.history.get(key, [])
        index = bisect.bisect_right(revisions, until)
        return revisions[index - 1] if index else 0

    def writes(self) -> Iterator[Operation]:
        """Yield the requested operations that wrote something."""
        return (operation for operation in self.operations if operation.revision is not None)

    def _merge_calls(self) -> list[Operation]:
        """Merge retries. The same `op_id` with another payload is another operation, which has to be refused."""
        operations: list[Operation] = []
        signed: dict[str, Operation] = {}
        for log in self.logs:
            calls: dict[int, Operation] = {}
            for event in log.events:
                if isinstance(event, Call) and event.verb != "sync":
                    signature = repr(event.payload) if "op_id" in event.payload else ""
                    operation = signed.get(signature)
                    if operation is None:
                        operation = Operation(event.verb, event.payload, event.t, log.tab)
                        operations.append(operation)
                        if signature:
                            signed[signature] = operation
                    operation.start = min(operation.start, event.t)
                    operation.calls += 1
                    calls[event.id] = operation
                elif isinstance(event, Answer) and event.id in calls:
                    operation = calls[event.id]
                    operation.answers.append(event.body)
                    if event.body["ok"]:
                        operation.end = min(operation.end, event.t)
        return operations

    def _hear(self, log: TabLog) -> None:
        asked: dict[int, Call] = {}
        for event in log.events:
            if isinstance(event, Call):
                asked[event.id] = event
            elif isinstance(event, Push) and event.name == "change":
                self._hear_writes(event.data, event.t, whole=True)
            elif isinstance(event, Answer):
                self._hear_answer(asked[event.id], event, log.tab)

    def _hear_answer(self, call: Call, answer: Answer, tab: str) -> None:
        body = answer.body
        key = call.payload.get("key", "")
        if call.verb == "sync" and body["ok"]:
            self._hear_writes(body, answer.t, whole=False)
        elif call.verb == "get":
            entry = body["entry"] if body["ok"] else None
            if entry is not None or body["error"]["code"] == "not_found":
                self._read(key, entry, call.t, answer.t, tab)
        elif call.verb == "list" and body["ok"]:
            for entry in body["entries"]:
                self._read(entry["key"], entry, call.t, answer.t, tab)
            if body["next"] is None:
                self._lists.append((call, answer, tab))
        elif not body["ok"] and body["error"]["code"] == "conflict" and call.verb == "set":
            self._read(key, body["error"]["entry"], call.t, answer.t, tab)

    def _hear_writes(self, message: dict[str, Any], t: float, *, whole: bool) -> None:
        self.epochs.add(message["epoch"])
        for write in message["writes"]:
            revision = write["revision"]
            ops = {op["key"]: op.get("value") for op in write["ops"]}
            for key, value in ops.items():
                self._learn(key, revision, value)
            self._see(revision, t)
            if whole and self.pushed.setdefault(revision, ops) != ops:
                self.contradictions.append(f"revision {revision} was pushed as {self.pushed[revision]} and as {ops}")

    def _read(self, key: str, entry: dict[str, Any] | None, start: float, end: float, tab: str) -> None:
        if entry is not None:
            self._learn(key, entry["revision"], entry["value"])
            self._see(entry["revision"], end)
        self.readings.append(Reading(key, entry and entry["revision"], start, end, tab))

    def _take_in(self, operation: Operation) -> None:
        revision = operation.revision
        if revision is None:
            return
        absent = set()
        if operation.verb == "batch" and operation.accepted:
            # a sound server returns one result per op
            results = zip(operation.ops, operation.accepted["results"], strict=False)
            absent = {key for key, result in results if not result.get("existed", True)}
        for key, value in operation.ops.items():
            if key not in absent:
                self._learn(key, revision, value)

    def _repeated(self, operation: Operation) -> dict[str, Any]:
        """Return the values that this has to have written, derived from the content before it."""
        payload, revision = operation.payload, operation.revision
        assert revision is not None
        if operation.verb == "restore":
            key = payload["key"]
            return {key: self.content[key].get(payload["revision"])}
        if operation.verb == "undo":
            undone = payload["revision"]
            touched = [key for key, revisions in self.content.items() if undone in revisions]
            return {key: self._stood(key, undone) for key in touched}
        source, target = group_keys(payload["from"]), group_keys(payload["to"])
        values = [self._stood(key, revision) for key in source]
        left = dict.fromkeys(source) if operation.verb == "move" else {}
        return dict(zip(target, values, strict=True)) | left

    def _stood(self, key: str, revision: int) -> Any:
        """Return the value of `key` before the write of this revision."""
        before = max((r for r in self.content[key] if r < revision), default=0)
        return self.content[key].get(before)

    def _learn(self, key: str, revision: int, value: Any) -> None:
        known = self.content[key].setdefault(revision, value)
        if known != value:
            self.contradictions.append(f"{key} at revision {revision} is {known!r:.60} and {value!r:.60}")

    def _see(self, revision: int, t: float) -> None:
        self.seen[revision] = min(t, self.seen.get(revision, NEVER))
