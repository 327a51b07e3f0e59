"""Database migrations, run in the process that is about to use the database.

Alembic runs the migrations in `versions/`. It is imported only if one is due: an ordinary start reads one row. All
migrations of one start are one transaction, so a start that is killed half-way has changed nothing.
"""

from sqlalchemy import Connection, Engine, inspect, text

# the newest file in versions/; a test compares them
HEAD = "0009"


def upgrade(engine: Engine) -> None:
    """Run every migration that this database lacks. Raises `steps.NewerDatabase`."""
    with engine.connect() as connection:
        if _stamp(connection) == HEAD:
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


def _stamp(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    stamp: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return stamp


def _begin(connection: Connection) -> None:
    connection.begin()
    driver = connection.connection.driver_connection
    # Python's sqlite3 opens a transaction before INSERT but not before CREATE TABLE, which would then commit by itself.
    if connection.dialect.name == "sqlite" and driver is not None and not driver.in_transaction:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
