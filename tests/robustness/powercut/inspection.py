"""A database after a power cut, read without the server: is it sound, and does it have every acknowledged write?"""

import sqlite3
from collections import defaultdict
from contextlib import closing
from pathlib import Path

from realtime_kv.core.messages import SetOp, digest_of, read_frame
from tests.robustness.powercut.ledger import Ledger, Words

DATABASE = "realtime_kv.db"


class Finding:
    """The defects of a disk: lost acknowledged writes and accounts, and `problems`, as sentences."""

    def __init__(self) -> None:
        self.lost: dict[str, set[int]] = defaultdict(set)
        self.problems: list[str] = []
        self.entries: dict[str, dict[str, tuple[int, str]]] = {}
        self.lost_accounts: list[str] = []

    @property
    def lost_count(self) -> int:
        """The number of acknowledged writes that are missing; a sign-up is a write as well."""
        return sum(map(len, self.lost.values())) + len(self.lost_accounts)


def inspect(folder: Path, ledger: Ledger) -> Finding:
    """Read everything. Opening the database recovers it, as in the server."""
    finding = Finding()
    if not (folder / DATABASE).exists():
        for words in ledger.users.values():
            _lose(words, finding)
        return finding
    with closing(sqlite3.connect(folder / DATABASE)) as db:
        try:
            _check_soundness(db, finding)
            known = dict(db.execute("SELECT username, id FROM users")) if _has_tables(db) else {}
            for words in ledger.users.values():
                if words.username in known:
                    _check_user(db, known[words.username], words, finding)
                else:
                    _lose(words, finding)
        except sqlite3.DatabaseError as error:
            finding.problems.append(f"The database cannot be read: {error}.")
    return finding


def _lose(words: Words, finding: Finding) -> None:
    finding.lost_accounts.append(words.username)
    finding.lost[words.username] = {*words.acknowledged}


def _has_tables(db: sqlite3.Connection) -> bool:
    return bool(db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'users'").fetchone()[0])


def _check_soundness(db: sqlite3.Connection, finding: Finding) -> None:
    answers = [row[0] for row in db.execute("PRAGMA integrity_check")]
    if answers != ["ok"]:
        finding.problems.append(f"integrity_check: {'; '.join(answers[:3])}")
    if db.execute("PRAGMA foreign_key_check").fetchone():
        finding.problems.append("foreign_key_check: a row without its parent.")


def _check_user(db: sqlite3.Connection, user_id: int, words: Words, finding: Finding) -> None:
    """Compare with the log, which is the truth: the other tables derive from it up to the revision of the space."""
    space = db.execute("SELECT revision, keys, digest FROM spaces WHERE user_id = ?", (user_id,)).fetchone()
    log: dict[int, list[tuple[str, str | None]]] = {}
    folded: dict[str, tuple[int, str]] = {}
    flushed: dict[str, tuple[int, str]] = {}
    receipts = {row[0] for row in db.execute("SELECT op_id FROM receipts WHERE user_id = ?", (user_id,))}
    rows = db.execute("SELECT revision, frame, op_id FROM log WHERE user_id = ? ORDER BY revision", (user_id,))
    for revision, frame, op_id in rows:
        ops = [(op.key, bytes(op.value).decode() if isinstance(op, SetOp) else None) for op in read_frame(frame).ops]
        log[revision] = ops
        receipts.add(op_id)
        for key, value in ops:
            if value is None:
                folded.pop(key, None)
            else:
                folded[key] = (revision, value)
        if revision <= space[0]:
            flushed = dict(folded)
    digest = sum(digest_of(key, revision) for key, (revision, _) in flushed.items()) & 0xFFFFFFFF
    entries = {
        key: (revision, value)
        for key, revision, value in db.execute(
            "SELECT key, revision, value FROM entries WHERE user_id = ? AND deleted_at IS NULL", (user_id,)
        )
    }
    finding.entries[words.username] = folded
    name = words.username
    if [*log] != [*range(1, len(log) + 1)] or space[0] > len(log):
        finding.problems.append(f"{name}: the revisions in the log are not 1 to {space[0]} or more without a gap.")
    if (len(flushed), digest) != space[1:]:
        finding.problems.append(f"{name}: the space says {space[1:]} keys and digest, its log {len(flushed), digest}.")
    if flushed != entries:
        finding.problems.append(f"{name}: the entries are not what the log makes of them.")
    if receipts - words.sent - {None}:
        finding.problems.append(f"{name}: there are writes that were never sent.")
    for revision, (op_id, ops) in words.acknowledged.items():
        if op_id not in receipts or log.get(revision) != ops:
            finding.lost[name].add(revision)
