"""Budgets for work that no account pays for: frames without content, and the work for clients before they sign in.

Invariants:
1. A client that behaves like stock clients never reaches a budget, even if all tabs of an office reconnect at once.
2. Durations are monotonic.
"""

import time

# one connection: frames, packets and short reads that complete no message
IDLE_FRAMES_PER_SECOND = 20.0
IDLE_FRAMES_BURST = 400.0
# weight of one of them before the connection has joined
STRANGER_WEIGHT = 8
# a CONNECT, a DISCONNECT or an upgrade, each of which takes a look-up or a handshake
HANDSHAKE_FRAMES = 10
# a long-polling request that neither brings nor fetches a message
EMPTY_POLL_FRAMES = 5

# one network: seconds of the server's time for clients that are not signed in
NETWORK_SHARE = 0.2
NETWORK_BURST_SECONDS = 4.0

# costs in seconds, as measured on a slow core
REQUEST_COST = 0.001
CONNECTION_COST = 0.001
OPEN_COST = 0.001
CONNECT_COST = 0.003
FRAME_COST = 50e-6
BYTE_COST = 3e-9


class FrameBudget:
    """Token bucket of one connection, stored as one number: the time at which the bucket will be full again."""

    __slots__ = ("_full_at",)

    def __init__(self) -> None:
        self._full_at = 0.0

    def take(self, frames: float) -> bool:
        """Take `frames`; return False if the bucket did not hold as many."""
        now = time.monotonic()
        self._full_at = max(self._full_at, now) + frames / IDLE_FRAMES_PER_SECOND
        return self._full_at - now <= IDLE_FRAMES_BURST / IDLE_FRAMES_PER_SECOND
