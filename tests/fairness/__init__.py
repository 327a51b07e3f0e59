"""Fairness: what one unfriendly client can do to a well-behaved user.

`python3 -m tests.fairness` runs every attack of the catalogue against a real server with its limits on, and each time
a control that burns the same processor time without touching the server. `test_fairness.py` checks a share of the
catalogue by counts and outcomes.
"""
