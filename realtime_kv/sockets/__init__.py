"""The socket door: `transport` moves messages, fast and bounded; the gateway says what they mean.

From the wire upwards: `outbox` (what a peer has not taken yet), `websocket` (frames over a TCP connection), `packets`
(what one message says), `connection` (one of engine.io, polling or WebSocket), `connections` (all of them, and what
each may take), `transport` (all that, in the place of engine.io's own server).
"""
