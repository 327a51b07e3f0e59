"""Database migrations, run in the process that is about to use the database.

Alembic runs the migrations in `versions/`. It is imported only if one is due: an ordinary start reads one row. All
migrations of one start are one transaction, so a start that is killed half-way has changed nothing. A new PostgreSQL
database gets the present tables at once (postgres/schema.py), and only later migrations.
"""

from sqlalchemy import Connection, Engine, inspect, text

# the newest file in versions/; a test compares them
HEAD = "0009"
# the number of PostgreSQL's advisory lock for upgrades
_UPGRADE_LOCK = 0x726B_7600_0000_0002


def upgrade(engine: Engine) -> None:
    """Run every migration that this database lacks. Raises `steps.NewerDatabase`."""
    with engine.connect() as connection:
        stamp = _stamp(connection)
        if stamp == HEAD:
            return
    if engine.dialect.name == "postgresql" and stamp is None:
        _create(engine)
        return
    from realtime_kv.storage.migrations import runner  # noqa: PLC0415 (Alembic takes a good part of a second to import)

    with engine.connect() as connection:
        _begin(connection)
        # before this process holds the write lock, another one may run the same migrations
        if _stamp(connection) != HEAD:
            runner.take(connection)
        connection.commit()


def version(engine: Engine) -> str | None:
    """Return the last migration of this database; None for a new one."""
    with engine.connect() as connection:
        return _stamp(connection)


def _create(engine: Engine) -> None:
    """Create the tables of the present version in an empty PostgreSQL database."""
    from realtime_kv.storage.postgres import schema  # noqa: PLC0415 (the driver takes a quarter of a second to import)

    with engine.begin() as connection:
        _begin(connection)
        if _stamp(connection) is None:
            schema.create(connection)
            connection.execute(text("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)"))
            connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})


def _stamp(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    stamp: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return stamp


def _begin(connection: Connection) -> None:
    if not connection.in_transaction():
        connection.begin()
    if connection.dialect.name == "postgresql":
        # until the end of the transaction: other processes that start now wait, and find the work done
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _UPGRADE_LOCK})
        return
    driver = connection.connection.driver_connection
    # Python's sqlite3 opens a transaction before INSERT but not before CREATE TABLE, which would then commit by itself.
    if driver is not None and not driver.in_transaction:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
