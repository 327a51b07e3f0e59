"""PostgreSQL as the store's database."""

from collections.abc import Callable

from sqlalchemy import Connection, Engine

from realtime_kv.concurrency.runtime import Runtime
from realtime_kv.core.backend import BackendReader, Fault
from realtime_kv.core.domain.disk_space import UNMEASURED
from realtime_kv.core.writers import BackendWriter
from realtime_kv.storage import meta
from realtime_kv.storage.postgres import connections, reads
from realtime_kv.storage.postgres.reader import PostgresReader
from realtime_kv.storage.postgres.retention import Retention
from realtime_kv.storage.postgres.writer import PostgresWriter

# there is no index by time: of each user the last write, in its order
_NEWEST = """
SELECT greatest(
    coalesce((SELECT max(l.at) FROM spaces AS p JOIN log AS l ON l.user_id = p.user_id AND l.revision = p.revision), 0),
    coalesce((SELECT at FROM audit ORDER BY id DESC LIMIT 1), 0))
"""


class PostgresBackend:
    """The core's Backend."""

    exclusive = False
    reserve = UNMEASURED
    compaction = None
    file = None

    def __init__(self, engine: Engine, *, alone: bool = False) -> None:
        """With `alone`, the writer refuses a database that another server process uses."""
        self._engine = engine
        self._alone = alone

    @property
    def product(self) -> tuple[str, str]:
        version: tuple[int, ...] | None = getattr(self._engine.dialect, "server_version_info", None)
        return "PostgreSQL", ".".join(map(str, version or ("unknown",)))

    def epoch(self) -> str:
        with self._engine.connect() as connection:
            return reads.epoch(connections.driver(connection))

    def open_reader(self) -> BackendReader:
        return PostgresReader(self._engine)

    def open_writer(self, runtime: Runtime, on_fatal: Callable[[BaseException], None]) -> BackendWriter:
        return PostgresWriter(self._engine, alone=self._alone)

    def read_meta(self, name: str) -> str | None:
        with self._engine.connect() as connection:
            return meta.read(connection, name)

    def write_meta(self, connection: Connection, name: str, value: str) -> None:
        meta.write(connection, name, value)

    def newest_time(self) -> int:
        with self._engine.connect() as connection:
            at: int = reads.first(connections.driver(connection).execute(_NEWEST))[0]
            return at

    def retention(self, connection: Connection) -> Retention:
        return Retention(lambda: connections.driver(connection))

    def fault(self, error: BaseException) -> Fault | None:
        return connections.fault(error)
