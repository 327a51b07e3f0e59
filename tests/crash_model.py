"""A script of one tab's requests in order, each with the answer that a plain model expects."""

import random
from typing import Any, NamedTuple

from realtime_kv.errors import Conflict, NotFound
from tests.core.model import Model, Row

KEYS = ["a/1", "a/2", "b/1", "b/2", "é"]
FOLDERS = ["a/", "b/"]


class Step(NamedTuple):
    """A request and its expected answer, or the code of its error; the space is then at `revision`."""

    verb: str
    payload: dict[str, Any]
    answer: dict[str, Any] | str
    revision: int
    writes: bool


class Script:
    """A random script, determined by `seed`; the model includes every request so far."""

    def __init__(self, seed: str) -> None:
        self.model = Model()
        self._random = random.Random(seed)
        self._count = 0

    def next(self) -> Step:
        """Return the next step, usually one that succeeds."""
        self._count += 1
        make = self._random.choices(
            [self._set, self._delete, self._batch, self._restore, self._undo, self._move_or_copy, self._delete_prefix],
            [6, 2, 4, 4, 6, 4, 1],
        )[0]
        verb, payload, rows, answer = make()
        payload = {**payload, "op_id": f"w{self._count}"}
        if isinstance(rows, type):
            return Step(verb, payload, rows.code, self.model.revision, writes=False)
        if rows:
            self.model.write(rows, 0)
            if verb == "undo":
                self.model.undoes[self.model.revision] = payload["revision"]
        revision = self.model.revision
        return Step(verb, payload, {"revision": revision, **answer}, revision, writes=bool(rows))

    def _set(self) -> Any:
        key = self._random.choice(KEYS)
        row = self._new(key)
        return "set", {"key": key, "value": row.value}, {key: row}, {"version": row.version}

    def _delete(self) -> Any:
        key = self._random.choice(KEYS)
        rows = self._gone([key])
        return "delete", {"key": key}, rows, {"existed": bool(rows)}

    def _batch(self) -> Any:
        first, second = self._random.sample(KEYS, 2)
        row, rows = self._new(first), self._gone([second])
        ops = [{"op": "set", "key": first, "value": row.value}, {"op": "delete", "key": second}]
        results = [{"version": row.version}, {"existed": bool(rows)}]
        return "batch", {"ops": ops}, {first: row, **rows}, {"results": results}

    def _restore(self) -> Any:
        key = self._random.choice(KEYS)
        asked = {} if self._random.random() < 0.4 else {"revision": self._some_revision()}
        row = self.model.restored(key, asked.get("revision"), 0)
        if isinstance(row, type):
            return "restore", {"key": key, **asked}, row, {}
        return "restore", {"key": key, **asked}, {key: row}, {"version": row.version}

    def _undo(self) -> Any:
        revision = self.model.revision if self._random.random() < 0.7 else self._some_revision()
        rows = self.model.undone(revision, 0)
        return "undo", {"revision": revision}, rows, {} if isinstance(rows, type) else {"count": len(rows)}

    def _move_or_copy(self) -> Any:
        """Move or copy a folder or a key."""
        verb = self._random.choice(["move", "copy"])
        source, target = self._random.sample(FOLDERS if self._random.random() < 0.7 else KEYS, 2)
        payload = {"from": source, "to": target}
        found = [key for key in self._live() if key == source or (source in FOLDERS and key.startswith(source))]
        targets = [target + key.removeprefix(source) for key in found]
        if not found and source not in FOLDERS:
            return verb, payload, NotFound, {}
        if any(key in self._live() for key in targets):
            return verb, payload, Conflict, {}
        state, revision = self.model.states[-1], self.model.revision + 1
        rows = {to: Row(state[key].value, revision, 1, revision) for key, to in zip(found, targets, strict=True)}
        return verb, payload, rows | (self._gone(found) if verb == "move" else {}), {"count": len(found)}

    def _delete_prefix(self) -> Any:
        rows = self._gone([key for key in KEYS if key.startswith("a/")])
        return "delete_prefix", {"prefix": "a/"}, rows, {"count": len(rows)}

    def _new(self, key: str) -> Row:
        revision, row = self.model.revision + 1, self._live().get(key)
        return Row(self._count, revision, *((row.version + 1, row.created) if row else (1, revision)))

    def _gone(self, keys: list[str]) -> dict[str, Row]:
        live, revision = self._live(), self.model.revision + 1
        return {key: live[key]._replace(revision=revision, deleted=True) for key in keys if key in live}

    def _live(self) -> dict[str, Row]:
        return live(self.model.states[-1])

    def _some_revision(self) -> int:
        return self._random.randint(max(0, self.model.revision - 12), self.model.revision + 1)


def live(state: dict[str, Row]) -> dict[str, Row]:
    """Return the live rows of a state of the model."""
    return {key: row for key, row in state.items() if not row.deleted}
