"""Runs the migrations with Alembic."""

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection


class NewerDatabase(Exception):
    """The database was written by a newer version of this program; nothing was changed."""


def take(connection: Connection) -> None:
    """Run every missing migration, inside the connection's transaction. Raises NewerDatabase."""
    config = Config()
    config.set_main_option("script_location", "realtime_kv:storage/migrations")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise NewerDatabase(
            "This database was last used by a newer version of realtime_kv, and this one does not know its tables: "
            f"install that version again. ({error})"
        ) from error
