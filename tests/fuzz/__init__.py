"""Fuzzer: hostile input for a real server in a separate process: bytes, requests, handshakes, frames, packets, JSON.

`python3 -m tests.fuzz --help` lists the options. A `Case` is plain data, made from a seed; it can be minimized and
replayed.
"""
