"""SQL of the account statements that SQLite and PostgreSQL spell differently."""

from dataclasses import dataclass

from sqlalchemy import Connection


@dataclass(frozen=True)
class Dialect:
    """Spellings of one database; each takes and returns SQL."""

    # the greater or the lesser of two numbers
    greatest: str
    least: str
    # whether the first text contains the second one
    contains: str
    # the bytes of the text in {}
    bytes_of: str
    # a table (key, value) of integers, of the JSON object {}
    integers: str
    # a table (id, at, address), of the JSON array {} of such arrays
    seen: str


_SQLITE = Dialect(
    greatest="max",
    least="min",
    contains="instr({}, {}) > 0",
    bytes_of="length(CAST({} AS BLOB))",
    integers="SELECT CAST(key AS INTEGER) AS key, value FROM json_each({})",
    seen="SELECT json_extract(value, '$[0]') AS id, json_extract(value, '$[1]') AS at, "
    "json_extract(value, '$[2]') AS address FROM json_each({})",
)
_POSTGRES = Dialect(
    greatest="greatest",
    least="least",
    contains="strpos({}, {}) > 0",
    bytes_of="octet_length({})",
    integers="SELECT CAST(key AS bigint) AS key, CAST(value AS bigint) AS value FROM json_each_text(CAST({} AS json))",
    seen="SELECT CAST(value ->> 0 AS bigint) AS id, CAST(value ->> 1 AS bigint) AS at, value ->> 2 AS address "
    "FROM json_array_elements(CAST({} AS json))",
)


def dialect(connection: Connection) -> Dialect:
    """Return the spellings of this connection's database."""
    return _POSTGRES if connection.dialect.name == "postgresql" else _SQLITE
