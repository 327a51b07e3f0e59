"""The requests of tabs: few keys, so that tabs collide, and values that name their writer, so that each is recognised.

1. Keys start with their owner's name, so that a validator can detect another user's key.
2. The keys of a group are always written together, all with one value or all deleted: a tab that sees one without the
   others has seen a partial write.
3. `undo`, `restore`, `move` and `copy` write values again that other operations made. They always have an `op_id`, so
   that their outcome is known in the end.
"""

import random
from typing import Any

from tests.robustness.replica import Replica

KEYS = 12
GROUPS = 5
GROUP = 4
LONG = 6000

# verbs that write an earlier value again
REPEATING = {"undo", "restore", "move", "copy"}
WRITING = {"set", "delete", "batch", "delete_prefix", *REPEATING}

Request = tuple[str, dict[str, Any]]


class Workload:
    """One tab's share; `seed` decides all of it except the revisions in conditions."""

    def __init__(self, user: str, tab: str, seed: str, replica: Replica) -> None:
        self.random = random.Random(f"{seed}/{tab}")
        self._user = user
        self._tab = tab
        self._replica = replica
        self._count = 0
        self._done: list[Request] = []
        # keys and groups at revisions that a restore or undo could go back to
        self._values: list[tuple[str, int]] = []
        self._writes: list[int] = []

    def next(self) -> list[Request]:
        """Return the requests to send now, in this order: usually one verb."""
        choice = self.random.choices(
            [self._set, self._set_if, self._delete, self._batch, self._get, self._list, self._twice, self._replay,
             self._reuse, self._restore],
            [36, 9, 10, 16, 16, 5, 3, 3, 1, 4],
        )[0]  # fmt: skip
        return choice()

    def _set(self) -> list[Request]:
        payload = {"key": self._key(), "value": self._value()}
        # without an op_id the outcome stays unknown if the connection is lost first
        return [("set", payload if self.random.random() < 0.2 else self._signed(payload))]

    def _set_if(self) -> list[Request]:
        key = self._key()
        held = self._replica.entries.get(key)
        if held:
            self._values.append((key, held.revision))
        revision = held.revision if held and self.random.random() < 0.9 else 0
        return self._remember("set", {"key": key, "value": self._value(), "if_revision": revision})

    def _delete(self) -> list[Request]:
        return self._remember("delete", {"key": self._key()})

    def _batch(self) -> list[Request]:
        group = group_name(self._user, self.random.randrange(GROUPS))
        keys = group_keys(group)
        if touched := self._replica.touched.get(keys[0]):
            self._writes.append(touched)
        choice = self.random.random()
        if choice < 0.18 and self._writes:
            # the last write to the group can still be undone, mostly
            return self._remember("undo", {"revision": touched or self.random.choice(self._writes)})
        if choice < 0.48:
            return self._carry()
        if choice < 0.55:
            return self._remember("delete_prefix", {"prefix": group})
        if choice < 0.62:
            ops: list[dict[str, Any]] = [{"op": "delete", "key": key} for key in keys]
        else:
            value = self._value()
            ops = [{"op": "set", "key": key, "value": value} for key in keys]
        return self._remember("batch", {"ops": ops})

    def _carry(self) -> list[Request]:
        """Move or copy a group to a free place, if possible: nothing is overwritten. Else free one, mostly."""
        groups = [group_name(self._user, n) for n in range(GROUPS)]
        there = [name for name in groups if group_keys(name)[0] in self._replica.entries]
        free = [name for name in groups if name not in there]
        if there and not free and self.random.random() < 0.8:
            return self._remember("delete_prefix", {"prefix": self.random.choice(there)})
        source = self.random.choice(there or groups)
        target = self.random.choice([name for name in free or groups if name != source])
        return self._remember(self.random.choice(["move", "copy"]), {"from": source, "to": target})

    def _restore(self) -> list[Request]:
        if not self._values:
            return self._get()
        key, revision = self.random.choice(self._values[-30:])
        return self._remember("restore", {"key": key, "revision": revision})

    def _get(self) -> list[Request]:
        key = self._key() if self.random.random() < 0.7 else self.random.choice(group_keys(group_name(self._user, 0)))
        return [("get", {"key": key})]

    def _list(self) -> list[Request]:
        prefix = f"{self._user}/g{self.random.randrange(GROUPS)}/" if self.random.random() < 0.5 else f"{self._user}/k"
        return [("list", {"prefix": prefix})]

    def _twice(self) -> list[Request]:
        return self._remember("set", {"key": self._key(), "value": self._value()}) * 2

    def _replay(self) -> list[Request]:
        return [self.random.choice(self._done)] if self._done else self._get()

    def _reuse(self) -> list[Request]:
        if not self._done:
            return self._get()
        _, payload = self.random.choice(self._done)
        return [("set", {"key": self._key(), "value": self._value("reused"), "op_id": payload["op_id"]})]

    def _remember(self, verb: str, payload: dict[str, Any]) -> list[Request]:
        request = (verb, self._signed(payload))
        self._done.append(request)
        return [request]

    def _signed(self, payload: dict[str, Any]) -> dict[str, Any]:
        self._count += 1
        return {**payload, "op_id": f"{self._tab}-{self._count}"}

    def _key(self) -> str:
        return f"{self._user}/k{self.random.randrange(KEYS)}"

    def _value(self, kind: str = "") -> str:
        self._count += 1
        padding = "x" * self.random.randrange(LONG) if self.random.random() < 0.03 else ""
        return f"{self._user}:{self._tab}:{self._count}{kind}{padding}"


class Audit:
    """Reads everything, once."""

    def __init__(self, user: str) -> None:
        self.random = random.Random(0)
        keys = [f"{user}/k{n}" for n in range(KEYS)] + [
            key for n in range(GROUPS) for key in group_keys(group_name(user, n))
        ]
        prefixes = [f"{user}/k", *(f"{user}/g{n}/" for n in range(GROUPS))]
        self._requests: list[Request] = [("get", {"key": key}) for key in keys]
        self._requests += [("list", {"prefix": prefix}) for prefix in prefixes]

    def next(self) -> list[Request]:
        return self._requests


def group_name(user: str, group: int) -> str:
    """Return the common prefix of the keys of a group."""
    return f"{user}/g{group}/"


def group_keys(name: str) -> list[str]:
    """Return the keys that are always written together."""
    return [f"{name}{n}" for n in range(GROUP)]


def group_of(key: str) -> str | None:
    """Return the common prefix of a group's keys; None for a key outside any group."""
    start, slash, _ = key.rpartition("/")
    return start + slash if "/g" in start else None
