"""Fairness: the effect of one hostile client on a well-behaved user.

`python3 -m tests.fairness` runs every attack of the catalogue against a real server with its limits on, and each time a
control that uses the same processor time without touching the server. `test_fairness.py` checks a part of the catalogue
by counts and outcomes.
"""
