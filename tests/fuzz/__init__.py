"""Hostile input for the real server in a process of its own: bytes, requests, handshakes, frames, packets and JSON.

`python3 -m tests.fuzz --help` tells the options. A `Case` is plain data, made from a seed; it can be made smaller and
played again.
"""
