"""Robustness suite: many tabs against a server under faults; the validators judge the recorded histories.

It follows etcd's robustness suite: clients, faults, one history per tab, one validator per guarantee.
`python3 -m tests.robustness --help` lists the commands; docs/guarantees.md explains what they show.
"""
