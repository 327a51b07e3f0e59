"""Alembic environment: migrates the connection passed by `upgrade()`, or the configured database."""

from alembic import context
from sqlalchemy import Connection

from realtime_kv.config import Config
from realtime_kv.storage.backends import open_engine
from realtime_kv.storage.models import Base


def run(connection: Connection) -> None:
    """Run the migrations on this connection."""
    # SQLite changes a table by copying it ("batch"); dropping and renaming columns need that.
    batch = connection.dialect.name == "sqlite"
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=batch)
    with context.begin_transaction():
        context.run_migrations()


if (given := context.config.attributes.get("connection")) is not None:
    run(given)
else:  # the `alembic` command, when a new migration is written
    with open_engine(Config.from_environ()).connect() as connection:
        run(connection)
