"""Budgets for work that no account pays for: frames that carry nothing, and what clients do before they are signed in.

Invariants:
1. A client that does what stock clients do never reaches a budget, also when all tabs of an office reconnect at once.
2. Durations are monotonic.
"""

import time

# one connection: frames, packets and short reads that complete no message
IDLE_FRAMES_PER_SECOND = 20.0
IDLE_FRAMES_BURST = 400.0
# what one of them counts before the connection has joined
STRANGER_WEIGHT = 8
# a CONNECT, a DISCONNECT or an upgrade, which each take a look-up or a handshake
HANDSHAKE_FRAMES = 10
# a request of long-polling that brings and fetches nothing
EMPTY_POLL_FRAMES = 5

# one network: seconds of the server's time for clients that are not signed in
NETWORK_SHARE = 0.2
NETWORK_BURST_SECONDS = 4.0

# what things cost, in seconds, as measured on a slow core
REQUEST_COST = 0.001
CONNECTION_COST = 0.0005
OPEN_COST = 0.001
CONNECT_COST = 0.003
FRAME_COST = 50e-6
BYTE_COST = 3e-9


class FrameBudget:
    """Token bucket of one connection, as a single number: when the bucket will be full again."""

    __slots__ = ("_full_at",)

    def __init__(self) -> None:
        self._full_at = 0.0

    def take(self, frames: float) -> bool:
        """Take `frames`; False if the bucket did not hold as many."""
        now = time.monotonic()
        self._full_at = max(self._full_at, now) + frames / IDLE_FRAMES_PER_SECOND
        return self._full_at - now <= IDLE_FRAMES_BURST / IDLE_FRAMES_PER_SECOND
