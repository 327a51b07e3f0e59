"""Bringing the database up to date, in the process that is about to use it.

Alembic keeps the steps (`versions/`), and is imported only when there is one to take: an ordinary start reads one row
and goes on. All steps of one start are one transaction, so a start that is killed half-way has changed nothing.
"""

from sqlalchemy import Connection, Engine, inspect, text

# the newest file in versions/; a test compares them
HEAD = "0008"


def upgrade(engine: Engine) -> None:
    """Take every step that this database has not taken yet. Raises `steps.NewerDatabase`."""
    with engine.connect() as connection:
        if _stamp(connection) == HEAD:
            return
    from realtime_kv.migrations import steps  # noqa: PLC0415 (Alembic takes a good part of a second to import)

    with engine.connect() as connection:
        _begin(connection)
        # until we hold the write lock, another process may still be taking the same steps
        if _stamp(connection) != HEAD:
            steps.take(connection)
        connection.commit()


def version(engine: Engine) -> str | None:
    """The last step that this database has taken; None for a new one."""
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
    # Python's sqlite3 opens a transaction before INSERT but not before CREATE TABLE, which would then commit by itself
    if connection.dialect.name == "sqlite" and driver is not None and not driver.in_transaction:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
