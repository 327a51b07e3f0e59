"""The server with `synchronous=NORMAL`, which the product refuses to run with, switched on from outside.

This is the control of the experiment: if the layer discards unsynced data, this server has to lose acknowledged writes.
"""

import sys

from sqlalchemy import Connection, Engine

from realtime_kv.cli import main as cli
from realtime_kv.storage.sqlite import connections

_writing = connections.writing


def writing(engine: Engine, *options: int) -> Connection:
    """Return the checked connection, relaxed after the check."""
    connection = _writing(engine, *options)
    cursor = connections.driver(connection).cursor()
    cursor.execute("PRAGMA synchronous=NORMAL")
    assert cursor.execute("PRAGMA synchronous").fetchone() == (1,)
    cursor.close()
    return connection


connections.writing = writing

if __name__ == "__main__":
    sys.exit(cli.main(sys.argv[1:]))
