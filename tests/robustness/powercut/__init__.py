"""Power cuts: the real server on a disk that loses, at a random call, everything that had not been synced.

`layer.c` lies under the server's SQLite and writes down all that is done to the data folder; `disk.py` makes of it what
a disk may hold afterwards; `inspection.py` looks whether everything that was acknowledged is there; `cuts.py` does it
again and again.
"""
