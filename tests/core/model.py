"""A plain model of a space and its history: a list of the complete state after each write."""

from typing import NamedTuple

from realtime_kv.errors import BadRequest, Conflict, NotFound


class Row(NamedTuple):
    value: object
    revision: int
    version: int
    created: int
    expires_at: int | None = None
    deleted: bool = False

    def live(self, now):
        return not self.deleted and (self.expires_at is None or self.expires_at > now)


class Model:
    """`states[r]` holds every key after the write of revision r; `times[r]` is the time of that write."""

    def __init__(self):
        self.states: list[dict[str, Row]] = [{}]
        self.times = [0]
        self.writes: list[dict[str, object]] = [{}]
        # revision of each undo → revision that it undoes
        self.undoes: dict[int, int] = {}

    @property
    def revision(self):
        return len(self.states) - 1

    def write(self, rows: dict[str, Row], now):
        self.states.append({**self.states[-1], **rows})
        self.times.append(now)
        self.writes.append({key: None if row.deleted else row.value for key, row in rows.items()})

    def restored(self, key, revision, now):
        """Return the row that a restore of the key writes, or the error if there is nothing to restore."""
        row = self.states[-1].get(key)
        if row is None:
            return NotFound
        if revision is None:
            return BadRequest if row.live(now) else self.again(row, row.value, None)
        if revision > self.revision or key not in self.writes[revision]:
            return NotFound
        value = self.writes[revision][key]
        return BadRequest if value is None else self.again(row, value, None)

    def undone(self, revision, now):
        """Return the rows that an undo writes, or the error if it is refused."""
        if not 0 < revision <= self.revision:
            return NotFound
        before, rows = self.states[revision - 1], {}
        for key, value in self.writes[revision].items():
            row, was = self.states[-1][key], before.get(key)
            if not self.stands(key, revision) or not (row.deleted or row.live(now)):
                return Conflict
            if value is None:
                rows[key] = self.again(row, was.value, was.expires_at if (was.expires_at or 0) > now else None)
            elif was is None or not was.live(self.times[revision]) or not was.live(now):
                if row.deleted:
                    return Conflict
                rows[key] = row._replace(revision=self.revision + 1, deleted=True)
            else:
                rows[key] = self.again(row, was.value, was.expires_at)
        return rows

    def stands(self, key, revision):
        """Return whether the key is as this write left it: there is no later write, or undos have reverted the later
        ones.
        """
        like = self.states[-1][key].revision
        while like > revision and like in self.undoes:
            like = max((r for r in range(1, self.undoes[like]) if key in self.writes[r]), default=0)
        return like == revision

    def again(self, row, value, expires_at):
        return Row(value, self.revision + 1, row.version + 1, row.created, expires_at)
