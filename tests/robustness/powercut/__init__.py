"""Power cuts: the real server on a disk that loses, at a random call, everything that had not been synced.

`layer.c` lies under the server's SQLite and logs all operations on the data folder; `disk.py` derives from the log the
possible contents of the disk after a cut; `inspection.py` checks that every acknowledged write is there; `cuts.py`
repeats this.
"""
