"""PostgreSQL connections: how they are opened, and what their errors mean.

Invariants:
1. Transactions are explicit: the driver begins none by itself, and SQLAlchemy's `begin` sends BEGIN, as on SQLite.
2. Nothing here logs or raises a connection string: it may hold a password.
"""

from typing import Any

import psycopg
from psycopg import conninfo
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.pool import NullPool

from realtime_kv.core.backend import Fault, own_error

CONNECT_SECONDS = 5
# a statement waits this long for a row that another session has locked
LOCK_SECONDS = 5
STATEMENT_SECONDS = 120
# without this, a server that vanished is noticed only after the system's own timeout, some fifteen minutes
DEAD_SECONDS = 10

# what an administrator may set differently in the URL
_DEFAULTS: dict[str, Any] = {
    "connect_timeout": CONNECT_SECONDS,
    "application_name": "realtime_kv",
    "target_session_attrs": "read-write",
    "keepalives_idle": DEAD_SECONDS,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": DEAD_SECONDS * 1000,
}
# a statement that was prepared while the tables were small would scan them for ever
_SETTINGS = f"""
SET client_encoding = 'UTF8';
SET timezone = 'UTC';
SET enable_seqscan = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET jit = off;
SET lock_timeout = '{LOCK_SECONDS}s';
SET statement_timeout = '{STATEMENT_SECONDS}s';
SET idle_in_transaction_session_timeout = '{STATEMENT_SECONDS}s'
"""

# what a statement raises, by the driver or through SQLAlchemy
ERRORS = (psycopg.Error, DBAPIError)

# classes of SQLSTATE (the first two characters), and single codes, which come first
_FAULTS = {
    "25006": Fault.READ_ONLY,
    "53100": Fault.FULL,
    # the server could not write, and says so before anything is committed; it checks its own files after a crash
    "58030": Fault.TRANSIENT,
    # the transaction was rolled back because of others, or waited too long for a lock
    "40001": Fault.TRANSIENT,
    "40P01": Fault.TRANSIENT,
    "55P03": Fault.TRANSIENT,
    "57014": Fault.TRANSIENT,
    # the server shuts down, has crashed, or does not accept connections yet
    "57P01": Fault.TRANSIENT,
    "57P02": Fault.TRANSIENT,
    "57P03": Fault.TRANSIENT,
    "57P05": Fault.TRANSIENT,
    "25P03": Fault.TRANSIENT,
}
_FAULTS_OF_CLASS = {"08": Fault.TRANSIENT, "53": Fault.TRANSIENT, "XX": Fault.TRANSIENT}


class ConnectionLost(psycopg.OperationalError):
    """The connection broke, or did not answer in time; whether a COMMIT took place is unknown."""


def parameters(url: str) -> dict[str, Any]:
    """Return the parameters of a connection string, with our defaults. Raises psycopg.ProgrammingError."""
    return {**_DEFAULTS, **conninfo.conninfo_to_dict(url)}


def connect(url: str) -> psycopg.Connection:
    """Open a connection. Raises psycopg.OperationalError."""
    connection = psycopg.connect(**parameters(url), autocommit=True)
    # without parameters: several statements in one round trip
    connection.execute(_SETTINGS)
    return connection


def open_engine(url: str) -> Engine:
    """Return a prepared engine for the database at `url`."""
    engine = create_engine("postgresql+psycopg://", **engine_options(url))
    prepare(engine)
    return engine


def engine_options(url: str) -> dict[str, Any]:
    """Return the options of an engine whose own URL is empty, so that it shows no password anywhere."""
    return {
        "poolclass": NullPool,
        "hide_parameters": True,
        "use_native_hstore": False,
        "creator": lambda: connect(url),
    }


def prepare(engine: Engine) -> None:
    """Let SQLAlchemy begin transactions itself."""

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")


def driver(connection: Connection) -> psycopg.Connection:
    """Return the driver's own connection, which is opened again if it was lost."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, psycopg.Connection)
    if raw.closed:
        connection.invalidate()
        raw = connection.connection.driver_connection
        assert isinstance(raw, psycopg.Connection)
    return raw


def is_in_transaction(connection: psycopg.Connection) -> bool:
    """Return whether a transaction is open."""
    return connection.info.transaction_status not in (TransactionStatus.IDLE, TransactionStatus.UNKNOWN)


def fault(error: BaseException) -> Fault | None:
    """Return the kind of an error that the database raised because of its own state; None for any other error."""
    if isinstance(error, PendingRollbackError):
        # a transaction of SQLAlchemy's goes on after its connection was lost
        return Fault.TRANSIENT
    cause = own_error(error)
    if not isinstance(cause, psycopg.Error):
        return None
    state = cause.sqlstate
    if state is None:
        # the connection could not be opened, or broke
        return Fault.TRANSIENT if isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError) else None
    return _FAULTS.get(state) or _FAULTS_OF_CLASS.get(state[:2])
