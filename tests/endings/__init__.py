"""Sessions that end while their tabs write: no write is accepted afterwards, and no push arrives for long.

`python3 -m tests.endings 1000` makes a thousand random trials; some of them stand in the suite.
"""
