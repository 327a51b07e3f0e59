"""Sessions that end while their tabs write: no write is accepted afterwards, and pushes stop soon.

`python3 -m tests.revocation 1000` makes a thousand random trials; some of them are part of the test suite.
"""
