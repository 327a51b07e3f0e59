"""The table `meta`: named values of the whole data set."""

from sqlalchemy import Connection, select

from realtime_kv.storage.models import Meta
from realtime_kv.storage.upsert import insert


def read(connection: Connection, name: str) -> str | None:
    """Return the value under this name."""
    return connection.execute(select(Meta.value).where(Meta.name == name)).scalar_one_or_none()


def write(connection: Connection, name: str, value: str) -> None:
    """Write the value under this name."""
    statement = insert(Meta).values(name=name, value=value)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"value": value}))
