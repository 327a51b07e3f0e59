"""Bringing the database up to date, in the process that is about to use it.

Alembic keeps the steps (`versions/`). It is imported only when there is a step to take: an ordinary start reads one row
and goes on. All steps of one start are one transaction, so a start that is killed half-way has changed nothing.
"""

from sqlalchemy import Connection, Engine, inspect, text

# the newest file in versions/; a test compares them
HEAD = "0001"


class NewerDatabase(Exception):
    """The database was written by a newer version of this program; nothing was changed."""


def upgrade(engine: Engine) -> None:
    """Take every step that this database has not taken yet. Raises NewerDatabase."""
    with engine.connect() as connection:
        if _stamp(connection) == HEAD:
            return
    with engine.connect() as connection:
        _begin(connection)
        # until we hold the write lock, another process may still be taking the same steps
        if _stamp(connection) != HEAD:
            _run(connection)
        connection.commit()


def _stamp(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    stamp: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return stamp


def _begin(connection: Connection) -> None:
    connection.begin()
    # Python's sqlite3 opens a transaction before INSERT but not before CREATE TABLE, which would then commit by itself
    if connection.dialect.name == "sqlite" and not connection.connection.driver_connection.in_transaction:  # type: ignore[union-attr]
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _run(connection: Connection) -> None:
    # late, because Alembic takes a good part of a second to import and an ordinary start has nothing for it to do
    from alembic import command
    from alembic.config import Config
    from alembic.script.revision import RevisionError
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", "realtime_kv:migrations")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except (CommandError, RevisionError) as error:
        raise NewerDatabase(
            f"This database is at step {_stamp(connection)!r}, which this version does not know: "
            "install the version that last used it, or a newer one."
        ) from error
