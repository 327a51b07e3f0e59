"""Many tabs against a server under faults; everything they do and see is recorded, and judged afterwards.

In the manner of etcd's robustness suite: clients, faults, one history for each tab, one validator for each guarantee.
`python3 -m tests.robustness --help` tells the commands; docs/guarantees.md what they show.
"""
