"""Prepared statements in libpq's pipeline mode, with arrays in PostgreSQL's binary format.

The path of every write: psycopg's own adaptation of lists takes six times as long as packing them here, and its
cursors wait for each answer (docs/decisions/0011).

Invariants:
1. While the server works, the interpreter lock is released: `get_result` would hold it, so it is called only for an
   answer that has arrived.
2. Every wait has a deadline. After a missed one, or a broken connection, the connection is closed: no later answer
   may be taken for the answer to another statement.
3. The connection is in pipeline mode only inside `run`; psycopg's own cursors may use it in between.
"""

import select
import struct
import time
from collections.abc import Iterable, Sequence
from itertools import chain, repeat
from typing import Any, NamedTuple

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer

from realtime_kv.storage.postgres.connections import ConnectionLost

# the server answers a group in milliseconds, or not at all
DEADLINE_SECONDS = 30.0

_INT8, _BOOL, _TEXT = 20, 16, 25
INT8S, BOOLS, TEXTS = 1016, 1000, 1009
# a single value of this type, not an array
INT8 = _INT8
_NULL = b"\xff\xff\xff\xff"
_EMPTY = {
    INT8S: struct.pack("!iii", 0, 0, _INT8),
    BOOLS: struct.pack("!iii", 0, 0, _BOOL),
    TEXTS: struct.pack("!iii", 0, 0, _TEXT),
}
_head = struct.Struct("!iiiii").pack
_int8 = struct.Struct("!iq").pack
_length = struct.Struct("!i").pack
_BOOLS = (struct.pack("!i?", 1, False), struct.pack("!i?", 1, True))


class Statement(NamedTuple):
    """A prepared statement: its name, its SQL, and the types of its parameters (object ids)."""

    name: bytes
    sql: str
    types: tuple[int, ...] = ()


class Call(NamedTuple):
    """One execution of a statement in a pipeline, with packed parameters."""

    statement: Statement
    parameters: Sequence[bytes] = ()


BEGIN = Statement(b"rkv_begin", "BEGIN")
COMMIT = Statement(b"rkv_commit", "COMMIT")


def int8(value: int) -> bytes:
    """Pack one bigint."""
    return struct.pack("!q", value)


def int8s(values: Sequence[int | None]) -> bytes:
    """Pack a bigint[]."""
    count = len(values)
    if not count:
        return _EMPTY[INT8S]
    if None not in values:
        return struct.pack("!iiiii" + "iq" * count, 1, 0, _INT8, count, 1, *chain.from_iterable(zip(repeat(8), values)))
    head = _head(1, 1, _INT8, count, 1)
    return head + b"".join([_NULL if value is None else _int8(8, value) for value in values])


def texts(values: Sequence[str]) -> bytes:
    """Pack a text[] without NULLs."""
    if not values:
        return _EMPTY[TEXTS]
    parts = [_head(1, 0, _TEXT, len(values), 1)]
    for value in values:
        data = value.encode()
        parts += (_length(len(data)), data)
    return b"".join(parts)


def bools(values: Sequence[bool]) -> bytes:
    """Pack a boolean[]."""
    if not values:
        return _EMPTY[BOOLS]
    return _head(1, 0, _BOOL, len(values), 1) + b"".join([_BOOLS[value] for value in values])


class Pipeline:
    """Runs prepared statements on one connection, many in one round trip."""

    def __init__(
        self, connection: psycopg.Connection, statements: Iterable[Statement], deadline: float = DEADLINE_SECONDS
    ) -> None:
        """Prepare the statements. Raises psycopg.Error."""
        self._connection = connection
        self._pgconn = connection.pgconn
        self._deadline = deadline
        self._rows = Transformer(connection)
        self._poll = select.poll()
        for statement in statements:
            result = self._pgconn.prepare(statement.name, statement.sql.encode(), statement.types)
            if result.status != pq.ExecStatus.COMMAND_OK:
                raise _raised(result)

    def run(self, calls: Sequence[Call]) -> list[list[tuple[Any, ...]]]:
        """Run these statements in one round trip; return the rows of each.

        After an error the statements that follow it are skipped, and it is raised once the server has answered all.
        Raises psycopg.Error; ConnectionLost if the server did not answer.
        """
        pgconn = self._pgconn
        try:
            pgconn.enter_pipeline_mode()
            for statement, parameters in calls:
                pgconn.send_query_prepared(
                    statement.name, parameters or None, [1] * len(parameters) or None, result_format=1
                )
            pgconn.pipeline_sync()
            results = self._results()
            pgconn.exit_pipeline_mode()
        except BaseException as problem:
            # what was sent may still be answered
            self._connection.close()
            if isinstance(problem, psycopg.Error):
                raise ConnectionLost(str(problem)) from problem
            raise
        for result in results:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                raise _raised(result)
        return [self._read(result) for result in results]

    def _results(self) -> list[pq.abc.PGresult]:
        """Return the results up to the end of the pipeline."""
        pgconn = self._pgconn
        self._poll.register(pgconn.socket, select.POLLIN)
        end = time.monotonic() + self._deadline
        while pgconn.flush():
            # of large parameters: the server may want to answer before it reads on
            self._wait(end, select.POLLIN | select.POLLOUT)
            pgconn.consume_input()
        results: list[pq.abc.PGresult] = []
        while True:
            while pgconn.is_busy():
                self._wait(end, select.POLLIN)
                pgconn.consume_input()
            result = pgconn.get_result()
            if result is None:
                # the end of one statement's results; a broken connection never sends the end of the pipeline
                if pgconn.status == pq.ConnStatus.BAD:
                    raise psycopg.OperationalError(_message(pgconn.error_message))
                continue
            if result.status == pq.ExecStatus.PIPELINE_SYNC:
                return results
            results.append(result)

    def _wait(self, end: float, events: int) -> None:
        self._poll.modify(self._pgconn.socket, events)
        if not self._poll.poll(max(0.0, end - time.monotonic()) * 1000):
            raise psycopg.OperationalError("the database did not answer in time")

    def _read(self, result: pq.abc.PGresult) -> list[tuple[Any, ...]]:
        if not result.ntuples:
            return []
        self._rows.set_pgresult(result)
        return self._rows.load_rows(0, result.ntuples, tuple)


def _raised(result: pq.abc.PGresult) -> psycopg.Error:
    state = result.error_field(pq.DiagnosticField.SQLSTATE)
    try:
        kind = psycopg.OperationalError if state is None else psycopg.errors.lookup(state.decode())
    except KeyError:
        kind = psycopg.DatabaseError
    return kind(_message(result.error_message))


def _message(text: bytes | None) -> str:
    return (text or b"").decode(errors="replace").strip()
