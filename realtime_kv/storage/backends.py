"""The database of a configuration: which package of this folder implements it, and how its engine is opened.

PostgreSQL's package is imported only if it is used: its driver takes a quarter of a second.
"""

# ruff: noqa: PLC0415

from typing import Any

from sqlalchemy import Engine, create_engine

from realtime_kv.config import Config
from realtime_kv.core.backend import Backend
from realtime_kv.storage.sqlite import connections as sqlite
from realtime_kv.storage.sqlite.backend import SqliteBackend
from realtime_kv.storage.sqlite.files import damage


def engine_settings(config: Config) -> tuple[str, dict[str, Any]]:
    """Return the URL of the engine, which never holds a password, and its options."""
    if config.postgres_url is not None:
        from realtime_kv.storage.postgres import connections as postgres

        return "postgresql+psycopg://", postgres.engine_options(config.postgres_url)
    return sqlite.url(config.database_path).render_as_string(hide_password=False), sqlite.ENGINE_OPTIONS


def open_engine(config: Config) -> Engine:
    """Return a prepared engine for the configured database."""
    url, options = engine_settings(config)
    engine = create_engine(url, **options)
    prepare(engine)
    return engine


def check(config: Config) -> None:
    """Check the database file before it is opened. Raises Damaged."""
    if config.postgres_url is None:
        damage.check(config.database_path, config.data_dir)


def prepare(engine: Engine) -> None:
    """Prepare every connection of an engine made with `engine_settings`."""
    if engine.dialect.name == "postgresql":
        from realtime_kv.storage.postgres import connections as postgres

        postgres.prepare(engine)
    else:
        sqlite.prepare(engine)


def open_backend(engine: Engine, config: Config) -> Backend:
    """Return the store's database on a prepared engine."""
    if config.postgres_url is not None:
        from realtime_kv.storage.postgres.backend import PostgresBackend

        return PostgresBackend(engine, alone=True)
    return SqliteBackend(engine, config.disk_reserve)


def errors(config: Config) -> tuple[type[Exception], ...]:
    """Return what a statement raises, by the configured database's driver or through SQLAlchemy."""
    if config.postgres_url is not None:
        from realtime_kv.storage.postgres import connections as postgres

        return postgres.ERRORS
    return sqlite.ERRORS
